//! Pooling over one to three spatial axes.

use super::{
    conv::{as_three, as_volumes, windows, Window},
    elementwise::{Binary, Unary},
    functions::power,
    reduce::Reduction,
};
use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    proto::Attributes,
    tensor::{broadcast_shapes, Tensor},
};

pub(crate) const OPS: &[&str] = &["AveragePool", "GlobalLpPool", "LpPool", "MaxPool"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    if c.node.op_type == "GlobalLpPool" {
        let power = power_of_norm(c)?;
        let x = powered(c, power)?;
        let sum = c.reduce(x, Reduction::Sum, &(2..c.shape(0)?.len()).collect::<Vec<_>>())?;
        return Ok(vec![root(c, sum, power)?]);
    }
    let pool = Pool::import(c.attributes, &c.shape(0)?)?;
    if c.node.op_type == "AveragePool" {
        let count_include_pad = c.attributes.flag("count_include_pad");
        return c.op(FloatOp::AveragePool { pool, count_include_pad }, 1);
    }
    if c.node.op_type == "LpPool" {
        return lp_pool(c, pool);
    }
    if c.wants(1) {
        return Err(NodeProblem::Variant("the second output, indices"));
    }
    c.op(FloatOp::MaxPool(pool), 1)
}

/// The mean over `size` neighbours along axis 2 of `[n, c, h, w]`, half of them (rounded down) in front; what is
/// outside counts as zero.
pub(crate) fn mean_over_neighbours(c: &mut Context<'_>, x: ValueId, size: usize) -> Result<ValueId, NodeProblem> {
    let begin = (size - 1) / 2;
    let window = Window { size, stride: 1, dilation: 1, begin, end: size - 1 - begin, ceil: false, same: 0 };
    let unit = Window { size: 1, begin: 0, end: 0, ..window };
    let pool = Pool { windows: vec![window, unit] };
    c.push(FloatOp::AveragePool { pool, count_include_pad: true }, &[x])
}

/// The exponent of a norm.
fn power_of_norm(c: &Context<'_>) -> Result<u32, NodeProblem> {
    let power = match c.attributes.get("p") {
        Some(a) if a.f != 0.0 => f64::from(a.f), // the first operator set's type
        Some(a) => i32::try_from(a.i).unwrap_or(0).into(),
        None => 2.0,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked
    if power == libm::floor(power) && (1.0..=16.0).contains(&power) {
        Ok(power as u32)
    } else {
        Err(NodeProblem::Variant("a norm with a large or fractional exponent"))
    }
}

/// `|x|^p` of the input.
fn powered(c: &mut Context<'_>, p: u32) -> Result<ValueId, NodeProblem> {
    let mut x = c.input(0)?;
    if p % 2 == 1 {
        x = c.unary(Unary::Abs, x)?;
    }
    power(c, x, p.into(), false)
}

fn root(c: &mut Context<'_>, x: ValueId, p: u32) -> Result<ValueId, NodeProblem> {
    if p == 1 {
        return Ok(x);
    }
    power(c, x, 1.0 / f64::from(p), false)
}

/// The norm of every window: its mean of powers, times the number that the mean was divided by.
fn lp_pool(c: &mut Context<'_>, pool: Pool) -> Outputs {
    let p = power_of_norm(c)?;
    let x = powered(c, p)?;
    let input = c.shape(0)?;
    let mut divisors = Tensor::new(vec![], vec![1.0]);
    let mean = c.push(FloatOp::AveragePool { pool: pool.clone(), count_include_pad: true }, &[x])?;
    let output = c.shape_of(mean);
    for d in 0..pool.windows.len() {
        let mut shape = vec![1; pool.windows.len() - d];
        shape[0] = output[2 + d];
        #[allow(clippy::cast_precision_loss)] // windows are small
        let own = (0..shape[0]).map(|o| pool.divisor(d, o, input[2 + d], true).max(1) as f64).collect();
        let own = Tensor::new(shape, own);
        let joint = broadcast_shapes(&divisors.shape, &own.shape).ok_or(NodeProblem::Attribute("kernel_shape"))?;
        divisors = Binary::Mul.evaluate(&divisors, &own, &joint);
    }
    let divisors = c.tensor(divisors);
    let sum = c.mul(mean, divisors)?;
    Ok(vec![root(c, sum, p)?])
}

/// The windows of a pooling, one per spatial axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// One window per spatial axis.
    pub windows: Vec<Window>,
}

impl Pool {
    pub(crate) fn import(attributes: Attributes<'_>, x: &[usize]) -> Result<Self, NodeProblem> {
        let kernel = attributes.sizes("kernel_shape")?.ok_or(NodeProblem::Attribute("kernel_shape"))?;
        if x.len() != kernel.len() + 2 {
            return Err(NodeProblem::Attribute("kernel_shape"));
        }
        let windows = windows(attributes, &kernel)?;
        if windows.iter().any(|w| w.same != 0 && w.dilation > 1) {
            return Err(NodeProblem::Variant("automatic padding of dilated windows, which is not the same everywhere"));
        }
        let windows: Vec<Window> = windows.into_iter().zip(&x[2..]).map(|(w, l)| w.resolve(*l)).collect();
        if windows.iter().any(|w| w.begin >= w.span() || w.end >= w.span()) {
            return Err(NodeProblem::Attribute("pads"));
        }
        Ok(Self { windows })
    }

    pub(crate) fn output_shape(&self, x: &[usize]) -> Result<Vec<usize>, &'static str> {
        let [n, c, spatial @ ..] = x else { return Err("a batch axis and a channel axis are needed") };
        let counts: Option<Vec<usize>> = self.windows.iter().zip(spatial).map(|(w, l)| w.count(*l)).collect();
        let counts = counts.ok_or("the window is larger than the input")?;
        Ok([*n, *c].into_iter().chain(counts).collect())
    }

    fn fold(
        &self,
        x: &Tensor,
        shape: &[usize],
        mut finish: impl FnMut(&mut dyn Iterator<Item = f64>, [usize; 3]) -> f64,
    ) -> Tensor {
        let (_, _, input) = as_volumes(&x.shape);
        let (_, _, output) = as_volumes(shape);
        let [wd, wh, ww] = as_three(&self.windows);
        let mut data = Vec::with_capacity(shape.iter().product());
        for volume in x.data.chunks_exact(input.iter().product()) {
            for front in 0..output[0] {
                for row in 0..output[1] {
                    for col in 0..output[2] {
                        let planes = (0..wd.size).filter_map(|k| wd.coordinate(front, k, input[0]));
                        let rows = planes.flat_map(|z| {
                            let rows = (0..wh.size).filter_map(move |k| wh.coordinate(row, k, input[1]));
                            rows.map(move |y| z * input[1] + y)
                        });
                        let mut values = rows.flat_map(|row| {
                            let cols = (0..ww.size).filter_map(move |k| ww.coordinate(col, k, input[2]));
                            cols.map(move |x| volume[row * input[2] + x])
                        });
                        data.push(finish(&mut values, [front, row, col]));
                    }
                }
            }
        }
        Tensor::new(shape.to_vec(), data)
    }

    pub(crate) fn max(&self, x: &Tensor, shape: &[usize]) -> Tensor {
        self.fold(x, shape, |values, _| values.fold(f64::NEG_INFINITY, f64::max))
    }

    /// The divisor of window `window` on spatial axis `axis` of this length.
    #[must_use]
    pub fn divisor(&self, axis: usize, window: usize, length: usize, count_include_pad: bool) -> usize {
        let w = self.windows[axis];
        let start = window * w.stride;
        (0..w.size)
            .filter(|k| {
                let at = start + k * w.dilation;
                if count_include_pad {
                    at < length + w.begin + w.end
                } else {
                    at >= w.begin && at < length + w.begin
                }
            })
            .count()
    }

    pub(crate) fn average(&self, x: &Tensor, count_include_pad: bool, shape: &[usize]) -> Tensor {
        let skipped = 3 - self.windows.len();
        self.fold(x, shape, |values, at| {
            let divisor: usize = (0..self.windows.len())
                .map(|d| self.divisor(d, at[skipped + d], x.shape[2 + d], count_include_pad))
                .product();
            #[allow(clippy::cast_precision_loss)] // windows are small
            let divisor = divisor.max(1) as f64;
            values.sum::<f64>() / divisor
        })
    }
}
