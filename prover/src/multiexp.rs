//! Multi-scalar multiplications on one thread; callers parallelise over independent ones.
//!
//! halo2's own `best_multiexp` shares one multiplication between threads and repeats the doublings for
//! every window: right for one large product, wasteful for our many small ones. Everything here runs in
//! variable time: see the security notes on the prover's side channels.

use crate::{
    buckets::weighted,
    vartime::{Affine, Point},
};
use ff::PrimeField;
use group::Group;
use pasta_curves::Fp;

/// Bits of a scalar, rounded up.
const SCALAR_BITS: usize = 256;

/// Signed digits of base `2^window`, least significant first: each in `[-2^(w-1), 2^(w-1)]`.
fn signed_digits(scalar: &Fp, window: usize) -> Vec<i32> {
    let bytes = scalar.to_repr();
    let bits_at = |at: usize| {
        // Up to 16 bits from bit `at` on.
        (0..3).fold(0_u32, |word, i| word | u32::from(bytes.get(at / 8 + i).copied().unwrap_or(0)) << (8 * i))
            >> (at % 8)
    };
    let mut carry = 0;
    (0..=SCALAR_BITS / window)
        .map(|i| {
            let raw = i32::try_from(bits_at(i * window) & ((1 << window) - 1)).unwrap_or(0) + carry;
            carry = i32::from(raw > 1 << (window - 1));
            raw - (carry << window)
        })
        .collect()
}

/// Adds `digit·base` to the bucket of `|digit|`.
fn add_digit(buckets: &mut [Point], digit: i64, base: &Affine) {
    if let Some(bucket) =
        usize::try_from(digit.unsigned_abs()).ok().and_then(|d| d.checked_sub(1)).and_then(|d| buckets.get_mut(d))
    {
        if digit < 0 {
            *bucket -= base;
        } else {
            *bucket += base;
        }
    }
}

/// `Σ scalars_i·bases_i` over the shorter length: Pippenger with signed windows.
#[must_use]
pub fn multiexp(scalars: &[Fp], bases: &[Affine]) -> Point {
    let count = scalars.len().min(bases.len());
    let cost = |window: &usize| (SCALAR_BITS / window + 1) * (count + (2 << (window - 1)));
    let window = (2..=12).min_by_key(cost).unwrap_or(4);
    let digits: Vec<Vec<i32>> = scalars.iter().map(|s| signed_digits(s, window)).collect();
    let mut total = Point::identity();
    let mut buckets = vec![Point::identity(); 1 << (window - 1)];
    for index in (0..=SCALAR_BITS / window).rev() {
        for _ in 0..window {
            total = total.double();
        }
        buckets.fill(Point::identity());
        for (digits, base) in digits.iter().zip(bases) {
            add_digit(&mut buckets, digits[index].into(), base);
        }
        total += weighted(&buckets);
    }
    total
}

/// `Σ values_i·bases_i` for small integers: windows no wider than the largest value. Zeros cost nothing. What [`crate::commit`] is compared with: it
/// commits many columns faster.
#[must_use]
pub fn small_multiexp(values: &[i64], bases: &[Affine]) -> Point {
    let largest = values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
    let nonzero = values.iter().filter(|v| **v != 0).count();
    let bits = (u64::BITS - largest.leading_zeros()).max(1);
    // Additions: one per nonzero digit, two per bucket.
    let cost = |window: &u32| bits.div_ceil(*window) as usize * (nonzero + (2 << window));
    let window = (1..=bits.min(12)).min_by_key(cost).unwrap_or(1);
    let mut total = Point::identity();
    let mut buckets = vec![Point::identity(); (1 << window) - 1];
    for index in (0..bits.div_ceil(window)).rev() {
        for _ in 0..window {
            total = total.double();
        }
        buckets.fill(Point::identity());
        for (value, base) in values.iter().zip(bases) {
            let digit = (value.unsigned_abs() >> (index * window)) & ((1 << window) - 1);
            if let Ok(digit) = i64::try_from(digit) {
                add_digit(&mut buckets, if *value < 0 { -digit } else { digit }, base);
            }
        }
        total += weighted(&buckets);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;
    use group::Curve as _;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn agrees_with_single_multiplications() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for count in [0, 1, 2, 7, 40, 300] {
            let mut scalars: Vec<Fp> = (0..count).map(|_| Fp::random(&mut rng)).collect();
            if count > 2 {
                scalars[0] = -Fp::ONE;
                scalars[1] = Fp::ZERO;
            }
            let bases: Vec<Affine> = (0..count).map(|_| Point::random(&mut rng).to_affine()).collect();
            let expected: Point = scalars.iter().zip(&bases).map(|(s, b)| *b * s).sum();
            assert_eq!(multiexp(&scalars, &bases), expected);
            let small: Vec<i64> = (0..).take(count).map(|i: i64| (i - 3) * 37).collect();
            let expected: Point =
                small.iter().zip(&bases).map(|(v, b)| *b * zkonnx_circuits::field::from_i64(*v)).sum();
            assert_eq!(small_multiexp(&small, &bases), expected);
        }
    }
}
