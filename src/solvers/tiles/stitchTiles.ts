/**
 * Tiles of an object that were solved apart, as one image. A tile is determined up to a gauge: a factor, a phase, a phase ramp and a shift,
 * which its probe takes back; solvers drift along all of them, each tile in its own way. All tiles saw the same probe, so what their probes
 * differ by are the gauges, but for the phase: that follows from the overlaps, by the solver of patches (`solveAngles`). Overlaps
 * tell ramps and shifts, too, more finely, but with a bias: they are the edges of the tiles, which converge last (with rPIE, 40 epochs, ramps
 * came out half as large as they are). So gauges go three tenths of the way from what probes say to what overlaps say: in the seven runs of
 * three scans on which the share was chosen, errors were then at most 0.96 of that of the whole, 0.94 with probes alone (1.09 where images
 * are shifted by parts of a pixel before they are compared, 0.88 with three tenths), 1.49 with overlaps alone. In its gauge a tile counts by
 * the light of its own patterns. Where ramps and shifts take tiles farther apart, as they do where the patterns of one fall into parts that
 * do not touch, the gauges are factors and phases alone.
 *
 * @example
 * const { image, frame, probe, apart } = stitchTiles(tiles); // apart: how far tiles differ where they overlap
 */
import { PtychoError } from '../../core/errors.js';
import { integers, rowsAt } from '../../core/numbers.js';
import type { ComplexImage, ComplexTensor, Tensor } from '../../core/tensor.js';
import { shiftByKernel } from '../../physics/shiftByKernel.js';
import { type Frame, intersectFrames, unionFrames } from '../../reconstruction/frame.js';
import { solveAngles } from '../../reconstruction/patches/patchPhases.js';
import { brokenOf } from '../finite.js';
import { coverageOf, lightSums } from '../probe.js';
import { type Gauge, NO_GAUGE, solveGauges, type TilePair } from './gauges.js';

/** A tile as a solver left it. */
export interface SolvedTile {
  readonly image: ComplexImage;
  readonly frame: Frame;
  /** (N, N) or (modes, N, N). */
  readonly probe: ComplexTensor;
  /** Where the patterns are that it was solved from, pixels of the object. */
  readonly positions: { readonly xs: Float64Array; readonly ys: Float64Array };
  /** Which of them are its own; the others lie around it. */
  readonly own: Int32Array;
}

/** How far tiles differ where they overlap, as a share of the image there; 0 for tiles that do not overlap. */
export interface TilesApart {
  /** As they were solved, and in their gauges. */
  readonly before: number;
  readonly after: number;
  /** With ramps and shifts, where those made it worse, so that the gauges have none. */
  readonly withRamps?: number;
}

/** All tiles as one. */
export interface StitchedTiles {
  readonly image: ComplexImage;
  readonly frame: Frame;
  /** Light that fell on each pixel, 1 at the brightest; 0 where next to none did. */
  readonly coverage: Tensor;
  /** The mean of the probes, in the gauge of the image. */
  readonly probe: ComplexTensor;
  /** What each tile was brought by into the gauge of the image. */
  readonly gauges: readonly Gauge[];
  /** How far tiles differ where they overlap. */
  readonly apart: TilesApart;
}

/** Where both tiles have this share of the usual light, they are compared. */
const LIT = 0.2;
/** Least squares are solved so often, because shifts and ramps are not linear. */
const ROUNDS = { probes: 16, overlaps: 4 };
/** How far gauges go from what probes say to what overlaps say: see above. */
const OVERLAPS = 0.3;
/** Ramps and shifts that take tiles so many times as far apart as they are without are none that tiles have: their probes differ otherwise. */
const WORSE = 1.1;

/**
 * Puts tiles together.
 * @throws PtychoError USAGE for no tiles; DATASET_SHAPE for probes of different shapes; DATASET_VALUE for a tile with values that are not finite
 */
export function stitchTiles(tiles: readonly SolvedTile[]): StitchedTiles {
  const [first] = tiles;
  if (!first) throw new PtychoError('USAGE', 'There are no tiles to put together.', {});
  const shape = first.probe.shape.join();
  const other = tiles.find(({ probe }) => probe.shape.join() !== shape);
  if (other) {
    throw new PtychoError('DATASET_SHAPE', `The probes of the tiles have different shapes, ${shape} and ${other.probe.shape.join()}; solve all tiles with the same flags.`, { found: other.probe.shape, expected: first.probe.shape }); // biome-ignore format: one sentence
  }
  for (const [k, { image, probe, positions }] of tiles.entries()) {
    const parts = { image: [image.re, image.im], probe: [probe.re, probe.im], positions: [positions.xs, positions.ys] };
    const wrong = brokenOf(parts);
    if (wrong === undefined) continue;
    throw new PtychoError('DATASET_VALUE', `Values of the ${wrong} of tile ${k + 1} of ${tiles.length} are not finite, and those of the image of all would not be either; solve this tile again.`, { tile: k, wrong }); // biome-ignore format: one sentence
  }
  const frame = tiles.map((tile) => tile.frame).reduce(unionFrames);
  const N = first.probe.shape[first.probe.shape.length - 1];
  const lights = tiles.map(({ probe, positions, frame: own }) => lightSums(probe, N, positions, own));
  const usual = usualLight(lights);
  const middle = [frame.originYxPx[0] + frame.height / 2, frame.originYxPx[1] + frame.width / 2] as const;
  const pairs = (images: readonly ComplexImage[]): TilePair[] =>
    pairsOf(tiles).map(([a, b, overlap]) => {
      const cut = (k: number) => cutTile(images[k], tiles[k].frame, overlap);
      const weights = [a, b].map((k) => cutPlane(lights[k], tiles[k].frame, overlap));
      const weight = weights[0].map((v, i) => {
        const least = Math.min(v, weights[1][i], usual) / usual;
        return least > LIT ? least : 0;
      });
      return { a, b, first: cut(a), second: cut(b), weight, frame: overlap };
    });
  const images = tiles.map(({ image }) => image);
  const given = pairs(images);
  const before = differenceOf(given);
  const byProbes = withPhases(tiles, probeGauges(tiles.map(({ probe }) => probe)), middle, pairs);
  let byOverlaps: readonly Gauge[] = byProbes;
  for (let round = 0; round < ROUNDS.overlaps; round++) {
    byOverlaps = solveGauges(pairs(tiles.map((tile, k) => inGauge(tile, byOverlaps[k], middle))), byOverlaps, middle);
  }
  const apartIn = (gauges: readonly Gauge[]) => differenceOf(pairs(tiles.map((tile, k) => inGauge(tile, gauges[k], middle)))); // biome-ignore format: one line
  // Where ramps are large still, least squares may go astray.
  const better = apartIn(byOverlaps) <= apartIn(byProbes);
  const full = better ? withPhases(tiles, byProbes.map((gauge, k) => between(gauge, byOverlaps[k])), middle, pairs) : byProbes; // biome-ignore format: one line
  const withRamps = apartIn(full);
  const flat = [byProbes.map(({ logScale }) => ({ ...NO_GAUGE, logScale })), byProbes.map(() => NO_GAUGE)]
    .map((plain) => withPhases(tiles, plain, middle, pairs))
    .map((plain) => ({ plain, apart: apartIn(plain) }))
    .reduce((a, b) => (b.apart < a.apart ? b : a));
  const worse = withRamps > WORSE * flat.apart;
  const gauges = worse ? flat.plain : full;
  const turned = tiles.map((tile, k) => inGauge(tile, gauges[k], middle));
  const after = worse ? flat.apart : withRamps;
  return {
    ...blend(tiles, turned, frame, N),
    frame,
    probe: meanProbe(tiles, gauges),
    gauges,
    apart: { before, after, ...(worse && { withRamps }) },
  };
}

const between = (a: Gauge, b: Gauge): Gauge => {
  const mix = (p: number, q: number) => p + OVERLAPS * (q - p);
  const pair = ([p0, p1]: Gauge['rampYx'], [q0, q1]: Gauge['rampYx']) => [mix(p0, q0), mix(p1, q1)] as const;
  return {
    logScale: mix(a.logScale, b.logScale),
    phase: 0,
    rampYx: pair(a.rampYx, b.rampYx),
    shiftYx: pair(a.shiftYx, b.shiftYx),
  };
};

/** Tiles that meet, and where. */
function pairsOf(tiles: readonly SolvedTile[]): (readonly [number, number, Frame])[] {
  return tiles.flatMap((tile, b) =>
    tiles.slice(0, b).flatMap((earlier, a) => {
      const overlap = intersectFrames(earlier.frame, tile.frame);
      return overlap ? [[a, b, overlap] as const] : [];
    }),
  );
}

/** The median light of pixels that have some. */
function usualLight(lights: readonly Float32Array[]): number {
  const some = lights.map((light) => {
    const most = light.reduce((m, v) => Math.max(m, v), 0);
    const lit = light.filter((v) => v > 0.1 * most).sort();
    return lit[Math.floor(lit.length / 2)] ?? 0;
  });
  return Math.max(Number.MIN_VALUE, some.sort((a, b) => a - b)[Math.floor(some.length / 2)]);
}

function cutPlane(plane: Float32Array, from: Frame, to: Frame): Float32Array {
  const [down, right] = [0, 1].map((axis) => to.originYxPx[axis] - from.originYxPx[axis]);
  const out = new Float32Array(to.height * to.width);
  for (let r = 0; r < to.height; r++) {
    const start = (r + down) * from.width + right;
    out.set(plane.subarray(start, start + to.width), r * to.width);
  }
  return out;
}

const cutTile = ({ re, im }: ComplexImage, from: Frame, to: Frame): ComplexImage => ({
  re: cutPlane(re, from, to),
  im: cutPlane(im, from, to),
  shape: [to.height, to.width],
});

/** √(Σ w|a − b|² / Σ w(|a|² + |b|²)/2) over all overlaps. */
function differenceOf(pairs: readonly TilePair[]): number {
  let [apart, power] = [0, 0];
  for (const { first, second, weight } of pairs) {
    for (let i = 0; i < weight.length; i++) {
      const [ar, ai, br, bi] = [first.re[i], first.im[i], second.re[i], second.im[i]];
      apart += weight[i] * ((ar - br) ** 2 + (ai - bi) ** 2);
      power += (weight[i] * (ar * ar + ai * ai + br * br + bi * bi)) / 2;
    }
  }
  return power > 0 ? Math.sqrt(apart / power) : 0;
}

/** The gauges that objects have where probes have these: what multiplies one divides the other, and both move together. */
const ofObject = ({ logScale, rampYx: [ky, kx], shiftYx }: Gauge): Gauge => ({ logScale: -logScale, phase: 0, rampYx: [-ky, -kx], shiftYx }); // biome-ignore format: one line

/** Each probe is compared with so many others. */
const PARTNERS = 4;

/** The gauges of tiles, but for their phases, from what their probes differ by. */
function probeGauges(probes: readonly ComplexTensor[]): Gauge[] {
  const n = probes.length;
  const N = probes[0].shape[probes[0].shape.length - 1];
  const frame = { originYxPx: [0, 0] as const, height: N, width: N };
  const middle = [Math.floor(N / 2), Math.floor(N / 2)] as const;
  const modes = probes.map((probe) => modesOf(probe, N));
  const known = new Set<string>();
  for (let a = 0; a < n; a++) {
    for (let d = 1; d <= Math.min(PARTNERS, n - 1); d++) known.add([a, (a + d) % n].sort((p, q) => p - q).join());
  }
  const weight = new Float32Array(N * N).fill(1);
  const pairs = (gauges: readonly Gauge[]): TilePair[] => {
    const turned = modes.map((own, k) => own.map((image) => inGauge({ image, frame }, gauges[k], middle)));
    return [...known].flatMap((key) => {
      const [a, b] = key.split(',').map(Number);
      // Every mode has a phase of its own.
      return turned[a].map((first, m) => ({ a, b, first, second: times(turned[b][m], unitOf(first, turned[b][m])), weight, frame })); // biome-ignore format: one line
    });
  };
  let gauges: readonly Gauge[] = probes.map(() => NO_GAUGE);
  // Ramps may be large: how the phase of one against another changes from pixel to pixel does not wrap.
  const first = pairs(gauges);
  const steps = first.map(stepsOf);
  const ramps = [0, 1].map((axis) => levelled(n, first, steps.map((step) => step[axis]))); // biome-ignore format: one call
  gauges = gauges.map((gauge, k) => ({ ...gauge, rampYx: [ramps[0][k], ramps[1][k]] }));
  for (let round = 0; round < ROUNDS.probes; round++) gauges = solveGauges(pairs(gauges), gauges, middle);
  return gauges.map(ofObject);
}

function modesOf({ re, im }: ComplexTensor, N: number): ComplexImage[] {
  const area = N * N;
  return Array.from({ length: re.length / area }, (_, m) => ({
    re: re.subarray(m * area, (m + 1) * area),
    im: im.subarray(m * area, (m + 1) * area),
    shape: [N, N],
  }));
}

/** The gauges with the phases by which tiles agree best where they overlap. */
function withPhases(
  tiles: readonly SolvedTile[],
  gauges: readonly Gauge[],
  middle: readonly [number, number],
  pairs: (images: readonly ComplexImage[]) => readonly TilePair[],
): Gauge[] {
  const known = pairs(tiles.map((tile, k) => inGauge(tile, gauges[k], middle)));
  const found = known.map(({ first, second, weight }) => phaseOf(first, second, weight));
  const angles = alongStrongest(tiles.length, known, found);
  solveAngles(angles, {
    count: known.length,
    from: known.map(({ a }) => a),
    to: known.map(({ b }) => b),
    angle: found.map(({ angle }) => angle),
    weight: found.map(({ strength }) => strength),
  }, 1e-9); // biome-ignore format: one call
  return gauges.map((gauge, k) => ({ ...gauge, phase: -angles[k] }));
}

interface Step {
  readonly angle: number;
  readonly strength: number;
}

/** How the phase of the first tile against the second changes along y and x, radians a pixel. */
function stepsOf({ first, second, weight, frame: { width } }: TilePair): readonly [Step, Step] {
  const along = (far: number, wraps: boolean): Step => {
    let [re, im] = [0, 0];
    for (let i = 0; i + far < weight.length; i++) {
      if (wraps && i % width === width - 1) continue;
      const w = Math.min(weight[i], weight[i + far]);
      if (w === 0) continue;
      const ratio = (k: number) => [first.re[k] * second.re[k] + first.im[k] * second.im[k], first.im[k] * second.re[k] - first.re[k] * second.im[k]]; // biome-ignore format: one line
      const [[ar, ai], [br, bi]] = [ratio(i), ratio(i + far)];
      re += w * (ar * br + ai * bi);
      im += w * (ar * bi - ai * br);
    }
    return { angle: Math.atan2(im, re), strength: Math.hypot(re, im) };
  };
  return [along(width, false), along(1, true)];
}

/**
 * Angles along the strongest pairs that connect all tiles: near the solution, so that no turn goes astray on the way round a few tiles
 * whose phases are far apart.
 */
function alongStrongest(n: number, pairs: readonly TilePair[], steps: readonly Step[]): Float64Array {
  const angles = new Float64Array(n);
  const reached = new Uint8Array(n);
  const order = integers(pairs.length).sort((i, j) => steps[j].strength - steps[i].strength);
  for (let start = 0; start < n; start++) {
    if (reached[start]) continue;
    reached[start] = 1;
    for (let next = 0; next >= 0; ) {
      next = order.findIndex((i) => steps[i].strength > 0 && reached[pairs[i].a] !== reached[pairs[i].b]);
      if (next < 0) break;
      const { a, b } = pairs[order[next]];
      const { angle } = steps[order[next]];
      if (reached[a]) angles[b] = angles[a] - angle;
      else angles[a] = angles[b] + angle;
      reached[a] = reached[b] = 1;
    }
  }
  return angles;
}

/** Values whose differences take the steps away. */
function levelled(n: number, pairs: readonly TilePair[], steps: readonly Step[]): Float64Array {
  const values = new Float64Array(n);
  // Steps are small against a turn, so that angles are what any numbers are.
  solveAngles(values, {
    count: pairs.length,
    from: pairs.map(({ b }) => b),
    to: pairs.map(({ a }) => a),
    angle: steps.map(({ angle }) => angle),
    weight: steps.map(({ strength }) => strength),
  }, 1e-9); // biome-ignore format: one call
  return values;
}

/** The phase of the first image against the second, and how well it is known. */
function phaseOf(a: ComplexImage, b: ComplexImage, weight?: Float32Array): Step {
  let [re, im] = [0, 0];
  for (let i = 0; i < a.re.length; i++) {
    const w = weight ? weight[i] : 1;
    re += w * (a.re[i] * b.re[i] + a.im[i] * b.im[i]);
    im += w * (a.im[i] * b.re[i] - a.re[i] * b.im[i]);
  }
  return { angle: Math.atan2(im, re), strength: Math.hypot(re, im) };
}

/** The phase that brings the second image nearest to the first. */
const unitOf = (a: ComplexImage, b: ComplexImage): number => phaseOf(a, b).angle;

function times({ re, im, shape }: ComplexImage, angle: number): ComplexImage {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return { re: re.map((v, i) => v * cos - im[i] * sin), im: im.map((v, i) => re[i] * sin + v * cos), shape };
}

/** Shifts below this change nothing that can be seen. */
const STILL_PX = 1e-4;

/** e^{α + iφ + ik·(r − middle)}·O(r + s). */
function inGauge(
  { image, frame }: Pick<SolvedTile, 'image' | 'frame'>,
  gauge: Gauge,
  [y0, x0]: readonly [number, number],
): ComplexImage {
  const { logScale, phase, rampYx, shiftYx } = gauge;
  const still = Math.max(...shiftYx.map(Math.abs)) < STILL_PX;
  const { re: fromRe, im: fromIm } = still ? image : shiftByKernel(image, [-shiftYx[0], -shiftYx[1]]);
  const re = new Float32Array(fromRe.length);
  const im = new Float32Array(fromRe.length);
  const factor = Math.exp(logScale);
  for (let r = 0, i = 0; r < frame.height; r++) {
    for (let c = 0; c < frame.width; c++, i++) {
      const angle = phase + rampYx[0] * (frame.originYxPx[0] + r - y0) + rampYx[1] * (frame.originYxPx[1] + c - x0);
      const [cos, sin] = [factor * Math.cos(angle), factor * Math.sin(angle)];
      re[i] = fromRe[i] * cos - fromIm[i] * sin;
      im[i] = fromRe[i] * sin + fromIm[i] * cos;
    }
  }
  return { re, im, shape: image.shape };
}

/** The mean of the tiles by the light of their own patterns. */
function blend(tiles: readonly SolvedTile[], turned: readonly ComplexImage[], frame: Frame, N: number) {
  const shape = [frame.height, frame.width];
  const [re, im, light] = [0, 1, 2].map(() => new Float32Array(frame.height * frame.width));
  for (const [k, { probe, positions, own, frame: part }] of tiles.entries()) {
    const places = { xs: rowsAt(positions.xs, 1, own), ys: rowsAt(positions.ys, 1, own) };
    const weight = lightSums(probe, N, places, part);
    const [down, right] = [0, 1].map((axis) => part.originYxPx[axis] - frame.originYxPx[axis]);
    for (let r = 0, i = 0; r < part.height; r++) {
      for (let c = 0, to = (r + down) * frame.width + right; c < part.width; c++, i++, to++) {
        re[to] += weight[i] * turned[k].re[i];
        im[to] += weight[i] * turned[k].im[i];
        light[to] += weight[i];
      }
    }
  }
  for (let i = 0; i < light.length; i++) {
    if (light[i] === 0) continue;
    re[i] /= light[i];
    im[i] /= light[i];
  }
  return { image: { re, im, shape }, coverage: coverageOf(light, frame) };
}

/** The mean of the probes by the number of patterns, each mode turned to that of the first tile. */
function meanProbe(tiles: readonly SolvedTile[], gauges: readonly Gauge[]): ComplexTensor {
  const { shape } = tiles[0].probe;
  const N = shape[shape.length - 1];
  const [re, im] = [new Float32Array(tiles[0].probe.re.length), new Float32Array(tiles[0].probe.re.length)];
  const total = tiles.reduce((sum, { own }) => sum + own.length, 0);
  const frame = { originYxPx: [0, 0] as const, height: N, width: N };
  const middle = [Math.floor(N / 2), Math.floor(N / 2)] as const;
  const turned = tiles.map(({ probe }, k) => modesOf(probe, N).map((image) => inGauge({ image, frame }, ofObject(gauges[k]), middle))); // biome-ignore format: one call
  for (const [k, { own }] of tiles.entries()) {
    const share = own.length / total;
    for (const [m, mode] of turned[k].entries()) {
      const aligned = times(mode, unitOf(turned[0][m], mode));
      for (let i = 0; i < N * N; i++) {
        re[m * N * N + i] += share * aligned.re[i];
        im[m * N * N + i] += share * aligned.im[i];
      }
    }
  }
  return { re, im, shape };
}
