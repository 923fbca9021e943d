//! The registration of private weights: that every weight is an integer of its declared width.
//!
//! Nobody but their owner knows what private parameter columns hold, so their owner proves it once: words in
//! the declared interval of every parameter, and one relation from them to the parameter's cells. Cells of a column that
//! a contraction would read beyond the parameter's last row (see [`crate::params`]) have a zero on the other side.
//! The proof is an ordinary one, over the same commitments, with relations of its own and no graph's.

use crate::{
    compiled::CompiledModel,
    gadgets::{interval, Builder},
    lower::{LowerError, Lowered, Modes},
    params::{ParamLayout, ParamPlace},
    products::{num_combined_of, SumcheckShape},
    relations::{Left, Relation, RelationKind, Right},
    witness::Cells,
};
use std::sync::Arc;
use zkonnx_quantize::{
    graph::{Graph, ParamId},
    integers::Integers,
    model::LayoutChoice,
};

/// The circuit and relations that show the declared widths of all parameters. There must be one.
///
/// # Errors
/// [`LowerError`] when there is no circuit with this layout.
pub fn registration_model(graph: Arc<Graph>, layout: LayoutChoice) -> Result<CompiledModel, LowerError> {
    CompiledModel::check_layout(layout)?;
    let params = ParamLayout::new(&graph, 1 << layout.k);
    let mut builder = Builder::new(layout.limb_bits);
    let mut inputs = Vec::new();
    let mut sumcheck = SumcheckShape::default();
    for (id, (param, place)) in (0_u32..).zip(graph.params.iter().zip(&params.places)) {
        inputs.push(Some(interval::lower_input(&mut builder, param.len(), param.bounds)?));
        let rows = match place {
            ParamPlace::Packed { rows_per_column, count, .. } => u32::try_from(rows_per_column * count),
            _ => Ok(param.rows),
        };
        let shape = vec![rows.map_err(|_| LowerError::TooWide)?, param.cols];
        builder.relations.push(Relation {
            kind: RelationKind::Define,
            left: Left::Weights(ParamId(id)),
            right: Right::Weights(ParamId(id)),
            name: format!("weights of parameter {id}"),
            shape,
        });
        sumcheck.num_combined += num_combined_of(place);
    }
    let Builder { tables, words, blocks, relations, tensors, .. } = builder;
    let (nodes, node_words) = Default::default();
    let lowered = Lowered { tables, words, blocks, relations, tensors, inputs, nodes, node_words };
    let modes = Modes { inputs: Vec::new(), outputs: Vec::new() };
    CompiledModel::assemble(graph, modes, layout, lowered, (params, sumcheck, Vec::new()))
}

/// The words of the weights.
#[must_use]
pub fn assign_weights(model: &CompiledModel, weights: &[Integers]) -> Cells {
    let mut cells = Cells::unused(model);
    for ((words, param), values) in model.lowered.inputs.iter().zip(&model.graph.params).zip(weights) {
        let Some(words) = words else { continue };
        let values = values.to_vec();
        cells.write(model, words.value, values.iter().map(|v| v - param.bounds.lo));
        if let Some(complement) = words.complement {
            cells.write(model, complement, values.iter().map(|v| param.bounds.hi - v));
        }
    }
    cells
}
