/** TIFF files made by hand: one uncompressed grey image in one strip. */
type Pixels = Uint16Array | Uint32Array | Int32Array | Float32Array;

/** @param bigEndian Motorola order */
export function tiffImage(pixels: Pixels, rows: number, cols: number, bigEndian = false): Uint8Array {
  const size = pixels.BYTES_PER_ELEMENT;
  const format = pixels instanceof Float32Array ? 3 : pixels instanceof Int32Array ? 2 : 1;
  const entries: [tag: number, value: number][] = [
    [256, cols],
    [257, rows],
    [258, 8 * size],
    [259, 1],
    [262, 1],
    [273, 8],
    [277, 1],
    [278, rows],
    [279, pixels.byteLength],
    [339, format],
  ];
  const directory = 8 + pixels.byteLength;
  const file = Buffer.alloc(directory + 2 + 12 * entries.length + 4);
  const u16 = (value: number, at: number) =>
    bigEndian ? file.writeUInt16BE(value, at) : file.writeUInt16LE(value, at);
  const u32 = (value: number, at: number) =>
    bigEndian ? file.writeUInt32BE(value, at) : file.writeUInt32LE(value, at);
  file.write(bigEndian ? 'MM' : 'II', 0, 'latin1');
  u16(42, 2);
  u32(directory, 4);
  const view = new DataView(file.buffer, file.byteOffset);
  pixels.forEach((value, i) => {
    const at = 8 + i * size;
    if (format === 3) view.setFloat32(at, value, !bigEndian);
    else if (format === 2) view.setInt32(at, value, !bigEndian);
    else if (size === 2) u16(value, at);
    else u32(value, at);
  });
  u16(entries.length, directory);
  entries.forEach(([tag, value], i) => {
    const at = directory + 2 + 12 * i;
    u16(tag, at);
    // All as LONG, which every field may be that readers look at.
    u16(4, at + 2);
    u32(1, at + 4);
    u32(value, at + 8);
  });
  return file;
}
