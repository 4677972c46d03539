/**
 * Graphics processors as the operating system shows them, before anything is loaded: whether there is one to speak of, and its name.
 *
 * @example
 * thisMachine().gpus; // [{ name: 'NVIDIA H200', driver: 'nvidia 550.54.14', cuda: true }]
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

/** A graphics processor that is built in. */
export interface PresentGpu {
  readonly name: string;
  readonly driver?: string;
  /** CUDA could run on it. */
  readonly cuda: boolean;
}

/** What decides about accelerators here. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  /** Empty where there is none, or where nothing tells (Windows). */
  readonly gpus: readonly PresentGpu[];
  /** How many CUDA devices `CUDA_VISIBLE_DEVICES` lets a process see; they are numbered anew. Absent: all. */
  readonly visible?: number;
}

/** @param root where the file system begins (tests) */
export function thisMachine(root = '/', environment: NodeJS.ProcessEnv = process.env): Machine {
  const { platform, arch } = process;
  const visible = visibleDevices(environment.CUDA_VISIBLE_DEVICES);
  if (platform === 'linux')
    return { platform, arch, gpus: linuxGpus(root), ...(visible === undefined ? {} : { visible }) };
  if (platform === 'darwin') return { platform, arch, gpus: arch === 'arm64' ? [appleGpu] : [] };
  const nvidia =
    platform === 'win32' && existsSync(path.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32/nvcuda.dll'));
  return { platform, arch, gpus: nvidia ? [{ name: 'NVIDIA GPU', cuda: true }] : [] };
}

/** CUDA takes what stands before the first entry that is no device: a number, or the name of one (GPU-…, MIG-…). */
function visibleDevices(written: string | undefined): number | undefined {
  if (written === undefined) return undefined;
  const entries = written.split(',').map((entry) => entry.trim());
  const none = entries.findIndex((entry) => !/^(?:\d+|(?:GPU|MIG)-.+)$/.test(entry));
  return none < 0 ? entries.length : none;
}

const appleGpu: PresentGpu = { name: 'Apple GPU', driver: 'Metal', cuda: false };

/** PCI numbers of who made a graphics processor. */
const VENDORS: Readonly<Record<string, string>> = {
  '0x1002': 'AMD',
  '0x10de': 'NVIDIA',
  '0x8086': 'Intel',
  '0x1af4': 'virtual',
};

/** Render nodes of the kernel that have nothing behind them. */
const EMPTY_DRIVERS = ['vgem', 'vkms'];

function linuxGpus(root: string): PresentGpu[] {
  const nvidia = nvidiaGpus(root);
  const rendering = names(path.join(root, 'dev/dri'))
    .filter((name) => name.startsWith('renderD'))
    .flatMap((name) => renderingGpu(path.join(root, 'sys/class/drm', name, 'device')))
    .filter(({ cuda }) => !cuda || nvidia.length === 0);
  if (nvidia.length + rendering.length > 0) return [...nvidia, ...rendering];
  // Windows lends its graphics processor to Linux under a name of its own, whoever made it.
  return existsSync(path.join(root, 'dev/dxg')) ? [{ name: 'GPU of the Windows host', driver: 'dxg', cuda: true }] : [];
}

/** As NVIDIA's own kernel module tells. */
function nvidiaGpus(root: string): PresentGpu[] {
  const folder = path.join(root, 'proc/driver/nvidia');
  const version = /Kernel Module\s+(?:for \S+\s+)?([\d.]+)/.exec(text(path.join(folder, 'version')))?.[1];
  const models = names(path.join(folder, 'gpus')).map(
    (at) => /^Model:\s*(.+)$/m.exec(text(path.join(folder, 'gpus', at, 'information')))?.[1].trim() ?? 'NVIDIA GPU',
  );
  // In containers the files may be hidden, and the devices there.
  if (models.length === 0) {
    const devices = names(path.join(root, 'dev')).filter((name) => /^nvidia\d+$/.test(name));
    models.push(...devices.map(() => 'NVIDIA GPU'));
  }
  const driver = version ? `nvidia ${version}` : 'nvidia';
  return models.map((name) => ({ name: name.startsWith('NVIDIA') ? name : `NVIDIA ${name}`, driver, cuda: true }));
}

function renderingGpu(device: string): PresentGpu[] {
  const driver = linkName(path.join(device, 'driver'));
  if (driver && EMPTY_DRIVERS.includes(driver)) return [];
  const [vendor, model] = ['vendor', 'device'].map((file) => text(path.join(device, file)).trim());
  const product = text(path.join(device, 'product_name')).trim();
  const maker = VENDORS[vendor] ?? (vendor ? `vendor ${vendor}` : 'unknown');
  const name = product || `${maker} GPU${model ? ` ${model}` : ''}`;
  return [{ name, ...(driver ? { driver } : {}), cuda: vendor === '0x10de' && driver === 'nvidia' }];
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Empty where the file cannot be read. */
function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function linkName(link: string): string | undefined {
  try {
    return path.basename(readlinkSync(link));
  } catch {
    return undefined;
  }
}
