/**
 * Threads that work together on one shared memory: the caller's own, and others that wait for what it asks. A question takes
 * microseconds, not the turn of an event loop: whoever waits looks again and again for a moment before it sleeps, and what is said
 * at length goes through a mailbox.
 */
import { WorkerHost, workerFile } from '../../backends/worker/host.js';
import { PtychoError } from '../../core/errors.js';
import type { Kernels, WasmModule } from './kernels.js';
import { Mailbox } from './mailbox.js';
import type { PassSetup, SolverCalls } from './passSetup.js';
import { type PlaneStep, runSteps, STEP_NUMBERS, writeSteps } from './planeSteps.js';
import {
  type Answer,
  CALL,
  type Call,
  KIND,
  LEAVE,
  Lookout,
  OPEN,
  QUESTION,
  type Seat,
  STEPS,
  type ThreadCalls,
} from './seat.js';

/** The caller's side of all threads but its own. */
export class Team {
  readonly #hosts: readonly WorkerHost<SolverCalls>[];
  readonly #mail: readonly SharedArrayBuffer[];
  readonly #boxes: readonly Mailbox[];
  readonly #control = new Int32Array(new SharedArrayBuffer(64));
  /** Steps, and then what each thread found. */
  readonly #numbers: Float64Array<SharedArrayBuffer>;
  readonly #lookout = new Lookout(this.#control, OPEN);

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
    const file = workerFile(new URL('./solverWorker.js', import.meta.url), 'solvers/host/solverWorker.js');
    this.#hosts = this.#mail.map(() => new WorkerHost<SolverCalls>(file, 'The solver'));
  }

  /** @param setups of the threads besides the caller's own */
  async open(module: WasmModule, setups: readonly PassSetup[]): Promise<void> {
    const [control, numbers, of] = [this.#control, this.#numbers, this.others + 1];
    await Promise.all(
      this.#hosts.map((host, t) => {
        const seat: Seat = { control, numbers, mail: this.#mail[t], part: t + 1, of };
        return host.call('open', [module, setups[t], seat]);
      }),
    );
  }

  /** Asks every thread; `finish` gives their answers. The caller may work in between, but ask nothing else. */
  ask(name: keyof ThreadCalls, argsOf: (thread: number) => readonly unknown[]): void {
    for (const [t, box] of this.#boxes.entries()) box.put({ name, args: argsOf(t) } satisfies Call);
    this.#begin(CALL);
  }

  /** @throws PtychoError ENGINE_FAILURE where a thread failed or stopped */
  async finish<T>(): Promise<T[]> {
    // Asleep for a moment at a time: a thread that stopped says so to the event loop only.
    while (!this.#lookout.until(0, true, 2)) {
      await new Promise((resolve) => setImmediate(resolve));
      const ended = this.#hosts.find((host) => host.ended !== undefined);
      if (ended) throw failure(ended.ended!);
    }
    return this.#boxes.map((box) => {
      const answer = box.take() as Answer;
      if ('error' in answer) throw failure(answer.error);
      return answer.value as T;
    });
  }

  /** All threads take their parts of the steps, the caller's own too; answers the largest value that they found. */
  run(kernels: Kernels, steps: readonly PlaneStep[]): number {
    writeSteps(steps, this.#numbers);
    this.#begin(STEPS);
    let most = runSteps(kernels, steps, { part: 0, of: this.others + 1 });
    this.#lookout.until(0, true);
    for (let t = 1; t <= this.others; t++) most = Math.max(most, this.#numbers[STEP_NUMBERS + t]);
    return most;
  }

  async close(): Promise<void> {
    this.#begin(LEAVE);
    await Promise.all(this.#hosts.map((host) => host.close()));
  }

  #begin(kind: number): void {
    Atomics.store(this.#control, KIND, kind);
    Atomics.store(this.#control, OPEN, this.others);
    Atomics.add(this.#control, QUESTION, 1);
    Atomics.notify(this.#control, QUESTION);
  }
}

const failure = (why: string) => new PtychoError('ENGINE_FAILURE', `The solver cannot run: ${why}.`, { reason: why });
