/** A thread's side of a team: it waits for questions, answers them, and does its part of arithmetic on planes. */
import { messageOf } from '../../core/errors.js';
import type { PlanesAt } from '../fieldMemory.js';
import type { Curvatures, PassRequest, PassSums, Statistics } from '../wavePasses.js';
import type { Kernels } from './kernels.js';
import { Mailbox } from './mailbox.js';
import { type Range, readSteps, runSteps, STEP_NUMBERS } from './planeSteps.js';

/** Addresses of a change of object and probe. */
export interface DirectionAt {
  readonly object: PlanesAt;
  readonly probe: PlanesAt;
}

/** What a thread does of a batch; see `WavePasses`. */
export interface ThreadCalls {
  /** @param rows of the object in which the part lies */
  pass(part: Int32Array, request: PassRequest, rows: Range): PassSums;
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
/** The place of a thread whose steps failed, the last one of several; 0: none. It says why in its mailbox. */
export const FAILED = 3;

// Kinds of questions.
export const CALL = 1;
export const STEPS = 2;

/**
 * How long a thread looks before it sleeps. Between batches the first thread alone takes 0.1 to 0.2 ms; to be woken costs 0.05 ms, where
 * processors are virtual 0.3. Longer looks would keep what compiles and cleans up behind a program from its core.
 */
const LEAST_MS = 0.1;
const MOST_MS = 0.5;
/** Looks from one look at the clock to the next. */
const LOOKS = 500;

/** What a thread answers to a call. */
export type Answer = { readonly value: unknown } | { readonly error: string };

/** A call by its name. */
export interface Call {
  readonly name: keyof ThreadCalls;
  readonly args: readonly unknown[];
}

/**
 * Waits for a word, and looks at it for a while before it sleeps: long where that would have been worth it the last time, less and less long
 * where the others are away (files are written, or other programs have their cores).
 */
export class Lookout {
  #patience_ms = LEAST_MS;

  constructor(
    private readonly control: Int32Array,
    private readonly word: number,
  ) {}

  /**
   * Until the word is the value (`being`), or is it no more.
   * @param atMost_ms of sleep; answers false when they are over
   */
  until(value: number, being: boolean, atMost_ms = Infinity): boolean {
    const { control, word } = this;
    const began = performance.now();
    const patient = began + this.#patience_ms;
    do {
      for (let i = 0; i < LOOKS; i++) if ((Atomics.load(control, word) === value) === being) return true;
    } while (performance.now() < patient);
    let over = false;
    for (let now = Atomics.load(control, word); !over && (now === value) !== being; now = Atomics.load(control, word)) {
      over = Atomics.wait(control, word, now, atMost_ms) === 'timed-out';
    }
    const worth = !over && performance.now() - began < MOST_MS;
    this.#patience_ms = Math.max(LEAST_MS, Math.min(MOST_MS, this.#patience_ms * (worth ? 2 : 0.5)));
    return !over;
  }
}

/** A thread's side: answers until the thread is ended. @param answer to a call */
export function work(
  { control, numbers, mail, part, of }: Seat,
  kernels: Kernels,
  answer: (name: keyof ThreadCalls, args: readonly unknown[]) => unknown,
): never {
  const mailbox = new Mailbox(mail);
  const lookout = new Lookout(control, QUESTION);
  for (let heard = 0; ; ) {
    lookout.until(heard, false);
    heard = Atomics.load(control, QUESTION);
    if (Atomics.load(control, KIND) === CALL) answerTo(mailbox, answer);
    else {
      try {
        numbers[STEP_NUMBERS + part] = runSteps(kernels, readSteps(numbers), { part, of });
      } catch (error) {
        mailbox.put({ error: messageOf(error) } satisfies Answer);
        Atomics.store(control, FAILED, part);
      }
    }
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
