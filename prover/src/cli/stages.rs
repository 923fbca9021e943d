//! Times and memory of stages, from the tracing spans of the prover.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tracing::{span, Subscriber};
use tracing_subscriber::{layer::Context, registry::LookupSpan, Layer};

/// Sums the time of every span by name.
#[derive(Clone, Debug, Default)]
pub(super) struct StageTimes {
    times: Arc<Mutex<BTreeMap<&'static str, Duration>>>,
}

impl StageTimes {
    /// The times since the last call, and starts anew.
    pub(super) fn take(&self) -> BTreeMap<&'static str, Duration> {
        std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Entered(Instant);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for StageTimes {
    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(Entered(Instant::now()));
        }
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let elapsed = span.extensions().get::<Entered>().map(|e| e.0.elapsed());
        if let Some(elapsed) = elapsed {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            *times.entry(span.name()).or_default() += elapsed;
        }
    }
}

/// Forgets the peak of this process's memory, so that the next reading is about what follows. Linux only.
pub(super) fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident memory in bytes since the start or the last [`reset_peak`]; `None` where unknown.
pub(super) fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib * 1024)
}

/// The median of some durations, in seconds.
pub(super) fn median(durations: &[Duration]) -> f64 {
    let mut seconds: Vec<f64> = durations.iter().map(Duration::as_secs_f64).collect();
    seconds.sort_by(f64::total_cmp);
    match seconds.len() {
        0 => 0.0,
        n if n % 2 == 1 => seconds[n / 2],
        n => (seconds[n / 2 - 1] + seconds[n / 2]) / 2.0,
    }
}
