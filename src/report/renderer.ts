/**
 * The one place that draws: a drawing is a specification of Vega, plain data; out come SVG, PNG and PDF. What draws is loaded with
 * the first picture, not with the library.
 *
 * @example
 * const drawing = figure([imagePanel(renderPhase(object), { title: 'phase', pixelSize_m: 10e-9 })]);
 * await writeFile('phase.png', await drawPng(drawing));
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { messageOf, PtychoError } from '../core/errors.js';
import { escapeMarkup } from './markup.js';
import { pdfOfPaths } from './pdf.js';

/** Any part of a specification of Vega. */
export type VegaPart = { readonly [key: string]: unknown };

/** A picture that is not drawn yet. */
export interface Drawing {
  /** In a few words, for those who cannot see the picture too. */
  readonly title: string;
  /** What there is to see, a sentence or two, for those who cannot see it. */
  readonly description: string;
  /** A specification of Vega (version 6): https://vega.github.io/vega/docs/specification/ */
  readonly spec: VegaPart;
}

/** What a drawing can become. */
export const PICTURE_FORMATS = ['png', 'svg', 'pdf'] as const;
/** One of `PICTURE_FORMATS`. */
export type PictureFormat = (typeof PICTURE_FORMATS)[number];

/** Pixels of a PNG file for each pixel of the SVG document. */
export const PNG_SCALE = 2;

/** Letters of all pictures; a browser without it takes one of the others. */
export const FONT = 'DejaVu Sans, Verdana, sans-serif';
const FONT_FILE = new URL('../../fonts/DejaVuSans.ttf', import.meta.url);

/** @returns an SVG document; equal drawings give equal documents */
export async function drawSvg({ title, description, spec }: Drawing): Promise<string> {
  const { parse, View, expr } = await loadVega();
  const runtime = parse({ config: CONFIG, background: 'white', ...spec }, undefined, { ast: expr !== undefined });
  const view = new View(runtime, { renderer: 'none', expr });
  try {
    const svg = await view.toSVG();
    const label = `role="img" aria-label="${escapeMarkup(`${title}: ${description}`)}"`;
    // One image to a screen reader, not a tree of groups and ticks.
    const plain = svg.replaceAll(/ (?:role|aria-[a-z]+)="[^"]*"/g, '');
    // What XML cannot hold may come in the name of a file.
    return plain.replace('<svg ', `<svg ${label} `).replaceAll(UNWRITABLE, '\ufffd');
  } finally {
    view.finalize();
  }
}

/** @returns the bytes of a PNG file, `PNG_SCALE` times as wide and high as the SVG document */
export async function drawPng(drawing: Drawing): Promise<Uint8Array> {
  return pngOf(await drawSvg(drawing));
}

/** All formats that are asked for, from one drawing. */
export async function draw(
  drawing: Drawing,
  formats: readonly PictureFormat[],
): Promise<ReadonlyMap<PictureFormat, Uint8Array>> {
  const svg = await drawSvg(drawing);
  const bytes = {
    svg: () => new TextEncoder().encode(svg),
    png: () => pngOf(svg),
    pdf: () => pdfOf(svg, drawing.title),
  };
  return new Map(formats.map((format) => [format, bytes[format]()]));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: those that XML excludes
const UNWRITABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

const pngOf = (svg: string): Uint8Array => resvg(svg).render().asPng();

/** Text as outlines, so that a paper needs no font of ours. */
const pdfOf = (svg: string, title: string): Uint8Array => pdfOfPaths(resvg(svg).toString(), title);

interface Resvg {
  render(): { asPng(): Uint8Array };
  toString(): string;
}

let resvgClass: (new (svg: string, options: object) => Resvg) | undefined;

function resvg(svg: string): Resvg {
  try {
    // CommonJS with a binary of the platform.
    resvgClass ??= createRequire(import.meta.url)('@resvg/resvg-js').Resvg as NonNullable<typeof resvgClass>;
  } catch (error) {
    throw new PtychoError(
      'BACKEND_MISSING',
      `Pictures cannot be drawn: @resvg/resvg-js does not load here (${messageOf(error)}); install the package again, for this platform.`,
      {},
      { cause: error },
    );
  }
  // The first is what resvg knows, the second what browsers have today.
  const crisp = svg.replaceAll(
    'image-rendering: optimizeSpeed; image-rendering: pixelated;',
    'image-rendering: optimizeSpeed;',
  );
  return new resvgClass(crisp, {
    fitTo: { mode: 'zoom', value: PNG_SCALE },
    font: { loadSystemFonts: false, fontFiles: [fileURLToPath(FONT_FILE)], defaultFontFamily: 'DejaVu Sans' },
  });
}

let vega: ReturnType<typeof importVega> | undefined;

/** Only the parts that specifications of this folder need: half the size of the whole. */
async function importVega() {
  const [{ parse }, { View }, { transforms }, ...kinds] = await Promise.all([
    import('vega-parser'),
    import('vega-view'),
    import('vega-dataflow'),
    import('vega-transforms'),
    import('vega-view-transforms'),
    import('vega-encode'),
  ]);
  for (const kind of kinds) Object.assign(transforms, kind);
  // Vega makes functions of the expressions in a specification, where that is allowed; else they are interpreted.
  const expr = mayMakeFunctions() ? undefined : (await import('vega-interpreter')).expressionInterpreter;
  return { parse, View, expr };
}

/** False in pages whose policy forbids to evaluate texts, and in Node that was started so. */
function mayMakeFunctions(): boolean {
  try {
    return new Function('return true')() as boolean;
  } catch {
    return false;
  }
}

function loadVega(): ReturnType<typeof importVega> {
  vega ??= importVega();
  return vega;
}

const INK = '#222';

/** One style for everything that is drawn. */
const CONFIG = {
  title: {
    font: FONT,
    subtitleFont: FONT,
    fontWeight: 'normal',
    color: INK,
    subtitleColor: '#555',
    anchor: 'start',
    offset: 8,
  },
  axis: {
    labelFont: FONT,
    titleFont: FONT,
    titleFontWeight: 'normal',
    labelColor: INK,
    titleColor: INK,
    domainColor: INK,
    tickColor: INK,
    gridColor: '#e2e2e2',
    labelFontSize: 12,
    titleFontSize: 13,
    titlePadding: 6,
    labelOverlap: true,
  },
  legend: {
    labelFont: FONT,
    titleFont: FONT,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    labelColor: INK,
    titleColor: INK,
    symbolStrokeWidth: 2,
    labelLimit: 260,
  },
  text: { font: FONT, fill: INK },
};
