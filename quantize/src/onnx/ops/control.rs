//! Control flow that is known when the model is imported: branches are chosen and loops unrolled.

use crate::onnx::{
    context::{axis, Context, Outputs},
    element::Element,
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    scope::{Results, Subgraph},
    tensor::Tensor,
};
use tract_onnx::pb::GraphProto;

pub(crate) const OPS: &[&str] = &["If", "Loop", "Scan"];

/// No loop may have more iterations.
const MAX_ITERATIONS: usize = 1 << 14;
/// A constant of this many elements counts as weights.
const WEIGHTS: usize = 64;

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "If" => import_if(c),
        "Loop" => import_loop(c),
        _ if c.opset < 9 => import_batched_scan(c),
        _ => {
            let count = c.inputs.len();
            let inputs = (0..count).map(|i| typed_input(c, i)).collect::<Result<Results, _>>()?;
            let results = scan(c, &inputs, &Directions::read(c)?)?;
            Ok(c.typed(results))
        }
    }
}

fn graph<'a>(c: &Context<'a>, name: &'static str) -> Result<&'a GraphProto, NodeProblem> {
    c.attributes.get(name).and_then(|a| a.g.as_ref()).ok_or(NodeProblem::Attribute(name))
}

fn typed_input(c: &Context<'_>, i: usize) -> Result<(ValueId, Element), NodeProblem> {
    Ok((c.input(i)?, c.element(i)))
}

/// The truth value of a constant of one element.
fn truth(c: &Context<'_>, id: ValueId) -> Option<bool> {
    Some(c.importer.graph.constant(id)?.scalar()? != 0.0)
}

fn import_if(c: &mut Context<'_>) -> Outputs {
    let condition = c.input(0)?;
    let (then, other) = (graph(c, "then_branch")?, graph(c, "else_branch")?);
    let count = c.node.output.len();
    if let Some(condition) = truth(c, condition) {
        let branch = c.importer.subgraph(if condition { then } else { other })?;
        let results = c.importer.run(&branch, &[])?;
        if results.len() != count {
            return Err(NodeProblem::Attribute("then_branch"));
        }
        return Ok(c.typed(results));
    }
    // A condition of the inputs: both branches are computed.
    let (then, other) = (c.importer.subgraph(then)?, c.importer.subgraph(other)?);
    let (then, other) = (c.importer.run(&then, &[])?, c.importer.run(&other, &[])?);
    if then.len() != count || other.len() != count {
        return Err(NodeProblem::Attribute("then_branch"));
    }
    let condition = c.reshape(condition, vec![])?;
    let mut results = Vec::new();
    for ((a, element), (b, _)) in then.into_iter().zip(other) {
        if c.shape_of(a) != c.shape_of(b) {
            return Err(NodeProblem::Variant(
                "a condition that depends on the inputs, with branches of different shapes",
            ));
        }
        results.push((c.push(FloatOp::Where, &[condition, a, b])?, element));
    }
    Ok(c.typed(results))
}

/// What a loop collects from its iterations.
struct Collected {
    states: Results,
    /// Per scanned output: a value of every iteration.
    scanned: Vec<Vec<(ValueId, Element)>>,
}

/// The body of a loop.
struct Body<'a> {
    subgraph: Subgraph<'a>,
    num_states: usize,
    /// Outputs before the states.
    num_before: usize,
}

impl Body<'_> {
    /// The outputs of one iteration: those before the states, the states, the scanned ones.
    fn run(
        &self,
        c: &mut Context<'_>,
        inputs: &[(ValueId, Element)],
    ) -> Result<(Results, Results, Results), NodeProblem> {
        let graph = self.subgraph.graph;
        if graph.input.len() != inputs.len() || graph.output.len() < self.num_before + self.num_states {
            return Err(NodeProblem::Attribute("body"));
        }
        let mut before = c.importer.run(&self.subgraph, inputs)?;
        let mut states = before.split_off(self.num_before);
        let scanned = states.split_off(self.num_states);
        Ok((before, states, scanned))
    }
}

fn import_loop(c: &mut Context<'_>) -> Outputs {
    let graph = graph(c, "body")?;
    let trips = match c.optional(0) {
        Some(_) => Some(c.constant_scalar(0, "M")?.unwrap_or(0.0)),
        None => None,
    };
    let mut going = match c.optional(1) {
        Some(condition) => truth(c, condition).ok_or(NodeProblem::NotConstant(1))?,
        None => true,
    };
    let states = (2..c.inputs.len()).map(|i| typed_input(c, i)).collect::<Result<Results, _>>()?;
    let body = Body { subgraph: c.importer.subgraph(graph)?, num_states: states.len(), num_before: 1 };
    let num_scanned = graph.output.len().saturating_sub(1 + states.len());
    let mut collected = Collected { states, scanned: vec![Vec::new(); num_scanned] };
    let mut steps = Steps::new(c);
    for i in 0.. {
        #[allow(clippy::cast_precision_loss)] // small
        let index = i as f64;
        if !going || trips.is_some_and(|m| index >= m) {
            break;
        }
        if i >= MAX_ITERATIONS {
            return Err(NodeProblem::Variant("more than 16384 iterations"));
        }
        let number = Tensor { shape: vec![], data: vec![index], integer: true };
        let number = c.tensor(number);
        let condition = c.tensor(Tensor { shape: vec![], data: vec![1.0], integer: true });
        let mut inputs = vec![(number, Element::INT64), (condition, Element::BOOL)];
        inputs.extend(&collected.states);
        let (before, states, scanned) = body.run(c, &inputs)?;
        collected.add(states, scanned);
        going = before
            .first()
            .and_then(|(id, _)| truth(c, *id))
            .ok_or(NodeProblem::Variant("a loop whose number of iterations depends on the inputs"))?;
        steps.end(c);
    }
    steps.share(c);
    let mut results = collected.states;
    for values in collected.scanned {
        if values.is_empty() && !(results.len()..c.node.output.len()).any(|i| c.wants(i)) {
            break;
        }
        results.push(stacked(c, &values, 0)?);
    }
    Ok(c.typed(results))
}

impl Collected {
    fn add(&mut self, states: Results, scanned: Results) {
        self.states = states;
        for (all, one) in self.scanned.iter_mut().zip(scanned) {
            all.push(one);
        }
    }
}

/// Values of all iterations along a new axis.
fn stacked(
    c: &mut Context<'_>,
    values: &[(ValueId, Element)],
    axis_of_result: i64,
) -> Result<(ValueId, Element), NodeProblem> {
    let Some((first, element)) = values.first().copied() else {
        return Err(NodeProblem::Variant("a loop without iterations whose results are used"));
    };
    let mut shape = c.shape_of(first);
    if values.iter().any(|(v, _)| c.shape_of(*v) != shape) {
        return Err(NodeProblem::Variant("results of iterations of different shapes"));
    }
    let axis = axis(axis_of_result, shape.len() + 1, "scan_output_axes")?;
    shape.insert(axis, 1);
    let parts = values.iter().map(|(v, _)| c.reshape(*v, shape.clone())).collect::<Result<Vec<_>, _>>()?;
    Ok((c.concat(&parts, axis)?, element))
}

/// Axes and directions of a scan.
struct Directions {
    inputs: Vec<(i64, bool)>,
    outputs: Vec<(i64, bool)>,
    num_states: usize,
}

impl Directions {
    fn read(c: &Context<'_>) -> Result<Self, NodeProblem> {
        let num_scanned = c.attributes.int("num_scan_inputs").and_then(|n| usize::try_from(n).ok());
        let num_scanned = num_scanned.filter(|n| (1..=c.inputs.len()).contains(n));
        let num_scanned = num_scanned.ok_or(NodeProblem::Attribute("num_scan_inputs"))?;
        let num_states = c.inputs.len() - num_scanned;
        let num_outputs = graph(c, "body")?.output.len().saturating_sub(num_states);
        let list = |axes: &'static str, directions: &'static str, count: usize| {
            let ints = |name: &'static str| match c.attributes.ints(name) {
                None => Ok(vec![0; count]),
                Some(list) if list.len() == count => Ok(list.to_vec()),
                Some(_) => Err(NodeProblem::Attribute(name)),
            };
            let directions_list = ints(directions)?;
            if directions_list.iter().any(|d| !(0..=1).contains(d)) {
                return Err(NodeProblem::Attribute(directions));
            }
            Ok(ints(axes)?.into_iter().zip(directions_list.into_iter().map(|d| d == 1)).collect::<Vec<_>>())
        };
        Ok(Self {
            inputs: list("scan_input_axes", "scan_input_directions", num_scanned)?,
            outputs: list("scan_output_axes", "scan_output_directions", num_outputs)?,
            num_states,
        })
    }
}

/// The results of a scan over states and scanned values.
fn scan(c: &mut Context<'_>, inputs: &[(ValueId, Element)], directions: &Directions) -> Result<Results, NodeProblem> {
    let graph = graph(c, "body")?;
    let (states, scanned) = inputs.split_at(directions.num_states);
    let body = Body { subgraph: c.importer.subgraph(graph)?, num_states: states.len(), num_before: 0 };
    let mut sequences = Vec::new();
    for ((id, element), (given, reverse)) in scanned.iter().zip(&directions.inputs) {
        let shape = c.shape_of(*id);
        sequences.push((*id, *element, axis(*given, shape.len(), "scan_input_axes")?, *reverse));
    }
    let lengths: Vec<usize> = sequences.iter().map(|s| c.shape_of(s.0)[s.2]).collect();
    let length = lengths.first().copied().unwrap_or(0);
    if lengths.iter().any(|l| *l != length) {
        return Err(NodeProblem::Variant("scanned inputs of different lengths"));
    }
    if length > MAX_ITERATIONS {
        return Err(NodeProblem::Variant("more than 16384 iterations"));
    }
    let mut collected = Collected { states: states.to_vec(), scanned: vec![Vec::new(); directions.outputs.len()] };
    let mut steps = Steps::new(c);
    for i in 0..length {
        let mut inputs = collected.states.clone();
        for (id, element, axis, reverse) in &sequences {
            let at = if *reverse { length - 1 - i } else { i };
            let part = c.slice(*id, *axis, (at, 1, 1))?;
            let mut shape = c.shape_of(part);
            shape.remove(*axis);
            inputs.push((c.reshape(part, shape)?, *element));
        }
        let (_, states, scanned) = body.run(c, &inputs)?;
        collected.add(states, scanned);
        steps.end(c);
    }
    steps.share(c);
    let mut results = collected.states;
    for (mut values, (axis, reverse)) in collected.scanned.into_iter().zip(&directions.outputs) {
        if *reverse {
            values.reverse();
        }
        results.push(stacked(c, &values, *axis)?);
    }
    Ok(results)
}

/// Scan of operator set 8: inputs have a batch axis in front, and lengths may be given.
fn import_batched_scan(c: &mut Context<'_>) -> Outputs {
    if c.has(0) {
        return Err(NodeProblem::Variant("a scan with lengths of sequences"));
    }
    let inputs = (1..c.inputs.len()).map(|i| typed_input(c, i)).collect::<Result<Results, _>>()?;
    let num_scanned = c.attributes.int("num_scan_inputs").and_then(|n| usize::try_from(n).ok());
    let num_scanned = num_scanned.filter(|n| (1..=inputs.len()).contains(n));
    let num_scanned = num_scanned.ok_or(NodeProblem::Attribute("num_scan_inputs"))?;
    let num_states = inputs.len() - num_scanned;
    let reversed = match c.attributes.ints("directions") {
        None => vec![0; num_scanned],
        Some(list) if list.len() == num_scanned && list.iter().all(|d| (0..=1).contains(d)) => list.to_vec(),
        Some(_) => return Err(NodeProblem::Attribute("directions")),
    };
    let num_outputs = graph(c, "body")?.output.len().saturating_sub(num_states);
    let directions = Directions {
        inputs: reversed.iter().map(|d| (0, *d == 1)).collect(),
        outputs: vec![(0, false); num_outputs],
        num_states,
    };
    let sizes: Vec<Option<usize>> = inputs.iter().map(|(id, _)| c.shape_of(*id).first().copied()).collect();
    let Some(Some(batch)) = sizes.first().copied() else { return Err(NodeProblem::Attribute("body")) };
    if sizes.iter().any(|s| *s != Some(batch)) || batch > MAX_ITERATIONS {
        return Err(NodeProblem::Variant("inputs of different batch sizes"));
    }
    let mut all: Vec<Results> = vec![Vec::new(); num_states + num_outputs];
    for b in 0..batch {
        let mut own = Vec::new();
        for (id, element) in &inputs {
            let part = c.slice(*id, 0, (b, 1, 1))?;
            let shape = c.shape_of(part)[1..].to_vec();
            own.push((c.reshape(part, shape)?, *element));
        }
        for (all, one) in all.iter_mut().zip(scan(c, &own, &directions)?) {
            all.push(one);
        }
    }
    let results = all.iter().map(|values| stacked(c, values, 0)).collect::<Result<Results, _>>()?;
    Ok(c.typed(results))
}

/// Where the iterations of a loop begin and end in the float graph.
struct Steps {
    values: Vec<usize>,
    first_node: usize,
    end_of_first: usize,
}

impl Steps {
    fn new(c: &Context<'_>) -> Self {
        let graph = &c.importer.graph;
        Self { values: vec![graph.values.len()], first_node: graph.nodes.len(), end_of_first: graph.nodes.len() }
    }

    /// An iteration ends.
    fn end(&mut self, c: &Context<'_>) {
        if self.values.len() == 1 {
            self.end_of_first = c.importer.graph.nodes.len();
        }
        self.values.push(c.importer.graph.values.len());
    }

    /// Where iterations multiply by weights and all are alike, values of the same place share a calibrated range: so the
    /// integer graph has the weights once.
    fn share(&self, c: &mut Context<'_>) {
        let graph = &c.importer.graph;
        let weighs = |input: &ValueId| graph.constant(*input).is_some_and(|t| t.data.len() >= WEIGHTS);
        let mut nodes = graph.nodes[self.first_node..self.end_of_first].iter();
        let product = |op: &FloatOp| matches!(op, FloatOp::MatMul | FloatOp::Gemm { .. } | FloatOp::Conv(_));
        let weighted = nodes.any(|n| product(&n.op) && n.inputs.iter().any(weighs));
        let length = self.values.get(1).map_or(0, |end| end - self.values[0]);
        if !weighted || self.values.windows(2).any(|w| w[1] - w[0] != length) {
            return;
        }
        for start in self.values.iter().take(self.values.len() - 1).skip(1) {
            for i in 0..length {
                c.share_range(ValueId(self.values[0] + i), ValueId(start + i));
            }
        }
    }
}
