//! Scalars in two halves: `k = k_1 + k_2·λ`, where `λ·(x, y) = (ζ·x, y)` takes one multiplication.
//!
//! Gallant, Lambert and Vanstone, "Faster Point Multiplication on Elliptic Curves with Efficient Endomorphisms" (Crypto 2001); the short lattice vectors
//! and the rounding coefficients are those of pasta_curves, which keeps the decomposition itself to itself.

use super::Affine;
use ff::{PrimeField, WithSmallOrderMulGroup as _};
use pasta_curves::{glv::GlvParams, Eq, Fp, Fq};

/// Half of a scalar, below `2^127`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Half {
    /// The absolute value.
    pub(crate) magnitude: u128,
    /// The sign.
    pub(crate) negative: bool,
}

/// Bits of half a scalar, with one for the sign.
pub(crate) const HALF_BITS: usize = 128;

impl Half {
    /// `⌈128/window⌉` signed digits of base `2^window`, least significant first: in `[-2^(w−1), 2^(w−1)]`, the bit below being the carry.
    #[inline]
    pub(crate) fn digits(self, window: usize) -> impl Iterator<Item = i32> {
        let mut carry = 0;
        (0..HALF_BITS.div_ceil(window)).map(move |index| {
            let raw = i32::try_from(self.magnitude >> (index * window) & ((1 << window) - 1)).unwrap_or_default();
            let top = raw >> (window - 1);
            let digit = raw + carry - (top << window);
            carry = top;
            if self.negative {
                -digit
            } else {
                digit
            }
        })
    }
}

/// `k_1` and `k_2`.
pub(crate) fn halves(scalar: &Fp) -> [Half; 2] {
    let limbs = limbs(scalar);
    let (first, second) = (times(&Eq::G1, &limbs), times(&Eq::G2, &limbs));
    // The nearest point of the lattice is first·v_1 + second·v_2; what is left is short. Whatever the rounding, the sum is right.
    let high = Fp::from_u128(first) * Fp::from_u128(Eq::V1B_NEG) - Fp::from_u128(second) * Fp::from_u128(Eq::V2B);
    [short(scalar - high * Fp::ZETA), short(high)]
}

/// `λ` times a point.
pub(crate) fn endomorphism(point: &Affine) -> Affine {
    Affine { x: point.x * Fq::ZETA, y: point.y }
}

/// A scalar near zero with its sign.
fn short(scalar: Fp) -> Half {
    let (positive, negative) = (limbs(&scalar), limbs(&-scalar));
    let magnitude = |limbs: [u64; 4]| u128::from(limbs[0]) | u128::from(limbs[1]) << 64;
    match positive[2..] == [0, 0] {
        true => Half { magnitude: magnitude(positive), negative: false },
        false => Half { magnitude: magnitude(negative), negative: true },
    }
}

/// Little-endian.
fn limbs(scalar: &Fp) -> [u64; 4] {
    let repr = scalar.to_repr();
    std::array::from_fn(|i| (0..8).rev().fold(0, |limb, byte| limb << 8 | u64::from(repr[8 * i + byte])))
}

/// `⌊g·k / 2^384⌉`, below `2^128`.
fn times(g: &[u64; 5], k: &[u64; 4]) -> u128 {
    let mut product = [0_u64; 9];
    for (i, g) in g.iter().enumerate() {
        let mut carry = 0_u128;
        for (j, k) in k.iter().enumerate() {
            let sum = u128::from(*g) * u128::from(*k) + u128::from(product[i + j]) + carry;
            product[i + j] = low(sum);
            carry = sum >> 64;
        }
        product[i + 4] = low(carry);
    }
    let rounded = u128::from(product[6]) | u128::from(product[7]) << 64;
    rounded.wrapping_add(u128::from(product[5] >> 63))
}

/// The low limb.
#[expect(clippy::cast_possible_truncation, reason = "the low limb is meant")]
fn low(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vartime::Point;
    use ff::Field as _;
    use group::Group as _;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use zkonnx_circuits::field::from_i64;

    #[test]
    fn halves_are_short_and_add_up() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut scalars = vec![Fp::ZERO, Fp::ONE, -Fp::ONE, Fp::ZETA, -Fp::ZETA, Fp::ZETA + Fp::ONE, Fp::TWO_INV];
        scalars.extend([Eq::V1A, Eq::V1B_NEG, Eq::V2A, Eq::V2B, u128::MAX].map(Fp::from_u128));
        scalars.extend((0..1000).map(|_| Fp::random(&mut rng)));
        for i in 0..scalars.len() {
            scalars.push(scalars[i] * Fp::TWO_INV);
        }
        for scalar in scalars {
            let [first, second] = halves(&scalar).map(|half| {
                assert!(half.magnitude < 1 << 127);
                let magnitude = Fp::from_u128(half.magnitude);
                if half.negative {
                    -magnitude
                } else {
                    magnitude
                }
            });
            assert_eq!(first + second * Fp::ZETA, scalar);
        }
    }

    #[test]
    fn digits_are_short_and_add_up() {
        for window in [4, 8, 10] {
            for magnitude in [0, 1, 127, 128, 129, 1 << 126, (1 << 127) - 1, (u128::MAX / 3) >> 1] {
                for negative in [false, true] {
                    let digits: Vec<i32> = Half { magnitude, negative }.digits(window).collect();
                    assert_eq!(digits.len(), HALF_BITS.div_ceil(window));
                    assert!(digits.iter().all(|digit| digit.abs() <= 1 << (window - 1)));
                    let base = Fp::from(1 << window);
                    let sum = digits.iter().rev().fold(Fp::ZERO, |sum, digit| sum * base + from_i64((*digit).into()));
                    let expected = Fp::from_u128(magnitude);
                    assert_eq!(sum, if negative { -expected } else { expected });
                }
            }
        }
    }

    #[test]
    fn the_endomorphism_multiplies() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for point in [Point::identity(), Point::generator(), Point::random(&mut rng)] {
            let affine = Affine::from(point);
            assert_eq!(endomorphism(&affine), Affine::from(point * Fp::ZETA));
        }
    }
}
