//! Windows, and Fourier transforms as constant matrices.

use super::conv::{Conv, Window};
use crate::onnx::{
    context::{axis, Context, Outputs},
    error::NodeProblem,
    graph::FloatOp,
    proto::MAX_ELEMENTS,
    tensor::{volume, Tensor},
};
use core::f64::consts::PI;

pub(crate) const OPS: &[&str] = &["BlackmanWindow", "DFT", "HammingWindow", "HannWindow", "MelWeightMatrix", "STFT"];

/// Transforms have at most so many coefficients.
const MAX_MATRIX: usize = 1 << 24;

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "DFT" => fourier(c),
        "STFT" => short_time(c),
        "MelWeightMatrix" => mel(c),
        _ => window(c),
    }
}

/// A constant size.
fn size(c: &Context<'_>, i: usize, name: &'static str) -> Result<Option<usize>, NodeProblem> {
    match c.constant_scalar(i, name)? {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // checked
        Some(v) if v >= 1.0 && v <= MAX_ELEMENTS as f64 => Ok(Some(v as usize)),
        Some(_) => Err(NodeProblem::Attribute(name)),
        None => Ok(None),
    }
}

#[allow(clippy::cast_precision_loss)] // sizes
fn window(c: &mut Context<'_>) -> Outputs {
    let size = size(c, 0, "size")?.ok_or(NodeProblem::MissingInput(0))?;
    let periodic = c.attributes.int("periodic").unwrap_or(1) != 0;
    let length = if periodic { size } else { size - 1 };
    if length == 0 {
        return Err(NodeProblem::Variant("a window of one element"));
    }
    let op = c.node.op_type.as_str();
    let value = |n: usize| {
        let turn = 2.0 * PI * n as f64 / length as f64;
        match op {
            "HannWindow" => 0.5 - 0.5 * libm::cos(turn),
            "HammingWindow" => 25.0 / 46.0 - 21.0 / 46.0 * libm::cos(turn),
            _ => 0.42 - 0.5 * libm::cos(turn) + 0.08 * libm::cos(2.0 * turn),
        }
    };
    Ok(vec![c.tensor(Tensor::new(vec![size], (0..size).map(value).collect()))])
}

/// Triangles over the bins of a spectrum, evenly spaced on the mel scale.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked
fn mel(c: &mut Context<'_>) -> Outputs {
    let need = |i: usize, name| size(c, i, name)?.ok_or(NodeProblem::MissingInput(i));
    let (bins, length, rate) = (need(0, "num_mel_bins")?, need(1, "dft_length")?, need(2, "sample_rate")?);
    let edge = |i: usize| c.constant_scalar(i, "edge_hertz")?.ok_or(NodeProblem::MissingInput(i));
    let to_mel = |hertz: f64| 2595.0 * libm::log1p(hertz / 700.0) / libm::log(10.0);
    let (low, high) = (to_mel(edge(3)?), to_mel(edge(4)?));
    let rows = length / 2 + 1;
    if rows.checked_mul(bins).is_none_or(|s| s > MAX_ELEMENTS) {
        return Err(NodeProblem::Size(vec![rows, bins]));
    }
    let step = (high - low) / (bins + 2) as f64;
    let points: Vec<usize> = (0..bins + 2)
        .map(|i| {
            let hertz = 700.0 * libm::expm1((i as f64 * step + low) / 2595.0 * libm::log(10.0));
            let bin = libm::floor((length + 1) as f64 * hertz / rate as f64);
            if bin >= 0.0 && bin <= rows as f64 {
                Ok(bin as usize)
            } else {
                Err(NodeProblem::Attribute("edge_hertz"))
            }
        })
        .collect::<Result<_, _>>()?;
    let mut data = vec![0.0; rows * bins];
    for bin in 0..bins {
        let (left, centre, right) = (points[bin], points[bin + 1], points[bin + 2]);
        if left > centre || centre > right || centre >= rows {
            return Err(NodeProblem::Attribute("edge_hertz"));
        }
        data[centre * bins + bin] = 1.0;
        for j in left..centre {
            data[j * bins + bin] = (j - left) as f64 / (centre - left) as f64;
        }
        for j in centre..right.min(rows) {
            data[j * bins + bin] = (right - j) as f64 / (right - centre) as f64;
        }
    }
    Ok(vec![c.tensor(Tensor::new(vec![rows, bins], data))])
}

/// `e^(±2πi k t / length)`.
#[allow(clippy::cast_precision_loss)] // sizes
fn root(k: usize, t: usize, length: usize) -> (f64, f64) {
    let angle = 2.0 * PI * (k * t % length) as f64 / length as f64;
    (libm::cos(angle), libm::sin(angle))
}

fn fourier(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let rank = shape.len();
    let parts = *shape.last().filter(|p| (1..=2).contains(*p) && rank > 1).ok_or(NodeProblem::Attribute("input"))?;
    let given = match c.constant_ints(2)?.and_then(|v| v.first().copied()) {
        Some(axis) => axis,
        None => c.attributes.int("axis").unwrap_or(if c.opset < 20 { 1 } else { -2 }),
    };
    let axis = axis(given, rank, "axis")?;
    if axis == rank - 1 {
        return Err(NodeProblem::Attribute("axis"));
    }
    let (inverse, onesided) = (c.attributes.flag("inverse"), c.attributes.flag("onesided"));
    let count = shape[axis];
    let default = if inverse && onesided { 2 * (count - 1) } else { count };
    let length = size(c, 1, "dft_length")?.unwrap_or(default);
    if length == 0 || (onesided && !inverse && parts == 2) {
        return Err(NodeProblem::Variant("half of the spectrum of a complex signal, or of nothing"));
    }
    let (bins, out) = match (inverse, onesided) {
        (true, true) => (length, 1),
        (false, true) => (length / 2 + 1, 2),
        _ => (length, 2),
    };
    let size = count.checked_mul(parts).and_then(|s| s.checked_mul(bins)).and_then(|s| s.checked_mul(out));
    let size = size.filter(|s| *s <= MAX_MATRIX).ok_or(NodeProblem::Variant("a Fourier transform so long"))?;
    let mut matrix = Tensor::new(vec![count * parts, bins * out], vec![0.0; size]);
    #[allow(clippy::cast_precision_loss)] // a size
    let norm = if inverse { 1.0 / length as f64 } else { 1.0 };
    let last = if inverse && onesided { length / 2 + 1 } else { length };
    for t in 0..count.min(last) {
        // Of half a spectrum, all but the first and the middle count twice.
        let twice = inverse && onesided && t > 0 && 2 * t != length;
        let norm = if twice { 2.0 * norm } else { norm };
        for k in 0..bins {
            let (re, im) = root(k, t, length);
            let im = if inverse { im } else { -im };
            let mut put = |part: usize, side: usize, v: f64| {
                if part < parts && side < out {
                    matrix.data[(t * parts + part) * bins * out + k * out + side] = norm * v;
                }
            };
            put(0, 0, re);
            put(0, 1, im);
            put(1, 0, -im);
            put(1, 1, re);
        }
    }
    // The axis before the last one; real and imaginary parts beside each other.
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(axis, rank - 2);
    let x = c.input(0)?;
    let x = c.transpose(x, &perm)?;
    let outer = c.shape_of(x)[..rank - 2].to_vec();
    let x = c.reshape(x, [outer.as_slice(), &[count * parts]].concat())?;
    let matrix = c.tensor(matrix);
    let y = c.matmul(x, matrix)?;
    let y = c.reshape(y, [outer.as_slice(), &[bins, out]].concat())?;
    Ok(vec![c.transpose(y, &perm)?])
}

/// The transforms of overlapping frames: a convolution.
fn short_time(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let (batch, length, parts) = match shape[..] {
        [batch, length] => (batch, length, 1),
        [batch, length, parts] if parts == 1 || parts == 2 => (batch, length, parts),
        _ => return Err(NodeProblem::Attribute("signal")),
    };
    let stride = size(c, 1, "frame_step")?.ok_or(NodeProblem::MissingInput(1))?;
    let window = if c.has(2) { Some(c.constant(2)?) } else { None };
    let given = size(c, 3, "frame_length")?;
    let frame = given.or(window.as_ref().map(|w| w.data.len())).unwrap_or(length);
    let onesided = c.attributes.int("onesided").unwrap_or(1) != 0;
    let bins = if onesided { frame / 2 + 1 } else { frame };
    if frame > length || window.as_ref().is_some_and(|w| w.shape != [frame]) || (onesided && parts == 2) {
        return Err(NodeProblem::Attribute("window"));
    }
    let volume_of = [2 * bins, parts, frame];
    if volume_of.iter().try_fold(1_usize, |v, s| v.checked_mul(*s)).is_none_or(|v| v > MAX_MATRIX) {
        return Err(NodeProblem::Variant("a Fourier transform so long"));
    }
    let mut weights = vec![0.0; volume(&volume_of)];
    for k in 0..bins {
        for t in 0..frame {
            let w = window.as_ref().map_or(1.0, |w| w.data[t]);
            let (re, im) = root(k, t, frame);
            let mut put = |side: usize, part: usize, v: f64| {
                if part < parts {
                    weights[((2 * k + side) * parts + part) * frame + t] = w * v;
                }
            };
            put(0, 0, re);
            put(1, 0, -im);
            put(0, 1, im);
            put(1, 1, re);
        }
    }
    let x = c.input(0)?;
    let x = c.reshape(x, vec![batch, length, parts])?;
    let x = c.transpose(x, &[0, 2, 1])?;
    let weights = c.tensor(Tensor::new(volume_of.to_vec(), weights));
    let window = Window { size: frame, stride, dilation: 1, begin: 0, end: 0, ceil: false, same: 0 };
    let y = c.push(FloatOp::Conv(Conv { windows: vec![window], group: 1 }), &[x, weights])?;
    let frames = c.shape_of(y)[2];
    let y = c.reshape(y, vec![batch, bins, 2, frames])?;
    Ok(vec![c.transpose(y, &[0, 3, 1, 2])?])
}
