/** A thread's side of a team: it waits for questions, answers them, and does its part of arithmetic on planes. */
import { messageOf } from '../../core/errors.js';
import type { PlanesAt } from '../fieldMemory.js';
import type { Curvatures, PassRequest, PassSums, Statistics } from '../wavePasses.js';
import type { Kernels } from './kernels.js';
import { Mailbox } from './mailbox.js';
import { readSteps, runSteps, STEP_NUMBERS } from './planeSteps.js';

/** Addresses of a change of object and probe. */
export interface DirectionAt {
  readonly object: PlanesAt;
  readonly probe: PlanesAt;
}

/** What a thread does of a batch; see `WavePasses`. */
export interface ThreadCalls {
  pass(part: Int32Array, request: PassRequest): PassSums;
  products(): Float64Array;
  moves(): Float64Array;
  correlations(): Float64Array;
  stretches(): Float64Array;
  curvatures(part: Int32Array, along: readonly DirectionAt[], statistics?: Statistics): Curvatures;
  deviances(part: Int32Array, raised?: boolean): Float64Array;
  beamProducts(): Float64Array;
  /** @param weights of this thread's patterns */
  beamSums(weights: Float64Array): void;
}

/** What a thread of a team is given. */
export interface Seat {
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly numbers: Float64Array<SharedArrayBuffer>;
  /** Calls come through it, and answers go. */
  readonly mail: SharedArrayBuffer;
  /** Its place, 0 is the caller's own, and how many there are. */
  readonly part: number;
  readonly of: number;
}

// Words of `control`.
/** Counts questions; threads wait for it to change. */
export const QUESTION = 0;
/** Threads that have not answered. */
export const OPEN = 1;
export const KIND = 2;

// Kinds of questions.
export const LEAVE = 0;
export const CALL = 1;
export const STEPS = 2;

/** How often a thread looks before it sleeps: some tens of microseconds. */
const LOOKS = 20_000;

/** What a thread answers to a call. */
export type Answer = { readonly value: unknown } | { readonly error: string };

/** A call by its name. */
export interface Call {
  readonly name: keyof ThreadCalls;
  readonly args: readonly unknown[];
}

/** Looks at a word until it is as wanted, or for a moment. */
export function look(control: Int32Array, word: number, wanted: (value: number) => boolean): boolean {
  for (let i = 0; i < LOOKS; i++) if (wanted(Atomics.load(control, word))) return true;
  return false;
}

/** A thread's side: answers until it is sent away. @param answer to a call */
export function work(
  { control, numbers, mail, part, of }: Seat,
  kernels: Kernels,
  answer: (name: keyof ThreadCalls, args: readonly unknown[]) => unknown,
): void {
  const mailbox = new Mailbox(mail);
  for (let heard = 0; ; ) {
    while (!look(control, QUESTION, (value) => value !== heard)) Atomics.wait(control, QUESTION, heard);
    heard = Atomics.load(control, QUESTION);
    const kind = Atomics.load(control, KIND);
    if (kind === LEAVE) return;
    if (kind === STEPS) numbers[STEP_NUMBERS + part] = runSteps(kernels, readSteps(numbers), { part, of });
    else answerTo(mailbox, answer);
    if (Atomics.sub(control, OPEN, 1) === 1) Atomics.notify(control, OPEN);
  }
}

function answerTo(mailbox: Mailbox, answer: (name: keyof ThreadCalls, args: readonly unknown[]) => unknown): void {
  try {
    const { name, args } = mailbox.take() as Call;
    mailbox.put({ value: answer(name, args) } satisfies Answer);
  } catch (error) {
    mailbox.put({ error: messageOf(error) } satisfies Answer);
  }
}
