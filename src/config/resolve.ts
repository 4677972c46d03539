/**
 * From what was given to one frozen configuration: flag before file before dataset or bundle metadata before default,
 * with a record of where each value came from.
 *
 * @example
 * const { config, provenance } = resolveConfig(trainingDefinition, {
 *   flags: { nepochs: 5 },
 *   file: { origin: 'run.yaml', values: { nepochs: 20, model: { gridsize: 2 } } },
 * });
 * config.nepochs; // 5
 * provenance.gridsize; // { value: 2, source: 'file', origin: 'run.yaml' }
 */

import type { z } from 'zod';
import { PtychoError } from '../core/errors.js';
import type { Provenance, ProvenanceEntry } from '../core/services.js';
import { counted } from '../core/words.js';
import { type Collection, collectLayer, newCollection, show } from './collect.js';
import { allFields, type ConfigDefinition, sectionOf, trainingDefinition } from './definition.js';
import { expandWords } from './expand.js';
import { expandSimulation } from './expandSimulation.js';
import { DEFAULT_GROUPS, type TrainingConfig, type TrainingRequest, trainingConfigSchema } from './schema.js';
import { isNetworkSide, NETWORK_SIDES, networkSideRemedy } from './sides.js';
import { isTorchShaped } from './torch/blocks.js';
import { collectTorchFile } from './torch/layers.js';

/** A configuration with its provenance; both are frozen. */
export interface Resolved<T> {
  readonly config: T;
  readonly provenance: Provenance;
  /** What was understood in another way than it was written, or settled by the data: one sentence each. */
  readonly notes: readonly string[];
  /** What should be written differently next time: one sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Values read from a file or its metadata: flat or in the blocks `model`, `data` and `execution`, with names of this
 * package or of the legacy dictionary; a file may also be of the PyTorch style (`torchBlocks.ts`).
 */
export interface Layer {
  readonly origin: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** What was given, strongest first; an `undefined` value counts as not given. */
export interface Layers {
  /** Flat: field name → value. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly file?: Layer;
  readonly metadata?: Layer;
}

/** What the scan that was opened says about the configuration. */
export interface DatasetFacts {
  /** Side of the patterns in pixels. */
  readonly N: number;
  /** Patterns that may become groups. */
  readonly count: number;
  /** Where the scan was read from, for messages. */
  readonly origin: string;
  /** Values that the file's metadata gives, `{ nphotons: 1e6 }`; they replace defaults only. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/**
 * Merges the layers, checks every value and freezes the result.
 * @throws PtychoError CONFIG_UNKNOWN_KEY for a key that no field has, CONFIG_INVALID for a value that is refused.
 */
export function resolveConfig<T>(definition: ConfigDefinition<T>, layers: Layers): Resolved<T> {
  const collection = newCollection();
  const { metadata, file, flags } = layers;
  // Weakest first, so that a stronger layer overwrites.
  if (metadata) collectLayer(definition, { ...metadata, source: 'metadata' }, collection);
  const checkTorch =
    file && takesTorch(definition) && isTorchShaped(file.values)
      ? collectTorchFile(definition, file, collection)
      : undefined;
  if (file && !checkTorch) collectLayer(definition, { ...file, source: 'file' }, collection);
  if (flags) collectLayer(definition, { source: 'flag', values: flags }, collection);
  checkTorch?.();
  return settle(definition, collection);
}

/** Parses what was collected and freezes the result. */
export function settle<T>(definition: ConfigDefinition<T>, collection: Collection): Resolved<T> {
  if (definition.name === 'training') expandWords(collection);
  if (definition.name === 'simulation') expandSimulation(collection);
  const { given, notes, warnings } = collection;
  checkTogether(given);
  const parsed = definition.schema.safeParse(nest(definition, given));
  if (!parsed.success) throw invalid(definition, parsed.error, given);
  const config = deepFreeze(parsed.data) as T;
  return deepFreeze({ config, provenance: provenanceOf(definition, config, given), notes, warnings });
}

function takesTorch(definition: ConfigDefinition<unknown>): boolean {
  return definition.name === 'training' || definition.name === 'inference';
}

/** Two fields for one thing: both may be there only when they agree. */
function checkTogether(given: ReadonlyMap<string, ProvenanceEntry>): void {
  const [own, published] = [given.get('batch_size'), given.get('inference_batch_size')];
  // Only infer has model_path: there both mean the groups of one prediction.
  if (!given.has('model_path') || !own || published?.value == null || own.source === 'default') return;
  if (own.value === published.value) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `batch_size is ${show(own.value)}, but inference_batch_size, which means the same, is ${show(published.value)}; keep one of them.`,
    { field: 'inference_batch_size' },
  );
}

/**
 * Completes a training request with what its data file says: N always, metadata such as `nphotons` where only the
 * default stands against it, and the number of groups where the default or the word `all` left it open.
 *
 * Without `provenance` every value counts as deliberately given, so that metadata replaces none.
 * @throws PtychoError CONFIG_INVALID when the request names another N than the file has, or the file's N is unsupported.
 */
export function finaliseTrainingConfig(
  request: TrainingRequest,
  dataset: DatasetFacts,
  provenance?: Provenance,
): Resolved<TrainingConfig> {
  const { N, origin } = dataset;
  const asked = request.model.N;
  if (asked !== undefined && asked !== N) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `N is given as ${asked}, but the patterns in ${origin} are ${N} × ${N}; leave N out, it is taken from the file.`,
      { field: 'N', found: asked, expected: N, path: origin },
    );
  }
  if (!isNetworkSide(N)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `The patterns in ${origin} are ${N} × ${N}, but networks take ${NETWORK_SIDES}; ${networkSideRemedy(N)}.`,
      { field: 'N', found: N, expected: NETWORK_SIDES, path: origin },
    );
  }
  const given = new Map<string, ProvenanceEntry>(Object.entries(provenance ?? everythingGiven(request)));
  if (asked === undefined) given.set('N', { value: N, source: 'metadata', origin });
  const known = new Set(allFields(trainingDefinition).map((field) => field.name));
  for (const [name, value] of Object.entries(dataset.values ?? {})) {
    // A file may say more than there are fields for.
    if (!known.has(name) || value === undefined || value === null) continue;
    if (given.get(name)?.source === 'default') given.set(name, { value, source: 'metadata', origin });
  }
  const notes = settleGroups(given, dataset);
  const parsed = trainingConfigSchema.safeParse(nest(trainingDefinition, given));
  if (!parsed.success) throw invalid(trainingDefinition, parsed.error, given);
  const config: TrainingConfig = deepFreeze(parsed.data);
  return deepFreeze({ config, provenance: provenanceOf(trainingDefinition, config, given), notes, warnings: [] });
}

/** `all` is one group for each pattern; nothing given is the published number, or fewer where the scan has fewer. */
function settleGroups(given: Map<string, ProvenanceEntry>, { count, origin }: DatasetFacts): string[] {
  const asked = given.get('n_groups');
  if (typeof asked?.value === 'number') return [];
  if (asked?.value === 'all') {
    given.set('n_groups', { ...asked, value: count });
    return [];
  }
  given.set('n_groups', { value: Math.min(DEFAULT_GROUPS, count), source: 'default' });
  if (count === DEFAULT_GROUPS) return [];
  return [
    count < DEFAULT_GROUPS
      ? `n_groups is ${count}: its default is ${DEFAULT_GROUPS}, and ${origin} has ${counted(count, 'pattern')}.`
      : `n_groups is ${DEFAULT_GROUPS}, its default, of ${counted(count, 'pattern')} in ${origin}; n_groups all makes one group for each.`,
  ];
}

function everythingGiven(request: TrainingRequest): Record<string, ProvenanceEntry> {
  const entries: Record<string, ProvenanceEntry> = {};
  for (const field of allFields(trainingDefinition)) {
    const value = valueAt(trainingDefinition, request, field.name);
    if (value !== undefined) entries[field.name] = { value, source: 'caller' };
  }
  return entries;
}

function nest(
  definition: ConfigDefinition<unknown>,
  given: ReadonlyMap<string, ProvenanceEntry>,
): Record<string, unknown> {
  const top: Record<string, unknown> = {};
  for (const section of definition.sections) {
    const target: Record<string, unknown> = {};
    for (const field of section.fields) {
      const entry = given.get(field.name);
      if (entry !== undefined) target[field.name] = entry.value;
    }
    if (section.key === null) Object.assign(top, target);
    else if (!section.claim || Object.keys(target).length > 0) top[section.key] = target;
  }
  return top;
}

function provenanceOf(
  definition: ConfigDefinition<unknown>,
  config: unknown,
  given: ReadonlyMap<string, ProvenanceEntry>,
): Record<string, ProvenanceEntry> {
  const entries: Record<string, ProvenanceEntry> = {};
  for (const field of allFields(definition)) {
    const value = valueAt(definition, config, field.name);
    if (value === undefined) continue;
    entries[field.name] = Object.freeze(given.get(field.name) ?? { value, source: 'default' as const });
  }
  return entries;
}

function valueAt(definition: ConfigDefinition<unknown>, config: unknown, name: string): unknown {
  const key = sectionOf(definition, name)?.key ?? null;
  const holder = key === null ? config : (config as Record<string, unknown>)[key];
  return (holder as Record<string, unknown> | undefined)?.[name];
}

function invalid(
  definition: ConfigDefinition<unknown>,
  error: z.ZodError,
  given: ReadonlyMap<string, ProvenanceEntry>,
): PtychoError {
  // One sentence: the first thing that is wrong; the others wait for the next attempt but are in the fields.
  const sentences = error.issues.map((issue) => {
    if (issue.code === 'custom' && issue.message !== 'Invalid input') return issue.message;
    const name = String(issue.path.at(-1));
    const field = allFields(definition).find((candidate) => candidate.name === name);
    const entry = given.get(name);
    if (field && entry && field.unavailable.includes(String(entry.value))) return issue.message;
    if (entry === undefined) return `${name} is needed: ${field?.description ?? ''}`;
    return `${name} must be ${field?.expected ?? 'valid'}, got ${show(entry.value)} (${placeOf(name, entry)}).`;
  });
  return new PtychoError('CONFIG_INVALID', sentences[0], {
    field: error.issues[0].path.at(-1),
    problems: sentences,
  });
}

function placeOf(name: string, entry: ProvenanceEntry): string {
  if (entry.origin !== undefined) return entry.origin;
  return entry.source === 'flag' ? `--${name}` : entry.source;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
