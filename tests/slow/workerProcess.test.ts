/** The command `ptychopinn worker` as a process: what ends it, and that nothing but frames is on its stdout. Needs `npm run build`. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodeFrame, FrameParser } from '../../src/adapters/worker/messageFrame.js';
import { pause } from '../adapters/worker/standIn.js';
import { writeTinyScan } from '../support/tinyRun.js';

const cli = path.resolve('dist/cli/main.js');
const SETTINGS = {
  PtychoPINNTraining: { NumEpochs: 100000, BatchSize: 4 },
  PtychoPINNModel: { NumFiltersScale: 1 },
  PtychoPINNNode: { Accelerator: 'cpu', Threads: 1 },
};

let folder: string;
const children = new Set<ChildProcess>();
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-worker-'));
  await writeTinyScan(path.join(folder, 'train_data.npz'));
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Header = Readonly<Record<string, unknown>>;

/** What a host sends to have a training that does not end by itself. */
const endless = (output: string): Header[] => [
  { verb: 'initialize', id: 1, protocol: 1, settings: SETTINGS },
  {
    verb: 'train/start',
    id: 2,
    reconstructor: 'PtychoPINN/PINN',
    input_dir: folder,
    output_dir: path.join(folder, output),
  },
];

/** The worker and what it says. */
class Spawned {
  readonly child = spawn(process.execPath, [cli, 'worker', '--quiet'], { stdio: ['pipe', 'pipe', 'pipe'] });
  readonly headers: Header[] = [];
  readonly closed: Promise<[number | null, string | null]>;
  err = '';
  #wake: () => void = () => {};

  constructor() {
    children.add(this.child);
    const parser = new FrameParser();
    this.child.stdout.on('data', (chunk: Uint8Array) => {
      for (const { header } of parser.push(chunk)) this.headers.push(header);
      this.#wake();
    });
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.err += String(chunk);
    });
    this.child.stdin.on('error', () => {});
    this.closed = once(this.child, 'close').then((result) => {
      // Nothing but whole frames was on stdout.
      parser.end();
      this.#wake();
      return result as [number | null, string | null];
    });
  }

  send(...headers: Header[]): void {
    for (const header of headers) this.child.stdin.write(Buffer.concat(encodeFrame(header)));
  }

  async until(fits: (header: Header) => boolean): Promise<Header> {
    for (;;) {
      const found = this.headers.find(fits);
      if (found) return found;
      if (this.child.exitCode !== null) throw new Error(`the worker ended too early: ${this.err}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** A worker in the middle of a training. */
async function busy(output: string): Promise<Spawned> {
  const worker = new Spawned();
  worker.send(...endless(output));
  await worker.until(({ tag }) => tag === 'train_output');
  return worker;
}

// Most of it is starting the worker and its engine.
describe('ptychopinn worker', { timeout: 300_000 }, () => {
  it('answers SIGTERM in the middle of work: ends the request and goes', async () => {
    const worker = await busy('terminated');
    const asked = performance.now();
    worker.child.kill('SIGTERM');
    expect(await worker.closed, worker.err).toEqual([143, null]);
    // The protocol promises it: hosts kill after ten seconds.
    expect(performance.now() - asked).toBeLessThan(10_000);
    expect(worker.headers.at(-1)).toMatchObject({ tag: 'end', id: 2, status: 'cancelled' });
  });

  it('ends with its input, in the middle of work', async () => {
    const worker = await busy('closed');
    worker.child.stdin.end();
    expect(await worker.closed, worker.err).toEqual([0, null]);
    expect(worker.headers.at(-1)).toMatchObject({ tag: 'end', id: 2, status: 'cancelled' });
  });

  it('ends when nobody reads what it says', async () => {
    const worker = await busy('unread');
    worker.child.stdout.destroy();
    expect(await worker.closed, worker.err).toEqual([0, null]);
  });

  it('ends when its host is killed', async () => {
    // A host of its own process that starts the worker, waits for work to begin, and tells the worker's number.
    const frames = path.join(folder, 'frames.bin');
    await writeFile(frames, Buffer.concat(endless('orphaned').flatMap((header) => encodeFrame(header))));
    const script = `
      const { spawn } = require('node:child_process');
      const worker = spawn(process.execPath, [${JSON.stringify(cli)}, 'worker', '--quiet'], { stdio: ['pipe', 'pipe', 'ignore'] });
      worker.stdin.write(require('node:fs').readFileSync(${JSON.stringify(frames)}));
      let told = false;
      worker.stdout.on('data', (chunk) => {
        if (told || !chunk.includes('train_output')) return;
        told = true;
        console.log(worker.pid);
      });`;
    const host = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.add(host);
    const [line] = (await once(host.stdout, 'data')) as [Buffer];
    const pid = Number(String(line));
    host.kill('SIGKILL');
    await once(host, 'close');
    const alive = (): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    while (alive()) await pause(20);
  });

  it('says why it ends when it is sent something else', async () => {
    const worker = new Spawned();
    worker.child.stdin.write('{"verb": "initialize"}\n');
    expect(await worker.closed).toEqual([1, null]);
    expect(worker.headers).toMatchObject([{ tag: 'error', id: null, code: 'PROTOCOL' }]);
    expect(worker.err).toBe('ptychopinn worker: what came on stdin was no series of frames; see specs/worker.md.\n');
  });

  it('shuts down when it is asked to', async () => {
    const worker = new Spawned();
    worker.send({ verb: 'initialize', id: 1, protocol: 1 }, { verb: 'shutdown', id: 2 });
    expect(await worker.closed, worker.err).toEqual([0, null]);
    expect(worker.headers.at(-1)).toMatchObject({ tag: 'end', id: 2, status: 'ok' });
  });
});

describe('stdout', () => {
  it('holds nothing but what was meant for it', async () => {
    const module = path.resolve('dist/cli/context.js');
    const script = `
      import { Worker } from 'node:worker_threads';
      import { claimStandardStreams } from ${JSON.stringify(module)};
      const { output } = claimStandardStreams();
      console.log('a library prints');
      process.stdout.write('directly\\n');
      new Worker("console.log('from a thread')", { eval: true }).on('exit', () => output.write(Buffer.from('frame'), () => {}));`;
    const node = promisify(execFile);
    const { stdout, stderr } = await node(process.execPath, ['--input-type=module', '-e', script]);
    expect(stdout).toBe('frame');
    expect(stderr.split('\n').sort().join('\n').trim()).toBe('a library prints\ndirectly\nfrom a thread');
  });
});
