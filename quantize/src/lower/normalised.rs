//! Values that are normalised: every line of them is divided by its deviation.
//!
//! Where lines differ in size, the largest one sets the unit of the tensor, and what is left of the smallest ones is what
//! all that follows sees of them. So such a tensor, and what it is centred from, has more bits: as many as the lines
//! differ by in calibration.

use crate::{
    calibrate::Range,
    curve::Curve,
    onnx::{
        graph::{FloatGraph, FloatOp, ValueId},
        ops::elementwise::{Binary, Unary},
    },
};
use std::collections::HashMap;

/// At most so many bits more.
const MOST_BITS: f64 = 6.0;

/// By how many bits values are finer than the recipe says.
pub(super) fn finer(float: &FloatGraph, ranges: &[Range]) -> HashMap<ValueId, u8> {
    let mut roots: HashMap<ValueId, Curve> = HashMap::new();
    let mut centred: HashMap<ValueId, ValueId> = HashMap::new();
    let mut finer: HashMap<ValueId, u8> = HashMap::new();
    for node in &float.nodes {
        let pair = match (&node.op, node.inputs.as_slice()) {
            (FloatOp::Unary(Unary::Curve(curve @ (Curve::Sqrt | Curve::Rsqrt))), _) => {
                roots.insert(node.output, *curve);
                continue;
            }
            (FloatOp::Binary(Binary::Sub), [x, _]) => {
                centred.insert(node.output, *x);
                continue;
            }
            (FloatOp::Binary(Binary::Div), [one, by])
                if roots.get(by) == Some(&Curve::Sqrt) && float.constant(*one).is_some() =>
            {
                roots.insert(node.output, Curve::Rsqrt);
                continue;
            }
            (FloatOp::Binary(Binary::Div), [x, by]) if roots.get(by) == Some(&Curve::Sqrt) => (*x, *by),
            (FloatOp::Binary(Binary::Mul), [x, by]) if roots.get(by) == Some(&Curve::Rsqrt) => (*x, *by),
            _ => continue,
        };
        let (value, by) = pair;
        let range = ranges.get(by.0).copied().unwrap_or(Range::EMPTY);
        let is_line = float.shape(by).last() == Some(&1) && float.shape(value).last() != Some(&1);
        if !is_line || range.lo <= 0.0 || !range.hi.is_finite() {
            continue;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let more = libm::floor(libm::log2(range.hi / range.lo)).clamp(0.0, MOST_BITS) as u8;
        for id in [Some(value), centred.get(&value).copied()].into_iter().flatten() {
            let bits = finer.entry(id).or_default();
            *bits = (*bits).max(more);
        }
    }
    finer.retain(|_, bits| *bits > 0);
    finer
}
