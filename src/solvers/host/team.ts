/**
 * Threads that work together on one shared memory: the caller's own, and others that wait for what it asks. A question takes
 * microseconds, not the turn of an event loop: whoever waits looks again and again for a moment before it sleeps, and what is said
 * at length goes through a mailbox.
 */
import { WorkerHost, workerFile } from '../../backends/worker/host.js';
import { isPtychoError, messageOf, PtychoError } from '../../core/errors.js';
import type { Kernels, WasmModule } from './kernels.js';
import { Mailbox } from './mailbox.js';
import type { PassSetup, SolverCalls } from './passSetup.js';
import { type PlaneStep, runSteps, STEP_NUMBERS, writeSteps } from './planeSteps.js';
import {
  type Answer,
  CALL,
  type Call,
  FAILED,
  KIND,
  Lookout,
  OPEN,
  QUESTION,
  type Seat,
  STEPS,
  type ThreadCalls,
} from './seat.js';

/** How long nobody looks whether the threads still are, while it waits for them: in steps, and in calls, where the event loop has its turns. */
const NAP_MS = 50;
const SHORT_NAP_MS = 2;
/**
 * How long a thread that says nothing is waited for where it cannot be told whether it still is (browsers, and versions of Node whose
 * threads hang for want of memory): for steps of milliseconds, and for shares of a call beyond what the caller's own took. It is counted
 * in naps, of which a process that is halted takes none.
 */
const MOST_MS = 120_000;

/** The caller's side of all threads but its own. Where one of them is gone, every question throws and the others are ended by `close`. */
export class Team {
  readonly #hosts: WorkerHost<SolverCalls>[] = [];
  readonly #mail: readonly SharedArrayBuffer[];
  readonly #boxes: readonly Mailbox[];
  readonly #control = new Int32Array(new SharedArrayBuffer(64));
  /** Steps, and then what each thread found. */
  readonly #numbers: Float64Array<SharedArrayBuffer>;
  readonly #lookout = new Lookout(this.#control, OPEN);
  /** Why nothing can be asked any more. */
  #broken: PtychoError | undefined;
  /** When the last call began. */
  #asked = 0;

  /**
   * @param others threads besides the caller's own
   * @param mailBytes the most that one is told, or tells, at a time
   */
  constructor(
    private readonly others: number,
    mailBytes: number,
  ) {
    this.#numbers = new Float64Array(new SharedArrayBuffer(8 * (STEP_NUMBERS + others + 1)));
    this.#mail = Array.from({ length: others }, () => new SharedArrayBuffer(mailBytes));
    this.#boxes = this.#mail.map((mail) => new Mailbox(mail));
  }

  /**
   * Starts the threads. @param setups of those besides the caller's own
   * @throws PtychoError ENGINE_FAILURE where one cannot be started; none is left then
   */
  async open(module: WasmModule, setups: readonly PassSetup[]): Promise<void> {
    const [control, numbers, of] = [this.#control, this.#numbers, this.others + 1];
    const file = workerFile(new URL('./solverWorker.js', import.meta.url), 'solvers/host/solverWorker.js');
    try {
      for (let t = 0; t < this.others; t++) this.#hosts.push(new WorkerHost<SolverCalls>(file, 'The solver'));
      await Promise.all(
        this.#hosts.map((host, t) => {
          const seat: Seat = { control, numbers, mail: this.#mail[t], part: t + 1, of };
          return host.call('open', [module, setups[t], seat]);
        }),
      );
      this.#requireAll();
    } catch (error) {
      await this.close();
      if (isPtychoError(error)) throw error;
      const reason = messageOf(error);
      throw new PtychoError(
        'ENGINE_FAILURE',
        `The solver cannot start its threads (${reason}); run it with fewer (threads).`,
        { reason },
        { cause: error },
      );
    }
  }

  /** Asks every thread; `finish` gives their answers. The caller may work in between, but ask nothing else. @throws as `finish` */
  ask(name: keyof ThreadCalls, argsOf: (thread: number) => readonly unknown[]): void {
    if (this.#broken) throw this.#broken;
    for (const [t, box] of this.#boxes.entries()) box.put({ name, args: argsOf(t) } satisfies Call);
    this.#asked = performance.now();
    this.#begin(CALL);
  }

  /** @throws PtychoError ENGINE_FAILURE where a thread failed or is gone */
  async finish<T>(): Promise<T[]> {
    const most_ms = MOST_MS + 10 * (performance.now() - this.#asked);
    // Why a thread stopped it says to the event loop only.
    for (let naps = 0; !this.#lookout.until(0, true, SHORT_NAP_MS); naps++) {
      await new Promise((resolve) => setImmediate(resolve));
      const ended = this.#hosts.findIndex((host) => host.ended !== undefined);
      if (ended >= 0) throw this.#lost(ended, this.#hosts[ended].ended!);
      if (SHORT_NAP_MS * naps > most_ms) throw this.#silent();
    }
    return this.#boxes.map((box, t) => {
      const answer = box.take() as Answer;
      if ('error' in answer) throw this.#lost(t, answer.error);
      return answer.value as T;
    });
  }

  /**
   * All threads take their parts of the steps, the caller's own too; answers the largest value that they found. It does not return to the
   * event loop, and yet no thread that is gone is waited for.
   * @throws as `finish`
   */
  run(kernels: Kernels, steps: readonly PlaneStep[]): number {
    if (this.#broken) throw this.#broken;
    writeSteps(steps, this.#numbers);
    this.#begin(STEPS);
    let most = runSteps(kernels, steps, { part: 0, of: this.others + 1 });
    for (let naps = 0; !this.#lookout.until(0, true, NAP_MS); naps++) {
      this.#requireAll();
      if (NAP_MS * naps > MOST_MS) throw this.#silent();
    }
    const failed = Atomics.load(this.#control, FAILED);
    if (failed > 0) throw this.#lost(failed - 1, (this.#boxes[failed - 1].take() as { error: string }).error);
    for (let t = 1; t <= this.others; t++) most = Math.max(most, this.#numbers[STEP_NUMBERS + t]);
    return most;
  }

  /** Ends the threads, whatever they do. */
  async close(): Promise<void> {
    this.#broken ??= new PtychoError(
      'ENGINE_FAILURE',
      'The passes of the solver are closed and take no more questions.',
    );
    await Promise.all(this.#hosts.map((host) => host.stop()));
  }

  #begin(kind: number): void {
    Atomics.store(this.#control, KIND, kind);
    Atomics.store(this.#control, OPEN, this.others);
    Atomics.add(this.#control, QUESTION, 1);
    Atomics.notify(this.#control, QUESTION);
  }

  #requireAll(): void {
    const gone = this.#hosts.findIndex((host) => host.gone);
    if (gone >= 0) throw this.#lost(gone, this.#hosts[gone].ended ?? 'it stopped without a word');
  }

  #silent(): PtychoError {
    return this.#lost(
      this.#hosts.findIndex((host) => host.gone),
      'it does not answer',
    );
  }

  /** Nothing is asked after this: threads that still are may be at work on anything. @param t counts those besides the caller's own */
  #lost(t: number, reason: string): PtychoError {
    const [thread, of] = [t + 2, this.others + 1];
    const who = t < 0 ? `A thread of ${of}` : `Thread ${thread} of ${of}`;
    this.#broken = new PtychoError(
      'ENGINE_FAILURE',
      `${who} of the solver failed (${reason}), and the run ends with it; run it again, with fewer threads (threads) where memory is short.`,
      { reason, ...(t < 0 ? {} : { thread }), threads: of },
    );
    return this.#broken;
  }
}
