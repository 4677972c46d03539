// Opens and verifies every damaged copy of a product and tells what came of them: run by damageSuite.ts in a process of its own.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { patternsOf } from '../../../dist/persistence/product/arrays.js';
import { readProductFile } from '../../../dist/persistence/product/readProduct.js';
import { verifyProductFile } from '../../../dist/persistence/verify.js';

const [sound, folder] = process.argv.slice(2);

/** All content of a product, as one hash that owes nothing to the one in the file. */
async function contentOf(file) {
  const product = await readProductFile(file);
  const hash = createHash('sha256');
  const see = (value) => {
    if (ArrayBuffer.isView(value)) hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    else if (typeof value === 'object' && value !== null) {
      for (const key of Object.keys(value).sort()) {
        hash.update(`${key}:`);
        see(value[key]);
      }
    } else if (typeof value !== 'function') hash.update(String(value));
  };
  see(product);
  if (product.raw_data) for await (const piece of patternsOf(product.raw_data).pieces()) see(piece);
  return hash.digest('hex');
}

/** The most memory this process had. */
const peakBytes = () => 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0);

async function outcomeOf(work) {
  try {
    return { value: await work() };
  } catch (error) {
    if (error?.name !== 'PtychoError' || error.message.includes('\n')) return { odd: String(error?.stack ?? error) };
    return { refused: error.message };
  }
}

const right = await contentOf(sound);
await verifyProductFile(sound);
globalThis.gc?.();
// From here on the peak counts anew, where the system can do that.
try {
  writeFileSync('/proc/self/clear_refs', '5');
} catch {}
const before = peakBytes();
const found = { opened: 0, refused: 0, changed: [], verified: [], odd: [], grownBytes: 0 };
for (const [i, name] of readdirSync(folder).entries()) {
  const file = path.join(folder, name);
  const opening = await outcomeOf(() => contentOf(file));
  const verifying = await outcomeOf(() => verifyProductFile(file));
  for (const { odd } of [opening, verifying]) if (odd) found.odd.push(`${name}: ${odd}`);
  if (opening.refused) found.refused++;
  else if (opening.value === right) found.opened++;
  else if (opening.value) found.changed.push(name);
  if (verifying.value) found.verified.push(name);
  if (i % 10 === 9) globalThis.gc?.();
}
found.grownBytes = peakBytes() - before;
console.log(JSON.stringify(found));
