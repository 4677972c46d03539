/**
 * Layers of networks in float64, by their definitions, one image [C, H, W] at a time: what the networks of `src/networks` are compared
 * with where no numbers of another program are to be had.
 */
import type { Tensor } from '../../src/core/tensor.js';

export interface Image {
  readonly data: Float64Array;
  readonly channels: number;
  readonly side: number;
}

export type Weights = Readonly<Record<string, Tensor>>;

/** Makes an image pixel by pixel. */
export function image(channels: number, side: number, of: (c: number, y: number, x: number) => number): Image {
  const data = new Float64Array(channels * side * side);
  for (let c = 0, i = 0; c < channels; c++)
    for (let y = 0; y < side; y++) for (let x = 0; x < side; x++, i++) data[i] = of(c, y, x);
  return { data, channels, side };
}

const at = ({ data, side }: Image, c: number, y: number, x: number) => data[(c * side + y) * side + x];

const mirrored = (i: number, n: number) => (i < 0 ? -i : i >= n ? 2 * n - 2 - i : i);

export const map = (x: Image, f: (v: number, c: number) => number): Image => ({
  ...x,
  data: x.data.map((v, i) => f(v, Math.floor(i / x.side ** 2))),
});
export const add = (a: Image, b: Image): Image => ({ ...a, data: a.data.map((v, i) => v + b.data[i]) });
export const beside = (a: Image, b: Image): Image => ({
  side: a.side,
  channels: a.channels + b.channels,
  data: Float64Array.of(...a.data, ...b.data),
});
export const channelsOf = (x: Image, from: number, count: number): Image => ({
  side: x.side,
  channels: count,
  data: x.data.slice(from * x.side ** 2, (from + count) * x.side ** 2),
});

/** The error function by its series. */
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 200 && Math.abs(term) > 1e-17; n++) {
    term *= -(x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
export const gelu = (x: Image): Image =>
  map(x, (v) => (v * (1 + (Math.abs(v) > 5 ? Math.sign(v) : erf(v / Math.SQRT2)))) / 2);
export const relu = (x: Image): Image => map(x, (v) => Math.max(v, 0));
export const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));

/** A convolution that keeps the size, weights [Co, Ci, k, k]. */
export function conv(x: Image, w: Weights, name: string, outside: 'zeros' | 'mirror' = 'zeros'): Image {
  const { data, shape } = w[`${name}.weight`];
  const [cout, cin, k] = shape;
  const bias = w[`${name}.bias`]?.data;
  const half = (k - 1) / 2;
  return image(cout, x.side, (o, y, col) => {
    let sum = bias ? bias[o] : 0;
    for (let c = 0; c < cin; c++) {
      for (let i = 0; i < k; i++) {
        for (let j = 0; j < k; j++) {
          let [yy, xx] = [y + i - half, col + j - half];
          if (outside === 'mirror') [yy, xx] = [mirrored(yy, x.side), mirrored(xx, x.side)];
          if (yy < 0 || xx < 0 || yy >= x.side || xx >= x.side) continue;
          sum += data[((o * cin + c) * k + i) * k + j] * at(x, c, yy, xx);
        }
      }
    }
    return sum;
  });
}

/** Every channel alone, mirrored at the edges, weights [C, 1, k, k]. */
export function depthwise(x: Image, w: Weights, name: string): Image {
  const { data, shape } = w[`${name}.weight`];
  const k = shape[2];
  const half = (k - 1) / 2;
  return image(x.channels, x.side, (c, y, col) => {
    let sum = w[`${name}.bias`].data[c];
    for (let i = 0; i < k; i++)
      for (let j = 0; j < k; j++)
        sum += data[(c * k + i) * k + j] * at(x, c, mirrored(y + i - half, x.side), mirrored(col + j - half, x.side));
    return sum;
  });
}

/** 2×2, stride 2. */
export function halving(x: Image, w: Weights, name: string): Image {
  const { data, shape } = w[`${name}.weight`];
  const [cout, cin] = shape;
  return image(cout, x.side / 2, (o, y, col) => {
    let sum = w[`${name}.bias`].data[o];
    for (let c = 0; c < cin; c++)
      for (let i = 0; i < 2; i++)
        for (let j = 0; j < 2; j++) sum += data[((o * cin + c) * 2 + i) * 2 + j] * at(x, c, 2 * y + i, 2 * col + j);
    return sum;
  });
}

/** A transposed convolution of stride 2 with weights [Ci, Co, k, k], k 2 or 4, cut by (k − 2)/2 pixels on every side. */
export function transposed(x: Image, w: Weights, name: string): Image {
  const { data, shape } = w[`${name}.weight`];
  const [cin, cout, k] = shape;
  const cut = (k - 2) / 2;
  const out = image(cout, 2 * x.side, (o) => w[`${name}.bias`].data[o]);
  for (let c = 0; c < cin; c++)
    for (let o = 0; o < cout; o++)
      for (let y = 0; y < x.side; y++)
        for (let col = 0; col < x.side; col++)
          for (let i = 0; i < k; i++)
            for (let j = 0; j < k; j++) {
              const [yy, xx] = [2 * y + i - cut, 2 * col + j - cut];
              if (yy < 0 || xx < 0 || yy >= out.side || xx >= out.side) continue;
              out.data[(o * out.side + yy) * out.side + xx] +=
                data[((c * cout + o) * k + i) * k + j] * at(x, c, y, col);
            }
  return out;
}

/** Linear interpolation to twice the side, between the middles of pixels. */
export function doubled(x: Image): Image {
  const inside = (i: number) => Math.min(x.side - 1, Math.max(0, i));
  return image(x.channels, 2 * x.side, (c, y, col) => {
    const [fy, fx] = [(y + 0.5) / 2 - 0.5, (col + 0.5) / 2 - 0.5];
    const [y0, x0] = [Math.floor(fy), Math.floor(fx)];
    const [ty, tx] = [fy - y0, fx - x0];
    const v = (i: number, j: number) => at(x, c, inside(i), inside(j));
    return (
      (1 - ty) * ((1 - tx) * v(y0, x0) + tx * v(y0, x0 + 1)) + ty * ((1 - tx) * v(y0 + 1, x0) + tx * v(y0 + 1, x0 + 1))
    );
  });
}

export function instanceNorm(x: Image, w: Weights, name: string): Image {
  const area = x.side ** 2;
  const statistics = Array.from({ length: x.channels }, (_, c) => {
    const own = x.data.subarray(c * area, (c + 1) * area);
    const mean = own.reduce((a, b) => a + b, 0) / area;
    return { mean, deviation: Math.sqrt(own.reduce((a, b) => a + (b - mean) ** 2, 0) / area + 1e-5) };
  });
  return map(
    x,
    (v, c) =>
      ((v - statistics[c].mean) / statistics[c].deviation) * w[`${name}.scale`].data[c] + w[`${name}.shift`].data[c],
  );
}

/** Waves k < rows, l < columns of a real image's transform, mixed by weights [row, column, Ci, Co], and back. */
export function spectral(x: Image, w: Weights, name: string): Image {
  const [re, im] = [w[`${name}.re`], w[`${name}.im`]];
  const [allRows, allColumns, cin, cout] = re.shape;
  const n = x.side;
  const [rows, columns] = [Math.min(allRows, n), Math.min(allColumns, n / 2 + 1)];
  const out = image(cout, n, () => 0);
  for (let k = 0; k < rows; k++) {
    for (let l = 0; l < columns; l++) {
      const angle = (y: number, col: number) => (2 * Math.PI * (k * y + l * col)) / n;
      const waves = Array.from({ length: cin }, (_, c) => {
        let [a, b] = [0, 0];
        for (let y = 0; y < n; y++)
          for (let col = 0; col < n; col++) {
            a += at(x, c, y, col) * Math.cos(angle(y, col));
            b -= at(x, c, y, col) * Math.sin(angle(y, col));
          }
        return [a, b];
      });
      const twins = l === 0 || 2 * l === n ? 1 : 2;
      for (let o = 0; o < cout; o++) {
        let [a, b] = [0, 0];
        waves.forEach(([p, q], c) => {
          const i = ((k * allColumns + l) * cin + c) * cout + o;
          a += p * re.data[i] - q * im.data[i];
          b += p * im.data[i] + q * re.data[i];
        });
        for (let y = 0; y < n; y++)
          for (let col = 0; col < n; col++)
            out.data[(o * n + y) * n + col] +=
              (twins * (a * Math.cos(angle(y, col)) - b * Math.sin(angle(y, col)))) / (n * n);
      }
    }
  }
  return out;
}

const turned = (x: Image): Image => image(x.channels, x.side, (c, y, col) => at(x, c, col, y));

/** Rows and columns each by spectral weights [wave, C, C] of its own, added. */
export function factorised(x: Image, w: Weights, name: string): Image {
  const along = (v: Image, axis: string): Image => {
    const [re, im] = [w[`${name}.${axis}.re`], w[`${name}.${axis}.im`]];
    const [modes, cin, cout] = re.shape;
    const n = v.side;
    const kept = Math.min(modes, n / 2 + 1);
    return image(cout, n, (o, y, col) => {
      let sum = 0;
      for (let l = 0; l < kept; l++) {
        let [a, b] = [0, 0];
        for (let c = 0; c < cin; c++) {
          let [p, q] = [0, 0];
          for (let m = 0; m < n; m++) {
            p += at(v, c, y, m) * Math.cos((2 * Math.PI * l * m) / n);
            q -= at(v, c, y, m) * Math.sin((2 * Math.PI * l * m) / n);
          }
          const i = (l * cin + c) * cout + o;
          a += p * re.data[i] - q * im.data[i];
          b += p * im.data[i] + q * re.data[i];
        }
        const twins = l === 0 || 2 * l === n ? 1 : 2;
        const angle = (2 * Math.PI * l * col) / n;
        sum += (twins * (a * Math.cos(angle) - b * Math.sin(angle))) / n;
      }
      return sum;
    });
  };
  return add(along(x, 'x'), turned(along(turned(x), 'y')));
}

/** The largest of every 2×2 pixels. */
export function pooled(x: Image): Image {
  return image(x.channels, x.side / 2, (c, y, col) =>
    Math.max(...[0, 1].flatMap((i) => [0, 1].map((j) => at(x, c, 2 * y + i, 2 * col + j)))),
  );
}

/** Every pixel as a block of 2×2. */
export function enlarged(x: Image): Image {
  return image(x.channels, 2 * x.side, (c, y, col) => at(x, c, y >> 1, col >> 1));
}

/** Zeros around an image. */
export function surrounded(x: Image, side: number): Image {
  const margin = (side - x.side) / 2;
  const inside = (i: number) => i >= margin && i < margin + x.side;
  return image(x.channels, side, (c, y, col) => (inside(y) && inside(col) ? at(x, c, y - margin, col - margin) : 0));
}

const perChannel = (x: Image, of: (values: Float64Array) => number): number[] =>
  Array.from({ length: x.channels }, (_, c) => of(x.data.subarray(c * x.side ** 2, (c + 1) * x.side ** 2)));
const mean = (values: Float64Array) => values.reduce((a, b) => a + b, 0) / values.length;
const largest = (values: Float64Array) => values.reduce((a, b) => Math.max(a, b));

/** Channel gate, then spatial gate (Woo et al. 2018). */
export function cbam(x: Image, w: Weights, name: string): Image {
  const linear = (v: readonly number[], layer: string): number[] => {
    const { data, shape } = w[`${name}.channel.${layer}.weight`];
    return Array.from({ length: shape[0] }, (_, o) =>
      v.reduce((sum, vi, i) => sum + vi * data[o * shape[1] + i], w[`${name}.channel.${layer}.bias`].data[o]),
    );
  };
  const mlp = (v: readonly number[]) =>
    linear(
      linear(v, 'fc1').map((h) => Math.max(h, 0)),
      'fc2',
    );
  const [byMean, byLargest] = [mlp(perChannel(x, mean)), mlp(perChannel(x, largest))];
  return spatialGate(
    map(x, (v, c) => v * sigmoid(byMean[c] + byLargest[c])),
    w,
    `${name}.spatial`,
  );
}

/** A gate for every pixel from the largest and the mean value of its channels. */
export function spatialGate(x: Image, w: Weights, name: string): Image {
  const over = (of: (values: Float64Array) => number) =>
    image(1, x.side, (_, y, col) => of(Float64Array.from({ length: x.channels }, (__, c) => at(x, c, y, col))));
  const gate = conv(beside(over(largest), over(mean)), w, name);
  return { ...x, data: x.data.map((v, i) => v * sigmoid(gate.data[i % x.side ** 2])) };
}

/** A gate for every channel from the means of its neighbours (Wang et al. 2020). */
export function eca(x: Image, w: Weights, name: string): Image {
  const means = perChannel(x, mean);
  const { data } = w[`${name}.weight`];
  return map(x, (v, c) => v * sigmoid(data.reduce((sum, wi, i) => sum + wi * (means[c + i - 1] ?? 0), 0)));
}

/** Means and variances (of the population) of the channels of a batch. */
export function batchStatistics(batch: readonly Image[]): { readonly mean: number[]; readonly variance: number[] } {
  const { channels, side } = batch[0];
  const count = batch.length * side ** 2;
  const sums = (of: (v: number, c: number) => number) =>
    Array.from({ length: channels }, (_, c) =>
      batch.reduce(
        (sum, { data }) => sum + data.subarray(c * side ** 2, (c + 1) * side ** 2).reduce((a, v) => a + of(v, c), 0),
        0,
      ),
    );
  const means = sums((v) => v).map((s) => s / count);
  return { mean: means, variance: sums((v, c) => (v - means[c]) ** 2).map((s) => s / count) };
}
