import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfigFile } from '../../src/config/load.js';

/** Ten lists of ten of the list before. */
const LAUGHS = Array.from({ length: 10 }, (_, i) => {
  const before = Array(10).fill(i === 0 ? 'ha' : `*a${i - 1}`);
  return `a${i}: &a${i} [${before.join(', ')}]`;
}).join('\n');

describe('loadConfigFile', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ptychopinn-config-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const put = async (name: string, text: string) => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };

  it('reads YAML and JSON into the same layer', async () => {
    const yaml = await put(
      'run.yaml',
      '# a run\nnepochs: 20\nnphotons: 1e9\nmodel:\n  probe_mask: false\nprobe: null\n',
    );
    const json = await put(
      'run.json',
      '{"nepochs": 20, "nphotons": 1e9, "model": {"probe_mask": false}, "probe": null}',
    );
    const layer = await loadConfigFile(yaml);
    expect(layer.origin).toBe(yaml);
    expect(layer.values).toEqual({ nepochs: 20, nphotons: 1e9, model: { probe_mask: false }, probe: null });
    expect((await loadConfigFile(json)).values).toEqual(layer.values);
  });

  it('a byte order mark is no part of either', async () => {
    expect((await loadConfigFile(await put('bom.yaml', '\uFEFFnepochs: 2\n'))).values).toEqual({ nepochs: 2 });
    expect((await loadConfigFile(await put('bom.json', '\uFEFF{"nepochs": 2}'))).values).toEqual({ nepochs: 2 });
  });

  it('JSON may be indented by tabs', async () => {
    expect((await loadConfigFile(await put('tabs.json', '{\n\t"nepochs": 2\n}'))).values).toEqual({ nepochs: 2 });
  });

  it('an empty YAML file is an empty configuration', async () => {
    expect((await loadConfigFile(await put('empty.yml', '# nothing\n'))).values).toEqual({});
  });

  it.each([
    ['bad.yaml', 'a: [1, 2\n', /bad\.yaml, line \d+ is not YAML: .+\.$/],
    ['twice.yaml', 'nepochs: 1\nnepochs: 2\n', /twice\.yaml, line 2: a field is written twice; leave one\.$/],
    ['twice.json', '{"nepochs": 1,\n"nepochs": 2}', /twice\.json, line 2: a field is written twice; leave one\.$/],
    ['inside.json', '{"model": {"N": 64, "N": 128}}', /inside\.json, line 1: a field is written twice; leave one\.$/],
    ['deep.json', `{"a": ${'['.repeat(1e5)}${']'.repeat(1e5)}}`, /deep\.json is nested deeper than 64 levels/],
    ['deeper.json', `{"a": ${'['.repeat(100)}${']'.repeat(100)}}`, /deeper\.json is nested deeper than 64 levels/],
    ['deep.yaml', `a: ${'['.repeat(1e5)}`, /deep\.yaml is nested deeper than 64 levels/],
    ['itself.yaml', 'a: &a [*a]\n', /itself\.yaml is nested deeper than 64 levels, or contains itself/],
    ['laughs.yaml', LAUGHS, /laughs\.yaml is not YAML: Excessive alias count/],
    ['bad.json', '{"a": ', /bad\.json is not JSON: .+\.$/],
    ['list.yaml', '- 1\n', /list\.yaml must hold fields with values/],
    ['run.toml', 'a = 1\n', /run\.toml: a configuration file ends in \.yaml, \.yml or \.json\.$/],
  ])('%s is one clear sentence', async (name, text, message) => {
    const path = await put(name, text);
    await expect(loadConfigFile(path)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(message),
    });
  });

  it('a missing file is named', async () => {
    const path = join(folder, 'absent.yaml');
    await expect(loadConfigFile(path)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: `There is no configuration file ${path}.`,
    });
  });
});
