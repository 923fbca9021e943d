//! Where the layers of a graph are drawn: in rows by their distance from the inputs, every one below what it reads.
//!
//! A layer that is read further down has one *lane*: a place in every row on the way, which all its readers share. Rows are ordered by the
//! mean place of their neighbours, over and over (Sugiyama, Tagawa and Toda, *Methods for visual understanding of hierarchical system
//! structures*, 1981), and what stands in them is then moved to its neighbours, as far as the order allows.

use std::collections::BTreeMap;

/// Layers in one row at most; more are spread over several.
const MOST_IN_ROW: usize = 5;
/// What is left of a distance from the middle, from row to row: long graphs would drift to one side.
const PULL: f64 = 0.94;
/// How often rows are ordered, down and up.
const SWEEPS: usize = 4;
/// With more places in rows than this, what is read further down is joined by a line through the rows.
const MOST_ITEMS: usize = 20_000;

/// Sizes, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Of a layer.
    pub(super) width: f64,
    /// From a row to the next.
    pub(super) row: f64,
    /// Between layers.
    pub(super) gap: f64,
    /// Of a lane.
    pub(super) lane: f64,
}

/// What stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Layer(usize),
    /// The lane of a layer.
    Lane(usize),
}

/// A line between rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edge {
    /// The upper end: the middle of what stands there, and the row.
    pub(super) from: (f64, usize),
    /// The lower end.
    pub(super) to: (f64, usize),
    /// Whether the ends are layers, not lanes.
    pub(super) layers: (bool, bool),
    /// Whether it belongs to a connection that passes rows by.
    pub(super) skips: bool,
}

/// Places of all layers.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Middle and row of every layer.
    pub(super) layers: Vec<(f64, usize)>,
    /// All lines.
    pub(super) edges: Vec<Edge>,
    /// How wide it is.
    pub(super) width: f64,
    /// How many rows there are.
    pub(super) rows: usize,
}

/// Places layers that read others, which stand before them.
pub(super) fn place(reads: &[Vec<usize>], sizes: Sizes) -> Places {
    let row_of = rows(reads);
    let num_rows = row_of.iter().max().map_or(0, |row| row + 1);
    // The last row that a layer has a lane in.
    let mut until: Vec<usize> = row_of.iter().map(|row| row + 1).collect();
    for (reader, list) in reads.iter().enumerate() {
        for source in list {
            until[*source] = until[*source].max(row_of[reader]);
        }
    }
    let lanes: usize = until.iter().zip(&row_of).map(|(until, row)| until - row - 1).sum();
    let has_lanes = lanes <= MOST_ITEMS;
    let mut grid: Vec<Vec<Item>> = vec![Vec::new(); num_rows];
    for (layer, row) in row_of.iter().enumerate() {
        grid[*row].push(Item::Layer(layer));
        if has_lanes {
            (row + 1..until[layer]).for_each(|row| grid[row].push(Item::Lane(layer)));
        }
    }
    // Lines from each row to the next.
    let mut above: Vec<BTreeMap<Item, Vec<Item>>> = vec![BTreeMap::new(); num_rows];
    let upper = |source: usize, row: usize| match row_of[source] + 1 == row {
        true => Item::Layer(source),
        false => Item::Lane(source),
    };
    for (layer, row) in row_of.iter().enumerate() {
        if has_lanes {
            let rows = above.iter_mut().enumerate().take(until[layer]).skip(row + 1);
            rows.for_each(|(row, lines)| {
                lines.insert(Item::Lane(layer), vec![upper(layer, row)]);
            });
        }
        let near = reads[layer].iter().filter(|source| has_lanes || row_of[**source] + 1 == *row);
        above[*row].insert(Item::Layer(layer), near.map(|source| upper(*source, *row)).collect());
    }
    let mut below: Vec<BTreeMap<Item, Vec<Item>>> = vec![BTreeMap::new(); num_rows];
    for (row, lines) in above.iter().enumerate().skip(1) {
        for (item, list) in lines {
            list.iter().for_each(|upper| below[row - 1].entry(*upper).or_default().push(*item));
        }
    }
    let mut centres = arrange(&mut grid, &above, &below, sizes);
    let half = |item: &Item| if matches!(item, Item::Layer(_)) { sizes.width / 2.0 } else { sizes.lane / 2.0 };
    let items = || centres.iter().flat_map(|row| row.iter());
    let left = items().map(|(item, x)| x - half(item)).fold(f64::INFINITY, f64::min);
    let right = items().map(|(item, x)| x + half(item)).fold(f64::NEG_INFINITY, f64::max);
    centres.iter_mut().flat_map(|row| row.values_mut()).for_each(|x| *x -= left);
    let mut places = Places {
        layers: row_of.iter().enumerate().map(|(layer, row)| (centres[*row][&Item::Layer(layer)], *row)).collect(),
        edges: Vec::new(),
        width: if left < right { right - left } else { 0.0 },
        rows: num_rows,
    };
    for (row, items) in grid.iter().enumerate() {
        for item in items {
            let to = (centres[row][item], row);
            for source in above[row].get(item).into_iter().flatten() {
                let (from_layer, to_layer) = (matches!(source, Item::Layer(_)), matches!(item, Item::Layer(_)));
                let from = (centres[row - 1][source], row - 1);
                places.edges.push(Edge { from, to, layers: (from_layer, to_layer), skips: !(from_layer && to_layer) });
            }
        }
    }
    if !has_lanes {
        for (layer, list) in reads.iter().enumerate() {
            for source in list.iter().filter(|source| row_of[**source] + 1 < row_of[layer]) {
                let (from, to) = (places.layers[*source], places.layers[layer]);
                places.edges.push(Edge { from, to, layers: (true, true), skips: true });
            }
        }
    }
    places
}

/// The row of every layer: below all that it reads, not too many in one.
fn rows(reads: &[Vec<usize>]) -> Vec<usize> {
    let mut ranks: Vec<usize> = Vec::with_capacity(reads.len());
    for list in reads {
        let rank = list.iter().filter_map(|source| ranks.get(*source)).max().map_or(0, |rank| rank + 1);
        ranks.push(rank);
    }
    let num_ranks = ranks.iter().max().map_or(0, |rank| rank + 1);
    let mut counts = vec![0_usize; num_ranks];
    ranks.iter().for_each(|rank| counts[*rank] += 1);
    let mut first = vec![0; num_ranks];
    for rank in 1..num_ranks {
        first[rank] = first[rank - 1] + counts[rank - 1].div_ceil(MOST_IN_ROW).max(1);
    }
    let mut seen = vec![0; num_ranks];
    let row = |rank: &usize| {
        // Rows of one rank are equally long, nearly.
        let parts = counts[*rank].div_ceil(MOST_IN_ROW).max(1);
        let row = first[*rank] + seen[*rank] * parts / counts[*rank].max(1);
        seen[*rank] += 1;
        row
    };
    ranks.iter().map(row).collect()
}

type Lines = [BTreeMap<Item, Vec<Item>>];

/// What a row goes by, and where that stands: going down it is the row above, going up the one below.
fn neighbours<'a>(
    (above, below): (&'a Lines, &'a Lines),
    middles: &'a [BTreeMap<Item, f64>],
    sweep: usize,
    row: usize,
) -> (&'a BTreeMap<Item, Vec<Item>>, &'a BTreeMap<Item, f64>) {
    if sweep.is_multiple_of(2) {
        (&above[row], &middles[row - 1])
    } else {
        (&below[row], &middles[row + 1])
    }
}

/// Orders the rows, and gives the middle of everything in them.
fn arrange(grid: &mut [Vec<Item>], above: &Lines, below: &Lines, sizes: Sizes) -> Vec<BTreeMap<Item, f64>> {
    let widths = |item: &Item| match item {
        Item::Layer(_) => sizes.width + sizes.gap,
        Item::Lane(_) => sizes.lane,
    };
    let packed = |row: &[Item]| {
        let whole: f64 = row.iter().map(widths).sum();
        let mut x = -whole / 2.0;
        let mut middles = BTreeMap::new();
        for item in row {
            middles.insert(*item, x + widths(item) / 2.0);
            x += widths(item);
        }
        middles
    };
    let mut middles: Vec<BTreeMap<Item, f64>> = grid.iter().map(|row| packed(row)).collect();
    #[allow(clippy::cast_precision_loss)]
    let wish = |item: &Item, lines: &BTreeMap<Item, Vec<Item>>, next: &BTreeMap<Item, f64>, own: f64| {
        let list = lines.get(item).map_or(&[][..], Vec::as_slice);
        let known: Vec<f64> = list.iter().filter_map(|other| next.get(other)).copied().collect();
        if known.is_empty() {
            own
        } else {
            known.iter().sum::<f64>() / known.len() as f64
        }
    };
    let passes = |sweep: usize, rows: usize| -> Vec<usize> {
        if sweep.is_multiple_of(2) {
            (1..rows).collect()
        } else {
            (0..rows.saturating_sub(1)).rev().collect()
        }
    };
    for sweep in 0..2 * SWEEPS {
        for row in passes(sweep, grid.len()) {
            let (lines, next) = neighbours((above, below), &middles, sweep, row);
            let mut wishes: Vec<(f64, Item)> =
                grid[row].iter().map(|item| (wish(item, lines, next, middles[row][item]), *item)).collect();
            wishes.sort_by(|a, b| a.0.total_cmp(&b.0));
            grid[row] = wishes.into_iter().map(|(_, item)| item).collect();
            middles[row] = packed(&grid[row]);
        }
    }
    for sweep in 0..2 * SWEEPS {
        for row in passes(sweep, grid.len()) {
            let (lines, next) = neighbours((above, below), &middles, sweep, row);
            let items = &grid[row];
            let wishes: Vec<f64> =
                items.iter().map(|item| PULL * wish(item, lines, next, middles[row][item])).collect();
            let apart = |i: usize| f64::midpoint(widths(&items[i]), widths(&items[i + 1]));
            let (mut low, mut high) = (wishes.clone(), wishes);
            for i in 1..items.len() {
                low[i] = low[i].max(low[i - 1] + apart(i - 1));
            }
            for i in (0..items.len().saturating_sub(1)).rev() {
                high[i] = high[i].min(high[i + 1] - apart(i));
            }
            for (i, item) in items.iter().enumerate() {
                // Both keep the distances, and so does what lies between them.
                middles[row].insert(*item, f64::midpoint(low[i], high[i]));
            }
        }
    }
    middles
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { width: 100.0, row: 50.0, gap: 20.0, lane: 10.0 };
    /// Of rounding.
    const SLACK: f64 = 1e-6;

    #[test]
    fn layers_stand_below_what_they_read_and_never_on_each_other() {
        // A diamond, a connection that skips it, and twelve layers side by side.
        let mut reads = vec![vec![], vec![0], vec![0], vec![1, 2], vec![0, 3]];
        reads.extend((0..12).map(|_| vec![4]));
        let places = place(&reads, SIZES);
        for (layer, list) in reads.iter().enumerate() {
            assert!(list.iter().all(|source| places.layers[*source].1 < places.layers[layer].1), "{places:?}");
        }
        for (i, a) in places.layers.iter().enumerate() {
            for b in &places.layers[..i] {
                assert!(a.1 != b.1 || (a.0 - b.0).abs() >= SIZES.width - SLACK, "{places:?}");
            }
            assert!(a.0 >= 50.0 - SLACK && a.0 <= places.width - 50.0 + SLACK, "{places:?}");
        }
        assert!(places.edges.iter().any(|edge| edge.skips));
    }

    #[test]
    fn nothing_has_no_place() {
        let places = place(&[], SIZES);
        assert_eq!((places.rows, places.width), (0, 0.0));
    }
}
