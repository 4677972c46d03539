/**
 * One folder in, one folder out, as Ptychodus' batch mode has it: `settings.ini`, `diffraction.h5` and `product-in.h5` become
 * `product-out.h5`, or a trained model.
 *
 * @example
 * const done = await runBatch({ action: 'reconstruct', input: 'staged', output: 'done', settings: 'settings.ini' });
 * done.files; // ['done/product-out.h5']
 */
import { lstat, stat } from 'node:fs/promises';
import path from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { CONFIG_BYTES, closing, readTextInput } from '../../core/inputFile.js';
import type { Logger, ProgressSink } from '../../core/log.js';
import { type OwnedFolder, withOutputFolder } from '../../formats/outputs.js';
import { BUNDLE_FILE } from '../../persistence/bundle.js';
import { readProductFile } from '../../persistence/product/readProduct.js';
import { writeProductFile } from '../../persistence/product/writeProduct.js';
import { type ReconstructorLibraries, type RegisteredReconstructor, reconstructorLibraries } from './library.js';
import { chosenPath, PtychoPinnSettings } from './settings/settings.js';
import { isFile, TRAIN_FILE } from './training.js';
import { isTrainable, type LogLevel, RESULT_OK, type TrainOutput } from './types.js';

/** What can be asked for. */
const BATCH_ACTIONS = ['reconstruct', 'train'] as const;
export type BatchAction = (typeof BATCH_ACTIONS)[number];

/**
 * Names of the files in the two folders. Under Python 3.10 and 3.11 Ptychodus stages the same files under the names of its
 * enumeration: `StandardFileLayout.SETTINGS`.
 */
const BATCH_FILES = {
  settings: ['settings.ini', 'StandardFileLayout.SETTINGS'],
  patterns: ['diffraction.h5', 'StandardFileLayout.DIFFRACTION'],
  input: ['product-in.h5', 'StandardFileLayout.PRODUCT_IN'],
  output: ['product-out.h5', 'StandardFileLayout.PRODUCT_OUT'],
} as const;

/** What {@link runBatch} is told. */
export interface BatchRequest {
  readonly action: BatchAction;
  /** Folder of the input files. */
  readonly input: string;
  /** Folder for the results; made if missing. */
  readonly output: string;
  /**
   * Settings file, read before `settings.ini` of the input folder, whose values win. As in Ptychodus, `train` reads this one alone
   * where it is given.
   */
  readonly settings?: string;
  readonly logLevel?: LogLevel;
  readonly signal?: AbortSignal;
  readonly logger?: Logger;
  readonly onProgress?: ProgressSink;
}

/** What came of it. */
export interface BatchResult {
  /** Display name of the reconstructor. */
  readonly reconstructor: string;
  /** 0 where all is well; then, and only then, there are files. */
  readonly result: number;
  readonly files: readonly string[];
}

/**
 * Runs one action on a folder.
 *
 * - `reconstruct`: the model is that of the setting `PtychoPINNInference/ModelPath`, or a bundle in the input folder; solvers need
 *   none.
 * - `train`: on `train_data.npz` (and `test_data.npz`) of the input folder, or, where there is none, on `diffraction.h5` with
 *   `product-in.h5`; the output folder gets `wts.zip`.
 *
 * Results appear whole or not at all: one that was cancelled leaves no `product-out.h5`, so that nobody who watches the folder
 * takes it for the image.
 * @throws PtychoError FILE_NOT_FOUND naming what is missing, CONFIG_INVALID for settings, and those of the reconstructor
 */
export async function runBatch(given: BatchRequest): Promise<BatchResult> {
  await requireFolder(given.input);
  // The host decides what its folders hold: a batch that is repeated replaces its results.
  const claim = { command: `batch -b ${given.action}`, overwrite: true, results: [] };
  return withOutputFolder(given.output, claim, given, (folder) => runInto(folder, { ...given, signal: folder.signal }));
}

async function runInto(folder: OwnedFolder, request: BatchRequest): Promise<BatchResult> {
  return closing(reconstructorLibraries({ logger: request.logger }), async (libraries) => {
    const settings = await readSettings(libraries, request);
    const entry = libraries.entry(settings.reconstructor.algorithm.value);
    if (request.logLevel) entry.library.logger.setLevel(request.logLevel);
    const done =
      request.action === 'train'
        ? await train(entry, request, folder)
        : await reconstruct(entry, settings, request, folder);
    return { reconstructor: entry.displayName, ...done };
  });
}

type Done = Omit<BatchResult, 'reconstructor'>;

async function reconstruct(
  { reconstructor, displayName }: RegisteredReconstructor,
  settings: PtychoPinnSettings,
  request: BatchRequest,
  folder: OwnedFolder,
): Promise<Done> {
  const input = await hostInput(request);
  if (isTrainable(reconstructor)) await reconstructor.openModel(await modelOf(settings, request.input));
  // What keeps the result from being written is found out before the work.
  await folder.make();
  let last: { readonly product: typeof input.product; readonly result: number } | undefined;
  for await (const output of reconstructor.reconstruct(input)) {
    last = output;
    const { progress, progressGoal } = output;
    request.onProgress?.({ stage: displayName, done: progress, total: progressGoal, unit: '%' });
  }
  if (!last || last.result !== RESULT_OK) return { result: last?.result ?? 1, files: [] };
  const [plain, enumerated] = BATCH_FILES.output;
  // Who staged the other names looks for the other name.
  const name = path.basename(input.productFile) === BATCH_FILES.input[1] ? enumerated : plain;
  const file = path.join(request.output, name);
  await writeProductFile(file, last.product, { format: 'hdf5' });
  return { result: RESULT_OK, files: [file] };
}

async function train(
  { reconstructor, displayName }: RegisteredReconstructor,
  request: BatchRequest,
  folder: OwnedFolder,
): Promise<Done> {
  const { input, output, signal } = request;
  if (!reconstructor.isTrainable)
    throw new PtychoError('CONFIG_INVALID', learnsNothing(displayName), { key: ALGORITHM });
  const exported = await isFile(path.join(input, TRAIN_FILE));
  const host = exported ? undefined : await hostInput(request);
  await folder.make();
  const outputs = host ? reconstructor.trainOn(host, output) : reconstructor.train(input, output, { signal });
  let last: TrainOutput | undefined;
  for await (const told of outputs) {
    last = told;
    const { progress, progressGoal, trainingLoss } = told;
    const note = trainingLoss.length > 0 ? `loss ${trainingLoss[trainingLoss.length - 1].value.toPrecision(4)}` : '';
    request.onProgress?.({ stage: displayName, done: progress, total: progressGoal, unit: 'epochs', note });
  }
  const saved = (last?.trainingLoss.length ?? 0) > 0;
  return { result: last?.result ?? 1, files: saved ? [path.join(output, BUNDLE_FILE)] : [] };
}

const ALGORITHM = 'Reconstructor/Algorithm';

const learnsNothing = (name: string) =>
  `${name} computes without a model, so there is nothing to train; use -b reconstruct, or set ${ALGORITHM} to PtychoPINN/PINN or PtychoPINN/Supervised.`;

/** Patterns and product of the input folder. */
async function hostInput({ input, signal }: BatchRequest) {
  const patterns = await stagedFile(input, BATCH_FILES.patterns, 'the assembled patterns');
  const productFile = await stagedFile(input, BATCH_FILES.input, 'positions, probe and object');
  return { patterns, product: await readProductFile(productFile), productFile, signal };
}

async function stagedFile(input: string, names: readonly [string, string], what: string): Promise<string> {
  for (const name of names) if (await isFile(path.join(input, name))) return path.join(input, name);
  throw new PtychoError(
    'FILE_NOT_FOUND',
    `The folder ${input} holds no ${names[0]} (${what}); it must have ${BATCH_FILES.patterns[0]} and ${BATCH_FILES.input[0]}, as Ptychodus stages them.`,
    { path: path.join(input, names[0]) },
  );
}

async function modelOf({ inference }: PtychoPinnSettings, input: string): Promise<string> {
  const named = chosenPath(inference.modelPath);
  if (named !== undefined) return named;
  for (const name of [BUNDLE_FILE, 'wts.h5.zip']) {
    if (await isFile(path.join(input, name))) return path.join(input, name);
  }
  throw new PtychoError(
    'FILE_NOT_FOUND',
    `There is no model to reconstruct with: name one in the setting ModelPath of [PtychoPINNInference], or put ${BUNDLE_FILE} into ${input}.`,
    { key: 'PtychoPINNInference/ModelPath', path: input },
  );
}

async function readSettings(
  { settings: registry }: ReconstructorLibraries,
  { action, settings, input, logger }: BatchRequest,
): Promise<PtychoPinnSettings> {
  const staged: string[] = [];
  for (const name of BATCH_FILES.settings) {
    const beside = path.join(input, name);
    if (staged.length === 0 && (await isThere(beside))) staged.push(beside);
  }
  const given = settings === undefined ? [] : [settings];
  const alone = action === 'train' && given.length > 0;
  if (alone && staged.length > 0) {
    logger?.info(`${staged[0]} is not read: as in Ptychodus, a training has the settings of ${settings} alone.`);
  }
  const files = alone ? given : [...given, ...staged];
  if (files.length === 0) {
    const beside = path.join(input, BATCH_FILES.settings[0]);
    logger?.info(`There is no ${beside} and no other settings file, so all settings are defaults.`);
  }
  const before = registry.toTexts();
  for (const file of files) {
    const { notes } = registry.fromIni(
      await readTextInput(file, { maxBytes: CONFIG_BYTES, what: 'settings file' }),
      file,
    );
    for (const note of notes) logger?.warn(note);
    if (file === settings || settings === undefined || alone) Object.assign(before, registry.toTexts());
    else tellReplaced(before, registry.toTexts(), settings, file, logger);
  }
  return new PtychoPinnSettings(registry);
}

type Texts = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What the file of the folder says otherwise than the one that was given: whoever gave it should know. */
function tellReplaced(given: Texts, now: Texts, settings: string, file: string, logger: Logger | undefined): void {
  const replaced = Object.entries(now).flatMap(([group, values]) =>
    Object.entries(values).flatMap(([key, text]) =>
      given[group]?.[key] === text ? [] : [`${group}/${key} ${given[group]?.[key]} → ${text}`],
    ),
  );
  if (replaced.length > 0) logger?.info(`${file} wins over ${settings}: ${replaced.join(', ')}.`);
}

/** Anything, also what is then refused: a pipe of that name is no missing file. */
const isThere = (file: string) => lstat(file).then(() => true, () => false); // biome-ignore format: one line

async function requireFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new PtychoError(
    'FILE_NOT_FOUND',
    `${folder} is ${found ? 'no folder' : 'not there'}; give the folder that holds ${BATCH_FILES.patterns[0]} and ${BATCH_FILES.input[0]} (-i).`,
    { path: folder },
  );
}
