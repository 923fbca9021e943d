//! From an ONNX protobuf to the float graph.

use super::{
    context::Context,
    element::{self, Element},
    error::{ImportError, InputProblem, NodeProblem, UnsupportedNode},
    graph::{FloatGraph, FloatNode, FloatOp, Value, ValueId},
    ops,
    proto::{self, checked_volume, Attributes},
    tensor::Tensor,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tract_onnx::pb::{
    tensor_proto::DataType, tensor_shape_proto::dimension::Value as Dim, type_proto::Value as TypeValue, GraphProto,
    ModelProto, NodeProto, ValueInfoProto,
};

/// The float graph under construction.
#[derive(Default)]
pub(crate) struct Importer {
    pub(crate) graph: FloatGraph,
    /// Values by name; `None` is the result of an unsupported node.
    names: HashMap<String, Option<ValueId>>,
    unsupported: Vec<UnsupportedNode>,
    /// Element types by the names of values.
    types: HashMap<String, Element>,
    /// Versions of operator sets by domain; the default domain is empty.
    opsets: HashMap<String, i64>,
}

/// What an importer is told besides the file.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Sizes of symbolic dimensions, by name.
    pub dims: BTreeMap<String, u32>,
    /// Graph inputs that are no inputs but these constants.
    pub constants: BTreeMap<String, Tensor>,
}

/// Builds the float graph of a model with its dimensions bound.
pub(crate) fn import(model: &ModelProto, options: &ImportOptions) -> Result<FloatGraph, ImportError> {
    let graph = model.graph.as_ref().ok_or(ImportError::NotOnnx("it holds no graph"))?;
    if model.ir_version == 0 && model.opset_import.is_empty() {
        return Err(ImportError::NotOnnx("it names no format version and no operator set"));
    }
    if graph.node.is_empty() && graph.output.is_empty() {
        return Err(ImportError::NotOnnx("its graph is empty"));
    }
    let opsets = model.opset_import.iter().map(|o| (domain(&o.domain).to_owned(), o.version)).collect();
    let mut importer = Importer {
        graph: FloatGraph::default(),
        names: HashMap::new(),
        unsupported: Vec::new(),
        types: HashMap::new(),
        opsets,
    };
    importer.run(graph, options)?;
    let mut graph = importer.graph;
    drop_unused(&mut graph);
    Ok(graph)
}

/// A domain by its short name.
fn domain(name: &str) -> &str {
    if name == "ai.onnx" {
        ""
    } else {
        name
    }
}

impl Importer {
    fn run(&mut self, graph: &GraphProto, options: &ImportOptions) -> Result<(), ImportError> {
        self.initializers(graph)?;
        for info in &graph.input {
            if self.names.contains_key(&info.name) {
                continue; // an initialiser that old files also list as an input
            }
            self.types.insert(info.name.clone(), declared_type(info));
            if let Some(tensor) = options.constants.get(&info.name) {
                let id = self.constant(&info.name, tensor.clone());
                self.define(&info.name, id);
                continue;
            }
            let fail = |problem| ImportError::Input { name: info.name.clone(), problem };
            let (shape, kind) = input_type(info, &options.dims).map_err(fail)?;
            let id = self.value(&info.name, shape, kind != InputKind::Float);
            self.define(&info.name, id);
            self.graph.inputs.push(id);
        }
        self.nodes(graph)?;
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

    fn initializers(&mut self, graph: &GraphProto) -> Result<(), ImportError> {
        for proto in &graph.initializer {
            let fail = |problem| ImportError::Initializer { name: proto.name.clone(), problem };
            let tensor = proto::tensor(proto).map_err(fail)?;
            if let Some(at) = tensor.data.iter().position(|v| v.is_nan()) {
                return Err(fail(super::error::TensorProblem::NotFinite(at)));
            }
            let id = self.constant(&proto.name, tensor);
            self.define(&proto.name, id);
            self.types.insert(proto.name.clone(), Element(proto.data_type));
        }
        Ok(())
    }

    fn nodes(&mut self, graph: &GraphProto) -> Result<(), ImportError> {
        graph.node.iter().try_for_each(|proto| self.node(proto))
    }

    /// The outputs of a subgraph (a branch, the body of a loop) whose inputs are these values; it also sees all
    /// values of the graph around it.
    ///
    /// `None` when something in it is not supported: that is noted.
    pub(crate) fn subgraph(
        &mut self,
        graph: &GraphProto,
        inputs: &[ValueId],
    ) -> Result<Option<Vec<ValueId>>, ImportError> {
        let outer = self.names.clone();
        for (info, id) in graph.input.iter().zip(inputs) {
            self.names.insert(info.name.clone(), Some(*id));
            self.types.insert(info.name.clone(), declared_type(info));
        }
        self.initializers(graph)?;
        self.nodes(graph)?;
        let mut outputs = Some(Vec::new());
        for output in &graph.output {
            match (self.names.get(&output.name), &mut outputs) {
                (Some(Some(id)), Some(outputs)) => outputs.push(*id),
                (Some(None), _) => outputs = None,
                (None, _) => return Err(ImportError::MissingOutput(output.name.clone())),
                (_, None) => {}
            }
        }
        self.names = outer;
        Ok(outputs)
    }

    pub(crate) fn value(&mut self, name: &str, shape: Vec<usize>, integer: bool) -> ValueId {
        let id = ValueId(self.graph.values.len());
        self.graph.values.push(Value { name: name.into(), shape, integer, constant: None, range_of: None });
        id
    }

    /// A constant.
    pub(crate) fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let id = self.value(name, tensor.shape.clone(), tensor.integer);
        self.graph.values[id.0].constant = Some(Arc::new(tensor));
        id
    }

    fn define(&mut self, name: &str, id: ValueId) {
        self.names.insert(name.into(), Some(id));
    }

    fn node(&mut self, proto: &NodeProto) -> Result<(), ImportError> {
        let output = proto.output.first().cloned().unwrap_or_default();
        let name = if proto.name.is_empty() { output } else { proto.name.clone() };
        let domain = domain(&proto.domain);
        let opset = self.opsets.get(domain).copied().unwrap_or(1);
        let refuse = |this: &mut Self, reason: Option<String>| {
            let op = if domain.is_empty() { proto.op_type.clone() } else { format!("{domain}.{}", proto.op_type) };
            this.unsupported.push(UnsupportedNode { op, name: name.clone(), opset, reason });
            for output in &proto.output {
                this.names.insert(output.clone(), None);
            }
        };
        let Some(import) = ops::find(domain, &proto.op_type) else {
            refuse(self, None);
            return Ok(());
        };
        let fail = |problem| ImportError::Node { name: name.clone(), op: proto.op_type.clone(), opset, problem };
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
        let first = self.graph.values.len();
        let attributes = Attributes(proto);
        let types: Vec<Element> =
            proto.input.iter().map(|name| self.types.get(name).copied().unwrap_or_default()).collect();
        for (i, output) in proto.output.iter().enumerate() {
            self.types.insert(output.clone(), element::output(proto, i, &types));
        }
        let mut context = Context { importer: self, node: proto, attributes, inputs, types, opset, name: name.clone() };
        match import(&mut context) {
            Ok(outputs) => {
                for (output, id) in proto.output.iter().zip(outputs).filter(|(o, _)| !o.is_empty()) {
                    if id.0 >= first {
                        self.graph.values[id.0].name.clone_from(output);
                    }
                    self.define(output, id);
                }
                Ok(())
            }
            Err(NodeProblem::Variant(reason)) => {
                refuse(self, Some(reason.into()));
                Ok(())
            }
            Err(NodeProblem::Body(error)) => Err(*error),
            Err(problem) => Err(fail(problem)),
        }
    }

    /// Whether a value is finite for all finite inputs, whatever they are.
    pub(crate) fn always_finite(&self, id: ValueId) -> bool {
        let mut open = vec![false; self.graph.values.len()];
        open[id.0] = true;
        for node in self.graph.nodes.iter().rev().filter(|n| n.output.0 <= id.0) {
            if open[node.output.0] {
                if !ops::keeps_finite(&node.op) {
                    return false;
                }
                node.inputs.iter().for_each(|i| open[i.0] = true);
            }
        }
        let finite = |t: &Arc<Tensor>| t.data.iter().all(|v| v.abs() < 1e30);
        self.graph.values.iter().zip(open).all(|(v, open)| !open || v.constant.as_ref().is_none_or(finite))
    }

    /// Adds a node, or its value if it is constant; an operator that changes nothing is skipped.
    pub(crate) fn push(
        &mut self,
        name: &str,
        op_type: &str,
        op: FloatOp,
        inputs: &[ValueId],
    ) -> Result<ValueId, NodeProblem> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|i| self.graph.shape(*i)).collect();
        let constants: Option<Vec<Arc<Tensor>>> = inputs.iter().map(|i| self.graph.constant(*i).cloned()).collect();
        let shape = ops::output_shape(&op, &shapes)?;
        if let Some(constants) = constants {
            let constants: Vec<&Tensor> = constants.iter().map(AsRef::as_ref).collect();
            let tensor = ops::evaluate(&op, &constants, &shape);
            return Ok(self.constant(name, tensor));
        }
        if shape.contains(&0) {
            return Err(NodeProblem::Size(shape));
        }
        let unchanged = match &op {
            FloatOp::Reshape(_) | FloatOp::Expand(_) | FloatOp::Slice(_) | FloatOp::Pad(..) => {
                shape == shapes[0] && !matches!(&op, FloatOp::Slice(parts) if parts.iter().any(|p| p.1 < 0))
            }
            FloatOp::Transpose(perm) => perm.iter().copied().eq(0..perm.len()),
            _ => false,
        };
        if unchanged {
            return Ok(inputs[0]);
        }
        let kinds: Vec<bool> = inputs.iter().map(|i| self.graph.values[i.0].integer).collect();
        let id = self.value(name, shape, ops::is_integer(&op, &kinds));
        let (name, op_type, inputs) = (name.into(), op_type.into(), inputs.to_vec());
        self.graph.nodes.push(FloatNode { name, op_type, op, inputs, output: id });
        Ok(id)
    }
}

/// The element type that the file declares.
fn declared_type(info: &ValueInfoProto) -> Element {
    match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(TypeValue::TensorType(tensor)) => Element(tensor.elem_type),
        _ => Element::UNKNOWN,
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

/// What a graph input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputKind {
    Float,
    Integer,
}

/// The fixed shape of a graph input, and its kind.
fn input_type(info: &ValueInfoProto, dims: &BTreeMap<String, u32>) -> Result<(Vec<usize>, InputKind), InputProblem> {
    let Some(TypeValue::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(InputProblem::NoShape);
    };
    let kind = match DataType::try_from(tensor.elem_type) {
        Ok(DataType::Undefined | DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16) => {
            InputKind::Float
        }
        Ok(
            DataType::Bool
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Uint8
            | DataType::Uint16
            | DataType::Uint32
            | DataType::Uint64,
        ) => InputKind::Integer,
        _ => return Err(InputProblem::Type(tensor.elem_type)),
    };
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
    checked_volume(&shape).map(|_| (shape, kind)).ok_or(InputProblem::TooLarge)
}

/// Whether a symbol of the first axis is what exporters call the batch.
fn is_batch(symbol: &str) -> bool {
    let lower = symbol.to_lowercase();
    matches!(lower.as_str(), "" | "?" | "n" | "b" | "bs" | "none")
        || lower.contains("batch")
        || lower.starts_with("unk")
}
