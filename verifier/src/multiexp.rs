//! The multi-scalar multiplication of batches: Pippenger's method with signed windows and affine additions.
//!
//! halo2's own adds points in projective coordinates, eleven multiplications each. Here all additions of a window that do
//! not depend on each other share one inversion, and take six. It pays for thousands of points; a single proof has hundreds.
//! Variable time: everything is public.

use ff::{Field, PrimeField};
use group::Group;
use pasta_curves::{
    arithmetic::{Coordinates, CurveAffine},
    Eq, EqAffine, Fp, Fq,
};

/// Bits of a scalar, rounded up.
const SCALAR_BITS: usize = 256;

/// An affine point that is not the identity, in the bucket of its digit.
type Entry = (u32, Fq, Fq);

/// `Σ scalar·point`.
#[must_use]
pub fn multiexp(terms: &[(Fp, EqAffine)]) -> Eq {
    let points: Vec<([u8; 32], Fq, Fq)> = terms
        .iter()
        .filter(|(scalar, _)| *scalar != Fp::ZERO)
        .filter_map(|(scalar, point)| {
            let coordinates: Option<Coordinates<EqAffine>> = point.coordinates().into();
            coordinates.map(|c| (scalar.to_repr(), *c.x(), *c.y()))
        })
        .collect();
    // Six multiplications for a point, some thirty to sum up a bucket.
    let cost = |window: &usize| (SCALAR_BITS / window + 1) * (6 * points.len() + (30 << (window - 1)));
    let window = (2..=15).min_by_key(cost).unwrap_or(8);
    let sums = crate::parallel::map((0..=SCALAR_BITS / window).collect(), |index| window_sum(&points, window, index));
    sums.into_iter().rev().fold(Eq::identity(), |total, sum| (0..window).fold(total, |t, _| t.double()) + sum)
}

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

/// `Σ digit·point` of one window.
fn window_sum(points: &[([u8; 32], Fq, Fq)], window: usize, index: usize) -> Eq {
    let mut entries: Vec<Entry> = Vec::with_capacity(points.len());
    for (scalar, x, y) in points {
        let (bucket, negative) = digit(scalar, window, index);
        if bucket != 0 {
            entries.push((bucket, *x, if negative { -*y } else { *y }));
        }
    }
    entries.sort_unstable_by_key(|entry| entry.0);
    while entries.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        entries = add_neighbours(&entries);
    }
    // Σ bucket·point, with the buckets between.
    let (mut running, mut total) = (Eq::identity(), Eq::identity());
    let mut entries = entries.into_iter().rev().peekable();
    for bucket in (1..=1_u32 << (window - 1)).rev() {
        if let Some((_, x, y)) = entries.next_if(|entry| entry.0 == bucket) {
            let point: Option<EqAffine> = EqAffine::from_xy(x, y).into();
            running += point.unwrap_or_default();
        }
        total += running;
    }
    total
}

/// Adds every second entry to the one before where they are in one bucket.
fn add_neighbours(entries: &[Entry]) -> Vec<Entry> {
    let mut pairs: Vec<(Entry, Option<Entry>)> = Vec::with_capacity(entries.len());
    let mut rest = entries.iter().copied().peekable();
    while let Some(first) = rest.next() {
        pairs.push((first, rest.next_if(|second| second.0 == first.0)));
    }
    // Slope = numerator / denominator; what cancels has no sum.
    let slope = |first: &Entry, second: &Entry| match (first.1 == second.1, first.2 == second.2) {
        (false, _) => Some((second.2 - first.2, second.1 - first.1)),
        (true, true) => Some((first.1.square() * Fq::from(3), first.2.double())),
        (true, false) => None,
    };
    let slopes: Vec<Option<(Fq, Fq)>> =
        pairs.iter().map(|(first, second)| second.as_ref().and_then(|s| slope(first, s))).collect();
    // One inversion for all: products up to each, then back.
    let mut product = Fq::ONE;
    let before: Vec<Fq> = slopes
        .iter()
        .map(|slope| {
            let before = product;
            if let Some((_, denominator)) = slope {
                product *= denominator;
            }
            before
        })
        .collect();
    // No denominator is zero: there is no point of order two.
    let mut inverse: Fq = Option::from(product.invert()).unwrap_or(Fq::ZERO);
    let mut sums: Vec<Entry> = Vec::with_capacity(pairs.len());
    for (((first, second), slope), before) in pairs.iter().zip(&slopes).zip(&before).rev() {
        match (second, slope) {
            (None, _) => sums.push(*first),
            (Some(_), None) => {}
            (Some(second), Some((numerator, denominator))) => {
                let slope = *numerator * inverse * before;
                inverse *= denominator;
                let x = slope.square() - first.1 - second.1;
                sums.push((first.0, x, slope * (first.1 - x) - first.2));
            }
        }
    }
    sums.reverse();
    sums
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
