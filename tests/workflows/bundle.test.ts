/** `bundle info`, `verify`, `extract`, and the ways in which a bundle may lie on a disk. */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toLegacyParams } from '../../src/config/legacy/params.js';
import { trainingConfigSchema } from '../../src/config/schema.js';
import { readZip, writeZip } from '../../src/formats/zip.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { canonicalJson } from '../../src/persistence/json.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { bundleInfo, extractBundle, verifyBundle } from '../../src/workflows/bundle.js';
import { cli } from '../cli/capture.js';
import { bounds, forge, json } from '../persistence/sampleBundle.js';
import { networkContent, writeNetworkBundle } from '../support/networkBundle.js';

let folder: string;
let good: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-tools-'));
  good = await writeNetworkBundle(file('good.zip'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const MEMBERS = [
  'manifest.json',
  'config.json',
  'params.json',
  'weights.safetensors',
  'autoencoder.onnx',
  'diffraction_to_obj.onnx',
  'probe.npy',
  'history.csv',
];

describe('bundle verify', () => {
  it('accepts what saveBundle wrote, as file, in a folder, unpacked', async () => {
    expect((await verifyBundle(good)).path).toBe(good);
    await mkdir(file('run'));
    await copyFile(good, file('run/wts.h5.zip'));
    expect((await verifyBundle(file('run'))).path).toBe(file('run/wts.h5.zip'));
    const { files } = await extractBundle(good, { output_dir: file('members') });
    expect(files).toEqual(MEMBERS);
    expect((await readdir(file('members'))).sort()).toEqual([...MEMBERS].sort());
    expect((await verifyBundle(file('members'))).path).toBe(file('members'));
    const { code, out } = await cli('bundle', 'verify', good);
    expect([code, out]).toEqual([0, `${good} is sound: 8 members, every byte follows from its content.\n`]);
  });

  it.each([
    ['a supervised baseline', { model: { architecture: 'baseline', model_type: 'supervised' } }],
    ['gridsize 2 with a trained probe', { model: { gridsize: 2 }, probe_trainable: true }],
    [
      'parts with attention',
      { model: { architecture: 'cnn_cbam', cnn_output_mode: 'real_imag', physics_forward_mode: 'rectangular_scaled' } },
    ],
  ] as const)('accepts %s', async (name, over) => {
    const target = await writeNetworkBundle(file(`${name}.zip`), over as Parameters<typeof networkContent>[0]);
    await verifyBundle(target);
    // Opened and saved again it is the same file.
    const again = await (await PtychoModel.read(target)).save(file('again.zip'));
    expect((await readFile(again)).equals(await readFile(target))).toBe(true);
  });

  const changed = async (name: string, changes: Parameters<typeof forge>[2], options = {}) => {
    await forge(good, file(name), changes, options);
    return expect(verifyBundle(file(name))).rejects;
  };

  it('refuses content that is right and written in another way', async () => {
    const spaced = json(() => {});
    await (await changed('a.zip', { 'config.json': spaced })).toThrow(
      /config\.json: byte \d+ is not what this content/,
    );
    await (await changed('b.zip', { 'params.json': spaced })).toThrow(
      /params\.json: byte \d+ is not what this content/,
    );
    await (await changed('c.zip', {})).toThrow(/manifest\.json: byte \d+ is not what this content comes to/);
    const rounded = (b: Buffer) => b.toString().replace('0.4,', '0.40,');
    const canonical = { 'manifest.json': (b: Buffer) => canonicalJson(JSON.parse(b.toString())) };
    await (await changed('d.zip', { 'history.csv': rounded, ...canonical })).toThrow(
      /history\.csv: byte \d+ is not what/,
    );
    const padded = (b: Buffer) => Buffer.concat([b, Buffer.alloc(64)]);
    await (await changed('e.zip', { 'probe.npy': padded, ...canonical })).toThrow(file('e.zip'));
  });

  it('compares the members of an archive that somebody compressed, and says so', async () => {
    await forge(good, file('f.zip'), {}, { rehash: false, compress: true });
    expect((await verifyBundle(file('f.zip'))).compressed).toBe(true);
    expect((await verifyBundle(good)).compressed).toBe(false);
    expect((await cli('bundle', 'verify', file('f.zip'))).out).toContain('the archive is compressed');
    await (await changed('g.zip', { 'config.json': json(() => {}) }, { compress: true })).toThrow(
      /config\.json: byte \d+ is not what this content/,
    );
  });

  it('holds for the bundles of ptychopinn-models', async () => {
    const models = (await readdir('models')).filter((name) => name.endsWith('.zip'));
    expect(models.length).toBeGreaterThan(1);
    for (const name of models) expect((await verifyBundle(path.join('models', name))).compressed, name).toBe(true);
  });

  it('refuses another archive of the same members', async () => {
    const members = [...(await readZip(good, bounds))].map(([name, data]) => ({ name, data }));
    await writeZip(file('order.zip'), members.reverse());
    await openBundle(file('order.zip'));
    await expect(verifyBundle(file('order.zip'))).rejects.toThrow(/byte \d+ of the archive, outside of the members/);
  });

  it('says who wrote it where another version did', async () => {
    await forge(good, file('v.zip'), {
      'config.json': json(() => {}),
      'manifest.json': json((m) => Object.assign(m.created_by, { version: '0.0.9' })),
    });
    await expect(verifyBundle(file('v.zip'))).rejects.toThrow(/written by version 0\.0\.9, this is \d/);
  });

  it('refuses weights of another network', async () => {
    const { bias: _, ...rest } = { bias: 0, ...networkContent().weights };
    const { 'encoder.0.conv1.bias': __, ...fewer } = rest as ReturnType<typeof networkContent>['weights'];
    await expect(async () => PtychoModel.of({ ...networkContent(), weights: fewer })).rejects.toThrow(
      'missing: encoder.0.conv1.bias',
    );
  });
});

describe('a bundle from before its second model', () => {
  it('opens, saves as a whole one, and does not pass verify', async () => {
    await forge(good, file('older.zip'), {
      'params.json': () => undefined,
      'autoencoder.onnx': () => undefined,
      'manifest.json': json((m) => {
        const manifest = m as Record<string, Record<string, unknown>>;
        delete manifest.schema_versions;
        delete manifest.models.autoencoder;
        delete manifest.members['params.json'];
        delete manifest.members['autoencoder.onnx'];
      }),
    });
    const opened = await openBundle(file('older.zip'));
    expect(opened.autoencoder).toBeUndefined();
    await expect(verifyBundle(file('older.zip'))).rejects.toThrow(
      /no params\.json and no autoencoder\.onnx, because an older/,
    );
    const whole = await PtychoModel.of(opened).save(file('whole.zip'));
    expect((await readFile(whole)).equals(await readFile(good))).toBe(true);
  });

  it('must lack both', async () => {
    for (const [name, field] of [
      ['params.json', undefined],
      ['autoencoder.onnx', 'schema_versions'],
    ] as const) {
      await forge(good, file('half.zip'), {
        [name]: () => undefined,
        'manifest.json': json((m) => {
          if (field) delete m[field];
          delete (m.members as Record<string, unknown>)[name];
        }),
      });
      await expect(openBundle(file('half.zip'))).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    }
  });
});

describe('params.json', () => {
  it('is the legacy view without what belongs to a machine', async () => {
    const { config } = networkContent();
    const params = JSON.parse((await readZip(good, bounds)).get('params.json')!.toString());
    const expected = toLegacyParams(trainingConfigSchema.parse(config));
    for (const [key, value] of Object.entries(params))
      if (!['_version', 'intensity_scale'].includes(key)) expect(value).toEqual(expected[key]);
    expect(params).toMatchObject({ _version: '1.0', 'object.big': true, N: 64 });
    // The scale of fresh weights is the data set's.
    expect(params.intensity_scale).toBeCloseTo(0.3, 6);
    expect(Object.keys(params).filter((key) => /path|output_prefix/.test(key))).toEqual([]);
  });

  it.each([
    [
      'another value',
      (p: Record<string, unknown>) => Object.assign(p, { N: 128 }),
      'params.json: N is 128, but the other members say 64',
    ],
    [
      'an unknown key',
      (p: Record<string, unknown>) => Object.assign(p, { home: 1 }),
      'params.json: home is no key of this',
    ],
    [
      'another scale',
      (p: Record<string, unknown>) => Object.assign(p, { intensity_scale: 2 }),
      'params.json: intensity_scale is 2',
    ],
    ['no scale', (p: Record<string, unknown>) => delete p.intensity_scale, 'params.json: it lacks intensity_scale'],
  ])('is refused with %s', async (_, change, message) => {
    await forge(good, file('p.zip'), { 'params.json': json(change as never) });
    await expect(openBundle(file('p.zip'))).rejects.toThrow(message);
    // A key that came later may be missing.
    await forge(good, file('q.zip'), { 'params.json': json((p) => delete (p as Record<string, unknown>).tv_weight) });
    await openBundle(file('q.zip'));
  });
});

describe('a folder of members', () => {
  it('opens; files of other names are not looked at, but do not pass verify', async () => {
    await extractBundle(good, { output_dir: file('kept') });
    await writeFile(file('kept/notes.txt'), 'mine');
    expect((await openBundle(file('kept'))).path).toBe(file('kept'));
    await expect(verifyBundle(file('kept'))).rejects.toThrow('the folder also holds "notes.txt"');
  });

  it('is refused where a member is changed, missing, a link or too large', async () => {
    await extractBundle(good, { output_dir: file('broken') });
    const history = file('broken/history.csv');
    const bytes = await readFile(history);
    await writeFile(history, 'epoch,loss\n1,2\n2,1\n');
    await expect(openBundle(file('broken'))).rejects.toThrow(
      'history.csv: it is not the file that the manifest describes',
    );
    await writeFile(history, Buffer.alloc(9 << 20, 0x20));
    await expect(openBundle(file('broken'))).rejects.toThrow(
      /history\.csv: it has 9437184 bytes, more than the 8388608/,
    );
    await rm(history);
    await expect(openBundle(file('broken'))).rejects.toThrow('history.csv: the bundle lacks this member');
    await writeFile(file('elsewhere.csv'), bytes);
    await symlink(file('elsewhere.csv'), history);
    await expect(openBundle(file('broken'))).rejects.toThrow('history.csv is not a plain file');
  });

  it('of another program gets its own sentence', async () => {
    await mkdir(file('python/autoencoder'), { recursive: true });
    await writeFile(file('python/manifest.dill'), 'x');
    await writeFile(file('python/autoencoder/model.keras'), 'x');
    await expect(openBundle(file('python'))).rejects.toThrow(
      /is a wts\.h5\.zip of the Python PtychoPINN \(TensorFlow\)/,
    );
  });
});

describe('bundle extract', () => {
  it('refuses a folder that holds something, and takes an empty one', async () => {
    await mkdir(file('full'));
    await writeFile(file('full/a'), '');
    await expect(extractBundle(good, { output_dir: file('full') })).rejects.toThrow(/exists already .*--overwrite/);
    await extractBundle(good, { output_dir: file('full'), overwrite: true });
    expect((await readdir(file('full'))).sort()).toEqual(['a', ...MEMBERS].sort());
    await mkdir(file('empty'));
    const { code, out } = await cli('bundle', 'extract', good, '--output-dir', file('empty'));
    expect([code, out]).toEqual([0, `Written to ${file('empty')}: ${MEMBERS.join(', ')}.\n`]);
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('writes nothing of a damaged bundle', async () => {
    const bytes = await readFile(good);
    bytes[bytes.length >> 1] ^= 1;
    await writeFile(file('damaged.zip'), bytes);
    const { code, err } = await cli('bundle', 'extract', file('damaged.zip'), '--output_dir', file('never'));
    expect(code).not.toBe(0);
    expect(err).toContain('is damaged');
    await expect(readdir(file('never'))).rejects.toThrow('ENOENT');
  });
});

describe('bundle info', () => {
  it('says what a bundle is', async () => {
    const { code, out } = await cli('bundle', 'info', good);
    expect(code).toBe(0);
    expect(out).toContain('network     cnn, pinn, N 64, gridsize 1, n_filters_scale 1');
    expect(out).toContain('training    2 epochs, best 2 (val_loss 0.33333), seed 0');
    const printed = JSON.parse((await cli('bundle', 'info', good, '--json')).out);
    expect(printed).toEqual(JSON.parse(JSON.stringify(await bundleInfo(good))));
    expect(printed.manifest.schema_versions).toEqual({ config: 1, weights: 1, params: '1.0' });
  });

  it('knows a newer bundle', async () => {
    await forge(good, file('new.zip'), {
      'manifest.json': json((m) => Object.assign(m.schema_versions, { weights: 2 })),
    });
    const { code, err } = await cli('bundle', 'info', file('new.zip'));
    expect(code).not.toBe(0);
    expect(err).toContain('has weights of version 2, this ptychopinn reads up to 1; install a newer ptychopinn');
    await rename(file('new.zip'), file('renamed.bin'));
    await expect(bundleInfo(file('renamed.bin'))).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
  });
});
