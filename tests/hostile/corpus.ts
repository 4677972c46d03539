/**
 * Files that lie: each class as a recipe that writes one, of about `bytes` bytes, so that what opening them costs can be set
 * against their size.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { constants, crc32, deflateRawSync } from 'node:zlib';
import { encodeNpy, type NpyInput } from '../../src/formats/npyWrite.js';
import { writeNpz } from '../../src/formats/npz.js';
import { npyFile } from '../support/npyBytes.js';

export interface Hostile {
  readonly name: string;
  /** Ending of the file. */
  readonly ending: string;
  write(file: string, bytes: number): Promise<void>;
  /** What the sentence must speak of. */
  readonly says: RegExp;
}

const N = 64;

/** A sound scan of about `bytes` bytes. */
export function soundScan(bytes: number): Record<string, NpyInput> {
  const n = Math.max(9, Math.floor(bytes / (N * N * 4)));
  const diffraction = new Float32Array(n * N * N);
  for (let i = 0; i < diffraction.length; i++) diffraction[i] = Math.sqrt((i * 7919) % 13);
  const side = Math.ceil(Math.sqrt(n));
  return {
    diffraction: { data: diffraction, shape: [n, N, N] },
    xcoords: { data: Float64Array.from({ length: n }, (_, i) => 40 + 5 * (i % side)), shape: [n] },
    ycoords: { data: Float64Array.from({ length: n }, (_, i) => 40 + 5 * Math.floor(i / side)), shape: [n] },
    probeGuess: { re: new Float32Array(N * N).fill(1), im: new Float32Array(N * N), shape: [N, N] },
  };
}

/** The bytes of an archive with members made by hand; sizes and CRC are what is claimed, not what is true. */
export function zipOf(
  members: readonly {
    readonly name: string;
    readonly data: Uint8Array;
    readonly claim?: { readonly size?: number; readonly method?: number };
  }[],
): Buffer {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const { name, data, claim } of members) {
    const size = claim?.size ?? data.length;
    const method = claim?.method ?? 0;
    const label = Buffer.from(name);
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(20, 4);
    head.writeUInt16LE(method, 8);
    const sum = method === 0 ? crc32(data) : 0;
    for (const [field, value] of [
      [14, sum],
      [18, data.length],
      [22, size],
    ]) {
      head.writeUInt32LE(value, field);
    }
    head.writeUInt16LE(label.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(20, 4);
    entry.writeUInt16LE(20, 6);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(sum, 16);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(size, 24);
    entry.writeUInt16LE(label.length, 28);
    entry.writeUInt32LE(at, 42);
    central.push(entry, label);
    parts.push(head, label, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    at += 30 + label.length + data.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, directory, end]);
}

/** Members of a sound scan, with some replaced. */
function archive(bytes: number, change: (members: Map<string, Uint8Array>) => void): Buffer {
  const members = new Map<string, Uint8Array>(
    Object.entries(soundScan(bytes)).map(([key, array]) => [`${key}.npy`, Buffer.from(encodeNpy(array))]),
  );
  change(members);
  return zipOf([...members].map(([name, data]) => ({ name, data })));
}

const header = (descr: string, shape: string, order = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;

/** A scan whose diffraction has another header than its bytes deserve. */
const lying = (name: string, shape: string, says: RegExp, descr = '<f4'): Hostile => ({
  name,
  ending: 'npz',
  says,
  write: (file, bytes) =>
    writeFile(
      file,
      archive(bytes, (m) => m.set('diffraction.npy', npyFile(header(descr, shape), Buffer.alloc(bytes)))),
    ),
});

/** A scan with changed values. */
const values = (name: string, change: (scan: Record<string, NpyInput>) => void, says: RegExp): Hostile => ({
  name,
  ending: 'npz',
  says,
  async write(file, bytes) {
    const scan = soundScan(bytes);
    change(scan);
    await writeNpz(file, scan);
  },
});
const real = (scan: Record<string, NpyInput>, key: string) => (scan[key] as { data: Float32Array | Float64Array }).data;

/** Deflate data that inflates to `times` megabytes of zeros: one block of zeros, repeated. */
export function deflatedZeros(times: number): Buffer {
  const block = deflateRawSync(Buffer.alloc(1 << 20), { level: 9, finishFlush: constants.Z_SYNC_FLUSH });
  const last = deflateRawSync(Buffer.alloc(0));
  return Buffer.concat([...Array.from({ length: times }, () => block), last]);
}

/** NPZ and NPY files that must be refused with a sentence. */
export const HOSTILE: readonly Hostile[] = [
  {
    name: 'an archive cut in the middle',
    ending: 'npz',
    says: /cut off|central directory|truncated|ends|incomplete/i,
    write: async (file, bytes) => {
      const whole = archive(bytes, () => {});
      await writeFile(file, whole.subarray(0, whole.length >> 1));
    },
  },
  lying('a shape of a trillion patterns', '(1000000000000, 64, 64)', /diffraction.*impossible shape/),
  lying('a shape beyond all numbers', `(${'9'.repeat(40)}, 64, 64)`, /diffraction/),
  lying('a negative shape', '(-5, 64, 64)', /diffraction/),
  lying('a shape of a thousand axes', `(${'1, '.repeat(1000)})`, /diffraction/),
  lying('a dtype of 16 megabytes a value', '(1, 64, 64)', /diffraction/, '<U4000000'),
  lying('an array of objects', '(3, 64, 64)', /object|pickle/i, '|O'),
  {
    name: 'a header that claims to be as long as the file',
    ending: 'npz',
    says: /diffraction/,
    write: (file, bytes) =>
      writeFile(
        file,
        archive(bytes, (m) => {
          const npy = Buffer.from(m.get('diffraction.npy')!);
          npy[6] = 2;
          npy.writeUInt32LE(0xfffffff0, 8);
          m.set('diffraction.npy', npy);
        }),
      ),
  },
  {
    name: 'a member that inflates a thousandfold',
    ending: 'npz',
    says: /inflates from/,
    write: (file, bytes) => {
      const side = 256;
      const n = Math.min(16_000, Math.floor((bytes * 1000) / (side * side * 4)));
      const places = Buffer.from(encodeNpy({ data: Float64Array.from({ length: n }, (_, i) => i), shape: [n] }));
      const head = npyFile(header('<f4', `(${n}, ${side}, ${side})`), new Uint8Array(0));
      const size = head.length + n * side * side * 4;
      const start = deflateRawSync(head, { finishFlush: constants.Z_SYNC_FLUSH });
      const data = Buffer.concat([start, deflatedZeros(Math.ceil((n * side * side * 4) / (1 << 20)))]);
      return writeFile(
        file,
        zipOf([
          { name: 'diffraction.npy', data, claim: { size, method: 8 } },
          { name: 'xcoords.npy', data: places },
          { name: 'ycoords.npy', data: places },
        ]),
      );
    },
  },
  {
    name: 'a member that inflates to more than it says',
    ending: 'npz',
    says: /xcoords/,
    write: (file, bytes) => {
      const members = Object.entries(soundScan(bytes)).map(([key, array]) => ({
        name: `${key}.npy`,
        data: encodeNpy(array) as Uint8Array,
      }));
      const x = members[1];
      const tail = Buffer.concat([x.data, Buffer.alloc(256 << 20)]);
      const bomb = { ...x, data: deflateRawSync(tail), claim: { size: x.data.length, method: 8 } };
      return writeFile(file, zipOf([members[0], bomb, ...members.slice(2)]));
    },
  },
  {
    name: 'members that overlap',
    ending: 'npz',
    says: /same bytes/,
    write: async (file, bytes) => {
      const whole = archive(bytes, () => {});
      const end = whole.length - 22;
      const second = whole.indexOf(Buffer.from([0x50, 0x4b, 1, 2]), whole.readUInt32LE(end + 16) + 4);
      whole.writeUInt32LE(5, second + 42);
      await writeFile(file, whole);
    },
  },
  ...['../../outside.npy', '/etc/outside.npy', 'C:\\outside.npy'].map(
    (name): Hostile => ({
      name: `a member called ${name}`,
      ending: 'npz',
      says: /outside|name|path/i,
      write: (file, bytes) =>
        writeFile(
          file,
          archive(bytes, (m) => m.set(name, Buffer.from(encodeNpy({ data: new Float32Array(4), shape: [4] })))),
        ),
    }),
  ),
  values('NaN in a pattern', (s) => real(s, 'diffraction').fill(Number.NaN), /diffraction.*NaN/),
  values('infinite counts', (s) => real(s, 'diffraction').fill(Number.POSITIVE_INFINITY), /diffraction.*Infinity/),
  values('negative counts', (s) => real(s, 'diffraction').fill(-1), /diffraction.*-1/),
  values(
    'values in the wrong byte order',
    (s) => {
      const bytes = Buffer.from(real(s, 'diffraction').buffer as ArrayBuffer);
      bytes.swap32();
    },
    /diffraction|dark|domain|light/,
  ),
  values(
    'a position that is no number',
    (s) => {
      real(s, 'ycoords')[2] = Number.NaN;
    },
    /y value NaN at index 2/,
  ),
  values(
    'a probe of NaN',
    (s) => {
      (s.probeGuess as { re: Float32Array }).re.fill(Number.NaN);
    },
    /probeGuess/,
  ),
];

/** Where a file of this class is written. */
export const fileOf = (folder: string, { name, ending }: Hostile) =>
  path.join(folder, `${name.replace(/\W+/g, '_')}.${ending}`);
