//! Medians and their errors.

use serde::{Deserialize, Serialize};

/// Some measurements of one quantity, in its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The median of the absolute deviations from the median.
    pub deviation: f64,
    /// How many there are.
    pub count: usize,
}

/// The median; of an even number the mean of the middle two, of nothing 0.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

impl Spread {
    /// Of some values.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let middle = median(values);
        let deviations: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
        Self {
            median: middle,
            min: values.iter().copied().reduce(f64::min).unwrap_or(0.0),
            max: values.iter().copied().reduce(f64::max).unwrap_or(0.0),
            deviation: median(&deviations),
            count: values.len(),
        }
    }

    /// The standard error of the median, relative to it, as for a normal distribution with this deviation: `√(π/2) · 1.4826 · deviation / √count`.
    /// `None` for fewer than three values.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // few values
    pub fn relative_error(&self) -> Option<f64> {
        if self.count < 3 || self.median <= 0.0 {
            return None;
        }
        Some((std::f64::consts::PI / 2.0).sqrt() * 1.4826 * self.deviation / (self.count as f64).sqrt() / self.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_deviations() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let spread = Spread::of(&[1.0, 2.0, 3.0, 4.0, 100.0]);
        assert_eq!(spread, Spread { median: 3.0, min: 1.0, max: 100.0, deviation: 1.0, count: 5 });
        let error = spread.relative_error().expect("enough values");
        assert!((error - 1.2533 * 1.4826 / 5_f64.sqrt() / 3.0).abs() < 1e-4, "{error}");
        assert_eq!(Spread::of(&[1.0, 2.0]).relative_error(), None);
        assert_eq!(Spread::of(&[0.0; 5]).relative_error(), None);
    }
}
