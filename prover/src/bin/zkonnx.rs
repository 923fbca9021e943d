//! The command line of zkonnx: a thin binary over [`zkonnx_prover::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    zkonnx_prover::cli::main()
}
