/** What several scans came to that were solved as one, taken apart: an image for each, in the pixels of its own positions. */
import { PtychoError } from '../../core/errors.js';
import type { ComplexImage, Tensor } from '../../core/tensor.js';
import { frameForScan, moveToFrame, scanBounds } from '../../reconstruction/frame.js';
import type { SolvedImage } from '../run.js';

/** One of several scans. */
export interface SolvedScan extends SolvedImage {
  readonly source: string;
  /** Its first pattern among those of all scans. */
  readonly first: number;
  /**
   * Of one object: [y, x] pixels that its positions lie off those of the first scan. Positions and frame have the part of them that is no
   * whole pixel.
   */
  readonly offset_yx_px: readonly [number, number];
}

/**
 * Each of the scans that were joined: with its own probe and the object that all share, or with its own object and the probe that all share.
 *
 * @example
 * import { joinScans, runSolver, scansOf } from 'ptychopinn/solvers';
 * const solved = await runSolver(joinScans([raw, other], { share: 'probe' }), { epochs: 60 });
 * const [first, second] = scansOf(solved);
 * console.log(first.image.shape, second.image.shape);
 *
 * @throws PtychoError CONFIG_INVALID for the image of one scan
 */
export function scansOf(solved: SolvedImage): SolvedScan[] {
  const { together, positions, frame, beam } = solved;
  if (!together) {
    throw new PtychoError(
      'CONFIG_INVALID',
      'scansOf takes what runSolver made of scans that joinScans joined; this is one scan.',
      {
        key: 'together',
      },
    );
  }
  const { share, firsts, sources, shifts_yx_px, probes } = together;
  const { together: _, ...others } = solved;
  const N = probes[0].shape[probes[0].shape.length - 1];
  return sources.map((source, s) => {
    const [from, to] = [firsts[s], firsts[s + 1]];
    const offset = shifts_yx_px[s];
    // Images lie on whole pixels.
    const [y, x] = offset.map((v) => Math.round(v));
    const own = { ys: positions.ys.slice(from, to), xs: positions.xs.slice(from, to) };
    const lies = share === 'object' ? frame : frameForScan(scanBounds(own.xs, own.ys), N);
    const [top, left] = lies.originYxPx;
    const image = (whole: ComplexImage) => (share === 'object' ? whole : moveToFrame(whole, frame, lies));
    const plane = ({ data }: Tensor): Tensor => {
      const { re } = image({ re: data as Float32Array, im: data as Float32Array, shape: [frame.height, frame.width] });
      return { data: re, shape: [lies.height, lies.width] };
    };
    const coverage = plane(solved.coverage);
    const rows = <T extends Tensor<Float64Array>>({ data, shape: [, ...rest] }: T) => {
      const length = rest.reduce((product, n) => product * n, 1);
      return { data: data.slice(from * length, to * length), shape: [to - from, ...rest] };
    };
    return {
      ...others,
      ...{ source, first: from, offset_yx_px: share === 'object' ? offset : ([0, 0] as const) },
      image: image(solved.image),
      frame: { ...lies, originYxPx: [top - y, left - x] as const },
      ...{ coverage, overlapCount: coverage, weight: coverage },
      probe: probes[Math.min(s, probes.length - 1)],
      positions: { ys: own.ys.map((v) => v - y), xs: own.xs.map((v) => v - x) },
      ...(solved.layers && {
        layers: { ...solved.layers, array: eachSlice(solved.layers.array, image) },
      }),
      ...(beam && { beam: { ...beam, weights: rows(beam.weights), flux: rows(beam.flux) } }),
    };
  });
}

function eachSlice(
  { re, im, shape: [slices, height, width] }: ComplexImage,
  of: (slice: ComplexImage) => ComplexImage,
) {
  const pixels = height * width;
  const cut = Array.from({ length: slices }, (_, s) =>
    of({
      re: re.subarray(s * pixels, (s + 1) * pixels),
      im: im.subarray(s * pixels, (s + 1) * pixels),
      shape: [height, width],
    }),
  );
  const all = (part: 're' | 'im') => {
    const [{ re: one }] = cut;
    const out = new Float32Array(slices * one.length);
    cut.forEach((slice, s) => {
      out.set(slice[part], s * one.length);
    });
    return out;
  };
  return { re: all('re'), im: all('im'), shape: [slices, ...cut[0].shape] };
}
