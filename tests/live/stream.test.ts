/** What a detector sends, and how it is kept. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { ENCODINGS, readMessage, writeEnd, writeFrame, writeHeader } from '../../src/live/dectris.js';
import { decodeBitshuffleLz4, decodeLz4, encodeBitshuffleLz4, encodeLz4 } from '../../src/live/lz4Blocks.js';
import { FrameRecord } from '../../src/live/record.js';
import { FILTERS, writeHdf5 } from '../support/writeHdf5.js';

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

describe('LZ4 blocks', () => {
  it('are read: literals, matches that overlap, long lengths', () => {
    // "abc", then nine bytes from three before (abcabcabc), then "x" as the last literal.
    expect(Buffer.from(decodeLz4(bytesOf('35 616263 0300 10 78'), 13)).toString()).toBe('abcabcabcabcx');
    // Twenty times "a": one literal, a match of 14 + 4 … and the rest.
    expect(Buffer.from(decodeLz4(bytesOf('1f 61 0100 00 00'), 20)).toString()).toBe('a'.repeat(20));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
        expect(decodeLz4(encodeLz4(bytes), bytes.length)).toEqual(bytes);
      }),
    );
  });

  it.each([
    ['35 6162', 13, /it holds more than it says/],
    ['35 616263 03', 13, /ends within a distance/],
    ['35 616263 0400', 13, /refers to what is not there/],
    ['35 616263 0000', 13, /refers to what is not there/],
    ['30 616263', 4, /holds 3 bytes in place of 4/],
    ['f0 ff', 999, /ends within a length/],
  ])('that are damaged are refused: %s', (hex, size, message) => {
    expect(() => decodeLz4(bytesOf(hex), size)).toThrow(message);
  });

  it('with bitshuffle are read', () => {
    // Sixteen bytes, of which only the first has bits: bit 0 of element 0 and bit 7 of element 8.
    const rows = new Uint8Array(16);
    rows[0] = 1;
    rows[15] = 1;
    const expected = new Uint8Array(16);
    expected[0] = 1;
    expected[8] = 128;
    const packed = encodeLz4(rows);
    const framed = Buffer.concat([bytesOf('0000000000000010 00000010'), Buffer.from([0, 0, 0, packed.length]), packed]);
    expect(decodeBitshuffleLz4(framed, 1, 16)).toEqual(expected);
    for (const element of [1, 2, 4]) {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (some) => {
          const bytes = Uint8Array.from(
            { length: some.length * element * 40 },
            (_, k) => some[k % some.length] ^ (k & 255),
          );
          expect(decodeBitshuffleLz4(encodeBitshuffleLz4(bytes, element), element, bytes.length)).toEqual(bytes);
        }),
        { numRuns: 20 },
      );
    }
    expect(() => decodeBitshuffleLz4(framed, 1, 17)).toThrow(/holds 16 bytes in place of 17/);
    expect(() => decodeBitshuffleLz4(framed.subarray(0, 14), 1, 16)).toThrow(/ends before a block/);
  });
});

it('bitshuffle and LZ4 are those of the filter that detectors write files with', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-bslz4-'));
  try {
    const data = Uint16Array.from({ length: 40 * 51 }, (_, k) => (k % 7) * (k % 51) + (k > 900 ? 4096 : 0));
    const { id, options } = FILTERS.bitshuffle_lz4;
    const storage = { chunks: [40, 51], filter: { id, options: [...options] } };
    await writeHdf5(path.join(folder, 'a.h5'), {
      datasets: { '/data': { input: { data, shape: [40, 51] }, storage } },
    });
    const file = readFileSync(path.join(folder, 'a.h5'));
    // A chunk begins with its size.
    const size = Buffer.alloc(8);
    size.writeBigUInt64BE(BigInt(data.byteLength));
    const at = file.indexOf(size);
    expect(at).toBeGreaterThan(0);
    const found = decodeBitshuffleLz4(file.subarray(at), 2, data.byteLength);
    expect(new Uint16Array(found.buffer)).toEqual(data);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

describe('messages of a detector', () => {
  it('are read as they are written, in every packing', () => {
    const data = Uint32Array.from({ length: 15 }, (_, k) => k * 70_001);
    for (const encoding of ENCODINGS) {
      const parts = writeFrame({ series: 7, frame: 3, data, shape: [3, 5] }, encoding, { x_m: 1e-6, y_m: -2e-6 });
      expect(readMessage(parts)).toEqual({
        kind: 'frame',
        series: 7,
        frame: 3,
        data,
        shape: [3, 5],
        appendix: { x_m: 1e-6, y_m: -2e-6 },
      });
    }
    expect(readMessage(writeHeader(7, { nimages: 9 }))).toEqual({ kind: 'header', series: 7, config: { nimages: 9 } });
    expect(readMessage(writeEnd(7))).toEqual({ kind: 'end', series: 7 });
  });

  it('are read as the detector sends them', () => {
    // A frame of 2 rows of 3 pixels, 16 bits, not packed: as the description of the interface has it.
    const parts = [
      '{"htype":"dimage-1.0","series":1,"frame":0,"hash":"fc67f000d08fe6b380ea9434b8362d22"}',
      '{"htype":"dimage_d-1.0","shape":[3,2],"type":"uint16","encoding":"<","size":12}',
    ].map((text) => Buffer.from(text));
    const blob = bytesOf('0100 0200 0300 0400 0500 ffff');
    const config = Buffer.from(
      '{"htype":"dconfig-1.0","start_time":834759834759,"stop_time":834760834280,"real_time":1000000}',
    );
    const found = readMessage([...parts, blob, config]);
    expect(found).toEqual({
      kind: 'frame',
      series: 1,
      frame: 0,
      shape: [2, 3],
      data: Uint16Array.of(1, 2, 3, 4, 5, 65535),
      appendix: undefined,
    });
    expect(readMessage([Buffer.from('{"htype":"dflatfield-1.0","series":1}')])).toBeUndefined();
  });

  it.each([
    ['[1]', '{}', /it names no series/],
    ['{', '{}', /its head is no JSON/],
    ['{"htype":"dimage-1.0","series":1,"frame":-1}', '{}', /has no number or no data/],
    [
      '{"htype":"dimage-1.0","series":1,"frame":2}',
      '{"shape":[3],"type":"uint8","encoding":"<"}',
      /frame 2 has the shape \[3\]/,
    ],
    [
      '{"htype":"dimage-1.0","series":1,"frame":2}',
      '{"shape":[1e9,1e9],"type":"uint8","encoding":"<"}',
      /has the shape/,
    ],
    [
      '{"htype":"dimage-1.0","series":1,"frame":2}',
      '{"shape":[3,1],"type":"float32","encoding":"<"}',
      /is of type "float32"/,
    ],
    [
      '{"htype":"dimage-1.0","series":1,"frame":2}',
      '{"shape":[3,1],"type":"constructor","encoding":"<"}',
      /is of type "constructor"/,
    ],
    [
      '{"htype":"dimage-1.0","series":1,"frame":2}',
      '{"shape":[3,1],"type":"uint8","encoding":"gzip"}',
      /its encoding is "gzip"/,
    ],
    [
      '{"htype":"dimage-1.0","series":1,"frame":2}',
      '{"shape":[3,1],"type":"uint8","encoding":"<"}',
      /has 2 bytes in place of 3/,
    ],
  ])('that are damaged are refused: %s %s', (head, description, message) => {
    expect(() => readMessage([Buffer.from(head), Buffer.from(description), new Uint8Array(2)])).toThrow(message);
  });
});

describe('the record of a stream', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-record-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const frame = (k: number) => Uint16Array.from({ length: 64 }, (_, i) => k + (i === 27 ? 500 : 0));
  const at = (k: number) => ({ x: k, y: 2 * k, unit: 'px' }) as const;

  it('is a scan that grows, and goes on after a kill in the middle of a frame', async () => {
    const record = await FrameRecord.open(folder);
    for (let k = 0; k < 5; k++) record.add(frame(k), [8, 8], at(k));
    expect(record.readable).toBe(0);
    await record.flush();
    expect(record.readable).toBe(5);
    const open = () =>
      openDataset(record.patterns, { positions: record.positions, measurement_domain: 'count_intensity' });
    const first = await open();
    expect([first.count, ...first.ycoords]).toEqual([5, 0, 2, 4, 6, 8]);
    await first.close();
    record.add(frame(5), [8, 8], at(5));
    await record.close();
    // Half a frame, and a line without one.
    writeFileSync(record.patterns, Buffer.concat([readFileSync(record.patterns), Buffer.alloc(50)]));
    writeFileSync(record.positions, `${readFileSync(record.positions, 'utf8')}6,6,12\n`);
    const again = await FrameRecord.open(folder);
    expect(again.count).toBe(6);
    again.add(frame(6), [8, 8], at(6));
    await again.close();
    const raw = await open();
    expect([raw.count, raw.ycoords[6]]).toEqual([7, 12]);
    const amplitudes = new Float32Array(64);
    await raw.patterns.readAmplitudes(Int32Array.of(6), amplitudes);
    expect(amplitudes[27]).toBeCloseTo(Math.sqrt(506), 4);
    await raw.close();
  });

  it('refuses frames of another kind', async () => {
    const record = await FrameRecord.open(folder);
    record.add(frame(0), [8, 8], at(0));
    expect(() => record.add(new Uint16Array(16), [4, 4], at(1))).toThrow(
      /Frame 1 is 4×4 of uint16, but those before it are 8×8 of uint16/,
    );
    expect(() => record.add(new Uint32Array(64), [8, 8], at(1))).toThrow(/of uint32, but those before it/);
    expect(() => record.add(frame(1), [8, 8], { ...at(1), unit: 'm' })).toThrow(
      /position in m, but those before it in px/,
    );
    await record.close();
  });
});
