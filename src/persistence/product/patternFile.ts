/**
 * Writes `diffraction.h5`, the assembled patterns that Ptychodus imports beside a product: intensities, the index of each, the mask of
 * bad pixels.
 *
 * @example
 * await writePatternFile('diffraction.h5', raw, { note: console.warn });
 */
import { cancelPoint } from '../../core/cancel.js';
import type { NumericArray } from '../../core/tensor.js';
import type { RawData } from '../../data/rawData.js';
import { patternsToWrite } from '../../data/scanWriter.js';
import type { Hdf5WriteDtype } from '../../formats/hdf5/header.js';
import { Hdf5Writer } from '../../formats/hdf5/writer.js';
import type { WriteProductOptions } from './writeProduct.js';

/** What the host calls the file, and what it expects in it. */
export const PATTERN_FILE = 'diffraction.h5';

/** Options of {@link writePatternFile}. */
export interface WritePatternOptions extends WriteProductOptions {
  readonly note?: (sentence: string) => void;
}

/**
 * Writes the patterns of a scan as Ptychodus assembles them: `patterns` (n, N, N), `indexes` (n), `bad_pixels` (N, N), gzip. Amplitudes
 * become intensities, their squares; integer counts stay as they are. The indexes are those of the product of the same scan.
 * @throws PtychoError OUTPUT_UNWRITABLE, CANCELLED, and those of reading patterns
 */
export async function writePatternFile(
  path: string,
  raw: Pick<
    RawData,
    'count' | 'domain' | 'patterns' | 'N' | 'badPixels' | 'patternIndexes' | 'sampleIndices' | 'source'
  >,
  { signal, onPatterns, note }: WritePatternOptions = {},
): Promise<void> {
  const { N } = raw;
  const stored = patternsToWrite(raw);
  const squared = stored.domain !== 'count_intensity';
  if (stored.domain === 'normalized_amplitude') {
    note?.(
      `${raw.source} holds normalised amplitudes, whose squares are no counts; ${path} has intensities in units of their own.`,
    );
  }
  const file = await Hdf5Writer.create(path);
  try {
    const dtype = (squared ? 'float32' : stored.dtype) as Hdf5WriteDtype;
    file.growing('/patterns', dtype, [N, N], { gzip: 4 });
    const pause = cancelPoint(signal, 'Writing the patterns');
    let written = 0;
    for await (const piece of stored.pieces()) {
      await pause();
      const data = (squared ? (piece as Float32Array).map((v) => v * v) : piece) as NumericArray;
      const rows = data.length / (N * N);
      file.append('/patterns', { data, shape: [rows, N, N] } as Parameters<Hdf5Writer['append']>[1]);
      written += rows;
      onPatterns?.(written);
    }
    const indexes = raw.patternIndexes ?? raw.sampleIndices;
    file.write('/indexes', { data: indexes, shape: [raw.count] });
    file.write('/bad_pixels', { data: raw.badPixels ?? new Uint8Array(N * N), shape: [N, N], dtype: 'bool' });
  } catch (error) {
    await file.abort();
    throw error;
  }
  await file.close();
}
