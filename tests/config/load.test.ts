import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfigFile } from '../../src/config/load.js';

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

  it('an empty YAML file is an empty configuration', async () => {
    expect((await loadConfigFile(await put('empty.yml', '# nothing\n'))).values).toEqual({});
  });

  it.each([
    ['bad.yaml', 'a: [1, 2\n', /bad\.yaml, line \d+ is not YAML: .+\.$/],
    ['twice.yaml', 'nepochs: 1\nnepochs: 2\n', /twice\.yaml, line 2 is not YAML: Map keys must be unique\.$/],
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
