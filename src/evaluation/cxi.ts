/**
 * A reconstruction as a CXI file (HDF5; cxidb.org, version 1.6): the image as `image_1` of `entry_1`, and object, probe and positions
 * under the names that PyNX gives them, which other programs know.
 *
 * @example
 * await writeCxi('solved.cxi', { image, originYxPx: [32, 32], pixel_m: { x: 5e-8, y: 5e-8 }, title: 'solved' });
 */
import type { ComplexImage, ComplexTensor } from '../core/tensor.js';
import { createdBy } from '../core/version.js';
import { splitFileSpec } from '../data/opening/files.js';
import { isHdf5File } from '../formats/hdf5/file.js';
import { Hdf5Writer } from '../formats/hdf5/writer.js';
import { isNpyFile } from '../formats/npyFile.js';
import type { NpyInput } from '../formats/npyWrite.js';
import { usingNpz } from '../formats/npz.js';
import { ELEMENTARY_CHARGE_C } from '../physics/radiation.js';
import { type ImageRecord, readRecord } from '../reconstruction/imageRecord.js';
import { readStoredImage } from '../reconstruction/storedImage.js';

/** What a CXI file is made of; what is not known is left out of it. */
export interface CxiContent extends Pick<ImageRecord, 'pixel_m' | 'energy_eV' | 'wavelength_m' | 'provenance'> {
  readonly title: string;
  /** (rows, cols) */
  readonly image: ComplexImage;
  /** Object pixel [y, x] of the first pixel. */
  readonly originYxPx?: readonly [number, number];
  /** (rows·cols) 0 where nothing was reconstructed. */
  readonly weight?: ArrayLike<number>;
  /** (N, N) or (modes, N, N) */
  readonly probe?: ComplexTensor;
  /** Object pixels. */
  readonly positions?: { readonly xs: Float64Array; readonly ys: Float64Array };
}

/**
 * All that a file says of an image: of a `reconstruction.npz` also probe, positions and record; of other results the image and where
 * it lies.
 * @param source as `readStoredImage` takes it
 * @throws PtychoError those of reading
 */
export async function contentForCxi(
  source: string,
  note: (sentence: string) => void,
): Promise<Omit<CxiContent, 'title'>> {
  const {
    image,
    originYxPx,
    weight,
    coordinates,
    pixel_m,
    notes,
    source: spec,
  } = await readStoredImage(source, 'the image');
  notes.forEach(note);
  const { file, key } = splitFileSpec(spec);
  const ours =
    (key === undefined || key === 'reconstructed_object') && !(await isHdf5File(file)) && !(await isNpyFile(file));
  const own = ours
    ? await usingNpz(file, async (npz) => {
        if (!npz.has('reconstructed_object')) return {};
        const places = ['xcoords', 'ycoords'].every((name) => npz.has(name));
        const column = async (name: string) =>
          Float64Array.from((await npz.readReal(name)).data as ArrayLike<number | bigint>, Number);
        return {
          ...(await readRecord(npz)),
          ...(npz.has('reconstructed_probe') && { probe: await npz.readComplex64('reconstructed_probe') }),
          ...(places && { positions: { xs: await column('xcoords'), ys: await column('ycoords') } }),
        };
      })
    : {};
  const side = pixel_m ?? coordinates?.pixel_m;
  // Of a file in metres the corner is a whole number of pixels from where its metres begin, if its axes run as ours.
  const { first, step } = coordinates ?? { first: undefined, step: undefined };
  const corner = first && step.x > 0 && step.y > 0 ? ([first.y / step.y, first.x / step.x] as const) : undefined;
  return { image, originYxPx: originYxPx ?? corner, weight, ...(side && { pixel_m: side }), ...own };
}

/** `cxi_version` 1.6.0 */
const CXI_VERSION = 160;

/** Writes the file, whole or not at all; equal content gives equal bytes. @throws PtychoError OUTPUT_UNWRITABLE */
export async function writeCxi(path: string, content: CxiContent): Promise<void> {
  const file = await Hdf5Writer.create(path);
  try {
    file.write('/cxi_version', { data: Int32Array.of(CXI_VERSION), shape: [] });
    file.write('/entry_1/title', text(content.title));
    file.write('/entry_1/program_name', text(`${createdBy.package} ${createdBy.version}`));
    writeSource(file, content);
    writeImage(file, content);
    writeProbe(file, content);
    writePositions(file, content);
  } catch (error) {
    await file.abort();
    throw error;
  }
  await file.close();
}

const text = (value: string): NpyInput => ({ strings: [value], shape: [] });
const number = (value: number): NpyInput => ({ data: Float64Array.of(value), shape: [] });
const metres = { units: 'm' } as const;

/** Lengths and energies of CXI are in SI units: joules. */
function writeSource(file: Hdf5Writer, { energy_eV, wavelength_m }: CxiContent): void {
  const source = '/entry_1/instrument_1/source_1';
  if (energy_eV !== undefined) file.write(`${source}/energy`, number(energy_eV * ELEMENTARY_CHARGE_C));
  if (wavelength_m !== undefined) file.write(`${source}/wavelength`, number(wavelength_m));
}

function writeImage(file: Hdf5Writer, { image, originYxPx = [0, 0], pixel_m, weight, provenance }: CxiContent): void {
  const [rows, cols] = image.shape;
  const at = '/entry_1/image_1';
  file.write(`${at}/data`, image);
  file.write(`${at}/data_space`, text('real'));
  file.write(`${at}/is_fft_shifted`, { data: Int32Array.of(0), shape: [] });
  if (weight)
    file.write(`${at}/mask`, { data: Int32Array.from(weight, (w) => (w > 0 ? 0 : UNDEFINED)), shape: [rows, cols] });
  if (pixel_m)
    file.write(`${at}/image_size`, { data: Float64Array.of(cols * pixel_m.x, rows * pixel_m.y, 0), shape: [3] });
  file.write(`${at}/process_1/command`, text(`${createdBy.package} export --cxi`));
  if (provenance) file.write(`${at}/process_1/note`, text(JSON.stringify(provenance)));
  file.link(`${at}/data`, '/entry_1/data_1/data');
  const object = '/entry_1/object';
  file.link(`${at}/data`, `${object}/data`);
  file.attributes(object, { frame_origin_yx_px: [...originYxPx] });
  if (!pixel_m) return;
  const axis = (first: number, count: number, side: number) => ({
    data: Float64Array.from({ length: count }, (_, i) => (first + i) * side),
    shape: [count],
  });
  writeSides(file, object, pixel_m);
  file.write(`${object}/col_coords`, axis(originYxPx[1], cols, pixel_m.x));
  file.write(`${object}/row_coords`, axis(originYxPx[0], rows, pixel_m.y));
  for (const name of ['col_coords', 'row_coords']) file.attributes(`${object}/${name}`, metres);
}

/** The bit of a CXI mask for pixels without a value: CXI_PIXEL_IS_INVALID. */
const UNDEFINED = 1;

function writeProbe(file: Hdf5Writer, { probe, pixel_m }: CxiContent): void {
  if (!probe) return;
  const modes = probe.shape.length === 2 ? 1 : probe.shape[0];
  file.write('/entry_1/probe/data', { ...probe, shape: [modes, ...probe.shape.slice(-2)] });
  // In the plane of the object, with its pixels.
  if (pixel_m) writeSides(file, '/entry_1/probe', pixel_m);
}

function writeSides(file: Hdf5Writer, group: string, pixel_m: { readonly x: number; readonly y: number }): void {
  for (const axis of ['x', 'y'] as const) {
    file.write(`${group}/${axis}_pixel_size`, number(pixel_m[axis]));
    file.attributes(`${group}/${axis}_pixel_size`, metres);
  }
}

/** (n, 2) x, y: metres from object pixel (0, 0), or pixels where their size is not known. */
function writePositions(file: Hdf5Writer, { positions, pixel_m }: CxiContent): void {
  if (!positions) return;
  const { xs, ys } = positions;
  const side = pixel_m ?? { x: 1, y: 1 };
  const data = Float64Array.from({ length: 2 * xs.length }, (_, i) =>
    i % 2 ? ys[i >> 1] * side.y : xs[i >> 1] * side.x,
  );
  file.write('/entry_1/positions/data', { data, shape: [xs.length, 2] });
  file.attributes('/entry_1/positions/data', { units: pixel_m ? 'm' : 'px' });
}
