/** A small scan as the two files that Ptychodus opens. */
import path from 'node:path';
import { type ProductExportConfig, productExportConfigSchema } from '../../src/config/schemas/tools.js';
import { exportProduct } from '../../src/workflows/product.js';
import { writeTinyScan } from './tinyRun.js';

/** Writes `product-in.h5` and `diffraction.h5` into a folder. */
export async function stageTinyScan(folder: string): Promise<{ patterns: string; product: string }> {
  const scan = path.join(folder, 'scan.npz');
  await writeTinyScan(scan);
  const product = path.join(folder, 'product-in.h5');
  const config = productExportConfigSchema.parse({
    output_file: product,
    patterns: true,
    name: 'tiny',
    data: { object_pixel_m: 12.5e-9 },
  });
  await exportProduct(scan, config as ProductExportConfig);
  return { patterns: path.join(folder, 'diffraction.h5'), product };
}
