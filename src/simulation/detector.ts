/**
 * What a real detector makes of the photons that arrive: electrons, read-out noise, a full well, whole counts, and pixels that are
 * dead, hot or behind a beam stop.
 *
 * @example
 * const defects = makeDefects({ side: 64, dead: 20, hot: 5, beamstopDiameter_px: 8, seed: 1 });
 * const scan = simulateScan({ ...input, detector: { readoutNoise_e: 3, electronsPerPhoton: 10, defects } });
 */
import { PtychoError } from '../core/errors.js';
import { LegacyRng } from '../core/rng.js';
import { formatShape, type Tensor } from '../core/tensor.js';

/** Pixels (N, N) that do not count as they should; 1 where they are of the kind. */
export interface DetectorDefects {
  /** No light arrives here. */
  readonly beamstop: Uint8Array;
  /** Always read 0. */
  readonly dead: Uint8Array;
  /** Always read {@link hotCounts}. */
  readonly hot: Uint8Array;
  /** Otherwise unusable: a mask that was given; they count as others do. */
  readonly masked: Uint8Array;
}

/** How electrons become counts. */
export interface DetectorOptions {
  /** Electrons that one photon makes; default 1. */
  readonly electronsPerPhoton?: number;
  /** Gaussian, electrons rms; default 0. */
  readonly readoutNoise_e?: number;
  /** Electrons that a pixel can hold; default: no limit. */
  readonly fullWell_e?: number;
  readonly defects?: DetectorDefects;
  /** Of the read-out noise. */
  readonly seed?: number;
}

/** Options of {@link makeDefects}. */
export interface DefectOptions {
  /** N, pixels. */
  readonly side: number;
  /** Numbers of pixels, at random places, none twice; default 0. */
  readonly dead?: number;
  readonly hot?: number;
  /** Of a disc around the zero frequency; default 0. */
  readonly beamstopDiameter_px?: number;
  /** (N, N), other than 0 where unusable. */
  readonly mask?: Tensor<Uint8Array>;
  readonly seed?: number;
}

/** What hot pixels read where there is no full well: the end of a 16-bit scale. */
const HOT_COUNTS = 2 ** 16 - 1;

/**
 * A beam stop (N, N): 1 within diameter/2 of the middle of the frame, (N − 1)/2, the published rule; 52 pixels for a diameter of 8.
 * @param diameter_px default 4, as published
 */
export function beamstop(side: number, diameter_px = 4): Uint8Array {
  const middle = (side - 1) / 2;
  return Uint8Array.from({ length: side * side }, (_, i) => {
    const distance = Math.hypot(Math.floor(i / side) - middle, (i % side) - middle);
    return diameter_px > 0 && distance <= diameter_px / 2 ? 1 : 0;
  });
}

/**
 * Defects at random places.
 * @throws PtychoError CONFIG_INVALID for more dead and hot pixels than there are, DATASET_SHAPE for a mask of another shape
 */
export function makeDefects(options: DefectOptions): DetectorDefects {
  const { side, dead = 0, hot = 0, beamstopDiameter_px = 0, mask, seed = 0 } = options;
  const area = side * side;
  if (!(dead + hot < area)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `A detector of ${side}×${side} pixels cannot have ${dead} dead and ${hot} hot ones; leave some that work.`,
      { key: 'dead_pixels', dead, hot, side },
    );
  }
  if (mask && mask.data.length !== area) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The detector mask has shape ${formatShape(mask.shape)}, but the patterns are (${side}, ${side}).`,
      { key: 'detector_mask', found: mask.shape, expected: [side, side] },
    );
  }
  const places = new LegacyRng(seed).choice(area, dead + hot, false);
  const at = (chosen: Int32Array) => {
    const pixels = new Uint8Array(area);
    for (const i of chosen) pixels[i] = 1;
    return pixels;
  };
  return {
    beamstop: beamstop(side, beamstopDiameter_px),
    dead: at(places.subarray(0, dead)),
    hot: at(places.subarray(dead)),
    masked: mask ? Uint8Array.from(mask.data, (v) => (v === 0 ? 0 : 1)) : new Uint8Array(area),
  };
}

/** All defects together, 1 = unusable; undefined where there are none. */
export function badPixelsOf({ beamstop: stop, dead, hot, masked }: DetectorDefects): Uint8Array | undefined {
  const bad = stop.map((v, i) => v | dead[i] | hot[i] | masked[i]);
  return bad.some((v) => v !== 0) ? bad : undefined;
}

/** Reads patterns out, one after the other; draws from its own stream of read-out noise. */
export class DetectorReadout {
  private readonly gain: number;
  private readonly noise: number;
  private readonly well: number;
  private readonly rng: LegacyRng;
  private readonly hot: number;
  /** Pixels that were clipped at the full well so far. */
  saturated = 0;

  /** @throws PtychoError CONFIG_INVALID for values out of range */
  constructor(private readonly options: DetectorOptions) {
    const { electronsPerPhoton = 1, readoutNoise_e = 0, fullWell_e = Number.POSITIVE_INFINITY, seed = 0 } = options;
    if (!(electronsPerPhoton > 0 && readoutNoise_e >= 0 && fullWell_e > 0 && Number.isFinite(readoutNoise_e))) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `A detector needs positive electrons per photon and full well, and read-out noise from 0; got ${electronsPerPhoton}, ${fullWell_e} and ${readoutNoise_e}.`,
        { key: 'detector', electronsPerPhoton, fullWell_e, readoutNoise_e },
      );
    }
    this.gain = electronsPerPhoton;
    this.noise = readoutNoise_e;
    this.well = fullWell_e;
    this.rng = new LegacyRng(seed);
    this.hot = Number.isFinite(fullWell_e) ? Math.round(fullWell_e / electronsPerPhoton) : HOT_COUNTS;
  }

  /** True where no light arrives. */
  isShaded(pixel: number): boolean {
    return this.options.defects?.beamstop[pixel] === 1;
  }

  /**
   * Counts that pixel `pixel` reports for `photons`: round(min(gain·photons + noise, full well)/gain), at least 0, since files hold
   * no negative counts. Expected values (`exact`) get neither noise nor rounding.
   */
  read(photons: number, pixel: number, exact = false): number {
    const { defects } = this.options;
    // Drawn for every pixel, so that other defects do not change the noise.
    const noise = exact || this.noise === 0 ? 0 : this.rng.normal(0, this.noise);
    if (defects?.dead[pixel]) return 0;
    if (defects?.hot[pixel]) return this.hot;
    const electrons = this.gain * photons + noise;
    if (electrons > this.well) this.saturated++;
    const counts = Math.max(0, Math.min(electrons, this.well) / this.gain);
    return exact ? counts : Math.round(counts);
  }
}
