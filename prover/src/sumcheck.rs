//! The arithmetic of sumcheck rounds, the same for layers, contractions, gates and pairs.
//!
//! A round's message is `(c1, c2)` of `h(X) = c0 + c1·X + c2·X²`; what the claim is, `(1 − z)·h(0) + z·h(1)`, makes up `c0`. An average is a
//! claim with `z = ½`.

use ff::{Field, PrimeField};
use pasta_curves::Fp;

/// `h(0)` and the coefficient of `X²`.
pub(crate) type Sums = [Fp; 2];

/// Fewer field elements than this are not worth a second thread.
const PARALLEL: usize = 1 << 12;

/// So many blocks of `len` field elements are given to one thread at least.
pub(crate) fn min_blocks(len: usize) -> usize {
    (PARALLEL / len).max(1)
}

/// What a round's message `(c1, c2)` makes of a claim about the coordinate `z`.
pub(crate) fn next_claim(claim: Fp, z: Fp, sigma: Fp, message: &[Fp]) -> Fp {
    match message {
        [c1, c2, ..] => claim + (sigma - z) * c1 + (sigma.square() - z) * c2,
        _ => claim,
    }
}

/// `½^exponent`.
pub(crate) fn half_to(exponent: usize) -> Fp {
    Fp::TWO_INV.pow_vartime([exponent as u64])
}

/// The message of an average: `(h(0) + h(1))/2` is the claim; `c0` and `c2` are sums, to be multiplied by `weight`.
pub(crate) fn average_message(claim: Fp, [c0, c2]: Sums, weight: Fp) -> [Fp; 2] {
    let (c0, c2) = (c0 * weight, c2 * weight);
    [(claim - c0).double() - c2, c2]
}

/// Both sums.
pub(crate) fn add(a: Sums, b: Sums) -> Sums {
    [a[0] + b[0], a[1] + b[1]]
}

/// `h(0)` and the coefficient of `X²` of `Σ f·g` for the variable in the lowest bit.
pub(crate) fn lowest_sums(f: &[Fp], g: &[Fp]) -> Sums {
    let pairs = f.chunks_exact(2).zip(g.chunks_exact(2));
    pairs.fold([Fp::ZERO; 2], |sums, (f, g)| add(sums, [f[0] * g[0], (f[1] - f[0]) * (g[1] - g[0])]))
}

/// Binds the variable in the lowest bit.
pub(crate) fn bind_lowest(values: &mut Vec<Fp>, sigma: Fp) {
    let half = values.len() / 2;
    for i in 0..half {
        values[i] = values[2 * i] + sigma * (values[2 * i + 1] - values[2 * i]);
    }
    values.truncate(half);
}

/// Binds the variable in the highest bit.
pub(crate) fn bind_highest(values: &mut Vec<Fp>, sigma: Fp) {
    let half = values.len() / 2;
    let (low, high) = values.split_at_mut(half);
    bind(low, high, sigma);
    values.truncate(half);
}

/// `low ← low + σ·(high − low)`.
pub(crate) fn bind(low: &mut [Fp], high: &[Fp], sigma: Fp) {
    low.iter_mut().zip(high).for_each(|(low, high)| *low += sigma * (*high - *low));
}

/// What is left of a table when all variables are bound.
pub(crate) fn bound(values: &[Fp]) -> Fp {
    values.first().copied().unwrap_or(Fp::ZERO)
}
