/** Names of reconstructors and the log of a library. */
import { describe, expect, it } from 'vitest';
import { PtychoPinnReconstructorLibrary, reconstructorLibraries } from '../../../src/adapters/ptychodus/library.js';
import { LibraryLog, parseLogLevel } from '../../../src/adapters/ptychodus/logger.js';
import { requireTrainable } from '../../../src/adapters/ptychodus/types.js';

describe('libraries', () => {
  it('have the names of the host', () => {
    const { entries, settings, libraries } = reconstructorLibraries();
    expect(entries.map((e) => e.displayName)).toEqual([
      'PtychoPINN/PINN',
      'PtychoPINN/Supervised',
      'PtychoPINN/rPIE',
      'PtychoPINN/ePIE',
      'PtychoPINN/PIE',
      'PtychoPINN/LSQML',
      'PtychoPINN/DM',
      'PtychoPINN/ML',
      'PtychoPINN-tf/PINN',
      'PtychoPINN-tf/Supervised',
      'PtychoPINN-onnx/PINN',
      'PtychoPINN-onnx/Supervised',
    ]);
    expect([entries[2], entries[8]].map((e) => e.simpleName)).toEqual(['PtychoPINN_rPIE', 'PtychoPINN-tf_PINN']);
    expect(libraries.every((library) => library.settings === settings)).toBe(true);
  });

  it('are searched by either name, whatever the case', () => {
    const found = reconstructorLibraries();
    const pinn = found.find('PtychoPINN/PINN');
    expect(found.find('ptychopinn_pinn')).toBe(pinn);
    expect(found.find(' PTYCHOPINN/pinn ')).toBe(pinn);
    expect(found.entry('ptychopinn-TF_supervised').library.name).toBe('PtychoPINN-tf');
    expect(() => found.find('pty-chi/LSQML')).toThrow(
      'There is no reconstructor "pty-chi/LSQML" here; the setting Reconstructor/Algorithm must be one of PtychoPINN/PINN,',
    );
  });

  it('iterate over what a host shows', () => {
    const library = new PtychoPinnReconstructorLibrary({ backend: 'onnx' });
    expect(library.name).toBe('PtychoPINN-onnx');
    expect([...library].map((r) => r.name)).toEqual(['PINN', 'Supervised']);
    for (const r of library.networks) {
      expect(r.isTrainable).toBe(true);
      expect(r.isModelLoaded()).toBe(false);
      expect(r.modelFileFilter).toBe('Zipped Archive (*.zip)');
      expect(r.modelFileExtension).toBe('.zip');
      expect(r.trainingDataFileFilter).toBe('NumPy Zipped Archive (*.npz)');
      expect(r.progressGoal()).toBe(100);
    }
    library.settings.parameter('PtychoPINNTraining', 'DataDir')?.set('/data');
    expect(library.networks.map((r) => r.trainingDataPath())).toEqual(['/data', '/data']);
  });

  it('have solvers, which need no model and follow the host to the same end', () => {
    const found = reconstructorLibraries();
    const solver = found.find('ptychopinn_lsqml');
    expect(solver).toBe(found.find('PtychoPINN/LSQML'));
    expect([solver.name, solver.isTrainable, solver.progressGoal()]).toEqual(['LSQML', false, 100]);
    expect(() => requireTrainable(solver, 'open one')).toThrow('LSQML computes without a model and cannot open one');
    const pinn = found.find('PtychoPINN/PINN');
    expect(requireTrainable(pinn, 'open one')).toBe(pinn);
  });

  it('share settings that a host brings', () => {
    const first = new PtychoPinnReconstructorLibrary();
    const second = new PtychoPinnReconstructorLibrary({ settings: first.settings, backend: 'tensorflow' });
    expect(second.settings).toBe(first.settings);
  });
});

describe('the log of a library', () => {
  it('has levels of its own', () => {
    const forwarded: string[] = [];
    const [log, other] = [
      new LibraryLog({ info: (m) => forwarded.push(m), warn: (m) => forwarded.push(`! ${m}`) }),
      new LibraryLog(),
    ];
    const heard: string[] = [];
    const stop = log.onRecord(({ level, message }) => heard.push(`${level} ${message}`));
    log.debug('a');
    log.info('b');
    log.setLevel('WARNING');
    log.info('c');
    log.warn('d');
    log.error('e');
    other.warn('of another library');
    stop();
    log.warn('f');
    expect(heard).toEqual(['INFO b', 'WARNING d', 'ERROR e']);
    expect(forwarded).toEqual(['b', '! d', '! e', '! f']);
    expect([log.level, other.level]).toEqual(['WARNING', 'INFO']);
  });

  it.each([
    ['debug', 'DEBUG'],
    ['CRITICAL', 'CRITICAL'],
    ['10', 'DEBUG'],
    ['30', 'WARNING'],
    ['25', 'WARNING'],
    ['0', 'DEBUG'],
    ['99', 'CRITICAL'],
  ])('knows the level %s', (text, level) => {
    expect(parseLogLevel(text)).toBe(level);
  });

  it.each(['loud', '', '-3'])('refuses the level %j', (text) => {
    expect(() => parseLogLevel(text)).toThrow('A log level must be one of CRITICAL, ERROR, WARNING, INFO, DEBUG');
  });
});
