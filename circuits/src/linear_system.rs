//! The one linear equation, `Σ_j <a_j, U_j> + constant = 0`, over all columns of the opening.
//!
//! Columns in order: words, multiplicities, pooled parameters, combined parameters, pieces, points of committed tensors. The functional of a
//! word or multiplicity column is `Σ_f coefs[f][j]·rows[f]`, of few row vectors that all columns share (lookups and gates), plus what relations
//! read of it by themselves.

use crate::field::{inner_product, Fp};
use ff::Field;

/// Parameter columns combined by public weights, with one functional.
#[derive(Clone, Debug)]
pub struct Combined {
    /// Parameter columns and their weights.
    pub columns: Vec<(usize, Fp)>,
    /// The functional, at most one coefficient per row; empty where it is kept elsewhere ([`crate::word_system::WordSystem::rest`]).
    pub functional: Vec<Fp>,
}

/// Functionals that are a row vector that all columns share, times a factor for each column.
#[derive(Clone, Debug, Default)]
pub struct RankOne {
    /// The row vectors.
    pub rows: Vec<Vec<Fp>>,
    /// For each row vector, one factor for each word and multiplicity column.
    pub coefs: Vec<Vec<Fp>>,
}

impl RankOne {
    /// Adds a row vector with its factors.
    pub(crate) fn push(&mut self, rows: Vec<Fp>, coefs: Vec<Fp>) {
        self.rows.push(rows);
        self.coefs.push(coefs);
    }

    /// `Σ_j weights[j]·<rows, U_j>` over word and multiplicity columns.
    #[must_use]
    pub fn evaluate(&self, weights: &[Fp], rows: &[Fp]) -> Fp {
        let parts = self.rows.iter().zip(&self.coefs);
        parts.fold(Fp::ZERO, |sum, (vector, coefs)| sum + inner_product(coefs, weights) * inner_product(vector, rows))
    }
}

/// The equation.
#[derive(Clone, Debug)]
pub struct LinearSystem {
    /// What lookups and gates read of word and multiplicity columns.
    pub rank_one: RankOne,
    /// What relations read of each word column; empty where they read nothing.
    pub words: Vec<Vec<Fp>>,
    /// What lookups read of multiplicity columns that are not full; empty for the others.
    pub multiplicities: Vec<Vec<Fp>>,
    /// One functional per pooled parameter column.
    pub pooled: Vec<Vec<Fp>>,
    /// Combined parameter columns.
    pub combined: Vec<Combined>,
    /// One functional per piece, as long as the piece.
    pub pieces: Vec<Vec<Fp>>,
    /// One functional per point of a committed tensor, on the generators of the coefficient basis.
    pub committed: Vec<Vec<Fp>>,
    /// The constant.
    pub constant: Fp,
}

impl LinearSystem {
    /// The functionals on rows of all columns but the rank-one parts, in order; without committed tensors, whose basis is another.
    pub fn functionals(&self) -> impl Iterator<Item = &[Fp]> {
        let words = self.words.iter().chain(&self.multiplicities).chain(&self.pooled).map(Vec::as_slice);
        let combined = self.combined.iter().map(|c| c.functional.as_slice());
        words.chain(combined).chain(self.pieces.iter().map(Vec::as_slice))
    }
}
