//! The layers of a model: its inputs, the nodes of its integer graph in order, its outputs; and the numbers of each.

use crate::proven_by::{contractions, gadget};
use serde::Serialize;
use std::collections::BTreeSet;
use zkonnx_circuits::{
    compiled::CompiledModel,
    node_cost::{node_costs, NodeCost},
    words::Lane,
};
use zkonnx_quantize::graph::{Form, Op, Source, TensorId};
use zkonnx_verifier::metering::macs;

/// What a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A declared input.
    Input,
    /// A node of the integer graph.
    Node,
    /// A declared output.
    Output,
}

/// One layer.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// What it is.
    pub kind: Kind,
    /// The name in the integer graph: of an ONNX node, or of a part of one.
    pub name: String,
    /// The gadget that proves it.
    pub operator: String,
    /// Its products of two tensors.
    pub products: Vec<String>,
    /// The shape of its linear form.
    pub form: Vec<u32>,
    /// The shape of its output.
    pub shape: Vec<u32>,
    /// The layers that it reads, by their numbers, in order.
    pub reads: Vec<usize>,
    /// Cells of the circuit.
    pub cells: usize,
    /// Those that are looked up in a table.
    pub lookups: usize,
    /// Word columns that it has cells in.
    pub columns: usize,
    /// Rows of lanes: elements that a gate, or a range alone, binds.
    pub lane_rows: usize,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Elements of the parameters that it reads, and no layer before it.
    pub parameters: usize,
    /// Its part of the predicted seconds.
    pub predicted: f64,
    /// Its part of the measured seconds.
    pub measured: Option<LayerTime>,
}

/// Seconds of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LayerTime {
    /// Evaluating its form and operator, measured.
    pub evaluate: f64,
    /// Its part of all other stages of proving, in proportion to its cells.
    pub share: f64,
}

impl LayerTime {
    /// Both.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.evaluate + self.share
    }
}

/// The forms of a layer.
struct Forms<'a>(Vec<&'a Form>);

impl Forms<'_> {
    fn sources(&self) -> impl Iterator<Item = Source> + '_ {
        self.0.iter().flat_map(|form| {
            let products = form.products.iter().flat_map(|p| [p.left.source, p.right.source]);
            form.terms.iter().map(|t| t.source).chain(products)
        })
    }

    fn macs(&self) -> u64 {
        self.0.iter().map(|form| macs(form)).fold(0, u64::saturating_add)
    }
}

/// All layers of a compiled model; nothing is measured yet.
#[must_use]
pub fn layers(compiled: &CompiledModel) -> Vec<Layer> {
    let graph = &compiled.graph;
    let costs = node_costs(compiled);
    let num_inputs = graph.inputs.len();
    // The layer of every tensor.
    let mut tensors: Vec<usize> = (0..num_inputs).collect();
    let mut free: Vec<usize> = graph.params.iter().map(|p| p.len()).collect();
    let mut layers: Vec<Layer> = Vec::new();
    let words = word_counts(compiled);
    let mut products = contractions(compiled).into_iter();
    for input in &graph.inputs {
        layers.push(Layer {
            form: input.shape.clone(),
            ..layer(Kind::Input, &input.name, "input", &input.shape, NodeCost::default())
        });
    }
    let mut add = |forms: &Forms<'_>, tensors: &[usize], layer: Layer| {
        let mut reads = BTreeSet::new();
        let mut parameters = 0_usize;
        for source in forms.sources() {
            match source {
                Source::Tensor(TensorId(id)) => reads.extend(tensors.get(id as usize)),
                Source::Param(id) => {
                    let taken = free.get_mut(id.0 as usize).map_or(0, std::mem::take);
                    parameters = parameters.saturating_add(taken);
                }
            }
        }
        let products = products.next().unwrap_or_default().list();
        Layer { reads: reads.into_iter().collect(), parameters, macs: forms.macs(), products, ..layer }
    };
    for ((i, node), counts) in graph.nodes.iter().enumerate().zip(words) {
        let denominator = match &node.op {
            Op::Div { denominator } => Some(denominator),
            _ => None,
        };
        let forms = Forms(std::iter::once(&node.form).chain(denominator).collect());
        let cost = costs.nodes.get(i).copied().unwrap_or_default();
        let own = Layer {
            form: node.form.shape.clone(),
            lookups: counts.lookups,
            columns: counts.columns,
            lane_rows: counts.lane_rows,
            ..layer(Kind::Node, &node.name, &gadget(graph, node), &node.output_shape(), cost)
        };
        layers.push(add(&forms, &tensors, own));
        tensors.extend((0..node.num_outputs()).map(|_| num_inputs + i));
    }
    for (output, cost) in graph.outputs.iter().zip(&costs.outputs) {
        let own = Layer {
            form: output.form.shape.clone(),
            ..layer(Kind::Output, &output.name, "exact linear form", &output.shape, *cost)
        };
        layers.push(add(&Forms(vec![&output.form]), &tensors, own));
    }
    layers
}

fn layer(kind: Kind, name: &str, operator: &str, shape: &[u32], cost: NodeCost) -> Layer {
    Layer {
        kind,
        name: name.to_owned(),
        operator: operator.to_owned(),
        products: Vec::new(),
        form: Vec::new(),
        shape: shape.to_vec(),
        reads: Vec::new(),
        cells: cost.cells,
        lookups: 0,
        columns: 0,
        lane_rows: 0,
        macs: 0,
        parameters: 0,
        predicted: cost.seconds,
        measured: None,
    }
}

#[derive(Debug, Default)]
struct WordCounts {
    lookups: usize,
    columns: usize,
    lane_rows: usize,
}

/// What the words of every node take of the circuit.
fn word_counts(compiled: &CompiledModel) -> Vec<WordCounts> {
    let active = compiled.shape.num_active_rows();
    let mut rows = vec![0; compiled.lowered.nodes.len()];
    for block in &compiled.lowered.blocks {
        let Some(first) = block.words.first() else { continue };
        let node = compiled.lowered.node_words.partition_point(|words| words.end <= first.0);
        let elements = compiled.placement.words.get(first.0).map_or(0, |word| word.len);
        if let Some(rows) = rows.get_mut(node) {
            // Words that no gate binds stand in columns of their own.
            *rows += elements * if block.lane == Lane::Range { block.words.len() } else { 1 };
        }
    }
    let counts = compiled.lowered.node_words.iter().zip(rows).map(|(words, lane_rows)| {
        let mut counts = WordCounts { lane_rows, ..WordCounts::default() };
        let mut columns = BTreeSet::new();
        for word in compiled.placement.words.get(words.clone()).unwrap_or_default() {
            for (limb, place) in word.limbs.iter().zip(&word.places) {
                counts.lookups += if limb.kind.is_looked_up() { word.len } else { 0 };
                place.for_each_run(word.len, active, |column, _, _| {
                    columns.insert(column);
                });
            }
        }
        WordCounts { columns: columns.len(), ..counts }
    });
    counts.collect()
}

/// Shares measured seconds out: what was measured of each node, and the rest in proportion to cells (among outputs where there is none).
#[allow(clippy::cast_precision_loss)] // counts are far below 2^52
pub fn share_time(layers: &mut [Layer], evaluate: &[f64], prove: f64) {
    let rest = (prove - evaluate.iter().sum::<f64>()).max(0.0);
    let cells: usize = layers.iter().map(|l| l.cells).sum();
    let outputs = layers.iter().filter(|l| l.kind == Kind::Output).count();
    let mut evaluate = evaluate.iter();
    for layer in layers {
        let evaluate = if layer.kind == Kind::Node { evaluate.next().copied().unwrap_or(0.0) } else { 0.0 };
        let part = match (cells, layer.kind) {
            (0, Kind::Output) => 1.0 / outputs.max(1) as f64,
            (0, _) => 0.0,
            (cells, _) => layer.cells as f64 / cells as f64,
        };
        layer.measured = Some(LayerTime { evaluate, share: rest * part });
    }
}
