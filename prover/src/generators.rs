//! The generators as the prover uses them.

use crate::{
    commit::Tables,
    fixed_base::FixedBases,
    inner_product::Shifts,
    vartime::{Affine, Point},
};
use group::{Curve as _, GroupEncoding};
use halo2_proofs::poly::commitment::Params;
use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Field elements of a piece, at most.
const PIECE: usize = 4;

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
    /// Tables of the first rows, which hold the values of pieces, of `W` and of `U`.
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
        let tables = FixedBases::new(&[row.get(..PIECE)?, &[*blinding, *value]].concat());
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

    /// `Σ values_i·L_i + blind·W` of field elements on the first rows, at most four.
    #[must_use]
    pub fn commit_piece(&self, values: &[Fp], blind: Fp) -> Point {
        self.tables.multiexp(0, values) + self.blind(blind)
    }

    /// `blind·W`.
    #[must_use]
    pub fn blind(&self, blind: Fp) -> Point {
        self.tables.multiexp(PIECE, &[blind])
    }

    /// `blind·W + value·U`.
    #[must_use]
    pub fn blind_value(&self, blind: Fp, value: Fp) -> Point {
        self.tables.multiexp(PIECE, &[blind, value])
    }
}

/// Affine coordinates of many points.
#[must_use]
pub fn normalise(points: &[Point]) -> Vec<EqAffine> {
    let mut affine = vec![Affine::default(); points.len()];
    Point::batch_normalize(points, &mut affine);
    affine.into_iter().map(EqAffine::from).collect()
}
