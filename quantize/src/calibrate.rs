//! Calibration: the range of every tensor of the float model on samples.

use crate::{
    data::Samples,
    masks::is_hidden,
    onnx::{
        graph::{FloatOp, ValueId},
        tensor::{volume, Tensor},
        FloatGraph, ImportError,
    },
    progress::Stage,
    recipe::Method,
};
use rayon::prelude::*;
use std::collections::HashSet;

/// The range of one tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The smallest value.
    pub lo: f64,
    /// The largest value.
    pub hi: f64,
}

impl Range {
    /// No value yet.
    pub(crate) const EMPTY: Self = Self { lo: f64::INFINITY, hi: f64::NEG_INFINITY };

    /// The smallest range that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }
    /// The range of some values. What stands for an infinity counts as [`FAR`] beyond the others.
    pub(crate) fn of(values: &[f64]) -> Self {
        // In lanes, since minima and maxima have no order.
        let (lanes, rest) = values.as_chunks::<4>();
        let (mut least, mut largest) = ([f64::INFINITY; 4], [f64::NEG_INFINITY; 4]);
        for lane in lanes {
            for i in 0..4 {
                least[i] = least[i].min(lane[i]);
                largest[i] = largest[i].max(lane[i]);
            }
        }
        let lo = least.iter().chain(rest).copied().fold(f64::INFINITY, f64::min);
        let hi = largest.iter().chain(rest).copied().fold(f64::NEG_INFINITY, f64::max);
        if lo <= hi && !is_infinite(lo) && !is_infinite(hi) {
            return Self { lo, hi };
        }
        let finite = |r: Self, v: f64| Self { lo: r.lo.min(v), hi: r.hi.max(v) };
        let mut range = values.iter().filter(|v| !is_infinite(**v)).fold(Self::EMPTY, |r, v| finite(r, *v));
        if range.lo > range.hi {
            range = Self { lo: 0.0, hi: 0.0 };
        }
        let infinite = |sign: f64| values.iter().any(|v| is_infinite(*v) && v.signum() == sign);
        Self {
            lo: if infinite(-1.0) { range.lo.min(0.0) - FAR } else { range.lo },
            hi: if infinite(1.0) { range.hi.max(0.0) + FAR } else { range.hi },
        }
    }

    /// The range of the arguments of a softmax over an axis: what is far below the largest of its line counts for
    /// nothing, wherever a mask put it; what a mask hides is not in the range at all.
    fn of_softmax(x: &Tensor, axis: usize, masked: bool) -> Self {
        let (outer, inner) = (volume(&x.shape[..axis]), volume(&x.shape[axis + 1..]));
        let length = x.shape[axis];
        let mut range = Self::EMPTY;
        for line in 0..outer * inner {
            let at = |k: usize| x.data[(line / inner * length + k) * inner + line % inner];
            let largest = (0..length).map(at).fold(f64::NEG_INFINITY, f64::max);
            if is_infinite(largest) || (masked && is_hidden(largest)) {
                continue;
            }
            let shown = (0..length).map(at).filter(|v| !(masked && is_hidden(*v)));
            let smallest = shown.fold(f64::INFINITY, f64::min);
            range = range.union(Self { lo: smallest.max(largest - FAR), hi: largest });
        }
        if range.lo > range.hi {
            Self { lo: 0.0, hi: 0.0 }
        } else {
            range
        }
    }
    /// The range of what no mask hides.
    fn of_shown(values: &[f64]) -> Self {
        let shown = values.iter().filter(|v| !is_hidden(**v));
        let range = shown.fold(Self::EMPTY, |r, v| Self { lo: r.lo.min(*v), hi: r.hi.max(*v) });
        if range.lo > range.hi {
            Self { lo: 0.0, hi: 0.0 }
        } else {
            range
        }
    }
    /// The range with a share of itself added at either end, but not across zero.
    #[must_use]
    pub fn with_headroom(self, share: f64) -> Self {
        let more = (self.hi - self.lo) * share;
        if !(more.is_finite() && more > 0.0) {
            return self;
        }
        Self {
            lo: if self.lo < 0.0 { self.lo - more } else { self.lo },
            hi: if self.hi > 0.0 { self.hi + more } else { self.hi },
        }
    }
    /// The larger absolute value.
    #[must_use]
    pub fn magnitude(self) -> f64 {
        self.lo.abs().max(self.hi.abs())
    }
}

/// By how much something infinite lies beyond what is finite: its exponential is nothing.
pub(crate) const FAR: f64 = 32.0;

/// Whether a number stands for an infinity, as masks have it.
pub(crate) fn is_infinite(value: f64) -> bool {
    value.abs() >= 1e30
}

/// Bins of a histogram.
const BINS: usize = 2048;

/// The range of every value of the graph; constants have an empty range.
///
/// # Errors
/// [`ImportError::RunInput`] when the samples are not for this graph.
pub fn calibrate(graph: &FloatGraph, samples: &Samples, method: Method, bits: u8) -> Result<Vec<Range>, ImportError> {
    calibrate_masked(graph, samples, (method, bits), &HashSet::new())
}

/// [`calibrate`] of a graph some of whose values hold masks ([`crate::masks`]): what they hide is in no range.
pub(crate) fn calibrate_masked(
    graph: &FloatGraph,
    samples: &Samples,
    (method, bits): (Method, u8),
    masked: &HashSet<ValueId>,
) -> Result<Vec<Range>, ImportError> {
    let empty = || vec![Range::EMPTY; graph.values.len()];
    let union = |a: Vec<Range>, b: Vec<Range>| a.into_iter().zip(b).map(|(a, b)| a.union(b)).collect::<Vec<_>>();
    let softmax = softmax_axes(graph);
    let stage = Stage::new("calibrating", samples.len());
    // Minimum and maximum do not depend on the order of samples.
    let ranges = (0..samples.len())
        .into_par_iter()
        .map(|s| {
            let mut ranges = empty();
            graph.run(&samples.tensors(s), |id, tensor| {
                let range = match (softmax[id.0], masked.contains(&id)) {
                    (Some(axis), masked) => Range::of_softmax(tensor, axis, masked),
                    (None, true) => Range::of_shown(&tensor.data),
                    (None, false) => Range::of(&tensor.data),
                };
                ranges[id.0] = ranges[id.0].union(range);
            })?;
            stage.step();
            Ok(ranges)
        })
        .try_reduce(empty, |a, b| Ok(union(a, b)))?;
    if method == Method::MinMax {
        return Ok(united(graph, ranges));
    }
    let stage = Stage::new("calibrating, distributions", samples.len());
    let histograms = (0..samples.len())
        .into_par_iter()
        .try_fold(
            || vec![Vec::new(); graph.values.len()],
            |mut histograms: Vec<Vec<u64>>, s| {
                graph.run(&samples.tensors(s), |id, tensor| {
                    count(tensor, masked.contains(&id), ranges[id.0], &mut histograms[id.0]);
                })?;
                stage.step();
                Ok(histograms)
            },
        )
        .try_reduce(
            || vec![Vec::new(); graph.values.len()],
            |a, b| Ok(a.into_iter().zip(b).map(|(a, b)| add(a, &b)).collect()),
        )?;
    let inputs: Vec<ValueId> = graph.inputs.clone();
    let ranges = ranges
        .into_iter()
        .zip(histograms)
        .enumerate()
        .map(|(id, (range, histogram))| {
            // Inputs are declared whole: clipping them would make valid inputs lose their meaning.
            if histogram.is_empty() || range.lo >= range.hi || inputs.contains(&ValueId(id)) {
                return range;
            }
            match method {
                Method::MinMax => range,
                Method::Percentile(share) => percentile(range, &histogram, share),
                Method::Mse => least_squares(range, &histogram, bits),
            }
        })
        .collect();
    Ok(united(graph, ranges))
}

/// Values that share a range have the smallest one that holds all of theirs.
fn united(graph: &FloatGraph, mut ranges: Vec<Range>) -> Vec<Range> {
    let followers = |id: usize| graph.values[id].range_of.map(|leader| (id, leader.0));
    for (id, leader) in (0..ranges.len()).filter_map(followers) {
        ranges[leader] = ranges[leader].union(ranges[id]);
    }
    for (id, leader) in (0..ranges.len()).filter_map(followers) {
        ranges[id] = ranges[leader];
    }
    ranges
}

/// For values that a softmax alone reads, its axis.
fn softmax_axes(graph: &FloatGraph) -> Vec<Option<usize>> {
    let readers = graph.num_readers();
    let mut axes = vec![None; graph.values.len()];
    for node in &graph.nodes {
        if let FloatOp::Softmax(axis) = node.op {
            let input = node.inputs[0];
            axes[input.0] = (readers[input.0] == 1 && !graph.inputs.contains(&input)).then_some(axis);
        }
    }
    axes
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // BINS is small
fn count(tensor: &Tensor, masked: bool, range: Range, histogram: &mut Vec<u64>) {
    let step = (range.hi - range.lo) / BINS as f64;
    if step.is_nan() || step <= 0.0 {
        return;
    }
    histogram.resize(BINS, 0);
    for value in tensor.data.iter().filter(|v| !(masked && is_hidden(**v))) {
        histogram[(((value - range.lo) / step) as usize).min(BINS - 1)] += 1;
    }
}

fn add(mut a: Vec<u64>, b: &[u64]) -> Vec<u64> {
    a.resize(a.len().max(b.len()), 0);
    for (a, b) in a.iter_mut().zip(b) {
        *a += b;
    }
    a
}

#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
fn percentile(range: Range, histogram: &[u64], share: f64) -> Range {
    let total: u64 = histogram.iter().sum();
    let cut = total as f64 * (1.0 - share) / 2.0;
    let step = (range.hi - range.lo) / BINS as f64;
    let skip = |bins: &mut dyn Iterator<Item = &u64>| {
        let mut seen = 0.0;
        bins.take_while(|b| {
            seen += **b as f64;
            seen <= cut
        })
        .count()
    };
    let (front, back) = (skip(&mut histogram.iter()), skip(&mut histogram.iter().rev()));
    Range { lo: range.lo + front as f64 * step, hi: (range.hi - back as f64 * step).max(range.lo + step) }
}

#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
fn least_squares(range: Range, histogram: &[u64], bits: u8) -> Range {
    let step = (range.hi - range.lo) / BINS as f64;
    let mut best = (f64::INFINITY, range);
    for tenths in 1..=40_u32 {
        let part = f64::from(tenths) / 40.0;
        let clipped = Range { lo: range.lo * part, hi: range.hi * part };
        let unit = (clipped.hi.max(0.0) - clipped.lo.min(0.0)) / libm::ldexp(1.0, bits.into());
        let error: f64 = histogram
            .iter()
            .enumerate()
            .map(|(i, n)| {
                let value = range.lo + (i as f64 + 0.5) * step;
                let outside = (clipped.lo - value).max(value - clipped.hi).max(0.0);
                *n as f64 * (outside * outside + unit * unit / 12.0)
            })
            .sum();
        if error <= best.0 {
            best = (error, clipped);
        }
    }
    best.1
}
