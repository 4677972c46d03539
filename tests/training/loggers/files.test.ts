/** The loggers that write files: what is on disk after each epoch, after a crash and after a resumed run. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TrainingConfig, trainingConfigSchema } from '../../../src/config/schema.js';
import { encodePng } from '../../../src/report/png.js';
import { createLoggers } from '../../../src/training/loggers/create.js';
import { CsvLogger, TensorBoardLogger } from '../../../src/training/loggers/files.js';
import type { MetricLogger } from '../../../src/training/loggers/logger.js';
import { readEventFile } from '../../support/eventFile.js';

let folder: string;
const config = (logger_backend = 'csv'): TrainingConfig =>
  trainingConfigSchema.parse({ model: { N: 64 }, nepochs: 7, execution: { logger_backend } });
const run = (resumed = false, epochsDone?: number) => ({ config: config(), outputDir: folder, resumed, epochsDone });
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ptychopinn-loggers-'));
});
afterEach(() => rm(folder, { recursive: true }));
const png = encodePng({ width: 2, height: 3, channels: 1, data: new Uint8Array(6) });

describe('csv', () => {
  const table = () => readFile(join(folder, 'logs', 'metrics.csv'), 'utf8');

  it('has each epoch on disk when it has ended', async () => {
    const logger: MetricLogger = new CsvLogger();
    await logger.start(run());
    await logger.epoch({ epoch: 1, loss: 0.5, val_loss: null });
    expect(await table()).toBe('epoch,loss,val_loss\n1,0.5,\n');
    await logger.epoch({ epoch: 2, loss: Number.NaN, val_loss: 0.25 });
    expect(await table()).toBe('epoch,loss,val_loss\n1,0.5,\n2,nan,0.25\n');
    await logger.image('x', 2, png);
    await logger.finish('finished');
    expect(await readdir(join(folder, 'logs'))).toEqual(['metrics.csv']);
  });

  it('takes a new column without losing a row', async () => {
    const logger: MetricLogger = new CsvLogger();
    await logger.start(run());
    await logger.epoch({ epoch: 1, loss: 0.5 });
    await logger.epoch({ epoch: 2, loss: 0.4, extra: 1 });
    expect(await table()).toBe('epoch,extra,loss\n1,,0.5\n2,1,0.4\n');
  });

  it('goes on at the epoch that a run was resumed from, also after half a line', async () => {
    const first = new CsvLogger();
    await first.start(run());
    for (let epoch = 1; epoch <= 4; epoch++) await first.epoch({ epoch, loss: 1 / epoch });
    await writeFile(join(folder, 'logs', 'metrics.csv'), `${await table()}5,0.`);
    const second = new CsvLogger();
    await second.start(run(true));
    await second.epoch({ epoch: 4, loss: 0.125 });
    await second.epoch({ epoch: 5, loss: 0.0625 });
    expect((await table()).split('\n').slice(3)).toEqual(['3,0.3333333333333333', '4,0.125', '5,0.0625', '']);
    // Told where it goes on, it forgets at once.
    await new CsvLogger().start(run(true, 1));
    expect(await table()).toBe('epoch,loss\n1,1\n');
  });

  it('begins anew for a run that is not resumed, and anywhere for one that is resumed elsewhere', async () => {
    const first = new CsvLogger();
    await first.start(run());
    await first.epoch({ epoch: 1, loss: 1 });
    await new CsvLogger().start(run());
    await expect(table()).rejects.toThrow(/ENOENT/);
    const elsewhere = new CsvLogger();
    await elsewhere.start(run(true, 5));
    await elsewhere.epoch({ epoch: 6, loss: 0.5 });
    expect(await table()).toBe('epoch,loss\n6,0.5\n');
  });

  it('says at the start where it cannot write', async () => {
    await writeFile(join(folder, 'logs'), 'a file where a folder should be');
    await expect(new CsvLogger().start(run())).rejects.toThrow(/metrics\.csv cannot be written: .*--logger none\.$/);
  });
});

describe('tensorboard', () => {
  const read = async () => {
    const at = join(folder, 'logs', 'tensorboard');
    const names = (await readdir(at)).sort();
    return Promise.all(names.map(async (name) => readEventFile(await readFile(join(at, name)))));
  };

  it('writes scalars, pictures and the configuration', async () => {
    const logger: MetricLogger = new TensorBoardLogger(() => 12_500);
    await logger.start(run());
    await logger.epoch({ epoch: 1, loss: 0.5, val_loss: null });
    await logger.image('previews/amplitude', 1, png);
    await logger.finish('finished');
    const [events] = await read();
    expect(events.map((event) => event.wallTime)).toEqual([12.5, 12.5, 12.5, 12.5]);
    expect(events[0]).toMatchObject({ version: 'brain.Event:2', step: 0 });
    expect(events[1].texts.config).toMatch(/^```json\n\{[\s\S]*"nepochs": 7,[\s\S]*\}\n```$/);
    expect(events[2]).toMatchObject({ step: 1, scalars: { loss: 0.5 } });
    expect(events[2].scalars).not.toHaveProperty('val_loss');
    expect(events[3].images['previews/amplitude']).toEqual({ width: 2, height: 3, bytes: Buffer.from(png) });
    expect(await readdir(join(folder, 'logs', 'tensorboard'))).toEqual(['events.out.tfevents.12.ptychopinn']);
  });

  it('says of a resumed run from where on an earlier file is to be forgotten', async () => {
    const first = new TensorBoardLogger(() => 12_500);
    await first.start(run());
    for (let epoch = 1; epoch <= 3; epoch++) await first.epoch({ epoch, loss: 1 / epoch });
    const second = new TensorBoardLogger(() => 12_900);
    await second.start(run(true));
    await second.epoch({ epoch: 3, loss: 0.125 });
    const [, events] = await read();
    expect(events.map(({ step, restart, scalars }) => [step, restart, scalars.loss])).toEqual([
      [0, false, undefined],
      [3, true, undefined],
      [3, false, 0.125],
    ]);
  });

  it('removes the files of an earlier run in the same folder', async () => {
    for (const time of [1000, 9000]) await new TensorBoardLogger(() => time).start(run());
    expect(await read()).toHaveLength(1);
  });
});

describe('createLoggers', () => {
  it('takes nothing down with none', async () => {
    const logger = await createLoggers(config('none'), folder);
    await logger.start({ ...run(), config: config('none') });
    await logger.epoch({ epoch: 1, loss: 1 });
    await logger.finish('finished');
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['csv', 'metrics.csv'],
    ['tensorboard', 'tensorboard'],
  ])('%s writes logs/%s, and a disk that fails later costs one warning', async (name, file) => {
    const warnings: string[] = [];
    const logger = await createLoggers(config(name), folder, { info: () => {}, warn: (text) => warnings.push(text) });
    await logger.start(run());
    await logger.epoch({ epoch: 1, loss: 1 });
    expect(await readdir(join(folder, 'logs'))).toEqual([file]);
    await rm(join(folder, 'logs'), { recursive: true });
    for (let epoch = 2; epoch <= 4; epoch++) await logger.epoch({ epoch, loss: 1 });
    await logger.finish('finished');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/can no longer be written: .*Training continues without it\.$/);
  });
});
