//! Pieces of pictures. All text is escaped by `maud`; what XML cannot hold is replaced before.
//!
//! Elements have both attributes and classes: a picture by itself is dark on white, and the style of the page, which stands above
//! attributes, gives it the page's colours.

use maud::{html, Markup, PreEscaped, Render};

/// Text sizes and the widths of letters, in pixels.
pub(super) const FONT: f64 = 11.0;
/// A typical letter is this part of the font's size wide.
const LETTER: f64 = 0.58;

/// A finished picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What it shows, for those who do not see it.
    pub title: String,
    /// Pixels.
    pub width: f64,
    /// Pixels.
    pub height: f64,
    pub(super) body: Markup,
}

impl Render for Picture {
    fn render(&self) -> Markup {
        let [width, height] = [self.width, self.height].map(number);
        html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="img"
                aria-label=(clean(&self.title)) font-family="sans-serif" font-size=(number(FONT)) {
                title { (clean(&self.title)) }
                (self.body)
            }
        }
    }
}

impl Picture {
    /// A file of its own.
    #[must_use]
    pub fn to_svg(&self) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", self.render().into_string())
    }
}

/// A length with one digit at most.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Text without what XML does not allow.
pub(super) fn clean(text: &str) -> String {
    let bad = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.replace(bad, "\u{fffd}")
}

/// How wide a text is, roughly.
#[allow(clippy::cast_precision_loss)]
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

/// How many letters fit.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn letters(width: f64, size: f64) -> usize {
    (width / (size * LETTER)).max(0.0) as usize
}

/// How a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Strong,
    Muted,
}

/// A line of text that starts here.
pub(super) fn text(x: f64, y: f64, style: Style, content: &str) -> Markup {
    let (class, fill, weight) = match style {
        Style::Plain => ("t", "#1f2328", "normal"),
        Style::Strong => ("t", "#1f2328", "bold"),
        Style::Muted => ("m", "#59636e", "normal"),
    };
    html! { text class=(class) x=(number(x)) y=(number(y)) fill=(fill) font-weight=(weight) { (clean(content)) } }
}

/// A rectangle with a colour.
pub(super) fn rect((x, y): (f64, f64), (width, height): (f64, f64), fill: &str) -> Markup {
    html! { rect x=(number(x)) y=(number(y)) width=(number(width)) height=(number(height)) fill=(fill) {} }
}

/// What cannot be used, or is not.
pub(super) fn ground((x, y): (f64, f64), (width, height): (f64, f64)) -> Markup {
    html! { rect class="g" x=(number(x)) y=(number(y)) width=(number(width)) height=(number(height)) fill="#eaeef2" {} }
}

/// A path that is filled, with a hint.
pub(super) fn area(path: &str, fill: &str, hint: &str) -> Markup {
    html! { path d=(path) fill=(fill) shape-rendering="crispEdges" { @if !hint.is_empty() { title { (clean(hint)) } } } }
}

/// Elements moved to a place, and scaled.
pub(super) fn moved((x, y): (f64, f64), scale: Option<(f64, f64)>, inner: &Markup) -> Markup {
    let scale = scale.map(|(x, y)| format!(" scale({x:.5} {y:.5})")).unwrap_or_default();
    html! { g transform={ "translate(" (number(x)) " " (number(y)) ")" (scale) } { (PreEscaped(&inner.0)) } }
}

/// Names with their colours, in as many lines as they need; and the height of that.
pub(super) fn legend(width: f64, entries: &[(String, String)]) -> (Markup, f64) {
    let (mut x, mut y) = (0.0, 0.0);
    let mut items = Vec::new();
    for (name, colour) in entries {
        let own = 18.0 + text_width(name, FONT) + 14.0;
        if x > 0.0 && x + own > width {
            (x, y) = (0.0, y + 18.0);
        }
        items.push(html! { (rect((x, y + 3.0), (12.0, 12.0), colour)) (text(x + 17.0, y + 13.0, Style::Plain, name)) });
        x += own;
    }
    (html! { @for item in &items { (item) } }, y + 20.0)
}
