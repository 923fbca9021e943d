//! Elementwise operators.

use crate::onnx::tensor::{broadcast_strides, for_each_address, Tensor};

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
}

impl Binary {
    pub(crate) fn evaluate(self, a: &Tensor, b: &Tensor, shape: &[usize]) -> Tensor {
        let integer = a.integer && b.integer;
        let apply = |x: f64, y: f64| match self {
            Self::Add => x + y,
            Self::Sub => x - y,
            Self::Mul => x * y,
            Self::Max => x.max(y),
            Self::Min => x.min(y),
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
}

impl Unary {
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
