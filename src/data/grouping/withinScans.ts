/** Groups of a file that holds several scans (`scan_index`): no group has patterns of two. */
import { PtychoError } from '../../core/errors.js';
import { spanOf } from '../../core/numbers.js';
import type { RawData } from '../rawData.js';
import { type GroupingOptions, type Groups, groupScan, groupsFromMembers } from './grouping.js';

type Scan = Pick<RawData, 'source' | 'xcoords' | 'ycoords' | 'scanIndex'>;

/** Whether a group has patterns of two scans. */
function crosses({ members, C, count }: Groups, scanIndex: Int32Array): boolean {
  for (let g = 0; g < count; g++) {
    for (let c = 1; c < C; c++) if (scanIndex[members[g * C + c]] !== scanIndex[members[g * C]]) return true;
  }
  return false;
}

/**
 * The groups as they are where none crosses scans; else groups that are drawn with the scans moved apart, so that neighbours are of one.
 * @throws PtychoError GROUPING where a scan has too few positions for a group of its own
 */
export function groupsWithinScans(groups: Groups, raw: Scan, options: GroupingOptions): Groups {
  const { xcoords, ycoords, scanIndex } = raw;
  if (groups.C === 1 || !crosses(groups, scanIndex)) return groups;
  const scans = [...new Set(scanIndex)].sort((a, b) => a - b);
  const stride = 10 * (1 + spanOf(xcoords) + spanOf(ycoords));
  const apart = groupScan(
    xcoords.map((x, i) => x + stride * scans.indexOf(scanIndex[i])),
    ycoords,
    options,
  );
  if (crosses(apart, scanIndex)) {
    throw new PtychoError(
      'GROUPING',
      `${raw.source} holds ${scans.length} scans (scan_index), one of which has too few positions for groups of ${groups.C} with neighbor_count ${options.neighbor_count}: leave that scan out with --frames, or take --gridsize 1.`,
      { path: raw.source, found: scans.length },
    );
  }
  return groupsFromMembers(apart.members, apart.C, xcoords, ycoords, apart.skipped);
}
