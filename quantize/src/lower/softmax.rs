//! Softmax: maximum, table of exponentials, sum, quotient.
//!
//! Weights that a matrix product reads and nothing else, as in attention, are not normalised element by element: the product
//! is that of the exponentials, and its lines are divided by the sums, `Σ_j e_j v_j / Σ_j e_j`.

use super::{
    curve::most_entries, dims, expr::Blocked, expr::Expr, linear::matrix_product, mask::Masked, selection::number,
    Lazy, LowerError, Lowering,
};
use crate::{
    calibrate::Range,
    curve::Curve,
    graph::TensorId,
    onnx::graph::{FloatNode, ValueId},
    table::Function,
};

/// The exponential of the maximum is `2^EXP_BITS`, or more where activations have more bits.
const EXP_BITS: i32 = 14;
/// In bits below one unit: what is so small that a table says zero.
const NOTHING_BITS: f64 = 1.25;
/// Exponentials times values are so many bits finer than the result.
const WEIGHTED_BITS: i32 = 1;

impl Lowering<'_> {
    /// The unit of two tensors, if they have the same.
    fn one_unit(&self, a: TensorId, b: TensorId) -> Option<f64> {
        let unit = |id: TensorId| self.tensors[id.0 as usize].scale.to_f64();
        (unit(a).to_bits() == unit(b).to_bits()).then(|| unit(a))
    }

    /// The arguments of a softmax as a tensor, and ones where a mask shows them.
    fn arguments(
        &mut self,
        node: &FloatNode,
        range: Range,
        shape: &[u32],
    ) -> Result<(TensorId, Option<Expr>), LowerError> {
        let input: ValueId = node.inputs[0];
        match self.unmasked(input, &node.name)? {
            Some(Masked { scores, shown }) => {
                let open = (f64::NEG_INFINITY, f64::INFINITY);
                let name = format!("{}/scores", node.name);
                Ok((self.requantise(&scores, &[], open, range, shape, &name)?, Some(shown)))
            }
            None => Ok((self.tensor(input)?, None)),
        }
    }

    /// `y_k = e^(x_k − m) / Σ_j e^(x_j − m)` with `m` the maximum over the axis. What a mask hides counts for nothing:
    /// its exponentials are multiplied by zero.
    pub(super) fn softmax(&mut self, node: &FloatNode, axis: usize) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        let shape = dims(self.float.shape(node.output));
        let mut range = self.ranges[input.0];
        let (tensor, shown) = self.arguments(node, range, &shape)?;
        if shown.is_none() {
            range = self.with_hidden(input, range);
        }
        // 1. The maximum.
        let mut x = self.read(tensor, &shape);
        let window = std::mem::take(&mut x.dims[axis]);
        let mut reduced = shape.clone();
        reduced[axis] = 1;
        let open = (f64::NEG_INFINITY, f64::INFINITY);
        let name = |part: &str| format!("{}/{part}", node.name);
        let maximum = self.requantise(&x, &window, open, range, &reduced, &name("max"))?;
        // 2. Exponentials of the differences, which are never positive.
        let step = self.one_unit(tensor, maximum);
        let (x, maximum) = (self.read(tensor, &shape), self.read(maximum, &reduced));
        let difference = x.plus(&mut self.axes, maximum.scaled(-1.0)).map_err(|Blocked| LowerError::NotSeparable)?;
        let exp_bits = EXP_BITS.max(i32::from(self.recipe.bits) + 1);
        let nothing = (f64::from(exp_bits) + NOTHING_BITS) * std::f64::consts::LN_2;
        let reach = (f64::from(exp_bits) * std::f64::consts::LN_2).min((range.hi - range.lo).max(1e-3));
        // A mask that is known takes its elements to where the table says zero.
        let only_weighs = self.only_weighs(node.output, axis);
        let hides_here = shown.as_ref().filter(|_| only_weighs).is_some_and(|shown| self.shows_lines(shown, axis));
        let reach = if hides_here { nothing } else { reach };
        let domain = Range { lo: -reach, hi: 0.0 };
        let unit = libm::ldexp(1.0, -exp_bits);
        // Differences of integers of one unit are integers of it: where they are not too many, each has its entry.
        let exact = step.map(|step| (step, libm::ceil(reach / step) + 2.0));
        let exact = exact.filter(|(_, entries)| *entries <= most_entries(&shape));
        let by_table = exact.is_some() || !self.is_fine();
        let hides_here = hides_here && by_table;
        let (difference, shown) = match shown {
            Some(shown) if hides_here => {
                let lower = 1.01 * nothing;
                let mut hidden = shown.scaled(lower);
                hidden.atoms.push(number(-lower));
                (difference.plus(&mut self.axes, hidden).map_err(|Blocked| LowerError::NotSeparable)?, None)
            }
            shown => (difference, shown),
        };
        let exponential = if let (true, Some((step, entries))) = (self.is_fine(), exact) {
            let domain = Range { lo: (1.0 - entries) * step, hi: 0.0 };
            self.note(&name("exp"), Curve::Exp, entries, false, unit / 2.0);
            self.lookup(&difference, Function::Exp, (domain, entries), unit, &name("exp"), &shape)?
        } else if self.is_fine() {
            let value = self.curve_part(&difference, Curve::Exp, domain, unit, &name("exp"), &shape)?;
            // Interpolation may go below zero by its error; a sum of what never does is a denominator.
            let positive = Range { lo: 0.0, hi: 1.0 };
            self.fine_tensor(&value, positive, unit, &name("exp/positive"), &shape)?
        } else {
            let domain = (domain, self.table_entries());
            self.lookup(&difference, Function::Exp, domain, unit, &name("exp"), &shape)?
        };
        // 3. Each over their sum, which is at least one: so quotients are provably at most about one.
        let mut top = self.read(exponential, &shape);
        let is_masked = shown.is_some();
        if let Some(shown) = shown {
            top = top.times(&mut self.axes, shown).map_err(|Blocked| LowerError::NotSeparable)?;
        }
        let sum = top.freshened(&mut self.axes).sum(&self.axes, &[axis]);
        let sum = sum.map_err(|Blocked| LowerError::NotSeparable)?;
        let count = f64::from(shape[axis]).max(2.0);
        let sum = self.fine_tensor(&sum, Range { lo: 1.0, hi: count }, unit, &name("sum"), &reduced)?;
        let sum = self.read(sum, &reduced);
        if only_weighs && !is_masked {
            let seen = Range { lo: 1.0, hi: count };
            let inverse = self.reciprocal(&sum, seen, &node.name, &reduced)?;
            let inverse = self.read(inverse, &reduced);
            self.unnormalised.insert(node.output, (top.clone(), inverse.clone()));
            let weights = top.times(&mut self.axes, inverse).map_err(|Blocked| LowerError::NotSeparable)?;
            return Ok(self.lazy(node, weights));
        }
        let target = libm::ldexp(1.0, -i32::from(self.recipe.bits) - 2);
        // Products with zeros and ones are exponentials still.
        let unit = self.tensors[exponential.0 as usize].scale.to_f64();
        let tensor = self.quotient_in((top, unit), sum, target, false, &node.name, &shape)?;
        Ok(self.lazy_tensor(node, tensor))
    }

    /// Whether a mask is a constant that shows something of every line along the axis.
    fn shows_lines(&self, shown: &Expr, axis: usize) -> bool {
        let [atom] = shown.atoms.as_slice() else { return false };
        let (Some(dense), true) = (&atom.dense, atom.reads.is_empty()) else { return false };
        let order: Vec<_> =
            shown.dims.iter().enumerate().filter(|(d, _)| *d != axis).flat_map(|(_, l)| l).copied().collect();
        let line = self.axes.volume(&shown.dims[axis]).max(1);
        let lines_first = [order, shown.dims[axis].clone()].concat();
        dense.over(&self.axes, &lines_first).is_ok_and(|d| d.values.chunks(line).all(|line| line.contains(&1.0)))
    }

    /// The matrix product of weights that are not normalised, and values.
    pub(super) fn weighted_mean(&mut self, node: &FloatNode, weights: Expr, inverse: Expr) -> Result<Lazy, LowerError> {
        let (values, shape) = (node.inputs[1], dims(self.float.shape(node.output)));
        if self.values[values.0].is_some() {
            self.tensor(values)?;
        }
        let product = self.with(&[values], |axes, operands| {
            let values = operands.pop().ok_or(Blocked)?;
            let weights = weights.freshened(axes);
            matrix_product(axes, weights, values)
        })?;
        let range = self.ranges[node.output.0];
        let target = libm::ldexp(self.target(range, (f64::NEG_INFINITY, f64::INFINITY)), -WEIGHTED_BITS);
        let count = f64::from(*dims(self.float.shape(node.inputs[0])).last().unwrap_or(&1));
        let most = 2.0 * count * self.ranges[values.0].magnitude().max(range.magnitude());
        let domain = Range { lo: -most, hi: most };
        let product = self.fine_tensor(&product, domain, target, &format!("{}/weighted", node.name), &shape)?;
        let product = self.read(product, &shape);
        let expr = product.times(&mut self.axes, inverse).map_err(|Blocked| LowerError::NotSeparable)?;
        Ok(self.lazy(node, expr))
    }
}
