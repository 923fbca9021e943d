//! Vesta for halo2's prover, in variable time.
//!
//! halo2 is generic over its curve. pasta_curves adds points in constant time: every addition also computes what it would be if the points were
//! equal, opposite or neutral, and selects; its scalar multiplications double and add for every bit. This is the same group with the same
//! encoding, and two differences:
//!
//! * additions look at their arguments, in coordinates `(X, Y, ZZ, ZZZ)` with `x = X/ZZ`, `y = Y/ZZZ`, `ZZ³ = ZZZ²` (Explicit-Formulas Database,
//!   "XYZZ coordinates for short Weierstrass curves", formulas of 2008 by Sutherland): ten multiplications for an affine point, fourteen for another;
//! * a doubling is only noted. halo2 with several threads doubles the sum of every window of a multi-scalar multiplication up to its own place, and
//!   adds them afterwards: what two of them share is then doubled once ([`Point`]).
//!
//! Proofs are the same bytes. What is secret and what time tells of it: the security notes on the prover's side channels; halo2's own
//! multiplications branch on the digits of scalars already.

mod affine;
mod halves;
mod point;
mod sums;
mod transcript;

pub use affine::{Affine, Uncompressed};
pub(crate) use halves::{endomorphism, halves, Half, HALF_BITS};
pub use point::Point;
pub(crate) use point::{signed_odd_digits, ODD_MULTIPLES};
pub(crate) use sums::Sums;
pub(crate) use transcript::Bridge;

use crate::generators::Generators;
use group::GroupEncoding;
use halo2_proofs::poly::commitment::Params;

/// halo2's parameters over [`Affine`].
pub(crate) fn params(k: u32, generators: &Generators) -> std::io::Result<Params<Affine>> {
    let Generators { coefficient, row, blinding, value, .. } = generators;
    let points = coefficient.iter().chain(row).chain([blinding, value]);
    let encoded = points.flat_map(|point| point.to_bytes().0);
    let bytes: Vec<u8> = k.to_le_bytes().into_iter().chain(encoded).collect();
    Params::read(&mut bytes.as_slice())
}

#[cfg(test)]
mod tests;
