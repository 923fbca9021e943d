//! Why a proof could not be made.

use zkonnx_quantize::eval::EvalError;
use zkonnx_verifier::error::RegisterError;

/// Why a proof could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The inputs are not as declared.
    #[error(transparent)]
    Inputs(#[from] EvalError),
    /// The model has no circuit or no key.
    #[error(transparent)]
    Model(#[from] RegisterError),
    /// So many inferences do not fit one graph.
    #[error("the group does not fit one proof: {0}")]
    Group(#[from] zkonnx_quantize::validate::ModelError),
    /// halo2 failed.
    #[error("halo2: {0}")]
    Halo2(#[from] halo2_proofs::plonk::Error),
    /// Parameters for another `k`.
    #[error("the model needs parameters for k = {expected}, these are for k = {actual}")]
    Params {
        /// The model's.
        expected: u32,
        /// The given.
        actual: u32,
    },
    /// The parameters do not encode as expected.
    #[error("the parameters are not those of halo2_proofs 0.4.1")]
    Generators,
    /// halo2's prover and its verifier have other keys.
    #[error("halo2 makes another key for proving than for verifying")]
    Key,
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(String),
    /// An opening of other integers than the committed tensor has.
    #[error("the opening of {0:?} has other integers than the tensor")]
    Opening(zkonnx_circuits::committed::CommittedRef),
    /// An opening without blinds, or without generators.
    #[error(transparent)]
    Commitment(#[from] zkonnx_verifier::commitment::OpenError),
    /// Writing to the transcript failed.
    #[error("transcript: {0}")]
    Transcript(#[from] std::io::Error),
}
