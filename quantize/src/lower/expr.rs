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

use super::atom::merge_read;
pub(crate) use super::atom::{Atom, Axes, AxisId, Blocked, Coord, Dense, LazyFactor, Origin, Read, Substitution};
use crate::graph::TensorId;
use std::sync::Arc;

/// A lazy expression. `dims` lists the axes of every logical dimension, outermost first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expr {
    pub(crate) dims: Vec<Vec<AxisId>>,
    pub(crate) atoms: Vec<Atom>,
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
    pub(crate) fn constant(axes: &mut Axes, shape: &[usize], values: Vec<f64>, keep: bool) -> Self {
        let mut dims = Vec::new();
        for size in shape {
            dims.push(axes.list(u32::try_from(*size).unwrap_or(u32::MAX)));
        }
        let first = values.first().copied().unwrap_or(0.0);
        let mut atom = Atom { coef: 1.0, dense: None, reads: vec![], summed: vec![] };
        if values.len() == 1 || (!keep && values.iter().all(|v| *v == first)) {
            atom.coef = first;
        } else {
            atom.dense = Some(Dense { axes: dims.concat(), values: Arc::new(values), origin: None, public: false });
        }
        let zero = atom.dense.is_none() && atom.coef == 0.0;
        Self { dims, atoms: if zero { vec![] } else { vec![atom] } }
    }

    /// A constant array that comes from there.
    pub(crate) fn with_origin(mut self, origin: Origin) -> Self {
        for dense in self.atoms.iter_mut().filter_map(|a| a.dense.as_mut()) {
            dense.origin = Some(origin);
        }
        self
    }

    /// A constant array that is no secret.
    pub(crate) fn public(mut self) -> Self {
        self.atoms.iter_mut().filter_map(|a| a.dense.as_mut()).for_each(|d| d.public = true);
        self
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
