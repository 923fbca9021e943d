//! Dot products of rows of 16-bit integers: 32-bit sums of runs that cannot leave 32 bits, 64-bit sums of runs.

/// Rows are padded with zeros to a multiple of this: whole registers.
pub(crate) const ALIGN: usize = 16;

/// The longest run whose 32-bit sum is exact, for these largest absolute values of both sides; a multiple of [`ALIGN`], or
/// none if it is short.
pub(crate) fn exact_run(left: u64, right: u64) -> Option<usize> {
    const LIMIT: u64 = (1 << 31) - 1;
    let fits = i16::MAX.unsigned_abs().into();
    if left > fits || right > fits {
        return None;
    }
    let run = usize::try_from(LIMIT / (left * right).max(1)).unwrap_or(usize::MAX) / ALIGN * ALIGN;
    (run >= 4 * ALIGN).then_some(run)
}

fn product(x: i16, y: i16) -> i32 {
    i32::from(x) * i32::from(y)
}

fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).fold(0, |sum, (x, y)| sum.wrapping_add(product(*x, *y)))
}

/// Four dot products: every value is loaded once for two of them.
fn dot_pairs(a: [&[i16]; 2], b: [&[i16]; 2]) -> [[i32; 2]; 2] {
    let count = a[0].len();
    let ([a0, a1], [b0, b1]) = (a.map(|x| &x[..count]), b.map(|x| &x[..count]));
    let (mut s00, mut s01, mut s10, mut s11) = (0_i32, 0_i32, 0_i32, 0_i32);
    for k in 0..count {
        s00 = s00.wrapping_add(product(a0[k], b0[k]));
        s01 = s01.wrapping_add(product(a0[k], b1[k]));
        s10 = s10.wrapping_add(product(a1[k], b0[k]));
        s11 = s11.wrapping_add(product(a1[k], b1[k]));
    }
    [[s00, s01], [s10, s11]]
}

/// The dot products of all rows of `a` with all rows of `b`, both of length `inner`; row-major. Sums over `run` products are
/// exact in 32 bits.
pub(crate) fn dots(a: &[i16], b: &[i16], inner: usize, run: usize) -> Vec<i64> {
    let (rows, cols) = (a.len() / inner.max(1), b.len() / inner.max(1));
    let mut out = vec![0_i64; rows * cols];
    for start in (0..inner).step_by(run.max(1)) {
        let end = inner.min(start.saturating_add(run));
        let row = |r: usize| &a[r * inner + start..r * inner + end];
        let col = |c: usize| &b[c * inner + start..c * inner + end];
        for r in (0..rows).step_by(2) {
            for c in (0..cols).step_by(2) {
                if r + 1 < rows && c + 1 < cols {
                    let pairs = dot_pairs([row(r), row(r + 1)], [col(c), col(c + 1)]);
                    for (i, pair) in pairs.iter().enumerate() {
                        for (j, sum) in pair.iter().enumerate() {
                            out[(r + i) * cols + c + j] += i64::from(*sum);
                        }
                    }
                } else {
                    for r in r..rows.min(r + 2) {
                        for c in c..cols.min(c + 2) {
                            out[r * cols + c] += i64::from(dot(row(r), col(c)));
                        }
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_exact_at_the_largest_values() {
        assert_eq!(exact_run(1 << 15, 1), None);
        assert_eq!(exact_run(i16::MAX.unsigned_abs().into(), 512), Some(128));
        assert_eq!(exact_run(0, 0), Some(i32::MAX as usize / ALIGN * ALIGN));
        for (rows, cols, inner) in [(1, 1, 16), (2, 3, 64), (5, 4, 272), (3, 2, 1040)] {
            for (left, right) in [(32_767, 512), (-32_767, 512), (100, -100)] {
                let a: Vec<i16> = (0..rows * inner).map(|i| if i % 7 == 3 { 1 } else { left }).collect();
                let b: Vec<i16> = (0..cols * inner).map(|i| if i % 11 == 5 { 2 } else { right }).collect();
                let run = exact_run(left.unsigned_abs().into(), right.unsigned_abs().into()).expect("narrow");
                let expected: Vec<i64> = a
                    .chunks(inner)
                    .flat_map(|x| b.chunks(inner).map(move |y| x.iter().zip(y)))
                    .map(|pairs| pairs.map(|(x, y)| i64::from(*x) * i64::from(*y)).sum())
                    .collect();
                assert_eq!(dots(&a, &b, inner, run), expected);
            }
        }
    }
}
