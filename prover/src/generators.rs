//! The generators as the prover uses them.

use crate::multiexp::{multiexp, small_multiexp};
use group::GroupEncoding;
use halo2_proofs::poly::commitment::Params;
use pasta_curves::{arithmetic::CurveExt as _, Eq, EqAffine, Fp};
use rayon::prelude::*;

/// All generators for one `k`.
#[derive(Clone, Debug)]
pub struct Generators {
    /// Coefficient basis, `G_i`.
    pub coefficient: Vec<EqAffine>,
    /// Row (Lagrange) basis, `L_i`.
    pub row: Vec<EqAffine>,
    /// The blinding generator, `W`.
    pub blinding: EqAffine,
    /// The inner-product generator, `U`.
    pub value: EqAffine,
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
            .map(|chunk| Option::from(EqAffine::from_bytes(chunk.try_into().ok()?)))
            .collect::<Option<Vec<EqAffine>>>()?;
        let (row, [blinding, value]) = points.split_at_checked(n).map(|(row, rest)| (row.to_vec(), rest))? else {
            return None;
        };
        Some(Self { coefficient: params.get_g(), row, blinding: *blinding, value: *value })
    }

    /// `Σ values_i·L_i + Σ tail_i·L_(first + i) + blind·W`: a column of small integers on its first rows, and
    /// of field elements from row `first` on.
    #[must_use]
    pub fn commit_column(&self, values: &[i64], (first, tail): (usize, &[Fp]), blind: Fp) -> Eq {
        let scalars: Vec<Fp> = tail.iter().copied().chain([blind]).collect();
        let bases: Vec<EqAffine> = self.row[first..first + tail.len()].iter().copied().chain([self.blinding]).collect();
        small_multiexp(values, &self.row) + multiexp(&scalars, &bases)
    }
}

/// Affine coordinates of many points.
#[must_use]
pub fn normalise(points: &[Eq]) -> Vec<EqAffine> {
    let mut affine = vec![EqAffine::default(); points.len()];
    Eq::batch_normalize_vartime(points, &mut affine);
    affine
}
