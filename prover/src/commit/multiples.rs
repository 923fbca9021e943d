//! Columns of small values from tables of multiples of the generators.

use crate::{
    generators::Generators,
    multiples::fill,
    vartime::{Affine, Point, Sums},
};
use rayon::prelude::*;
use std::sync::{Arc, PoisonError, RwLock};
use zkonnx_quantize::{integers::Integers, with_integers};

/// Most multiples of one generator.
pub(super) const MOST: usize = 1 << 11;
/// Rows that are summed at once: their multiples stay in the cache.
const ROWS: usize = 64;
/// Points of the tables of a block of rows that is made and dropped.
const BLOCK: usize = 1 << 12;
/// Points that are collected before they are summed.
const BATCH: usize = 4096;

/// Tables of multiples that are kept with the generators. They grow when larger values come.
#[derive(Debug, Default)]
pub(crate) struct Tables(RwLock<Arc<Multiples>>);

impl Tables {
    /// Bytes of a table.
    pub(super) fn memory(num_rows: usize, count: usize) -> usize {
        num_rows * count * size_of::<Affine>()
    }

    /// The most that a table may take: 8 MiB for 256 rows, 32 MiB for 4,096, and no more than 8 MiB beside half of the columns' own memory.
    pub(super) fn bound(num_rows: usize, cells_memory: usize) -> usize {
        const MIB: usize = 1 << 20;
        (num_rows.isqrt() * MIB / 2).clamp(8 * MIB, 32 * MIB).min(8 * MIB + cells_memory / 2)
    }

    /// How many multiples there are already.
    pub(super) fn count(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).count
    }

    /// A table of at least so many multiples.
    fn get(&self, bases: &[Affine], count: usize) -> Arc<Multiples> {
        let enough = |table: &Arc<Multiples>| (table.count >= count).then(|| Arc::clone(table));
        if let Some(table) = enough(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return table;
        }
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        enough(&table).unwrap_or_else(|| {
            *table = Arc::new(Multiples::new(bases, count));
            Arc::clone(&table)
        })
    }
}

/// `1·B … count·B` for every base `B`.
#[derive(Debug, Default)]
struct Multiples {
    count: usize,
    points: Vec<Affine>,
}

impl Multiples {
    /// Makes a table on all threads: one affine addition for a point.
    fn new(bases: &[Affine], count: usize) -> Self {
        let mut points = vec![Affine::default(); bases.len() * count];
        let together = (BLOCK / count).clamp(1, 64);
        let blocks = points.par_chunks_mut(together * count).zip(bases.par_chunks(together));
        blocks.for_each_init(Sums::default, |sums, (points, bases)| fill(points, bases, count, sums));
        Self { count, points }
    }
}

/// Adds the rows from `start` on, as many as there are multiples of, to the sums of columns.
fn add_rows(
    totals: &mut [Affine],
    columns: &[&Integers],
    start: usize,
    multiples: &[Affine],
    count: usize,
    sums: &mut Sums,
) {
    let mut found = Vec::with_capacity(totals.len());
    for (column, total) in columns.iter().zip(totals.iter()) {
        sums.push(*total);
        with_integers!(column, values => push_rows(values.get(start..).unwrap_or_default(), multiples, count, sums));
        sums.close();
        if sums.len() >= BATCH {
            sums.sum_into(&mut found);
        }
    }
    sums.sum_into(&mut found);
    totals.copy_from_slice(&found);
}

/// Adds the multiples for values that are not zero to the open list.
fn push_rows<T: Copy + Into<i64>>(values: &[T], multiples: &[Affine], count: usize, sums: &mut Sums) {
    for (value, multiples) in values.iter().zip(multiples.chunks_exact(count)) {
        let value: i64 = (*value).into();
        if value != 0 {
            sums.push_signed(&multiples[place(value)], value < 0);
        }
    }
}

/// Where the multiple of a value that is not zero stands.
fn place(value: i64) -> usize {
    usize::try_from(value.unsigned_abs()).unwrap_or(usize::MAX) - 1
}

/// `Σ_i column[i]·L_i` for every column, whose values are at most `count`.
pub(super) fn commit_with_multiples(
    columns: &[&Integers],
    generators: &Generators,
    count: usize,
    kept: bool,
) -> Vec<Point> {
    let row = generators.row.as_slice();
    let threads = rayon::current_num_threads();
    if columns.is_empty() || count == 0 {
        // Columns of zeros, if any.
        return vec![Point::default(); columns.len()];
    }
    if kept {
        let table = generators.multiples.get(row, count);
        let chunk = columns.len().div_ceil(threads).max(1);
        let sums = columns.par_chunks(chunk).map_init(Sums::default, |sums, columns| {
            let mut totals = vec![Affine::default(); columns.len()];
            for (block, multiples) in table.points.chunks(ROWS * table.count).enumerate() {
                add_rows(&mut totals, columns, block * ROWS, multiples, table.count, sums);
            }
            totals
        });
        return sums.flatten_iter().map(Point::from).collect();
    }
    // Every thread makes the multiples of its rows.
    let rows = columns.iter().map(|column| column.len()).max().unwrap_or(0);
    let row = &row[..rows];
    let (share, at_once) = (rows.div_ceil(threads).max(1), (BLOCK / count).clamp(1, ROWS));
    let parts = row.par_chunks(share).enumerate().map_init(Sums::default, |sums, (part, bases)| {
        let mut totals = vec![Affine::default(); columns.len()];
        let mut multiples = vec![Affine::default(); at_once * count];
        for (i, bases) in bases.chunks(at_once).enumerate() {
            let multiples = &mut multiples[..bases.len() * count];
            fill(multiples, bases, count, sums);
            add_rows(&mut totals, columns, part * share + i * at_once, multiples, count, sums);
        }
        totals
    });
    let parts: Vec<Vec<Affine>> = parts.collect();
    (0..columns.len()).map(|i| parts.iter().fold(Point::default(), |sum, part| sum + part[i])).collect()
}
