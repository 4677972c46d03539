/**
 * What works here: every engine is started, asked for its device and made to compute something whose result is known.
 *
 * @example
 * const { engines } = await examine();
 * engines.filter((e) => e.works).map((e) => `${e.backend} ${e.candidate}: ${e.gflops} GFLOP/s`);
 */

import { createRequire } from 'node:module';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { type PresentGpu, thisMachine } from '../backends/gpus.js';
import { type EngineFinding, type TrialOptions, tryEngines } from '../backends/tryEngines.js';
import { createdBy } from '../core/version.js';

/** What works on this machine, and what does not. */
export interface Examination {
  readonly ptychopinn: string;
  readonly node: string;
  readonly platform: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Package → version, null where it is not installed. */
  readonly packages: Readonly<Record<string, string | null>>;
  /** Graphics processors as the operating system shows them. */
  readonly gpus: readonly PresentGpu[];
  readonly engines: readonly EngineFinding[];
  /** True when the default (`--backend onnx --accelerator auto`) can run. */
  readonly defaultWorks: boolean;
  readonly advice: readonly string[];
}

const PACKAGES = [
  'onnxruntime-node',
  'onnxruntime-web',
  '@tensorflow/tfjs-core',
  '@tensorflow/tfjs-backend-cpu',
  '@tensorflow/tfjs-backend-wasm',
  '@tensorflow/tfjs-node',
  '@tensorflow/tfjs-node-gpu',
] as const;

/** Examines the machine; a broken engine is a finding, not an error. */
export async function examine(options: TrialOptions = {}): Promise<Examination> {
  const machine = options.machine ?? thisMachine();
  const engines = await tryEngines({ ...options, machine });
  const works = (backend: string, candidate: string) =>
    engines.some((e) => e.backend === backend && e.candidate === candidate && e.works);
  return {
    ptychopinn: createdBy.version,
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    packages: Object.fromEntries(PACKAGES.map((name) => [name, installedVersion(name)])),
    gpus: machine.gpus,
    engines,
    // Where an accelerator works the CPU does, which it was compared with.
    defaultWorks: works('onnx', 'cpu'),
    advice: adviceFor(works, engines.some(accelerates)),
  };
}

/** On hardware. */
function accelerates({ works, info }: EngineFinding): boolean {
  return works && info !== undefined && info.device !== 'cpu' && info.adapter?.software !== true;
}

function adviceFor(works: (backend: string, candidate: string) => boolean, accelerated: boolean): string[] {
  const advice: string[] = [];
  if (!works('onnx', 'cpu')) {
    advice.push(
      'ONNX Runtime does not run: install the package again (npm i --ignore-scripts ptychopinn), or use --backend tensorflow.',
    );
  }
  if (!accelerated) {
    advice.push(
      'For any GPU: WebGPU is a part of onnxruntime-node; it needs the driver of the GPU and on Linux the Vulkan loader (Debian: libvulkan1, with mesa-vulkan-drivers for AMD and Intel).',
      'For CUDA: Linux x64 with an NVIDIA driver, CUDA 12 and cuDNN 9; then ptychopinn setup-cuda, which fetches the CUDA libraries of ONNX Runtime.',
      'TensorFlow.js uses a GPU through npm i @tensorflow/tfjs-node-gpu@4.22.0, which fetches libtensorflow 2.9.1 (CUDA 11.2, cuDNN 8.1).',
    );
  }
  return advice;
}

function installedVersion(name: string): string | null {
  try {
    return (createRequire(import.meta.url)(`${name}/package.json`) as { version: string }).version;
  } catch {
    return null;
  }
}
