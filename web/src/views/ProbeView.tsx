import { useMemo, useState } from 'preact/hooks';
import { type ComplexTensor, renderComplex } from 'ptychopinn/web/session';
import { Raster } from '../parts/Raster.js';

/** A probe, mode by mode: hue is the phase, brightness the amplitude. */
export function ProbeView({ probe, pixel_m }: { readonly probe: ComplexTensor; readonly pixel_m?: number }) {
  const [mode, setMode] = useState(0);
  const N = probe.shape[probe.shape.length - 1];
  const modes = probe.shape.length === 3 ? probe.shape[0] : 1;
  const at = Math.min(mode, modes - 1);
  const { picture, shares } = useMemo(() => {
    const part = (k: number) => ({
      re: probe.re.subarray(k * N * N, (k + 1) * N * N),
      im: probe.im.subarray(k * N * N, (k + 1) * N * N),
      shape: [N, N] as const,
    });
    const powers = Array.from({ length: modes }, (_, k) => {
      const { re, im } = part(k);
      let sum = 0;
      for (let i = 0; i < N * N; i++) sum += re[i] ** 2 + im[i] ** 2;
      return sum;
    });
    const total = powers.reduce((a, b) => a + b, 0) || 1;
    return { picture: renderComplex(part(at) as never), shares: powers.map((power) => power / total) };
  }, [probe, at]);
  return (
    <div>
      {modes > 1 ? (
        <label>
          Mode{' '}
          <select value={at} onChange={(event) => setMode(Number(event.currentTarget.value))}>
            {shares.map((share, k) => (
              <option key={k} value={k}>
                {k + 1} ({(100 * share).toFixed(1)} % of the power)
              </option>
            ))}
          </select>
        </label>
      ) : null}
      <Raster picture={picture} label={`Probe, mode ${at + 1} of ${modes}`} pixel_m={pixel_m} height={240} />
    </div>
  );
}
