//! Reductions and softmax.

use crate::onnx::tensor::{for_each_address, strides, volume, Tensor};

/// How elements are reduced to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest.
    Max,
}

impl Reduction {
    pub(crate) fn evaluate(self, x: &Tensor, axes: &[usize], shape: &[usize]) -> Tensor {
        let own = strides(&x.shape);
        let kept: Vec<usize> = (0..x.shape.len()).map(|d| if axes.contains(&d) { 0 } else { own[d] }).collect();
        let reduced: Vec<usize> = axes.iter().map(|d| x.shape[*d]).collect();
        let steps: Vec<usize> = axes.iter().map(|d| own[*d]).collect();
        let mut inner = Vec::with_capacity(volume(&reduced));
        for_each_address(&reduced, &steps, |a| inner.push(a));
        let mut data = Vec::with_capacity(volume(shape));
        for_each_address(shape, &kept, |base| {
            let values = inner.iter().map(|i| x.data[base + i]);
            #[allow(clippy::cast_precision_loss)] // far below 2^53
            data.push(match self {
                Self::Sum => values.sum(),
                Self::Mean => values.sum::<f64>() / inner.len() as f64,
                Self::Max => values.fold(f64::NEG_INFINITY, f64::max),
            });
        });
        Tensor::new(shape.to_vec(), data)
    }
}

pub(crate) fn softmax(x: &Tensor, axis: usize) -> Tensor {
    let (outer, inner) = (volume(&x.shape[..axis]), volume(&x.shape[axis + 1..]));
    let length = x.shape[axis];
    let mut y = Tensor::zeros(&x.shape);
    for o in 0..outer {
        for i in 0..inner {
            let at = |k: usize| (o * length + k) * inner + i;
            let max = (0..length).map(|k| x.data[at(k)]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..length).map(|k| libm::exp(x.data[at(k)] - max)).sum();
            for k in 0..length {
                y.data[at(k)] = libm::exp(x.data[at(k)] - max) / sum;
            }
        }
    }
    y
}
