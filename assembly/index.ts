/** The inner loops of the iterative solvers, compiled to WebAssembly; `src/solvers/host/kernels.ts` calls them. */
export { backgroundTerms, innerProduct } from './background';
export { changeColumns, changeRows, shiftedField, spectrumColumns, waveRows } from './blocks';
export { curvature, jointChange, tripleProduct } from './curvature';
export { fft2 } from './fft';
export {
  addIllumination,
  addObject,
  addObjectIntensity,
  addShiftedBack,
  amplitudeChange,
  compare,
  dampChange,
  differenceStep,
  exitWave,
  fieldProducts,
  intensity,
  likelihoodChange,
  poissonChange,
  positionProducts,
  probeProduct,
  reflect,
  scaleBy,
  shift,
  stepProducts,
} from './fields';
export { addPlane, addScaled, blend, clear, copyPlane, divideByRoot, divideStep, largest } from './planes';
export { transfer, waveProducts } from './propagation';
