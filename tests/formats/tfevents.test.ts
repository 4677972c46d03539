/** Event files, byte by byte: the records below were written by TensorBoard 2.21's own RecordWriter. */
import { describe, expect, it } from 'vitest';
import { crc32c, encodeEvent, frameRecord, maskedCrc32c, type TensorBoardEvent } from '../../src/formats/tfevents.js';

const bytes = (text: string) => new TextEncoder().encode(text);
/** The beginning of a grey PNG of 2 × 3, as far as it is looked at. */
const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000020000000308000000', 'hex');

describe('CRC-32C', () => {
  it.each([
    // RFC 3720, B.4.
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    [Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    [bytes('123456789'), 0xe3069283],
    [new Uint8Array(0), 0],
  ])('of known vectors', (data, crc) => {
    expect(crc32c(data)).toBe(crc);
  });

  it('is masked by a rotation and an offset', () => {
    const crc = 0xe3069283;
    const rotated = ((crc >>> 15) | (crc << 17)) >>> 0;
    expect(maskedCrc32c(bytes('123456789'))).toBe((rotated + 0xa282ead8) % 2 ** 32);
  });

  it('frames length and data apart', () => {
    const frame = frameRecord(bytes('abc'));
    const view = new DataView(frame.buffer);
    expect(view.getBigUint64(0, true)).toBe(3n);
    expect(view.getUint32(8, true)).toBe(maskedCrc32c(frame.subarray(0, 8)));
    expect(view.getUint32(15, true)).toBe(maskedCrc32c(bytes('abc')));
    expect(frame).toHaveLength(19);
  });
});

describe('events are the bytes that TensorBoard writes', () => {
  it.each<[string, TensorBoardEvent, string]>([
    [
      'the version',
      { wallTime: 1.5, version: true },
      '1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c',
    ],
    [
      'a scalar',
      { wallTime: 2.5, step: 3, values: [{ tag: 'loss', scalar: 0.25 }] },
      '1a00000000000000129bd82d09000000000000044010032a0d0a0b0a046c6f7373150000803eb1006461',
    ],
    [
      'a restart',
      { wallTime: 2.5, step: 3, restart: true },
      '0f000000000000006d532b0909000000000000044010033a02080121efe3f3',
    ],
    [
      'a picture',
      { wallTime: 4, step: 7, values: [{ tag: 'p', png }] },
      '3800000000000000a3797d5709000000000000104010072a2b0a290a01702224080310021801221c89504e470d0a1a0a0000000d4948445200000002000000030800000030926a5c',
    ],
    [
      'a text',
      { wallTime: 2.5, step: 0, values: [{ tag: 'config', text: '**x**' }] },
      '2c00000000000000f4aecc450900000000000004402a210a1f0a06636f6e666967420b0807120042052a2a782a2a4a080a060a0474657874bab56b8b',
    ],
  ])('%s', (_name, event, hex) => {
    expect(Buffer.from(encodeEvent(event)).toString('hex')).toBe(hex);
  });

  it('hold what single precision cannot as infinite, and no number as none', () => {
    const value = (scalar: number) => {
      const event = encodeEvent({ wallTime: 0, step: 1, values: [{ tag: 'x', scalar }] });
      // The value is the last thing in front of the checksum.
      return new DataView(event.buffer).getFloat32(event.length - 8, true);
    };
    expect(value(1e300)).toBe(Number.POSITIVE_INFINITY);
    expect(value(Number.NaN)).toBeNaN();
    expect(value(0.1)).toBe(Math.fround(0.1));
  });

  it('refuse a picture that is none', () => {
    expect(() => encodeEvent({ wallTime: 0, values: [{ tag: 'x', png: new Uint8Array(40) }] })).toThrow(/PNG file/);
  });
});
