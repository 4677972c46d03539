/**
 * NPZ archives as a scan: those of PtychoPINN (`diffraction` or `diff3d`, `xcoords`, `ycoords`, …), the patterns that
 * Ptychodus exports (`patterns`, `bad_pixels`) and files with the patterns last. Contract: `specs/data.md`.
 *
 * @example
 * const file = await npzReader.open('scan.npz', {});
 * try { console.log(file.patterns.count, file.notes); } finally { await file.close(); }
 */

import { isPtychoError, messageOf, PtychoError } from '../../core/errors.js';
import {
  type ComplexImage,
  type ComplexTensor,
  formatShape,
  type NumericArray,
  type Shape,
  sameShape,
  type Tensor,
} from '../../core/tensor.js';
import { expectComplex64 } from '../../formats/npy.js';
import { type NpyHeader, npyError } from '../../formats/npyHeader.js';
import { listedKeys, type NpzFile, openNpz } from '../../formats/npz.js';
import type { ObjectLayers } from '../../physics/layers.js';
import { energyOfWavelength_eV } from '../../physics/radiation.js';
import { domainOf, geometryOf, LENGTHS, type MetadataRecord, parseMetadata, readText } from '../metadata.js';
import { crossedAxes, layoutHints, type PatternLayout, patternLayout, planesOf } from '../opening/patternLayout.js';
import { coordinates } from '../opening/positionColumns.js';
import { positionsOfOptions } from '../opening/positionsFile.js';
import { incoherentModes } from '../opening/probe.js';
import type { ReaderOptions } from '../options.js';
import { framesInMemory } from '../patternSource.js';
import type {
  ScanFile,
  ScanGeometry,
  ScanReader,
  StoredPatches,
  StoredPatterns,
  StoredPositions,
} from '../scanFile.js';
import { LAYER_KEYS, POSITION_KEYS } from './keys.js';
import { numberedFor, readProduct } from './product.js';
import { pairWithProduct } from './ptychodus.js';

/** Accepted names of the patterns, in order of preference. */
const DIFFRACTION_KEYS = ['diffraction', 'diff3d', 'patterns'] as const;

export const npzReader: ScanReader = {
  pairsProducts: true,
  async open(path, options) {
    const npz = await openNpz(path, { maxResidentBytes: options.maxResidentBytes });
    try {
      return await new NpzScan(npz, options).read();
    } catch (error) {
      await npz.close();
      throw error;
    }
  },
};

/** Reads one archive, collecting notes. */
class NpzScan {
  private readonly notes: string[] = [];

  constructor(
    private readonly npz: NpzFile,
    private readonly options: ReaderOptions,
  ) {}

  async read(): Promise<ScanFile> {
    const { npz } = this;
    const key = this.diffractionKey();
    if (this.options.product !== undefined && this.options.positions === undefined) {
      return this.withProduct(key, this.options.product);
    }
    const { shape } = await npz.header(key);
    const found = await this.positions(shape);
    const patterns = await this.patterns(key, found.positions);
    const raster = patterns.raster ?? this.options.scan_shape;
    const positions = crossedAxes(found.positions, raster);
    const crossed = (ends: StoredPositions | undefined) => ends && crossedAxes(ends, raster);
    const metadata = await this.metadata();
    const objectGuess = await this.optional('objectGuess', (k) => this.object(k));
    return {
      path: npz.path,
      format: 'npz',
      patterns,
      positions,
      startPositions: crossed(found.startPositions),
      endPositions: crossed(found.endPositions),
      patternIndexes: await this.optional(POSITION_KEYS[0], async (k) => (await npz.readReal(k)).data),
      scanIndex: await this.optional('scan_index', async (k) => Int32Array.from((await npz.readReal(k)).data)),
      probeGuess: await this.optional('probeGuess', async (k) =>
        incoherentModes(await npz.readComplex64(k), npz.origin(k), (sentence) => this.notes.push(sentence)),
      ),
      objectGuess,
      objectLayers: await this.optional(LAYER_KEYS.array, (k) => this.layers(k, objectGuess)),
      badPixels: await this.optional('bad_pixels', (k) => this.mask(k)),
      geometry: { ...geometryOf(metadata), ...(await this.lengths()) },
      measurementDomain: await this.declaredDomain(metadata),
      metadata,
      norm_Y_I: await this.optional('norm_Y_I', (k) => this.scale(k)),
      groundTruth: await this.patches(npz.has('Y') ? 'Y' : 'ground_truth_patches', patterns.count),
      labels: await this.patches('label', patterns.count),
      notes: this.notes,
      close: () => npz.close(),
    };
  }

  /** Patterns of Ptychodus with the product that holds their positions, probe and object. */
  private async withProduct(key: string, path: string): Promise<ScanFile> {
    const { npz } = this;
    if (npz.has('xcoords')) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `${npz.path} has positions of its own, so the product ${path} does not go with it; leave product out (its probe can be given with probe ${path}).`,
        { key: 'product', path: npz.path },
      );
    }
    const product = await readProduct(path);
    this.notes.push(...product.notes);
    const header = await npz.header(key);
    const counted = new Float64Array(npz.has('indexes') ? (await npz.header('indexes')).shape[0] : header.shape[0]);
    const frames = await this.patterns(key, { x: counted, y: counted });
    const indexes = npz.has('indexes')
      ? (await npz.readReal('indexes')).data
      : numberedFor(npz.path, frames.count, product.indexes, this.notes);
    if (indexes.length !== frames.count) {
      throw npyError(
        'DATASET_SHAPE',
        npz.origin('indexes'),
        `has ${indexes.length} values for ${frames.count} patterns.`,
        { found: indexes.length, expected: frames.count },
      );
    }
    return {
      path: npz.path,
      format: 'npz',
      ...pairWithProduct(frames, indexes, npz.origin('indexes'), product, this.options, this.notes),
      probeGuess: product.probe,
      objectGuess: product.object,
      objectLayers: product.objectLayers,
      badPixels: await this.optional('bad_pixels', (k) => this.mask(k)),
      geometry: product.geometry,
      measurementDomain: await this.declaredDomain({}),
      metadata: product.metadata,
      notes: this.notes,
      close: () => npz.close(),
    };
  }

  private diffractionKey(): string {
    const { npz } = this;
    const asked = this.options.diffraction_path;
    const found = DIFFRACTION_KEYS.filter((name) => npz.has(name));
    if (asked === undefined && found.length > 1) {
      this.notes.push(`${npz.path} holds patterns under ${found.join(' and ')}; those of ${found[0]} are used.`);
    }
    const key = asked?.replace(/^\//, '') ?? found[0];
    if (key !== undefined && npz.has(key)) return key;
    const what =
      asked === undefined
        ? 'no diffraction patterns: the accepted keys are diffraction and diff3d (patterns in files of Ptychodus)'
        : `no array "${asked}", which diffraction_path asks for`;
    throw new PtychoError('DATASET_KEY_MISSING', `${npz.path} has ${what}, the file holds ${listedKeys(npz.keys)}.`, {
      path: npz.path,
      key: asked ?? 'diffraction',
      expected: DIFFRACTION_KEYS,
      found: npz.keys,
    });
  }

  private async patterns(
    key: string,
    positions: Pick<StoredPositions, 'x' | 'y'>,
  ): Promise<StoredPatterns & Pick<PatternLayout, 'raster'>> {
    const { npz } = this;
    const header = await npz.header(key);
    const origin = npz.origin(key);
    const hints = { ...layoutHints(positions, this.options), lastAllowed: true };
    const layout = patternLayout(header.shape, hints, origin);
    const { count, height, width, last, raster, rowAxes } = layout;
    if (/complex|str|bool/.test(header.dtype)) {
      throw npyError(
        'DATASET_VALUE',
        origin,
        `holds ${header.dtype} values, but diffraction must be real numbers: amplitudes or counts.`,
        { found: header.dtype },
      );
    }
    const facts = { count, height, width, raster, dtype: header.dtype, origin };
    if (!last) {
      return {
        ...facts,
        resident: (await npz.rowAccess(key)) === 'resident',
        readRowsInto: (rows, out) => npz.readRowsInto(key, planesOf(layout, rows), out, rowAxes),
      };
    }
    this.notes.push(
      `${npz.path}: "${key}" has shape ${formatShape(header.shape)} with the patterns last; transposed to (${count}, ${height}, ${width}).`,
    );
    let whole: Promise<StoredPatterns> | undefined;
    const load = async () => {
      const axes = header.shape.length === 4 ? [2, 0, 1, 3] : [2, 0, 1];
      const { data } = (await npz.read(key, axes)) as Tensor<NumericArray>;
      return framesInMemory(data, [count, height, width], header.dtype, origin);
    };
    return {
      ...facts,
      resident: true,
      async readRowsInto(rows, out) {
        whole ??= load();
        await (await whole).readRowsInto(rows, out);
      },
    };
  }

  private async positions(patterns: Shape): Promise<Pick<ScanFile, 'positions' | 'startPositions' | 'endPositions'>> {
    const { npz } = this;
    const given = await positionsOfOptions(this.options, patterns);
    if (given !== undefined) return { positions: given };
    const unit = this.options.positions_unit ?? 'px';
    const read = async (suffix: string): Promise<StoredPositions | undefined> => {
      const keys = [`xcoords${suffix}`, `ycoords${suffix}`];
      if (!keys.every((key) => npz.has(key))) return undefined;
      const [x, y] = [await this.coordinates(keys[0]), await this.coordinates(keys[1])];
      // One x for each column and one y for each row of a raster are joined later.
      if (x.length !== y.length && patterns.length === 3 && this.options.scan_shape === undefined) {
        throw new PtychoError(
          'DATASET_SHAPE',
          `${npz.path} has ${x.length} values in "${keys[0]}" but ${y.length} in "${keys[1]}"; there must be one of each for every pattern.`,
          { path: npz.path, key: keys[1], found: y.length, expected: x.length },
        );
      }
      return { x, y, unit, origin: { path: npz.path } };
    };
    const [positions, startPositions, endPositions] = [await read(''), await read('_start'), await read('_end')];
    if (positions !== undefined) return { positions, startPositions, endPositions };
    if (startPositions !== undefined && endPositions?.x.length === startPositions.x.length) {
      this.notes.push(
        `${npz.path} has no xcoords and ycoords; the middles between the positions at the start and at the end of the exposures are used.`,
      );
      const middle = (a: Float64Array, b: Float64Array) => a.map((v, i) => 0.5 * (v + b[i]));
      const [x, y] = [middle(startPositions.x, endPositions.x), middle(startPositions.y, endPositions.y)];
      return { positions: { ...startPositions, x, y }, startPositions, endPositions };
    }
    if (startPositions !== undefined) {
      this.notes.push(
        `${npz.path} has no xcoords and ycoords; the positions at the start of the exposures (xcoords_start, ycoords_start) are used.`,
      );
      return { positions: startPositions, startPositions };
    }
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${npz.path} has no scan positions: xcoords and ycoords (object pixels, one value a pattern) are needed, the file holds ${listedKeys(npz.keys)}; give positions FILE[:key] if they are in another file, scan_shape and scan_step of a raster, or the product of Ptychodus that has them.`,
      {
        path: npz.path,
        key: npz.has('xcoords') ? 'ycoords' : 'xcoords',
        expected: ['xcoords', 'ycoords'],
        found: npz.keys,
      },
    );
  }

  private async coordinates(key: string): Promise<Float64Array> {
    return coordinates(await this.npz.readReal(key), this.npz.origin(key));
  }

  private async object(key: string): Promise<ComplexImage | undefined> {
    const object = await this.npz.readComplex64(key);
    const shape = object.shape.filter((length) => length !== 1);
    if (shape.length === 2) return { ...object, shape };
    this.leftOut(key, `has shape ${formatShape(object.shape)} and is no image`);
    return undefined;
  }

  /** Layers that `objectGuess` is the product of. */
  private async layers(key: string, object: ComplexImage | undefined): Promise<ObjectLayers | undefined> {
    const array = await this.npz.readComplex64(key);
    const spacing = this.npz.has(LAYER_KEYS.spacing)
      ? Float64Array.from((await this.npz.readReal(LAYER_KEYS.spacing)).data as ArrayLike<number>)
      : new Float64Array(0);
    const [count, ...image] = array.shape;
    if (array.shape.length === 3 && spacing.length === count - 1 && object && sameShape(image, object.shape)) {
      return { array, spacing_m: spacing };
    }
    this.leftOut(
      key,
      `has shape ${formatShape(array.shape)} and ${spacing.length} distances, which are no layers of its objectGuess`,
    );
    return undefined;
  }

  private async mask(key: string): Promise<Tensor<Uint8Array> | undefined> {
    const { data, shape } = await this.npz.readReal(key);
    // A float that is not 0, NaN included, marks its pixel.
    return { data: Uint8Array.from(data as ArrayLike<number>, (v) => (v === 0 ? 0 : 1)), shape };
  }

  private async scale(key: string): Promise<number | undefined> {
    const { data } = await this.npz.readReal(key);
    if (data.length === 1 && Number.isFinite(data[0])) return data[0];
    this.leftOut(key, 'is not one finite number');
    return undefined;
  }

  /** Lengths and energies that stand beside the patterns by themselves, one number each. */
  private async lengths(): Promise<ScanGeometry> {
    const found: Record<string, unknown> = {};
    const read = async (key: string, take: (value: number) => void) => {
      const value = await this.optional(key, async (k) => (await this.npz.readReal(k)).data);
      if (value?.length === 1 && Number(value[0]) > 0 && Number.isFinite(Number(value[0]))) take(Number(value[0]));
      else if (value) this.leftOut(key, 'is not one positive number');
    };
    for (const [key, name] of Object.entries(LENGTHS)) {
      await read(key, (value) => {
        found[name] = value;
      });
    }
    await read('energy_eV', (value) => {
      found.energy_eV = value;
    });
    await read('wavelength_m', (value) => {
      // Photons, as everywhere where nothing says electrons; then both follow from the energy.
      found.energy_eV ??= energyOfWavelength_eV(value);
    });
    await read('object_pixel_m', (value) => {
      found.objectPixel_m = { x: value, y: value };
    });
    return found;
  }

  private async declaredDomain(metadata: MetadataRecord): Promise<ScanFile['measurementDomain']> {
    const { path } = this.npz;
    const key = 'measurement_domain';
    const recorded = domainOf(metadata);
    const inMetadata = recorded && { text: recorded.text, where: `${path}, metadata "${recorded.key}",` };
    if (!this.npz.has(key)) return inMetadata;
    const word = await readText(this.npz, key);
    if ('problem' in word) {
      throw npyError('DATASET_UNITS', this.npz.origin(key), `must hold one word, but ${word.problem}.`);
    }
    if (inMetadata !== undefined && inMetadata.text !== word.text) {
      throw new PtychoError(
        'DATASET_UNITS',
        `${path} contradicts itself: its array "${key}" says ${word.text}, its metadata ("${recorded!.key}") ${inMetadata.text}; correct the one that is wrong.`,
        { path, key, found: [word.text, inMetadata.text] },
      );
    }
    return { text: word.text, where: `${path}, array "${key}",` };
  }

  private async metadata(): Promise<MetadataRecord> {
    const key = '_metadata';
    if (!this.npz.has(key)) return {};
    const found = await readText(this.npz, key);
    const parsed = 'text' in found ? parseMetadata(found.text) : found;
    if ('record' in parsed) return parsed.record;
    this.leftOut(key, parsed.problem);
    return {};
  }

  /** Complex patches, one for each pattern, read when asked for. */
  private async patches(key: string, patterns: number): Promise<StoredPatches | undefined> {
    const { npz } = this;
    return this.optional(key, async () => {
      const { shape, dtype } = await npz.header(key);
      const axes = shape.length === 4 && shape[3] === 1 ? shape.slice(0, 3) : shape;
      const [count, height, width] = axes;
      if (axes.length !== 3 || count !== patterns) {
        this.leftOut(key, `has shape ${formatShape(shape)}, but must be (${patterns}, N, N), one patch a pattern`);
        return undefined;
      }
      if (!dtype.startsWith('complex')) {
        throw new PtychoError(
          'DATASET_VALUE',
          `DATA-001: ${npz.path}, array "${key}", holds ${dtype} values, but patches of the object must be complex: real numbers have lost the phase; save it as complex64, or leave it out.`,
          { guard: 'DATA-001', path: npz.path, key, found: dtype, expected: 'complex64' },
        );
      }
      const readRows = async (rows: ArrayLike<number>): Promise<ComplexTensor> => {
        const { re, im } = expectComplex64(await npz.readRows(key, rows), npz.origin(key));
        return { re, im, shape: [rows.length, height, width] };
      };
      return { count, height, width, readRows };
    });
  }

  /** An array that a scan may do without: when its dtype cannot be read (None saved as an object, say) it is left out. */
  private async optional<T>(key: string, read: (key: string) => Promise<T>): Promise<T | undefined> {
    if (!this.npz.has(key)) return undefined;
    let header: NpyHeader | undefined;
    try {
      header = await this.npz.header(key);
    } catch (error) {
      if (!isPtychoError(error, 'FORMAT_UNSUPPORTED')) throw error;
      this.notes.push(`Left out: ${messageOf(error)}`);
    }
    return header && read(key);
  }

  private leftOut(key: string, why: string): void {
    this.notes.push(`Left out: ${this.npz.path}, array "${key}", ${why}.`);
  }
}
