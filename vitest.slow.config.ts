/** `npm run test:slow`: what takes minutes. PTYCHOPINN_SLOW_SAMPLE=1 takes a sample of it, as CI does. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/slow/**/*.test.ts'],
    pool: 'forks',
    globalSetup: './tests/support/surroundings.ts',
    reporters: ['default', './tests/support/skippedReporter.ts'],
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
