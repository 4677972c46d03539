/**
 * What programs can run on with ONNX Runtime, in one table, and which of it is taken. An accelerator counts as working when a small
 * network, its gradients and two chained steps on it agree with the CPU (`trial.ts`).
 *
 * @example
 * const { device, skipped } = await chooseDevice('auto', { machine: thisMachine(), tryOut, logger });
 */
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { counted } from '../../core/words.js';
import type { Accelerator, Adapter, Device, Precision, SkippedEngine } from '../backend.js';
import type { Machine, PresentGpu } from '../gpus.js';
import type { EngineSettings, ExecutionProvider } from './engine.js';

/** What the engine must be told of a device. */
export interface DeviceRules extends Pick<EngineSettings, 'resident' | 'options'> {
  readonly provider: ExecutionProvider;
  /** Operators without a kernel, or without an exact one. */
  readonly lacking: ReadonlySet<string>;
}

interface Accelerating extends DeviceRules {
  /** The name in sentences. */
  readonly title: string;
  /** Why it cannot work here, whatever is installed. */
  readonly excluded: (machine: Machine) => string | undefined;
  /** Precisions that it has besides single. */
  readonly precisions: readonly Precision[];
  /** What must be there for `auto` to try it; absent: `auto` never does. */
  readonly auto?: (machine: Machine) => boolean;
  /** What to install, or to ask for instead. */
  readonly hint: string;
  /** The provider of one of several such devices, where the engine can be told which. */
  readonly numbered?: (deviceId: number) => ExecutionProvider;
  /** What to do where it cannot. */
  readonly otherwise?: string;
}

/**
 * What no engine is asked for: its sigmoid and softplus were right to 1e-7 of 1 where they were looked at, not of their value, and log(1 + x) is no
 * operator of ONNX. Models in files have the operators that they always had, so that bundles are the same bytes.
 */
const INEXACT = ['Log1p', 'Sigmoid', 'Softplus'] as const;
const inexact: ReadonlySet<string> = new Set(INEXACT);

const ACCELERATING: Readonly<Record<Exclude<Device, 'cpu'>, Accelerating>> = {
  cuda: {
    title: 'CUDA',
    provider: 'cuda',
    resident: false,
    lacking: inexact,
    precisions: ['tf32', '16-mixed'],
    excluded: ({ platform, arch }) =>
      platform === 'linux' && arch === 'x64' ? undefined : 'onnxruntime-node has CUDA on Linux x64 only',
    auto: ({ gpus }) => gpus.some(({ cuda }) => cuda),
    numbered: (deviceId) => ({ name: 'cuda', deviceId }),
    hint: 'run "npx ptychopinn setup-cuda", which fetches ONNX Runtime\'s CUDA libraries (Linux x64, CUDA 12 and cuDNN 9 on the machine), or use accelerator "webgpu" or "cpu"',
  },
  webgpu: {
    title: 'WebGPU',
    // With the other layout, NHWC, whole networks were silently wrong although each operator agreed.
    provider: { name: 'webgpu', preferredLayout: 'NCHW' },
    resident: true,
    otherwise:
      'ONNX Runtime takes the first adapter that the system offers and cannot be told of another: use "webgpu", and let the system put the right one first (with Mesa: MESA_VK_DEVICE_SELECT), or CUDA',
    // Sine and cosine it has, to four digits: enough to move gradients by some parts in a thousand; tanh to seven digits of 1, not of its value.
    lacking: new Set([...INEXACT, 'Cos', 'Sign', 'Sin', 'SpaceToDepth', 'Tanh']),
    precisions: ['16-mixed'],
    excluded: ({ platform, arch }) =>
      platform === 'darwin' && arch === 'x64'
        ? 'onnxruntime-node has no files for Macs with Intel processors'
        : undefined,
    auto: ({ platform, gpus }) => gpus.length > 0 || platform === 'win32',
    hint: 'on Linux install the Vulkan loader and the driver of the GPU (Debian: libvulkan1, with mesa-vulkan-drivers for AMD and Intel; NVIDIA brings its own), or use accelerator "cpu"',
  },
  coreml: {
    title: 'Core ML',
    provider: 'coreml',
    resident: false,
    lacking: inexact,
    precisions: [],
    excluded: ({ platform }) => (platform === 'darwin' ? undefined : 'Core ML is a part of macOS'),
    hint: 'use accelerator "webgpu" or "cpu"',
  },
  directml: {
    title: 'DirectML',
    provider: 'dml',
    resident: false,
    lacking: inexact,
    precisions: [],
    options: { enableMemPattern: false },
    numbered: (deviceId) => ({ name: 'dml', deviceId }),
    excluded: ({ platform }) => (platform === 'win32' ? undefined : 'DirectML is a part of Windows'),
    hint: 'use accelerator "webgpu" or "cpu"',
  },
};

const CPU: DeviceRules = { provider: 'cpu', resident: false, lacking: inexact };

/** What the engine must be told of a device. @param number which of several */
export function rulesOf(device: Device, number?: number): DeviceRules {
  // Only what can be sent to another thread.
  const { provider, resident, lacking, options } = device === 'cpu' ? CPU : ACCELERATING[device];
  const own = number === undefined || device === 'cpu' ? undefined : ACCELERATING[device].numbered?.(number);
  return { provider: own ?? provider, resident, lacking, ...(options ? { options } : {}) };
}

/** Precisions that a device has besides single. */
export function precisionsOf(device: Device): readonly Precision[] {
  return device === 'cpu' ? [] : ACCELERATING[device].precisions;
}

/** Who could accelerate on a machine, `auto` or not, the better ones first. */
export function possibleAccelerators(machine: Machine): Exclude<Device, 'cpu'>[] {
  return entries().flatMap(([device, { excluded }]) => (excluded(machine) ? [] : [device]));
}

function entries() {
  return Object.entries(ACCELERATING) as [Exclude<Device, 'cpu'>, Accelerating][];
}

/** How a trial came out. */
export type Tried = { readonly adapter?: Adapter } | { readonly reason: string };

/** What {@link chooseDevice} needs to know. */
export interface Surroundings {
  readonly machine: Machine;
  /** Computes something on the device and compares it. */
  readonly tryOut: (device: Exclude<Device, 'cpu'>) => Promise<Tried>;
  readonly logger: Logger;
}

/** The device that is taken. */
export interface Choice {
  readonly device: Device;
  readonly adapter?: Adapter;
  /** What `auto` passed over. */
  readonly skipped: readonly SkippedEngine[];
}

/**
 * Decides on a device. `auto` tries nothing where there is no GPU, and says in one line why a GPU that is there is not used (POLICY-001).
 *
 * @throws PtychoError ACCELERATOR_MISSING when one was asked for by name and does not work.
 */
export async function chooseDevice(wanted: Accelerator, surroundings: Surroundings, number?: number): Promise<Choice> {
  if (wanted === 'cpu') return { device: 'cpu', skipped: [] };
  return wanted === 'auto' ? best(surroundings) : named(wanted, surroundings, number);
}

async function named(
  wanted: Exclude<Device, 'cpu'>,
  { machine, tryOut, logger }: Surroundings,
  number: number | undefined,
): Promise<Choice> {
  const { excluded, title, hint } = ACCELERATING[wanted];
  const written = number === undefined ? wanted : `${wanted}:${number}`;
  const refused = (reason: string, advice: string) =>
    new PtychoError('ACCELERATOR_MISSING', `Accelerator "${written}" does not work here (${reason}): ${advice}.`, {
      accelerator: wanted,
      ...(number === undefined ? {} : { number }),
      reason,
    });
  const impossible = excluded(machine);
  if (impossible !== undefined) throw refused(impossible, 'use accelerator "auto"');
  const missing = number === undefined ? undefined : missingNumber(wanted, number, machine);
  if (missing) throw refused(missing.reason, missing.advice);
  const tried = await tryOut(wanted);
  if ('reason' in tried) throw refused(tried.reason, hint);
  if (tried.adapter?.software) {
    logger.info(`${title} runs on ${tried.adapter.name}, a program that stands in for a GPU: right, but slow.`);
  }
  return { device: wanted, ...tried, skipped: [] };
}

/** Why there is no device of this number, and what to do; undefined where there may be one, which a trial finds out. */
function missingNumber(
  device: Exclude<Device, 'cpu'>,
  number: number,
  { gpus, visible }: Machine,
): { readonly reason: string; readonly advice: string } | undefined {
  const { numbered, otherwise = `use accelerator "${device}"` } = ACCELERATING[device];
  if (!numbered) return number === 0 ? undefined : { reason: 'it has no number', advice: otherwise };
  const found = gpus.filter(({ cuda }) => cuda);
  if (device !== 'cuda' || found.length === 0) return undefined;
  const count = Math.min(visible ?? found.length, found.length);
  if (number < count) return undefined;
  const names = found.map(({ name }) => name).join(', ');
  const hidden = count < found.length ? `, of which CUDA_VISIBLE_DEVICES lets ${count} be seen` : '';
  const advice = count === 0 ? 'let CUDA_VISIBLE_DEVICES name it' : `use one of cuda:0 to cuda:${count - 1}`;
  return { reason: `this machine has ${counted(found.length, 'CUDA device')}, ${names}${hidden}`, advice };
}

async function best({ machine, tryOut, logger }: Surroundings): Promise<Choice> {
  const skipped: SkippedEngine[] = [];
  for (const [device, { excluded, auto }] of entries()) {
    if (excluded(machine) !== undefined || !auto?.(machine)) continue;
    const tried = await tryOut(device);
    if (!('reason' in tried) && !tried.adapter?.software) return { device, ...tried, skipped };
    const reason =
      'reason' in tried ? tried.reason : `it has only ${tried.adapter?.name}, a program that stands in for a GPU`;
    skipped.push({ engine: device, reason });
  }
  if (machine.gpus.length > 0 && skipped.length > 0) logger.warn(policyLine(machine.gpus, skipped));
  return { device: 'cpu', skipped };
}

function policyLine(gpus: readonly PresentGpu[], skipped: readonly SkippedEngine[]): string {
  const why = skipped.map(({ engine, reason }) => `${ACCELERATING[engine as 'cuda'].title}: ${reason}`).join('; ');
  return `POLICY-001: running on the CPU although there is a GPU (${gpus.map(({ name }) => name).join(', ')}), because nothing that uses it works here (${why}); see docs/accelerators.md.`;
}
