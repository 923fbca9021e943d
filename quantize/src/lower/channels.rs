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

/// Per value, the ranges of its channels, where scales per channel are free.
pub(crate) type Channels = Vec<Option<Vec<Range>>>;

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
            Some(vec![Range::EMPTY; *size])
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
                    ranges[channel] = ranges[channel].union(Range::of(values));
                }
            })?;
            Ok(channels)
        })
        .try_reduce(empty, |mut a, b| {
            for (a, b) in a.iter_mut().zip(b) {
                if let (Some(a), Some(b)) = (a, b) {
                    for (a, b) in a.iter_mut().zip(b) {
                        *a = a.union(b);
                    }
                }
            }
            Ok(a)
        })
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
        let all = self.ranges[id.0].magnitude();
        let factors: Vec<f64> = ranges
            .iter()
            .map(|r| {
                let own = r.magnitude();
                let ratio = if own > 0.0 && own.is_finite() { libm::floor(libm::log2(all / own)) } else { 0.0 };
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
        let factors = Expr::constant(&mut self.axes, shape, factors, keep);
        expr.times(&mut self.axes, factors)
    }
}
