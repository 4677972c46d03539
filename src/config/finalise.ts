/** From a training request and the scan that was opened to the configuration of a run. */

import { PtychoError } from '../core/errors.js';
import { show } from '../core/field.js';
import type { Provenance, ProvenanceEntry } from '../core/services.js';
import { counted } from '../core/words.js';
import { isNetworkSide, NETWORK_SIDES, networkSideRemedy } from '../networks/sides.js';
import { trainingDefinition } from './commands.js';
import { allFields, type ConfigDefinition } from './definition.js';
import { parseGiven, type Resolved, valueAt } from './resolve.js';
import { type TrainingConfig, type TrainingRequest, trainingConfigSchema } from './schemas/training.js';
import { PUBLISHED_GROUPS, usualEpochs } from './schemas/trainingFields.js';

/** What the scan that was opened says about the configuration. */
export interface DatasetFacts {
  /** Side of the patterns in pixels. */
  readonly N: number;
  /** Patterns that may become groups. */
  readonly count: number;
  /** The same of each scan, where there are several. */
  readonly counts?: readonly number[];
  /** Where the scan was read from, for messages. */
  readonly origin: string;
  /** Values that the file's metadata gives, `{ nphotons: 1e6 }`; they replace defaults only. */
  readonly values?: Readonly<Record<string, unknown>>;
  /** What the bundle that the training begins from says of its network; it replaces defaults only, too. */
  readonly initial?: { readonly origin: string; readonly values: Readonly<Record<string, unknown>> };
}

/** A training run whose N is known. */
const COMPLETE: ConfigDefinition<TrainingConfig> = {
  ...trainingDefinition,
  schema: trainingConfigSchema,
  type: undefined,
};

/**
 * Completes a training request with what its data file says: N always, metadata such as `nphotons` where only the
 * default stands against it, and the numbers of groups and epochs where they were left open.
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
  const isDefault = (name: string) => given.get(name)?.source === 'default';
  for (const [name, value] of Object.entries(dataset.values ?? {})) {
    // A file may say more than there are fields for.
    if (!known.has(name) || value === undefined || value === null) continue;
    if (isDefault(name)) given.set(name, { value, source: 'metadata', origin });
  }
  const { initial } = dataset;
  for (const [name, value] of Object.entries(initial?.values ?? {})) {
    if (!isDefault(name) || show(given.get(name)?.value) === show(value)) continue;
    given.set(name, { value, source: 'metadata', origin: initial?.origin });
  }
  const notes = [...settleGroups(given, dataset), ...settleEpochs(given, dataset)];
  return parseGiven(COMPLETE, { given, notes, warnings: [] });
}

/** `all` is one group for each pattern; null is the published number, or fewer where the scan has fewer. */
function settleGroups(given: Map<string, ProvenanceEntry>, { count, counts, origin }: DatasetFacts): string[] {
  const asked = given.get('n_groups');
  if (typeof asked?.value === 'number') return [];
  if (counts) return settleSeveral(given, counts);
  if (asked?.value === 'all') {
    given.set('n_groups', { ...asked, value: count });
    return [];
  }
  given.set('n_groups', { value: Math.min(PUBLISHED_GROUPS, count), source: 'default' });
  if (count === PUBLISHED_GROUPS) return [];
  return [
    count < PUBLISHED_GROUPS
      ? `n_groups is ${count}: the published number is ${PUBLISHED_GROUPS}, and ${origin} has ${counted(count, 'pattern')}.`
      : `n_groups is ${PUBLISHED_GROUPS}, the published number, of ${counted(count, 'pattern')} in ${origin}; n_groups all makes one group for each.`,
  ];
}

/** The same of several scans: a number is that of each. */
function settleSeveral(given: Map<string, ProvenanceEntry>, counts: readonly number[]): string[] {
  if (given.get('n_groups')?.value === 'all') return [];
  given.set('n_groups', { value: PUBLISHED_GROUPS, source: 'default' });
  return counts.some((count) => count !== PUBLISHED_GROUPS)
    ? [`n_groups is ${PUBLISHED_GROUPS} of each scan, the published number, or all where a scan has fewer patterns.`]
    : [];
}

/**
 * The groups of a scan of `count` patterns.
 * @param n_groups of each scan
 */
export function groupsOf(n_groups: number | 'all' | null, count: number, several: boolean): number {
  if (typeof n_groups !== 'number') return count;
  return several ? Math.min(n_groups, count) : n_groups;
}

/** As many epochs as suit the scans, where nobody says how many. */
function settleEpochs(given: Map<string, ProvenanceEntry>, { N, count, counts = [count] }: DatasetFacts): string[] {
  const asked = given.get('nepochs');
  if (typeof asked?.value === 'number') return [];
  const ofEach = given.get('n_groups')?.value as number | 'all';
  const groups = counts.reduce((sum, count) => sum + groupsOf(ofEach, count, counts.length > 1), 0);
  const epochs = usualEpochs(groups, N);
  given.set('nepochs', { value: epochs, source: 'default' });
  return [`nepochs is ${epochs}, as suits ${counted(groups, 'group')} of N ${N}.`];
}

function everythingGiven(request: TrainingRequest): Record<string, ProvenanceEntry> {
  const entries: Record<string, ProvenanceEntry> = {};
  for (const field of allFields(trainingDefinition)) {
    const value = valueAt(trainingDefinition, request, field.name);
    if (value !== undefined) entries[field.name] = { value, source: 'caller' };
  }
  return entries;
}
