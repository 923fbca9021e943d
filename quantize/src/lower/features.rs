//! Features that differ in size: rows of a table, whose columns have units of their own.
//!
//! An input has one scale and one interval. Where the columns of a table differ much in range, the input is declared
//! finely enough for the narrowest one ([`crate::grid`]), and a column `f` becomes
//!
//! ```text
//! y_f = clamp(round(m_f (x_f − lo_f) / 2^S), 0, 2^B − 1)
//! ```
//!
//! with an integer `m_f` for each: one node for all columns, and what follows sees numbers of `B` bits whose units
//! are known exactly. What lies beyond a column's own range saturates.

use super::{
    emit::{emit, ParamPolicy},
    expr::{Atom, Dense, Expr},
    requantise::clip_name,
    LowerError, Lowering,
};
use crate::{
    bounds::conservative_bounds,
    graph::{Interval, Node, Op},
    onnx::graph::ValueId,
    scale::Scale,
    validate::Limits,
};
use std::sync::Arc;

/// Bits of a column beyond those of an input: its range has some room at both ends.
const ROOM_BITS: u8 = 2;
/// Bits of the multiplier of the widest column.
const FACTOR_BITS: i32 = 2;

impl Lowering<'_> {
    /// Makes every column of an input a number of as many bits as inputs have, and two more; `columns` are their ranges
    /// in integers of the input.
    pub(crate) fn features(&mut self, id: ValueId, columns: &[Interval]) -> Result<(), LowerError> {
        let Some(mut lazy) = self.values[id.0].clone() else { return Err(LowerError::Internal("no input")) };
        let Some(tensor) = lazy.tensor else { return Err(LowerError::Internal("an input is a tensor")) };
        let unit = self.tensors[tensor.0 as usize].scale.to_f64();
        let shape = super::dims(self.float.shape(id));
        let bits = i32::from(self.recipe.input_bits + ROOM_BITS);
        #[allow(clippy::cast_precision_loss)] // declared intervals are below 2^53
        let width = |c: &Interval| (c.hi - c.lo).max(1) as f64;
        let widest = columns.iter().map(width).fold(1.0, f64::max);
        let (_, widest_bits) = libm::frexp(widest);
        let shift = (widest_bits - bits).max(0) + FACTOR_BITS;
        let top = libm::ldexp(1.0, bits) - 1.0;
        let factors: Vec<f64> =
            columns.iter().map(|c| libm::floor(libm::ldexp(top / width(c), shift)).clamp(1.0, 1e15)).collect();
        // m x − m lo, over the integers.
        let mut x = self.integers(tensor, &shape);
        let rank = x.dims.len();
        let axis = x.single_axis(&mut self.axes, rank - 1)?;
        #[allow(clippy::cast_precision_loss)]
        let starts: Vec<f64> = columns.iter().zip(&factors).map(|(c, m)| -m * c.lo as f64).collect();
        if starts.iter().any(|s| s.abs() > libm::ldexp(1.0, 53)) {
            return Err(LowerError::TooWide);
        }
        let dense =
            |values: Vec<f64>| Some(Dense { axes: vec![axis], values: Arc::new(values), origin: None, public: true });
        for atom in &mut x.atoms {
            atom.dense = dense(factors.clone());
        }
        x.atoms.push(Atom { coef: 1.0, dense: dense(starts), reads: vec![], summed: vec![] });
        let order = x.axes();
        let form = self.commit_openly(&x, &order, &lazy.name)?;
        let shift = u8::try_from(shift).ok().filter(|s| *s <= Limits::SHIFT).ok_or(LowerError::TooWide)?;
        #[allow(clippy::cast_possible_truncation)] // at most 2^26
        let op = Op::Clamp { lo: Some(0), hi: Some(top as i64), under: false };
        let name = clip_name(&format!("{}/features", lazy.name));
        let own = self.push_node(Node { name, form, shift, op, scale: Scale::ONE }, &shape)?;
        // x = (2^S y + m lo) / m.
        let mut expr = self.integers(own, &shape);
        let axis = expr.single_axis(&mut self.axes, rank - 1)?;
        let dense =
            |values: Vec<f64>| Some(Dense { axes: vec![axis], values: Arc::new(values), origin: None, public: true });
        for atom in &mut expr.atoms {
            atom.dense = dense(factors.iter().map(|m| libm::ldexp(unit / m, shift.into())).collect());
        }
        #[allow(clippy::cast_precision_loss)]
        let offsets = columns.iter().map(|c| c.lo as f64 * unit).collect();
        expr.atoms.push(Atom { coef: 1.0, dense: dense(offsets), reads: vec![], summed: vec![] });
        self.raw.insert(id, std::mem::replace(&mut lazy.expr, expr));
        lazy.tensor = None;
        self.values[id.0] = Some(lazy);
        Ok(())
    }

    /// A form over the integers whose constants come from ranges, not from weights: they are open even where weights are
    /// private.
    fn commit_openly(
        &mut self,
        expr: &Expr,
        order: &[super::expr::AxisId],
        name: &str,
    ) -> Result<crate::graph::Form, LowerError> {
        let first = u32::try_from(self.weights.len()).map_err(|_| LowerError::TooWide)?;
        let mut emitted = emit(&mut self.axes, expr, order, 1.0, ParamPolicy { declared: None, first }, name)?;
        for param in emitted.params {
            self.graph.params.push(param.param);
            self.weights.push(param.values.into());
        }
        let bounds = conservative_bounds(&emitted.form, &self.tensors, &self.graph.params);
        let (lo, hi) = bounds.ok_or(LowerError::TooWide)?;
        let narrow = |v: i128| i64::try_from(v).map_err(|_| LowerError::TooWide);
        emitted.form.bounds = Interval::new(narrow(lo)?, narrow(hi)?);
        Ok(emitted.form)
    }
}
