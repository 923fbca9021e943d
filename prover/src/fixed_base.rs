//! Multiples of points that never change, from a table.

use crate::{
    multiexp::{signed_digits, SCALAR_BITS},
    vartime::{Affine, Point},
};
use group::Curve as _;
use pasta_curves::Fp;
use rayon::prelude::*;

/// Bits of a window.
const WINDOW: usize = 6;
/// Windows of a scalar.
const WINDOWS: usize = SCALAR_BITS / WINDOW + 1;
/// Multiples of a point in one window: `1 .. 2^(WINDOW−1)`.
const MULTIPLES: usize = 1 << (WINDOW - 1);

/// `d·2^(WINDOW·w)·B` for every base `B`, window `w` and digit `d > 0`: 88 kB for a base.
#[derive(Clone, Debug)]
pub struct FixedBases {
    multiples: Vec<Affine>,
}

/// The table of one point.
fn table(base: Affine) -> Vec<Affine> {
    let mut points: Vec<Point> = Vec::with_capacity(WINDOWS * MULTIPLES);
    let mut first = Point::from(base);
    for _ in 0..WINDOWS {
        let mut multiple = first;
        for _ in 0..MULTIPLES {
            points.push(multiple);
            multiple += first;
        }
        // The last is 2^(WINDOW−1) times the first.
        let half = points.last().copied().unwrap_or_default();
        first = half + half;
    }
    let mut multiples = vec![Affine::default(); points.len()];
    Point::batch_normalize(&points, &mut multiples);
    multiples
}

impl FixedBases {
    /// The tables of some points.
    #[must_use]
    pub fn new(bases: &[Affine]) -> Self {
        Self { multiples: bases.par_iter().flat_map_iter(|base| table(*base)).collect() }
    }

    /// `Σ scalars_i·B_(first + i)`.
    #[must_use]
    pub fn multiexp(&self, first: usize, scalars: &[Fp]) -> Point {
        let tables = self.multiples.chunks_exact(WINDOWS * MULTIPLES).skip(first);
        let mut sum = Point::default();
        for (scalar, table) in scalars.iter().zip(tables) {
            for (digit, window) in signed_digits(scalar, WINDOW).into_iter().zip(table.chunks_exact(MULTIPLES)) {
                let multiple = (digit.unsigned_abs() as usize).checked_sub(1).and_then(|at| window.get(at));
                match multiple {
                    Some(multiple) if digit > 0 => sum += multiple,
                    Some(multiple) => sum -= multiple,
                    None => {}
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;
    use group::Group as _;
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
