//! The registration of private weights, verified once when a model is registered.
//!
//! The proof shows that every weight behind the parameter commitments is an integer of its declared width, and that cells which
//! contractions read beyond a parameter's last row are zero. Only with it do relations over the field hold over
//! the integers (protocol, section 2, S5). It is the same argument as that of an inference, for
//! [`registration_model`]; its statement is the model's identity under another personalisation.

use crate::{
    error::RegisterError,
    registry::ModelKeys,
    statement::{array, ModelId, StatementDigest},
    verify::{defer, KnownPoints},
};
use blake2b_simd::Params as Blake2b;
use halo2_proofs::poly::commitment::Params;
use pasta_curves::EqAffine;
use std::sync::Arc;
use zkonnx_circuits::{functional::PublicTensors, registration::registration_model};
use zkonnx_quantize::{graph::Graph, model::LayoutChoice};

/// What a registration proof is about. No statement has this digest: the personalisation is another one.
#[must_use]
pub fn registration_digest(model: &ModelId) -> StatementDigest {
    StatementDigest(array(Blake2b::new().hash_length(32).personal(b"zkonnx.register1").hash(&model.0).as_bytes()))
}

/// The keys of a model's registration. There is nothing to show of a model without parameters.
///
/// # Errors
/// [`RegisterError`] when there is no circuit with this layout.
pub fn registration_keys(
    graph: &Arc<Graph>,
    layout: LayoutChoice,
    params: &Params<EqAffine>,
) -> Result<ModelKeys, RegisterError> {
    ModelKeys::new(registration_model(Arc::clone(graph), layout)?, params)
}

/// Verifies a registration proof.
///
/// # Errors
/// [`RegisterError::Registration`] when it is none for these commitments.
pub(crate) fn verify_registration(
    (id, graph, layout): (&ModelId, &Arc<Graph>, LayoutChoice),
    params: &Params<EqAffine>,
    points: &[EqAffine],
    proof: &[u8],
) -> Result<(), RegisterError> {
    let keys = registration_keys(graph, layout, params)?;
    let known = KnownPoints { params: points, committed: &[] };
    let none = PublicTensors { inputs: &[], outputs: &[] };
    let deferred = defer(&keys, params, known, registration_digest(id), none, proof)
        .map_err(|e| RegisterError::Registration(e.to_string()))?;
    let holds = deferred.decide(params, points).is_none();
    if crate::checks::fails(crate::checks::Check::Registration, !holds) {
        return Err(RegisterError::Registration("the final equation does not hold".into()));
    }
    Ok(())
}
