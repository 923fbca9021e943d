//! From a lazy expression to an integer form: reals become integers here, once.

use super::{
    expr::{Atom, Axes, AxisId, Coord, Dense, Expr, Origin, Read, Substitution},
    LowerError,
};
use crate::{
    graph::{Form, Interval, Operand, Param, ParamId, Product, Source, Term},
    index::{Factor, IndexMap},
};
use std::sync::Arc;

/// How constants become parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ParamPolicy {
    /// Declared width of weights and biases; `None` declares what the values need.
    pub(crate) declared: Option<(u8, u8)>,
    /// The first free parameter.
    pub(crate) first: u32,
}

/// A form and the parameters that it brings.
#[derive(Clone, Debug)]
pub(crate) struct Emitted {
    pub(crate) form: Form,
    pub(crate) params: Vec<EmittedParam>,
}

/// A parameter of a form.
#[derive(Clone, Debug)]
pub(crate) struct EmittedParam {
    pub(crate) param: Param,
    pub(crate) values: Vec<i64>,
    /// Parameters of one origin are equal by construction.
    pub(crate) origin: Option<Origin>,
}

/// The nearest integer of a real that has to stay below 2^62.
pub(crate) fn integer(value: f64) -> Result<i64, LowerError> {
    let rounded = libm::floor(value + 0.5);
    #[allow(clippy::cast_possible_truncation)] // checked
    if rounded.abs() < 4.6e18 {
        Ok(rounded as i64)
    } else {
        Err(LowerError::TooWide)
    }
}

struct Emitter<'a> {
    axes: &'a mut Axes,
    order: &'a [AxisId],
    policy: ParamPolicy,
    name: &'a str,
    params: Vec<EmittedParam>,
}

/// The form of an expression over the axes `order`, whose unit one stands for `unit`. Bounds are left to the caller.
pub(crate) fn emit(
    axes: &mut Axes,
    expr: &Expr,
    order: &[AxisId],
    unit: f64,
    policy: ParamPolicy,
    name: &str,
) -> Result<Emitted, LowerError> {
    let shape: Vec<u32> = order.iter().map(|a| axes.size(*a)).collect();
    let shape = if shape.is_empty() { vec![1] } else { shape };
    let mut form = Form { shape, terms: vec![], products: vec![], constant: 0, bounds: Interval::new(0, 0) };
    let mut emitter = Emitter { axes, order, policy, name, params: Vec::new() };
    let mut constants = Vec::new();
    for atom in &expr.atoms {
        let factor = atom.coef / unit;
        match (atom.reads.as_slice(), &atom.dense) {
            ([], dense) => constants.push((factor, dense.clone())),
            ([read], None) => {
                let coef = integer(factor)?;
                let sums: Vec<u32> = atom.summed.iter().map(|a| emitter.axes.size(*a)).collect();
                let map = emitter.map(read, &atom.summed)?;
                if coef != 0 {
                    form.terms.push(Term { coef, source: Source::Tensor(read.tensor), sums, map });
                }
            }
            ([_], Some(_)) => form.products.extend(emitter.weighted(atom, factor)?),
            ([left, right], None) => {
                let coef = integer(factor)?;
                if coef != 0 {
                    form.products.push(emitter.between(coef, left, right, &atom.summed)?);
                }
            }
            _ => return Err(LowerError::Internal("an atom with too many factors")),
        }
    }
    emitter.constants(&constants, &mut form)?;
    Ok(Emitted { form, params: emitter.params })
}

impl Emitter<'_> {
    fn position(&self, axis: AxisId, extra: &[AxisId]) -> Result<u8, LowerError> {
        // A form without axes has one of size 1 that nothing reads.
        let skip = self.order.len().max(1);
        let at = self
            .order
            .iter()
            .position(|a| *a == axis)
            .or_else(|| extra.iter().position(|a| *a == axis).map(|p| p + skip));
        at.and_then(|p| u8::try_from(p).ok()).ok_or(LowerError::Internal("an axis that the form does not have"))
    }

    fn map(&self, read: &Read, extra: &[AxisId]) -> Result<IndexMap, LowerError> {
        let mut map = IndexMap { base: read.base, factors: Vec::new() };
        for factor in &read.factors {
            let positions = factor.axes.iter().map(|a| self.position(*a, extra)).collect::<Result<Vec<_>, _>>()?;
            map.factors.push(match &factor.coord {
                Coord::Table(entries) => {
                    Factor::table(positions.first().copied().unwrap_or(0), entries.clone(), factor.size, factor.stride)
                }
                Coord::Affine { coefs, offset } => {
                    let narrow = |v: i64| i32::try_from(v).map_err(|_| LowerError::TooWide);
                    let coefs = coefs.iter().map(|c| narrow(*c)).collect::<Result<Vec<_>, _>>()?;
                    let terms: Vec<(u8, i32)> = positions.into_iter().zip(coefs).collect();
                    Factor::affine(&terms, narrow(*offset)?, factor.size, factor.stride)
                }
            });
        }
        map.factors.sort_by(|a, b| a.axes.cmp(&b.axes));
        Ok(map)
    }

    /// A plain map that reads a dense array by its own axes.
    fn dense_map(&self, list: &[AxisId], extra: &[AxisId]) -> Result<IndexMap, LowerError> {
        let mut stride = 1;
        let mut map = IndexMap::default();
        for axis in list.iter().rev() {
            let size = self.axes.size(*axis);
            map.factors.push(Factor::plain(self.position(*axis, extra)?, size, stride));
            stride *= size;
        }
        map.factors.sort_by(|a, b| a.axes.cmp(&b.axes));
        Ok(map)
    }

    /// Declares a parameter: a matrix of `rows` and `cols`.
    fn param(
        &mut self,
        (rows, cols): (usize, usize),
        values: Vec<i64>,
        bias: bool,
        (origin, public): (Option<Origin>, bool),
    ) -> Result<ParamId, LowerError> {
        let fit = |v: usize| u32::try_from(v).map_err(|_| LowerError::TooWide);
        let (rows, cols) = (fit(rows)?, fit(cols)?);
        let bounds = match self.policy.declared.filter(|_| !public) {
            Some((weight, wide)) => {
                let bits = if bias { wide } else { weight };
                let limit = 1_i64 << (bits - 1);
                let bounds = Interval::new(-limit, limit - 1);
                if let Some(value) = values.iter().find(|v| !bounds.contains(**v)) {
                    return Err(LowerError::DeclaredWidth { bits, value: *value });
                }
                bounds
            }
            None => Interval::new(values.iter().copied().min().unwrap_or(0), values.iter().copied().max().unwrap_or(0)),
        };
        let suffix = if bias { "bias" } else { "weight" };
        let name = format!("{}.{suffix}", self.name);
        let id = ParamId(self.policy.first + fit(self.params.len())?);
        let origin = origin.map(|o| Origin::new((o, rows, cols, bias)));
        self.params.push(EmittedParam { param: Param { name, rows, cols, bounds }, values, origin });
        Ok(id)
    }

    /// `Σ K · T`, with the array as the parameter on the left.
    fn weighted(&mut self, atom: &Atom, factor: f64) -> Result<Option<Product>, LowerError> {
        let atom = self.cropped(atom)?;
        let (Some(dense), [read]) = (&atom.dense, atom.reads.as_slice()) else {
            return Err(LowerError::Internal("no weights"));
        };
        let (mut rows, mut inner) = (Vec::new(), Vec::new());
        for axis in self.order.iter().filter(|a| dense.axes.contains(a)) {
            if read.uses(*axis) { &mut inner } else { &mut rows }.push(*axis);
        }
        let (shared, own): (Vec<AxisId>, Vec<AxisId>) = atom.summed.iter().partition(|a| dense.axes.contains(a));
        inner.extend(&shared);
        let list: Vec<AxisId> = rows.iter().chain(&inner).copied().collect();
        let sorted = dense.over(self.axes, &list)?;
        // Weights are many: no more memory than they need.
        let mut values = Vec::with_capacity(sorted.values.len());
        for v in sorted.values.iter() {
            values.push(integer(v * factor)?);
        }
        if (self.policy.declared.is_none() || sorted.public) && values.iter().all(|v| *v == 0) {
            return Ok(None);
        }
        let size = (self.axes.volume(&rows), self.axes.volume(&inner));
        let origin = sorted.origin.map(|o| Origin::new((o, factor.to_bits())));
        let left = Operand {
            source: Source::Param(self.param(size, values, false, (origin, sorted.public))?),
            sums: vec![],
            map: self.dense_map(&list, &shared)?,
        };
        let extra: Vec<AxisId> = shared.iter().chain(&own).copied().collect();
        let right = Operand {
            source: Source::Tensor(read.tensor),
            sums: own.iter().map(|a| self.axes.size(*a)).collect(),
            map: self.map(read, &extra)?,
        };
        let summed = shared.iter().map(|a| self.axes.size(*a)).collect();
        Ok(Some(Product { coef: 1, summed, left, right }))
    }

    /// Summed axes cut to where the tensor is read inside: parts of a concatenation bring only their weights.
    fn cropped(&mut self, atom: &Atom) -> Result<Atom, LowerError> {
        let mut atom = atom.clone();
        for axis in atom.summed.clone() {
            let uses = atom.dense.as_ref().is_some_and(|d| d.axes.contains(&axis));
            let factor = atom.reads.iter().flat_map(|r| &r.factors).find(|f| f.axes == [axis]);
            let Some(factor) = factor.filter(|_| uses) else { continue };
            let size = self.axes.size(axis);
            let inside: Vec<u32> = (0..size).filter(|i| factor.inside(*i)).collect();
            let (Some(first), Some(last)) = (inside.first(), inside.last()) else { continue };
            if last - first + 1 == size {
                continue;
            }
            let cut = self.axes.fresh(last - first + 1);
            let whole = Expr { dims: vec![], atoms: vec![atom.clone()] };
            let mut whole = whole;
            whole.substitute(self.axes, &Substitution::affine(axis, &[(cut, 1)], i64::from(*first)))?;
            atom = whole.atoms.pop().ok_or(LowerError::Internal("an atom vanished"))?;
            for summed in &mut atom.summed {
                if *summed == axis {
                    *summed = cut;
                }
            }
        }
        Ok(atom)
    }

    fn between(&self, coef: i64, left: &Read, right: &Read, all: &[AxisId]) -> Result<Product, LowerError> {
        let used = |axis: &AxisId| (left.uses(*axis), right.uses(*axis));
        let shared: Vec<AxisId> = all.iter().copied().filter(|a| used(a) == (true, true)).collect();
        let operand = |read: &Read, own: Vec<AxisId>| {
            let extra: Vec<AxisId> = shared.iter().chain(&own).copied().collect();
            Ok::<_, LowerError>(Operand {
                source: Source::Tensor(read.tensor),
                sums: own.iter().map(|a| self.axes.size(*a)).collect(),
                map: self.map(read, &extra)?,
            })
        };
        Ok(Product {
            coef,
            summed: shared.iter().map(|a| self.axes.size(*a)).collect(),
            left: operand(left, all.iter().copied().filter(|a| used(a) == (true, false)).collect())?,
            right: operand(right, all.iter().copied().filter(|a| used(a) == (false, true)).collect())?,
        })
    }

    /// All constants together: one number, or one parameter.
    fn constants(&mut self, constants: &[(f64, Option<Dense>)], form: &mut Form) -> Result<(), LowerError> {
        let mut list: Vec<AxisId> = Vec::new();
        for axis in constants.iter().filter_map(|c| c.1.as_ref()).flat_map(|d| &d.axes) {
            if !list.contains(axis) {
                list.push(*axis);
            }
        }
        let order: Vec<AxisId> = self.order.iter().copied().filter(|a| list.contains(a)).collect();
        let mut total = vec![0.0; self.axes.volume(&order)];
        let mut origins = Some(Vec::new());
        for (factor, dense) in constants {
            let one =
                Dense { axes: vec![], values: Arc::new(vec![1.0]), origin: Some(Origin::new("one")), public: true };
            let spread = dense.as_ref().unwrap_or(&one).over(self.axes, &order)?;
            origins = origins.zip(spread.origin).map(|(mut list, origin)| {
                list.push((factor.to_bits(), origin));
                list
            });
            for (total, value) in total.iter_mut().zip(spread.values.iter()) {
                *total += factor * value;
            }
        }
        let values = total.into_iter().map(integer).collect::<Result<Vec<_>, _>>()?;
        let arrays = constants.iter().filter_map(|c| c.1.as_ref());
        let public = self.policy.declared.is_none() || arrays.into_iter().all(|d| d.public);
        match values.as_slice() {
            [first, rest @ ..] if public && rest.iter().all(|v| v == first) => form.constant = *first,
            _ => {
                let map = self.dense_map(&order, &[])?;
                let source =
                    Source::Param(self.param((values.len(), 1), values, true, (origins.map(Origin::new), public))?);
                form.terms.push(Term { coef: 1, source, sums: vec![], map });
            }
        }
        Ok(())
    }
}
