//! Lazy expressions: what a float tensor is while it is not yet a tensor of the integer graph.
//!
//! An expression is a sum of atoms over an index space,
//!
//! ```text
//! value[e] = Σ_atoms coef · Σ_summed K[e, j] · T_1[π_1(e, j)] · T_2[π_2(e, j)]
//! ```
//!
//! with at most one dense array of reals K and at most two reads of integer tensors. Reshape, transpose,
//! slice, concat, pad, broadcast, sums and products with constants change expressions and emit nothing.
//! Where an expression cannot express an operation, [`Blocked`] asks for the operand to become a tensor.

use crate::graph::TensorId;
use std::sync::Arc;

/// An axis; ids are unique in a lowering, so expressions never confuse theirs.
pub(crate) type AxisId = u32;

/// The operand must become a tensor first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocked;

/// No constant array of an expression may have more elements.
const MAX_CONSTANT: usize = 1 << 24;
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
    fn plain(axis: AxisId, size: u32, stride: u32) -> Self {
        Self { axes: vec![axis], coord: Coord::Affine { coefs: vec![1], offset: 0 }, size, stride }
    }
    fn is_plain(&self, axes: &Axes) -> bool {
        self.axes.len() == 1
            && self.coord == Coord::Affine { coefs: vec![1], offset: 0 }
            && self.size == axes.size(self.axes[0])
    }
    /// Whether a factor of one axis reads inside at an index.
    pub(crate) fn inside(&self, index: u32) -> bool {
        self.at(&[index]).is_some()
    }
    /// The coordinate at an index of its axes, if inside.
    fn at(&self, index: &[u32]) -> Option<u32> {
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

/// A dense array of reals over some axes, row-major in their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dense {
    pub(crate) axes: Vec<AxisId>,
    pub(crate) values: Arc<Vec<f64>>,
}

/// One summand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Atom {
    pub(crate) coef: f64,
    pub(crate) dense: Option<Dense>,
    pub(crate) reads: Vec<Read>,
    pub(crate) summed: Vec<AxisId>,
}

/// A lazy expression. `dims` lists the axes of every logical dimension, outermost first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expr {
    pub(crate) dims: Vec<Vec<AxisId>>,
    pub(crate) atoms: Vec<Atom>,
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
        if axes.volume(order) > MAX_CONSTANT {
            return Err(Blocked);
        }
        let mut strides = vec![0_usize; order.len()];
        let mut stride = 1;
        for axis in self.axes.iter().rev() {
            let at = order.iter().position(|a| a == axis).ok_or(Blocked)?;
            strides[at] = stride;
            stride *= axes.size(*axis) as usize;
        }
        let shape: Vec<usize> = order.iter().map(|a| axes.size(*a) as usize).collect();
        let mut values = Vec::with_capacity(axes.volume(order));
        crate::onnx::tensor::for_each_address(&shape, &strides, |a| values.push(self.values[a]));
        Ok(Self { axes: order.to_vec(), values: Arc::new(values) })
    }

    fn times(&self, axes: &Axes, other: &Self) -> Result<Self, Blocked> {
        let mut order = self.axes.clone();
        order.extend(other.axes.iter().filter(|a| !self.axes.contains(a)));
        let (a, b) = (self.over(axes, &order)?, other.over(axes, &order)?);
        let values = a.values.iter().zip(b.values.iter()).map(|(x, y)| x * y).collect();
        Ok(Self { axes: order, values: Arc::new(values) })
    }

    /// The sum over some of its axes.
    pub(crate) fn sum_over(&self, axes: &Axes, over: &[AxisId]) -> Result<Self, Blocked> {
        let kept: Vec<AxisId> = self.axes.iter().copied().filter(|a| !over.contains(a)).collect();
        let mut order = kept.clone();
        order.extend(self.axes.iter().copied().filter(|a| over.contains(a)));
        let sorted = self.over(axes, &order)?;
        let width = sorted.values.len() / axes.volume(&kept);
        let values = sorted.values.chunks(width.max(1)).map(|c| c.iter().sum()).collect();
        Ok(Self { axes: kept, values: Arc::new(values) })
    }

    fn substitute(&self, axes: &Axes, s: &Substitution) -> Result<Self, Blocked> {
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
        Ok(Self { axes: list, values: Arc::new(values) })
    }
}

impl Atom {
    /// `None` when the atom vanishes.
    fn substitute(&self, axes: &Axes, s: &Substitution) -> Result<Option<Self>, Blocked> {
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
                    let mask = Dense { axes: s.by.clone(), values: Arc::new(values) };
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
    fn times(&self, axes: &Axes, other: &Self) -> Result<Self, Blocked> {
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

    fn relabel(&mut self, map: &dyn Fn(AxisId) -> AxisId) {
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

impl Expr {
    /// A tensor of the integer graph, read plainly; its dims have the sizes of `shape`.
    pub(crate) fn tensor(axes: &mut Axes, tensor: TensorId, shape: &[u32], scale: f64) -> Self {
        let mut expr = Self { dims: Vec::new(), atoms: Vec::new() };
        let mut factors = Vec::new();
        let mut stride: u32 = shape.iter().product();
        for size in shape {
            stride /= size;
            let list = axes.list(*size);
            factors.extend(list.iter().map(|a| LazyFactor::plain(*a, *size, stride)));
            expr.dims.push(list);
        }
        let read = Read { tensor, base: 0, factors };
        expr.atoms.push(Atom { coef: scale, dense: None, reads: vec![read], summed: vec![] });
        expr
    }

    /// A constant array. With `keep` it stays an array even if all values are equal.
    pub(crate) fn constant(axes: &mut Axes, shape: &[usize], values: &[f64], keep: bool) -> Self {
        let mut dims = Vec::new();
        for size in shape {
            dims.push(axes.list(u32::try_from(*size).unwrap_or(u32::MAX)));
        }
        let first = values.first().copied().unwrap_or(0.0);
        let mut atom = Atom { coef: 1.0, dense: None, reads: vec![], summed: vec![] };
        if values.len() == 1 || (!keep && values.iter().all(|v| *v == first)) {
            atom.coef = first;
        } else {
            atom.dense = Some(Dense { axes: dims.concat(), values: Arc::new(values.to_vec()) });
        }
        let zero = atom.dense.is_none() && atom.coef == 0.0;
        Self { dims, atoms: if zero { vec![] } else { vec![atom] } }
    }

    /// All axes of the index space, in order.
    pub(crate) fn axes(&self) -> Vec<AxisId> {
        self.dims.concat()
    }

    /// The same expression with axes of its own.
    pub(crate) fn freshened(&self, axes: &mut Axes) -> Self {
        let mut expr = self.clone();
        let all: Vec<AxisId> =
            self.dims.iter().flatten().chain(self.atoms.iter().flat_map(|a| &a.summed)).copied().collect();
        let mut map = std::collections::HashMap::new();
        for axis in all {
            let size = axes.size(axis);
            map.entry(axis).or_insert_with(|| axes.fresh(size));
        }
        expr.relabel(&|a| map.get(&a).copied().unwrap_or(a));
        expr
    }

    fn relabel(&mut self, map: &dyn Fn(AxisId) -> AxisId) {
        for axis in self.dims.iter_mut().flatten() {
            *axis = map(*axis);
        }
        for atom in &mut self.atoms {
            atom.relabel(map);
        }
    }

    /// Replaces an axis in all atoms; `dims` is the caller's to change.
    pub(crate) fn substitute(&mut self, axes: &Axes, s: &Substitution) -> Result<(), Blocked> {
        let mut atoms = Vec::with_capacity(self.atoms.len());
        for atom in &self.atoms {
            atoms.extend(atom.substitute(axes, s)?);
        }
        self.atoms = atoms;
        Ok(())
    }

    /// The single axis of a dimension: the one that it has, a new one of size 1, or several merged.
    pub(crate) fn single_axis(&mut self, axes: &mut Axes, dim: usize) -> Result<AxisId, Blocked> {
        match self.dims[dim].as_slice() {
            [] => Ok(axes.fresh(1)),
            [axis] => Ok(*axis),
            several => {
                let several = several.to_vec();
                let merged = self.merge(axes, &several, true)?;
                self.dims[dim] = vec![merged];
                Ok(merged)
            }
        }
    }

    /// Merges axes (outermost first) to one; without `tables` only where every read stays plain.
    pub(crate) fn merge(&mut self, axes: &mut Axes, list: &[AxisId], tables: bool) -> Result<AxisId, Blocked> {
        let size = axes.volume(list);
        let merged = axes.fresh(u32::try_from(size).map_err(|_| Blocked)?);
        let mut atoms = self.atoms.clone();
        for atom in &mut atoms {
            for read in &mut atom.reads {
                merge_read(axes, read, list, merged, tables)?;
            }
            let Some(dense) = &atom.dense else { continue };
            let own = list.iter().filter(|a| dense.axes.contains(a)).count();
            if own == 0 {
                continue;
            }
            if own < list.len() && !tables {
                return Err(Blocked);
            }
            let mut order: Vec<AxisId> = dense.axes.iter().copied().filter(|a| !list.contains(a)).collect();
            let kept = order.len();
            order.extend(list);
            let mut dense = dense.over(axes, &order)?;
            dense.axes.truncate(kept);
            dense.axes.push(merged);
            atom.dense = Some(dense);
        }
        self.atoms = atoms;
        Ok(merged)
    }

    /// Splits an axis into sizes, outermost first; `dims` is the caller's to change.
    fn split(&mut self, axes: &mut Axes, axis: AxisId, sizes: &[u32]) -> Result<Vec<AxisId>, Blocked> {
        let parts: Vec<AxisId> = sizes.iter().map(|s| axes.fresh(*s)).collect();
        let mut terms = Vec::new();
        let mut stride = 1_i64;
        for part in parts.iter().rev() {
            terms.push((*part, stride));
            stride *= i64::from(axes.size(*part));
        }
        terms.reverse();
        self.substitute(axes, &Substitution::affine(axis, &terms, 0))?;
        Ok(parts)
    }

    /// The same elements in another shape.
    pub(crate) fn reshape(&mut self, axes: &mut Axes, shape: &[u32]) -> Result<(), Blocked> {
        let mut queue: Vec<AxisId> = self.axes();
        queue.reverse();
        let mut dims = Vec::new();
        for size in shape {
            let mut needed = *size;
            let mut dim = Vec::new();
            while needed > 1 {
                let axis = queue.pop().ok_or(Blocked)?;
                let have = axes.size(axis);
                if needed.is_multiple_of(have) {
                    dim.push(axis);
                    needed /= have;
                } else if have.is_multiple_of(needed) {
                    let parts = self.split(axes, axis, &[needed, have / needed])?;
                    dim.push(parts[0]);
                    queue.push(parts[1]);
                    needed = 1;
                } else {
                    // Neither divides: the rest becomes one axis and is cut anew.
                    let mut rest = vec![axis];
                    rest.extend(queue.iter().rev());
                    if rest.len() == 1 {
                        return Err(Blocked);
                    }
                    queue = vec![self.merge(axes, &rest, true)?];
                }
            }
            dims.push(dim);
        }
        self.dims = dims;
        Ok(())
    }

    /// Makes two dimensions (one of each expression, of equal sizes) have the same axes.
    pub(crate) fn unify(
        &mut self,
        axes: &mut Axes,
        dim: usize,
        other: &mut Self,
        other_dim: usize,
    ) -> Result<(), Blocked> {
        let (mut a, mut b) = (self.dims[dim].clone(), other.dims[other_dim].clone());
        a.reverse();
        b.reverse();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        while let (Some(x), Some(y)) = (a.pop(), b.pop()) {
            let (sx, sy) = (axes.size(x), axes.size(y));
            if sx == sy {
                left.push(x);
                right.push(y);
            } else if sx.is_multiple_of(sy) {
                let parts = self.split(axes, x, &[sy, sx / sy])?;
                a.extend([parts[1], parts[0]]);
                b.push(y);
            } else if sy.is_multiple_of(sx) {
                let parts = other.split(axes, y, &[sx, sy / sx])?;
                b.extend([parts[1], parts[0]]);
                a.push(x);
            } else {
                let rest = |first: AxisId, list: &[AxisId]| -> Vec<AxisId> {
                    std::iter::once(first).chain(list.iter().rev().copied()).collect()
                };
                let (ra, rb) = (rest(x, &a), rest(y, &b));
                left.push(if ra.len() > 1 { self.merge(axes, &ra, true)? } else { x });
                right.push(if rb.len() > 1 { other.merge(axes, &rb, true)? } else { y });
                break;
            }
        }
        other.relabel(&|axis| right.iter().position(|r| *r == axis).map_or(axis, |i| left[i]));
        self.dims[dim].clone_from(&left);
        other.dims[other_dim] = left;
        Ok(())
    }

    /// Broadcasts both to common dims, with common axes.
    pub(crate) fn align(&mut self, axes: &mut Axes, other: &mut Self) -> Result<(), Blocked> {
        let rank = self.dims.len().max(other.dims.len());
        for expr in [&mut *self, &mut *other] {
            while expr.dims.len() < rank {
                expr.dims.insert(0, Vec::new());
            }
        }
        for dim in 0..rank {
            match (self.dims[dim].is_empty(), other.dims[dim].is_empty()) {
                (false, false) => self.unify(axes, dim, other, dim)?,
                (true, false) => self.dims[dim].clone_from(&other.dims[dim]),
                (false, true) => other.dims[dim].clone_from(&self.dims[dim]),
                (true, true) => {}
            }
        }
        Ok(())
    }

    /// The sum, broadcast.
    pub(crate) fn plus(mut self, axes: &mut Axes, mut other: Self) -> Result<Self, Blocked> {
        self.align(axes, &mut other)?;
        for atom in other.atoms {
            let same = self
                .atoms
                .iter_mut()
                .find(|a| a.reads == atom.reads && a.summed == atom.summed && a.dense == atom.dense);
            match same {
                Some(same) => same.coef += atom.coef,
                None => self.atoms.push(atom),
            }
        }
        self.atoms.retain(|a| a.coef != 0.0);
        Ok(self)
    }

    /// The expression times a number.
    pub(crate) fn scaled(mut self, factor: f64) -> Self {
        for atom in &mut self.atoms {
            atom.coef *= factor;
        }
        self.atoms.retain(|a| a.coef != 0.0);
        self
    }

    /// Products of all pairs of atoms of two aligned expressions, summed over `summed`.
    pub(crate) fn contract(&self, axes: &Axes, other: &Self, summed: &[AxisId]) -> Result<Vec<Atom>, Blocked> {
        let mut atoms = Vec::new();
        for a in &self.atoms {
            for b in &other.atoms {
                let mut atom = a.times(axes, b)?;
                atom.summed.extend(summed);
                atom.simplify(axes)?;
                atoms.push(atom);
            }
        }
        Ok(atoms)
    }

    /// The elementwise product, broadcast.
    pub(crate) fn times(mut self, axes: &mut Axes, mut other: Self) -> Result<Self, Blocked> {
        self.align(axes, &mut other)?;
        let atoms = self.contract(axes, &other, &[])?;
        Ok(Self { dims: self.dims, atoms })
    }

    /// The sum over dimensions, which stay with size 1.
    pub(crate) fn sum(mut self, axes: &Axes, dims: &[usize]) -> Result<Self, Blocked> {
        for dim in dims {
            let list = std::mem::take(&mut self.dims[*dim]);
            for atom in &mut self.atoms {
                atom.summed.extend(&list);
            }
        }
        self.atoms.iter_mut().try_for_each(|a| a.simplify(axes))?;
        Ok(self)
    }

    /// Replaces the index of a dimension by a window over new axes: `stride · o + dilation · k − begin`.
    pub(crate) fn window(
        &mut self,
        axes: &mut Axes,
        dim: usize,
        (outer, stride): (&[AxisId], usize),
        (inner, dilation): (&[AxisId], usize),
        begin: usize,
    ) -> Result<(), Blocked> {
        let axis = self.single_axis(axes, dim)?;
        let signed = |v: usize| i64::try_from(v).map_err(|_| Blocked);
        let mut terms = Vec::new();
        for (list, step) in [(outer, stride), (inner, dilation)] {
            for a in list {
                terms.push((*a, signed(step)?));
            }
        }
        self.substitute(axes, &Substitution::affine(axis, &terms, -signed(begin)?))?;
        self.dims[dim] = outer.to_vec();
        Ok(())
    }
}

fn merge_read(axes: &Axes, read: &mut Read, list: &[AxisId], merged: AxisId, tables: bool) -> Result<(), Blocked> {
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
