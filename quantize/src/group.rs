//! Many inferences in one graph: the group axis.
//!
//! The graph of `N` inferences of a model is the model's graph with one more leading axis of size `N` on every input, tensor,
//! form and output. A map that reads a tensor gains a plain factor for it; a map that reads a parameter does not, so that
//! all inferences share their weights: a matrix product becomes one of a wider matrix, with no relation more than before.
//! Element `[g, …]` of an output depends on the elements `[g, …]` of inputs alone, and is what the model gives for them.

use crate::{
    graph::{Form, Graph, Op, Operand, Source, TensorInfo},
    index::{Factor, IndexMap},
    model::QuantizedModel,
    validate::{validate_graph, ModelError},
};

/// What is read, its axes counted from the group's on.
fn read(source: Source, map: &mut IndexMap, size: u32, tensors: &[TensorInfo]) {
    for axis in map.factors.iter_mut().flat_map(|f| &mut f.axes) {
        *axis = axis.saturating_add(1);
    }
    if let Source::Tensor(id) = source {
        // A valid tensor has less than 2^32 elements.
        let len = tensors.get(id.0 as usize).map_or(0, TensorInfo::len);
        map.factors.insert(0, Factor::plain(0, size, u32::try_from(len).unwrap_or(u32::MAX)));
    }
}

fn group_form(form: &mut Form, size: u32, tensors: &[TensorInfo]) {
    form.shape.insert(0, size);
    for term in &mut form.terms {
        read(term.source, &mut term.map, size, tensors);
    }
    for product in &mut form.products {
        for Operand { source, map, .. } in [&mut product.left, &mut product.right] {
            read(*source, map, size, tensors);
        }
    }
}

impl Graph {
    /// The graph of `size` inferences; itself for `size = 1`. Inputs and outputs have one more leading axis.
    ///
    /// # Errors
    /// [`ModelError`] when that many do not fit the limits of a graph. The graph itself is valid.
    pub fn grouped(&self, size: u32) -> Result<Self, ModelError> {
        if size == 1 {
            return Ok(self.clone());
        }
        let tensors = self.tensors();
        let mut graph = self.clone();
        for input in &mut graph.inputs {
            input.shape.insert(0, size);
        }
        for node in &mut graph.nodes {
            group_form(&mut node.form, size, &tensors);
            if let Op::Div { denominator } = &mut node.op {
                group_form(denominator, size, &tensors);
            }
        }
        for output in &mut graph.outputs {
            output.shape.insert(0, size);
            group_form(&mut output.form, size, &tensors);
        }
        validate_graph(&graph)?;
        Ok(graph)
    }

    /// The `size` for which `shapes` are those of the inputs of [`Graph::grouped`], when there is one above 1.
    #[must_use]
    pub fn group_size<'a>(&self, shapes: impl IntoIterator<Item = &'a [u32]>) -> Option<u32> {
        let mut size = None;
        let mut inputs = self.inputs.iter();
        for shape in shapes {
            let (first, rest) = shape.split_first()?;
            if inputs.next()?.shape != rest || *size.get_or_insert(*first) != *first {
                return None;
            }
        }
        size.filter(|size| *size > 1 && inputs.next().is_none())
    }
}

impl QuantizedModel {
    /// The model of `size` inferences, with the same weights and layout.
    ///
    /// # Errors
    /// [`ModelError`] when that many do not fit the limits of a graph.
    pub fn grouped(&self, size: u32) -> Result<Self, ModelError> {
        Ok(Self { graph: self.graph.grouped(size)?, ..self.clone() })
    }
}
