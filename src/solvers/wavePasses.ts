/**
 * What iterative solvers are written over: passes over exit waves, which the host computes or programs on a backend. Updates of object and
 * probe are arithmetic on planes that both share (`fieldMemory.ts`), so that every algorithm is written once.
 *
 * Fields: the object (slices, height, width), mostly of one slice; the probe (modes, N, N), or several of them, one after the other. The
 * exit wave at position (y, x) is the object's patch at the rounded position times the probe, shifted in Fourier space by the rest;
 * detector fields are unitary transforms, so that Σ|P|² is the mean number of counts behind an empty object. Light goes through further
 * slices, and to a detector that is near, as `Propagation` says. Where the sample moved there is such a wave for every point of the way,
 * with the probe divided by the root of their number, and the model of a pattern is the sum of their intensities, as it is over modes.
 */
import type { FieldMemory, FieldSizes, Planes } from './fieldMemory.js';
import type { Propagation } from './propagation.js';

/**
 * A beam that is another one for every pattern k: its first mode is a_k·(P + Σ_j c_kj·U_j), the others a_k·P. Everything may be changed
 * between passes and lies in shared memory; U is `FieldMemory.variation`.
 */
export interface VaryingBeam {
  /** (count,) a_k, the square root of the flux. */
  readonly flux: Float64Array<SharedArrayBuffer>;
  /** (count, coherent) c_kj. */
  readonly weights: Float64Array<SharedArrayBuffer>;
  /** (count,) Σ√(IJ)/ΣJ over good pixels, as passes that compare find it: the factor on amplitudes that a pattern asks for. */
  readonly fits: Float64Array<SharedArrayBuffer>;
  /** (count,) ΣJ over good pixels, likewise. */
  readonly modelled: Float64Array<SharedArrayBuffer>;
}

/**
 * Ways over which patterns were recorded while the sample moved: pattern k is the mean over `points` points of a straight way whose middle
 * is its position, at shares (i + ½)/points − ½ of it.
 */
export interface ScanWays {
  readonly points: number;
  /** (count,) pixels from the start of each way to its end. Shared memory. */
  readonly ys: Float64Array<SharedArrayBuffer>;
  readonly xs: Float64Array<SharedArrayBuffer>;
}

/** Where the patch of a point of a way begins, in elements of the object, and what the probe is shifted by there. */
export interface PointOfWay {
  readonly at: number;
  readonly row: number;
  readonly column: number;
  readonly y: number;
  readonly x: number;
}

/** The points of pattern k, one where it stood still; patches begin half a side before the rounded point. @param width of the object */
export function pointsOf(
  { N, ys, xs, ways }: Pick<SolverScan, 'N' | 'ys' | 'xs' | 'ways'>,
  k: number,
  width: number,
): PointOfWay[] {
  if (!ways) return [pointAt(ys[k], xs[k], N, width)];
  return Array.from({ length: ways.points }, (_, i) => {
    const share = (i + 0.5) / ways.points - 0.5;
    return pointAt(ys[k] + share * ways.ys[k], xs[k] + share * ways.xs[k], N, width);
  });
}

function pointAt(y: number, x: number, N: number, width: number): PointOfWay {
  const half = Math.floor(N / 2);
  const row = Math.round(y) - half;
  const column = Math.round(x) - half;
  return { at: row * width + column, row, column, y: y - Math.round(y), x: x - Math.round(x) };
}

/** Σ√I and ΣI over the good pixels of patterns. */
export interface MeasuredSums {
  readonly amplitude: Float64Array;
  readonly counts: Float64Array;
}

/** Patterns of which only some are in memory at a time. */
export interface PatternLoader {
  /** (count,) which of `SolverScan.amplitudes` a pattern is; −1: it is not there. Shared memory. */
  readonly slots: Int32Array<SharedArrayBuffer>;
  /** (count,) of all patterns. */
  readonly measured: MeasuredSums;
  /** Brings a batch into memory in place of others; passes do so. */
  load(batch: Int32Array): Promise<void>;
  /** Says in which order batches will be asked for, so that they can be read ahead. @returns the same */
  plan(batches: Int32Array[]): Int32Array[];
  close(): Promise<void>;
}

/**
 * What detectors see beside the sample: J_k = Σ|Ψ|² + B + Σ_l g_kl·φ_l with B = `FieldMemory.background.pixels` and smooth φ_l =
 * `FieldMemory.background.terms`. Shared memory; everything may be changed between passes.
 */
export interface Background {
  /** (count, terms) g_kl; empty where only B is fitted. */
  readonly weights: Float64Array<SharedArrayBuffer>;
  /**
   * (count, terms, 2) Σφ_l·d/(J + h) and Σφ_l/(J + h) of each pattern over good pixels, as passes that are asked find it, with h =
   * `FieldMemory.background.hold` and d = I − J − (1 − b/J)·min(J, spread), b its background.
   */
  readonly asked: Float64Array<SharedArrayBuffer>;
  /** Variance of a measured amplitude where the sample sends light: by so much J lies below the mean of I there. */
  readonly spread: number;
}

/** The patterns and positions of a scan, as passes take them. */
export interface SolverScan {
  readonly N: number;
  readonly count: number;
  /** (count, N, N) √counts with zero frequency in the corner (of near fields: as they are seen); below 0: bad pixels. Shared memory, so that threads see it. */
  readonly amplitudes: Float32Array<SharedArrayBuffer>;
  /** Where only some of them are in memory: which of `amplitudes` each pattern is, and what loads them. */
  readonly slots?: Int32Array<SharedArrayBuffer>;
  readonly stream?: PatternLoader;
  /** (count,) positions in pixels of the solver's object array; may be moved between passes. Shared memory. */
  readonly ys: Float64Array<SharedArrayBuffer>;
  readonly xs: Float64Array<SharedArrayBuffer>;
  /** Left out: the sample stood still. */
  readonly ways?: ScanWays;
  /** (count,) which of several probes each pattern saw, each with all its modes; left out: there is one. Shared memory. */
  readonly probeOf?: Int32Array<SharedArrayBuffer>;
  /** Left out: every pattern saw the same beam. */
  readonly beam?: VaryingBeam;
  /** Left out: there is no background. */
  readonly background?: Background;
  /** Left out: one slice, and the detector is far away. */
  readonly propagation?: Propagation;
}

/** (N, N) of a pattern that is in memory. */
export function patternAt(
  { N, amplitudes, slots }: Pick<SolverScan, 'N' | 'amplitudes' | 'slots'>,
  k: number,
): Float32Array {
  const [slot, area] = [slots ? slots[k] : k, N * N];
  return amplitudes.subarray(slot * area, (slot + 1) * area);
}

/**
 * What a pass makes of the exit waves ψ:
 * `measure` compares them with the patterns; `amplitude` also finds χ, the change that brings them to the measured amplitudes,
 * `poisson` that to the likeliest amplitudes near the model's, (√J + √(J + 8I))/4, `likelihood` F⁻¹[((I + p)/(J + p) − 1)·Ψ], down the gradient of
 * Poisson statistics with {@link PEDESTAL} p; `store` stores them; `difference` moves stored waves by the difference map; `stored` takes stored waves as they are.
 */
export type WaveRule = 'measure' | 'amplitude' | 'poisson' | 'likelihood' | 'store' | 'difference' | 'stored';

/** What E stands for: Σ(√I − √J)² (`gaussian`), or the likelihood of counts. */
export type Statistics = 'gaussian' | 'poisson';

/**
 * Counts that are added to measurement and model where Poisson statistics are followed: bounds what a dark pixel asks for, and leaves the mean
 * of what all ask for at 0 where the model is right.
 */
export const PEDESTAL = 0.375;

/** What a pass shall do; sums that are not asked for stay as they were. */
export interface PassRequest {
  readonly wave: WaveRule;
  /** Factor of χ (`difference`: of the part that asks for the measured amplitudes); 1. */
  readonly strength?: number;
  /**
   * `sums.object` = Σ conj(P)χ at the patches (ψ for stored waves) and `sums.illumination` = Σ|P|²; of further slices with the wave that
   * comes in for P, and χ brought back to where it left the slice.
   */
  readonly object?: boolean;
  /** `sums.probe` = Σ conj(O)χ, shifted back, and `sums.objectIntensity` = Σ|O|², of each probe over the patterns that saw it. */
  readonly probe?: boolean;
  /** `sums.background` = Σw·d and Σw of the batch, w = (h/(J + h))⁵, and `Background.asked` of its patterns; of passes that compare. */
  readonly background?: boolean;
  /** χ less `FieldMemory.background.damp`·Ψ; of `amplitude` and `poisson`, where there is a background. */
  readonly damp?: boolean;
  /** With another |P| (|O|) in the sums: the weights of the PIE of 2004. */
  readonly weighted?: boolean;
  /** Add to the sums of the pass before instead of beginning at 0. */
  readonly accumulate?: boolean;
  /** Keep P and χ of the batch for {@link WavePasses.products} and {@link WavePasses.moves}. */
  readonly keep?: boolean;
  /** With `keep` and `probe`: keep δP = S⁻¹[a·conj(O)χ] of the first mode too, for {@link WavePasses.beamProducts}. */
  readonly beam?: boolean;
}

/** How well model and measurement agree, over all good pixels of a pass; I measured, J modelled. */
export interface PassSums {
  /** Σ(√I − √J)² */
  readonly square: number;
  /** Σ|√I − √J| */
  readonly absolute: number;
  /** Σ√I */
  readonly amplitude: number;
  /** ΣI */
  readonly counts: number;
  /** ΣJ */
  readonly modelled: number;
  /** Σ|change of stored waves|². */
  readonly change: number;
}

/** Σ√(IJ)/ΣJ of a pattern from its Σ(√I − √J)², ΣI and ΣJ; 1 where there is no model. */
export const fitOf = (square: number, counts: number, modelled: number): number =>
  modelled > 0 ? (counts + modelled - square) / (2 * modelled) : 1;

/** Sums of several passes. */
export class SumsOfPasses implements PassSums {
  square = 0;
  absolute = 0;
  amplitude = 0;
  counts = 0;
  modelled = 0;
  change = 0;

  add(sums: PassSums): void {
    this.square += sums.square;
    this.absolute += sums.absolute;
    this.amplitude += sums.amplitude;
    this.counts += sums.counts;
    this.modelled += sums.modelled;
    this.change += sums.change;
  }
}

/** A change of object and probe, in the memory of the passes. */
export interface Direction {
  readonly object: Planes;
  readonly probe: Planes;
}

/** Derivatives of E = Σ(√I − √J)² along one or two directions, exact to second order; 0 where there is one only. */
export interface Curvatures {
  /** E' along each. */
  readonly slopes: readonly [number, number];
  /** E'' along the first twice, along both, along the second twice. */
  readonly bends: readonly [number, number, number];
  /** 2 Re ΣD·conj(D') likewise: no misfit bends more along its own direction, but for what is quadratic in the step. */
  readonly widths: readonly [number, number, number];
}

/** Those of all parts of a batch. */
export function addCurvatures(parts: readonly Curvatures[]): Curvatures {
  const sum = (of: (part: Curvatures) => number) => parts.reduce((total, part) => total + of(part), 0);
  const three = (of: 'bends' | 'widths') => [sum((c) => c[of][0]), sum((c) => c[of][1]), sum((c) => c[of][2])] as const;
  return {
    slopes: [sum((c) => c.slopes[0]), sum((c) => c.slopes[1])],
    bends: three('bends'),
    widths: three('widths'),
  };
}

/** Patterns of a pass that only compares. */
export const MEASURED_AT_ONCE = 256;

/** What all passes are opened with. */
export interface PassesOptions {
  readonly scan: SolverScan;
  /** Of the object array, and how many probe modes there are. */
  readonly sizes: Omit<FieldSizes, 'N'>;
  /** The algorithm stores exit waves. */
  readonly storeWaves: boolean;
  /** {@link WavePasses.curvatures} will be asked. */
  readonly bends?: boolean;
  /** Kept out of divisions: a small part of the usual amplitude. */
  readonly floor: number;
}

/** 2Σ(J − I + I·ln(I/J)) of a pattern: `amplitudes` are √I, below 0 at bad pixels. @param floor of √J @param raised both by {@link PEDESTAL} */
export function devianceOf(
  model: ArrayLike<number>,
  amplitudes: ArrayLike<number>,
  floor: number,
  raised = false,
): number {
  // A model that is dark where there is a count is no more than unlikely: a hundredth of the mean intensity.
  const least = raised ? 0 : (1e5 * floor) ** 2;
  const more = raised ? PEDESTAL : 0;
  let sum = 0;
  for (let i = 0; i < model.length; i++) {
    const a = amplitudes[i];
    if (a < 0) continue;
    const [I, J] = [a * a + more, Math.max(least, model[i]) + more];
    sum += J - I + (I > 0 ? I * Math.log(I / J) : 0);
  }
  return 2 * sum;
}

/** How many numbers of a pattern {@link WavePasses.stretches} answers. */
export const MOMENTS = 24;

/** Passes over the patterns of one scan, and the fields they work on. */
export interface WavePasses {
  /** `host`: SIMD on the processor; `program`: a tensor program on a backend. */
  readonly name: 'host' | 'program';
  /** What computes, in words. */
  readonly description: string;
  readonly memory: FieldMemory;
  /** Works on the patterns `batch`; what the sums held before is overwritten. */
  pass(batch: Int32Array, request: PassRequest): Promise<PassSums>;
  /**
   * For each pattern of the batch that was kept, summed over modes, with A = δO·P and B = δP·O (of several slices: what these come to behind
   * the last one): Σ|A|², Σ|B|², Re ΣA·conj(B),
   * Im ΣA·conj(B), Re Σconj(A)χ, Re Σconj(B)χ. δO is `sums.object`, δP is `sums.probe`, as the caller made them.
   * @returns (batch, 6)
   */
  products(): Promise<Float64Array>;
  /**
   * For each pattern that was kept, with Y and X the changes of the exit wave (of the middle slice) by a move of one pixel: Σ|Y|², Σ|X|², Re ΣY·conj(X),
   * Re Σconj(Y)χ, Re Σconj(X)χ.
   * @returns (batch, 5)
   */
  moves(): Promise<Float64Array>;
  /**
   * The same five numbers of another rule: by the peak of the cross-correlation of the patch O with O + Σconj(P)χ/max|P|², both where |P| is
   * above a tenth of its largest value. With F = conj(R̂)·Q̂ of their transforms and ω = 2πk/N: Σω_y²·Re F, Σω_x²·Re F, Σω_yω_x·Re F,
   * Σω_y·Im F, Σω_x·Im F, by which Newton's step from no move is the peak, turned round.
   * @returns (batch, 5)
   */
  correlations(): Promise<Float64Array>;
  /**
   * For each pattern that was kept, with Y and X as for {@link moves} and (u, v) the place in the patch from pixel N/2: the moments 1, u, v, u²,
   * uv, v² of |Y|², of Re conj(Y)X and of |X|², then 1, u, v of Re conj(Y)χ and of Re conj(X)χ.
   * @returns (batch, {@link MOMENTS})
   */
  stretches(): Promise<Float64Array>;
  /**
   * For each pattern that was kept and each U_j: Re and Im of Σconj(U_j)·δP_k, and a_k²·Σ|U_j|²|O_k|² (U not shifted).
   * @returns (batch, coherent, 3)
   */
  beamProducts(): Promise<Float64Array>;
  /**
   * `sums.variation` = Σ_k w_kj·δP_k over the patterns that were kept.
   * @param weights (batch, coherent) w
   */
  beamSums(weights: Float64Array): Promise<void>;
  /**
   * How the misfit of these patterns changes along directions of object and probe: with D = F(δO·P + O·δP), w = 1 − √I/√J and g = Re Σconj(Ψ)D,
   * E' = 2Σwg and E'' = 2Σ(w·|D|² + √I/√J³·g²) − 4 Re Σconj(χ)·δO·δP (M. Carlsson, V. Nikitin, arXiv 2502.10755). Of `poisson` statistics, E =
   * Σ(J − (I + p)·ln(J + p)), w = 1 − r, r = (I + p)/(J + p), and 2r/(J + p) stands for √I/√J³.
   * @param along one or two
   */
  curvatures(batch: Int32Array, along: readonly Direction[], statistics?: Statistics): Promise<Curvatures>;
  /**
   * Of each pattern of the batch the deviance of Poisson statistics over good pixels, 2Σ(J − I + I·ln(I/J)).
   * @param raised both by {@link PEDESTAL}, as `curvatures` and `likelihood` take them
   * @returns (batch,)
   */
  deviances(batch: Int32Array, raised?: boolean): Promise<Float64Array>;
  /** (count, points, modes, 2, N, N) the stored waves, as they are; empty where none are stored. */
  storedWaves(): Float32Array<SharedArrayBuffer>;
  close(): Promise<void>;
}
