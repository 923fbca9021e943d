//! Comparisons and choices: exact on integers.
//!
//! `[q > 0]` of an integer is `clamp(q, 0, 1)`. An argument of a maximum comes from the maximum of keys
//! `x · 2^s − i`, which differ from each other: ties are broken by the index.

use super::{
    dims,
    emit::integer,
    expr::{Atom, Axes, Blocked, Dense, Expr},
    requantise::{clip_name, scale},
    Lazy, LowerError, Lowering,
};
use crate::{
    calibrate::Range,
    graph::{Node, Op, TensorId},
    onnx::{
        graph::{FloatNode, FloatOp, ValueId},
        ops::elementwise::Binary,
    },
    scale::Scale,
};
use std::sync::Arc;

fn blocked(_: Blocked) -> LowerError {
    LowerError::NotSeparable
}

/// A constant number.
fn number(value: f64) -> Atom {
    Atom { coef: value, dense: None, reads: vec![], summed: vec![] }
}

impl Lowering<'_> {
    /// Whether a value holds integers.
    pub(super) fn is_integer(&self, id: ValueId) -> bool {
        self.float.values[id.0].integer
    }

    /// `clamp(x, 0, 1)` of an expression whose unit is one integer step.
    fn step(&mut self, expr: &Expr, name: &str, shape: &[u32]) -> Result<TensorId, LowerError> {
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let form = self.commit(&expr, &order, 1.0, name)?;
        let op = Op::Clamp { lo: Some(0), hi: Some(1), under: false };
        self.push_node(Node { name: clip_name(name), form, shift: 0, op, scale: Scale::ONE }, shape)
    }

    /// An exact node of an expression in integer steps.
    fn exact(&mut self, expr: &Expr, shift: u8, name: &str, shape: &[u32]) -> Result<TensorId, LowerError> {
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let form = self.commit(&expr, &order, 1.0, name)?;
        let op = Op::Clamp { lo: None, hi: None, under: false };
        self.push_node(Node { name: clip_name(name), form, shift, op, scale: Scale::ONE }, shape)
    }

    /// A tensor's integers as an expression.
    fn integers(&mut self, tensor: TensorId, shape: &[u32]) -> Expr {
        Expr::tensor(&mut self.axes, tensor, shape, 1.0)
    }

    /// An expression light enough to be compared; heavy ones become tensors.
    fn light(&mut self, id: ValueId) -> Result<(), LowerError> {
        if self.values[id.0].is_some() && self.is_heavy(id) {
            self.tensor(id)?;
        }
        Ok(())
    }

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
            let constant = Expr::constant(&mut self.axes, shape, &bound, false);
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

    /// Keys `x · 2^s ± i` along an axis, the tensor's own unit for `x`; and `s`.
    fn keys(&mut self, input: ValueId, axis: usize, last: bool) -> Result<(Expr, u8), LowerError> {
        let tensor = self.tensor(input)?;
        let shape = dims(self.float.shape(input));
        let length = shape[axis];
        let shift = u8::try_from(u32::BITS - (length - 1).leading_zeros()).map_err(|_| LowerError::TooWide)?;
        let mut x = self.integers(tensor, &shape).scaled(libm::ldexp(1.0, shift.into()));
        if let [own] = x.dims[axis][..] {
            let sign = if last { 1.0 } else { -1.0 };
            let index = (0..length).map(|i| sign * f64::from(i)).collect();
            let dense = Dense { axes: vec![own], values: Arc::new(index), origin: None };
            x.atoms.push(Atom { coef: 1.0, dense: Some(dense), reads: vec![], summed: vec![] });
        }
        Ok((x, shift))
    }

    /// The maximum of an expression over an axis; the axis stays with size 1.
    fn maximum(&mut self, mut x: Expr, axis: usize, name: &str, shape: &[u32]) -> Result<TensorId, LowerError> {
        let window = std::mem::take(&mut x.dims[axis]);
        let x = self.compacted(x, &window);
        let mut order = x.axes();
        order.extend(&window);
        let form = self.commit(&x, &order, 1.0, name)?;
        let op = match u8::try_from(window.len()).map_err(|_| LowerError::TooWide)? {
            0 => Op::Clamp { lo: None, hi: None, under: false },
            axes => Op::Max { axes, lo: None, hi: None },
        };
        self.push_node(Node { name: clip_name(name), form, shift: 0, op, scale: Scale::ONE }, shape)
    }

    /// What a key holds: the value is `ceil(key / 2^s)` (its floor when the index was added), the index the rest.
    fn decode(
        &mut self,
        key: TensorId,
        (shift, last): (u8, bool),
        name: &str,
        shape: &[u32],
    ) -> Result<(Expr, Expr), LowerError> {
        let read = self.integers(key, shape);
        if shift == 0 {
            return Ok((read, Expr { dims: shape.iter().map(|s| self.axes.list(*s)).collect(), atoms: vec![] }));
        }
        let (step, half) = (libm::ldexp(1.0, shift.into()), libm::ldexp(1.0, i32::from(shift) - 1));
        let mut shifted = read.freshened(&mut self.axes);
        shifted.atoms.push(number(if last { -half } else { step - 1.0 - half }));
        let value = self.exact(&shifted, shift, &format!("{name}/value"), shape)?;
        let value = self.integers(value, shape);
        let sign = if last { -1.0 } else { 1.0 };
        let whole = value.freshened(&mut self.axes).scaled(sign * step);
        let index = whole.plus(&mut self.axes, read.scaled(-sign)).map_err(blocked)?;
        Ok((value, index))
    }

    pub(super) fn arg_max(&mut self, node: &FloatNode, axis: usize, last: bool) -> Result<Lazy, LowerError> {
        let shape = dims(self.float.shape(node.output));
        let (keys, shift) = self.keys(node.inputs[0], axis, last)?;
        let key = self.maximum(keys, axis, &format!("{}/max", node.name), &shape)?;
        let (_, index) = self.decode(key, (shift, last), &node.name, &shape)?;
        Ok(self.lazy(node, index))
    }

    /// The `k` largest keys, one after another: what is not below the last one found is left out of the next maximum.
    pub(super) fn top_k(&mut self, node: &FloatNode, axis: usize, k: usize, indices: bool) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        let full = dims(self.float.shape(input));
        let mut one = full.clone();
        one[axis] = 1;
        let (keys, shift) = self.keys(input, axis, false)?;
        if !self.largest.contains_key(&(input.0, axis)) {
            self.largest.insert((input.0, axis), Vec::new());
        }
        let found = self.largest.get(&(input.0, axis)).map_or(0, Vec::len);
        if found < k {
            let keys = self.exact(&keys, 0, &format!("{}/keys", node.name), &full)?;
            let lowest = {
                #[allow(clippy::cast_precision_loss)] // keys are narrower than 53 bits
                let lowest = self.tensors[keys.0 as usize].bounds.lo as f64;
                lowest
            };
            for round in found..k {
                let name = format!("{}/{round}", node.name);
                let last = self.largest.get(&(input.0, axis)).and_then(|l| l.last()).copied();
                let mut rest = self.integers(keys, &full);
                if let Some(last) = last {
                    // Ones where the key is below the last one.
                    let last = self.integers(last, &one);
                    let all = rest.freshened(&mut self.axes).scaled(-1.0);
                    let below = last.plus(&mut self.axes, all).map_err(blocked)?;
                    let below = self.step(&below, &format!("{name}/left"), &full)?;
                    let below = self.integers(below, &full);
                    rest.atoms.push(number(-lowest));
                    rest = below.times(&mut self.axes, rest).map_err(blocked)?;
                    rest.atoms.push(number(lowest));
                }
                let key = self.maximum(rest, axis, &format!("{name}/max"), &one)?;
                self.largest.entry((input.0, axis)).or_default().push(key);
            }
        }
        let found: Vec<TensorId> =
            self.largest.get(&(input.0, axis)).map(|l| l[..k.min(l.len())].to_vec()).unwrap_or_default();
        let unit = match self.values[input.0].as_ref().and_then(|l| l.tensor) {
            Some(tensor) => self.tensors[tensor.0 as usize].scale.to_f64(),
            None => return Err(LowerError::Internal("no tensor")),
        };
        // Joined along the axis.
        let total = u32::try_from(k).map_err(|_| LowerError::TooWide)?;
        let mut sum: Option<Expr> = None;
        for (at, key) in found.into_iter().enumerate() {
            let (value, index) = self.decode(key, (shift, false), &format!("{}/{at}", node.name), &one)?;
            let mut part = if indices { index } else { value.scaled(unit) };
            place(&mut self.axes, &mut part, axis, at, total).map_err(blocked)?;
            sum = Some(match sum {
                None => part,
                Some(sum) => sum.plus(&mut self.axes, part).map_err(blocked)?,
            });
        }
        let expr = sum.ok_or(LowerError::Internal("no element"))?;
        Ok(self.lazy(node, expr))
    }

    /// `[x ≥ j] − [x ≥ j + 1]` for every `j`; steps that the interval of `x` decides are left out.
    pub(super) fn one_hot(&mut self, node: &FloatNode, depth: usize) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        let tensor = self.tensor(input)?;
        let inner = dims(self.float.shape(input));
        let bounds = self.tensors[tensor.0 as usize].bounds;
        let depth = i64::try_from(depth).map_err(|_| LowerError::TooWide)?;
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
                    let dense = Dense { axes: own.to_vec(), values: Arc::new(thresholds), origin: None };
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
                    let dense = Dense { axes: own.to_vec(), values: Arc::new(values), origin: None };
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

    /// A denominator kept away from zero: cut to the calibrated range and a little more.
    pub(super) fn away_from_zero(&mut self, id: ValueId) -> Result<Option<Expr>, LowerError> {
        let range = self.ranges[id.0];
        let nearest = range.lo.abs().min(range.hi.abs());
        if range.lo <= 0.0 && range.hi >= 0.0 || !range.lo.is_finite() || !range.hi.is_finite() {
            return Ok(None);
        }
        let slack = (range.hi - range.lo) / 8.0;
        let domain = if range.lo > 0.0 {
            Range { lo: (range.lo - slack).max(nearest / 2.0), hi: range.hi + slack }
        } else {
            Range { lo: range.lo - slack, hi: (range.hi + slack).min(-nearest / 2.0) }
        };
        let target = nearest * libm::ldexp(1.0, -i32::from(self.recipe.bits) - 1);
        scale(target)?;
        let expr = self.fetch(id)?;
        let shape = dims(self.float.shape(id));
        let name = self.float.values[id.0].name.clone();
        let tensor = self.fine_tensor(&expr, domain, target, &format!("{name}/positive"), &shape)?;
        Ok(Some(self.read(tensor, &shape)))
    }
}

/// Puts a dimension of size 1 at place `at` of a dimension of size `total`; zero elsewhere.
fn place(axes: &mut Axes, x: &mut Expr, dim: usize, at: usize, total: u32) -> Result<(), Blocked> {
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
