/**
 * Rows of any even length, at least 4, four floats at a time, in one strip or two: whole vectors from the left, and where the length is
 * no multiple of 4 the last vector, which begins two floats earlier. What is computed from other planes is then written twice; what is
 * added up counts in the {@link fresh} lanes only. The inner loop knows nothing of it.
 */

/** The last strip: 0, or 1 where vectors do not fill a row of so many bytes. */
// @ts-expect-error: decorator
@inline
export function lastStrip(bytes: usize): i32 {
  return <i32>((bytes >> 3) & 1);
}

/** Where a strip begins. */
// @ts-expect-error: decorator
@inline
export function from(strip: i32, bytes: usize): usize {
  return strip ? bytes - 16 : 0;
}

/** Where it ends. */
// @ts-expect-error: decorator
@inline
export function to(strip: i32, bytes: usize): usize {
  return strip ? bytes : bytes & ~15;
}

/** All bits of the lanes that no strip before had. */
// @ts-expect-error: decorator
@inline
export function fresh(strip: i32): v128 {
  return strip ? i32x4(0, 0, -1, -1) : i32x4.splat(-1);
}
