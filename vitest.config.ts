import { defineConfig } from 'vitest/config';

/**
 * Rooms whose tests replace no module and end no process: their files share a process and what it has loaded, which saves a second for
 * each file. Native engines live in worker threads, one for each backend that a test makes.
 */
const together = [
  'config', 'core', 'data', 'evaluation', 'formats', 'graph', 'model', 'persistence', 'physics', 'reconstruction', 'report',
  'simulation', 'study', 'training', 'workflows',
].map((room) => `tests/${room}/**/*.test.ts`); // biome-ignore format: a list

export default defineConfig({
  test: {
    pool: 'forks',
    globalSetup: './tests/support/surroundings.ts',
    reporters: ['default', './tests/support/skippedReporter.ts'],
    maxWorkers: 2,
    // `npm run coverage`; what runs in processes and worker threads of its own does not count.
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['json-summary'] },
    testTimeout: 120_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          // A process for each file keeps replaced modules, crashes and memory apart.
          name: 'apart',
          include: ['tests/**/*.test.ts'],
          exclude: [...together, 'tests/slow/**', 'node_modules/**'],
        },
      },
      {
        extends: true,
        test: { name: 'together', include: together, isolate: false },
      },
    ],
  },
});
