/**
 * The metadata record of scan files (`_metadata`, schema 1.0.0): what the data are and what was done to them, as JSON.
 *
 * @example
 * const metadata = withTransformation(raw.metadata, { tool: 'ptychopinn convert', operation: 'crop', parameters: { side: 128 } });
 * nphotonsOf(metadata); // 1000000, or undefined
 */
import { isPtychoError, messageOf } from '../core/errors.js';
import { npyHeaderLength, PREFIX_BYTES } from '../formats/npyHeader.js';
import type { NpzFile } from '../formats/npz.js';
import { pickledText } from '../formats/pickleText.js';
import type { ScanGeometry } from './scanFile.js';

/** A record as it was read, unchecked. */
export type MetadataRecord = Readonly<Record<string, unknown>>;

/** The version of the record that is written. */
export const METADATA_SCHEMA_VERSION = '1.0.0';

/** One step of a file's history. */
export interface DataTransformation {
  /** Who did it: `ptychopinn convert`. */
  readonly tool: string;
  /** What was done: `crop`, `split`. */
  readonly operation: string;
  readonly parameters?: MetadataRecord;
  /** ISO 8601; now when left out. */
  readonly timestamp?: string;
}

/** The most text that is parsed; records have a few kilobytes. */
export const MAX_METADATA_BYTES = 1 << 24;

/**
 * Parses the text of a record.
 * @returns the record, or why it is none, in words that go after the name of the array.
 */
export function parseMetadata(text: string): { readonly record: MetadataRecord } | { readonly problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { problem: `holds no JSON (${messageOf(error)})` };
  }
  return isRecord(value) ? { record: value } : { problem: 'holds JSON that is no object' };
}

/** A number at `section.key` of a record; undefined when it is none. */
function numberAt(metadata: MetadataRecord, section: string, key: string): number | undefined {
  const block = metadata[section];
  const value = isRecord(block) ? block[key] : undefined;
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** Photons per pattern as `physics_parameters` records them; undefined where it has no positive number. */
export function nphotonsOf(metadata: MetadataRecord): number | undefined {
  const nphotons = numberAt(metadata, 'physics_parameters', 'nphotons');
  return nphotons !== undefined && nphotons > 0 ? nphotons : undefined;
}

/** Configuration values that a scan's metadata give, for `DatasetFacts.values`. */
export function configurationValues(metadata: MetadataRecord): { readonly nphotons?: number } {
  return { nphotons: nphotonsOf(metadata) };
}

/** The measurement domain that a record declares, in any of the places where tools put it, and where. */
export function domainOf(metadata: MetadataRecord): { readonly text: string; readonly key: string } | undefined {
  for (const section of [undefined, 'physics_parameters', 'additional_parameters'] as const) {
    const block = section === undefined ? metadata : metadata[section];
    const text = isRecord(block) ? block.measurement_domain : undefined;
    if (typeof text === 'string') return { text, key: `${section ? `${section}.` : ''}measurement_domain` };
  }
  return undefined;
}

/** A record that declares this domain where it declared another. */
export function withDomain(metadata: MetadataRecord, domain: string): MetadataRecord {
  const found = domainOf(metadata);
  if (found === undefined || found.text === domain) return metadata;
  const section = found.key.split('.').slice(0, -1)[0];
  const corrected = { measurement_domain: domain };
  return section ? withSection(metadata, section, corrected) : { ...metadata, ...corrected };
}

/**
 * Compares a record with the configuration it is used with.
 * @returns a sentence for each of nphotons (to 1e-9), N and gridsize that differ; none is an error.
 */
export function checkMetadata(
  metadata: MetadataRecord,
  expected: { readonly [K in 'nphotons' | 'N' | 'gridsize']?: number },
  source: string,
): string[] {
  const warnings: string[] = [];
  for (const key of ['nphotons', 'N', 'gridsize'] as const) {
    const [found, wanted] = [numberAt(metadata, 'physics_parameters', key), expected[key]];
    if (found === undefined || wanted === undefined || Math.abs(found - wanted) <= 1e-9) continue;
    warnings.push(`The metadata of ${source} say ${key} ${found}, but ${wanted} is used.`);
  }
  return warnings;
}

/** A record with one more step at the end of its history `data_transformations`; what it held before stays. */
export function withTransformation(metadata: MetadataRecord, step: DataTransformation): MetadataRecord {
  const before = metadata.data_transformations;
  const { tool, operation, parameters = {}, timestamp = new Date().toISOString() } = step;
  return {
    ...metadata,
    schema_version: metadata.schema_version ?? METADATA_SCHEMA_VERSION,
    data_transformations: [...(Array.isArray(before) ? before : []), { tool, timestamp, operation, parameters }],
  };
}

/** A record with (or without) values in one of its sections; the section's other values stay. */
export function withSection(metadata: MetadataRecord, section: string, values: MetadataRecord): MetadataRecord {
  const before = metadata[section];
  return { ...metadata, [section]: { ...(isRecord(before) ? before : {}), ...values } };
}

/** Geometry for the record: lengths in metres, pairs [x, y]. */
export function geometryRecord(geometry: ScanGeometry): MetadataRecord {
  const pair = (p?: { readonly x: number; readonly y: number }) => p && [p.x, p.y];
  return {
    energy_eV: geometry.energy_eV,
    wavelength_m: geometry.wavelength_m,
    detector_distance_m: geometry.detectorDistance_m,
    detector_pixel_m: pair(geometry.detectorPixel_m),
    object_pixel_m: pair(geometry.objectPixel_m),
    object_center_m: pair(geometry.objectCentre_m),
    ...(geometry.propagationDistance_m && { propagation_distance_m: geometry.propagationDistance_m }),
    ...(geometry.sourceDistance_m && { source_distance_m: geometry.sourceDistance_m }),
    ...(geometry.sliceDistance_m && { slice_distance_m: geometry.sliceDistance_m }),
  };
}

/** The geometry that {@link geometryRecord} left in `additional_parameters.geometry`; sizes only where they are positive. */
export function geometryOf(metadata: MetadataRecord): ScanGeometry {
  const additional = metadata.additional_parameters;
  const block = isRecord(additional) ? additional.geometry : undefined;
  if (!isRecord(block)) return {};
  const positive = (value: unknown) =>
    typeof value === 'number' && value > 0 && Number.isFinite(value) ? value : undefined;
  const finite = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined);
  const pair = (value: unknown, check = positive) => {
    const [x, y] = Array.isArray(value) ? value.map(check) : [];
    return x !== undefined && y !== undefined ? { x, y } : undefined;
  };
  const centre = pair(block.object_center_m, finite);
  return {
    energy_eV: positive(block.energy_eV),
    ...(positive(block.wavelength_m) && { wavelength_m: positive(block.wavelength_m) }),
    detectorDistance_m: positive(block.detector_distance_m),
    detectorPixel_m: pair(block.detector_pixel_m),
    objectPixel_m: pair(block.object_pixel_m),
    ...(centre && { objectCentre_m: centre }),
    ...lengthsOf(block),
  };
}

/** Lengths that few scans have. */
function lengthsOf(block: MetadataRecord): ScanGeometry {
  const found = Object.entries(LENGTHS).map(([key, name]) => [name, block[key]] as const);
  return Object.fromEntries(
    found.filter(([, value]) => typeof value === 'number' && value > 0 && Number.isFinite(value)),
  );
}

/** By their keys in files. */
export const LENGTHS = {
  propagation_distance_m: 'propagationDistance_m',
  source_distance_m: 'sourceDistance_m',
  slice_distance_m: 'sliceDistance_m',
} as const satisfies Readonly<Record<string, keyof ScanGeometry>>;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The one text of an array: a `<U` scalar, `|S` or uint8 bytes (UTF-8), or an object array of one str, whose pickle is read
 * without executing anything.
 * @returns the text, or why there is none, in words that go after the name of the array.
 * @throws PtychoError reading errors of the file.
 */
export async function readText(
  npz: NpzFile,
  key: string,
): Promise<{ readonly text: string } | { readonly problem: string }> {
  let descr: string;
  try {
    const header = await npz.header(key);
    if (header.dataBytes > MAX_METADATA_BYTES)
      return { problem: `holds ${header.dataBytes} bytes, too many for a text` };
    const array = await npz.read(key);
    if (array.kind === 'text' && array.strings.length === 1) return { text: array.strings[0] };
    if (array.kind === 'real' && array.dtype === 'uint8') return decoded(array.data as Uint8Array);
    return { problem: `holds ${array.dtype} values and not one text` };
  } catch (error) {
    if (!isPtychoError(error, 'FORMAT_UNSUPPORTED') || typeof error.fields.found !== 'string') throw error;
    descr = error.fields.found;
  }
  const bytes = await npz.memberBytes(key, MAX_METADATA_BYTES);
  const content = bytes.subarray(npyHeaderLength(bytes.subarray(0, PREFIX_BYTES), npz.origin(key)));
  if (/^\|S\d+$/.test(descr)) return decoded(content);
  const text = /O/.test(descr) ? pickledText(content) : undefined;
  return text === undefined
    ? { problem: `has dtype ${descr} and is no pickled text; other pickled objects are never loaded` }
    : { text };
}

function decoded(bytes: Uint8Array): { readonly text: string } | { readonly problem: string } {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end)) };
  } catch {
    return { problem: 'holds bytes that are no UTF-8 text' };
  }
}
