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
    for_each_line(shape, [strides], |length, [(mut address, step)]| {
        for _ in 0..length {
            visit(address);
            address += step;
        }
    });
}

/// Calls `visit` for every line along the last axis of `shape` in row-major order: with its length, and for each list of
/// strides the first address and the distance of the next. Axes that lie in one line of all lists count as one.
fn for_each_line<const N: usize>(
    shape: &[usize],
    strides: [&[usize]; N],
    mut visit: impl FnMut(usize, [(usize, usize); N]),
) {
    let mut axes: Vec<(usize, [usize; N])> = Vec::with_capacity(shape.len());
    for (d, size) in shape.iter().enumerate().filter(|(_, size)| **size != 1) {
        let steps = strides.map(|s| s[d]);
        match axes.last_mut() {
            Some((length, outer)) if outer.iter().zip(&steps).all(|(o, s)| *o == s * size) => {
                *length *= size;
                *outer = steps;
            }
            _ => axes.push((*size, steps)),
        }
    }
    let (length, steps) = axes.pop().unwrap_or((1, [0; N]));
    let lines: usize = axes.iter().map(|a| a.0).product();
    let mut index = vec![0; axes.len()];
    let mut start = [0; N];
    for _ in 0..if length == 0 { 0 } else { lines } {
        visit(length, std::array::from_fn(|i| (start[i], steps[i])));
        for (i, (size, steps)) in index.iter_mut().zip(&axes).rev() {
            *i += 1;
            for (start, step) in start.iter_mut().zip(steps) {
                *start += step;
            }
            if *i < *size {
                break;
            }
            for (start, step) in start.iter_mut().zip(steps) {
                *start -= step * size;
            }
            *i = 0;
        }
    }
}

/// `f(a, b)` for all elements of two tensors, broadcast to `shape`.
pub(crate) fn zipped(a: &Tensor, b: &Tensor, shape: &[usize], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let strides = [broadcast_strides(&a.shape, shape), broadcast_strides(&b.shape, shape)];
    zipped_with(shape, [(&a.data, &strides[0]), (&b.data, &strides[1])], f)
}

/// `f(a, b)` for every index of `shape` in row-major order, of two arrays with their strides.
pub(crate) fn zipped_with(
    shape: &[usize],
    [(a, over_a), (b, over_b)]: [(&[f64], &[usize]); 2],
    f: impl Fn(f64, f64) -> f64,
) -> Vec<f64> {
    let mut data = Vec::with_capacity(volume(shape));
    for_each_line(shape, [over_a, over_b], |length, [(i, step_a), (j, step_b)]| match (step_a, step_b) {
        (1, 1) => data.extend(a[i..i + length].iter().zip(&b[j..j + length]).map(|(x, y)| f(*x, *y))),
        (1, 0) => data.extend(a[i..i + length].iter().map(|x| f(*x, b[j]))),
        (0, 1) => data.extend(b[j..j + length].iter().map(|y| f(a[i], *y))),
        _ => data.extend((0..length).map(|k| f(a[i + k * step_a], b[j + k * step_b]))),
    });
    data
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_in_row_major_order() {
        for (shape, strides) in [
            (vec![2, 3, 4], vec![12, 4, 1]),
            (vec![2, 3, 4], vec![1, 8, 2]),
            (vec![3, 1, 2, 2], vec![4, 9, 2, 1]),
            (vec![2, 2, 3], vec![0, 3, 1]),
            (vec![2, 3, 2], vec![3, 1, 0]),
            (vec![2, 0, 3], vec![0, 3, 1]),
            (vec![], vec![]),
        ] {
            let mut expected = vec![0];
            for (size, stride) in shape.iter().zip(&strides) {
                expected = expected.iter().flat_map(|a| (0..*size).map(move |i| a + i * stride)).collect();
            }
            let mut visited = Vec::new();
            for_each_address(&shape, &strides, |a| visited.push(a));
            assert_eq!(visited, expected, "{shape:?} {strides:?}");
        }
    }

    #[test]
    fn pairs_are_broadcast() {
        let tensor = |shape: &[usize], start: u32| {
            Tensor::new(shape.to_vec(), (start..).take(volume(shape)).map(f64::from).collect())
        };
        for (a, b) in [
            (vec![2, 3, 4], vec![2, 3, 4]),
            (vec![2, 3, 4], vec![4]),
            (vec![2, 3, 4], vec![3, 1]),
            (vec![2, 1, 4], vec![1, 3, 1]),
            (vec![], vec![2, 2]),
            (vec![3, 1], vec![1, 3]),
        ] {
            let shape = broadcast_shapes(&a, &b).expect("they broadcast");
            let (a, b) = (tensor(&a, 1), tensor(&b, 100));
            let (x, y) = (a.broadcast_to(&shape), b.broadcast_to(&shape));
            let expected: Vec<f64> = x.data.iter().zip(&y.data).map(|(x, y)| x * 1000.0 + y).collect();
            assert_eq!(zipped(&a, &b, &shape, |x, y| x * 1000.0 + y), expected);
        }
    }
}
