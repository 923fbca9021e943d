//! The statement: what a proof proves, for whom.

use crate::{commitment::CommittedValue, limits::Limits};
use bincode::{Decode, Encode};
use blake2b_simd::Params as Blake2b;
use serde::{Deserialize, Serialize};
use zkonnx_circuits::lower::{Mode, Modes};
pub use zkonnx_quantize::integers::Integers;
use zkonnx_quantize::{
    graph::{Graph, Interval},
    model::{decode_file, encode_file, DecodeError, SEMANTICS_VERSION},
    scale::Scale,
};

/// First bytes of a statement.
pub const STATEMENT_MAGIC: &[u8; 8] = b"zkonnxS\n";
/// Version of statement, proof and model formats.
pub const FORMAT_VERSION: u16 = 1;
/// Proof system, curve, transcript and crate version: the argument of `docs/protocol.md` over Vesta, Blake2b, halo2_proofs 0.4.1.
pub const SUITE: u16 = 2;

/// Identity of a model: the digest of its `model.zkv`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
pub struct ModelId(#[serde(with = "crate::json::hex32")] pub [u8; 32]);

/// Digest of a statement.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
pub struct StatementDigest(#[serde(with = "crate::json::hex32")] pub [u8; 32]);

macro_rules! hexadecimal {
    ($type:ty) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }
    };
}
hexadecimal!(ModelId);
hexadecimal!(StatementDigest);

/// How a tensor stands in the statement.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorValue {
    /// Its integers, row-major.
    Public(Integers),
    /// Nothing is said about it. Its digest is 32 zero bytes.
    Hidden,
    /// Points that hide its integers, and can be opened; see [`crate::commitment`].
    Committed(CommittedValue),
}

/// One input or output.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorEntry {
    /// Its ONNX name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<u32>,
    /// Its mode, and its integers when public.
    pub value: TensorValue,
    /// BLAKE2b-256 of shape and integers when public, of shape, scale, interval and points when committed; zero when hidden.
    #[serde(with = "crate::json::hex32")]
    pub digest: [u8; 32],
}

impl TensorEntry {
    /// An entry with the digest that belongs to it.
    #[must_use]
    pub fn new(name: &str, shape: &[u32], value: TensorValue) -> Self {
        let digest = Self::digest_of(shape, &value);
        Self { name: name.to_owned(), shape: shape.to_vec(), value, digest }
    }

    /// The digest that belongs to a shape and value.
    #[must_use]
    pub fn digest_of(shape: &[u32], value: &TensorValue) -> [u8; 32] {
        match value {
            TensorValue::Hidden => [0; 32],
            TensorValue::Committed(committed) => committed.digest(shape),
            TensorValue::Public(integers) => {
                let mut state = Blake2b::new().hash_length(32).personal(b"zkonnx.tensor.v1").to_state();
                state.update(&u64::try_from(shape.len()).unwrap_or(u64::MAX).to_le_bytes());
                for size in shape {
                    state.update(&size.to_le_bytes());
                }
                for value in integers.to_vec() {
                    state.update(&value.to_le_bytes());
                }
                array(state.finalize().as_bytes())
            }
        }
    }

    /// Whether both commit one and the same tensor, by points, scale, interval and number of elements: what links two proofs, when
    /// both statements are true. Points alone do not, as nothing is said of what they hold beyond a tensor's last element.
    #[must_use]
    pub fn commits_same_as(&self, other: &Self) -> bool {
        let len = |entry: &Self| entry.shape.iter().map(|s| *s as usize).fold(1, usize::saturating_mul);
        match (&self.value, &other.value) {
            (TensorValue::Committed(own), TensorValue::Committed(others)) => own == others && len(self) == len(other),
            _ => false,
        }
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self.value {
            TensorValue::Public(_) => Mode::Public,
            TensorValue::Hidden => Mode::Hidden,
            TensorValue::Committed(_) => Mode::Committed,
        }
    }
}

/// For whom, when and how often a proof counts. In JSON an object; what is missing is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(try_from = "crate::json::ContextText", into = "crate::json::ContextText")]
pub struct Context {
    /// Application or chain.
    pub domain: [u8; 32],
    /// The job, unique within the domain.
    pub job_id: [u8; 32],
    /// Free for the application.
    pub nonce: u64,
    /// Who asked.
    pub requester: [u8; 32],
    /// Who is paid: what stops a copied proof from being paid to somebody else.
    pub payee: [u8; 32],
    /// Last second, in Unix time, at which the statement is valid; 0 means for ever.
    pub not_after: u64,
}

/// A statement, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`FORMAT_VERSION`].
    pub format: u16,
    /// [`SUITE`].
    pub suite: u16,
    /// [`SEMANTICS_VERSION`].
    pub semantics: u16,
    /// The model.
    pub model_id: ModelId,
    /// Inputs in declared order.
    pub inputs: Vec<TensorEntry>,
    /// Outputs in declared order.
    pub outputs: Vec<TensorEntry>,
    /// The context.
    pub context: Context,
}

impl Statement {
    /// A statement of the known versions without committed tensors; `inputs` and `outputs` are used where the modes are public.
    #[must_use]
    pub fn new(
        graph: &Graph,
        modes: &Modes,
        model_id: ModelId,
        values: (&[Vec<i64>], &[Vec<i64>]),
        context: Context,
    ) -> Self {
        Self::with_commitments(graph, modes, model_id, values, &[], context)
    }

    /// A statement of the known versions; `points` has those of every committed tensor, inputs first.
    #[must_use]
    pub fn with_commitments(
        graph: &Graph,
        modes: &Modes,
        model_id: ModelId,
        (inputs, outputs): (&[Vec<i64>], &[Vec<i64>]),
        points: &[Vec<[u8; 32]>],
        context: Context,
    ) -> Self {
        let mut points = points.iter();
        let mut value = |mode: &Mode, values: &Vec<i64>, scale: Scale, bounds: Interval| match mode {
            Mode::Public => TensorValue::Public(Integers::new(values)),
            Mode::Hidden => TensorValue::Hidden,
            Mode::Committed => {
                let points = points.next().cloned().unwrap_or_default();
                TensorValue::Committed(CommittedValue { scale, bounds, points })
            }
        };
        let inputs = graph.inputs.iter().zip(&modes.inputs).zip(inputs);
        let inputs = inputs
            .map(|((d, mode), v)| TensorEntry::new(&d.name, &d.shape, value(mode, v, d.scale, d.bounds)))
            .collect();
        let outputs = graph.outputs.iter().zip(&modes.outputs).zip(outputs);
        let outputs = outputs
            .map(|((d, mode), v)| TensorEntry::new(&d.name, &d.shape, value(mode, v, d.scale, d.form.bounds)))
            .collect();
        Self { format: FORMAT_VERSION, suite: SUITE, semantics: SEMANTICS_VERSION, model_id, inputs, outputs, context }
    }

    /// The canonical bytes, after the magic string `zkonnxS\n`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode_file(STATEMENT_MAGIC, &[], self)
    }

    /// Reads the canonical bytes. Nothing is verified: a statement is checked by `verify`, against a model.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the canonical bytes of a statement.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_file(STATEMENT_MAGIC, ("statement", Limits::STATEMENT_BYTES), &[], bytes)
    }

    /// BLAKE2b-256 of the canonical bytes.
    #[must_use]
    pub fn digest(&self) -> StatementDigest {
        let hash = Blake2b::new().hash_length(32).personal(b"zkonnx.statement").hash(&self.to_bytes());
        StatementDigest(array(hash.as_bytes()))
    }

    /// The modes of inputs and outputs.
    #[must_use]
    pub fn modes(&self) -> Modes {
        Modes {
            inputs: self.inputs.iter().map(TensorEntry::mode).collect(),
            outputs: self.outputs.iter().map(TensorEntry::mode).collect(),
        }
    }
}

/// The first 32 bytes of a longer or equally long slice.
pub(crate) fn array(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (out, byte) in out.iter_mut().zip(bytes) {
        *out = *byte;
    }
    out
}
