//! The stages of proving, one within another, as spans tell them.

use crate::spans::SpanTime;
use serde::Serialize;

/// A stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Seconds; of all its spans together.
    pub seconds: f64,
    /// The stages within it, in order.
    pub within: Vec<Stage>,
}

impl Stage {
    /// Seconds that belong to no stage within it.
    #[must_use]
    pub fn own(&self) -> f64 {
        (self.seconds - self.within.iter().map(|stage| stage.seconds).sum::<f64>()).max(0.0)
    }

    /// How many stages stand in one another here.
    #[must_use]
    pub fn depth(&self) -> usize {
        1 + self.within.iter().map(Self::depth).max().unwrap_or(0)
    }
}

/// The stages of these spans, in the order in which they were entered.
#[must_use]
pub fn stages(spans: &[SpanTime]) -> Vec<Stage> {
    let mut ordered: Vec<&SpanTime> = spans.iter().collect();
    // A span and the first one within it may be entered at the same instant.
    ordered.sort_by_key(|span| (span.entered, span.path.len()));
    let mut roots: Vec<Stage> = Vec::new();
    for span in ordered {
        let mut level = &mut roots;
        for (depth, name) in span.path.iter().enumerate() {
            let at = match level.iter().position(|stage| stage.name == *name) {
                Some(at) => at,
                None => {
                    level.push(Stage { name: (*name).to_owned(), seconds: 0.0, within: Vec::new() });
                    level.len() - 1
                }
            };
            if depth + 1 == span.path.len() {
                level[at].seconds += span.time.as_secs_f64();
                break;
            }
            level = &mut level[at].within;
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn spans_of_one_name_are_one_stage_within_the_one_around_them() {
        let start = Instant::now();
        let span = |path: &[&'static str], at: u64, time: u64| SpanTime {
            path: path.to_vec(),
            entered: start + Duration::from_millis(at),
            time: Duration::from_millis(time),
        };
        let spans = [
            span(&["prove", "witness"], 1, 10),
            span(&["prove", "opening"], 20, 5),
            span(&["prove", "opening"], 30, 5),
            span(&["prove"], 0, 40),
            span(&["verify"], 50, 8),
        ];
        let stages = stages(&spans);
        let names: Vec<&str> = stages.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["prove", "verify"]);
        let within: Vec<(&str, f64)> = stages[0].within.iter().map(|s| (s.name.as_str(), s.seconds)).collect();
        assert_eq!(within, [("witness", 0.01), ("opening", 0.01)]);
        assert!((stages[0].own() - 0.02).abs() < 1e-9);
    }
}
