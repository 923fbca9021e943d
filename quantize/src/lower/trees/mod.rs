//! Tree ensembles: comparisons, leaves, and their weights' sum.
//!
//! 1. Every distinct comparison of a feature's integer, `c = [i ≤ T] = clamp(T + 1 − i, 0, 1)`, one node for all of them.
//! 2. Every leaf, `r = max(Σ c − Σ c' + K, 0)` over the comparisons on its way that have to hold and those that must
//!    not, where `K` makes the sum 1 exactly if all do as they have to: one node for all leaves of all trees.
//! 3. The result, `Σ w r`, is an expression: exact, and free.
//!
//! Thresholds are found exactly: a test holds for the real that an integer stands for, `a i + b` rounded as the model
//! rounds it, on one side of an integer `T`, because rounding is monotone. So no path differs from the float model's on
//! inputs that lie on the declared grid. A leaf's way is a box: of the comparisons of one feature only the tightest
//! ones count.

mod ways;

#[cfg(test)]
mod tests;

use super::{
    dims,
    expr::{Atom, AxisId, Coord, Dense, Expr, Read, Substitution},
    requantise::{clip_name, scale},
    Lazy, LowerError, Lowering,
};
use crate::{
    calibrate::Range,
    graph::{Interval, Node, Op, TensorId},
    onnx::{
        graph::{FloatNode, ValueId},
        ops::ml::Ensemble,
    },
    scale::Scale,
};
use std::{collections::BTreeMap, sync::Arc};
use ways::{Column, Comparison, Condition, Forest};

/// Bits of the largest leaf weight where a sum becomes a tensor, at most.
const WEIGHT_BITS: i32 = 36;

/// The features of an ensemble: reads of tensors of integers, one for each feature.
struct Source {
    rows: Vec<AxisId>,
    axis: AxisId,
    atoms: Vec<Read>,
    columns: Vec<Column>,
}

impl Lowering<'_> {
    pub(super) fn trees(&mut self, node: &FloatNode, ensemble: &Ensemble) -> Result<Lazy, LowerError> {
        let source = self.tree_source(node.inputs[0], ensemble)?;
        let private = self.recipe.private_weights;
        let mut found = Forest { ensemble, columns: &source.columns, private }.leaves();
        // Every row reaches one leaf of a tree: what its leaves have in common is a constant.
        let (common, weights) = rest_of_weights(ensemble, private);
        if !private {
            found.retain(|(leaf, _)| !weights[*leaf].is_empty());
        }
        let output = dims(self.float.shape(node.output));
        let rows = output[0];
        let mut sum = self.constants(common, rows);
        if !found.is_empty() {
            let (comparisons, places) = self.comparisons(node, &source, &found, rows)?;
            let indicators: Vec<&Condition> = found.iter().map(|(_, c)| c).collect();
            let tensor = self.indicators(node, comparisons, &places, &indicators, rows)?;
            let weights: Vec<&[(usize, f64)]> = found.iter().map(|(leaf, _)| weights[*leaf].as_slice()).collect();
            self.add_weights(&mut sum, tensor, [rows, output[1]], &weights);
        }
        let outputs = self.float.outputs.iter().filter(|(_, id)| *id == node.output).count();
        let unit = if private {
            self.private_sum_unit(node.output, ensemble.roots.len())
        } else if self.readers[node.output.0] == outputs {
            return Ok(self.lazy(node, sum));
        } else {
            sum_unit(&sum)
        };
        let unit = scale(unit)?;
        let expr = self.compacted(sum, &[]);
        let order = expr.axes();
        let form = self.commit(&expr, &order, unit.to_f64(), &node.name)?;
        let op = Op::Clamp { lo: None, hi: None, under: false };
        let tensor = self.push_node(Node { name: clip_name(&node.name), form, shift: 0, op, scale: unit }, &output)?;
        Ok(self.lazy_tensor(node, tensor))
    }

    /// The features as integers of tensors; what is more than one number times one of them becomes a tensor first.
    fn tree_source(&mut self, id: ValueId, ensemble: &Ensemble) -> Result<Source, LowerError> {
        let features = self.float.shape(id)[1];
        for attempt in 0..2 {
            let expr = match self.raw.get(&id) {
                Some(raw) => raw.freshened(&mut self.axes),
                None => self.fetch(id)?,
            };
            if let Some(source) = self.affine_columns(expr, features, ensemble.features) {
                return Ok(source);
            }
            if attempt == 0 {
                self.tensor(id)?;
            }
        }
        Err(LowerError::NotSeparable)
    }

    fn affine_columns(&mut self, mut x: Expr, features: usize, needed: usize) -> Option<Source> {
        let axis = x.single_axis(&mut self.axes, 1).ok()?;
        let rows = x.dims[0].clone();
        let mut columns = vec![Column { atom: usize::MAX, a: 0.0, b: 0.0, bounds: Interval::new(0, 0) }; features];
        let mut atoms = Vec::new();
        for atom in &x.atoms {
            let factor = match &atom.dense {
                None => vec![atom.coef; features],
                Some(dense) if dense.axes == [axis] => dense.values.iter().map(|v| v * atom.coef).collect(),
                Some(_) => return None,
            };
            let read = match atom.reads.as_slice() {
                [] => {
                    columns.iter_mut().zip(factor).for_each(|(column, b)| column.b += b);
                    continue;
                }
                [read] if atom.summed.is_empty() => read,
                _ => return None,
            };
            let mut inside = vec![true; features];
            for factor in &read.factors {
                if factor.axes == [axis] {
                    let index = |f: usize| u32::try_from(f).is_ok_and(|f| factor.inside(f));
                    inside.iter_mut().enumerate().for_each(|(f, inside)| *inside &= index(f));
                } else if factor.axes.contains(&axis) || !factor.is_total(&self.axes) {
                    return None;
                }
            }
            let bounds = self.tensors.get(read.tensor.0 as usize)?.bounds;
            for ((column, a), _) in columns.iter_mut().zip(factor).zip(inside).filter(|(_, inside)| *inside) {
                if a == 0.0 {
                    continue;
                }
                if column.atom != usize::MAX {
                    return None;
                }
                *column = Column { atom: atoms.len(), a, bounds, ..*column };
            }
            atoms.push(read.clone());
        }
        (features >= needed).then_some(Source { rows, axis, atoms, columns })
    }

    /// All comparisons, sorted, and a one at the end; and their places.
    fn comparisons(
        &mut self,
        node: &FloatNode,
        source: &Source,
        found: &[(usize, Condition)],
        rows: u32,
    ) -> Result<(TensorId, BTreeMap<Comparison, usize>), LowerError> {
        let all = found.iter().flat_map(|(_, c)| c.plus.iter().chain(&c.minus));
        let mut places: BTreeMap<Comparison, usize> = all.map(|c| (*c, 0)).collect();
        places.values_mut().enumerate().for_each(|(i, place)| *place = i);
        let size = u32::try_from(places.len() + 1).map_err(|_| LowerError::TooWide)?;
        let axis = self.axes.fresh(size);
        #[allow(clippy::cast_precision_loss)] // declared intervals are below 2^53
        let constants: Vec<f64> = places.keys().map(|c| c.most as f64 + 1.0).chain([1.0]).collect();
        let constants = Dense { axes: vec![axis], values: Arc::new(constants), origin: None, public: false };
        let mut expr = Expr {
            dims: vec![source.rows.clone(), vec![axis]],
            atoms: vec![Atom { coef: 1.0, dense: Some(constants), reads: vec![], summed: vec![] }],
        };
        for (i, read) in source.atoms.iter().enumerate() {
            let place = |feature: usize| {
                let own = source.columns[feature].atom == i;
                if own {
                    i32::try_from(feature).map_err(|_| LowerError::TooWide)
                } else {
                    Ok(-1)
                }
            };
            let mut entries = places.keys().map(|c| place(c.feature)).collect::<Result<Vec<_>, _>>()?;
            if entries.iter().all(|e| *e < 0) {
                continue;
            }
            entries.push(-1);
            let atom = Atom { coef: -1.0, dense: None, reads: vec![read.clone()], summed: vec![] };
            let mut part = Expr { dims: vec![], atoms: vec![atom] };
            let by = Substitution { axis: source.axis, by: vec![axis], coord: Coord::Table(entries) };
            part.substitute(&self.axes, &by)?;
            expr.atoms.extend(part.atoms);
        }
        let name = format!("{}/comparisons", node.name);
        let tensor = self.step(&expr, &name, &[rows, size])?;
        Ok((tensor, places))
    }

    /// One for every leaf that a row reaches.
    fn indicators(
        &mut self,
        node: &FloatNode,
        comparisons: TensorId,
        places: &BTreeMap<Comparison, usize>,
        all: &[&Condition],
        rows: u32,
    ) -> Result<TensorId, LowerError> {
        let (count, one) = (u32::try_from(all.len()).map_err(|_| LowerError::TooWide)?, places.len());
        let size = u32::try_from(one + 1).map_err(|_| LowerError::TooWide)?;
        // The constant of every leaf is the smallest of all: comparisons that always hold make up for it.
        let constant = all.iter().map(|c| c.constant).min().unwrap_or(0);
        let mut sides = [Vec::new(), Vec::new()];
        for condition in all {
            let ones = usize::try_from(condition.constant - constant).map_err(|_| LowerError::TooWide)?;
            let place = |c: &Comparison| places.get(c).copied().unwrap_or(one);
            sides[0].push(condition.plus.iter().map(place).chain(std::iter::repeat_n(one, ones)).collect::<Vec<_>>());
            sides[1].push(condition.minus.iter().map(place).collect::<Vec<_>>());
        }
        let x = Expr::tensor(&mut self.axes, comparisons, &[rows, size], 1.0);
        let (from, to) = (x.dims[1].clone(), self.axes.fresh(count));
        let [from] = from[..] else { return Err(LowerError::Internal("comparisons without an axis")) };
        #[allow(clippy::cast_precision_loss)] // a count
        let mut expr = Expr {
            dims: vec![x.dims[0].clone(), vec![to]],
            atoms: vec![Atom { coef: constant as f64, dense: None, reads: vec![], summed: vec![] }],
        };
        for (side, coef) in sides.iter().zip([1.0, -1.0]) {
            for position in 0..side.iter().map(Vec::len).max().unwrap_or(0) {
                let entry = |list: &Vec<usize>| list.get(position).map_or(Ok(-1), |p| i32::try_from(*p));
                let entries = side.iter().map(entry).collect::<Result<Vec<_>, _>>().map_err(|_| LowerError::TooWide)?;
                let mut part = x.clone().scaled(coef);
                part.substitute(&self.axes, &Substitution { axis: from, by: vec![to], coord: Coord::Table(entries) })?;
                expr.atoms.extend(part.atoms);
            }
        }
        let expr = self.compacted(expr, &[]);
        let order = expr.axes();
        let name = clip_name(&format!("{}/leaves", node.name));
        let form = self.commit(&expr, &order, 1.0, &name)?;
        let op = Op::Clamp { lo: Some(0), hi: None, under: false };
        self.push_node(Node { name, form, shift: 0, op, scale: Scale::ONE }, &[rows, count])
    }

    /// A constant per target.
    fn constants(&mut self, values: Vec<f64>, rows: u32) -> Expr {
        let targets = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let dims = vec![self.axes.list(rows), self.axes.list(targets)];
        let mut atom = Atom { coef: values[0], dense: None, reads: vec![], summed: vec![] };
        if values.iter().any(|v| *v != values[0]) {
            atom.coef = 1.0;
            atom.dense = Some(Dense { axes: dims[1].clone(), values: Arc::new(values), origin: None, public: false });
        }
        let atoms = if atom.dense.is_some() || atom.coef != 0.0 { vec![atom] } else { vec![] };
        Expr { dims, atoms }
    }

    /// Adds the weights of leaves times their indicators.
    fn add_weights(
        &mut self,
        sum: &mut Expr,
        indicators: TensorId,
        [rows, targets]: [u32; 2],
        weights: &[&[(usize, f64)]],
    ) {
        let count = weights.len();
        let mut values = vec![0.0; targets as usize * count];
        for (i, weights) in weights.iter().enumerate() {
            for (target, weight) in *weights {
                values[target * count + i] += weight;
            }
        }
        let shape = [rows, u32::try_from(count).unwrap_or(u32::MAX)];
        let mut read = Expr::tensor(&mut self.axes, indicators, &shape, 1.0);
        let own = read.dims[1].clone();
        for atom in &mut read.atoms {
            let axes = sum.dims[1].iter().chain(&own).copied().collect::<Vec<_>>();
            if axes.is_empty() {
                atom.coef = values[0];
            } else {
                atom.dense = Some(Dense { axes, values: Arc::new(values.clone()), origin: None, public: false });
            }
            atom.summed.clone_from(&own);
        }
        // Constants do not depend on rows: the rows are the tensor's.
        sum.dims[0].clone_from(&read.dims[0]);
        sum.atoms.extend(read.atoms);
    }

    /// With private weights the unit of a sum comes from its calibrated range and the number of trees: a weight of
    /// the declared width can be `4 / √trees` of the range.
    fn private_sum_unit(&self, sum: ValueId, trees: usize) -> f64 {
        let range = self.ranges[sum.0];
        let span = (range.hi - range.lo).max(range.magnitude() * 1e-6).max(1e-30);
        #[allow(clippy::cast_precision_loss)] // a count
        let largest = 4.0 * span / libm::sqrt(trees as f64);
        libm::ldexp(largest, 1 - i32::from(self.recipe.declared_weight_bits))
    }
}

/// What the leaves of every tree have in common, all together and with the base values, and what is left for each leaf.
///
/// In common is the weight that most leaves of a tree have; with private weights, which no leaf may go without, the
/// middle of all.
fn rest_of_weights(ensemble: &Ensemble, private: bool) -> (Vec<f64>, Vec<Vec<(usize, f64)>>) {
    let mut common = ensemble.base.clone();
    let mut rest: Vec<Vec<(usize, f64)>> = vec![Vec::new(); ensemble.leaves.len()];
    for leaves in ensemble.leaves_of_trees() {
        for (target, common) in common.iter_mut().enumerate() {
            let weights: Vec<f64> = leaves.iter().map(|leaf| ensemble.weight(*leaf, target)).collect();
            let shared = if private { middle(&weights) } else { most_frequent(&weights) };
            *common += shared;
            for (leaf, weight) in leaves.iter().zip(&weights).filter(|(_, w)| **w != shared) {
                rest[*leaf].push((target, weight - shared));
            }
        }
    }
    (common, rest)
}

fn middle(weights: &[f64]) -> f64 {
    let range = Range::of(weights);
    (range.lo + range.hi) / 2.0
}

fn most_frequent(weights: &[f64]) -> f64 {
    let mut sorted = weights.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut best = (0, 0.0);
    for run in sorted.chunk_by(|a, b| a == b) {
        if run.len() > best.0 {
            best = (run.len(), run[0]);
        }
    }
    best.1
}

/// The unit of a sum of weights that becomes a tensor, since what follows compares it or looks it up: the coarsest power
/// of two of which all weights are multiples, or a very fine one.
fn sum_unit(sum: &Expr) -> f64 {
    let weights = || {
        sum.atoms.iter().flat_map(|a| match &a.dense {
            Some(dense) => dense.values.as_slice(),
            None => std::slice::from_ref(&a.coef),
        })
    };
    let largest = weights().fold(0.0_f64, |m, v| m.max(v.abs()));
    if largest == 0.0 {
        return 1.0;
    }
    let (_, top) = libm::frexp(largest);
    let is_multiple = |e: &i32| {
        weights().all(|v| {
            let ratio = libm::ldexp(*v, -e);
            ratio == libm::floor(ratio)
        })
    };
    let exponents = (top - WEIGHT_BITS..=top).rev();
    libm::ldexp(1.0, exponents.into_iter().find(is_multiple).unwrap_or(top - WEIGHT_BITS))
}
