/**
 * Tries an accelerator in a process of its own.
 *
 * @example
 * const tried = await tryAccelerator('webgpu', { module: 'onnxruntime-node', machine: thisMachine() });
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../core/errors.js';
import type { Adapter, Device } from '../backend.js';
import type { Machine } from '../gpus.js';
import { remembered } from '../programs.js';
import { workerFile } from '../worker/host.js';
import { type DeviceRules, rulesOf, type Tried } from './accelerators.js';

/** What the process is asked. */
export interface TrialOrder {
  readonly module: string;
  readonly device: Exclude<Device, 'cpu'>;
  readonly rules: Omit<DeviceRules, 'lacking'> & { readonly lacking: readonly string[] };
  /** Largest relative difference from the CPU that is let pass. */
  readonly tolerance: number;
}

export type TrialAnswer =
  | { readonly works: true; readonly relative: number; readonly drivers: readonly string[] }
  | { readonly works: false; readonly reason: string };

/** What is known where the trial is made. */
export interface TrialPlace {
  readonly module: string;
  readonly machine: Machine;
  /** Which of several such devices. */
  readonly number?: number;
  /** TF32 is allowed. */
  readonly shortProducts?: boolean;
  /** Another limit than a minute (tests). */
  readonly limitSeconds?: number;
}

/** Single precision; the sines of GPUs have four digits. */
const TOLERANCE = 2e-3;
const SHORT_TOLERANCE = 2e-2;
const LIMIT_SECONDS = 120;
/** Characters of stderr that are kept. */
const MOST_SAID = 1 << 16;

const known = new Map<string, Promise<Tried>>();

/** Whether the accelerator computes what the CPU computes, and on what; tried once for a process. */
export function tryAccelerator(device: Exclude<Device, 'cpu'>, place: TrialPlace): Promise<Tried> {
  return remembered(known, `${device} ${place.number} ${place.module} ${place.shortProducts}`, () =>
    tryOnce(device, place),
  );
}

async function tryOnce(device: Exclude<Device, 'cpu'>, place: TrialPlace): Promise<Tried> {
  const { lacking, ...rules } = rulesOf(device, place.number);
  const order: TrialOrder = {
    module: place.module,
    device,
    rules: { ...rules, lacking: [...lacking] },
    tolerance: place.shortProducts ? SHORT_TOLERANCE : TOLERANCE,
  };
  try {
    const { answer, said } = await ask(order, place.limitSeconds ?? LIMIT_SECONDS);
    if (!answer.works) return { reason: firstLine(answer.reason) };
    return { adapter: adapterOf(device, { ...place, drivers: answer.drivers, said }) };
  } catch (error) {
    return { reason: firstLine(messageOf(error)) };
  }
}

/** Without the place in the engine's source that some begin with. */
function firstLine(reason: string): string {
  const [line] = reason.split('\n');
  return line
    .replace(/^\/\S+ .* was false\. /, '')
    .trim()
    .replace(/\.$/, '');
}

async function ask(order: TrialOrder, limitSeconds: number): Promise<{ answer: TrialAnswer; said: string }> {
  // The worker's entry does for a process, too: one file less that a bundle must bring along.
  const entry = workerFile(new URL('./onnxWorker.js', import.meta.url), 'backends/onnx/onnxWorker.js');
  const file = fileURLToPath(entry);
  const child = fork(file, [], { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < MOST_SAID) said += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 1000 * limitSeconds);
  try {
    return { answer: await answerOf(child, order, limitSeconds), said };
  } finally {
    clearTimeout(timer);
  }
}

/** Also when the process ends, which is when all that it said is here. */
function answerOf(child: ChildProcess, order: TrialOrder, limitSeconds: number): Promise<TrialAnswer> {
  return new Promise((resolve, reject) => {
    let answer: TrialAnswer | undefined;
    child.once('error', reject);
    child.once('message', (message) => {
      answer = message as TrialAnswer;
    });
    child.once('close', (code, signal) => {
      if (answer) resolve(answer);
      else if (signal === 'SIGKILL') reject(new Error(`no answer within ${limitSeconds} seconds`));
      else reject(new Error(`the engine ended its process (${signal ?? `exit code ${code}`})`));
    });
    child.send(order);
  });
}

/** Vulkan drivers without hardware, by a part of their file's name. */
const SOFTWARE: Readonly<Record<string, string>> = { swiftshader: 'SwiftShader', vulkan_lvp: 'llvmpipe' };

interface Evidence extends Pick<TrialPlace, 'machine' | 'number'> {
  readonly drivers: readonly string[];
  /** What the engine wrote about the machine. */
  readonly said: string;
}

/** onnxruntime-node gives no name of the adapter that it took: what there is and what was loaded tell it. */
export function adapterOf(
  device: Exclude<Device, 'cpu'>,
  { machine, number = 0, drivers, said }: Evidence,
): Adapter | undefined {
  const software = Object.entries(SOFTWARE).find(([part]) => drivers.some((file) => file.includes(part)))?.[1];
  const onlySoftware = drivers.every((file) => Object.keys(SOFTWARE).some((part) => file.includes(part)));
  // Drivers of hardware are loaded wherever they are installed.
  if (software && (onlySoftware || machine.gpus.length === 0))
    return { name: software, driver: drivers[0], software: true };
  const candidates = device === 'cuda' ? machine.gpus.filter(({ cuda }) => cuda) : machine.gpus;
  const found = candidates.length > 0 ? candidates : discovered(said);
  const gpu = found[number] ?? found[0];
  if (gpu)
    return { name: gpu.name, ...(gpu.driver ? { driver: gpu.driver } : {}), software: /Basic Render/.test(gpu.name) };
  if (device === 'webgpu' && machine.platform === 'win32')
    return { name: 'Microsoft Basic Render Driver', software: true };
  return undefined;
}

/** GPUs (type 1) as ONNX Runtime finds them. */
function discovered(said: string): { readonly name: string; readonly driver?: string }[] {
  const lines = said.match(/OrtHardwareDevice \{[^\n]*type:1[^\n]*/g) ?? [];
  return lines.map((line) => {
    const description = /Description=([^,\]]+)/.exec(line)?.[1];
    const [vendor, number] = [/vendor:([^,]*)/.exec(line)?.[1], /device_id:(\w+)/.exec(line)?.[1]];
    return { name: description?.trim() ?? `${vendor || 'unknown'} GPU ${number ?? ''}`.trim() };
  });
}
