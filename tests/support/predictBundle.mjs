// Opens bundles on a backend, writes what they predict for fixed patterns as float32, and saves them again.
// node predictBundle.mjs BACKEND OUT BUNDLE COPY [BUNDLE COPY …]
import { writeFile } from 'node:fs/promises';
import { PtychoModel } from '../../dist/index.js';

const [backend, out, ...files] = process.argv.slice(2);
const parts = [];
for (let i = 0; i < files.length; i += 2) {
  const model = await PtychoModel.open(files[i], { backend, execution: { accelerator: 'cpu', threads: 1 } });
  if (model.info.backend !== backend) throw new Error(`it runs on ${model.info.backend}`);
  const [B, C, N] = [3, model.gridsize ** 2, model.N];
  const data = Float32Array.from({ length: B * C * N * N }, (_, k) => Math.abs(Math.sin(1.37 * k)) / 2);
  const offsets = Float32Array.from({ length: B * C * 2 }, (_, k) => (C > 1 ? 3 * Math.sin(2.1 * k) : 0));
  const patches = await model.predict({ data, shape: [B, C, N, N] }, { data: offsets, shape: [B, C, 1, 2] });
  parts.push(patches.re, patches.im);
  await model.save(files[i + 1]);
  await model.dispose();
}
await writeFile(out, Buffer.concat(parts.map((p) => Buffer.from(p.buffer, p.byteOffset, p.byteLength))));
