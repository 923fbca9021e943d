//! The generators as the prover uses them, and multi-scalar multiplications of small integers.

use ff::PrimeField;
use group::{Curve, Group, GroupEncoding};
use halo2_proofs::{arithmetic::best_multiexp, poly::commitment::Params};
use pasta_curves::{
    arithmetic::{CurveAffine as _, CurveExt as _},
    Eq, EqAffine, Fp,
};
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
        small_multiexp(values, &self.row) + best_multiexp(&scalars, &bases)
    }
}

/// Affine coordinates of many points.
#[must_use]
pub fn normalise(points: &[Eq]) -> Vec<EqAffine> {
    let mut affine = vec![EqAffine::default(); points.len()];
    Eq::batch_normalize_vartime(points, &mut affine);
    affine
}

/// `Σ values_i·bases_i` for small integers: Pippenger with windows no wider than the largest value.
///
/// Zeros cost nothing. Variable time: see the security notes on the prover's side channels.
#[must_use]
pub fn small_multiexp(values: &[i64], bases: &[EqAffine]) -> Eq {
    let largest = values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
    let nonzero = values.iter().filter(|v| **v != 0).count();
    let bits = (u64::BITS - largest.leading_zeros()).max(1);
    // Additions: one per nonzero digit, two per bucket.
    let cost = |window: u32| bits.div_ceil(window) as usize * (nonzero + (2 << window));
    let window = (1..=bits.min(12)).min_by_key(|w| cost(*w)).unwrap_or(1);
    let mut total = Eq::identity();
    for index in (0..bits.div_ceil(window)).rev() {
        for _ in 0..window {
            total = total.double();
        }
        let mut buckets = vec![Eq::identity(); (1 << window) - 1];
        for (value, base) in values.iter().zip(bases) {
            let digit = (value.unsigned_abs() >> (index * window)) & ((1 << window) - 1);
            if let Some(bucket) =
                usize::try_from(digit).ok().and_then(|d| d.checked_sub(1)).and_then(|d| buckets.get_mut(d))
            {
                if *value < 0 {
                    *bucket -= base;
                } else {
                    *bucket += base;
                }
            }
        }
        let mut running = Eq::identity();
        for bucket in buckets.iter().rev() {
            running += bucket;
            total += running;
        }
    }
    total
}

/// Whether a point is the identity.
#[must_use]
pub fn is_identity(point: &Eq) -> bool {
    point.to_affine().coordinates().is_none().into()
}

/// The canonical bytes of a scalar.
#[must_use]
pub fn scalar_bytes(scalar: &Fp) -> [u8; 32] {
    scalar.to_repr()
}
