//! Scales per channel: activations whose channels differ in size, multiplied by powers of two.
//!
//! A tensor has one scale. Where every reader multiplies the channels by constant weights anyway, a channel may be
//! stored as `2^e` times itself: the factor goes into the weights before, and its inverse into those behind, so
//! it costs nothing, and both the tensor and the weights of small channels keep their bits.

use super::{
    expr::{Blocked, Expr},
    Lowering, Pending,
};
use crate::{
    calibrate::Range,
    data::Samples,
    onnx::{
        graph::{FloatGraph, FloatOp, ValueId},
        ImportError,
    },
};
use rayon::prelude::*;

/// No channel is stored larger by more than two to this.
const MAX_EXPONENT: i32 = 6;
/// A channel has room for this many times what its samples lead to expect: they tell less of it than of the tensor.
const ROOM: f64 = 2.0;

/// Per value, the ranges of its channels in every second sample and in the others, where scales per channel are free.
pub(crate) type Channels = Vec<Option<Vec<[Range; 2]>>>;

/// The channel axis of every value that only products with constant weights read.
fn candidates(graph: &FloatGraph) -> Vec<Option<usize>> {
    let mut axes: Vec<Option<usize>> =
        (0..graph.values.len()).map(|v| (graph.shape(ValueId(v)).len() > 1).then_some(1)).collect();
    for id in graph.inputs.iter().chain(graph.outputs.iter().map(|o| &o.1)) {
        axes[id.0] = None;
    }
    let mut read = vec![false; graph.values.len()];
    // From the end: a value that is only moved is as free as the result.
    for node in graph.nodes.iter().rev() {
        for (i, input) in node.inputs.iter().enumerate() {
            let weights = node.inputs.get(1).is_some_and(|w| graph.constant(*w).is_some());
            let free = match &node.op {
                FloatOp::Conv(conv) => i == 0 && conv.group == 1,
                FloatOp::Gemm { .. } | FloatOp::MatMul => i == 0 && weights,
                FloatOp::Reshape(_) | FloatOp::Transpose(_) => axes[node.output.0].is_some() && read[node.output.0],
                _ => false,
            };
            read[input.0] = true;
            if !free {
                axes[input.0] = None;
            }
        }
    }
    axes.into_iter().zip(read).map(|(axis, read)| axis.filter(|_| read)).collect()
}

/// The calibrated ranges of channels.
pub(crate) fn channel_ranges(graph: &FloatGraph, samples: &Samples) -> Result<Channels, ImportError> {
    let axes = candidates(graph);
    let empty = || -> Channels {
        let ranges = |(v, axis): (usize, &Option<usize>)| {
            let size = graph.shape(ValueId(v)).get((*axis)?)?;
            Some(vec![[Range::EMPTY; 2]; *size])
        };
        axes.iter().enumerate().map(ranges).collect()
    };
    (0..samples.len())
        .into_par_iter()
        .map(|s| {
            let mut channels = empty();
            graph.run(&samples.tensors(s), |id, tensor| {
                let (Some(ranges), Some(axis)) = (&mut channels[id.0], axes[id.0]) else { return };
                let inner: usize = tensor.shape[axis + 1..].iter().product();
                for (i, values) in tensor.data.chunks(inner.max(1)).enumerate() {
                    let channel = i % ranges.len();
                    ranges[channel][s % 2] = ranges[channel][s % 2].union(Range::of(values));
                }
            })?;
            Ok(channels)
        })
        .try_reduce(empty, |mut a, b| {
            for (a, b) in a.iter_mut().zip(b) {
                if let (Some(a), Some(b)) = (a, b) {
                    for (a, b) in a.iter_mut().flatten().zip(b.into_iter().flatten()) {
                        *a = a.union(b);
                    }
                }
            }
            Ok(a)
        })
}

/// By how much the tensor reaches further on one side of zero than is to be expected of a channel. The two halves of
/// the samples tell how far off that may be: by as much as they differ.
fn ratio(all: f64, [a, b]: [f64; 2]) -> f64 {
    let (least, most) = (a.min(b), a.max(b));
    if most <= 0.0 {
        return f64::INFINITY;
    }
    if least <= 0.0 {
        return 1.0;
    }
    all / (most * most / least * ROOM)
}

impl Lowering<'_> {
    /// Factors per channel for a value about to become a tensor, and the shape that broadcasts them; `None` where
    /// they would cost something or bring nothing.
    pub(super) fn channel_factors(
        &self,
        id: ValueId,
        expr: &Expr,
        pending: &Pending,
    ) -> Option<(Vec<usize>, Vec<f64>)> {
        let ranges = self.channels.get(id.0)?.as_ref()?;
        let through_zero = |v: f64| v == 0.0 || v.is_infinite();
        let weighted = expr.atoms.iter().all(|a| a.reads.is_empty() || a.dense.is_some());
        if !weighted || !through_zero(pending.lo) || !through_zero(pending.hi) || self.is_integer(id) {
            return None;
        }
        let all = self.ranges[id.0];
        let factors: Vec<f64> = ranges
            .iter()
            .map(|parts| {
                let above = ratio(all.hi, parts.map(|r| r.hi));
                let below = ratio(-all.lo, parts.map(|r| -r.lo));
                let ratio = above.min(below);
                let ratio = if ratio.is_finite() { libm::floor(libm::log2(ratio)) } else { 0.0 };
                libm::exp2(ratio.clamp(0.0, f64::from(MAX_EXPONENT)))
            })
            .collect();
        if factors.iter().all(|f| *f == factors[0]) {
            return None;
        }
        let rank = self.float.shape(id).len();
        let mut shape = vec![1; rank - 1];
        shape[0] = factors.len();
        Some((shape, factors))
    }

    /// The expression times factors per channel.
    pub(super) fn times_channels(&mut self, expr: Expr, shape: &[usize], factors: &[f64]) -> Result<Expr, Blocked> {
        let keep = self.recipe.private_weights;
        let factors = Expr::constant(&mut self.axes, shape, factors.to_vec(), keep);
        expr.times(&mut self.axes, factors)
    }
}
