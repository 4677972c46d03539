/** Frames: any split of the bytes parses the same, what is damaged is refused, and no memory follows a lie. */

import { describe, expect, it } from 'vitest';
import { FrameArrays, type OutgoingArray } from '../../../src/adapters/worker/arrays.js';
import { encodeFrame, type Frame, FrameParser } from '../../../src/adapters/worker/messageFrame.js';
import { isPtychoError, type PtychoError } from '../../../src/core/errors.js';
import fc from '../../support/fastCheck.js';

const joined = (...frames: readonly Uint8Array[][]) => Buffer.concat(frames.flat());

/** A frame by hand; lengths may lie. */
function raw(
  header: string | Uint8Array,
  payload = new Uint8Array(),
  lengths: { header?: number; payload?: number } = {},
) {
  const head = typeof header === 'string' ? Buffer.from(header) : header;
  const prefix = Buffer.alloc(16);
  prefix.write('PTYW', 'latin1');
  prefix.writeUInt32LE(lengths.header ?? head.length, 4);
  prefix.writeBigUInt64LE(BigInt(lengths.payload ?? payload.length), 8);
  return Buffer.concat([prefix, head, payload]);
}

function parseIn(bytes: Uint8Array, cuts: readonly number[]): Frame[] {
  const parser = new FrameParser();
  const frames: Frame[] = [];
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    frames.push(...parser.push(bytes.subarray(from, to)));
    from = to;
  }
  parser.end();
  return frames;
}

function refusal(bytes: Uint8Array, parser = new FrameParser()): PtychoError {
  try {
    for (const _ of parser.push(bytes));
    parser.end();
  } catch (error) {
    if (isPtychoError(error, 'PROTOCOL')) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** What can be compared of a frame. */
const seen = ({ number, header, blobs }: Frame) => ({
  number,
  header,
  blobs: [...blobs].map(([name, blob]) => [name, 'path' in blob ? blob.path : [blob.entry, Buffer.from(blob.bytes)]]),
});

const arrays: Record<string, OutgoingArray> = {
  patterns: { data: Uint16Array.of(1, 2, 3, 4, 5, 65535), shape: [1, 2, 3] },
  object: { re: Float32Array.of(1, 2), im: Float32Array.of(-3, 4.5), shape: [1, 2] },
  losses: { data: new Float64Array(0), shape: [0] },
};

describe('a frame', () => {
  it('has the layout of specs/worker.md, byte for byte', () => {
    const bytes = joined(encodeFrame({ tag: 'x' }, { a: { data: Int16Array.of(258, -1), shape: [2] } }));
    const head = '{"tag":"x","blobs":[{"name":"a","dtype":"int16","shape":[2]}]}';
    const prefix = [0x50, 0x54, 0x59, 0x57, head.length, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
    expect([...bytes]).toEqual([...prefix, ...Buffer.from(head), 2, 1, 255, 255]);
  });

  it('brings back what was sent', async () => {
    const [frame] = parseIn(joined(encodeFrame({ id: 3, text: 'µ ✓' }, arrays)), []);
    expect(frame.header).toEqual({ id: 3, text: 'µ ✓' });
    const got = new FrameArrays(frame);
    expect(await got.real('patterns', [3])).toEqual(arrays.patterns);
    expect(await got.complex('object', [2])).toEqual(arrays.object);
    expect(await got.real('losses', [1])).toEqual(arrays.losses);
  });

  it('reads every type that the table names', async () => {
    const cases: [string, number[], number[]][] = [
      ['bool', [1, 0, 2], [1, 0, 1]],
      ['int8', [255, 1, 2], [-1, 1, 2]],
      ['uint64', [1, 0, 0, 0, 1, 0, 0, 0], [2 ** 32 + 1]],
      ['int64', [255, 255, 255, 255, 255, 255, 255, 255], [-1]],
      ['float16', [0, 0x3c, 0, 0xc0], [1, -2]],
    ];
    for (const [dtype, bytes, values] of cases) {
      const blobs = [{ name: 'a', dtype, shape: [values.length] }];
      const [frame] = parseIn(raw(JSON.stringify({ blobs }), Uint8Array.from(bytes)), []);
      expect([...(await new FrameArrays(frame).real('a', [1])).data], dtype).toEqual(values);
    }
  });

  it('is the same however the stream is cut', () => {
    const frame = fc.record({
      header: fc.dictionary(
        fc.string().filter((k) => k !== 'blobs' && k !== '__proto__'),
        fc.jsonValue(),
        { maxKeys: 4 },
      ),
      arrays: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(2000), { maxLength: 12 }),
        (frames, cuts) => {
          const bytes = joined(
            ...frames.map(({ header, arrays: blobs }) =>
              encodeFrame(
                header,
                Object.fromEntries(
                  blobs.map((data, i) => [`a${i}`, { data: data as Uint8Array, shape: [data.length] }]),
                ),
              ),
            ),
          );
          const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
          const whole = parseIn(bytes, []).map(seen);
          expect(whole).toHaveLength(frames.length);
          expect(whole.map(({ header }) => header)).toEqual(
            frames.map(({ header }) => JSON.parse(JSON.stringify(header))),
          );
          expect(parseIn(bytes, places).map(seen)).toEqual(whole);
        },
      ),
    );
    const bytes = joined(encodeFrame({ id: 1 }, arrays), encodeFrame({ id: 2 }));
    const each = Array.from({ length: bytes.length }, (_, i) => i);
    expect(parseIn(bytes, each).map(seen)).toEqual(parseIn(bytes, []).map(seen));
  });

  it('is given out before a later one in the same chunk is refused', () => {
    const parser = new FrameParser();
    const frames = parser.push(joined(encodeFrame({ id: 1 }), [Buffer.alloc(16, 'x')]));
    expect(frames.next().value).toMatchObject({ number: 1 });
    expect(() => frames.next()).toThrow('Frame 2 does not begin with "PTYW"');
  });
});

describe('what is no frame', () => {
  const table = (...blobs: object[]) => JSON.stringify({ blobs });
  const entry = { name: 'a', dtype: 'uint8', shape: [4] };
  it.each([
    ['other bytes', Buffer.from('{"verb": "initialize"}'), /does not begin with "PTYW"/],
    ['an end within the prefix', Buffer.from('PTYW\0'), /ended in the middle of frame 1/],
    ['an end within the header', raw('{"id":1}').subarray(0, 20), /ended in the middle of frame 1/],
    ['an end within an array', raw(table(entry), Buffer.alloc(4)).subarray(0, -1), /ended in the middle of frame 1/],
    ['a header of no bytes', raw(''), /header of 0 bytes; 2 to 1048576/],
    ['a header too long', raw('{}', undefined, { header: 2 ** 20 + 1 }), /header of 1048577 bytes/],
    ['arrays too long', raw('{}', undefined, { payload: 2 ** 31 + 1 }), /name a file by its path instead/],
    ['no JSON', raw('{"id":'), /no JSON in UTF-8/],
    ['no UTF-8', raw(Uint8Array.of(0x22, 0xff, 0x22)), /no JSON in UTF-8/],
    ['a list', raw('[1]'), /no JSON object/],
    ['null', raw('null'), /no JSON object/],
    ['a payload without a table', raw('{}', Buffer.alloc(3)), /take 0 bytes, but it announces 3/],
    ['a table without a payload', raw(table(entry)), /take 4 bytes, but it announces 0/],
    ['an impossible shape', raw(table({ ...entry, shape: [2 ** 40, 2 ** 40] })), /take Infinity bytes/],
    ['a negative length', raw(table({ ...entry, shape: [-4] })), /"blobs" of frame 1 is not understood/],
    ['half an element', raw(table({ ...entry, shape: [1.5] })), /is not understood/],
    ['an unknown type', raw(table({ ...entry, dtype: 'object' })), /is not understood/],
    ['a name twice', raw(table(entry, entry), Buffer.alloc(8)), /has a name twice/],
    ['too many arrays', raw(table(...new Array(65).fill(entry))), /lists 65 arrays; 64 are allowed/],
    ['more than its name and path', raw(table({ name: 'a', path: 'x', shape: [1] })), /is not understood/],
  ])('%s', (_, bytes, sentence) => {
    expect(refusal(bytes).message).toMatch(sentence);
  });

  it('never gives anything but frames or a refusal, whatever bytes come', () => {
    const good = joined(encodeFrame({ id: 1 }, arrays), encodeFrame({ id: 2 }, arrays));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        (changes) => {
          const bytes = Buffer.from(good);
          for (const [at, value] of changes) bytes[at] = value;
          try {
            parseIn(bytes, []);
          } catch (error) {
            expect(isPtychoError(error, 'PROTOCOL')).toBe(true);
          }
        },
      ),
    );
  });

  it('takes memory for what has come, not for what is announced', () => {
    const parser = new FrameParser();
    const shape = [2 ** 31 - 1];
    const blobs = [{ name: 'a', dtype: 'uint8', shape }];
    const before = process.memoryUsage().arrayBuffers;
    for (const _ of parser.push(raw(JSON.stringify({ blobs }), Buffer.alloc(100_000), { payload: shape[0] }))) {
      throw new Error('a frame came that was not whole');
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });
});
