//! `model.zkv`: what a verifier registers.
//!
//! The integer graph without its weights, the layout, and the commitments of the parameter columns.
//! Its digest, but for the registration proof, is the model's identity. With public weights the commitments have no blind, so anyone
//! who has the ONNX model and the recipe finds the same bytes.

use crate::{
    limits::Limits,
    statement::{array, ModelId, FORMAT_VERSION, SUITE},
};
use bincode::{Decode, Encode};
use blake2b_simd::Params as Blake2b;
use zkonnx_quantize::{
    graph::Graph,
    model::{decode_file, encode_file, DecodeError, LayoutChoice, SEMANTICS_VERSION},
    validate::validate_graph,
};

/// First bytes of a `model.zkv`.
pub const ZKV_MAGIC: &[u8; 8] = b"zkonnxV\n";

/// What the file claims about its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DeclaredWeights {
    /// Commitments without blinds: recompute them from the weights to be sure.
    Public,
    /// Blinded commitments; nothing public depends on the weights' values.
    Private,
}

/// The contents of a `model.zkv`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct VerifierModel {
    /// The meaning, without weights.
    pub graph: Graph,
    /// The layout.
    pub layout: LayoutChoice,
    /// Public or private weights.
    pub weights: DeclaredWeights,
    /// Compressed commitments of the parameter columns; the identity for an all-zero public column.
    pub commitments: Vec<[u8; 32]>,
    /// With private weights: the proof that every weight is an integer of its declared width
    /// (see [`crate::registration`]), or nothing. It is no part of the model's identity.
    pub registration: Vec<u8>,
}

impl VerifierModel {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode_file(ZKV_MAGIC, &[FORMAT_VERSION, SUITE, SEMANTICS_VERSION], self)
    }

    /// Reads a file and validates its graph.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but a valid `model.zkv` of the known versions.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let versions = [("format", FORMAT_VERSION), ("suite", SUITE), ("semantics", SEMANTICS_VERSION)];
        let model: Self = decode_file(ZKV_MAGIC, ("model.zkv", Limits::ZKV_BYTES), &versions, bytes)?;
        validate_graph(&model.graph)?;
        Ok(model)
    }

    /// The model's identity: the digest of its file, without the registration proof.
    #[must_use]
    pub fn id(&self) -> ModelId {
        let core = (&self.graph, &self.layout, &self.weights, &self.commitments);
        let bytes = encode_file(ZKV_MAGIC, &[FORMAT_VERSION, SUITE, SEMANTICS_VERSION], &core);
        ModelId(array(Blake2b::new().hash_length(32).personal(b"zkonnx.model.id1").hash(&bytes).as_bytes()))
    }
}

/// A file that was read, with its identity: what registering starts from. Its graph is valid.
#[derive(Clone, Debug)]
pub struct ModelFile {
    id: ModelId,
    model: VerifierModel,
}

impl ModelFile {
    /// Reads a file, once.
    ///
    /// # Errors
    /// [`DecodeError`] as [`VerifierModel::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self::new(VerifierModel::from_bytes(bytes)?))
    }

    /// The file of a model whose graph is valid.
    pub(crate) fn new(model: VerifierModel) -> Self {
        Self { id: model.id(), model }
    }

    /// The model's identity.
    #[must_use]
    pub fn id(&self) -> ModelId {
        self.id
    }

    /// Whether it has a registration proof: then it may tell more of its weights than a file of the same model without.
    #[must_use]
    pub fn has_registration(&self) -> bool {
        !self.model.registration.is_empty()
    }

    pub(crate) fn into_parts(self) -> (ModelId, VerifierModel) {
        (self.id, self.model)
    }
}
