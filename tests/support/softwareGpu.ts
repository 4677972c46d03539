/**
 * WebGPU without a GPU: SwiftShader, a Vulkan driver in software that Debian's package chromium brings. Right, and slow: for networks of
 * 16 or 32 pixels.
 */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe } from 'vitest';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Lets this process and its children find the driver. @returns false where there is none */
function provideSoftwareGpu(): boolean {
  if (process.env.VK_ICD_FILENAMES === undefined && !existsSync(SWIFTSHADER)) return false;
  process.env.VK_ICD_FILENAMES ??= SWIFTSHADER;
  // Vulkan's loader wants a folder that it may write to.
  process.env.XDG_RUNTIME_DIR ??= mkdtempSync(path.join(tmpdir(), 'ptychopinn-vulkan-'));
  return true;
}

/** `describe` for tests on WebGPU; `PTYCHOPINN_REQUIRE_WEBGPU=1` makes its absence a failure. */
export function describeWebGpu(name: string, body: () => void): void {
  if (provideSoftwareGpu() || process.env.PTYCHOPINN_REQUIRE_WEBGPU === '1') describe(name, body);
  else describe.skip(`${name} (skipped: no software GPU; apt-get install chromium libvulkan1)`, body);
}
