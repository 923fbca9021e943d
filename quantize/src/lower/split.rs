//! Sums whose exact value would leave 62 bits: their products become tensors of their own.

use super::{expr::Blocked, requantise, AxisId, Expr, LowerError, Lowering};
use crate::{
    calibrate::Range,
    graph::{Node, Op, TensorId},
};

/// Products on their own have a unit so many bits finer than the result's.
const FINER_BITS: i32 = 3;

impl Lowering<'_> {
    /// Emits `min(max(max_window(requantised expression), lo), hi)`, saturated to the recipe's bits.
    pub(super) fn requantise(
        &mut self,
        expr: &Expr,
        window: &[AxisId],
        clamp: (f64, f64),
        range: Range,
        shape: &[u32],
        name: &str,
    ) -> Result<TensorId, LowerError> {
        let params = self.weights.len();
        match self.requantise_sum(expr, window, clamp, range, shape, name) {
            Err(LowerError::TooWide) if window.is_empty() => {
                self.roll_back(params);
                let expr = self.split(expr, self.target(range, clamp), name)?;
                self.requantise_sum(&expr, window, clamp, range, shape, name)
            }
            tensor => tensor,
        }
    }

    /// The expression as a tensor of about this unit, cut to a domain; the tensor that it is, if that will do.
    pub(super) fn fine_tensor(
        &mut self,
        expr: &Expr,
        domain: Range,
        target: f64,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let params = self.weights.len();
        match self.fine_sum(expr, domain, target, name, shape) {
            Err(LowerError::TooWide) => {
                self.roll_back(params);
                let expr = self.split(expr, target, name)?;
                self.fine_sum(&expr, domain, target, name, shape)
            }
            tensor => tensor,
        }
    }

    /// The same sum with its products of tensors as one tensor, a little finer than `target`. The unit of a product is
    /// that of both factors together: beside something large, such as a mask of -1e9, it leaves too few bits.
    fn split(&mut self, expr: &Expr, target: f64, name: &str) -> Result<Expr, LowerError> {
        let part = |products: bool| Expr {
            dims: expr.dims.clone(),
            atoms: expr.atoms.iter().filter(|a| (a.reads.len() > 1) == products).cloned().collect(),
        };
        let (products, rest) = (part(true), part(false));
        if products.atoms.is_empty() || rest.atoms.is_empty() {
            return Err(LowerError::TooWide);
        }
        let size = |axis: &AxisId| self.axes.size(*axis);
        let shape: Vec<u32> = expr.dims.iter().map(|axes| axes.iter().map(size).product()).collect();
        let products = self.compacted(products, &[]);
        let order = products.axes();
        let chosen = self.choose(&products, libm::ldexp(target, -FINER_BITS));
        let unit = requantise::scale(chosen.scale)?;
        let name = requantise::clip_name(&format!("{name}/products"));
        let form = self.commit(&products, &order, libm::ldexp(unit.to_f64(), -i32::from(chosen.shift)), &name)?;
        let op = Op::Clamp { lo: None, hi: None, under: false };
        let tensor = self.push_node(Node { name, form, shift: chosen.shift, op, scale: unit }, &shape)?;
        let tensor = self.read(tensor, &shape);
        rest.plus(&mut self.axes, tensor).map_err(|Blocked| LowerError::NotSeparable)
    }
}
