//! Dot products of rows of 64-bit integers, modulo 2^64; exact where the sums are.

/// The dot products of all rows of `a` with all rows of `b`, both of length `inner`; row-major.
pub(crate) fn dots(a: &[i64], b: &[i64], inner: usize) -> Vec<i64> {
    let inner = inner.max(1);
    let dot = |x: &[i64], y: &[i64]| x.iter().zip(y).fold(0, |s: i64, (x, y)| s.wrapping_add(x.wrapping_mul(*y)));
    a.chunks_exact(inner).flat_map(|x| b.chunks_exact(inner).map(move |y| dot(x, y))).collect()
}
