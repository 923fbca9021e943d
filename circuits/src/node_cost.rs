//! The predicted cost of a model, node by node.
//!
//! A cell costs its commitment, and a leaf of the lookup argument where it is looked up. What
//! nobody in particular causes (rows, tables, messages) is shared in proportion to that.

use crate::{
    compiled::CompiledModel,
    cost::{predict, Constants, Cost},
    words::{CellKind, Word},
};
use zkonnx_quantize::graph::{Form, Graph, Op, Source};

/// What one node of the graph, or one output, costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeCost {
    /// Cells of the circuit.
    pub cells: usize,
    /// Its part of the predicted seconds.
    pub seconds: f64,
}

/// The cost of a model and of its parts, whose seconds add up to it.
#[derive(Clone, Debug)]
pub struct NodeCosts {
    /// The whole.
    pub total: Cost,
    /// One per node of the graph.
    pub nodes: Vec<NodeCost>,
    /// One per output.
    pub outputs: Vec<NodeCost>,
    /// Hidden inputs.
    pub inputs: NodeCost,
}

/// Seconds of a word's cells, without what is shared.
#[allow(clippy::cast_precision_loss)] // counts are far below 2^52
fn weight(word: &Word) -> f64 {
    let Constants { cell, leaf, .. } = Constants::REFERENCE;
    let limb = |kind: CellKind| cell + if kind.is_looked_up() { leaf } else { 0.0 };
    word.len as f64 * word.limbs.iter().map(|l| limb(l.kind)).sum::<f64>()
}

/// The parameters that a form reads.
fn params(form: &Form) -> impl Iterator<Item = usize> + '_ {
    let products = form.products.iter().flat_map(|p| [p.left.source, p.right.source]);
    form.terms.iter().map(|t| t.source).chain(products).filter_map(|source| match source {
        Source::Param(id) => Some(id.0 as usize),
        Source::Tensor(_) => None,
    })
}

/// The elements of the parameters that each node, then each output, reads first.
fn elements(graph: &Graph) -> Vec<usize> {
    let mut free: Vec<usize> = graph.params.iter().map(|p| p.len()).collect();
    let mut take =
        |form: &Form| params(form).map(|id| free.get_mut(id).map_or(0, std::mem::take)).fold(0, usize::saturating_add);
    let mut counts = Vec::new();
    for node in &graph.nodes {
        let own = take(&node.form);
        counts.push(match &node.op {
            Op::Div { denominator } => own + take(denominator),
            _ => own,
        });
    }
    counts.extend(graph.outputs.iter().map(|output| take(&output.form)));
    counts
}

/// The predicted cost of a compiled model, node by node.
#[must_use]
#[allow(clippy::cast_precision_loss)] // counts are far below 2^52
pub fn node_costs(model: &CompiledModel) -> NodeCosts {
    let total = predict(model);
    let elements = elements(&model.graph);
    let (num_nodes, num_outputs) = (model.graph.nodes.len(), model.graph.outputs.len());
    // Nodes, outputs, hidden inputs: seconds of cells, seconds of linear work, cells.
    let mut parts = vec![(0.0, 0.0, 0); num_nodes + num_outputs + 1];
    for (part, count) in parts.iter_mut().zip(&elements) {
        part.1 = *count as f64 * Constants::REFERENCE.linear;
    }
    let mut owner = vec![num_nodes + num_outputs; model.placement.words.len()];
    for (node, words) in model.lowered.node_words.iter().enumerate() {
        owner[words.clone()].fill(node);
    }
    for (word, owner) in model.placement.words.iter().zip(owner) {
        let part = &mut parts[owner];
        part.0 += weight(word);
        part.1 += word.len as f64 * Constants::REFERENCE.linear;
        part.2 += word.len * word.limbs.len();
    }
    let cells: f64 = parts.iter().map(|p| p.0).sum();
    let linear: f64 = parts.iter().map(|p| p.1).sum();
    let rest = (total.seconds - linear).max(0.0);
    let costs: Vec<NodeCost> = parts
        .iter()
        .enumerate()
        .map(|(i, (own, linear, count))| {
            // Without any cell the outputs bear what is shared.
            let share = match cells > 0.0 {
                true => own / cells,
                false if (num_nodes..num_nodes + num_outputs).contains(&i) => 1.0 / num_outputs as f64,
                false => 0.0,
            };
            NodeCost { cells: *count, seconds: linear + rest * share }
        })
        .collect();
    NodeCosts {
        total,
        nodes: costs[..num_nodes].to_vec(),
        outputs: costs[num_nodes..num_nodes + num_outputs].to_vec(),
        inputs: costs[num_nodes + num_outputs],
    }
}
