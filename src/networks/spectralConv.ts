/**
 * Spectral convolutions as matrix products: of the discrete Fourier transform only the few waves that are kept are computed, by products
 * with tables of cosines and sines along one axis and then the other; channels are mixed wave by wave.
 *
 * Source: Li et al., "Fourier neural operator for parametric partial differential equations", ICLR 2021. As in the published networks
 * only waves k, l ≥ 0 of the real transform are kept, but in {@link resizingSpectralConv}; waves whose rows run the other way do not pass.
 */
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';

/** cos or sin of 2π·k·n/size; products k·n are taken modulo `size`, exact for any length. */
const wave = (f: (angle: number) => number, k: number, n: number, size: number) =>
  f((2 * Math.PI * ((k * n) % size)) / size);

function table(
  rows: number,
  columns: number,
  label: string,
  value: (row: number, column: number) => number,
): GraphNode {
  const data = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) data[r * columns + c] = value(r, c);
  return op.constant(data, [rows, columns], label);
}

/** [size, 2·modes]: x times this is the real part and the imaginary part of a transform along the last axis, e^{−iθ}. */
function forwardColumns(size: number, modes: number): GraphNode {
  return table(size, 2 * modes, 'waves', (n, c) => {
    const l = c % modes;
    return c < modes ? wave(Math.cos, l, n, size) : -wave(Math.sin, l, n, size);
  });
}

/**
 * [2·waves, 2·size]: takes rows (pixel, real or imaginary part of the transform along the other axis) to rows (real or imaginary part,
 * wave) of the whole transform, e^{−iθ}.
 */
function forwardRows(size: number, waves: readonly number[]): GraphNode {
  const m = waves.length;
  return table(2 * m, 2 * size, 'waves of rows', (r, c) => {
    const [imaginary, k] = [r >= m, waves[r % m]];
    const [ofImaginary, n] = [c % 2 === 1, c >> 1];
    // (R + iI)·(cos − i·sin) = (R·cos + I·sin) + i·(I·cos − R·sin)
    const part = wave(imaginary === ofImaginary ? Math.cos : Math.sin, k, n, size);
    return imaginary && !ofImaginary ? -part : part;
  });
}

/** [2·size, 2·waves]: rows (real or imaginary part, wave) to rows (pixel, real or imaginary part), e^{+iθ}. */
function backwardRows(size: number, waves: readonly number[]): GraphNode {
  const m = waves.length;
  return table(2 * size, 2 * m, 'rows of waves', (r, c) => {
    const [imaginary, n] = [r % 2 === 1, r >> 1];
    const [ofImaginary, k] = [c >= m, waves[c % m]];
    // (R + iI)·(cos + i·sin) = (R·cos − I·sin) + i·(R·sin + I·cos)
    const part = wave(imaginary === ofImaginary ? Math.cos : Math.sin, k, n, size);
    return ofImaginary && !imaginary ? -part : part;
  });
}

/** [2·modes, size]: the real image of half a spectrum along the last axis, its parts side by side, times `scale`. */
function backwardColumns(size: number, modes: number, scale: number): GraphNode {
  return table(2 * modes, size, 'columns of waves', (r, n) => {
    const l = r % modes;
    // Every wave stands for itself and its mirror image, but the constant one and the fastest.
    const twins = l === 0 || 2 * l === size ? 1 : 2;
    return twins * scale * (r < modes ? wave(Math.cos, l, n, size) : -wave(Math.sin, l, n, size));
  });
}

/** Waves that are kept along rows and columns of H×W images. */
function keptModes(modes: number, h: number, w: number): { readonly rows: number; readonly columns: number } {
  return { rows: Math.min(modes, h), columns: Math.min(modes, Math.floor(w / 2) + 1) };
}

/** How the weights begin: both parts normal, of variance 1/(2·inputs). */
const spectralInit = (inputs: number) => ({ deviation: Math.sqrt(1 / (2 * inputs)) });

/**
 * Weights times values, both complex, wave by wave: v [waves, 2, R, Ci], real parts first; weights [waves, Ci, Co]. Two products
 * instead of one with the four blocks (re, im; −im, re), which would have to be assembled.
 */
function mixed(v: GraphNode, re: GraphNode, im: GraphNode): GraphNode {
  const [waves, , rows, cin] = v.shape;
  const cout = re.shape[2];
  const flat = op.reshape(v, [waves, 2 * rows, cin]);
  const times = (weights: GraphNode) => op.reshape(op.matmul(flat, weights), [waves, 2, rows, cout]);
  const [byRe, byIm] = [times(re), times(im)];
  const part = (x: GraphNode, i: number) => op.sliceAxis(x, 1, i, 1);
  return op.concat([op.sub(part(byRe, 0), part(byIm, 1)), op.add(part(byRe, 1), part(byIm, 0))], 1);
}

/**
 * A spectral convolution [B, Ci, H, W] → [B, Co, H, W] that keeps `modes` waves along both axes. Its parameters `name.re` and `name.im`
 * are [wave along a column, wave along a row, Ci, Co], whatever the size of the image.
 */
export function spectralConv(
  x: GraphNode,
  name: string,
  cout: number,
  modes: number,
  scope: ParameterScope,
): GraphNode {
  const [, cin, h, w] = x.shape;
  const { rows: m, columns: n } = keptModes(modes, h, w);
  const weights = ['re', 'im'].map((part) => {
    const all = scope.parameter(`${name}.${part}`, [modes, modes, cin, cout], spectralInit(cin));
    return op.reshape(op.slice(all, [0, 0, 0, 0], [m, n, cin, cout]), [m * n, cin, cout]);
  });
  const rows = Array.from({ length: m }, (_, k) => k);
  return filtered(x, weights, { rows, rowsOut: rows, columns: n }, [h, w], name);
}

/**
 * A spectral convolution that also keeps waves whose rows run the other way, and puts out another size: [B, Ci, H, W] → [B, Co, H′, W′].
 * Parameters [waves along a column: −modes/2 … modes/2 − 1, waves along a row: 0 … modes/2, Ci, Co], normal of variance `variance`/2.
 * @param options `turned` published: those waves are at rows H − k of the transform, which is cut or filled up behind to H′ rows: gone where
 * H′ is half of H, and other waves where it is twice
 */
export function resizingSpectralConv(
  x: GraphNode,
  name: string,
  cout: number,
  {
    modes,
    size,
    variance,
    turned = 'kept',
  }: {
    readonly modes: number;
    readonly size: readonly [number, number];
    readonly variance: number;
    readonly turned?: 'kept' | 'published';
  },
  scope: ParameterScope,
): GraphNode {
  const [, cin, h, w] = x.shape;
  const columns = Math.floor(modes / 2) + 1;
  const published = turned === 'published';
  const m = Math.min(modes, published ? h : Math.min(h, size[0]));
  const n = Math.min(columns, Math.floor(Math.min(w, size[1]) / 2) + 1);
  const first = Math.floor((modes - m) / 2);
  const waves = Array.from({ length: m }, (_, i) => i + first - Math.floor(modes / 2));
  const placeOf = (k: number) => (published && k < 0 ? k + h : k);
  // Those that have no place in the result are the first.
  const lost = published ? waves.filter((k) => placeOf(k) >= size[0]).length : 0;
  const rows = waves.slice(lost);
  const weights = ['re', 'im'].map((part) => {
    const init = { deviation: Math.sqrt(variance / 2) };
    const all = scope.parameter(`${name}.${part}`, [modes, columns, cin, cout], init);
    return op.reshape(op.slice(all, [first + lost, 0, 0, 0], [rows.length, n, cin, cout]), [
      rows.length * n,
      cin,
      cout,
    ]);
  });
  return filtered(x, weights, { rows, rowsOut: rows.map(placeOf), columns: n }, size, name);
}

/** Which waves pass: along a column before and after, and how many along a row. */
interface PassedWaves {
  readonly rows: readonly number[];
  readonly rowsOut: readonly number[];
  readonly columns: number;
}

/** Waves of x, each times its weights [waves, Ci, Co], as an image of another size. */
function filtered(
  x: GraphNode,
  [re, im]: readonly GraphNode[],
  { rows: waves, rowsOut, columns: n }: PassedWaves,
  [height, width]: readonly [number, number],
  label: string,
): GraphNode {
  const [b, cin, h, w] = x.shape;
  const m = waves.length;
  const cout = re.shape[2];
  const alongRows = op.reshape(op.matmul(x, forwardColumns(w, n)), [b, cin, 2 * h, n]);
  const spectrum = op.matmul(forwardRows(h, waves), alongRows);
  // From images of waves to waves of images and back: as transpositions of matrices and moves of whole rows, which engines do fastest.
  const turned = op.transposeLast(op.reshape(spectrum, [b * cin, 2 * m * n]));
  const byWave = op.reshape(op.transpose(op.reshape(turned, [2, m * n, b * cin]), [1, 0, 2]), [m * n, 2, b, cin]);
  const passed = op.transpose(op.reshape(mixed(byWave, re, im), [m * n, 2, b * cout]), [1, 0, 2]);
  const back = op.reshape(op.transposeLast(op.reshape(passed, [2 * m * n, b * cout])), [b, cout, 2 * m, n]);
  const rows = op.reshape(op.matmul(backwardRows(height, rowsOut), back), [b, cout, height, 2 * n]);
  return op.matmul(rows, backwardColumns(width, n, 1 / (h * w)), label);
}

/** The weights of a {@link factorisedConv}; layers may share them. */
export interface FactorisedWeights {
  readonly x: readonly GraphNode[];
  readonly y: readonly GraphNode[];
}

/** Declares the weights of a {@link factorisedConv} for `channels` channels: `name.x.re`, …, each [wave, C, C]. */
export function factorisedWeights(
  name: string,
  channels: number,
  modes: number,
  scope: ParameterScope,
): FactorisedWeights {
  const shape = [modes, channels, channels];
  const along = (axis: string) =>
    ['re', 'im'].map((part) => scope.parameter(`${name}.${axis}.${part}`, shape, spectralInit(channels)));
  return { x: along('x'), y: along('y') };
}

/**
 * Two spectral convolutions [B, C, H, W] → [B, C, H, W], one along rows and one along columns, added.
 * Source: Tran et al., "Factorized Fourier neural operators", ICLR 2023.
 */
export function factorisedConv(x: GraphNode, { x: alongX, y: alongY }: FactorisedWeights): GraphNode {
  return op.add(lineConv(x, alongX), op.transposeLast(lineConv(op.transposeLast(x), alongY)));
}

/** A spectral convolution of every row of an image. */
function lineConv(x: GraphNode, [re, im]: readonly GraphNode[]): GraphNode {
  const [b, c, h, w] = x.shape;
  const [modes, , cout] = re.shape;
  const n = keptModes(modes, h, w).columns;
  const kept = (weights: GraphNode) => op.sliceAxis(weights, 0, 0, n);
  const spectrum = op.reshape(op.matmul(x, forwardColumns(w, n)), [b, c, h, 2, n]);
  const byWave = op.reshape(op.transpose(spectrum, [4, 3, 0, 2, 1]), [n, 2, b * h, c]);
  const passed = op.reshape(mixed(byWave, kept(re), kept(im)), [n, 2, b, h, cout]);
  const back = op.reshape(op.transpose(passed, [2, 4, 3, 1, 0]), [b, cout, h, 2 * n]);
  return op.matmul(back, backwardColumns(w, n, 1 / w));
}
