//! The generators as the prover uses them.

use crate::{
    commit::Tables,
    fixed_base::FixedBases,
    inner_product::Shifts,
    multiexp::small_multiexp,
    vartime::{Affine, Point},
};
use group::{Curve as _, GroupEncoding};
use halo2_proofs::poly::commitment::Params;
use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use std::sync::OnceLock;
use zkonnx_circuits::shape::UNUSABLE_ROWS;

/// All generators for one `k`.
#[derive(Debug)]
pub struct Generators {
    /// Coefficient basis, `G_i`.
    pub coefficient: Vec<Affine>,
    /// Row (Lagrange) basis, `L_i`.
    pub row: Vec<Affine>,
    /// The blinding generator, `W`.
    pub blinding: Affine,
    /// The inner-product generator, `U`.
    pub value: Affine,
    /// Tables of the last rows, which hold randomness in every column, of `W` and of `U`.
    tables: FixedBases,
    /// Small multiples of the row basis, made when they are first needed.
    pub(crate) multiples: Tables,
    /// Shifts of the coefficient basis, made when they are first needed.
    pub(crate) shifts: OnceLock<Shifts>,
}

impl Generators {
    /// Reads the generators out of halo2's parameters.
    ///
    /// `None` when the parameters do not encode as halo2 0.4.1 encodes them.
    #[must_use]
    pub fn new(params: &Params<EqAffine>) -> Option<Self> {
        let bytes = zkonnx_verifier::params::write(params);
        let n = 1_usize << params.k();
        let points = bytes.get(4 + 32 * n..)?;
        let points = points
            .par_chunks_exact(32)
            .map(|chunk| Option::<EqAffine>::from(EqAffine::from_bytes(chunk.try_into().ok()?)).map(Affine::from))
            .collect::<Option<Vec<Affine>>>()?;
        let (row, [blinding, value]) = points.split_at_checked(n).map(|(row, rest)| (row.to_vec(), rest))? else {
            return None;
        };
        let last = row.get(n.checked_sub(UNUSABLE_ROWS)?..)?;
        let tables = FixedBases::new(&[last, &[*blinding, *value]].concat());
        let coefficient = params.get_g().into_iter().map(Affine::from).collect();
        Some(Self {
            coefficient,
            row,
            blinding: *blinding,
            value: *value,
            tables,
            multiples: Tables::default(),
            shifts: OnceLock::new(),
        })
    }

    /// `Σ values_i·L_i + Σ tail_i·L_(u + i) + blind·W`: a column of small integers on its active rows, and of field elements on those
    /// that halo2 keeps for itself.
    #[must_use]
    pub fn commit_column(&self, values: &[i64], tail: &[Fp; UNUSABLE_ROWS], blind: Fp) -> Point {
        small_multiexp(values, &self.row) + self.tables.multiexp(0, tail) + self.blind(blind)
    }

    /// `blind·W`.
    #[must_use]
    pub fn blind(&self, blind: Fp) -> Point {
        self.tables.multiexp(UNUSABLE_ROWS, &[blind])
    }

    /// `blind·W + value·U`.
    #[must_use]
    pub fn blind_value(&self, blind: Fp, value: Fp) -> Point {
        self.tables.multiexp(UNUSABLE_ROWS, &[blind, value])
    }
}

/// Affine coordinates of many points.
#[must_use]
pub fn normalise(points: &[Point]) -> Vec<EqAffine> {
    let mut affine = vec![Affine::default(); points.len()];
    Point::batch_normalize(points, &mut affine);
    affine.into_iter().map(EqAffine::from).collect()
}
