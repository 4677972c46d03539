/**
 * `ptychopinn/simulation`: objects, probes, positions, detectors, and the scans they make.
 *
 * @module simulation
 */
export { type DetectorOptions, makeDefects } from '../simulation/detector.js';
export { imageObject, makeObject } from '../simulation/objects.js';
export { incoherentModes, makeProbe } from '../simulation/probes.js';
export { type SimulationRecipe, simulate } from '../simulation/recipe.js';
export { makeScan, withPositionErrors } from '../simulation/scans.js';
export { rawDataFromSimulation, type SimulatedScan, simulateScan } from '../simulation/simulateScan.js';
