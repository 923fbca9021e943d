//! Convolution over one to three spatial axes.

use crate::{
    kernels::{
        float::{self, Sizes},
        parallel,
    },
    onnx::{
        context::{Context, Outputs},
        error::NodeProblem,
        graph::FloatOp,
        proto::Attributes,
        tensor::Tensor,
    },
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
    /// Windows of `size` neighbours, `stride` apart, with so many elements of padding in front and behind.
    #[must_use]
    pub fn new(size: usize, stride: usize, (begin, end): (usize, usize)) -> Self {
        Self { size, stride, dilation: 1, begin, end, ceil: false, same: 0 }
    }

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

    /// Every element is the bias, then the products added to it in order of input channel and place in the window; what
    /// lies in the padding is skipped.
    pub(crate) fn evaluate(&self, x: &Tensor, weights: &Tensor, bias: Option<&Tensor>, shape: &[usize]) -> Tensor {
        let (_, out, output) = as_volumes(shape);
        let mut y = Tensor::zeros(shape);
        for (plane, y) in y.data.chunks_exact_mut(output.iter().product()).enumerate() {
            y.fill(bias.map_or(0.0, |b| b.data[plane % out]));
        }
        // A zero times a finite weight changes no sum but that of negative zeros.
        let is_plain = weights.data.iter().all(|w| w.is_finite())
            && bias.is_none_or(|b| b.data.iter().all(|b| b.to_bits() != (-0.0_f64).to_bits()));
        if is_plain && out / self.group >= 4 {
            self.by_products(x, weights, &mut y.data, (out, output));
        } else {
            self.by_planes(x, weights, &mut y.data, (out, output));
        }
        y
    }

    /// Group by group as a product of matrices: weights times what each of their places reads.
    fn by_products(&self, x: &Tensor, weights: &Tensor, y: &mut [f64], (out, output): (usize, [usize; 3])) {
        let (_, c, input) = as_volumes(&x.shape);
        let windows = as_three(&self.windows);
        let size = windows.iter().map(|w| w.size).product::<usize>();
        let (area, pixels) = (input.iter().product::<usize>(), output.iter().product::<usize>());
        let (group_in, group_out) = (c / self.group, out / self.group);
        let sizes = Sizes { rows: group_out, inner: group_in * size, cols: pixels };
        parallel::for_each_chunk(y, group_out * pixels, sizes.inner, |member, y| {
            let (batch, group) = (member / self.group, member % self.group);
            let weights = &weights.data[group * group_out * sizes.inner..][..group_out * sizes.inner];
            let first = batch * c + group * group_in;
            float::multiply_by(weights, y, sizes, |place, pixel, line| {
                let x = &x.data[(first + place / size) * area..][..area];
                read_line(x, place % size, pixel, line, (&windows, input, output));
            });
        });
    }

    /// Plane by plane, one weight after the other.
    fn by_planes(&self, x: &Tensor, weights: &Tensor, y: &mut [f64], (out, output): (usize, [usize; 3])) {
        let (_, c, input) = as_volumes(&x.shape);
        let windows = as_three(&self.windows);
        let (area, size) = (input.iter().product::<usize>(), windows.iter().map(|w| w.size).product::<usize>());
        let (group_in, group_out) = (c / self.group, out / self.group);
        parallel::for_each_chunk(y, output.iter().product(), group_in * size, |plane, y| {
            let (batch, o) = (plane / out, plane % out);
            for i in 0..group_in {
                let channel = o / group_out * group_in + i;
                let x = &x.data[(batch * c + channel) * area..][..area];
                let kernel = &weights.data[(o * group_in + i) * size..][..size];
                for (k, weight) in kernel.iter().enumerate() {
                    let at = place_in_window(k, &windows);
                    let axis = |d: usize| (windows[d], at[d], input[d], output[d]);
                    for front in 0..output[0] {
                        let Some(source) = windows[0].coordinate(front, at[0], input[0]) else { continue };
                        let (plane_in, plane_out) = (input[1] * input[2], output[1] * output[2]);
                        let x = &x[source * plane_in..][..plane_in];
                        accumulate(x, &mut y[front * plane_out..][..plane_out], *weight, axis(1), axis(2));
                    }
                }
            }
        });
    }
}

/// Depth, height and width of the element `k` of a window.
fn place_in_window(k: usize, windows: &[Window; 3]) -> [usize; 3] {
    let plane = windows[1].size * windows[2].size;
    [k / plane, k % plane / windows[2].size, k % windows[2].size]
}

/// Windows `first..last` of `count` read their element `k` inside of a row of this length.
fn inside(window: Window, k: usize, length: usize, count: usize) -> (usize, usize) {
    let before = k * window.dilation;
    let first = window.begin.saturating_sub(before).div_ceil(window.stride).min(count);
    (first, (length + window.begin).saturating_sub(before).div_ceil(window.stride).clamp(first, count))
}

/// What the windows from `pixel` on read at their element `k` in a channel `x`; zero in the padding.
fn read_line(
    x: &[f64],
    k: usize,
    pixel: usize,
    line: &mut [f64],
    (windows, input, output): (&[Window; 3], [usize; 3], [usize; 3]),
) {
    let at = place_in_window(k, windows);
    let width = output[2];
    let [_, _, window] = *windows;
    let (first, last) = inside(window, at[2], input[2], width);
    let mut done = 0;
    while done < line.len() {
        // The part of a row of windows that the line holds.
        let (row, start) = ((pixel + done) / width, (pixel + done) % width);
        let count = (width - start).min(line.len() - done);
        let part = &mut line[done..done + count];
        done += count;
        part.fill(0.0);
        let front = windows[0].coordinate(row / output[1], at[0], input[0]);
        let high = windows[1].coordinate(row % output[1], at[1], input[1]);
        let (Some(front), Some(high)) = (front, high) else { continue };
        let x = &x[(front * input[1] + high) * input[2]..][..input[2]];
        let (from, to) = (first.max(start), last.min(start + count));
        if from < to {
            let x = &x[from * window.stride + at[2] * window.dilation - window.begin..];
            let part = &mut part[from - start..to - start];
            if window.stride == 1 {
                part.copy_from_slice(&x[..to - from]);
            } else {
                part.iter_mut().zip(x.iter().step_by(window.stride)).for_each(|(y, x)| *y = *x);
            }
        }
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
    let (first, last) = inside(ww, kw, w, ow);
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
