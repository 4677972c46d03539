/** The images of a session: kept with all that saving and comparing them needs. */
import type { SolverAlgorithm } from '../../config/schemas/solver.js';
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import type { Tensor } from '../../core/tensor.js';
import type { RawData } from '../../data/rawData.js';
import type { SolverResult } from '../../solvers/run.js';
import type { ResultView } from './views.js';

/** A result with what it was made of. */
export interface Result extends ResultView {
  readonly solved?: {
    readonly result: SolverResult;
    readonly raw: RawData;
    readonly algorithm: SolverAlgorithm;
    readonly moved: boolean;
  };
  readonly inferred?: { readonly raw: RawData };
}

/** A result that has no number yet. */
export type NewResult = Omit<Result, 'result'>;

export class Results {
  readonly #results = new Map<number, Result>();
  #next = 1;

  constructor(private readonly logger: Logger) {}

  /** Gives it a number. @returns what the page is shown of it */
  add(made: NewResult): ResultView {
    const result = this.#next++;
    this.#results.set(result, { ...made, result });
    const { solved: _, inferred: __, ...view } = made;
    return { ...view, result };
  }

  get(result: number): Result {
    const found = this.#results.get(result);
    if (found) return found;
    throw new PtychoError('USAGE', `There is no result ${result} in this session any more.`, { result });
  }

  drop(result: number): void {
    this.#results.delete(result);
  }

  async open(path: string): Promise<ResultView> {
    const { readStoredImage } = await import('../../reconstruction/storedImage.js');
    const { image, originYxPx = [0, 0], weight, pixel_m, notes } = await readStoredImage(path, 'the result');
    for (const note of notes) this.logger.info(note);
    const [height, width] = image.shape;
    const data = weight ? Float32Array.from(weight) : new Float32Array(height * width).fill(1);
    const most = data.reduce((largest, value) => Math.max(largest, value), 0) || 1;
    const coverage: Tensor = { data: data.map((value) => value / most), shape: [height, width] };
    return this.add({ kind: 'file', title: path, image, frame: { originYxPx, height, width }, coverage, pixel_m, history: [], cancelled: false }); // biome-ignore format: one call
  }
}
