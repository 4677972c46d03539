/** Damaged copies of a bundle of the published network: how many is for the caller to say. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPtychoError } from '../../src/core/errors.js';
import { LegacyRng } from '../../src/core/rng.js';
import { verifyBundle } from '../../src/workflows/bundle.js';
import { forge } from '../persistence/sampleBundle.js';
import { writeNetworkBundle } from '../support/networkBundle.js';

const run = promisify(execFile);
const script = fileURLToPath(new URL('./damagedBundles.mjs', import.meta.url));

/** @param copies of the bundle, and a twentieth as many of each model in a sound archive. */
export function describeBundleDamage(copies: number): void {
  let folder: string;
  let bundle: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-damaged-bundle-'));
    bundle = path.join(folder, 'wts.zip');
    await writeNetworkBundle(bundle);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  describe(`${copies} damaged copies of a bundle`, () => {
    it('none passes verify, none opens with other content, none takes memory or ends the process', async () => {
      const { stdout } = await run(process.execPath, ['--expose-gc', script, bundle, String(copies), '11'], {
        maxBuffer: 1 << 24,
      });
      const outcome = JSON.parse(stdout) as {
        opened: number;
        refused: number;
        verified: number[];
        changed: number[];
        peakGrowth: number;
        bytes: number;
      };
      expect(outcome.opened + outcome.refused).toBe(copies);
      expect(outcome.refused).toBeGreaterThan(copies / 2);
      expect(outcome.verified).toEqual([]);
      expect(outcome.changed).toEqual([]);
      expect(outcome.peakGrowth).toBeLessThan(outcome.bytes + 64 * 2 ** 20);
    });

    it.each(['autoencoder.onnx', 'diffraction_to_obj.onnx'])(
      'no flipped byte of %s passes verify, although every hash is right',
      async (name) => {
        const rng = new LegacyRng(5);
        const forged = path.join(folder, 'forged.zip');
        for (let i = 0; i < Math.ceil(copies / 20); i++) {
          await forge(bundle, forged, {
            [name]: (bytes) => {
              bytes[rng.interval(bytes.length - 1)] ^= 1 + rng.interval(254);
              return bytes;
            },
            'manifest.json': (bytes) => bytes,
          });
          const outcome = await verifyBundle(forged).catch((error: unknown) => error);
          expect(isPtychoError(outcome), `copy ${i}: ${String(outcome)}`).toBe(true);
        }
      },
    );

    it('a byte behind or before the archive does not pass verify', async () => {
      const bytes = await readFile(bundle);
      const target = path.join(folder, 'padded.zip');
      for (const padded of [Buffer.concat([bytes, Buffer.alloc(1)]), Buffer.concat([Buffer.from('PK'), bytes])]) {
        await writeFile(target, padded);
        await expect(verifyBundle(target)).rejects.toThrow(target);
      }
    });
  });
}
