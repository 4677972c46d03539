/**
 * The data container: grouped arrays as the Python training code holds them, images on demand.
 *
 * Two things differ from there on purpose. `coords_nominal`, `coords_true` and the offsets come from the true positions,
 * not from those at the start of the exposures (which stay in the grouped data as `coords_start_*`). And nothing is stored
 * twice: `X`, `Y_I`, `Y_phi`, `Y` are read when asked for, whole (`await container.X()`) or in ranges (`X.rows(0, 16)`).
 *
 * @example
 * const train = PtychoDataContainer.load(grouped, raw.probeGuess, { which: 'train', split_fraction: 0.9 });
 * await train.toNpz('snapshot.npz');
 */
import { PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import {
  type ComplexImage,
  type ComplexTensor,
  formatShape,
  type NumericArray,
  sameShape,
  type Tensor,
} from '../../core/tensor.js';
import { encodeNpy, type NpyInput, npyPreamble } from '../../formats/npyWrite.js';
import { type StreamedZipEntry, writeZip } from '../../formats/zip.js';
import { intensityScale } from '../../physics/detector.js';
import { type GroupedData, type LazyArray, lazyArray, lazyRange } from './groupedData.js';

/** What a container is made of; B groups of C patterns of N×N, channels last. */
export interface ContainerParts {
  /** (B, N, N, C) normalised amplitudes. */
  readonly X: LazyArray<Tensor>;
  /** (B, N, N, C) amplitude of the ground truth. */
  readonly Y_I: LazyArray<Tensor>;
  /** (B, N, N, C) phase of the ground truth, radians. */
  readonly Y_phi: LazyArray<Tensor>;
  /** The factor between `X` and √counts: √nphotons / (N/2) for normalised data. */
  readonly norm_Y_I: number;
  /** The whole object, where it is known. */
  readonly YY_full: ComplexImage | null;
  /** (B, 1, 2, C) centre − member, object pixels: what the network is told. */
  readonly coords_nominal: Tensor;
  /** (B, 1, 2, C) the same; kept for callers that tell them apart. */
  readonly coords_true: Tensor;
  /** (B, C) members, as indices into the selected patterns. */
  readonly nn_indices: Tensor<Int32Array>;
  /** (B, 1, 2, 1) centres of the groups, object pixels. */
  readonly global_offsets: Tensor<Float64Array>;
  /** (B, 1, 2, C) centre − member. */
  readonly local_offsets: Tensor<Float64Array>;
  /** (N, N), or incoherent modes first (P, N, N). */
  readonly probe: ComplexTensor;
}

/** Options of {@link PtychoDataContainer.load}. */
export interface LoadContainerOptions {
  /** Which part of a split: `train` the first groups, `test` the rest. Without `split_fraction` both are all groups. */
  readonly which?: 'train' | 'test';
  /** Share of the groups that train: the first ⌊B·fraction⌋. */
  readonly split_fraction?: number;
  /** Photons a pattern stands for; 1e9 when left out. */
  readonly nphotons?: number;
  /** The file's own scale (`RawData.norm_Y_I`) instead of the one that follows from `nphotons`. */
  readonly norm_Y_I?: number;
  readonly logger?: Logger;
}

/** Bytes of an image member that are produced and written at a time. */
const PIECE_BYTES = 1 << 24;

/** See {@link ContainerParts} and the head of this file. */
export class PtychoDataContainer implements ContainerParts {
  readonly X: LazyArray<Tensor>;
  readonly Y_I: LazyArray<Tensor>;
  readonly Y_phi: LazyArray<Tensor>;
  /** (B, N, N, C) Y_I · exp(i·Y_phi), complex64. */
  readonly Y: LazyArray<ComplexTensor>;
  readonly norm_Y_I: number;
  readonly YY_full: ComplexImage | null;
  readonly coords_nominal: Tensor;
  readonly coords_true: Tensor;
  readonly nn_indices: Tensor<Int32Array>;
  readonly global_offsets: Tensor<Float64Array>;
  readonly local_offsets: Tensor<Float64Array>;
  readonly probe: ComplexTensor;

  /** @throws PtychoError DATASET_SHAPE when the parts do not have the shapes of the same groups. */
  constructor(parts: ContainerParts) {
    checkShapes(parts);
    this.X = parts.X;
    this.Y_I = parts.Y_I;
    this.Y_phi = parts.Y_phi;
    this.norm_Y_I = parts.norm_Y_I;
    this.YY_full = parts.YY_full;
    this.coords_nominal = parts.coords_nominal;
    this.coords_true = parts.coords_true;
    this.nn_indices = parts.nn_indices;
    this.global_offsets = parts.global_offsets;
    this.local_offsets = parts.local_offsets;
    this.probe = parts.probe;
    this.Y = lazyArray(parts.X.shape, 8, async (from, to) => {
      const amplitude = await parts.Y_I.rows(from, to);
      const phase = await parts.Y_phi.rows(from, to);
      return {
        re: amplitude.data.map((a, i) => a * Math.cos(phase.data[i])),
        im: amplitude.data.map((a, i) => a * Math.sin(phase.data[i])),
        shape: amplitude.shape,
      };
    });
  }

  /** Number of groups. */
  get length(): number {
    return this.X.shape[0];
  }

  /**
   * A container of grouped data (channels last), or of one side of a split.
   * Without ground truth `Y_I` is one and `Y_phi` zero everywhere, with a warning: losses that need them mean nothing then.
   * @throws PtychoError DATASET_SHAPE for grouped data with channels first, DATASET_KEY_MISSING without a probe,
   * CONFIG_INVALID for a fraction outside 0 … 1.
   */
  static load(
    grouped: GroupedData,
    probe: ComplexTensor | undefined,
    options: LoadContainerOptions = {},
  ): PtychoDataContainer {
    const logger = options.logger ?? silentLogger;
    if (probe === undefined) {
      throw new PtychoError('DATASET_KEY_MISSING', 'A data container needs a probe, but the scan has no probeGuess.', {
        key: 'probeGuess',
      });
    }
    const [B, ...axes] = grouped.coords_nn.shape;
    if (axes[0] !== 1 || axes[1] !== 2) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `The grouped coordinates have shape ${formatShape(grouped.coords_nn.shape)}, but a container needs (B, 1, 2, C): make the grouped data with channels: 'last'.`,
        { found: grouped.coords_nn.shape },
      );
    }
    const [from, to] = sideOf(B, options);
    const { X_full, Y } = grouped;
    if (Y === null) logger.warn('The scan has no ground truth: Y_I is one and Y_phi is zero everywhere.');
    const relative = range(grouped.coords_relative, from, to);
    const single = { data: Float32Array.from(relative.data), shape: relative.shape };
    return new PtychoDataContainer({
      X: lazyRange(X_full, from, to),
      Y_I: lazyRange(Y ? polar(Y, Math.hypot) : constant(X_full.shape, 1), from, to),
      Y_phi: lazyRange(Y ? polar(Y, (re, im) => Math.atan2(im, re)) : constant(X_full.shape, 0), from, to),
      norm_Y_I: options.norm_Y_I ?? intensityScale(options.nphotons ?? 1e9, X_full.shape[1]),
      YY_full: grouped.objectGuess,
      coords_nominal: single,
      coords_true: single,
      nn_indices: range(grouped.nn_indices, from, to),
      global_offsets: range(grouped.coords_offsets, from, to),
      local_offsets: relative,
      probe,
    });
  }

  /**
   * Writes everything to an NPZ archive, the images piece by piece. Keys: `X`, `Y_I`, `Y_phi`, `norm_Y_I`, `YY_full` (0, 0)
   * where the object is not known, `coords_nominal`, `coords_true`, `nn_indices`, `global_offsets`, `local_offsets`, `probe`.
   * @throws PtychoError OUTPUT_UNWRITABLE, and those of reading; nothing half-written stays.
   */
  async toNpz(path: string): Promise<void> {
    const whole = (name: string, input: NpyInput) => ({ name: `${name}.npy`, data: encodeNpy(input) });
    await writeZip(path, [
      streamed('X', this.X),
      streamed('Y_I', this.Y_I),
      streamed('Y_phi', this.Y_phi),
      whole('norm_Y_I', { data: Float64Array.of(this.norm_Y_I), shape: [] }),
      whole('YY_full', this.YY_full ?? { re: new Float32Array(0), im: new Float32Array(0), shape: [0, 0] }),
      whole('coords_nominal', this.coords_nominal),
      whole('coords_true', this.coords_true),
      whole('nn_indices', this.nn_indices),
      whole('global_offsets', this.global_offsets),
      whole('local_offsets', this.local_offsets),
      whole('probe', this.probe),
    ]);
  }
}

function checkShapes(parts: ContainerParts): void {
  const [B, N, , C] = parts.X.shape;
  const expected: readonly (readonly [keyof ContainerParts, readonly number[], readonly number[]])[] = [
    ['X', parts.X.shape, [B, N, N, C]],
    ['Y_I', parts.Y_I.shape, [B, N, N, C]],
    ['Y_phi', parts.Y_phi.shape, [B, N, N, C]],
    ['coords_nominal', parts.coords_nominal.shape, [B, 1, 2, C]],
    ['coords_true', parts.coords_true.shape, [B, 1, 2, C]],
    ['nn_indices', parts.nn_indices.shape, [B, C]],
    ['global_offsets', parts.global_offsets.shape, [B, 1, 2, 1]],
    ['local_offsets', parts.local_offsets.shape, [B, 1, 2, C]],
  ];
  for (const [name, found, wanted] of expected) {
    if (sameShape(found, wanted)) continue;
    const channels = found.length === wanted.length && found.at(-1) !== wanted.at(-1) && wanted.at(-1) === C;
    const advice = channels
      ? `${found.at(-1)} channels against ${C} of X usually means that they were grouped with different gridsizes; group both with one`
      : 'make both from the same groups, channels last';
    throw new PtychoError(
      'DATASET_SHAPE',
      `The container's ${name} has shape ${formatShape(found)}, but X of shape ${formatShape(parts.X.shape)} asks for ${formatShape(wanted)}: ${advice}.`,
      { key: name, found, expected: wanted },
    );
  }
}

function sideOf(B: number, { which = 'train', split_fraction }: LoadContainerOptions): [number, number] {
  if (split_fraction === undefined) return [0, B];
  if (!(split_fraction >= 0 && split_fraction <= 1)) {
    throw new PtychoError('CONFIG_INVALID', `split_fraction must lie between 0 and 1, got ${split_fraction}.`, {
      key: 'split_fraction',
      found: split_fraction,
    });
  }
  const at = Math.floor(B * split_fraction);
  return which === 'train' ? [0, at] : [at, B];
}

function range<T extends NumericArray>({ data, shape }: Tensor<T>, from: number, to: number): Tensor<T> {
  const row = shape.slice(1).reduce((size, length) => size * length, 1);
  return { data: data.subarray(from * row, to * row) as T, shape: [to - from, ...shape.slice(1)] };
}

function constant(shape: readonly number[], value: number): LazyArray<Tensor> {
  const row = shape.slice(1).reduce((size, length) => size * length, 1);
  return lazyArray(shape, 4, async (from, to) => ({
    data: new Float32Array((to - from) * row).fill(value),
    shape: [to - from, ...shape.slice(1)],
  }));
}

function polar(Y: LazyArray<ComplexTensor>, part: (re: number, im: number) => number): LazyArray<Tensor> {
  return lazyArray(Y.shape, 4, async (from, to) => {
    const { re, im, shape } = await Y.rows(from, to);
    return { data: re.map((v, i) => part(v, im[i])), shape };
  });
}

/** A float32 member whose rows are produced while the archive is written. */
function streamed(name: string, array: LazyArray<Tensor>): StreamedZipEntry {
  const preamble = npyPreamble('float32', 4, array.shape);
  const step = Math.max(1, Math.floor((PIECE_BYTES * array.shape[0]) / Math.max(1, array.bytes)));
  return {
    name: `${name}.npy`,
    size: preamble.length + array.bytes,
    async *chunks() {
      yield preamble;
      for (let from = 0; from < array.shape[0]; from += step) {
        const { data } = await array.rows(from, Math.min(array.shape[0], from + step));
        yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      }
    },
  };
}
