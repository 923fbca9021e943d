//! What is in an ONNX file, supported or not.

use super::{
    advice,
    error::{ImportError, UnboundDim, UnsupportedNode},
    file,
    graph::{FloatGraph, FloatNode, FloatOp, ValueId},
    import::{self, ImportOptions},
    proto, OnnxModel,
};
use crate::data::InputSpec;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    path::Path,
};
use tract_onnx::pb::GraphProto;

/// A summary of an ONNX file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Inspection {
    /// Who wrote the file.
    pub producer: String,
    /// The operator set version.
    pub opset: i64,
    /// How often each operator stands in the file.
    pub operators: BTreeMap<String, usize>,
    /// Number of elements of all floating-point initialisers.
    pub weights: u64,
    /// Inputs with shapes, if the model can be imported.
    pub inputs: Vec<InputSpec>,
    /// Outputs with shapes, if the model can be imported.
    pub outputs: Vec<InputSpec>,
    /// Nodes that depend on an input, if the model can be imported.
    pub nodes: Vec<NodeSummary>,
    /// How many nodes of the file are constants, or change nothing, or are not needed.
    pub folded: usize,
    /// Multiply-accumulates of all convolutions and matrix products.
    pub macs: u64,
    /// What its owner should know: what the import does not reproduce, and what its outputs mean.
    pub notes: Vec<String>,
    /// Why it cannot be imported.
    pub problem: Option<String>,
    /// Unsupported nodes, all of them.
    pub unsupported: Vec<Unsupported>,
    /// Dimensions without a size, all of them.
    pub unbound: Vec<Unbound>,
    /// The model, if it can be imported.
    #[serde(skip)]
    pub model: Option<OnnxModel>,
}

/// One node of the file that depends on an input.
#[derive(Clone, Debug, Serialize)]
pub struct NodeSummary {
    /// Its name.
    pub name: String,
    /// Its ONNX operator.
    pub op: String,
    /// The shape of its (last) result.
    pub shape: Vec<usize>,
    /// Its multiply-accumulates.
    pub macs: u64,
    /// Nodes and outputs that read it.
    pub readers: Vec<String>,
}

/// A node that is not supported, and what to do about it.
#[derive(Clone, Debug, Serialize)]
pub struct Unsupported {
    /// Its operator, with the domain unless it is the default one.
    pub op: String,
    /// Its name.
    pub name: String,
    /// The operator set version.
    pub opset: i64,
    /// Why not.
    pub reason: String,
    /// The nearest supported form.
    pub instead: String,
}

impl From<&UnsupportedNode> for Unsupported {
    fn from(node: &UnsupportedNode) -> Self {
        Self {
            op: node.op.clone(),
            name: node.name.clone(),
            opset: node.opset,
            reason: node.reason.clone().unwrap_or_else(|| "the operator is not supported".into()),
            instead: advice::nearest(node).into(),
        }
    }
}

/// A dimension without a size.
#[derive(Clone, Debug, Serialize)]
pub struct Unbound {
    /// The dimension.
    #[serde(flatten)]
    pub dim: UnboundDim,
    /// The name by which it is given a size.
    pub key: String,
}

/// Looks into an ONNX file.
///
/// # Errors
/// [`ImportError`] when the file cannot be read or is no ONNX model; that it cannot be imported is part of
/// the answer.
pub fn inspect(path: &Path, options: &ImportOptions) -> Result<Inspection, ImportError> {
    let mut model = file::read(path)?;
    let graph = model.graph.as_ref().ok_or(ImportError::NotOnnx("it holds no graph"))?;
    let mut inspection = Inspection {
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().into(),
        opset: model.opset_import.iter().find(|o| o.domain.is_empty()).map_or(0, |o| o.version),
        ..Inspection::default()
    };
    for node in &graph.node {
        *inspection.operators.entry(node.op_type.clone()).or_default() += 1;
    }
    let constants = graph.node.iter().filter(|n| n.op_type == "Constant").flat_map(|n| &n.attribute);
    let tensors = graph.initializer.iter().chain(constants.filter_map(|a| a.t.as_ref()));
    inspection.weights = tensors.map(proto::num_floats).fold(0, u64::saturating_add);
    let imported = import::import(&mut model, options);
    let graph = model.graph.as_ref().ok_or(ImportError::NotOnnx("it holds no graph"))?;
    match imported {
        Ok(imported) => {
            inspection.nodes = summarise(&imported);
            inspection.macs = inspection.nodes.iter().map(|n| n.macs).sum();
            inspection.folded = num_folded(graph, &imported);
            inspection.notes.clone_from(&imported.notes);
            let imported = OnnxModel { graph: imported };
            (inspection.inputs, inspection.outputs) = (imported.inputs(), imported.outputs());
            inspection.model = Some(imported);
        }
        Err(error) => {
            match &error {
                ImportError::Unsupported(nodes) => {
                    inspection.unsupported = nodes.iter().map(Unsupported::from).collect();
                }
                ImportError::Unbound(dims) => {
                    inspection.unbound = dims.iter().map(|dim| Unbound { key: dim.key(), dim: dim.clone() }).collect();
                    // Which operators are not supported at all does not depend on sizes.
                    inspection.unsupported = import::unknown(&model).iter().map(Unsupported::from).collect();
                }
                _ => {}
            }
            inspection.problem = Some(error.to_string());
        }
    }
    Ok(inspection)
}

/// Nodes by their ONNX nodes, in order.
fn summarise(graph: &FloatGraph) -> Vec<NodeSummary> {
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    let mut nodes: Vec<NodeSummary> = Vec::new();
    // Which node computes a value.
    let mut makers: HashMap<ValueId, usize> = HashMap::new();
    let mut seen: HashSet<(usize, String)> = HashSet::new();
    for node in &graph.nodes {
        let place = *places.entry((&node.name, &node.op_type)).or_insert_with(|| {
            nodes.push(NodeSummary {
                name: node.name.clone(),
                op: node.op_type.clone(),
                shape: Vec::new(),
                macs: 0,
                readers: Vec::new(),
            });
            nodes.len() - 1
        });
        nodes[place].shape = graph.shape(node.output).to_vec();
        nodes[place].macs = nodes[place].macs.saturating_add(macs(graph, node));
        for maker in node.inputs.iter().filter_map(|i| makers.get(i)).filter(|m| **m != place) {
            if seen.insert((*maker, node.name.clone())) {
                nodes[*maker].readers.push(node.name.clone());
            }
        }
        makers.insert(node.output, place);
    }
    for (name, id) in &graph.outputs {
        if let Some(maker) = makers.get(id) {
            nodes[*maker].readers.push(name.clone());
        }
    }
    nodes
}

/// Multiply-accumulates of a node.
pub(crate) fn macs(graph: &FloatGraph, node: &FloatNode) -> u64 {
    let shape = graph.shape(node.output);
    let input = |i: usize| graph.shape(node.inputs[i]);
    let elements = shape.iter().product::<usize>() as u64;
    match &node.op {
        FloatOp::Conv(conv) => conv.macs(input(1), shape),
        FloatOp::Gemm { trans_a, .. } => elements.saturating_mul(input(0)[usize::from(!trans_a)] as u64),
        FloatOp::MatMul => elements.saturating_mul(input(0).last().copied().unwrap_or(1) as u64),
        _ => 0,
    }
}

/// How many nodes of a file left no node of the float graph.
fn num_folded(file: &GraphProto, graph: &FloatGraph) -> usize {
    let names: HashSet<&str> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
    file.node.iter().filter(|n| !names.contains(import::node_name(n))).count()
}

impl fmt::Display for Inspection {
    /// Everything but the nodes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "producer   {}", self.producer)?;
        writeln!(f, "opset      {}", self.opset)?;
        for (what, list) in [("input", &self.inputs), ("output", &self.outputs)] {
            for spec in list {
                writeln!(f, "{what:10} {} {:?}", spec.name, spec.shape)?;
            }
        }
        writeln!(f, "weights    {}", self.weights)?;
        if self.problem.is_none() {
            writeln!(f, "macs       {}", self.macs)?;
        }
        let operators: Vec<String> = self.operators.iter().map(|(op, n)| format!("{op} x{n}")).collect();
        writeln!(f, "operators  {}", operators.join(", "))?;
        for note in &self.notes {
            writeln!(f, "note       {note}")?;
        }
        let Some(problem) = &self.problem else { return Ok(()) };
        if self.unbound.is_empty() && self.unsupported.is_empty() {
            return writeln!(f, "cannot be imported: {problem}");
        }
        if !self.unbound.is_empty() {
            writeln!(f, "cannot be imported: {problem}")?;
        }
        self.fmt_unsupported(f)
    }
}

impl Inspection {
    /// Unsupported nodes, together where operator and reason are the same.
    fn fmt_unsupported(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unsupported.is_empty() {
            return Ok(());
        }
        let plural = if self.unsupported.len() == 1 { "" } else { "s" };
        writeln!(f, "cannot be imported: {} unsupported node{plural}:", self.unsupported.len())?;
        let mut groups: Vec<(&Unsupported, Vec<&str>)> = Vec::new();
        for node in &self.unsupported {
            match groups.iter_mut().find(|(first, _)| first.op == node.op && first.reason == node.reason) {
                Some((_, names)) => names.push(&node.name),
                None => groups.push((node, vec![&node.name])),
            }
        }
        for (first, names) in groups {
            let count = if names.len() == 1 { String::new() } else { format!(" x{}", names.len()) };
            writeln!(f, "  {}{count} (opset {}): {}", first.op, first.opset, first.reason)?;
            writeln!(f, "    nodes    {}", names.join(", "))?;
            writeln!(f, "    instead  {}", first.instead)?;
        }
        Ok(())
    }
}
