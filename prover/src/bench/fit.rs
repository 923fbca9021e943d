//! The constants of the cost model, from measurements.
//!
//! Least squares of relative errors, none of the constants negative: `Σ (predicted / measured − 1)²` over all measurements, by coordinate
//! descent, which for this convex problem ends at the least there is (Bertsekas, *Nonlinear Programming*, section 2.7).

use super::report::{Measurement, Settings};
use serde::Serialize;
use zkonnx_circuits::cost::{Constants, Counts, NUM_COUNTS};

/// Sweeps over all constants; it has settled long before.
const SWEEPS: usize = 20_000;

/// Why there is no fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// Fewer than unknowns.
    #[error(
        "{0} measurements with proving times: {NUM_COUNTS} constants need at least as many, of circuits that differ"
    )]
    Few(usize),
    /// Constants are for one machine and its threads.
    #[error("measurements with {0} and with {1} threads: give only such as have the same")]
    Threads(usize, usize),
    /// A report of another version.
    #[error("the measurement of {model}, {settings}, does not say what the cost model counts: measure it again")]
    Counts {
        /// The model's file.
        model: String,
        /// The settings.
        settings: Settings,
    },
}

/// Constants, and how they do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// Threads of all measurements.
    pub threads: usize,
    /// Seconds for one of each of what is counted.
    #[serde(flatten)]
    pub constants: Constants,
    /// Every measurement.
    pub rows: Vec<FitRow>,
    /// Of the errors with these constants, without sign: the median.
    pub median_error: f64,
    /// The largest.
    pub worst_error: f64,
}

/// One measurement and its predictions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FitRow {
    /// The model's file.
    pub model: String,
    /// The settings.
    pub settings: Settings,
    /// Median seconds to prove.
    pub measured: f64,
    /// With the constants of this program.
    pub predicted: f64,
    /// With the fitted ones.
    pub fitted: f64,
    /// `predicted / measured − 1`.
    pub error_before: f64,
    /// `fitted / measured − 1`.
    pub error: f64,
}

/// Fits the constants to measurements.
///
/// # Errors
/// [`FitError`] when they are too few, or not of one kind.
pub fn fit(measurements: &[Measurement]) -> Result<Fit, FitError> {
    let timed: Vec<(&Measurement, f64)> = measurements
        .iter()
        .filter_map(|run| run.stages.get("prove").map(|spread| (run, spread.median)))
        .filter(|(_, seconds)| *seconds > 0.0)
        .collect();
    let threads = timed.first().map_or(1, |(run, _)| run.settings.threads);
    if let Some((other, _)) = timed.iter().find(|(run, _)| run.settings.threads != threads) {
        return Err(FitError::Threads(threads, other.settings.threads));
    }
    if timed.len() < NUM_COUNTS {
        return Err(FitError::Few(timed.len()));
    }
    let counts = |run: &Measurement| {
        run.counts().ok_or_else(|| FitError::Counts { model: run.model.clone(), settings: run.settings })
    };
    let counts: Vec<Counts> = timed.iter().map(|(run, _)| counts(run)).collect::<Result<_, _>>()?;
    let relative: Vec<[f64; NUM_COUNTS]> = counts
        .iter()
        .zip(&timed)
        .map(|(counts, (_, seconds))| counts.to_array().map(|count| count / seconds))
        .collect();
    let constants = Constants::from_array(least_squares(&relative));
    let rows: Vec<FitRow> = timed
        .iter()
        .zip(&counts)
        .map(|((run, measured), counts)| {
            let (predicted, fitted) = (Constants::REFERENCE.seconds(counts), constants.seconds(counts));
            FitRow {
                model: run.model.clone(),
                settings: run.settings,
                measured: *measured,
                predicted,
                fitted,
                error_before: predicted / measured - 1.0,
                error: fitted / measured - 1.0,
            }
        })
        .collect();
    let mut errors: Vec<f64> = rows.iter().map(|row| row.error.abs()).collect();
    errors.sort_by(f64::total_cmp);
    Ok(Fit {
        threads,
        constants,
        median_error: median(&errors),
        worst_error: errors.last().copied().unwrap_or(0.0),
        rows,
    })
}

/// Of sorted values.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.get(middle), middle.checked_sub(1).and_then(|below| sorted.get(below))) {
        (Some(above), Some(below)) if sorted.len().is_multiple_of(2) => f64::midpoint(*above, *below),
        (Some(own), _) => *own,
        (None, _) => 0.0,
    }
}

/// The `x ≥ 0` with the least `Σ (row·x − 1)²`.
fn least_squares(rows: &[[f64; NUM_COUNTS]]) -> [f64; NUM_COUNTS] {
    let mut x = [0.0; NUM_COUNTS];
    let mut residuals = vec![-1.0; rows.len()];
    for _ in 0..SWEEPS {
        for at in 0..x.len() {
            let curvature: f64 = rows.iter().map(|row| row[at] * row[at]).sum();
            if curvature <= 0.0 {
                continue;
            }
            let slope: f64 = rows.iter().zip(&residuals).map(|(row, residual)| row[at] * residual).sum();
            let step = (x[at] - slope / curvature).max(0.0) - x[at];
            x[at] += step;
            for (residual, row) in residuals.iter_mut().zip(rows) {
                *residual += step * row[at];
            }
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(k: i32, [words, looked_up, products, gated]: [f64; 4], linear: f64) -> [f64; NUM_COUNTS] {
        let rows = 2_f64.powi(k);
        let layers = f64::from(k) + 7.0;
        let halo2 = if gated > 0.0 { rows } else { 0.0 };
        [rows, rows * words, rows * looked_up, rows * products, halo2, rows * gated, layers * layers / 2.0, linear]
    }

    #[test]
    fn finds_what_made_the_times() {
        let truth = [3e-5, 3e-7, 5e-7, 4e-7, 8e-5, 6e-6, 1e-4, 2e-8];
        let all = [
            counts(8, [30.0, 20.0, 5.0, 0.0], 1e5),
            counts(8, [77.0, 43.0, 0.0, 30.0], 6e4),
            counts(9, [190.0, 100.0, 40.0, 0.0], 3e5),
            counts(10, [200.0, 50.0, 0.0, 90.0], 4e5),
            counts(11, [25.0, 25.0, 10.0, 0.0], 1e4),
            counts(9, [200.0, 180.0, 0.0, 10.0], 1e6),
            counts(12, [9.0, 9.0, 8.0, 0.0], 1e3),
            counts(7, [3.0, 2.0, 1.0, 0.0], 1e7),
            counts(13, [100.0, 60.0, 50.0, 0.0], 1e3),
            counts(12, [40.0, 30.0, 0.0, 20.0], 1e4),
            counts(7, [90.0, 60.0, 0.0, 80.0], 1e4),
        ];
        let time = |counts: &[f64; NUM_COUNTS]| counts.iter().zip(truth).map(|(c, t)| c * t).sum::<f64>();
        let rows: Vec<[f64; NUM_COUNTS]> = all.iter().map(|counts| counts.map(|c| c / time(counts))).collect();
        for (found, expected) in least_squares(&rows).into_iter().zip(truth) {
            assert!((found / expected - 1.0).abs() < 0.02, "{found} for {expected}");
        }
    }

    #[test]
    fn nothing_is_negative() {
        // Twice the columns take no more time: without the bound their constant would be negative.
        let rows = [[1.0, 1.0], [1.0, 2.0], [1.1, 4.0]].map(|[row, cell]| [row, cell, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let found = least_squares(&rows);
        assert!(found.iter().all(|constant| *constant >= 0.0), "{found:?}");
        assert!((found[0] - 0.97).abs() < 0.02 && found[1] < 1e-9, "{found:?}");
    }

    #[test]
    fn medians() {
        assert!((median(&[1.0, 2.0, 4.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < 1e-12);
        assert!(median(&[]).abs() < 1e-12);
    }
}
