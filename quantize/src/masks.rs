//! Masks: numbers far below all others, added before a softmax, which stand for "weight 0".
//!
//! Exporters write them as −65504, −10^9 or the smallest float: as a constant, as `(1 − mask) · low`, with Where, or as a
//! sum of several. Their size means nothing, and no integer should have to hold it. Here they all become sums with
//! multiples of −[`HIDDEN`], in a copy of the float graph: elements below −[`HIDDEN`]`/ 2` are hidden, and lowering
//! keeps them out of the softmax ([`crate::lower`]).
//!
//! Only what ends in softmaxes alone is changed, through operators that leave a hidden element hidden: sums, choices,
//! positive factors, movements.

use crate::onnx::{
    graph::{FloatGraph, FloatNode, FloatOp, ValueId},
    ops::{self, elementwise::Binary},
    tensor::Tensor,
};
use std::{borrow::Cow, collections::HashSet, sync::Arc};

/// What is added to an element that is hidden.
pub(crate) const HIDDEN: f64 = 1_048_576.0;

/// A summand at least so far below zero hides.
const LOW: f64 = 1000.0;
/// A summand so far below zero hides if the others of its array are zero.
const LOW_ALONE: f64 = 64.0;

/// Whether a value hides its element.
pub(crate) fn is_hidden(value: f64) -> bool {
    value <= -HIDDEN / 2.0
}

/// The graph with its masks in multiples of [`HIDDEN`], and the values that hold them.
pub(crate) fn tamed(graph: &FloatGraph) -> (Cow<'_, FloatGraph>, HashSet<ValueId>) {
    if !graph.nodes.iter().any(|n| matches!(n.op, FloatOp::Softmax(_))) {
        return (Cow::Borrowed(graph), HashSet::new());
    }
    let mut pass = Pass::new(graph);
    pass.run();
    if pass.masked.is_empty() {
        return (Cow::Borrowed(graph), HashSet::new());
    }
    (Cow::Owned(pass.graph), pass.masked)
}

/// What becomes of a node.
enum Change {
    None,
    /// Other inputs, or another operator.
    Node(FloatNode),
    /// A Where that hides: the value that stays, the truth values (as they are, or one minus them), the constant.
    Added {
        kept: ValueId,
        condition: ValueId,
        inverted: bool,
        low: ValueId,
    },
    /// Its first input, whatever the other one is.
    Same(ValueId),
}

struct Pass {
    graph: FloatGraph,
    /// With which sign a value goes into softmaxes alone.
    sign: Vec<Option<f64>>,
    masked: HashSet<ValueId>,
}

impl Pass {
    fn new(graph: &FloatGraph) -> Self {
        Self { graph: graph.clone(), sign: signs(graph), masked: HashSet::new() }
    }

    fn run(&mut self) {
        let nodes = std::mem::take(&mut self.graph.nodes);
        let mut same: Vec<(ValueId, ValueId)> = Vec::new();
        for mut node in nodes {
            for input in &mut node.inputs {
                if let Some((_, by)) = same.iter().find(|(id, _)| id == input) {
                    *input = *by;
                }
            }
            let sign = self.sign[node.output.0];
            let (change, hides) = sign.map_or((Change::None, false), |sign| self.change(&node, sign));
            let passes = sign.is_some() && !matches!(node.op, FloatOp::Softmax(_));
            let passes = passes && node.inputs.iter().any(|i| self.masked.contains(i));
            if hides || passes {
                self.masked.insert(node.output);
            }
            match change {
                Change::None => self.graph.nodes.push(node),
                Change::Node(node) => self.graph.nodes.push(node),
                Change::Same(input) => same.push((node.output, input)),
                Change::Added { kept, condition, inverted, low } => {
                    self.add_hidden(&node, (kept, condition), inverted, low);
                }
            }
        }
    }

    /// How a node changes whose output goes into softmaxes alone, and whether a mask begins at it.
    fn change(&mut self, node: &FloatNode, sign: f64) -> (Change, bool) {
        let with = |inputs: Vec<ValueId>| Change::Node(FloatNode { inputs, ..node.clone() });
        match &node.op {
            FloatOp::Binary(Binary::Add | Binary::Sub) | FloatOp::Concat(_) => {
                let is_difference = matches!(node.op, FloatOp::Binary(Binary::Sub));
                let mut inputs = node.inputs.clone();
                for (i, input) in inputs.iter_mut().enumerate() {
                    let sign = if is_difference && i == 1 { -sign } else { sign };
                    if let Some(tamed) = self.tame(*input, sign) {
                        *input = tamed;
                    }
                }
                let changed = inputs != node.inputs;
                (if changed { with(inputs) } else { Change::None }, changed)
            }
            FloatOp::Binary(Binary::Mul) => {
                for (truth, low) in [(0, 1), (1, 0)] {
                    if !self.hides_all(node.inputs[low], sign) || !is_truth(&self.graph, node.inputs[truth]) {
                        continue;
                    }
                    if let Some(tamed) = self.tame(node.inputs[low], sign) {
                        let mut inputs = node.inputs.clone();
                        inputs[low] = tamed;
                        return (with(inputs), true);
                    }
                }
                (Change::None, false)
            }
            FloatOp::Where => {
                let [condition, a, b] = node.inputs[..] else { return (Change::None, false) };
                for (kept, low, inverted) in [(a, b, true), (b, a, false)] {
                    if self.hides_all(low, sign) && self.graph.constant(kept).is_none() {
                        if let Some(low) = self.tame(low, sign) {
                            return (Change::Added { kept, condition, inverted, low }, true);
                        }
                    }
                }
                let tamed = |this: &mut Self, id: ValueId| this.tame(id, sign).unwrap_or(id);
                let inputs = vec![condition, tamed(self, a), tamed(self, b)];
                let changed = inputs != node.inputs;
                (if changed { with(inputs) } else { Change::None }, changed)
            }
            FloatOp::Binary(Binary::Max) if sign > 0.0 => {
                let lowest = |id: ValueId| self.hides_all(id, sign) && self.graph.shape(id).iter().all(|s| *s == 1);
                let same = |id: ValueId| self.graph.shape(id) == self.graph.shape(node.output);
                let (a, b) = (node.inputs[0], node.inputs[1]);
                match (lowest(a) && same(b), lowest(b) && same(a)) {
                    (true, _) => (Change::Same(b), false),
                    (_, true) => (Change::Same(a), false),
                    _ => (Change::None, false),
                }
            }
            FloatOp::Pad(pads, value) if value * sign <= -LOW => {
                let op = FloatOp::Pad(pads.clone(), -HIDDEN * sign);
                (Change::Node(FloatNode { op, ..node.clone() }), true)
            }
            _ => (Change::None, false),
        }
    }

    /// Whether a value is a constant that hides everywhere.
    fn hides_all(&self, id: ValueId, sign: f64) -> bool {
        self.graph.constant(id).is_some_and(|c| !c.data.is_empty() && c.data.iter().all(|v| v * sign <= -LOW))
    }

    /// A constant whose hiding elements are −[`HIDDEN`]; `None` where it has none.
    fn tame(&mut self, id: ValueId, sign: f64) -> Option<ValueId> {
        let constant = self.graph.constant(id)?;
        let lowest = constant.data.iter().map(|v| v * sign).fold(f64::INFINITY, f64::min);
        #[allow(clippy::float_cmp)] // what is written twice is the same
        let alone = lowest <= -LOW_ALONE && constant.data.iter().all(|v| *v == 0.0 || v * sign == lowest);
        let hides = |v: f64| v * sign <= -LOW || (alone && v != 0.0);
        if !constant.data.iter().any(|v| hides(*v)) {
            return None;
        }
        let data = constant.data.iter().map(|v| if hides(*v) { -HIDDEN * sign } else { *v }).collect();
        let tensor = Tensor { data, integer: false, ..(**constant).clone() };
        let public = self.graph.values[id.0].public;
        Some(self.constant(tensor, public))
    }

    fn constant(&mut self, tensor: Tensor, public: bool) -> ValueId {
        let id = self.value(tensor.shape.clone(), false);
        self.graph.values[id.0].public = public;
        self.graph.values[id.0].constant = Some(Arc::new(tensor));
        id
    }

    fn value(&mut self, shape: Vec<usize>, integer: bool) -> ValueId {
        self.graph.add_value("", shape, integer)
    }

    /// An operator of values, or its value if they are constant.
    fn operator(&mut self, node: &FloatNode, binary: Binary, inputs: [ValueId; 2]) -> Option<ValueId> {
        let op = FloatOp::Binary(binary);
        let shapes = inputs.map(|i| self.graph.shape(i).to_vec());
        let shape = ops::output_shape(&op, &[&shapes[0], &shapes[1]]).ok()?;
        if let (Some(a), Some(b)) = (self.graph.constant(inputs[0]), self.graph.constant(inputs[1])) {
            let public = inputs
                .iter()
                .all(|i| self.graph.values[i.0].public || self.graph.constant(*i).is_some_and(|c| c.data.len() == 1));
            let tensor = ops::evaluate(&op, &[a, b], &shape);
            return Some(self.constant(tensor, public));
        }
        let kinds = inputs.map(|i| self.graph.values[i.0].integer);
        let output = self.value(shape, ops::is_integer(&op, &kinds));
        self.graph.nodes.push(FloatNode { op, inputs: inputs.to_vec(), output, ..node.clone() });
        Some(output)
    }

    /// `kept + condition · low`, or with one minus the condition, in place of a Where.
    fn add_hidden(&mut self, node: &FloatNode, (kept, condition): (ValueId, ValueId), inverted: bool, low: ValueId) {
        let one = Tensor { shape: vec![], data: vec![1.0], integer: true };
        let one = self.constant(one, true);
        self.graph.values[one.0].integer = true;
        let hidden = if inverted { self.operator(node, Binary::Sub, [one, condition]) } else { Some(condition) };
        let hidden = hidden.and_then(|hidden| self.operator(node, Binary::Mul, [hidden, low]));
        match hidden {
            Some(hidden) => {
                self.masked.insert(hidden);
                let (op, inputs) = (FloatOp::Binary(Binary::Add), vec![kept, hidden]);
                self.graph.nodes.push(FloatNode { op, inputs, ..node.clone() });
            }
            // Shapes have been checked at import.
            None => self.graph.nodes.push(node.clone()),
        }
    }
}

/// Whether a value is surely a truth value or a small integer, or one minus an input.
fn is_truth(graph: &FloatGraph, mut id: ValueId) -> bool {
    let maker = |id: ValueId| {
        let at = graph.nodes.iter().rposition(|n| n.output == id)?;
        graph.nodes.get(at)
    };
    loop {
        if graph.values[id.0].integer {
            return true;
        }
        let Some(node) = maker(id) else { return false };
        match node.op {
            FloatOp::Binary(Binary::Sub) => {
                // One minus something whole, or minus what comes straight from an input.
                let is_number = graph.constant(node.inputs[0]).is_some_and(|c| c.data.iter().all(|v| *v == 1.0));
                let mut from = node.inputs[1];
                while let Some(node) = maker(from).filter(|n| n.op.moves()) {
                    from = node.inputs[0];
                }
                return is_number && (graph.values[from.0].integer || graph.inputs.contains(&from));
            }
            ref op if op.moves() => id = node.inputs[0],
            _ => return false,
        }
    }
}

/// For every value that goes into softmaxes alone, with which sign.
fn signs(graph: &FloatGraph) -> Vec<Option<f64>> {
    // `None`: read by nothing so far; `Some(None)`: read by something else.
    let mut found: Vec<Option<Option<f64>>> = vec![None; graph.values.len()];
    let note = |found: &mut Vec<Option<Option<f64>>>, id: ValueId, sign: Option<f64>| {
        found[id.0] = match found[id.0] {
            Some(before) if before != sign => Some(None),
            _ => Some(sign),
        };
    };
    for (_, id) in &graph.outputs {
        note(&mut found, *id, None);
    }
    for node in graph.nodes.iter().rev() {
        let sign = found[node.output.0].flatten();
        for (i, input) in node.inputs.iter().enumerate() {
            let sign = match &node.op {
                FloatOp::Softmax(_) => Some(1.0),
                FloatOp::Binary(Binary::Add) | FloatOp::Concat(_) => sign,
                // The smallest float, which no sum of masks shall pass.
                FloatOp::Binary(Binary::Max) => {
                    let other = node.inputs.get(1 - i.min(1)).and_then(|f| graph.constant(*f));
                    sign.filter(|_| other.is_some_and(|f| f.data.iter().all(|v| *v <= -LOW)))
                }
                FloatOp::Binary(Binary::Sub) => sign.map(|s| if i == 0 { s } else { -s }),
                FloatOp::Binary(Binary::Mul | Binary::Div) => {
                    let factor = node.inputs.get(1 - i.min(1)).and_then(|f| graph.constant(*f));
                    let first = i == 0 || matches!(node.op, FloatOp::Binary(Binary::Mul));
                    sign.filter(|_| first && factor.is_some_and(|f| f.data.iter().all(|v| (0.0..LOW).contains(v))))
                }
                FloatOp::Where if i > 0 => sign,
                op if op.moves() => sign,
                _ => None,
            };
            note(&mut found, *input, sign);
        }
    }
    found.into_iter().map(Option::flatten).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// `softmax(op(x, …))` of an input of reals, one of truth values, and constants; the value before the softmax.
    struct Graph(FloatGraph, ValueId);

    impl Graph {
        fn new(constants: &[&[f64]], op: FloatOp, inputs: &[usize]) -> Self {
            let mut graph = FloatGraph::default();
            let mut value = |data: Option<&[f64]>, integer: bool| {
                let constant = data.map(|d| Arc::new(Tensor::new(vec![1, d.len()], d.to_vec())));
                let shape = vec![1, data.map_or(3, <[f64]>::len)];
                let id = graph.add_value("", shape, integer);
                graph.values[id.0].constant = constant;
                id
            };
            let inputs_of_graph = vec![value(None, false), value(None, true)];
            constants.iter().for_each(|c| {
                value(Some(c), false);
            });
            let (before, after) = (value(None, false), value(None, false));
            let node = |op, inputs, output| FloatNode { name: "n".into(), op_type: "Op".into(), op, inputs, output };
            graph.nodes.push(node(op, inputs.iter().map(|i| ValueId(*i)).collect(), before));
            graph.nodes.push(node(FloatOp::Softmax(1), vec![before], after));
            graph.inputs = inputs_of_graph;
            graph.outputs = vec![("y".into(), after)];
            Self(graph, before)
        }

        /// The constant that the last node before the softmax adds or multiplies with.
        fn tamed(&self) -> Vec<f64> {
            let (graph, masked) = tamed(&self.0);
            assert!(masked.contains(&self.1));
            let node = graph.nodes.iter().find(|n| n.inputs.iter().any(|i| graph.constant(*i).is_some())).unwrap();
            node.inputs.iter().rev().find_map(|i| graph.constant(*i)).unwrap().data.clone()
        }
    }

    const ADD: FloatOp = FloatOp::Binary(Binary::Add);

    #[test]
    fn numbers_far_below_zero_become_multiples_of_one() {
        let low = f64::from(f32::MIN);
        for value in [f64::NEG_INFINITY, low, -1e9, -65504.0, -1e4] {
            assert_eq!(Graph::new(&[&[value, -7.0, 0.5]], ADD, &[0, 2]).tamed(), [-HIDDEN, -7.0, 0.5]);
        }
        assert_eq!(Graph::new(&[&[-100.0, 0.0, -100.0]], ADD, &[2, 0]).tamed(), [-HIDDEN, 0.0, -HIDDEN]);
        let difference = FloatOp::Binary(Binary::Sub);
        assert_eq!(Graph::new(&[&[1e9, 0.0, 3.0]], difference, &[0, 2]).tamed(), [HIDDEN, 0.0, 3.0]);
        // Of a truth value.
        assert_eq!(Graph::new(&[&[low]], FloatOp::Binary(Binary::Mul), &[1, 2]).tamed(), [-HIDDEN]);
    }

    #[test]
    fn a_choice_becomes_a_sum() {
        for (inputs, nodes) in [([1, 0, 2], 4), ([1, 2, 0], 3)] {
            let graph = Graph::new(&[&[-1e9]], FloatOp::Where, &inputs);
            let (changed, masked) = tamed(&graph.0);
            assert_eq!(changed.nodes.len(), nodes);
            assert!(masked.contains(&graph.1));
            let run = |graph: &FloatGraph, truth: [f64; 3]| {
                let x = Tensor::new(vec![1, 3], vec![0.25, -2.0, 1.0]);
                graph.run(&[x, Tensor::new(vec![1, 3], truth.to_vec())], |_, _| ()).unwrap()[0].data.clone()
            };
            for truth in [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]] {
                assert_eq!(run(&changed, truth), run(&graph.0, truth));
            }
        }
    }

    #[test]
    fn what_is_no_mask_stays() {
        let unchanged = |graph: &Graph| tamed(&graph.0).1.is_empty();
        // Biases, scores times a number, and what something else reads as well.
        assert!(unchanged(&Graph::new(&[&[-100.0, -3.0, 2.0]], ADD, &[0, 2])));
        assert!(unchanged(&Graph::new(&[&[-1e4]], FloatOp::Binary(Binary::Mul), &[0, 2])));
        assert!(unchanged(&Graph::new(&[&[1e9, 0.0, 3.0]], ADD, &[0, 2])));
        let mut shown = Graph::new(&[&[-1e9, 0.0, 0.0]], ADD, &[0, 2]);
        shown.0.outputs.push(("scores".into(), shown.1));
        assert!(unchanged(&shown));
    }
}
