//! From one ONNX node to one operator of the float graph.

use super::{
    error::NodeProblem,
    graph::{FloatGraph, FloatOp, ValueId},
    ops::{
        conv::Conv,
        elementwise::{Binary, Unary},
        pool::Pool,
        reduce::Reduction,
    },
    proto::{self, Attributes, MAX_ELEMENTS},
    tensor::{broadcast_shapes, Tensor},
};
use tract_onnx::pb::{tensor_proto::DataType, NodeProto};

/// What a node turns into.
pub(crate) enum Imported {
    /// An operator on these values.
    Op(FloatOp, Vec<ValueId>),
    /// A constant.
    Constant(Tensor),
    /// Another name of a value.
    Alias(ValueId),
    /// Several operators, each reading the one before; the first reads the value.
    Chain(ValueId, Vec<FloatOp>),
    /// Several values combined by one operator.
    Fold(Binary, Vec<ValueId>),
    /// Nothing that this program supports.
    Unsupported,
}

/// Operators that [`import`] knows, for nodes whose inputs are not known.
const SUPPORTED: &[&str] = &[
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Div",
    "Dropout",
    "Exp",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];

/// Whether the operator can be imported at all.
pub(crate) fn is_known(node: &NodeProto) -> bool {
    (node.domain.is_empty() || node.domain == "ai.onnx") && SUPPORTED.contains(&node.op_type.as_str())
}

/// A node with its inputs found.
struct Context<'a> {
    graph: &'a FloatGraph,
    attributes: Attributes<'a>,
    inputs: &'a [Option<ValueId>],
    opset: i64,
}

impl<'a> Context<'a> {
    fn input(&self, i: usize) -> Result<ValueId, NodeProblem> {
        self.inputs.get(i).copied().flatten().ok_or(NodeProblem::MissingInput(i))
    }
    fn has(&self, i: usize) -> bool {
        self.inputs.get(i).copied().flatten().is_some()
    }
    fn shape(&self, i: usize) -> Result<&'a [usize], NodeProblem> {
        Ok(self.graph.shape(self.input(i)?))
    }
    fn constant(&self, i: usize) -> Result<&'a Tensor, NodeProblem> {
        self.graph.constant(self.input(i)?).map(AsRef::as_ref).ok_or(NodeProblem::NotConstant(i))
    }
    fn constant_ints(&self, i: usize) -> Result<Option<Vec<i64>>, NodeProblem> {
        if self.has(i) {
            Ok(Some(self.constant(i)?.to_ints()))
        } else {
            Ok(None)
        }
    }
    /// A list of integers that older operator sets keep in an attribute and newer ones in an input.
    fn ints(&self, name: &str, input: usize) -> Result<Option<Vec<i64>>, NodeProblem> {
        match self.attributes.ints(name) {
            Some(ints) => Ok(Some(ints.to_vec())),
            None => self.constant_ints(input),
        }
    }
    fn all(&self) -> Result<Vec<ValueId>, NodeProblem> {
        (0..self.inputs.len()).map(|i| self.input(i)).collect()
    }
    /// All inputs that are there, in order.
    fn present(&self) -> Vec<ValueId> {
        self.inputs.iter().copied().flatten().collect()
    }
    fn op(&self, op: FloatOp, count: usize) -> Result<Imported, NodeProblem> {
        Ok(Imported::Op(op, (0..count).map(|i| self.input(i)).collect::<Result<_, _>>()?))
    }
}

/// An axis, negative from the end.
fn axis(axis: i64, rank: usize, name: &'static str) -> Result<usize, NodeProblem> {
    let signed = i64::try_from(rank).map_err(|_| NodeProblem::Attribute(name))?;
    let axis = if axis < 0 { axis.checked_add(signed).unwrap_or(-1) } else { axis };
    usize::try_from(axis).ok().filter(|a| *a < rank).ok_or(NodeProblem::Attribute(name))
}

fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, NodeProblem> {
    let mut axes = list.iter().map(|a| axis(*a, rank, "axes")).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// Imports a node. Its inputs are known; `None` is an optional input left out.
pub(crate) fn import(
    graph: &FloatGraph,
    node: &NodeProto,
    inputs: &[Option<ValueId>],
    opset: i64,
) -> Result<Imported, NodeProblem> {
    let attributes = Attributes(node);
    let c = Context { graph, attributes, inputs, opset };
    let unary = |unary: Unary| c.op(FloatOp::Unary(unary), 1);
    match node.op_type.as_str() {
        "Add" => c.op(FloatOp::Binary(Binary::Add), 2),
        "Sub" => c.op(FloatOp::Binary(Binary::Sub), 2),
        "Mul" => c.op(FloatOp::Binary(Binary::Mul), 2),
        "Div" => c.op(FloatOp::Binary(Binary::Div), 2),
        "Sum" => Ok(Imported::Fold(Binary::Add, c.all()?)),
        "Max" => Ok(Imported::Fold(Binary::Max, c.all()?)),
        "Min" => Ok(Imported::Fold(Binary::Min, c.all()?)),
        "Relu" => unary(Unary::Relu),
        "LeakyRelu" => unary(Unary::LeakyRelu { alpha: attributes.float("alpha", 0.01) }),
        "PRelu" => c.op(FloatOp::PRelu, 2),
        "Sigmoid" => unary(Unary::Sigmoid),
        "Tanh" => unary(Unary::Tanh),
        "Exp" => unary(Unary::Exp),
        "Neg" => unary(Unary::Neg),
        "Abs" => unary(Unary::Abs),
        "HardSigmoid" => {
            unary(Unary::HardSigmoid { alpha: attributes.float("alpha", 0.2), beta: attributes.float("beta", 0.5) })
        }
        "HardSwish" => unary(Unary::HardSwish),
        "Clip" => clip(&c),
        "Identity" | "Dropout" => identity(&c, node),
        "Constant" => constant(attributes),
        "Conv" => {
            let conv = Conv::import(attributes, c.shape(0)?, c.shape(1)?)?;
            let count = if c.has(2) { 3 } else { 2 };
            (1..count).try_for_each(|i| c.constant(i).map(|_| ()))?;
            c.op(FloatOp::Conv(conv), count)
        }
        "Gemm" => {
            let op = FloatOp::Gemm {
                alpha: attributes.float("alpha", 1.0),
                beta: attributes.float("beta", 1.0),
                trans_a: attributes.flag("transA"),
                trans_b: attributes.flag("transB"),
            };
            c.op(op, if c.has(2) { 3 } else { 2 })
        }
        "MatMul" => c.op(FloatOp::MatMul, 2),
        "BatchNormalization" => {
            if attributes.flag("training_mode") {
                return Err(NodeProblem::Variant("batch normalisation in training mode"));
            }
            (1..5).try_for_each(|i| c.constant(i).map(|_| ()))?;
            c.op(FloatOp::BatchNorm { epsilon: attributes.float("epsilon", 1e-5) }, 5)
        }
        "MaxPool" => {
            if node.output.get(1).is_some_and(|o| !o.is_empty()) {
                return Err(NodeProblem::Variant("the second output, indices"));
            }
            c.op(FloatOp::MaxPool(Pool::import(attributes, c.shape(0)?)?), 1)
        }
        "AveragePool" => {
            let pool = Pool::import(attributes, c.shape(0)?)?;
            c.op(FloatOp::AveragePool { pool, count_include_pad: attributes.flag("count_include_pad") }, 1)
        }
        "GlobalAveragePool" => c.op(FloatOp::Reduce(Reduction::Mean, (2..c.shape(0)?.len()).collect()), 1),
        "GlobalMaxPool" => c.op(FloatOp::Reduce(Reduction::Max, (2..c.shape(0)?.len()).collect()), 1),
        "ReduceMean" => reduce(&c, Reduction::Mean),
        "ReduceSum" => reduce(&c, Reduction::Sum),
        "ReduceMax" => reduce(&c, Reduction::Max),
        "Softmax" => softmax(&c),
        _ => import_movement(&c, node),
    }
}

fn identity(c: &Context<'_>, node: &NodeProto) -> Result<Imported, NodeProblem> {
    let has_mask = node.output.get(1).is_some_and(|o| !o.is_empty());
    if has_mask || (c.has(2) && c.constant(2)?.scalar() == Some(1.0)) {
        return Err(NodeProblem::Variant("dropout in training mode or with its mask"));
    }
    Ok(Imported::Alias(c.input(0)?))
}

fn clip(c: &Context<'_>) -> Result<Imported, NodeProblem> {
    let bound = |name: &'static str, input: usize, default: f64| match c.attributes.get(name) {
        Some(a) => Ok(f64::from(a.f)),
        None if c.has(input) => c.constant(input)?.scalar().ok_or(NodeProblem::Attribute(name)),
        None => Ok(default),
    };
    let (lo, hi) = (bound("min", 1, f64::NEG_INFINITY)?, bound("max", 2, f64::INFINITY)?);
    // The types' extremes stand for no bound.
    let lo = if lo <= f64::from(f32::MIN) { f64::NEG_INFINITY } else { lo };
    let hi = if hi >= f64::from(f32::MAX) { f64::INFINITY } else { hi };
    if lo.is_nan() || hi.is_nan() || lo > hi {
        return Err(NodeProblem::Variant("a clip whose minimum is above its maximum"));
    }
    c.op(FloatOp::Unary(Unary::Clip { lo, hi }), 1)
}

fn constant(attributes: Attributes<'_>) -> Result<Imported, NodeProblem> {
    let read = |name: &str, t| proto::tensor(t).map_err(|problem| NodeProblem::Constant { name: name.into(), problem });
    #[allow(clippy::cast_precision_loss)] // shapes, axes and indices
    let ints =
        |shape: Vec<usize>, v: &[i64]| Tensor { shape, data: v.iter().map(|i| *i as f64).collect(), integer: true };
    for a in &attributes.0.attribute {
        let tensor = match a.name.as_str() {
            "value" => match &a.t {
                Some(t) => read("value", t)?,
                None => continue,
            },
            "value_float" => Tensor::new(vec![], vec![f64::from(a.f)]),
            "value_floats" => Tensor::new(vec![a.floats.len()], a.floats.iter().map(|v| f64::from(*v)).collect()),
            "value_int" => ints(vec![], &[a.i]),
            "value_ints" => ints(vec![a.ints.len()], &a.ints),
            _ => continue,
        };
        return Ok(Imported::Constant(tensor));
    }
    Err(NodeProblem::Attribute("value"))
}

fn reduce(c: &Context<'_>, reduction: Reduction) -> Result<Imported, NodeProblem> {
    let shape = c.shape(0)?;
    let list = c.ints("axes", 1)?.unwrap_or_default();
    if list.is_empty() && c.attributes.flag("noop_with_empty_axes") {
        return Ok(Imported::Alias(c.input(0)?));
    }
    let axes = if list.is_empty() { (0..shape.len()).collect() } else { axes(&list, shape.len())? };
    let keep = c.attributes.int("keepdims").unwrap_or(1) != 0;
    let mut chain = vec![FloatOp::Reduce(reduction, axes.clone())];
    if !keep {
        chain.push(FloatOp::Reshape((0..shape.len()).filter(|d| !axes.contains(d)).map(|d| shape[d]).collect()));
    }
    Ok(Imported::Chain(c.input(0)?, chain))
}

fn softmax(c: &Context<'_>) -> Result<Imported, NodeProblem> {
    let shape = c.shape(0)?;
    let default = if c.opset >= 13 { -1 } else { 1 };
    let given = c.attributes.int("axis").unwrap_or(default);
    if c.opset >= 13 {
        return c.op(FloatOp::Softmax(axis(given, shape.len(), "axis")?), 1);
    }
    // Before operator set 13 the input counts as a matrix.
    let axis =
        if given == i64::try_from(shape.len()).unwrap_or(-1) { shape.len() } else { axis(given, shape.len(), "axis")? };
    let matrix = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
    let chain = vec![FloatOp::Reshape(matrix), FloatOp::Softmax(1), FloatOp::Reshape(shape.to_vec())];
    Ok(Imported::Chain(c.input(0)?, chain))
}

/// Operators that move elements, and those that only constants have.
fn import_movement(c: &Context<'_>, node: &NodeProto) -> Result<Imported, NodeProblem> {
    let attributes = c.attributes;
    let reshape = |shape: Vec<usize>| c.op(FloatOp::Reshape(shape), 1);
    match node.op_type.as_str() {
        "Flatten" => {
            let shape = c.shape(0)?;
            let given = attributes.int("axis").unwrap_or(1);
            let axis = if given == i64::try_from(shape.len()).unwrap_or(-1) {
                shape.len()
            } else {
                axis(given, shape.len(), "axis")?
            };
            reshape(vec![shape[..axis].iter().product(), shape[axis..].iter().product()])
        }
        "Reshape" => {
            let target = c.ints("shape", 1)?.ok_or(NodeProblem::MissingInput(1))?;
            reshape(resolve_reshape(c.shape(0)?, &target, attributes.flag("allowzero"))?)
        }
        "Squeeze" => {
            let shape = c.shape(0)?;
            let drop = match c.ints("axes", 1)? {
                Some(list) => axes(&list, shape.len())?,
                None => (0..shape.len()).filter(|d| shape[*d] == 1).collect(),
            };
            if drop.iter().any(|d| shape[*d] != 1) {
                return Err(NodeProblem::Attribute("axes"));
            }
            reshape((0..shape.len()).filter(|d| !drop.contains(d)).map(|d| shape[d]).collect())
        }
        "Unsqueeze" => {
            let shape = c.shape(0)?;
            let list = c.ints("axes", 1)?.ok_or(NodeProblem::Attribute("axes"))?;
            let added = axes(&list, shape.len() + list.len())?;
            if added.len() != list.len() {
                return Err(NodeProblem::Attribute("axes"));
            }
            let mut rest = shape.iter();
            reshape(
                (0..shape.len() + added.len())
                    .filter_map(|d| if added.contains(&d) { Some(1) } else { rest.next().copied() })
                    .collect(),
            )
        }
        "Transpose" => {
            let rank = c.shape(0)?.len();
            let perm = match attributes.ints("perm") {
                Some(perm) => perm.iter().map(|p| axis(*p, rank, "perm")).collect::<Result<_, _>>()?,
                None => (0..rank).rev().collect(),
            };
            c.op(FloatOp::Transpose(perm), 1)
        }
        "Concat" => {
            let axis = axis(attributes.int("axis").unwrap_or(1), c.shape(0)?.len(), "axis")?;
            // Empty constants take no part.
            let parts: Vec<ValueId> =
                c.present().into_iter().filter(|v| c.graph.shape(*v).iter().product::<usize>() > 0).collect();
            Ok(Imported::Op(FloatOp::Concat(axis), parts))
        }
        "Slice" => slice(c),
        "Pad" => pad(c),
        "Expand" => {
            let x = c.shape(0)?;
            let target = c.constant(1)?.to_ints();
            let target = target.iter().map(|v| usize::try_from(*v)).collect::<Result<Vec<_>, _>>();
            let target = target.map_err(|_| NodeProblem::Attribute("shape"))?;
            let shape = broadcast_shapes(x, &target).ok_or(NodeProblem::Attribute("shape"))?;
            c.op(FloatOp::Expand(shape), 1)
        }
        "Gather" => gather(c),
        "Shape" => {
            let shape = c.shape(0)?;
            let end = |name, default| {
                let rank = i64::try_from(shape.len()).unwrap_or(0);
                let v = attributes.int(name).unwrap_or(default);
                usize::try_from(if v < 0 { v.saturating_add(rank) } else { v }.clamp(0, rank)).unwrap_or(0)
            };
            let (start, end) = (end("start", 0), end("end", i64::MAX));
            Ok(Imported::Constant(Tensor::from_dims(shape.get(start..end).unwrap_or(&[]))))
        }
        "Cast" => cast(c),
        "ConstantOfShape" => {
            let shape = c.constant(0)?.to_ints();
            let shape = shape.iter().map(|v| usize::try_from(*v)).collect::<Result<Vec<_>, _>>();
            let shape = shape.map_err(|_| NodeProblem::NotConstant(0))?;
            if shape.iter().fold(1_usize, |v, s| v.saturating_mul(*s)) > MAX_ELEMENTS {
                return Err(NodeProblem::Size(shape));
            }
            let value = match attributes.get("value").and_then(|a| a.t.as_ref()) {
                Some(t) => {
                    proto::tensor(t).map_err(|problem| NodeProblem::Constant { name: "value".into(), problem })?
                }
                None => Tensor::new(vec![1], vec![0.0]),
            };
            let fill = value.scalar().ok_or(NodeProblem::Attribute("value"))?;
            let data = vec![fill; shape.iter().product()];
            Ok(Imported::Constant(Tensor { shape, data, integer: value.integer }))
        }
        _ => Ok(Imported::Unsupported),
    }
}

fn cast(c: &Context<'_>) -> Result<Imported, NodeProblem> {
    let to = c.attributes.int("to").and_then(|t| i32::try_from(t).ok()).and_then(|t| DataType::try_from(t).ok());
    let float = matches!(to, Some(DataType::Float | DataType::Double | DataType::Float16));
    let value = c.input(0)?;
    match c.graph.constant(value) {
        Some(x) if float => Ok(Imported::Constant(Tensor { integer: false, ..(**x).clone() })),
        Some(x) if to == Some(DataType::Bool) => {
            let data = x.data.iter().map(|v| if *v == 0.0 { 0.0 } else { 1.0 }).collect();
            Ok(Imported::Constant(Tensor { shape: x.shape.clone(), data, integer: true }))
        }
        Some(x) if to.is_some() => {
            let data = x.data.iter().map(|v| libm::trunc(*v)).collect();
            Ok(Imported::Constant(Tensor { shape: x.shape.clone(), data, integer: true }))
        }
        None if float => Ok(Imported::Alias(value)),
        _ => Ok(Imported::Unsupported),
    }
}

fn resolve_reshape(shape: &[usize], target: &[i64], allow_zero: bool) -> Result<Vec<usize>, NodeProblem> {
    let bad = || NodeProblem::Attribute("shape");
    let total: usize = shape.iter().product();
    let mut known = 1_usize;
    let mut sizes = Vec::with_capacity(target.len());
    for (d, size) in target.iter().enumerate() {
        let size = match size {
            0 if !allow_zero => Some(*shape.get(d).ok_or_else(bad)?),
            -1 => None,
            size => Some(usize::try_from(*size).map_err(|_| bad())?),
        };
        known = known.checked_mul(size.unwrap_or(1)).ok_or_else(bad)?;
        sizes.push(size);
    }
    if sizes.iter().filter(|s| s.is_none()).count() > 1 || known == 0 {
        return Err(bad());
    }
    Ok(sizes.into_iter().map(|s| s.unwrap_or(total / known)).collect())
}

fn slice(c: &Context<'_>) -> Result<Imported, NodeProblem> {
    let shape = c.shape(0)?;
    let starts = c.ints("starts", 1)?.ok_or(NodeProblem::Attribute("starts"))?;
    let ends = c.ints("ends", 2)?.ok_or(NodeProblem::Attribute("ends"))?;
    let list = match c.ints("axes", 3)? {
        Some(list) => list,
        None => (0..starts.len()).filter_map(|a| i64::try_from(a).ok()).collect(),
    };
    let steps = c.constant_ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if starts.len() != ends.len() || starts.len() != list.len() || starts.len() != steps.len() {
        return Err(NodeProblem::Attribute("starts"));
    }
    let mut parts: Vec<(usize, i64, usize)> = shape.iter().map(|s| (0, 1, *s)).collect();
    for (((start, end), a), step) in starts.iter().zip(&ends).zip(&list).zip(&steps) {
        let a = axis(*a, shape.len(), "axes")?;
        let size = i64::try_from(shape[a]).map_err(|_| NodeProblem::Attribute("axes"))?;
        let absolute = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
        let (start, end, step) = (absolute(*start), absolute(*end), *step);
        let (start, count) = match step {
            1.. => {
                let (start, end) = (start.clamp(0, size), end.clamp(0, size));
                (start, (end - start).max(0).div_euclid(step) + i64::from((end - start).max(0) % step != 0))
            }
            i64::MIN..=-1 => {
                let (start, end) = (start.clamp(0, size - 1), end.clamp(-1, size - 1));
                let step = step.saturating_neg();
                (start, (start - end).max(0).div_euclid(step) + i64::from((start - end).max(0) % step != 0))
            }
            0 => return Err(NodeProblem::Attribute("steps")),
        };
        let convert = |v: i64| usize::try_from(v).map_err(|_| NodeProblem::Attribute("starts"));
        parts[a] = (convert(start)?, step, convert(count)?);
    }
    c.op(FloatOp::Slice(parts), 1)
}

fn pad(c: &Context<'_>) -> Result<Imported, NodeProblem> {
    let shape = c.shape(0)?;
    if !matches!(c.attributes.string("mode"), None | Some("" | "constant")) {
        return Err(NodeProblem::Variant("padding by reflection or repetition"));
    }
    let given = c.ints("pads", 1)?.ok_or(NodeProblem::Attribute("pads"))?;
    let value = match c.attributes.get("value") {
        Some(a) => f64::from(a.f),
        None if c.has(2) => c.constant(2)?.scalar().ok_or(NodeProblem::Attribute("value"))?,
        None => 0.0,
    };
    let on: Vec<usize> = match c.constant_ints(3)? {
        Some(list) => list.iter().map(|a| axis(*a, shape.len(), "axes")).collect::<Result<_, _>>()?,
        None => (0..shape.len()).collect(),
    };
    if given.len() != 2 * on.len() {
        return Err(NodeProblem::Attribute("pads"));
    }
    let mut pads = vec![(0, 0); shape.len()];
    let mut cuts: Vec<(usize, i64, usize)> = shape.iter().map(|s| (0, 1, *s)).collect();
    for (i, a) in on.iter().enumerate() {
        // A negative padding cuts.
        let split = |v: i64| {
            let size = usize::try_from(v.unsigned_abs()).ok().filter(|v| *v < MAX_ELEMENTS);
            size.map(|s| if v < 0 { (0, s) } else { (s, 0) }).ok_or(NodeProblem::Attribute("pads"))
        };
        let ((begin, cut_begin), (end, cut_end)) = (split(given[i])?, split(given[on.len() + i])?);
        pads[*a] = (begin, end);
        let rest = shape[*a].checked_sub(cut_begin + cut_end).filter(|r| *r > 0);
        cuts[*a] = (cut_begin, 1, rest.ok_or(NodeProblem::Attribute("pads"))?);
    }
    Ok(Imported::Chain(c.input(0)?, vec![FloatOp::Slice(cuts), FloatOp::Pad(pads, value)]))
}

fn gather(c: &Context<'_>) -> Result<Imported, NodeProblem> {
    let shape = c.shape(0)?;
    let axis_index = axis(c.attributes.int("axis").unwrap_or(0), shape.len(), "axis")?;
    let indices = c.constant(1)?;
    let size = i64::try_from(shape[axis_index]).map_err(|_| NodeProblem::Attribute("axis"))?;
    let resolved = indices
        .to_ints()
        .into_iter()
        .map(|i| {
            usize::try_from(if i < 0 { i.saturating_add(size) } else { i }).ok().filter(|i| *i < shape[axis_index])
        })
        .collect::<Option<Vec<_>>>()
        .ok_or(NodeProblem::Attribute("indices"))?;
    c.op(FloatOp::Gather { axis: axis_index, indices: resolved, shape: indices.shape.clone() }, 1)
}
