/** Draws where no text may be evaluated, as in the pages of docs/web.md; prints the hashes of the pictures. */
import { createHash } from 'node:crypto';
import { lineChart } from '../../dist/report/chart.js';
import { figure, imagePanel } from '../../dist/report/figure.js';
import { renderValues } from '../../dist/report/image.js';
import { drawSvg } from '../../dist/report/renderer.js';

const image = renderValues(
  Float64Array.from({ length: 4096 }, (_, i) => Math.sin(i / 50)),
  [64, 64],
);
const drawings = [
  figure([imagePanel(image, { title: 'values', pixelSize_m: 1e-8 })]),
  lineChart({
    title: 'curves',
    below: 'x',
    beside: 'y',
    curves: [
      {
        name: 'a',
        points: [
          [0, 1],
          [1, 2],
          [2, 1.5],
        ],
      },
    ],
  }), // prettier-ignore
];
for (const drawing of drawings)
  console.log(
    createHash('sha256')
      .update(await drawSvg(drawing))
      .digest('hex'),
  );
