//! Convolution over one to three spatial axes.

use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::FloatOp,
    proto::Attributes,
    tensor::Tensor,
};

pub(crate) const OPS: &[&str] = &["Conv"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let conv = Conv::import(c.attributes, &c.shape(0)?, &c.shape(1)?)?;
    let count = if c.has(2) { 3 } else { 2 };
    (1..count).try_for_each(|i| c.constant(i).map(|_| ()))?;
    c.op(FloatOp::Conv(conv), count)
}

/// How a window of `size` elements moves over one spatial axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Elements of the window.
    pub size: usize,
    /// Distance between windows.
    pub stride: usize,
    /// Distance between elements of the window.
    pub dilation: usize,
    /// Elements added in front.
    pub begin: usize,
    /// Elements added behind.
    pub end: usize,
    /// Whether a partial window at the end counts (`ceil_mode`).
    pub ceil: bool,
    /// `auto_pad`: 0 none, 1 upper, 2 lower; resolved by [`Window::resolve`].
    pub(crate) same: u8,
}

impl Window {
    /// Elements that the window spans.
    #[must_use]
    pub fn span(&self) -> usize {
        (self.size - 1).saturating_mul(self.dilation) + 1
    }

    /// With the padding that `auto_pad` asks for on an axis of this length.
    #[must_use]
    pub fn resolve(mut self, length: usize) -> Self {
        if self.same != 0 {
            let windows = length.div_ceil(self.stride);
            let padding = ((windows - 1) * self.stride).saturating_add(self.span()).saturating_sub(length);
            let (small, large) = (padding / 2, padding - padding / 2);
            (self.begin, self.end) = if self.same == 1 { (small, large) } else { (large, small) };
            self.same = 0;
        }
        self
    }

    /// How many windows fit on an axis of this length; `None` if not one does.
    #[must_use]
    pub fn count(&self, length: usize) -> Option<usize> {
        let padded = length.checked_add(self.begin)?.checked_add(self.end)?;
        let free = padded.checked_sub(self.span())?;
        if !self.ceil {
            return Some(free / self.stride + 1);
        }
        let count = free.div_ceil(self.stride) + 1;
        // The last window must start inside of the input or its left padding.
        Some(if (count - 1) * self.stride >= length + self.begin { count - 1 } else { count })
    }

    /// The input coordinate of an element of a window, if it is inside.
    #[must_use]
    pub fn coordinate(&self, window: usize, element: usize, length: usize) -> Option<usize> {
        (window * self.stride + element * self.dilation).checked_sub(self.begin).filter(|x| *x < length)
    }
}

/// Reads `strides`, `dilations`, `pads`, `auto_pad` and `ceil_mode`.
pub(crate) fn windows(attributes: Attributes<'_>, kernel: &[usize]) -> Result<Vec<Window>, NodeProblem> {
    if kernel.is_empty() || kernel.len() > 3 {
        return Err(NodeProblem::Variant("no spatial axis, or more than three"));
    }
    if kernel.contains(&0) {
        return Err(NodeProblem::Attribute("kernel_shape"));
    }
    let per_axis = |name: &'static str| -> Result<Vec<usize>, NodeProblem> {
        let values = attributes.sizes(name)?.unwrap_or_else(|| vec![1; kernel.len()]);
        if values.len() == kernel.len() {
            Ok(values)
        } else {
            Err(NodeProblem::Attribute(name))
        }
    };
    let (strides, dilations) = (per_axis("strides")?, per_axis("dilations")?);
    let same = match attributes.string("auto_pad").unwrap_or("NOTSET") {
        "" | "NOTSET" | "VALID" => 0,
        "SAME_UPPER" => 1,
        "SAME_LOWER" => 2,
        _ => return Err(NodeProblem::Attribute("auto_pad")),
    };
    let valid = attributes.string("auto_pad") == Some("VALID");
    let pads = match attributes.ints("pads") {
        Some(pads) if same == 0 && !valid => pads
            .iter()
            .map(|p| usize::try_from(*p).ok().filter(|p| *p < 1 << 20))
            .collect::<Option<Vec<_>>>()
            .filter(|p| p.len() == 2 * kernel.len())
            .ok_or(NodeProblem::Attribute("pads"))?,
        _ => vec![0; 2 * kernel.len()],
    };
    let ceil = attributes.flag("ceil_mode");
    Ok((0..kernel.len())
        .map(|d| Window {
            size: kernel[d],
            stride: strides[d],
            dilation: dilations[d],
            begin: pads[d],
            end: pads[kernel.len() + d],
            ceil,
            same,
        })
        .collect())
}

/// Batch, channels, depth, height, width of `[n, c, w]`, `[n, c, h, w]` or `[n, c, d, h, w]`.
pub(crate) fn as_volumes(shape: &[usize]) -> (usize, usize, [usize; 3]) {
    match shape {
        [n, c, w] => (*n, *c, [1, 1, *w]),
        [n, c, h, w] => (*n, *c, [1, *h, *w]),
        [n, c, d, h, w] => (*n, *c, [*d, *h, *w]),
        _ => (0, 0, [0, 0, 0]),
    }
}

/// Windows over depth, height and width, with trivial ones for missing axes.
pub(crate) fn as_three(windows: &[Window]) -> [Window; 3] {
    let unit = Window { size: 1, stride: 1, dilation: 1, begin: 0, end: 0, ceil: false, same: 0 };
    match windows {
        [w] => [unit, unit, *w],
        [h, w] => [unit, *h, *w],
        [d, h, w] => [*d, *h, *w],
        _ => [unit; 3],
    }
}

/// A convolution: x `[n, c, (d, h,) w]`, weights `[o, c / group, (kd, kh,) kw]`, bias `[o]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv {
    /// One window per spatial axis.
    pub windows: Vec<Window>,
    /// Number of groups of channels.
    pub group: usize,
}

impl Conv {
    pub(crate) fn import(attributes: Attributes<'_>, x: &[usize], weights: &[usize]) -> Result<Self, NodeProblem> {
        let kernel = weights.get(2..).ok_or(NodeProblem::Variant("weights without spatial axes"))?;
        if x.len() != weights.len() {
            return Err(NodeProblem::Shapes { shapes: vec![x.to_vec(), weights.to_vec()], why: "ranks differ" });
        }
        let windows = windows(attributes, kernel)?.into_iter().zip(&x[2..]).map(|(w, l)| w.resolve(*l)).collect();
        let group = usize::try_from(attributes.int("group").unwrap_or(1)).unwrap_or(0);
        if group == 0 {
            return Err(NodeProblem::Attribute("group"));
        }
        Ok(Self { windows, group })
    }

    pub(crate) fn output_shape(
        &self,
        x: &[usize],
        weights: &[usize],
        bias: Option<&[usize]>,
    ) -> Result<Vec<usize>, &'static str> {
        let [n, c, spatial @ ..] = x else { return Err("a batch axis and a channel axis are needed") };
        let out = weights[0];
        if !out.is_multiple_of(self.group) || weights[1].checked_mul(self.group) != Some(*c) {
            return Err("channels do not fit the groups");
        }
        if bias.is_some_and(|b| b != [out]) {
            return Err("the bias has another number of channels");
        }
        let counts: Option<Vec<usize>> = self.windows.iter().zip(spatial).map(|(w, l)| w.count(*l)).collect();
        let counts = counts.ok_or("the window is larger than the input")?;
        Ok([*n, out].into_iter().chain(counts).collect())
    }

    /// Multiply-accumulates of the convolution.
    #[must_use]
    pub fn macs(&self, weights: &[usize], output: &[usize]) -> u64 {
        let per_element: usize = weights[1..].iter().product();
        (output.iter().product::<usize>() as u64).saturating_mul(per_element as u64)
    }

    pub(crate) fn evaluate(&self, x: &Tensor, weights: &Tensor, bias: Option<&Tensor>, shape: &[usize]) -> Tensor {
        let (n, c, input) = as_volumes(&x.shape);
        let (_, out, output) = as_volumes(shape);
        let windows = as_three(&self.windows);
        let (area, size) = (input.iter().product::<usize>(), windows.iter().map(|w| w.size).product::<usize>());
        let (group_in, group_out) = (c / self.group, out / self.group);
        let mut y = Tensor::zeros(shape);
        for (plane, y) in y.data.chunks_exact_mut(output.iter().product()).enumerate() {
            let (batch, o) = (plane / out, plane % out);
            y.fill(bias.map_or(0.0, |b| b.data[o]));
            for i in 0..group_in {
                let channel = o / group_out * group_in + i;
                let x = &x.data[(batch * c + channel) * area..][..area];
                let kernel = &weights.data[(o * group_in + i) * size..][..size];
                for (k, weight) in kernel.iter().enumerate() {
                    let inner = k % (windows[1].size * windows[2].size);
                    let at = [k / (windows[1].size * windows[2].size), inner / windows[2].size, k % windows[2].size];
                    let axis = |d: usize| (windows[d], at[d], input[d], output[d]);
                    for front in 0..output[0] {
                        let Some(source) = windows[0].coordinate(front, at[0], input[0]) else { continue };
                        let (plane_in, plane_out) = (input[1] * input[2], output[1] * output[2]);
                        let x = &x[source * plane_in..][..plane_in];
                        accumulate(x, &mut y[front * plane_out..][..plane_out], *weight, axis(1), axis(2));
                    }
                }
            }
        }
        debug_assert_eq!(y.data.len(), n * out * output.iter().product::<usize>());
        y
    }
}

/// Adds `weight · x` under one element of the window: window, element, input length, output length per axis.
fn accumulate(
    x: &[f64],
    y: &mut [f64],
    weight: f64,
    (wh, kh, h, oh): (Window, usize, usize, usize),
    (ww, kw, w, ow): (Window, usize, usize, usize),
) {
    // Windows `first..last` read inside of the row.
    let first = ww.begin.saturating_sub(kw * ww.dilation).div_ceil(ww.stride).min(ow);
    let last = (w + ww.begin).saturating_sub(kw * ww.dilation).div_ceil(ww.stride).clamp(first, ow);
    if first == last {
        return;
    }
    for row in 0..oh {
        let Some(source) = wh.coordinate(row, kh, h) else { continue };
        let start = first * ww.stride + kw * ww.dilation - ww.begin;
        let source = &x[source * w + start..(source + 1) * w];
        let target = &mut y[row * ow + first..row * ow + last];
        if ww.stride == 1 {
            for (y, x) in target.iter_mut().zip(source) {
                *y += weight * x;
            }
        } else {
            for (y, x) in target.iter_mut().zip(source.iter().step_by(ww.stride)) {
                *y += weight * x;
            }
        }
    }
}
