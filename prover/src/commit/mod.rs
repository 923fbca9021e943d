//! Commitments to many columns of small integers at once.
//!
//! A column `v` is committed as `Σ v_i·L_i` over the row basis. Columns are independent, but they share the generators and, added in affine
//! coordinates, their inversions. Two methods, both one affine addition for a cell that is not zero, and nothing for one that is:
//!
//! * *Multiples* (`multiples`): `1·L_i … m·L_i` from a table, for columns of small values. The table of short columns is made once and kept with
//!   the generators; that of long ones is made block by block of rows, used by all columns, and dropped, when there are columns enough.
//! * *Buckets* (`windows`): the points of one digit are added, then the digits' sums with their weights, two additions for a digit of every
//!   column. For long columns, and for wide values in windows.
//!
//! Which one: whichever needs fewer additions (`Plan`). Everything runs in variable time.

mod multiples;
mod windows;

pub(crate) use multiples::Tables;

use crate::{generators::Generators, vartime::Point};
use multiples::commit_with_multiples;
use rayon::prelude::*;
use windows::{commit_with_windows, Window};
use zkonnx_quantize::{integers::Integers, with_integers};

/// What of a column decides how it is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Profile {
    /// Largest absolute value.
    magnitude: u64,
    /// Bits of two's complement, one for the sign.
    bits: u32,
    /// Values that are not zero.
    nonzero: usize,
}

impl Profile {
    fn new(column: &Integers) -> Self {
        with_integers!(column, values => Self::of(values))
    }

    fn of<T: Copy + Into<i64>>(values: &[T]) -> Self {
        let (mut folded, mut magnitude, mut nonzero) = (0, 0, 0);
        for value in values {
            let value: i64 = (*value).into();
            // The bits of v and those of −1 − v are the same.
            folded |= value ^ (value >> (i64::BITS - 1));
            magnitude = magnitude.max(value.unsigned_abs());
            nonzero += usize::from(value != 0);
        }
        Self { magnitude, bits: i64::BITS - folded.leading_zeros() + 1, nonzero }
    }

    /// Whether all values are at most `count`, or zero.
    fn fits(&self, count: usize) -> bool {
        usize::try_from(self.magnitude).is_ok_and(|magnitude| magnitude <= count)
    }
}

/// How columns are committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Columns of values up to so many are committed from multiples, others with buckets; 0 for none.
    count: usize,
    /// Whether the table is kept.
    kept: bool,
}

/// How often a table that is kept is supposed to be used.
const USES: usize = 16;

impl Plan {
    /// The plan with the fewest affine additions whose table is not too large. There are `made` multiples of every generator already.
    fn new(profiles: &[Profile], num_rows: usize, cells_memory: usize, made: usize) -> Self {
        let by_windows = |p: &Profile| Window::new(p.bits, p.nonzero).cost();
        let plans = (0..=multiples::MOST.ilog2()).map(|bits| {
            let count = 1 << bits;
            let (few, many): (Vec<&Profile>, Vec<&Profile>) = profiles.iter().partition(|p| p.fits(count));
            let additions: usize = few.iter().map(|p| p.nonzero).sum();
            let table = num_rows * count;
            let fits = Tables::memory(num_rows, count) <= Tables::bound(num_rows, cells_memory);
            let kept = count <= made || fits && 8 * table > additions;
            let making = match kept {
                _ if count <= made => 0,
                true => table / USES,
                false => table,
            };
            let cost = additions + making + many.into_iter().map(by_windows).sum::<usize>();
            (cost, Self { count, kept })
        });
        let none = (profiles.iter().map(by_windows).sum(), Self::default());
        std::iter::once(none).chain(plans).min_by_key(|(cost, _)| *cost).map_or_else(Self::default, |(_, plan)| plan)
    }
}

/// `Σ_i column[i]·L_i` for every column. Columns may have any widths, and be shorter than `n`; what is missing is zero.
///
/// Cost: one or a few affine additions (some 170 ns) for every cell that is not zero.
///
/// # Panics
/// When a column is longer than the row basis.
#[must_use]
pub fn commit_columns(columns: &[&Integers], generators: &Generators) -> Vec<Point> {
    let profiles: Vec<Profile> = columns.par_iter().map(|column| Profile::new(column)).collect();
    let memory = columns.iter().map(|column| with_integers!(column, values => size_of_val(values.as_slice()))).sum();
    let Plan { count, kept } = Plan::new(&profiles, generators.row.len(), memory, generators.multiples.count());
    let (few, many): (Vec<usize>, Vec<usize>) = (0..columns.len()).partition(|i| profiles[*i].fits(count));
    let select = |places: &[usize]| places.iter().map(|i| columns[*i]).collect::<Vec<&Integers>>();
    let wide: Vec<Profile> = many.iter().map(|i| profiles[*i]).collect();
    let (by_multiples, by_windows) = rayon::join(
        || commit_with_multiples(&select(&few), generators, count, kept),
        || commit_with_windows(&select(&many), &wide, &generators.row),
    );
    let mut points = vec![Point::default(); columns.len()];
    for (i, point) in few.into_iter().zip(by_multiples).chain(many.into_iter().zip(by_windows)) {
        points[i] = point;
    }
    points
}

#[cfg(test)]
mod tests;
