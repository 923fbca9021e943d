//! Shifted generators, and products over them without doublings.

use super::plan::{in_halves, num_shifts, window};
use crate::{
    buckets::Buckets,
    vartime::{endomorphism, halves, Affine, Point},
};
use group::{Curve as _, Group as _};
use pasta_curves::Fp;
use rayon::prelude::*;

/// Fewest terms of a part of a product.
const PART: usize = 512;

/// `2^(window·j)·G_i` and `2^(window·j)·λ·G_i` for all `j` of half a scalar, one generator after another: 2 kB for a generator, 1.7 kB when there
/// are 2,048 or more.
#[derive(Clone, Debug)]
pub(crate) struct Shifts {
    window: usize,
    points: Vec<Affine>,
}

impl Shifts {
    /// Makes them on all threads: 128 doublings for a generator, 25 µs.
    pub(super) fn new(generators: &[Affine]) -> Self {
        let window = window(generators.len());
        let count = num_shifts(window);
        let mut points = vec![Affine::default(); generators.len() * count];
        let chunk = 8;
        points.par_chunks_mut(chunk * count).zip(generators.par_chunks(chunk)).for_each(|(points, generators)| {
            let shift = |point: &Point| Some((0..window).fold(*point, |point, _| point.double()).done());
            let shifts =
                |generator: &Affine| std::iter::successors(Some(Point::from(*generator)), shift).take(count / 2);
            let shifts: Vec<Point> = generators.iter().flat_map(shifts).collect();
            let mut affine = vec![Affine::default(); shifts.len()];
            Point::batch_normalize(&shifts, &mut affine);
            for (own, shifts) in points.chunks_exact_mut(count).zip(affine.chunks_exact(count / 2)) {
                let (plain, turned) = own.split_at_mut(count / 2);
                plain.copy_from_slice(shifts);
                turned.iter_mut().zip(shifts).for_each(|(turned, shift)| *turned = endomorphism(shift));
            }
        });
        Self { window, points }
    }

    /// `Σ scalar·G_place`.
    pub(super) fn product(&self, terms: &[(usize, Fp)]) -> Point {
        // The two products of a round run at the same time.
        let parts = rayon::current_num_threads().div_ceil(2).min(terms.len() / PART).max(1);
        let sum = |terms: &[(usize, Fp)]| {
            let mut digits = Vec::with_capacity(terms.len() * num_shifts(self.window));
            terms.iter().for_each(|(place, scalar)| self.push_digits(*place, scalar, &mut digits));
            let mut buckets = Buckets::default();
            buckets.add(&digits, &self.points, 1 << (self.window - 1));
            buckets.finish().into_iter().sum::<Point>()
        };
        match parts {
            1 => sum(terms),
            _ => terms.par_chunks(terms.len().div_ceil(parts)).map(sum).collect::<Vec<_>>().into_iter().sum(),
        }
    }

    /// `Σ_t weights[t]·G_(t·m+i)` for every `i` of `m`.
    pub(super) fn collapse(&self, weights: &[Fp]) -> Vec<Point> {
        let (count, window) = (num_shifts(self.window), self.window);
        let left = self.points.len() / count / weights.len();
        // The digits are the same for all; places are those of the first.
        let mut digits = Vec::with_capacity(weights.len() * count);
        for (t, weight) in weights.iter().enumerate() {
            self.push_digits(t * left, weight, &mut digits);
        }
        let halves = in_halves(weights.len(), window).then_some(window / 2);
        let parts: Vec<(Vec<(u32, i32)>, usize)> = match halves {
            None => vec![(digits, 1 << (window - 1))],
            Some(bits) => {
                let low = |digit: i32| ((digit + (1 << (bits - 1))) & ((1 << bits) - 1)) - (1 << (bits - 1));
                let lows = digits.iter().map(|(place, digit)| (*place, low(*digit))).collect();
                let highs = digits.iter().map(|(place, digit)| (*place, (*digit - low(*digit)) >> bits)).collect();
                vec![(lows, 1 << (bits - 1)), (highs, 1 << (window - 1 - bits))]
            }
        };
        let generators: Vec<usize> = (0..left).collect();
        let chunk = left.div_ceil(rayon::current_num_threads()).clamp(1, 16);
        let sums = generators.par_chunks(chunk).map_init(Buckets::default, |buckets, generators| {
            for i in generators {
                for (digits, largest) in &parts {
                    buckets.add(digits, self.points.get(i * count..).unwrap_or_default(), *largest);
                }
            }
            let products = buckets.finish();
            let join = |products: &[Point]| match (products, halves) {
                ([low, high], Some(bits)) => (0..bits).fold(*high, |high, _| high.double()) + low,
                _ => products.iter().sum(),
            };
            products.chunks(parts.len()).map(join).collect::<Vec<Point>>()
        });
        sums.flatten_iter().collect()
    }

    /// The signed digits of `scalar·G_place` with the places of their shifts.
    fn push_digits(&self, place: usize, scalar: &Fp, digits: &mut Vec<(u32, i32)>) {
        let first = u32::try_from(place * num_shifts(self.window)).unwrap_or(u32::MAX);
        digits.extend((first..).zip(halves(scalar).into_iter().flat_map(|half| half.digits(self.window))));
    }
}
