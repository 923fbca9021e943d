//! Dense tensors of reals, for constants and for the float model.

/// A row-major tensor. Values are `f64`, whatever the ONNX type: 32-bit floats and all integers that
/// shapes are made of are exact, and one evaluator serves floats and constant folding.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub data: Vec<f64>,
    /// Whether the ONNX type is an integer or boolean: division truncates.
    pub integer: bool,
}

impl Tensor {
    /// A tensor of floats.
    #[must_use]
    pub fn new(shape: Vec<usize>, data: Vec<f64>) -> Self {
        Self { shape, data, integer: false }
    }

    /// A one-dimensional tensor of integers.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // dimensions are far below 2^53
    pub fn from_dims(dims: &[usize]) -> Self {
        Self { shape: vec![dims.len()], data: dims.iter().map(|d| *d as f64).collect(), integer: true }
    }

    /// All zeros.
    #[must_use]
    pub fn zeros(shape: &[usize]) -> Self {
        Self::new(shape.to_vec(), vec![0.0; volume(shape)])
    }

    /// The values as integers (saturating), for shapes, axes and indices.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // saturates, which is what "to the end" markers mean
    pub fn to_ints(&self) -> Vec<i64> {
        self.data.iter().map(|v| *v as i64).collect()
    }

    /// The value of a one-element tensor.
    #[must_use]
    pub fn scalar(&self) -> Option<f64> {
        match self.data.as_slice() {
            [value] => Some(*value),
            _ => None,
        }
    }
}

/// Number of elements of a shape.
#[must_use]
pub fn volume(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Row-major strides of a shape.
#[must_use]
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for d in (0..shape.len().saturating_sub(1)).rev() {
        strides[d] = strides[d + 1] * shape[d + 1];
    }
    strides
}

/// The shape that both broadcast to, or `None`.
#[must_use]
pub fn broadcast_shapes(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |s: &[usize], d: usize| (d + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|d| match (size(a, d), size(b, d)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Calls `visit(address)` for every index of `shape` in row-major order, where the address is
/// `Σ index · stride`.
pub(crate) fn for_each_address(shape: &[usize], strides: &[usize], mut visit: impl FnMut(usize)) {
    let mut index = vec![0; shape.len()];
    let mut address = 0;
    for _ in 0..volume(shape) {
        visit(address);
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            address += strides[d];
            if index[d] < shape[d] {
                break;
            }
            address -= strides[d] * shape[d];
            index[d] = 0;
        }
    }
}

/// Strides that read a tensor of shape `from` as if broadcast to `to`.
#[must_use]
pub(crate) fn broadcast_strides(from: &[usize], to: &[usize]) -> Vec<usize> {
    let own = strides(from);
    let skip = to.len().saturating_sub(from.len());
    (0..to.len()).map(|d| if d < skip || from[d - skip] == 1 { 0 } else { own[d - skip] }).collect()
}

impl Tensor {
    /// The tensor broadcast to a shape that it broadcasts to.
    #[must_use]
    pub fn broadcast_to(&self, shape: &[usize]) -> Self {
        if self.shape == shape {
            return self.clone();
        }
        let strides = broadcast_strides(&self.shape, shape);
        let mut data = Vec::with_capacity(volume(shape));
        for_each_address(shape, &strides, |a| data.push(self.data.get(a).copied().unwrap_or(0.0)));
        Self { shape: shape.to_vec(), data, integer: self.integer }
    }
}
