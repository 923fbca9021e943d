//! What is in an ONNX file, supported or not.

use super::{
    error::{ImportError, UnsupportedNode},
    graph::FloatOp,
    import::{self, ImportOptions},
    parse, proto,
};
use crate::data::InputSpec;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, path::Path};

/// A summary of an ONNX file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Inspection {
    /// Who wrote the file.
    pub producer: String,
    /// The operator set version.
    pub opset: i64,
    /// How often each operator stands in the file.
    pub operators: BTreeMap<String, usize>,
    /// Unsupported nodes: operator and name.
    pub unsupported: Vec<(String, String)>,
    /// Number of elements of all floating-point initialisers.
    pub weights: u64,
    /// Inputs with shapes, if the model can be imported.
    pub inputs: Vec<InputSpec>,
    /// Outputs with shapes, if the model can be imported.
    pub outputs: Vec<InputSpec>,
    /// Nodes after folding with the shapes of their results, if the model can be imported.
    pub nodes: Vec<NodeSummary>,
    /// Multiply-accumulates of all convolutions and matrix products.
    pub macs: u64,
    /// Why it cannot be imported.
    pub problem: Option<String>,
}

/// One node of the imported graph.
#[derive(Clone, Debug, Serialize)]
pub struct NodeSummary {
    /// Its name.
    pub name: String,
    /// Its ONNX operator.
    pub op: String,
    /// The shape of its result.
    pub shape: Vec<usize>,
    /// Its multiply-accumulates.
    pub macs: u64,
}

/// Looks into an ONNX file.
///
/// # Errors
/// [`ImportError`] when the file cannot be read or is no ONNX model; that it cannot be imported is part of
/// the answer.
pub fn inspect(path: &Path, dims: &BTreeMap<String, u32>) -> Result<Inspection, ImportError> {
    let model = parse(&super::read(path)?)?;
    let graph = model.graph.as_ref().ok_or(ImportError::NotOnnx("it holds no graph"))?;
    let mut inspection = Inspection {
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().into(),
        opset: model.opset_import.iter().find(|o| o.domain.is_empty()).map_or(0, |o| o.version),
        ..Inspection::default()
    };
    for node in &graph.node {
        *inspection.operators.entry(node.op_type.clone()).or_default() += 1;
        if super::ops::find(&node.domain, &node.op_type).is_none() {
            inspection.unsupported.push((node.op_type.clone(), node.name.clone()));
        }
    }
    let constants = graph.node.iter().filter(|n| n.op_type == "Constant").flat_map(|n| &n.attribute);
    let tensors = graph.initializer.iter().chain(constants.filter_map(|a| a.t.as_ref()));
    let tensors = tensors.filter_map(|t| proto::tensor(t).ok());
    inspection.weights = tensors.filter(|t| !t.integer).map(|t| t.data.len() as u64).sum();
    match import::import(&model, &ImportOptions { dims: dims.clone(), ..ImportOptions::default() }) {
        Ok(graph) => {
            let imported = super::OnnxModel { graph };
            (inspection.inputs, inspection.outputs) = (imported.inputs(), imported.outputs());
            for node in &imported.graph.nodes {
                let shape = imported.graph.shape(node.output).to_vec();
                let input = |i: usize| imported.graph.shape(node.inputs[i]);
                let elements = shape.iter().product::<usize>() as u64;
                let macs = match &node.op {
                    FloatOp::Conv(conv) => conv.macs(input(1), &shape),
                    FloatOp::Gemm { trans_a, .. } => elements.saturating_mul(input(0)[usize::from(!trans_a)] as u64),
                    FloatOp::MatMul => elements.saturating_mul(input(0).last().copied().unwrap_or(1) as u64),
                    _ => 0,
                };
                inspection.macs += macs;
                inspection.nodes.push(NodeSummary { name: node.name.clone(), op: node.op_type.clone(), shape, macs });
            }
        }
        Err(ImportError::Unsupported(nodes)) => {
            inspection.unsupported = nodes.iter().map(|n: &UnsupportedNode| (n.op.clone(), n.name.clone())).collect();
            inspection.problem = Some(ImportError::Unsupported(nodes).to_string());
        }
        Err(error) => inspection.problem = Some(error.to_string()),
    }
    Ok(inspection)
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "producer   {}", self.producer)?;
        writeln!(f, "opset      {}", self.opset)?;
        for (what, list) in [("input", &self.inputs), ("output", &self.outputs)] {
            for spec in list {
                writeln!(f, "{what:10} {} {:?}", spec.name, spec.shape)?;
            }
        }
        writeln!(f, "weights    {}", self.weights)?;
        writeln!(f, "macs       {}", self.macs)?;
        let operators: Vec<String> = self.operators.iter().map(|(op, n)| format!("{op} x{n}")).collect();
        writeln!(f, "operators  {}", operators.join(", "))?;
        for node in &self.nodes {
            writeln!(f, "  {:20} {:28} {:?} {}", node.op, node.name, node.shape, node.macs)?;
        }
        if let Some(problem) = &self.problem {
            writeln!(f, "cannot be imported: {problem}")?;
        }
        Ok(())
    }
}
