/** What a configuration says about data reaches the file that is opened, and what the file says reaches the configuration. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainingDefinition } from '../../src/config/commands.js';
import { resolveConfig } from '../../src/config/resolve.js';
import { openDataset } from '../../src/data/openDataset.js';
import { openRequestedScan } from '../../src/data/preparedScan.js';
import { writeScan } from '../../src/data/scanWriter.js';
import { prepareTraining } from '../../src/training/prepare.js';

const FIXTURE = 'fixtures/lines64.npz';
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-scan-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a scan and its configuration', () => {
  it('the block data decides how the file is opened', async () => {
    const given = { train_data_file: FIXTURE, flip_y: true, coord_scale: 2, x_bounds: [0.1, 0.9] };
    const { config } = resolveConfig(trainingDefinition, { flags: given });
    const plain = await openDataset(FIXTURE);
    const raw = await openRequestedScan(FIXTURE, config);
    expect(raw.orientation).toMatchObject({ flip_y: true, coord_scale: 2 });
    expect(raw.count).toBeLessThan(plain.count);
    expect([...raw.ycoords]).toEqual([...raw.sampleIndices].map((i) => -2 * plain.ycoords[i]));
    await raw.close();
    await plain.close();
  });

  it('photons of the metadata replace a default, not a given value; what differs is said', async () => {
    const scan = path.join(folder, 'scan.npz');
    const plain = await openDataset(FIXTURE);
    const metadata = { physics_parameters: { nphotons: 123_456, N: 64, gridsize: 2 } };
    await writeScan(scan, { ...plain, metadata });
    await plain.close();
    const raw = await openDataset(scan);
    const warnings: string[] = [];
    const logger = { info: () => {}, warn: (m: string) => warnings.push(m) };
    for (const [flags, nphotons, source] of [
      [{}, 123_456, 'metadata'],
      [{ nphotons: 1e6 }, 1e6, 'flag'],
    ] as const) {
      warnings.length = 0;
      const { config: request, provenance } = resolveConfig(trainingDefinition, {
        flags: { train_data_file: scan, n_groups: 8, n_filters_scale: 1, ...flags },
      });
      const prepared = await prepareTraining(request, { train: raw }, { provenance, logger });
      expect(prepared.config.nphotons).toBe(nphotons);
      expect(prepared.provenance.nphotons.source).toBe(source);
      expect(warnings).toEqual([
        ...(source === 'flag' ? [`The metadata of ${scan} say nphotons 123456, but 1000000 is used.`] : []),
        `The metadata of ${scan} say gridsize 2, but 1 is used.`,
      ]);
    }
    await raw.close();
  });
});
