/** Solves a scan as the command does, in this process, and tells what it said or why it stopped. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isPtychoError, type PtychoError } from '../../src/core/errors.js';
import { solveWorkflow } from '../../src/workflows/solve.js';
import { type KnownTruth, objectErrorOfFile } from './objectError.js';
import { solveRequest } from './solverScan.js';

/** What a run came to: an image with its error against the truth, or the error that stopped it. */
export interface Solved {
  readonly error?: number;
  readonly stopped?: PtychoError;
  /** Warnings and worse, in order. */
  readonly warned: readonly string[];
  /** All else that was said. */
  readonly said: readonly string[];
}

/** @param over fields of the configuration of `solve`, those of opening in a block `data`. */
export async function solved(scan: string, truth: KnownTruth, over: Record<string, unknown> = {}): Promise<Solved> {
  const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-solved-'));
  const [warned, said]: string[][] = [[], []];
  const hear = (text: string) => said.push(text);
  const logger = {
    debug: hear,
    info: hear,
    warn: (text: string) => warned.push(text),
    error: (text: string) => warned.push(text),
  };
  try {
    await solveWorkflow(solveRequest(scan, folder, { epochs: 15, ...over }), { logger });
    return { error: await objectErrorOfFile(path.join(folder, 'reconstruction.npz'), truth), warned, said };
  } catch (error) {
    if (isPtychoError(error)) return { stopped: error, warned, said };
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
