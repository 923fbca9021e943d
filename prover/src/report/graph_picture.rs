//! The graph as a picture: a box for every layer, a line for everything that it reads.

use super::{
    colour,
    layers::{Kind, Layer},
    numbers::{count, seconds, shape},
    place::{place, Edge, Sizes},
    svg::{clean, letters, number, rect, text, Picture, Style, FONT},
};
use crate::proven_by::cut;
use maud::{html, Markup};
use std::fmt::Write;

const SIZES: Sizes = Sizes { width: 206.0, row: 116.0, gap: 22.0, lane: 14.0 };
const HEIGHT: f64 = 80.0;
const MARGIN: f64 = 8.0;
/// Bold letters are as wide as plain ones of this size.
const BOLD: f64 = FONT * 1.14;

/// Draws all layers.
#[must_use]
pub fn draw(layers: &[Layer]) -> Picture {
    let reads: Vec<Vec<usize>> = layers.iter().map(|layer| layer.reads.clone()).collect();
    let places = place(&reads, SIZES);
    let total: f64 = layers.iter().map(|l| l.predicted).sum();
    #[allow(clippy::cast_precision_loss)]
    let top = |row: usize| MARGIN + row as f64 * SIZES.row;
    let line = |edge: &Edge| {
        let (x, y) = (edge.from.0 + MARGIN, top(edge.from.1) + if edge.layers.0 { HEIGHT } else { SIZES.row / 2.0 });
        let (to_x, to_y) = (edge.to.0 + MARGIN, top(edge.to.1) + if edge.layers.1 { 0.0 } else { SIZES.row / 2.0 });
        let bend = f64::midpoint(y, to_y);
        let [x, y, to_x, to_y, bend] = [x, y, to_x, to_y, bend].map(number);
        format!("M{x} {y}C{x} {bend} {to_x} {bend} {to_x} {to_y}")
    };
    let (mut plain, mut skips, mut heads) = (String::new(), String::new(), String::new());
    for edge in &places.edges {
        if edge.skips { &mut skips } else { &mut plain }.push_str(&line(edge));
        if edge.layers.1 {
            let (x, y) = (number(edge.to.0 + MARGIN), number(top(edge.to.1)));
            let _ = write!(heads, "M{x} {y}l-3.5 -7h7z");
        }
    }
    let boxes = layers.iter().zip(&places.layers).enumerate().map(|(i, (layer, (x, row)))| {
        let share = if total > 0.0 { layer.predicted / total } else { 0.0 };
        node(layer, &colour::of_layer(i), (x + MARGIN - SIZES.width / 2.0, top(*row)), share)
    });
    Picture {
        title: format!("The graph: {} layers, from inputs to outputs", layers.len()),
        width: places.width + 2.0 * MARGIN,
        height: top(places.rows) - (SIZES.row - HEIGHT) + MARGIN,
        body: html! {
            path class="w" d=(plain) stroke="#8c959f" fill="none" stroke-width="1.2" {}
            path class="k" d=(skips) stroke="#bc4c00" fill="none" stroke-width="1.2" {}
            path class="h" d=(heads) fill="#59636e" {}
            @for markup in boxes { (markup) }
        },
    }
}

fn node(layer: &Layer, colour: &str, (x, y): (f64, f64), share: f64) -> Markup {
    let fits = letters(SIZES.width - 18.0, FONT);
    let operator = match layer.kind {
        Kind::Input => "input",
        Kind::Node => &layer.operator,
        Kind::Output => "output",
    };
    let what: Vec<&str> = layer.products.iter().take(1).map(String::as_str).chain([operator]).collect();
    let mut size = vec![shape(&layer.shape)];
    size.extend((layer.cells > 0).then(|| format!("{} cells", count(layer.cells))));
    let macs = usize::try_from(layer.macs).unwrap_or(usize::MAX);
    size.extend((macs > 0).then(|| format!("{} MAC", count(macs))));
    let hint = format!(
        "{}\n{}\n{}\n{} parameters, predicted {}",
        layer.name,
        what.join(", "),
        size.join(", "),
        count(layer.parameters),
        seconds(layer.predicted)
    );
    let hint: Vec<String> = hint.lines().map(clean).collect();
    let line = |number: f64, style, content: &str| text(x + 10.0, y + 16.0 + 14.5 * number, style, content);
    html! {
        g {
            title { (hint.join("\n")) }
            rect class="b" x=(number(x)) y=(number(y)) width=(number(SIZES.width)) height=(number(HEIGHT)) rx="4" fill="#ffffff"
                stroke="#afb8c1" {}
            (rect((x, y), (4.0, HEIGHT), colour))
            (line(0.0, Style::Strong, &cut(&layer.name, letters(SIZES.width - 18.0, BOLD))))
            @for (what, number) in what.iter().zip([1.0, 2.0]) { (line(number, Style::Plain, &front(what, fits))) }
            (line(if what.len() > 1 { 3.0 } else { 2.0 }, Style::Muted, &front(&size.join(", "), fits)))
            @if share > 0.0 { (rect((x + 10.0, y + HEIGHT - 9.0), ((SIZES.width - 20.0) * share, 3.0), colour)) }
        }
    }
}

/// Text cut at its end.
fn front(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect()
}
