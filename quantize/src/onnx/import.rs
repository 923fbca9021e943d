//! From an ONNX protobuf to the float graph.

use super::{
    error::{ImportError, InputProblem, NodeProblem, UnsupportedNode},
    graph::{FloatGraph, FloatNode, FloatOp, Value, ValueId},
    node::{self, Imported},
    ops,
    proto::{self, checked_volume},
    tensor::Tensor,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tract_onnx::pb::{
    tensor_shape_proto::dimension::Value as Dim, type_proto::Value as TypeValue, GraphProto, ModelProto, NodeProto,
    ValueInfoProto,
};

/// The float graph under construction.
struct Importer {
    graph: FloatGraph,
    /// Values by name; `None` is the result of an unsupported node.
    names: HashMap<String, Option<ValueId>>,
    unsupported: Vec<UnsupportedNode>,
    opset: i64,
}

/// Builds the float graph of a model with its dimensions bound.
pub(crate) fn import(model: &ModelProto, dims: &BTreeMap<String, u32>) -> Result<FloatGraph, ImportError> {
    let graph = model.graph.as_ref().ok_or(ImportError::NotOnnx("it holds no graph"))?;
    if model.ir_version == 0 && model.opset_import.is_empty() {
        return Err(ImportError::NotOnnx("it names no format version and no operator set"));
    }
    if graph.node.is_empty() && graph.output.is_empty() {
        return Err(ImportError::NotOnnx("its graph is empty"));
    }
    let default_domain = |d: &str| d.is_empty() || d == "ai.onnx";
    let opset = model.opset_import.iter().find(|o| default_domain(&o.domain)).map_or(1, |o| o.version);
    let mut importer = Importer { graph: FloatGraph::default(), names: HashMap::new(), unsupported: Vec::new(), opset };
    importer.run(graph, dims)?;
    let mut graph = importer.graph;
    drop_unused(&mut graph);
    Ok(graph)
}

impl Importer {
    fn run(&mut self, graph: &GraphProto, dims: &BTreeMap<String, u32>) -> Result<(), ImportError> {
        for proto in &graph.initializer {
            let fail = |problem| ImportError::Initializer { name: proto.name.clone(), problem };
            let tensor = proto::tensor(proto).map_err(fail)?;
            if let Some(at) = tensor.data.iter().position(|v| !v.is_finite()) {
                // Infinite bounds of a clip are scalars; elsewhere nothing infinite has a meaning.
                if tensor.data.len() != 1 || tensor.data[0].is_nan() {
                    return Err(fail(super::error::TensorProblem::NotFinite(at)));
                }
            }
            self.constant(&proto.name, tensor);
        }
        for info in &graph.input {
            if self.names.contains_key(&info.name) {
                continue; // an initialiser that old files also list as an input
            }
            let shape =
                input_shape(info, dims).map_err(|problem| ImportError::Input { name: info.name.clone(), problem })?;
            let id = self.value(&info.name, shape);
            self.graph.inputs.push(id);
        }
        for proto in &graph.node {
            self.node(proto)?;
        }
        if !self.unsupported.is_empty() {
            return Err(ImportError::Unsupported(std::mem::take(&mut self.unsupported)));
        }
        for output in &graph.output {
            match self.names.get(&output.name) {
                Some(Some(id)) => self.graph.outputs.push((output.name.clone(), *id)),
                _ => return Err(ImportError::MissingOutput(output.name.clone())),
            }
        }
        Ok(())
    }

    fn value(&mut self, name: &str, shape: Vec<usize>) -> ValueId {
        let id = ValueId(self.graph.values.len());
        self.graph.values.push(Value { name: name.into(), shape, constant: None });
        self.names.insert(name.into(), Some(id));
        id
    }

    fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let id = self.value(name, tensor.shape.clone());
        self.graph.values[id.0].constant = Some(Arc::new(tensor));
        id
    }

    fn node(&mut self, proto: &NodeProto) -> Result<(), ImportError> {
        let output = proto.output.first().cloned().unwrap_or_default();
        let name = if proto.name.is_empty() { output.clone() } else { proto.name.clone() };
        let refuse = |this: &mut Self| {
            let op = if proto.domain.is_empty() || proto.domain == "ai.onnx" {
                proto.op_type.clone()
            } else {
                format!("{}.{}", proto.domain, proto.op_type)
            };
            this.unsupported.push(UnsupportedNode { op, name: name.clone(), opset: this.opset });
            for output in &proto.output {
                this.names.insert(output.clone(), None);
            }
        };
        if !node::is_known(proto) {
            refuse(self);
            return Ok(());
        }
        let fail =
            |problem| ImportError::Node { name: name.clone(), op: proto.op_type.clone(), opset: self.opset, problem };
        let mut inputs = Vec::with_capacity(proto.input.len());
        for input in &proto.input {
            match self.names.get(input) {
                _ if input.is_empty() => inputs.push(None),
                Some(Some(id)) => inputs.push(Some(*id)),
                // Reads what an unsupported node would compute: nothing more can be said of it.
                Some(None) => {
                    for output in &proto.output {
                        self.names.insert(output.clone(), None);
                    }
                    return Ok(());
                }
                None => return Err(fail(NodeProblem::Undefined(input.clone()))),
            }
        }
        match node::import(&self.graph, proto, &inputs, self.opset).map_err(fail)? {
            Imported::Unsupported => refuse(self),
            Imported::Constant(tensor) => {
                self.constant(&output, tensor);
            }
            Imported::Alias(id) => {
                self.names.insert(output, Some(id));
            }
            Imported::Op(op, inputs) => {
                self.push(proto, &name, &output, op, inputs)?;
            }
            Imported::Chain(mut value, chain) => {
                for op in chain {
                    value = self.push(proto, &name, &output, op, vec![value])?;
                }
            }
            Imported::Fold(binary, values) => {
                let mut rest = values.into_iter();
                let Some(mut sum) = rest.next() else { return Ok(()) };
                self.names.insert(output.clone(), Some(sum));
                for value in rest {
                    sum = self.push(proto, &name, &output, FloatOp::Binary(binary), vec![sum, value])?;
                }
            }
        }
        Ok(())
    }

    /// Adds a node, or its value if it is constant; an operator that changes nothing is skipped.
    fn push(
        &mut self,
        proto: &NodeProto,
        name: &str,
        output: &str,
        op: FloatOp,
        inputs: Vec<ValueId>,
    ) -> Result<ValueId, ImportError> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|i| self.graph.shape(*i)).collect();
        let fail =
            |problem| ImportError::Node { name: name.into(), op: proto.op_type.clone(), opset: self.opset, problem };
        let constants: Option<Vec<Arc<Tensor>>> = inputs.iter().map(|i| self.graph.constant(*i).cloned()).collect();
        let shape = ops::output_shape(&op, &shapes).map_err(fail)?;
        if let Some(constants) = constants {
            let constants: Vec<&Tensor> = constants.iter().map(AsRef::as_ref).collect();
            let tensor = ops::evaluate(&op, &constants, &shape);
            return Ok(self.constant(output, tensor));
        }
        if shape.contains(&0) {
            return Err(fail(NodeProblem::Size(shape)));
        }
        let unchanged = match &op {
            FloatOp::Reshape(_) | FloatOp::Expand(_) | FloatOp::Slice(_) | FloatOp::Pad(..) => {
                shape == shapes[0] && !matches!(&op, FloatOp::Slice(parts) if parts.iter().any(|p| p.1 < 0))
            }
            FloatOp::Transpose(perm) => perm.iter().copied().eq(0..perm.len()),
            _ => false,
        };
        if unchanged {
            self.names.insert(output.into(), Some(inputs[0]));
            return Ok(inputs[0]);
        }
        let id = self.value(output, shape);
        self.graph.nodes.push(FloatNode { name: name.into(), op_type: proto.op_type.clone(), op, inputs, output: id });
        Ok(id)
    }
}

/// Removes nodes that no output depends on.
fn drop_unused(graph: &mut FloatGraph) {
    let mut needed = vec![false; graph.values.len()];
    for (_, id) in &graph.outputs {
        needed[id.0] = true;
    }
    for node in graph.nodes.iter().rev() {
        if needed[node.output.0] {
            for input in &node.inputs {
                needed[input.0] = true;
            }
        }
    }
    graph.nodes.retain(|n| needed[n.output.0]);
}

/// The fixed shape of a graph input.
fn input_shape(info: &ValueInfoProto, dims: &BTreeMap<String, u32>) -> Result<Vec<usize>, InputProblem> {
    let Some(TypeValue::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(InputProblem::NoShape);
    };
    // Float, double, half.
    if !matches!(tensor.elem_type, 0 | 1 | 10 | 11) {
        return Err(InputProblem::Type(tensor.elem_type));
    }
    let proto = tensor.shape.as_ref().ok_or(InputProblem::NoShape)?;
    let mut shape = Vec::with_capacity(proto.dim.len());
    for (axis, dim) in proto.dim.iter().enumerate() {
        let size = match &dim.value {
            Some(Dim::DimValue(size)) if *size > 0 => *size,
            Some(Dim::DimValue(size)) if axis > 0 => return Err(InputProblem::Size { axis, size: *size }),
            Some(Dim::DimParam(symbol)) if dims.contains_key(symbol) => i64::from(dims[symbol]),
            Some(Dim::DimParam(symbol)) if axis > 0 || !is_batch(symbol) => {
                return Err(InputProblem::Unbound { axis, symbol: symbol.clone() })
            }
            None if axis > 0 => return Err(InputProblem::Unbound { axis, symbol: String::new() }),
            _ => 1,
        };
        shape.push(usize::try_from(size).ok().filter(|s| *s > 0).ok_or(InputProblem::Size { axis, size })?);
    }
    checked_volume(&shape).map(|_| shape).ok_or(InputProblem::TooLarge)
}

/// Whether a symbol of the first axis is what exporters call the batch.
fn is_batch(symbol: &str) -> bool {
    let lower = symbol.to_lowercase();
    matches!(lower.as_str(), "" | "?" | "n" | "b" | "bs" | "none")
        || lower.contains("batch")
        || lower.starts_with("unk")
}
