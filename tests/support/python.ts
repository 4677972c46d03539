/** Python with NumPy or h5py, for tests that must read what other people's programs write. */
import { execFileSync } from 'node:child_process';
import { describe } from 'vitest';

const CANDIDATES = [process.env.PTYCHOPINN_PYTHON, '/usr/bin/python3', 'python3', 'python'];
const found = new Map<string, string | null>();

/** An interpreter that can import these modules; null where there is none. */
export function findPython(modules: readonly string[]): string | null {
  const key = modules.join(',');
  if (!found.has(key)) {
    const works = (python: string | undefined): boolean => {
      if (python === undefined) return false;
      try {
        execFileSync(python, ['-c', modules.map((name) => `import ${name}`).join('\n')], { stdio: 'ignore' });
        return true;
      } catch {
        return false;
      }
    };
    found.set(key, CANDIDATES.find(works) ?? null);
  }
  return found.get(key)!;
}

/**
 * Runs a script and gives back what it printed.
 * @param modules what it imports besides the standard library.
 */
export function runPython(
  script: string,
  args: readonly string[] = [],
  modules: readonly string[] = ['numpy'],
): string {
  const python = findPython(modules);
  if (python === null) throw new Error(`no Python that can import ${modules.join(', ')} was found`);
  return execFileSync(python, ['-c', script, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
}

/**
 * `describe` for tests that need Python: skipped with a message where it has no such modules, unless
 * `PTYCHOPINN_REQUIRE_PYTHON=1`, which makes absence a failure.
 */
export function describePython(name: string, modules: readonly string[], body: () => void): void {
  if (findPython(modules) !== null || process.env.PTYCHOPINN_REQUIRE_PYTHON === '1') describe(name, body);
  else describe.skip(`${name} (skipped: no Python with ${modules.join(', ')}; set PTYCHOPINN_PYTHON)`, body);
}
