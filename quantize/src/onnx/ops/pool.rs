//! Pooling over one to three spatial axes.

use super::conv::{as_three, as_volumes, windows, Window};
use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::FloatOp,
    proto::Attributes,
    tensor::Tensor,
};

pub(crate) const OPS: &[&str] = &["AveragePool", "MaxPool"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let pool = Pool::import(c.attributes, &c.shape(0)?)?;
    if c.node.op_type == "AveragePool" {
        let count_include_pad = c.attributes.flag("count_include_pad");
        return c.op(FloatOp::AveragePool { pool, count_include_pad }, 1);
    }
    if c.wants(1) {
        return Err(NodeProblem::Variant("the second output, indices"));
    }
    c.op(FloatOp::MaxPool(pool), 1)
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
        let windows: Vec<Window> =
            windows(attributes, &kernel)?.into_iter().zip(&x[2..]).map(|(w, l)| w.resolve(*l)).collect();
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
