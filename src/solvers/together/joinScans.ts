/**
 * Several scans as one that solvers take: scans of one object, each with a probe of its own, or scans with one probe, each of an object of
 * its own.
 */
import { PtychoError } from '../../core/errors.js';
import type { PatternSource } from '../../data/patternSource.js';
import type { ScansTogether, ScanToSolve, Share } from '../scan.js';

/** What {@link joinScans} is told besides the scans. */
export interface JoinOptions {
  /** `object`: one object, and a probe for each scan; `probe`: one probe, and an object for each scan. */
  readonly share: Share;
  /**
   * Of one object: what is added to the positions of each scan, [y, x] in pixels, that of the first [0, 0]. Left out: solvers find it.
   */
  readonly offsets_yx_px?: readonly (readonly [number, number])[];
}

/** Scans that are solved as one. */
export type JoinedScan = ScanToSolve & { readonly together: ScansTogether };

/**
 * Joins scans whose patterns and object pixels have one size, for `solve` and `runSolver`; `scansOf` takes what these come to apart
 * again. Patterns stay where they are, and the scans stay the caller's to close.
 *
 * @example
 * import { joinScans, runSolver, scansOf } from 'ptychopinn/solvers';
 * const together = await runSolver(joinScans([raw, other], { share: 'object' }), { algorithm: 'lsqml', epochs: 100 });
 * for (const { source, offset_yx_px, probe } of scansOf(together)) console.log(source, offset_yx_px, probe.shape);
 *
 * @throws PtychoError CONFIG_INVALID for fewer than two scans, another `share` or offsets that do not fit, DATASET_SHAPE for patterns of
 * different sides, DATASET_UNITS for object pixels of different sizes, or counts beside amplitudes without a scale
 */
export function joinScans(scans: readonly ScanToSolve[], { share, offsets_yx_px }: JoinOptions): JoinedScan {
  requireShare(share);
  requireSeveral(scans, share);
  requireAlike(scans);
  requireOffsets(scans, share, offsets_yx_px);
  const firsts = new Int32Array(scans.length + 1);
  scans.forEach(({ count }, s) => {
    firsts[s + 1] = firsts[s] + count;
  });
  const [first] = scans;
  return {
    source: scans.map(({ source }) => source).join(', '),
    count: firsts[scans.length],
    N: first.N,
    patterns: new JoinedPatterns(scans.map(({ patterns }) => patterns)),
    xcoords: joined(scans, 'xcoords')!,
    ycoords: joined(scans, 'ycoords')!,
    xcoordsStart: joined(scans, 'xcoordsStart'),
    ycoordsStart: joined(scans, 'ycoordsStart'),
    xcoordsEnd: joined(scans, 'xcoordsEnd'),
    ycoordsEnd: joined(scans, 'ycoordsEnd'),
    // Of each scan its own.
    badPixels: undefined,
    probeGuess: scans.find(({ probeGuess }) => probeGuess)?.probeGuess,
    geometry: first.geometry,
    domain: first.domain,
    together: { share, scans, firsts, offsets_yx_px },
  };
}

type Coordinates = 'xcoords' | 'ycoords' | 'xcoordsStart' | 'ycoordsStart' | 'xcoordsEnd' | 'ycoordsEnd';

/** One after the other; undefined where a scan does not have them. */
function joined(scans: readonly ScanToSolve[], name: Coordinates): Float64Array | undefined {
  const all = scans.map((scan) => scan[name]);
  return all.every((values) => values !== undefined)
    ? Float64Array.from(all.flatMap((values) => Array.from(values)))
    : undefined;
}

function requireShare(share: unknown): void {
  if (share === 'object' || share === 'probe') return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `share is ${JSON.stringify(share)}, but several scans share their object or their probe; say "object" or "probe".`,
    { key: 'share', found: share, expected: ['object', 'probe'] },
  );
}

function requireSeveral(scans: readonly ScanToSolve[], share: Share): void {
  if (scans.length > 1) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `share ${share} is for several scans, but there is ${scans.length === 0 ? 'none' : 'one'}; name the others, too, or leave share out.`,
    { key: 'share', found: scans.length },
  );
}

/** Sizes of object pixels may differ by this share: they are rounded. */
const SAME_PIXEL = 0.01;

function requireAlike([first, ...others]: readonly ScanToSolve[]): void {
  for (const other of others) {
    const both = `${first.source} and ${other.source}`;
    if (other.N !== first.N) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${both} have patterns of ${first.N} and ${other.N} pixels a side; crop or pad one of them (--crop_px, --pad_to of "ptychopinn convert"), so that their object pixels are one size.`,
        { path: other.source, found: other.N, expected: first.N },
      );
    }
    const [own, found] = [first, other].map(({ geometry }) => geometry?.objectPixel_m);
    if (own && found && [found.x / own.x, found.y / own.y].some((ratio) => Math.abs(ratio - 1) > SAME_PIXEL)) {
      throw new PtychoError(
        'DATASET_UNITS',
        `${both} have object pixels of ${own.x} × ${own.y} m and ${found.x} × ${found.y} m, which no common object or probe has; solve them one by one.`,
        { path: other.source, found, expected: own },
      );
    }
    const scaled = [first, other].map(({ domain }) => domain !== 'normalized_amplitude');
    if (scaled[0] !== scaled[1]) {
      throw new PtychoError(
        'DATASET_UNITS',
        `${both} hold counts and normalised amplitudes, which cannot be weighed against each other; say what the numbers are with --measurement_domain, or solve them one by one.`,
        { path: other.source, found: other.domain, expected: first.domain },
      );
    }
  }
  const near = [first, ...others].find(({ geometry }) => geometry?.nearField);
  if (!near) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `${near.source} holds near fields, which are solved one scan at a time; leave share out.`,
    { key: 'share', path: near.source },
  );
}

function requireOffsets(scans: readonly ScanToSolve[], share: Share, offsets: JoinOptions['offsets_yx_px']): void {
  if (!offsets) return;
  const fits =
    share === 'object' &&
    offsets.length === scans.length &&
    offsets.every((pair) => pair.length === 2 && pair.every(Number.isFinite)) &&
    offsets[0].every((v) => v === 0);
  if (fits) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `offsets_yx_px are [y, x] of each of ${scans.length} scans of one object, [0, 0] for the first; found ${JSON.stringify(offsets)} with share ${share}.`,
    { key: 'offsets_yx_px', found: offsets },
  );
}

/** Patterns of several scans, one scan after the other. */
class JoinedPatterns implements PatternSource {
  readonly count: number;
  readonly N: number;
  readonly domain: PatternSource['domain'];
  readonly resident: boolean;
  readonly storedDtype: PatternSource['storedDtype'];

  constructor(private readonly sources: readonly PatternSource[]) {
    const [first] = sources;
    this.count = sources.reduce((sum, { count }) => sum + count, 0);
    this.N = first.N;
    this.domain = first.domain;
    this.storedDtype = first.storedDtype;
    this.resident = sources.every(({ resident }) => resident);
  }

  readAmplitudes(indices: ArrayLike<number>, out: Float32Array, scale?: number): Promise<void> {
    return this.#read(indices, out, (source, rows, part) => source.readAmplitudes(rows, part, scale));
  }

  readStored(indices: ArrayLike<number>, out: Float32Array): Promise<void> {
    return this.#read(indices, out, (source, rows, part) => source.readStored(rows, part));
  }

  /** The scans are not its own. */
  async close(): Promise<void> {}

  /** Runs of patterns that are of one scan. */
  async #read(
    indices: ArrayLike<number>,
    out: Float32Array,
    read: (source: PatternSource, rows: Int32Array, part: Float32Array) => Promise<void>,
  ): Promise<void> {
    const area = this.N ** 2;
    for (let from = 0; from < indices.length; ) {
      const { source, first } = this.#sourceOf(indices[from]);
      let to = from;
      while (to < indices.length && indices[to] >= first && indices[to] < first + source.count) to++;
      const rows = Int32Array.from({ length: to - from }, (_, i) => indices[from + i] - first);
      await read(source, rows, out.subarray(from * area, to * area));
      from = to;
    }
  }

  #sourceOf(index: number): { readonly source: PatternSource; readonly first: number } {
    let first = 0;
    for (const source of this.sources) {
      if (index >= first && index < first + source.count) return { source, first };
      first += source.count;
    }
    throw new PtychoError('DATASET_SHAPE', `There is no pattern ${index} among ${this.count}.`, {
      found: index,
      expected: this.count,
    });
  }
}
