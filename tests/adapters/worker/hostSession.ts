/** Runs `host_session.py`: a host in Python that uses the adapter as Ptychodus would. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findPython } from '../../support/python.js';

/** What the script is told. */
export interface HostOptions {
  readonly folder: string;
  /** Reconstructed. */
  readonly scan: string;
  readonly training_scan: string;
  readonly settings: Readonly<Record<string, Readonly<Record<string, string | number>>>>;
  /** Patterns of `scan` that are taken. */
  readonly count?: number;
  readonly cancel_after_s?: number;
}

/** What it saw. */
export interface HostSession {
  readonly names: string[];
  readonly trainable: boolean[];
  /** Epochs in each output. */
  readonly epochs: number[][];
  readonly losses_finite: boolean;
  /** Validation losses of the last output. */
  readonly validated: number;
  readonly train_end: [progress: number, result: number, status: number, model: string];
  readonly cancelled_training: [stopped: boolean, result: number];
  readonly settings_after_open: string;
  readonly seconds: number;
  readonly progress: number[];
  readonly goal: number;
  /** Exit codes of the outputs. */
  readonly results: number[];
  /** Class of the product that came back. */
  readonly class: string;
  readonly geometry_kept: boolean;
  readonly changed: number;
  readonly loss_epochs: number[];
  /** Largest deviations of the product file from what the host has. */
  readonly file: Record<string, number>;
  readonly attributes: Record<string, unknown>;
  readonly left: [progress: number, result: number];
  readonly stopped: [progress: number, result: number];
  readonly again: number;
  readonly solver_names: [name: string, trainable: boolean, filter: string];
  readonly solver_end: [progress: number, result: number, type: string];
  /** The same shape, and another probe. */
  readonly solver_probe: [shape: boolean, changed: boolean];
  readonly solver_object: number;
  /** The same indexes; and by how much positions moved that were not to be, in pixels. */
  readonly solver_positions: [indexes: boolean, moved: number];
  /** By how much they moved that were. */
  readonly solver_moved: number;
  readonly probe_of_network_kept: boolean;
  readonly error: [message: string, code: string];
  readonly still_loaded: boolean;
  readonly loaded_after_close: boolean;
  readonly earlier_train: [epochs: number, result: number, type: string, model: string];
  readonly log: [count: number, loggers: string[]];
}

const script = fileURLToPath(new URL('./host_session.py', import.meta.url));

/** Needs `npm run build`, NumPy and h5py. */
export async function runHostSession(options: HostOptions): Promise<HostSession> {
  const command = [process.execPath, path.resolve('dist/cli/main.js'), 'worker', '--quiet'];
  const python = findPython(['numpy', 'h5py']);
  if (python === null) throw new Error('no Python with numpy and h5py was found');
  const args = ['-B', script, path.resolve('examples/python'), JSON.stringify({ ...options, command })];
  const { stdout } = await promisify(execFile)(python, args, { maxBuffer: 1 << 26 });
  return JSON.parse(stdout) as HostSession;
}
