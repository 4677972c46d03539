/**
 * A report as one HTML file: pictures as data URIs, curves inline, tables; it needs no server, script or network.
 *
 * @example
 * const html = renderPage({
 *   title: 'Demo', summary: 'A simulated scan, learned in three minutes.',
 *   pictures: [{ title: 'Phase', png: encodePng(picture), scale: picture }],
 *   metrics: [{ name: 'phase Pearson', value: 0.83, note: 'plane removed; 0 is a constant object' }],
 *   curves: [renderLossCurve(series)],
 *   configuration: [{ name: 'nepochs', value: 20, source: 'flag' }],
 * });
 */

import { escapeMarkup } from './chartFrame.js';
import type { Colormap } from './colormaps.js';
import { shortNumber } from './image.js';
import { pngDataUri } from './png.js';

/** A picture and what is written under it. */
export interface PagePicture {
  readonly title: string;
  /** A PNG file. */
  readonly png: Uint8Array;
  readonly caption?: string;
  /** The meaning of the colours; a `Picture` fits. */
  readonly scale?: { readonly low: number; readonly high: number; readonly colormap: Colormap; readonly unit?: string };
}

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

/** Pictures that belong side by side, under a heading of their own. */
export interface PictureRow {
  readonly title: string;
  readonly pictures: readonly PagePicture[];
}

/** A table with a heading; the first row is its head. */
export interface PageTable {
  readonly title: string;
  readonly note?: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Everything a report can show; empty parts are left out. */
export interface PageContent {
  readonly title: string;
  readonly summary?: string;
  /** What must be known before anything else is believed, a sentence each. */
  readonly warnings?: readonly string[];
  readonly pictures?: readonly PagePicture[];
  readonly rows?: readonly PictureRow[];
  readonly tables?: readonly PageTable[];
  readonly metrics?: readonly PageMetric[];
  /** SVG documents, put into the page as they are. */
  readonly curves?: readonly string[];
  /** Heading of the curves; `Training` where not given. */
  readonly curvesTitle?: string;
  readonly configuration?: readonly PageSetting[];
  /** Versions, engine, files: a fact a row. */
  readonly facts?: readonly { readonly name: string; readonly value: string }[];
}

/** The HTML document of a report. */
export function renderPage(content: PageContent): string {
  const { title, summary, warnings = [], pictures = [], rows: pictureRows = [], tables = [] } = content;
  const { metrics = [], curves = [], configuration = [], facts = [] } = content;
  const body: string[] = [`<h1>${escapeMarkup(title)}</h1>`];
  if (summary) body.push(`<p>${escapeMarkup(summary)}</p>`);
  if (warnings.length > 0) {
    const items = warnings.map((warning) => `<li>${escapeMarkup(warning)}</li>`).join('\n');
    body.push(`<section class="warnings"><b>Please note</b>\n<ul>\n${items}\n</ul></section>`);
  }
  if (pictures.length > 0) body.push('<section class="pictures">', ...pictures.map(figure), '</section>');
  for (const { title: heading, pictures: inRow } of pictureRows) {
    body.push(
      `<h2>${escapeMarkup(heading)}</h2>`,
      `<section class="row" style="grid-template-columns:repeat(${inRow.length},minmax(9rem,20rem))">`,
      ...inRow.map(figure),
      '</section>',
    );
  }
  if (metrics.length > 0) {
    const rows = metrics.map((m) => [
      escapeMarkup(m.name),
      `<b>${escapeMarkup(numberText(m.value))}</b>${m.unit ? ` ${escapeMarkup(m.unit)}` : ''}`,
      escapeMarkup(m.note ?? ''),
    ]);
    body.push('<h2>Metrics</h2>', table(['metric', 'value', 'note'], rows));
  }
  for (const { title: heading, note, head, rows } of tables) {
    body.push(`<h2>${escapeMarkup(heading)}</h2>`);
    if (note) body.push(`<p>${escapeMarkup(note)}</p>`);
    const cells = rows.map((row) => row.map(escapeMarkup));
    body.push(`<div class="wide">${table(head.map(escapeMarkup), cells)}</div>`);
  }
  if (curves.length > 0) {
    const heading = escapeMarkup(content.curvesTitle ?? 'Training');
    body.push(`<h2>${heading}</h2>`, ...curves.map((svg) => `<div class="curve">${svg}</div>`));
  }
  if (facts.length > 0) {
    const rows = facts.map((fact) => [escapeMarkup(fact.name), escapeMarkup(fact.value)]);
    body.push('<h2>Run</h2>', table(['fact', 'value'], rows));
  }
  if (configuration.length > 0) {
    const rows = configuration.map((setting) => [
      `<code>${escapeMarkup(setting.name)}</code>`,
      `<code>${escapeMarkup(JSON.stringify(setting.value) ?? '')}</code>`,
      escapeMarkup(setting.origin ? `${setting.source}: ${setting.origin}` : setting.source),
    ]);
    body.push('<h2>Configuration</h2>', table(['field', 'value', 'from'], rows));
  }
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body.join('\n')}
</body>
</html>
`;
}

const STYLE = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.pictures { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; width: 320px; }
.row { display: grid; gap: 1rem; overflow-x: auto; } .row figure { width: auto; }
figure img { width: 100%; image-rendering: pixelated; display: block; }
figcaption { margin-top: .3rem; }
.scale { display: flex; gap: .5rem; align-items: center; font-size: .85rem; font-variant-numeric: tabular-nums; }
.scale i { flex: 1; height: .6rem; display: block; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem .9rem .2rem 0; vertical-align: top; }
th { border-bottom: 1px solid currentColor; } td { border-bottom: 1px solid #8884; }
.curve svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; font-variant-numeric: tabular-nums; } .wide td { white-space: nowrap; }
.warnings { border-left: .3rem solid #d55e00; padding: .1rem 1rem; } .warnings ul { margin: .3rem 0; padding-left: 1.2rem; }
`;

function figure(picture: PagePicture): string {
  const parts = [
    `<img src="${pngDataUri(picture.png)}" alt="${escapeMarkup(picture.title)}">`,
    picture.scale ? scaleBar(picture.scale) : '',
    `<figcaption><b>${escapeMarkup(picture.title)}</b>${picture.caption ? `<br>${escapeMarkup(picture.caption)}` : ''}</figcaption>`,
  ];
  return `<figure>${parts.join('')}</figure>`;
}

function scaleBar(scale: NonNullable<PagePicture['scale']>): string {
  const stops: string[] = [];
  for (let k = 0; k <= 16; k++) {
    const row = Math.min(255, k * 16);
    stops.push(`rgb(${scale.colormap.rgb.slice(3 * row, 3 * row + 3).join(',')})`);
  }
  const unit = scale.unit ? ` ${escapeMarkup(scale.unit)}` : '';
  return `<div class="scale">${shortNumber(scale.low)}<i style="background:linear-gradient(90deg,${stops.join(',')})"></i>${shortNumber(scale.high)}${unit}</div>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: string) => row.map((cell) => `<${tag}>${cell}</${tag}>`).join('');
  return `<table><thead><tr>${cells(head, 'th')}</tr></thead>\n<tbody>\n${rows
    .map((row) => `<tr>${cells(row, 'td')}</tr>`)
    .join('\n')}\n</tbody></table>`;
}

function numberText(value: number | string): string {
  if (typeof value === 'string') return value;
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}
