//! Operators between integers of 8 or 16 bits with constant scales, as static quantisation writes them: exact on integers.
//!
//! With inputs `x = s · (q − z)` the result is that of the operator on reals, over the result's scale, rounded half to
//! even, with its zero point added, and saturated to its type.

use super::super::{
    elementwise::Unary,
    pool::Pool,
    quantised::{divisor, number, saturate, side, without},
    reduce::{softmax_over, Reduction},
};
use crate::onnx::{
    context::{axis, Context, Outputs},
    element::Element,
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    tensor::Tensor,
};

pub(crate) const OPS: &[&str] = &[
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QLinearWhere",
];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let y = match c.node.op_type.as_str() {
        "QGemm" => return gemm(c),
        "QLinearAdd" => {
            let (a, b, y) = (Operand::read(c, 0)?, Operand::read(c, 3)?, Target::read(c, (6, 7), 0)?);
            let (a, b) = (c.affine(a.value, a.scale / y.scale, 0.0)?, c.affine(b.value, b.scale / y.scale, 0.0)?);
            let sum = c.add(a, b)?;
            y.of(c, sum)?
        }
        "QLinearMul" => {
            let (a, b, y) = (Operand::read(c, 0)?, Operand::read(c, 3)?, Target::read(c, (6, 7), 0)?);
            let product = c.mul(a.value, b.value)?;
            let product = c.affine(product, a.scale * b.scale / y.scale, 0.0)?;
            y.of(c, product)?
        }
        "QLinearConcat" => concat(c)?,
        "QLinearWhere" => {
            let (a, b, y) = (Operand::read(c, 1)?, Operand::read(c, 4)?, Target::read(c, (7, 8), 1)?);
            let condition = c.input(0)?;
            let (a, b) = (y.of_operand(c, a)?, y.of_operand(c, b)?);
            c.push(FloatOp::Where, &[condition, a, b])?
        }
        _ => {
            let (x, y) = (Operand::read(c, 0)?, Target::read(c, (3, 4), 0)?);
            one(c, &x, &y)?
        }
    };
    Ok(vec![y])
}

/// Operators of one input.
fn one(c: &mut Context<'_>, x: &Operand, y: &Target) -> Result<ValueId, NodeProblem> {
    let rank = c.shape_of(x.value).len();
    let last = c.attributes.flag("channels_last");
    // What is linear, or at least a multiple of every positive multiple.
    let homogeneous = match c.node.op_type.as_str() {
        "QLinearLeakyRelu" => {
            let alpha = c.attributes.float("alpha", 0.01);
            Some(c.unary(Unary::LeakyRelu { alpha }, x.value)?)
        }
        "QLinearGlobalAveragePool" => {
            let spatial: Vec<usize> = if last { (1..rank.max(1) - 1).collect() } else { (2..rank).collect() };
            Some(c.reduce(x.value, Reduction::Mean, &spatial)?)
        }
        "QLinearAveragePool" => Some(average(c, x.value, last)?),
        _ => None,
    };
    if let Some(value) = homogeneous {
        let value = c.affine(value, x.scale / y.scale, 0.0)?;
        return y.of(c, value);
    }
    let real = c.affine(x.value, x.scale, 0.0)?;
    let value = if c.node.op_type == "QLinearSigmoid" {
        c.unary(Unary::Sigmoid, real)?
    } else {
        let opset = c.attributes.int("opset").unwrap_or(13);
        softmax_over(c, real, c.attributes.int("axis").unwrap_or(-1), opset)?
    };
    let value = c.affine(value, 1.0 / y.scale, 0.0)?;
    y.of(c, value)
}

/// The mean of windows; with channels in the last axis, if it says so.
fn average(c: &mut Context<'_>, x: ValueId, channels_last: bool) -> Result<ValueId, NodeProblem> {
    let rank = c.shape_of(x).len();
    if rank < 3 {
        return Err(NodeProblem::Shapes { shapes: vec![c.shape_of(x)], why: "a spatial axis is needed" });
    }
    let to_front: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let to_back: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    let x = if channels_last { c.transpose(x, &to_front)? } else { x };
    let pool = Pool::import(c.attributes, &c.shape_of(x))?;
    let count_include_pad = c.attributes.flag("count_include_pad");
    let y = c.push(FloatOp::AveragePool { pool, count_include_pad }, &[x])?;
    if channels_last {
        c.transpose(y, &to_back)
    } else {
        Ok(y)
    }
}

/// Parts with scales of their own, each in the result's.
fn concat(c: &mut Context<'_>) -> Result<ValueId, NodeProblem> {
    let y = Target::read(c, (0, 1), 2)?;
    let count = c.inputs.len().saturating_sub(2);
    if count == 0 || !count.is_multiple_of(3) {
        return Err(NodeProblem::MissingInput(c.inputs.len()));
    }
    let mut parts = Vec::with_capacity(count / 3);
    for i in (2..c.inputs.len()).step_by(3) {
        let x = Operand::read(c, i)?;
        parts.push(y.of_operand(c, x)?);
    }
    let rank = c.shape_of(parts[0]).len();
    let axis = axis(c.attributes.int("axis").unwrap_or(1), rank, "axis")?;
    c.concat(&parts, axis)
}

/// `alpha · s_a · s_b · ((a − z_a)(b − z_b) + c)`: integers with the result's scale, or reals without one.
fn gemm(c: &mut Context<'_>) -> Outputs {
    let a = Operand::read(c, 0)?;
    let flipped = |c: &mut Context<'_>, x: ValueId, name| match c.shape_of(x).len() {
        2 if c.attributes.flag(name) => c.transpose(x, &[1, 0]),
        2 => Ok(x),
        _ => Err(NodeProblem::Shapes { shapes: vec![c.shape_of(x)], why: "both sides must be matrices" }),
    };
    let (scale, zero) = (side(c, 4, false)?.ok_or(NodeProblem::MissingInput(4))?, side(c, 5, false)?);
    let b = c.input(3)?;
    let (left, right) = (flipped(c, a.value, "transA")?, flipped(c, b, "transB")?);
    let right = without(c, right, zero)?;
    let mut sum = c.matmul(left, right)?;
    if let Some(bias) = c.optional(6) {
        sum = c.add(sum, bias)?;
    }
    let y = if c.has(7) { Some(Target::read(c, (7, 8), 0)?) } else { None };
    let factor = c.attributes.float("alpha", 1.0) * a.scale / y.as_ref().map_or(1.0, |y| y.scale);
    let factor = Tensor { data: scale.data.iter().map(|s| s * factor).collect(), ..scale };
    let factor = c.tensor(factor);
    let value = c.mul(sum, factor)?;
    Ok(vec![match y {
        Some(y) => y.of(c, value)?,
        None => value,
    }])
}

/// An input less its zero point, and its scale.
struct Operand {
    value: ValueId,
    scale: f64,
    input: ValueId,
    zero: f64,
}

impl Operand {
    /// Inputs `i` to `i + 2`: integers, scale, zero point.
    fn read(c: &mut Context<'_>, i: usize) -> Result<Self, NodeProblem> {
        let input = c.input(i)?;
        let scale = number(c, i + 1)?.and_then(|t| t.scalar()).ok_or(NodeProblem::MissingInput(i + 1))?;
        let zero = number(c, i + 2)?;
        let offset = zero.as_ref().and_then(Tensor::scalar).unwrap_or(0.0);
        Ok(Self { value: without(c, input, zero)?, scale, input, zero: offset })
    }
}

/// Scale, zero point and type of the result.
struct Target {
    scale: f64,
    zero: Option<Tensor>,
    element: Element,
}

impl Target {
    /// Inputs `scale` and `zero`; without a zero point the type is that of input `like`.
    fn read(c: &Context<'_>, (scale, zero): (usize, usize), like: usize) -> Result<Self, NodeProblem> {
        let element = if c.has(zero) { c.element(zero) } else { c.element(like) };
        let scale = divisor(c, scale)?.and_then(|t| t.scalar()).ok_or(NodeProblem::Attribute("scale"))?;
        Ok(Self { scale, zero: number(c, zero)?, element })
    }
    /// Integers of a value in units of the scale.
    fn of(&self, c: &mut Context<'_>, value: ValueId) -> Result<ValueId, NodeProblem> {
        saturate(c, value, self.zero.clone(), self.element)
    }
    /// Integers of an operand; itself, where it has the same scale and zero point.
    fn of_operand(&self, c: &mut Context<'_>, x: Operand) -> Result<ValueId, NodeProblem> {
        let zero = self.zero.as_ref().and_then(Tensor::scalar).unwrap_or(0.0);
        if (x.scale.to_bits(), x.zero.to_bits()) == (self.scale.to_bits(), zero.to_bits()) {
            return Ok(x.input);
        }
        let value = c.affine(x.value, x.scale / self.scale, 0.0)?;
        self.of(c, value)
    }
}
