//! The quantised model and its file, `model.zkq`.

use crate::{
    graph::Graph,
    integers::Integers,
    validate::{validate_graph, validate_weights, ModelError},
};
use bincode::{config, Decode, Encode};
use serde::{Deserialize, Serialize};

/// How the gates of a circuit are proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gates {
    /// As two relations of the linear part; no halo2 proof.
    #[default]
    Relations,
    /// By a halo2 proof.
    Halo2,
}

impl std::fmt::Display for Gates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Relations => "relations",
            Self::Halo2 => "halo2",
        })
    }
}

/// Where the circuit of a model is laid out, and how it is proven; no part of its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct LayoutChoice {
    /// The circuit has `2^k` rows.
    pub k: u8,
    /// Width of a limb, in bits.
    pub limb_bits: u8,
    /// How gates are proven.
    pub gates: Gates,
}

/// Who may know the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum WeightPrivacy {
    /// The commitments have no blinds: anyone with the ONNX model and the recipe finds the model id.
    Public,
    /// The commitments are blinded with randomness from this seed, which stays with the owner.
    Private {
        /// 32 bytes from the operating system.
        blind_seed: [u8; 32],
    },
}

/// A quantised model: graph, weights, layout.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct QuantizedModel {
    /// The meaning.
    pub graph: Graph,
    /// Values of every parameter, row-major.
    pub weights: Vec<Integers>,
    /// The layout.
    pub layout: LayoutChoice,
    /// Public or private weights.
    pub privacy: WeightPrivacy,
}

/// First bytes of a `model.zkq`.
pub const ZKQ_MAGIC: &[u8; 8] = b"zkonnxQ\n";
/// Version of the file format.
pub const ZKQ_FORMAT: u16 = 2;
/// Version of the integer semantics.
pub const SEMANTICS_VERSION: u16 = 1;
/// No model file may be larger.
pub const MAX_FILE: usize = 1 << 30;

/// Why bytes are no `model.zkq`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not this kind of file.
    #[error("not a {expected} file: the first bytes are not its magic number")]
    Magic {
        /// The kind expected.
        expected: &'static str,
    },
    /// A format or semantics version that this program does not know.
    #[error("{what} version {actual} is unknown, this program reads version {expected}")]
    Version {
        /// Which version.
        what: &'static str,
        /// The known one.
        expected: u16,
        /// The one in the file.
        actual: u16,
    },
    /// Longer than any of its kind.
    #[error("a {kind} file of {actual} bytes: the limit is {limit}")]
    TooLong {
        /// The kind.
        kind: &'static str,
        /// The length.
        actual: usize,
        /// The largest length.
        limit: usize,
    },
    /// Truncated, too long, or not the canonical encoding.
    #[error("malformed file: {0}")]
    Malformed(String),
    /// Well-formed, but no valid model.
    #[error("invalid model: {0}")]
    Invalid(#[from] ModelError),
}

/// The codec of every file: fixed-width little-endian integers, a size limit, nothing trailing.
pub fn codec() -> impl config::Config {
    codec_with_limit::<MAX_FILE>()
}

fn codec_with_limit<const LIMIT: usize>() -> impl config::Config {
    config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

/// Decodes with a limit on claimed memory in proportion to the bytes that are there: a length in a
/// hostile file never sizes an allocation. Values take at most some times their encoding in memory.
fn decode_body<T: Decode<()>>(body: &[u8]) -> Result<(T, usize), DecodeError> {
    let decoded = match body.len().saturating_mul(16).checked_ilog2().unwrap_or(0) {
        0..20 => bincode::decode_from_slice(body, codec_with_limit::<{ 1 << 20 }>()),
        20..22 => bincode::decode_from_slice(body, codec_with_limit::<{ 1 << 22 }>()),
        22..24 => bincode::decode_from_slice(body, codec_with_limit::<{ 1 << 24 }>()),
        24..26 => bincode::decode_from_slice(body, codec_with_limit::<{ 1 << 26 }>()),
        26..28 => bincode::decode_from_slice(body, codec_with_limit::<{ 1 << 28 }>()),
        _ => bincode::decode_from_slice(body, codec_with_limit::<MAX_FILE>()),
    };
    decoded.map_err(|e| DecodeError::Malformed(e.to_string()))
}

/// The canonical encoding of a value after a magic number and version numbers.
#[must_use]
pub fn encode_file<T: Encode>(magic: &[u8; 8], versions: &[u16], value: &T) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    for version in versions {
        bytes.extend_from_slice(&version.to_le_bytes());
    }
    // Encoding to memory fails only past the size limit, which the importer keeps far from.
    if let Ok(body) = bincode::encode_to_vec(value, codec()) {
        bytes.extend_from_slice(&body);
    }
    bytes
}

/// Reads what [`encode_file`] wrote, and only that, up to `limit` bytes.
///
/// # Errors
/// [`DecodeError`] for any other bytes.
pub fn decode_file<T: Encode + Decode<()>>(
    magic: &[u8; 8],
    (kind, limit): (&'static str, usize),
    versions: &[(&'static str, u16)],
    bytes: &[u8],
) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { kind, actual: bytes.len(), limit });
    }
    if bytes.get(..8) != Some(magic.as_slice()) {
        return Err(DecodeError::Magic { expected: kind });
    }
    let mut at = 8;
    for (what, expected) in versions {
        let Some(&[a, b]) = bytes.get(at..at + 2) else {
            return Err(DecodeError::Malformed(format!("truncated at byte {}", bytes.len())));
        };
        let actual = u16::from_le_bytes([a, b]);
        if actual != *expected {
            return Err(DecodeError::Version { what, expected: *expected, actual });
        }
        at += 2;
    }
    let body = &bytes[at..];
    let (value, read): (T, usize) = decode_body(body)?;
    if read != body.len() {
        return Err(DecodeError::Malformed(format!("{} bytes after the end", body.len() - read)));
    }
    if bincode::encode_to_vec(&value, codec()).ok().as_deref() != Some(body) {
        return Err(DecodeError::Malformed("not the canonical encoding".into()));
    }
    Ok(value)
}

impl QuantizedModel {
    /// The bytes of `model.zkq`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode_file(ZKQ_MAGIC, &[ZKQ_FORMAT, SEMANTICS_VERSION], self)
    }

    /// Reads and validates a `model.zkq`.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but a valid model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let versions = [("format", ZKQ_FORMAT), ("semantics", SEMANTICS_VERSION)];
        let model: Self = decode_file(ZKQ_MAGIC, ("model.zkq", MAX_FILE), &versions, bytes)?;
        if let Some(param) = model.weights.iter().position(|values| !values.is_narrowest()) {
            return Err(DecodeError::Malformed(format!("parameter {param} is not in its narrowest width")));
        }
        validate_graph(&model.graph)?;
        validate_weights(&model.graph, &model.weights)?;
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        graph::{Form, Interval, Output, Param},
        scale::Scale,
    };

    fn model(weights: Integers) -> QuantizedModel {
        let param = Param { name: "w".into(), rows: 1, cols: 2, bounds: Interval::new(-300, 300) };
        let form =
            Form { shape: vec![1], constant: 0, terms: Vec::new(), products: Vec::new(), bounds: Interval::new(0, 0) };
        let output = Output { name: "y".into(), shape: vec![1], form, scale: Scale::ONE };
        QuantizedModel {
            graph: Graph { params: vec![param], outputs: vec![output], ..Graph::default() },
            weights: vec![weights],
            layout: LayoutChoice { k: 6, limb_bits: 6, gates: Gates::Relations },
            privacy: WeightPrivacy::Public,
        }
    }

    #[test]
    fn only_weights_in_their_narrowest_width_are_read() {
        for (values, narrow) in [([-128, 127], Integers::I8(vec![-128, 127])), ([0, 128], Integers::I16(vec![0, 128]))]
        {
            let honest = model(Integers::new(&values));
            assert_eq!(honest.weights, [narrow]);
            assert_eq!(QuantizedModel::from_bytes(&honest.to_bytes()).as_ref(), Ok(&honest));
            for wide in [
                Integers::I32(values.iter().map(|v| i32::try_from(*v).unwrap_or(0)).collect()),
                Integers::I64(values.to_vec()),
            ] {
                let refused = QuantizedModel::from_bytes(&model(wide).to_bytes());
                assert_eq!(refused, Err(DecodeError::Malformed("parameter 0 is not in its narrowest width".into())));
            }
        }
    }

    #[test]
    fn refuses_other_formats_by_name() {
        let mut bytes = model(Integers::new(&[1, 2])).to_bytes();
        bytes[8..10].copy_from_slice(&1_u16.to_le_bytes());
        let refused = QuantizedModel::from_bytes(&bytes);
        assert_eq!(refused, Err(DecodeError::Version { what: "format", expected: ZKQ_FORMAT, actual: 1 }));
    }
}
