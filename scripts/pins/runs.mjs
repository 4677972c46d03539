/**
 * The runs of scripts/pins.mjs, in order: `{ name, needs, copy, place, shared, files, commands }`. All work in one folder, where each run has
 * a folder of its name and finds those of the runs that it `needs`, and `fixtures` with everything unpacked. `copy` fills its folder
 * with that of another run first, `place` puts single files there, `files` texts; `shared` is a file of the shared data, without which the run is
 * left out. Of a command, `says` pins what it prints, `refused` expects it to fail and pins the reason, and `stopAt` interrupts it as
 * soon as that file is there.
 *
 * N is 16 or 32 wherever nothing needs 64, and engines have one thread: with more, sums may be added up in another order.
 */
const HOST = ['--accelerator', 'cpu', '--threads', '1', '--quiet'];
const SMALL = ['--n_filters_scale', '1', '--nepochs', '2', '--batch_size', '8', ...HOST];

/** A word list from a line; words hold no spaces. */
const words = (line) => line.trim().split(/\s+/);
const runs = (line, ...more) => ({ words: [...words(line), ...more] });
const says = (line) => ({ words: words(line), says: true });
const refused = (line) => ({ words: words(line), refused: true });

const simulate = (name, flags) => ({
  name: `scan-${name}`,
  commands: [runs(`simulate --quiet --output_file scan-${name}/scan.npz ${flags}`)],
});
const train = (name, scan, flags, more = {}) => ({
  name: `train-${name}`,
  needs: [`scan-${scan}`],
  commands: [runs(`train --train_data_file scan-${scan}/scan.npz --output_dir train-${name} ${flags}`, ...SMALL)],
  ...more,
});
const infer = (name, model, scan, flags) => ({
  name: `infer-${name}`,
  needs: [`train-${model}`, `scan-${scan}`],
  commands: [
    runs(
      `infer --model_path train-${model} --test_data scan-${scan}/scan.npz --output_dir infer-${name} ${flags}`,
      ...HOST,
    ),
  ],
});
const solve = (name, scan, flags) => ({
  name: `solve-${name}`,
  needs: [`scan-${scan}`],
  commands: [
    runs(`solve --test_data scan-${scan}/scan.npz --output_dir solve-${name} --save_every 2 ${flags}`, ...HOST),
  ],
});

const STUDY = `doses: [1e4]
gridsizes: [1, 2]
views:
  dense: {s_img: 1}
  sparse: {s_img: 0.6}
splits: [train, test]
neighbor_count: 5
simulation: {N: 32, object_side_px: 90, probe_diameter_px: 10, n_patterns: 90}
training: {nepochs: 1, batch_size: 8, n_filters_scale: 1}
pinn: {nll_weight: 0, mae_weight: 1}
comparison: {register_ptychi_only: true}
iterative: {source: solve, options: {algorithm: lsqml, epochs: 3}}
execution: {accelerator: cpu, threads: 1}
`;

const settings = (algorithm, more) => `[Reconstructor]
Algorithm = ${algorithm}

[PtychoPINNNode]
Accelerator = cpu
Threads = 1

${more}`;

export const RUNS = [
  simulate(
    'n16',
    '--N 16 --object_side_px 44 --step_px 3 --probe_diameter_px 6 --photons 1e5 --seed 1 --energy_eV 8000 --object_pixel_m 2e-8 --labels --visualize',
  ),
  simulate(
    'n16-again',
    '--N 16 --object_side_px 44 --step_px 3 --probe_diameter_px 6 --photons 1e5 --seed 2 --object_seed 1 --energy_eV 8000 --object_pixel_m 2e-8 --labels',
  ),
  simulate(
    'n32',
    '--preset lines --N 32 --object_side_px 90 --n_patterns 80 --probe_diameter_px 11 --photons 1e5 --seed 2 --labels --ground_truth --gridsize 2',
  ),
  simulate('n64', '--object siemens_star --object_side_px 96 --step_px 7.5 --photons 2e4 --seed 3'),
  simulate(
    'moved',
    '--preset position-errors --N 32 --object_side_px 80 --n_patterns 60 --probe_diameter_px 11 --seed 4',
  ),
  simulate('modes', '--preset multimode --N 32 --object_side_px 80 --n_patterns 60 --probe_diameter_px 11 --seed 5'),
  simulate('noisy', '--preset noisy-detector --N 32 --n_patterns 30 --seed 6'),
  simulate('leaves', '--preset deadleaves --N 32 --n_patterns 30 --seed 7'),
  simulate('plate', '--preset zone-plate --n_patterns 16 --seed 8'),
  simulate('several', '--preset experiments --N 32 --n_patterns 20 --seed 9'),
  simulate('weak', '--preset weak-phase --N 32 --n_patterns 20 --probe zernike --scan concentric --seed 10'),

  {
    name: 'data',
    needs: ['scan-n16', 'scan-n32', 'scan-noisy'],
    commands: [
      says('inspect scan-n16/scan.npz --json --map data/map.png'),
      says('inspect scan-noisy/scan.npz --json'),
      says('inspect fixtures/formats/nexus_master.h5 --json'),
      says('inspect fixtures/formats/diffraction.h5 --json'),
      runs('convert fixtures/formats/scan.cxi --quiet --output_file data/cxi.npz'),
      runs('convert fixtures/formats/diffraction.h5 --quiet --output_file data/ptychodus.npz --compress'),
      runs(
        'convert scan-n32/scan.npz --quiet --output_file data/changed.npz --crop_px 16 --n_subsample 40 --subsample_seed 3 --flip_x --swap_xy',
      ),
      runs('convert scan-noisy/scan.npz --quiet --output_file data/cleaned.npz --auto_mask --rebin 2'),
      runs('split scan-n32/scan.npz --quiet --output_dir data --fraction 0.6 --gap_px 4'),
      says('orient data/changed.npz --picture data/orient.png'),
      says(
        'overlap data/scan_train.npz data/scan_test.npz --gridsize 2 --simg 0.5 --ngroups 16 --output_dir data/overlap',
      ),
    ],
  },

  train('gs1', 'n16', ''),
  train('gs2', 'n32', '--gridsize 2 --neighbor_count 5 --val_fraction 0.2 --nll_weight 0.5 --mae_weight 0.5'),
  train(
    'more',
    'n16',
    '--init train-gs1 --optimizer adamw --weight_decay 0.01 --scheduler WarmupCosine --weight_averaging 0.9 --gradient_clip_val 1 --stage_1_epochs 1 --stage_2_epochs 1',
    { needs: ['train-gs1', 'scan-n16'] },
  ),
  train('probe', 'n16', '--probe_trainable --probe_big false --intensity_scale_trainable false --val_fraction 0'),
  train(
    'moved',
    'moved',
    '--gridsize 2 --position_trainable --position_start_epoch 0 --training_patch_weighting probe --test_data_file scan-n32/scan.npz --do_stitching --log_patch_stats --recon_log_every_n_epochs 1',
    { needs: ['scan-moved', 'scan-n32'] },
  ),
  train(
    'cbam',
    'n16',
    '--architecture cnn_cbam --optimizer sgd --amp_activation swish --gaussian_smoothing_sigma 0.5 --enable_oversampling --gridsize 2 --n_groups 100 --neighbor_pool_size 6 --object_big false',
  ),
  train(
    'real',
    'n16',
    '--cnn_output_mode real_imag --physics_forward_mode rectangular_scaled --rect_s1s2_init data --pad_object false --scheduler ReduceLROnPlateau --accum_steps 2',
  ),
  train('supervised', 'n16', '--model_type supervised'),
  train('baseline', 'n32', '--model_type supervised --architecture baseline'),
  train('several', 'several', '--realspace_weight 0.1 --tv_weight 1 --realspace_mae_weight 1'),
  train('tf', 'n16', '--backend tensorflow --engine wasm'),
  {
    name: 'train-resumed',
    needs: ['scan-n16'],
    commands: [
      {
        ...runs(
          'train --train_data_file scan-n16/scan.npz --output_dir train-resumed --n_filters_scale 1 --batch_size 4 --nepochs 6',
          ...HOST,
        ),
        stopAt: 'train-resumed/checkpoints/last.ckpt.zip',
      },
      runs('train --resume train-resumed', ...HOST),
    ],
  },
  {
    name: 'train-010',
    copy: 'fixtures/v0.1.0/run',
    commands: [
      runs(
        'train --resume train-010 --train_data_file fixtures/v0.1.0/scan.npz --init fixtures/v0.1.0/init.zip',
        ...HOST,
      ),
    ],
  },

  infer('gs1', 'gs1', 'n16-again', '--comparison_plot --log_patch_stats --debug_dump'),
  infer('gs2', 'gs2', 'n32', '--neighbor_count 5'),
  infer('moved', 'moved', 'moved', '--refine_positions 2 --position_step_limit_px 1'),
  infer(
    'published',
    'gs1',
    'n16-again',
    '--stitching barycentric --patch_weighting uniform --align_phases false --stitch_crop_px 8 --n_subsample 40 --subsample_seed 5',
  ),
  infer('refined', 'gs1', 'n16-again', '--refine lsqml:4'),
  infer('real', 'real', 'n16-again', ''),
  infer('cbam', 'cbam', 'n16-again', ''),
  infer('supervised', 'supervised', 'n16-again', ''),
  infer('tf', 'tf', 'n16-again', '--backend tensorflow --engine wasm'),
  infer('crossed', 'gs1', 'n16-again', '--backend tensorflow --engine wasm --batch_size 8'),

  solve('rpie', 'n32', '--epochs 6 --engine host --product_file solve-rpie/product.h5 --momentum 0.5'),
  solve('epie', 'n32', '--epochs 4 --engine program --algorithm epie --noise_model poisson'),
  solve('pie', 'n16', '--epochs 4 --engine host --algorithm pie --tv_weight 0.001 --probe_support 0.01'),
  solve('lsqml', 'moved', '--epochs 6 --engine host --algorithm lsqml --position_start 2'),
  solve('lsqml-program', 'moved', '--epochs 4 --engine program --algorithm lsqml --position_start 2'),
  solve('modes', 'modes', '--epochs 4 --engine host --algorithm lsqml --probe_modes 2'),
  solve('modes-program', 'modes', '--epochs 4 --engine program --algorithm rpie --probe_modes 2'),
  solve('dm', 'n32', '--epochs 6 --engine host --algorithm dm --probe_start 3'),
  solve('dm-program', 'n32', '--epochs 4 --engine program --algorithm dm'),
  solve('tf', 'n16', '--epochs 2 --engine program --algorithm rpie --backend tensorflow'),
  solve('bad-pixels', 'noisy', '--epochs 3 --engine host'),
  solve('odd-probe', 'n64', '--epochs 3 --engine host --probe auto --n_subsample 20 --subsample_seed 2'),
  {
    name: 'solve-longer',
    needs: ['solve-lsqml', 'scan-moved'],
    copy: 'solve-lsqml',
    commands: [runs('solve --resume solve-longer --test_data scan-moved/scan.npz --epochs 8', ...HOST)],
  },
  {
    name: 'solve-begun',
    needs: ['train-gs1', 'scan-n16-again'],
    commands: [
      runs(
        'solve --test_data scan-n16-again/scan.npz --init train-gs1 --epochs 2 --algorithm lsqml --engine host --output_dir solve-begun',
        ...HOST,
      ),
    ],
  },
  {
    name: 'solve-010',
    copy: 'fixtures/v0.1.0/solving',
    commands: [runs('solve --resume solve-010 --test_data fixtures/v0.1.0/scan.npz', ...HOST)],
  },

  {
    name: 'evaluate',
    needs: ['infer-gs1', 'solve-rpie', 'solve-moved', 'train-gs1', 'scan-n16-again', 'scan-n32'],
    commands: [
      says(
        'evaluate --reconstruction infer-gs1/reconstruction.npz --test_data scan-n16-again/scan.npz --output_dir evaluate/network',
      ),
      says(
        'evaluate --reconstruction solve-rpie/product.h5 --truth scan-n32/scan.npz --test_data scan-n32/scan.npz --phase_align_method mean --frc_sigma 1',
      ),
      runs(
        'evaluate --halves --model_path train-gs1 --test_data scan-n16-again/scan.npz --output_dir evaluate/halves',
        ...HOST,
      ),
    ],
  },
  {
    name: 'compare',
    needs: ['train-gs1', 'train-supervised', 'train-more', 'solve-begun', 'scan-n16-again'],
    commands: [
      runs(
        'compare --pinn_dir train-gs1 --baseline_dir train-supervised --model more=train-more --arm LSQML=solve-begun/reconstruction.npz --test_data scan-n16-again/scan.npz --output_dir compare/images --stitch_crop_size 8 --save_debug_images',
        ...HOST,
      ),
      runs(
        'compare --forward --pinn_dir train-gs1 --baseline_dir train-supervised --test_data scan-n16-again/scan.npz --output_dir compare/forward --n_test_groups 20',
        ...HOST,
      ),
    ],
  },
  {
    name: 'label',
    needs: ['infer-gs1', 'scan-n16-again'],
    commands: [
      runs(
        'label scan-n16-again/scan.npz --quiet --reconstruction infer-gs1/reconstruction.npz --output_file label/labelled.npz',
      ),
    ],
  },
  {
    name: 'product',
    needs: ['infer-gs1', 'scan-n16', 'scan-modes'],
    commands: [
      runs('product export infer-gs1 --quiet --output_file product/image.h5'),
      runs('product export infer-gs1 --quiet --output_file product/image.npz --name image'),
      runs('product export scan-n16/scan.npz --quiet --raw_data --output_file product/raw.h5'),
      runs('product export scan-modes/scan.npz --quiet --output_file product/modes.h5'),
      runs('product import product/raw.h5 --quiet --output_file product/raw.npz'),
      says('product info product/image.h5 --json'),
      says('product verify product/raw.h5 --json'),
    ],
  },
  {
    name: 'bundle',
    needs: ['train-gs2'],
    commands: [
      says('bundle info train-gs2 --json'),
      says('bundle verify train-gs2/wts.zip'),
      says('bundle verify fixtures/v0.1.0/trained/wts.zip'),
      runs('bundle extract train-gs2/wts.zip --output_dir bundle/members'),
      says('config legacy train --gridsize 2 --nphotons 1e5'),
    ],
  },
  ...['d_net_gs1_nf1.npz', 'd_net_gs2_nf1.npz'].map((file) => ({
    name: `import-${file.slice(6, 9)}`,
    shared: `golden/${file}`,
    needs: ['scan-n64'],
    commands: [
      runs(`bundle import shared/golden/${file} --probe scan-n64/scan.npz --output_dir import-${file.slice(6, 9)}`),
    ],
  })),

  {
    name: 'batch',
    place: {
      'in/diffraction.h5': 'fixtures/formats/diffraction.h5',
      'in/product-in.h5': 'fixtures/formats/product.h5',
    },
    files: {
      'network.ini': settings(
        'PtychoPINN/PINN',
        '[PtychoPINNModel]\nNumFiltersScale = 1\n\n[PtychoPINNTraining]\nNumEpochs = 1\nBatchSize = 4\n\n[PtychoPINNInference]\nModelPath = batch/model/wts.zip\n',
      ),
      'solver.ini': settings('PtychoPINN/LSQML', '[PtychoPINNSolver]\nNumEpochs = 3\nPositionStart = 2\n'),
    },
    commands: [
      runs('batch -b train -i batch/in -o batch/model -s batch/network.ini --log-level ERROR'),
      runs('batch -b reconstruct -i batch/in -o batch/network -s batch/network.ini --log-level ERROR'),
      runs('batch -b reconstruct -i batch/in -o batch/solver -s batch/solver.ini --log-level ERROR'),
    ],
  },
  {
    name: 'study',
    files: { 'study.yaml': STUDY },
    commands: [
      runs('study dose-overlap --config study/study.yaml --output_dir study/out --quiet'),
      runs('study dose-overlap --output_dir study/out --post-verify-only --quiet'),
    ],
  },
  {
    name: 'demo',
    commands: [runs('demo --output_dir demo --nepochs 1', ...HOST)],
  },
  {
    name: 'refusals',
    needs: ['scan-n16', 'scan-n32', 'train-gs1', 'solve-rpie'],
    commands: [
      refused('train --train_data_file nowhere.npz --output_dir refusals/none --quiet'),
      refused('train --train_data_file scan-n16/scan.npz --output_dir refusals/none --gridsize 9 --quiet'),
      refused('train --train_data_file scan-n16/scan.npz --output_dir train-gs1 --quiet'),
      refused('infer --model_path train-gs1 --test_data scan-n32/scan.npz --output_dir refusals/none --quiet'),
      refused('infer --model_path scan-n16/scan.npz --test_data scan-n32/scan.npz --output_dir refusals/none --quiet'),
      refused('train --resume train-gs1 --learning_rate 0.5 --quiet'),
      refused('solve --resume solve-rpie --test_data scan-n16/scan.npz --epochs 9 --quiet'),
      refused('inspect fixtures/formats/hostile.h5'),
      refused('bundle verify fixtures/lines64.npz'),
    ],
  },
];
