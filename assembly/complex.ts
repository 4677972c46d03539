/** Complex arithmetic on four numbers at a time, real and imaginary parts apart. */

/** Sums in float64, four at a time. */
// @ts-expect-error: decorator
@inline
export function sumOf(v: v128): f64 {
  return (
    <f64>f32x4.extract_lane(v, 0) +
    <f64>f32x4.extract_lane(v, 1) +
    <f64>f32x4.extract_lane(v, 2) +
    <f64>f32x4.extract_lane(v, 3)
  );
}

// @ts-expect-error: decorator
@inline
export function productRe(ar: v128, ai: v128, br: v128, bi: v128): v128 {
  return f32x4.sub(f32x4.mul(ar, br), f32x4.mul(ai, bi));
}

// @ts-expect-error: decorator
@inline
export function productIm(ar: v128, ai: v128, br: v128, bi: v128): v128 {
  return f32x4.add(f32x4.mul(ar, bi), f32x4.mul(ai, br));
}

/** Re(conj(a)·b), and below Im(conj(a)·b). */
// @ts-expect-error: decorator
@inline
export function againstRe(ar: v128, ai: v128, br: v128, bi: v128): v128 {
  return f32x4.add(f32x4.mul(ar, br), f32x4.mul(ai, bi));
}

// @ts-expect-error: decorator
@inline
export function againstIm(ar: v128, ai: v128, br: v128, bi: v128): v128 {
  return f32x4.sub(f32x4.mul(ar, bi), f32x4.mul(ai, br));
}
