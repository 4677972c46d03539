import { expect, it } from 'vitest';
import { renderCorrelationCurves } from '../../src/report/correlation.js';
import { expectWellFormed } from './markup.js';

it('draws curves to Nyquist with both thresholds, gaps where there is no number', () => {
  const svg = renderCorrelationCurves(
    [
      { name: 'A & B', values: Float64Array.of(1, 0.8, Number.NaN, 0.2, 0.1) },
      { name: 'floor', values: [1, 2, -1, 0, 0] },
    ],
    { side_px: 8, title: 'Phase <1>', width: 700, height: 300 },
  );
  expectWellFormed(svg);
  expect(svg).toContain('Phase &lt;1&gt;');
  expect(svg).toContain('A &amp; B');
  expect(svg.match(/stroke-dasharray="3 4"/g)).toHaveLength(2);
  // From the left edge (60) to the right one (550): ring 4 of 8 pixels is Nyquist; the gap begins a new line.
  expect(svg).toContain('d="M60,34L182.5,78M427.5,210L550,232"');
  // Values outside of 0 … 1 stay on the picture.
  expect(svg).toContain('d="M60,34L182.5,34L305,254L427.5,254L550,254"');
});
