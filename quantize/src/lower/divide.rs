//! Quotients of reals: denominators that are provably away from zero.
//!
//! A denominator is one of these, the first that it can be:
//!
//! * what its static interval already keeps away from zero;
//! * a count: whole numbers that a clip keeps above zero become at least 1, exactly. (Where the count is zero and the
//!   clip's bound is smaller, so is what is divided in all uses, a mean of nothing: the quotient is zero in both.)
//! * what a clip keeps above zero, or calibration saw away from zero: cut to the calibrated range and a little more. Where
//!   the clip was met in calibration, its bound is that of the denominator, as far as `2^-`[`BOUND_BITS`] of the largest
//!   one in bits beyond the recipe's.

use super::{
    dims,
    expr::Blocked,
    requantise::{clip_name, constant_magnitude, scale},
    Expr, Lazy, LowerError, Lowering, Pending,
};
use crate::{
    calibrate::Range,
    curve::Curve,
    graph::TensorId,
    onnx::{
        graph::{FloatGraph, FloatNode, FloatOp, ValueId},
        ops::elementwise::{Binary, Unary},
    },
};

/// Denominators have at most so many bits beyond the recipe's.
const BOUND_BITS: i32 = 6;
/// Quotients whose static interval is wider than the recipe's bits by more than this are saturated.
const WIDE_BITS: i32 = 8;
/// A quotient that does not fit is made coarser at most so many times, by four.
const COARSER: i32 = 10;

/// Values that nothing is done with but to divide by them.
pub(super) fn divisors(float: &FloatGraph) -> Vec<bool> {
    let mut found: Vec<Option<bool>> = vec![None; float.values.len()];
    for (_, id) in &float.outputs {
        found[id.0] = Some(false);
    }
    for node in float.nodes.iter().rev() {
        let divides = found[node.output.0] == Some(true);
        for (i, input) in node.inputs.iter().enumerate() {
            let divides = match &node.op {
                FloatOp::Binary(Binary::Div) => i == 1,
                FloatOp::Unary(Unary::Curve(Curve::Reciprocal)) => true,
                op => op.moves() && divides,
            };
            let before = found[input.0].unwrap_or(true);
            found[input.0] = Some(before && divides);
        }
    }
    found.into_iter().map(|f| f == Some(true)).collect()
}

impl Lowering<'_> {
    pub(super) fn divide(&mut self, node: &FloatNode, a: ValueId, b: ValueId) -> Result<Lazy, LowerError> {
        for id in [a, b] {
            let heavy = self.values[id.0].as_ref().is_some_and(|l| {
                l.expr.atoms.iter().any(|a| a.dense.is_some() && !a.reads.is_empty()) || l.expr.atoms.len() > 3
            });
            if heavy {
                self.tensor(id)?;
            }
        }
        if self.divides_many(node.output, b) {
            self.fetch(b)?;
            let start = self.mark();
            match self.inverse(node, b) {
                // One quotient an element can be coarser than a reciprocal.
                Err(LowerError::TooWide) => self.rewind(start),
                inverse => return self.divide_many(node, a, &inverse?),
            }
        }
        let numerator = self.fetch(a)?;
        self.fetch(b)?;
        let start = self.mark();
        match self.divided(node, &numerator, b, 0) {
            Err(LowerError::TooWide) => {
                self.rewind(start);
                if self.values[a.0].is_some() {
                    self.tensor(a)?;
                }
                let numerator = self.fetch(a)?;
                self.divided(node, &numerator, b, COARSER)
            }
            lazy => lazy,
        }
    }

    /// The reciprocal of a denominator that divides several elements, as a tensor.
    fn inverse(&mut self, node: &FloatNode, b: ValueId) -> Result<Expr, LowerError> {
        let (seen, shape) = (self.ranges[b.0], dims(self.float.shape(b)));
        let by = self.fetch(b)?;
        let mark = self.mark();
        let tensor = match self.reciprocal(&by, seen, &node.name, &shape) {
            Err(refused @ (LowerError::Denominator { .. } | LowerError::TooWide)) => {
                self.rewind(mark);
                let cut = if self.float.constant(b).is_some() { None } else { self.away_from_zero(b)? };
                self.reciprocal(&cut.ok_or(refused)?, seen, &node.name, &shape)?
            }
            tensor => tensor?,
        };
        Ok(self.read(tensor, &shape))
    }

    /// A product with a reciprocal.
    fn divide_many(&mut self, node: &FloatNode, a: ValueId, inverse: &Expr) -> Result<Lazy, LowerError> {
        let expr = self.with(&[a], |axes, operands| {
            let inverse = inverse.freshened(axes);
            operands.pop().ok_or(Blocked)?.times(axes, inverse)
        })?;
        Ok(self.lazy(node, expr))
    }

    /// `1 / b` of a count.
    pub(super) fn reciprocal_of_count(&mut self, node: &FloatNode) -> Result<Option<Lazy>, LowerError> {
        let b = node.inputs[0];
        if !self.is_count(b) {
            return Ok(None);
        }
        let one = Expr { dims: vec![vec![]; self.float.shape(b).len()], atoms: vec![super::selection::number(1.0)] };
        self.divided(node, &one, b, COARSER).map(Some)
    }

    /// The quotient of an expression and a value, in a unit that is coarser than it should be at most `most` times.
    fn divided(&mut self, node: &FloatNode, numerator: &Expr, b: ValueId, most: i32) -> Result<Lazy, LowerError> {
        let range = self.ranges[node.output.0];
        let shape = dims(self.float.shape(node.output));
        let target = self.target(range, (f64::NEG_INFINITY, f64::INFINITY));
        let mut by = self.fetch(b)?;
        let (mut mark, mut coarser, mut is_cut) = (self.mark(), 0, self.float.constant(b).is_some());
        let result = loop {
            let operands = (numerator.freshened(&mut self.axes), by.freshened(&mut self.axes));
            let target = libm::ldexp(target, 2 * coarser);
            let result = self.quotient(operands, target, false, &node.name, &shape);
            let refused = matches!(result, Err(LowerError::Denominator { .. }));
            if !refused && !matches!(result, Err(LowerError::TooWide)) {
                break result;
            }
            self.rewind(mark);
            // A tensor of the calibrated range is away from zero, and no wider than it needs to be.
            let cut = if is_cut { None } else { self.away_from_zero(b)? };
            is_cut = true;
            match cut {
                Some(cut) => (by, mark) = (cut, self.mark()),
                None if refused || coarser >= most => break result,
                None => coarser += 1,
            }
        };
        let tensor = result?;
        let info = &self.tensors[tensor.0 as usize];
        #[allow(clippy::cast_precision_loss)] // a magnitude
        let width = libm::log2((info.bounds.hi as f64 - info.bounds.lo as f64).max(1.0));
        if width > f64::from(i32::from(self.recipe.bits) + WIDE_BITS) {
            // Cut to what was seen: what reads it would have to hold all of its width.
            let wide = self.read(tensor, &shape);
            let open = (f64::NEG_INFINITY, f64::INFINITY);
            let name = format!("{}/cut", node.name);
            let tensor = self.requantise(&wide, &[], open, range, &shape, &name)?;
            return Ok(self.lazy_tensor(node, tensor));
        }
        Ok(self.lazy_tensor(node, tensor))
    }

    /// Whether a value is a whole number that is only divided by, and kept above zero.
    fn is_count(&self, id: ValueId) -> bool {
        self.divisors[id.0]
            && self.values[id.0].as_ref().is_some_and(|lazy| match &lazy.pending {
                Some(Pending { window, lo, .. }) => {
                    // Coefficients that are nearly zero are no whole numbers.
                    let large = lazy.expr.atoms.iter().all(|a| constant_magnitude(a) > 0.5);
                    window.is_empty() && *lo > 0.0 && large && Self::integral_unit(&lazy.expr)
                }
                None => false,
            })
    }

    /// A denominator with a clip as a tensor; `None` if it is another value.
    pub(super) fn clipped_divisor(&mut self, id: ValueId) -> Result<Option<TensorId>, LowerError> {
        if !self.divisors[id.0] {
            return Ok(None);
        }
        let Some(lazy) = self.values[id.0].clone() else { return Ok(None) };
        let Some(Pending { window, lo, hi }) = lazy.pending else { return Ok(None) };
        if !window.is_empty() || lo <= 0.0 || !lo.is_finite() {
            return Ok(None);
        }
        let shape = dims(self.float.shape(id));
        if self.is_count(id) {
            return self.integral(&lazy.expr, (lo.max(1.0), hi), &lazy.name, &shape).map(Some);
        }
        let range = Range { lo: lazy.range.lo.max(lo), hi: lazy.range.hi.max(lo) };
        let name = clip_name(&format!("{}/positive", lazy.name));
        self.positive(&lazy.expr, range, lo, &name, &shape).map(Some)
    }

    /// An expression cut to a positive range and a little more, of which `least` is the smallest value.
    fn positive(
        &mut self,
        expr: &Expr,
        range: Range,
        least: f64,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let slack = (range.hi - range.lo) / 8.0;
        let hi = range.hi + slack;
        let lo = if range.lo > least { (range.lo - slack).max(range.lo / 2.0).max(least) } else { least };
        let bits = i32::from(self.recipe.bits);
        let mut result = Err(LowerError::TooWide);
        for spare in (0..=BOUND_BITS).rev() {
            let target = (range.lo * libm::ldexp(1.0, -bits - 1)).max(libm::ldexp(hi, -bits - spare));
            scale(target)?;
            let mark = self.mark();
            result = self.fine_tensor(expr, Range { lo: lo.max(target), hi }, target, name, shape);
            match result {
                Err(LowerError::TooWide) => self.rewind(mark),
                _ => break,
            }
        }
        result
    }

    /// A denominator kept away from zero: cut to the calibrated range and a little more.
    pub(super) fn away_from_zero(&mut self, id: ValueId) -> Result<Option<Expr>, LowerError> {
        let range = self.ranges[id.0];
        let nearest = range.lo.abs().min(range.hi.abs());
        if range.lo <= 0.0 && range.hi >= 0.0 || !range.lo.is_finite() || !range.hi.is_finite() {
            return Ok(None);
        }
        let expr = self.fetch(id)?;
        let shape = dims(self.float.shape(id));
        let name = self.values[id.0].as_ref().map_or(&self.float.values[id.0].name, |lazy| &lazy.name);
        let name = format!("{name}/positive");
        if nearest < range.magnitude() * libm::ldexp(1.0, -i32::from(self.recipe.bits)) && range.lo > 0.0 {
            // Far smaller than others that were seen.
            let tensor = self.positive(&expr, range, nearest / 2.0, &name, &shape)?;
            return Ok(Some(self.read(tensor, &shape)));
        }
        let slack = (range.hi - range.lo) / 8.0;
        let domain = if range.lo > 0.0 {
            Range { lo: (range.lo - slack).max(nearest / 2.0), hi: range.hi + slack }
        } else {
            Range { lo: range.lo - slack, hi: (range.hi + slack).min(-nearest / 2.0) }
        };
        let target = nearest * libm::ldexp(1.0, -i32::from(self.recipe.bits) - 1);
        scale(target)?;
        let tensor = self.fine_tensor(&expr, domain, target, &name, &shape)?;
        Ok(Some(self.read(tensor, &shape)))
    }
}
