//! Times as a picture: a bar for every stage, as wide as it takes, and below it the stages within.

use super::{
    colour,
    numbers::{percent, seconds},
    stages::Stage,
    svg::{clean, letters, number, text, text_width, Picture, Style, FONT},
};
use maud::{html, Markup};

const WIDTH: f64 = 1040.0;
const BAR: f64 = 30.0;

/// Draws stages that follow each other.
#[must_use]
pub fn draw(stages: &[Stage]) -> Picture {
    let total: f64 = stages.iter().map(|stage| stage.seconds).sum();
    let depth = stages.iter().map(Stage::depth).max().unwrap_or(0);
    let mut bars = Vec::new();
    row(stages, (0.0, WIDTH, total), 0, total, &mut bars);
    #[allow(clippy::cast_precision_loss)]
    let height = depth.max(1) as f64 * (BAR + 2.0);
    Picture {
        title: format!("Where the time goes: {}", seconds(total)),
        width: WIDTH,
        height,
        body: html! { @for bar in &bars { (bar) } },
    }
}

/// Bars from `x`, in a width that stands for so many seconds.
#[allow(clippy::cast_precision_loss)]
fn row(stages: &[Stage], (mut x, width, span): (f64, f64, f64), depth: usize, total: f64, bars: &mut Vec<Markup>) {
    // Spans within one may take a little longer than it says, by their own measuring.
    let span = span.max(stages.iter().map(|stage| stage.seconds).sum()).max(f64::MIN_POSITIVE);
    let y = depth as f64 * (BAR + 2.0);
    for (number_in_row, stage) in stages.iter().enumerate() {
        let own = width * stage.seconds / span;
        let label = format!("{} {}", stage.name, seconds(stage.seconds));
        let short = if text_width(&label, FONT) + 8.0 <= own { &label } else { &stage.name };
        let hint = format!("{label}, {}", percent(stage.seconds / total.max(f64::MIN_POSITIVE)));
        bars.push(html! {
            g {
                title { (clean(&hint)) }
                rect class="r" x=(number(x)) y=(number(y)) width=(number((own - 1.0).max(0.4))) height=(number(BAR)) rx="2"
                    fill=(colour::of_stage(depth, number_in_row)) {}
                @if letters(own - 8.0, FONT) >= short.chars().count() {
                    (label_on(x + 5.0, y + 19.0, short))
                }
            }
        });
        row(&stage.within, (x, own, stage.seconds), depth + 1, total, bars);
        x += own;
    }
}

/// Dark text on a bar, in light and dark pages.
fn label_on(x: f64, y: f64, label: &str) -> Markup {
    let markup = text(x, y, Style::Plain, label);
    html! { g class="on" { (markup) } }
}
