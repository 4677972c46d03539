/**
 * The one Python that tests ask. `PTYCHOPINN_PYTHON` names it (`none`: there is none); otherwise it is the first of `python3` on the
 * PATH and /usr/bin/python3 that has NumPy and h5py, or else the first that runs at all. Tests that need more modules ask the
 * same one, and are skipped where it lacks them. Scripts hand over JSON: how Python and NumPy print is no part of any test.
 */
import { execFileSync } from 'node:child_process';
import { describe } from 'vitest';

const CANDIDATES = ['python3', '/usr/bin/python3'];
/** What the usual tests need. */
const USUAL = ['numpy', 'h5py'];
/** What `PTYCHOPINN_REQUIRE_PYTHON` requires; the others are never asked for. */
const REQUIRED = [...USUAL, 'onnx', 'configparser'];
/** Modules of which a describe may ask; looked for once, in one process. */
const MODULES = [...REQUIRED, 'skimage', 'tifffile', 'torch'];
const TIME_LIMIT_MS = 60_000;

/** An interpreter and which of the modules it has. */
interface Interpreter {
  readonly python: string;
  readonly modules: readonly string[];
}

/** How the first process of a run tells the others. */
const FOUND = 'PTYCHOPINN_TESTS_PYTHON';

/** Finds the Python of this run once, for all its processes; `null` where there is none. */
export function lookForPython(): Interpreter | null {
  process.env[FOUND] ??= JSON.stringify(look());
  return JSON.parse(process.env[FOUND]) as Interpreter | null;
}

function look(): Interpreter | null {
  const asked = process.env.PTYCHOPINN_PYTHON;
  if (asked === 'none') return null;
  if (asked) {
    const found = probe(asked);
    if (found === null) throw new Error(`PTYCHOPINN_PYTHON=${asked} is no Python that runs; give its path, or none.`);
    return found;
  }
  const running = CANDIDATES.map(probe).filter((found) => found !== null);
  return running.find(({ modules }) => USUAL.every((name) => modules.includes(name))) ?? running[0] ?? null;
}

/** Which modules an interpreter has; null where it does not run. */
function probe(python: string): Interpreter | null {
  const script = `
import importlib, json, sys
found = []
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
        found.append(name)
    except Exception:
        pass
print(json.dumps(found))`;
  try {
    const args = ['-c', script, JSON.stringify(MODULES)];
    const printed = execFileSync(python, args, { encoding: 'utf8', stdio: 'pipe', timeout: TIME_LIMIT_MS });
    return { python, modules: JSON.parse(printed.trim().split('\n').at(-1)!) as string[] };
  } catch {
    return null;
  }
}

/** The interpreter, where it can import these modules; otherwise null. */
export function findPython(modules: readonly string[]): string | null {
  const unknown = modules.find((name) => !MODULES.includes(name));
  if (unknown !== undefined) throw new Error(`tests/support/python.ts does not look for the module ${unknown}`);
  const found = lookForPython();
  return found !== null && modules.every((name) => found.modules.includes(name)) ? found.python : null;
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
  if (python === null) {
    throw new Error(
      `the Python of the tests (${lookForPython()?.python ?? 'none'}) cannot import ${modules.join(', ')}`,
    );
  }
  return execFileSync(python, ['-c', script, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
}

/** Runs a script that prints one JSON text last, and parses it. */
export function askPython<T>(script: string, args?: readonly string[], modules?: readonly string[]): T {
  return JSON.parse(runPython(script, args, modules)) as T;
}

/**
 * `describe` for tests that need Python: skipped with a message where it has no such modules, unless
 * `PTYCHOPINN_REQUIRE_PYTHON=1`, which makes absence of NumPy, h5py or ONNX a failure.
 */
export function describePython(name: string, modules: readonly string[], body: () => void): void {
  const required =
    process.env.PTYCHOPINN_REQUIRE_PYTHON === '1' && modules.every((module) => REQUIRED.includes(module));
  if (findPython(modules) !== null || required) describe(name, body);
  else describe.skip(`${name} (skipped: no Python with ${modules.join(', ')}; set PTYCHOPINN_PYTHON)`, body);
}
