//! Why a batch stops, and why one item of it fails.

use crate::error::ProveError;
use std::path::PathBuf;
use zkonnx_quantize::data::DataError;
use zkonnx_verifier::{error::VerifyError, json::JsonError};

/// Why a batch cannot run, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The inputs cannot be listed or read.
    #[error("{}: {source}", path.display())]
    Inputs {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The inputs are one file, and no sample of it can be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is nothing to prove.
    #[error("{}: no inputs", .0.display())]
    Empty(PathBuf),
    /// The folder cannot be written.
    #[error("{}: {source}", path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Another batch holds the folder.
    #[error("{}: another batch is at work in this folder", .0.display())]
    Locked(PathBuf),
    /// The folder of the inputs.
    #[error("{}: inputs and outputs are one folder", .0.display())]
    SameFolder(PathBuf),
    /// An item whose proof would have the name of a group's.
    #[error("the name '{0}' is that of a group's proof")]
    GroupName(String),
    /// No threads.
    #[error("threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Why one item of a batch is not proven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// Its data cannot be read, or is not what the model takes.
    #[error(transparent)]
    Data(#[from] DataError),
    /// It cannot be proven whatever its data are, or has none.
    #[error(transparent)]
    Listing(#[from] ListError),
    /// The line cannot be read again.
    #[error("line {number}: {source}")]
    Read {
        /// The line, from 1.
        number: usize,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Its context.
    #[error("context: {0}")]
    Context(#[from] JsonError),
    /// More or less than one sample.
    #[error("{0} samples: one is needed")]
    Samples(usize),
    /// Values outside of the declared range, where these are refused.
    #[error("input '{input}': {clamped} of {all} values lie outside of the declared range")]
    Range {
        /// The input.
        input: String,
        /// How many lie outside.
        clamped: usize,
        /// How many there are.
        all: usize,
    },
    /// It could not be proven.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// A fault of the prover.
    #[error("the prover panicked: this is a bug")]
    Panicked,
    /// A proof that is wrong is not handed out.
    #[error("own proof refused: {0}")]
    Refused(VerifyError),
    /// The proof could not be written, for a reason of this item alone.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

/// What is wrong with an item's name, or its place.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// A line that is not what it should be.
    #[error("line {number}: {message}")]
    Line {
        /// The line, from 1.
        number: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A folder or device.
    #[error("'{}' is no regular file", .0.display())]
    NoFile(PathBuf),
    /// A name that no file can have.
    #[error("the name {0:?} is not 1 to {limit} bytes without '/', '\\', control characters and a dot in front", limit = super::source::NAME_BYTES)]
    Name(String),
    /// Two items with one name.
    #[error("the name {name:?} is that of line {line}")]
    Duplicate {
        /// The name.
        name: String,
        /// The line that has it.
        line: usize,
    },
}
