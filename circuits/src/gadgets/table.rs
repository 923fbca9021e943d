//! A function by its table, saturated to the table's interval.
//!
//! | cells | gates | input form | guarantees |
//! |---|---|---|---|
//! | `x'`, `y'` looked up as a pair | | `lo + x'` | `y = min f + y' = f(lo + x')` |
//! | and words `v`, `w` where `q` can leave `[lo, hi]` | `v·x' = 0`, `w·(D − x') = 0` | `lo + x' − v + w` | the same, saturated |
//!
//! The table holds exactly the pairs `(x', f(lo + x') − min f)` for `0 ≤ x' ≤ D = hi − lo`, under a tag of
//! its own; `x'` needs no other range. Its interval `[lo, hi]` may be wider than what the graph's table lists ([`crate::saturation`]): then it
//! saturates by itself. *Lemma.* As in [`super::clamp`] with `x'` for `y'`: `q` determines
//! `x'`, `v`, `w`; the pair lookup makes `y'` the function's value. Where only one side can leave the
//! interval, only its word exists.

use super::{requantise, width, Builder, WordForm};
use crate::{
    lookup_tables::{LookupTable, LookupTables},
    lower::LowerError,
    relations::{FormRef, Right, TensorCells},
    words::{CellKind, Column, Lane, WordId},
};
use zkonnx_quantize::graph::{Graph, Interval, Node};

/// The words of a table node.
#[derive(Clone, Debug)]
pub struct TableNode {
    /// `x'`.
    pub argument: WordId,
    /// `y'`.
    pub value: WordId,
    /// `v`.
    pub under: Option<WordId>,
    /// `w`.
    pub over: Option<WordId>,
    /// The remainder of the requantisation.
    pub remainder: Option<WordId>,
}

/// Makes unused rows of tables hold the table's first pair: `(0, 0)` need not be in it.
pub fn fill_unused(graph: &Graph, tables: &LookupTables, columns: &mut [Column]) {
    let mut first_value = None;
    for column in columns {
        match column.kind {
            CellKind::Argument { table } => {
                first_value = tables.get(table).map(|table| table.value(graph, table.interval.lo));
            }
            // The value's column stands right after its argument's.
            CellKind::Value => column.unused = first_value.take().unwrap_or(0),
            CellKind::Range { .. } | CellKind::Unchecked => {}
        }
    }
}

/// The words of a function of `q` in the interval `range`, without a remainder, and the terms of `q − lo`.
///
/// # Errors
/// [`LowerError::TooWide`].
pub fn words(
    builder: &mut Builder,
    len: usize,
    range: Interval,
    (index, table): (u32, LookupTable),
) -> Result<(TableNode, Vec<(i64, WordId)>), LowerError> {
    let Interval { lo, hi } = table.interval;
    let span = width(table.interval)?;
    let (argument, value) = builder.pair(len, index);
    let under = if range.lo < lo { Some(builder.loose_word(len, width(Interval::new(range.lo, lo))?)) } else { None };
    let over = if range.hi > hi { Some(builder.loose_word(len, width(Interval::new(hi, range.hi))?)) } else { None };
    let lane = Lane::Table { table: index, under: under.is_some(), over: over.map(|_| span.unsigned_abs()) };
    let all: Vec<WordId> = [argument, value].into_iter().chain(under).chain(over).collect();
    builder.block(lane, &all);
    let terms = std::iter::once((1, argument)).chain(under.map(|v| (-1, v))).chain(over.map(|w| (1, w))).collect();
    Ok((TableNode { argument, value, under, over, remainder: None }, terms))
}

/// Lowers a table node whose form is `form`, over the table with its number.
///
/// # Errors
/// [`LowerError::TooWide`].
pub fn lower(builder: &mut Builder, node: &Node, form: FormRef, index: u32) -> Result<TableNode, LowerError> {
    let shape = &node.form.shape;
    let table = *builder.tables.get(index).ok_or(LowerError::TooWide)?;
    let (mut words, terms) = words(builder, node.form.len(), node.quantised_bounds(), (index, table))?;
    let x = WordForm::elementwise(table.interval.lo, &terms, shape);
    let (a, remainder) = requantise::lower(builder, shape, node.shift, x)?;
    words.remainder = remainder;
    builder.relate(&node.name, shape, a, Right::Form(form));
    builder.define(TensorCells::word(table.floor, words.value));
    Ok(words)
}
