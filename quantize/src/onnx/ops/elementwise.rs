//! Elementwise operators.

use super::functions::{divisor, integer_quotient};
use crate::{
    curve::Curve,
    onnx::{
        context::{Context, Outputs},
        element::Element,
        error::NodeProblem,
        graph::{FloatOp, ValueId},
        tensor::{volume, zipped, Tensor},
    },
};

pub(crate) const OPS: &[&str] = &[
    "Abs",
    "Add",
    "Clip",
    "Div",
    "Exp",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Max",
    "Mean",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Relu",
    "Sigmoid",
    "Sub",
    "Sum",
    "Tanh",
];

/// The largest float of 16 bits.
const HALF_MAX: f64 = 65504.0;

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let attributes = c.attributes;
    let unary = |unary: Unary| FloatOp::Unary(unary);
    let op = match c.node.op_type.as_str() {
        "Add" => return arithmetic(c, Binary::Add),
        "Sub" => return arithmetic(c, Binary::Sub),
        "Mul" => return arithmetic(c, Binary::Mul),
        "Div" => return arithmetic(c, Binary::Div),
        "PRelu" => return c.op(FloatOp::PRelu, 2),
        "Sum" => return fold(c, Binary::Add),
        "Mean" => {
            let count = c.inputs.len();
            let sum = fold(c, Binary::Add)?[0];
            #[allow(clippy::cast_precision_loss)] // a handful
            return Ok(vec![c.affine(sum, 1.0 / count as f64, 0.0)?]);
        }
        "Max" => return fold(c, Binary::Max),
        "Min" => return fold(c, Binary::Min),
        "Clip" => return clip(c),
        "Relu" => unary(Unary::Relu),
        "LeakyRelu" => unary(Unary::LeakyRelu { alpha: attributes.float("alpha", 0.01) }),
        "Sigmoid" => unary(Unary::Sigmoid),
        "Tanh" => unary(Unary::Tanh),
        "Exp" => unary(Unary::Exp),
        "Neg" => {
            refuse_wrapping(c, false)?;
            unary(Unary::Neg)
        }
        "Abs" => unary(Unary::Abs),
        "HardSigmoid" => {
            unary(Unary::HardSigmoid { alpha: attributes.float("alpha", 0.2), beta: attributes.float("beta", 0.5) })
        }
        _ => unary(Unary::HardSwish),
    };
    c.op(op, 1)
}

/// Several inputs combined by one operator, from the left.
fn fold(c: &mut Context<'_>, binary: Binary) -> Outputs {
    let values: Vec<ValueId> = c.all()?;
    let mut rest = values.into_iter();
    let mut result = rest.next().ok_or(NodeProblem::MissingInput(0))?;
    for value in rest {
        result = c.binary(binary, result, value)?;
    }
    Ok(vec![result])
}

/// Sums, differences, products and quotients, of integers as of floats.
fn arithmetic(c: &mut Context<'_>, binary: Binary) -> Outputs {
    let (a, b, element) = (c.input(0)?, c.input(1)?, c.element(0));
    if binary == Binary::Div {
        if element.is_integer() && !(c.is_constant(a) && c.is_constant(b)) {
            divisor(c)?;
            return Ok(vec![integer_quotient(c, a, b)?]);
        }
        if element.is_float() {
            return Ok(vec![c.div(a, b)?]);
        }
    } else {
        refuse_wrapping(c, binary == Binary::Sub)?;
    }
    Ok(vec![c.binary(binary, a, b)?])
}

/// Arithmetic of narrow integers wraps, and differences of unsigned ones do: neither is computed as if it did not.
fn refuse_wrapping(c: &Context<'_>, difference: bool) -> Result<(), NodeProblem> {
    if c.element(0).wraps() {
        return Err(NodeProblem::Variant("arithmetic of integers of 8 or 16 bits, which wraps"));
    }
    if difference && c.element(0).is_unsigned() {
        return Err(NodeProblem::Variant("differences of unsigned integers, which wrap below zero"));
    }
    Ok(())
}

/// A clip between two values; constant ones are numbers.
fn clip(c: &mut Context<'_>) -> Outputs {
    let x = c.input(0)?;
    let mut bounds = [f64::NEG_INFINITY, f64::INFINITY];
    let mut tensors = [None, None];
    for (i, name) in ["min", "max"].into_iter().enumerate() {
        match (c.attributes.get(name), c.optional(i + 1)) {
            (Some(a), _) => bounds[i] = f64::from(a.f),
            (None, Some(value)) if !c.is_constant(value) => tensors[i] = Some(value),
            (None, _) => bounds[i] = c.constant_scalar(i + 1, name)?.unwrap_or(bounds[i]),
        }
    }
    let [lo, hi] = bounds;
    // The types' extremes stand for no bound.
    let largest = if c.element(0) == Element::FLOAT16 { HALF_MAX } else { f64::from(f32::MAX) };
    let lo = if lo <= -largest { f64::NEG_INFINITY } else { lo };
    let hi = if hi >= largest { f64::INFINITY } else { hi };
    if lo.is_nan() || hi.is_nan() {
        return Err(NodeProblem::Attribute("min"));
    }
    if lo > hi {
        // Whatever it is, it is cut to the maximum.
        let shape = c.shape(0)?;
        let integer = c.is_integer(x);
        return Ok(vec![c.tensor(Tensor { data: vec![hi; volume(&shape)], shape, integer })]);
    }
    let mut y = x;
    for (tensor, binary, bound) in [
        (tensors[0], Binary::Max, Unary::Clip { lo, hi: f64::INFINITY }),
        (tensors[1], Binary::Min, Unary::Clip { lo: f64::NEG_INFINITY, hi }),
    ] {
        y = match tensor {
            Some(tensor) => c.binary(binary, y, tensor)?,
            None if tensors == [None, None] => continue,
            None => c.unary(bound, y)?,
        };
    }
    if tensors == [None, None] {
        y = c.unary(Unary::Clip { lo, hi }, x)?;
    }
    Ok(vec![y])
}

/// An elementwise operator of two tensors, with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
    /// The larger.
    Max,
    /// The smaller.
    Min,
    /// One where the first is greater, else zero.
    Greater,
    /// One where the first is greater or equal, else zero.
    GreaterOrEqual,
    /// One where they are equal, else zero.
    Equal,
    /// The largest integer not above the quotient of two integers, the second one positive.
    FloorDiv,
}

impl Binary {
    /// Whether the result is a truth value.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual | Self::Equal)
    }

    /// Whether the result holds integers, whatever the inputs hold.
    pub(crate) fn is_whole(self) -> bool {
        self.is_comparison() || self == Self::FloorDiv
    }

    pub(crate) fn evaluate(self, a: &Tensor, b: &Tensor, shape: &[usize]) -> Tensor {
        let integer = (a.integer && b.integer) || self.is_whole();
        let truth = |t: bool| f64::from(u8::from(t));
        let data = match self {
            Self::Add => zipped(a, b, shape, |x, y| x + y),
            Self::Sub => zipped(a, b, shape, |x, y| x - y),
            Self::Mul => zipped(a, b, shape, |x, y| x * y),
            Self::Max => zipped(a, b, shape, f64::max),
            Self::Min => zipped(a, b, shape, f64::min),
            Self::Greater => zipped(a, b, shape, |x, y| truth(x > y)),
            Self::GreaterOrEqual => zipped(a, b, shape, |x, y| truth(x >= y)),
            #[allow(clippy::float_cmp)] // what the operator says
            Self::Equal => zipped(a, b, shape, |x, y| truth(x == y)),
            Self::FloorDiv => zipped(a, b, shape, |x, y| libm::floor(x / y)),
            Self::Div if integer => zipped(a, b, shape, |x, y| libm::trunc(x / y)),
            Self::Div => zipped(a, b, shape, |x, y| x / y),
        };
        Tensor { shape: shape.to_vec(), data, integer }
    }
}

/// An elementwise function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// `max(x, 0)`.
    Relu,
    /// `x` or `alpha · x` below zero.
    LeakyRelu {
        /// The slope below zero.
        alpha: f64,
    },
    /// `min(max(x, lo), hi)`; infinite bounds do not clamp.
    Clip {
        /// Lower bound.
        lo: f64,
        /// Upper bound.
        hi: f64,
    },
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `e^x`.
    Exp,
    /// `clip(alpha · x + beta, 0, 1)`.
    HardSigmoid {
        /// Slope.
        alpha: f64,
        /// Value at zero.
        beta: f64,
    },
    /// `x · clip(x / 6 + 1/2, 0, 1)`.
    HardSwish,
    /// `-x`.
    Neg,
    /// `|x|`.
    Abs,
    /// The largest integer that is not greater.
    Floor,
    /// The nearest integer, of two the even one, between bounds that are integers or infinite.
    Round {
        /// Lower bound.
        lo: f64,
        /// Upper bound.
        hi: f64,
    },
    /// Some other function.
    Curve(Curve),
}

impl Unary {
    /// Whether the result holds integers, if the input does or not.
    pub(crate) fn is_integer(self, integer: bool) -> bool {
        match self {
            Self::Floor | Self::Round { .. } => true,
            Self::Relu | Self::Neg | Self::Abs => integer,
            Self::Clip { lo, hi } => integer && [lo, hi].iter().all(|v| v.is_infinite() || *v == libm::floor(*v)),
            _ => false,
        }
    }

    /// The function's value.
    #[must_use]
    pub fn evaluate(self, x: f64) -> f64 {
        match self {
            Self::Relu => x.max(0.0),
            Self::LeakyRelu { alpha } => {
                if x < 0.0 {
                    alpha * x
                } else {
                    x
                }
            }
            Self::Clip { lo, hi } => x.max(lo).min(hi),
            Self::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
            Self::Tanh => libm::tanh(x),
            Self::Exp => libm::exp(x),
            Self::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Floor => libm::floor(x),
            Self::Round { lo, hi } => libm::rint(x).max(lo).min(hi),
            Self::Curve(curve) => curve.evaluate(x),
        }
    }
}

/// Factor and summand per channel of a batch normalisation: scale, bias, mean, variance.
pub(crate) fn batch_norm_affine(
    scale: &Tensor,
    bias: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    epsilon: f64,
) -> (Vec<f64>, Vec<f64>) {
    let factor: Vec<f64> = scale.data.iter().zip(&variance.data).map(|(s, v)| s / libm::sqrt(v + epsilon)).collect();
    let summand = bias.data.iter().zip(&mean.data).zip(&factor).map(|((b, m), f)| b - m * f).collect();
    (factor, summand)
}

pub(crate) fn batch_norm(inputs: &[&Tensor], epsilon: f64) -> Tensor {
    let x = inputs[0];
    let (factor, summand) = batch_norm_affine(inputs[1], inputs[2], inputs[3], inputs[4], epsilon);
    let inner: usize = x.shape[2..].iter().product();
    let channels = x.shape[1];
    let data = x
        .data
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let c = i / inner % channels;
            v * factor[c] + summand[c]
        })
        .collect();
    Tensor::new(x.shape.clone(), data)
}
