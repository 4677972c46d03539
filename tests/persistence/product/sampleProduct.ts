/** A product with a value of its own in every field. */
import { LegacyRng } from '../../../src/core/rng.js';
import type { Product, ProductRawData } from '../../../src/persistence/product/product.js';

const complex = (rng: LegacyRng, shape: readonly number[]) => {
  const count = shape.reduce((product, length) => product * length, 1);
  const values = () => Float32Array.from({ length: count }, () => rng.uniform(-1, 1));
  return { re: values(), im: values(), shape };
};

/** @param n positions */
export function sampleProduct(n = 7, seed = 1): Product {
  const rng = new LegacyRng(seed);
  const doubles = (length: number) => Float64Array.from({ length }, () => rng.uniform(-1e-6, 1e-6));
  return {
    metadata: {
      name: 'Probe „π“ 𝛹',
      comments: 'erste Zeile\nzweite Zeile',
      detector_object_distance_m: 1.9,
      probe_energy_eV: 8800.25,
      exposure_time_s: 0.1,
      probe_photon_count: 1.5e6,
      mass_attenuation_m2_kg: 0.25,
      tomography_angle_deg: -12.5,
    },
    positions: { indexes: Int32Array.from({ length: n }, (_, i) => 3 * (n - i)), x_m: doubles(n), y_m: doubles(n) },
    probe: {
      array: complex(rng, [2, 3, 5, 4]),
      pixel: { width_m: 1.1e-8, height_m: 1.2e-8 },
      opr_weights: { data: Float64Array.from({ length: 2 * n }, () => rng.uniform(0, 1)), shape: [n, 2] },
    },
    object: {
      array: complex(rng, [3, 6, 8]),
      pixel: { width_m: 1.3e-8, height_m: 1.4e-8 },
      center_x_m: 1e-6,
      center_y_m: -2e-6,
      layer_spacing_m: Float64Array.of(1e-6, 2e-6),
    },
    losses: { epochs: Int32Array.of(0, 1, 5), values: Float64Array.of(3.5, 2.25, 0.1) },
  };
}

/** A measurement for {@link sampleProduct}. */
export function sampleRawData(n = 7): ProductRawData {
  return {
    diffraction: { data: Uint16Array.from({ length: n * 20 }, (_, i) => (i * 7919) % 991), shape: [n, 5, 4] },
    xcoords_px: Float64Array.from({ length: n }, (_, i) => 4 + i / 3),
    ycoords_px: Float64Array.from({ length: n }, (_, i) => 3 - i / 7),
    scan_index: Int32Array.from({ length: n }, (_, i) => i % 2),
    measurement_domain: 'count_intensity',
    bad_pixels: { data: Uint8Array.from({ length: 20 }, (_, i) => (i === 3 ? 1 : 0)), shape: [5, 4] },
  };
}
