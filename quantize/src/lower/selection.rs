//! Comparisons and choices: exact on integers. `[q > 0]` of an integer is `clamp(q, 0, 1)`.

use super::{
    dims,
    expr::{Atom, Axes, Blocked, Dense, Expr},
    integers::blocked,
    requantise::clip_name,
    round::Divisor,
    Lazy, LowerError, Lowering,
};
use crate::{
    graph::{Node, Op},
    onnx::{
        graph::{FloatNode, FloatOp, ValueId},
        ops::elementwise::Binary,
    },
    scale::Scale,
};
use std::sync::Arc;

/// A constant number.
pub(super) fn number(value: f64) -> Atom {
    Atom { coef: value, dense: None, reads: vec![], summed: vec![] }
}

impl Lowering<'_> {
    /// Ones where a comparison holds.
    pub(super) fn compare(&mut self, node: &FloatNode, binary: Binary) -> Result<Lazy, LowerError> {
        let (a, b) = (node.inputs[0], node.inputs[1]);
        let constants = [a, b].into_iter().filter_map(|id| self.float.constant(id));
        if constants.into_iter().any(|c| c.data.iter().any(|v| crate::calibrate::is_infinite(*v))) {
            return Err(LowerError::Infinite);
        }
        self.light(a)?;
        self.light(b)?;
        let shape = dims(self.float.shape(node.output));
        let (above, below) = match (self.float.constant(b).cloned(), self.float.constant(a).cloned()) {
            (Some(c), None) => self.against_constant(a, &c.shape, &c.data, false)?,
            (None, Some(c)) => self.against_constant(b, &c.shape, &c.data, true)?,
            _ => {
                let difference = self.with(&[a, b], |axes, operands| {
                    let b = operands.pop().ok_or(Blocked)?;
                    operands.pop().ok_or(Blocked)?.plus(axes, b.scaled(-1.0))
                })?;
                let unit = self.common_unit(&difference);
                (difference.clone().scaled(1.0 / unit), difference.scaled(1.0 / unit))
            }
        };
        // `above` is positive where a > b, `below` negative where a < b, and they are integers.
        let mut expr = match binary {
            Binary::Greater => {
                let tensor = self.step(&above, &node.name, &shape)?;
                self.integers(tensor, &shape)
            }
            Binary::GreaterOrEqual => {
                let mut below = below;
                below.atoms.push(number(1.0));
                let tensor = self.step(&below, &node.name, &shape)?;
                self.integers(tensor, &shape)
            }
            _ => {
                let up = self.step(&above, &format!("{}/above", node.name), &shape)?;
                let down = self.step(&below.scaled(-1.0), &format!("{}/below", node.name), &shape)?;
                let up = self.integers(up, &shape).scaled(-1.0);
                let down = self.integers(down, &shape).scaled(-1.0);
                let mut equal = up.plus(&mut self.axes, down).map_err(blocked)?;
                equal.atoms.push(number(1.0));
                equal
            }
        };
        expr.dims.truncate(shape.len());
        Ok(self.lazy(node, expr))
    }

    /// The unit in which a difference is exact, or fine enough.
    fn common_unit(&self, expr: &Expr) -> f64 {
        let units: Vec<f64> = expr.atoms.iter().filter(|a| !a.reads.is_empty()).map(|a| a.coef.abs()).collect();
        let smallest = units.iter().copied().fold(f64::INFINITY, f64::min);
        if !smallest.is_finite() {
            return self.fine_unit(expr);
        }
        let is_multiple = |v: &f64| (v / smallest - libm::round(v / smallest)).abs() < 1e-9;
        if expr.atoms.iter().all(|a| a.dense.is_none()) && units.iter().all(is_multiple) {
            let constants = expr.atoms.iter().filter(|a| a.reads.is_empty()).map(|a| a.coef.abs());
            if constants.into_iter().all(|c| is_multiple(&c)) {
                return smallest;
            }
        }
        self.fine_unit(expr)
    }

    /// Integers that are positive where `x > c`, and negative where `x < c`; the other way round with `swap`.
    ///
    /// For one tensor times a number both are exact: an integer is above `c / unit` if it is above its floor, and
    /// below it if it is below its ceiling.
    fn against_constant(
        &mut self,
        x: ValueId,
        shape: &[usize],
        values: &[f64],
        swap: bool,
    ) -> Result<(Expr, Expr), LowerError> {
        let expr = self.fetch(x)?;
        let exact = Self::is_single(&expr) && expr.atoms[0].summed.is_empty() && expr.atoms[0].coef > 0.0;
        let unit = if exact { expr.atoms[0].coef } else { self.fine_unit(&expr) };
        let limit = libm::ldexp(1.0, 60);
        let rounded = |round: fn(f64) -> f64| -> Vec<f64> {
            values
                .iter()
                .map(|v| {
                    let ratio = v / unit;
                    // What is within rounding of an integer is one.
                    let near = libm::round(ratio);
                    let exact = (ratio - near).abs() <= 1e-9_f64.max(near.abs() * 1e-13);
                    if exact { near } else { round(ratio) }.clamp(-limit, limit)
                })
                .collect()
        };
        let (floor, ceil) = (rounded(libm::floor), rounded(libm::ceil));
        let sign = if swap { -1.0 } else { 1.0 };
        let mut sides = Vec::new();
        for bound in [floor, ceil] {
            let constant = Expr::constant(&mut self.axes, shape, bound, false);
            let x = expr.freshened(&mut self.axes).scaled(1.0 / unit);
            sides.push(x.plus(&mut self.axes, constant.scaled(-1.0)).map_err(blocked)?.scaled(sign));
        }
        let below = sides.pop().ok_or(LowerError::Internal("no side"))?;
        let above = sides.pop().ok_or(LowerError::Internal("no side"))?;
        // With sides swapped c > x where x is below the ceiling.
        Ok(if swap { (below, above) } else { (above, below) })
    }

    /// `b + c (a − b)`.
    pub(super) fn choose_where(&mut self, node: &FloatNode) -> Result<Lazy, LowerError> {
        let [c, a, b] = node.inputs[..] else { return Err(LowerError::Internal("three inputs are needed")) };
        let expr = self.with(&[c, a, b], |axes, operands| {
            let (b, a) = (operands.pop().ok_or(Blocked)?, operands.pop().ok_or(Blocked)?);
            let c = operands.pop().ok_or(Blocked)?;
            let negative = b.freshened(axes).scaled(-1.0);
            let difference = a.plus(axes, negative)?;
            let chosen = c.times(axes, difference)?;
            b.plus(axes, chosen)
        })?;
        Ok(self.lazy(node, expr))
    }

    /// `floor(x)`.
    pub(super) fn floor(&mut self, node: &FloatNode) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        let shape = dims(self.float.shape(node.output));
        self.light(input)?;
        let expr = self.fetch(input)?;
        if let Some(divisor) = Divisor::of(&expr) {
            let x = expr.scaled(divisor.value());
            let floor = self.floored(&x, divisor, &node.name, &shape)?;
            return Ok(self.lazy_tensor(node, floor));
        }
        // A power of two steps to one: exactly so where the unit is one.
        let unit = self.common_unit(&expr);
        // Another unit is approximated by a multiple of a much smaller one.
        let mut steps = -libm::log2(unit);
        if (steps - libm::round(steps)).abs() > 1e-9 {
            steps += f64::from(self.recipe.bits);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let shift = libm::ceil(steps - 1e-9).clamp(0.0, 36.0) as u8;
        let mut form = expr.scaled(libm::ldexp(1.0, shift.into()));
        if shift > 0 {
            form.atoms.push(number(-libm::ldexp(1.0, i32::from(shift) - 1)));
        }
        let tensor = self.exact(&form, shift, &node.name, &shape)?;
        Ok(self.lazy_tensor(node, tensor))
    }

    /// One-hot vectors of integers that have a place in them for certain.
    ///
    /// An index that a tensor holds is read as it is: of a public input that costs nothing.
    pub(super) fn one_hot(&mut self, node: &FloatNode, depth: usize, wrap: bool) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        let size = i64::try_from(depth).map_err(|_| LowerError::TooWide)?;
        let is_read = |lazy: &Lazy| {
            let plain = |atom: &Atom| atom.coef == 1.0 && atom.summed.is_empty();
            lazy.pending.is_none() && Self::is_single(&lazy.expr) && lazy.expr.atoms.iter().all(plain)
        };
        if !self.values[input.0].as_ref().is_some_and(is_read) {
            self.tensor(input)?;
        }
        let expr = self.fetch(input)?;
        let expr = self.compacted(expr, &[]);
        let order = expr.axes();
        let form = self.commit(&expr, &order, 1.0, &node.name)?;
        if form.bounds.lo < if wrap { -size } else { 0 } || form.bounds.hi >= size {
            return self.one_hot_by_steps(node, depth, wrap);
        }
        let shape = dims(self.float.shape(node.output));
        let op = Op::OneHot { size: u32::try_from(depth).map_err(|_| LowerError::TooWide)? };
        let node_of = Node { name: clip_name(&node.name), form, shift: 0, op, scale: Scale::ONE };
        let tensor = self.push_node(node_of, &shape)?;
        Ok(self.lazy_tensor(node, tensor))
    }

    /// `[x ≥ j] − [x ≥ j + 1]` for every `j`; steps that the interval of `x` decides are left out. Nothing where an index has no place.
    fn one_hot_by_steps(&mut self, node: &FloatNode, depth: usize, wrap: bool) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        let mut tensor = self.tensor(input)?;
        let inner = dims(self.float.shape(input));
        let mut bounds = self.tensors[tensor.0 as usize].bounds;
        let depth = i64::try_from(depth).map_err(|_| LowerError::TooWide)?;
        if wrap && bounds.lo < 0 {
            // Negative indices count from the end.
            let x = self.integers(tensor, &inner);
            let negative = self.step(&x.clone().scaled(-1.0), &format!("{}/negative", node.name), &inner)?;
            #[allow(clippy::cast_precision_loss)] // a size
            let shift = self.integers(negative, &inner).scaled(depth as f64);
            let wrapped = x.plus(&mut self.axes, shift).map_err(blocked)?;
            tensor = self.exact(&wrapped, 0, &format!("{}/wrapped", node.name), &inner)?;
            bounds = self.tensors[tensor.0 as usize].bounds;
        }
        let size = |v: i64| u32::try_from(v).map_err(|_| LowerError::TooWide);
        // Steps at j = first .. last, each "x ≥ j".
        let (first, last) = (if bounds.lo >= 0 { 1 } else { 0 }, if bounds.hi < depth { depth - 1 } else { depth });
        let rank = inner.len();
        let mut sum = Expr { dims: vec![], atoms: vec![] };
        if last >= first {
            let count = size(last - first + 1)?;
            let mut x = self.integers(tensor, &inner);
            let axis = self.axes.list(count);
            x.dims.push(axis.clone());
            #[allow(clippy::cast_precision_loss)] // indices
            let thresholds: Vec<f64> = (first..=last).map(|j| 1.0 - j as f64).collect();
            match axis.as_slice() {
                [] => x.atoms.push(number(thresholds[0])),
                own => {
                    let dense = Dense { axes: own.to_vec(), values: Arc::new(thresholds), origin: None, public: true };
                    x.atoms.push(Atom { coef: 1.0, dense: Some(dense), reads: vec![], summed: vec![] });
                }
            }
            let shape: Vec<u32> = inner.iter().copied().chain([count]).collect();
            let steps = self.step(&x, &format!("{}/steps", node.name), &shape)?;
            let total = size(depth)?;
            for (offset, sign) in [(first, 1.0), (first - 1, -1.0)] {
                let mut part = self.integers(steps, &shape).scaled(sign);
                shift_into(&mut self.axes, &mut part, rank, offset, total).map_err(blocked)?;
                sum = if sum.atoms.is_empty() { part } else { sum.plus(&mut self.axes, part).map_err(blocked)? };
            }
        } else {
            sum.dims = inner.iter().map(|s| self.axes.list(*s)).collect();
            sum.dims.push(vec![]);
        }
        if first == 1 {
            // [x ≥ 0] is one.
            match sum.dims[rank].as_slice() {
                [] => sum.atoms.push(number(1.0)),
                own => {
                    let values = (0..depth).map(|j| f64::from(u8::from(j == 0))).collect();
                    let dense = Dense { axes: own.to_vec(), values: Arc::new(values), origin: None, public: true };
                    sum.atoms.push(Atom { coef: 1.0, dense: Some(dense), reads: vec![], summed: vec![] });
                }
            }
        }
        Ok(self.lazy(node, sum))
    }

    /// What constants that stand for an infinity become beside values of this range.
    pub(super) fn far(&self, node: &FloatNode) -> Option<f64> {
        let infinite = |id: &ValueId| {
            self.float.constant(*id).is_some_and(|c| c.data.iter().any(|v| crate::calibrate::is_infinite(*v)))
        };
        let adds = matches!(node.op, FloatOp::Where | FloatOp::Binary(Binary::Add | Binary::Sub));
        if !adds || !node.inputs.iter().any(infinite) {
            return None;
        }
        let mut range = self.ranges[node.output.0];
        for id in node.inputs.iter().filter(|id| self.float.constant(**id).is_none()) {
            range = range.union(self.ranges[id.0]);
        }
        Some(2.0 * (range.hi - range.lo) + 1.0)
    }
}

/// Puts a dimension of size 1 at place `at` of a dimension of size `total`; zero elsewhere.
pub(super) fn place(axes: &mut Axes, x: &mut Expr, dim: usize, at: usize, total: u32) -> Result<(), Blocked> {
    let offset = i64::try_from(at).map_err(|_| Blocked)?;
    shift_into(axes, x, dim, offset, total)
}

/// Moves a dimension by `offset` within one of size `total`; zero where nothing lands.
fn shift_into(axes: &mut Axes, x: &mut Expr, dim: usize, offset: i64, total: u32) -> Result<(), Blocked> {
    let axis = x.single_axis(axes, dim)?;
    let joined = axes.list(total);
    let terms: Vec<_> = joined.iter().map(|a| (*a, 1)).collect();
    x.substitute(axes, &super::expr::Substitution::affine(axis, &terms, -offset))?;
    x.dims[dim] = joined;
    Ok(())
}
