/**
 * The modes of a probe: amplitude, phase and both of each, with its share of the power.
 *
 * @example
 * await writeFile('probe.png', await drawPng(probeFigure(probe, { pixelSize_m: 10e-9 })));
 */
import { type ComplexTensor, sizeOf } from '../core/tensor.js';
import { AMONG_OTHERS, figure, imagePanel, type Panel } from './figure.js';
import { renderAmplitude, renderComplex, renderPhase } from './image.js';
import type { Drawing } from './renderer.js';

/** Pixels of a mode darker than this share of its brightest amplitude have no phase to show. */
const FAINT = 0.05;

/** Three panels a mode, all modes in the order given. @param probe (N, N) or (modes, N, N) @param options `of`: whose probe it is, where there are several */
export function probePanels(
  probe: ComplexTensor,
  { of, ...options }: { pixelSize_m?: number; side_px?: number; of?: string } = {},
): Panel[] {
  const place = { side_px: AMONG_OTHERS, ...options };
  const shape = probe.shape.slice(-2);
  const area = sizeOf(shape);
  const count = probe.re.length / area;
  const modes = Array.from({ length: count }, (_, m) => {
    const part = (values: Float32Array) => values.subarray(m * area, (m + 1) * area);
    return { re: part(probe.re), im: part(probe.im), shape };
  });
  const powers = modes.map(({ re, im }) => re.reduce((sum, v, i) => sum + v * v + im[i] * im[i], 0));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return modes.flatMap((mode, m) => {
    const amplitude = mode.re.map((v, i) => Math.hypot(v, mode.im[i]));
    const limit = FAINT * amplitude.reduce((most, v) => Math.max(most, v), 0);
    const mask = Uint8Array.from(amplitude, (v) => (v > limit ? 1 : 0));
    const called = count === 1 ? 'Probe' : `Mode ${m + 1}`;
    const name = of === undefined ? called : `${of}, ${called.toLowerCase()}`;
    const share = total > 0 ? `${((100 * powers[m]) / total).toFixed(1)} % of the power` : 'no power';
    return [
      imagePanel(renderAmplitude(mode, { low: 0, high: 100 }), { ...place, title: `${name}: amplitude`, note: share, quantity: 'amplitude / √counts' }), // biome-ignore format: a line each
      imagePanel(renderPhase(mode, { mask, range: 'cycle' }), { ...place, title: `${name}: phase`, note: 'where there is light', quantity: 'phase / rad' }), // biome-ignore format: a line each
      imagePanel(renderComplex(mode), { ...place, title: `${name}: both`, note: 'brightness is the amplitude, hue the phase' }), // biome-ignore format: a line each
    ];
  });
}

/** A row a mode. */
export function probeFigure(probe: ComplexTensor, options: { pixelSize_m?: number } = {}): Drawing {
  const modes = probe.shape.length === 3 ? probe.shape[0] : 1;
  return figure(probePanels(probe, options), { columns: 3, title: modes === 1 ? 'Probe' : `Probe of ${modes} modes` });
}
