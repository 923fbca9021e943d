//! Sums whose exact value would leave 62 bits.
//!
//! They are tried again, in this order, until they fit: with products of tensors as a tensor of their own; with the
//! summands of a sum over axes as a tensor; with factors a few bits coarser; with the tensors that are multiplied rounded
//! to fewer bits, but never to fewer than the result has; with coarser factors still; in the end with a coarser unit.

use super::{expr::Blocked, requantise, AxisId, Expr, LowerError, Lowering};
use crate::{
    calibrate::Range,
    graph::{Node, Op, TensorId},
};
use std::collections::HashMap;

/// Products on their own have a unit so many bits finer than the result's.
const FINER_BITS: i32 = 3;
/// Factors may first be coarser by so many bits.
const COARSER_BITS: u8 = 4;
/// Factors are coarser by at most so many bits. What they need is known from static intervals, which are wide.
const COARSEST_BITS: u8 = 28;
/// Sums of at most so many elements are added up from a tensor of them.
const MOST_SUMMANDS: usize = 1 << 16;
/// The unit of a result is coarser than it should be by at most so many bits.
const MOST_BITS: i32 = 8;
/// Tensors that are multiplied are rounded by up to so many bits.
const NARROWER_BITS: u8 = 32;
/// Tensors that are multiplied keep so many bits more than the result has.
const KEPT_BITS: u8 = 4;

/// How much there is of a graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    nodes: usize,
    tensors: usize,
    params: usize,
    shown: usize,
    tables: usize,
    notes: usize,
}

impl Lowering<'_> {
    /// What there is so far.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            nodes: self.graph.nodes.len(),
            tensors: self.tensors.len(),
            params: self.weights.len(),
            shown: self.shown.len(),
            tables: self.graph.tables.len(),
            notes: self.tables.len(),
        }
    }

    /// Forgets everything since. No value may have become one of the tensors since.
    pub(super) fn rewind(&mut self, mark: Mark) {
        self.graph.nodes.truncate(mark.nodes);
        self.tensors.truncate(mark.tensors);
        self.shown.truncate(mark.shown);
        self.graph.tables.truncate(mark.tables);
        self.tables.truncate(mark.notes);
        self.roll_back(mark.params);
    }

    /// Emits `min(max(max_window(requantised expression), lo), hi)`, saturated to the recipe's bits.
    pub(super) fn requantise(
        &mut self,
        expr: &Expr,
        window: &[AxisId],
        clamp: (f64, f64),
        range: Range,
        shape: &[u32],
        name: &str,
    ) -> Result<TensorId, LowerError> {
        let target = self.target(range, clamp);
        self.fitting(expr, window, target, name, &|this, expr| {
            this.requantise_sum(expr, window, clamp, range, shape, name)
        })
    }

    /// The expression as a tensor of about this unit, cut to a domain; the tensor that it is, if that will do.
    pub(super) fn fine_tensor(
        &mut self,
        expr: &Expr,
        domain: Range,
        target: f64,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        self.fitting(expr, &[], target, name, &|this, expr| this.fine_sum(expr, domain, target, name, shape))
    }

    /// The first attempt at an expression that fits 62 bits. A unit of `target` is fine enough for the result.
    pub(super) fn fitting(
        &mut self,
        expr: &Expr,
        window: &[AxisId],
        target: f64,
        name: &str,
        attempt: &dyn Fn(&mut Self, &Expr) -> Result<TensorId, LowerError>,
    ) -> Result<TensorId, LowerError> {
        let start = self.mark();
        let try_it = |this: &mut Self, expr: Result<Expr, LowerError>, coarser: u8| {
            let before = std::mem::replace(&mut this.coarser, coarser);
            let result = expr.and_then(|expr| attempt(this, &expr));
            this.coarser = before;
            if matches!(result, Err(LowerError::TooWide)) {
                this.rewind(start);
                None
            } else {
                Some(result)
            }
        };
        if let Some(done) = try_it(self, Ok(expr.clone()), 0) {
            return done;
        }
        if window.is_empty() {
            let parts = self.split(expr, target, name);
            if let Some(done) = try_it(self, parts, 0) {
                return done;
            }
        }
        if let Some(terms) = self.summands(expr, target, name)? {
            if let Some(done) = try_it(self, Ok(terms), 0) {
                return done;
            }
        }
        for coarser in 1..=COARSER_BITS {
            if let Some(done) = try_it(self, Ok(expr.clone()), coarser) {
                return done;
            }
        }
        for by in (2..=NARROWER_BITS).step_by(2) {
            for coarser in [0, COARSER_BITS] {
                let Some(narrow) = self.narrowed(expr, by, name)? else { break };
                if let Some(done) = try_it(self, Ok(narrow), coarser) {
                    return done;
                }
            }
        }
        for coarser in COARSER_BITS + 1..=COARSEST_BITS {
            if let Some(done) = try_it(self, Ok(expr.clone()), coarser) {
                return done;
            }
        }
        for bits in 1..=MOST_BITS {
            let before = std::mem::replace(&mut self.coarser_unit, bits);
            let done = try_it(self, Ok(expr.clone()), COARSER_BITS);
            self.coarser_unit = before;
            if let Some(done) = done {
                return done;
            }
        }
        Err(LowerError::TooWide)
    }

    /// The same sum with its products of tensors as one tensor, a little finer than `target`. The unit of a product is
    /// that of both factors together: beside something large, such as a mask of -1e9, it leaves too few bits.
    fn split(&mut self, expr: &Expr, target: f64, name: &str) -> Result<Expr, LowerError> {
        let part = |products: bool| Expr {
            dims: expr.dims.clone(),
            atoms: expr.atoms.iter().filter(|a| (a.reads.len() > 1) == products).cloned().collect(),
        };
        let (products, rest) = (part(true), part(false));
        if products.atoms.is_empty() || rest.atoms.is_empty() {
            return Err(LowerError::TooWide);
        }
        let size = |axis: &AxisId| self.axes.size(*axis);
        let shape: Vec<u32> = expr.dims.iter().map(|axes| axes.iter().map(size).product()).collect();
        let products = self.compacted(products, &[]);
        let order = products.axes();
        let chosen = self.choose(&products, libm::ldexp(target, -FINER_BITS));
        let unit = requantise::scale(chosen.scale)?;
        let name = requantise::clip_name(&format!("{name}/products"));
        let form = self.commit(&products, &order, libm::ldexp(unit.to_f64(), -i32::from(chosen.shift)), &name)?;
        let op = Op::Clamp { lo: None, hi: None, under: false };
        let tensor = self.push_node(Node { name, form, shift: chosen.shift, op, scale: unit }, &shape)?;
        let tensor = self.read(tensor, &shape);
        rest.plus(&mut self.axes, tensor).map_err(|Blocked| LowerError::NotSeparable)
    }

    /// A sum over axes, of products of tensors, with its summands as one tensor; `None` for other sums.
    fn summands(&mut self, expr: &Expr, target: f64, name: &str) -> Result<Option<Expr>, LowerError> {
        let summed = expr.atoms.first().map(|a| a.summed.clone()).unwrap_or_default();
        let alike = expr.atoms.iter().all(|a| a.summed == summed && a.dense.is_none() && !a.reads.is_empty());
        let products = expr.atoms.iter().any(|a| a.reads.len() > 1);
        let order: Vec<AxisId> = expr.axes().into_iter().chain(summed.iter().copied()).collect();
        if summed.is_empty() || !alike || !products || self.axes.volume(&order) > MOST_SUMMANDS {
            return Ok(None);
        }
        let mut terms = Expr { dims: expr.dims.clone(), atoms: expr.atoms.clone() };
        terms.dims.extend(summed.iter().map(|a| vec![*a]));
        terms.atoms.iter_mut().for_each(|a| a.summed.clear());
        let size = |axis: &AxisId| self.axes.size(*axis);
        let shape: Vec<u32> = terms.dims.iter().map(|axes| axes.iter().map(size).product()).collect();
        let chosen = self.choose(&terms, libm::ldexp(target, -FINER_BITS));
        let unit = requantise::scale(chosen.scale)?;
        let name = requantise::clip_name(&format!("{name}/summands"));
        let mark = self.mark();
        let order = terms.axes();
        let form = match self.commit(&terms, &order, libm::ldexp(unit.to_f64(), -i32::from(chosen.shift)), &name) {
            Err(LowerError::TooWide) => {
                self.rewind(mark);
                return Ok(None);
            }
            form => form?,
        };
        let op = Op::Clamp { lo: None, hi: None, under: false };
        let tensor = self.push_node(Node { name, form, shift: chosen.shift, op, scale: unit }, &shape)?;
        let over: Vec<usize> = (expr.dims.len()..shape.len()).collect();
        let sum = self.read(tensor, &shape).sum(&self.axes, &over).map_err(|Blocked| LowerError::NotSeparable)?;
        Ok(Some(Expr { dims: sum.dims[..expr.dims.len()].to_vec(), atoms: sum.atoms }))
    }

    /// The same sum with the wide tensors of its products rounded by `by` bits; `None` if none is wide.
    fn narrowed(&mut self, expr: &Expr, by: u8, name: &str) -> Result<Option<Expr>, LowerError> {
        let least = u32::from(self.recipe.bits + KEPT_BITS);
        let mut expr = expr.clone();
        let mut done: HashMap<TensorId, (TensorId, u8)> = HashMap::new();
        for atom in expr.atoms.iter_mut().filter(|a| a.reads.len() > 1) {
            for read in &mut atom.reads {
                let info = self.tensors[read.tensor.0 as usize].clone();
                let largest = info.bounds.lo.unsigned_abs().max(info.bounds.hi.unsigned_abs());
                let width = u64::BITS - largest.leading_zeros();
                let Ok(by) = u8::try_from(width.saturating_sub(least).min(by.into())) else { continue };
                if by == 0 {
                    continue;
                }
                let (tensor, by) = match done.get(&read.tensor) {
                    Some(known) => *known,
                    None => {
                        let tensor = self.rounded(read.tensor, by, &format!("{name}/rounded"), &info.shape)?;
                        done.insert(read.tensor, (tensor, by));
                        (tensor, by)
                    }
                };
                read.tensor = tensor;
                atom.coef = libm::ldexp(atom.coef, by.into());
            }
        }
        Ok((!done.is_empty()).then_some(expr))
    }
}
