/**
 * A drawing as one page of PDF, for papers. npm's libraries for PDF are 25 MB and more, mostly fonts; a drawing whose text has
 * become outlines needs paths, images and clips alone, and those PDF draws by the same words as SVG (ISO 32000-1, 8.5).
 */
import { deflateSync } from 'node:zlib';
import { decode } from 'fast-png';
import { PtychoError } from '../core/errors.js';

type Attributes = Readonly<Record<string, string>>;

/**
 * @param svg what resvg makes of a document: `path`, `image`, `g` and `clipPath`, colours as #rrggbb, transforms as matrices
 * @param title of the document
 * @returns the bytes of the file; equal drawings give equal bytes
 * @throws PtychoError FORMAT_UNSUPPORTED for a gradient or another element
 */
export function pdfOfPaths(svg: string, title: string): Uint8Array {
  const writer = new PageWriter();
  const skipped: string[] = [];
  let clip: string | undefined;
  let size: readonly [number, number] = [0, 0];
  for (const [, closing, name, text, empty] of svg.matchAll(/<(\/?)([a-zA-Z]+)((?:\s+[\w:-]+="[^"]*")*)\s*(\/?)>/g)) {
    const attributes = Object.fromEntries(
      Array.from(text.matchAll(/([\w:-]+)="([^"]*)"/g), ([, key, value]) => [key, value]),
    );
    if (name === 'clipPath') clip = closing ? undefined : attributes.id;
    else if (name === 'defs') continue;
    else if (name === 'svg') {
      if (!closing) size = [Number(attributes.width), Number(attributes.height)];
    } else if (name === 'path' && clip !== undefined) writer.clips.set(clip, pathOf(attributes.d));
    else if (name === 'path') writer.path(attributes);
    else if (name === 'image') writer.image(attributes);
    else if (name === 'g' && closing) writer.add('Q');
    else if (name === 'g') {
      writer.group(attributes);
      if (empty) writer.add('Q');
    } else skipped.push(name);
  }
  if (skipped.length > 0) {
    throw new PtychoError('FORMAT_UNSUPPORTED', `A PDF page cannot hold the element ${skipped[0]} of a drawing.`, {
      found: skipped[0],
    });
  }
  return writer.finish(size, title);
}

/** Points of PDF for each pixel of SVG: 72 and 96 an inch. */
const POINTS = 0.75;

class PageWriter {
  readonly clips = new Map<string, string>();
  readonly #content: string[] = [];
  readonly #images: { readonly head: string; readonly data: Uint8Array }[] = [];
  readonly #alphas = new Map<string, string>();

  add(operator: string): void {
    this.#content.push(operator);
  }

  group({ transform, opacity, 'clip-path': clip }: Attributes): void {
    this.add('q');
    if (transform) this.add(`${matrixOf(transform)} cm`);
    const outline = clip && this.clips.get(/#([^)]*)/.exec(clip)?.[1] ?? '');
    if (outline) this.add(`${outline} W n`);
    if (opacity) this.#alpha(Number(opacity), Number(opacity));
  }

  path(of: Attributes): void {
    const fills = of.fill !== 'none';
    const strokes = of.stroke !== undefined && of.stroke !== 'none';
    this.add('q');
    if (of.transform) this.add(`${matrixOf(of.transform)} cm`);
    if (fills) this.add(`${colourOf(of.fill ?? '#000000')} rg`);
    if (strokes) {
      this.add(`${colourOf(of.stroke)} RG ${of['stroke-width'] ?? 1} w ${CAPS[of['stroke-linecap']] ?? 0} J`);
      this.add(`${JOINS[of['stroke-linejoin']] ?? 0} j ${of['stroke-miterlimit'] ?? 4} M`);
      if (of['stroke-dasharray']) this.add(`[${numbersIn(of['stroke-dasharray']).map(plainNumber).join(' ')}] 0 d`);
    }
    if (of['fill-opacity'] || of['stroke-opacity']) {
      this.#alpha(Number(of['fill-opacity'] ?? 1), Number(of['stroke-opacity'] ?? 1));
    }
    const rule = of['fill-rule'] === 'evenodd' ? '*' : '';
    this.add(`${pathOf(of.d)} ${fills && strokes ? `B${rule}` : fills ? `f${rule}` : strokes ? 'S' : 'n'}`);
    this.add('Q');
  }

  image({ x = '0', y = '0', width, height, transform, 'xlink:href': href }: Attributes): void {
    const { data, channels, palette, ...png } = decode(Buffer.from(href.slice(href.indexOf(',') + 1).trim(), 'base64'));
    const rgb = new Uint8Array(3 * png.width * png.height);
    for (let i = 0; i < png.width * png.height; i++) {
      for (let k = 0; k < 3; k++) {
        rgb[3 * i + k] = palette ? palette[data[i]][k] : data[channels * i + (channels < 3 ? 0 : k)];
      }
    }
    this.#images.push({
      head: `/Type /XObject /Subtype /Image /Width ${png.width} /Height ${png.height} /ColorSpace /DeviceRGB /BitsPerComponent 8`,
      data: rgb,
    });
    // The unit square of an image has its first row at the top.
    const place = `${width} 0 0 ${-Number(height)} ${x} ${Number(y) + Number(height)} cm`;
    this.add(`q ${transform ? `${matrixOf(transform)} cm ` : ''}${place} /I${this.#images.length - 1} Do Q`);
  }

  #alpha(fill: number, stroke: number): void {
    const key = `/ca ${fill} /CA ${stroke}`;
    if (!this.#alphas.has(key)) this.#alphas.set(key, `A${this.#alphas.size}`);
    this.add(`/${this.#alphas.get(key)} gs`);
  }

  finish([width, height]: readonly [number, number], title: string): Uint8Array {
    const page = `${POINTS} 0 0 ${-POINTS} 0 ${height * POINTS} cm\n${this.#content.join('\n')}\n`;
    const alphas = Array.from(this.#alphas, ([key, name]) => `/${name} << ${key} >>`).join(' ');
    const first = 6;
    const images = this.#images.map((_, k) => `/I${k} ${first + k} 0 R`).join(' ');
    const box = `[0 0 ${width * POINTS} ${height * POINTS}]`;
    const objects: { readonly head: string; readonly data?: Uint8Array }[] = [
      { head: '/Type /Catalog /Pages 2 0 R' },
      { head: '/Type /Pages /Kids [3 0 R] /Count 1' },
      {
        head: `/Type /Page /Parent 2 0 R /MediaBox ${box} /Contents 4 0 R /Resources << /ExtGState << ${alphas} >> /XObject << ${images} >> >>`,
      },
      { head: '', data: new TextEncoder().encode(page) },
      { head: `/Title <FEFF${Buffer.from(title, 'utf16le').swap16().toString('hex')}> /Producer (ptychopinn)` },
      ...this.#images,
    ];
    return fileOf(objects);
  }
}

/** Numbered objects with their table, as ISO 32000-1, 7.5 has it. */
function fileOf(objects: readonly { readonly head: string; readonly data?: Uint8Array }[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  const push = (part: string | Uint8Array) => {
    const bytes = typeof part === 'string' ? new TextEncoder().encode(part) : part;
    parts.push(bytes);
    length += bytes.length;
  };
  push('%PDF-1.7\n');
  const starts = objects.map(({ head, data }, k) => {
    const at = length;
    if (data === undefined) push(`${k + 1} 0 obj\n<< ${head} >>\nendobj\n`);
    else {
      const packed = deflateSync(data, { level: 9 });
      push(`${k + 1} 0 obj\n<< ${head} /Filter /FlateDecode /Length ${packed.length} >>\nstream\n`);
      push(packed);
      push('\nendstream\nendobj\n');
    }
    return at;
  });
  const table = length;
  const rows = starts.map((at) => `${String(at).padStart(10, '0')} 00000 n \n`).join('');
  push(`xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}`);
  push(`trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 5 0 R >>\nstartxref\n${table}\n%%EOF\n`);
  return Buffer.concat(parts);
}

const OPERATORS: Readonly<Record<string, string>> = { M: 'm', L: 'l', C: 'c', Q: 'c', Z: 'h' };
const CAPS: Readonly<Record<string, number>> = { round: 1, square: 2 };
const JOINS: Readonly<Record<string, number>> = { round: 1, bevel: 2 };

/** PDF knows no exponents. */
const plainNumber = (value: number): string => String(Number(value.toFixed(4)));

const numbersIn = (text: string): number[] =>
  text
    .trim()
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(Number);

const matrixOf = (transform: string): string =>
  numbersIn(/\(([^)]*)\)/.exec(transform)?.[1] ?? '1 0 0 1 0 0')
    .map((v) => String(Number(v.toFixed(6))))
    .join(' ');

/** #rrggbb as three numbers. @throws PtychoError FORMAT_UNSUPPORTED */
function colourOf(colour: string): string {
  if (!/^#[0-9a-f]{6}$/i.test(colour)) {
    throw new PtychoError('FORMAT_UNSUPPORTED', `A PDF page cannot hold the colour ${colour} of a drawing.`, {
      found: colour,
    });
  }
  return [1, 3, 5].map((k) => (Number.parseInt(colour.slice(k, k + 2), 16) / 255).toFixed(3)).join(' ');
}

/** A path of M, L, Q, C and Z, absolute, in the operators of PDF, which has no quadratic curves. */
function pathOf(d: string): string {
  const out: string[] = [];
  let [x, y] = [0, 0];
  for (const [, command, numbers] of d.matchAll(/([MLQCZ])([^MLQCZ]*)/g)) {
    const v = numbersIn(numbers);
    const third = (from: number, control: number) => from + (2 * (control - from)) / 3;
    const points =
      command === 'Q' ? [third(x, v[0]), third(y, v[1]), third(v[2], v[0]), third(v[3], v[1]), v[2], v[3]] : v;
    out.push([...points.map(plainNumber), OPERATORS[command]].join(' '));
    if (v.length >= 2) [x, y] = [v[v.length - 2], v[v.length - 1]];
  }
  return out.join(' ');
}
