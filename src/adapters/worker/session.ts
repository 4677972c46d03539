/**
 * One conversation: requests are answered in the order they came, one at a time; `cancel` and `shutdown` act at once. Every
 * request ends with one frame `end`.
 */
import { isPtychoError, messageOf, PtychoError } from '../../core/errors.js';
import { HANDLERS, type QueuedVerb, type Service, type Work } from './handlers.js';
import { type EndStatus, FRAME_LIMITS, type Frame, MAX_WAITING, malformed, type RequestId } from './messageFrame.js';
import { type Envelope, envelopeOf, parseRequest, type RequestOf, verbOf } from './requests.js';

/** A request that waits or is at work. */
interface Job {
  readonly id: RequestId;
  readonly verb: QueuedVerb;
  readonly fields: Envelope['fields'];
  readonly frame: Frame;
  readonly bytes: number;
  readonly abort: AbortController;
}

/** The requests of one host, and who answers them. */
export class WorkerSession {
  readonly #service: Service;
  readonly #shutdown: () => void;
  #waiting: Job[] = [];
  #running: Job | undefined;
  #initialised = false;
  #closing = false;
  /** Requests to shut down, which end last. */
  #shutdowns: RequestId[] = [];
  /** The loop through the requests runs; between two of them, none is at work. */
  #working = false;
  #idle: Promise<void> = Promise.resolve();

  /** @param shutdown called when the host asks for the end: {@link close} is to be called then */
  constructor(service: Service, shutdown: () => void) {
    this.#service = service;
    this.#shutdown = shutdown;
  }

  /**
   * Takes a request.
   * @throws PtychoError PROTOCOL when it has no id, or one that is in use
   */
  receive(frame: Frame): void {
    const { id, verb: word, fields } = envelopeOf(frame.header, frame.number);
    if (this.#jobs().some((job) => job.id === id)) {
      throw malformed(`Frame ${frame.number} has the id ${JSON.stringify(id)} of a request that has not ended yet.`, {
        id,
      });
    }
    try {
      const verb = verbOf(word);
      if (verb === 'cancel') this.#answer(id, this.#cancel(parseRequest(verb, fields)));
      else if (verb === 'shutdown') {
        parseRequest(verb, fields);
        this.#shutdowns.push(id);
        this.#shutdown();
      } else this.#enqueue({ id, verb, fields, frame, bytes: payloadBytes(frame), abort: new AbortController() });
    } catch (error) {
      this.#fail(id, error);
    }
  }

  /** Cancels everything and takes nothing more; settles when the running request has ended. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#cancel({});
    await this.#idle;
    for (const id of this.#shutdowns.splice(0)) this.#answer(id, {});
  }

  #jobs(): Job[] {
    return this.#running ? [this.#running, ...this.#waiting] : this.#waiting;
  }

  #enqueue(job: Job): void {
    if (this.#closing)
      throw new PtychoError('CANCELLED', 'The worker is shutting down and takes no more requests.', {});
    const bytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes, job.bytes);
    if (this.#waiting.length >= MAX_WAITING || bytes > FRAME_LIMITS.payload_bytes) {
      throw new PtychoError(
        'USAGE',
        `Too much is waiting: at most ${MAX_WAITING} requests with ${FRAME_LIMITS.payload_bytes} bytes of arrays; wait for an "end" first.`,
        { expected: MAX_WAITING },
      );
    }
    this.#waiting.push(job);
    if (!this.#working) this.#idle = this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      this.#running = job;
      await this.#run(job);
      this.#running = undefined;
      // A host that does not read gets no more work done; requests can still be cancelled.
      if (!this.#closing) await this.#service.writer.flushed();
    }
    this.#working = false;
  }

  async #run({ id, verb, fields, frame, abort: { signal } }: Job): Promise<void> {
    try {
      if (!this.#initialised && verb !== 'initialize') {
        throw new PtychoError('USAGE', `Send "initialize" before "${verb}".`, { verb });
      }
      const work: Work = {
        frame,
        signal,
        tell: (tag, more, arrays) => this.#service.writer.send({ tag, id, ...more }, arrays),
      };
      const handle = HANDLERS[verb] as (s: Service, r: RequestOf<QueuedVerb>, w: Work) => unknown;
      const answer = await handle(this.#service, parseRequest(verb, fields), work);
      if (verb === 'initialize') this.#initialised = true;
      this.#end(id, signal.aborted ? 'cancelled' : 'ok', answer);
    } catch (error) {
      if (signal.aborted && isPtychoError(error, 'CANCELLED')) this.#end(id, 'cancelled');
      else this.#fail(id, error);
    }
  }

  /** Ends one request, or all; those that wait end here, the one at work when it notices. */
  #cancel({ request }: RequestOf<'cancel'>): { cancelled: number } {
    const chosen = this.#jobs().filter((job) => request === undefined || job.id === request);
    this.#waiting = this.#waiting.filter((job) => !chosen.includes(job));
    for (const job of chosen) {
      job.abort.abort();
      if (job !== this.#running) this.#end(job.id, 'cancelled');
    }
    return { cancelled: chosen.length };
  }

  #answer(id: RequestId, answer: object): void {
    this.#end(id, 'ok', answer);
  }

  #fail(id: RequestId, error: unknown): void {
    this.#service.writer.send(errorFrame(id, error));
    this.#end(id, isPtychoError(error, 'CANCELLED') ? 'cancelled' : 'failed');
  }

  #end(id: RequestId, status: EndStatus, answer: unknown = {}): void {
    this.#service.writer.send({ tag: 'end', id, status, answer });
  }
}

/** What went wrong, for the host; `id` is null where it was no request. */
export function errorFrame(id: RequestId | null, error: unknown): Record<string, unknown> {
  const known = isPtychoError(error) ? { code: error.code, fields: plain(error.fields) } : { code: null, fields: {} };
  const { name, stack } = error instanceof Error ? error : { name: typeof error, stack: undefined };
  return { tag: 'error', id, ...known, message: messageOf(error), exc_type: name, traceback: stack ?? '' };
}

/** Fields that JSON can hold. */
function plain(fields: object): unknown {
  try {
    return JSON.parse(JSON.stringify(fields));
  } catch {
    return {};
  }
}

function payloadBytes({ blobs }: Frame): number {
  return [...blobs.values()].reduce((sum, blob) => sum + ('bytes' in blob ? blob.bytes.length : 0), 0);
}
