//! Multiples of points that never change, from a table.
//!
//! Scalars are cut in halves (`halves`), so that a table holds the multiples for half of a scalar's bits; those for the other half differ by the
//! endomorphism, one multiplication.

use crate::{
    multiples::fill,
    vartime::{endomorphism, halves, Affine, Half, Point, Sums, HALF_BITS},
};
use group::{Curve as _, Group as _};
use pasta_curves::Fp;
use rayon::prelude::*;

/// Bits of a window.
const WINDOW: usize = 8;
/// Windows of half a scalar, which is below `2^127`.
const WINDOWS: usize = HALF_BITS / WINDOW;
/// Multiples of a point in one window: `1 ..= 2^(WINDOW−1)`.
const MULTIPLES: usize = 1 << (WINDOW - 1);

/// `d·2^(WINDOW·w)·B` for every base `B`, window `w` of half a scalar and digit `d > 0`: 131 kB for a base.
#[derive(Clone, Debug)]
pub struct FixedBases {
    multiples: Vec<Affine>,
}

/// The table of one point.
fn table(base: Affine) -> Vec<Affine> {
    let next = |first: &Point| Some((0..WINDOW).fold(*first, |point, _| point.double()).done());
    let firsts: Vec<Point> = std::iter::successors(Some(Point::from(base)), next).take(WINDOWS).collect();
    let mut bases = [Affine::default(); WINDOWS];
    Point::batch_normalize(&firsts, &mut bases);
    let mut multiples = vec![Affine::default(); WINDOWS * MULTIPLES];
    fill(&mut multiples, &bases, MULTIPLES, &mut Sums::default());
    multiples
}

impl FixedBases {
    /// The tables of some points.
    #[must_use]
    pub fn new(bases: &[Affine]) -> Self {
        Self { multiples: bases.par_iter().flat_map_iter(|base| table(*base)).collect() }
    }

    /// `Σ scalars_i·B_(first + i)`: 32 mixed additions for a scalar.
    #[must_use]
    pub fn multiexp(&self, first: usize, scalars: &[Fp]) -> Point {
        let tables = self.multiples.chunks_exact(WINDOWS * MULTIPLES).skip(first);
        let (mut plain, mut turned) = (Point::default(), Point::default());
        for (scalar, table) in scalars.iter().zip(tables) {
            let [low, high] = halves(scalar);
            add_half(&mut plain, low, table, |multiple| *multiple);
            add_half(&mut turned, high, table, endomorphism);
        }
        plain + turned
    }
}

/// Adds half a scalar times the point of a table, turned.
#[inline]
fn add_half(sum: &mut Point, half: Half, table: &[Affine], turn: impl Fn(&Affine) -> Affine) {
    for (digit, window) in half.digits(WINDOW).zip(table.chunks_exact(MULTIPLES)) {
        let Some(multiple) = (digit.unsigned_abs() as usize).checked_sub(1).and_then(|at| window.get(at)) else {
            continue;
        };
        if digit < 0 {
            *sum -= turn(multiple);
        } else {
            *sum += turn(multiple);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn agrees_with_single_multiplications() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let bases: Vec<Affine> = (0..3).map(|_| Point::random(&mut rng).to_affine()).collect();
        let tables = FixedBases::new(&bases);
        let special = [Fp::ZERO, Fp::ONE, -Fp::ONE, Fp::from(32), Fp::from(33), -Fp::from(32), Fp::from(1 << 63)];
        let random = std::iter::repeat_with(|| Fp::random(&mut rng)).take(5);
        let scalars: Vec<Fp> = special.into_iter().chain(random).collect();
        for scalars in scalars.windows(3) {
            let expected: Point = bases.iter().zip(scalars).map(|(base, scalar)| *base * scalar).sum();
            assert_eq!(tables.multiexp(0, scalars), expected);
            assert_eq!(tables.multiexp(1, &scalars[..2]), bases[1] * scalars[0] + bases[2] * scalars[1]);
        }
        assert_eq!(tables.multiexp(0, &[]), Point::identity());
    }
}
