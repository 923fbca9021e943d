//! Rounding to the nearest integer, half to even.
//!
//! Where every value of the argument is a multiple of `2^-k`, halves are met, and with `u = x − 2·floor(x/2)` the
//! nearest integer is `2·floor(x/2) + [u > ½] + [u ≥ 3/2]`. Elsewhere a value is a half only as far as its
//! coefficients are rounded: it is scaled by `2^s` and shifted back, in one node.

use super::{
    dims,
    expr::{Atom, Blocked, Expr},
    requantise::{clip_name, constant_magnitude},
    Lazy, LowerError, Lowering, Pending,
};
use crate::{
    graph::{Node, Op},
    onnx::graph::FloatNode,
    scale::Scale,
};

/// Multiples of smaller powers of two do not count as such.
const MAX_BITS: u8 = 24;
/// Coefficients are known to this part of the result's unit, together.
const PRECISION_BITS: i32 = 6;

/// The smallest `k` for which all coefficients of an expression are integers times `2^-k`.
fn dyadic(expr: &Expr) -> Option<u8> {
    let whole = |v: f64| (v - libm::round(v)).abs() <= 1e-9 * v.abs().max(1.0);
    (0..=MAX_BITS).find(|k| {
        let power = libm::ldexp(1.0, (*k).into());
        expr.atoms.iter().all(|a| match &a.dense {
            None => whole(a.coef * power),
            Some(dense) => dense.values.iter().all(|v| whole(v * a.coef * power)),
        })
    })
}

/// A constant number.
fn number(value: f64) -> Atom {
    Atom { coef: value, dense: None, reads: vec![], summed: vec![] }
}

impl Lowering<'_> {
    /// `clip(round(x), lo, hi)`.
    pub(super) fn round(&mut self, node: &FloatNode, (lo, hi): (f64, f64)) -> Result<Lazy, LowerError> {
        let expr = self.fetch(node.inputs[0])?;
        if self.is_coarse(&expr) {
            return Err(LowerError::Inexact);
        }
        let pending = (lo.is_finite() || hi.is_finite()).then(|| Pending { window: vec![], lo, hi });
        match dyadic(&expr) {
            Some(0) => Ok(Lazy { pending, ..self.lazy(node, expr) }),
            Some(bits) => {
                let expr = self.round_multiples(node, &expr, bits)?;
                Ok(Lazy { pending, ..self.lazy(node, expr) })
            }
            None => self.round_reals(node, &expr, (lo, hi)),
        }
    }

    /// Whether one step of a real input moves the expression by more than half an integer. (Inputs in steps of one
    /// were whole in calibration.)
    fn is_coarse(&self, expr: &Expr) -> bool {
        let inputs = &self.float.inputs;
        let real = |t: crate::graph::TensorId| inputs.get(t.0 as usize).is_some_and(|id| !self.is_integer(*id));
        let real = |t: crate::graph::TensorId| real(t) && self.tensors[t.0 as usize].scale != Scale::ONE;
        expr.atoms.iter().any(|a| constant_magnitude(a) > 0.5 && a.reads.iter().any(|r| real(r.tensor)))
    }

    /// An exact node of an expression that counts steps, shifted.
    fn steps(&mut self, expr: &Expr, (shift, op): (u8, Op), name: &str, shape: &[u32]) -> Result<Expr, LowerError> {
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let form = self.commit(&expr, &order, 1.0, name)?;
        let node = Node { name: clip_name(name), form, shift, op, scale: Scale::ONE };
        let tensor = self.push_node(node, shape)?;
        Ok(Expr::tensor(&mut self.axes, tensor, shape, 1.0))
    }

    fn round_multiples(&mut self, node: &FloatNode, expr: &Expr, bits: u8) -> Result<Expr, LowerError> {
        let shape = dims(self.float.shape(node.output));
        let name = |part: &str| format!("{}/{part}", node.name);
        let half = libm::ldexp(1.0, i32::from(bits) - 1);
        let open = |lo, hi| Op::Clamp { lo, hi, under: false };
        let blocked = |Blocked| LowerError::NotSeparable;
        // In steps of 2^-bits.
        let x = expr.freshened(&mut self.axes).scaled(2.0 * half);
        let x = self.steps(&x, (0, open(None, None)), &name("steps"), &shape)?;
        let mut lowered = x.freshened(&mut self.axes);
        lowered.atoms.push(number(-2.0 * half));
        let even = self.steps(&lowered, (bits + 1, open(None, None)), &name("even"), &shape)?.scaled(2.0);
        let negative = even.freshened(&mut self.axes).scaled(-2.0 * half);
        let rest = x.plus(&mut self.axes, negative).map_err(blocked)?;
        let mut sum = even;
        for (part, offset) in [("first", -half), ("second", 1.0 - 3.0 * half)] {
            let mut step = rest.freshened(&mut self.axes);
            step.atoms.push(number(offset));
            let step = self.steps(&step, (0, open(Some(0), Some(1))), &name(part), &shape)?;
            sum = sum.plus(&mut self.axes, step).map_err(blocked)?;
        }
        Ok(sum)
    }

    fn round_reals(&mut self, node: &FloatNode, expr: &Expr, (lo, hi): (f64, f64)) -> Result<Lazy, LowerError> {
        let shape = dims(self.float.shape(node.output));
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        // What the result moves by, at most, when every coefficient moves by one.
        #[allow(clippy::cast_precision_loss)] // magnitudes
        let reach: f64 = expr
            .atoms
            .iter()
            .map(|a| {
                let largest = |t: crate::graph::TensorId| {
                    let bounds = self.tensors[t.0 as usize].bounds;
                    bounds.lo.unsigned_abs().max(bounds.hi.unsigned_abs()) as f64
                };
                let values: f64 = a.reads.iter().map(|r| largest(r.tensor)).product();
                values * self.axes.volume(&a.summed) as f64
            })
            .sum();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let shift = (libm::ceil(libm::log2(reach.max(1.0))) + f64::from(PRECISION_BITS)).clamp(8.0, 40.0) as u8;
        let form = self.commit(&expr, &order, libm::ldexp(1.0, -i32::from(shift)), &node.name)?;
        let bound = |v: f64| v.is_finite().then_some(v).map(super::emit::integer).transpose();
        let op = Op::Clamp { lo: bound(lo)?, hi: bound(hi)?, under: false };
        let node_name = clip_name(&node.name);
        let tensor = self.push_node(Node { name: node_name, form, shift, op, scale: Scale::ONE }, &shape)?;
        Ok(self.lazy_tensor(node, tensor))
    }
}
