//! Small things about the field of relations, the scalar field of Vesta.

use ff::{Field, PrimeField};
use pasta_curves::deferred::DeferredField;
pub use pasta_curves::Fp;

/// The image of a signed integer.
#[must_use]
pub fn from_i64(value: i64) -> Fp {
    let magnitude = Fp::from(value.unsigned_abs());
    if value < 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// The image of a wider one.
#[must_use]
pub fn from_i128(value: i128) -> Fp {
    let magnitude = Fp::from_u128(value.unsigned_abs());
    if value < 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// Number of index bits of an axis: the least `b` with `2^b ≥ size`.
#[must_use]
pub fn index_bits(size: u32) -> usize {
    size.next_power_of_two().trailing_zeros() as usize
}

/// The equality polynomial at all of the first `size` corners: entry `i` is `Π_b (i_b·r_b + (1-i_b)(1-r_b))`,
/// where `i_b` is bit `b` of `i` (least significant first).
#[must_use]
pub fn eq_vector(point: &[Fp], size: usize) -> Vec<Fp> {
    let mut vector = Vec::with_capacity(1 << point.len());
    vector.push(Fp::ONE);
    for r in point {
        for i in 0..vector.len() {
            let high = vector[i] * r;
            vector.push(high);
            vector[i] -= high;
        }
    }
    vector.truncate(size);
    vector
}

/// `Σ a_i·b_i` over the shorter length.
#[must_use]
pub fn inner_product(a: &[Fp], b: &[Fp]) -> Fp {
    let mut sum = Default::default();
    for (a, b) in a.iter().zip(b) {
        Fp::mul_accumulate(&mut sum, a, b);
    }
    Fp::reduce(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_equality_polynomial_selects_a_corner() {
        let point = [Fp::ONE, Fp::ZERO, Fp::ONE];
        let vector = eq_vector(&point, 8);
        for (i, value) in vector.iter().enumerate() {
            assert_eq!(*value, if i == 5 { Fp::ONE } else { Fp::ZERO });
        }
        assert_eq!(from_i64(-3) + from_i64(3), Fp::ZERO);
        assert_eq!((index_bits(1), index_bits(2), index_bits(5)), (0, 1, 3));
    }
}
