//! `y += a · b` of 64-bit floats, every element summed in order of the inner index.
//!
//! Element `(r, c)` is `((y[r,c] + a[r,0]·b[0,c]) + a[r,1]·b[1,c]) + …`, each operation rounded once: what the plain loop
//! gives, bit for bit. Blocks only decide which elements are in registers at the same time.

use super::parallel;

/// Rows and columns of a tile: what fits the registers of any processor of today.
const TILE: usize = 4;
/// Rows of a task.
const ROWS: usize = 512;
/// Columns of a task: rows of `b` are read in runs of some lines of the cache.
const COLS: usize = 192;
/// Inner indices of a block: a block of `b` stays in the second cache.
const INNER: usize = 128;

/// Rows, inner size and columns of a product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) cols: usize,
}

/// Adds `a · b` to `y`; all are row-major.
#[cfg(feature = "onnx")]
pub(crate) fn multiply(a: &[f64], b: &[f64], y: &mut [f64], sizes: Sizes) {
    if sizes.rows < TILE {
        thin(a, b, y, sizes);
    } else {
        multiply_by(a, y, sizes, |k, first, out| {
            let start = k * sizes.cols + first;
            out.copy_from_slice(&b[start..start + out.len()]);
        });
    }
}

/// The same for `b` given by its rows: `fill(k, first, out)` writes row `k` from column `first` on.
pub(crate) fn multiply_by(
    a: &[f64],
    y: &mut [f64],
    sizes: Sizes,
    fill: impl Fn(usize, usize, &mut [f64]) + Sync + Send,
) {
    let Sizes { rows, inner, cols } = sizes;
    if rows == 0 || inner == 0 || cols == 0 {
        return;
    }
    let across = cols.div_ceil(COLS);
    let tasks = rows.div_ceil(ROWS) * across;
    let before: &[f64] = y;
    let block = |task: usize| {
        let (row, col) = (task / across * ROWS, task % across * COLS);
        (row, col, ROWS.min(rows - row), COLS.min(cols - col))
    };
    let done = parallel::map(tasks, ROWS.min(rows) * COLS.min(cols) * inner, |task| {
        let (row, col, height, width) = block(task);
        let a = &a[row * inner..(row + height) * inner];
        let mut tiles = load(&before[row * cols + col..], cols, (height, width));
        let mut line = vec![0.0; width];
        let mut panels = vec![[0.0; TILE]; width.div_ceil(TILE) * INNER.min(inner)];
        let mut strip = vec![[0.0; TILE]; INNER.min(inner)];
        for start in (0..inner).step_by(INNER) {
            let depth = INNER.min(inner - start);
            for k in 0..depth {
                fill(start + k, col, &mut line);
                for (panel, values) in line.chunks(TILE).enumerate() {
                    panels[panel * depth + k][..values.len()].copy_from_slice(values);
                }
            }
            for (band, tiles) in tiles.chunks_mut(width.div_ceil(TILE)).enumerate() {
                for (r, a) in a.chunks(inner).skip(band * TILE).take(TILE).enumerate() {
                    for (strip, a) in strip.iter_mut().zip(&a[start..start + depth]) {
                        strip[r] = *a;
                    }
                }
                for (tile, panel) in tiles.iter_mut().zip(panels.chunks(depth)) {
                    accumulate(&strip[..depth], panel, tile);
                }
            }
        }
        tiles
    });
    for (task, tiles) in done.into_iter().enumerate() {
        let (row, col, height, width) = block(task);
        store(&tiles, &mut y[row * cols + col..], cols, (height, width));
    }
}

type Tile = [[f64; TILE]; TILE];

/// One tile: the rows of `a` are its rows, those of `b` its columns.
fn accumulate(a: &[[f64; TILE]], b: &[[f64; TILE]], tile: &mut Tile) {
    let mut sums = *tile;
    for (a, b) in a.iter().zip(b) {
        for r in 0..TILE {
            for c in 0..TILE {
                sums[r][c] += a[r] * b[c];
            }
        }
    }
    *tile = sums;
}

fn load(y: &[f64], stride: usize, (height, width): (usize, usize)) -> Vec<Tile> {
    let across = width.div_ceil(TILE);
    let mut tiles = vec![[[0.0; TILE]; TILE]; height.div_ceil(TILE) * across];
    for row in 0..height {
        for (c, values) in y[row * stride..row * stride + width].chunks(TILE).enumerate() {
            tiles[row / TILE * across + c][row % TILE][..values.len()].copy_from_slice(values);
        }
    }
    tiles
}

fn store(tiles: &[Tile], y: &mut [f64], stride: usize, (height, width): (usize, usize)) {
    let across = width.div_ceil(TILE);
    for row in 0..height {
        for (c, values) in y[row * stride..row * stride + width].chunks_mut(TILE).enumerate() {
            values.copy_from_slice(&tiles[row / TILE * across + c][row % TILE][..values.len()]);
        }
    }
}

/// Few rows: `b` is read once, where it stands.
#[cfg(feature = "onnx")]
fn thin(a: &[f64], b: &[f64], y: &mut [f64], Sizes { rows, inner, cols }: Sizes) {
    const WIDTH: usize = 512;
    if rows == 0 || inner == 0 || cols == 0 {
        return;
    }
    let before: &[f64] = y;
    let done = parallel::map(cols.div_ceil(WIDTH), rows * inner * WIDTH.min(cols), |task| {
        let first = task * WIDTH;
        let width = WIDTH.min(cols - first);
        let part = |row: usize| &before[row * cols + first..][..width];
        let mut sums: Vec<f64> = (0..rows).flat_map(part).copied().collect();
        let line = |k: usize| &b[k * cols + first..][..width];
        for (row, sums) in sums.chunks_exact_mut(width).enumerate() {
            let a = &a[row * inner..][..inner];
            let (fours, rest) = a.as_chunks::<4>();
            for (k, a) in fours.iter().enumerate() {
                let b = [line(4 * k), line(4 * k + 1), line(4 * k + 2), line(4 * k + 3)];
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum = *sum + a[0] * b[0][c] + a[1] * b[1][c] + a[2] * b[2][c] + a[3] * b[3][c];
                }
            }
            for (k, a) in rest.iter().enumerate() {
                for (sum, b) in sums.iter_mut().zip(line(4 * fours.len() + k)) {
                    *sum += a * b;
                }
            }
        }
        sums
    });
    for (task, sums) in done.into_iter().enumerate() {
        let width = sums.len() / rows;
        for (row, sums) in sums.chunks_exact(width).enumerate() {
            y[row * cols + task * WIDTH..][..width].copy_from_slice(sums);
        }
    }
}

#[cfg(all(test, feature = "onnx"))]
mod tests {
    use super::*;

    /// Values of many sizes and both signs, so that another order of summation gives other bits.
    fn values(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            #[allow(clippy::cast_precision_loss)] // any float will do
            let unit = (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
            libm::ldexp(unit, i32::try_from(state % 24).unwrap_or(0))
        };
        (0..count).map(|_| next()).collect()
    }

    fn plain(a: &[f64], b: &[f64], y: &mut [f64], Sizes { rows, inner, cols }: Sizes) {
        for r in 0..rows {
            for c in 0..cols {
                for k in 0..inner {
                    y[r * cols + c] += a[r * inner + k] * b[k * cols + c];
                }
            }
        }
    }

    #[test]
    fn products_are_those_of_the_plain_loop_bit_for_bit() {
        let odd = [1, 2, 3, 4, 5, 7, 64, 191, 193];
        for rows in odd.into_iter().chain([513]) {
            for cols in odd {
                for inner in [1, 2, 3, 5, 8, 127, 128, 129, 259] {
                    if rows * cols * inner > 1 << 22 {
                        continue;
                    }
                    let sizes = Sizes { rows, inner, cols };
                    let (a, b) = (values(rows * inner, 3), values(inner * cols, 5));
                    let mut y = values(rows * cols, 7);
                    let mut expected = y.clone();
                    plain(&a, &b, &mut expected, sizes);
                    multiply(&a, &b, &mut y, sizes);
                    let bits = |y: &[f64]| y.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&y), bits(&expected), "{sizes:?}");
                }
            }
        }
    }
}
