//! Functions of one tensor: curves, steps, remainders, powers.

use super::elementwise::{Binary, Unary};
use crate::{
    curve::{Curve, Real},
    onnx::{
        context::{Context, Outputs},
        error::NodeProblem,
        graph::{FloatOp, ValueId},
        tensor::{volume, Tensor},
    },
};
use std::collections::BTreeMap;

pub(crate) const OPS: &[&str] = &[
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Ceil",
    "Celu",
    "Cos",
    "Cosh",
    "Elu",
    "Erf",
    "Floor",
    "Gelu",
    "IsInf",
    "IsNaN",
    "Log",
    "Mish",
    "Mod",
    "Pow",
    "Reciprocal",
    "Round",
    "Selu",
    "Shrink",
    "Sign",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "SwiGLU",
    "Swish",
    "Tan",
    "ThresholdedRelu",
];

/// Powers up to this one are products.
const LARGEST_PRODUCT: f64 = 4.0;
/// Powers of integers up to this one are products: they are exact.
const LARGEST_EXACT: f64 = 16.0;
/// A tensor of exponents may hold so many different ones.
const MAX_EXPONENTS: usize = 16;

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let attributes = c.attributes;
    let float = |name: &str, default: f32| Real::new(attributes.float(name, default));
    let one = Real::new(1.0);
    let curve = match c.node.op_type.as_str() {
        "Acos" => Curve::Acos,
        "Acosh" => Curve::Acosh,
        "Asin" => Curve::Asin,
        "Asinh" => Curve::Asinh,
        "Atan" => Curve::Atan,
        "Atanh" => Curve::Atanh,
        "Cos" => Curve::Cos,
        "Cosh" => Curve::Cosh,
        "Elu" => Curve::Elu { alpha: float("alpha", 1.0), gamma: one, scale: one },
        "Selu" => Curve::Elu { alpha: float("alpha", 1.673_263_2), gamma: float("gamma", 1.050_701), scale: one },
        "Celu" => {
            let alpha = attributes.float("alpha", 1.0);
            if alpha == 0.0 {
                return Err(NodeProblem::Attribute("alpha"));
            }
            Curve::Elu { alpha: Real::new(alpha), gamma: one, scale: Real::new(alpha) }
        }
        "Erf" => Curve::Erf,
        "Gelu" => match attributes.string("approximate").unwrap_or("none") {
            "none" => Curve::Gelu,
            "tanh" => Curve::GeluTanh,
            _ => return Err(NodeProblem::Attribute("approximate")),
        },
        "Log" => Curve::Log,
        "Mish" => Curve::Mish,
        "Reciprocal" => Curve::Reciprocal,
        "Sin" => Curve::Sin,
        "Sinh" => Curve::Sinh,
        "Softplus" => Curve::Softplus,
        "Softsign" => Curve::Softsign,
        "Sqrt" => Curve::Sqrt,
        "Swish" => Curve::Swish(float("alpha", 1.0)),
        "Tan" => Curve::Tan,
        "SwiGLU" => {
            let (x, factor) = (c.input(0)?, c.input(1)?);
            let gate = c.unary(Unary::Curve(Curve::Swish(float("alpha", 1.0))), x)?;
            return Ok(vec![c.mul(gate, factor)?]);
        }
        "Pow" => return import_power(c),
        "Mod" => return remainder(c),
        "IsInf" | "IsNaN" => return never(c),
        _ => return steps(c),
    };
    c.op(FloatOp::Unary(Unary::Curve(curve)), 1)
}

/// Functions made of steps.
fn steps(c: &mut Context<'_>) -> Outputs {
    let x = c.input(0)?;
    let attributes = c.attributes;
    let y = match c.node.op_type.as_str() {
        "Floor" => c.unary(Unary::Floor, x)?,
        "Ceil" => {
            let negative = c.unary(Unary::Neg, x)?;
            let floor = c.unary(Unary::Floor, negative)?;
            c.unary(Unary::Neg, floor)?
        }
        "Round" if c.is_integer(x) => x,
        "Round" => c.unary(Unary::Round { lo: f64::NEG_INFINITY, hi: f64::INFINITY }, x)?,
        "Sign" => {
            let zero = c.whole(0);
            let above = c.binary(Binary::Greater, x, zero)?;
            let below = c.binary(Binary::Greater, zero, x)?;
            c.sub(above, below)?
        }
        "ThresholdedRelu" => {
            let (alpha, zero) = (c.scalar(attributes.float("alpha", 1.0)), c.whole(0));
            let above = c.binary(Binary::Greater, x, alpha)?;
            c.push(FloatOp::Where, &[above, x, zero])?
        }
        _ => {
            // Shrink: x ± bias beyond ∓ lambd, else zero.
            let (lambda, bias) = (attributes.float("lambd", 0.5), attributes.float("bias", 0.0));
            let (top, bottom, zero) = (c.scalar(lambda), c.scalar(-lambda), c.whole(0));
            let (lifted, lowered) = (c.affine(x, 1.0, bias)?, c.affine(x, 1.0, -bias)?);
            let above = c.binary(Binary::Greater, x, top)?;
            let below = c.binary(Binary::Greater, bottom, x)?;
            let upper = c.push(FloatOp::Where, &[above, lowered, zero])?;
            c.push(FloatOp::Where, &[below, lifted, upper])?
        }
    };
    Ok(vec![y])
}

/// The integer part: `max(floor(x), 0) − max(floor(−x), 0)`.
pub(crate) fn truncate(c: &mut Context<'_>, x: ValueId) -> Result<ValueId, NodeProblem> {
    if c.is_integer(x) {
        return Ok(x);
    }
    let mut parts = Vec::with_capacity(2);
    let negative = c.unary(Unary::Neg, x)?;
    for side in [x, negative] {
        let side = c.unary(Unary::Floor, side)?;
        parts.push(c.unary(Unary::Relu, side)?);
    }
    c.sub(parts[0], parts[1])
}

/// The quotient of integers, with its fraction cut off.
pub(crate) fn integer_quotient(c: &mut Context<'_>, a: ValueId, b: ValueId) -> Result<ValueId, NodeProblem> {
    let (a, b) = positive_divisor(c, a, b)?;
    if !c.is_integer(a) || !c.is_integer(b) {
        return Err(NodeProblem::Variant("a quotient of integers that are not known to be whole"));
    }
    c.binary(Binary::Div, a, b)
}

/// An input of the graph may be zero: as a divisor it has to be a constant. Of a computed one lowering decides.
pub(crate) fn divisor(c: &Context<'_>) -> Result<(), NodeProblem> {
    if c.importer.graph.inputs.contains(&c.input(1)?) {
        return Err(NodeProblem::NotConstant(1));
    }
    Ok(())
}

/// The same quotient with a positive divisor, if the divisor is constant.
fn positive_divisor(c: &mut Context<'_>, a: ValueId, b: ValueId) -> Result<(ValueId, ValueId), NodeProblem> {
    let Some(divisor) = c.importer.graph.constant(b).cloned() else { return Ok((a, b)) };
    if divisor.data.contains(&0.0) {
        return Err(NodeProblem::Variant("a division by zero"));
    }
    if divisor.data.iter().all(|v| *v > 0.0) {
        return Ok((a, b));
    }
    let map = |f: fn(f64) -> f64| Tensor { data: divisor.data.iter().map(|v| f(*v)).collect(), ..(*divisor).clone() };
    let (sign, size) = (c.tensor(map(|v| 1.0_f64.copysign(v))), c.tensor(map(f64::abs)));
    Ok((c.mul(a, sign)?, size))
}

/// `a − b · quotient`: the quotient rounded towards zero (the sign is that of `a`) or down (that of `b`).
fn remainder(c: &mut Context<'_>) -> Outputs {
    let (a, b) = (c.input(0)?, c.input(1)?);
    let truncated = c.attributes.flag("fmod");
    let element = c.element(0);
    let quotient = if element.is_integer() {
        divisor(c)?;
        if truncated && !element.is_unsigned() {
            integer_quotient(c, a, b)?
        } else {
            let (a, b) = positive_divisor(c, a, b)?;
            c.binary(Binary::FloorDiv, a, b)?
        }
    } else {
        if c.constant(1)?.data.contains(&0.0) {
            return Err(NodeProblem::Variant("a division by zero"));
        }
        let quotient = c.div(a, b)?;
        if truncated {
            truncate(c, quotient)?
        } else {
            c.unary(Unary::Floor, quotient)?
        }
    };
    let product = c.mul(b, quotient)?;
    Ok(vec![c.sub(a, product)?])
}

/// `IsNaN` and `IsInf`: never, where neither can come from finite inputs.
fn never(c: &mut Context<'_>) -> Outputs {
    let x = c.input(0)?;
    if !c.importer.always_finite(x) {
        return Err(NodeProblem::Variant("a test for what is not finite, of a value that may not be"));
    }
    let shape = c.shape(0)?;
    Ok(vec![c.tensor(Tensor { data: vec![0.0; volume(&shape)], shape, integer: true })])
}

/// A power with a constant exponent, or with a constant positive base.
fn import_power(c: &mut Context<'_>) -> Outputs {
    let (x, y) = (c.input(0)?, c.input(1)?);
    if !c.is_constant(y) {
        let Some(base) = c.importer.graph.constant(x).and_then(|b| b.scalar()).filter(|b| *b > 0.0) else {
            return Err(NodeProblem::NotConstant(1));
        };
        let power = c.unary(Unary::Curve(Curve::PowerOf(Real::new(base))), y)?;
        return Ok(vec![broadcast(c, power)?]);
    }
    let exponent = c.constant(1)?;
    let first = exponent.data.first().copied().unwrap_or(1.0);
    let exact = c.element(0).is_integer();
    if exponent.data.iter().all(|e| *e == first) {
        let y = power(c, x, first, exact)?;
        return Ok(vec![broadcast(c, y)?]);
    }
    // Elements with the same exponent together.
    let x = broadcast(c, x)?;
    let shape = c.shape_of(x);
    let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, e) in exponent.broadcast_to(&shape).data.iter().enumerate() {
        groups.entry(e.to_bits()).or_default().push(at);
    }
    if groups.len() > MAX_EXPONENTS {
        return Err(NodeProblem::Variant("a power with more than 16 different exponents"));
    }
    let mut parts = Vec::with_capacity(groups.len());
    let mut order = vec![None; volume(&shape)];
    let mut count = 0;
    for (bits, group) in groups {
        for at in &group {
            order[*at] = Some(count);
            count += 1;
        }
        let part = c.pick(x, group.iter().copied().map(Some).collect(), vec![group.len()])?;
        parts.push(power(c, part, f64::from_bits(bits), exact)?);
    }
    let joined = c.concat(&parts, 0)?;
    Ok(vec![c.pick(joined, order, shape)?])
}

/// A value broadcast to the shape of both inputs.
fn broadcast(c: &mut Context<'_>, x: ValueId) -> Result<ValueId, NodeProblem> {
    let shapes = vec![c.shape(0)?, c.shape(1)?];
    match crate::onnx::tensor::broadcast_shapes(&shapes[0], &shapes[1]) {
        Some(shape) => c.push(FloatOp::Expand(shape), &[x]),
        None => Err(NodeProblem::Shapes { shapes, why: "they do not broadcast" }),
    }
}

/// `x^exponent`; of integers it must be exact.
pub(crate) fn power(c: &mut Context<'_>, x: ValueId, exponent: f64, exact: bool) -> Result<ValueId, NodeProblem> {
    let largest = if exact { LARGEST_EXACT } else { LARGEST_PRODUCT };
    if exponent == libm::floor(exponent) && (0.0..=largest).contains(&exponent) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small integer
        return product(c, x, exponent as u32);
    }
    if exact {
        return Err(NodeProblem::Variant("a power of integers with a large or fractional exponent"));
    }
    let curve = if exponent == 0.5 {
        Curve::Sqrt
    } else if exponent == -0.5 {
        Curve::Rsqrt
    } else if exponent == -1.0 {
        Curve::Reciprocal
    } else {
        Curve::Pow(Real::new(exponent))
    };
    c.unary(Unary::Curve(curve), x)
}

/// `x^exponent` by squaring.
fn product(c: &mut Context<'_>, x: ValueId, exponent: u32) -> Result<ValueId, NodeProblem> {
    match exponent {
        0 => {
            let shape = c.shape_of(x);
            let integer = c.is_integer(x);
            Ok(c.tensor(Tensor { data: vec![1.0; volume(&shape)], shape, integer }))
        }
        1 => Ok(x),
        _ => {
            let root = product(c, x, exponent / 2)?;
            let square = c.mul(root, root)?;
            if exponent % 2 == 1 {
                c.mul(square, x)
            } else {
                Ok(square)
            }
        }
    }
}
