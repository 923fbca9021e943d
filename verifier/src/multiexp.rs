//! The multi-scalar multiplication of final equations: Pippenger's method with signed windows and affine additions.
//!
//! halo2's own adds points in projective coordinates, eleven multiplications each. Here all additions of a window that do
//! not depend on each other share one inversion, and take six.
//! Variable time: everything is public.

use ff::{Field, PrimeField};
use group::Group;
use pasta_curves::{
    arithmetic::{Coordinates, CurveAffine},
    Eq, EqAffine, Fp, Fq,
};

/// Bits of a scalar, rounded up.
const SCALAR_BITS: usize = 256;

/// An affine point that is not the identity.
type Point = (Fq, Fq);

/// `Σ scalar·point`.
#[must_use]
pub fn multiexp(terms: &[(Fp, EqAffine)]) -> Eq {
    let points: Vec<([u8; 32], Point)> = terms
        .iter()
        .filter(|(scalar, _)| *scalar != Fp::ZERO)
        .filter_map(|(scalar, point)| {
            let coordinates: Option<Coordinates<EqAffine>> = point.coordinates().into();
            coordinates.map(|c| (scalar.to_repr(), (*c.x(), *c.y())))
        })
        .collect();
    // Six multiplications for a point, some thirty to sum up a bucket.
    let cost = |window: &usize| (SCALAR_BITS / window + 1) * (6 * points.len() + (30 << (window - 1)));
    let window = (2..=15).min_by_key(cost).unwrap_or(8);
    // A few windows, one after another, share their memory.
    let windows: Vec<usize> = (0..=SCALAR_BITS / window).collect();
    let sums = crate::parallel::map(windows.chunks(WINDOWS_AT_ONCE).collect(), |part: &[usize]| {
        let mut buckets = Buckets::default();
        part.iter()
            .map(|index| {
                buckets.fill(&points, window, *index);
                buckets.sum()
            })
            .collect::<Vec<Eq>>()
    });
    sums.into_iter().flatten().rev().fold(Eq::identity(), |total, sum| (0..window).fold(total, |t, _| t.double()) + sum)
}

/// Windows that share their memory.
const WINDOWS_AT_ONCE: usize = 2;

/// The signed digit of a window: in `[-2^(w-1), 2^(w-1)]`, as bucket and sign. The bit below is the carry.
fn digit(scalar: &[u8; 32], window: usize, index: usize) -> (u32, bool) {
    let at = index * window;
    // Up to 16 bits from bit `at` on.
    let byte = |i: usize| u32::from(scalar.get(at / 8 + i).copied().unwrap_or(0)) << (8 * i);
    let raw = ((byte(0) | byte(1) | byte(2)) >> (at % 8)) & ((1 << window) - 1);
    let carry = match at.checked_sub(1) {
        Some(below) => u32::from(scalar.get(below / 8).copied().unwrap_or(0)) >> (below % 8) & 1,
        None => 0,
    };
    if raw >> (window - 1) == 0 {
        (raw + carry, false)
    } else {
        ((1 << window) - raw - carry, true)
    }
}

/// The points of one window, sorted by their digits.
#[derive(Debug, Default)]
struct Buckets {
    /// Number of points in every bucket, from digit 1 on.
    sizes: Vec<usize>,
    /// The points of all buckets, one bucket after another.
    points: Vec<Point>,
    /// Memory for what follows.
    next: Vec<Point>,
    products: Vec<Fq>,
}

impl Buckets {
    /// Sorts the points by their digits in a window; those with a negative digit are negated.
    fn fill(&mut self, points: &[([u8; 32], Point)], window: usize, index: usize) {
        self.sizes.clear();
        self.sizes.resize(1 << (window - 1), 0);
        let digits: Vec<(u32, bool)> = points.iter().map(|(scalar, _)| digit(scalar, window, index)).collect();
        let bucket = |digit: u32| (digit as usize).checked_sub(1);
        for (digit, _) in &digits {
            if let Some(size) = bucket(*digit).and_then(|b| self.sizes.get_mut(b)) {
                *size += 1;
            }
        }
        let mut total = 0;
        let mut ends: Vec<usize> = self
            .sizes
            .iter()
            .map(|size| {
                total += size;
                total - size
            })
            .collect();
        self.points.clear();
        self.points.resize(total, (Fq::ZERO, Fq::ZERO));
        for ((digit, negative), (_, (x, y))) in digits.iter().zip(points) {
            let Some(end) = bucket(*digit).and_then(|b| ends.get_mut(b)) else { continue };
            if let Some(place) = self.points.get_mut(*end) {
                *place = (*x, if *negative { -*y } else { *y });
            }
            *end += 1;
        }
    }

    /// `Σ digit·point`.
    fn sum(&mut self) -> Eq {
        while self.sizes.iter().any(|size| *size > 1) {
            if !self.add_neighbours(false) {
                self.add_neighbours(true);
            }
            std::mem::swap(&mut self.points, &mut self.next);
        }
        let (mut running, mut total) = (Eq::identity(), Eq::identity());
        let mut points = self.points.iter().rev();
        for size in self.sizes.iter().rev() {
            if *size == 1 {
                let point: Option<EqAffine> = points.next().and_then(|(x, y)| Option::from(EqAffine::from_xy(*x, *y)));
                running += point.unwrap_or_default();
            }
            total += running;
        }
        total
    }

    /// Adds every second point of a bucket to the one before, into `next`. `false`, and nothing is done, when two have the same `x`, unless
    /// `careful`: points that are chosen before their scalars do not meet, but whoever chooses may repeat them.
    fn add_neighbours(&mut self, careful: bool) -> bool {
        // One inversion for all slopes: products of denominators up to each, then back.
        self.products.clear();
        let mut product = Fq::ONE;
        let mut start = 0;
        for size in &self.sizes {
            for pair in self.points[start..start + size].chunks_exact(2) {
                self.products.push(product);
                if let Some((_, denominator)) = slope(&pair[0], &pair[1], careful) {
                    product *= denominator;
                }
            }
            start += size;
        }
        let Some(mut inverse) = Option::<Fq>::from(product.invert()) else { return false };
        // Backwards, as the inverses come; turned around at the end.
        self.next.clear();
        let mut products = self.products.iter().rev();
        let mut end = self.points.len();
        for size in self.sizes.iter_mut().rev() {
            let pairs = self.points[end - *size..end].chunks_exact(2);
            end -= *size;
            let before = self.next.len();
            self.next.extend(pairs.remainder());
            for pair in pairs.rev() {
                let [first, second] = [pair[0], pair[1]];
                let product = products.next().unwrap_or(&Fq::ZERO);
                let Some((numerator, denominator)) = slope(&first, &second, careful) else { continue };
                let slope = numerator * inverse * product;
                inverse *= denominator;
                let x = slope.square() - first.0 - second.0;
                self.next.push((x, slope * (first.0 - x) - first.1));
            }
            *size = self.next.len() - before;
        }
        self.next.reverse();
        true
    }
}

/// Numerator and denominator of the slope through two points; nothing for opposite ones. Unless `careful`, the denominator is zero for equal and
/// opposite points.
fn slope(first: &Point, second: &Point, careful: bool) -> Option<(Fq, Fq)> {
    if careful && first.0 == second.0 {
        // There is no point of order two.
        return (first.1 == second.1).then(|| (first.0.square() * Fq::from(3), first.1.double()));
    }
    Some((second.1 - first.1, second.0 - first.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use group::Curve;

    fn terms(count: u64) -> Vec<(Fp, EqAffine)> {
        let scalar = |i: u64| (Fp::from(i) + Fp::from(3).invert().unwrap_or(Fp::ZERO)).pow_vartime([i + 5]);
        (0..count).map(|i| (scalar(i), (Eq::generator() * scalar(i + 77)).to_affine())).collect()
    }

    fn naive(terms: &[(Fp, EqAffine)]) -> Eq {
        terms.iter().map(|(scalar, point)| *point * scalar).sum()
    }

    #[test]
    fn agrees_with_single_multiplications() {
        for count in [0, 1, 2, 3, 40, 300, 1500] {
            let terms = terms(count);
            assert_eq!(multiexp(&terms), naive(&terms), "{count}");
        }
    }

    #[test]
    fn equal_opposite_and_neutral_points_and_extreme_scalars_are_no_exception() {
        let mut all = terms(9);
        all.extend_from_within(..);
        all.extend(terms(9).into_iter().map(|(scalar, point)| (scalar, -point)));
        all.extend(terms(5).into_iter().map(|(scalar, point)| (-scalar, point)));
        all.push((Fp::from(7), EqAffine::default()));
        for scalar in [Fp::ZERO, Fp::ONE, -Fp::ONE, Fp::from(1 << 63), Fp::from(0x8000), -Fp::from(0x8000)] {
            all.push((scalar, all[0].1));
            all.push((scalar, all[0].1));
        }
        assert_eq!(multiexp(&all), naive(&all));
        let nothing = [all[0], (all[0].0, -all[0].1)];
        assert_eq!(multiexp(&nothing), Eq::identity());
    }
}
