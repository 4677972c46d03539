// The same with esbuild: the thread is a second entry.
import { copyFileSync } from 'node:fs';
import { build } from 'esbuild';

await build({
  entryPoints: ['page.js', 'worker.js'],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  minify: true,
});
copyFileSync('index.html', 'dist/index.html');
