//! The rounds of the inner-product argument, over generators that never change.
//!
//! A round sends `<a_lo, G_hi>` and `<a_hi, G_lo>`, and folds the generators, `G ← G_lo + u⁻¹·G_hi` (Bootle et al., <https://eprint.iacr.org/2016/263>;
//! Bünz et al., <https://eprint.iacr.org/2017/1066>, section 3). Folding takes a multiplication of every second generator by a full scalar, most of the time
//! of a round, while the generators at the start are known in advance. So they are not folded at once:
//!
//! * After `r` rounds, generator `i` of `m` is `Σ_t s_t·G_(t·m+i)`, with `2^r` weights `s_t`, the products of `u⁻¹`. The terms of a round are products over the
//!   generators at the start, by scalars `s_t·a_i`.
//! * The multiples `2^(w·j)·G_i` of these are kept (`Shifts`), for half of a scalar's bits, and the same of `λ·G_i`, which the curve's endomorphism gives
//!   for one multiplication: a product over `m` generators is `2m·⌈128/w⌉` affine additions to one set of buckets, without doublings (Brickell,
//!   Gordon, McCurley and Wilson, Eurocrypt 1992).
//! * After some rounds the generators are *collapsed*, all rounds at once, with the same multiples. What is left is short: more rounds over
//!   multiples of the few, or interleaved products (`odd_multiples`; Straus 1964) to the end. `plan` says when.
//!
//! Cost: some 9 ms for n = 256 on one thread, where folding every round takes 20. Everything runs in variable time.

mod odd_multiples;
mod plan;
mod shifts;

pub(crate) use shifts::Shifts;

use crate::{
    generators::Generators,
    vartime::{Affine, Point},
};
use ff::Field;
use group::Curve as _;
use odd_multiples::OddMultiples;
use pasta_curves::Fp;
use std::borrow::Cow;
use zkonnx_circuits::field::inner_product;

/// What the generators of the rounds are combinations of.
#[derive(Debug)]
enum Basis<'a> {
    /// Generators with their shifts, collapsed when so many are left; never for zero.
    Shifted { shifts: Cow<'a, Shifts>, collapse: usize },
    /// The last few.
    Few(OddMultiples),
}

/// The rounds of one argument.
#[derive(Debug)]
pub struct Rounds<'a> {
    basis: Basis<'a>,
    /// `s`, by the bits of the rounds since the basis was made, the first on top.
    weights: Vec<Fp>,
    a: Vec<Fp>,
    b: Vec<Fp>,
}

/// What a round sends, without the generators of value and blind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cross {
    /// `<a_lo, G_hi>`.
    pub left: Point,
    /// `<a_hi, G_lo>`.
    pub right: Point,
    /// `<a_lo, b_hi>`.
    pub left_value: Fp,
    /// `<a_hi, b_lo>`.
    pub right_value: Fp,
}

impl<'a> Rounds<'a> {
    /// The rounds for two vectors over the generators of the coefficient basis.
    ///
    /// # Panics
    /// When the vectors are not as long as the basis.
    #[must_use]
    pub fn new(generators: &'a Generators, a: Vec<Fp>, b: Vec<Fp>) -> Self {
        assert_eq!((a.len(), b.len()), (generators.coefficient.len(), generators.coefficient.len()));
        let shifts = generators.shifts.get_or_init(|| Shifts::new(&generators.coefficient));
        let collapse = plan::collapse_at(a.len());
        Self { basis: Basis::Shifted { shifts: Cow::Borrowed(shifts), collapse }, weights: vec![Fp::ONE], a, b }
    }

    /// Length of the vectors, a power of two.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.a.len()
    }

    /// Whether there are no rounds left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.a.len() <= 1
    }

    /// The terms of this round.
    #[must_use]
    pub fn cross_terms(&self) -> Cross {
        let ((a_low, a_high), (b_low, b_high)) = (halves(&self.a), halves(&self.b));
        let (left, right) = rayon::join(|| self.product(a_low, a_high.len()), || self.product(a_high, 0));
        Cross { left, right, left_value: inner_product(a_low, b_high), right_value: inner_product(a_high, b_low) }
    }

    /// `<a, G>` over the folded generators from `start` on.
    fn product(&self, a: &[Fp], start: usize) -> Point {
        let terms = self.weights.iter().enumerate().flat_map(|(t, weight)| {
            a.iter().enumerate().map(move |(i, a)| (t * self.a.len() + start + i, *weight * a))
        });
        match &self.basis {
            Basis::Shifted { shifts, .. } => shifts.product(&terms.collect::<Vec<_>>()),
            Basis::Few(multiples) => multiples.product(terms),
        }
    }

    /// `a ← a_lo + u·a_hi`, `b ← b_lo + u⁻¹·b_hi`, `G ← G_lo + u⁻¹·G_hi`.
    pub fn fold(&mut self, u: Fp, u_inverse: Fp) {
        for (vector, by) in [(&mut self.a, u), (&mut self.b, u_inverse)] {
            let high = vector.split_off(vector.len() / 2);
            vector.iter_mut().zip(high).for_each(|(low, high)| *low += by * high);
        }
        self.weights = self.weights.iter().flat_map(|weight| [*weight, *weight * u_inverse]).collect();
        match &self.basis {
            Basis::Shifted { shifts, collapse } if *collapse == self.a.len() && *collapse > 1 => {
                let points = shifts.collapse(&self.weights);
                let mut generators = vec![Affine::default(); points.len()];
                Point::batch_normalize(&points, &mut generators);
                self.weights = vec![Fp::ONE];
                self.basis = if plan::wants_shifts(generators.len()) {
                    let collapse = plan::collapse_at(generators.len());
                    Basis::Shifted { shifts: Cow::Owned(Shifts::new(&generators)), collapse }
                } else {
                    Basis::Few(OddMultiples::new(&generators))
                };
            }
            _ => {}
        }
    }

    /// What is left of `a`.
    #[must_use]
    pub fn finish(self) -> Fp {
        self.a.first().copied().unwrap_or(Fp::ZERO)
    }
}

fn halves(vector: &[Fp]) -> (&[Fp], &[Fp]) {
    vector.split_at(vector.len() / 2)
}

#[cfg(test)]
mod tests;
