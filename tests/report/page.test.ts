import { describe, expect, it } from 'vitest';
import { renderCorrelationCurves } from '../../src/report/correlation.js';
import { renderAmplitude } from '../../src/report/image.js';
import { renderLossCurve } from '../../src/report/loss.js';
import { renderPage } from '../../src/report/page.js';
import { encodePng } from '../../src/report/png.js';
import { expectWellFormed } from './markup.js';

const picture = renderAmplitude({ re: Float32Array.of(1, 2, 3, 4), im: new Float32Array(4), shape: [2, 2] });

describe('renderPage', () => {
  const html = renderPage({
    title: 'Demo <1> & "more"',
    summary: 'A simulated scan.',
    pictures: [{ title: 'Amplitude', png: encodePng(picture), caption: "the object's", scale: picture }],
    metrics: [
      { name: 'amplitude Pearson', value: 0.812345, note: '0 is a constant object' },
      { name: 'coverage', value: 97, unit: '%' },
    ],
    curves: [renderLossCurve([{ name: 'training', values: [2, 1] }])],
    facts: [{ name: 'engine', value: 'onnxruntime-node' }],
    configuration: [
      { name: 'nepochs', value: 5, source: 'flag' },
      { name: 'N', value: 64, source: 'metadata', origin: 'scan.npz' },
      { name: 'probe', value: null, source: 'default' },
    ],
  });

  it('is one well-formed document that asks for nothing from outside', () => {
    expectWellFormed(html);
    expect(html).not.toMatch(/<script|<link|(src|href)="(?!data:)/);
  });

  it('shows pictures, figures, curves and where settings came from', () => {
    for (const piece of [
      '<title>Demo &lt;1&gt; &amp; &quot;more&quot;</title>',
      'src="data:image/png;base64,iVBORw0KGgo',
      '<b>0.8123</b>',
      '<b>97</b> %',
      '<svg xmlns',
      '<td><code>N</code></td><td><code>64</code></td><td>metadata: scan.npz</td>',
      '<td><code>probe</code></td><td><code>null</code></td><td>default</td>',
      'linear-gradient(90deg,rgb(68,1,84)',
    ]) {
      expect(html).toContain(piece);
    }
  });

  it('puts warnings first, rows of pictures side by side, and tables under headings', () => {
    const png = encodePng(picture);
    const many = renderPage({
      title: 'Comparison',
      warnings: ['<b> covers 70 %.'],
      rows: [{ title: 'Phase', pictures: ['A', 'B', 'C'].map((title) => ({ title, png })) }],
      tables: [{ title: 'Scores', note: 'A & B', head: ['metric', '<A>'], rows: [['mae', 'NaN']] }],
      curves: [renderCorrelationCurves([{ name: '<A>', values: [1, 0.4, Number.NaN] }], { side_px: 4, title: 'FRC' })],
      curvesTitle: 'Rings',
    });
    expectWellFormed(many);
    expect(many.indexOf('<li>&lt;b&gt; covers 70 %.</li>')).toBeLessThan(many.indexOf('<h2>Phase</h2>'));
    expect(many).toContain('grid-template-columns:repeat(3,');
    expect(many.match(/<figure>/g)).toHaveLength(3);
    expect(many).toContain('<p>A &amp; B</p>');
    expect(many).toContain('<th>&lt;A&gt;</th>');
    expect(many).toContain('<td>NaN</td>');
    expect(many).toContain('<h2>Rings</h2>');
  });

  it('leaves out what was not given', () => {
    const bare = renderPage({ title: 'Empty' });
    expectWellFormed(bare);
    expect(bare).not.toMatch(/<h2>|<table|<figure/);
  });
});
