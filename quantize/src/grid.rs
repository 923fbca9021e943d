//! The declared grid of an input that decision trees read.
//!
//! Trees compare features with thresholds, exactly so on whatever grid an input is declared on ([`crate::lower`]); a
//! public input may be as fine as one likes, and a comparison costs a few cells more. So an input that trees alone read
//! (through movements and per-feature factors and summands) is declared finely enough that nothing is lost on the way
//! to the grid:
//!
//! * a power of ten, when all samples are decimals of few digits, as measured data are: then a sample *is* the 32-bit
//!   float of its grid point, bit for bit;
//! * otherwise a power of two, `2^-20` of the narrowest feature's range or finer, such that every sample keeps its place
//!   among the thresholds.
//!
//! With private weights thresholds must not show in it: samples alone count.
//!
//! Rows of features of very different size that something else reads are declared as finely as the narrowest one asks;
//! their columns then get units of their own ([`crate::lower`]).

use crate::{
    graph::Interval,
    onnx::{
        graph::{FloatGraph, FloatNode, FloatOp, ValueId},
        ops::{
            self,
            elementwise::{Binary, Unary},
            ml::{Ensemble, Node},
        },
        tensor::Tensor,
    },
    quantize::cheap_width,
    recipe::Recipe,
    scale::Scale,
};
use std::collections::HashMap;

/// Decimal grids: ones, tenths and so on.
const POWERS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Bits of the largest integer of a grid.
const MAX_BITS: i32 = 44;
/// Bits of the largest integer of a table.
const TABLE_BITS: i32 = 34;
/// A binary grid has at least `2^FEATURE_BITS` steps in every feature's range.
const FEATURE_BITS: i32 = 20;

/// More columns than this are no table.
const MAX_COLUMNS: usize = 256;
/// A column whose range is smaller than that of the whole by more than this is too narrow for the whole's unit.
const NARROW: f64 = 8.0;

/// Scale and interval of a table whose columns differ in size, and the integer ranges of the columns; `None` for any
/// other input.
pub(crate) fn of_table(
    shape: &[usize],
    integer: bool,
    samples: &[f64],
    recipe: &Recipe,
) -> Option<(Scale, Interval, Vec<Interval>)> {
    let [.., columns] = *shape else { return None };
    let wanted = shape.len() <= 2 && (2..=MAX_COLUMNS).contains(&columns) && !integer && recipe.input_range.is_none();
    if !wanted || samples.len() <= columns {
        return None;
    }
    let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); columns];
    for (i, v) in samples.iter().enumerate() {
        let (lo, hi) = &mut ranges[i % columns];
        (*lo, *hi) = (lo.min(*v), hi.max(*v));
    }
    let (lo, hi) = ranges.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), r| (lo.min(r.0), hi.max(r.1)));
    let narrowest = ranges.iter().map(|(lo, hi)| hi - lo).filter(|span| *span > 0.0).fold(f64::INFINITY, f64::min);
    let is_whole = samples.iter().all(|v| *v == libm::floor(*v));
    let levels = libm::ldexp(1.0, recipe.input_bits.into()) - 1.0;
    let different = lo.is_finite() && hi.is_finite() && narrowest.is_finite() && hi - lo > NARROW * narrowest;
    if !different || (is_whole && hi - lo <= levels) {
        return None;
    }
    // A quarter more at both ends of every column.
    for (lo, hi) in &mut ranges {
        let slack = ((*hi - *lo) / 4.0).max(lo.abs().max(hi.abs()) * 1e-3).max(narrowest / 4.0);
        (*lo, *hi) = (*lo - slack, *hi + slack);
    }
    let (lo, hi) = ranges.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), r| (lo.min(r.0), hi.max(r.1)));
    let least = lo.abs().max(hi.abs()) / libm::ldexp(1.0, TABLE_BITS);
    let (_, exponent) = libm::frexp(narrowest);
    let fine = libm::ldexp(1.0, exponent - i32::from(recipe.input_bits) - 2);
    let (_, least_exponent) = libm::frexp(least);
    let unit = decimal(samples, &[], least).filter(|unit| *unit <= fine);
    let unit = unit.unwrap_or(fine.max(libm::ldexp(1.0, least_exponent)));
    #[allow(clippy::cast_possible_truncation)] // at most 2^36
    let integers = |(lo, hi): (f64, f64)| Interval::new(libm::floor(lo / unit) as i64, libm::ceil(hi / unit) as i64);
    let all = integers((lo, hi));
    let bounds = Interval::new(all.lo, all.lo.saturating_add_unsigned(cheap_width(all.lo, all.hi)));
    Some((Scale::from_f64(unit).ok()?, bounds, ranges.into_iter().map(integers).collect()))
}

/// Per element of a value: which element of the input it is (−1: none), times `a`, plus `b`.
#[derive(Clone)]
struct Trace {
    index: Tensor,
    a: Tensor,
    b: Tensor,
}

/// A threshold of an element of the input.
struct Threshold {
    /// The place in the domain of the input, as a real.
    at: f64,
    /// The threshold itself, of `a x + b` as the trees see it.
    value: f64,
    a: f64,
    b: f64,
    double: bool,
}

impl Threshold {
    /// On which side of the threshold a value of the input is.
    fn side(&self, x: f64) -> std::cmp::Ordering {
        let seen = self.a * x + self.b;
        #[allow(clippy::cast_possible_truncation)] // what the operator does
        let seen = if self.double { seen } else { f64::from(seen as f32) };
        seen.total_cmp(&self.value)
    }
}

/// Scale and interval of an input that tree ensembles alone read; `None` for any other.
pub(crate) fn of_trees(
    float: &FloatGraph,
    input: ValueId,
    samples: &[f64],
    recipe: &Recipe,
) -> Option<(Scale, Interval)> {
    let mut thresholds = thresholds(float, input)?;
    if recipe.private_weights {
        thresholds.iter_mut().for_each(Vec::clear);
    }
    let elements = thresholds.len();
    let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); elements];
    for (i, v) in samples.iter().enumerate() {
        let (lo, hi) = &mut ranges[i % elements];
        (*lo, *hi) = (lo.min(*v), hi.max(*v));
    }
    let (mut lo, mut hi) =
        ranges.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), r| (lo.min(r.0), hi.max(r.1)));
    if !(lo.is_finite() && hi.is_finite()) {
        return None;
    }
    // Thresholds far from all samples are decided by the interval.
    let reach = 16.0 * (hi - lo).max(hi.abs()).max(lo.abs()).max(1e-6);
    for (range, list) in ranges.iter_mut().zip(&mut thresholds) {
        list.retain(|t| (lo - reach..=hi + reach).contains(&t.at));
        list.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.value.total_cmp(&b.value)));
        list.dedup_by(|x, y| (x.at, x.value, x.a, x.b) == (y.at, y.value, y.a, y.b));
        for t in list.iter() {
            *range = (range.0.min(t.at), range.1.max(t.at));
        }
    }
    (lo, hi) = ranges.iter().fold((lo, hi), |(lo, hi), r| (lo.min(r.0), hi.max(r.1)));
    match recipe.input_range {
        Some(range) => (lo, hi) = range,
        None => {
            let slack = ((hi - lo) / 8.0).max(hi.abs().max(lo.abs()) * 1e-3).max(1e-6);
            (lo, hi) = (if lo >= 0.0 { (lo - slack).max(0.0) } else { lo - slack }, hi + slack);
        }
    }
    let bits = if recipe.private_weights { i32::from(recipe.declared_bias_bits) - 2 } else { MAX_BITS };
    let largest = libm::ldexp(1.0, bits.min(MAX_BITS));
    let unit = decimal(samples, &thresholds, lo.abs().max(hi.abs()) / largest)
        .or_else(|| binary(samples, &ranges, &thresholds, lo.abs().max(hi.abs()) / largest, recipe.private_weights))?;
    let scale = Scale::from_f64(unit).ok()?;
    #[allow(clippy::cast_possible_truncation)] // at most 2^44
    let (lo, hi) = (libm::floor(lo / unit) as i64, libm::ceil(hi / unit) as i64);
    Some((scale, Interval::new(lo, lo.saturating_add_unsigned(cheap_width(lo, hi.max(lo + 1))))))
}

/// The coarsest power of ten, not below `least`, on which all samples lie and that tells thresholds apart.
fn decimal(samples: &[f64], thresholds: &[Vec<Threshold>], least: f64) -> Option<f64> {
    #[allow(clippy::cast_possible_truncation, clippy::float_cmp)] // as the samples are
    let is_exact = |unit: f64| samples.iter().all(|v| (libm::floor(v / unit + 0.5) * unit) as f32 == *v as f32);
    let exact: Vec<f64> =
        POWERS.iter().map(|p| 1.0 / p).filter(|u| *u >= least).skip_while(|u| !is_exact(*u)).collect();
    let apart = exact.iter().find(|unit| tells_apart(thresholds, **unit));
    apart.or(exact.first()).copied()
}

/// A power of two, not below `least`, as fine as the narrowest feature asks, on which samples keep their places; with
/// private weights the finest, which costs nothing more where all thresholds have one declared width.
fn binary(
    samples: &[f64],
    ranges: &[(f64, f64)],
    thresholds: &[Vec<Threshold>],
    least: f64,
    private: bool,
) -> Option<f64> {
    let spans = ranges.iter().map(|(lo, hi)| hi - lo).filter(|span| *span > 0.0);
    let narrowest = spans.fold(f64::INFINITY, f64::min);
    let (_, least) = libm::frexp(least);
    let (_, wanted) = libm::frexp(if narrowest.is_finite() { narrowest } else { 1.0 });
    let keeps = |unit: f64| {
        samples.iter().enumerate().all(|(i, v)| {
            let list = &thresholds[i % thresholds.len()];
            let rounded = libm::floor(v / unit + 0.5) * unit;
            let near =
                list.partition_point(|t| t.at < v - 2.0 * unit)..list.partition_point(|t| t.at <= v + 2.0 * unit);
            list[near].iter().all(|t| t.side(*v) == t.side(rounded))
        })
    };
    if private {
        return Some(libm::ldexp(1.0, least));
    }
    let mut exponent = (wanted - FEATURE_BITS).max(least);
    while exponent > least
        && !(tells_apart(thresholds, libm::ldexp(1.0, exponent)) && keeps(libm::ldexp(1.0, exponent)))
    {
        exponent -= 1;
    }
    Some(libm::ldexp(1.0, exponent))
}

/// Whether between any two thresholds of a feature, but those that differ by rounding, there is a grid point.
fn tells_apart(thresholds: &[Vec<Threshold>], unit: f64) -> bool {
    thresholds.iter().all(|list| {
        list.windows(2).all(|pair| {
            let (a, b) = (pair[0].at, pair[1].at);
            b - a <= 4.0 * f64::from(f32::EPSILON) * b.abs() || libm::floor(a / unit) < libm::floor(b / unit)
        })
    })
}

/// The thresholds of every element of an input, or `None` if something else than trees reads it.
fn thresholds(float: &FloatGraph, input: ValueId) -> Option<Vec<Vec<Threshold>>> {
    let shape = float.shape(input);
    let count: usize = shape.iter().product();
    if float.values[input.0].integer || float.outputs.iter().any(|(_, id)| *id == input) {
        return None;
    }
    let constant = |value: f64| Tensor::new(shape.to_vec(), vec![value; count]);
    #[allow(clippy::cast_precision_loss)] // indices
    let index = Tensor::new(shape.to_vec(), (0..count).map(|i| i as f64).collect());
    let mut traces = HashMap::from([(input, Trace { index, a: constant(1.0), b: constant(0.0) })]);
    let mut found: Vec<Vec<Threshold>> = (0..count).map(|_| Vec::new()).collect();
    let mut any = false;
    for node in &float.nodes {
        if !node.inputs.iter().any(|id| traces.contains_key(id)) {
            continue;
        }
        if let FloatOp::Trees(ensemble) = &node.op {
            collect(ensemble, &traces[&node.inputs[0]], &mut found);
            any = true;
            continue;
        }
        if float.outputs.iter().any(|(_, id)| *id == node.output) {
            return None;
        }
        let trace = step(float, node, &traces)?;
        traces.insert(node.output, trace);
    }
    any.then_some(found)
}

/// The trace through one node, if it moves elements, scales them or adds constants.
fn step(float: &FloatGraph, node: &FloatNode, traces: &HashMap<ValueId, Trace>) -> Option<Trace> {
    let shape = float.shape(node.output);
    let filled = |id: &ValueId, value: f64| {
        let shape = float.shape(*id).to_vec();
        Tensor::new(shape.clone(), vec![value; shape.iter().product()])
    };
    match &node.op {
        FloatOp::Reshape(_)
        | FloatOp::Transpose(_)
        | FloatOp::Slice(_)
        | FloatOp::Concat(_)
        | FloatOp::Expand(_)
        | FloatOp::Gather { .. } => {
            if matches!(&node.op, FloatOp::Gather { indices, .. } if indices.contains(&None)) {
                return None;
            }
            let part = |pick: fn(&Trace) -> &Tensor, other: f64| {
                let inputs: Vec<Tensor> = node
                    .inputs
                    .iter()
                    .map(|id| traces.get(id).map_or_else(|| filled(id, other), |t| pick(t).clone()))
                    .collect();
                ops::evaluate(&node.op, &inputs.iter().collect::<Vec<_>>(), shape)
            };
            Some(Trace { index: part(|t| &t.index, -1.0), a: part(|t| &t.a, 0.0), b: part(|t| &t.b, 0.0) })
        }
        FloatOp::Unary(Unary::Neg) => {
            let trace = traces.get(&node.inputs[0])?.clone();
            let negative = |x: Tensor| Tensor { data: x.data.iter().map(|v| -v).collect(), ..x };
            Some(Trace { index: trace.index, a: negative(trace.a), b: negative(trace.b) })
        }
        FloatOp::Binary(binary @ (Binary::Add | Binary::Sub | Binary::Mul | Binary::Div)) => {
            let (left, right) = (node.inputs[0], node.inputs[1]);
            let first = traces.contains_key(&left);
            let (trace, other) = if first { (&traces[&left], right) } else { (traces.get(&right)?, left) };
            let other = float.constant(other)?;
            if *binary == Binary::Div && !first {
                return None;
            }
            let apply = |x: &Tensor, sign: f64, binary: Binary| {
                let x = Tensor { data: x.data.iter().map(|v| v * sign).collect(), ..x.clone() };
                binary.evaluate(&x, other, shape)
            };
            let index = trace.index.broadcast_to(shape);
            let sign = if *binary == Binary::Sub && !first { -1.0 } else { 1.0 };
            let (a, b) = match binary {
                Binary::Mul | Binary::Div => (apply(&trace.a, 1.0, *binary), apply(&trace.b, 1.0, *binary)),
                Binary::Sub if first => (trace.a.broadcast_to(shape), apply(&trace.b, 1.0, Binary::Sub)),
                _ => {
                    let a = trace.a.broadcast_to(shape);
                    let a = Tensor { data: a.data.iter().map(|v| v * sign).collect(), ..a };
                    (a, apply(&trace.b, sign, Binary::Add))
                }
            };
            Some(Trace { index, a, b })
        }
        _ => None,
    }
}

/// Notes the thresholds of all branches, for every row.
fn collect(ensemble: &Ensemble, trace: &Trace, found: &mut [Vec<Threshold>]) {
    let columns = trace.index.shape[1];
    for row in 0..trace.index.shape[0] {
        for node in &ensemble.nodes {
            let Node::Branch { feature, test, .. } = node else { continue };
            let at = row * columns + feature;
            let (index, a, b) = (trace.index.data[at], trace.a.data[at], trace.b.data[at]);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an index
            let Some(list) = (index >= 0.0 && a != 0.0).then_some(index as usize).and_then(|i| found.get_mut(i)) else {
                continue;
            };
            let double = ensemble.double;
            let thresholds = test.thresholds().iter().filter(|t| t.is_finite());
            list.extend(thresholds.map(|value| Threshold { at: (value - b) / a, value: *value, a, b, double }));
        }
    }
}
