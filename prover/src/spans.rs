//! Times of tracing spans, as they are left.

use std::{
    marker::PhantomData,
    time::{Duration, Instant},
};
use tracing::{span, Subscriber};
use tracing_subscriber::{layer::Context, registry::LookupSpan, Layer};

/// A span that was entered and left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanTime {
    /// The names of the spans around it and its own, the outermost first.
    pub path: Vec<&'static str>,
    /// When it was entered.
    pub entered: Instant,
    /// How long it lasted.
    pub time: Duration,
}

impl SpanTime {
    /// Its own name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.last().copied().unwrap_or_default()
    }
}

/// Hands every span to a function when it is left.
#[derive(Clone, Debug)]
pub struct SpanTimer<S, F> {
    record: F,
    subscriber: PhantomData<fn(S)>,
}

impl<S, F: Fn(SpanTime)> SpanTimer<S, F> {
    /// A layer with this function.
    pub fn new(record: F) -> Self {
        Self { record, subscriber: PhantomData }
    }
}

struct Entered(Instant);

impl<S, F> Layer<S> for SpanTimer<S, F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn(SpanTime) + 'static,
{
    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(Entered(Instant::now()));
        }
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let Some(Entered(entered)) = span.extensions_mut().remove::<Entered>() else { return };
        let time = entered.elapsed();
        let path = span.scope().from_root().map(|span| span.name()).collect();
        (self.record)(SpanTime { path, entered, time });
    }
}
