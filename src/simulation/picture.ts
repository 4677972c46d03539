/** A simulated scan at a glance. */
import type { Tensor } from '../core/tensor.js';
import { VIRIDIS } from '../report/colormaps.js';
import { AMONG_OTHERS, figure, type ImagePanelOptions, imagePanel } from '../report/figure.js';
import { type Picture, renderAmplitude, renderPhase, renderValues } from '../report/image.js';
import { probePanels } from '../report/probe.js';
import type { Drawing } from '../report/renderer.js';
import { scanMapPanel } from '../report/scanMap.js';
import type { SimulatedScan } from './simulateScan.js';

const COLUMNS = 3;
/** Modes that are shown. */
const MODES = 4;

/**
 * Object in amplitude and phase and the positions in the order of measurement; the modes of the probe; the first pattern, the mean
 * pattern (both as counts, logarithmic), and the bad pixels or, without any, a pattern from the middle of the scan.
 */
export function drawSimulation(scan: SimulatedScan, pixelSize_m?: number): Drawing {
  const { objectGuess: object, diffraction, bad_pixels, probeGuess } = scan;
  const count = diffraction.shape[0];
  const order = Float64Array.from({ length: count }, (_, i) => i);
  const counts = { quantity: 'log₁₀(1 + counts)' };
  const panel = (picture: Picture, options: ImagePanelOptions) => imagePanel(picture, { side_px: AMONG_OTHERS, ...options }); // biome-ignore format: one call
  const all = Array.from({ length: count }, (_, i) => i);
  const probe = probePanels(probeGuess, { pixelSize_m });
  return figure(
    [
      panel(renderAmplitude(object), { title: 'Object: amplitude', quantity: 'amplitude, relative', pixelSize_m }),
      panel(renderPhase(object), {
        title: 'Object: phase',
        quantity: 'phase / rad',
        note: 'about its mean',
        pixelSize_m,
      }),
      scanMapPanel({
        ...{ xs: scan.xcoords.data, ys: scan.ycoords.data, values: order, pixelSize_m, side_px: AMONG_OTHERS },
        title: `${count} positions`,
        label: 'number of the pattern',
        object: { width: object.shape[1], height: object.shape[0] },
      }),
      ...probe.slice(0, MODES * COLUMNS),
      panel(renderCounts(diffraction, [0]), { ...counts, title: 'First pattern' }),
      panel(renderCounts(diffraction, all), { ...counts, title: 'Mean pattern' }),
      bad_pixels
        ? panel(renderValues(bad_pixels.data, bad_pixels.shape), { title: 'Bad pixels', quantity: '1: cannot be used' })
        : panel(renderCounts(diffraction, [count >> 1]), { ...counts, title: `Pattern ${count >> 1}` }),
    ],
    { columns: COLUMNS, title: 'Simulated scan' },
  );
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
