/** A simulated scan at a glance. */
import type { ComplexImage, ComplexTensor, Tensor } from '../core/tensor.js';
import { Canvas } from '../report/canvas.js';
import { colourAt, VIRIDIS } from '../report/colormaps.js';
import { figure, inColumns } from '../report/figure.js';
import { type Picture, renderAmplitude, renderPhase, renderValues } from '../report/image.js';
import type { Pixels } from '../report/png.js';
import type { SimulatedScan } from './simulateScan.js';

/** Longer side of each panel, pixels. */
const PANEL_PX = 150;

/**
 * Eight panels: amplitude and phase of the object, amplitude and phase of the probe (of all modes, where there are several), the positions on the object's amplitude, the first pattern, the mean pattern (both as counts, logarithmic), and the bad
 * pixels or, without any, a pattern from the middle of the scan.
 */
export function renderSimulation(scan: SimulatedScan): Pixels {
  const { objectGuess: object, diffraction, bad_pixels } = scan;
  const count = diffraction.shape[0];
  const panel = (picture: Picture, title: string) => figure(picture, { title, size_px: PANEL_PX });
  const amplitude = renderAmplitude(object);
  const probe = modesAsOne(scan.probeGuess);
  const lit = litPixels(probe);
  return inColumns(
    [
      panel(amplitude, 'object: amplitude'),
      panel(renderPhase(object), 'object: phase'),
      panel(renderAmplitude(probe, { low: 0, high: 100 }), probeTitle(scan.probeGuess, 'amplitude')),
      panel(renderPhase(probe, { mask: lit, range: 'cycle' }), probeTitle(scan.probeGuess, 'phase')),
      panel(withPositions(amplitude, scan), `scan: ${count} positions`),
      panel(renderCounts(diffraction, [0]), 'pattern 0: lg(1+counts)'),
      panel(
        renderCounts(
          diffraction,
          Array.from({ length: count }, (_, i) => i),
        ),
        'mean pattern',
      ),
      bad_pixels
        ? panel(renderValues(bad_pixels.data, bad_pixels.shape), 'bad pixels')
        : panel(renderCounts(diffraction, [count >> 1]), `pattern ${count >> 1}`),
    ],
    4,
  );
}

function probeTitle(probe: ComplexTensor, what: string): string {
  return probe.shape.length === 2 ? `probe: ${what}` : `${probe.shape[0]} modes: ${what}`;
}

/** Modes (P, N, N) as one image, two in a row, or the one probe as it is. */
function modesAsOne(probe: ComplexTensor): ComplexImage {
  if (probe.shape.length === 2) return probe;
  const [modes, rows, cols] = probe.shape;
  const width = 2 * cols;
  const height = Math.ceil(modes / 2) * rows;
  const re = new Float32Array(width * height);
  const im = new Float32Array(width * height);
  for (let i = 0; i < probe.re.length; i++) {
    const [p, r, c] = [Math.floor(i / (rows * cols)), Math.floor(i / cols) % rows, i % cols];
    const at = ((p >> 1) * rows + r) * width + (p & 1) * cols + c;
    re[at] = probe.re[i];
    im[at] = probe.im[i];
  }
  return { re, im, shape: [height, width] };
}

/** Where there is enough light for a phase to mean something. */
function litPixels({ re, im }: ComplexImage): Uint8Array {
  const power = re.map((v, i) => v * v + im[i] * im[i]);
  const least = 1e-3 * power.reduce((a, b) => Math.max(a, b), 0);
  return Uint8Array.from(power, (p) => (p >= least ? 1 : 0));
}

/** lg(1 + mean counts) of some patterns. */
function renderCounts({ data, shape }: Tensor, rows: readonly number[]): Picture {
  const area = shape[1] * shape[2];
  const mean = new Float64Array(area);
  for (const row of rows) for (let i = 0; i < area; i++) mean[i] += data[row * area + i] ** 2 / rows.length;
  return renderValues(
    mean.map((v) => Math.log10(1 + v)),
    shape.slice(1),
    { colormap: VIRIDIS },
  );
}

/** The picture, darkened, with a dot at every position, coloured in the order of measurement. */
function withPositions(picture: Picture, { xcoords, ycoords }: SimulatedScan): Picture {
  const canvas = new Canvas(picture.width, picture.height);
  const grey = picture.data.map((v) => 190 + 0.25 * v);
  canvas.place({ ...picture, data: grey }, 0, 0);
  const count = xcoords.data.length;
  const radius = Math.max(0.5, 0.3 * Math.sqrt((picture.width * picture.height) / count) * 0.5);
  for (let i = 0; i < count; i++) {
    canvas.disc(xcoords.data[i], ycoords.data[i], radius, colourAt(VIRIDIS, count > 1 ? i / (count - 1) : 0));
  }
  return { ...picture, data: canvas.pixels.data, low: 0, high: Math.max(1, count - 1), colormap: VIRIDIS, unit: '' };
}
