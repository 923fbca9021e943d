//! Masks of a softmax ([`crate::masks`]): which elements are shown, as zeros and ones.
//!
//! The arguments of a softmax are split into scores and a mask. The mask becomes ones where an element is shown: a
//! constant, if the mask is one; otherwise a tensor over those axes only that the mask depends on, once for all
//! softmaxes. Scores that are hidden are lowered by more than their range, so that their tensor saturates and none of
//! them is the maximum of its line; their exponentials are multiplied by zero.

use super::{
    expr::{Atom, AxisId, Dense, Expr, LazyFactor, Origin, Read},
    requantise::constant_magnitude,
    selection::number,
    LowerError, Lowering,
};
use crate::{
    calibrate::{Range, FAR},
    graph::{Form, Node, Op, TensorId},
    masks::{is_hidden, HIDDEN},
    onnx::graph::ValueId,
    scale::Scale,
};
use std::sync::Arc;

/// Steps of the unit in which masks of reals are compared.
const FINE: f64 = 1024.0;
/// Hidden scores are lowered by so many times the range of the others.
const LOWERED: f64 = 4.0;

/// Arguments of a softmax.
pub(super) struct Masked {
    /// The scores; those that are hidden are far below the others.
    pub(super) scores: Expr,
    /// Ones where they are shown, with the axes of the scores.
    pub(super) shown: Expr,
}

impl Lowering<'_> {
    /// Whether a value holds a mask, or scores with one.
    pub(super) fn is_masked(&self, id: ValueId) -> bool {
        self.masked.contains(&id)
    }

    /// Scores and mask of a value; `None` where there is no mask, or the value is a tensor already.
    pub(super) fn unmasked(&mut self, id: ValueId, name: &str) -> Result<Option<Masked>, LowerError> {
        let Some(lazy) = self.values[id.0].as_ref().filter(|_| self.is_masked(id)) else { return Ok(None) };
        if lazy.pending.is_some() || lazy.tensor.is_some() {
            return Ok(None);
        }
        let range = lazy.range;
        let whole = lazy.expr.freshened(&mut self.axes);
        let (scores, mask) = self.parted(&whole)?;
        if mask.is_empty() {
            return Ok(None);
        }
        let mask = Expr { dims: whole.dims.clone(), atoms: mask };
        let Some(shown) = self.shown(&mask, &whole.dims, name)? else { return Ok(None) };
        let lower = LOWERED * (range.hi - range.lo).max(1.0);
        let mut scores = Expr { dims: whole.dims, atoms: scores };
        let mut lowered = shown.clone().scaled(lower);
        lowered.atoms.push(number(-lower));
        scores.atoms.extend(lowered.atoms);
        Ok(Some(Masked { scores, shown }))
    }

    /// Makes a value a tensor, if it is not one yet; one with a mask becomes the sum of a tensor of its scores and one of
    /// its mask.
    pub(super) fn settle(&mut self, id: ValueId) -> Result<(), LowerError> {
        let Some(lazy) = self.values[id.0].clone().filter(|_| self.is_masked(id)) else {
            return self.tensor(id).map(|_| ());
        };
        let name = lazy.name.clone();
        let (scores, mask) = self.parted(&lazy.expr)?;
        let mask = Expr { dims: lazy.expr.dims.clone(), atoms: mask };
        let shown = match (lazy.pending.is_none() && lazy.tensor.is_none(), mask.atoms.is_empty()) {
            (true, false) => self.shown(&mask, &lazy.expr.dims, &name)?,
            _ => None,
        };
        let Some(shown) = shown else {
            self.tensor(id)?;
            return Ok(());
        };
        let mut expr = shown.scaled(HIDDEN);
        expr.atoms.push(number(-HIDDEN));
        if !scores.is_empty() {
            let shape = super::dims(self.float.shape(id));
            let scores = Expr { dims: lazy.expr.dims.clone(), atoms: scores };
            let open = (f64::NEG_INFINITY, f64::INFINITY);
            let tensor = self.requantise(&scores, &[], open, lazy.range, &shape, &name)?;
            let read = self.read(tensor, &shape);
            expr = read.plus(&mut self.axes, expr).map_err(super::integers::blocked)?;
        }
        self.values[id.0] = Some(super::Lazy { expr, ..lazy });
        Ok(())
    }

    /// The range of a value whose hidden elements have to be in it: far below the others.
    pub(super) fn with_hidden(&self, id: ValueId, range: Range) -> Range {
        if self.is_masked(id) {
            Range { lo: range.lo - FAR, ..range }
        } else {
            range
        }
    }

    /// Atoms of scores, and atoms of the mask. Of constants, the nearest multiple of what hides is the mask's.
    fn parted(&self, expr: &Expr) -> Result<(Vec<Atom>, Vec<Atom>), LowerError> {
        let (constants, read): (Vec<Atom>, Vec<Atom>) = expr.atoms.iter().cloned().partition(|a| a.reads.is_empty());
        let (mut mask, mut scores): (Vec<Atom>, Vec<Atom>) = read.into_iter().partition(|a| self.hides(a));
        let reaches = |a: &Atom| constant_magnitude(a) >= HIDDEN / 2.0;
        if !constants.iter().any(reaches) {
            scores.extend(constants);
            return Ok((scores, mask));
        }
        let used = |axis: &AxisId| constants.iter().any(|a| a.dense.as_ref().is_some_and(|d| d.axes.contains(axis)));
        let order: Vec<AxisId> = expr.axes().into_iter().filter(used).collect();
        let total = self.total(&constants, &order)?;
        let steps = |v: &f64| HIDDEN * libm::round(v / HIDDEN);
        let public = constants.iter().filter_map(|a| a.dense.as_ref()).all(|d| d.public);
        let origins = constants.iter().map(|a| match &a.dense {
            Some(dense) => dense.origin.map(|o| (a.coef.to_bits(), Some(o))),
            None => Some((a.coef.to_bits(), None)),
        });
        let origins: Option<Vec<_>> = origins.collect();
        for (list, part) in [(&mut mask, true), (&mut scores, false)] {
            let values: Vec<f64> = total.iter().map(|v| if part { steps(v) } else { v - steps(v) }).collect();
            let origin = origins.as_ref().map(|o| Origin::new((o, "hidden", part)));
            let first = values.first().copied().unwrap_or(0.0);
            if order.is_empty() || values.iter().all(|v| *v == first) {
                list.extend((first != 0.0).then(|| number(first)));
            } else {
                let dense = Dense { axes: order.clone(), values: Arc::new(values), origin, public };
                list.push(Atom { coef: 1.0, dense: Some(dense), reads: vec![], summed: vec![] });
            }
        }
        Ok((scores, mask))
    }

    /// The sum of constants over axes.
    fn total(&self, constants: &[Atom], order: &[AxisId]) -> Result<Vec<f64>, LowerError> {
        let mut total = vec![0.0; self.axes.volume(order)];
        for atom in constants {
            match &atom.dense {
                None => total.iter_mut().for_each(|t| *t += atom.coef),
                Some(dense) => {
                    let spread = dense.over(&self.axes, order)?;
                    total.iter_mut().zip(spread.values.iter()).for_each(|(t, v)| *t += atom.coef * v);
                }
            }
        }
        Ok(total)
    }

    /// Whether an atom is as large as only masks are.
    #[allow(clippy::cast_precision_loss)] // a magnitude
    fn hides(&self, atom: &Atom) -> bool {
        let info = |r: &Read| &self.tensors[r.tensor.0 as usize];
        let largest = |r: &Read| info(r).bounds.lo.unsigned_abs().max(info(r).bounds.hi.unsigned_abs()).max(1) as f64;
        let is_truth = atom.reads.len() < 2 || atom.reads.iter().all(|r| info(r).scale == Scale::ONE);
        is_truth && is_hidden(-constant_magnitude(atom) * atom.reads.iter().map(largest).product::<f64>())
    }

    /// Ones where a mask hides nothing; `None` where it never does.
    fn shown(&mut self, mask: &Expr, dims: &[Vec<AxisId>], name: &str) -> Result<Option<Expr>, LowerError> {
        let used = |axis: &AxisId| {
            mask.atoms.iter().any(|a| {
                a.dense.as_ref().is_some_and(|d| d.axes.contains(axis)) || a.reads.iter().any(|r| r.uses(*axis))
            })
        };
        let order: Vec<AxisId> = dims.iter().flatten().copied().filter(used).collect();
        let secret = |a: &Atom| self.recipe.private_weights && a.dense.as_ref().is_some_and(|d| !d.public);
        let atoms = if mask.atoms.iter().any(|a| !a.reads.is_empty() || secret(a)) {
            vec![self.shown_tensor(mask, &order, name)?]
        } else {
            let Some(atom) = self.shown_constant(mask, &order)? else { return Ok(None) };
            vec![atom]
        };
        Ok(Some(Expr { dims: dims.to_vec(), atoms }))
    }

    fn shown_constant(&self, mask: &Expr, order: &[AxisId]) -> Result<Option<Atom>, LowerError> {
        let total = self.total(&mask.atoms, order)?;
        let values: Vec<f64> = total.iter().map(|v| f64::from(u8::from(!is_hidden(*v)))).collect();
        if order.is_empty() || values.iter().all(|v| *v == 1.0) {
            // Everything is shown, or nothing, which is the same to a softmax.
            return Ok(None);
        }
        let dense = Dense { axes: order.to_vec(), values: Arc::new(values), origin: None, public: true };
        Ok(Some(Atom { coef: 1.0, dense: Some(dense), reads: vec![], summed: vec![] }))
    }

    /// The mask as a tensor of zeros and ones over these axes; an equal one if there is one.
    fn shown_tensor(&mut self, mask: &Expr, order: &[AxisId], name: &str) -> Result<Atom, LowerError> {
        let whole = |v: f64| v == libm::floor(v);
        let exact = mask.atoms.iter().all(|a| {
            let values = a.dense.as_ref().map_or(&[1.0][..], |d| &d.values[..]);
            values.iter().all(|v| whole(v * a.coef / HIDDEN))
                && a.reads.iter().all(|r| self.tensors[r.tensor.0 as usize].scale == Scale::ONE)
        });
        // In halves of what hides, a shown element is 0, and a hidden one −2 or less.
        let steps = if exact { 2.0 } else { FINE };
        let mut form = Expr { dims: order.iter().map(|a| vec![*a]).collect(), atoms: mask.atoms.clone() };
        form.atoms.push(number(HIDDEN / 2.0));
        let params = self.weights.len();
        let form: Form = self.commit(&form, order, HIDDEN / steps, name)?;
        let known = self.shown.iter().find(|(f, _)| *f == form).map(|(_, tensor)| *tensor);
        let tensor: TensorId = match known {
            Some(tensor) => {
                self.roll_back(params);
                tensor
            }
            None => {
                let shape: Vec<u32> = order.iter().map(|a| self.axes.size(*a)).collect();
                let op = Op::Clamp { lo: Some(0), hi: Some(1), under: false };
                let name = super::requantise::clip_name(&format!("{name}/shown"));
                let node = Node { name, form: form.clone(), shift: 0, op, scale: Scale::ONE };
                let tensor = self.push_node(node, &shape)?;
                self.shown.push((form, tensor));
                tensor
            }
        };
        let mut factors = Vec::new();
        let mut stride = 1;
        for axis in order.iter().rev() {
            let size = self.axes.size(*axis);
            factors.push(LazyFactor::plain(*axis, size, stride));
            stride *= size;
        }
        factors.reverse();
        let read = Read { tensor, base: 0, factors };
        Ok(Atom { coef: 1.0, dense: None, reads: vec![read], summed: vec![] })
    }
}
