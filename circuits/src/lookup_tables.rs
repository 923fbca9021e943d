//! The functions that cells are looked up in: the graph's tables and clamps, each on an interval of arguments of its own.
//!
//! A function's pairs stand in the joint table once, whatever gadgets look them up. Its interval may be wider than what the graph's table
//! lists, or than a clamp's bounds: beyond them values stay what they are at the end. An argument that is looked up there is saturated
//! by the lookup, without words that say by how much it lies beyond (see [`crate::saturation`]).

use std::collections::BTreeMap;
use zkonnx_quantize::graph::{clamped, Graph, Interval};

/// The bounds of a clamp, lower one first.
pub type Bounds = (Option<i64>, Option<i64>);

/// A function of one integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LookupFunction {
    /// A table of the graph, by its number; values are above its smallest entry.
    Table(u32),
    /// What a clamp adds to its argument: zero within the bounds, so that most cells of its values are zero.
    Excess(Bounds),
}

/// A function on an interval: the pairs `(x', y')` with `x' = x − lo` and `y' = f(x) − floor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupTable {
    /// The function.
    pub function: LookupFunction,
    /// The arguments.
    pub interval: Interval,
    /// What values are relative to.
    pub floor: i64,
}

impl LookupTable {
    /// What a clamp adds to the arguments of an interval.
    #[must_use]
    pub fn excess(bounds: Bounds, interval: Interval) -> Self {
        Self { function: LookupFunction::Excess(bounds), interval, floor: 0 }
    }

    /// A table of the graph, on an interval that holds its own: further values are those at its ends. `None` for a number that no table has.
    #[must_use]
    pub fn of_graph(graph: &Graph, index: u32, interval: Interval) -> Option<Self> {
        let table = graph.tables.get(index as usize)?;
        let floor = table.entries.iter().min().map_or(0, |entry| i64::from(*entry));
        Some(Self { function: LookupFunction::Table(index), interval, floor })
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        interval_len(self.interval)
    }

    /// Whether there is none: no table of a valid graph.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all of `range` are arguments.
    #[must_use]
    pub fn covers(&self, range: Interval) -> bool {
        self.interval.contains(range.lo) && self.interval.contains(range.hi)
    }

    /// The argument closest to `x`.
    #[must_use]
    pub fn saturate(&self, x: i64) -> i64 {
        x.max(self.interval.lo).min(self.interval.hi)
    }

    /// `y'` at `x`.
    #[must_use]
    pub fn value(&self, graph: &Graph, x: i64) -> i64 {
        let value = match self.function {
            LookupFunction::Table(index) => graph.tables.get(index as usize).map_or(0, |table| table.value(x)),
            LookupFunction::Excess(bounds) => clamped(x, bounds) - x,
        };
        value - self.floor
    }
}

/// How many integers an interval has.
pub(crate) fn interval_len(interval: Interval) -> usize {
    let width = i128::from(interval.hi) - i128::from(interval.lo) + 1;
    usize::try_from(width.max(0)).unwrap_or(usize::MAX)
}

/// All tables of a circuit. Those of the graph come first and have the same numbers.
#[derive(Clone, Debug, Default)]
pub struct LookupTables {
    tables: Vec<LookupTable>,
    clamps: BTreeMap<Bounds, u32>,
}

impl LookupTables {
    /// The graph's tables, in order, and those of clamps.
    #[must_use]
    pub fn new(graph: Vec<LookupTable>, clamps: impl IntoIterator<Item = (Bounds, LookupTable)>) -> Self {
        let mut own = Self { tables: graph, clamps: BTreeMap::new() };
        for (bounds, table) in clamps {
            let number = u32::try_from(own.tables.len()).unwrap_or(u32::MAX);
            own.clamps.insert(bounds, number);
            own.tables.push(table);
        }
        own
    }

    /// A table, by its number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&LookupTable> {
        self.tables.get(number as usize)
    }

    /// The table of a clamp of arguments within `range`, with its number: `None` where none covers them all.
    #[must_use]
    pub fn clamp(&self, bounds: Bounds, range: Interval) -> Option<(u32, LookupTable)> {
        let number = *self.clamps.get(&bounds)?;
        let table = *self.get(number)?;
        table.covers(range).then_some((number, table))
    }
}
