/** Results of a session as files. */
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { writeNpz } from '../../formats/npz.js';
import { writeAtomically } from '../../formats/outputFiles.js';
import { makeFolder } from '../../formats/replaceFile.js';
import { scanAsProduct } from '../../persistence/product/geometry.js';
import { lossesOf, metadataOf } from '../../persistence/product/scans.js';
import { writeProductFile } from '../../persistence/product/writeProduct.js';
import { imagePanels } from '../../reconstruction/pictures.js';
import { reconstructionArrays } from '../../reconstruction/reconstructionFile.js';
import { figure } from '../../report/figure.js';
import { drawSvg } from '../../report/renderer.js';
import { writeSolvedArrays, writeSolvedProduct } from '../../solvers/files/write.js';
import { exportWorkflow } from '../../workflows/export.js';
import type { Result } from './results.js';
import type { SaveFormat } from './views.js';

/**
 * Writes a result to a folder, which is made if missing.
 * @returns the paths of the files
 * @throws PtychoError OUTPUT_UNWRITABLE, USAGE for a product of an image that belongs to no scan
 */
export async function saveResult(
  result: Result,
  format: SaveFormat,
  folder: string,
  logger: Logger,
): Promise<readonly string[]> {
  await makeFolder(folder);
  const at = (name: string) => `${folder}/${name}`;
  switch (format) {
    case 'npz':
      await writeArrays(result, folder);
      return [at('reconstruction.npz')];
    case 'product':
      await writeProduct(result, at('product.h5'), logger);
      return [at('product.h5')];
    case 'svg':
      return writePictures(result, at);
    case 'tiff':
    case 'cxi': {
      await writeArrays(result, folder);
      const wanted = { tiff: format === 'tiff', cxi: format === 'cxi', output_dir: folder, overwrite: true };
      const { files } = await exportWorkflow([at('reconstruction.npz')], wanted, { logger });
      return files.map((name) => (name.startsWith(`${folder}/`) ? name : at(name)));
    }
  }
}

async function writePictures(result: Result, at: (name: string) => string): Promise<string[]> {
  const panels = imagePanels({ ...result, weight: result.coverage }, { pixelSize_m: result.pixel_m?.x });
  const paths: string[] = [];
  for (const [name, panel] of Object.entries(panels)) {
    if (panel === undefined) continue;
    paths.push(at(`${name}.svg`));
    await writeAtomically(at(`${name}.svg`), await drawSvg(figure([panel])));
  }
  return paths;
}

async function writeArrays({ solved, inferred, image, frame, coverage, title }: Result, folder: string): Promise<void> {
  if (solved) {
    const { result, raw, algorithm, moved } = solved;
    await writeSolvedArrays(folder, result, { algorithm, raw, moved, seconds: result.seconds });
    return;
  }
  const { geometry, sampleIndices } = inferred?.raw ?? {};
  const arrays = reconstructionArrays(
    { image, frame, overlapCount: coverage, weight: coverage },
    { algorithm: title, geometry, sampleIndices },
  );
  await writeNpz(`${folder}/reconstruction.npz`, arrays);
}

async function writeProduct(result: Result, file: string, logger: Logger): Promise<void> {
  const { solved, inferred, image, frame, probe, title } = result;
  if (solved) {
    await writeSolvedProduct(file, solved.result, solved.raw, logger);
    return;
  }
  if (!inferred || !probe) {
    throw new PtychoError('USAGE', `A product holds positions and probe, and ${title} has none; save it as NPZ.`, {});
  }
  const { raw } = inferred;
  const placed = { image, originYxPx: frame.originYxPx };
  const parts = scanAsProduct(raw, probe, placed, (note) => logger.warn(note));
  await writeProductFile(file, { metadata: metadataOf({}, raw), ...parts, losses: lossesOf([]) });
}
