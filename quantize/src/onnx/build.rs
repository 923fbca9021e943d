//! Float models made by a program instead of a file.

use super::{
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    import::Importer,
    tensor::Tensor,
    OnnxModel,
};

impl std::fmt::Debug for ModelBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelBuilder").field("graph", &self.importer.graph).finish()
    }
}

/// Builds a float model operator by operator; constants are folded as in a file.
#[derive(Default)]
pub struct ModelBuilder {
    importer: Importer,
}

impl ModelBuilder {
    /// Declares an input of floats, or of integers.
    pub fn input(&mut self, name: &str, shape: &[usize], integer: bool) -> ValueId {
        let id = self.importer.value(name, shape.to_vec(), integer);
        self.importer.graph.inputs.push(id);
        id
    }

    /// A constant.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.importer.constant("constant", tensor)
    }

    /// Adds an operator.
    ///
    /// # Errors
    /// [`NodeProblem`] when the shapes do not fit.
    pub fn add(&mut self, name: &str, op: FloatOp, inputs: &[ValueId]) -> Result<ValueId, NodeProblem> {
        let op_type = format!("{op:?}").split(['(', ' ', '{']).next().unwrap_or_default().to_owned();
        self.importer.push(name, &op_type, op, inputs)
    }

    /// The shape of a value.
    #[must_use]
    pub fn shape(&self, id: ValueId) -> &[usize] {
        self.importer.graph.shape(id)
    }

    /// The model with these outputs.
    #[must_use]
    pub fn finish(self, outputs: &[(&str, ValueId)]) -> OnnxModel {
        let mut graph = self.importer.graph;
        graph.outputs = outputs.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
        OnnxModel { graph }
    }
}
