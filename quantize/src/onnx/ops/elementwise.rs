//! Elementwise operators.

use crate::{
    curve::Curve,
    onnx::{
        context::{Context, Outputs},
        error::NodeProblem,
        graph::{FloatOp, ValueId},
        tensor::{broadcast_strides, for_each_address, Tensor},
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

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let attributes = c.attributes;
    let unary = |unary: Unary| FloatOp::Unary(unary);
    let op = match c.node.op_type.as_str() {
        "Add" => return c.op(FloatOp::Binary(Binary::Add), 2),
        "Sub" => return c.op(FloatOp::Binary(Binary::Sub), 2),
        "Mul" => return c.op(FloatOp::Binary(Binary::Mul), 2),
        "Div" => return c.op(FloatOp::Binary(Binary::Div), 2),
        "PRelu" => return c.op(FloatOp::PRelu, 2),
        "Sum" => return fold(c, Binary::Add),
        "Max" => return fold(c, Binary::Max),
        "Min" => return fold(c, Binary::Min),
        "Clip" => return clip(c),
        "Relu" => unary(Unary::Relu),
        "LeakyRelu" => unary(Unary::LeakyRelu { alpha: attributes.float("alpha", 0.01) }),
        "Sigmoid" => unary(Unary::Sigmoid),
        "Tanh" => unary(Unary::Tanh),
        "Exp" => unary(Unary::Exp),
        "Neg" => unary(Unary::Neg),
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

fn clip(c: &mut Context<'_>) -> Outputs {
    let bound = |name: &'static str, input: usize, default: f64| match c.attributes.get(name) {
        Some(a) => Ok::<f64, NodeProblem>(f64::from(a.f)),
        None => Ok(c.constant_scalar(input, name)?.unwrap_or(default)),
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
}

impl Binary {
    /// Whether the result is a truth value.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual | Self::Equal)
    }

    pub(crate) fn evaluate(self, a: &Tensor, b: &Tensor, shape: &[usize]) -> Tensor {
        let integer = (a.integer && b.integer) || self.is_comparison();
        let truth = |t: bool| f64::from(u8::from(t));
        let apply = |x: f64, y: f64| match self {
            Self::Add => x + y,
            Self::Sub => x - y,
            Self::Mul => x * y,
            Self::Max => x.max(y),
            Self::Min => x.min(y),
            Self::Greater => truth(x > y),
            Self::GreaterOrEqual => truth(x >= y),
            #[allow(clippy::float_cmp)] // what the operator says
            Self::Equal => truth(x == y),
            Self::Div if integer => libm::trunc(x / y),
            Self::Div => x / y,
        };
        let mut data = Vec::with_capacity(shape.iter().product());
        let mut right = Vec::with_capacity(data.capacity());
        for_each_address(shape, &broadcast_strides(&b.shape, shape), |i| right.push(b.data[i]));
        let mut right = right.into_iter();
        for_each_address(shape, &broadcast_strides(&a.shape, shape), |i| {
            data.push(apply(a.data[i], right.next().unwrap_or(0.0)));
        });
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
    /// Some other function.
    Curve(Curve),
}

impl Unary {
    /// Whether the result holds integers, if the input does or not.
    pub(crate) fn is_integer(self, integer: bool) -> bool {
        match self {
            Self::Floor => true,
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
