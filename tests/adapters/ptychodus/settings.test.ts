/** Settings as Ptychodus keeps them: names, defaults, bounds, INI text, and what they come to here. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  engineFromSettings,
  imageFromSettings,
  settingsFromModel,
  solverFromSettings,
  trainingFromSettings,
} from '../../../src/adapters/ptychodus/settings/configs.js';
import { parseIni } from '../../../src/adapters/ptychodus/settings/ini.js';
import { pythonFloat, SettingsRegistry } from '../../../src/adapters/ptychodus/settings/parameters.js';
import { chosenPath, PtychoPinnSettings } from '../../../src/adapters/ptychodus/settings/settings.js';
import { trainingDefinition } from '../../../src/config/commands.js';
import { completeConfig } from '../../../src/config/resolve.js';
import { SOLVER_ALGORITHMS, solverOptionsSchema } from '../../../src/config/schemas/solver.js';
import { describePython, findPython } from '../../support/python.js';

const read = (ini: string) => {
  const settings = new PtychoPinnSettings();
  return { settings, notes: settings.registry.fromIni(ini).notes };
};

describe('settings', () => {
  it('have the names, defaults and bounds of the host', () => {
    const { model, training, inference, reconstructor, registry } = new PtychoPinnSettings();
    const texts = registry.toTexts();
    expect(texts.PtychoPINNModel).toEqual({
      GridSize: '1',
      NumFiltersScale: '2',
      AmpActivation: 'sigmoid',
      ObjectBig: 'True',
      ProbeBig: 'True',
      ProbeMask: 'False',
      PadObject: 'True',
      ProbeScale: '4.0',
      GaussianSmoothingSigma: '0.0',
    });
    expect(texts.PtychoPINNTraining).toMatchObject({
      NumPhotons: '1000000.0',
      BatchSize: '16',
      NumEpochs: '50',
      MAEWeight: '0.0',
      NLLWeight: '1.0',
      RealspaceMAEWeight: '0.0',
      RealspaceWeight: '0.0',
      PositionsProvided: 'True',
      ProbeTrainable: 'False',
      IntensityScaleTrainable: 'True',
    });
    expect(texts.PtychoPINNInference).toEqual({
      ModelPath: '/path/to/model.zip',
      NumNearestNeighbors: '7',
      NumSamples: '1',
    });
    expect(model.gridSize.bounds).toEqual({ minimum: 1, maximum: 5 });
    expect(training.batchSize.bounds).toEqual({ minimum: 1, maximum: 2 ** 30 });
    expect(reconstructor.algorithm.value).toBe('PtychoPINN/PINN');
    // What the host shows where nobody has chosen is no path.
    expect([training.dataDir, training.outputDir, inference.modelPath].map(chosenPath)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(registry.describe().PtychoPINNModel.GridSize).toEqual({
      kind: 'integer',
      value: 1,
      default: 1,
      minimum: 1,
      maximum: 5,
    });
  });

  it('survive writing and reading, with the sections of others', () => {
    const { settings } = read(
      '[PtyChi]\nBatchSize = 100\nNote = a;b # c\n[PtychoPINNModel]\nGridSize = 2\nProbeMask = yes\n[PtychoPINNTraining]\nNumPhotons = 3.5e8\nOutputDir = /data/run 7; best\n',
    );
    const again = read(settings.registry.toIni());
    expect(again.notes).toEqual([]);
    expect(again.settings.registry.toTexts()).toEqual(settings.registry.toTexts());
    expect(again.settings.training.outputDir.value).toBe('/data/run 7; best');
    expect(again.settings.training.numPhotons.value).toBe(3.5e8);
    expect(again.settings.registry.toIni()).toBe(settings.registry.toIni());
    expect(parseIni(settings.registry.toIni(), 'x').get('PtyChi')).toEqual(
      new Map([
        ['BatchSize', '100'],
        ['Note', 'a;b # c'],
      ]),
    );
  });

  it('clamp on reading, and tell it', () => {
    const { settings, notes } = read(
      '[PtychoPINNModel]\nGridSize = 9\nNumFiltersScale = -3\nGaussianSmoothingSigma = -0.5\n[PtychoPINNTraining]\nNLLWeight = inf\nBatchSize = 4_000_000_000\n[PtychoPINNInference]\nNumSamples = 0\n',
    );
    expect(settings.model.gridSize.value).toBe(5);
    expect(settings.model.numFiltersScale.value).toBe(1);
    expect(settings.model.gaussianSmoothingSigma.value).toBe(0);
    expect(settings.training.nllWeight.value).toBe(1);
    expect(settings.training.batchSize.value).toBe(2 ** 30);
    expect(settings.inference.numSamples.value).toBe(1);
    expect(notes).toEqual([
      'PtychoPINNModel/GridSize = 9 is above 5, so 5 is used.',
      'PtychoPINNModel/NumFiltersScale = -3 is below 1, so 1 is used.',
      'PtychoPINNModel/GaussianSmoothingSigma = -0.5 is below 0, so 0 is used.',
      'PtychoPINNTraining/BatchSize = 4000000000 is above 1073741824, so 1073741824 is used.',
      'PtychoPINNTraining/NLLWeight = Infinity is above 1, so 1 is used.',
      'PtychoPINNInference/NumSamples = 0 is below 1, so 1 is used.',
    ]);
  });

  it('read booleans as the host does: any word but 1, true, t, yes, y is false', () => {
    const value = (text: string) => read(`[PtychoPINNModel]\nObjectBig = ${text}\n`).settings.model.objectBig.value;
    expect(['1', 'true', 'TRUE', 't', 'Yes', 'y'].map(value)).toEqual(Array(6).fill(true));
    expect(['0', 'false', 'on', 'no', '', 'wahr'].map(value)).toEqual(Array(6).fill(false));
  });

  it('find keys whatever their case, in older spellings, and name what they do not know', () => {
    const { settings, notes } = read(
      '[PtychoPINNModel]\ngridsize = 2\nn_filters_scale = 3\nSpline = 4\n[PtychoPINNTraining]\nNUMEPOCHS = 12\n',
    );
    expect(settings.model.gridSize.value).toBe(2);
    expect(settings.model.numFiltersScale.value).toBe(3);
    expect(settings.training.numEpochs.value).toBe(12);
    expect(notes).toEqual([
      'PtychoPINNModel/n_filters_scale is read as PtychoPINNModel/NumFiltersScale.',
      'Left out: [PtychoPINNModel] has no Spline here.',
    ]);
  });

  it("take the host's PyTorch groups where a file has no others", () => {
    const torch = '[PtychoPINNTorchData]\ngrid_size_x = 2\nK = 6\n[PtychoPINNTorchTraining]\nepochs = 9\n';
    expect(read(torch).settings.training.numEpochs.value).toBe(9);
    expect(read(torch).settings.model.gridSize.value).toBe(2);
    expect(read(torch).settings.inference.numNearestNeighbors.value).toBe(6);
    const both = read(`${torch}[PtychoPINNModel]\nGridSize = 3\n[PtychoPINNTraining]\nBatchSize = 8\n`);
    expect(both.settings.model.gridSize.value).toBe(3);
    expect(both.settings.training.numEpochs.value).toBe(50);
  });

  it.each([
    ['GridSize = 2', 'line 1: "GridSize = 2" stands before the first [section]'],
    ['[A]\nword', 'line 2: "word" is neither [section] nor "key = value"'],
    ['[A]\nx = 1\nX = 2', 'line 3: "X" is there twice'],
    ['[A]\n[A]', 'line 2: the section [A] is there twice'],
    ['[PtychoPINNModel]\nGridSize = two', 'PtychoPINNModel/GridSize must be a whole number'],
    ['[PtychoPINNModel]\nGridSize = 2.0', 'PtychoPINNModel/GridSize must be a whole number'],
    ['[PtychoPINNModel]\nProbeScale = nan', 'PtychoPINNModel/ProbeScale must be a number'],
  ])('refuse %j', (ini, sentence) => {
    expect(() => read(ini)).toThrow(sentence);
  });

  it('tell observers of changes, and only of changes', () => {
    const settings = new PtychoPinnSettings();
    const heard: string[] = [];
    const stop = settings.registry.observe(({ group, name, value }) => heard.push(`${group}/${name} ${value}`));
    settings.model.gridSize.set(2);
    settings.model.gridSize.set(2);
    settings.registry.fromTexts({ PtychoPINNTraining: { NumEpochs: '3', BatchSize: '16' } });
    stop();
    settings.model.gridSize.set(3);
    expect(heard).toEqual(['PtychoPINNModel/GridSize 2', 'PtychoPINNTraining/NumEpochs 3']);
  });

  it('refuse a group or parameter that is there', () => {
    const registry = new SettingsRegistry();
    registry.createGroup('A').createString('x', '');
    expect(() => registry.createGroup('A')).toThrow('already have a group A');
    expect(() => registry.group('A')?.createString('x', '')).toThrow('already have a parameter A/x');
  });
});

describe('what settings come to', () => {
  it('is the training configuration', () => {
    const { settings } = read(
      '[PtychoPINNModel]\nGridSize = 2\nAmpActivation = silu\nProbeMask = True\n[PtychoPINNTraining]\nNumEpochs = 3\nMAEWeight = 0.5\nNLLWeight = 0.5\nNumPhotons = 5e4\n[PtychoPINNNode]\nThreads = 2\nAccelerator = cpu\nSeed = 4\n',
    );
    const { config, notes } = trainingFromSettings(settings, 'pinn');
    expect(notes).toEqual([]);
    const complete = completeConfig(trainingDefinition, config);
    expect(complete).toMatchObject({
      model: { gridsize: 2, model_type: 'pinn', amp_activation: 'swish', probe_mask: true, n_filters_scale: 2 },
      nepochs: 3,
      batch_size: 16,
      mae_weight: 0.5,
      nll_weight: 0.5,
      nphotons: 5e4,
      n_groups: 'all',
      neighbor_count: 7,
      seed: 4,
      backend: 'onnx',
      execution: { accelerator: 'cpu', threads: 2 },
    });
    expect(engineFromSettings(settings, 'tensorflow').backend).toBe('tensorflow');
  });

  it('says what has another range or no effect here', () => {
    const { settings } = read(
      '[PtychoPINNModel]\nGridSize = 3\nProbeScale = 0\n[PtychoPINNTraining]\nBatchSize = 20\nPositionsProvided = False\nRealspaceWeight = 0.1\n',
    );
    const { config, notes } = trainingFromSettings(settings, 'pinn');
    expect(completeConfig(trainingDefinition, config)).toMatchObject({
      batch_size: 16,
      neighbor_count: 9,
      realspace_weight: 0,
    });
    expect(notes.map((note) => note.split(' ')[0])).toEqual([
      'PtychoPINNInference/NumNearestNeighbors',
      'PtychoPINNTraining/PositionsProvided',
      'PtychoPINNModel/ProbeScale',
      'PtychoPINNTraining/BatchSize',
      'PtychoPINNTraining/RealspaceWeight',
    ]);
  });

  it('leaves the physics out of supervised training', () => {
    const { settings } = read('[PtychoPINNTraining]\nMAEWeight = 1\nProbeTrainable = True\n');
    const { config, notes } = trainingFromSettings(settings, 'supervised');
    expect(completeConfig(trainingDefinition, config)).toMatchObject({ mae_weight: 0, probe_trainable: false });
    expect(notes).toHaveLength(2);
  });

  it('is the choice of groups of a reconstruction', () => {
    const { settings } = read('[PtychoPINNInference]\nNumSamples = 3\nNumNearestNeighbors = 0\n');
    expect(imageFromSettings(settings, 100, 2).config).toMatchObject({
      n_groups: 300,
      enable_oversampling: true,
      neighbor_count: 4,
    });
    const single = imageFromSettings(settings, 100, 1);
    expect(single.config).toMatchObject({ n_groups: null, neighbor_count: 1 });
    expect(single.notes.join()).toContain('NumSamples = 3 has no effect here');
  });

  it('is every option of a solver, with its defaults', () => {
    const { settings } = read('');
    for (const algorithm of SOLVER_ALGORITHMS) {
      expect(solverFromSettings(settings, algorithm)).toEqual({
        config: solverOptionsSchema.parse({ algorithm }),
        notes: [],
      });
    }
  });

  it('is the options of a solver, where 0 stands for what is left to the algorithm', () => {
    const { settings, notes: clamped } = read(
      '[PtychoPINNSolver]\nNumEpochs = 7\nBatchSize = 12\nObjectRegularisation = 0\nProbeStop = 5\nOrthogonaliseStride = 0\nNoiseModel = Poisson\nPositionStart = 3\nPositionLimitInPixels = 0\nProbeSupport = 1\nMomentum = 0.4\nRescaleProbe = no\nTVWeight = -1\n[PtychoPINNNode]\nSeed = 9\n',
    );
    expect(clamped).toEqual([
      'PtychoPINNSolver/ProbeSupport = 1 is above 0.999, so 0.999 is used.',
      'PtychoPINNSolver/TVWeight = -1 is below 0, so 0 is used.',
      'PtychoPINNSolver/PositionLimitInPixels = 0 is below 0.001, so 0.001 is used.',
    ]);
    const { config, notes } = solverFromSettings(settings, 'lsqml');
    expect(config).toMatchObject({
      algorithm: 'lsqml',
      epochs: 7,
      batch_size: 12,
      object_regularisation: 0,
      probe_regularisation: null,
      object_step: null,
      probe_stop: 5,
      orthogonalise_stride: null,
      noise_model: 'poisson',
      position_start: 3,
      position_limit_px: 0.001,
      probe_support: 0.999,
      rescale_probe: false,
      seed: 9,
    });
    // What the settings hold, the solver takes.
    expect(solverOptionsSchema.parse(config)).toEqual(config);
    expect(notes).toEqual(['PtychoPINNSolver/Momentum = 0.4 has no effect here: lsqml does not have it.']);
    expect(solverFromSettings(settings, 'dm').notes.map((note) => note.split(' ')[0])).toEqual([
      'PtychoPINNSolver/Momentum',
      'PtychoPINNSolver/NoiseModel',
    ]);
    settings.solver.passes.set('abacus');
    expect(() => solverFromSettings(settings, 'pie')).toThrow(
      'The setting PtychoPINNSolver/Engine must be one of auto, host, program, got "abacus"; correct it.',
    );
  });

  it('follows a model', () => {
    const { settings } = read('[PtychoPINNModel]\nGridSize = 3\n');
    const { model } = completeConfig(trainingDefinition, { model: { N: 64, gridsize: 2, n_filters_scale: 1 } });
    const config = { ...model, N: 64 as const };
    expect(settingsFromModel(settings, config)).toEqual([
      'Settings follow the model: GridSize 3 → 2, NumFiltersScale 2 → 1.',
    ]);
    expect(settingsFromModel(settings, config)).toEqual([]);
  });
});

describe('floats as text', () => {
  it.each([
    [0, '0.0'],
    [1, '1.0'],
    [-2.5, '-2.5'],
    [1e6, '1000000.0'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [1.5e-7, '1.5e-07'],
    [123456789012345680, '1.2345678901234568e+17'],
    [1e16, '1e+16'],
    [9007199254740991, '9007199254740991.0'],
    [0.1 + 0.2, '0.30000000000000004'],
  ])('%d is %s', (value, text) => {
    expect(pythonFloat(value)).toBe(text);
  });
});

describePython('Python', ['configparser'], () => {
  it('reads our files as we do, and writes them as we do', () => {
    const { settings } = read(
      '[PtychoPINNTraining]\nOutputDir = /data/50% #1; x = y\nNumPhotons = 2.5e-7\n[Other]\nLines = one\n  two\n\n  three: 3\nEmpty =\n',
    );
    const ini = settings.registry.toIni();
    const script = `
import configparser, json, sys, io
c = configparser.ConfigParser(interpolation=None)
c.optionxform = str
c.read_string(sys.stdin.read())
out = io.StringIO(); c.write(out)
print(json.dumps([{s: dict(c[s]) for s in c.sections()}, out.getvalue(), repr(2.5e-7)]))`;
    const python = findPython(['configparser']) as string;
    const [sections, written, real] = JSON.parse(
      execFileSync(python, ['-c', script], { input: ini, encoding: 'utf8' }),
    ) as [Record<string, Record<string, string>>, string, string];
    expect(written).toBe(ini);
    expect(sections.PtychoPINNTraining.OutputDir).toBe('/data/50% #1; x = y');
    expect(sections.PtychoPINNTraining.NumPhotons).toBe(real);
    const ours = Object.fromEntries([...parseIni(ini, 'x')].map(([k, v]) => [k, Object.fromEntries(v)]));
    expect(ours).toEqual(sections);
  });
});
