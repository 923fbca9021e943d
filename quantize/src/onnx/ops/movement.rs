//! Operators that move elements and compute nothing.

use crate::onnx::tensor::{for_each_address, strides, volume, Tensor};

pub(crate) fn concat_shape(inputs: &[&[usize]], axis: usize) -> Option<Vec<usize>> {
    let mut shape = inputs.first()?.to_vec();
    shape.get(axis)?;
    for other in &inputs[1..] {
        if other.len() != shape.len() || (0..shape.len()).any(|d| d != axis && other[d] != shape[d]) {
            return None;
        }
        shape[axis] += other[axis];
    }
    Some(shape)
}

pub(crate) fn transpose(x: &Tensor, perm: &[usize], shape: &[usize]) -> Tensor {
    let own = strides(&x.shape);
    let permuted: Vec<usize> = perm.iter().map(|p| own[*p]).collect();
    let mut data = Vec::with_capacity(x.data.len());
    for_each_address(shape, &permuted, |a| data.push(x.data[a]));
    Tensor { shape: shape.to_vec(), data, integer: x.integer }
}

pub(crate) fn concat(inputs: &[&Tensor], axis: usize, shape: &[usize]) -> Tensor {
    let outer = volume(&shape[..axis]);
    let mut data = Vec::with_capacity(volume(shape));
    for o in 0..outer {
        for x in inputs {
            let width = volume(&x.shape[axis..]);
            data.extend_from_slice(&x.data[o * width..(o + 1) * width]);
        }
    }
    Tensor { shape: shape.to_vec(), data, integer: inputs.iter().all(|x| x.integer) }
}

/// Reads `x` at the coordinates that `coordinate(axis, index)` gives; `value` where there is none.
fn read(x: &Tensor, shape: &[usize], value: f64, coordinate: impl Fn(usize, usize) -> Option<usize>) -> Tensor {
    let own = strides(&x.shape);
    // Addresses of a prefix of axes, grown axis by axis.
    let mut addresses = vec![Some(0)];
    for (axis, size) in shape.iter().enumerate() {
        let steps: Vec<Option<usize>> =
            (0..*size).map(|i| coordinate(axis, i).filter(|c| *c < x.shape[axis]).map(|c| c * own[axis])).collect();
        addresses =
            addresses.iter().flat_map(|a: &Option<usize>| steps.iter().map(move |s| Some((*a)? + (*s)?))).collect();
    }
    let data = addresses.into_iter().map(|a| a.map_or(value, |a| x.data[a])).collect();
    Tensor { shape: shape.to_vec(), data, integer: x.integer }
}

pub(crate) fn slice(x: &Tensor, parts: &[(usize, i64, usize)], shape: &[usize]) -> Tensor {
    read(x, shape, 0.0, |axis, i| slice_coordinate(parts[axis], i))
}

/// The input coordinate of element `i` of a slice.
pub(crate) fn slice_coordinate((start, step, _): (usize, i64, usize), i: usize) -> Option<usize> {
    let at = i64::try_from(start).ok()?.checked_add(step.checked_mul(i64::try_from(i).ok()?)?)?;
    usize::try_from(at).ok()
}

pub(crate) fn pad(x: &Tensor, pads: &[(usize, usize)], value: f64, shape: &[usize]) -> Tensor {
    read(x, shape, value, |axis, i| i.checked_sub(pads[axis].0))
}

pub(crate) fn gather(x: &Tensor, axis: usize, indices: &[usize], shape: &[usize]) -> Tensor {
    let (outer, inner) = (volume(&x.shape[..axis]), volume(&x.shape[axis + 1..]));
    let length = x.shape[axis];
    let mut data = Vec::with_capacity(volume(shape));
    for o in 0..outer {
        for i in indices {
            data.extend_from_slice(&x.data[(o * length + i) * inner..][..inner]);
        }
    }
    Tensor { shape: shape.to_vec(), data, integer: x.integer }
}
