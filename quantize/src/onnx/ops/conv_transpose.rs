//! Transposed convolution, as convolutions.
//!
//! `y[o] = Σ w[k] · x[i]` over all `i · s + k · d − p = o` on every axis, with the stride `s`, the dilation `d` and the
//! padding `p`. The outputs `o = j · s + r` of one phase `r` read only the elements `k` of the kernel for which
//! `k · d ≡ r + p (mod s)`: they are a convolution with stride 1 and a part of the kernel, turned round. The phases
//! are interleaved.

use super::conv::{Conv, Window};
use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    proto::{checked_volume, MAX_ELEMENTS},
    tensor::Tensor,
};

pub(crate) const OPS: &[&str] = &["ConvTranspose"];

/// At most so many convolutions.
const MAX_PHASES: usize = 256;

/// One spatial axis.
#[derive(Clone, Copy, Debug)]
struct Axis {
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Elements cut off in front.
    begin: usize,
    output: usize,
}

/// The convolution of one phase along one axis.
struct Part {
    /// Elements of the kernel, in order of the elements of the input that they meet; none: the phase is zero.
    taps: Vec<usize>,
    /// The part of the input that is read: start and length.
    read: (usize, usize),
    window: Window,
}

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let (shape, weights) = (c.shape(0)?, c.constant(1)?);
    let misfit = |why| NodeProblem::Shapes { shapes: vec![shape.clone(), weights.shape.clone()], why };
    let ([n, channels, spatial @ ..], [first, per_group, kernel @ ..]) = (shape.as_slice(), weights.shape.as_slice())
    else {
        return Err(misfit("a batch axis and a channel axis are needed"));
    };
    let group = usize::try_from(c.attributes.int("group").unwrap_or(1)).unwrap_or(0);
    if spatial.len() != kernel.len() || spatial.is_empty() || spatial.len() > 3 {
        return Err(misfit("one to three spatial axes are needed"));
    }
    if first != channels || group == 0 || !channels.is_multiple_of(group) || checked_volume(&weights.shape).is_none() {
        return Err(misfit("channels do not fit the groups"));
    }
    let out = group.checked_mul(*per_group).filter(|o| *o < MAX_ELEMENTS).ok_or(NodeProblem::Attribute("group"))?;
    let axes = read_axes(c, spatial, kernel)?;
    let phases = axes.iter().fold(1_usize, |p, a| p.saturating_mul(a.stride));
    let blocks: Vec<usize> = axes.iter().map(|a| a.output.div_ceil(a.stride)).collect();
    if phases > MAX_PHASES
        || checked_volume(&[&[*n, out], axes.iter().map(|a| a.output).collect::<Vec<_>>().as_slice()].concat())
            .is_none()
    {
        return Err(NodeProblem::Variant("a transposed convolution with more than 256 phases, or too large"));
    }
    let turned = turned_weights(c, group, *per_group)?;
    let mut parts = Vec::with_capacity(phases);
    for phase in 0..phases {
        let mut rest = phase;
        let mut of_axis = Vec::with_capacity(axes.len());
        for (d, axis) in axes.iter().enumerate().rev() {
            of_axis.push(part(*axis, rest % axis.stride, blocks[d]));
            rest /= axis.stride;
        }
        of_axis.reverse();
        let y = convolution(c, turned, &of_axis, group)?;
        let y = match y {
            Some(y) => y,
            None => {
                let zeros = [&[*n, out], blocks.as_slice()].concat();
                c.tensor(Tensor::zeros(&zeros))
            }
        };
        // An axis for the phase after every spatial axis.
        let split = blocks.iter().flat_map(|b| [*b, 1]);
        parts.push(c.reshape(y, [*n, out].into_iter().chain(split).collect())?);
    }
    for (d, axis) in axes.iter().enumerate().rev() {
        parts = parts.chunks(axis.stride).map(|p| c.concat(p, 3 + 2 * d)).collect::<Result<_, _>>()?;
    }
    let joined = blocks.iter().zip(&axes).map(|(b, a)| b * a.stride);
    let mut y = c.reshape(parts[0], [*n, out].into_iter().chain(joined).collect())?;
    for (d, axis) in axes.iter().enumerate() {
        y = c.slice(y, 2 + d, (0, 1, axis.output))?;
    }
    if let Some(bias) = c.optional(2) {
        if c.shape_of(bias) != [out] {
            return Err(misfit("the bias has another number of channels"));
        }
        let bias = c.reshape(bias, [out].into_iter().chain(spatial.iter().map(|_| 1)).collect())?;
        y = c.add(y, bias)?;
    }
    Ok(vec![y])
}

/// Weights `[c, m / group, …]` as those of a convolution, `[m, c / group, …]`.
fn turned_weights(c: &mut Context<'_>, group: usize, per_group: usize) -> Result<ValueId, NodeProblem> {
    let weights = c.input(1)?;
    let shape = c.shape_of(weights);
    let (inner, kernel) = (shape[0] / group, &shape[2..]);
    let split = c.reshape(weights, [&[group, inner, per_group], kernel].concat())?;
    let perm: Vec<usize> = [0, 2, 1].into_iter().chain(3..3 + kernel.len()).collect();
    let split = c.transpose(split, &perm)?;
    c.reshape(split, [&[group * per_group, inner], kernel].concat())
}

/// The convolution of one phase; `None` when nothing is read.
fn convolution(
    c: &mut Context<'_>,
    weights: ValueId,
    parts: &[Part],
    group: usize,
) -> Result<Option<ValueId>, NodeProblem> {
    if parts.iter().any(|p| p.taps.is_empty()) {
        return Ok(None);
    }
    let (mut x, mut kernel) = (c.input(0)?, weights);
    for (d, part) in parts.iter().enumerate() {
        x = c.slice(x, 2 + d, (part.read.0, 1, part.read.1))?;
        let indices = part.taps.iter().copied().map(Some).collect();
        kernel = c.push(FloatOp::Gather { axis: 2 + d, indices, shape: vec![part.taps.len()] }, &[kernel])?;
    }
    let windows = parts.iter().map(|p| p.window).collect();
    c.push(FloatOp::Conv(Conv { windows, group }), &[x, kernel]).map(Some)
}

/// Phase `r` of an axis, `blocks` outputs of it.
fn part(axis: Axis, r: usize, blocks: usize) -> Part {
    let (s, d) = (axis.stride, axis.dilation);
    let mut taps: Vec<usize> = (0..axis.kernel).filter(|k| (k * d) % s == (r + axis.begin) % s).collect();
    taps.reverse();
    let nothing = Window { size: 1, stride: 1, dilation: 1, begin: 0, end: 0, ceil: false, same: 0 };
    let (Some(largest), Some(smallest)) = (taps.first(), taps.last()) else {
        return Part { taps, read: (0, 1), window: nothing };
    };
    // Output j reads from j + (r + p − k d) / s on: where that is negative there is padding, else the start is cut.
    let ahead = |k: usize| (r + axis.begin).abs_diff(k * d) / s;
    let (begin, start) = if largest * d > r + axis.begin { (ahead(*largest), 0) } else { (0, ahead(*largest)) };
    let dilation = match taps.as_slice() {
        [a, b, ..] => (a - b) * d / s,
        _ => 1,
    };
    // One past the last element that is read, before padding.
    let last = blocks + if smallest * d > r + axis.begin { 0 } else { ahead(*smallest) };
    let last = last.saturating_sub(if smallest * d > r + axis.begin { ahead(*smallest) } else { 0 });
    let (stop, end) = (last.min(axis.input), last.saturating_sub(axis.input));
    if start >= stop {
        return Part { taps: vec![], read: (0, 1), window: nothing };
    }
    let window = Window { size: taps.len(), stride: 1, dilation, begin, end, ceil: false, same: 0 };
    Part { taps, read: (start, stop - start), window }
}

fn read_axes(c: &Context<'_>, input: &[usize], kernel: &[usize]) -> Result<Vec<Axis>, NodeProblem> {
    let attributes = c.attributes;
    let rank = input.len();
    let list = |name: &'static str, default: i64, count: usize| {
        let values = attributes.ints(name).map_or_else(|| vec![default; count], <[i64]>::to_vec);
        let size = |v: &i64| usize::try_from(*v).ok().filter(|v| *v < 1 << 20);
        let values: Option<Vec<usize>> = values.iter().map(size).collect();
        values.filter(|v| v.len() == count).ok_or(NodeProblem::Attribute(name))
    };
    let (strides, dilations) = (list("strides", 1, rank)?, list("dilations", 1, rank)?);
    let (added, pads) = (list("output_padding", 0, rank)?, list("pads", 0, 2 * rank)?);
    if strides.contains(&0) || dilations.contains(&0) || kernel.contains(&0) {
        return Err(NodeProblem::Attribute("strides"));
    }
    let given = match attributes.ints("output_shape") {
        // Some files list batch and channels too.
        Some(given) if given.len() == rank + 2 => Some(&given[2..]),
        given => given,
    };
    let given = given.map(|g| crate::onnx::context::sizes(g, "output_shape")).transpose()?;
    let auto = attributes.string("auto_pad").unwrap_or("NOTSET");
    let same = matches!(auto, "SAME_UPPER" | "SAME_LOWER");
    if given.as_ref().is_some_and(|g| g.len() != rank || pads.iter().any(|p| *p > 0)) {
        return Err(NodeProblem::Attribute("output_shape"));
    }
    let mut axes = Vec::with_capacity(rank);
    for d in 0..rank {
        let full = strides[d] * (input[d] - 1) + added[d] + (kernel[d] - 1) * dilations[d] + 1;
        let target = given.as_ref().map(|g| g[d]).or_else(|| same.then(|| input[d] * strides[d]));
        let (begin, output) = match target {
            None if auto == "VALID" => (0, full),
            None => (pads[d], full.checked_sub(pads[d] + pads[rank + d]).ok_or(NodeProblem::Attribute("pads"))?),
            Some(output) => {
                let total = full.saturating_sub(output);
                if (same && full < output) || (total % 2 == 1 && c.opset < 11) {
                    return Err(NodeProblem::Variant("a padding that is not the same on both sides"));
                }
                (if auto == "SAME_UPPER" { total / 2 } else { total - total / 2 }, output)
            }
        };
        if output == 0 {
            return Err(NodeProblem::Attribute("pads"));
        }
        let (stride, dilation) = (strides[d], dilations[d]);
        axes.push(Axis { input: input[d], kernel: kernel[d], stride, dilation, begin, output });
    }
    Ok(axes)
}
