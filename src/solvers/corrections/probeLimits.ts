/** Where the probe may be besides `probe_support`: within a radius, within what the optics let through, and in the middle. */
import { DetectorTransform } from '../../physics/fourier.js';
import { modeIntensity } from '../../physics/probe.js';
import { blankOutside, type ModePlanes } from './constraints.js';

/** Blanks fields of N×N beyond this distance from pixel N/2. */
export function blankBeyond(fields: readonly ModePlanes[], N: number, radius_px: number): void {
  const half = Math.floor(N / 2);
  for (const { re, im } of fields) {
    for (let i = 0; i < re.length; i++) {
      const at = i % (N * N);
      if (Math.hypot(Math.floor(at / N) - half, (at % N) - half) <= radius_px) continue;
      re[i] = 0;
      im[i] = 0;
    }
  }
}

/** {@link blankOutside} of the far field: optics let through what they do, and dim light around it is noise. */
export function blankFarField(probe: ModePlanes, N: number, share: number, variation?: ModePlanes): void {
  const transform = new DetectorTransform(N);
  const through = (field: ModePlanes, back: boolean): ModePlanes => {
    const area = N * N;
    const out = { re: new Float32Array(field.re.length), im: new Float32Array(field.re.length) };
    for (let from = 0; from < field.re.length; from += area) {
      const [re, im] = [field.re, field.im].map((plane) => Float64Array.from(plane.subarray(from, from + area)));
      if (back) transform.inverse(re, im);
      else transform.forward(re, im);
      out.re.set(re, from);
      out.im.set(im, from);
    }
    return out;
  };
  const fields = [probe, ...(variation ? [variation] : [])];
  const [far, varied] = fields.map((field) => through(field, false));
  blankOutside(far, N, share, varied as ModePlanes | undefined);
  fields.forEach((field, f) => {
    const { re, im } = through([far, varied][f], true);
    field.re.set(re);
    field.im.set(im);
  });
}

/** How far the centre of mass of the light of all modes is from pixel N/2, whole pixels. */
export function offCentre({ re, im }: ModePlanes, N: number): readonly [dy: number, dx: number] {
  const light = modeIntensity({ re, im }, N * N);
  let [total, y, x] = [0, 0, 0];
  light.forEach((v, i) => {
    total += v;
    y += v * Math.floor(i / N);
    x += v * (i % N);
  });
  const half = Math.floor(N / 2);
  // Written so that no −0 comes out.
  return total > 0 ? [Math.round(y / total - half) || 0, Math.round(x / total - half) || 0] : [0, 0];
}

/** f(r) ← f(r + d) in planes of height × width; round the rims where `round`, otherwise the rim goes on. */
export function movePlanes(
  planes: readonly Float32Array<ArrayBufferLike>[],
  { height, width }: { readonly height: number; readonly width: number },
  [dy, dx]: readonly [number, number],
  round: boolean,
): void {
  const at = (i: number, n: number) => (round ? ((i % n) + n) % n : Math.min(n - 1, Math.max(0, i)));
  for (const plane of planes) {
    for (let from = 0; from < plane.length; from += height * width) {
      const before = plane.slice(from, from + height * width);
      for (let r = 0, i = from; r < height; r++) {
        const row = at(r + dy, height) * width;
        for (let c = 0; c < width; c++, i++) plane[i] = before[row + at(c + dx, width)];
      }
    }
  }
}
