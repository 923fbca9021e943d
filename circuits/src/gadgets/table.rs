//! A function by its table, saturated to the table's interval.
//!
//! | cells | gates | input form | guarantees |
//! |---|---|---|---|
//! | `x'`, `y'` looked up as a pair | | `lo + x'` | `y = min f + y' = f(lo + x')` |
//! | and words `v`, `w` where `q` can leave `[lo, hi]` | `v·x' = 0`, `w·(D − x') = 0` | `lo + x' − v + w` | the same, saturated |
//!
//! The table holds exactly the pairs `(x', f(lo + x') − min f)` for `0 ≤ x' ≤ D = hi − lo`, under a tag of
//! its own; `x'` needs no other range. *Lemma.* As in [`super::clamp`] with `x'` for `y'`: `q` determines
//! `x'`, `v`, `w`; the pair lookup makes `y'` the function's value. Where only one side can leave the
//! interval, only its word exists.

use super::{requantise, width, Builder, WordForm};
use crate::{
    lower::LowerError,
    relations::{FormRef, Right, TensorCells},
    words::{CellKind, Column, Lane, Limb, WordId},
};
use zkonnx_quantize::{
    graph::{Graph, Interval, Node},
    table::Table,
};

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

/// The smallest entry: stored values are relative to it.
#[must_use]
pub fn floor(table: &Table) -> i64 {
    table.entries.iter().min().map_or(0, |e| i64::from(*e))
}

/// Makes unused rows of tables hold the table's first pair: `(0, 0)` need not be in it.
pub fn fill_unused(graph: &Graph, columns: &mut [Column]) {
    let mut first_value = None;
    for column in columns {
        match column.kind {
            CellKind::Argument { table } => {
                let table = graph.tables.get(table as usize);
                first_value = table.and_then(|t| t.entries.first().map(|e| i64::from(*e) - floor(t)));
            }
            // The value's column stands right after its argument's.
            CellKind::Value => column.unused = first_value.take().unwrap_or(0),
            CellKind::Range { .. } | CellKind::Unchecked => {}
        }
    }
}

/// Lowers a table node whose form is `form`.
///
/// # Errors
/// [`LowerError::TooWide`].
pub fn lower(
    builder: &mut Builder,
    node: &Node,
    form: FormRef,
    (index, table): (u32, &Table),
) -> Result<TableNode, LowerError> {
    let shape = &node.form.shape;
    let len = node.form.len();
    let q = node.quantised_bounds();
    let span = width(Interval::new(table.lo, table.hi()))?;
    let argument = builder.word(len, vec![Limb { shift: 0, kind: CellKind::Argument { table: index } }]);
    let value = builder.word(len, vec![Limb { shift: 0, kind: CellKind::Value }]);
    let under =
        if q.lo < table.lo { Some(builder.loose_word(len, width(Interval::new(q.lo, table.lo))?)) } else { None };
    let over =
        if q.hi > table.hi() { Some(builder.loose_word(len, width(Interval::new(table.hi(), q.hi))?)) } else { None };
    let lane = Lane::Table { table: index, under: under.is_some(), over: over.map(|_| span.unsigned_abs()) };
    let all: Vec<WordId> = [argument, value].into_iter().chain(under).chain(over).collect();
    builder.block(lane, &all);
    let terms: Vec<(i64, WordId)> =
        std::iter::once((1, argument)).chain(under.map(|v| (-1, v))).chain(over.map(|w| (1, w))).collect();
    let x = WordForm::elementwise(table.lo, &terms, shape);
    let (a, remainder) = requantise::lower(builder, shape, node.shift, x)?;
    builder.relate(&node.name, shape, a, Right::Form(form));
    builder.define(TensorCells::Word { offset: floor(table), coef: 1, word: value });
    Ok(TableNode { argument, value, under, over, remainder })
}
