/** What goes into programs and comes out of them: patches of the object, planes of the probe, kernels of shifts. */
type Floats = Float32Array<ArrayBufferLike>;

/**
 * The kernel of a shift by `distance` pixels in Fourier space, t(j) = Σ_k e^{2πik(j − distance)/N}/N with the Nyquist frequency's real
 * part, as the host engine has it: sin πx/(N tan(πx/N)), for odd N sin πx/(N sin(πx/N)), with x = j − distance.
 */
export function writeShiftKernel(distance: number, out: Float32Array): void {
  const N = out.length;
  const below = N % 2 === 0 ? Math.tan : Math.sin;
  for (let j = 0; j < N; j++) {
    const x = j - distance;
    const divisor = N * below((Math.PI * x) / N);
    out[j] = Math.abs(divisor) < 1e-12 ? 1 : Math.sin(Math.PI * x) / divisor;
  }
}

/** Copies the `side`×`side` patch that begins at element `at` of a plane with rows of `width`. */
export function gatherPatch(plane: Floats, at: number, width: number, side: number, out: Float32Array): void {
  for (let r = 0; r < side; r++) out.set(plane.subarray(at + r * width, at + r * width + side), r * side);
}

/** Adds a patch. */
export function scatterPatch(patch: Float32Array, plane: Floats, at: number, width: number, side: number): void {
  for (let r = 0, i = 0; r < side; r++) {
    const row = at + r * width;
    for (let c = 0; c < side; c++, i++) plane[row + c] += patch[i];
  }
}

/** (modes, N, N) planes as programs take the probe: [N, modes, N], both indices turned round. */
export function turnedPlanes(plane: Floats, N: number, modes: number): Float32Array {
  const out = new Float32Array(plane.length);
  eachTurned(N, modes, (ours, theirs) => {
    out[theirs] = plane[ours];
  });
  return out;
}

/** Adds what {@link turnedPlanes} would give. */
export function addTurnedPlanes(turned: Float32Array, plane: Floats, N: number, modes: number): void {
  eachTurned(N, modes, (ours, theirs) => {
    plane[ours] += turned[theirs];
  });
}

function eachTurned(N: number, modes: number, visit: (ours: number, theirs: number) => void): void {
  for (let m = 0; m < modes; m++) {
    for (let r = 0; r < N; r++) {
      const [ours, theirs] = [(m * N + r) * N, (((N - r) % N) * modes + m) * N];
      for (let c = 0; c < N; c++) visit(ours + c, theirs + ((N - c) % N));
    }
  }
}

/** Waves of a pattern as they are stored, (modes, 2, N, N), from or to pairs of [N, modes, N]. */
export function loadWaves(stored: Floats, N: number, modes: number, re: Float32Array, im: Float32Array): void {
  eachRow(N, modes, (ours, theirs, imaginary) => {
    (imaginary ? im : re).set(stored.subarray(ours, ours + N), theirs);
  });
}

/** The way back. */
export function storeWaves(re: Float32Array, im: Float32Array, N: number, modes: number, stored: Floats): void {
  eachRow(N, modes, (ours, theirs, imaginary) => {
    stored.set((imaginary ? im : re).subarray(theirs, theirs + N), ours);
  });
}

function eachRow(N: number, modes: number, visit: (ours: number, theirs: number, imaginary: boolean) => void): void {
  for (let m = 0; m < modes; m++) {
    for (const part of [0, 1]) {
      for (let r = 0; r < N; r++) visit(((2 * m + part) * N + r) * N, (r * modes + m) * N, part === 1);
    }
  }
}
