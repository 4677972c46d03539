/** The inner loops in WebAssembly (`assembly/`), and the memory that they share with every thread. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PtychoError } from '../../core/errors.js';
import { packageFile } from '../../core/packageFile.js';

/** See `assembly/`: planes are given by their addresses in bytes. */
export interface Kernels {
  fft2(re: number, im: number, n: number, plan: number, scratch: number): void;
  shift(re: number, im: number, ramps: number, outRe: number, outIm: number, n: number): void;
  addShiftedBack(re: number, im: number, ramps: number, sumRe: number, sumIm: number, n: number): void;
  exitWave(
    oRe: number,
    oIm: number,
    stride: number,
    pRe: number,
    pIm: number,
    outRe: number,
    outIm: number,
    n: number,
  ): void;
  intensity(waves: number, modes: number, step: number, scale: number, out: number, n: number): void;
  backgroundTerms(
    model: number,
    measured: number,
    own: number,
    hold: number,
    spread: number,
    excess: number,
    weight: number,
    excessSum: number,
    weightSum: number,
    length: number,
  ): void;
  dampChange(change: number, measured: number, damp: number, scale: number, length: number): void;
  innerProduct(a: number, b: number, length: number): number;
  compare(model: number, measured: number, sums: number, n: number): void;
  amplitudeChange(model: number, measured: number, scale: number, floor: number, n: number): void;
  poissonChange(model: number, measured: number, scale: number, floor: number, n: number): void;
  likelihoodChange(model: number, measured: number, scale: number, pedestal: number, n: number): void;
  scaleBy(re: number, im: number, factor: number, n: number): void;
  reflect(aRe: number, aIm: number, bRe: number, bIm: number, outRe: number, outIm: number, n: number): void;
  differenceStep(re: number, im: number, qRe: number, qIm: number, dRe: number, dIm: number, n: number): number;
  addObject(
    pRe: number,
    pIm: number,
    cRe: number,
    cIm: number,
    weighted: number,
    sumRe: number,
    sumIm: number,
    stride: number,
    n: number,
  ): void;
  addIllumination(pRe: number, pIm: number, sum: number, stride: number, n: number): void;
  probeProduct(
    oRe: number,
    oIm: number,
    stride: number,
    cRe: number,
    cIm: number,
    weighted: number,
    outRe: number,
    outIm: number,
    n: number,
  ): void;
  addObjectIntensity(oRe: number, oIm: number, stride: number, sum: number, n: number): void;
  stepProducts(
    dRe: number,
    dIm: number,
    oRe: number,
    oIm: number,
    stride: number,
    pRe: number,
    pIm: number,
    dpRe: number,
    dpIm: number,
    cRe: number,
    cIm: number,
    sums: number,
    n: number,
  ): void;
  positionProducts(
    oRe: number,
    oIm: number,
    stride: number,
    pRe: number,
    pIm: number,
    cRe: number,
    cIm: number,
    sums: number,
    n: number,
  ): void;
  fieldProducts(
    uRe: number,
    uIm: number,
    ramps: number,
    gRe: number,
    gIm: number,
    fieldRe: number,
    fieldIm: number,
    oRe: number,
    oIm: number,
    stride: number,
    sums: number,
    n: number,
  ): void;
  transfer(re: number, im: number, hRe: number, hIm: number, ramps: number, back: number, n: number): void;
  waveProducts(
    aRe: number,
    aIm: number,
    bRe: number,
    bIm: number,
    cRe: number,
    cIm: number,
    sums: number,
    n: number,
  ): void;
  /** See `assembly/blocks.ts`, for this and the next four. */
  shiftedField(
    re: number,
    im: number,
    ramps: number,
    outRe: number,
    outIm: number,
    n: number,
    plan: number,
    blocks: number,
    scratch: number,
  ): void;
  waveRows(
    oRe: number,
    oIm: number,
    stride: number,
    pRe: number,
    pIm: number,
    n: number,
    plan: number,
    blocks: number,
    scratch: number,
  ): void;
  changeColumns(
    blocks: number,
    modes: number,
    step: number,
    measured: number,
    rule: number,
    intensityScale: number,
    scale: number,
    floor: number,
    sums: number,
    n: number,
    plan: number,
    scratch: number,
  ): void;
  changeRows(
    blocks: number,
    outRe: number,
    outIm: number,
    pRe: number,
    pIm: number,
    oRe: number,
    oIm: number,
    stride: number,
    sumRe: number,
    sumIm: number,
    light: number,
    weighted: number,
    product: number,
    intensity: number,
    n: number,
    plan: number,
    scratch: number,
  ): void;
  spectrumColumns(
    blocks: number,
    ramps: number,
    sumRe: number,
    sumIm: number,
    keptRe: number,
    keptIm: number,
    n: number,
    plan: number,
    scratch: number,
  ): void;
  jointChange(
    dRe: number,
    dIm: number,
    oRe: number,
    oIm: number,
    stride: number,
    pRe: number,
    pIm: number,
    dpRe: number,
    dpIm: number,
    outRe: number,
    outIm: number,
    n: number,
  ): void;
  tripleProduct(
    uRe: number,
    uIm: number,
    stride: number,
    qRe: number,
    qIm: number,
    cRe: number,
    cIm: number,
    n: number,
  ): number;
  curvature(
    waves: number,
    a: number,
    b: number,
    modes: number,
    step: number,
    model: number,
    measured: number,
    scale: number,
    floor: number,
    pedestal: number,
    sums: number,
    n: number,
  ): void;
  addPlane(part: number, sum: number, length: number): void;
  clear(plane: number, length: number): void;
  copyPlane(source: number, target: number, length: number): void;
  blend(source: number, gain: number, target: number, keep: number, length: number): void;
  largest(plane: number, length: number): number;
  divideStep(
    numeratorRe: number,
    numeratorIm: number,
    denominator: number,
    a: number,
    b: number,
    gain: number,
    fieldRe: number,
    fieldIm: number,
    length: number,
  ): void;
  divideByRoot(numeratorRe: number, numeratorIm: number, denominator: number, b: number, length: number): void;
  addScaled(step: number, gain: number, field: number, length: number): void;
}

/** Memory that all threads see; growing it leaves earlier views as they are. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
  /** By pages; answers how many there were. */
  grow(pages: number): number;
}

/** Compiled code; threads pass it to each other. */
export type WasmModule = object;

/** What of WebAssembly is used: TypeScript knows it together with the browser's types only. */
interface WasmApi {
  readonly Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Instance: new (module: WasmModule, imports: unknown) => { readonly exports: unknown };
}

const wasm = (): WasmApi => (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;

/** WebAssembly addresses 4 GiB. */
export const MOST_PAGES = 65536;
export const PAGE_BYTES = 65536;

/** Memory that grows as it is needed, seen by all threads. */
export const sharedMemory = (): WasmMemory => new (wasm().Memory)({ initial: 1, maximum: MOST_PAGES, shared: true });

/** @throws PtychoError BACKEND_MISSING where the package was not built */
export function loadKernels(): WasmModule {
  const file = packageFile(new URL('./kernels.wasm', import.meta.url), 'solvers/host/kernels.wasm');
  try {
    return new (wasm().Module)(readFileSync(file));
  } catch (error) {
    throw new PtychoError(
      'BACKEND_MISSING',
      `The solvers' inner loops (kernels.wasm) cannot be loaded; run "npm run build", or install the package again.`,
      { file: fileURLToPath(file) },
      { cause: error },
    );
  }
}

/** One thread's instance. */
export function startKernels(module: WasmModule, memory: WasmMemory): Kernels {
  const abort = () => {
    throw new Error('the inner loops of the solvers stopped');
  };
  return new (wasm().Instance)(module, { env: { memory, abort } }).exports as Kernels;
}

/** True for sides that {@link Kernels} take: even ones from 4. */
export const fitsKernels = (side: number): boolean => side >= 4 && side % 2 === 0;

/**
 * Radices of the stages of a transform: odd prime numbers first, then 4 and 8, the last of which need no factors; 2 where nothing else is
 * left.
 */
function radices(side: number): number[] {
  let [rest, twos] = [side, 0];
  for (; rest % 2 === 0; rest /= 2) twos++;
  const found: number[] = [];
  for (let radix = 3; rest > 1; radix = radix * radix > rest && radix > 5 ? rest : radix + 2) {
    for (; rest % radix === 0; rest /= radix) found.push(radix);
  }
  if (twos === 1) return [...found, 2];
  const fours = (2 * twos) % 3;
  return [...found, ...Array<number>(fours).fill(4), ...Array<number>((twos - 2 * fours) / 3).fill(8)];
}

/** These radices have code of their own: others need the roots of unity beside the factors. */
const WRITTEN_OUT = [2, 3, 4, 5, 8];

/** Bytes of the plan of a transform of `side` points. */
export const planBytes = (side: number): number =>
  128 + 8 * radices(side).reduce((sum, r) => sum + side + (WRITTEN_OUT.includes(r) ? 0 : r), 0);

/** Scratch of `fft2`, and of each mode in `changeColumns`. */
export const fftScratchBytes = (side: number): number => 8 * (32 * side + 192);

/** Sides whose patterns {@link Kernels.changeColumns} and its neighbours take. */
export const fitsBlocks = (side: number): boolean => side % 4 === 0;

/** A field between the halves of a transform, see `assembly/blocks.ts`. */
export const blockBytes = (side: number): number => (side / 4) * (32 * side + 192);

/** Writes the plan of a transform at an address (a multiple of 4): see `assembly/fft.ts`. */
export function writePlan(memory: WasmMemory, address: number, side: number): void {
  const stages = radices(side);
  const bytes = planBytes(side);
  const integers = new Int32Array(memory.buffer, address, bytes / 4);
  const floats = new Float32Array(memory.buffer, address, bytes / 4);
  integers[0] = stages.length;
  let next = 32;
  let length = side;
  stages.forEach((radix, k) => {
    integers[1 + 2 * k] = radix;
    integers[2 + 2 * k] = address + 4 * next;
    const root = (part: number, of: number) => {
      const angle = (-2 * Math.PI * (part % of)) / of;
      floats[next++] = Math.cos(angle);
      floats[next++] = Math.sin(angle);
    };
    if (!WRITTEN_OUT.includes(radix)) for (let j = 0; j < radix; j++) root(j, radix);
    for (let p = 0; p < length / radix; p++) {
      for (let j = 1; j < radix; j++) root(j * p, length);
    }
    length /= radix;
  });
}
