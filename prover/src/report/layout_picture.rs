//! The layout of the circuit as a picture: columns by rows.

use super::{
    colour,
    layers::Layer,
    layout::{Area, Column, Gadget, Layout},
    svg::{area, ground, legend, moved, number, text, Picture, Style},
};
use maud::{html, Markup};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

/// What colours say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The layer that a cell belongs to.
    Layer,
    /// What binds it.
    Gadget,
}

const WIDTH: f64 = 1040.0;
/// Pixels of all rows of a column.
const HEIGHT: f64 = 170.0;
/// Pixels of the bars that say how full columns are.
const FILL: f64 = 26.0;
/// A column is not wider than this.
const WIDEST: f64 = 16.0;
/// Room for the title of an area.
const TITLE: f64 = 150.0;
/// Between areas.
const GAP: f64 = 14.0;
/// Layers in the legend.
const NAMED: usize = 14;

/// Draws the layout.
#[must_use]
pub fn draw(layout: &Layout, layers: &[Layer], by: By) -> Picture {
    let entries = entries(layout, layers, by);
    let (names, height) = legend(WIDTH, &entries);
    let mut parts = vec![names];
    let mut y = height + 6.0;
    // What a proof commits, on one scale; parameters, of which there may be many more, on their own.
    let circuit = [Area::Words, Area::Multiplicities, Area::Committed];
    for areas in [&circuit[..], &[Area::Parameters]] {
        let present = || areas.iter().map(|area| (*area, layout.area(*area).count())).filter(|(_, count)| *count > 0);
        let scale = scale(&present().map(|(_, count)| count).collect::<Vec<_>>());
        let (mut x, mut below) = (0.0, 0.0_f64);
        for (area, count) in present() {
            let columns: Vec<&Column> = layout.area(area).collect();
            let width = width_of(count, scale);
            #[allow(clippy::cast_precision_loss)]
            let (picture, own) = panel(layout, area, &columns, layers, by, width / count as f64);
            below = own + 14.0;
            parts.push(moved((x, y), None, &picture));
            x += width.max(TITLE) + GAP;
        }
        y += below;
    }
    let what = if by == By::Layer { "layer" } else { "gadget" };
    Picture {
        title: format!("The circuit: columns by {} rows, coloured by {what}", layout.rows),
        width: WIDTH,
        height: y,
        body: html! { @for part in &parts { (part) } },
    }
}

/// How wide so many columns are: never invisible.
#[allow(clippy::cast_precision_loss)]
fn width_of(count: usize, scale: f64) -> f64 {
    (count as f64 * scale).max((count as f64 * 4.0).min(12.0))
}

/// Pixels of a column, so that areas of so many columns fit side by side.
fn scale(counts: &[usize]) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let room = WIDTH - GAP * counts.len().saturating_sub(1) as f64;
    let whole = |scale: f64| counts.iter().map(|count| width_of(*count, scale).max(TITLE)).sum::<f64>();
    let (mut least, mut most) = (0.0, WIDEST);
    for _ in 0..30 {
        let middle = f64::midpoint(least, most);
        if whole(middle) <= room {
            least = middle;
        } else {
            most = middle;
        }
    }
    least
}

/// The colours that are named.
fn entries(layout: &Layout, layers: &[Layer], by: By) -> Vec<(String, String)> {
    let mut cells: BTreeMap<Gadget, usize> = BTreeMap::new();
    let mut own: HashMap<usize, usize> = HashMap::new();
    for run in layout.columns.iter().flat_map(|c| &c.runs) {
        *cells.entry(run.gadget).or_default() += run.rows.len();
        if let Some(layer) = run.layer {
            *own.entry(layer).or_default() += run.rows.len();
        }
    }
    if by == By::Gadget {
        let entry = |(gadget, cells): (Gadget, usize)| {
            (format!("{} ({cells})", gadget.title()), colour::of_gadget(gadget).to_owned())
        };
        return cells.into_iter().map(entry).collect();
    }
    let mut largest: Vec<(usize, usize)> = own.into_iter().collect();
    largest.sort_by_key(|(layer, cells)| (std::cmp::Reverse(*cells), *layer));
    let others = largest.len().saturating_sub(NAMED);
    largest.truncate(NAMED);
    let entry = |(layer, cells): &(usize, usize)| {
        let name = layers.get(*layer).map_or("", |l| l.name.as_str());
        (format!("{} ({cells})", crate::proven_by::cut(name, 28)), colour::of_layer(*layer))
    };
    let mut entries: Vec<(String, String)> = largest.iter().map(entry).collect();
    entries.push(("of no layer".into(), colour::SHARED.into()));
    if others > 0 {
        entries.push((format!("and {others} more layers: point at them"), "none".into()));
    }
    entries
}

/// One area, and its height.
fn panel(
    layout: &Layout,
    kind: Area,
    columns: &[&Column],
    layers: &[Layer],
    by: By,
    column_width: f64,
) -> (Markup, f64) {
    #[allow(clippy::cast_precision_loss)]
    let (width, row_height) = (columns.len() as f64 * column_width, HEIGHT / layout.rows.max(1) as f64);
    let (used, usable) = layout.fill(kind);
    #[allow(clippy::cast_precision_loss)]
    let share = 100.0 * used as f64 / usable.max(1) as f64;
    let top = 34.0 + FILL;
    let mut groups: BTreeMap<(Option<usize>, Gadget), String> = BTreeMap::new();
    for ((first, last), run) in merged(columns) {
        // Colours by layer need no gadget, and the other way round, but hints say both.
        let path = groups.entry((run.layer, run.gadget)).or_default();
        let (width, height) = (last - first, run.rows.len());
        // Writing to a string does not fail.
        let _ = write!(path, "M{first} {}h{width}v{height}h-{width}z", run.rows.start);
    }
    let cells = html! {
        @for ((layer, gadget), path) in &groups {
            @let name = layer.and_then(|l| layers.get(l)).map(|l| l.name.as_str());
            @let hint = name.map_or_else(|| gadget.title().to_owned(), |name| format!("{name}: {}", gadget.title()));
            @let fill = match by {
                By::Gadget => colour::of_gadget(*gadget).to_owned(),
                By::Layer => layer.map_or_else(|| colour::SHARED.to_owned(), colour::of_layer),
            };
            (area(path, &fill, &hint))
        }
    };
    let markup = html! {
        (text(0.0, 11.0, Style::Strong, kind.title()))
        (text(0.0, 25.0, Style::Muted, &format!("{} {}, {share:.0} % full", columns.len(), if columns.len() == 1 { "column" } else { "columns" })))
        (ground((0.0, 31.0), (width, FILL)))
        (moved((0.0, 31.0), Some((column_width, FILL)), &fill_bars(columns)))
        (ground((0.0, top), (width, HEIGHT)))
        (moved((0.0, top), Some((column_width, row_height)), &cells))
        @if column_width >= 3.0 {
            path class="e" stroke="#ffffff" stroke-width="0.6" fill="none" d=(rules(columns.len(), column_width, top)) {}
        }
    };
    (markup, top + HEIGHT)
}

/// Lines between columns.
#[allow(clippy::cast_precision_loss)]
fn rules(count: usize, width: f64, top: f64) -> String {
    (1..count).map(|i| format!("M{} {}v{HEIGHT}", number(i as f64 * width), number(top))).collect()
}

/// A bar for every column, as high as it is full.
#[allow(clippy::cast_precision_loss)]
fn fill_bars(columns: &[&Column]) -> Markup {
    let mut path = String::new();
    let share = |column: &Column| column.used() as f64 / column.usable.max(1) as f64;
    let mut first = 0;
    while first < columns.len() {
        let height = share(columns[first]);
        let count = columns[first..].iter().take_while(|c| (share(c) - height).abs() < 1e-9).count();
        let _ = write!(path, "M{first} {:.4}h{count}V1h-{count}z", 1.0 - height);
        first += count;
    }
    area(&path, "#6e7781", "how full each column is")
}

/// A run, with the columns that it spans.
type Block<'a> = ((usize, usize), &'a super::layout::Run);

/// Runs that stand side by side on the same rows, as one.
fn merged<'a>(columns: &[&'a Column]) -> Vec<Block<'a>> {
    let mut blocks: Vec<Block<'a>> = Vec::new();
    let mut open: HashMap<(usize, usize, Option<usize>, Gadget), usize> = HashMap::new();
    for (number, column) in columns.iter().enumerate() {
        let mut next = HashMap::new();
        for run in &column.runs {
            let key = (run.rows.start, run.rows.end, run.layer, run.gadget);
            let block = match open.get(&key) {
                Some(block) => {
                    blocks[*block].0 .1 = number + 1;
                    *block
                }
                None => {
                    blocks.push(((number, number + 1), run));
                    blocks.len() - 1
                }
            };
            next.insert(key, block);
        }
        open = next;
    }
    blocks
}
