/**
 * Every configuration as an interface, complete as the schemas give it. Generated from the schemas by `npm run docs:configuration`;
 * do not change it here.
 */

/** The network: the fields of the block `model`, N settled. */
export interface ModelConfig {
  /** Side of the square diffraction patterns and of the patches; taken from the data file. Unit: px. */
  readonly N: number;
  /** A group is gridsize × gridsize neighbouring patterns, the channels of the network. Default: 1. */
  readonly gridsize: number;
  /** How the network learns: pinn from the physics of diffraction, without labels; supervised from known patches. Default: "pinn". */
  readonly model_type: 'pinn' | 'supervised';
  /** Generator network: cnn is the published encoder with two decoders, cnn_cbam is the variant with attention, baseline is the single-channel network that is trained with labels only, hybrid_resnet is an encoder of spectral and convolution branches with a residual bottleneck, hybrid_resnet_convnext_bottleneck is hybrid_resnet with ConvNeXt blocks in its bottleneck, hybrid_resnet_ffno_bottleneck is hybrid_resnet with a stack of ffno as bottleneck, hybrid_resnet_ffno_ptychoblock_encoder is hybrid_resnet with two encoder blocks and a stack of ffno before them, hybrid_resnet_ptychoblock_ffno_encoder is the same with the stack behind them, spectral_resnet_bottleneck_net is hybrid_resnet with spectral layers in its residual blocks, spectral_resnet_bottleneck_linear_decoder is the same with a decoder that interpolates, hybrid is a U-shaped network of spectral blocks, stable_hybrid is the same with normalised blocks that add little at first, fno_vanilla is a stack of spectral blocks at full size, fno is the same stack with convolutions behind it, ffno is a stack of blocks that are spectral along rows and columns apart and neuralop_uno is a stack of spectral layers at full and half size with skips across. Default: "cnn". */
  readonly architecture:
    | 'cnn'
    | 'cnn_cbam'
    | 'baseline'
    | 'hybrid_resnet'
    | 'hybrid_resnet_convnext_bottleneck'
    | 'hybrid_resnet_ffno_bottleneck'
    | 'hybrid_resnet_ffno_ptychoblock_encoder'
    | 'hybrid_resnet_ptychoblock_ffno_encoder'
    | 'spectral_resnet_bottleneck_net'
    | 'spectral_resnet_bottleneck_linear_decoder'
    | 'hybrid'
    | 'stable_hybrid'
    | 'fno_vanilla'
    | 'fno'
    | 'ffno'
    | 'neuralop_uno';
  /** Multiplies the width of every convolution of cnn, cnn_cbam and baseline. Default: 1. */
  readonly n_filters_scale: number;
  /** Activation of the amplitude head of cnn and cnn_cbam; sigmoid keeps the amplitude positive and bounded. Default: "sigmoid". */
  readonly amp_activation: 'sigmoid' | 'swish' | 'softplus' | 'relu';
  /** Add the low-resolution head that fills the outer N/4 border of the patch. Default: true. */
  readonly probe_big: boolean;
  /** Predict the central N/2 square and pad it; false: a full N × N head. Default: true. */
  readonly pad_object: boolean;
  /** What cnn and cnn_cbam output: amplitude and phase, or real and imaginary parts. Default: "amp_phase". */
  readonly cnn_output_mode: 'amp_phase' | 'real_imag';
  /** Activation of the border branch: the head's own, or the published swish, which is unbounded. Default: "same". */
  readonly border_activation: 'same' | 'swish';
  /** Attention blocks in the encoder; only cnn_cbam has them. Default: true. */
  readonly cbam_encoder: boolean;
  /** In place of these, gates for every channel from the means of its neighbours (with cbam_encoder false). Default: false. */
  readonly eca_encoder: boolean;
  /** An attention block behind the encoder of cnn_cbam. Default: false. */
  readonly cbam_bottleneck: boolean;
  /** Attention blocks behind the blocks of the decoders of cnn_cbam. Default: false. */
  readonly cbam_decoder: boolean;
  /** In place of these, gates for every channel from the means of its neighbours; it wins over the other two. Default: false. */
  readonly eca_decoder: boolean;
  /** In place of these, gates for every pixel from the largest and the mean value of its channels; it wins over cbam_decoder. Default: false. */
  readonly spatial_decoder: boolean;
  /** Side of the convolution of spatial_decoder, an odd number. Unit: px. Default: 7. */
  readonly decoder_spatial_kernel: number;
  /** Normalise over the batch behind the convolutions of the encoder of cnn_cbam and of the decoder of phases (or imaginary parts, or of both in a shared decoder). Default: false. */
  readonly batch_norm: boolean;
  /** One decoder for amplitude and phase (or real and imaginary part) in cnn_cbam, with a refining block behind each of its blocks. Default: false. */
  readonly use_shared_decoder: boolean;
  /** Feed the border branch of cnn_cbam by a share of the channels of the decoder, decoder_last_c_outer_fraction, and not by as many as it paints. Default: false. */
  readonly use_legacy_decoder_channel_override: boolean;
  /** That share; more than a half is a half, and no less than one channel. Default: 0.125. */
  readonly decoder_last_c_outer_fraction: number;
  /** What networks with spectral layers output: real and imaginary parts without bounds, or amplitude (sigmoid) and phase (π·tanh), from two heads or (logits) from the two halves of one. Default: "real_imag". */
  readonly generator_output_mode: 'real_imag' | 'amp_phase' | 'amp_phase_logits';
  /** Waves that a spectral layer keeps along each axis, the lowest ones; no more than an image of its size has. Default: 12. */
  readonly fno_modes: number;
  /** Channels of a network with spectral layers, where images have their full size. Default: 32. */
  readonly fno_width: number;
  /** Spectral blocks. Default: 4. */
  readonly fno_blocks: number;
  /** What a network with spectral layers does to its input first: the root or log(1 + x) of what is not negative, or every pattern to mean 0 and variance 1. Default: "none". */
  readonly fno_input_transform: 'none' | 'sqrt' | 'log1p' | 'instancenorm';
  /** Most channels that halving an image leads to; null: they double every time. */
  readonly max_hidden_channels: number | null;
  /** Channels of the bottleneck, a multiple of 4; null: as many as the encoder ends with. */
  readonly resnet_width: number | null;
  /** Join the images before each halving to those of the same size in the decoder. Default: false. */
  readonly hybrid_skip_connections: boolean;
  /** How skipped images are joined to those of the decoder: added after a 1 × 1 convolution, side by side before one, or added times a learned factor that begins at 0.1. Default: "add". */
  readonly hybrid_skip_style: 'add' | 'concat' | 'gated_add';
  /** How often the encoder halves its images, 1 or 2. Default: 2. */
  readonly hybrid_downsample_steps: number;
  /** How the encoder halves its images: by a 2 × 2 convolution of stride 2, or by averages or a blur and a 1 × 1 convolution. Default: "stride_conv". */
  readonly hybrid_downsample_op: 'stride_conv' | 'avgpool_conv' | 'blurpool_conv';
  /** Channels of the convolution branch of an encoder block per channel of the block; 1 leaves out its 1 × 1 convolutions. Default: 2. */
  readonly hybrid_encoder_conv_hidden_scale: number;
  /** Channels of the spectral branch of an encoder block per channel of the block; 1 leaves out its 1 × 1 convolutions. Default: 1. */
  readonly hybrid_encoder_spectral_hidden_scale: number;
  /** Channels of the convolution branch of every block, whatever its size; null: hybrid_encoder_conv_hidden_scale decides. */
  readonly hybrid_encoder_conv_hidden_channels: number | null;
  /** Channels of the spectral branch of every block, whatever its size; null: hybrid_encoder_spectral_hidden_scale decides. */
  readonly hybrid_encoder_spectral_hidden_channels: number | null;
  /** Branches of an encoder block. Default: "both". */
  readonly hybrid_encoder_branch_select: 'both' | 'conv_only' | 'spectral_only';
  /** What an encoder block learns besides its branches: nothing, a factor of what it adds (layerscale), a factor of each branch (branch_gated), or all three. Default: "baseline". */
  readonly hybrid_encoder_fusion_mode: 'baseline' | 'layerscale' | 'branch_gated' | 'branch_gated_layerscale';
  /** First value of the factor of what an encoder block adds. Default: 0.1. */
  readonly hybrid_encoder_layerscale_init: number;
  /** First value of the factors of the branches of an encoder block. Default: 0.1. */
  readonly hybrid_encoder_branch_gate_init: number;
  /** Residual blocks of the bottleneck. Default: 6. */
  readonly hybrid_resnet_blocks: number;
  /** Whether the factor of all residual blocks is learned, beginning at 0.1, or stays at hybrid_resnet_bottleneck_layerscale_value. Default: "learned". */
  readonly hybrid_resnet_bottleneck_layerscale_mode: 'learned' | 'fixed';
  /** The factor of all residual blocks where it is fixed. */
  readonly hybrid_resnet_bottleneck_layerscale_value: number | null;
  /** Blocks of a bottleneck with spectral layers. Default: 6. */
  readonly spectral_bottleneck_blocks: number;
  /** Waves that the spectral layers of a bottleneck keep. Default: 12. */
  readonly spectral_bottleneck_modes: number;
  /** Whether the blocks of such a bottleneck share one spectral layer (in hybrid_resnet_ffno_bottleneck also its factor). Default: true. */
  readonly spectral_bottleneck_share_weights: boolean;
  /** First value of the factor of the spectral layers there. Default: 0.1. */
  readonly spectral_bottleneck_gate_init: number;
  /** Whether the blocks of ffno, or of a stack like it, share their spectral weights and the factor of what they add. Default: true. */
  readonly ffno_encoder_share_weights: boolean;
  /** First value of the factor of what such a block adds. Default: 0.1. */
  readonly ffno_encoder_gate_init: number;
  /** Normalisation in such blocks. Default: "instance". */
  readonly ffno_encoder_norm: 'instance' | 'none';
  /** How many times wider such blocks are between their two 1 × 1 convolutions. Default: 2. */
  readonly ffno_encoder_mlp_ratio: number;
  /** Blocks of the stack beside the encoder of hybrid_resnet_ffno_ptychoblock_encoder and hybrid_resnet_ptychoblock_ffno_encoder. Default: 24. */
  readonly ffno_encoder_blocks: number;
  /** Waves that the spectral layers of this stack keep. Default: 12. */
  readonly ffno_encoder_modes: number;
  /** Whether the residual blocks share the factor of their spectral layers or have one each. Default: "shared". */
  readonly spectral_bottleneck_gate_mode: 'shared' | 'per_block';
  /** Blocks of 3 × 3 convolutions after the spectral ones of fno and ffno; the published ffno has none. Default: 2. */
  readonly fno_cnn_blocks: number;
  /** What becomes in neuralop_uno, where an image changes its size, of waves whose rows run the other way: kept as they are, or (published) lost at half the size and taken for other waves at twice the size, as the published network does; its weights need the latter. Default: "kept". */
  readonly uno_resized_waves: 'kept' | 'published';
  /** Predict one patch per member of a group and merge them on a canvas; false: one patch for the whole group. Default: true. */
  readonly object_big: boolean;
  /** How the patches of a group are merged on its canvas: each counts in its central N/2 square, according to the light of its probe (|P|²), or in that square with exact means (uniform), which central_mask draws towards 0 by a thousandth. Default: "central_mask". */
  readonly training_patch_weighting: 'central_mask' | 'probe' | 'uniform';
  /** With gridsize above 1: joint reads the patterns of a group together, as the channels of one network; shared is the network of gridsize 1 on each of them, whose weights it also takes (init), so that their order plays no part. Default: "joint". */
  readonly member_networks: 'joint' | 'shared';
  /** With gridsize above 1: turn the patches of a group to one phase before they are merged; a pattern does not determine the phase of its patch. Default: false. */
  readonly align_members: boolean;
  /** Cut the probe to a disk; probe_mask_edge says how. Default: false. */
  readonly probe_mask: boolean;
  /** The edge of that disk: hard, of radius N/4, as in the TensorFlow family; or soft, as in the PyTorch family. Default: "hard". */
  readonly probe_mask_edge: 'hard' | 'soft';
  /** How patches are multiplied by the probe: as they are, or with real and imaginary parts scaled by s1 and s2 (needs a network that puts these out: cnn_output_mode real_imag). Default: "amplitude". */
  readonly physics_forward_mode: 'amplitude' | 'rectangular_scaled';
  /** With rectangular_scaled: train s1 and s2. Default: true. */
  readonly rect_s1s2_trainable: boolean;
  /** With rectangular_scaled: initial values of s1 and s2: one, or fitted to the data. Default: "ones". */
  readonly rect_s1s2_init: 'ones' | 'data';
  /** Width of the 3 × 3 Gaussian blur of the illuminated field; 0 switches it off. Unit: px. Default: 0. */
  readonly gaussian_smoothing_sigma: number;
  /** Published normalisation constant of the probe; accepted, but without effect: the scale contract counts_v1 takes every factor from the data. Default: 4. */
  readonly probe_scale: number;
  /** Blur of the edge of a soft probe mask. Unit: px. Default: 1. */
  readonly probe_mask_sigma: number;
  /** Diameter of a soft probe mask; null: N/2. Unit: px. */
  readonly probe_mask_diameter: number | null;
  /** Input channels of a generator for each pattern of a group. Default: 1. */
  readonly learned_input_channels: number;
}

/** How scan files are opened: the fields of the block `data`. */
export interface DataConfig {
  /** Format of the scan files; auto recognises it from the file. Default: "auto". */
  readonly data_format: 'auto' | 'npz' | 'ptychodus' | 'hdf5' | 'cxi' | 'npy' | 'tiff';
  /** Where the patterns are inside the file: an HDF5 dataset such as /entry/data/data, or an NPZ key; null: the usual places. */
  readonly diffraction_path: string | null;
  /** Scan positions from FILE or FILE:key: a table whose titles name x, y, their unit and an index (without titles .csv is y,x in metres, .txt x y), NPY, NPZ or HDF5; null: those of the scan file. */
  readonly positions: string | null;
  /** Unit of the positions: object pixels or metres; null: as the format says. */
  readonly positions_unit: ('px' | 'm') | null;
  /** Ptychodus product file with positions, probe and object for a diffraction.h5; null: a product beside it, if there is one. */
  readonly product: string | null;
  /** Mask of unusable detector pixels (true = bad) from FILE or FILE:key; null: the mask of the scan file, if it has one. */
  readonly bad_pixels: string | null;
  /** In the mask, true means good. Default: false. */
  readonly invert_mask: boolean;
  /** Also mask hot and dead pixels found in the patterns. Default: false. */
  readonly auto_mask: boolean;
  /** Range of valid stored values, LO:HI (either may be left out); pixels outside it are masked, single later values clipped to it; null: all. */
  readonly valid_range: string | null;
  /** Dark frame to subtract from every pattern, from FILE or FILE:key (several frames are averaged), or one number for all pixels; null: none. */
  readonly dark: string | null;
  /** Flat field to divide every pattern by, from FILE or FILE:key; its mean becomes 1; null: none. */
  readonly flat: string | null;
  /** Detector units per photon; patterns are divided by it; null: 1. */
  readonly gain: number | null;
  /** Frames to use, counted from 0 as in the file: FROM:TO:STEP, a list such as 0,4,9:20, or a text file of numbers; null: all. */
  readonly frames: string | null;
  /** Frames to leave out, written in the same way; the word unreadable leaves out frames that cannot be decoded; null: none. */
  readonly skip_frames: string | null;
  /** Leave out frames with fewer counts than this in total; null: dark frames only. Unit: counts. */
  readonly min_counts: number | null;
  /** Leave out frames without a position, positions without a frame, and those that are NaN; where nothing numbers them, those at the end. Default: false. */
  readonly drop_unpaired: boolean;
  /** Which threshold or energy to use, counted from 0, where frames hold several (n, channels, rows, columns); null: there is only one. */
  readonly channel: number | null;
  /** Rows and columns of a raster scan, such as 40,60: the positions follow from it and scan_step (an array of four axes needs scan_step only); leave out fly-back frames with frames; null: none. */
  readonly scan_shape: [number, number] | null;
  /** Step of that raster with its unit (px, m, um, nm, A), such as 5px or 20nm; y and x separated by a comma if they differ; null: none. */
  readonly scan_step: string | null;
  /** Move the zero frequency from the corners of the frames to their middle; auto does so when it clearly lies in the corners. Default: "auto". */
  readonly fftshift: 'auto' | 'yes' | 'no';
  /** Cut patterns to a square of this side; null: as they are. Unit: px. */
  readonly crop_px: number | null;
  /** Row and column of the pixel that becomes the zero frequency; auto finds the beam; null: the middle of the frame. Unit: px. */
  readonly crop_center_px: ([number, number] | 'auto') | null;
  /** Surround patterns with empty pixels up to this side, after the crop; null: as they are. Unit: px. */
  readonly pad_to: number | null;
  /** Sum squares of this many pixels on a side, after cropping and padding. Unit: px. Default: 1. */
  readonly rebin: number;
  /** Folder that links inside an HDF5 file may lead to, besides its own; may be repeated. Default: []. */
  readonly allow_links: string[];
  /** Code of a finding that would stop the command, which then goes on; may be repeated. Default: []. */
  readonly accept: string[];
  /** Photon energy; null: the file's. Unit: eV. */
  readonly energy_eV: number | null;
  /** Kinetic energy of electrons (4D-STEM), for their relativistic wavelength; null: photons. Unit: keV. */
  readonly electron_keV: number | null;
  /** Distance from sample to detector; null: the file's. Unit: m. */
  readonly detector_distance_m: number | null;
  /** Side of a detector pixel; null: the file's. Unit: m. */
  readonly detector_pixel_m: number | null;
  /** Side of an object pixel, by which positions in metres are divided; null: the file's, or wavelength · distance / (N · detector pixel). Unit: m. */
  readonly object_pixel_m: number | null;
  /** Patterns are near fields, images of the sample a little behind it; null: where propagation_distance_m is given, here or in the file. */
  readonly near_field: boolean | null;
  /** Near fields: distance from sample to detector; null: the file's. Unit: m. */
  readonly propagation_distance_m: number | null;
  /** Near fields in a cone beam: distance from source or focus to sample, which gives magnification and effective distance; null: the file's, or a parallel beam. Unit: m. */
  readonly source_distance_m: number | null;
  /** Negate the x coordinates (first of the orientation options). Default: false. */
  readonly flip_x: boolean;
  /** Negate the y coordinates (second). Default: false. */
  readonly flip_y: boolean;
  /** Exchange x and y coordinates (third, after the flips). Default: false. */
  readonly swap_xy: boolean;
  /** Multiply the coordinates by this (fourth). Default: 1. */
  readonly coord_scale: number;
  /** Exchange rows and columns of every pattern and of the bad-pixel mask, not of the probe (fifth). Default: false. */
  readonly transpose: boolean;
  /** Use only positions whose x lies between these fractions of its range, such as 0.1,0.9; null: all. */
  readonly x_bounds: [number, number] | null;
  /** Use only positions whose y lies between these fractions of its range; null: all. */
  readonly y_bounds: [number, number] | null;
  /** How members of a group are chosen: among the nearest, the nearest beyond a distance, or one from each quadrant (gridsize 2). Default: "nearest". */
  readonly neighbor_function: 'nearest' | 'min_distance' | 'four_quadrants';
  /** Members are at least this far from the seed position (min_distance, four_quadrants). Unit: px. Default: 0. */
  readonly min_neighbor_distance_px: number;
  /** Members are closer to the seed position than this (four_quadrants). Unit: px. Default: 3. */
  readonly max_neighbor_distance_px: number;
  /** Number of nearest neighbours to sort into quadrants (four_quadrants). Default: 30. */
  readonly quadrant_candidates: number;
  /** Where the quadrants of four_quadrants lie: at the axes through the seed position, or (rectangular, for rows that lie farther apart than positions in them) left and right in its own row, from 0.7 px before it to 2 px behind it, and left and right in rows more than 2 px before it, up to 12 px to either side. Default: "isotropic". */
  readonly scan_pattern: 'isotropic' | 'rectangular';
  /** Cache the groups in a file beside the scan and reuse them as long as nothing they depend on has changed. Default: false. */
  readonly cache_groups: boolean;
}

/** Where a command computes that has no use for the rest of `execution`. */
export interface DeviceConfig {
  /** Where programs run: auto takes CUDA, then WebGPU on a real GPU, where they work, and the CPU otherwise; any other word requires that device, with a number that one of several (cuda:1). train and infer share their work out where several are named (cuda:0,cuda:1). All but cuda and cpu need backend onnx. Default: "auto". */
  readonly accelerator: ('auto' | 'cuda' | 'webgpu' | 'coreml' | 'directml' | 'cpu') | (string & {});
  /** Precision of the computation: 32-true is single; tf32 allows CUDA its shorter products; 16-mixed takes convolutions of predictions in half precision where the device has it and they stay within 1 % of single. Training is single with both of the others, too, but for tf32 on CUDA. Default: "32-true". */
  readonly precision: '32-true' | 'tf32' | '16-mixed';
  /** CPU threads of the engine; null: one per core (one in all for wasm, where more are experimental; solvers take fewer for small batches). Unit: threads. */
  readonly threads: number | null;
}

/** The machine: accelerator, threads, logging; the fields of the block `execution`. */
export interface ExecutionConfig {
  /** Where programs run: auto takes CUDA, then WebGPU on a real GPU, where they work, and the CPU otherwise; any other word requires that device, with a number that one of several (cuda:1). train and infer share their work out where several are named (cuda:0,cuda:1). All but cuda and cpu need backend onnx. Default: "auto". */
  readonly accelerator: ('auto' | 'cuda' | 'webgpu' | 'coreml' | 'directml' | 'cpu') | (string & {});
  /** TensorFlow.js engine (backend tensorflow only); null: the fastest that works. */
  readonly engine: ('tfjs-node-gpu' | 'tfjs-node' | 'wasm' | 'cpu') | null;
  /** CPU threads of the engine; null: one per core (one in all for wasm, where more are experimental; solvers take fewer for small batches). Unit: threads. */
  readonly threads: number | null;
  /** Groups per prediction in infer, instead of its batch_size, and in the previews of train. Unit: groups. */
  readonly inference_batch_size: number | null;
  /** Workers: engines that share every batch and average their gradients, and the threads among them; auto: one for each device that accelerator names. batch_size is that of all workers together, so that their number changes a step by rounding only, which many steps enlarge. Default: 1. */
  readonly devices: number | 'auto';
  /** How workers share the work: auto and ddp both mean that each has all weights and a share of every batch. Default: "auto". */
  readonly strategy: 'auto' | 'ddp';
  /** The same seed gives the same draws, weights and order of batches. Default: true. */
  readonly deterministic: boolean | 'warn';
  /** Precision of the computation: 32-true is single; tf32 allows CUDA its shorter products; 16-mixed takes convolutions of predictions in half precision where the device has it and they stay within 1 % of single. Training is single with both of the others, too, but for tf32 on CUDA. Default: "32-true". */
  readonly precision: '32-true' | 'tf32' | '16-mixed';
  /** Number of batches whose gradients are averaged for one step. Default: 1. */
  readonly accum_steps: number;
  /** Processes that read batches. Default: 0. */
  readonly num_workers: number;
  /** Keep batches in page-locked memory. Default: false. */
  readonly pin_memory: boolean;
  /** Keep reading processes between epochs. Default: false. */
  readonly persistent_workers: boolean;
  /** Batches to read ahead while the engine works; null: two. Unit: batches. */
  readonly prefetch_factor: number | null;
  /** Progress bar of a trainer. Default: false. */
  readonly enable_progress_bar: boolean;
  /** Keep checkpoints, so that a run can be resumed; the best epoch goes into wts.zip in any case. Default: true. */
  readonly enable_checkpointing: boolean;
  /** How many of the best epochs to keep in checkpoints/, besides the last. Unit: epochs. Default: 1. */
  readonly checkpoint_save_top_k: number;
  /** What the best epoch is judged by: a column of history.csv; without validation, val_loss means loss. Default: "val_loss". */
  readonly checkpoint_monitor_metric: string;
  /** Whether a lower or a higher monitored value is better. Default: "min". */
  readonly checkpoint_mode: 'min' | 'max';
  /** Epochs without improvement of the monitored value before training stops. Unit: epochs. Default: 100. */
  readonly early_stop_patience: number;
  /** Where losses and previews go besides history.csv: tensorboard writes event files, mlflow sends them to a tracking server. Default: "csv". */
  readonly logger_backend: 'csv' | 'tensorboard' | 'mlflow' | 'none';
  /** Address of the MLflow tracking server; null: the environment variable MLFLOW_TRACKING_URI. */
  readonly mlflow_tracking_uri: string | null;
  /** Local folder from which artifacts may be read that an MLflow server keeps as files (file:); null: no server leads to a local file. */
  readonly mlflow_allow_file: string | null;
  /** Name of the MLflow experiment; created if missing. Default: "ptychopinn". */
  readonly mlflow_experiment: string;
  /** Draw predicted patches every so many epochs, to previews/ and to the logger; null: never. Unit: epochs. */
  readonly recon_log_every_n_epochs: number | null;
  /** Number of patches to draw. Default: 4. */
  readonly recon_log_num_patches: number;
  /** Which groups to draw; null: evenly spaced ones. */
  readonly recon_log_fixed_indices: number[] | null;
  /** Draw the stitched image, too. Default: false. */
  readonly recon_log_stitch: boolean;
  /** Groups in the stitched preview; null: all. Unit: groups. */
  readonly recon_log_max_stitch_samples: number | null;
  /** In infer: the same as stitch_crop_px; 0: that decides. Unit: px. Default: 0. */
  readonly middle_trim: number;
  /** Accepted without effect, which it has none in the published tools either. Default: false. */
  readonly pad_eval: boolean;
}

/** The configuration of a training, everything settled. */
export interface TrainingConfig {
  /** The network. */
  readonly model: ModelConfig;
  /** Scan to train on. */
  readonly train_data_file: string | null;
  /** Further scans to train the same network on, each with its own probe, exposure and pixel size; may be repeated. Default: []. */
  readonly train_data_files: string[];
  /** How many scans the network learns from, as published configurations say it; null: as many as are given. */
  readonly num_datasets: number | null;
  /** Scan to validate on; null: val_fraction of the training groups. */
  readonly test_data_file: string | null;
  /** Folder for the trained bundle and its reports; created if missing. Default: "training_outputs". */
  readonly output_dir: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** What the other fields are where they are not given: the values listed here, which were chosen by measurement, or those of the published tools (a table in docs/configuration.md). Default: "measured". */
  readonly preset: 'measured' | 'published';
  /** Passes over the training groups. Unit: epochs. Default: 50. */
  readonly nepochs: number;
  /** Groups per training step. Unit: groups. Default: 4. */
  readonly batch_size: number;
  /** Initial step size of the optimiser. Default: 0.001. */
  readonly learning_rate: number;
  /** Learning rate over the epochs: WarmupCosine raises it and lets it fall along a cosine, Default keeps it constant, Exponential multiplies it by 0.95 every epoch. Default: "WarmupCosine". */
  readonly scheduler: 'Default' | 'Exponential' | 'WarmupCosine' | 'ReduceLROnPlateau';
  /** WarmupCosine: epochs in which the rate rises linearly from a tenth of its value. Unit: epochs. Default: 1. */
  readonly lr_warmup_epochs: number;
  /** WarmupCosine: the final rate as a fraction of learning_rate. Default: 0.01. */
  readonly lr_min_ratio: number;
  /** ReduceLROnPlateau: factor on the rate when the loss stops improving. Default: 0.5. */
  readonly plateau_factor: number;
  /** ReduceLROnPlateau: epochs without improvement before the rate is reduced. Unit: epochs. Default: 2. */
  readonly plateau_patience: number;
  /** ReduceLROnPlateau: the rate never falls below this. Default: 0.00005. */
  readonly plateau_min_lr: number;
  /** ReduceLROnPlateau: smallest relative improvement that counts. Default: 0. */
  readonly plateau_threshold: number;
  /** The optimiser. Default: "adam". */
  readonly optimizer: 'adam' | 'adamw' | 'sgd';
  /** Decay of the first moment of adam and adamw. Default: 0.9. */
  readonly adam_beta1: number;
  /** Decay of the second moment of adam and adamw. Default: 0.999. */
  readonly adam_beta2: number;
  /** Nesterov momentum of sgd; 0: none. Default: 0.9. */
  readonly momentum: number;
  /** Decay of the weights in each step: of their values with adamw, as part of the gradient with adam and sgd. Default: 0. */
  readonly weight_decay: number;
  /** Limit on the gradients; null: none. */
  readonly gradient_clip_val: number | null;
  /** How gradients are limited: by the norm of all of them together, value by value, or by the norm of each tensor relative to its weights (agc). Default: "norm". */
  readonly gradient_clip_algorithm: 'norm' | 'value' | 'agc';
  /** Keep an exponential moving average of the weights with this decay per step, and validate and save the average; 0: none. Default: 0. */
  readonly weight_averaging: number;
  /** What is subtracted from each pattern before the network sees it, so that it does not stay at a constant object: none; mean, the mean of up to 1,024 training patterns; or constant, the pattern of a constant object under the probe. Default: "constant". */
  readonly input_reference: 'none' | 'mean' | 'constant';
  /** Share of the reference that is subtracted; the rest is scaled back to the rms of the patterns. Default: 0.75. */
  readonly input_reference_share: number;
  /** What the network is told of the probe besides the patterns: nothing, or factors and offsets of its features that a small network makes of the probe (film); for one network over several probes. Default: "none". */
  readonly probe_conditioning: 'none' | 'film';
  /** Start again from fresh weights at half the learning rate, at most three times, while the predicted patterns are still all alike after 300 steps and do not come to differ. Default: true. */
  readonly auto_restart: boolean;
  /** Weight of the Poisson negative log-likelihood of the diffraction. Default: 0. */
  readonly nll_weight: number;
  /** Weight of the mean absolute error of the diffraction amplitude. Default: 1. */
  readonly mae_weight: number;
  /** Overall weight of the losses on the object. Default: 0. */
  readonly realspace_weight: number;
  /** Within the losses on the object: weight of the complex mean absolute error against the known object. Default: 0. */
  readonly realspace_mae_weight: number;
  /** Subtract the mean phase of the central third of the object from known patches before a network learns from them: patterns do not know it. Default: true. */
  readonly phase_subtraction: boolean;
  /** Within the losses on the object: weight of its total variation. Default: 0. */
  readonly tv_weight: number;
  /** A loss of the painted amplitude, relative to that of the constant object: absolute differences of neighbouring pixels, or absolute deviations from the mean of the patch; a mean over pixels; null: none. */
  readonly amp_loss: ('Total_Variation' | 'Mean_Deviation') | null;
  /** Weight of amp_loss. Default: 1. */
  readonly amp_loss_coeff: number;
  /** The same of the painted phase, in radians; null: none. */
  readonly phase_loss: ('Total_Variation' | 'Mean_Deviation') | null;
  /** Weight of phase_loss. Default: 1. */
  readonly phase_loss_coeff: number;
  /** With gridsize above 1: weight of how far the overlapping patches of a group disagree, where their pixels count. Default: 0. */
  readonly overlap_weight: number;
  /** With gridsize above 1: feed the members of every group in another random order in every epoch, so that a network does not learn from their order. Default: false. */
  readonly member_permutations: boolean;
  /** Initial epochs that learn from the amplitude loss alone, before the configured losses fade in. Unit: epochs. Default: 0. */
  readonly stage_1_epochs: number;
  /** Epochs after stage 1 in which the weight of the configured losses rises from 0 to 1. Unit: epochs. Default: 0. */
  readonly stage_2_epochs: number;
  /** Epochs after all others in which the encoder of the network stays as it is, at a constant learning rate. Unit: epochs. Default: 0. */
  readonly epochs_fine_tune: number;
  /** Factor on learning_rate in these epochs. Default: 0.1. */
  readonly fine_tune_gamma: number;
  /** How the weight rises in stage 2. Default: "cosine". */
  readonly physics_weight_schedule: 'linear' | 'cosine' | 'exponential';
  /** Factor on the learning rate once stage 1 is over; no effect without stages. Default: 0.1. */
  readonly stage_3_lr_factor: number;
  /** The loss by its published name: mae means nll_weight 0 and mae_weight 1, poisson the opposite where the weights are not given. */
  readonly torch_loss_mode: ('poisson' | 'mae') | null;
  /** Scale each predicted pattern to the norm of the measured one before taking the mean absolute error. Default: false. */
  readonly torch_mae_pred_l2_match_target: boolean;
  /** Expected photons per pattern; sets the scale of the Poisson loss. Unit: photons. Default: 1000000000. */
  readonly nphotons: number;
  /** What the network sees its patterns scaled by: one factor of the scan, one of every group of patterns (with gridsize above 1), or none, so that it sees the numbers of the file. Default: "Batch". */
  readonly normalize: 'Batch' | 'Group' | 'None';
  /** What that factor brings to a fixed value: the mean power of the patterns, or the largest sum of amplitudes over one of them (to 1). Default: "Parseval". */
  readonly data_scaling: 'Parseval' | 'Max';
  /** Scale a probe whose power does not fit the counts of the scan to them; false: every probe is taken as it is, in roots of counts. Default: true. */
  readonly probe_normalize: boolean;
  /** Train the factor between normalised amplitudes and counts. Default: true. */
  readonly intensity_scale_trainable: boolean;
  /** How data and model agree on scale: counts_v1, or the count-intensity contract of the PyTorch family. Default: "counts_v1". */
  readonly scale_contract_version: 'counts_v1' | 'ci_intensity_v2';
  /** A published set of values: ci stands for scale_contract_version ci_intensity_v2 with measurement_domain count_intensity, physics_forward_mode rectangular_scaled, cnn_output_mode real_imag and rect_s1s2_init data. */
  readonly profile: 'ci' | null;
  /** Train the probe. Default: false. */
  readonly probe_trainable: boolean;
  /** Step size of the probe, relative to its rms value; null: learning_rate. */
  readonly probe_learning_rate: number | null;
  /** Train the scan positions; needs a gridsize above 1, so that the members of a group overlap. Default: false. */
  readonly position_trainable: boolean;
  /** Step size of the positions; null: twenty times learning_rate. Unit: px. */
  readonly position_learning_rate: number | null;
  /** Farthest that a position may move from where it was measured; null: no limit. Unit: px. */
  readonly position_step_limit_px: number | null;
  /** Epochs before the positions start to move, so that the network knows the object a little first. Unit: epochs. Default: 3. */
  readonly position_start_epoch: number;
  /** The scan positions are measured, not nominal ones. Default: true. */
  readonly positions_provided: boolean;
  /** Groups to train on, of each scan; all: one for each pattern; null: 512, or one for each pattern where there are fewer. Unit: groups. Default: "all". */
  readonly n_groups: (number | 'all') | null;
  /** Patterns kept before grouping, drawn at random; null: all. Unit: patterns. */
  readonly n_subsample: number | null;
  /** Seed for drawing patterns and groups, NumPy-compatible; null: the value of seed. */
  readonly subsample_seed: number | null;
  /** Number of nearest neighbours from which the members of a group are drawn. Default: 4. */
  readonly neighbor_count: number;
  /** Allow more groups than patterns, made from combinations of neighbours (gridsize above 1). Default: false. */
  readonly enable_oversampling: boolean;
  /** Number of neighbours to combine when oversampling, at least gridsize²; null: neighbor_count. */
  readonly neighbor_pool_size: number | null;
  /** Take the first patterns instead of a random draw. Default: false. */
  readonly sequential_sampling: boolean;
  /** Share of the groups held back for validation when no test_data_file is given; 0: none. Default: 0.05. */
  readonly val_fraction: number;
  /** Start from the weights of this bundle (wts.zip or its folder) instead of fresh ones. */
  readonly init: string | null;
  /** Continue the interrupted run in this folder; the result is the same as without the interruption. Without a folder: output_dir. */
  readonly resume: string | null;
  /** After training, reconstruct test_data_file and write its pictures. Default: false. */
  readonly do_stitching: boolean;
  /** Write statistics of the predicted patches of each epoch to logs/patch_stats.csv. Default: false. */
  readonly log_patch_stats: boolean;
  /** Most batches per epoch that log_patch_stats writes; null: all. Unit: batches. */
  readonly patch_stats_limit: number | null;
  /** Seed for the initial weights, the shuffling and the grouping. Default: 0. */
  readonly seed: number;
  /** Train so many networks that differ in their seeds, each in a folder of its own (member-1, …); infer with the folder of all gives their mean and their spread. At most 99. Unit: networks. Default: 1. */
  readonly ensemble: number;
  /** How the networks of an ensemble come about: each trained from its own seed, or (snapshots) the first trained as usual and each other gone on from the one before it for a quarter of its epochs, the learning rate at its height again at first. That costs a quarter of a training for each. Default: "seeds". */
  readonly ensemble_from: 'seeds' | 'snapshots';
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none; solve: let a solver find it first, beginning with what auto gives. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** What runs the network: onnx (ONNX Runtime) or tensorflow (TensorFlow.js). Default: "onnx". */
  readonly backend: 'onnx' | 'tensorflow';
  /** How the scan is opened. */
  readonly data: DataConfig;
  /** The machine. */
  readonly execution: ExecutionConfig;
}

/** The configuration of `infer`. */
export interface InferenceConfig {
  /** What the model is expected to be; compared with the bundle. */
  readonly model?: Partial<ModelConfig>;
  /** Trained bundle: wts.zip, the folder that holds it (or an ensemble), or runs:/RUN_ID/wts.zip on an MLflow server. */
  readonly model_path: string;
  /** Scan to reconstruct. */
  readonly test_data_file: string;
  /** Let the network go on for so many epochs on the scan itself, without labels, and keep that where it explains held-out patterns better; the bundle stays as it is; 0: take it as it is. Unit: epochs. Default: 0. */
  readonly adapt: number;
  /** With adapt: initial step size, which falls along a cosine. Default: 0.0005. */
  readonly adapt_learning_rate: number;
  /** With adapt: also write the network that the image was made with, wts.zip in output_dir. Default: false. */
  readonly save_adapted: boolean;
  /** Predict only one of several parts of the scan, such as 2/8, and write it as shard.npz: for several processes, each with the same other flags; 1/1 is the whole scan as one part; null: the whole scan. */
  readonly shard: string | null;
  /** Make the image of the parts that --shard wrote: their folders, or a folder that holds these; may be repeated. Default: []. */
  readonly from_shards: string[];
  /** File calibration.json of "ptychopinn calibrate", by which 90 % intervals are written; null: the one beside the model, if it is there. */
  readonly calibration: string | null;
  /** Folder for the reconstruction and its pictures; created if missing. Default: "inference_outputs". */
  readonly output_dir: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Groups to reconstruct from; null or all: one for each pattern. Unit: groups. */
  readonly n_groups: (number | 'all') | null;
  /** Patterns kept before grouping, drawn at random; null: all. Unit: patterns. */
  readonly n_subsample: number | null;
  /** Seed for drawing patterns and groups, NumPy-compatible; null: the value of seed. */
  readonly subsample_seed: number | null;
  /** Number of nearest neighbours from which the members of a group are drawn. Default: 4. */
  readonly neighbor_count: number;
  /** Allow more groups than patterns, made from combinations of neighbours (gridsize above 1). Default: false. */
  readonly enable_oversampling: boolean;
  /** Number of neighbours to combine when oversampling, at least gridsize²; null: neighbor_count. */
  readonly neighbor_pool_size: number | null;
  /** Take the first patterns instead of a random draw. Default: false. */
  readonly sequential_sampling: boolean;
  /** Groups per prediction. Unit: groups. Default: 32. */
  readonly batch_size: number;
  /** Side of the central square of each patch that is stitched (M, at most N); null: chosen from the scan. Unit: px. */
  readonly stitch_crop_px: number | null;
  /** With a model of several scans: which of them, counted from 0 in the order of the training, has the trained probe and scale of this scan; null: the one with the same probe. */
  readonly experiment_number: number | null;
  /** How overlapping patches share a pixel: by the intensity of the probe there, or evenly. Default: "probe". */
  readonly patch_weighting: 'probe' | 'uniform';
  /** How patches are placed: shifted by interpolation into the frame of the image, or spread over the four nearest pixels; both are published. Default: "shift-and-sum". */
  readonly stitching: 'shift-and-sum' | 'barycentric';
  /** Before stitching, rotate the phase of every patch to agree with its neighbours: a pattern does not determine the global phase of its patch. Default: true. */
  readonly align_phases: boolean;
  /** Before stitching, fit the scales of the real and of the imaginary part of the patches to the counts of the whole scan; the network goes over the scan twice. Default: false. */
  readonly varpro_scaling: boolean;
  /** Fit the slow part of every patch to its own pattern: amplitude and phase are multiplied by polynomials of this degree, by one step of least squares, for networks that have learned little (4); 0: patches stay as the network painted them. Default: 0. */
  readonly patch_fit: number;
  /** How often patches are laid down: from the second round on, what they differ by from the image so far, which interpolation has blurred. Two or three are enough. Unit: rounds. Default: 1. */
  readonly stitching_rounds: number;
  /** Also write how far overlapping patches disagree: the uncertainty of amplitude and phase (not with refine). Default: true. */
  readonly uncertainty: boolean;
  /** Rounds of fitting the scan positions to the image, after which the patches are stitched again; 0: positions stay as they are. Unit: rounds. Default: 0. */
  readonly refine_positions: number;
  /** With refine_positions: the farthest that a position may move from where it was measured; null: no limit. Unit: px. */
  readonly position_step_limit_px: number | null;
  /** Let a solver refine image and probe afterwards, such as lsqml:20 (algorithm:epochs); null: keep the network's image. */
  readonly refine: (string & {}) | null;
  /** Update the pictures this often while patches come in; null: only at the end. Unit: s. */
  readonly preview_seconds: number | null;
  /** Also draw the image beside the known object of the scan file. Default: false. */
  readonly comparison_plot: boolean;
  /** Pixels along each edge that comparison_plot leaves out; some of the middle always stays. Unit: px. Default: 0. */
  readonly window: number;
  /** Phase at the low end of the colour scale; null: from the image. Unit: rad. */
  readonly phase_vmin: number | null;
  /** Phase at the high end of the colour scale; null: from the image. Unit: rad. */
  readonly phase_vmax: number | null;
  /** Also write every picture as SVG and PDF, for papers. Default: false. */
  readonly vector_pictures: boolean;
  /** Write statistics of the predicted patches to logs/patch_stats.csv. Default: false. */
  readonly log_patch_stats: boolean;
  /** Most batches that log_patch_stats writes; null: all. Unit: batches. */
  readonly patch_stats_limit: number | null;
  /** Also write intermediate results (groups, offsets, patches, canvases) to this folder; without a folder: debug_dump in output_dir. */
  readonly debug_dump: string | null;
  /** Measure the amplitude R-factor of the image on up to this many patterns; 0: do not measure it. Unit: patterns. Default: 64. */
  readonly r_factor_patterns: number;
  /** Print more about the run to the terminal. Default: false. */
  readonly debug: boolean;
  /** Seed for the grouping. Default: 0. */
  readonly seed: number;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** What runs the network: onnx (ONNX Runtime) or tensorflow (TensorFlow.js). Default: "onnx". */
  readonly backend: 'onnx' | 'tensorflow';
  /** Exit with code 3 if the image explains the patterns no better than a constant object (by the R-factor, where it is measured). Default: false. */
  readonly strict: boolean;
  /** How the scan is opened. */
  readonly data: DataConfig;
  /** The machine. */
  readonly execution: ExecutionConfig;
}

/** How a scan is reconstructed where nothing is written. */
export interface ReconstructOptions {
  /** What several scans have in common: object, seen with a probe by each scan, or probe, with an object for each; null: there is one scan. */
  readonly share: ('object' | 'probe') | null;
  /** share object: find how far the scans lie apart, by images of each alone and while they are solved together; false: their positions are on one object as they are. Default: true. */
  readonly align_scans: boolean;
  /** Time that the command may take, from reading to writing; it ends earlier when the image stops getting better. Unit: min. Default: 5. */
  readonly minutes: number;
  /** Trained bundle (wts.zip, or its folder) whose image of the scan is the start where its R is below that of a constant object; auto: one of the package ptychopinn-models, where a probe that it knows fits; null: none. */
  readonly model_path: string | null;
  /** End with the image of the network (model_path), without a solver. Default: false. */
  readonly single_pass: boolean;
  /** Turn the positions where the patterns clearly ask for it; not done where flip_x, flip_y or swap_xy is given. Default: true. */
  readonly auto_orient: boolean;
  /** Something not to try: flux (intensity of each pattern), affine (positions corrected together), positions (each by itself), opr_modes (a beam that differs from pattern to pattern) or modes (more incoherent modes of the probe); may be repeated. Default: []. */
  readonly leave_out: string[];
  /** Seed for the order of the patterns and for which of them are held out. Default: 0. */
  readonly seed: number;
  /** The probe to begin with: FILE or FILE:key, or the optics that made it (zone_plate, aperture or gaussian, with the sizes below); null: that of the scan, else a guess from the patterns. */
  readonly probe: string | null;
  /** Diameter of the aperture, or full width at half maximum of the gaussian beam at its waist. Unit: m. */
  readonly probe_diameter_m: number | null;
  /** Width of the outermost zone of the zone_plate. Unit: m. */
  readonly probe_outer_zone_m: number | null;
  /** Diameter of the central stop of the zone_plate as a share of the diameter of the plate. Default: 0.35. */
  readonly probe_stop_fraction: number;
  /** Distance of the sample behind the focus, the aperture or the waist; negative in front of it. Unit: m. Default: 0. */
  readonly probe_defocus_m: number;
  /** Number of patterns to use, drawn at random; null: all. Unit: patterns. */
  readonly n_subsample: number | null;
  /** Seed for that draw, NumPy-compatible; null: the value of seed. */
  readonly subsample_seed: number | null;
  /** Write image, pictures and state this often on the way; null: only at the end, or when interrupted. Unit: s. Default: 10. */
  readonly preview_seconds: number | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** What runs the network: onnx (ONNX Runtime) or tensorflow (TensorFlow.js). Default: "onnx". */
  readonly backend: 'onnx' | 'tensorflow';
  /** How the scan is opened. */
  readonly data: DataConfig;
  /** The machine. */
  readonly execution: DeviceConfig;
}

/** The configuration of `reconstruct`. */
export interface ReconstructConfig {
  /** Scan to reconstruct. */
  readonly test_data_file: string;
  /** Further scans to solve together with the first (see share); may be repeated. Default: []. */
  readonly test_data_files: string[];
  /** Folder for the image, its pictures and the page that explains them; created if missing. Default: "reconstruct_outputs". */
  readonly output_dir: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Go on with the run in this folder, which was interrupted, with the time that it has left. */
  readonly resume: string | null;
  /** What several scans have in common: object, seen with a probe by each scan, or probe, with an object for each; null: there is one scan. */
  readonly share: ('object' | 'probe') | null;
  /** share object: find how far the scans lie apart, by images of each alone and while they are solved together; false: their positions are on one object as they are. Default: true. */
  readonly align_scans: boolean;
  /** Time that the command may take, from reading to writing; it ends earlier when the image stops getting better. Unit: min. Default: 5. */
  readonly minutes: number;
  /** Trained bundle (wts.zip, or its folder) whose image of the scan is the start where its R is below that of a constant object; auto: one of the package ptychopinn-models, where a probe that it knows fits; null: none. */
  readonly model_path: string | null;
  /** End with the image of the network (model_path), without a solver. Default: false. */
  readonly single_pass: boolean;
  /** Turn the positions where the patterns clearly ask for it; not done where flip_x, flip_y or swap_xy is given. Default: true. */
  readonly auto_orient: boolean;
  /** Something not to try: flux (intensity of each pattern), affine (positions corrected together), positions (each by itself), opr_modes (a beam that differs from pattern to pattern) or modes (more incoherent modes of the probe); may be repeated. Default: []. */
  readonly leave_out: string[];
  /** Seed for the order of the patterns and for which of them are held out. Default: 0. */
  readonly seed: number;
  /** The probe to begin with: FILE or FILE:key, or the optics that made it (zone_plate, aperture or gaussian, with the sizes below); null: that of the scan, else a guess from the patterns. */
  readonly probe: string | null;
  /** Diameter of the aperture, or full width at half maximum of the gaussian beam at its waist. Unit: m. */
  readonly probe_diameter_m: number | null;
  /** Width of the outermost zone of the zone_plate. Unit: m. */
  readonly probe_outer_zone_m: number | null;
  /** Diameter of the central stop of the zone_plate as a share of the diameter of the plate. Default: 0.35. */
  readonly probe_stop_fraction: number;
  /** Distance of the sample behind the focus, the aperture or the waist; negative in front of it. Unit: m. Default: 0. */
  readonly probe_defocus_m: number;
  /** Number of patterns to use, drawn at random; null: all. Unit: patterns. */
  readonly n_subsample: number | null;
  /** Seed for that draw, NumPy-compatible; null: the value of seed. */
  readonly subsample_seed: number | null;
  /** Write image, pictures and state this often on the way; null: only at the end, or when interrupted. Unit: s. Default: 10. */
  readonly preview_seconds: number | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** What runs the network: onnx (ONNX Runtime) or tensorflow (TensorFlow.js). Default: "onnx". */
  readonly backend: 'onnx' | 'tensorflow';
  /** Phase at the low end of the colour scale; null: from the image. Unit: rad. */
  readonly phase_vmin: number | null;
  /** Phase at the high end of the colour scale; null: from the image. Unit: rad. */
  readonly phase_vmax: number | null;
  /** Also write every picture as SVG and PDF, for papers. Default: false. */
  readonly vector_pictures: boolean;
  /** Also write the result as a Ptychodus product, HDF5 (.h5) or NPZ (.npz); null: none. */
  readonly product_file: string | null;
  /** Exit with code 3 if the image explains the patterns no better than a constant object (by the R-factor, where it is measured). Default: false. */
  readonly strict: boolean;
  /** How the scan is opened. */
  readonly data: DataConfig;
  /** The machine. */
  readonly execution: DeviceConfig;
}

/** How a scan is solved, whatever becomes of the result. */
export interface SolverOptions {
  /** rpie and epie: one gradient step per batch, robust; pie: the same with the weights of 2004; lsqml: the best joint step of object and probe in every batch; dm: the difference map, all patterns at once; ml: maximum likelihood of all patterns at once, a finish (see ml_start). Default: "rpie". */
  readonly algorithm: 'rpie' | 'epie' | 'pie' | 'lsqml' | 'dm' | 'ml';
  /** Passes over all patterns. Unit: epochs. Default: 50. */
  readonly epochs: number;
  /** Patterns per step; null: chosen for the algorithm and the scan (dm and ml take all). Unit: patterns. */
  readonly batch_size: number | null;
  /** rpie, epie, pie, lsqml: which patterns share a step: random draws, batches spread over the whole scan (uniform, in the first ten epochs), or neighbours (compact); null: uniform. */
  readonly batching: ('random' | 'uniform' | 'compact') | null;
  /** Factor on every step of the object; null: the default of the algorithm. */
  readonly object_step: number | null;
  /** Factor on every step of the probe; null: the default of the algorithm. */
  readonly probe_step: number | null;
  /** How much weakly lit pixels are held back, α, δ or ε of the formulas (0: not at all); null: the default of the algorithm. */
  readonly object_regularisation: number | null;
  /** rpie, epie, pie, dm: the same for the probe where the object transmits little; null: the default of the algorithm. */
  readonly probe_regularisation: number | null;
  /** rpie, epie, pie: share of the last step that is carried over. Default: 0. */
  readonly momentum: number;
  /** rpie, epie, pie, lsqml: between epochs, carry object and probe on by up to this share of what the last one changed (Nesterov), from the fifth epoch on; 0: not at all; null: 0.7 (near fields: 0.95), or 0 where momentum is given. */
  readonly acceleration: number | null;
  /** What detector fields are fitted to: the measured amplitudes, or the likelihood of the counts under Poisson statistics (for few counts). Default: "gaussian". */
  readonly noise_model: 'gaussian' | 'poisson';
  /** dm: β of the relaxed map (RAAR); 1 is the difference map of 2009, which wanders with noise; null: 0.75 (near fields: 0.9). */
  readonly relaxation: number | null;
  /** First epoch of a finish by maximum likelihood, all patterns at once, with positions and beams as they are by then, but for flux, which lbfgs goes on with; null: none, or all epochs with algorithm ml. Unit: epochs. */
  readonly ml_start: number | null;
  /** ml: how directions are made, by pairs of earlier steps (L-BFGS) or by conjugate gradients in the second derivatives. Default: "lbfgs". */
  readonly ml_method: 'lbfgs' | 'cg';
  /** Resolutions, each twice as fine as the one before: the first ones take the middle of the detector alone; 1: the full one only. Default: 1. */
  readonly progressive_levels: number;
  /** Epochs of each coarse resolution, before those of the full one. Unit: epochs. Default: 10. */
  readonly progressive_epochs: number;
  /** Seed for the order of the patterns. Default: 0. */
  readonly seed: number;
  /** First epoch in which the object changes. Unit: epochs. Default: 1. */
  readonly object_start: number;
  /** Last epoch in which the object changes; null: the last one. Unit: epochs. */
  readonly object_stop: number | null;
  /** Change the object only every so many epochs. Unit: epochs. Default: 1. */
  readonly object_stride: number;
  /** Slices of a thick object, which light goes through one after the other; 1: a thin object. Unit: slices. Default: 1. */
  readonly slices: number;
  /** Distance from each slice to the next; null: the file's. Unit: m. */
  readonly slice_distance_m: number | null;
  /** After each epoch, draw slices together where they differ only coarsely, which patterns hardly tell apart; 0: not at all. Default: 0. */
  readonly slice_regularisation: number;
  /** First epoch in which the probe changes. Unit: epochs. Default: 2. */
  readonly probe_start: number;
  /** Last epoch in which the probe changes; null: the last one. Unit: epochs. */
  readonly probe_stop: number | null;
  /** Change the probe only every so many epochs. Unit: epochs. Default: 1. */
  readonly probe_stride: number;
  /** Incoherent modes of the probe; null: as many as the scan has. Missing ones start as the first one times powers of x and y. Unit: modes. */
  readonly probe_modes: number | null;
  /** Share of the power that each added mode starts with. Default: 0.05. */
  readonly probe_mode_share: number;
  /** Orthogonalise the modes every so many epochs, the strongest first; null: never. Unit: epochs. Default: 1. */
  readonly orthogonalise_stride: number | null;
  /** At the start, scale the probe to the power that explains the counts of the patterns. Default: true. */
  readonly rescale_probe: boolean;
  /** Keep the power of the probe and scale the object instead: their product leaves the factor between them open. Default: true. */
  readonly hold_probe_power: boolean;
  /** Give the probe this power, Σ|P|²; null: the power that it has at the start. Unit: counts. */
  readonly probe_power_counts: number | null;
  /** Set the probe to zero where its smoothed intensity, that of all modes together, is below this share of its maximum; null: nowhere. */
  readonly probe_support: number | null;
  /** Set the probe to zero beyond this distance from the middle of its frame; null: nowhere. Unit: px. */
  readonly probe_radius_px: number | null;
  /** The same as probe_support for the far field of the probe: what the optics let through; null: nowhere. */
  readonly detector_support: number | null;
  /** After each epoch, move probe and object together by whole pixels so that the light of the probe is in the middle of its frame. Default: false. */
  readonly centre_probe: boolean;
  /** Coherent modes by which the probe differs from pattern to pattern (orthogonal probe relaxation), for beams that drift; 0: none, 1 to 3 are usual. Unit: modes. Default: 0. */
  readonly opr_modes: number;
  /** First epoch in which beams are told apart (opr_modes, flux). Unit: epochs. Default: 3. */
  readonly opr_start: number;
  /** After each epoch, draw the weights of these modes halfway to a polynomial of this degree in the order of acquisition; 0: not at all. Default: 0. */
  readonly opr_smooth: number;
  /** Fit the intensity of the beam to every pattern, for beams that flicker. Default: false. */
  readonly flux: boolean;
  /** After each epoch, draw every pixel of the object towards 0 by this share of its usual amplitude (L1 norm); 0: not at all. Default: 0. */
  readonly object_l1: number;
  /** After each epoch, take this share of every pixel of the object away (L2 norm); 0: nothing. Default: 0. */
  readonly object_l2: number;
  /** Least amplitude of the object; null: 0. */
  readonly object_amplitude_min: number | null;
  /** Largest amplitude of the object; null: any. */
  readonly object_amplitude_max: number | null;
  /** Least phase of the object; null: any. Unit: rad. */
  readonly object_phase_min_rad: number | null;
  /** Largest phase of the object; null: any. Unit: rad. */
  readonly object_phase_max_rad: number | null;
  /** Pitch of a regular scan: after each epoch, what repeats with it is taken out of the phase of the object; null: nothing. Unit: px. */
  readonly grid_period_px: number | null;
  /** How far from the frequencies of that pitch, in pixels of the transform of the object. Default: 1. */
  readonly grid_window: number;
  /** Total variation removed from the object after each epoch, as a share of its usual amplitude; 0: none. Default: 0. */
  readonly tv_weight: number;
  /** network: from epoch prior_start on, the object is what a small convolutional network paints, whose weights are the unknowns, joint with the probe (deep image prior; for few counts); none: every pixel is an unknown. Default: "none". */
  readonly prior: 'none' | 'network';
  /** First epoch of that network, which begins with the image that the algorithm has made until then. Unit: epochs. Default: 31. */
  readonly prior_start: number;
  /** Channels of the layers of this network. Unit: channels. Default: 32. */
  readonly prior_width: number;
  /** Initial step size of the weights of this network; it falls along a cosine over its epochs. Default: 0.003. */
  readonly prior_learning_rate: number;
  /** First epoch in which scan positions are corrected; null: never. Unit: epochs. */
  readonly position_start: number | null;
  /** Last epoch in which they are corrected; null: the last one. Unit: epochs. */
  readonly position_stop: number | null;
  /** Correct them only every so many epochs. Unit: epochs. Default: 1. */
  readonly position_stride: number;
  /** What patterns move by: the derivatives of their exit waves, or the peak of the cross-correlation of patches before and after their step. Default: "gradient". */
  readonly position_method: 'gradient' | 'correlation';
  /** Factor on every correction. Default: 1. */
  readonly position_step: number;
  /** Share of the last move that is carried over, because errors that neighbours share are corrected slowly. Default: 0.8. */
  readonly position_momentum: number;
  /** A position moves at most this far in one epoch. Unit: px. Default: 0.5. */
  readonly position_update_limit_px: number;
  /** Farthest that a position may move from where it was measured. Unit: px. Default: 5. */
  readonly position_limit_px: number;
  /** Correct scale, rotation, asymmetry and shear of the scan; afterwards every position moves by itself. Default: false. */
  readonly affine: boolean;
  /** How: scale, asymmetry and shear by trial runs that are judged by held-out patterns (some 200 epochs more); object and positions follow what all patterns ask for together, with a gain (cheap, finds rotations, and scales that are too small); or every position moves, and is drawn to the affine part (published, as PtychoShelves and Pty-Chi do). Default: "search". */
  readonly affine_rule: 'gain' | 'search' | 'published';
  /** Which of these may be wrong. Default: "scale,rotation,asymmetry,shear". */
  readonly affine_freedom: string & {};
  /** First epoch in which the positions are corrected together. Unit: epochs. Default: 5. */
  readonly affine_start: number;
  /** gain, published: last epoch in which they are; positions move by themselves from the next epoch on (search: eight epochs after the first), or from position_start if that is later. Unit: epochs. Default: 30. */
  readonly affine_stop: number;
  /** Points of the way over which each pattern was recorded while the sample moved (fly scan); one for every 3 pixels of the way is enough; 1: it stood still. The ways are those between the start and end positions of the file (xcoords_start, ycoords_start, xcoords_end, ycoords_end), or twice those from the start to the positions. Unit: points. Default: 1. */
  readonly fly_positions: number;
  /** Share of the way to the next position during which a pattern was exposed: the ways are then those of the path through the positions; null: those that the file gives. */
  readonly fly_duty: number | null;
  /** Fit what the detector sees beside the sample, as scatter and stray light, and add it to the model: one value for every pixel (pixel), or also a smooth one for every pattern (pattern), none of them below 0. Default: "none". */
  readonly background: 'none' | 'pixel' | 'pattern';
  /** First epoch in which the background is fitted. Unit: epochs. Default: 5. */
  readonly background_start: number;
  /** What computes the passes over the patterns: host is SIMD on the processor, program a tensor program on the backend (CUDA where there is one); auto chooses. Default: "auto". */
  readonly passes: 'auto' | 'host' | 'program';
  /** Keep the patterns in a temporary file (in TMPDIR, 4·n·N² bytes) and read them batch by batch, instead of in memory; the result is the same. null: where they would take more than half of the memory that is free. */
  readonly stream: boolean | null;
}

/** The configuration of `solve`. */
export interface SolveConfig {
  /** Scan to reconstruct. */
  readonly test_data_file: string;
  /** Further scans to solve together with the first (see share); may be repeated. Default: []. */
  readonly test_data_files: string[];
  /** What several scans have in common: object, seen with a probe by each scan, or probe, with an object for each; null: there is one scan. */
  readonly share: ('object' | 'probe') | null;
  /** share object: find how far the scans lie apart, by images of each alone and while they are solved together; false: their positions are on one object as they are. Default: true. */
  readonly align_scans: boolean;
  /** Folder for the reconstruction and its pictures; created if missing. Default: "solver_outputs". */
  readonly output_dir: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Number of patterns to use, drawn at random; null: all. Unit: patterns. */
  readonly n_subsample: number | null;
  /** Seed for that draw, NumPy-compatible; null: the value of seed. */
  readonly subsample_seed: number | null;
  /** rpie and epie: one gradient step per batch, robust; pie: the same with the weights of 2004; lsqml: the best joint step of object and probe in every batch; dm: the difference map, all patterns at once; ml: maximum likelihood of all patterns at once, a finish (see ml_start). Default: "rpie". */
  readonly algorithm: 'rpie' | 'epie' | 'pie' | 'lsqml' | 'dm' | 'ml';
  /** Passes over all patterns. Unit: epochs. Default: 50. */
  readonly epochs: number;
  /** Patterns per step; null: chosen for the algorithm and the scan (dm and ml take all). Unit: patterns. */
  readonly batch_size: number | null;
  /** rpie, epie, pie, lsqml: which patterns share a step: random draws, batches spread over the whole scan (uniform, in the first ten epochs), or neighbours (compact); null: uniform. */
  readonly batching: ('random' | 'uniform' | 'compact') | null;
  /** Factor on every step of the object; null: the default of the algorithm. */
  readonly object_step: number | null;
  /** Factor on every step of the probe; null: the default of the algorithm. */
  readonly probe_step: number | null;
  /** How much weakly lit pixels are held back, α, δ or ε of the formulas (0: not at all); null: the default of the algorithm. */
  readonly object_regularisation: number | null;
  /** rpie, epie, pie, dm: the same for the probe where the object transmits little; null: the default of the algorithm. */
  readonly probe_regularisation: number | null;
  /** rpie, epie, pie: share of the last step that is carried over. Default: 0. */
  readonly momentum: number;
  /** rpie, epie, pie, lsqml: between epochs, carry object and probe on by up to this share of what the last one changed (Nesterov), from the fifth epoch on; 0: not at all; null: 0.7 (near fields: 0.95), or 0 where momentum is given. */
  readonly acceleration: number | null;
  /** What detector fields are fitted to: the measured amplitudes, or the likelihood of the counts under Poisson statistics (for few counts). Default: "gaussian". */
  readonly noise_model: 'gaussian' | 'poisson';
  /** dm: β of the relaxed map (RAAR); 1 is the difference map of 2009, which wanders with noise; null: 0.75 (near fields: 0.9). */
  readonly relaxation: number | null;
  /** First epoch of a finish by maximum likelihood, all patterns at once, with positions and beams as they are by then, but for flux, which lbfgs goes on with; null: none, or all epochs with algorithm ml. Unit: epochs. */
  readonly ml_start: number | null;
  /** ml: how directions are made, by pairs of earlier steps (L-BFGS) or by conjugate gradients in the second derivatives. Default: "lbfgs". */
  readonly ml_method: 'lbfgs' | 'cg';
  /** Resolutions, each twice as fine as the one before: the first ones take the middle of the detector alone; 1: the full one only. Default: 1. */
  readonly progressive_levels: number;
  /** Epochs of each coarse resolution, before those of the full one. Unit: epochs. Default: 10. */
  readonly progressive_epochs: number;
  /** Seed for the order of the patterns. Default: 0. */
  readonly seed: number;
  /** First epoch in which the object changes. Unit: epochs. Default: 1. */
  readonly object_start: number;
  /** Last epoch in which the object changes; null: the last one. Unit: epochs. */
  readonly object_stop: number | null;
  /** Change the object only every so many epochs. Unit: epochs. Default: 1. */
  readonly object_stride: number;
  /** Slices of a thick object, which light goes through one after the other; 1: a thin object. Unit: slices. Default: 1. */
  readonly slices: number;
  /** Distance from each slice to the next; null: the file's. Unit: m. */
  readonly slice_distance_m: number | null;
  /** After each epoch, draw slices together where they differ only coarsely, which patterns hardly tell apart; 0: not at all. Default: 0. */
  readonly slice_regularisation: number;
  /** First epoch in which the probe changes. Unit: epochs. Default: 2. */
  readonly probe_start: number;
  /** Last epoch in which the probe changes; null: the last one. Unit: epochs. */
  readonly probe_stop: number | null;
  /** Change the probe only every so many epochs. Unit: epochs. Default: 1. */
  readonly probe_stride: number;
  /** Incoherent modes of the probe; null: as many as the scan has. Missing ones start as the first one times powers of x and y. Unit: modes. */
  readonly probe_modes: number | null;
  /** Share of the power that each added mode starts with. Default: 0.05. */
  readonly probe_mode_share: number;
  /** Orthogonalise the modes every so many epochs, the strongest first; null: never. Unit: epochs. Default: 1. */
  readonly orthogonalise_stride: number | null;
  /** At the start, scale the probe to the power that explains the counts of the patterns. Default: true. */
  readonly rescale_probe: boolean;
  /** Keep the power of the probe and scale the object instead: their product leaves the factor between them open. Default: true. */
  readonly hold_probe_power: boolean;
  /** Give the probe this power, Σ|P|²; null: the power that it has at the start. Unit: counts. */
  readonly probe_power_counts: number | null;
  /** Set the probe to zero where its smoothed intensity, that of all modes together, is below this share of its maximum; null: nowhere. */
  readonly probe_support: number | null;
  /** Set the probe to zero beyond this distance from the middle of its frame; null: nowhere. Unit: px. */
  readonly probe_radius_px: number | null;
  /** The same as probe_support for the far field of the probe: what the optics let through; null: nowhere. */
  readonly detector_support: number | null;
  /** After each epoch, move probe and object together by whole pixels so that the light of the probe is in the middle of its frame. Default: false. */
  readonly centre_probe: boolean;
  /** Coherent modes by which the probe differs from pattern to pattern (orthogonal probe relaxation), for beams that drift; 0: none, 1 to 3 are usual. Unit: modes. Default: 0. */
  readonly opr_modes: number;
  /** First epoch in which beams are told apart (opr_modes, flux). Unit: epochs. Default: 3. */
  readonly opr_start: number;
  /** After each epoch, draw the weights of these modes halfway to a polynomial of this degree in the order of acquisition; 0: not at all. Default: 0. */
  readonly opr_smooth: number;
  /** Fit the intensity of the beam to every pattern, for beams that flicker. Default: false. */
  readonly flux: boolean;
  /** After each epoch, draw every pixel of the object towards 0 by this share of its usual amplitude (L1 norm); 0: not at all. Default: 0. */
  readonly object_l1: number;
  /** After each epoch, take this share of every pixel of the object away (L2 norm); 0: nothing. Default: 0. */
  readonly object_l2: number;
  /** Least amplitude of the object; null: 0. */
  readonly object_amplitude_min: number | null;
  /** Largest amplitude of the object; null: any. */
  readonly object_amplitude_max: number | null;
  /** Least phase of the object; null: any. Unit: rad. */
  readonly object_phase_min_rad: number | null;
  /** Largest phase of the object; null: any. Unit: rad. */
  readonly object_phase_max_rad: number | null;
  /** Pitch of a regular scan: after each epoch, what repeats with it is taken out of the phase of the object; null: nothing. Unit: px. */
  readonly grid_period_px: number | null;
  /** How far from the frequencies of that pitch, in pixels of the transform of the object. Default: 1. */
  readonly grid_window: number;
  /** Total variation removed from the object after each epoch, as a share of its usual amplitude; 0: none. Default: 0. */
  readonly tv_weight: number;
  /** network: from epoch prior_start on, the object is what a small convolutional network paints, whose weights are the unknowns, joint with the probe (deep image prior; for few counts); none: every pixel is an unknown. Default: "none". */
  readonly prior: 'none' | 'network';
  /** First epoch of that network, which begins with the image that the algorithm has made until then. Unit: epochs. Default: 31. */
  readonly prior_start: number;
  /** Channels of the layers of this network. Unit: channels. Default: 32. */
  readonly prior_width: number;
  /** Initial step size of the weights of this network; it falls along a cosine over its epochs. Default: 0.003. */
  readonly prior_learning_rate: number;
  /** First epoch in which scan positions are corrected; null: never. Unit: epochs. */
  readonly position_start: number | null;
  /** Last epoch in which they are corrected; null: the last one. Unit: epochs. */
  readonly position_stop: number | null;
  /** Correct them only every so many epochs. Unit: epochs. Default: 1. */
  readonly position_stride: number;
  /** What patterns move by: the derivatives of their exit waves, or the peak of the cross-correlation of patches before and after their step. Default: "gradient". */
  readonly position_method: 'gradient' | 'correlation';
  /** Factor on every correction. Default: 1. */
  readonly position_step: number;
  /** Share of the last move that is carried over, because errors that neighbours share are corrected slowly. Default: 0.8. */
  readonly position_momentum: number;
  /** A position moves at most this far in one epoch. Unit: px. Default: 0.5. */
  readonly position_update_limit_px: number;
  /** Farthest that a position may move from where it was measured. Unit: px. Default: 5. */
  readonly position_limit_px: number;
  /** Correct scale, rotation, asymmetry and shear of the scan; afterwards every position moves by itself. Default: false. */
  readonly affine: boolean;
  /** How: scale, asymmetry and shear by trial runs that are judged by held-out patterns (some 200 epochs more); object and positions follow what all patterns ask for together, with a gain (cheap, finds rotations, and scales that are too small); or every position moves, and is drawn to the affine part (published, as PtychoShelves and Pty-Chi do). Default: "search". */
  readonly affine_rule: 'gain' | 'search' | 'published';
  /** Which of these may be wrong. Default: "scale,rotation,asymmetry,shear". */
  readonly affine_freedom: string & {};
  /** First epoch in which the positions are corrected together. Unit: epochs. Default: 5. */
  readonly affine_start: number;
  /** gain, published: last epoch in which they are; positions move by themselves from the next epoch on (search: eight epochs after the first), or from position_start if that is later. Unit: epochs. Default: 30. */
  readonly affine_stop: number;
  /** Points of the way over which each pattern was recorded while the sample moved (fly scan); one for every 3 pixels of the way is enough; 1: it stood still. The ways are those between the start and end positions of the file (xcoords_start, ycoords_start, xcoords_end, ycoords_end), or twice those from the start to the positions. Unit: points. Default: 1. */
  readonly fly_positions: number;
  /** Share of the way to the next position during which a pattern was exposed: the ways are then those of the path through the positions; null: those that the file gives. */
  readonly fly_duty: number | null;
  /** Fit what the detector sees beside the sample, as scatter and stray light, and add it to the model: one value for every pixel (pixel), or also a smooth one for every pattern (pattern), none of them below 0. Default: "none". */
  readonly background: 'none' | 'pixel' | 'pattern';
  /** First epoch in which the background is fitted. Unit: epochs. Default: 5. */
  readonly background_start: number;
  /** What computes the passes over the patterns: host is SIMD on the processor, program a tensor program on the backend (CUDA where there is one); auto chooses. Default: "auto". */
  readonly passes: 'auto' | 'host' | 'program';
  /** Keep the patterns in a temporary file (in TMPDIR, 4·n·N² bytes) and read them batch by batch, instead of in memory; the result is the same. null: where they would take more than half of the memory that is free. */
  readonly stream: boolean | null;
  /** Start from an image: a trained bundle (which reconstructs the scan first), reconstruction.npz or the folder of infer or solve, or a Ptychodus product; null: an empty object and the probe of the scan. */
  readonly init: string | null;
  /** Continue the run in this folder from its last state; the result is the same as without the interruption. More epochs extend a finished run. */
  readonly resume: string | null;
  /** Solve only one of several parts of the scan, such as 2/4, with the patterns around it: for several processes, each with the same other flags; 1/1 is the whole scan as one part; null: the whole scan. */
  readonly tile: string | null;
  /** How far around a tile patterns are taken, too; null: the radius of the probe. Unit: px. */
  readonly tile_margin_px: number | null;
  /** Make the image of the parts that --tile solved: their folders, or a folder that holds these; may be repeated. Default: []. */
  readonly from_tiles: string[];
  /** Save the state from which the run can be resumed every so many epochs; null: only at the end. Unit: epochs. Default: 10. */
  readonly save_every: number | null;
  /** Update the pictures this often while it works; null: only at the end. Unit: s. */
  readonly preview_seconds: number | null;
  /** Phase at the low end of the colour scale; null: from the image. Unit: rad. */
  readonly phase_vmin: number | null;
  /** Phase at the high end of the colour scale; null: from the image. Unit: rad. */
  readonly phase_vmax: number | null;
  /** Also write every picture as SVG and PDF, for papers. Default: false. */
  readonly vector_pictures: boolean;
  /** Also write the result as a Ptychodus product, HDF5 (.h5) or NPZ (.npz); null: none. */
  readonly product_file: string | null;
  /** Exit with code 3 if the image explains the patterns no better than a constant object (by the R-factor, where it is measured). Default: false. */
  readonly strict: boolean;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** What runs the network: onnx (ONNX Runtime) or tensorflow (TensorFlow.js). Default: "onnx". */
  readonly backend: 'onnx' | 'tensorflow';
  /** How the scan is opened. */
  readonly data: DataConfig;
  /** The machine. */
  readonly execution: DeviceConfig;
}

/** The configuration of `simulate`. */
export interface SimulationConfig {
  /** NPZ file to write. */
  readonly output_file: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** A ready-made recipe (listed below); other flags override it; null: the defaults in this list. */
  readonly preset:
    | (
        | 'lines'
        | 'star'
        | 'deadleaves'
        | 'weak-phase'
        | 'overlap-free'
        | 'multimode'
        | 'zone-plate'
        | 'near-field'
        | 'noisy-detector'
        | 'position-errors'
        | 'experiments'
        | 'published-lines'
      )
    | null;
  /** Take objectGuess and probeGuess from this NPZ, as simulate_and_save does: 500 random positions and 1e9 photons unless you say otherwise. */
  readonly input_file: string | null;
  /** Write a picture of object, probe, scan and patterns beside the file (.png). Default: false. */
  readonly visualize: boolean;
  /** Write known patches of the object, one per pattern, as "label" for supervised training (twice the size of the patterns); null: only if positions have errors, because the object alone does not determine them then. */
  readonly labels: boolean | null;
  /** Write the same patches as "ground_truth_patches", the key of the Python tools. Default: false. */
  readonly ground_truth: boolean;
  /** Recorded in the metadata only: there is one pattern and one patch per position, whatever the gridsize; null: not recorded. */
  readonly gridsize: number | null;
  /** What is imaged: random segments at three scales, a resolution target, overlapping shapes of all sizes (most like real samples), Gaussian noise of a given spectrum, specks, crossed lines, nothing, pictures, or the complex object of a file. Default: "lines". */
  readonly object:
    'lines' | 'siemens_star' | 'dead_leaves' | 'random_field' | 'points' | 'diagonals' | 'blank' | 'image' | 'file';
  /** Side of a drawn object; null: three and a half times N, or the size of the file. Unit: px. */
  readonly object_side_px: number | null;
  /** Different objects under one probe, side by side in one file and told apart by scan_index: several experiments to train on at once. Default: 1. */
  readonly n_objects: number;
  /** Smallest and largest amplitude, such as 0.9,1 for a weak object; null: typical of the kind of object. */
  readonly amplitude_range: [number, number] | null;
  /** Largest minus smallest phase; above 6.28 it wraps; null: typical of the kind of object. Unit: rad. */
  readonly phase_span_rad: number | null;
  /** Where the phase comes from: a separate draw, π·tanh of the amplitude (published), or nowhere; null: a separate draw, or the picture's phase if there is one. */
  readonly object_phase: ('independent' | 'from_amplitude' | 'none') | null;
  /** Amplitudes of the random field fall as frequency to minus this: 0.4 (published) is grainy, 1.5 cloudy. Default: 0.4. */
  readonly random_field_exponent: number;
  /** Complex object from FILE or FILE:key (NPZ, NPY, HDF5; objectGuess, object or reconstructed_object when no key is given); null: from input_file. */
  readonly object_file: string | null;
  /** Picture whose brightness becomes the amplitude: PNG, TIFF, NPY, or FILE:key; null: constant amplitude. */
  readonly amplitude_image: string | null;
  /** The same for the phase, of equal size; null: none. */
  readonly phase_image: string | null;
  /** Side of the square diffraction patterns; null: 64, or the side of the probe from a file. Unit: px. */
  readonly N: number | null;
  /** What illuminates the object: a round flat-topped beam with curved phase, the published default disk (real, no phase), a Gaussian, the ring beam of a Fresnel zone plate, a disc with aberrations, a wide beam behind a diffuser (for near fields), or the probe of a file. Default: "structured". */
  readonly probe: 'structured' | 'default_disk' | 'gaussian' | 'zone_plate' | 'zernike' | 'diffuser' | 'file';
  /** Full width at half maximum (structured, gaussian) or diameter of the lit disc (zone_plate, zernike, diffuser); null: a third of N, behind a diffuser three quarters. Unit: px. */
  readonly probe_diameter_px: number | null;
  /** Curvature of the structured and the Gaussian probe: phase at half maximum minus that at the centre. Curved probes tell the object from its twin. Unit: rad. Default: 1.2. */
  readonly probe_curvature_rad: number;
  /** Coma of the structured and the Gaussian probe at half maximum; it breaks the symmetry that a curved phase alone leaves. Unit: rad. Default: 0. */
  readonly probe_coma_rad: number;
  /** Direction of the coma, from +x to +y. Unit: rad. Default: 0. */
  readonly probe_coma_angle_rad: number;
  /** Powers of incoherent, mutually orthogonal modes, such as 0.7,0.2,0.1 (partial coherence); null: one mode. */
  readonly probe_mode_powers: number[] | null;
  /** Zernike terms 4, 5, 6, … in the order of Noll (defocus, astigmatism ×2, coma ×2, …), rms over the disc, for zernike and zone_plate; null: drawn for zernike, none for zone_plate. Unit: rad. */
  readonly aberrations_rad: number[] | null;
  /** Rms of drawn aberrations, or of the phase of a diffuser. Unit: rad. Default: 1. */
  readonly aberration_rms_rad: number;
  /** Grain of the diffuser: standard deviation of what its noise is blurred by. Unit: px. Default: 3. */
  readonly diffuser_grain_px: number;
  /** Width of the outermost zone of the zone plate, about the size of its focus; null: three object pixels. Unit: m. */
  readonly outer_zone_m: number | null;
  /** Diameter of the zone plate's central stop as a share of its own. Default: 0.35. */
  readonly zone_plate_stop: number;
  /** Distance of the sample behind the focus of the zone plate; null: what makes the lit disc probe_diameter_px wide. Unit: m. */
  readonly defocus_m: number | null;
  /** Probe from FILE or FILE:key (NPZ, NPY, HDF5; modes first); null: from input_file. */
  readonly probe_file: string | null;
  /** Photon energy, for lengths in metres; recorded in the file; null: none. Unit: eV. */
  readonly energy_eV: number | null;
  /** Side of an object pixel, for lengths in metres; recorded in the file; null: everything is in pixels. Unit: m. */
  readonly object_pixel_m: number | null;
  /** Where it is scanned: a raster with random shifts (a plain one leaves a lattice in the image), a Fermat spiral, rings, random positions, or those of a file. Default: "jittered_raster". */
  readonly scan: 'jittered_raster' | 'fermat_spiral' | 'concentric' | 'random' | 'file';
  /** Mean distance between neighbouring positions; a third of the probe diameter overlaps well; null: a twelfth of N. Unit: px. */
  readonly step_px: number | null;
  /** About this many positions on each object (exactly so for random ones), in place of step_px; null: as step_px gives. Unit: patterns. */
  readonly n_patterns: number | null;
  /** Largest shift of a raster position along each axis, in steps. Default: 0.3. */
  readonly jitter: number;
  /** Positions keep this distance from the edges of the object; null: N/2 + 1, so that patterns see nothing beyond it. Unit: px. */
  readonly buffer_px: number | null;
  /** Standard deviation, along each axis, of the true positions around the recorded ones; the truth is kept as xcoords_true and ycoords_true. Unit: px. Default: 0. */
  readonly position_error_px: number;
  /** Way of the sample during each exposure, y and x, such as 0,6: a fly scan, whose patterns are means over it. Positions are the middles; the file also says where exposures start and end; null: it stands still. Unit: px. */
  readonly fly_way_px: [number, number] | null;
  /** Positions from FILE or FILE:key (.csv holds y,x in metres, .txt x y, else NPY, NPZ or HDF5); moved to the middle of the object where they do not lie on it; null: none. */
  readonly positions_file: string | null;
  /** Unit of positions_file: object pixels or metres; null: as the file says. */
  readonly positions_unit: ('px' | 'm') | null;
  /** Mean photons per pattern, before beam stop and detector. Unit: photons. Default: 1000000. */
  readonly photons: number;
  /** Draw Poisson counts; false: expected values, without read-out noise. Default: true. */
  readonly noise: boolean;
  /** Electrons per photon in a pixel. Unit: electrons. Default: 1. */
  readonly electrons_per_photon: number;
  /** Gaussian read-out noise, rms; 0: a photon-counting detector. Unit: electrons. Default: 0. */
  readonly readout_noise_e: number;
  /** Electrons that a pixel holds; brighter ones are clipped (saturation); null: no limit. Unit: electrons. */
  readonly full_well_e: number | null;
  /** Pixels at random places that always read 0. Unit: pixels. Default: 0. */
  readonly dead_pixels: number;
  /** Pixels at random places that always read the full well, or 65535 counts without one. Unit: pixels. Default: 0. */
  readonly hot_pixels: number;
  /** Diameter of a disc around the zero frequency where no light arrives; 0: none. Unit: px. Default: 0. */
  readonly beamstop_diameter_px: number;
  /** More unusable pixels (true = bad, such as the gaps between modules) from FILE or FILE:key; null: none. */
  readonly detector_mask: string | null;
  /** Write all these as bad_pixels, which training leaves out; false: leave them in the patterns undeclared, to see what that does. Default: true. */
  readonly declare_bad_pixels: boolean;
  /** Distance from sample to a near detector, whose patterns are images (near fields); needs energy_eV and object_pixel_m; null: the detector is far away. Unit: m. */
  readonly propagation_distance_m: number | null;
  /** In a cone beam, distance from its source or focus to the sample; object_pixel_m is then that of the magnified detector; null: a parallel beam. Unit: m. */
  readonly source_distance_m: number | null;
  /** Governs every random number; the same seed gives the same bytes. Default: 0. */
  readonly seed: number;
  /** Seed for the object alone: keep it and change seed for another scan of the same object; null: from seed. */
  readonly object_seed: number | null;
  /** Seed for the drawn aberrations of the probe alone; null: from seed. */
  readonly probe_seed: number | null;
  /** Seed for the positions and their errors alone; null: from seed. */
  readonly scan_seed: number | null;
  /** Seed for the places of dead and hot pixels alone (one detector for several scans); null: from seed. */
  readonly detector_seed: number | null;
  /** Seed for photon and read-out noise alone; null: from seed. */
  readonly noise_seed: number | null;
  /** Send the frames of the scan as a detector does, to whoever connects to this address: tcp://127.0.0.1:9999; null: no. */
  readonly publish: string | null;
  /** Frames a second that are sent. Unit: Hz. Default: 100. */
  readonly publish_hz: number;
  /** How they are packed; of a simulation, in valid blocks that are not smaller. Default: "bslz4". */
  readonly publish_encoding: 'none' | 'lz4' | 'bslz4';
}

/** The configuration of `demo`. */
export interface DemoConfig {
  /** Folder for the pictures, the report and the trained bundle; created if missing. Default: "demo-output". */
  readonly output_dir: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Passes over the training groups; null: as many as the demo needs. Unit: epochs. */
  readonly nepochs: number | null;
  /** A group is gridsize × gridsize neighbouring patterns, the channels of the network. Default: 1. */
  readonly gridsize: number;
  /** Seed for the scan, the object and the training. Default: 0. */
  readonly seed: number;
  /** The machine. */
  readonly execution: DeviceConfig;
}

/** The configuration of `evaluate`. */
export interface EvaluationConfig {
  /** Image to score: reconstruction.npz, a product of Ptychodus, or FILE:key of an NPZ, NPY or HDF5 file. */
  readonly reconstruction: string | null;
  /** The true image: a file of the same kinds, or a simulated scan; null: the objectGuess of the test data. */
  readonly truth: string | null;
  /** Scan from which the image was made: its positions bound the pixels that count, its counts give the scan image as a floor and the R-factor. */
  readonly test_data_file: string | null;
  /** Folder for metrics.json, metrics.csv, frc.png and index.html; created if missing; null: nothing is written. */
  readonly output_dir: string | null;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Find a shift between image and truth and remove it. Default: true. */
  readonly register: boolean;
  /** For images that do not say where they lie and cannot be registered: the margin around the scan is half of this, as published. Unit: px. Default: 20. */
  readonly stitch_crop_size: number;
  /** What the reference metrics remove from the phases: a least-squares plane, or the mean. Default: "plane". */
  readonly phase_align_method: 'plane' | 'mean';
  /** Smoothing of the reference FRC curves. Unit: rings. Default: 0. */
  readonly frc_sigma: number;
  /** Smoothing of amplitudes before the reference MS-SSIM. Unit: px. Default: 1. */
  readonly ms_ssim_sigma: number;
  /** Measure the amplitude R-factor on up to this many patterns of the test data; 0: do not measure it. Unit: patterns. Default: 64. */
  readonly r_factor_patterns: number;
  /** Exit with code 3 if the image explains the patterns no better than a constant object (by the R-factor, where it is measured). Default: false. */
  readonly strict: boolean;
  /** Without a truth: reconstruct two halves of the patterns separately, and correlate the two images. Default: false. */
  readonly halves: boolean;
  /** Trained bundle that reconstructs the halves. */
  readonly model_path: string | null;
  /** Number of nearest neighbours from which the members of a group are drawn. Default: 4. */
  readonly neighbor_count: number;
  /** Seed for the grouping. Default: 0. */
  readonly seed: number;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** What runs the network: onnx (ONNX Runtime) or tensorflow (TensorFlow.js). Default: "onnx". */
  readonly backend: 'onnx' | 'tensorflow';
  /** How the scan is opened. */
  readonly data: DataConfig;
  /** The machine. */
  readonly execution: ExecutionConfig;
}

/** The configuration of `calibrate`. */
export interface CalibrationConfig {
  /** Trained bundle or ensemble: wts.zip, or the output folder of train. */
  readonly model_path: string;
  /** A scan with a known object (objectGuess) to calibrate on, which the model was not trained on; may be repeated, and further ones may be named without the flag. Default: []. */
  readonly calibration_data: string[];
  /** Another scan with a known object, on which the coverage of the calibrated intervals is measured; may be repeated. Default: []. */
  readonly test_data: string[];
  /** Folder for calibration.json and coverage.csv; null: the folder of the model, where infer finds it. */
  readonly output_dir: string | null;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Groups per prediction. Unit: groups. Default: 32. */
  readonly batch_size: number;
  /** Side of the central square of each patch that is stitched (M, at most N); null: chosen from the scan. Unit: px. */
  readonly stitch_crop_px: number | null;
  /** How overlapping patches share a pixel: by the intensity of the probe there, or evenly. Default: "probe". */
  readonly patch_weighting: 'probe' | 'uniform';
  /** How patches are placed: shifted by interpolation into the frame of the image, or spread over the four nearest pixels; both are published. Default: "shift-and-sum". */
  readonly stitching: 'shift-and-sum' | 'barycentric';
  /** Before stitching, rotate the phase of every patch to agree with its neighbours: a pattern does not determine the global phase of its patch. Default: true. */
  readonly align_phases: boolean;
  /** Fit the slow part of every patch to its own pattern: amplitude and phase are multiplied by polynomials of this degree, by one step of least squares, for networks that have learned little (4); 0: patches stay as the network painted them. Default: 0. */
  readonly patch_fit: number;
  /** How often patches are laid down: from the second round on, what they differ by from the image so far, which interpolation has blurred. Two or three are enough. Unit: rounds. Default: 1. */
  readonly stitching_rounds: number;
  /** Number of nearest neighbours from which the members of a group are drawn. Default: 4. */
  readonly neighbor_count: number;
  /** Seed for the grouping. Default: 0. */
  readonly seed: number;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** What runs the network: onnx (ONNX Runtime) or tensorflow (TensorFlow.js). Default: "onnx". */
  readonly backend: 'onnx' | 'tensorflow';
  /** How the scan is opened. */
  readonly data: DataConfig;
  /** The machine. */
  readonly execution: ExecutionConfig;
}

/** The configuration of `compare`. */
export interface ComparisonConfig {
  /** Bundle of the model PtychoPINN: wts.zip, or the folder that holds it. */
  readonly pinn_dir: string | null;
  /** Bundle of the model Baseline (usually a supervised one). */
  readonly baseline_dir: string | null;
  /** Another bundle, NAME=PATH; may be repeated. Default: []. */
  readonly models: string[];
  /** A finished reconstruction, FILE or NAME=FILE: an NPZ with a complex reconstructed_object; may be repeated. Default: []. */
  readonly arms: string[];
  /** One more finished reconstruction, named after the algorithm that its file states: Tike or PtyChi. */
  readonly tike_recon_path: string | null;
  /** Scan on which all are compared. */
  readonly test_data_file: string;
  /** The true image: FILE or FILE:key, of the kinds that evaluate takes; null: the objectGuess of the test data. */
  readonly truth: string | null;
  /** Folder for the comparison; created if missing. */
  readonly output_dir: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Instead of images, compare what two bundles predict for the same patterns, patch by patch. Default: false. */
  readonly forward: boolean;
  /** Groups to reconstruct from; null or all: one for each pattern. Unit: groups. */
  readonly n_test_groups: (number | 'all') | null;
  /** Patterns kept before grouping, drawn at random, the same for all; null: all. Unit: patterns. */
  readonly n_test_subsample: number | null;
  /** Seed for drawing patterns and groups, NumPy-compatible; null: 0. */
  readonly test_subsample_seed: number | null;
  /** Number of nearest neighbours from which the members of a group are drawn. Default: 7. */
  readonly neighbor_count: number;
  /** Allow more groups than patterns, made from combinations of neighbours (gridsize above 1). Default: false. */
  readonly enable_oversampling: boolean;
  /** Number of neighbours to combine when oversampling, at least gridsize²; null: neighbor_count. */
  readonly neighbor_pool_size: number | null;
  /** Side M of the central square of each patch that is stitched, at most N; the margin compared around the scan is half of it. Unit: px. Default: 20. */
  readonly stitch_crop_size: number;
  /** How overlapping patches share a pixel: by the intensity of the probe there, or evenly. Default: "probe". */
  readonly patch_weighting: 'probe' | 'uniform';
  /** How patches are placed: shifted by interpolation into the frame of the image, or spread over the four nearest pixels; both are published. Default: "shift-and-sum". */
  readonly stitching: 'shift-and-sum' | 'barycentric';
  /** Before stitching, rotate the phase of every patch to agree with its neighbours: a pattern does not determine the global phase of its patch. Default: true. */
  readonly align_phases: boolean;
  /** Compare on the rectangle of all scan positions in the file, not only of the drawn ones. Default: false. */
  readonly fixed_canvas: boolean;
  /** Groups per prediction. Unit: groups. Default: 32. */
  readonly batch_size: number;
  /** The same for PtychoPINN; null: batch_size. Unit: groups. */
  readonly pinn_predict_batch_size: number | null;
  /** The same for Baseline; null: batch_size. Unit: groups. */
  readonly baseline_predict_batch_size: number | null;
  /** At most this many groups of PtychoPINN in memory; null: two batches. Groups always stream, so this only makes batches smaller. Unit: groups. */
  readonly pinn_chunk_size: number | null;
  /** The same for Baseline; null: two batches. Unit: groups. */
  readonly baseline_chunk_size: number | null;
  /** Also write groups, first patches and canvas of Baseline to this folder; null: nowhere. */
  readonly baseline_debug_dir: string | null;
  /** Reconstruct Baseline from this many groups only, for debugging (the comparison says so); null: from all. Unit: groups. */
  readonly baseline_debug_limit: number | null;
  /** Compare images where they lie, without looking for shifts. Default: false. */
  readonly skip_registration: boolean;
  /** Look for shifts of finished reconstructions only; images made from bundles are stitched in the pixels of the truth anyway. Default: false. */
  readonly register_ptychi_only: boolean;
  /** What the reference metrics remove from the phases: a least-squares plane, or the mean. Default: "plane". */
  readonly phase_align_method: 'plane' | 'mean';
  /** Smoothing of the reference FRC curves. Unit: rings. Default: 0. */
  readonly frc_sigma: number;
  /** Smoothing of amplitudes before the reference MS-SSIM. Unit: px. Default: 1. */
  readonly ms_ssim_sigma: number;
  /** Measure the amplitude R-factor of images on up to this many patterns; 0: do not measure it. Unit: patterns. Default: 64. */
  readonly r_factor_patterns: number;
  /** Write reconstructions.npz: the images as they are. Default: true. */
  readonly save_npz: boolean;
  /** Write reconstructions_aligned.npz: the images as they are compared. Default: true. */
  readonly save_npz_aligned: boolean;
  /** Write pictures from before and after registration to debug_images. Default: false. */
  readonly save_debug_images: boolean;
  /** Percentile at the low end of the colour scale. Default: 10. */
  readonly p_min: number;
  /** Percentile at the high end of the colour scale. Default: 90. */
  readonly p_max: number;
  /** Phase of PtychoPINN at the low end; null: by p_min. Unit: rad. */
  readonly pinn_phase_vmin: number | null;
  /** Phase of PtychoPINN at the high end; null: by p_max. Unit: rad. */
  readonly pinn_phase_vmax: number | null;
  /** Phase of Baseline at the low end; null: by p_min. Unit: rad. */
  readonly baseline_phase_vmin: number | null;
  /** Phase of Baseline at the high end; null: by p_max. Unit: rad. */
  readonly baseline_phase_vmax: number | null;
  /** Print more about the run to the terminal. Default: false. */
  readonly debug: boolean;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** What runs the network: onnx (ONNX Runtime) or tensorflow (TensorFlow.js). Default: "onnx". */
  readonly backend: 'onnx' | 'tensorflow';
  /** How the scan is opened. */
  readonly data: DataConfig;
  /** The machine. */
  readonly execution: ExecutionConfig;
}

/** The configuration of `overlap`. */
export interface OverlapConfig {
  /** Groups are gridsize × gridsize patterns: 1 or 2. */
  readonly gridsize: number;
  /** Share of the images to keep, drawn at random. */
  readonly s_img: number;
  /** Number of groups drawn from them. Unit: groups. */
  readonly n_groups: number;
  /** Number of nearest neighbours with which an image is compared. Default: 6. */
  readonly neighbor_count: number;
  /** Diameter of the lit disc; null: the full width at half maximum of the scan's probe, 0.6 N without one. Unit: px. */
  readonly probe_diameter_px: number | null;
  /** Seed for drawing images and groups, NumPy-compatible; null: 0. */
  readonly rng_seed_subsample: number | null;
  /** Folder for train_metrics.json, test_metrics.json and metrics_bundle.json (metrics.json for a single scan); null: printed only. */
  readonly output_dir: string | null;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** How the scan is opened. */
  readonly data: DataConfig;
}

/** The configuration of `inspect`. */
export interface InspectConfig {
  /** PNG file for a map of the scan: positions coloured by counts, with the outlines of probe and object; null: none. */
  readonly map: string | null;
  /** Folder for map.png and index.html, a page of all that was found; created if missing; null: none. */
  readonly output_dir: string | null;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** How the scan is opened. */
  readonly data: DataConfig;
}

/** The configuration of `convert`. */
export interface ConvertConfig {
  /** NPZ file to write. */
  readonly output_file: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Compress the arrays: the file is smaller, but its patterns cannot be read one by one. Default: false. */
  readonly compress: boolean;
  /** Number of patterns to keep, drawn at random; null: all. Unit: patterns. */
  readonly n_subsample: number | null;
  /** Seed for that draw, NumPy-compatible; null: 0. */
  readonly subsample_seed: number | null;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** How the scan is opened. */
  readonly data: DataConfig;
}

/** The configuration of `split`. */
export interface SplitConfig {
  /** Folder for the two NPZ files, NAME_train.npz and NAME_test.npz; created if missing. */
  readonly output_dir: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Where the cut is, as a fraction of the range of the coordinates; positions before it are for training. Default: 0.8. */
  readonly fraction: number;
  /** Coordinate along which the scan is cut. Default: "y". */
  readonly axis: 'x' | 'y';
  /** Leave out positions closer to the cut than half of this, so that no place is illuminated in both parts. Unit: px. Default: 0. */
  readonly gap_px: number;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** How the scan is opened. */
  readonly data: DataConfig;
}

/** The configuration of `orient`. */
export interface OrientConfig {
  /** PNG file for the reconstructions in all eight orientations, best first; null: none. */
  readonly picture: string | null;
  /** Folder for orientations.png, orientation.json and index.html, a page that shows them; created if missing; null: none. */
  readonly output_dir: string | null;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** How the scan is opened. */
  readonly data: DataConfig;
}

/** The configuration of `label`. */
export interface LabelConfig {
  /** NPZ with the reconstruction of this scan: reconstructed_object, and frame_origin_yx_px where it has one. */
  readonly reconstruction: string;
  /** NPZ file to write: the scan with "label". */
  readonly output_file: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
}

/** The configuration of `export`. */
export interface ExportConfig {
  /** Folder for the files; created if missing. Default: "exported". */
  readonly output_dir: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Write amplitude.tif and phase.tif (float32, a page for each image) and export.json. Default: false. */
  readonly tiff: boolean;
  /** Write NAME.cxi (HDF5) for each image: complex object, probe, positions, pixel size, energy. Default: false. */
  readonly cxi: boolean;
  /** TIFF: all images on common pixels as pages of one file; without it each has its own, NAME_amplitude.tif and NAME_phase.tif. Default: true. */
  readonly stack: boolean;
  /** How a page finds the one before: by registration (both must show nearly the same), or where its file says it lies. Default: "register". */
  readonly align: 'register' | 'frames';
  /** Which pixels: the rectangle around what all images cover (what is not covered is NaN), the largest rectangle without a gap, or all that they have. Default: "box". */
  readonly crop: 'box' | 'inner' | 'none';
  /** Continue the phase beyond ±π; without it the phase is wrapped. Default: true. */
  readonly unwrap: boolean;
  /** Take the plane of least squares off the phase, which a measurement leaves open. Default: true. */
  readonly remove_ramp: boolean;
  /** Width of strips at the left and the right that hold nothing but air: ramp and offset of the phase are taken from them, and the amplitude is 1 there; null: from the whole image. Unit: px. */
  readonly air_px: number | null;
}

/** The configuration of `product export`. */
export interface ProductExportConfig {
  /** Product to write: HDF5 (.h5, .hdf5) or NPZ (.npz). */
  readonly output_file: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Scan from which the image in an output folder was made; null: the one that its run.json names. */
  readonly test_data_file: string | null;
  /** Put the patterns into the product, too (HDF5 only). Default: false. */
  readonly raw_data: boolean;
  /** Write the patterns beside the product, as diffraction.h5: the two files are what Ptychodus opens, and what its batch mode is given. Default: false. */
  readonly patterns: boolean;
  /** Name of the product; null: the source's. */
  readonly name: string | null;
  /** Comments; null: the source's. */
  readonly comments: string | null;
  /** Exposure time per pattern; null: the source's, else 0. Unit: s. */
  readonly exposure_time_s: number | null;
  /** Probe photons per pattern; null: the source's, else 0. Unit: photons. */
  readonly probe_photon_count: number | null;
  /** Mass attenuation of the object; null: the source's, else 0. Unit: m²/kg. */
  readonly mass_attenuation_m2_kg: number | null;
  /** Angle of the object; null: the source's, else 0. Unit: °. */
  readonly tomography_angle_deg: number | null;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** How the scan is opened. */
  readonly data: DataConfig;
}

/** The configuration of `product import`. */
export interface ProductImportConfig {
  /** NPZ file to write. */
  readonly output_file: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** The patterns that belong to the product (Ptychodus' diffraction.h5, or an NPZ, NPY or HDF5 file of patterns); null: those inside the product, if it has any. */
  readonly diffraction: string | null;
  /** Where a patch lies on the object of the product. Ptychodus, and everything here: its pixel N/2 is at the position. Pty-Chi: its middle, half a pixel before pixel N/2, is, so that objects which it reconstructed are half a pixel off; with pty-chi that is put right. Default: "ptychodus". */
  readonly object_convention: 'ptychodus' | 'pty-chi';
  /** Compress the arrays: the file is smaller, but its patterns cannot be read one by one. Default: false. */
  readonly compress: boolean;
  /** Import a product of ptychopinn that was changed after it was written; without it that is an error. Default: false. */
  readonly accept_changes: boolean;
  /** Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none. */
  readonly probe: string | null;
  /** What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed). */
  readonly measurement_domain: ('normalized_amplitude' | 'count_amplitude' | 'count_intensity') | null;
  /** How the scan is opened. */
  readonly data: DataConfig;
}

/** The configuration of `bundle extract`. */
export interface ExtractConfig {
  /** Folder for the members; created if missing. */
  readonly output_dir: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
}

/** The configuration of `bundle export`. */
export interface ExportWeightsConfig {
  /** NPZ file to write. */
  readonly output_file: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Names and axes of the published PyTorch networks (cnn_cbam and those with spectral layers), or of the Keras network (cnn here). Default: "torch-npz". */
  readonly format: 'torch-npz' | 'keras';
}

/** The configuration of `bundle import`. */
export interface ImportConfig {
  /** Folder for wts.zip; created if missing. */
  readonly output_dir: string;
  /** Replace existing files; without it the command refuses to start where one of its files exists. Default: false. */
  readonly overwrite: boolean;
  /** Probe of the forward model, FILE or FILE:key; null: the one stored with the weights. Predicting the object does not need it. */
  readonly probe: string | null;
  /** What --probe holds: a probe as scan files have it, to be divided by probe_scale · mean|P| as the published tools do, or (none) one that already is. Default: "published". */
  readonly probe_normalization: 'published' | 'none';
  /** The factor probe_scale; null: as the file says, else 4. */
  readonly probe_scale: number | null;
  /** √counts per unit of normalised amplitude; null: as the file says, else √nphotons/(N/2). */
  readonly intensity_scale: number | null;
  /** Photons per pattern; null: as the file says, else 1e9. Unit: photons. */
  readonly nphotons: number | null;
  /** What the numbers in the training file were. Default: "normalized_amplitude". */
  readonly measurement_domain: 'normalized_amplitude' | 'count_amplitude' | 'count_intensity';
  /** How the model was trained; null: as the file says, else pinn. */
  readonly model_type: ('pinn' | 'supervised') | null;
  /** Activation of the amplitude head; null: as the file says, else that of the published tool (PyTorch swish, TensorFlow sigmoid). */
  readonly amp_activation: ('sigmoid' | 'swish' | 'softplus' | 'relu') | null;
  /** Activation of the border branch; the published networks have swish. Default: "swish". */
  readonly border_activation: 'same' | 'swish';
  /** What the two decoders output; null: as the file says, else amp_phase. */
  readonly cnn_output_mode: ('amp_phase' | 'real_imag') | null;
  /** How patches are multiplied by the probe; null: as the file says, else amplitude. */
  readonly physics_forward_mode: ('amplitude' | 'rectangular_scaled') | null;
  /** Whether the border branch is used; null: as the file says, else if there is one. */
  readonly probe_big: boolean | null;
  /** Whether the centre is padded; null: as the shapes say. */
  readonly pad_object: boolean | null;
  /** Whether the probe is cut to a disk; null: as the file says, else false. */
  readonly probe_mask: boolean | null;
  /** Blur of the illuminated field; null: as the file says, else 0. Unit: px. */
  readonly gaussian_smoothing_sigma: number | null;
  /** Ignore weights that have no place in the network, and list them; without it they are an error. Default: false. */
  readonly ignore_unmapped: boolean;
}
