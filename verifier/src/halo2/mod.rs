//! The second way of proving gates, on the verifier's side: halo2's key, and its part of a proof.

use crate::{
    checks::{drawn, Check},
    error::{RegisterError, Step, VerifyError},
    transcript::{KeyDigest, ProofTranscript},
};
use halo2_proofs::{
    plonk::{keygen_vk, verify_proof, Circuit, ConstraintSystem, Error, VerificationStrategy, VerifyingKey},
    poly::commitment::{Guard, Params, MSM},
    transcript::EncodedChallenge,
};
use pasta_curves::{EqAffine, Fp};
use std::sync::Arc;
use zkonnx_circuits::{
    halo2::circuit::{with_shape, ModelCircuit},
    shape::{CircuitShape, UNUSABLE_ROWS},
};

/// halo2's key of a circuit.
#[derive(Debug)]
pub struct Halo2Key {
    /// The key.
    pub vk: VerifyingKey<EqAffine>,
    /// Its digest.
    pub digest: Fp,
}

impl Halo2Key {
    /// Makes the key of a circuit with gates.
    ///
    /// # Errors
    /// [`RegisterError::Keygen`].
    pub fn new(shape: &Arc<CircuitShape>, params: &Params<EqAffine>) -> Result<Self, RegisterError> {
        let keygen = |e: String| RegisterError::Keygen(e);
        let mut cs = ConstraintSystem::default();
        with_shape(shape, || ModelCircuit::configure(&mut cs));
        if cs.blinding_factors() + 1 != UNUSABLE_ROWS {
            return Err(keygen(format!("{} blinding factors", cs.blinding_factors())));
        }
        let circuit = ModelCircuit { shape, advice: None };
        let vk = with_shape(shape, || keygen_vk(params, &circuit)).map_err(|e| keygen(e.to_string()))?;
        let mut recorder = KeyDigest::default();
        vk.hash_into(&mut recorder).map_err(|e| keygen(e.to_string()))?;
        let digest = recorder.0.ok_or_else(|| keygen("the key has no digest".into()))?;
        Ok(Self { vk, digest })
    }
}

/// Leaves the multi-scalar multiplication of halo2's verification to the caller.
#[derive(Debug)]
pub struct Defer<'p>(pub MSM<'p, EqAffine>);

impl<'p> VerificationStrategy<'p, EqAffine> for Defer<'p> {
    type Output = MSM<'p, EqAffine>;

    fn process<E: EncodedChallenge<EqAffine>>(
        self,
        f: impl FnOnce(MSM<'p, EqAffine>) -> Result<Guard<'p, EqAffine, E>, Error>,
    ) -> Result<Self::Output, Error> {
        Ok(f(self.0)?.use_challenges())
    }
}

/// 2. Reads halo2's proof; gives its final equation and the points of the gated columns.
///
/// # Errors
/// [`VerifyError`] when an element is malformed, or halo2 says no.
pub fn verify<'p>(
    key: &Halo2Key,
    shape: &CircuitShape,
    params: &'p Params<EqAffine>,
    transcript: &mut ProofTranscript<'_>,
) -> Result<(MSM<'p, EqAffine>, Vec<EqAffine>), VerifyError> {
    let _ = transcript.take_points();
    // One circuit with no instance column. No circuits at all, `&[]`, would check no gate and succeed.
    let instances: &[&[&[Fp]]] = &[&[]];
    let strategy = Defer(params.empty_msm());
    let equation = verify_proof(params, &key.vk, strategy, instances, transcript).map_err(|e| match e {
        Error::Transcript(e) => VerifyError::rejected(Step::Transcript, e.to_string()),
        e => VerifyError::rejected(Step::Halo2, e.to_string()),
    })?;
    let equation = drawn(Check::Halo2, equation, || params.empty_msm());
    // The first points that halo2 reads are those of its advice columns, in order.
    let mut points = transcript.take_points();
    points.truncate(shape.gated.len());
    Ok((equation, points))
}
