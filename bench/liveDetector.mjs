/** The detector of bench/live.mjs, a process of its own: sends the frames of a scan, and prints what that took. */
import { openDataset } from '../dist/data/openDataset.js';
import { publishScan } from '../dist/live/publish.js';

const [file, address, hz, encoding, frames] = process.argv.slice(2);
const raw = await openDataset(file, { frames: `0:${frames}` });
const [begun, cpu] = [performance.now(), process.cpuUsage()];
const sent = await publishScan(raw, { address, framesPerSecond: Number(hz), encoding });
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ frames: sent, seconds: (performance.now() - begun) / 1000, cpu: (user + system) / 1e6 }));
await raw.close();
