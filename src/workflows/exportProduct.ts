/** `product export`: a scan, or what `infer` or `solve` made of one, as a product of Ptychodus. */
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { solveDefinition } from '../config/commands.js';
import { resolveConfig } from '../config/resolve.js';
import { inferenceConfigSchema } from '../config/schema.js';
import { type DataConfig, dataConfigSchema } from '../config/schemas/data.js';
import type { ProductExportConfig } from '../config/schemas/tools.js';
import { messageOf, PtychoError } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { type ComplexTensor, formatShape, sizeOf } from '../core/tensor.js';
import { nphotonsOf } from '../data/metadata.js';
import { openDataset } from '../data/openDataset.js';
import { openOptions } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { patternsToWrite } from '../data/scanWriter.js';
import { openNpz } from '../formats/npz.js';
import { makeOutputFolder, refuseToOverwrite } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';
import { openBundle, type StoredBundle } from '../persistence/bundle.js';
import { type PlacedImage, positionsOnObject, scanAsProduct } from '../persistence/product/geometry.js';
import type {
  PatternDtype,
  Product,
  ProductLosses,
  ProductMetadata,
  ProductRawData,
} from '../persistence/product/product.js';
import { productFormatOf, writeProductFile } from '../persistence/product/writeProduct.js';
import { energyOfWavelength_eV } from '../physics/radiation.js';
import { frameForScan, scanBounds } from '../reconstruction/frame.js';
import { readReconstruction } from '../reconstruction/reconstructionFile.js';

/** What was written. */
export interface ProductExportSummary {
  readonly path: string;
  readonly positions: number;
  /** Rows and columns. */
  readonly object: readonly [number, number];
  readonly losses: number;
  readonly rawData: boolean;
}

/** Names in the output folders of `infer` and `solve`. */
const [RECONSTRUCTION, RUN, POSITIONS] = ['reconstruction.npz', 'run.json', 'positions.npz'];

/**
 * Writes `source`, the output folder of `infer` or `solve` or a scan of any readable format, as a product. The image of a folder is laid
 * where it was stitched, so that positions in metres are those of the scan's file and fall on the image as they did then (refined
 * ones where they were refined); a scan comes with the object of its file, or with ones where it has none.
 * @throws PtychoError CONFIG_INVALID, FILE_NOT_FOUND, DATASET_SHAPE for an image of other patterns, PROBE_SHAPE where no probe is
 * known, those of `openDataset` and `writeProductFile`.
 */
export async function exportProduct(
  source: string,
  config: ProductExportConfig,
  services: Services = {},
): Promise<ProductExportSummary> {
  const logger = services.logger ?? silentLogger;
  const note = (sentence: string) => logger.warn(sentence);
  if (productFormatOf(config.output_file) === 'npz' && config.raw_data) {
    throw new PtychoError('CONFIG_INVALID', 'raw_data goes into HDF5 products only; name the output_file .h5.', {
      key: 'raw_data',
    });
  }
  const run = isReconstruction(source) ? await readRun(source) : undefined;
  const scan = config.test_data_file ?? run?.test_data_file ?? source;
  checkScan(source, scan, config, run);
  await refuseToOverwrite(scan, config.output_file, 'output_file');
  await requireNew([config.output_file], { ...newFiles(config, services), field: 'output_file' });
  const raw = await openDataset(scan, openOptions(openingOf(config, run), services));
  try {
    const image = run ? await readImage(source, raw) : startImage(raw, note);
    const positions = run ? await refinedPositions(source, raw, note) : raw;
    const bundle = run?.model_path === undefined ? undefined : await findBundle(run.model_path, note);
    const probe = image.probe ?? probeOf(raw, bundle, source);
    const parts = scanAsProduct({ ...raw, ...positions }, probe, image, note);
    const losses = run?.losses ?? (bundle?.history ?? []).map(({ loss }) => loss);
    const product: Product = { metadata: metadataOf(config, raw), ...parts, losses: lossesOf(losses) };
    await makeOutputFolder(path.dirname(path.resolve(config.output_file)));
    await writeProductFile(
      config.output_file,
      config.raw_data ? { ...product, raw_data: rawDataOf(raw, product) } : product,
      {
        signal: services.signal,
        onPatterns: (done) => services.onProgress?.({ stage: 'writing', done, total: raw.count, unit: 'patterns' }),
      },
    );
    const [rows, columns] = image.image.shape;
    return {
      path: config.output_file,
      positions: raw.count,
      object: [rows, columns],
      losses: product.losses.values.length,
      rawData: config.raw_data,
    };
  } finally {
    await raw.close();
  }
}

const isReconstruction = (source: string): boolean =>
  existsSync(source) && statSync(source).isDirectory() && existsSync(path.join(source, RECONSTRUCTION));

/** What the run that left a folder says of it. */
interface FinishedRun {
  readonly test_data_file: string;
  readonly probe: string | null;
  readonly measurement_domain: RawData['domain'] | null;
  readonly n_subsample: number | null;
  readonly subsample_seed: number | null;
  readonly seed: number;
  readonly data: DataConfig;
  /** Of `infer`. */
  readonly model_path?: string;
  /** Of `solve`, one an epoch. */
  readonly losses?: readonly number[];
}

/** @throws PtychoError FILE_NOT_FOUND, CONFIG_INVALID */
async function readRun(folder: string): Promise<FinishedRun> {
  const file = path.join(folder, RUN);
  if (!existsSync(file)) {
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `${folder} has an image but no ${RUN}, which tells the scan that it was made of; give an output folder of infer or solve.`,
      { path: file },
    );
  }
  let found: { readonly config?: unknown; readonly losses?: readonly number[] };
  try {
    found = JSON.parse(await readTextInput(file, { maxBytes: TABLE_BYTES })) as typeof found;
  } catch (error) {
    throw new PtychoError('CONFIG_INVALID', `${file} is not JSON: ${messageOf(error)}.`, { path: file });
  }
  const inferred = inferenceConfigSchema.safeParse(found.config);
  if (inferred.success) return inferred.data;
  try {
    const values = found.config as Readonly<Record<string, unknown>>;
    // Former names of fields are understood here, too.
    const { config } = resolveConfig(solveDefinition, { file: { origin: file, values } });
    return { ...config, losses: found.losses };
  } catch (cause) {
    const sentence = `${file} does not hold the configuration of a run of infer or solve.`;
    throw new PtychoError('CONFIG_INVALID', sentence, { path: file }, { cause });
  }
}

function checkScan(source: string, scan: string, config: ProductExportConfig, run: FinishedRun | undefined): void {
  if (run === undefined && config.test_data_file !== null) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `test_data_file goes with an output folder of infer or solve, which ${source} is not; leave it out.`,
      { key: 'test_data_file' },
    );
  }
  if (run === undefined || config.test_data_file !== null || existsSync(scan)) return;
  throw new PtychoError(
    'FILE_NOT_FOUND',
    `The image in ${source} was made of ${scan}, which is not there (any more); give the scan with test_data_file.`,
    { path: scan, key: 'test_data_file' },
  );
}

/** The scan is opened as the run opened it; what is given now and differs from the default comes first. */
function openingOf(config: ProductExportConfig, run: FinishedRun | undefined) {
  const { probe, measurement_domain, data } = config;
  if (run === undefined) return { probe, measurement_domain, data };
  const defaults = dataConfigSchema.parse({}) as Readonly<Record<string, unknown>>;
  const given = Object.entries(data).filter(([key, value]) => value !== defaults[key]);
  return {
    probe: probe ?? run.probe,
    measurement_domain: measurement_domain ?? run.measurement_domain,
    n_subsample: run.n_subsample,
    subsample_seed: run.subsample_seed ?? run.seed,
    data: { ...run.data, ...Object.fromEntries(given) },
  };
}

/** The image of a folder, with the probe that a solver made beside it. */
async function readImage(folder: string, raw: RawData): Promise<PlacedImage & { readonly probe?: ComplexTensor }> {
  const file = path.join(folder, RECONSTRUCTION);
  const { image, originYxPx, sampleIndices, probe } = await readReconstruction(file, { probe: true });
  if (originYxPx === undefined) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${file} does not say where its ${formatShape(image.shape)} pixels lie (frame_origin_yx_px).`,
      { key: 'frame_origin_yx_px', path: file },
    );
  }
  const used = sampleIndices ?? raw.sampleIndices;
  if (used.length !== raw.count || !raw.sampleIndices.every((sample, i) => sample === used[i])) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The image in ${folder} was made of ${used.length} patterns that are not the ${raw.count} of ${raw.source}; give the scan that it was made of.`,
      { path: folder, found: used.length, expected: raw.count },
    );
  }
  return { image, originYxPx, probe };
}

/** The object of the file, or ones where patterns lie, with which iterative reconstruction begins. */
function startImage(raw: RawData, note: (sentence: string) => void): PlacedImage & { readonly probe?: undefined } {
  if (raw.objectGuess) return { image: raw.objectGuess, originYxPx: [0, 0] };
  note(`${raw.source} has no object; the product gets ones of the size of the scan.`);
  const { height, width, originYxPx } = frameForScan(scanBounds(raw.xcoords, raw.ycoords), raw.N);
  const shape = [height, width];
  return {
    image: { re: new Float32Array(sizeOf(shape)).fill(1), im: new Float32Array(sizeOf(shape)), shape },
    originYxPx,
  };
}

/** Positions at which the image was made. */
async function refinedPositions(
  folder: string,
  raw: RawData,
  note: (sentence: string) => void,
): Promise<Pick<RawData, 'xcoords' | 'ycoords'>> {
  const file = path.join(folder, POSITIONS);
  if (!existsSync(file)) return raw;
  const npz = await openNpz(file);
  try {
    const [x, y] = [await npz.readReal('xcoords'), await npz.readReal('ycoords')];
    if (x.data.length !== raw.count || y.data.length !== raw.count) return raw;
    note(`Positions are the refined ones of ${file}, at which the image was made.`);
    return { xcoords: Float64Array.from(x.data), ycoords: Float64Array.from(y.data) };
  } finally {
    await npz.close();
  }
}

/** The model of a run, for its losses and its probe; the image can do without. */
async function findBundle(model: string, note: (sentence: string) => void): Promise<StoredBundle | undefined> {
  try {
    return await openBundle(model);
  } catch (error) {
    note(`The product has no losses, because the model cannot be opened: ${messageOf(error)}`);
    return undefined;
  }
}

function probeOf(raw: RawData, bundle: StoredBundle | undefined, source: string): ComplexTensor {
  const trained = bundle?.config.probe_trainable ? bundle.probe : undefined;
  const probe = trained ?? raw.probeGuess ?? bundle?.probe;
  if (probe !== undefined) return probe;
  throw new PtychoError('PROBE_SHAPE', `There is no probe for ${source}; give one with probe FILE or FILE:key.`, {
    key: 'probe',
    path: source,
  });
}

/** The loss of each epoch, of the model's training or of the solver. */
export function lossesOf(values: readonly unknown[]): ProductLosses {
  const rows = values.flatMap((value, i) => (typeof value === 'number' ? [{ epoch: i + 1, value }] : []));
  return {
    epochs: Int32Array.from(rows, ({ epoch }) => epoch),
    values: Float64Array.from(rows, ({ value }) => value),
  };
}

/** What a product says of the experiment: what is given, else what the scan says. */
export function metadataOf(
  config: Partial<ProductExportConfig>,
  { metadata, geometry, source }: Pick<RawData, 'metadata' | 'geometry' | 'source'>,
): ProductMetadata {
  const number = (
    key: Exclude<keyof ProductExportConfig & keyof ProductMetadata, 'name' | 'comments'>,
    otherwise = 0,
  ) => {
    const own = metadata[key];
    return config[key] ?? (typeof own === 'number' && Number.isFinite(own) ? own : otherwise);
  };
  const text = (key: 'name' | 'comments', otherwise: string) => {
    const own = metadata[key];
    return config[key] ?? (typeof own === 'string' && own !== '' ? own : otherwise);
  };
  return {
    name: text('name', path.basename(source, path.extname(source))),
    comments: text('comments', ''),
    detector_object_distance_m: geometry.detectorDistance_m ?? 0,
    // A product knows photons only: for electrons, those of the same wavelength.
    probe_energy_eV: (geometry.wavelength_m ? energyOfWavelength_eV(geometry.wavelength_m) : geometry.energy_eV) ?? 0,
    exposure_time_s: number('exposure_time_s'),
    probe_photon_count: number('probe_photon_count', nphotonsOf(metadata)),
    mass_attenuation_m2_kg: number('mass_attenuation_m2_kg'),
    tomography_angle_deg: number('tomography_angle_deg'),
  };
}

function rawDataOf(raw: RawData, product: Product): ProductRawData {
  const { dtype, shape, pieces, domain } = patternsToWrite(raw);
  const { x, y } = positionsOnObject(product);
  return {
    diffraction: { dtype: dtype as PatternDtype, shape, pieces },
    xcoords_px: x,
    ycoords_px: y,
    scan_index: raw.scanIndex,
    measurement_domain: domain,
    ...(raw.badPixels && { bad_pixels: { data: raw.badPixels, shape: [raw.N, raw.N] } }),
  };
}
