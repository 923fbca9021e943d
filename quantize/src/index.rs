//! Index maps: how an element of an index space reads one element of a tensor.
//!
//! An index space is a list of axes, each of a fixed size. A map sends a point `(i_0, i_1, …)` of the
//! space to an address in row-major memory,
//!
//! ```text
//! address = base + Σ_f stride_f · x_f,     x_f = coordinate of factor f,  0 ≤ x_f < size_f
//! ```
//!
//! A coordinate depends on the axes of its factor only, and no axis stands in two factors. So a map
//! is *separable*: the linear functional that it induces on the tensor is an outer product of one
//! vector per factor, which is what makes relations cheap to prove and to verify. A coordinate
//! outside `0..size_f` makes the whole read *outside*: it contributes zero.

use bincode::{Decode, Encode};

/// How one coordinate is found from the axes of its factor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Coordinate {
    /// `offset + Σ_a coefs[a] · i_(axes[a])`.
    Affine {
        /// One coefficient per axis of the factor.
        coefs: Vec<i32>,
        /// The constant.
        offset: i32,
    },
    /// `entries[i]` for the factor's single axis; −1 reads outside.
    Table(Vec<i32>),
}

/// One factor of an [`IndexMap`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Factor {
    /// Axes of the index space, in increasing order.
    pub axes: Vec<u8>,
    /// The coordinate as a function of those axes.
    pub coordinate: Coordinate,
    /// Valid coordinates are `0..size`.
    pub size: u32,
    /// Distance in memory between neighbouring coordinates.
    pub stride: u32,
}

impl Factor {
    /// The coordinate `i_axis`, for an axis of the given size: the plain read of one dimension.
    #[must_use]
    pub fn plain(axis: u8, size: u32, stride: u32) -> Self {
        Self::affine(&[(axis, 1)], 0, size, stride)
    }

    /// The coordinate `offset + Σ coef · i_axis`.
    #[must_use]
    pub fn affine(terms: &[(u8, i32)], offset: i32, size: u32, stride: u32) -> Self {
        let mut terms = terms.to_vec();
        terms.sort_unstable();
        Self {
            axes: terms.iter().map(|t| t.0).collect(),
            coordinate: Coordinate::Affine { coefs: terms.iter().map(|t| t.1).collect(), offset },
            size,
            stride,
        }
    }

    /// The coordinate `entries[i_axis]`; −1 reads outside.
    #[must_use]
    pub fn table(axis: u8, entries: Vec<i32>, size: u32, stride: u32) -> Self {
        Self { axes: vec![axis], coordinate: Coordinate::Table(entries), size, stride }
    }

    /// Calls `visit(position, coordinate)` for every point of the factor's own axes, whose sizes are
    /// `sizes` (one per axis of the factor, the last varying fastest); `coordinate` is `None` outside.
    pub fn for_each(&self, sizes: &[u32], mut visit: impl FnMut(usize, Option<u32>)) {
        let check = |x: i64| u32::try_from(x).ok().filter(|x| *x < self.size);
        match &self.coordinate {
            Coordinate::Table(entries) => {
                for (position, entry) in entries.iter().enumerate() {
                    visit(position, check(i64::from(*entry)));
                }
            }
            Coordinate::Affine { coefs, offset } => {
                let mut index = vec![0_u32; sizes.len()];
                let count: usize = sizes.iter().map(|s| *s as usize).product();
                for position in 0..count {
                    let x =
                        index.iter().zip(coefs).fold(i64::from(*offset), |x, (i, c)| x + i64::from(*i) * i64::from(*c));
                    visit(position, check(x));
                    for axis in (0..sizes.len()).rev() {
                        index[axis] += 1;
                        if index[axis] < sizes[axis] {
                            break;
                        }
                        index[axis] = 0;
                    }
                }
            }
        }
    }
}

/// A separable map from an index space to addresses; see the module's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct IndexMap {
    /// The address when all coordinates are zero.
    pub base: u32,
    /// The factors; no two share an axis.
    pub factors: Vec<Factor>,
}

impl IndexMap {
    /// Reads a row-major tensor of this shape by its own indices, axis `first + d` for dimension `d`.
    #[must_use]
    pub fn identity(shape: &[u32], first: u8) -> Self {
        let mut stride = 1;
        let mut factors: Vec<Factor> = Vec::new();
        for (axis, size) in (first..=u8::MAX).zip(shape) {
            factors.push(Factor::plain(axis, *size, 1));
        }
        for factor in factors.iter_mut().rev() {
            factor.stride = stride;
            stride *= factor.size;
        }
        Self { base: 0, factors }
    }

    /// One more than the largest address that can be read, or `None` on overflow or a factor of size 0.
    #[must_use]
    pub fn extent(&self) -> Option<u32> {
        self.factors.iter().try_fold(self.base.checked_add(1)?, |extent, f| {
            extent.checked_add(f.size.checked_sub(1)?.checked_mul(f.stride)?)
        })
    }

    /// Points that the factors enumerate, each over its own axes, for an index space of these sizes.
    #[must_use]
    pub fn num_points(&self, axes: &[u32]) -> usize {
        let size = |axis: &u8| axes.get(usize::from(*axis)).map_or(1, |s| *s as usize);
        let points = self.factors.iter().map(|f| f.axes.iter().map(size).fold(1, usize::saturating_mul));
        points.fold(0, usize::saturating_add)
    }

    /// Coordinates that all factors together span: what a functional on the source visits.
    #[must_use]
    pub fn num_coordinates(&self) -> usize {
        self.factors.iter().fold(1, |n, f| n.saturating_mul(f.size as usize))
    }

    /// Whether the map reads the axis.
    #[must_use]
    pub fn uses(&self, axis: usize) -> bool {
        self.factors.iter().any(|f| f.axes.iter().any(|a| usize::from(*a) == axis))
    }

    /// The address of every point of the subspace spanned by `axes` (sizes `sizes`, last fastest),
    /// relative to `base`, over the factors whose axes all lie in `axes`; `None` outside.
    ///
    /// Factors that mix axes inside and outside of `axes` must not exist.
    #[must_use]
    pub fn addresses(&self, axes: &[u8], sizes: &[u32]) -> Vec<Option<u32>> {
        /// A factor's addresses over its own axes, with the distance of neighbours along each axis of the subspace.
        struct Part {
            addresses: Vec<Option<u32>>,
            steps: Vec<usize>,
        }
        let count: usize = sizes.iter().map(|s| *s as usize).product();
        // Axes that count, the last one apart: along it addresses are made run by run.
        let long: Vec<usize> = (0..sizes.len()).filter(|a| sizes[*a] != 1).collect();
        let (last, outer) = match long.split_last() {
            Some((last, outer)) => (Some(*last), outer),
            None => (None, &[][..]),
        };
        let mut parts = Vec::new();
        for factor in self.factors.iter().filter(|f| f.axes.iter().all(|a| axes.contains(a))) {
            let own: Vec<usize> = factor.axes.iter().filter_map(|a| axes.iter().position(|b| a == b)).collect();
            let own_sizes: Vec<u32> = own.iter().map(|a| sizes[*a]).collect();
            let mut addresses = Vec::new();
            factor.for_each(&own_sizes, |_, x| addresses.push(x.map(|x| x * factor.stride)));
            let mut steps = vec![0; axes.len()];
            let mut step = 1;
            for (axis, size) in own.iter().zip(&own_sizes).rev() {
                steps[*axis] = step;
                step *= *size as usize;
            }
            parts.push(Part { addresses, steps });
        }
        let (along, across): (Vec<&Part>, Vec<&Part>) =
            parts.iter().partition(|p| last.is_some_and(|last| p.steps[last] != 0));
        let mut addresses = Vec::with_capacity(count);
        let mut index = vec![0_usize; outer.len()];
        let length = last.map_or(1, |last| sizes[last] as usize);
        while addresses.len() < count {
            let at = |part: &Part| outer.iter().zip(&index).map(|(axis, i)| i * part.steps[*axis]).sum::<usize>();
            let start = across.iter().try_fold(0, |address, part| Some(address + part.addresses[at(part)]?));
            match (start, along.as_slice(), last) {
                (None, _, _) => addresses.extend(std::iter::repeat_n(None, length)),
                (start, [], _) => addresses.extend(std::iter::repeat_n(start, length)),
                (Some(start), [part], Some(last)) => {
                    let run = part.addresses[at(part)..].iter().step_by(part.steps[last]).take(length);
                    addresses.extend(run.map(|address| address.map(|a| start + a)));
                }
                // No two factors share an axis.
                _ => addresses.extend(std::iter::repeat_n(None, length)),
            }
            for (i, axis) in index.iter_mut().zip(outer).rev() {
                *i += 1;
                if *i < sizes[*axis] as usize {
                    break;
                }
                *i = 0;
            }
        }
        addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address of a point, by the definition.
    fn address(map: &IndexMap, axes: &[u8], point: &[u32]) -> Option<u32> {
        map.factors.iter().filter(|f| f.axes.iter().all(|a| axes.contains(a))).try_fold(0, |sum, factor| {
            let at = |axis: &u8| axes.iter().position(|a| a == axis).map_or(0, |p| i64::from(point[p]));
            let x = match &factor.coordinate {
                Coordinate::Affine { coefs, offset } => {
                    i64::from(*offset) + factor.axes.iter().zip(coefs).map(|(a, c)| at(a) * i64::from(*c)).sum::<i64>()
                }
                Coordinate::Table(entries) => usize::try_from(at(&factor.axes[0])).map_or(-1, |i| entries[i].into()),
            };
            let x = u32::try_from(x).ok().filter(|x| *x < factor.size)?;
            Some(sum + x * factor.stride)
        })
    }

    #[test]
    fn addresses_are_those_of_the_definition_in_any_order_of_axes() {
        let map = IndexMap {
            base: 7,
            factors: vec![
                Factor::affine(&[(0, 2), (3, -1)], 1, 5, 100),
                Factor::table(1, vec![2, -1, 0], 3, 20),
                Factor::plain(4, 4, 3),
                Factor::affine(&[(5, -1)], 2, 3, 1),
            ],
        };
        for axes in [vec![0, 1, 2, 3, 4, 5], vec![5, 3, 0, 2], vec![1], vec![4, 2], vec![2], vec![3, 1, 0], vec![]] {
            let all = [3_u32, 3, 2, 4, 4, 3];
            let sizes: Vec<u32> = axes.iter().map(|a| all[usize::from(*a)]).collect();
            let count: u32 = sizes.iter().product();
            let expected: Vec<Option<u32>> = (0..count)
                .map(|mut i| {
                    let mut point = vec![0; sizes.len()];
                    for (p, size) in point.iter_mut().zip(&sizes).rev() {
                        (*p, i) = (i % size, i / size);
                    }
                    address(&map, &axes, &point)
                })
                .collect();
            assert_eq!(map.addresses(&axes, &sizes), expected, "{axes:?}");
        }
    }
}
