/**
 * A program of one's own, in TypeScript: a scan is opened (or simulated), looked at, reconstructed by a network and by a solver, both images
 * are judged, and the better one is kept as files and as a Ptychodus product. `npm run test:pack` compiles it against the installed package.
 *
 *   npx tsc --outDir out --module nodenext --target es2022 program.ts && node out/program.js [SCAN]
 */
import {
  amplitudeRFactor,
  isPtychoError,
  openScan,
  type RawData,
  rawDataFromSimulation,
  reconstruct,
  runSolver,
  scoreAgainstTruth,
  simulate,
  train,
  writeReconstruction,
} from 'ptychopinn';
import { exportProduct } from 'ptychopinn/workflows';

/** A scan of the reader's, or a simulated one with a known object. */
async function scanToUse(file: string | undefined): Promise<RawData> {
  if (file !== undefined) return openScan(file, { crop_px: 64 });
  return rawDataFromSimulation(simulate({ preset: 'star', n_patterns: 100, seed: 7 }));
}

async function main(file?: string): Promise<void> {
  const scan = await scanToUse(file);
  console.log(`${scan.source}: ${scan.count} patterns of ${scan.N} × ${scan.N}`);

  const model = await train({ nepochs: 2, gridsize: 1, n_filters_scale: 1, threads: 2, seed: 1 }, scan, {
    onEpoch: ({ epoch, loss }) => console.log(`epoch ${epoch}: loss ${loss}`),
  });
  const network = await reconstruct(model, scan, { align_phases: true, batch_size: 16 });
  await model.save('run');
  await model.dispose();

  const solved = await runSolver(scan, { algorithm: 'rpie', epochs: 10 }, { start: { object: network.stitched } });

  const diffraction = { data: new Float32Array(scan.count * scan.N ** 2), shape: [scan.count, scan.N, scan.N] };
  await scan.patterns.readAmplitudes(
    Int32Array.from({ length: scan.count }, (_, k) => k),
    diffraction.data,
  );
  for (const [name, image] of [
    ['network', network.stitched],
    ['solver', solved],
  ] as const) {
    const measured = { diffraction, xs: scan.xcoords, ys: scan.ycoords, probe: solved.probe };
    const r = amplitudeRFactor(measured, image, { overlapCount: image.overlapCount });
    const truth = scan.objectGuess && scoreAgainstTruth(image, scan.objectGuess);
    console.log(`${name}: R ${r.toFixed(3)}, error ${truth?.relative_object_error.toFixed(3) ?? 'unknown'}`);
  }

  console.log(await writeReconstruction('image', solved, { algorithm: 'rPIE after a network' }));
  await exportProduct({ scan, result: solved }, { output_file: 'product.h5', overwrite: true });
  await scan.close();
}

main(process.argv[2]).catch((error: unknown) => {
  // Errors of the package are one sentence with a code.
  console.error(isPtychoError(error) ? `${error.code}: ${error.message}` : error);
  process.exitCode = 1;
});
