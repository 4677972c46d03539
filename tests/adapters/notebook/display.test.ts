/** `display`: what it draws for each kind of thing, and where the picture goes. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decode } from 'fast-png';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { display, findKernel } from '../../../src/adapters/notebook/display.js';
import { type Displayable, drawFigure } from '../../../src/adapters/notebook/draw.js';
import { PatchStitcher } from '../../../src/reconstruction/patchStitcher.js';
import { colourAt, TWILIGHT, VIRIDIS } from '../../../src/report/colormaps.js';
import { encodePng, type Pixels } from '../../../src/report/png.js';

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

const at = ({ width, data }: Pixels, x: number, y: number) => [
  ...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
];
const holds = (pixels: Pixels, colour: readonly number[]) => {
  for (let i = 0; i < pixels.data.length; i += 3) {
    if (colour.every((v, k) => pixels.data[i + k] === v)) return true;
  }
  return false;
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-display-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

describe('drawFigure', () => {
  // Titles above: the first picture begins at (10, 30).
  it('draws amplitude through viridis and phase through a cyclic map, side by side', () => {
    const both = drawFigure(image, { size_px: 40, range: [0, 1] });
    const amplitude = drawFigure(image, { size_px: 40, range: [0, 1], show: 'amplitude' });
    const phase = drawFigure(image, { size_px: 40, show: 'phase' });
    expect(both.width).toBe(amplitude.width + phase.width);
    for (const x of [0, 20, 38]) {
      const value = Math.hypot(image.re[15 * columns + x], image.im[15 * columns + x]);
      expect(at(amplitude, 10 + x, 30 + 15)).toEqual(colourAt(VIRIDIS, value));
    }
    // Top and bottom are the same angle.
    const [top, foot] = [at(phase, 10 + 35, 30), at(phase, 10 + 35, 30 + rows - 1)];
    expect(Math.max(...top.map((v, k) => Math.abs(v - foot[k])))).toBeLessThan(20);
    expect(holds(phase, colourAt(TWILIGHT, 0.5))).toBe(true);
    expect(holds(phase, colourAt(VIRIDIS, 0.5))).toBe(false);
  });

  it('takes limits for weak phases', () => {
    const weak = { ...image, im: image.im.map((v) => v / 100), re: image.re.map(() => 1) };
    expect(holds(drawFigure(weak, { show: 'phase', phaseRange: 'auto' }), colourAt(VIRIDIS, 0.5))).toBe(true);
    expect(holds(drawFigure(weak, { show: 'phase', phaseRange: [-1, 1] }), colourAt(VIRIDIS, 0.5))).toBe(true);
  });

  it('leaves out what a scan does not cover, and shows the spread where it was measured', () => {
    const one = stitched(true);
    const [plain, more] = [drawFigure(one, { size_px: 30 }), drawFigure(one, { size_px: 30, uncertainty: true })];
    expect(holds(plain, [128, 128, 128])).toBe(true);
    expect(more.height).toBe(2 * plain.height);
    const phase = drawFigure(one, { size_px: 30, uncertainty: true, show: 'phase' });
    expect(phase.width).toBeLessThan(0.7 * more.width);
    expect(drawFigure({ stitched: one }, { size_px: 30 }).data).toEqual(plain.data);
    expect(() => drawFigure(stitched(false), { uncertainty: true })).toThrow('was not measured');
  });

  it('draws real arrays, also by logarithms', () => {
    const data = Float32Array.of(0, 9, 99, 999);
    const drawn = drawFigure({ data, shape: [2, 2] }, { log: true, size_px: 2 });
    // Values 0, 1, 2, 3 between 0 and 3.
    expect([at(drawn, 10, 30), at(drawn, 11, 30), at(drawn, 10, 31), at(drawn, 11, 31)]).toEqual(
      [0, 1 / 3, 2 / 3, 1].map((v) => colourAt(VIRIDIS, v)),
    );
    expect(() => drawFigure({ data, shape: [1, 2, 2] })).toThrow('rows and columns, got shape (1, 2, 2)');
  });

  it('draws the losses of a model or a history', () => {
    const chart = drawFigure(history);
    expect(holds(chart, [0, 114, 178])).toBe(true);
    expect(holds(chart, [213, 94, 0])).toBe(true);
    const model = { bundle: { history, training: { bestEpoch: 1 } } };
    expect(drawFigure(model).data).not.toEqual(chart.data);
    expect(holds(drawFigure([{ epoch: 1, loss: 0.5, val_loss: null }]), [213, 94, 0])).toBe(false);
  });

  it('passes drawn pixels on, and says what it cannot show', () => {
    const pixels: Pixels = { width: 1, height: 1, channels: 1, data: Uint8Array.of(7) };
    expect(drawFigure(pixels)).toBe(pixels);
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
    expect(display(image, { kernel: findKernel(globals), print: () => expect.fail('nothing to say') })).toBeUndefined();
    expect(shown).toEqual([encodePng(drawFigure(image))]);
    await expect(readdir(path.join(folder, 'unused'))).rejects.toThrow('ENOENT');
  });

  it('writes numbered files outside a kernel, and says where', async () => {
    const here = path.join(folder, 'numbered');
    vi.stubEnv('PTYCHOPINN_DISPLAY', here);
    const lines: string[] = [];
    const print = (line: string) => lines.push(line);
    const first = display(image, { title: 'Star, 12 µm', print }) as string;
    const second = display(history, { print }) as string;
    expect(await readdir(here)).toEqual([path.basename(first), path.basename(second)]);
    expect([path.basename(first), path.basename(second)]).toEqual([
      expect.stringMatching(/^\d\d-star-12-m\.png$/),
      expect.stringMatching(/^\d\d-picture\.png$/),
    ]);
    expect(lines).toEqual([`Star, 12 µm: ${first}`, `picture: ${second}`]);
    const drawn = drawFigure(image, { title: 'Star, 12 µm' });
    const back = decode(await readFile(first));
    expect([back.width, back.height]).toEqual([drawn.width, drawn.height]);
    expect([...back.data]).toEqual([...drawn.data]);
  });

  it('writes the file that is asked for, in a kernel too', async () => {
    const { shown, globals } = fakeKernel();
    const file = path.join(folder, 'new', 'here.png');
    expect(display(image, { kernel: findKernel(globals), file })).toBe(file);
    expect(shown).toHaveLength(1);
    expect(new Uint8Array(await readFile(file))).toEqual(shown[0]);
    expect(() => display(image, { kernel: null, file: path.join(file, 'no.png') })).toThrow(/cannot be written/);
  });
});
