import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { inferenceDefinition, solveDefinition, trainingDefinition } from '../../src/config/commands.js';
import { flagFields } from '../../src/config/definition.js';
import { cli } from './capture.js';

const COMMANDS = ['demo', 'simulate', 'inspect', 'train', 'infer', 'solve', 'config'];

describe('help', () => {
  it('lists every command', async () => {
    const { code, out, err } = await cli('--help');
    expect([code, err]).toEqual([0, '']);
    for (const name of COMMANDS) expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(await cli('help')).toEqual({ code: 0, out, err: '' });
  });

  it('without a command is help, too, but no success', async () => {
    const { code, out } = await cli();
    expect(code).toBe(2);
    expect(out).toContain('Usage: ptychopinn');
  });

  it.each([
    ['train', trainingDefinition],
    ['infer', inferenceDefinition],
    ['solve', solveDefinition],
  ] as const)('of %s shows every field once, in sections', async (name, definition) => {
    const { code, out } = await cli(name, '--help');
    expect(code).toBe(0);
    const [listed, fixed] = out.split('\nFixed in this version (accepted with these values only):\n');
    for (const field of flagFields(definition)) {
      if (field.fixed) {
        expect(fixed, field.name).toMatch(new RegExp(`(^| )${field.name}=`, 'm'));
        expect(listed, field.name).not.toMatch(new RegExp(`^  --(\\[no-\\])?${field.name} `, 'm'));
        continue;
      }
      const term = field.kind === 'boolean' ? `--[no-]${field.name}` : `--${field.name} `;
      expect(out.split(`\n  ${term}`).length, field.name).toBe(2);
    }
    for (const section of definition.sections) {
      if (section.claim) expect(out).not.toContain(`\n${section.title}:\n`);
      else expect(out).toContain(`\n${section.title}:\n`);
    }
    expect(await cli('help', name)).toMatchObject({ code: 0, out });
    expect(await cli('--help', name)).toMatchObject({ code: 0, out });
  });

  it('prints the version', async () => {
    const { code, out } = await cli('--version');
    expect(code).toBe(0);
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('a wrong command line is one sentence and exit code 2', () => {
  it.each([
    [['trian'], "ptychopinn: Unknown command 'trian'; did you mean train?\n"],
    [['trian', '--help'], "ptychopinn: Unknown command 'trian'; did you mean train?\n"],
    [['help', 'trian'], "ptychopinn: Unknown command 'trian'; did you mean train?\n"],
    [['nonsense', '--help'], 'ptychopinn: Unknown command \'nonsense\'; "ptychopinn --help" lists the commands.\n'],
    [['bundle', 'infos', '--help'], "ptychopinn: Unknown command 'infos'; did you mean info?\n"],
    [
      ['config', 'show', 'x', '--help'],
      'ptychopinn: Unknown command \'x\'; "ptychopinn config show --help" lists the commands.\n',
    ],
    [['train', '--n_group', '5'], "ptychopinn: Unknown option '--n_group'; did you mean --n_groups?\n"],
    [
      ['train', '--train-data', 's.npz'],
      "ptychopinn: Unknown option '--train-data'; did you mean --train_data_file or --train_data_files?\n",
    ],
    [['infer', '--test-dat=s.npz'], "ptychopinn: Unknown option '--test-dat'; did you mean --test_data?\n"],
    [
      ['train', '--data', 's.npz'],
      "ptychopinn: Unknown option '--data'; did you mean --train_data_file, --train_data_files, --test_data_file, --data_scaling or --data_format?\n",
    ],
    [['infer', '--truth', 's.npz'], "ptychopinn: Unknown option '--truth'; it is a flag of evaluate and compare.\n"],
    [
      ['bundle', 'info', 'b', '--nonsense'],
      'ptychopinn: Unknown option \'--nonsense\'; "ptychopinn bundle info --help" lists the flags.\n',
    ],
    [
      ['bundle', 'info', '--nope=1', '--help'],
      'ptychopinn: Unknown option \'--nope\'; "ptychopinn bundle info --help" lists the flags.\n',
    ],
    [['solve', '-h', '--epoch', '3'], "ptychopinn: Unknown option '--epoch'; did you mean --epochs?\n"],
    [['help', 'solve', '--epoch'], "ptychopinn: Unknown option '--epoch'; did you mean --epochs?\n"],
    [['--nope', '--help'], 'ptychopinn: Unknown option \'--nope\'; "ptychopinn --help" lists the flags.\n'],
    [['train', '--nepochs', 'many'], 'ptychopinn: --nepochs must be a positive whole number or null, got "many".\n'],
    [['train', '--nepochs'], "ptychopinn: Option '--nepochs <integer>' argument missing.\n"],
    [['train', '--nepochs', '0'], 'ptychopinn: nepochs must be a positive whole number or null, got 0 (--nepochs).\n'],
    [
      ['train', 'a.npz', '--workers', '0'],
      'ptychopinn: devices must be a positive whole number or auto, got 0 (--workers).\n',
    ],
    [
      ['train', 'a.npz', '--devices', '2', '--workers=3'],
      'ptychopinn: --devices and --workers are two names of one flag; leave one of them out.\n',
    ],
    [
      ['solve', '--resume', '--output_dir', 'X'],
      'ptychopinn: --resume needs a path, but the flag --output_dir follows it; name the file or folder behind --resume.\n',
    ],
    [['train', '--batch-size=12'], 'ptychopinn: batch_size must be a positive power of two, got 12 (--batch_size).\n'],
    [
      ['train', '--architecture', 'cnn', '--fno_cnn_blocks', '1'],
      'ptychopinn: architecture cnn has no use for fno_cnn_blocks, a field of fno and ffno; leave it out.\n',
    ],
    [['train', '--probe_big', 'perhaps'], 'ptychopinn: --probe_big must be true or false, got "perhaps".\n'],
    [['train'], 'ptychopinn: There is nothing to train on; name the scan: "ptychopinn train FILE".\n'],
    [
      ['train', '--resume', 'nowhere'],
      'ptychopinn: There is nothing to resume in nowhere: it holds no config.json, so it is not the output folder of a run; name that folder, or begin a run without --resume.\n',
    ],
    [
      ['reconstruct', '--resume', 'nowhere'],
      'ptychopinn: There is nothing to resume in nowhere: it holds no config.json, so it is not the output folder of a run; name that folder, or begin a run without --resume.\n',
    ],
    [['infer', '--model_path', 'run'], 'ptychopinn: test_data_file is needed: Scan to reconstruct.\n'],
    [
      ['solve', 'a.npz', '--test_data', 'b.npz'],
      'ptychopinn: There are two scans, a.npz and --test_data_file b.npz, but one is needed; leave one of them out.\n',
    ],
    [['infer', 'a.npz', 'b.npz'], "ptychopinn: Too many arguments for 'infer'. Expected 1 argument but got 2.\n"],
    [
      ['reconstruct', 'a.npz', 'b.npz'],
      'ptychopinn: There are 2 scans, but nothing says what they have in common: give --share object (one object, a probe for each scan) or --share probe (one probe, an object for each), or solve them one by one.\n',
    ],
    [
      ['reconstruct', 'a.npz', '--share', 'object'],
      'ptychopinn: share object is for several scans, but there is one; name the others, too, or leave share out.\n',
    ],
    [
      ['solve', 'a.npz', 'b.npz'],
      'ptychopinn: There are 2 scans, but nothing says what they have in common: give --share object (one object, a probe for each scan) or --share probe (one probe, an object for each), or solve them one by one.\n',
    ],
    [
      ['solve', 'a.npz', '--share', 'probe'],
      'ptychopinn: share probe is for several scans, but there is one; name the others, too, or leave share out.\n',
    ],
    [['inspect'], "ptychopinn: Missing required argument 'FILE'.\n"],
    [
      ['simulate', '--output_file', 'x.npz', '--step_px', '3', '--n_patterns', '9'],
      'ptychopinn: step_px and n_patterns both say how dense the scan is; give one of them.\n',
    ],
  ])('%j', async (words, sentence) => {
    expect(await cli(...words)).toEqual({ code: 2, out: '', err: sentence });
  });

  it('a missing configuration file is named', async () => {
    const { code, err } = await cli('train', '--config', 'absent.yaml');
    expect(code).toBe(1);
    expect(err).toBe('ptychopinn: There is no configuration file absent.yaml.\n');
  });
});

describe('the scan needs no flag', () => {
  it.each([
    ['train', 'train_data_file', []],
    ['infer', 'test_data_file', ['--model_path', 'run']],
    ['solve', 'test_data_file', []],
    ['evaluate', 'test_data_file', ['--reconstruction', 'r.npz']],
    ['compare', 'test_data_file', ['--arm', 'r.npz', '--output_dir', 'out']],
  ] as const)('of %s', async (name, field, others) => {
    const shown = async (...words: string[]) => {
      const { code, out, err } = await cli('config', 'show', name, ...words, ...others, '--json');
      expect([code, err]).toEqual([0, '']);
      return JSON.parse(out) as { config: Record<string, unknown>; provenance: Record<string, unknown> };
    };
    const { config, provenance } = await shown('scan.npz');
    expect(config[field]).toBe('scan.npz');
    expect(provenance[field]).toEqual({ value: 'scan.npz', source: 'flag' });
    // The same scan twice is one scan, and a switch before it is no flag with a value.
    expect((await shown('scan.npz', `--${field}`, './scan.npz')).config[field]).toBe('scan.npz');
    const switched = await shown(name === 'train' ? '--overwrite' : '--auto_mask', 'scan.npz');
    expect(switched.config[field]).toBe('scan.npz');
    expect(switched.provenance[name === 'train' ? 'overwrite' : 'auto_mask']).toMatchObject({ value: true });
    const scans = name === 'train' || name === 'solve' ? '[SCANS...]' : '[SCAN]';
    expect((await cli(name, '--help')).out).toContain(`Usage: ptychopinn ${name} [options] ${scans}`);
  });
});

describe('help and wrong flags', () => {
  const importsOf = (...files: string[]) => {
    const loaded = new Set<string>();
    const packages = new Set<string>();
    const visit = (file: string) => {
      if (loaded.has(file)) return;
      loaded.add(file);
      for (const statement of ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022)
        .statements) {
        if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue;
        const from = statement.moduleSpecifier;
        const types = ts.isImportDeclaration(statement) ? statement.importClause?.isTypeOnly : statement.isTypeOnly;
        if (!from || !ts.isStringLiteral(from) || types) continue;
        if (from.text.startsWith('.')) visit(posix.join(posix.dirname(file), from.text).replace(/\.js$/, '.ts'));
        else if (!from.text.startsWith('node:')) packages.add(from.text);
      }
    };
    files.forEach(visit);
    return { rooms: new Set([...loaded].map((file) => file.split('/')[1])), packages: [...packages].sort() };
  };

  it('load commands and configuration only: no engine, no reader, no verb', () => {
    const { rooms, packages } = importsOf(...readdirSync('src/cli/commands').map((name) => `src/cli/commands/${name}`));
    // Networks are described by what they are built of, which is small.
    expect(rooms).toEqual(new Set(['cli', 'config', 'core', 'graph', 'networks']));
    expect(packages).toEqual(['commander', 'yaml', 'zod']);
  });

  it('of the program as a whole load no configuration', () => {
    expect(importsOf('src/cli/main.ts')).toEqual({ rooms: new Set(['cli', 'core']), packages: ['commander'] });
  });
});
