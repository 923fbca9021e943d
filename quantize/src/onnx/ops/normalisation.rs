//! Normalisations.

use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::FloatOp,
};

pub(crate) const OPS: &[&str] = &["BatchNormalization"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    if c.attributes.flag("training_mode") {
        return Err(NodeProblem::Variant("batch normalisation in training mode"));
    }
    (1..5).try_for_each(|i| c.constant(i).map(|_| ()))?;
    let epsilon = c.attributes.float("epsilon", 1e-5);
    c.op(FloatOp::BatchNorm { epsilon }, 5)
}
