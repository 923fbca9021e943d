//! Quotients of integers, rounded down: exact.

use super::{dims, requantise::clip_name, Lazy, LowerError, Lowering};
use crate::{
    graph::{Node, Op},
    onnx::graph::FloatNode,
    scale::Scale,
};

impl Lowering<'_> {
    /// `floor(a / b)` of integers, b positive.
    pub(super) fn floor_quotient(&mut self, node: &FloatNode) -> Result<Lazy, LowerError> {
        let (a, b) = (node.inputs[0], node.inputs[1]);
        self.light(a)?;
        self.light(b)?;
        let (mut top, mut bottom) = (self.fetch(a)?, self.fetch(b)?);
        if !Self::integral_unit(&top) || !Self::integral_unit(&bottom) {
            return Err(LowerError::NotWhole);
        }
        top.align(&mut self.axes, &mut bottom)?;
        let order = top.axes();
        let form = self.commit(&top, &order, 1.0, &node.name)?;
        let denominator = self.commit(&bottom, &order, 1.0, &node.name)?;
        if denominator.bounds.lo < 1 {
            #[allow(clippy::cast_precision_loss)] // for people
            let (lo, hi) = (denominator.bounds.lo as f64, denominator.bounds.hi as f64);
            return Err(LowerError::Denominator { lo, hi });
        }
        let op = Op::Div { denominator };
        let shape = dims(self.float.shape(node.output));
        let name = clip_name(&node.name);
        let tensor = self.push_node(Node { name, form, shift: 0, op, scale: Scale::ONE }, &shape)?;
        Ok(self.lazy_tensor(node, tensor))
    }
}
