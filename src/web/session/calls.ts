/** What a session can be asked; see {@link PageSession}, whose methods these answer. */
import { repeatCommand } from '../../config/flags.js';
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import type { Tensor } from '../../core/tensor.js';
import { openScan } from '../../data/findings/survey.js';
import type { InspectOptions, ScanInspection } from '../../data/inspect.js';
import type { RawData } from '../../data/rawData.js';
import { files, type PageFile } from '../files.js';
import { usableThreads } from '../threads.js';
import { forget, keep, kept, restore } from './kept.js';
import type { Models } from './models.js';
import { Results } from './results.js';
import type { Run } from './run.js';
import type { CompareView, FormField, InferRequest, ModelView, OpenOptions, PageFileView, ResultView, SaveFormat, ScanView, SolveRequest, TrainRequest } from './views.js'; // biome-ignore format: a list

/** Patterns that are read in one go. */
const CHUNK_PIXELS = 1 << 22;

export class SessionCalls {
  readonly #scans = new Map<number, RawData>();
  readonly #results: Results;
  #models: Promise<Models> | undefined;
  #nextScan = 1;

  constructor(private readonly logger: Logger) {
    this.#results = new Results(logger);
  }

  // ---- files

  async addFile(_run: Run, file: Parameters<typeof files.add>[0], path?: string): Promise<string> {
    return files.add(file, path);
  }

  async addUrl(_run: Run, address: string, path?: string): Promise<string> {
    return files.addUrl(address, path);
  }

  async addBytes(_run: Run, path: string, bytes: Uint8Array): Promise<string> {
    return files.addBytes(path, bytes);
  }

  async listFiles(_run: Run, folder?: string): Promise<readonly PageFileView[]> {
    return files.list(folder).map((path) => ({ path, bytes: (files.find(path) as PageFile).size }));
  }

  async readFile(_run: Run, path: string): Promise<Uint8Array> {
    return files.read(path);
  }

  async removeFile(_run: Run, path: string): Promise<void> {
    files.remove(path);
  }

  async keep(_run: Run, path: string): Promise<void> {
    await keep(path);
  }

  async kept(): Promise<readonly PageFileView[]> {
    return kept();
  }

  async restore(_run: Run, path: string): Promise<readonly string[]> {
    return restore(path);
  }

  async forget(_run: Run, path: string): Promise<void> {
    await forget(path);
  }

  // ---- scans

  async openScan(run: Run, path: string, { accept, ...options }: OpenOptions): Promise<ScanView> {
    const onPatterns = (done: number) => run.onProgress({ stage: 'reading', done, total: done, unit: 'patterns' });
    const raw = await openScan(path, { ...options, logger: this.logger }, { accept, signal: run.signal, onPatterns });
    const scan = this.#nextScan++;
    this.#scans.set(scan, raw);
    return {
      ...{ scan, path, count: raw.count, N: raw.N, format: raw.format },
      ...{ domain: raw.domain, domainReason: raw.domainReason },
      ...{ xcoords: raw.xcoords, ycoords: raw.ycoords, sampleIndices: raw.sampleIndices },
      ...{ geometry: raw.geometry, orientation: raw.orientation, metadata: raw.metadata, notes: raw.notes },
      ...{ badPixels: raw.badPixels, probeGuess: raw.probeGuess, objectGuess: raw.objectGuess },
      power: raw.patterns.sums?.power ?? new Float64Array(raw.count),
      findings: raw.findings?.all ?? [],
    };
  }

  async inspect(_run: Run, path: string, options: Omit<InspectOptions, 'onScan' | 'logger'>): Promise<ScanInspection> {
    const { inspectScan } = await import('../../data/inspect.js');
    return inspectScan(path, { ...options, logger: this.logger });
  }

  async patterns(_run: Run, scan: number, indices: Int32Array): Promise<Tensor> {
    const { patterns, N } = this.#scan(scan);
    const data = new Float32Array(indices.length * N * N);
    await patterns.readAmplitudes(indices, data);
    return { data, shape: [indices.length, N, N] };
  }

  async sumPattern(run: Run, scan: number): Promise<Tensor<Float64Array>> {
    const { patterns, N, count } = this.#scan(scan);
    const sum = new Float64Array(N * N);
    const step = Math.max(1, Math.floor(CHUNK_PIXELS / (N * N)));
    const values = new Float32Array(Math.min(step, count) * N * N);
    for (let from = 0; from < count && !run.signal.aborted; from += step) {
      const rows = Int32Array.from({ length: Math.min(step, count - from) }, (_, i) => from + i);
      const part = values.subarray(0, rows.length * N * N);
      await patterns.readAmplitudes(rows, part);
      for (let i = 0; i < part.length; i++) sum[i % sum.length] += part[i] * part[i];
    }
    return { data: sum, shape: [N, N] };
  }

  async closeScan(_run: Run, scan: number): Promise<void> {
    const raw = this.#scans.get(scan);
    this.#scans.delete(scan);
    await raw?.close();
  }

  // ---- images

  async solve(run: Run, scan: number, request: SolveRequest): Promise<ResultView> {
    const from = request.from === undefined ? undefined : this.#results.get(request.from);
    const { solveScan } = await import('./solving.js');
    return this.#results.add(await solveScan(this.#scan(scan), request, { run, logger: this.logger, from }));
  }

  async openModel(
    _run: Run,
    path: string,
    options: { accelerator?: 'auto' | 'webgpu' | 'cpu'; threads?: number },
  ): Promise<ModelView> {
    return (await this.#networks()).open(path, options);
  }

  async infer(run: Run, model: number, scan: number, request: InferRequest): Promise<ResultView> {
    return (await this.#networks()).infer(run, model, this.#scan(scan), request);
  }

  async train(run: Run, scan: number, request: TrainRequest): Promise<ModelView> {
    return (await this.#networks()).train(run, this.#scan(scan), request);
  }

  async saveModel(_run: Run, model: number, path: string): Promise<string> {
    return (await this.#networks()).get(model).save(path);
  }

  async closeModel(_run: Run, model: number): Promise<void> {
    await (await this.#networks()).close(model);
  }

  async openResult(_run: Run, path: string): Promise<ResultView> {
    return this.#results.open(path);
  }

  async save(_run: Run, result: number, format: SaveFormat, folder = 'saved'): Promise<readonly string[]> {
    const { saveResult } = await import('./saving.js');
    return saveResult(this.#results.get(result), format, folder, this.logger);
  }

  async dropResult(_run: Run, result: number): Promise<void> {
    this.#results.drop(result);
  }

  async compare(_run: Run, a: number, b: number): Promise<CompareView> {
    const { compareResults } = await import('./compare.js');
    return compareResults(this.#results.get(a), this.#results.get(b));
  }

  // ---- options

  async fields(_run: Run, command: string): Promise<readonly FormField[]> {
    return (await definitionOf(command)).sections.flatMap(({ title, fields, claim }) =>
      claim
        ? []
        : fields
            .filter(({ fixed }) => !fixed)
            .map(({ name, description, kind, expected, unit, choices, nullable, required, fallback }) => ({
              ...{ name, section: title, description, kind, expected, unit, choices, nullable, required, fallback },
            })),
    );
  }

  async commandLine(
    _run: Run,
    command: string,
    args: readonly string[],
    values: Readonly<Record<string, unknown>>,
  ): Promise<string> {
    const given = Object.entries(values).filter(([, value]) => value !== undefined);
    const provenance = Object.fromEntries(given.map(([name, value]) => [name, { value, source: 'caller' as const }]));
    return repeatCommand(command, provenance, args) as string;
  }

  async engineFiles(_run: Run, address: string): Promise<void> {
    (await import('../../backends/ort-web/backend.js')).engineFiles(address);
  }

  async threads(): Promise<number> {
    return usableThreads();
  }

  /** What belongs to networks comes with the first of them. */
  #networks(): Promise<Models> {
    this.#models ??= import('./models.js').then(({ Models }) => new Models(this.#results, this.logger));
    return this.#models;
  }

  #scan(scan: number): RawData {
    const found = this.#scans.get(scan);
    if (found) return found;
    throw new PtychoError('USAGE', `There is no open scan ${scan} in this session; open it first.`, { scan });
  }
}

async function definitionOf(command: string) {
  const { COMMAND_DEFINITIONS } = await import('../../config/commands.js');
  const found = Object.hasOwn(COMMAND_DEFINITIONS, command) ? COMMAND_DEFINITIONS[command] : undefined;
  if (found) return found;
  const known = Object.keys(COMMAND_DEFINITIONS);
  throw new PtychoError('USAGE', `There is no command "${command}"; there are ${known.join(', ')}.`, {
    command,
    expected: known,
  });
}
