/**
 * Groups kept beside the scan: `<stem>.groups-<hash>.npz`. The file holds indices only, so it serves every backend; the hash
 * in its name covers everything that the groups depend on (positions, options, version of the algorithm), and the same facts
 * are inside and compared again, so that a file that was renamed, damaged or made by something else is never believed.
 *
 * @example
 * const groups = await cachedGroups(raw, { gridsize: 2, n_groups: 4096, neighbor_count: 7, seed: 0 });
 */

import { stat } from 'node:fs/promises';
import path from 'node:path';
import { isPtychoError, messageOf, PtychoError } from '../../core/errors.js';
import { sha256 } from '../../core/hash.js';
import { type Logger, silentLogger } from '../../core/log.js';
import { usingNpz, writeNpz } from '../../formats/npz.js';
import type { RawData } from '../rawData.js';
import { GROUPING_VERSION, type GroupingOptions, type Groups, groupScan, groupsFromMembers } from './grouping.js';
import { neighbourRule } from './neighbourFunctions.js';

/** The part of a scan that groups depend on, and where it comes from. */
export type GroupedScan = Pick<RawData, 'source' | 'xcoords' | 'ycoords'>;

/**
 * {@link groupScan}, remembered in a file beside the scan. A cache that cannot be used or written is never an error: the
 * logger is told why, and the groups are formed anew.
 * @throws PtychoError as {@link groupScan}.
 */
export async function cachedGroups(scan: GroupedScan, options: GroupingOptions): Promise<Groups> {
  const { logger = silentLogger } = options;
  const file = await groupCachePath(scan, options);
  if (file === undefined) {
    logger.info(`The groups of ${scan.source} are not kept: it is no file, so there is no place beside it.`);
    return groupScan(scan.xcoords, scan.ycoords, options);
  }
  const known = await readCache(file, scan, options, logger);
  if (known) {
    logger.info(`Groups from ${file}.`);
    return known;
  }
  const groups = groupScan(scan.xcoords, scan.ycoords, options);
  try {
    await writeNpz(file, {
      nn_indices: { data: groups.members, shape: [groups.count, groups.C] },
      skipped: { data: Int32Array.of(groups.skipped), shape: [] },
      grouping: { strings: [description(options)], shape: [] },
      positions_sha256: { strings: [positionsHash(scan)], shape: [] },
    });
    logger.info(`Groups kept in ${file}.`);
  } catch (error) {
    logger.info(`The groups are not kept: ${messageOf(error)}`);
  }
  return groups;
}

/** Where the groups of a scan are kept; undefined when its source is no file or folder. */
export async function groupCachePath(scan: GroupedScan, options: GroupingOptions): Promise<string | undefined> {
  try {
    await stat(scan.source);
  } catch {
    return undefined;
  }
  const { dir, name } = path.parse(path.resolve(scan.source));
  const hash = sha256(description(options), positionsHash(scan)).slice(0, 16);
  return path.join(dir, `${name}.groups-${hash}.npz`);
}

/** Everything that groups depend on besides the positions, in one order and with the defaults filled in. */
function description(options: GroupingOptions): string {
  const { gridsize, n_groups, neighbor_count, sequential = false, enable_oversampling = false } = options;
  const { scan_pattern, ...rule } = neighbourRule(options, gridsize);
  return JSON.stringify({
    version: GROUPING_VERSION,
    gridsize,
    n_groups,
    neighbor_count,
    neighbor_pool_size: options.neighbor_pool_size ?? neighbor_count,
    enable_oversampling,
    sequential,
    // Sequential groups use seed 0 whatever is asked for.
    seed: sequential ? 0 : (options.seed ?? 0),
    ...rule,
    // Files from before there was a choice stay good.
    ...(scan_pattern === 'isotropic' ? {} : { scan_pattern }),
  });
}

function positionsHash({ xcoords, ycoords }: GroupedScan): string {
  return sha256(...[xcoords, ycoords].flatMap((values) => [`${values.byteLength} `, values]));
}

/** The groups of a cache file that can be trusted; otherwise undefined, and the logger knows why. */
async function readCache(
  file: string,
  scan: GroupedScan,
  options: GroupingOptions,
  logger: Logger,
): Promise<Groups | undefined> {
  try {
    return await usingNpz(file, async (npz) => {
      const word = async (key: string) => {
        const array = await npz.read(key);
        return array.kind === 'text' ? array.strings[0] : undefined;
      };
      const foreign = (what: string) =>
        new PtychoError('FILE_FORMAT', `${what} differ from what its name says`, { path: file });
      if ((await word('grouping')) !== description(options)) throw foreign('its options');
      if ((await word('positions_sha256')) !== positionsHash(scan)) throw foreign('its positions');
      const { data, shape, dtype } = await npz.readReal('nn_indices');
      const [skipped] = (await npz.readReal('skipped')).data;
      const C = options.gridsize ** 2;
      const n = scan.xcoords.length;
      if (
        dtype !== 'int32' ||
        shape.length !== 2 ||
        shape[1] !== C ||
        shape[0] === 0 ||
        shape[0] > options.n_groups ||
        data.some((member) => member < 0 || member >= n)
      ) {
        throw new PtychoError('FILE_FORMAT', 'its indices do not fit the scan', { path: file });
      }
      return groupsFromMembers(Int32Array.from(data), C, scan.xcoords, scan.ycoords, skipped);
    });
  } catch (error) {
    if (isPtychoError(error, 'FILE_NOT_FOUND')) return undefined;
    logger.info(`${file} is not used, the groups are formed again: ${messageOf(error)}`);
    return undefined;
  }
}
