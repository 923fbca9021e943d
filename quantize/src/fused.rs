//! Functions that exporters write in several nodes, as the one function that they are.
//!
//! `x · (1 + erf(x / √2)) / 2` comes as a division, Erf, a sum and two products, `x · sigmoid(x)` as two nodes, and the GELU of GPT-2 as
//! eight. Each of them would be rounded by itself, and most looked up in a table of their own. Here such a part of the graph becomes one node,
//! with one table. A part is replaced if it is a function of one value, element by element, with constants of one element; if nothing
//! else reads what it computes on the way; and if it is one of the functions below, whatever its nodes are: it is evaluated at points of
//! [`REACH`], and must be the function to [`TOLERANCE`] at all of them. (Constants of files are floats of 32 bits.)

use crate::{
    curve::{Curve, Real},
    onnx::{
        graph::{FloatGraph, FloatNode, FloatOp, ValueId},
        ops::{self, elementwise::Unary},
        tensor::Tensor,
    },
};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Points lie between −this and this: functions that agree there agree beyond.
const REACH: f64 = 9.0;
/// Their number: steps are no nice fractions, so no point is at a bend by chance.
const POINTS: u32 = 127;
/// What functions may differ by, next to one or their value. The two GELUs differ by up to 5·10^−4.
const TOLERANCE: f64 = 1e-5;
/// A part has at most so many nodes.
const LONGEST: usize = 16;

/// The graph with such parts as one node each.
pub(crate) fn fused(graph: Cow<'_, FloatGraph>) -> Cow<'_, FloatGraph> {
    let parts = Finder::new(&graph).parts();
    if parts.is_empty() {
        return graph;
    }
    let mut graph = graph.into_owned();
    let inner: BTreeSet<ValueId> = parts.values().flat_map(|part| part.inner.iter().copied()).collect();
    graph.nodes.retain(|node| !inner.contains(&node.output));
    for node in &mut graph.nodes {
        if let Some(part) = parts.get(&node.output) {
            (node.op, node.inputs) = (FloatOp::Unary(part.function), vec![part.source]);
        }
    }
    Cow::Owned(graph)
}

/// A part of a graph that is one function.
struct Part {
    source: ValueId,
    function: Unary,
    /// What is computed on the way.
    inner: BTreeSet<ValueId>,
}

struct Finder<'a> {
    graph: &'a FloatGraph,
    /// The node that computes a value.
    node_of: HashMap<ValueId, &'a FloatNode>,
    /// Who reads a value, by the outputs of nodes; the value itself stands for an output of the graph.
    readers: HashMap<ValueId, Vec<ValueId>>,
    /// The last value that everything of it depends on element by element, where there is one.
    source_of: HashMap<ValueId, ValueId>,
}

impl<'a> Finder<'a> {
    fn new(graph: &'a FloatGraph) -> Self {
        let mut own = Self {
            graph,
            node_of: graph.nodes.iter().map(|node| (node.output, node)).collect(),
            readers: HashMap::new(),
            source_of: HashMap::new(),
        };
        for (input, output) in graph.nodes.iter().flat_map(|node| node.inputs.iter().map(|input| (*input, node.output)))
        {
            own.readers.entry(input).or_default().push(output);
        }
        for (_, id) in &graph.outputs {
            own.readers.entry(*id).or_default().push(*id);
        }
        for node in &graph.nodes {
            if let Some(source) = own.source(node) {
                own.source_of.insert(node.output, source);
            }
        }
        own
    }

    /// The value that a node is a function of, element by element.
    fn source(&self, node: &FloatNode) -> Option<ValueId> {
        // Quotients of integers are none of reals: their value is an integer.
        let is_function = matches!(node.op, FloatOp::Unary(_) | FloatOp::Binary(_)) && !node.op.is_discontinuous();
        let is_number = |id: &ValueId| self.graph.constant(*id).is_some_and(|tensor| tensor.data.len() == 1);
        let shape = self.graph.shape(node.output);
        let mut inputs = node.inputs.iter().filter(|id| !is_number(id));
        let first = *inputs.next()?;
        let of_one_shape = node.inputs.iter().all(|id| is_number(id) || self.graph.shape(*id) == shape);
        if !is_function || !of_one_shape || self.graph.values[node.output.0].integer || self.is_unsuitable(first) {
            return None;
        }
        inputs.try_fold(first, |common, id| {
            let chain: Vec<ValueId> = self.chain(common).collect();
            self.chain(*id).find(|value| chain.contains(value))
        })
    }

    /// Constants and integers are no arguments.
    fn is_unsuitable(&self, id: ValueId) -> bool {
        self.graph.constant(id).is_some() || self.graph.values[id.0].integer
    }

    /// A value, the one it is a function of, and so on.
    fn chain(&self, id: ValueId) -> impl Iterator<Item = ValueId> + '_ {
        std::iter::successors(Some(id), |id| self.source_of.get(id).copied()).take(LONGEST)
    }

    /// All parts, by the values that they compute; no two overlap.
    fn parts(&self) -> HashMap<ValueId, Part> {
        let mut parts: HashMap<ValueId, Part> = HashMap::new();
        let mut taken: BTreeSet<ValueId> = BTreeSet::new();
        for node in self.graph.nodes.iter().rev() {
            if taken.contains(&node.output) {
                continue;
            }
            // One node is what it is.
            let part = self.chain(node.output).skip(1).find_map(|source| self.part(node.output, source));
            if let Some(part) = part.filter(|part| part.inner.is_disjoint(&taken)) {
                taken.extend(&part.inner);
                parts.insert(node.output, part);
            }
        }
        parts
    }

    /// The part from `source` to `output`.
    fn part(&self, output: ValueId, source: ValueId) -> Option<Part> {
        // In falling order of nodes: all that lies between.
        let mut inner = BTreeSet::new();
        let mut open = vec![output];
        while let Some(id) = open.pop() {
            for input in &self.node_of.get(&id)?.inputs {
                if *input != source && self.graph.constant(*input).is_none() && inner.insert(*input) {
                    open.push(*input);
                }
            }
            if inner.len() > LONGEST {
                return None;
            }
        }
        let is_inside = |id: &ValueId| *id == output || inner.contains(id);
        let is_private = |id: &ValueId| {
            self.readers.get(id).is_some_and(|readers| readers.iter().all(|reader| reader != id && is_inside(reader)))
        };
        if inner.is_empty() || !inner.iter().all(is_private) {
            return None;
        }
        let function = known(&self.sampled(output, source, &inner)?)?;
        Some(Part { source, function, inner })
    }

    /// The values at the sample points.
    fn sampled(&self, output: ValueId, source: ValueId, inner: &BTreeSet<ValueId>) -> Option<Vec<f64>> {
        let shape = [POINTS as usize];
        let mut values = HashMap::from([(source, Arc::new(Tensor::new(shape.to_vec(), points().collect())))]);
        for node in self.graph.nodes.iter().filter(|node| node.output == output || inner.contains(&node.output)) {
            let argument = |id: &ValueId| {
                let number = self.graph.constant(*id).map(|t| Arc::new(Tensor::new(vec![1], t.data.to_vec())));
                number.or_else(|| values.get(id).cloned())
            };
            let arguments: Vec<Arc<Tensor>> = node.inputs.iter().map(argument).collect::<Option<_>>()?;
            let arguments: Vec<&Tensor> = arguments.iter().map(AsRef::as_ref).collect();
            values.insert(node.output, Arc::new(ops::evaluate(&node.op, &arguments, &shape)));
        }
        Some(values.get(&output)?.data.to_vec())
    }
}

fn points() -> impl Iterator<Item = f64> {
    (0..POINTS).map(|i| (f64::from(i) / f64::from(POINTS - 1) * 2.0 - 1.0) * REACH)
}

/// The function with these values.
fn known(values: &[f64]) -> Option<Unary> {
    let swish = |alpha: f64| Unary::Curve(Curve::Swish(Real::new(alpha)));
    let curves = [Curve::Gelu, Curve::GeluTanh, Curve::Mish, Curve::Softplus, Curve::Softsign].map(Unary::Curve);
    let own = [Unary::Sigmoid, Unary::Tanh, Unary::HardSwish, swish(1.0), swish(1.702)];
    let is = |function: &Unary| {
        points().zip(values).all(|(x, value)| {
            let expected = function.evaluate(x);
            (value - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
        })
    };
    curves.into_iter().chain(own).find(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{build::ModelBuilder, ops::elementwise::Binary};

    struct Net(ModelBuilder, ValueId);

    impl Net {
        fn new() -> Self {
            let mut builder = ModelBuilder::default();
            let x = builder.input("x", &[2, 3], false);
            Self(builder, x)
        }
        fn unary(&mut self, unary: Unary, x: ValueId) -> ValueId {
            self.0.add("unary", FloatOp::Unary(unary), &[x]).expect("a function")
        }
        fn binary(&mut self, binary: Binary, a: ValueId, b: ValueId) -> ValueId {
            self.0.add("binary", FloatOp::Binary(binary), &[a, b]).expect("of one shape")
        }
        fn with(&mut self, binary: Binary, a: ValueId, number: f32) -> ValueId {
            let number = self.0.constant(Tensor::new(vec![], vec![f64::from(number)]));
            self.binary(binary, a, number)
        }
        /// The GELU as BERT's exporters write it.
        fn gelu(&mut self) -> (ValueId, ValueId) {
            let x = self.1;
            let scaled = self.with(Binary::Div, x, std::f32::consts::SQRT_2);
            let erf = self.unary(Unary::Curve(Curve::Erf), scaled);
            let one = self.with(Binary::Add, erf, 1.0);
            let product = self.binary(Binary::Mul, x, one);
            (self.with(Binary::Mul, product, 0.5), erf)
        }
        fn operators(self, outputs: &[ValueId]) -> Vec<FloatOp> {
            let outputs: Vec<(&str, ValueId)> = outputs.iter().map(|id| ("y", *id)).collect();
            let model = self.0.finish(&outputs);
            fused(Cow::Borrowed(model.graph())).nodes.iter().map(|node| node.op.clone()).collect()
        }
    }

    fn curve(curve: Curve) -> FloatOp {
        FloatOp::Unary(Unary::Curve(curve))
    }

    #[test]
    fn five_nodes_are_a_gelu() {
        let mut net = Net::new();
        let (y, _) = net.gelu();
        assert_eq!(net.operators(&[y]), [curve(Curve::Gelu)]);
        // And what comes before and behind stays.
        let mut net = Net::new();
        net.1 = net.with(Binary::Add, net.1, 0.25);
        let (y, _) = net.gelu();
        let y = net.unary(Unary::Neg, y);
        let add = FloatOp::Binary(Binary::Add);
        assert_eq!(net.operators(&[y]), [add, curve(Curve::Gelu), FloatOp::Unary(Unary::Neg)]);
    }

    #[test]
    fn eight_nodes_are_the_gelu_with_tanh() {
        let mut net = Net::new();
        let x = net.1;
        let half = net.with(Binary::Mul, x, 0.5);
        let cube = net.unary(Unary::Curve(Curve::Pow(Real::new(3.0))), x);
        let small = net.with(Binary::Mul, cube, 0.044_715);
        let sum = net.binary(Binary::Add, x, small);
        let scaled = net.with(Binary::Mul, sum, (2.0 / std::f32::consts::PI).sqrt());
        let tanh = net.unary(Unary::Tanh, scaled);
        let one = net.with(Binary::Add, tanh, 1.0);
        let y = net.binary(Binary::Mul, half, one);
        assert_eq!(net.operators(&[y]), [curve(Curve::GeluTanh)]);
    }

    #[test]
    fn products_with_sigmoids_are_swishes() {
        for (alpha, is_known) in [(1.0, true), (1.702, true), (1.5, false)] {
            let mut net = Net::new();
            let x = net.1;
            let scaled = net.with(Binary::Mul, x, alpha);
            let sigmoid = net.unary(Unary::Sigmoid, scaled);
            let y = net.binary(Binary::Mul, x, sigmoid);
            let operators = net.operators(&[y]);
            assert_eq!(operators.len() == 1, is_known, "{alpha}: {operators:?}");
        }
        let mut net = Net::new();
        let three = net.with(Binary::Add, net.1, 3.0);
        let cut = net.unary(Unary::Clip { lo: 0.0, hi: 6.0 }, three);
        let product = net.binary(Binary::Mul, net.1, cut);
        let y = net.with(Binary::Div, product, 6.0);
        assert_eq!(net.operators(&[y]), [FloatOp::Unary(Unary::HardSwish)]);
    }

    #[test]
    fn what_is_read_elsewhere_or_is_another_function_stays() {
        let mut net = Net::new();
        let (y, erf) = net.gelu();
        assert_eq!(net.operators(&[y, erf]).len(), 5);
        // A weight for each element, and a factor that is not quite one half.
        let mut net = Net::new();
        let weights = net.0.constant(Tensor::new(vec![3], vec![1.0, 2.0, 3.0]));
        let sigmoid = net.unary(Unary::Sigmoid, net.1);
        let scaled = net.binary(Binary::Mul, net.1, weights);
        let y = net.binary(Binary::Mul, scaled, sigmoid);
        assert_eq!(net.operators(&[y]).len(), 3);
        let mut net = Net::new();
        let sigmoid = net.unary(Unary::Sigmoid, net.1);
        let scaled = net.with(Binary::Mul, net.1, 1.001);
        let y = net.binary(Binary::Mul, scaled, sigmoid);
        assert_eq!(net.operators(&[y]).len(), 3);
    }
}
