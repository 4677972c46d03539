/** `npm run coverage`, its last step: lines and branches that the tests reach, a row for each room of `src`, as Markdown. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

const summary = JSON.parse(readFileSync('coverage/coverage-summary.json', 'utf8'));
const rooms = new Map();
for (const [file, { lines, branches }] of Object.entries(summary)) {
  const room = file === 'total' ? 'all' : path.relative('src', file).split(path.sep)[0].replace(/\.ts$/, '');
  const sums = rooms.get(room) ?? { lines: [0, 0], branches: [0, 0] };
  for (const [sum, { covered, total }] of [
    [sums.lines, lines],
    [sums.branches, branches],
  ]) {
    sum[0] += covered;
    sum[1] += total;
  }
  rooms.set(room, sums);
}
const percent = ([covered, total]) => (total === 0 ? '–' : `${((100 * covered) / total).toFixed(1)} %`);
console.log('| room | lines | branches |\n|---|---|---|');
for (const [room, { lines, branches }] of [...rooms].sort(([a], [b]) =>
  a === 'all' ? 1 : b === 'all' ? -1 : a < b ? -1 : 1,
)) {
  console.log(`| ${room} | ${percent(lines)} | ${percent(branches)} |`);
}
