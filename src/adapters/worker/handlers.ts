/** What each verb does. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { formatShape } from '../../core/tensor.js';
import { readProductFile } from '../../persistence/product/readProduct.js';
import { writeProductFile } from '../../persistence/product/writeProduct.js';
import { LOG_LEVELS, parseLogLevel } from '../ptychodus/logger.js';
import {
  isTrainable,
  type LibraryLogger,
  type PatternStack,
  type ReconstructInput,
  type ReconstructOutput,
  type Reconstructor,
  requireTrainable,
  type TrainOutput,
} from '../ptychodus/types.js';
import { DTYPE_BYTES, FrameArrays, type OutgoingArray } from './arrays.js';
import type { FrameWriter } from './frameWriter.js';
import { FRAME_LIMITS, type Frame, PRODUCT_OUT, PROTOCOL_VERSION, type Tag, VERBS, type Verb } from './messageFrame.js';
import { PRODUCT_ARRAYS, previewArrays, productArrays, productHeaderOf, productOf } from './products.js';
import type { RequestOf } from './requests.js';

/** What a worker needs of the settings: `SettingsRegistry` has it. */
export interface WorkerSettings {
  describe(): Record<string, Record<string, object>>;
  toTexts(): Record<string, Record<string, string>>;
  fromTexts(texts: Readonly<Record<string, Readonly<Record<string, string>>>>): { readonly notes: readonly string[] };
}

/** What a worker serves: `reconstructorLibraries()` has it. */
export interface WorkerLibraries {
  readonly settings: WorkerSettings;
  readonly libraries: readonly { readonly name: string; readonly logger: LibraryLogger }[];
  readonly entries: readonly {
    readonly displayName: string;
    readonly simpleName: string;
    readonly reconstructor: Reconstructor;
  }[];
  find(name: string): Reconstructor;
  dispose(): Promise<void>;
}

/** Who answers. */
export interface Service {
  readonly libraries: WorkerLibraries;
  readonly writer: FrameWriter;
  readonly createdBy: { readonly package: string; readonly version: string };
}

/** A request at work. */
export interface Work {
  readonly frame: Pick<Frame, 'number' | 'blobs'>;
  readonly signal: AbortSignal;
  /** Sends a frame that belongs to the request. */
  tell(tag: Tag, fields: Readonly<Record<string, unknown>>, arrays?: Readonly<Record<string, OutgoingArray>>): void;
}

type Answer = Readonly<Record<string, unknown>>;
type Handler<V extends Verb> = (service: Service, request: RequestOf<V>, work: Work) => Promise<Answer> | Answer;

/** Those that wait for their turn; `cancel` and `shutdown` do not. */
export type QueuedVerb = Exclude<Verb, 'cancel' | 'shutdown'>;

export const HANDLERS: { readonly [V in QueuedVerb]: Handler<V> } = {
  initialize(service, { protocol, log_level, settings }, work) {
    if (protocol !== PROTOCOL_VERSION) {
      throw new PtychoError(
        'FORMAT_UNSUPPORTED',
        `This worker speaks version ${PROTOCOL_VERSION} of the protocol, not ${protocol}; use another version of ptychopinn or of its client.`,
        { found: protocol, expected: PROTOCOL_VERSION },
      );
    }
    if (log_level !== undefined) setLevel(service, log_level);
    const notes = settings === undefined ? [] : setSettings(service, settings);
    syncSettings(service, work);
    return { ...capabilities(service), notes };
  },

  'settings/describe': ({ libraries }) => ({ groups: libraries.settings.describe() }),

  'settings/set'(service, { settings }, work) {
    const notes = setSettings(service, settings);
    syncSettings(service, work);
    return { notes };
  },

  'log/level': (service, { level }) => ({ level: setLevel(service, level) }),

  async 'model/open'(service, request, work) {
    const reconstructor = service.libraries.find(request.reconstructor);
    const model = await requireTrainable(reconstructor, 'open one').openModel(request.path);
    syncSettings(service, work);
    return { model };
  },

  async 'model/save'(service, request, work) {
    const reconstructor = service.libraries.find(request.reconstructor);
    await requireTrainable(reconstructor, 'save one').saveModel(request.path);
    work.tell('model_saved', { path: request.path });
    return {};
  },

  async 'training/export'({ libraries }, request, work) {
    const reconstructor = requireTrainable(libraries.find(request.reconstructor), 'export data to train one');
    await reconstructor.exportTrainingData(request.path, await inputOf(request, work));
    return { path: request.path };
  },

  async 'reconstruct/start'(service, request, work) {
    const reconstructor = service.libraries.find(request.reconstructor);
    const input = await inputOf(request, work);
    const { interval_s, arrays } = request.previews;
    const preview = (output: ReconstructOutput): void =>
      work.tell(
        'output',
        { ...progressOf(output), final: false },
        arrays ? previewArrays(output.product, input.product) : undefined,
      );
    const last = await follow(service, reconstructor.reconstruct(input), interval_s, preview);
    if (last === undefined) return {};
    const { path: target, arrays: wanted = target === undefined } = request.output;
    // What was cancelled replaces no file.
    const file = target === undefined || work.signal.aborted ? undefined : await productFile(target);
    if (file !== undefined) await writeProductFile(file, last.product);
    const fields = { ...progressOf(last), final: true, product: productHeaderOf(last.product) };
    work.tell(
      'output',
      file === undefined ? fields : { ...fields, product_path: file },
      wanted ? productArrays(last.product) : undefined,
    );
    return file === undefined ? {} : { product_path: file };
  },

  async 'train/start'(service, request, work) {
    const reconstructor = requireTrainable(service.libraries.find(request.reconstructor), 'train one');
    const { input_dir, output_dir } = request;
    const tell = (output: TrainOutput, final: boolean): void =>
      work.tell('train_output', {
        ...progressOf(output),
        final,
        training_loss: columns(output.trainingLoss),
        validation_loss: columns(output.validationLoss),
      });
    const steps = reconstructor.train(input_dir, output_dir, { signal: work.signal });
    const last = await follow(service, steps, TRAIN_INTERVAL_S, (output) => tell(output, false));
    if (last) tell(last, true);
    syncSettings(service, work);
    // Without an epoch there is no new model.
    const file = last && last.progress > 0 ? reconstructor.modelInfo?.path : undefined;
    if (file === undefined) return {};
    work.tell('model_saved', { path: file });
    return { model_path: file };
  },
};

/** Short epochs are not told one by one. */
const TRAIN_INTERVAL_S = 0.1;

/**
 * Follows work to its end: shows a step before the last when `interval_s` have passed and the host has taken what it was shown
 * before. Returns the last one, shown or not.
 */
async function follow<T extends { readonly progress: number; readonly progressGoal: number }>(
  { writer }: Service,
  steps: AsyncIterable<T>,
  interval_s: number,
  show: (step: T) => void,
): Promise<T | undefined> {
  let last: T | undefined;
  let shown_ms = Number.NEGATIVE_INFINITY;
  for await (const step of steps) {
    last = step;
    const complete = step.progressGoal > 0 && step.progress >= step.progressGoal;
    const now = performance.now();
    if (complete || !writer.idle || now - shown_ms < interval_s * 1000) continue;
    show(step);
    shown_ms = now;
  }
  return last;
}

function progressOf({ progress, progressGoal, result }: Pick<TrainOutput, 'progress' | 'progressGoal' | 'result'>) {
  return { progress, progress_goal: progressGoal, result };
}

/** Losses as two lists; a loss that is no finite number is null. */
function columns(losses: TrainOutput['trainingLoss']) {
  return { epochs: losses.map(({ epoch }) => epoch), values: losses.map(({ value }) => value) };
}

/** What is to be reconstructed, with its arrays loaded. */
async function inputOf(
  request: Pick<RequestOf<'training/export'>, 'patterns' | 'product'>,
  work: Work,
): Promise<ReconstructInput> {
  const arrays = new FrameArrays(work.frame);
  const given = 'path' in request.product ? [] : PRODUCT_ARRAYS;
  arrays.only(request.patterns ? ['bad_pixels', ...given] : ['patterns', 'indexes', 'bad_pixels', ...given]);
  const product =
    'path' in request.product ? await readProductFile(request.product.path) : await productOf(request.product, arrays);
  return {
    patterns: request.patterns ? request.patterns.path : await patternsOf(arrays),
    badPixels: arrays.has('bad_pixels') ? (await arrays.real('bad_pixels', [2])).data : null,
    product,
    signal: work.signal,
  };
}

async function patternsOf(arrays: FrameArrays): Promise<PatternStack> {
  const patterns = await arrays.real('patterns', [3]);
  if (!arrays.has('indexes')) return patterns;
  const { data: indexes } = await arrays.real('indexes', [1]);
  if (indexes.length !== patterns.shape[0]) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `There are ${indexes.length} indexes for patterns of shape ${formatShape(patterns.shape)}; one for each is expected.`,
      { key: 'indexes', found: indexes.length, expected: patterns.shape[0] },
    );
  }
  return { ...patterns, indexes };
}

/** A product file, from its own name or that of its folder. */
async function productFile(target: string): Promise<string> {
  if (/\.(h5|hdf5|npz)$/i.test(target)) return target;
  const found = await stat(target).catch(() => undefined);
  if (found?.isDirectory()) return path.join(target, PRODUCT_OUT);
  throw new PtychoError(
    'OUTPUT_UNWRITABLE',
    `${target} is neither a folder nor a name that ends in .h5, .hdf5 or .npz; the product cannot be written there.`,
    { path: target },
  );
}

function setLevel({ libraries }: Service, word: string): string {
  const level = parseLogLevel(word);
  for (const { logger } of libraries.libraries) logger.setLevel(level);
  return level;
}

function setSettings({ libraries }: Service, values: RequestOf<'settings/set'>['settings']): readonly string[] {
  const texts = Object.entries(values).map(
    ([group, entries]) =>
      [group, Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, String(value)]))] as const,
  );
  return libraries.settings.fromTexts(Object.fromEntries(texts)).notes;
}

function syncSettings({ libraries }: Service, work: Work): void {
  work.tell('settings_sync', { settings: libraries.settings.toTexts() });
}

function capabilities({ libraries, createdBy }: Service): Answer {
  return {
    protocol: PROTOCOL_VERSION,
    ...createdBy,
    verbs: VERBS,
    limits: FRAME_LIMITS,
    dtypes: Object.keys(DTYPE_BYTES),
    log_levels: Object.keys(LOG_LEVELS),
    reconstructors: libraries.entries.map(({ displayName, simpleName, reconstructor }) => ({
      name: displayName,
      simple_name: simpleName,
      is_trainable: reconstructor.isTrainable,
      is_model_loaded: isTrainable(reconstructor) && reconstructor.isModelLoaded(),
      progress_goal: reconstructor.progressGoal(),
      ...(isTrainable(reconstructor)
        ? {
            model_file_filter: reconstructor.modelFileFilter,
            model_file_extension: reconstructor.modelFileExtension,
            training_data_file_filter: reconstructor.trainingDataFileFilter,
            training_data_path: reconstructor.trainingDataPath(),
          }
        : {}),
    })),
  };
}
