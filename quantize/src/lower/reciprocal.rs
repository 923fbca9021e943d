//! Many numerators over one denominator: its reciprocal, once, and a product that is carried on.
//!
//! A quotient of its own costs two remainders an element. Where several elements are divided by the same number, as in
//! what is normalised by lines, that number's reciprocal is the only quotient; the product is a lazy expression that
//! whatever reads it rounds anyway.

use super::{expr::Expr, requantise::scale, selection::number, LowerError, Lowering};
use crate::{
    calibrate::Range,
    graph::TensorId,
    onnx::graph::{FloatOp, ValueId},
};

/// A denominator is worth a reciprocal when it divides at least so many elements.
const FEWEST: usize = 4;
/// Reciprocals of the largest denominators are precise to so many bits more than the recipe's.
const SPARE_BITS: i32 = 3;
/// Reciprocals that may be larger than the largest seen one by more than so many bits are saturated there.
const WIDE_BITS: i32 = 6;

impl Lowering<'_> {
    /// Whether a denominator divides several elements of a quotient.
    pub(super) fn divides_many(&self, output: ValueId, by: ValueId) -> bool {
        let count = |id: ValueId| self.float.shape(id).iter().product::<usize>();
        count(output) >= FEWEST.saturating_mul(count(by))
    }

    /// `1 / b` of a denominator in `seen`, whose static interval does not hold zero.
    pub(super) fn reciprocal(
        &mut self,
        by: &Expr,
        seen: Range,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let one = Expr { dims: vec![vec![]; by.dims.len()], atoms: vec![number(1.0)] };
        let target = libm::ldexp(1.0, -i32::from(self.recipe.bits) - SPARE_BITS) / seen.magnitude();
        scale(target)?;
        let by = by.freshened(&mut self.axes);
        let name = format!("{name}/reciprocal");
        let tensor = self.quotient_in((one, 1.0), by, target, false, &name, shape)?;
        let info = &self.tensors[tensor.0 as usize];
        #[allow(clippy::cast_precision_loss)] // a magnitude
        let most = info.bounds.lo.unsigned_abs().max(info.bounds.hi.unsigned_abs()) as f64 * info.scale.to_f64();
        let largest = 1.0 / seen.lo.abs().min(seen.hi.abs());
        if !largest.is_finite() || most <= libm::ldexp(largest, WIDE_BITS) {
            return Ok(tensor);
        }
        let ends = if seen.lo > 0.0 { (0.0, 2.0 * largest) } else { (-2.0 * largest, 0.0) };
        let wide = self.read(tensor, shape);
        let unit = self.tensors[tensor.0 as usize].scale.to_f64();
        self.fine_tensor(&wide, Range { lo: ends.0, hi: ends.1 }, unit, &format!("{name}/cut"), shape)
    }

    /// Whether the weights of a softmax over its last axis are worth being left unnormalised: nothing reads them but a
    /// matrix product with fewer columns than there are weights in a line.
    pub(super) fn only_weighs(&self, softmax: ValueId, axis: usize) -> bool {
        let shape = self.float.shape(softmax);
        if axis + 1 != shape.len() || self.readers[softmax.0] != 1 {
            return false;
        }
        let Some(reader) = self.float.nodes.iter().find(|n| n.inputs.contains(&softmax)) else { return false };
        let (FloatOp::MatMul, [weights, values]) = (&reader.op, reader.inputs.as_slice()) else { return false };
        let (values, product) = (self.float.shape(*values), self.float.shape(reader.output));
        *weights == softmax && values.len() > 1 && product.last().is_some_and(|columns| columns <= &shape[axis])
    }
}
