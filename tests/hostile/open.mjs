// Opens a scan as a user would and tells what came of it and what it cost: run by hostile.test.ts in a process of its own.
import { readFileSync } from 'node:fs';
// Not all of the package: loading it would be most of the time.
import { measureStatistics } from '../../dist/data/normalise.js';
import { openDataset } from '../../dist/data/openDataset.js';

const [file, options = '{}'] = process.argv.slice(2);

async function open(given) {
  try {
    const raw = await openDataset(file, given);
    try {
      const first = Int32Array.from({ length: Math.min(32, raw.count) }, (_, i) => i);
      await measureStatistics(raw.patterns, first);
      return { opened: true, notes: raw.notes };
    } finally {
      await raw.close();
    }
  } catch (error) {
    return { opened: false, name: error.name, code: error.code, message: error.message };
  }
}

/** The most memory this process had. What the system reports as maxRSS includes the parent's, up to the fork. */
function peakBytes() {
  try {
    return 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  } catch {
    return 1024 * process.resourceUsage().maxRSS;
  }
}

// One set of options or a list of them; memory is that of all together.
for (const given of [JSON.parse(options)].flat()) {
  console.log(JSON.stringify({ ...(await open(given)), peakBytes: peakBytes() }));
}
