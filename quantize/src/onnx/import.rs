//! From an ONNX protobuf to the float graph.

use super::{
    context::Context,
    element::{self, Element},
    error::{ImportError, NodeProblem, UnsupportedNode},
    graph::{FloatGraph, FloatNode, FloatOp, ValueId},
    inputs::{check_dims, input_type, InputKind},
    legacy,
    normalize::Normalize,
    ops::{self, elementwise::Binary},
    order,
    proto::{self, Attributes},
    scope::{Functions, Scope},
    tensor::Tensor,
};
use crate::progress::Stage;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tract_onnx::pb::{type_proto::Value as TypeValue, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

/// The float graph under construction.
#[derive(Default)]
pub(crate) struct Importer {
    pub(crate) graph: FloatGraph,
    pub(crate) unsupported: Vec<UnsupportedNode>,
    /// The names that nodes see.
    pub(crate) scope: Scope,
    /// The functions of the model.
    pub(crate) functions: Functions,
    /// Nodes imported so far, and iterations of loops.
    num_nodes: usize,
    /// Who hears of them.
    stage: Option<Stage>,
    /// Values that stand for strings, by their places in these lists.
    pub(crate) strings: BTreeMap<ValueId, Arc<Vec<String>>>,
    /// Nodes that quantise activations as the file runs, by name: one in a loop is one.
    pub(crate) dynamic: BTreeSet<String>,
}

/// No file may unroll to more nodes.
const MAX_NODES: usize = 1 << 18;

/// What an importer is told besides the file.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Sizes of symbolic dimensions, by their symbols or as `INPUT:AXIS`.
    pub dims: BTreeMap<String, u32>,
    /// Graph inputs that are no inputs but these constants.
    pub constants: BTreeMap<String, Tensor>,
    /// How inputs are normalised, by name: the graph's inputs are then the raw values.
    pub normalize: BTreeMap<String, Normalize>,
}

impl UnsupportedNode {
    fn new(node: &NodeProto, domain: &str, opset: i64) -> Self {
        let op = if domain.is_empty() { node.op_type.clone() } else { format!("{domain}.{}", node.op_type) };
        Self { op, name: node_name(node).to_owned(), opset, reason: None, not_constant: None }
    }
}

/// Builds the float graph of a model with its dimensions bound. The model's initialisers are taken out of it: large ones
/// stand in memory once.
pub(crate) fn import(model: &mut ModelProto, options: &ImportOptions) -> Result<FloatGraph, ImportError> {
    let functions = Functions::new(model);
    let graph = model.graph.as_mut().ok_or(ImportError::NotOnnx("it holds no graph"))?;
    if model.ir_version == 0 && model.opset_import.is_empty() {
        return Err(ImportError::NotOnnx("it names no format version and no operator set"));
    }
    if graph.node.is_empty() && graph.output.is_empty() {
        return Err(ImportError::NotOnnx("its graph is empty"));
    }
    let mut importer = Importer { scope: Scope::new(&model.opset_import), functions, ..Importer::default() };
    importer.model(graph, options)?;
    let mut graph = importer.graph;
    drop_unused(&mut graph);
    Ok(graph)
}

/// The name of a node: its own, or that of its first output.
pub(crate) fn node_name(node: &NodeProto) -> &str {
    if node.name.is_empty() {
        node.output.iter().find(|o| !o.is_empty()).map_or("", String::as_str)
    } else {
        &node.name
    }
}

/// Nodes of a model whose operators are not known.
pub(crate) fn unknown(model: &ModelProto) -> Vec<UnsupportedNode> {
    let opset = |of: &str| model.opset_import.iter().find(|o| domain(&o.domain) == of).map_or(1, |o| o.version);
    let functions = Functions::new(model);
    let nodes = model.graph.iter().flat_map(|g| &g.node);
    let is_known = |n: &NodeProto| {
        let domain = domain(&n.domain);
        ops::find(domain, &n.op_type).is_some() || functions.find(domain, &n.op_type).is_some()
    };
    let unknown = nodes.filter(|n| !is_known(n));
    unknown.map(|n| UnsupportedNode::new(n, domain(&n.domain), opset(domain(&n.domain)))).collect()
}

/// A domain by its short name.
pub(crate) fn domain(name: &str) -> &str {
    if name == "ai.onnx" {
        ""
    } else {
        name
    }
}

impl Importer {
    fn model(&mut self, graph: &mut GraphProto, options: &ImportOptions) -> Result<(), ImportError> {
        check_dims(graph, options)?;
        self.initializers(graph)?;
        for info in &graph.input {
            if self.scope.names.contains_key(&info.name) {
                continue; // an initialiser that old files also list as an input
            }
            self.scope.set_type(&info.name, declared_type(info));
            if let Some(tensor) = options.constants.get(&info.name) {
                let id = self.constant(&info.name, tensor.clone());
                self.scope.set(&info.name, Some(id));
                continue;
            }
            let fail = |problem| ImportError::Input { name: info.name.clone(), problem };
            let (shape, kind) = input_type(info, &options.dims).map_err(fail)?;
            if shape.contains(&0) {
                // Nothing can be given, and nothing read: an empty past.
                let empty = Tensor { integer: kind != InputKind::Float, ..Tensor::zeros(&shape) };
                let id = self.constant(&info.name, empty);
                self.scope.set(&info.name, Some(id));
                self.graph
                    .notes
                    .push(format!("input '{}' of shape {shape:?} has no elements: it is left out", info.name));
                continue;
            }
            let id = self.value(&info.name, shape, kind != InputKind::Float);
            self.graph.inputs.push(id);
            let id = match options.normalize.get(&info.name) {
                Some(normalize) => self.normalize(id, normalize)?,
                None => id,
            };
            self.scope.set(&info.name, Some(id));
        }
        self.check_normalized(options).map_err(ImportError::Normalize)?;
        self.stage = Some(Stage::new("importing", graph.node.len()));
        self.nodes(&graph.node)?;
        self.check_dynamic_outputs(graph);
        if !self.unsupported.is_empty() {
            return Err(ImportError::Unsupported(std::mem::take(&mut self.unsupported)));
        }
        self.graph.notes.extend(ops::dynamic::note(self.dynamic.len()));
        for output in &graph.output {
            match self.scope.names.get(&output.name) {
                Some(Some(id)) => {
                    if let Some(names) = self.strings.get(id) {
                        self.graph.notes.push(note_of_strings(&output.name, names));
                    }
                    if self.graph.shape(*id).contains(&0) {
                        return Err(ImportError::EmptyOutput {
                            name: output.name.clone(),
                            shape: self.graph.shape(*id).to_vec(),
                        });
                    }
                    self.graph.outputs.push((output.name.clone(), *id));
                }
                _ => return Err(ImportError::MissingOutput(output.name.clone())),
            }
        }
        Ok(())
    }

    /// Lists outputs that are integers, or scales, which the file finds as it runs.
    fn check_dynamic_outputs(&mut self, graph: &GraphProto) {
        for output in &graph.output {
            let found = self.scope.types.get(&output.name);
            if found.is_some_and(|e| [Element::DYNAMIC, Element::DYNAMIC_SCALE].contains(e)) {
                self.unsupported.push(UnsupportedNode {
                    op: "DynamicQuantizeLinear".into(),
                    name: output.name.clone(),
                    opset: self.scope.opset(""),
                    reason: Some("integers or a scale that the file finds as it runs, as an output".into()),
                    not_constant: None,
                });
            }
        }
    }

    fn initializers(&mut self, graph: &mut GraphProto) -> Result<(), ImportError> {
        for proto in std::mem::take(&mut graph.initializer) {
            let (id, element) = self.initializer(&proto)?;
            self.scope.set(&proto.name, Some(id));
            self.scope.set_type(&proto.name, element);
        }
        Ok(())
    }

    /// A constant of the file.
    pub(crate) fn initializer(&mut self, proto: &TensorProto) -> Result<(ValueId, Element), ImportError> {
        let fail = |problem| ImportError::Initializer { name: proto.name.clone(), problem };
        if Element(proto.data_type) == Element::STRING {
            let (places, names) = proto::strings(proto).map_err(fail)?;
            let id = self.constant(&proto.name, places);
            self.strings.insert(id, Arc::new(names));
            return Ok((id, Element::STRING));
        }
        let tensor = proto::tensor(proto).map_err(fail)?;
        if let Some(at) = tensor.data.iter().position(|v| v.is_nan()) {
            return Err(fail(super::error::TensorProblem::NotFinite(at)));
        }
        Ok((self.constant(&proto.name, tensor), Element(proto.data_type)))
    }

    /// Counts a node, or an iteration of a loop.
    pub(crate) fn count(&mut self) -> Result<(), NodeProblem> {
        self.num_nodes += 1;
        self.stage.iter().for_each(Stage::step);
        if self.num_nodes > MAX_NODES {
            return Err(NodeProblem::Unrolled);
        }
        Ok(())
    }

    /// Imports nodes, in an order in which each comes after those that it reads.
    pub(crate) fn nodes(&mut self, nodes: &[NodeProto]) -> Result<(), ImportError> {
        match order::sorted(nodes) {
            None => nodes.iter().try_for_each(|proto| self.node(proto)),
            Some(order) => order.into_iter().try_for_each(|i| self.node(&nodes[i])),
        }
    }

    pub(crate) fn value(&mut self, name: &str, shape: Vec<usize>, integer: bool) -> ValueId {
        self.graph.add_value(name, shape, integer)
    }

    /// A constant.
    pub(crate) fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let id = self.value(name, tensor.shape.clone(), tensor.integer);
        self.graph.values[id.0].constant = Some(Arc::new(tensor));
        id
    }

    fn node(&mut self, proto: &NodeProto) -> Result<(), ImportError> {
        let resolved = self.scope.resolve(proto);
        let proto = resolved.as_ref();
        let name = node_name(proto).to_owned();
        let domain = domain(&proto.domain);
        let opset = self.scope.opset(domain);
        let refuse = |this: &mut Self, reason: Option<String>, not_constant: Option<usize>| {
            let node = UnsupportedNode::new(proto, domain, opset);
            this.unsupported.push(UnsupportedNode { reason, not_constant, ..node });
            this.scope.unknown(proto);
        };
        let fail = |problem| ImportError::Node { name: name.clone(), op: proto.op_type.clone(), opset, problem };
        self.count().map_err(fail)?;
        let import = match (ops::find(domain, &proto.op_type), self.functions.find(domain, &proto.op_type)) {
            (Some(import), None) => import,
            (None, Some(_)) => super::scope::import_call,
            (None, None) => {
                refuse(self, None, None);
                return Ok(());
            }
            (Some(_), Some(_)) => {
                refuse(self, Some("a function of the model has the name of an operator".into()), None);
                return Ok(());
            }
        };
        let mut inputs = Vec::with_capacity(proto.input.len());
        for input in &proto.input {
            match self.scope.names.get(input) {
                _ if input.is_empty() || self.scope.absent.contains(input) => inputs.push(None),
                Some(Some(id)) => inputs.push(Some(*id)),
                // Reads what an unsupported node would compute: nothing more can be said of it.
                Some(None) => {
                    self.scope.unknown(proto);
                    return Ok(());
                }
                None => return Err(fail(NodeProblem::Undefined(input.clone()))),
            }
        }
        let first = self.graph.values.len();
        let attributes = Attributes(proto);
        let types: Vec<Element> =
            proto.input.iter().map(|name| self.scope.types.get(name).copied().unwrap_or_default()).collect();
        for (i, output) in proto.output.iter().enumerate() {
            self.scope.set_type(output, element::output(proto, i, &types));
        }
        let texts = inputs.iter().flatten().find_map(|id| self.strings.get(id)).cloned();
        if texts.is_some() && !ops::ml::TAKES_STRINGS.contains(&proto.op_type.as_str()) {
            refuse(self, Some("strings".into()), None);
            return Ok(());
        }
        let is_own = self.functions.find(domain, &proto.op_type).is_some();
        if let Some(reason) = ops::dynamic::misuse(proto, &types).filter(|_| !is_own) {
            refuse(self, Some(reason.into()), None);
            return Ok(());
        }
        let empty = inputs.first().copied().flatten().is_some_and(|id| self.graph.shape(id).contains(&0));
        if empty && !is_own && !ops::takes_empty(&proto.op_type) {
            refuse(self, Some("a tensor without elements".into()), None);
            return Ok(());
        }
        let texts = texts.filter(|_| ops::ml::MOVES_STRINGS.contains(&proto.op_type.as_str()));
        let mut context = Context { importer: self, node: proto, attributes, inputs, types, opset, name: name.clone() };
        match legacy::broadcast(&mut context).and_then(|()| import(&mut context)) {
            Ok(outputs) => {
                if let Some(texts) = texts {
                    self.strings.extend(outputs.first().map(|id| (*id, texts)));
                }
                for (output, id) in proto.output.iter().zip(outputs).filter(|(o, _)| !o.is_empty()) {
                    if id.0 >= first {
                        self.graph.values[id.0].name.clone_from(output);
                    }
                    self.scope.set(output, Some(id));
                }
                Ok(())
            }
            Err(NodeProblem::Noted) => {
                self.scope.unknown(proto);
                Ok(())
            }
            Err(NodeProblem::Variant(reason)) => {
                refuse(self, Some(reason.into()), None);
                Ok(())
            }
            Err(problem @ NodeProblem::NotConstant(input)) => {
                refuse(self, Some(problem.to_string()), Some(input));
                Ok(())
            }
            Err(problem @ NodeProblem::Attribute(_)) => {
                refuse(self, Some(problem.to_string()), None);
                Ok(())
            }
            Err(NodeProblem::Body(error)) => Err(*error),
            Err(problem) => Err(fail(problem)),
        }
    }

    /// Whether a value is finite for all finite inputs, whatever they are.
    ///
    /// What a softmax gives is finite, except where everything is masked with infinities: that such a mask is there is
    /// noted.
    pub(crate) fn always_finite(&mut self, id: ValueId) -> bool {
        let mut open = vec![false; self.graph.values.len()];
        // Before a softmax only.
        let mut behind = open.clone();
        open[id.0] = true;
        for node in self.graph.nodes.iter().rev().filter(|n| n.output.0 <= id.0) {
            let stops = matches!(node.op, FloatOp::Softmax(_));
            if open[node.output.0] && !stops && !self.keeps_finite(node) {
                return false;
            }
            let (reads, behind_reads) = (open[node.output.0], behind[node.output.0]);
            for i in &node.inputs {
                open[i.0] |= reads && !stops;
                behind[i.0] |= (reads && stops) || behind_reads;
            }
        }
        let all = |of: &[bool], test: fn(&f64) -> bool| {
            let values = self.graph.values.iter().zip(of);
            values.filter(|(_, of)| **of).all(|(v, _)| v.constant.as_ref().is_none_or(|t| t.data.iter().all(test)))
        };
        let finite = all(&open, |v| v.abs() < 1e30);
        if finite && !all(&behind, |v| v.is_finite()) {
            let note =
                "the file tests what a softmax gives: lines of it that are masked altogether are taken not to occur";
            if !self.graph.notes.iter().any(|n| n == note) {
                self.graph.notes.push(note.into());
            }
        }
        finite
    }

    /// Whether finite inputs surely give finite results.
    fn keeps_finite(&self, node: &FloatNode) -> bool {
        let nonzero = |id: &ValueId| self.graph.constant(*id).is_some_and(|t| t.data.iter().all(|v| *v != 0.0));
        let by_constant = node.op == FloatOp::Binary(Binary::Div) && node.inputs.get(1).is_some_and(nonzero);
        by_constant || ops::keeps_finite(&node.op)
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
        if let Some(empty) = ops::of_empty(&op, &shapes, &shape)? {
            let kinds: Vec<bool> = inputs.iter().map(|i| self.graph.values[i.0].integer).collect();
            let id = self.constant(name, Tensor { integer: ops::is_integer(&op, &kinds), ..empty });
            self.graph.values[id.0].public = true;
            return Ok(id);
        }
        if let Some(constants) = constants {
            let constants: Vec<&Tensor> = constants.iter().map(AsRef::as_ref).collect();
            self.scope.spend(&shape)?;
            let tensor = ops::evaluate(&op, &constants, &shape);
            let public = inputs.iter().zip(&constants).all(|(i, t)| self.graph.values[i.0].public || t.data.len() == 1);
            let id = self.constant(name, tensor);
            self.graph.values[id.0].public = public;
            return Ok(id);
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

/// What the places of strings mean, in an output.
fn note_of_strings(output: &str, names: &[String]) -> String {
    const MOST: usize = 100;
    let list: Vec<String> = names.iter().take(MOST).enumerate().map(|(i, name)| format!("{i} is '{name}'")).collect();
    let more = if names.len() > MOST { ", and so on" } else { "" };
    format!("'{output}' holds integers in place of strings: {}{more}", list.join(", "))
}

/// The element type that the file declares.
pub(crate) fn declared_type(info: &ValueInfoProto) -> Element {
    match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(TypeValue::TensorType(tensor)) => Element(tensor.elem_type.max(0)),
        _ => Element::UNKNOWN,
    }
}

/// Removes nodes that no output depends on, and constants that none reads: those that went into others.
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
    // Weights of which only a transpose is read, and such.
    for (value, _) in graph.values.iter_mut().zip(&needed).filter(|(_, needed)| !**needed) {
        value.constant = None;
    }
}
