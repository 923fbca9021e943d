//! Running the float model.

use super::{
    error::ImportError,
    graph::{FloatGraph, ValueId},
    ops,
    tensor::Tensor,
};
use std::sync::Arc;

impl FloatGraph {
    /// Evaluates the graph on inputs in order of [`FloatGraph::inputs`], handing every value that depends on
    /// them to `visit`; returns the outputs.
    ///
    /// The arithmetic is `f64` in a fixed order, with `libm`: the same bits on every machine.
    ///
    /// # Errors
    /// [`ImportError::RunInput`] when an input is missing or has another shape.
    pub fn run(
        &self,
        inputs: &[Tensor],
        mut visit: impl FnMut(ValueId, &Tensor),
    ) -> Result<Vec<Arc<Tensor>>, ImportError> {
        let mut values: Vec<Option<Arc<Tensor>>> = self.values.iter().map(|v| v.constant.clone()).collect();
        for (i, id) in self.inputs.iter().enumerate() {
            let expected = self.shape(*id);
            let fail = |actual| ImportError::RunInput {
                name: self.values[id.0].name.clone(),
                expected: expected.to_vec(),
                actual,
            };
            let tensor = inputs.get(i).ok_or_else(|| fail(None))?;
            if tensor.shape != expected || tensor.data.len() != expected.iter().product::<usize>() {
                return Err(fail(Some(tensor.shape.clone())));
            }
            visit(*id, tensor);
            let integer = self.values[id.0].integer;
            values[id.0] = Some(Arc::new(Tensor { integer, ..tensor.clone() }));
        }
        let mut left = self.num_readers();
        for node in &self.nodes {
            let arguments: Vec<Arc<Tensor>> = node
                .inputs
                .iter()
                .map(|i| values[i.0].clone().unwrap_or_else(|| Arc::new(Tensor::zeros(&[]))))
                .collect();
            let arguments: Vec<&Tensor> = arguments.iter().map(AsRef::as_ref).collect();
            let mut result = ops::evaluate(&node.op, &arguments, self.shape(node.output));
            result.integer = self.values[node.output.0].integer;
            visit(node.output, &result);
            values[node.output.0] = Some(Arc::new(result));
            for input in &node.inputs {
                left[input.0] -= 1;
                if left[input.0] == 0 && self.constant(*input).is_none() {
                    values[input.0] = None;
                }
            }
        }
        Ok(self.outputs.iter().filter_map(|(_, id)| values[id.0].clone()).collect())
    }
}
