//! Contractions of integers: which kernel computes one, and where its results go.
//!
//! A contraction is a batch of matrix products `out[row, col] = Σ_j left[row, j] · right[col, j]` once its axes are sorted
//! ([`ProductAxes`]). By the largest absolute values of both sides it is computed with 16-bit factors and 32-bit sums, with
//! 64-bit floats (whose sums are exact below 2^53), or with 64-bit integers: always exactly.

use super::{
    float::{self, Sizes},
    narrow, parallel,
    read::Layout,
    wide,
};
use crate::{
    contraction::{volume, Axis, ProductAxes},
    graph::{Form, Operand, Product},
    integers::IntegerSlice,
};
use std::borrow::Cow;

/// Fewer rows (or columns) than this are no matrix.
const FEW: usize = 4;
/// A shorter sum than this is no matrix product, if there are few rows.
const SHORT: usize = 64;
/// Sums of integers below this are exact in 64-bit floats.
const EXACT: u64 = 1 << 53;

/// One side: what is read, and the offsets of its own axes (batch, rows or columns, summed).
struct Side<'a> {
    layout: Layout,
    values: Cow<'a, [i64]>,
    source: IntegerSlice<'a>,
    /// The largest absolute value.
    magnitude: u64,
    batch: Vec<u32>,
    outer: Vec<u32>,
    summed: Vec<u32>,
}

impl<'a> Side<'a> {
    fn new(
        form: &Form,
        product: &Product,
        operand: &Operand,
        (axes, outer): (&ProductAxes, &[Axis]),
        source: IntegerSlice<'a>,
    ) -> Self {
        let sizes: Vec<u32> = form.shape.iter().chain(&product.summed).chain(&operand.sums).copied().collect();
        let mut layout = Layout::new(&operand.map, &sizes, source.len());
        let sums = ProductAxes::own_sums(form, product, operand);
        let mut values = Cow::Borrowed(&[][..]);
        if volume(&sums) > 1 {
            // Its own sums are added up first.
            let lists = [axes.batch.as_slice(), outer, &axes.summed];
            let own: Vec<Axis> =
                lists.into_iter().flatten().filter(|a| operand.map.uses(a.id.into())).copied().collect();
            let (at, within) = (layout.offsets(&own), layout.offsets(&sums));
            let data = layout.data(source, |v| v);
            let mut totals = vec![0_i64; at.len()];
            parallel::for_each_chunk(&mut totals, 1 << 10, within.len(), |chunk, totals| {
                for (total, at) in totals.iter_mut().zip(&at[chunk << 10..]) {
                    *total = within.iter().fold(0, |s: i64, i| s.wrapping_add(data[(at + i) as usize]));
                }
            });
            layout = Layout::matrix(&own, sizes.len());
            values = Cow::Owned(totals);
        }
        let mut side = Self {
            batch: layout.offsets(&axes.batch),
            outer: layout.offsets(outer),
            summed: layout.offsets(&axes.summed),
            layout,
            values,
            source,
            magnitude: 0,
        };
        side.magnitude = side.layout.magnitude(side.slice());
        side
    }

    fn slice(&self) -> IntegerSlice<'_> {
        if self.values.is_empty() {
            self.source
        } else {
            IntegerSlice::from(&*self.values)
        }
    }

    fn data<T: Copy + Default>(&self, convert: impl Fn(i64) -> T) -> Vec<T> {
        self.layout.data(self.slice(), convert)
    }
}

/// Where the elements of a contraction stand in a form.
struct Places {
    batch: Vec<usize>,
    rows: Vec<usize>,
    cols: Vec<usize>,
    free: Vec<usize>,
    coef: i64,
}

impl Places {
    fn new(form: &Form, axes: &ProductAxes, coef: i64) -> Self {
        let mut strides = vec![1_usize; form.shape.len()];
        for d in (0..form.shape.len().saturating_sub(1)).rev() {
            strides[d] = strides[d + 1] * form.shape[d + 1] as usize;
        }
        let offsets = |list: &[Axis]| {
            let mut offsets = vec![0_usize];
            for axis in list {
                let step = strides[usize::from(axis.id)];
                offsets = offsets.iter().flat_map(|o| (0..axis.size as usize).map(move |i| o + i * step)).collect();
            }
            offsets
        };
        let [batch, rows, cols, free] = [&axes.batch, &axes.rows, &axes.cols, &axes.free].map(|l| offsets(l));
        Self { batch, rows, cols, free, coef }
    }

    /// Adds the sums of some rows and columns of a member of the batch, row-major.
    fn add(&self, out: &mut [i64], batch: usize, (first_row, first_col): (usize, usize), width: usize, sums: &[i64]) {
        if width == 0 {
            return;
        }
        for (row, sums) in self.rows[first_row..].iter().zip(sums.chunks_exact(width)) {
            let start = self.batch[batch] + row;
            for free in &self.free {
                for (col, sum) in self.cols[first_col..].iter().zip(sums) {
                    let out = &mut out[start + col + free];
                    *out = out.wrapping_add(self.coef.wrapping_mul(*sum));
                }
            }
        }
    }

    /// With rows and columns in each other's roles.
    fn swapped(mut self) -> Self {
        std::mem::swap(&mut self.rows, &mut self.cols);
        self
    }
}

/// Adds `product` to the elements of its form.
pub(crate) fn add_product(
    form: &Form,
    product: &Product,
    (left, right): (IntegerSlice<'_>, IntegerSlice<'_>),
    out: &mut [i64],
) {
    let axes = ProductAxes::new(form, product);
    let left = Side::new(form, product, &product.left, (&axes, &axes.rows), left);
    let right = Side::new(form, product, &product.right, (&axes, &axes.cols), right);
    let places = Places::new(form, &axes, product.coef);
    let (rows, cols, inner) = (places.rows.len(), places.cols.len(), left.summed.len());
    if rows == 1 && cols == 1 {
        paired(&left, &right, &places, out);
    } else if rows.min(cols) < FEW && inner < SHORT {
        if rows <= cols {
            sliding(&left, &right, &places, out);
        } else {
            sliding(&right, &left, &places.swapped(), out);
        }
    } else if let Some(run) = narrow::exact_run(left.magnitude, right.magnitude) {
        let padded = inner.next_multiple_of(narrow::ALIGN);
        let kernel = |a: &[i16], b: &[i16]| narrow::dots(a, b, padded, run);
        in_blocks((&left, &right), &places, padded, narrow16, kernel, out);
    } else {
        let largest = left.magnitude.saturating_mul(right.magnitude).max(1);
        match usize::try_from((EXACT - 1) / largest).unwrap_or(usize::MAX) {
            run if run >= SHORT.min(inner) => exact_floats(&left, &right, &places, run, out),
            _ => in_blocks((&left, &right), &places, inner, |v| v, |a, b| wide::dots(a, b, inner), out),
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // by the magnitude of the side it fits
fn narrow16(value: i64) -> i16 {
    value as i16
}

/// One sum for each member of the batch.
fn paired(left: &Side<'_>, right: &Side<'_>, places: &Places, out: &mut [i64]) {
    const CHUNK: usize = 1 << 10;
    let (a, b) = (left.data(|v| v), right.data(|v| v));
    let mut sums = vec![0_i64; places.batch.len()];
    parallel::for_each_chunk(&mut sums, CHUNK, left.summed.len(), |chunk, sums| {
        let first = chunk * CHUNK;
        for ((sum, x), y) in sums.iter_mut().zip(&left.batch[first..]).zip(&right.batch[first..]) {
            let pairs = left.summed.iter().zip(&right.summed);
            *sum =
                pairs.fold(0, |s: i64, (i, j)| s.wrapping_add(a[(x + i) as usize].wrapping_mul(b[(y + j) as usize])));
        }
    });
    for (batch, sum) in sums.iter().enumerate() {
        places.add(out, batch, (0, 0), 1, &[*sum]);
    }
}

/// Columns of a task of [`sliding`].
const LINE: usize = 1 << 12;

/// Few rows and short sums, such as a convolution of single channels: lines of columns are added, one factor at a time.
fn sliding(left: &Side<'_>, right: &Side<'_>, places: &Places, out: &mut [i64]) {
    let fits = u64::try_from(left.summed.len()).ok();
    let most = fits.and_then(|n| n.checked_mul(left.magnitude)?.checked_mul(right.magnitude));
    let is_narrow = left.magnitude.max(right.magnitude) <= i16::MAX.unsigned_abs().into();
    if is_narrow && most.is_some_and(|most| most < 1 << 31) {
        let add = |sum: i32, x: i16, y: i16| sum.wrapping_add(i32::from(x) * i32::from(y));
        slide((left, right), places, narrow16, add, out);
    } else {
        slide((left, right), places, |v| v, |sum: i64, x: i64, y: i64| sum.wrapping_add(x.wrapping_mul(y)), out);
    }
}

fn slide<T: Copy + Default + Sync, S: Copy + Default + Into<i64>>(
    (left, right): (&Side<'_>, &Side<'_>),
    places: &Places,
    convert: impl Fn(i64) -> T,
    add: impl Fn(S, T, T) -> S + Sync + Send,
    out: &mut [i64],
) {
    let (rows, cols) = (places.rows.len(), places.cols.len());
    let (a, b) = (left.data(&convert), right.data(&convert));
    let runs: Vec<Vec<Run>> = right.outer.chunks(LINE).map(runs).collect();
    let work = rows * left.summed.len() * LINE.min(cols);
    let done = parallel::map(places.batch.len() * runs.len(), work, |task| {
        let (batch, block) = (task / runs.len(), task % runs.len());
        let outer = &right.outer[block * LINE..cols.min((block + 1) * LINE)];
        let mut sums = vec![S::default(); rows * outer.len()];
        for (row, sums) in left.outer.iter().zip(sums.chunks_exact_mut(outer.len())) {
            for (i, j) in left.summed.iter().zip(&right.summed) {
                let x = a[(left.batch[batch] + row + i) as usize];
                let b = &b[(right.batch[batch] + j) as usize..];
                if runs[block].len() * 4 > outer.len() {
                    for (sum, at) in sums.iter_mut().zip(outer) {
                        *sum = add(*sum, x, b[*at as usize]);
                    }
                    continue;
                }
                for run in &runs[block] {
                    let values = &b[run.offset..run.offset + run.len];
                    for (sum, y) in sums[run.at..run.at + run.len].iter_mut().zip(values) {
                        *sum = add(*sum, x, *y);
                    }
                }
            }
        }
        sums.into_iter().map(Into::into).collect::<Vec<i64>>()
    });
    for (task, sums) in done.into_iter().enumerate() {
        let first = task % runs.len() * LINE;
        places.add(out, task / runs.len(), (0, first), LINE.min(cols - first), &sums);
    }
}

/// Neighbours in a list of offsets that are neighbours in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Place in the list.
    at: usize,
    /// The first offset.
    offset: usize,
    /// How many.
    len: usize,
}

fn runs(offsets: &[u32]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, offset) in offsets.iter().enumerate() {
        let offset = *offset as usize;
        match runs.last_mut() {
            Some(run) if run.offset + run.len == offset => run.len += 1,
            _ => runs.push(Run { at, offset, len: 1 }),
        }
    }
    runs
}

/// Writes the values at `base + offsets`; long runs are copied.
fn pack<T: Copy>(data: &[T], base: usize, (offsets, runs): (&[u32], &[Run]), out: &mut [T]) {
    let data = &data[base..];
    if runs.len() * 4 > offsets.len() {
        for (out, at) in out.iter_mut().zip(offsets) {
            *out = data[*at as usize];
        }
    } else {
        for run in runs {
            out[run.at..run.at + run.len].copy_from_slice(&data[run.offset..run.offset + run.len]);
        }
    }
}

/// Matrix products block by block: `kernel` gives the dot products of rows of length `length`, which both sides are packed to.
fn in_blocks<T: Copy + Default + Send + Sync>(
    (left, right): (&Side<'_>, &Side<'_>),
    places: &Places,
    length: usize,
    convert: impl Fn(i64) -> T,
    kernel: impl Fn(&[T], &[T]) -> Vec<i64> + Sync + Send,
    out: &mut [i64],
) {
    let (members, rows, cols) = (places.batch.len(), places.rows.len(), places.cols.len());
    let (a, b) = (left.data(&convert), right.data(&convert));
    let (left_runs, right_runs) = (runs(&left.summed), runs(&right.summed));
    // Packed columns stay in the second cache; rows in tasks enough for all cores.
    let width = ((1 << 16) / length.max(1)).clamp(4, 64).min(cols);
    let across = cols.div_ceil(width);
    let height = (members * across * rows).div_ceil(16).clamp(16, 256).min(rows);
    let down = rows.div_ceil(height);
    let mut packed = vec![T::default(); members * rows * length];
    parallel::for_each_chunk(&mut packed, length.max(1), 1, |line, out| {
        let base = left.batch[line / rows] + left.outer[line % rows];
        pack(&a, base as usize, (&left.summed, &left_runs), out);
    });
    drop(a);
    let block = |task: usize| {
        let (batch, rest) = (task / (down * across), task % (down * across));
        (batch, rest / across * height, rest % across * width)
    };
    let done = parallel::map(members * down * across, height * width * length, |task| {
        let (batch, row, col) = block(task);
        let (height, width) = (height.min(rows - row), width.min(cols - col));
        let mut columns = vec![T::default(); width * length];
        for (outer, out) in right.outer[col..].iter().zip(columns.chunks_exact_mut(length)) {
            pack(&b, (right.batch[batch] + outer) as usize, (&right.summed, &right_runs), out);
        }
        let first = (batch * rows + row) * length;
        kernel(&packed[first..first + height * length], &columns)
    });
    for (task, sums) in done.into_iter().enumerate() {
        let (batch, row, col) = block(task);
        places.add(out, batch, (row, col), width.min(cols - col), &sums);
    }
}

/// Sums of up to `run` products are exact in 64-bit floats.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // integers below 2^53
fn exact_floats(left: &Side<'_>, right: &Side<'_>, places: &Places, run: usize, out: &mut [i64]) {
    let (rows, cols, inner) = (places.rows.len(), places.cols.len(), left.summed.len());
    let (a, b) = (left.data(|v| v as f64), right.data(|v| v as f64));
    for batch in 0..places.batch.len() {
        for start in (0..inner).step_by(run) {
            let end = inner.min(start.saturating_add(run));
            let row = |outer: &u32| {
                let base = left.batch[batch] + outer;
                let a = &a;
                left.summed[start..end].iter().map(move |i| a[(base + i) as usize])
            };
            let matrix: Vec<f64> = left.outer.iter().flat_map(row).collect();
            let mut sums = vec![0.0; rows * cols];
            float::multiply_by(&matrix, &mut sums, Sizes { rows, inner: end - start, cols }, |k, first, line| {
                let b = &b[(right.batch[batch] + right.summed[start + k]) as usize..];
                for (value, at) in line.iter_mut().zip(&right.outer[first..]) {
                    *value = b[*at as usize];
                }
            });
            let sums: Vec<i64> = sums.into_iter().map(|s| s as i64).collect();
            places.add(out, batch, (0, 0), cols, &sums);
        }
    }
}
