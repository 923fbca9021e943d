//! Which saturations are looked up.
//!
//! A value that is cut off at a bound takes words of its own that say by how much it lies beyond it, and a gate for each. Where what a
//! graph can reach is not much wider than the bounds, one lookup does the same: in a table of the function whose ends are drawn out
//! far enough. All nodes with one function share its table. This file chooses how wide each is: by what its rows cost, and what it saves the
//! elements of those nodes whose whole range it covers. The choice follows from the graph and the limb width alone, so prover and verifier make
//! the same one; it changes no value (`quantize/docs/semantics.md`).

use crate::{
    gadgets::{clamp, table, Builder},
    lookup_tables::{interval_len, Bounds, LookupTable, LookupTables},
    lower::LowerError,
    row_gates::RowGate,
};
use std::collections::BTreeMap;
use zkonnx_quantize::graph::{clamped, Graph, Interval, Node, Op};

/// Rows that are added to tables in all: every verification evaluates them.
const MAX_ADDED_ROWS: usize = 1 << 19;

/// Costs in units of about a tenth of a microsecond of proving: a cell's commitment, its leaf of the lookup argument, a product gate.
const CELL: u64 = 2;
const LEAF: u64 = 3;
const PRODUCT: u64 = 3;
/// A row of a table: its multiplicity, and its leaf.
const TABLE_ROW: u64 = CELL + LEAF;
/// An argument and its value.
const PAIR: u64 = 2 * CELL + LEAF;

/// What one element of the words of a builder costs.
fn cost_of(builder: &Builder) -> u64 {
    let limbs = builder.words.iter().flat_map(|(_, limbs)| limbs);
    let cells = limbs.map(|limb| CELL + if limb.kind.is_looked_up() { LEAF } else { 0 });
    let gates = builder.blocks.iter().flat_map(|block| block.lane.gates());
    let products = gates.filter(|gate| matches!(gate, RowGate::Product { .. })).map(|_| PRODUCT);
    cells.chain(products).sum()
}

/// A node that would be served by a wider table.
#[derive(Clone, Copy)]
struct Request {
    range: Interval,
    saved: u64,
}

/// Elements of what a node saturates.
fn num_values(node: &Node) -> u64 {
    node.output_shape().into_iter().fold(1, |len, size| u64::saturating_mul(len, size.into()))
}

/// What a pair in place of these words saves, for so many elements.
fn saved(builder: &Builder, len: u64) -> u64 {
    cost_of(builder).saturating_sub(PAIR).saturating_mul(len)
}

fn hull(a: Interval, b: Interval) -> Interval {
    Interval::new(a.lo.min(b.lo), a.hi.max(b.hi))
}

/// Whether what a clamp adds fits 32 bits, as all entries of tables do.
fn is_small(range: Interval, bounds: Bounds) -> bool {
    let excess = |x: i64| i128::from(clamped(x, bounds)) - i128::from(x);
    [range.lo, range.hi].into_iter().all(|x| i32::try_from(excess(x)).is_ok())
}

/// The interval that saves most, beyond `own`, whose rows stand in the table anyway, with no more than `most` rows more.
fn widest(mut requests: Vec<Request>, own: Option<Interval>, most: usize) -> Option<Interval> {
    requests.sort_by_key(|request| (interval_len(request.range), request.range.lo));
    let free = own.map_or(0, interval_len);
    let mut best: Option<(u64, Interval)> = None;
    let (mut interval, mut gain) = (own, 0_u64);
    for request in requests {
        let wider = interval.map_or(request.range, |interval| hull(interval, request.range));
        let added = interval_len(wider).saturating_sub(free);
        if added > most {
            break;
        }
        (interval, gain) = (Some(wider), gain.saturating_add(request.saved));
        let net = gain.saturating_sub(TABLE_ROW.saturating_mul(added as u64));
        if net > best.map_or(0, |(net, _)| net) {
            best = Some((net, wider));
        }
    }
    best.map(|(_, interval)| interval)
}

/// Chooses the tables of a valid graph.
///
/// # Errors
/// [`LowerError`] when a node has no circuit with these limbs.
pub fn choose(graph: &Graph, limb_bits: u8) -> Result<LookupTables, LowerError> {
    let mut clamps: BTreeMap<Bounds, Vec<Request>> = BTreeMap::new();
    let mut functions: Vec<Vec<Request>> = vec![Vec::new(); graph.tables.len()];
    for node in &graph.nodes {
        let (range, len) = (node.quantised_bounds(), num_values(node));
        let mut builder = Builder::new(limb_bits);
        match node.op {
            Op::Clamp { lo, hi, under: false } | Op::Max { lo, hi, .. } => {
                let words = clamp::words(&mut builder, 1, range, (lo, hi), false)?;
                if words.under.is_some() && is_small(range, (lo, hi)) {
                    let request = Request { range, saved: saved(&builder, len) };
                    clamps.entry((lo, hi)).or_default().push(request);
                }
            }
            Op::Table { table: index } => {
                let own = own_table(graph, index)?;
                table::words(&mut builder, 1, range, (index, own))?;
                if let Some(requests) = functions.get_mut(index as usize) {
                    let range = hull(range, own.interval);
                    requests.push(Request { range, saved: saved(&builder, len) });
                }
            }
            Op::Clamp { .. } | Op::Div { .. } | Op::OneHot { .. } => {}
        }
    }
    let mut left = MAX_ADDED_ROWS;
    let mut tables = Vec::new();
    for (index, requests) in (0..).zip(functions) {
        let mut table = own_table(graph, index)?;
        if let Some(interval) = widest(requests, Some(table.interval), left) {
            left -= interval_len(interval) - table.len();
            table.interval = interval;
        }
        tables.push(table);
    }
    let mut chosen = Vec::new();
    for (bounds, requests) in clamps {
        if let Some(interval) = widest(requests, None, left) {
            left -= interval_len(interval);
            chosen.push((bounds, LookupTable::excess(bounds, interval)));
        }
    }
    Ok(LookupTables::new(tables, chosen))
}

/// A table of the graph, on its own interval.
fn own_table(graph: &Graph, index: u32) -> Result<LookupTable, LowerError> {
    let table = graph.tables.get(index as usize).ok_or(LowerError::TooWide)?;
    LookupTable::of_graph(graph, index, Interval::new(table.lo, table.hi())).ok_or(LowerError::TooWide)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lo: i64, hi: i64, saved: u64) -> Request {
        Request { range: Interval::new(lo, hi), saved }
    }

    #[test]
    fn an_interval_is_as_wide_as_it_pays() {
        let near = request(-10, 9, 20 * TABLE_ROW + 1);
        assert_eq!(widest(vec![near], None, 100), Some(Interval::new(-10, 9)));
        // Rows that cost as much as they save, or more than there may be.
        assert_eq!(widest(vec![request(-10, 9, 20 * TABLE_ROW)], None, 100), None);
        assert_eq!(widest(vec![near], None, 19), None);
        // Further rows on either side pay, or do not.
        let above = |saved| request(-8, 19, saved);
        assert_eq!(widest(vec![above(10 * TABLE_ROW + 1), near], None, 100), Some(Interval::new(-10, 19)));
        assert_eq!(widest(vec![above(10 * TABLE_ROW), near], None, 100), Some(Interval::new(-10, 9)));
        // One that would not pay by itself pays for the next.
        let all = vec![near, above(0), request(-10, 20, 11 * TABLE_ROW + 1)];
        assert_eq!(widest(all, None, 100), Some(Interval::new(-10, 20)));
    }

    #[test]
    fn rows_that_are_there_anyway_cost_nothing() {
        let own = Interval::new(0, 15);
        assert_eq!(widest(vec![request(0, 15, 0)], Some(own), 100), None);
        assert_eq!(widest(vec![request(0, 16, TABLE_ROW + 1)], Some(own), 100), Some(Interval::new(0, 16)));
        assert_eq!(widest(vec![request(0, 16, TABLE_ROW)], Some(own), 100), None);
    }

    #[test]
    fn what_is_added_fits_32_bits() {
        let far = i64::from(i32::MAX);
        assert!(is_small(Interval::new(-far, 5), (Some(0), Some(9))));
        assert!(is_small(Interval::new(0, far), (Some(0), Some(0))));
        assert!(!is_small(Interval::new(0, far + 2), (None, Some(0))));
        assert!(!is_small(Interval::new(-5, 5), (Some(i64::MAX), None)));
        assert!(!is_small(Interval::new(i64::MAX - 5, i64::MAX), (None, Some(i64::MIN))));
    }

    #[test]
    fn widths_do_not_overflow() {
        let all = request(i64::MIN, i64::MAX, u64::MAX);
        assert_eq!(widest(vec![all, all], None, MAX_ADDED_ROWS), None);
    }
}
