//! Real functions of one argument: what tables of the integer graph approximate.

use bincode::{Decode, Encode};

/// A finite real parameter of a curve, by the bits of its `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Real(u64);

impl Real {
    /// The parameter `value`.
    #[must_use]
    pub fn new(value: f64) -> Self {
        Self(value.to_bits())
    }
    /// Its value.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// A real function. All are computed with `libm`, so that values have the same bits on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Curve {
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `e^x`.
    Exp,
    /// The error function.
    Erf,
    /// `x · (1 + erf(x / √2)) / 2`.
    Gelu,
    /// `x · (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`.
    GeluTanh,
    /// `x · sigmoid(alpha x)`.
    Swish(Real),
    /// `x · tanh(softplus(x))`.
    Mish,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `gamma · x` above zero, `gamma · alpha · (e^(x / scale) − 1)` below: Elu, Selu and Celu.
    Elu {
        /// Factor of the exponential.
        alpha: Real,
        /// Factor of everything.
        gamma: Real,
        /// Divisor of the exponent.
        scale: Real,
    },
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `1 / √x`.
    Rsqrt,
    /// `1 / x`.
    Reciprocal,
    /// `x^exponent`.
    Pow(Real),
    /// `base^x`.
    PowerOf(Real),
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Tangent.
    Tan,
    /// Arc sine.
    Asin,
    /// Arc cosine.
    Acos,
    /// Arc tangent.
    Atan,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// Inverse hyperbolic sine.
    Asinh,
    /// Inverse hyperbolic cosine.
    Acosh,
    /// Inverse hyperbolic tangent.
    Atanh,
    /// The probability of the first of two classes for `x`, the negative log-odds: what ONNX Runtime's
    /// SVMClassifier couples from the one pair of classes, up to where its iteration stops.
    Coupling,
}

impl Curve {
    /// Whether it has a value of moderate size at every real number.
    #[must_use]
    pub fn is_finite(self) -> bool {
        match self {
            Self::Swish(alpha) => alpha.get() >= 0.0,
            Self::Elu { scale, .. } => scale.get() > 0.0,
            Self::Sigmoid
            | Self::Tanh
            | Self::Erf
            | Self::Gelu
            | Self::GeluTanh
            | Self::Mish
            | Self::Softplus
            | Self::Softsign
            | Self::Sin
            | Self::Cos
            | Self::Atan
            | Self::Asinh
            | Self::Coupling => true,
            _ => false,
        }
    }

    /// The value at `x`; NaN or infinite outside of the function's domain.
    #[must_use]
    pub fn evaluate(self, x: f64) -> f64 {
        let softplus = |x: f64| x.max(0.0) + libm::log1p(libm::exp(-x.abs()));
        match self {
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => libm::tanh(x),
            Self::Exp => libm::exp(x),
            Self::Erf => libm::erf(x),
            Self::Gelu => x * 0.5 * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2),
            Self::GeluTanh => {
                let inner = libm::sqrt(2.0 / core::f64::consts::PI) * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + libm::tanh(inner))
            }
            Self::Swish(alpha) => x * sigmoid(alpha.get() * x),
            Self::Mish => x * libm::tanh(softplus(x)),
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Elu { alpha, gamma, scale } => {
                let below = alpha.get() * libm::expm1(x.min(0.0) / scale.get());
                gamma.get() * if x > 0.0 { x } else { below }
            }
            Self::Log => libm::log(x),
            Self::Sqrt => libm::sqrt(x),
            Self::Rsqrt => 1.0 / libm::sqrt(x),
            Self::Reciprocal => 1.0 / x,
            Self::Pow(exponent) => libm::pow(x, exponent.get()),
            Self::PowerOf(base) => libm::pow(base.get(), x),
            Self::Sin => libm::sin(x),
            Self::Cos => libm::cos(x),
            Self::Tan => libm::tan(x),
            Self::Asin => libm::asin(x),
            Self::Acos => libm::acos(x),
            Self::Atan => libm::atan(x),
            Self::Sinh => libm::sinh(x),
            Self::Cosh => libm::cosh(x),
            Self::Asinh => libm::asinh(x),
            Self::Acosh => libm::acosh(x),
            Self::Atanh => libm::atanh(x),
            Self::Coupling => coupling(sigmoid(-x).clamp(1e-7, 1.0 - 1e-7)),
        }
    }
}

/// Probabilities `p` and `1 − p` coupled from the probability `r` of the first class within the one pair of classes.
///
/// They minimise `((1 − r) p − r (1 − p))²`: Wu, Lin and Weng, *Probability estimates for multi-class classification by
/// pairwise coupling* (2004), algorithm 2, which starts at a half and stops when it is near.
fn coupling(r: f64) -> f64 {
    const NEAR: f64 = 0.0025;
    const STEPS: u32 = 100;
    let (a, b, c) = ((1.0 - r) * (1.0 - r), -(1.0 - r) * r, r * r);
    let q = [[a, b], [b, c]];
    let mut p = [0.5, 0.5];
    for _ in 0..STEPS {
        let mut qp = [q[0][0] * p[0] + q[0][1] * p[1], q[1][0] * p[0] + q[1][1] * p[1]];
        let mut pqp = p[0] * qp[0] + p[1] * qp[1];
        if (qp[0] - pqp).abs().max((qp[1] - pqp).abs()) < NEAR {
            break;
        }
        for i in 0..2 {
            let step = (pqp - qp[i]) / q[i][i];
            p[i] += step;
            pqp = (pqp + step * (step * q[i][i] + 2.0 * qp[i])) / (1.0 + step) / (1.0 + step);
            for j in 0..2 {
                qp[j] = (qp[j] + step * q[i][j]) / (1.0 + step);
                p[j] /= 1.0 + step;
            }
        }
    }
    p[0]
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}
