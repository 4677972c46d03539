/** Pages forbid to evaluate texts: pictures are drawn without, and are the same. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const program = fileURLToPath(new URL('./withoutCode.mjs', import.meta.url));

it('draws the same where no text may be evaluated', () => {
  const draw = (...flags: readonly string[]) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, program], { encoding: 'utf8' }); // biome-ignore format: one call
    expect(status, stderr).toBe(0);
    return stdout.trim().split('\n');
  };
  const usual = draw();
  expect(usual).toHaveLength(2);
  expect(draw('--disallow-code-generation-from-strings')).toEqual(usual);
});
