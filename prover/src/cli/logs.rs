//! Structured logs on standard error.

use super::Failure;
use clap::ValueEnum;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// One object per line
    Json,
}

/// Starts logging: what the queue says, or what `RUST_LOG` asks for.
pub(super) fn start(format: LogFormat) -> Result<(), Failure> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(text).map_err(|e| Failure::new(format!("RUST_LOG: {e}")))?,
        _ => EnvFilter::new("warn,zkonnx_prover::jobs=info"),
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).with_span_list(false).try_init(),
    };
    started.map_err(Failure::new)
}
