/**
 * A page about a run as one HTML file: pictures and curves inside it as SVG, tables, what was found; it needs no server, script or
 * network, and can be read by ear and used from the keyboard.
 *
 * @example
 * const html = renderPage({
 *   title: 'Demo', summary: 'A simulated scan, learned in three minutes.',
 *   pictures: [await pagePicture(figure([imagePanel(picture, { title: 'Phase' })]), 'of the whole scan')],
 *   metrics: [{ name: 'phase Pearson', value: 0.83, note: 'plane removed; 0 is a constant object' }],
 *   configuration: [{ name: 'nepochs', value: 20, source: 'flag' }],
 *   command: 'ptychopinn demo',
 * });
 */

import { escapeMarkup } from './markup.js';
import { type Drawing, drawSvg } from './renderer.js';

/** A picture and what is written under it. */
export interface PagePicture {
  readonly title: string;
  /** An SVG document, put into the page as it is: it must come from {@link drawSvg}. */
  readonly svg: string;
  readonly caption?: string;
}

/** A drawing, drawn for a page. */
export const pagePicture = async (drawing: Drawing, caption?: string): Promise<PagePicture> => ({
  title: drawing.title,
  svg: await drawSvg(drawing),
  caption,
});

/** A measured figure; `note` says what it is compared with. */
export interface PageMetric {
  readonly name: string;
  readonly value: number | string;
  readonly unit?: string;
  readonly note?: string;
}

/** A configuration value and where it came from. */
export interface PageSetting {
  readonly name: string;
  readonly value: unknown;
  readonly source: string;
  readonly origin?: string;
}

/** Something that was found, said as a sentence; `wrong` and `doubt` are marked by a word and a colour. */
export interface PageFinding {
  readonly severity: 'wrong' | 'doubt' | 'note' | 'good';
  readonly text: string;
}

/** A table with a heading; the first row is its head, the first cell of a row its name. */
export interface PageTable {
  readonly title: string;
  readonly note?: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Pictures, tables and words under a heading of their own. */
export interface PageSection {
  readonly title: string;
  readonly text?: string;
  readonly pictures?: readonly PagePicture[];
  readonly tables?: readonly PageTable[];
}

/** Everything a page can show, in the order in which it is shown; empty parts are left out. */
export interface PageContent {
  readonly title: string;
  /** What the run came to, a sentence or a few. */
  readonly summary?: string;
  /** What must be known before anything else is believed, a sentence each. */
  readonly warnings?: readonly string[];
  /** What a look at the scan showed. */
  readonly findings?: readonly PageFinding[];
  /** The result itself. */
  readonly pictures?: readonly PagePicture[];
  readonly metrics?: readonly PageMetric[];
  /** What belongs to the result: scores, losses, the scan, … */
  readonly sections?: readonly PageSection[];
  /** Versions, engine, files: a fact a row. */
  readonly facts?: readonly { readonly name: string; readonly value: string }[];
  readonly configuration?: readonly PageSetting[];
  /** What does the same again when it is typed. */
  readonly command?: string;
  /** Files beside the page, by their names in its folder. */
  readonly files?: readonly string[];
}

/** The HTML document of a page. */
export function renderPage(content: PageContent): string {
  const { title, summary, warnings = [], findings = [], pictures = [], metrics = [], sections = [] } = content;
  const { facts = [], configuration = [], command, files = [] } = content;
  const body: string[] = [];
  const section = (heading: string, ...parts: readonly string[]) => {
    const id = `part-${body.length + 1}`;
    body.push(
      `<section aria-labelledby="${id}">`,
      `<h2 id="${id}">${escapeMarkup(heading)}</h2>`,
      ...parts,
      '</section>',
    );
  };
  if (warnings.length > 0) {
    const items = warnings.map((warning) => `<li>${escapeMarkup(warning)}</li>`).join('\n');
    section('Please note', `<ul class="warnings">\n${items}\n</ul>`);
  }
  if (pictures.length > 0) section('Result', ...figures(pictures));
  if (metrics.length > 0) section('Scores', metricTable(metrics));
  if (findings.length > 0) section('What was found in the scan', findingList(findings));
  for (const { title: heading, text, pictures: shown = [], tables = [] } of sections) {
    section(
      heading,
      ...(text === undefined ? [] : [`<p>${escapeMarkup(text)}</p>`]),
      ...figures(shown),
      ...tables.map(tableOf),
    );
  }
  if (command !== undefined) section('To repeat it', `<pre tabindex="0"><code>${escapeMarkup(command)}</code></pre>`);
  if (facts.length > 0) {
    section('Run', table(['fact', 'value'], facts.map(({ name, value }) => [name, value].map(escapeMarkup)), 'Facts about the run')); // biome-ignore format: one call
  }
  if (configuration.length > 0) section('Configuration', settingTable(configuration));
  if (files.length > 0) {
    const items = files.map((name) => `<li><a href="${escapeMarkup(encodePath(name))}">${escapeMarkup(name)}</a></li>`);
    section('Files', `<ul class="files">\n${items.join('\n')}\n</ul>`);
  }
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escapeMarkup(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<h1>${escapeMarkup(title)}</h1>
${summary ? `<p class="summary">${escapeMarkup(summary)}</p>` : ''}
</header>
<main id="main">
${body.join('\n')}
</main>
</body>
</html>
`;
}

/** Letters, ground and edge keep a contrast of 4.5 (text) and 3 (the rest) on light and on dark. */
const STYLE = `
:root { color-scheme: light dark; --edge: #767676; --quiet: #555; --mark: #b34700; --good: #00704a; --link: #005a9c; }
@media (prefers-color-scheme: dark) { :root { --edge: #8a8a8a; --quiet: #bbb; --mark: #ff9d5c; --good: #5fd0a5; --link: #7cc0ff; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
.summary { font-size: 1.05rem; margin: 0; max-width: 50rem; overflow-wrap: anywhere; }
.skip { position: absolute; left: -100vw; } .skip:focus { position: static; }
a { color: var(--link); } :focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.4rem; align-items: start; }
.figures.one { grid-template-columns: minmax(0, 62rem); } figure.broad { grid-column: 1 / -1; }
figure { margin: 0; background: #fff; color: #222; border: 1px solid var(--edge); border-radius: 4px; padding: .4rem; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { margin: .3rem .4rem; font-size: .92rem; color: #444; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: .3rem; }
th, td { text-align: left; padding: .25rem 1.1rem .25rem 0; vertical-align: top; border-bottom: 1px solid var(--edge); overflow-wrap: anywhere; }
tbody th { font-weight: normal; } td.value { font-weight: 600; white-space: nowrap; }
.warnings { border-left: .3rem solid var(--mark); padding: .2rem 1rem .2rem 2rem; }
.findings { list-style: none; padding: 0; } .findings li { margin: .3rem 0; } .findings b { display: inline-block; min-width: 4.5rem; }
.wrong b, .doubt b { color: var(--mark); } .good b { color: var(--good); }
pre { overflow-x: auto; padding: .7rem; border: 1px solid var(--edge); border-radius: 4px; white-space: pre-wrap; overflow-wrap: anywhere; }
.files { columns: 16rem; padding-left: 1.2rem; overflow-wrap: anywhere; }
@media print { .skip { display: none; } figure { break-inside: avoid; } }
`;

/** Several panels in a row need the whole width. */
function isWide(svg: string): boolean {
  const [width, height] = ['width', 'height'].map((side) =>
    Number(new RegExp(`<svg[^>]* ${side}="(\\d+)`).exec(svg)?.[1]),
  );
  return width > 2 * height;
}

function figures(pictures: readonly PagePicture[]): string[] {
  if (pictures.length === 0) return [];
  const all = pictures.map(({ svg, caption }) => {
    const below = caption ? `<figcaption>${escapeMarkup(caption)}</figcaption>` : '';
    return `<figure${isWide(svg) ? ' class="broad"' : ''}>${svg}${below}</figure>`;
  });
  return [`<div class="figures${pictures.length === 1 ? ' one' : ''}">`, ...all, '</div>'];
}

function metricTable(metrics: readonly PageMetric[]): string {
  const rows = metrics.map(({ name, value, unit, note }) => [
    escapeMarkup(name),
    `${escapeMarkup(numberText(value))}${unit ? ` ${escapeMarkup(unit)}` : ''}`,
    escapeMarkup(note ?? ''),
  ]);
  return table(['score', 'value', 'what it means'], rows, 'Scores of the result');
}

const WORDS: Readonly<Record<PageFinding['severity'], string>> = {
  wrong: 'Wrong:',
  doubt: 'Doubt:',
  note: 'Note:',
  good: 'Good:',
};

function findingList(findings: readonly PageFinding[]): string {
  const items = findings.map(
    ({ severity, text }) => `<li class="${severity}"><b>${WORDS[severity]}</b> ${escapeMarkup(text)}</li>`,
  );
  return `<ul class="findings">\n${items.join('\n')}\n</ul>`;
}

function settingTable(settings: readonly PageSetting[]): string {
  const rows = settings.map(({ name, value, source, origin }) => [
    `<code>${escapeMarkup(name)}</code>`,
    `<code>${escapeMarkup(JSON.stringify(value) ?? '')}</code>`,
    escapeMarkup(origin ? `${source}: ${origin}` : source),
  ]);
  return table(['field', 'value', 'from'], rows, 'Values of the configuration and where they came from');
}

function tableOf({ title, note, head, rows }: PageTable): string {
  const cells = rows.map((row) => row.map(escapeMarkup));
  return `<h3>${escapeMarkup(title)}</h3>${note ? `<p>${escapeMarkup(note)}</p>` : ''}${table(head.map(escapeMarkup), cells, title)}`;
}

/** A table that scrolls within the page where it is too wide, from the keyboard too. */
function table(head: readonly string[], rows: readonly (readonly string[])[], label: string): string {
  const top = head.map((cell) => `<th scope="col">${cell}</th>`).join('');
  const all = rows.map(
    ([name, ...cells]) =>
      `<tr><th scope="row">${name}</th>${cells.map((cell, k) => `<td${k === 0 ? ' class="value"' : ''}>${cell}</td>`).join('')}</tr>`,
  );
  return `<div class="wide" role="region" tabindex="0" aria-label="${escapeMarkup(label)}"><table><thead><tr>${top}</tr></thead>\n<tbody>\n${all.join('\n')}\n</tbody></table></div>`;
}

/** A name below the page's folder as a relative address. */
const encodePath = (name: string): string => `./${name.split(/[\\/]/).map(encodeURIComponent).join('/')}`;

function numberText(value: number | string): string {
  if (typeof value === 'string') return value;
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}
