//! Dot products of rows of 64-bit floats, in four partial sums.
//!
//! `dot(a, b) = ((s_0 + s_1) + s_2) + s_3 + tail`, where `s_i` sums `a[4j + i]·b[4j + i]` in order of `j`, and `tail` what
//! is left of a length that four does not divide.

use super::parallel;

/// Partial sums of a dot product.
const LANES: usize = 4;

/// A dot product.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let ((pa, ra), (pb, rb)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (x, y) in pa.iter().zip(pb) {
        for i in 0..LANES {
            sums[i] += x[i] * y[i];
        }
    }
    finish(sums, ra, rb)
}

fn finish(sums: [f64; LANES], a: &[f64], b: &[f64]) -> f64 {
    let tail: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    sums[0] + sums[1] + sums[2] + sums[3] + tail
}

/// Four dot products: every value is loaded once for two of them.
fn dot_pairs(a: [&[f64]; 2], b: [&[f64]; 2]) -> [[f64; 2]; 2] {
    let split = |x: &'_ [f64]| x.len() / LANES;
    let count = split(a[0]);
    let [a0, a1] = a.map(|x| &x.as_chunks::<LANES>().0[..count]);
    let [b0, b1] = b.map(|x| &x.as_chunks::<LANES>().0[..count]);
    let mut sums = [[[0.0; LANES]; 2]; 2];
    for k in 0..count {
        for i in 0..LANES {
            sums[0][0][i] += a0[k][i] * b0[k][i];
            sums[0][1][i] += a0[k][i] * b1[k][i];
            sums[1][0][i] += a1[k][i] * b0[k][i];
            sums[1][1][i] += a1[k][i] * b1[k][i];
        }
    }
    let rest = |x: &'_ [f64]| x.len() - x.len() % LANES;
    let [ra, rb] = [a.map(|x| &x[rest(x)..]), b.map(|x| &x[rest(x)..])];
    [
        [finish(sums[0][0], ra[0], rb[0]), finish(sums[0][1], ra[0], rb[1])],
        [finish(sums[1][0], ra[1], rb[0]), finish(sums[1][1], ra[1], rb[1])],
    ]
}

/// `a · bᵀ`: the dot products of all rows of `a` with all rows of `b`, both of length `inner`; row-major.
pub(crate) fn dots(a: &[f64], b: &[f64], inner: usize) -> Vec<f64> {
    /// Rows of `b` in a task.
    const WIDTH: usize = 32;
    let (rows, cols) = (a.len() / inner.max(1), b.len() / inner.max(1));
    let row = |r: usize| &a[r * inner..][..inner];
    let col = |c: usize| &b[c * inner..][..inner];
    let parts = parallel::map(cols.div_ceil(WIDTH), rows * inner * WIDTH.min(cols), |task| {
        let first = task * WIDTH;
        let width = WIDTH.min(cols - first);
        let mut out = vec![0.0; rows * width];
        for c in (0..width).step_by(2) {
            for r in (0..rows).step_by(2) {
                if r + 1 < rows && c + 1 < width {
                    let pairs = dot_pairs([row(r), row(r + 1)], [col(first + c), col(first + c + 1)]);
                    for (i, pair) in pairs.iter().enumerate() {
                        out[(r + i) * width + c..][..2].copy_from_slice(pair);
                    }
                } else {
                    for r in r..rows.min(r + 2) {
                        for c in c..width.min(c + 2) {
                            out[r * width + c] = dot(row(r), col(first + c));
                        }
                    }
                }
            }
        }
        out
    });
    let mut y = vec![0.0; rows * cols];
    for (task, part) in parts.into_iter().enumerate() {
        let width = WIDTH.min(cols - task * WIDTH);
        for (r, part) in part.chunks_exact(width).enumerate() {
            y[r * cols + task * WIDTH..][..width].copy_from_slice(part);
        }
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_blocks_change_no_bit() {
        let value = |i: u32| libm::ldexp(f64::from(i * 2_654_435 % 997) - 500.3, i32::try_from(i % 20).unwrap_or(0));
        for (rows, cols, inner) in [(1, 1, 1), (2, 2, 4), (3, 5, 7), (4, 33, 9), (5, 64, 30), (17, 65, 3), (2, 3, 513)]
        {
            let a: Vec<f64> = (0..).take(rows * inner).map(value).collect();
            let b: Vec<f64> = (7..).take(cols * inner).map(value).collect();
            let expected: Vec<u64> = a
                .chunks(inner)
                .flat_map(|x| b.chunks(inner).map(move |w| (x, w)))
                .map(|(x, w)| {
                    // As the documentation says it.
                    let mut sums = [0.0; 4];
                    let whole = inner - inner % 4;
                    (0..whole).for_each(|k| sums[k % 4] += x[k] * w[k]);
                    let tail: f64 = (whole..inner).map(|k| x[k] * w[k]).sum();
                    (((sums[0] + sums[1]) + sums[2]) + sums[3] + tail).to_bits()
                })
                .collect();
            assert_eq!(dots(&a, &b, inner).iter().map(|v| v.to_bits()).collect::<Vec<_>>(), expected, "{rows} {cols}");
        }
    }
}
