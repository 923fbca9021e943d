//! Times of stages, from the tracing spans of the prover.

use crate::spans::{SpanTime, SpanTimer};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;

/// Collects the times of all spans.
#[derive(Clone, Debug, Default)]
pub struct StageTimes {
    spans: Arc<Mutex<Vec<SpanTime>>>,
}

impl StageTimes {
    /// What collects them.
    #[must_use]
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + 'static {
        let spans = Arc::clone(&self.spans);
        let layer = SpanTimer::new(move |span| spans.lock().unwrap_or_else(PoisonError::into_inner).push(span));
        tracing_subscriber::registry().with(layer)
    }

    /// The spans since the last call, in the order in which they were left, and starts anew.
    #[must_use]
    pub fn take_spans(&self) -> Vec<SpanTime> {
        std::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The times of spans, summed by name.
#[must_use]
pub fn by_name(spans: &[SpanTime]) -> BTreeMap<&'static str, Duration> {
    let mut times = BTreeMap::new();
    for span in spans {
        *times.entry(span.name()).or_default() += span.time;
    }
    times
}
