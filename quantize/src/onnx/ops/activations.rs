//! Activations that recurrent layers name in their attributes.

use crate::{
    curve::{Curve, Real},
    onnx::{
        context::Context,
        error::NodeProblem,
        graph::ValueId,
        ops::elementwise::{Binary, Unary},
    },
};

/// An activation with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Activation {
    /// One operator of the float graph.
    Unary(Unary),
    /// `alpha · x + beta`.
    Affine(f64, f64),
    /// `alpha · tanh(beta · x)`.
    ScaledTanh(f64, f64),
    /// `x` above `alpha`, else zero.
    ThresholdedRelu(f64),
}

impl Activation {
    /// The activation of a value.
    pub(crate) fn apply(self, c: &mut Context<'_>, x: ValueId) -> Result<ValueId, NodeProblem> {
        match self {
            Self::Unary(unary) => c.unary(unary, x),
            Self::Affine(alpha, beta) => c.affine(x, alpha, beta),
            Self::ScaledTanh(alpha, beta) => {
                let inner = c.affine(x, beta, 0.0)?;
                let tanh = c.unary(Unary::Tanh, inner)?;
                c.affine(tanh, alpha, 0.0)
            }
            Self::ThresholdedRelu(alpha) => {
                let threshold = c.scalar(alpha);
                let above = c.binary(Binary::Greater, x, threshold)?;
                c.mul(x, above)
            }
        }
    }
}

/// Parameters that have not been used yet, in order.
struct Parameters<'a> {
    left: &'a [f32],
    name: &'static str,
}

impl Parameters<'_> {
    /// The next parameter, or the default of the ONNX operator of the same name, if there is one.
    fn next(&mut self, default: Option<f64>) -> Result<f64, NodeProblem> {
        match self.left.split_first() {
            Some((first, rest)) => {
                self.left = rest;
                Some(f64::from(*first)).filter(|v| v.is_finite()).ok_or(NodeProblem::Attribute(self.name))
            }
            None => default.ok_or(NodeProblem::Attribute(self.name)),
        }
    }
}

/// Reads `activations`, `activation_alpha` and `activation_beta`: one list for every direction.
///
/// Parameters are used up in order by those activations that take them. More parameters than that could have been meant
/// in another way, and are refused.
pub(crate) fn read(c: &Context<'_>, default: &[&str], directions: usize) -> Result<Vec<Vec<Activation>>, NodeProblem> {
    let fail = || NodeProblem::Attribute("activations");
    let names = match c.attributes.get("activations") {
        Some(a) if !a.strings.is_empty() => {
            let names = a.strings.iter().map(|s| std::str::from_utf8(s).map(str::to_lowercase));
            names.collect::<Result<Vec<_>, _>>().map_err(|_| fail())?
        }
        _ => (0..directions).flat_map(|_| default.iter().map(|n| n.to_lowercase())).collect(),
    };
    if names.len() != default.len() * directions {
        return Err(fail());
    }
    let floats = |name| c.attributes.get(name).map_or(&[][..], |a| a.floats.as_slice());
    let mut alpha = Parameters { left: floats("activation_alpha"), name: "activation_alpha" };
    let mut beta = Parameters { left: floats("activation_beta"), name: "activation_beta" };
    let mut all = Vec::new();
    for name in names {
        all.push(match name.as_str() {
            "relu" => Activation::Unary(Unary::Relu),
            "tanh" => Activation::Unary(Unary::Tanh),
            "sigmoid" => Activation::Unary(Unary::Sigmoid),
            "softsign" => Activation::Unary(Unary::Curve(Curve::Softsign)),
            "softplus" => Activation::Unary(Unary::Curve(Curve::Softplus)),
            "leakyrelu" => Activation::Unary(Unary::LeakyRelu { alpha: alpha.next(Some(0.01))? }),
            "hardsigmoid" => {
                Activation::Unary(Unary::HardSigmoid { alpha: alpha.next(Some(0.2))?, beta: beta.next(Some(0.5))? })
            }
            "elu" => {
                let (alpha, one) = (Real::new(alpha.next(Some(1.0))?), Real::new(1.0));
                Activation::Unary(Unary::Curve(Curve::Elu { alpha, gamma: one, scale: one }))
            }
            // The specification and ONNX Runtime have different defaults for these.
            "thresholdedrelu" => Activation::ThresholdedRelu(alpha.next(None)?),
            "affine" => Activation::Affine(alpha.next(None)?, beta.next(None)?),
            "scaledtanh" => Activation::ScaledTanh(alpha.next(None)?, beta.next(None)?),
            _ => return Err(NodeProblem::Variant("an activation that is not one of the specification")),
        });
    }
    for parameters in [alpha, beta] {
        if !parameters.left.is_empty() {
            return Err(NodeProblem::Variant("more activation parameters than the activations take"));
        }
    }
    Ok(all.chunks(default.len()).map(<[Activation]>::to_vec).collect())
}
