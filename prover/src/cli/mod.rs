//! The command line.
//!
//! Exit codes: 0 accepted or done, 1 rejected, 2 could not run. Errors are one line with the file and a
//! hint. Progress is shown on a terminal only.

mod bench;
mod context;
mod demo;
mod files;
mod inspect;
mod prove;
mod quantize;
mod run;
mod stages;
mod verify;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Proves that a quantised ONNX model, run on given inputs, gave given outputs.
#[derive(Debug, Parser)]
#[command(name = "zkonnx", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows what is in an ONNX model and what proving it would take
    Inspect(inspect::Inspect),
    /// Quantises an ONNX model to M.zkq, and writes what a verifier registers to M.zkv beside it
    Quantize(quantize::Quantize),
    /// Evaluates a quantised model
    Run(run::Run),
    /// Evaluates a quantised model on one input and proves the result
    Prove(prove::Prove),
    /// Verifies a proof
    Verify(verify::Verify),
    /// Quantises, proves and verifies a bundled model on real images, then refuses a tampered proof
    Demo(demo::Demo),
    /// Measures every stage of proving and verifying a quantised model
    Bench(bench::Bench),
}

/// How a command that could run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Accepted, or done.
    Done,
    /// A proof was rejected.
    Rejected,
}

/// Why a command could not run: one line for people.
#[derive(Debug)]
struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn new(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), hint: None }
    }

    fn at(path: &std::path::Path, message: impl std::fmt::Display) -> Self {
        Self::new(format!("{}: {message}", path.display()))
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Inspect(command) => command.run(),
        Command::Quantize(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Prove(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Bench(command) => command.run(),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Rejected) => ExitCode::from(1),
        Err(Failure { message, hint }) => {
            let line = message.replace('\n', "; ");
            match hint {
                Some(hint) => eprintln!("error: {line} (hint: {hint})"),
                None => eprintln!("error: {line}"),
            }
            ExitCode::from(2)
        }
    }
}
