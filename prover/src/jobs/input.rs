//! The input of a job, in real units.

use bincode::{Decode, Encode};
use zkonnx_quantize::{
    data::{quantise_inputs, DataError, InputSpec, NamedTensor, Samples},
    graph::Graph,
    model::{decode_file, encode_file, DecodeError},
};

/// First bytes of an input.
pub const INPUT_MAGIC: &[u8; 8] = b"zkonnxI\n";
/// The version of the format.
const VERSION: u16 = 1;

/// A tensor of an input.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct InputTensor {
    name: String,
    shape: Vec<u32>,
    values: Vec<f64>,
}

/// Values for every input of a model, as they are kept.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct JobInput {
    tensors: Vec<InputTensor>,
}

/// Why bytes are no input of a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Not the bytes of an input.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Not of this model, not finite, or an index or a truth value that is none of the declared ones.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Outside of the declared range, where this is refused.
    #[error("input '{name}': {outside} of {all} values lie outside of the declared range")]
    Range {
        /// The input.
        name: String,
        /// Values outside.
        outside: usize,
        /// All values.
        all: usize,
    },
    /// More than one.
    #[error("{0} samples: a job proves one")]
    Samples(usize),
}

impl JobInput {
    /// The values of a model's inputs, in their order.
    #[must_use]
    pub fn new(specs: &[InputSpec], values: &[Vec<f64>]) -> Self {
        let tensor = |(spec, values): (&InputSpec, &Vec<f64>)| InputTensor {
            name: spec.name.clone(),
            shape: spec.shape.iter().map(|size| u32::try_from(*size).unwrap_or(u32::MAX)).collect(),
            values: values.clone(),
        };
        Self { tensors: specs.iter().zip(values).map(tensor).collect() }
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode_file(INPUT_MAGIC, &[VERSION], self)
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_file(INPUT_MAGIC, ("input", super::blob::MAX_BLOB), &[("input", VERSION)], bytes)
    }

    /// The model's integers, and how many values were clamped to the declared range.
    ///
    /// # Errors
    /// [`InputError`] when it is no input of this model.
    pub fn quantise(self, graph: &Graph, strict_range: bool) -> Result<(Vec<Vec<i64>>, usize), InputError> {
        let specs: Vec<InputSpec> = graph.inputs.iter().map(InputSpec::from).collect();
        let array = |tensor: InputTensor| NamedTensor {
            name: tensor.name,
            shape: tensor.shape.iter().map(|size| *size as usize).collect(),
            data: tensor.values,
        };
        let samples = Samples::new(&specs, self.tensors.into_iter().map(array).collect())?;
        if samples.len() != 1 {
            return Err(InputError::Samples(samples.len()));
        }
        let (mut inputs, mut clamped) = (Vec::new(), 0);
        let values = samples.sample(0);
        let all = quantise_inputs(graph, &values)?;
        for ((input, values), quantised) in graph.inputs.iter().zip(values).zip(all) {
            if strict_range && quantised.clamped > 0 {
                let (name, outside, all) = (input.name.clone(), quantised.clamped, values.len());
                return Err(InputError::Range { name, outside, all });
            }
            clamped += quantised.clamped;
            inputs.push(quantised.values);
        }
        Ok((inputs, clamped))
    }
}
