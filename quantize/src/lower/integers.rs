//! Exact arithmetic of integer tensors.

use super::{
    dims,
    emit::integer,
    expr::{Blocked, Expr},
    requantise::clip_name,
    Lazy, LowerError, Lowering,
};
use crate::{
    calibrate::Range,
    graph::{Node, Op, TensorId},
    onnx::graph::{FloatNode, ValueId},
    scale::Scale,
};

/// For maps of errors.
pub(super) fn blocked(_: Blocked) -> LowerError {
    LowerError::NotSeparable
}

impl Lowering<'_> {
    /// Whether a value holds integers.
    pub(super) fn is_integer(&self, id: ValueId) -> bool {
        self.float.values[id.0].integer
    }

    /// `clamp(x, 0, 1)` of an expression whose unit is one integer step.
    pub(super) fn step(&mut self, expr: &Expr, name: &str, shape: &[u32]) -> Result<TensorId, LowerError> {
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let form = self.commit(&expr, &order, 1.0, name)?;
        let op = Op::Clamp { lo: Some(0), hi: Some(1), under: false };
        self.push_node(Node { name: clip_name(name), form, shift: 0, op, scale: Scale::ONE }, shape)
    }

    /// An exact node of an expression in integer steps.
    pub(super) fn exact(&mut self, expr: &Expr, shift: u8, name: &str, shape: &[u32]) -> Result<TensorId, LowerError> {
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let form = self.commit(&expr, &order, 1.0, name)?;
        let op = Op::Clamp { lo: None, hi: None, under: false };
        self.push_node(Node { name: clip_name(name), form, shift, op, scale: Scale::ONE }, shape)
    }

    /// A tensor's integers as an expression.
    pub(super) fn integers(&mut self, tensor: TensorId, shape: &[u32]) -> Expr {
        Expr::tensor(&mut self.axes, tensor, shape, 1.0)
    }

    /// An expression light enough to be compared; heavy ones become tensors.
    pub(super) fn light(&mut self, id: ValueId) -> Result<(), LowerError> {
        if self.values[id.0].is_some() && self.is_heavy(id) {
            self.tensor(id)?;
        }
        Ok(())
    }

    /// Whether an expression has integer coefficients.
    pub(super) fn integral_unit(expr: &Expr) -> bool {
        expr.atoms.iter().all(|a| {
            let whole = |v: f64| (v - libm::round(v)).abs() < 1e-6;
            match &a.dense {
                None => whole(a.coef),
                Some(d) => d.values.iter().all(|v| whole(v * a.coef)),
            }
        })
    }

    /// `trunc(a / b)` of integers, for a denominator of one sign.
    pub(super) fn divide_integers(&mut self, node: &FloatNode, a: ValueId, b: ValueId) -> Result<Lazy, LowerError> {
        let shape = dims(self.float.shape(node.output));
        let range = |this: &Self, id: ValueId| match this.float.constant(id) {
            Some(c) => Range::of(&c.data),
            None => this.ranges[id.0],
        };
        let (of_a, of_b) = (range(self, a), range(self, b));
        if of_b.lo <= 0.0 && of_b.hi >= 0.0 {
            return Err(LowerError::Denominator { lo: of_b.lo, hi: of_b.hi });
        }
        let sign = if of_b.lo > 0.0 { 1.0 } else { -1.0 };
        for id in [a, b] {
            if self.values[id.0].is_some() {
                self.tensor(id)?;
            }
        }
        // Floors are truncations of what is not negative.
        let bounds = self.values[a.0].as_ref().and_then(|l| l.tensor).map(|t| self.tensors[t.0 as usize].bounds);
        let mut parts = Vec::new();
        if bounds.map_or(of_a.lo >= 0.0, |b| b.lo >= 0) {
            parts.push((self.fetch(a)?, sign, node.name.clone()));
        } else {
            let input = self.values[a.0].as_ref().and_then(|l| l.tensor);
            let input = input.ok_or(LowerError::Internal("a constant of both signs over integers"))?;
            let own = dims(self.float.shape(a));
            let read = self.integers(input, &own);
            let read = self.compacted(read, &[]);
            let name = format!("{}/halves", node.name);
            let form = self.commit(&read, &read.axes(), 1.0, &name)?;
            let op = Op::Clamp { lo: Some(0), hi: None, under: true };
            let halves = Node { name: clip_name(&name), form, shift: 0, op, scale: Scale::ONE };
            let above = self.push_node(halves, &own)?;
            parts.push((self.integers(above, &own), sign, format!("{}/above", node.name)));
            parts.push((self.integers(TensorId(above.0 + 1), &own), -sign, format!("{}/below", node.name)));
        }
        let mut sum: Option<Expr> = None;
        for (mut top, factor, name) in parts {
            let mut bottom = self.fetch(b)?.scaled(sign);
            top.align(&mut self.axes, &mut bottom).map_err(blocked)?;
            let order = top.axes();
            let form = self.commit(&top, &order, 1.0, &name)?;
            let denominator = self.commit(&bottom, &order, 1.0, &name)?;
            if denominator.bounds.lo < 1 {
                return Err(LowerError::Denominator { lo: of_b.lo, hi: of_b.hi });
            }
            let op = Op::Div { denominator };
            let node = Node { name: clip_name(&name), form, shift: 0, op, scale: Scale::ONE };
            let tensor = self.push_node(node, &shape)?;
            let quotient = self.integers(tensor, &shape).scaled(factor);
            sum = Some(match sum {
                None => quotient,
                Some(sum) => sum.plus(&mut self.axes, quotient).map_err(blocked)?,
            });
        }
        let expr = sum.ok_or(LowerError::Internal("no quotient"))?;
        Ok(self.lazy(node, expr))
    }

    /// A tensor of integers, exact.
    pub(super) fn integral(
        &mut self,
        expr: &Expr,
        (lo, hi): (f64, f64),
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let form = self.commit(&expr, &order, 1.0, name)?;
        let bound = |v: f64| if v.is_finite() { integer(v).map(Some) } else { Ok(None) };
        let (lo, hi) = (bound(libm::ceil(lo))?, bound(libm::floor(hi))?);
        let (lo, hi) = (lo.filter(|lo| *lo > form.bounds.lo), hi.filter(|hi| *hi < form.bounds.hi));
        let op = Op::Clamp { lo, hi, under: false };
        self.push_node(Node { name: clip_name(name), form, shift: 0, op, scale: Scale::ONE }, shape)
    }
}
