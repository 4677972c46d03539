/**
 * What the process does that tries an accelerator: native code that dies takes no more than this process along, and what it says on
 * stderr is read and not shown.
 */
import { readFileSync } from 'node:fs';
import { messageOf } from '../../core/errors.js';
import { encodeOnnx } from '../../formats/onnx/encode.js';
import type { Arrays } from '../worker/host.js';
import type { DeviceRules } from './accelerators.js';
import { Engine, ioOf } from './engine.js';
import type { TrialAnswer, TrialOrder } from './trial.js';
import { largestDifference, trialOf } from './trialProgram.js';

const STEPS = 2;

/** What the trial comes to on an opened engine, which is closed. */
export async function twoSteps(engine: Engine, lacking: ReadonlySet<string>): Promise<Arrays> {
  const { program, feeds, state, shapes } = trialOf();
  const id = await engine.compile(encodeOnnx(program, { lacking }), 'extended', ioOf(program));
  const kept = await engine.createState(state, shapes);
  const results: Arrays = {};
  for (let step = 1; step <= STEPS; step++) {
    const found = await engine.run(id, feeds, kept);
    for (const [name, values] of Object.entries(found)) results[`${name} of step ${step}`] = values;
  }
  Object.assign(results, await engine.readState(kept, Object.keys(state)));
  await engine.close();
  return results;
}

/** Files of Vulkan drivers that this process has loaded. */
function vulkanDrivers(): string[] {
  try {
    const loaded = readFileSync('/proc/self/maps', 'utf8');
    const found = loaded.match(/(?:libvulkan_\w+|libvk_swiftshader|libGLX_nvidia|libnvidia-vulkan\w*|amdvlk\w*)\.so/g);
    return [...new Set(found ?? [])];
  } catch {
    return [];
  }
}

async function answerTo({ module, device, rules, tolerance }: TrialOrder): Promise<TrialAnswer> {
  const lacking = new Set(rules.lacking);
  const open = async ({ provider, resident, options }: Omit<DeviceRules, 'lacking'>) => {
    const engine = new Engine();
    // Alone in the list: beside 'cpu' an engine may silently leave out a provider that it does not know.
    await engine.open({ module, providers: [provider], threads: 1, resident, options, logLevel: 'info' });
    return engine;
  };
  const expected = await twoSteps(await open({ provider: 'cpu', resident: false }), lacking);
  const found = await twoSteps(await open(rules), lacking);
  const drivers = device === 'webgpu' ? vulkanDrivers() : [];
  const { name, relative } = largestDifference(found, expected);
  if (relative <= tolerance) return { works: true, relative, drivers };
  const reason = `its ${name} differs from the CPU's by ${(100 * relative).toPrecision(2)} %`;
  return { works: false, reason };
}

/** Answers the one question of the process that started this one, and ends. */
export function answerTrial(): void {
  process.once('message', (order: TrialOrder) => {
    void answerTo(order)
      .catch((error: unknown): TrialAnswer => ({ works: false, reason: messageOf(error) }))
      .then((answer) => process.send?.(answer, () => process.exit(0)));
  });
}
