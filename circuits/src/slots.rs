//! Slots: columns and gates in the order in which the argument adds them up.
//!
//! Three lists follow from the placed columns and lanes. *Lookup slots*: for each word column in order one that is in range, or an
//! argument with the value in the column after it; then one slot for each group of table rows. *Product slots* and *linear slots*: for each
//! copy of each lane in order of placement, its row gates ([`Lane::gates`](crate::words::Lane::gates)) in order. A slot has `n` rows.
//!
//! Slots and rows make one index space, whose variables are the bits of the slot, lowest first, then those of the row, *highest* first:
//! slots that are there stand before those that only fill up to a power of two, in every half of the space. [`split_point`] reads
//! a point of it.

use crate::{
    field::{eq_vector, index_bits, Fp},
    lower::LowerError,
    row_gates::{LaneForm, RowGate},
    table_rows::tag,
    words::{CellKind, Column, PlacedLane},
};
use std::collections::BTreeSet;

/// Leaves of all lookup slots, and cells of all product slots, stay below `2^this`.
pub const MAX_SLOT_BITS: usize = 26;

/// `constant + Σ coef·cell` over the columns of one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowForm {
    /// The constant.
    pub constant: i64,
    /// Column and factor; every column once.
    pub terms: Vec<(usize, i64)>,
}

impl RowForm {
    /// A form of words, over the limbs of one copy.
    fn new(form: &LaneForm, words: &[Vec<(usize, u8)>]) -> Self {
        let limbs = form
            .words
            .iter()
            .flat_map(|(word, coef)| words[*word].iter().map(move |(column, shift)| (*column, coef << shift)));
        Self { constant: form.constant, terms: limbs.collect() }
    }
}

/// `A·B = C` on every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductSlot {
    /// `A`.
    pub a: RowForm,
    /// `B`.
    pub b: RowForm,
    /// `C`.
    pub c: RowForm,
}

/// One lookup on each active row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The column of the value in range, or of the argument.
    pub x: usize,
    /// The column of the value of a function.
    pub y: Option<usize>,
    /// The table.
    pub tag: u64,
}

/// The slots of a circuit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// Cells that are looked up.
    pub lookups: Vec<Lookup>,
    /// Gates that are products.
    pub products: Vec<ProductSlot>,
    /// Gates that are linear: each form is zero.
    pub linear: Vec<RowForm>,
}

impl Slots {
    /// The slots of placed columns and lanes.
    ///
    /// # Errors
    /// [`LowerError::Coverage`] when a column is in no slot, or in two: lowering never makes such columns.
    pub fn new(columns: &[Column], lanes: &[PlacedLane]) -> Result<Self, LowerError> {
        let mut slots = Self::default();
        for (x, own) in columns.iter().enumerate() {
            match (own.kind, tag(own.kind)) {
                (CellKind::Range { .. }, Some(tag)) => slots.lookups.push(Lookup { x, y: None, tag }),
                // A lane of a function has its value's column right after its argument's.
                (CellKind::Argument { .. }, Some(tag)) => slots.lookups.push(Lookup { x, y: Some(x + 1), tag }),
                _ => {}
            }
        }
        for placed in lanes {
            for gate in placed.lane.gates() {
                let form = |form: &LaneForm| RowForm::new(form, &placed.words);
                match &gate {
                    RowGate::Product { a, b, c } => {
                        slots.products.push(ProductSlot { a: form(a), b: form(b), c: form(c) });
                    }
                    RowGate::Linear(c) => slots.linear.push(form(c)),
                }
            }
        }
        slots.check(columns)?;
        Ok(slots)
    }

    /// Every cell that must be small is in exactly one lookup, every other one is bound by a product.
    fn check(&self, columns: &[Column]) -> Result<(), LowerError> {
        let mut looked_up = vec![0_usize; columns.len()];
        for column in self.lookups.iter().flat_map(|l| [Some(l.x), l.y]).flatten() {
            match looked_up.get_mut(column) {
                Some(count) => *count += 1,
                None => return Err(LowerError::Coverage(column)),
            }
        }
        let bound: BTreeSet<usize> = self
            .products
            .iter()
            .flat_map(|p| [&p.a, &p.b, &p.c])
            .flat_map(|form| &form.terms)
            .filter(|(_, coef)| *coef != 0)
            .map(|(column, _)| *column)
            .collect();
        for (column, own) in columns.iter().enumerate() {
            let covered = match own.kind {
                CellKind::Range { .. } | CellKind::Argument { .. } | CellKind::Value => looked_up[column] == 1,
                CellKind::Unchecked => looked_up[column] == 0 && bound.contains(&column),
            };
            if !covered {
                return Err(LowerError::Coverage(column));
            }
        }
        Ok(())
    }

    /// The columns that gates read, in order.
    #[must_use]
    pub fn gated(&self) -> Vec<usize> {
        let products = self.products.iter().flat_map(|p| [&p.a, &p.b, &p.c]);
        let read: BTreeSet<usize> =
            products.chain(&self.linear).flat_map(|form| &form.terms).map(|(column, _)| *column).collect();
        read.into_iter().collect()
    }
}

/// Bits of the number of a slot.
#[must_use]
pub fn slot_bits(count: usize) -> usize {
    u32::try_from(count).map_or(usize::MAX, index_bits)
}

/// The equality polynomials of a point over slots and rows: one entry for each of `count` slots, and one for each row.
#[must_use]
pub fn split_point(point: &[Fp], count: usize) -> (Vec<Fp>, Vec<Fp>) {
    let (slots, rows) = point.split_at(slot_bits(count).min(point.len()));
    (eq_vector(slots, count), row_vector(rows))
}

/// The equality polynomial at all rows, for a point whose first coordinate is the highest bit.
#[must_use]
pub fn row_vector(point: &[Fp]) -> Vec<Fp> {
    let lowest_first: Vec<Fp> = point.iter().rev().copied().collect();
    eq_vector(&lowest_first, 1 << point.len())
}
