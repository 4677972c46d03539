/** Recorded defects of the published configuration code; each test is what cannot happen here. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  demoDefinition,
  inferenceDefinition,
  simulationDefinition,
  trainingDefinition,
} from '../../src/config/commands.js';
import { allFields, type ConfigDefinition } from '../../src/config/definition.js';
import { finaliseTrainingConfig } from '../../src/config/finalise.js';
import { LegacyParams, toLegacyParams, updateLegacyDict } from '../../src/config/legacy/params.js';
import { resolveConfig } from '../../src/config/resolve.js';
import type { TrainingConfig } from '../../src/config/schema.js';
import { learningRateSchedule } from '../../src/model/schedule.js';
import { architecturesWith } from '../../src/networks/architectures.js';
import { cli } from '../cli/capture.js';

const definitions: ConfigDefinition<unknown>[] = [
  trainingDefinition,
  inferenceDefinition,
  simulationDefinition,
  demoDefinition,
];

describe('defects of the published configuration that cannot happen', () => {
  let folder: string;
  let file: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ptychopinn-defects-'));
    file = join(folder, 'run.yaml');
    await writeFile(file, 'nepochs: 20\nprobe_big: false\nexecution:\n  threads: 3\n');
  });
  afterAll(() => rm(folder, { recursive: true }));
  const shown = async (...words: string[]) => {
    const { code, out, err } = await cli('config', 'show', 'train', '--json', ...words);
    expect([code, err]).toEqual([0, '']);
    return (JSON.parse(out) as { config: TrainingConfig }).config;
  };

  it('1: flags that were not given overrule the file', async () => {
    const config = await shown('--config', file, '--batch_size', '8');
    expect(config).toMatchObject({
      nepochs: 20,
      batch_size: 8,
      model: { probe_big: false },
      execution: { threads: 3 },
    });
    expect((await shown('--config', file, '--nepochs', '5')).nepochs).toBe(5);
    // Even a flag that repeats the default wins.
    expect((await shown('--config', file, '--nepochs', '50')).nepochs).toBe(50);
  });

  it.each(
    allFields(trainingDefinition).flatMap((field) => (field.kind === 'boolean' && !field.fixed ? [field.name] : [])),
  )('2: "False" is true for --%s', async (name) => {
    const of = (config: TrainingConfig) =>
      Reflect.get({ ...config, ...config.model, ...config.data, ...config.execution }, name) as unknown;
    // What these need beside them to be of any use.
    const needed: Readonly<Record<string, string>> = {
      position_trainable: '--gridsize 2',
      member_permutations: '--gridsize 2',
      align_members: '--gridsize 2',
      do_stitching: '--test_data_file test.npz',
      torch_mae_pred_l2_match_target: '--mae_weight 1',
      eca_encoder: '--no-cbam_encoder',
      rect_s1s2_trainable: '--physics_forward_mode rectangular_scaled --cnn_output_mode real_imag',
    };
    const owners = architecturesWith(name);
    const network = owners.includes('cnn') ? [] : ['--architecture', owners[0]];
    const beside = [...(needed[name]?.split(' ') ?? []), ...network];
    expect(of(await shown(`--${name}`, 'False', ...beside))).toBe(false);
    expect(of(await shown(`--no-${name}`, ...beside))).toBe(false);
    expect(of(await shown(`--${name}`, 'true', ...beside))).toBe(true);
    expect(of(await shown(`--${name}`, ...beside))).toBe(true);
  });

  it('3: a learning rate that was left out crashes beside other settings', async () => {
    expect((await shown('--threads', '2', '--accelerator', 'cpu')).learning_rate).toBe(1e-3);
    const { code, err } = await cli('train', '--learning_rate', 'none');
    expect(code).toBe(2);
    expect(err).toBe('ptychopinn: --learning_rate must be a positive number, got "none".\n');
    expect(() => resolveConfig(trainingDefinition, { flags: { learning_rate: null } })).toThrow(
      'learning_rate must be a positive number, got null (--learning_rate).',
    );
  });

  it('4: settings are documented but refused, accepted but dead, or cannot be switched off', async () => {
    expect((await cli('config', 'show', 'train', '--checkpoint_save_top_k', '-1')).code).toBe(2);
    expect(allFields(trainingDefinition).find((f) => f.name === 'checkpoint_save_top_k')?.expected).not.toContain('-1');
    const off = await cli('config', 'show', 'train', '--no-deterministic');
    expect(off.err).toBe(
      'ptychopinn: deterministic: false is not available in this version; only true is (nothing is computed faster without it; leave it out).\n',
    );
    expect((await shown('--torch-scheduler', 'CosineAnnealing')).scheduler).toBe('WarmupCosine');
    // The published code passes it by, too.
    expect((await shown('--scheduler', 'Adaptive')).scheduler).toBe('Default');
    const other = await cli('config', 'show', 'train', '--scheduler', 'Cosine');
    expect(other.err).toMatch(/^ptychopinn: scheduler must be Default, Exponential, WarmupCosine or ReduceLROnPlateau/);
    // Every word that is accepted acts.
    const schedules = allFields(trainingDefinition).find((field) => field.name === 'scheduler')?.choices ?? [];
    const rates = schedules.map((scheduler) => {
      const flags = { scheduler, lr_warmup_epochs: 1, plateau_patience: 0, nepochs: 9 };
      const request = resolveConfig(trainingDefinition, { flags }).config;
      const schedule = learningRateSchedule(
        finaliseTrainingConfig(request, { N: 64, count: 9, origin: 'scan' }).config,
      );
      return [0, 1, 2, 3, 4, 5].map((epoch) => {
        const rate = schedule.rate(epoch);
        schedule.epochEnded(1);
        return rate;
      });
    });
    expect(new Set(rates.map((values) => JSON.stringify(values))).size).toBe(4);
    // And one that stands in execution reaches the optimiser's configuration.
    const values = { execution: { scheduler: 'Exponential' } };
    expect(resolveConfig(trainingDefinition, { file: { origin: 'f', values } }).config.scheduler).toBe('Exponential');
  });

  it('5: several enumerations of one setting', () => {
    const choices = new Map<string, string>();
    for (const definition of definitions.slice(0, 2)) {
      for (const field of allFields(definition)) {
        const words = JSON.stringify(field.choices);
        expect(choices.get(field.name) ?? words, field.name).toBe(words);
        choices.set(field.name, words);
      }
    }
    const named = definitions.flatMap((definition) => allFields(definition).filter((f) => f.name === 'scheduler'));
    expect(named).toHaveLength(1);
  });

  it('6: a value of an earlier run survives in a dictionary that numbers depend on', () => {
    const first = resolveConfig(trainingDefinition, { flags: { n_subsample: 7, N: 64 } });
    const second = resolveConfig(trainingDefinition, { flags: { N: 128 } });
    // The view depends on its configuration alone.
    expect(toLegacyParams(second.config)).not.toHaveProperty('n_subsample');
    const mine = new LegacyParams();
    updateLegacyDict(mine, first.config);
    mine.set('intensity_scale', 3);
    const yours = new LegacyParams();
    updateLegacyDict(yours, second.config);
    expect(yours.get('n_subsample', null)).toBeNull();
    expect(yours.get('intensity_scale', null)).toBeNull();
    // That nothing numeric reads it is tested in legacy.test.ts.
    expect(Object.isFrozen(second.config)).toBe(true);
  });

  it('7: a setting is handed on to code that no longer knows it', async () => {
    const flags = { model_path: 'm', test_data_file: 's.npz', debug_dump_dir: 'dump' };
    expect(() => resolveConfig(inferenceDefinition, { flags })).toThrow(/unknown key debug_dump_dir; did you mean/);
    expect((await cli('infer', '--debug_dump_dir', 'x')).err).toMatch(/Unknown option '--debug_dump_dir'/);
  });

  it('8: tables list fields that code does not have, or the other way round', () => {
    const document = readFileSync('docs/configuration.md', 'utf8');
    for (const definition of definitions) {
      for (const { name } of allFields(definition)) expect(document, name).toContain(`| \`${name}\` |`);
    }
  });
});
