//! The shape of a circuit: everything that its constraint system depends on.

use crate::{
    table_rows::{tag, TableRow},
    words::{CellKind, Column, PlacedLane},
};

/// Shape of the one circuit; equal shapes have equal verifying keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitShape {
    /// `2^k` rows.
    pub k: u32,
    /// Columns of words, in order of declaration.
    pub columns: Vec<Column>,
    /// Lanes with gates.
    pub lanes: Vec<PlacedLane>,
    /// Rows of the joint table; see [`CircuitShape::num_table_groups`].
    pub table: Vec<TableRow>,
    /// Lookups that share a helper column.
    pub groups: Vec<Vec<Lookup>>,
}

/// One lookup on each active row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// `(tag, cell, 0)`; fingerprint of degree 1.
    Single {
        /// The column.
        column: usize,
        /// The table.
        tag: u64,
    },
    /// `(tag, x, y)`; fingerprint of degree 2.
    Pair {
        /// The argument's column.
        x: usize,
        /// The value's column.
        y: usize,
        /// The table.
        tag: u64,
    },
}

impl Lookup {
    /// Degree of its fingerprint.
    #[must_use]
    pub fn degree(&self) -> usize {
        match self {
            Self::Single { .. } => 1,
            Self::Pair { .. } => 2,
        }
    }
}

/// Rows of a column that halo2 keeps for itself at the end: blinding rows and one more.
///
/// Columns are queried at no more than three points, so there are five blinding factors; keygen
/// asserts that this is what halo2 counts.
pub const UNUSABLE_ROWS: usize = 6;

/// Sum of the degrees of the fingerprints in one group.
pub(crate) const GROUP_DEGREE: usize = 3;

impl CircuitShape {
    /// Puts lookups into groups: three singles, or a pair and a single.
    #[must_use]
    pub fn new(k: u32, columns: Vec<Column>, lanes: Vec<PlacedLane>, table: Vec<TableRow>) -> Self {
        let mut singles = Vec::new();
        let mut pairs = Vec::new();
        for (column, own) in columns.iter().enumerate() {
            match (own.kind, tag(own.kind)) {
                (CellKind::Range { .. }, Some(tag)) => singles.push(Lookup::Single { column, tag }),
                // A lane of a function has its value's column right after its argument's.
                (CellKind::Argument { .. }, Some(tag)) => {
                    pairs.push(Lookup::Pair { x: column, y: column + 1, tag });
                }
                _ => {}
            }
        }
        let mut groups: Vec<Vec<Lookup>> = Vec::new();
        for lookup in pairs.into_iter().chain(singles) {
            let fits = groups
                .iter_mut()
                .find(|g| g.iter().map(Lookup::degree).sum::<usize>() + lookup.degree() <= GROUP_DEGREE);
            match fits {
                Some(group) => group.push(lookup),
                None => groups.push(vec![lookup]),
            }
        }
        Self { k, columns, lanes, table, groups }
    }

    /// Number of rows, `n = 2^k`.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        1 << self.k
    }

    /// Number of active rows, `u`.
    #[must_use]
    pub fn num_active_rows(&self) -> usize {
        self.num_rows() - UNUSABLE_ROWS
    }

    /// How many columns the joint table spans.
    #[must_use]
    pub fn num_table_groups(&self) -> usize {
        self.table.len().div_ceil(self.num_active_rows())
    }

    /// Phase-1 advice columns: words, then multiplicities.
    #[must_use]
    pub fn num_phase1_columns(&self) -> usize {
        self.columns.len() + self.num_table_groups()
    }

    /// Whether a value is looked up together with its argument.
    #[must_use]
    pub fn has_pairs(&self) -> bool {
        self.groups.iter().flatten().any(|lookup| matches!(lookup, Lookup::Pair { .. }))
    }

    /// Whether there is more than one table, so that tuples carry a tag.
    #[must_use]
    pub fn has_tags(&self) -> bool {
        self.table.iter().any(|row| Some(row.tag) != self.table.first().map(|first| first.tag))
    }

    /// Whether the circuit has a column for `θ`: it multiplies values, or tags where there are no pairs.
    #[must_use]
    pub fn has_theta(&self) -> bool {
        self.has_pairs() || self.has_tags()
    }

    /// Whether the circuit has a column for `θ²`: it multiplies tags where there are pairs.
    #[must_use]
    pub fn has_theta_squared(&self) -> bool {
        self.has_pairs() && self.has_tags()
    }

    /// Columns of constants: φ, and θ, θ² where they are needed.
    #[must_use]
    pub fn num_constants(&self) -> usize {
        1 + usize::from(self.has_theta()) + usize::from(self.has_theta_squared())
    }

    /// Fixed columns of one table group: x, and tag and y where they are needed.
    #[must_use]
    pub fn num_table_columns(&self) -> usize {
        1 + usize::from(self.has_tags()) + usize::from(self.has_pairs())
    }

    /// All fixed columns: four selectors of rows, one more for θ, and the tables.
    #[must_use]
    pub fn num_fixed_columns(&self) -> usize {
        4 + usize::from(self.has_theta()) + self.num_table_columns() * self.num_table_groups()
    }

    /// Whether a gate reads an advice column at the next row too: φ, θ and the sum `s`.
    #[must_use]
    pub fn is_queried_at_next(&self, column: usize) -> bool {
        let constant = column.checked_sub(self.num_phase1_columns());
        constant.is_some_and(|c| c <= usize::from(self.has_theta())) || column + 1 == self.num_advice_columns()
    }

    /// All advice columns: phase 1, constants, helpers `h`, `h_t`, the sum `s`.
    #[must_use]
    pub fn num_advice_columns(&self) -> usize {
        self.num_phase1_columns() + self.num_constants() + self.groups.len() + self.num_table_groups() + 1
    }
}

impl CircuitShape {
    /// The table row that stands in row `row` of table group `group`; past the end, the first one again.
    ///
    /// # Panics
    /// When the table is empty.
    #[must_use]
    pub fn table_row(&self, group: usize, row: usize) -> TableRow {
        let index = group * self.num_active_rows() + row;
        *self.table.get(index).unwrap_or(&self.table[0])
    }
}
