/** `forward_parity.png`: patches of two networks side by side, their differences, and where in a patch these are. */
import { moduliOf } from '../../core/numbers.js';
import type { ComplexTensor } from '../../core/tensor.js';
import { VIRIDIS } from '../../report/colormaps.js';
import { figure, inColumns } from '../../report/figure.js';
import { renderValues } from '../../report/image.js';
import type { Pixels } from '../../report/png.js';
import { wrap } from '../phase.js';

/** One patch (side, side) of both networks, and the pattern of the file that it is of. */
export interface ShownPatch {
  readonly pattern: number;
  readonly a: ComplexTensor;
  readonly b: ComplexTensor;
}

const SIZE_PX = 140;

/**
 * A row a patch: amplitudes of both and their difference, phases of both and their difference (a − b); a pair has common colours.
 * The last row is the mean |difference| over all patches.
 */
export function forwardPicture(
  names: readonly [string, string],
  patches: readonly ShownPatch[],
  maps: { readonly amplitude: Float64Array; readonly phase: Float64Array },
): Pixels {
  const figures: Pixels[] = [];
  for (const { pattern, a, b } of patches) {
    figures.push(...triple(names, a.shape, moduliOf(a), moduliOf(b), (x, y) => x - y, `amplitude ${pattern}`, ''));
    figures.push(...triple(names, a.shape, angle(a), angle(b), (x, y) => wrap(x - y), `phase ${pattern}`, 'rad'));
  }
  const side = Math.sqrt(maps.amplitude.length);
  const blank: Pixels = { width: 1, height: 1, channels: 3, data: Uint8Array.of(255, 255, 255) };
  const map = (values: Float64Array, title: string, unit: string) =>
    figure(renderValues(values, [side, side], { colormap: VIRIDIS, unit }), { title, size_px: SIZE_PX });
  figures.push(blank, blank, map(maps.amplitude, 'mean |a - b|', ''));
  figures.push(blank, blank, map(maps.phase, 'mean |a - b|', 'rad'));
  return inColumns(figures, 6);
}

function triple(
  [nameA, nameB]: readonly [string, string],
  shape: readonly number[],
  a: Float64Array,
  b: Float64Array,
  minus: (a: number, b: number) => number,
  what: string,
  unit: string,
): Pixels[] {
  const both = renderValues([...a, ...b], [1, 2 * a.length], { low: 0.5, high: 99.5 });
  const limits = [both.low, both.high] as const;
  const draw = (values: Float64Array, title: string, ends?: readonly [number, number]) =>
    figure(renderValues(values, shape, { limits: ends, colormap: VIRIDIS, unit }), { title, size_px: SIZE_PX });
  return [
    draw(a, `${nameA}, ${what}`, limits),
    draw(b, `${nameB}, ${what}`, limits),
    draw(
      a.map((v, i) => minus(v, b[i])),
      'a - b',
    ),
  ];
}

const angle = ({ re, im }: ComplexTensor) => Float64Array.from(re, (v, i) => Math.atan2(im[i], v));
