import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from './capture.js';

describe('ptychopinn config', () => {
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

  it('show prints value, source and origin of each field', async () => {
    const file = await put('run.yaml', 'nepochs: 20\nbackend: pytorch\n');
    const { code, out, err } = await cli('config', 'show', 'train', '--config', file, '--no-probe-big');
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^Training\n {2}field +value +source +origin\n/);
    expect(out).toMatch(new RegExp(`^ {2}nepochs +20 +file +${file}$`, 'm'));
    expect(out).toMatch(/^ {2}probe_big +false +flag$/m);
    expect(out).toMatch(/^ {2}N +– +the data$/m);
    expect(out).toMatch(/^ {2}learning_rate +0\.001 +default$/m);
    expect(out).not.toContain('fno_modes');
    expect(out).toMatch(/^\d+ fields of other networks than cnn play no part/m);
    const other = await cli('config', 'show', 'train', '--architecture', 'fno');
    expect(other.out).toMatch(/^ {2}fno_modes +12 +default$/m);
    expect(other.out).not.toContain('hybrid_skip_style');
    expect(out).toMatch(/^\d+ fields that are fixed in this version have their published defaults/m);
    expect(out).toMatch(/^backend pytorch means onnx here: /m);
  });

  it('show --json holds everything', async () => {
    const { out } = await cli('config', 'show', 'infer', '--model-path', 'run', '--test_data', 's.npz', '--json');
    const shown = JSON.parse(out) as Record<string, Record<string, unknown>>;
    expect(Object.keys(shown)).toEqual(['config', 'provenance', 'notes', 'warnings']);
    expect(shown.config).toMatchObject({ model_path: 'run', test_data_file: 's.npz', n_groups: null });
    expect(shown.provenance.test_data_file).toEqual({ value: 's.npz', source: 'flag' });
    expect(shown.config).not.toHaveProperty('model');
  });

  it.each(['null', 'none'])('%s is a value of what may be null', async (word) => {
    for (const flags of [['--probe_modes', word], [`--probe-modes=${word}`]]) {
      const { out, code } = await cli('config', 'show', 'solve', '--test_data', 's.npz', ...flags, '--json');
      expect(code).toBe(0);
      const { config, provenance } = JSON.parse(out) as Record<string, Record<string, unknown>>;
      expect(config.probe_modes).toBeNull();
      expect(provenance.probe_modes).toEqual({ value: null, source: 'flag' });
    }
  });

  it('show needs no command for a file', async () => {
    const run = await put('short.yaml', 'nepochs: 20\n');
    const { code, out } = await cli('config', 'show', '--config', run);
    expect(code).toBe(0);
    expect(out).toMatch(/^As train reads it; demo can read it, too\.\n\nTraining\n/);
    expect((await cli('config', 'show', '--config', run, 'demo')).out).toMatch(/^As demo reads it\.\n\nDemo\n/);
    // What a run wrote to its folder, with where everything came from.
    const solved = await put(
      'config.json',
      '{"config": {"test_data_file": "s.npz", "algorithm": "dm"}, "provenance": {}}',
    );
    const shown = JSON.parse((await cli('config', 'show', '--config', solved, '--json')).out) as Record<
      string,
      unknown
    >;
    expect(shown).toMatchObject({ command: 'solve', config: { algorithm: 'dm' }, warnings: [] });
    expect((await cli('config', 'show', 'solve', '--config', run)).err).toContain('test_data_file is needed');
    const wrong = await put('wrong.yaml', 'nepocks: 20\n');
    expect(await cli('config', 'show', '--config', wrong)).toMatchObject({
      code: 2,
      err: `ptychopinn: ${wrong}: unknown key nepocks; did you mean nepochs?\n`,
    });
    expect(await cli('config', 'show')).toMatchObject({
      code: 2,
      err: 'ptychopinn: There is nothing to show; give --config FILE, or a command and its flags.\n',
    });
    expect((await cli('config', 'show', '--config', run, 'doctor')).err).toContain('doctor has no configuration');
  });

  it('understands files of all three styles', async () => {
    const torch = await put('torch.json', '{"data_config": {"K": 7, "nphotons": 1e6}, "n_groups": "all"}');
    const shown = await cli('config', 'show', 'train', '--config', torch, '--train_data_file', 's.npz');
    expect(shown.out).toMatch(/^ {2}architecture +cnn_cbam +default +default of PyTorch-style configurations$/m);
    expect(shown.out).toMatch(/^ {2}n_groups +all +file /m);
    expect(shown.out).toMatch(/^warning: test_data_file is not given/m);
    const legacy = await put('params.yaml', 'object.big: false\noutput_prefix: there\nsize: 300\n');
    const { out } = await cli('config', 'show', 'train', '--config', legacy);
    expect(out).toMatch(/^ {2}object_big +false +file /m);
    expect(out).toMatch(/^ {2}output_dir +there +file /m);
    expect(out).toMatch(/: size of the params dictionary plays no part in training and was left out\.$/m);
  });

  it('legacy prints the params dictionary', async () => {
    const { code, out, err } = await cli('config', 'legacy', 'train', '--no-object_big', '--n_images', '5');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ 'object.big': false, n_groups: 5, output_prefix: 'training_outputs' });
    expect(err).toBe('n_images is the former name of n_groups; write n_groups.\n');
  });

  it('schema prints JSON Schema, of one command or of all', async () => {
    const one = JSON.parse((await cli('config', 'schema', 'simulate')).out) as Record<string, unknown>;
    expect(one).toMatchObject({ title: 'ptychopinn simulation configuration', type: 'object' });
    const all = JSON.parse((await cli('config', 'schema')).out) as Record<string, unknown>;
    expect(Object.keys(all)).toEqual(expect.arrayContaining(['train', 'infer', 'simulate', 'demo', 'convert']));
    expect(all.simulate).toEqual(one);
    expect(await cli('config', 'schema', 'doctor')).toEqual({
      code: 2,
      out: '',
      err: 'ptychopinn: doctor has no configuration; the commands that have one are train, infer, reconstruct, solve, live, simulate, demo, inspect, view, convert, split, orient, label, evaluate, calibrate, compare, overlap, export, study dose-overlap, jobs plan, jobs submit, jobs work, bundle extract, bundle export, bundle import, product export, product import.\n',
    });
  });

  it('jobs plan says that one scan alone shares nothing', async () => {
    const { code, err } = await cli('jobs', 'plan', 'a.npz', '--verb', 'solve', '--share', 'object', '--output_root', 'absent'); // biome-ignore format: one call
    expect(code).toBe(2);
    expect(err).toMatch(/share object is for several scans, but there is one/);
  });

  it('train says what it understood in another way, before it begins', async () => {
    const { code, err } = await cli('train', '--train_data_file', 'absent.npz', '--n_images', '5', '--backend', 'tf');
    expect(code).toBe(1);
    const [warning, note, failure] = err.split('\n');
    expect(warning).toBe('warning: n_images is the former name of n_groups; write n_groups.');
    expect(note).toBe('backend tf is short for tensorflow.');
    expect(failure).toContain('absent.npz');
    const quiet = await cli('train', '--train_data_file', 'absent.npz', '--backend', 'tf', '--quiet');
    expect(quiet.err).not.toContain('short for');
  });

  it('understands the flags of published command lines', async () => {
    const words =
      '--torch-accelerator gpu --torch-learning-rate 0.01 --max_epochs 7 --torch-num-workers 0 --torch-deterministic';
    const { code, out } = await cli('config', 'show', 'train', '--json', ...words.split(' '));
    expect(code).toBe(0);
    const { config, warnings } = JSON.parse(out) as { config: Record<string, unknown>; warnings: string[] };
    expect(config).toMatchObject({ nepochs: 7, learning_rate: 0.01, execution: { accelerator: 'cuda' } });
    expect(warnings).toEqual([]);
    expect((await cli('config', 'show', 'train', '--no-torch-deterministic')).err).toBe(
      'ptychopinn: deterministic: false is not available in this version; only true is (nothing is computed faster without it; leave it out).\n',
    );
  });

  it('refuses as the command itself would', async () => {
    const trouble = await cli('config', 'show', 'train', '--fno-modes', '3');
    expect(trouble).toEqual({
      code: 2,
      out: '',
      err: 'ptychopinn: architecture cnn has no use for fno_modes, a field of hybrid_resnet, hybrid_resnet_convnext_bottleneck, hybrid_resnet_ffno_bottleneck and 10 other networks; leave it out.\n',
    });
    expect((await cli('config', 'shwo')).err).toBe("ptychopinn: Unknown command 'shwo'; did you mean show?\n");
    const bare = await cli('config');
    expect(bare.code).toBe(2);
    expect(bare.err).toMatch(/^Usage: ptychopinn config/);
  });
});
