//! The command line.
//!
//! Exit codes: 0 accepted or done, 1 rejected (a proof, or a model that cannot be proven, or some inputs of a batch), 2 could not run. Errors are one line with the file and a
//! hint. Progress is shown on a terminal only. A command that fails writes no file.

/// Prints a line to standard output. A reader that went away is no error; anything else ends in exit code 2.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::cli::output::line(format_args!($($argument)*))
    };
}

mod auto;
mod batch;
mod bench;
mod context;
mod demo;
mod files;
mod gates;
mod inspect;
#[cfg(feature = "jobs")]
mod jobs;
mod limits;
#[cfg(feature = "jobs")]
mod logs;
mod node_table;
mod open;
mod opening;
mod output;
mod progress;
mod prove;
mod quantize;
mod receipt;
#[cfg(feature = "jobs")]
mod receipts;
mod recipe;
mod register;
#[cfg(feature = "report")]
mod report;
mod run;
#[cfg(feature = "service")]
mod serve;
mod stages;
#[cfg(feature = "jobs")]
mod store;
#[cfg(feature = "jobs")]
mod submit;
mod verify;
#[cfg(feature = "jobs")]
mod watch;
#[cfg(feature = "jobs")]
mod worker;

use clap::{Parser, Subcommand};
use std::{io::Write, process::ExitCode};

/// Proves that a quantised ONNX model, run on given inputs, gave given outputs.
#[derive(Debug, Parser)]
#[command(name = "zkonnx", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Show no progress, on a terminal either
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows what is in an ONNX model and what proving it would take
    Inspect(inspect::Inspect),
    /// Quantises an ONNX model to M.zkq, and writes what a verifier registers to M.zkv beside it
    Quantize(quantize::Quantize),
    /// Writes anew what a verifier registers: M.zkv from M.zkq, with private weights the registration proof too
    Register(register::Register),
    /// Evaluates a quantised model
    Run(run::Run),
    /// Evaluates a quantised model on one input and proves the result
    Prove(prove::Prove),
    /// Proves a model on many inputs, with all cores; proves what is missing when it is run again
    Batch(batch::Batch),
    /// Verifies proofs and receipts, several in one batch
    Verify(verify::Verify),
    /// Makes, shows and converts receipts, and meters models
    Receipt(receipt::Receipt),
    /// Opens a committed tensor of a statement
    Open(open::Open),
    /// Queues inferences as jobs, one for every input
    #[cfg(feature = "jobs")]
    Submit(submit::Submit),
    /// Lists jobs
    #[cfg(feature = "jobs")]
    Jobs(jobs::Jobs),
    /// Queues failed, poisoned or cancelled jobs again
    #[cfg(feature = "jobs")]
    Retry(jobs::Change),
    /// Cancels queued and leased jobs
    #[cfg(feature = "jobs")]
    Cancel(jobs::Change),
    /// Proves jobs of the queue, until it is told to stop
    #[cfg(feature = "jobs")]
    Worker(worker::Worker),
    /// Lists what was proven with what it is charged for, and exports the receipts
    #[cfg(feature = "jobs")]
    Receipts(receipts::Receipts),
    /// Quantises, proves and verifies a bundled model on real images, then refuses a tampered proof
    Demo(demo::Demo),
    /// Verifies proofs over HTTP, on loopback
    #[cfg(feature = "service")]
    Serve(serve::Serve),
    /// Measures every stage of proving and verifying a quantised model
    Bench(bench::Bench),
    /// Writes a page with a model's graph, circuit, proving time, values and sizes, and its pictures
    #[cfg(feature = "report")]
    Report(report::Report),
}

/// How a command that could run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Accepted, or done.
    Done,
    /// A proof was rejected, a model cannot be proven, or not all of a batch was.
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

    /// A message that names the file, once.
    fn at(path: &std::path::Path, message: impl std::fmt::Display) -> Self {
        let (path, message) = (path.display().to_string(), message.to_string());
        if message.contains(&path) {
            return Self::new(message);
        }
        Self::new(format!("{path}: {message}"))
    }

    /// The same failure, about this file.
    fn of_file(self, path: &std::path::Path) -> Self {
        Self { hint: self.hint, ..Self::at(path, self.message) }
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
    if cli.quiet {
        stages::be_quiet();
    }
    let result = match &cli.command {
        Command::Inspect(command) => command.run(),
        Command::Quantize(command) => command.run(),
        Command::Register(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Prove(command) => command.run(),
        Command::Batch(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Receipt(command) => command.run(),
        Command::Open(command) => command.run(),
        #[cfg(feature = "jobs")]
        Command::Submit(command) => command.run(),
        #[cfg(feature = "jobs")]
        Command::Jobs(command) => command.run(),
        #[cfg(feature = "jobs")]
        Command::Retry(command) => command.retry(),
        #[cfg(feature = "jobs")]
        Command::Cancel(command) => command.cancel(),
        #[cfg(feature = "jobs")]
        Command::Worker(command) => command.run(),
        #[cfg(feature = "jobs")]
        Command::Receipts(command) => command.run(),
        Command::Demo(command) => command.run(),
        #[cfg(feature = "service")]
        Command::Serve(command) => command.run(),
        Command::Bench(command) => command.run(),
        #[cfg(feature = "report")]
        Command::Report(command) => command.run(),
    };
    let failure = match (result, output::failure()) {
        (Ok(Outcome::Rejected), _) => return ExitCode::from(1),
        (Ok(Outcome::Done), None) => return ExitCode::SUCCESS,
        (Ok(Outcome::Done), Some(error)) => Failure::new(format!("standard output: {error}")),
        (Err(failure), _) => failure,
    };
    let hint = failure.hint.map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(std::io::stderr(), "error: {}{hint}", one_line(&failure.message));
    ExitCode::from(2)
}

/// The lines of a message in one; names in hostile files get no control over the terminal.
fn one_line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").replace(":; ", ": ").replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        assert_eq!(one_line("2 nodes:\n  Einsum\n  NonZero\n"), "2 nodes: Einsum; NonZero");
        assert_eq!(one_line("name \u{1b}[2J"), "name \u{fffd}[2J");
    }

    #[test]
    fn a_file_is_named_once() {
        assert_eq!(Failure::at(Path::new("a.npy"), "'a.npy' is malformed").message, "'a.npy' is malformed");
        assert_eq!(Failure::at(Path::new("a.npy"), "malformed").message, "a.npy: malformed");
    }
}
