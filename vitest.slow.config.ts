/** `npm run test:slow`: what takes minutes. PTYCHOPINN_SLOW_SAMPLE=1 takes a sample of it, as CI does. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['tests/slow/**/*.test.ts'], pool: 'forks', testTimeout: 600_000, hookTimeout: 600_000 },
});
