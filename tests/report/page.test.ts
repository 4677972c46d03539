/** Pages: what they show and in which order, that they need nothing from outside, and that they can be read by ear. */
import { describe, expect, it } from 'vitest';
import { figure, imagePanel } from '../../src/report/figure.js';
import { renderAmplitude } from '../../src/report/image.js';
import { lossChart } from '../../src/report/loss.js';
import { pagePicture, renderPage } from '../../src/report/page.js';
import { resultPage } from '../../src/report/resultPage.js';
import { expectWellFormed, textsOf } from './markup.js';

const picture = renderAmplitude({ re: Float32Array.of(1, 2, 3, 4), im: new Float32Array(4), shape: [2, 2] });
const panel = imagePanel(picture, { title: 'Amplitude', side_px: 20 });

const full = async () =>
  renderPage({
    title: 'Demo <1> & "more"',
    summary: 'A simulated scan.',
    warnings: ['<b> covers 70 %.'],
    findings: [
      { severity: 'doubt', text: 'bad "name" <i>' },
      { severity: 'note', text: 'fine' },
    ],
    pictures: [await pagePicture(figure([panel]), "the object's")],
    metrics: [
      { name: 'amplitude Pearson', value: 0.812345, note: '0 is a constant object' },
      { name: 'coverage', value: 97, unit: '%' },
    ],
    sections: [
      {
        title: 'Rings',
        text: 'A & B',
        pictures: [await pagePicture(lossChart([{ name: 'training', values: [2, 1] }]))],
        tables: [{ title: 'Table', note: 'n < m', head: ['metric', '<A>'], rows: [['mae', 'NaN']] }],
      },
    ],
    facts: [{ name: 'engine', value: 'onnxruntime-node' }],
    configuration: [
      { name: 'nepochs', value: 5, source: 'flag' },
      { name: 'N', value: 64, source: 'metadata', origin: 'scan.npz' },
    ],
    command: "ptychopinn solve 'a & b.h5'",
    files: ['logs/debug.log', 'a "b".png'],
  });

describe('renderPage', () => {
  it('is one well-formed document that asks for nothing from outside and runs nothing', async () => {
    const html = await full();
    expectWellFormed(html);
    expect(html).not.toMatch(/<script|<link|<iframe|javascript:|\son\w+=/);
    expect([...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, to]) => to.replace(/^data:.*/, 'data'))).toEqual([
      '#main',
      'data',
      'data',
      './logs/debug.log',
      './a%20%22b%22.png',
    ]);
    expect(html).toContain("default-src 'none'");
  });

  it('shows everything, in order, escaped', async () => {
    const html = await full();
    const headings = [...html.matchAll(/<h2[^>]*>([^<]*)<\/h2>/g)].map(([, heading]) => heading);
    expect(headings).toEqual(['Please note', 'Result', 'Scores', 'What was found in the scan', 'Rings', 'To repeat it', 'Run', 'Configuration', 'Files']); // biome-ignore format: one line
    for (const piece of [
      '<title>Demo &lt;1&gt; &amp; &quot;more&quot;</title>',
      '<li>&lt;b&gt; covers 70 %.</li>',
      '<b>Doubt:</b> bad &quot;name&quot; &lt;i&gt;',
      '<figcaption>the object&#39;s</figcaption>',
      '<td class="value">0.8123</td><td>0 is a constant object</td>',
      '<td class="value">97 %</td>',
      '<p>n &lt; m</p>',
      '<th scope="col">&lt;A&gt;</th>',
      '<th scope="row"><code>N</code></th><td class="value"><code>64</code></td><td>metadata: scan.npz</td>',
      '<code>ptychopinn solve &#39;a &amp; b.h5&#39;</code>',
    ]) {
      expect(html).toContain(piece);
    }
  });

  it('has landmarks, one heading of the first order, names for sections, tables and pictures, and a way past the head', async () => {
    const html = await full();
    for (const landmark of ['<header>', '<main id="main">', '<html lang="en">']) expect(html).toContain(landmark);
    expect(html.match(/<h1/g)).toHaveLength(1);
    expect(html).toMatch(/<body>\s*<a class="skip" href="#main">/);
    for (const [, id] of html.matchAll(/aria-labelledby="([^"]*)"/g)) expect(html).toContain(`<h2 id="${id}">`);
    const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [table] of html.matchAll(/<div class="wide"[^>]*>/g)) {
      expect(table).toMatch(/role="region" tabindex="0" aria-label="[^"]+"/);
    }
    for (const [svg] of html.matchAll(/<svg[^>]*>/g)) expect(svg).toMatch(/role="img" aria-label="[^"]+"/);
  });

  it('keeps a contrast of 4.5 for text in both styles', async () => {
    const html = await full();
    const styles = [...html.matchAll(/:root \{([^}]*)\}/g)].map(([, style]) =>
      Object.fromEntries([...style.matchAll(/--(\w+): (#\w+)/g)].map(([, name, colour]) => [name, colour])),
    );
    expect(styles).toHaveLength(2);
    const light = (colour: string) => {
      const digits = colour.length === 4 ? [...colour.slice(1)].map((c) => c + c) : (colour.match(/\w\w/g) as string[]);
      const [r, g, b] = digits.map((v) => Number.parseInt(v, 16) / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)); // biome-ignore format: one line
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a: string, b: string) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05); // biome-ignore format: one line
    for (const [k, ground] of ['#ffffff', '#1e1e1e'].entries()) {
      for (const name of ['quiet', 'mark', 'good', 'link']) {
        expect(contrast(styles[k][name], ground), `${name} on ${ground}`).toBeGreaterThanOrEqual(4.5);
      }
      expect(contrast(styles[k].edge, ground)).toBeGreaterThanOrEqual(3);
    }
  });

  it('leaves out what was not given', () => {
    const bare = renderPage({ title: 'Empty' });
    expectWellFormed(bare);
    expect(bare).not.toMatch(/<h2|<table|<figure/);
  });
});

describe('resultPage', () => {
  it('sets R against its floors, and shows image, losses, scan and findings', async () => {
    const html = await resultPage({
      title: 'scan.h5',
      panels: [panel],
      rFactor: { image: 0.1481, constant: 0.262, start: 0.3, over: 'all 516 patterns' },
      curves: [lossChart([{ name: 'misfit', values: [2, 1] }])],
      scan: {
        source: '<scan>.h5',
        xs: [1, 2, 3],
        ys: [1, 1, 2],
        probeDiameter_px: 1,
        findings: [{ severity: 'note', text: 'counts are whole numbers' }],
      },
      command: 'ptychopinn solve scan.h5',
    });
    expectWellFormed(html);
    const texts = textsOf(html);
    expect(texts).toEqual(expect.arrayContaining(['Amplitude', 'this image', '0.148', 'a constant object', '0.262', 'at the start', 'Scan positions', 'number of the pattern', '<scan>.h5'])); // biome-ignore format: one line
    expect(html).toContain('aria-label="R-factors: this image: 0.148, at the start: 0.300, a constant object: 0.262; less is better."'); // biome-ignore format: one line
    expect(html).toContain('counts are whole numbers');
  });

  it('holds no character that HTML excludes', () => {
    const name = 'a\u0000\u001b[31m\u009b\ufffe\ud800<b>😀';
    const html = renderPage({ title: name, summary: name, command: name, files: ['a'] });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those
    expect(html).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufffe]|\p{Cs}/u);
    expect(html).toContain('<title>a\ufffd\ufffd[31m\ufffd\ufffd\ufffd&lt;b&gt;😀</title>');
  });
});
