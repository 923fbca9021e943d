//! The shape of a circuit: columns, lanes, tables, and the slots that follow from them.

use crate::{
    lower::LowerError,
    slots::{slot_bits, Slots, MAX_SLOT_BITS},
    table_rows::TableRow,
    words::{Column, PlacedLane},
};
use zkonnx_quantize::model::Gates;

/// Shape of the one circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitShape {
    /// `2^k` rows.
    pub k: u32,
    /// How gates are proven.
    pub gates: Gates,
    /// Columns of words, in order of placement.
    pub columns: Vec<Column>,
    /// Lanes with gates.
    pub lanes: Vec<PlacedLane>,
    /// Rows of the joint table; see [`CircuitShape::table_group`].
    pub table: Vec<TableRow>,
    /// Lookups and gates in the order of the argument.
    pub slots: Slots,
    /// Word columns that are advice columns of a halo2 circuit, in order.
    pub gated: Vec<usize>,
}

/// Rows of a column that halo2 keeps for itself at the end: blinding rows and one more.
///
/// Columns are queried at no more than three points, so there are five blinding factors; keygen
/// asserts that this is what halo2 counts.
pub const UNUSABLE_ROWS: usize = 6;

/// Active rows of a circuit of `2^k` rows.
#[must_use]
pub fn active_rows(k: u32, gates: Gates) -> usize {
    match gates {
        Gates::Relations => 1 << k,
        Gates::Halo2 => (1 << k) - UNUSABLE_ROWS,
    }
}

impl CircuitShape {
    /// The shape of placed columns and lanes with the tables that they look up.
    ///
    /// # Errors
    /// [`LowerError`] when there are more slots than the argument takes, or a column is bound by nothing.
    pub fn new(
        (k, gates): (u32, Gates),
        columns: Vec<Column>,
        lanes: Vec<PlacedLane>,
        table: Vec<TableRow>,
    ) -> Result<Self, LowerError> {
        let slots = Slots::new(&columns, &lanes)?;
        let gated = match gates {
            Gates::Relations => Vec::new(),
            Gates::Halo2 => slots.gated(),
        };
        let shape = Self { k, gates, columns, lanes, table, slots, gated };
        let most = shape.num_layers().max(shape.product_variables());
        if most > MAX_SLOT_BITS {
            return Err(LowerError::TooManySlots { actual: most, limit: MAX_SLOT_BITS });
        }
        Ok(shape)
    }

    /// Number of rows, `n = 2^k`.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        1 << self.k
    }

    /// Number of active rows, `u`.
    #[must_use]
    pub fn num_active_rows(&self) -> usize {
        active_rows(self.k, self.gates)
    }

    /// How many multiplicity columns the joint table needs.
    #[must_use]
    pub fn num_table_groups(&self) -> usize {
        self.table.len().div_ceil(self.num_active_rows())
    }

    /// The table rows that stand on the first rows of a group.
    #[must_use]
    pub fn table_group(&self, group: usize) -> &[TableRow] {
        let rows = self.num_active_rows();
        let start = (group * rows).min(self.table.len());
        &self.table[start..(start + rows).min(self.table.len())]
    }

    /// Slots of the lookup argument: lookups, then table groups.
    #[must_use]
    pub fn num_lookup_slots(&self) -> usize {
        self.slots.lookups.len() + self.num_table_groups()
    }

    /// Layers of the lookup argument, `ν`: no more than variables of its leaves. None without lookups.
    #[must_use]
    pub fn num_layers(&self) -> usize {
        self.variables_of(self.num_lookup_slots())
    }

    /// Whether gates are proven by halo2, and there is one.
    #[must_use]
    pub fn has_halo2(&self) -> bool {
        !self.gated.is_empty()
    }

    /// Whether gates are relations of the linear part.
    fn gates_are_relations(&self) -> bool {
        self.gates == Gates::Relations
    }

    /// Product slots of the relation of gates: none where halo2 proves them.
    #[must_use]
    pub fn num_product_slots(&self) -> usize {
        if self.gates_are_relations() {
            self.slots.products.len()
        } else {
            0
        }
    }

    /// Linear slots of the relation of linear gates: none where halo2 proves them.
    #[must_use]
    pub fn num_linear_slots(&self) -> usize {
        if self.gates_are_relations() {
            self.slots.linear.len()
        } else {
            0
        }
    }

    /// Variables of the contraction of gates; none without product slots.
    #[must_use]
    pub fn product_variables(&self) -> usize {
        self.variables_of(self.num_product_slots())
    }

    /// Index bits that the relations of gates need.
    #[must_use]
    pub fn gate_index_bits(&self) -> usize {
        self.product_variables().max(self.variables_of(self.num_linear_slots()))
    }

    /// Variables of so many slots and their rows; none without slots.
    fn variables_of(&self, slots: usize) -> usize {
        match slots {
            0 => 0,
            count => slot_bits(count).saturating_add(self.k as usize),
        }
    }

    /// Word columns whose points are sent before everything else, in order: all but the gated ones.
    pub fn free_columns(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.columns.len()).filter(|column| self.gated.binary_search(column).is_err())
    }
}
