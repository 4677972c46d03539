/**
 * `ptychopinn/web/session`: the small part of `ptychopinn/web` that a page itself needs: a session, in which a thread does the work, and
 * pictures of what it shows. See docs/web.md.
 *
 * @example
 * import { connect, renderPhase } from 'ptychopinn/web/session';
 * const session = connect(new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }));
 * const { scan } = await session.openScan(await session.addFile(file)).done;
 * const { image, coverage } = await session.solve(scan, { options: { epochs: 40 } }).done;
 * const { data, width, height } = renderPhase(image, { mask: coverage.data });
 *
 * @module web/session
 */
export { isPtychoError, PtychoError, type PtychoErrorCode } from '../core/errors.js';
export type { ProgressEvent } from '../core/log.js';
export type { ComplexImage, ComplexTensor, Tensor } from '../core/tensor.js';
export { formatBytes } from '../core/words.js';
export { unwrapPhase } from '../physics/unwrap.js';
export { type Colormap, colourAt, GRAY, HUES, TWILIGHT, VIRIDIS } from '../report/colormaps.js';
export { displayPhase } from '../report/displayPhase.js';
export {
  maskedRegion,
  type Picture,
  type PixelRegion,
  type RenderOptions,
  renderAmplitude,
  renderComplex,
  renderPhase,
  renderValues,
} from '../report/image.js';
export { encodePng } from '../report/png.js';
export { connect, type PageRun, PageSession, type Watch } from '../web/session/client.js';
export type * from '../web/session/views.js';
