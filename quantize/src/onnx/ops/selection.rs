//! Operators that compare and choose: truth values, where, arguments of maxima, largest elements, one-hot vectors.

use crate::onnx::tensor::{volume, Tensor};

pub(crate) fn choose(condition: &Tensor, a: &Tensor, b: &Tensor, shape: &[usize]) -> Tensor {
    let (condition, a, b) = (condition.broadcast_to(shape), a.broadcast_to(shape), b.broadcast_to(shape));
    let values = a.data.iter().zip(&b.data);
    let data = condition.data.iter().zip(values).map(|(c, (a, b))| if *c == 0.0 { *b } else { *a }).collect();
    Tensor { shape: shape.to_vec(), data, integer: a.integer && b.integer }
}

/// Calls `visit` with the values of every line along an axis; puts what it returns in place of the line.
fn along(x: &Tensor, axis: usize, shape: &[usize], visit: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let (outer, inner) = (volume(&x.shape[..axis]), volume(&x.shape[axis + 1..]));
    let (length, kept) = (x.shape[axis], shape[axis]);
    let mut data = vec![0.0; volume(shape)];
    for o in 0..outer {
        for i in 0..inner {
            let line: Vec<f64> = (0..length).map(|k| x.data[(o * length + k) * inner + i]).collect();
            for (k, value) in visit(&line).into_iter().enumerate() {
                data[(o * kept + k) * inner + i] = value;
            }
        }
    }
    data
}

/// Indices of a line's elements in falling order; of equal ones the first comes first.
fn order(line: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..line.len()).collect();
    order.sort_by(|a, b| line[*b].total_cmp(&line[*a]));
    order
}

#[allow(clippy::cast_precision_loss)] // indices
pub(crate) fn arg_max(x: &Tensor, axis: usize, last: bool, shape: &[usize]) -> Tensor {
    let data = along(x, axis, shape, |line| {
        let largest = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let is_largest = |v: &f64| *v >= largest;
        let at = if last { line.iter().rposition(is_largest) } else { line.iter().position(is_largest) };
        vec![at.unwrap_or(0) as f64]
    });
    Tensor { shape: shape.to_vec(), data, integer: true }
}

#[allow(clippy::cast_precision_loss)] // indices
pub(crate) fn top_k(x: &Tensor, axis: usize, indices: bool, shape: &[usize]) -> Tensor {
    let data = along(x, axis, shape, |line| {
        let first = order(line).into_iter().take(shape[axis]);
        first.map(|i| if indices { i as f64 } else { line[i] }).collect()
    });
    Tensor { shape: shape.to_vec(), data, integer: indices || x.integer }
}

#[allow(clippy::cast_precision_loss, clippy::float_cmp)] // indices are exact
pub(crate) fn one_hot(x: &Tensor, depth: usize, shape: &[usize]) -> Tensor {
    let row = |v: &f64| {
        let v = *v;
        (0..depth).map(move |i| f64::from(u8::from(v == i as f64)))
    };
    Tensor { shape: shape.to_vec(), data: x.data.iter().flat_map(row).collect(), integer: true }
}
