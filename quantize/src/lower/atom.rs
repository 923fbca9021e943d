//! The summands of lazy expressions: reads of tensors, dense arrays of constants, substitution of axes.

use crate::{graph::TensorId, onnx::tensor};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// An axis; ids are unique in a lowering, so expressions never confuse theirs.
pub(crate) type AxisId = u32;

/// The operand must become a tensor first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocked;

/// No constant array of an expression may have more elements.
const MAX_CONSTANT: usize = 1 << 26;
/// No table of coordinates may have more entries.
const MAX_TABLE: usize = 1 << 20;

/// Sizes of all axes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Axes(Vec<u32>);

impl Axes {
    pub(crate) fn fresh(&mut self, size: u32) -> AxisId {
        self.0.push(size);
        AxisId::try_from(self.0.len() - 1).unwrap_or(AxisId::MAX)
    }
    /// An axis of this size, or none for size 1: axes of one element are left out.
    pub(crate) fn list(&mut self, size: u32) -> Vec<AxisId> {
        if size == 1 {
            Vec::new()
        } else {
            vec![self.fresh(size)]
        }
    }
    pub(crate) fn size(&self, axis: AxisId) -> u32 {
        self.0[axis as usize]
    }
    pub(crate) fn volume(&self, axes: &[AxisId]) -> usize {
        axes.iter().map(|a| self.size(*a) as usize).product()
    }
}

/// How a coordinate is found; see [`crate::index::Coordinate`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Coord {
    Affine { coefs: Vec<i64>, offset: i64 },
    Table(Vec<i32>),
}

/// A factor of a read; see [`crate::index::Factor`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LazyFactor {
    pub(crate) axes: Vec<AxisId>,
    pub(crate) coord: Coord,
    pub(crate) size: u32,
    pub(crate) stride: u32,
}

impl LazyFactor {
    pub(super) fn plain(axis: AxisId, size: u32, stride: u32) -> Self {
        Self { axes: vec![axis], coord: Coord::Affine { coefs: vec![1], offset: 0 }, size, stride }
    }
    pub(super) fn is_plain(&self, axes: &Axes) -> bool {
        self.axes.len() == 1
            && self.coord == Coord::Affine { coefs: vec![1], offset: 0 }
            && self.size == axes.size(self.axes[0])
    }
    /// Whether it reads inside everywhere.
    pub(crate) fn is_total(&self, axes: &Axes) -> bool {
        let mut total = true;
        for_each_index(axes, &self.axes, |index| total &= self.at(index).is_some());
        total
    }
    /// Whether a factor of one axis reads inside at an index.
    pub(crate) fn inside(&self, index: u32) -> bool {
        self.at(&[index]).is_some()
    }
    /// The coordinate at an index of its axes, if inside.
    pub(super) fn at(&self, index: &[u32]) -> Option<u32> {
        let x = match &self.coord {
            Coord::Affine { coefs, offset } => coefs.iter().zip(index).fold(*offset, |x, (c, i)| x + c * i64::from(*i)),
            Coord::Table(entries) => {
                entries.get(index.first().copied().unwrap_or(0) as usize).map_or(-1, |e| i64::from(*e))
            }
        };
        u32::try_from(x).ok().filter(|x| *x < self.size)
    }
}

/// A read of an integer tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) tensor: TensorId,
    pub(crate) base: u32,
    pub(crate) factors: Vec<LazyFactor>,
}

impl Read {
    pub(crate) fn uses(&self, axis: AxisId) -> bool {
        self.factors.iter().any(|f| f.axes.contains(&axis))
    }
}

/// How an array follows from the constants of the float graph, as a digest: arrays of one origin have equal values by
/// construction, whatever the constants are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin(u64);

impl Origin {
    pub(crate) fn new(what: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// A dense array of reals over some axes, row-major in their order.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    pub(crate) axes: Vec<AxisId>,
    pub(crate) values: Arc<Vec<f64>>,
    /// Where it comes from, if that is known.
    pub(crate) origin: Option<Origin>,
    /// Whether it is no secret even where weights are.
    pub(crate) public: bool,
}

impl PartialEq for Dense {
    fn eq(&self, other: &Self) -> bool {
        self.axes == other.axes && self.values == other.values
    }
}

/// One summand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Atom {
    pub(crate) coef: f64,
    pub(crate) dense: Option<Dense>,
    pub(crate) reads: Vec<Read>,
    pub(crate) summed: Vec<AxisId>,
}

/// The index of `axis`, as a function of new axes: `offset + Σ coef · i`, or a table over one axis.
#[derive(Clone, Debug)]
pub(crate) struct Substitution {
    pub(crate) axis: AxisId,
    pub(crate) by: Vec<AxisId>,
    pub(crate) coord: Coord,
}

impl Substitution {
    pub(crate) fn affine(axis: AxisId, terms: &[(AxisId, i64)], offset: i64) -> Self {
        let (by, coefs) = terms.iter().copied().unzip();
        Self { axis, by, coord: Coord::Affine { coefs, offset } }
    }

    /// The index of the axis at every point of the new axes, row-major; `None` outside.
    fn points(&self, axes: &Axes) -> Vec<Option<u32>> {
        let factor =
            LazyFactor { axes: self.by.clone(), coord: self.coord.clone(), size: axes.size(self.axis), stride: 1 };
        let mut points = Vec::new();
        for_each_index(axes, &self.by, |index| points.push(factor.at(index)));
        points
    }
}

/// Calls `visit` with every index of the axes, the last fastest.
pub(crate) fn for_each_index(axes: &Axes, list: &[AxisId], mut visit: impl FnMut(&[u32])) {
    let sizes: Vec<u32> = list.iter().map(|a| axes.size(*a)).collect();
    let mut index = vec![0_u32; sizes.len()];
    for _ in 0..axes.volume(list) {
        visit(&index);
        for d in (0..sizes.len()).rev() {
            index[d] += 1;
            if index[d] < sizes[d] {
                break;
            }
            index[d] = 0;
        }
    }
}

impl Dense {
    /// The same array over more axes or in another order; every own axis must be in `order`.
    pub(crate) fn over(&self, axes: &Axes, order: &[AxisId]) -> Result<Self, Blocked> {
        if self.axes == order {
            return Ok(self.clone());
        }
        let (shape, strides) = self.strides_over(axes, order)?;
        let mut values = Vec::with_capacity(axes.volume(order));
        tensor::for_each_address(&shape, &strides, |a| values.push(self.values[a]));
        let origin = self.origin_over(order, &shape, &strides);
        Ok(Self { axes: order.to_vec(), values: Arc::new(values), origin, public: self.public })
    }

    /// The sizes of axes, and the strides that read the array over them.
    fn strides_over(&self, axes: &Axes, order: &[AxisId]) -> Result<(Vec<usize>, Vec<usize>), Blocked> {
        if self.axes != order && axes.volume(order) > MAX_CONSTANT {
            return Err(Blocked);
        }
        let mut strides = vec![0_usize; order.len()];
        let mut stride = 1;
        for axis in self.axes.iter().rev() {
            let at = order.iter().position(|a| a == axis).ok_or(Blocked)?;
            strides[at] = stride;
            stride *= axes.size(*axis) as usize;
        }
        Ok((order.iter().map(|a| axes.size(*a) as usize).collect(), strides))
    }

    fn origin_over(&self, order: &[AxisId], shape: &[usize], strides: &[usize]) -> Option<Origin> {
        if self.axes == order {
            self.origin
        } else {
            self.origin.map(|o| Origin::new((o, "over", shape, strides)))
        }
    }

    pub(super) fn times(&self, axes: &Axes, other: &Self) -> Result<Self, Blocked> {
        let mut order = self.axes.clone();
        order.extend(other.axes.iter().filter(|a| !self.axes.contains(a)));
        let ((shape, own), (_, others)) = (self.strides_over(axes, &order)?, other.strides_over(axes, &order)?);
        let values = tensor::zipped_with(&shape, [(&self.values, &own), (&other.values, &others)], |x, y| x * y);
        let origins = (self.origin_over(&order, &shape, &own), other.origin_over(&order, &shape, &others));
        let origin = origins.0.zip(origins.1).map(|o| Origin::new((o, "times")));
        Ok(Self { axes: order, values: Arc::new(values), origin, public: self.public && other.public })
    }

    /// The sum over some of its axes.
    pub(crate) fn sum_over(&self, axes: &Axes, over: &[AxisId]) -> Result<Self, Blocked> {
        let kept: Vec<AxisId> = self.axes.iter().copied().filter(|a| !over.contains(a)).collect();
        let mut order = kept.clone();
        order.extend(self.axes.iter().copied().filter(|a| over.contains(a)));
        let sorted = self.over(axes, &order)?;
        let width = sorted.values.len() / axes.volume(&kept);
        let values = sorted.values.chunks(width.max(1)).map(|c| c.iter().sum()).collect();
        let origin = sorted.origin.map(|o| Origin::new((o, "sum", width)));
        Ok(Self { axes: kept, values: Arc::new(values), origin, public: self.public })
    }

    pub(super) fn substitute(&self, axes: &Axes, s: &Substitution) -> Result<Self, Blocked> {
        let at = self.axes.iter().position(|a| *a == s.axis).ok_or(Blocked)?;
        let size = axes.size(s.axis) as usize;
        let inner = axes.volume(&self.axes[at + 1..]);
        let points = s.points(axes);
        let outer = self.values.len() / (size * inner);
        if outer.saturating_mul(points.len()).saturating_mul(inner) > MAX_CONSTANT {
            return Err(Blocked);
        }
        let mut values = Vec::with_capacity(outer * points.len() * inner);
        for block in self.values.chunks(size * inner) {
            for point in &points {
                match point {
                    Some(i) => values.extend_from_slice(&block[*i as usize * inner..][..inner]),
                    None => values.resize(values.len() + inner, 0.0),
                }
            }
        }
        let mut list = self.axes[..at].to_vec();
        list.extend(&s.by);
        list.extend(&self.axes[at + 1..]);
        let origin = self.origin.map(|o| Origin::new((o, "substitute", outer, inner, &points)));
        Ok(Self { axes: list, values: Arc::new(values), origin, public: self.public })
    }
}

impl Atom {
    /// `None` when the atom vanishes.
    pub(super) fn substitute(&self, axes: &Axes, s: &Substitution) -> Result<Option<Self>, Blocked> {
        let mut atom = self.clone();
        let points = s.points(axes);
        let mut masked = points.iter().all(Option::is_some);
        if let Some(dense) = atom.dense.as_ref().filter(|d| d.axes.contains(&s.axis)) {
            atom.dense = Some(dense.substitute(axes, s)?);
            masked = true;
        }
        for read in &mut atom.reads {
            let Some(at) = read.factors.iter().position(|f| f.axes.contains(&s.axis)) else { continue };
            let (factor, masks) = substitute_factor(axes, &read.factors[at], s, &points, masked)?;
            masked |= masks;
            if factor.axes.is_empty() {
                read.factors.remove(at);
                match factor.at(&[]) {
                    Some(x) => read.base += x * factor.stride,
                    None => return Ok(None),
                }
            } else {
                read.factors[at] = factor;
            }
        }
        if !masked {
            if s.by.is_empty() {
                return Ok(None); // the one point is outside
            }
            match (atom.reads.first_mut(), s.by.as_slice()) {
                (Some(read), [by]) => {
                    let entries = points.iter().map(|p| if p.is_some() { 0 } else { -1 }).collect();
                    read.factors.push(LazyFactor { axes: vec![*by], coord: Coord::Table(entries), size: 1, stride: 1 });
                }
                (Some(_), _) => return Err(Blocked),
                (None, _) => {
                    let values = points.iter().map(|p| if p.is_some() { 1.0 } else { 0.0 }).collect();
                    let origin = Some(Origin::new(("mask", &points)));
                    let mask = Dense { axes: s.by.clone(), values: Arc::new(values), origin, public: true };
                    atom.dense = Some(match &atom.dense {
                        Some(dense) => dense.times(axes, &mask)?,
                        None => mask,
                    });
                }
            }
        }
        Ok(Some(atom))
    }

    /// The product of two atoms; reads and sums are joined.
    pub(super) fn times(&self, axes: &Axes, other: &Self) -> Result<Self, Blocked> {
        let reads: Vec<Read> = self.reads.iter().chain(&other.reads).cloned().collect();
        let dense = match (&self.dense, &other.dense) {
            (Some(a), Some(b)) => {
                let product = a.times(axes, b)?;
                // Growing arrays would be weights that nobody trained.
                let largest = a.values.len().max(b.values.len());
                if !reads.is_empty() && product.values.len() > 4096.max(2 * largest) {
                    return Err(Blocked);
                }
                Some(product)
            }
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        if reads.len() > 2 || (reads.len() == 2 && dense.is_some()) {
            return Err(Blocked);
        }
        let summed = self.summed.iter().chain(&other.summed).copied().collect();
        Ok(Self { coef: self.coef * other.coef, dense, reads, summed })
    }

    /// Sums that do not need to stay: over axes that nothing or only the constant reads.
    pub(crate) fn simplify(&mut self, axes: &Axes) -> Result<(), Blocked> {
        let mut kept = Vec::new();
        let mut only_dense = Vec::new();
        for axis in std::mem::take(&mut self.summed) {
            let dense = self.dense.as_ref().is_some_and(|d| d.axes.contains(&axis));
            match (dense, self.reads.iter().any(|r| r.uses(axis))) {
                (_, true) => kept.push(axis),
                (true, false) => only_dense.push(axis),
                (false, false) => self.coef *= f64::from(axes.size(axis)),
            }
        }
        self.summed = kept;
        if let (Some(dense), false) = (&self.dense, only_dense.is_empty()) {
            self.dense = Some(dense.sum_over(axes, &only_dense)?);
        }
        if let Some(dense) = self.dense.take_if(|d| d.axes.is_empty()) {
            self.coef *= dense.values.first().copied().unwrap_or(0.0);
        }
        Ok(())
    }

    pub(super) fn relabel(&mut self, map: &dyn Fn(AxisId) -> AxisId) {
        for axis in &mut self.summed {
            *axis = map(*axis);
        }
        if let Some(dense) = &mut self.dense {
            for axis in &mut dense.axes {
                *axis = map(*axis);
            }
        }
        for factor in self.reads.iter_mut().flat_map(|r| &mut r.factors) {
            for axis in &mut factor.axes {
                *axis = map(*axis);
            }
        }
    }
}

/// The factor after a substitution, and whether it reads outside wherever the substituted index is outside.
fn substitute_factor(
    axes: &Axes,
    factor: &LazyFactor,
    s: &Substitution,
    points: &[Option<u32>],
    masked: bool,
) -> Result<(LazyFactor, bool), Blocked> {
    let single = factor.axes.len() == 1;
    let as_table = || {
        if !single || s.by.len() > 1 {
            return Err(Blocked);
        }
        let entry = |p: &Option<u32>| p.and_then(|i| factor.at(&[i])).and_then(|x| i32::try_from(x).ok()).unwrap_or(-1);
        let coord = Coord::Table(points.iter().map(entry).collect());
        Ok((LazyFactor { axes: s.by.clone(), coord, ..factor.clone() }, true))
    };
    let (Coord::Affine { coefs, offset }, Coord::Affine { coefs: new, offset: start }) = (&factor.coord, &s.coord)
    else {
        return as_table();
    };
    let at = factor.axes.iter().position(|a| *a == s.axis).ok_or(Blocked)?;
    let mut composed = LazyFactor { axes: Vec::new(), coord: Coord::Table(vec![]), ..factor.clone() };
    let mut composed_coefs = Vec::new();
    for (i, axis) in factor.axes.iter().enumerate() {
        if i == at {
            composed.axes.extend(&s.by);
            composed_coefs.extend(new.iter().map(|c| c * coefs[at]));
        } else {
            composed.axes.push(*axis);
            composed_coefs.push(coefs[i]);
        }
    }
    composed.coord = Coord::Affine { coefs: composed_coefs, offset: offset + coefs[at] * start };
    if masked {
        return Ok((composed, false));
    }
    // Some index is outside: the composed factor must be outside there too.
    let mut faithful = single;
    if single {
        let mut position = 0;
        for_each_index(axes, &s.by, |index| {
            faithful &= points[position].is_some() || composed.at(index).is_none();
            position += 1;
        });
    }
    if faithful {
        Ok((composed, true))
    } else {
        as_table()
    }
}

/// Merges the factors of a read that touch the listed axes.
pub(super) fn merge_read(
    axes: &Axes,
    read: &mut Read,
    list: &[AxisId],
    merged: AxisId,
    tables: bool,
) -> Result<(), Blocked> {
    let touching: Vec<usize> =
        (0..read.factors.len()).filter(|f| read.factors[*f].axes.iter().any(|a| list.contains(a))).collect();
    if touching.is_empty() {
        return Ok(());
    }
    if touching.iter().any(|f| read.factors[*f].axes.iter().any(|a| !list.contains(a))) {
        return Err(Blocked);
    }
    let of = |axis: AxisId| touching.iter().map(|f| &read.factors[*f]).find(|f| f.axes.contains(&axis));
    let size = axes.size(merged);
    // Plain and contiguous from the last axis outwards?
    let mut stride = None;
    let mut plain = true;
    for axis in list.iter().rev() {
        let Some(factor) = of(*axis).filter(|f| f.is_plain(axes)) else {
            plain = false;
            break;
        };
        plain &= stride.is_none_or(|s| s == factor.stride);
        stride = Some(factor.stride.saturating_mul(factor.size));
    }
    let factor = if plain {
        let last = list.last().and_then(|a| of(*a)).ok_or(Blocked)?;
        LazyFactor::plain(merged, size, last.stride)
    } else {
        if !tables || size as usize > MAX_TABLE {
            return Err(Blocked);
        }
        let mut entries = Vec::with_capacity(size as usize);
        for_each_index(axes, list, |index| {
            let address = touching.iter().try_fold(0_u32, |address, f| {
                let factor = &read.factors[*f];
                let own: Vec<u32> =
                    factor.axes.iter().filter_map(|a| list.iter().position(|b| a == b).map(|p| index[p])).collect();
                address.checked_add(factor.at(&own)?.checked_mul(factor.stride)?)
            });
            entries.push(address.and_then(|a| i32::try_from(a).ok()).unwrap_or(-1));
        });
        let largest = entries.iter().copied().max().unwrap_or(0).max(0);
        LazyFactor { axes: vec![merged], coord: Coord::Table(entries), size: largest.unsigned_abs() + 1, stride: 1 }
    };
    let mut rest: Vec<LazyFactor> = std::mem::take(&mut read.factors)
        .into_iter()
        .enumerate()
        .filter(|(i, _)| !touching.contains(i))
        .map(|(_, f)| f)
        .collect();
    rest.push(factor);
    read.factors = rest;
    Ok(())
}
