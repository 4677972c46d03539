/** What the file system of Linux tells of graphics processors. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { thisMachine } from '../../src/backends/gpus.js';

describe.skipIf(process.platform !== 'linux')('thisMachine', () => {
  let root: string;
  let count = 0;
  beforeAll(() => {
    root = mkdtempSync(path.join(tmpdir(), 'ptychopinn-gpus-'));
  });
  afterAll(() => rmSync(root, { recursive: true }));

  /** The GPUs of a file system with these files; `driver` files become links, as they are there. */
  function gpusWith(files: Readonly<Record<string, string>>) {
    const machine = path.join(root, String(count++));
    mkdirSync(machine);
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(machine, name);
      mkdirSync(path.dirname(file), { recursive: true });
      if (name.endsWith('/driver')) symlinkSync(`../../../bus/pci/drivers/${content}`, file);
      else writeFileSync(file, content);
    }
    return thisMachine(machine, {}).gpus;
  }
  const drm = (node: string, vendor: string, device: string, driver: string) => ({
    [`dev/dri/${node}`]: '',
    [`sys/class/drm/${node}/device/vendor`]: `${vendor}\n`,
    [`sys/class/drm/${node}/device/device`]: `${device}\n`,
    [`sys/class/drm/${node}/device/driver`]: driver,
  });
  const nvidia = {
    'proc/driver/nvidia/version':
      'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n',
    'proc/driver/nvidia/gpus/0000:17:00.0/information': 'Model: \t\t NVIDIA H200\nIRQ:   \t\t 220\n',
    'dev/nvidia0': '',
  };
  const h200 = { name: 'NVIDIA H200', driver: 'nvidia 550.54.14', cuda: true };

  it.each<[string, Readonly<Record<string, string>>, readonly object[]]>([
    ['none', {}, []],
    ['NVIDIA, by its kernel module', nvidia, [h200]],
    ['NVIDIA once, though it renders too', { ...nvidia, ...drm('renderD128', '0x10de', '0x2335', 'nvidia') }, [h200]],
    [
      'NVIDIA beside Intel',
      { ...nvidia, ...drm('renderD128', '0x8086', '0x4680', 'i915') },
      [h200, { name: 'Intel GPU 0x4680', driver: 'i915', cuda: false }],
    ],
    ['NVIDIA in a container', { 'dev/nvidia0': '' }, [{ name: 'NVIDIA GPU', driver: 'nvidia', cuda: true }]],
    [
      'NVIDIA with the open driver, which has no CUDA',
      drm('renderD128', '0x10de', '0x2684', 'nouveau'),
      [{ name: 'NVIDIA GPU 0x2684', driver: 'nouveau', cuda: false }],
    ],
    [
      'AMD with its name',
      {
        ...drm('renderD129', '0x1002', '0x744c', 'amdgpu'),
        'sys/class/drm/renderD129/device/product_name': 'Radeon RX 7900\n',
      },
      [{ name: 'Radeon RX 7900', driver: 'amdgpu', cuda: false }],
    ],
    ['a render node with nothing behind it', drm('renderD128', '0x0', '0x0', 'vgem'), []],
    ['a card that only shows pictures', { 'dev/dri/card0': '' }, []],
    ['Linux inside Windows', { 'dev/dxg': '' }, [{ name: 'GPU of the Windows host', driver: 'dxg', cuda: true }]],
  ])('%s', (_, files, expected) => {
    expect(gpusWith(files)).toEqual(expected);
  });
});
