//! The rows of the lookup tables: `(tag, x, y)`.

use crate::{
    lookup_tables::{LookupTable, LookupTables},
    words::{CellKind, Column},
};
use std::collections::BTreeSet;
use zkonnx_quantize::graph::Graph;

/// One row of the joint table. Single values are looked up as `(tag, x, 0)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableRow {
    /// Which table: the width of a range, or [`FUNCTION_TAG`] plus the number of a function's table.
    pub tag: u64,
    /// The value, or the argument.
    pub x: i64,
    /// Zero, or the function's value.
    pub y: i64,
}

/// Tags of function tables start here; tags of ranges are their widths, all smaller.
pub const FUNCTION_TAG: u64 = 64;

/// The tag of a looked-up cell; `None` for cells that are not looked up by themselves.
#[must_use]
pub fn tag(kind: CellKind) -> Option<u64> {
    match kind {
        CellKind::Range { bits } => Some(u64::from(bits)),
        CellKind::Argument { table } => Some(FUNCTION_TAG + u64::from(table)),
        CellKind::Value | CellKind::Unchecked => None,
    }
}

/// How many rows the columns look up, without making them.
#[must_use]
pub fn num_table_rows(tables: &LookupTables, columns: &[Column]) -> usize {
    let kinds: BTreeSet<CellKind> = columns.iter().map(|c| c.kind).collect();
    let rows = kinds.into_iter().map(|kind| match kind {
        CellKind::Range { bits } => 1_usize.checked_shl(bits.into()).unwrap_or(usize::MAX),
        CellKind::Argument { table } => tables.get(table).map_or(0, LookupTable::len),
        CellKind::Value | CellKind::Unchecked => 0,
    });
    rows.fold(0, usize::saturating_add)
}

/// All rows that the columns look up, each table once, in order of tags.
#[must_use]
pub fn table_rows(graph: &Graph, tables: &LookupTables, columns: &[Column]) -> Vec<TableRow> {
    let kinds: BTreeSet<CellKind> = columns.iter().map(|c| c.kind).collect();
    let mut rows = Vec::new();
    for kind in kinds {
        match (kind, tag(kind)) {
            (CellKind::Range { bits }, Some(tag)) => {
                rows.extend((0..1_i64 << bits).map(|x| TableRow { tag, x, y: 0 }));
            }
            (CellKind::Argument { table }, Some(tag)) => {
                if let Some(table) = tables.get(table) {
                    let arguments = (0..).zip(table.interval.lo..=table.interval.hi);
                    rows.extend(arguments.map(|(x, argument)| TableRow { tag, x, y: table.value(graph, argument) }));
                }
            }
            _ => {}
        }
    }
    rows
}
