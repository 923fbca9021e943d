//! Activations: clamps, their linear combinations, and tables.

use super::{
    dims,
    expr::{Atom, Blocked, Expr},
    requantise::{clip_name, constant_magnitude, magnitudes, quantised, scale},
    Lazy, LowerError, Lowering, Pending,
};
use crate::{
    calibrate::Range,
    curve::Curve,
    graph::{Node, Op, TensorId},
    onnx::{
        graph::{FloatNode, ValueId},
        ops::elementwise::Unary,
    },
    table::Function,
};

/// Beyond these arguments sigmoid and tanh are constant at any useful precision.
const SIGMOID_END: f64 = 12.0;
const TANH_END: f64 = 6.0;

impl Lowering<'_> {
    pub(super) fn unary(&mut self, node: &FloatNode, unary: Unary) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        if unary == Unary::Floor && self.is_integer(input) {
            let expr = self.fetch(input)?;
            return Ok(self.lazy(node, expr));
        }
        let levels = |bits: u8| libm::ldexp(1.0, bits.into()) - 1.0;
        match unary {
            Unary::Sigmoid if self.is_fine() => self.curve(node, Curve::Sigmoid),
            Unary::Tanh if self.is_fine() => self.curve(node, Curve::Tanh),
            Unary::Exp if self.is_fine() => self.curve(node, Curve::Exp),
            Unary::Relu => self.clamped(node, (0.0, f64::INFINITY)),
            Unary::Clip { lo, hi } => self.clamped(node, (lo, hi)),
            Unary::HardSigmoid { alpha, beta } => {
                let expr = self.fetch(input)?;
                let lazy = self.lazy(node, affine(expr, alpha, beta));
                Ok(Lazy { pending: Some(Pending { window: vec![], lo: 0.0, hi: 1.0 }), ..lazy })
            }
            Unary::HardSwish => self.hard_swish(node),
            Unary::LeakyRelu { alpha } => {
                let (positive, negative) = self.halves(node)?;
                let expr = self.combine(positive, negative.scaled(-alpha))?;
                Ok(self.lazy(node, expr))
            }
            Unary::Abs => {
                let (positive, negative) = self.halves(node)?;
                let expr = self.combine(positive, negative)?;
                Ok(self.lazy(node, expr))
            }
            Unary::Neg => {
                let expr = self.fetch(input)?.scaled(-1.0);
                Ok(self.lazy(node, expr))
            }
            Unary::Sigmoid => {
                let domain = self.domain(input, SIGMOID_END);
                self.function(node, Function::Sigmoid, domain, 1.0 / levels(self.recipe.bits))
            }
            Unary::Tanh => {
                let domain = self.domain(input, TANH_END);
                self.function(node, Function::Tanh, domain, 1.0 / levels(self.recipe.bits - 1))
            }
            Unary::Floor => self.floor(node),
            Unary::Round { lo, hi } => self.round(node, (lo, hi)),
            Unary::Curve(curve) => self.curve(node, curve),
            Unary::Exp => {
                let range = self.ranges[input.0];
                let top = libm::exp(range.hi.min(700.0));
                self.function(node, Function::Exp, range, top / levels(self.recipe.bits))
            }
        }
    }

    /// Whether tables of the recipe's size are too coarse for its activations.
    pub(super) fn is_fine(&self) -> bool {
        self.recipe.bits > self.recipe.table_bits
    }

    /// The calibrated range of a value and an eighth more, cut to where a function still changes.
    fn domain(&self, id: ValueId, end: f64) -> Range {
        let range = self.ranges[id.0];
        let slack = (range.hi - range.lo) / 8.0;
        let lo = (range.lo - slack).clamp(-end, end);
        let hi = (range.hi + slack).clamp(-end, end);
        if hi - lo > 1e-6 {
            Range { lo, hi }
        } else {
            Range { lo: lo - 0.5, hi: hi + 0.5 }
        }
    }

    fn function(&mut self, node: &FloatNode, function: Function, domain: Range, unit: f64) -> Result<Lazy, LowerError> {
        let expr = self.fetch(node.inputs[0])?;
        let shape = dims(self.float.shape(node.output));
        let domain = (domain, self.table_entries());
        let tensor = self.lookup(&expr, function, domain, unit, &node.name, &shape)?;
        Ok(self.lazy_tensor(node, tensor))
    }

    fn clamped(&mut self, node: &FloatNode, bounds: (f64, f64)) -> Result<Lazy, LowerError> {
        self.clamped_value(node, node.inputs[0], bounds)
    }

    fn clamped_value(&mut self, node: &FloatNode, value: ValueId, (lo, hi): (f64, f64)) -> Result<Lazy, LowerError> {
        let (expr, before) = self.take(value)?;
        let clip = |v: f64| v.max(lo).min(hi);
        let pending = Pending { lo: clip(before.lo), hi: clip(before.hi), window: before.window };
        let lazy = self.lazy(node, expr);
        Ok(Lazy { pending: Some(pending), ..lazy })
    }

    /// `max(a, b) = b + max(a − b, 0)` and `min(a, b) = a − max(a − b, 0)`; with a number, a clamp.
    pub(super) fn extremum(&mut self, node: &FloatNode, is_max: bool) -> Result<Lazy, LowerError> {
        let (a, b) = (node.inputs[0], node.inputs[1]);
        for (value, constant) in [(a, b), (b, a)] {
            let number = self.float.constant(constant).and_then(|c| c.scalar());
            let same = self.float.shape(value) == self.float.shape(node.output);
            if let (Some(number), true) = (number, same) {
                let bounds = if is_max { (number, f64::INFINITY) } else { (f64::NEG_INFINITY, number) };
                return self.clamped_value(node, value, bounds);
            }
        }
        for id in [a, b] {
            if self.is_heavy(id) {
                self.tensor(id)?;
            }
        }
        let difference = self.with(&[a, b], |axes, operands| {
            let b = operands.pop().ok_or(Blocked)?;
            operands.pop().ok_or(Blocked)?.plus(axes, b.scaled(-1.0))
        })?;
        // What a − b reaches above zero, from the ranges of both.
        let range = |id: ValueId| match self.float.constant(id) {
            Some(c) => Range::of(&c.data),
            None => self.ranges[id.0],
        };
        let hi = (range(a).hi - range(b).lo).max(0.0);
        let shape = dims(self.float.shape(node.output));
        let name = format!("{}/difference", node.name);
        let positive = (0.0, f64::INFINITY);
        let excess = if self.is_integer(node.output) && Self::integral_unit(&difference) {
            self.integral(&difference, positive, &name, &shape)?
        } else {
            self.requantise(&difference, &[], positive, Range { lo: 0.0, hi }, &shape, &name)?
        };
        let excess = self.read(excess, &shape);
        let (base, sign) = if is_max { (b, 1.0) } else { (a, -1.0) };
        let expr = self.with(&[base], |axes, operands| {
            let excess = excess.freshened(axes).scaled(sign);
            excess.plus(axes, operands.pop().ok_or(Blocked)?)
        })?;
        Ok(self.lazy(node, expr))
    }

    fn combine(&mut self, a: Expr, b: Expr) -> Result<Expr, LowerError> {
        a.plus(&mut self.axes, b).map_err(|Blocked| LowerError::NotSeparable)
    }

    /// `max(x, 0)` and `max(−x, 0)` as two tensors of one node.
    fn halves(&mut self, node: &FloatNode) -> Result<(Expr, Expr), LowerError> {
        let input = node.inputs[0];
        let expr = self.fetch(input)?;
        let target = self.target(Range { lo: 0.0, hi: self.ranges[input.0].magnitude() }, (0.0, f64::INFINITY));
        let name = clip_name(&format!("{}/halves", node.name));
        let positive = self.fitting(&expr, &[], target, &name, &|this, expr| this.positive_half(node, expr))?;
        let negative = TensorId(positive.0 + 1);
        let shape = dims(self.float.shape(node.output));
        Ok((self.read(positive, &shape), self.read(negative, &shape)))
    }

    /// The first of the tensors of [`Lowering::halves`].
    fn positive_half(&mut self, node: &FloatNode, expr: &Expr) -> Result<TensorId, LowerError> {
        let input = node.inputs[0];
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let range = self.ranges[input.0];
        let magnitude = Range { lo: 0.0, hi: range.magnitude() };
        let chosen = self.choose(&expr, self.target(magnitude, (0.0, f64::INFINITY)));
        let unit = scale(chosen.scale)?;
        let form = self.commit(&expr, &order, libm::ldexp(unit.to_f64(), -i32::from(chosen.shift)), &node.name)?;
        let top = (1_i64 << self.recipe.bits) - 1;
        let hi = (quantised(&form, chosen.shift).hi > top).then_some(top);
        let op = Op::Clamp { lo: Some(0), hi, under: true };
        let name = clip_name(&format!("{}/halves", node.name));
        let shape = dims(self.float.shape(node.output));
        self.push_node(Node { name, form, shift: chosen.shift, op, scale: unit }, &shape)
    }

    pub(super) fn prelu(&mut self, node: &FloatNode) -> Result<Lazy, LowerError> {
        let (positive, negative) = self.halves(node)?;
        let slope = node.inputs[1];
        let expr = self.with(&[slope], |axes, operands| {
            let slope = operands.pop().ok_or(Blocked)?;
            let below = negative.freshened(axes).times(axes, slope.scaled(-1.0))?;
            positive.freshened(axes).plus(axes, below)
        })?;
        Ok(self.lazy(node, expr))
    }

    /// `x · clip(x / 6 + 1/2, 0, 1)`.
    fn hard_swish(&mut self, node: &FloatNode) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        self.tensor(input)?;
        let shape = dims(self.float.shape(node.output));
        let gate = affine(self.fetch(input)?, 1.0 / 6.0, 0.5);
        let name = format!("{}/gate", node.name);
        let unit = Range { lo: 0.0, hi: 1.0 };
        let gate = self.requantise(&gate, &[], (0.0, 1.0), unit, &shape, &name)?;
        let gate = self.read(gate, &shape);
        let expr = self.with(&[input], |axes, operands| {
            let gate = gate.freshened(axes);
            operands.pop().ok_or(Blocked)?.times(axes, gate)
        })?;
        Ok(self.lazy(node, expr))
    }

    /// Whether an expression is one tensor times one number.
    pub(super) fn is_single(expr: &Expr) -> bool {
        matches!(expr.atoms.as_slice(), [Atom { dense: None, reads, .. }] if reads.len() == 1)
    }

    /// A unit at which an expression without weights is exact or nearly so.
    pub(super) fn fine_unit(&self, expr: &Expr) -> f64 {
        let bits = -i32::from(self.recipe.bits).max(10);
        let (scalars, _) = magnitudes(expr);
        let largest = scalars.iter().copied().fold(0.0, f64::max);
        match (Self::is_single(expr), largest > 0.0) {
            (true, _) => largest,
            (false, true) => {
                // Also of what has a small unit and large integers.
                let needed = self.needed_factors(expr, f64::INFINITY, self.recipe.factor_bits());
                let smallest = needed.into_iter().filter(|f| *f > 0.0).fold(f64::INFINITY, f64::min);
                libm::ldexp(largest, bits).min(libm::ldexp(smallest, -SUMMAND_BITS))
            }
            (false, false) => {
                let constants: f64 = expr.atoms.iter().map(constant_magnitude).sum();
                libm::ldexp(if constants > 0.0 { constants } else { 1.0 }, bits)
            }
        }
    }

    /// Emits `round(numerator / denominator)` in units of about `target`; the denominator keeps its sign provably.
    pub(super) fn quotient(
        &mut self,
        (numerator, denominator): (Expr, Expr),
        target: f64,
        plus_one: bool,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let unit = self.fine_unit(&numerator);
        self.quotient_in((numerator, unit), denominator, target, plus_one, name, shape)
    }

    /// [`Lowering::quotient`] of a numerator in a unit of its own.
    pub(super) fn quotient_in(
        &mut self,
        (numerator, top_unit): (Expr, f64),
        denominator: Expr,
        target: f64,
        plus_one: bool,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let (mut top, mut bottom) = (numerator, denominator);
        top.align(&mut self.axes, &mut bottom).map_err(|Blocked| LowerError::NotSeparable)?;
        let bottom_unit = self.fine_unit(&bottom);
        // y = N · u_n / (D · u_d), so with an integer m the unit of floor(m N / D) is u_n / (u_d · m).
        let multiple = libm::ceil(top_unit / (bottom_unit * target)).max(1.0);
        // A numerator much finer than the result is divided by more.
        let spare = libm::floor(libm::log2(bottom_unit * target / top_unit)) - QUOTIENT_BITS;
        let more = if spare >= 1.0 && !plus_one { libm::exp2(spare.min(40.0)) } else { 1.0 };
        let order = top.axes();
        let params = self.weights.len();
        let probe = self.commit(&bottom, &order, bottom_unit, name)?.bounds;
        self.roll_back(params);
        let sign = match (probe.lo, probe.hi) {
            (1.., _) => 1.0,
            (0.., _) if plus_one => 1.0,
            (_, i64::MIN..=-1) => -1.0,
            (lo, hi) => {
                #[allow(clippy::cast_precision_loss)] // for people
                return Err(LowerError::Denominator { lo: lo as f64 * bottom_unit, hi: hi as f64 * bottom_unit });
            }
        };
        let half = bottom.clone().scaled(more * sign / bottom_unit);
        let mut divisor = bottom.scaled(more * 2.0 * sign / bottom_unit);
        if plus_one {
            divisor.atoms.push(Atom { coef: 1.0, dense: None, reads: vec![], summed: vec![] });
        }
        let mut form_expr = top.scaled(2.0 * multiple * sign / top_unit);
        form_expr.atoms.extend(half.atoms);
        let form = self.commit(&form_expr, &order, 1.0, name)?;
        let denominator = self.commit(&divisor, &order, 1.0, name)?;
        let unit = scale(top_unit * more / (bottom_unit * multiple))?;
        let op = Op::Div { denominator };
        self.push_node(Node { name: clip_name(name), form, shift: 0, op, scale: unit }, shape)
    }
}

/// A quotient has a unit finer than it needs by up to so many bits.
const QUOTIENT_BITS: f64 = 3.0;
/// Coefficients of summands are precise to so many bits of the largest one.
const SUMMAND_BITS: i32 = 12;

/// `alpha · x + beta`.
fn affine(expr: Expr, alpha: f64, beta: f64) -> Expr {
    let mut expr = expr.scaled(alpha);
    if beta != 0.0 {
        expr.atoms.push(Atom { coef: beta, dense: None, reads: vec![], summed: vec![] });
    }
    expr
}
