/**
 * `ptychopinn/web/networks`: what of `ptychopinn/web` needs an engine: models are opened, run and trained on onnxruntime-web. See docs/web.md.
 *
 * @example
 * import { files } from 'ptychopinn/web';
 * import { engineFiles, PtychoModel, reconstruct } from 'ptychopinn/web/networks';
 * engineFiles('/ort/');
 * const model = await PtychoModel.open(files.add(bundle));
 * const { stitched } = await reconstruct(model, files.add(scan));
 *
 * @module web/networks
 */
export { engineFiles } from '../backends/ort-web/backend.js';
export { reconstructStream } from '../reconstruction/pipeline.js';
export { PtychoModel } from '../reconstruction/ptychoModel.js';
export { train } from '../training/train.js';
export { reconstruct } from '../workflows/reconstruct.js';
