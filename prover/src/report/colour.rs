//! Colours of layers and gadgets, for dark and light grounds.

use super::layout::Gadget;

/// A colour from hue (in turns), saturation and lightness.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 255
fn hsl(hue: f64, saturation: f64, lightness: f64) -> String {
    let reach = saturation * lightness.min(1.0 - lightness);
    let channel = |offset: f64| {
        let k = (offset + hue.rem_euclid(1.0) * 12.0).rem_euclid(12.0);
        let value = lightness - reach * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        (value * 255.0).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", channel(0.0), channel(8.0), channel(4.0))
}

/// The colour of a layer, by its number: neighbours are far from each other.
#[allow(clippy::cast_precision_loss)] // few
pub(super) fn of_layer(number: usize) -> String {
    let lightness = [0.56, 0.46, 0.64][number % 3];
    hsl(0.58 + number as f64 * 0.618_034, 0.58, lightness)
}

/// What belongs to no layer.
pub(super) const SHARED: &str = "#9aa4af";

/// The colour of a gadget.
pub(super) fn of_gadget(gadget: Gadget) -> &'static str {
    match gadget {
        Gadget::Range => "#4c78a8",
        Gadget::Interval => "#72b7b2",
        Gadget::Clamp => "#f58518",
        Gadget::Max => "#e45756",
        Gadget::Table => "#b279a2",
        Gadget::Division => "#eeca3b",
        Gadget::RangeTable => "#9d755d",
        Gadget::FunctionTable => "#8e5b85",
        Gadget::Parameter => "#54a24b",
        Gadget::Committed => "#2f9c95",
    }
}

/// The colour of a stage, by its depth and number.
#[allow(clippy::cast_precision_loss)] // few
pub(super) fn of_stage(depth: usize, number: usize) -> String {
    hsl(0.03 + 0.025 * (number % 5) as f64, 0.62, (0.52 + 0.07 * depth as f64).min(0.72))
}
