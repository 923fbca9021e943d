//! Rounding to the nearest integer, half to even, and down to multiples.
//!
//! Where every value of the argument is a multiple of `1/d`, halves are met, and with `u = x − 2·floor(x/2)` the
//! nearest integer is `2·floor(x/2) + [u > ½] + [u ≥ 3/2]`. Elsewhere a value is a half only as far as its
//! coefficients are rounded: it is scaled by `2^s` and shifted back, in one node.

use super::{
    dims,
    expr::{Atom, Expr},
    integers::blocked,
    requantise::{clip_name, constant_magnitude, weight_grain},
    Lazy, LowerError, Lowering, Pending,
};
use crate::{
    graph::{Node, Op, TensorId},
    onnx::graph::FloatNode,
    scale::Scale,
};

/// Multiples of parts of smaller powers of two do not count as such.
const MAX_BITS: u8 = 24;
/// The largest odd divisor.
const MAX_ODD: u32 = 63;
/// What constants are known to.
const PRECISION: f64 = 1e-7;
/// Coefficients are known to this part of the result's unit, together.
const PRECISION_BITS: i32 = 10;
/// A factor that integer weights share has at least so many bits.
const FACTOR_BITS: i32 = 18;

/// A divisor `odd · 2^bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Divisor {
    odd: u32,
    bits: u8,
}

impl Divisor {
    pub(super) fn value(self) -> f64 {
        libm::ldexp(f64::from(self.odd), self.bits.into())
    }

    /// The smallest one of which all coefficients of an expression are integer parts, as far as 32-bit floats tell.
    pub(super) fn of(expr: &Expr) -> Option<Self> {
        let whole = |v: f64| (v - libm::round(v)).abs() <= (v.abs() * PRECISION).min(1e-4);
        let fits = |divisor: &Self| {
            let d = divisor.value();
            expr.atoms.iter().all(|a| match &a.dense {
                None => whole(a.coef * d),
                Some(dense) => dense.values.iter().all(|v| whole(v * a.coef * d)),
            })
        };
        (1..=MAX_ODD).step_by(2).find_map(|odd| (0..=MAX_BITS).map(|bits| Self { odd, bits }).find(fits))
    }
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
        match Divisor::of(&expr) {
            Some(Divisor { odd: 1, bits: 0 }) => Ok(Lazy { pending, ..self.lazy(node, expr) }),
            Some(divisor) => {
                let expr = self.round_multiples(node, &expr, divisor)?;
                Ok(Lazy { pending, ..self.lazy(node, expr) })
            }
            None => self.round_reals(node, &expr, (lo, hi)),
        }
    }

    /// Whether one step of a real input moves the expression by more than half an integer. (Inputs in steps of one
    /// were whole in calibration.)
    fn is_coarse(&self, expr: &Expr) -> bool {
        let inputs = &self.float.inputs;
        let real = |t: TensorId| inputs.get(t.0 as usize).is_some_and(|id| !self.is_integer(*id));
        let real = |t: TensorId| real(t) && self.tensors[t.0 as usize].scale != Scale::ONE;
        expr.atoms.iter().any(|a| constant_magnitude(a) > 0.5 && a.reads.iter().any(|r| real(r.tensor)))
    }

    /// `floor(x / divisor)` of an expression that counts steps.
    pub(super) fn floored(
        &mut self,
        x: &Expr,
        divisor: Divisor,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let mut x = x.freshened(&mut self.axes);
        if divisor.odd == 1 {
            if divisor.bits > 0 {
                x.atoms.push(number(-divisor.value() / 2.0));
            }
            return self.exact(&x, divisor.bits, name, shape);
        }
        let x = self.compacted(x, &[]);
        let order = x.axes();
        let bottom = Expr { dims: x.dims.clone(), atoms: vec![number(divisor.value())] };
        let form = self.commit(&x, &order, 1.0, name)?;
        let denominator = self.commit(&bottom, &order, 1.0, name)?;
        let op = Op::Div { denominator };
        self.push_node(Node { name: clip_name(name), form, shift: 0, op, scale: Scale::ONE }, shape)
    }

    fn round_multiples(&mut self, node: &FloatNode, expr: &Expr, divisor: Divisor) -> Result<Expr, LowerError> {
        let shape = dims(self.float.shape(node.output));
        let name = |part: &str| format!("{}/{part}", node.name);
        let d = divisor.value();
        // In steps of 1/d.
        let x = expr.freshened(&mut self.axes).scaled(d);
        let x = self.exact(&x, 0, &name("steps"), &shape)?;
        let x = self.integers(x, &shape);
        let double = Divisor { bits: divisor.bits + 1, ..divisor };
        let even = self.floored(&x, double, &name("even"), &shape)?;
        let even = self.integers(even, &shape).scaled(2.0);
        let negative = even.freshened(&mut self.axes).scaled(-d);
        let twice_rest = x.plus(&mut self.axes, negative).map_err(blocked)?.scaled(2.0);
        let mut sum = even;
        for (part, offset) in [("first", -d), ("second", 1.0 - 3.0 * d)] {
            let mut step = twice_rest.freshened(&mut self.axes);
            step.atoms.push(number(offset));
            let step = self.step(&step, &name(part), &shape)?;
            let step = self.integers(step, &shape);
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
                let largest = |t: TensorId| {
                    let bounds = self.tensors[t.0 as usize].bounds;
                    bounds.lo.unsigned_abs().max(bounds.hi.unsigned_abs()) as f64
                };
                let values: f64 = a.reads.iter().map(|r| largest(r.tensor)).product();
                values * self.axes.volume(&a.summed) as f64
            })
            .sum();
        // Integers times one number stay integers: then only that number is rounded.
        let grain = if Self::is_single(&expr) { Some(expr.atoms[0].coef.abs()) } else { weight_grain(&expr) };
        let bits = match grain {
            Some(grain) => f64::from(FACTOR_BITS) - libm::floor(libm::log2(grain)),
            None => libm::ceil(libm::log2(reach.max(1.0))) + f64::from(PRECISION_BITS),
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let shift = bits.clamp(8.0, 40.0) as u8;
        let unit = libm::ldexp(1.0, -i32::from(shift));
        let unit = grain.map_or(unit, |grain| grain / libm::round(grain / unit).max(1.0));
        let form = self.commit(&expr, &order, unit, &node.name)?;
        let bound = |v: f64| v.is_finite().then_some(v).map(super::emit::integer).transpose();
        let op = Op::Clamp { lo: bound(lo)?, hi: bound(hi)?, under: false };
        let node_name = clip_name(&node.name);
        let tensor = self.push_node(Node { name: node_name, form, shift, op, scale: Scale::ONE }, &shape)?;
        Ok(self.lazy_tensor(node, tensor))
    }
}
