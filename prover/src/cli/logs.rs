//! Structured logs on standard error.

use super::Failure;
use clap::ValueEnum;
use std::io::IsTerminal;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt, EnvFilter, Layer, Registry};

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// One object per line
    Json,
}

/// Starts logging: what the queue says, or what `RUST_LOG` asks for.
///
/// `metrics` hears of every span, whatever is logged.
pub(super) fn start(format: LogFormat, metrics: Option<Box<dyn Layer<Registry> + Send + Sync>>) -> Result<(), Failure> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(text).map_err(|e| Failure::new(format!("RUST_LOG: {e}")))?,
        _ => EnvFilter::new("warn,zkonnx_prover::jobs=info"),
    };
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = match format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => logs.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    };
    tracing_subscriber::registry().with(metrics).with(logs).try_init().map_err(Failure::new)
}
