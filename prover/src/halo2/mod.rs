//! The second way of proving gates, on the prover's side: a stock halo2 proof of the gated columns.
//!
//! halo2 draws its randomness from a ChaCha20 generator that it owns; a clone replays the last rows
//! and blinds of the gated columns, which the opening needs, and is then dropped. What everything else needs comes from a
//! second seed, so no randomness is used twice.

mod stages;

use crate::{
    columns::Column,
    deviation::{Deviation, Tampered},
    error::ProveError,
    generators::Generators,
    vartime::{self, Affine, Bridge},
};
use ff::Field;
use halo2_proofs::{
    plonk::{create_proof, keygen_pk, keygen_vk, ProvingKey},
    poly::commitment::Params,
    transcript::TranscriptWrite,
};
use pasta_curves::{EqAffine, Fp};
use rand_chacha::ChaCha20Rng;
use stages::Staged;
use std::sync::Arc;
use zkonnx_circuits::{
    halo2::circuit::{with_shape, ModelCircuit},
    shape::{CircuitShape, UNUSABLE_ROWS},
};
use zkonnx_verifier::{
    halo2::Halo2Key,
    transcript::{Challenge, KeyDigest},
};

/// What halo2's prover needs besides a witness.
#[derive(Debug)]
pub struct Halo2Prover {
    /// The parameters as halo2's prover uses them.
    params: Params<Affine>,
    /// halo2's proving key.
    pk: ProvingKey<Affine>,
}

impl Halo2Prover {
    /// Makes the proving key, which must be of the verifier's key.
    ///
    /// # Errors
    /// [`ProveError`] when there is no key, or another.
    pub fn new(shape: &Arc<CircuitShape>, key: &Halo2Key, generators: &Generators) -> Result<Self, ProveError> {
        let params = vartime::params(shape.k, generators)?;
        let circuit = ModelCircuit { shape, advice: None };
        let pk = with_shape(shape, || keygen_pk(&params, keygen_vk(&params, &circuit)?, &circuit))?;
        let mut digest = KeyDigest::default();
        pk.get_vk().hash_into(&mut Bridge(&mut digest))?;
        match digest.0 == Some(key.digest) {
            true => Ok(Self { params, pk }),
            false => Err(ProveError::Key),
        }
    }

    /// 2. Sends halo2's proof of the gates. `columns` hold the gated columns with their last rows.
    ///
    /// # Errors
    /// When halo2 fails.
    pub(crate) fn prove<T: TranscriptWrite<EqAffine, Challenge>>(
        &self,
        shape: &Arc<CircuitShape>,
        columns: &[Column],
        rng: ChaCha20Rng,
        transcript: &mut T,
        deviation: &mut dyn Deviation,
    ) -> Result<(), ProveError> {
        let active = shape.num_active_rows();
        let values = |column: &usize| {
            let mut values = columns[*column].to_field();
            values.truncate(active);
            values
        };
        let advice: Vec<Vec<Fp>> = shape.gated.iter().map(values).collect();
        let circuit = ModelCircuit { shape, advice: Some(&advice) };
        let mut shown = Tampered { inner: transcript, deviation, points: 0, scalars: 0 };
        let mut staged = Staged::new(&mut shown);
        let mut bridge = Bridge(&mut staged);
        // One circuit with no instance column.
        let instances: &[&[&[Fp]]] = &[&[]];
        with_shape(shape, || create_proof(&self.params, &self.pk, &[circuit], instances, rng, &mut bridge))?;
        Ok(())
    }
}

/// What halo2 0.4.1 draws first: blinding rows of every advice column, then one blind for each.
#[derive(Clone, Debug)]
pub struct AdviceRandomness {
    /// Values of the rows from the first inactive one on, per gated column.
    pub tails: Vec<[Fp; UNUSABLE_ROWS]>,
    /// Blinds, per gated column.
    pub blinds: Vec<Fp>,
}

impl AdviceRandomness {
    /// Replays the draws from a clone of halo2's generator.
    #[must_use]
    pub fn replay(mut rng: ChaCha20Rng, shape: &CircuitShape) -> Self {
        let columns = shape.gated.len();
        let tails = (0..columns).map(|_| std::array::from_fn(|_| Fp::random(&mut rng))).collect();
        let blinds = (0..columns).map(|_| Fp::random(&mut rng)).collect();
        Self { tails, blinds }
    }

    /// Puts the last rows into the gated columns.
    pub(crate) fn extend(&self, shape: &CircuitShape, columns: &mut [Column]) {
        for (column, tail) in shape.gated.iter().zip(&self.tails) {
            let mut values = columns[*column].to_field();
            values.resize(shape.num_active_rows(), Fp::ZERO);
            values.extend(tail);
            columns[*column] = Column::Field(values);
        }
    }
}
