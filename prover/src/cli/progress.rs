//! A bar for many proofs, with rate and time left; nothing where progress is not shown.

use super::stages;
use crate::batch::Status;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// The progress of a batch.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    started: Instant,
    proved: AtomicUsize,
    failed: AtomicUsize,
}

impl Progress {
    pub(super) fn new(items: usize, json: bool) -> Self {
        let bar = if stages::are_shown(json) {
            ProgressBar::new(items.try_into().unwrap_or(u64::MAX))
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:30} {pos}/{len} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, started: Instant::now(), proved: AtomicUsize::new(0), failed: AtomicUsize::new(0) }
    }

    /// One more item has ended. What was skipped is no part of the rate.
    pub(super) fn ended(&self, status: Status) {
        let one = |is: Status| usize::from(status == is);
        let proved = self.proved.fetch_add(one(Status::Proved), Ordering::Relaxed) + one(Status::Proved);
        let failed = self.failed.fetch_add(one(Status::Failed), Ordering::Relaxed) + one(Status::Failed);
        self.bar.inc(1);
        let left = self.bar.length().unwrap_or(0).saturating_sub(self.bar.position());
        self.bar.set_message(message(self.started.elapsed(), proved, failed, left));
    }

    /// Shows something else where the bar is.
    pub(super) fn suspend(&self, show: impl FnOnce()) {
        self.bar.suspend(show);
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[allow(clippy::cast_precision_loss)] // for people
fn message(elapsed: Duration, proved: usize, failed: usize, left: u64) -> String {
    let failures = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    let rate = proved as f64 / elapsed.as_secs_f64().max(1e-3);
    match Duration::try_from_secs_f64(left as f64 / rate) {
        Ok(time) if left > 0 => format!("{rate:.2} proofs/s, {} left{failures}", HumanDuration(time)),
        _ => format!("{rate:.2} proofs/s{failures}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_rate_and_time_left() {
        let second = Duration::from_secs(1);
        assert_eq!(message(second, 2, 0, 20), "2.00 proofs/s, 10 seconds left");
        assert_eq!(message(second, 2, 3, 0), "2.00 proofs/s, 3 failed");
        assert_eq!(message(second, 0, 0, 5), "0.00 proofs/s");
    }
}
