/** What a solver begins with where it is not an empty object: a bundle's image of the scan, an image of a file, a product. */
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { selectBackend } from '../../backends/select.js';
import { imageConfigSchema } from '../../config/schemas/inference.js';
import type { SolveConfig } from '../../config/schemas/solve.js';
import { PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import { silentLogger } from '../../core/log.js';
import type { Services } from '../../core/services.js';
import { type ComplexTensor, formatShape, type Tensor } from '../../core/tensor.js';
import { splitFileSpec } from '../../data/opening/files.js';
import { checkProbe } from '../../data/opening/probe.js';
import { gridOfScan, toPixels } from '../../data/opening/scanGeometry.js';
import type { RawData } from '../../data/rawData.js';
import { POSITION_KEYS } from '../../data/readers/keys.js';
import { isProduct } from '../../data/readers/product.js';
import { isHdf5File, usingHdf5 } from '../../formats/hdf5/file.js';
import { usingNpz } from '../../formats/npz.js';
import { BUNDLE_FILE, type StoredBundle } from '../../persistence/bundle.js';
import { readProductFile } from '../../persistence/product/readProduct.js';
import { projection } from '../../physics/layers.js';
import { frameForScan, scanBounds } from '../../reconstruction/frame.js';
import { modelOfScan } from '../../reconstruction/matching/modelOfScan.js';
import { type WrittenImage, wellCovered } from '../../reconstruction/pictures.js';
import { reconstructPrepared } from '../../reconstruction/pipeline.js';
import { PtychoModel } from '../../reconstruction/ptychoModel.js';
import { layersBeside } from '../../reconstruction/reconstructionFile.js';
import { doubts, groupForModel, probeInCounts, requireSide } from '../../reconstruction/scanForModel.js';
import { placeOnScan, readProbeBeside, readStoredImage, turnedImage } from '../../reconstruction/storedImage.js';
import type { SolverStart } from '../updates.js';
import { backgroundBeside, beamBeside, beamOfProduct } from './beamFiles.js';

const RECONSTRUCTION = 'reconstruction.npz';

/**
 * The start that `init` names. A probe that is given by name (`probe`) comes before the one beside the image.
 * @throws PtychoError those of opening what is named, DATASET_SHAPE where it is of other patterns, DATASET_UNITS where pixels differ
 */
export async function startFrom(
  init: string,
  raw: RawData,
  config: SolveConfig,
  services: Services,
): Promise<SolverStart> {
  const { object, probe, beam, background } = await found(init, raw, config, services);
  return { object, background, ...(config.probe === null && { probe, beam }) };
}

async function found(init: string, raw: RawData, config: SolveConfig, services: Services): Promise<SolverStart> {
  const inFolder = path.join(init, RECONSTRUCTION);
  if (existsSync(init) && statSync(init).isDirectory()) {
    return existsSync(inFolder) && !existsSync(path.join(init, BUNDLE_FILE))
      ? fromReconstruction(inFolder, raw, services)
      : bundleStart(await PtychoModel.read(init), raw, config, services);
  }
  const { file, key } = splitFileSpec(init);
  const ending = path.extname(file).toLowerCase();
  const hdf5 = existsSync(file) && (await isHdf5File(file));
  if (key === undefined && (hdf5 || ending === '.npz') && (await isProductFile(file, hdf5))) {
    return fromProduct(file, raw, services);
  }
  if (key !== undefined || hdf5 || ending === '.npz' || ending === '.npy') {
    return fromReconstruction(init, raw, services);
  }
  return bundleStart(await PtychoModel.read(init), raw, config, services);
}

async function isProductFile(file: string, hdf5: boolean): Promise<boolean> {
  if (hdf5) {
    return usingHdf5(file, (opened) => isProduct(opened));
  }
  return usingNpz(file, (npz) => POSITION_KEYS.every((key) => npz.has(key)) && !npz.has('reconstructed_object'));
}

/**
 * What a network makes of the scan.
 * @throws PtychoError DATASET_SHAPE where it is of other patterns, and those of starting its engine
 */
export async function bundleStart(
  read: PtychoModel<StoredBundle>,
  raw: RawData,
  config: Pick<SolveConfig, 'data' | 'seed' | 'backend' | 'execution'>,
  services: Services,
): Promise<SolverStart> {
  const { logger = silentLogger, signal, onProgress } = services;
  requireSide(raw, read.N, read.bundle.path);
  const model = await modelOfScan(read, raw, logger);
  const { bundle } = model;
  for (const doubt of doubts(bundle, raw)) logger.warn(doubt);
  const { data, seed } = config;
  const request = { ...imageConfigSchema.parse({ data, seed }), sequential_sampling: false, uncertainty: false };
  const scan = await groupForModel(raw, bundle, request, logger, { once: true });
  return closing(await selectBackend(config, logger), async (backend) => {
    const { stitched } = await reconstructPrepared(model.on(backend), scan, request, { signal, onProgress });
    return startAt(stitched, probeInCounts(bundle, raw));
  });
}

/** A solver's start at a stitched image; where that is dim, it means nothing. */
export function startAt({ image, frame, weight }: WrittenImage, probe: ComplexTensor | undefined): SolverStart {
  return { object: { image, frame, covered: coveredBy(weight) }, probe };
}

const coveredBy = (weight: Tensor): Tensor => ({ data: Float32Array.from(wellCovered(weight)), shape: weight.shape });

/** `reconstruction.npz` of ours, or an image in a file of others. */
async function fromReconstruction(spec: string, raw: RawData, services: Services): Promise<SolverStart> {
  const note = (sentence: string) => services.logger?.warn(sentence);
  const stored = placeOnScan(await readStoredImage(spec, 'the object to begin with'), raw);
  const { image, originYxPx, weight, turned } = stored;
  stored.notes.forEach(note);
  const [height, width] = image.shape;
  if (originYxPx === undefined) {
    note(
      `${spec} does not say where its ${formatShape(image.shape)} pixels lie (frame_origin_yx_px), so they are centred on the scan.`,
    );
  }
  const frame = { originYxPx: originYxPx ?? centred(raw, height, width), height, width };
  const covered = weight && coveredBy({ data: Float32Array.from(weight), shape: image.shape });
  const probe = await readProbeBeside(spec, raw.N, { guess: true, note });
  // Beams belong to the patterns in their order, and to an image that lies as the scan does.
  const { file } = splitFileSpec(spec);
  const whole = path.extname(file).toLowerCase() === '.npz' && turned === undefined;
  const background = whole ? await backgroundBeside(file, raw.count, raw.N) : undefined;
  const beam = whole ? await beamBeside(file, raw.count, raw.N) : undefined;
  const layers = whole ? await layersBeside(file, image.shape) : undefined;
  const placed = { image, frame, covered, layers };
  return { object: placed, probe: probe && turnedImage(probe, turned), beam, background };
}

function centred(raw: RawData, height: number, width: number): readonly [number, number] {
  const scan = frameForScan(scanBounds(raw.xcoords, raw.ycoords), raw.N);
  const [top, left] = scan.originYxPx;
  return [top + Math.floor((scan.height - height) / 2), left + Math.floor((scan.width - width) / 2)];
}

/** Whether a product is of these patterns, in this order. */
function samePatterns(indexes: Int32Array, { patternIndexes, sampleIndices, count }: RawData): boolean {
  const own = patternIndexes ?? sampleIndices;
  return indexes.length === count && indexes.every((index, k) => index === own[k]);
}

/** Pixels may differ by this share: sizes are rounded. */
const SAME_PIXEL = 0.01;

/** A product; its object is laid where its metres say, to the nearest pixel. */
async function fromProduct(file: string, raw: RawData, services: Services): Promise<SolverStart> {
  const note = (sentence: string) => services.logger?.warn(sentence);
  const { object, probe, positions } = await readProductFile(file, { note });
  const layers = object.array.shape[0] > 1 ? { array: object.array, spacing_m: object.layer_spacing_m } : undefined;
  const [, height, width] = object.array.shape;
  const pixel = { x: object.pixel.width_m, y: object.pixel.height_m };
  const own = raw.geometry.objectPixel_m ?? pixel;
  if (Math.abs(own.x / pixel.x - 1) > SAME_PIXEL || Math.abs(own.y / pixel.y - 1) > SAME_PIXEL) {
    throw new PtychoError(
      'DATASET_UNITS',
      `The object of ${file} has pixels of ${pixel.x} × ${pixel.y} m, those of ${raw.source} are ${own.x} × ${own.y} m; give an image with the pixels of the scan.`,
      { path: file, found: pixel, expected: own },
    );
  }
  const scan = toPixels(gridOfScan(raw, own));
  return {
    object: {
      image: projection(object.array),
      layers,
      frame: {
        originYxPx: [
          Math.round(scan.y(object.center_y_m) - height / 2),
          Math.round(scan.x(object.center_x_m) - width / 2),
        ],
        height,
        width,
      },
    },
    probe: checkProbe(probe.array, raw.N, { path: file, member: 'probe' }, note),
    beam: samePatterns(positions.indexes, raw) ? beamOfProduct(probe) : undefined,
  };
}
