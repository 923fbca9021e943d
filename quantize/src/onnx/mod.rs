//! Import of ONNX models, and the float model that quantisation is measured against.
//!
//! tract knows the file's messages; the nodes are read here, by their ONNX names, into a small float graph with
//! fixed shapes and folded constants ([`graph`]). Its evaluator ([`FloatGraph::run`]) is what
//! calibration and the accuracy report use; tests compare it with ONNX Runtime.

mod advice;
pub mod build;
mod context;
mod element;
pub mod error;
mod external;
mod file;
pub mod graph;
mod import;
mod inputs;
pub mod inspect;
mod legacy;
pub mod normalize;
pub mod ops;
mod order;
mod proto;
mod run;
mod scope;
pub mod tensor;

pub use error::{ImportError, UnboundDim, UnsupportedNode};
pub use graph::FloatGraph;
pub use import::ImportOptions;

use crate::data::InputSpec;
use ndarray::ArrayD;
use std::{collections::BTreeMap, path::Path};
use tensor::Tensor;

/// A float model, imported from ONNX.
#[derive(Clone, Debug)]
pub struct OnnxModel {
    graph: FloatGraph,
}

impl OnnxModel {
    /// Imports an ONNX file. `dims` gives symbolic dimensions their sizes; a batch axis without one is 1.
    ///
    /// # Errors
    /// [`ImportError`]; unsupported nodes are listed all at once.
    pub fn from_path(path: &Path, dims: &BTreeMap<String, u32>) -> Result<Self, ImportError> {
        Self::from_path_with(path, &ImportOptions { dims: dims.clone(), ..ImportOptions::default() })
    }

    /// Imports an ONNX file, with its weights from the files beside it if it keeps them there.
    ///
    /// # Errors
    /// [`ImportError`]; unsupported nodes are listed all at once.
    pub fn from_path_with(path: &Path, options: &ImportOptions) -> Result<Self, ImportError> {
        Ok(Self { graph: import::import(&mut file::read(path)?, options)? })
    }

    /// Imports the bytes of an ONNX file that has its weights in it; see [`OnnxModel::from_path`].
    ///
    /// # Errors
    /// [`ImportError`]; unsupported nodes are listed all at once.
    pub fn from_bytes(bytes: &[u8], dims: &BTreeMap<String, u32>) -> Result<Self, ImportError> {
        Self::from_bytes_with(bytes, &ImportOptions { dims: dims.clone(), ..ImportOptions::default() })
    }

    /// Imports the bytes of an ONNX file, some of whose inputs may be bound to constants.
    ///
    /// # Errors
    /// [`ImportError`]; unsupported nodes are listed all at once.
    pub fn from_bytes_with(bytes: &[u8], options: &ImportOptions) -> Result<Self, ImportError> {
        Ok(Self { graph: import::import(&mut file::parse(bytes)?, options)? })
    }

    /// The float graph.
    #[must_use]
    pub fn graph(&self) -> &FloatGraph {
        &self.graph
    }

    /// Names and shapes of the inputs.
    #[must_use]
    pub fn inputs(&self) -> Vec<InputSpec> {
        let spec = |id: &graph::ValueId| {
            let value = &self.graph.values[id.0];
            InputSpec { name: value.name.clone(), shape: value.shape.clone() }
        };
        self.graph.inputs.iter().map(spec).collect()
    }

    /// Names and shapes of the outputs.
    #[must_use]
    pub fn outputs(&self) -> Vec<InputSpec> {
        let spec = |(name, id): &(String, graph::ValueId)| InputSpec {
            name: name.clone(),
            shape: self.graph.shape(*id).to_vec(),
        };
        self.graph.outputs.iter().map(spec).collect()
    }

    /// Evaluates the float model on inputs by name; returns outputs by name.
    ///
    /// # Errors
    /// [`ImportError::RunInput`] when an input is missing or has another shape.
    pub fn run(&self, inputs: &BTreeMap<String, ArrayD<f32>>) -> Result<Vec<(String, ArrayD<f32>)>, ImportError> {
        let mut tensors = Vec::new();
        for spec in self.inputs() {
            let array = inputs.get(&spec.name).ok_or_else(|| ImportError::RunInput {
                name: spec.name.clone(),
                expected: spec.shape.clone(),
                actual: None,
            })?;
            let data = array.iter().map(|v| f64::from(*v)).collect();
            tensors.push(Tensor::new(array.shape().to_vec(), data));
        }
        let outputs = self.graph.run(&tensors, |_, _| ())?;
        let outputs = self.graph.outputs.iter().zip(outputs).map(|((name, _), tensor)| {
            #[allow(clippy::cast_possible_truncation)] // the model's own type
            let data: Vec<f32> = tensor.data.iter().map(|v| *v as f32).collect();
            let array = ArrayD::from_shape_vec(tensor.shape.clone(), data).unwrap_or_default();
            (name.clone(), array)
        });
        Ok(outputs.collect())
    }
}
