//! Who is told what a worker does, for metrics.

use crate::jobs::job::JobResult;
use std::{fmt::Debug, time::Duration};

/// How a claimed job left its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was recorded.
    Done,
    /// An attempt failed.
    Failed,
    /// Its lease was lost before it was recorded.
    Late,
    /// It was given back.
    Released,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::Late, Self::Released];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Late => "late",
            Self::Released => "released",
        }
    }
}

/// Counts what a worker does; called by any of its threads.
pub trait Meter: Debug + Send + Sync {
    /// A claimed job has left the worker.
    fn ended(&self, outcome: Outcome);

    /// A proof was made, with so much time for reading, proving and verifying.
    fn proven(&self, time: Duration, result: &JobResult);
}
