//! Where long work stands, for whoever shows it: tracing events, and no others of this crate.
//!
//! A stage begins with an event of the fields `stage`, its name, and `steps`, how many there are; every step that is done is
//! an event of the field `done`, how many of the stage's have been. Steps come from all threads, and out of order. Spans are
//! not used: those are what the stages of proving are timed by.

use std::sync::atomic::{AtomicU64, Ordering};

/// The target of the events.
pub const TARGET: &str = "zkonnx::progress";

/// A stage of steps that take about as long as one another.
#[derive(Debug)]
pub(crate) struct Stage {
    done: AtomicU64,
}

impl Stage {
    /// Begins a stage.
    pub(crate) fn new(name: &'static str, steps: usize) -> Self {
        tracing::trace!(target: TARGET, stage = name, steps = steps as u64);
        Self { done: AtomicU64::new(0) }
    }

    /// One more step is done.
    pub(crate) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::trace!(target: TARGET, done);
    }
}
