/** `display`: what it draws for each kind of thing, and where the picture goes. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decode } from 'fast-png';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { display, findKernel } from '../../../src/adapters/notebook/display.js';
import { type Displayable, type DrawOptions, drawFigure } from '../../../src/adapters/notebook/draw.js';
import { PatchStitcher } from '../../../src/reconstruction/patchStitcher.js';
import { colourAt, TWILIGHT, VIRIDIS } from '../../../src/report/colormaps.js';
import type { Pixels } from '../../../src/report/png.js';
import { type Drawing, drawPng, drawSvg } from '../../../src/report/renderer.js';
import { textsOf } from '../../report/markup.js';

const [rows, columns] = [30, 40];
/** Amplitude rises to the right from 0 to 1, phase goes once around from top to bottom. */
const image = {
  re: new Float32Array(rows * columns),
  im: new Float32Array(rows * columns),
  shape: [rows, columns],
};
for (let i = 0; i < rows * columns; i++) {
  const amplitude = (i % columns) / (columns - 1);
  const phase = -Math.PI + (2 * Math.PI * (Math.floor(i / columns) + 0.5)) / rows;
  image.re[i] = amplitude * Math.cos(phase) + 1e-3;
  image.im[i] = amplitude * Math.sin(phase);
}

const history = [
  { epoch: 1, loss: 0.5, val_loss: 0.6 },
  { epoch: 2, loss: 0.3, val_loss: null },
];

function stitched(uncertainty: boolean) {
  const stitcher = new PatchStitcher({ xMin: 20, xMax: 40, yMin: 20, yMax: 40 }, 16, { uncertainty });
  const patch = new Float32Array(16 * 16).fill(1);
  for (const x of [20, 30, 40])
    stitcher.add(
      patch,
      patch.map((v) => v / 10),
      1,
      16,
      [x],
      [20],
    );
  return stitcher.finish();
}

/** What a drawing shows: its texts, and its first images as colours. */
const shown = async (what: Displayable, options: DrawOptions = {}) => {
  const svg = await drawSvg(drawFigure(what, options) as Drawing);
  const images = Array.from(svg.matchAll(/xlink:href="data:image\/png;base64,([^"]*)"/g), ([, png]) =>
    decode(Buffer.from(png, 'base64')),
  );
  return { texts: textsOf(svg), images, svg };
};
type Image = ReturnType<typeof decode>;
const at = ({ width, data }: Image, x: number, y: number) => [
  ...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
];
const holds = ({ data }: Image, colour: readonly number[]) => {
  for (let i = 0; i < data.length; i += 3) if (colour.every((v, k) => data[i + k] === v)) return true;
  return false;
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-display-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

describe('drawFigure', () => {
  it('draws amplitude through viridis and phase through a cyclic map, side by side', async () => {
    const { texts, images } = await shown(image, { range: [0, 1], title: 'Both' });
    // Each picture and the colours beside it.
    const [amplitude, , phase] = images;
    expect(images).toHaveLength(4);
    expect(texts).toEqual(
      expect.arrayContaining(['Both', 'amplitude', 'phase', 'amplitude, relative', 'phase / rad', '−π', 'π']),
    );
    for (const x of [0, 20, 38]) {
      const value = Math.hypot(image.re[15 * columns + x], image.im[15 * columns + x]);
      expect(at(amplitude, x, 15)).toEqual(colourAt(VIRIDIS, value));
    }
    // Top and bottom are the same angle.
    const [top, foot] = [at(phase, 35, 0), at(phase, 35, rows - 1)];
    expect(Math.max(...top.map((v, k) => Math.abs(v - foot[k])))).toBeLessThan(20);
    expect(holds(phase, colourAt(TWILIGHT, 0.5))).toBe(true);
    expect(holds(phase, colourAt(VIRIDIS, 0.5))).toBe(false);
    expect((await shown(image, { show: 'phase' })).images).toHaveLength(2);
  });

  it('takes limits for weak phases, and says what was taken off', async () => {
    const weak = { ...image, im: image.im.map((v) => v / 100), re: image.re.map(() => 1) };
    const of = (options: DrawOptions) => shown(weak, { show: 'phase', ...options });
    expect(holds((await of({ phaseRange: 'auto' })).images[0], colourAt(VIRIDIS, 0.5))).toBe(true);
    const limited = await of({ phaseRange: [-1, 1], removePlane: true });
    expect(holds(limited.images[0], colourAt(VIRIDIS, 0.5))).toBe(true);
    expect(limited.texts).toEqual(expect.arrayContaining(['−1', '1', 'plane and offset removed for display']));
  });

  it('leaves out what a scan does not cover, and shows the spread where it was measured', async () => {
    const one = stitched(true);
    const plain = await shown(one, { pixelSize_m: 1e-7 });
    expect(holds(plain.images[0], [128, 128, 128])).toBe(true);
    expect(plain.texts).toEqual(expect.arrayContaining(['x / µm', 'y / µm']));
    const more = await shown(one, { uncertainty: true });
    expect(more.images).toHaveLength(8);
    expect(more.texts).toEqual(expect.arrayContaining(['spread of amplitude', 'spread of phase']));
    expect((await shown(one, { uncertainty: true, show: 'phase' })).images).toHaveLength(4);
    expect((await shown({ stitched: one }, { pixelSize_m: 1e-7 })).svg).toBe(plain.svg);
    expect(() => drawFigure(stitched(false), { uncertainty: true })).toThrow('was not measured');
  });

  it('draws real arrays, also by logarithms', async () => {
    const data = Float32Array.of(0, 9, 99, 999);
    const { images, texts } = await shown({ data, shape: [2, 2] }, { log: true });
    // Values 0, 1, 2, 3 between 0 and 3.
    expect([at(images[0], 0, 0), at(images[0], 1, 0), at(images[0], 0, 1), at(images[0], 1, 1)]).toEqual(
      [0, 1 / 3, 2 / 3, 1].map((v) => colourAt(VIRIDIS, v)),
    );
    expect(texts).toContain('log₁₀(1 + v)');
    expect(() => drawFigure({ data, shape: [1, 2, 2] })).toThrow('rows and columns, got shape (1, 2, 2)');
  });

  it('draws the losses of a model or a history', async () => {
    const chart = await shown(history);
    expect(chart.texts).toEqual(expect.arrayContaining(['Loss per epoch', 'training', 'validation']));
    const model = await shown({ bundle: { history, training: { bestEpoch: 1 } } });
    expect(model.texts).toContain('best epoch (1)');
    expect((await shown([{ epoch: 1, loss: 0.5, val_loss: null }])).texts).not.toContain('validation');
  });

  it('passes drawn pixels on, and says what it cannot show', () => {
    const pixels: Pixels = { width: 1, height: 1, channels: 1, data: Uint8Array.of(7) };
    expect(drawFigure(pixels)).toBe(pixels);
    const drawing = drawFigure(image) as Drawing;
    expect(drawFigure(drawing)).toBe(drawing);
    for (const [wrong, said] of [
      [{ a: 1, b: 2 }, 'an object of a, b'],
      ['scan.npz', 'string'],
      [null, 'object'],
    ] as const) {
      expect(() => drawFigure(wrong as unknown as Displayable)).toThrow(`was given ${said}`);
    }
  });
});

/** As the kernel tslab leaves it for its cells. */
const fakeKernel = () => {
  const shown: Uint8Array[] = [];
  const asked: string[] = [];
  const tslab = { display: { png: (bytes: Uint8Array) => shown.push(bytes) } };
  const require = (name: string) => {
    asked.push(name);
    return tslab;
  };
  return { shown, asked, globals: { __tslab__: { exports: {}, require } } };
};

describe('findKernel', () => {
  it('finds tslab, and shows pictures with its display', () => {
    const { shown, asked, globals } = fakeKernel();
    const kernel = findKernel(globals);
    expect([kernel?.name, asked]).toEqual(['tslab', ['tslab']]);
    kernel?.png(Uint8Array.of(1));
    expect(shown).toEqual([Uint8Array.of(1)]);
  });

  it.each([
    [{}],
    [{ __tslab__: null }],
    [{ __tslab__: {} }],
    [{ __tslab__: { require: () => ({}) } }],
    [
      {
        __tslab__: {
          require: () => {
            throw new Error('Cannot find module');
          },
        },
      },
    ],
  ])('finds none in %o', (globals) => {
    expect(findKernel(globals)).toBeUndefined();
  });

  it('finds none in this process', () => {
    expect(findKernel()).toBeUndefined();
  });
});

describe('display', () => {
  it('shows the picture in the kernel and writes nothing', async () => {
    const { shown, globals } = fakeKernel();
    vi.stubEnv('PTYCHOPINN_DISPLAY', path.join(folder, 'unused'));
    const print = () => expect.fail('nothing to say');
    expect(await display(image, { kernel: findKernel(globals), print })).toBeUndefined();
    expect(shown).toEqual([await drawPng(drawFigure(image) as Drawing)]);
    await expect(readdir(path.join(folder, 'unused'))).rejects.toThrow('ENOENT');
  });

  it('writes numbered files outside a kernel, and says where', async () => {
    const here = path.join(folder, 'numbered');
    vi.stubEnv('PTYCHOPINN_DISPLAY', here);
    const lines: string[] = [];
    const print = (line: string) => lines.push(line);
    const first = await display(image, { title: 'Star, 12 µm', print });
    const second = await display(history, { print });
    if (first === undefined || second === undefined) throw new Error('no file');
    expect(await readdir(here)).toEqual([path.basename(first), path.basename(second)]);
    expect([path.basename(first), path.basename(second)]).toEqual([
      expect.stringMatching(/^\d\d-star-12-m\.png$/),
      expect.stringMatching(/^\d\d-picture\.png$/),
    ]);
    expect(lines).toEqual([`Star, 12 µm: ${first}`, `picture: ${second}`]);
    const drawn = await drawPng(drawFigure(image, { title: 'Star, 12 µm' }) as Drawing);
    expect(new Uint8Array(await readFile(first))).toEqual(new Uint8Array(drawn));
  });

  it('writes the file that is asked for, in a kernel too', async () => {
    const { shown, globals } = fakeKernel();
    const file = path.join(folder, 'new', 'here.png');
    expect(await display(image, { kernel: findKernel(globals), file })).toBe(file);
    expect(shown).toHaveLength(1);
    expect(new Uint8Array(await readFile(file))).toEqual(new Uint8Array(shown[0]));
    const wrong = display(image, { kernel: null, file: path.join(file, 'no.png') });
    await expect(wrong).rejects.toThrow(/cannot be written/);
  });
});
