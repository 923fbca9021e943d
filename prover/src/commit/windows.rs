//! Columns with buckets, window by window.

use super::Profile;
use crate::{
    buckets::Buckets,
    vartime::{Affine, Point},
};
use group::Group as _;
use rayon::prelude::*;
use zkonnx_quantize::{integers::Integers, with_integers};

/// Widest window.
const WIDEST: u32 = 15;
/// Cells of columns that share their inversions.
const CELLS: usize = 8192;

/// How a column is cut into signed digits of base `2^bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    bits: u32,
    count: u32,
    nonzero: usize,
}

impl Window {
    /// The cheapest for values of some bits, sign included.
    pub(super) fn new(value_bits: u32, nonzero: usize) -> Self {
        let window = |bits: u32| Self { bits, count: value_bits.div_ceil(bits), nonzero };
        (1..=value_bits.min(WIDEST)).map(window).min_by_key(Self::cost).unwrap_or(window(1))
    }

    /// Affine additions: one for a digit, two for a bucket; those of the buckets' rows and columns are dearer.
    pub(super) fn cost(&self) -> usize {
        self.count as usize * (self.nonzero + 2 * self.buckets() + 8 * (1 << self.bits.div_ceil(2)))
    }

    /// The largest digit.
    fn buckets(&self) -> usize {
        1 << (self.bits - 1)
    }

    /// Digit `index` of a value: in `[-2^(bits−1), 2^(bits−1)]`. The bit below is the carry.
    fn digit(&self, value: i64, index: u32) -> i32 {
        let at = index * self.bits;
        let raw = (value >> at) & ((1 << self.bits) - 1);
        let carry = if index == 0 { 0 } else { (value >> (at - 1)) & 1 };
        let digit = raw + carry - ((raw >> (self.bits - 1)) << self.bits);
        i32::try_from(digit).unwrap_or_default()
    }

    /// Digit `index` of all values that are not zero, with their rows.
    fn push_digits<T: Copy + Into<i64>>(&self, values: &[T], index: u32, terms: &mut Vec<(u32, i32)>) {
        for (row, value) in (0..).zip(values) {
            let value: i64 = (*value).into();
            if value != 0 {
                terms.push((row, self.digit(value, index)));
            }
        }
    }
}

/// `Σ_i column[i]·L_i` for every column.
pub(super) fn commit_with_windows(columns: &[&Integers], profiles: &[Profile], row: &[Affine]) -> Vec<Point> {
    let longest = columns.iter().map(|column| column.len()).max().unwrap_or(0);
    // As many columns as share inversions well, and some for every thread.
    let together = (CELLS / longest.max(1)).clamp(1, columns.len().div_ceil(rayon::current_num_threads()).max(1));
    let chunks = columns.par_chunks(together).zip(profiles.par_chunks(together));
    let points = chunks.map_init(Memory::default, |memory, (columns, profiles)| memory.commit(columns, profiles, row));
    points.flatten_iter().collect()
}

#[derive(Debug, Default)]
struct Memory {
    buckets: Buckets,
    terms: Vec<(u32, i32)>,
}

impl Memory {
    fn commit(&mut self, columns: &[&Integers], profiles: &[Profile], row: &[Affine]) -> Vec<Point> {
        let windows: Vec<Window> = profiles.iter().map(|p| Window::new(p.bits, p.nonzero)).collect();
        for (column, window) in columns.iter().zip(&windows) {
            for index in 0..window.count {
                self.terms.clear();
                with_integers!(column, values => window.push_digits(values, index, &mut self.terms));
                self.buckets.add(&self.terms, row, window.buckets());
            }
        }
        let mut products = self.buckets.finish().into_iter();
        let sum = |window: &Window| {
            let digits: Vec<Point> = products.by_ref().take(window.count as usize).collect();
            digits
                .into_iter()
                .rev()
                .fold(Point::identity(), |sum, digit| (0..window.bits).fold(sum, |sum, _| sum.double()) + digit)
        };
        windows.iter().map(sum).collect()
    }
}
