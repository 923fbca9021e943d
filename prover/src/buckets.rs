//! Sums of small multiples of points, with buckets and affine additions: Pippenger's method for one window.
//!
//! Terms are sorted by their digits. The points of one digit, its bucket, are summed with [`Sums`]: one affine addition for a term. What is left is
//! `Σ d·B_d` over the buckets: with `d = 2^h·i + j` it is `2^h·Σ i·(Σ_j B_d) + Σ j·(Σ_i B_d)`, two more affine additions for a bucket, none of which
//! waits for another as those of a running sum do.

use crate::vartime::{Affine, Point, Sums};
use group::Group as _;
use std::ops::Add;

/// Points that are collected before they are summed: few enough for the cache, enough to share an inversion.
const BATCH: usize = 2048;

/// Products `Σ digit·point` that wait for their sums, and the memory for them.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    sums: Sums,
    /// The end of every bucket.
    ends: Vec<usize>,
    /// Places of the terms' points, sorted by digits, with their signs.
    sorted: Vec<(u32, bool)>,
    /// The buckets of all products.
    buckets: Vec<Affine>,
    /// Largest digit of every product.
    largest: Vec<usize>,
}

impl Buckets {
    /// Adds a product of terms (place of the point, digit), the digits in `-largest ..= largest`; a digit of zero counts for nothing.
    pub(crate) fn add(&mut self, terms: &[(u32, i32)], points: &[Affine], largest: usize) {
        let digit = |digit: i32| digit.unsigned_abs() as usize;
        self.ends.clear();
        self.ends.resize(largest + 1, 0);
        for (_, d) in terms {
            self.ends[digit(*d)] += 1;
        }
        // The zeros come first, and are left out.
        let mut total = 0;
        for end in &mut self.ends {
            total += *end;
            *end = total - *end;
        }
        self.sorted.resize(terms.len(), (0, false));
        for (place, d) in terms {
            let end = &mut self.ends[digit(*d)];
            self.sorted[*end] = (*place, *d < 0);
            *end += 1;
        }
        for bounds in self.ends.windows(2) {
            for (place, negative) in &self.sorted[bounds[0]..bounds[1]] {
                self.sums.push_signed(&points[*place as usize], *negative);
            }
            self.sums.close();
            if self.sums.len() >= BATCH {
                self.sums.sum_into(&mut self.buckets);
            }
        }
        self.largest.push(largest);
    }

    /// The products, in the order of [`Self::add`].
    pub(crate) fn finish(&mut self) -> Vec<Point> {
        self.sums.sum_into(&mut self.buckets);
        let mut lines = Vec::new();
        let mut buckets = self.buckets.as_slice();
        for largest in &self.largest {
            let (own, rest) = buckets.split_at(*largest);
            buckets = rest;
            let (high, low) = shape(*largest);
            // Digit d is own[d − 1]. Rows i = 1 … high − 1, columns j = 1 … low − 1.
            for i in 1..high {
                own.iter().take((i + 1) * low - 1).skip(i * low - 1).for_each(|bucket| self.sums.push(*bucket));
                self.sums.close();
            }
            for j in 1..low {
                own.iter().skip(j - 1).step_by(low).for_each(|bucket| self.sums.push(*bucket));
                self.sums.close();
            }
            if self.sums.len() >= BATCH {
                self.sums.sum_into(&mut lines);
            }
        }
        self.sums.sum_into(&mut lines);
        let mut lines = lines.as_slice();
        let products = self.largest.iter().map(|largest| {
            let (high, low) = shape(*largest);
            let (rows, rest) = lines.split_at(high - 1);
            let (columns, rest) = rest.split_at(low - 1);
            lines = rest;
            (0..low.ilog2()).fold(weighted(rows), |sum, _| sum.double()) + weighted(columns)
        });
        let products = products.collect();
        self.buckets.clear();
        self.largest.clear();
        products
    }
}

/// Rows and columns of the digits `0 ..= largest`; the number of columns is a power of two.
fn shape(largest: usize) -> (usize, usize) {
    let low = 1 << (usize::BITS - largest.leading_zeros()).div_ceil(2);
    (largest / low + 1, low)
}

/// `Σ i·points[i − 1]`.
pub(crate) fn weighted<'a, P>(points: &'a [P]) -> Point
where
    Point: Add<&'a P, Output = Point>,
{
    let (mut running, mut total) = (Point::identity(), Point::identity());
    for point in points.iter().rev() {
        running = running + point;
        total += running;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use zkonnx_circuits::field::from_i64;

    #[test]
    fn products_of_any_shape_agree_with_single_multiplications() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut points: Vec<Affine> = (0..20).map(|_| Point::random(&mut rng).into()).collect();
        points[3] = points[4];
        points[5] = -points[6];
        points[7] = Affine::default();
        let mut buckets = Buckets::default();
        for _ in 0..2 {
            let mut expected = Vec::new();
            for largest in [1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 100, 512] {
                for count in [0, 1, 30, 700] {
                    let bound = i32::try_from(largest).expect("small");
                    let digit = |i: i32| (i * 7919 + bound) % (2 * bound + 1) - bound;
                    let terms: Vec<(u32, i32)> =
                        (0_u32..).zip(0..count).map(|(i, j)| (i * 13 % 20, digit(j))).collect();
                    buckets.add(&terms, &points, largest);
                    let plain = terms.iter().map(|(at, digit)| points[*at as usize] * from_i64((*digit).into()));
                    expected.push(plain.sum::<Point>());
                }
            }
            assert_eq!(buckets.finish(), expected);
        }
        assert!(buckets.finish().is_empty());
    }
}
