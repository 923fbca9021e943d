//! Values as pictures: a small histogram for a row of a table, and all layers side by side.

use super::{
    accuracy::{Accuracy, Values},
    colour,
    layers::Layer,
    numbers::{percent, real},
    svg::{area, ground, letters, moved, number, text, Picture, Style, FONT},
};
use crate::proven_by::cut;
use maud::{html, Markup};
use std::fmt::Write;

const WIDTH: f64 = 1040.0;
const COLUMNS: usize = 4;
/// Layers in one picture.
const MOST: usize = 400;

/// The bars of a histogram.
#[allow(clippy::cast_precision_loss)]
fn bars(values: &Values, (width, height): (f64, f64), fill: &str) -> Markup {
    let most = values.histogram.iter().max().copied().unwrap_or(0).max(1) as f64;
    let step = width / values.histogram.len().max(1) as f64;
    let mut path = String::new();
    for (i, count) in values.histogram.iter().enumerate().filter(|(_, count)| **count > 0) {
        // Roots: what is rare is seen beside what is not.
        let own = (height * (*count as f64 / most).sqrt()).max(0.6);
        let _ = write!(
            path,
            "M{} {}h{}v{}h-{2}z",
            number(i as f64 * step),
            number(height - own),
            number((step - 0.4).max(0.3)),
            number(own)
        );
    }
    area(&path, fill, "")
}

/// A small histogram.
#[must_use]
pub fn small(layer: usize, values: &Values) -> Picture {
    let (width, height) = (132.0, 30.0);
    Picture {
        title: format!("{} values from {} to {}", values.count, real(values.low), real(values.high)),
        width,
        height,
        body: html! {
            (ground((0.0, 0.0), (width, height)))
            (bars(values, (width, height), &colour::of_layer(layer)))
        },
    }
}

/// All layers.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn draw(layers: &[Layer], accuracy: &Accuracy) -> Picture {
    let (width, height) = ((WIDTH - 16.0 * (COLUMNS as f64 - 1.0)) / COLUMNS as f64, 74.0);
    let cell = |(i, (layer, values)): (usize, (&Layer, &Values))| {
        let (x, y) = ((i % COLUMNS) as f64 * (width + 16.0), (i / COLUMNS) as f64 * (height + 62.0));
        let clamped = match (values.at_low, values.at_high) {
            (low, high) if low + high == 0.0 => String::new(),
            (low, high) => format!("at bounds {} / {}", percent(low), percent(high)),
        };
        let inner = html! {
            (text(0.0, 12.0, Style::Strong, &cut(&layer.name, letters(width, FONT * 1.05))))
            (moved((0.0, 18.0), None, &html! {
                (ground((0.0, 0.0), (width, height)))
                (bars(values, (width, height), &colour::of_layer(i)))
            }))
            (text(0.0, height + 31.0, Style::Muted, &format!("{} to {}", real(values.low), real(values.high))))
            (text(0.0, height + 45.0, Style::Muted, &clamped))
        };
        moved((x, y), None, &inner)
    };
    let count = layers.len().min(accuracy.layers.len()).min(MOST);
    let cells: Vec<Markup> = layers.iter().zip(&accuracy.layers).enumerate().take(count).map(cell).collect();
    Picture {
        title: format!("Values of {count} layers on {} samples; heights are square roots of counts", accuracy.samples),
        width: WIDTH,
        height: count.div_ceil(COLUMNS) as f64 * (height + 62.0),
        body: html! { @for cell in &cells { (cell) } },
    }
}
