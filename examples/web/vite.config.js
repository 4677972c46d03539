import { defineConfig } from 'vite';

// What isolates the page: with it solvers take all threads.
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

export default defineConfig({
  base: './',
  // Threads load what they need as modules.
  worker: { format: 'es' },
  server: { headers },
  preview: { headers },
});
