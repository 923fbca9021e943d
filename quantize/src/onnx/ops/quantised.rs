//! Operators of models that were quantised before: exact on integers.
//!
//! Integers stay integers: differences of zero points, products and sums are exact, and only the last step rounds,
//! half to even, and saturates to its type.

use super::{
    conv::Conv,
    elementwise::{Binary, Unary},
};
use crate::onnx::{
    context::{axis, Context, Outputs},
    element::Element,
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    tensor::{volume, Tensor},
};

pub(crate) const OPS: &[&str] =
    &["ConvInteger", "DequantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "QuantizeLinear" => {
            let x = c.input(0)?;
            let shape = c.shape_of(x);
            let scale = parameter(c, 1, &shape)?.ok_or(NodeProblem::MissingInput(1))?;
            let scale = positive(scale)?;
            let zero = parameter(c, 2, &shape)?;
            let scale = c.tensor(scale);
            let x = c.div(x, scale)?;
            Ok(vec![saturate(c, x, zero, output_type(c))?])
        }
        "DequantizeLinear" => {
            let x = c.input(0)?;
            let element = c.element(0);
            if !element.is_integer() && element != Element::DYNAMIC && !c.is_integer(x) {
                return Err(NodeProblem::Variant("floats of 8 bits or less"));
            }
            let shape = c.shape_of(x);
            let scale = parameter(c, 1, &shape)?.ok_or(NodeProblem::MissingInput(1))?;
            let zero = parameter(c, 2, &shape)?;
            let x = without(c, x, zero)?;
            let scale = c.tensor(scale);
            Ok(vec![c.mul(x, scale)?])
        }
        "MatMulInteger" => {
            let (a, b) = (c.input(0)?, c.input(1)?);
            let (zero_a, zero_b) = (side(c, 2, true)?, side(c, 3, false)?);
            let (a, b) = (without(c, a, zero_a)?, without(c, b, zero_b)?);
            Ok(vec![c.matmul(a, b)?])
        }
        "QLinearMatMul" => {
            let (a, b) = (c.input(0)?, c.input(3)?);
            let (zero_a, zero_b) = (side(c, 2, true)?, side(c, 5, false)?);
            let (a, b) = (without(c, a, zero_a)?, without(c, b, zero_b)?);
            let product = c.matmul(a, b)?;
            let needed = NodeProblem::Attribute("scale");
            let factor = match (side(c, 1, true)?, side(c, 4, false)?, side(c, 6, true)?) {
                (Some(a), Some(b), Some(y)) => ratio(&a, &b, &positive(y)?).ok_or(needed)?,
                _ => return Err(needed),
            };
            let factor = c.tensor(factor);
            let x = c.mul(product, factor)?;
            let zero = side(c, 7, true)?;
            let element = c.element(7);
            Ok(vec![saturate(c, x, zero, element)?])
        }
        "ConvInteger" => Ok(vec![convolution(c, (0, 2), (1, 3), None)?]),
        _ => {
            let sum = convolution(c, (0, 2), (3, 5), c.optional(8))?;
            let rank = c.shape_of(sum).len();
            let needed = NodeProblem::Attribute("scale");
            let factor = match (number(c, 1)?, channels(c, 4, rank - 1)?, divisor(c, 6)?) {
                (Some(x), Some(w), Some(y)) => ratio(&x, &w, &y).ok_or(needed)?,
                _ => return Err(needed),
            };
            let factor = c.tensor(factor);
            let x = c.mul(sum, factor)?;
            let zero = number(c, 7)?;
            let element = c.element(7);
            Ok(vec![saturate(c, x, zero, element)?])
        }
    }
}

/// The type that `QuantizeLinear` gives.
fn output_type(c: &Context<'_>) -> Element {
    let given = c.attributes.int("output_dtype").and_then(|v| i32::try_from(v).ok()).filter(|v| *v != 0);
    match (c.has(2), given) {
        (true, _) => c.element(2),
        (false, Some(given)) => Element(given),
        (false, None) => Element::UINT8,
    }
}

/// `clip(round(x) + zero)` for the limits of an integer type.
pub(super) fn saturate(
    c: &mut Context<'_>,
    x: ValueId,
    zero: Option<Tensor>,
    element: Element,
) -> Result<ValueId, NodeProblem> {
    let (lo, hi) = element.limits().ok_or(NodeProblem::Variant("a quantised type that is no integer"))?;
    match zero {
        None => c.unary(Unary::Round { lo, hi }, x),
        Some(zero) => match zero.scalar() {
            Some(offset) => {
                let y = c.unary(Unary::Round { lo: lo - offset, hi: hi - offset }, x)?;
                let zero = c.tensor(zero);
                c.add(y, zero)
            }
            None => {
                let y = c.unary(Unary::Round { lo: f64::NEG_INFINITY, hi: f64::INFINITY }, x)?;
                let zero = c.tensor(zero);
                let y = c.add(y, zero)?;
                c.unary(Unary::Clip { lo, hi }, y)
            }
        },
    }
}

/// `x − zero`.
pub(super) fn without(c: &mut Context<'_>, x: ValueId, zero: Option<Tensor>) -> Result<ValueId, NodeProblem> {
    match zero {
        Some(zero) if zero.data.iter().any(|v| *v != 0.0) => {
            let zero = c.tensor(zero);
            c.sub(x, zero)
        }
        _ => Ok(x),
    }
}

/// `a · b / y`, broadcast.
fn ratio(a: &Tensor, b: &Tensor, y: &Tensor) -> Option<Tensor> {
    let combine = |binary: Binary, a: &Tensor, b: &Tensor| {
        let shape = crate::onnx::tensor::broadcast_shapes(&a.shape, &b.shape)?;
        Some(binary.evaluate(a, b, &shape))
    };
    combine(Binary::Div, &combine(Binary::Mul, a, b)?, y)
}

/// A constant scale or zero point; scales are positive, or zero where all integers stand for zero.
pub(super) fn constant(c: &Context<'_>, i: usize) -> Result<Option<Tensor>, NodeProblem> {
    if !c.has(i) {
        return Ok(None);
    }
    let tensor = c.constant(i)?;
    if !tensor.integer && tensor.data.iter().any(|v| !v.is_finite() || *v < 0.0) {
        return Err(NodeProblem::Variant("a scale that is negative or not finite, or a zero point of a float type"));
    }
    Ok(Some((*tensor).clone()))
}

/// A scale to divide by.
fn positive(scale: Tensor) -> Result<Tensor, NodeProblem> {
    if scale.data.iter().all(|v| *v > 0.0) {
        Ok(scale)
    } else {
        Err(NodeProblem::Variant("a result's scale of zero"))
    }
}

/// A constant number to divide by.
pub(super) fn divisor(c: &Context<'_>, i: usize) -> Result<Option<Tensor>, NodeProblem> {
    number(c, i)?.map(positive).transpose()
}

/// A constant number.
pub(super) fn number(c: &Context<'_>, i: usize) -> Result<Option<Tensor>, NodeProblem> {
    let number = |t: Tensor| match t.data.len() {
        1 => Ok(Tensor { shape: vec![], ..t }),
        _ => Err(NodeProblem::Variant("several scales where one is needed")),
    };
    constant(c, i)?.map(number).transpose()
}

/// A constant number, or one per output channel, in front of `rest − 1` other axes.
fn channels(c: &Context<'_>, i: usize, rest: usize) -> Result<Option<Tensor>, NodeProblem> {
    let channels = |t: Tensor| match t.shape.as_slice() {
        [] | [1] => Ok(Tensor { shape: vec![], ..t }),
        [n] => Ok(Tensor { shape: [*n].into_iter().chain((1..rest).map(|_| 1)).collect(), ..t }),
        _ => Err(NodeProblem::Attribute("scale")),
    };
    constant(c, i)?.map(channels).transpose()
}

/// A constant number, or one per row of the left side or per column of the right one.
pub(super) fn side(c: &Context<'_>, i: usize, left: bool) -> Result<Option<Tensor>, NodeProblem> {
    let side = |t: Tensor| match t.shape.as_slice() {
        [] | [1] => Tensor { shape: vec![], ..t },
        [n] if left => Tensor { shape: vec![*n, 1], ..t },
        _ => t,
    };
    Ok(constant(c, i)?.map(side))
}

/// A constant per tensor, per element of an axis, or per block of it, broadcast to what it scales.
fn parameter(c: &Context<'_>, i: usize, shape: &[usize]) -> Result<Option<Tensor>, NodeProblem> {
    let Some(tensor) = constant(c, i)? else { return Ok(None) };
    if tensor.data.len() == 1 {
        return Ok(Some(Tensor { shape: vec![], ..tensor }));
    }
    let axis = axis(c.attributes.int("axis").unwrap_or(1), shape.len(), "axis")?;
    let misfit = || NodeProblem::Shapes {
        shapes: vec![shape.to_vec(), tensor.shape.clone()],
        why: "scales or zero points do not fit",
    };
    let block = usize::try_from(c.attributes.int("block_size").unwrap_or(0)).map_err(|_| misfit())?;
    if block == 0 {
        if tensor.shape != [shape[axis]] {
            return Err(misfit());
        }
        let shape = [shape[axis]].into_iter().chain(shape[axis + 1..].iter().map(|_| 1)).collect();
        return Ok(Some(Tensor { shape, ..tensor }));
    }
    let fits = |d: usize| tensor.shape[d] == if d == axis { shape[d].div_ceil(block) } else { shape[d] };
    if tensor.shape.len() != shape.len() || !(0..shape.len()).all(fits) {
        return Err(misfit());
    }
    let indices: Vec<Option<usize>> = (0..shape[axis]).map(|at| Some(at / block)).collect();
    Ok(Some(super::movement::gather(&tensor, axis, &indices, shape)))
}

/// The convolution of `x − zero` with constant `w − zero`: each the inputs of a value and its zero point.
fn convolution(
    c: &mut Context<'_>,
    (x, zero_x): (usize, usize),
    (w, zero_w): (usize, usize),
    bias: Option<ValueId>,
) -> Result<ValueId, NodeProblem> {
    let conv = Conv::import(c.attributes, &c.shape(x)?, &c.shape(w)?)?;
    c.constant(w)?;
    let rank = c.shape(w)?.len();
    let (zero_x, zero_w) = (number(c, zero_x)?, channels(c, zero_w, rank)?);
    let (x, w) = (c.input(x)?, c.input(w)?);
    if volume(&c.shape_of(w)) == 0 {
        return Err(NodeProblem::Size(c.shape_of(w)));
    }
    let (x, w) = (without(c, x, zero_x)?, without(c, w, zero_w)?);
    let inputs: Vec<ValueId> = [x, w].into_iter().chain(bias).collect();
    c.push(FloatOp::Conv(conv), &inputs)
}
