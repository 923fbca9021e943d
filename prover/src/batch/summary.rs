//! What became of a batch.

use serde::Serialize;
use std::path::PathBuf;
use zkonnx_verifier::statement::{ModelId, StatementDigest};

/// Name of the summary in the folder of proofs.
pub const SUMMARY: &str = "summary.json";

/// What became of a batch, and of every item, in the order of the inputs.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The model.
    pub model_id: ModelId,
    /// Where the items came from.
    pub inputs: PathBuf,
    /// Proofs that were made at once.
    pub jobs: usize,
    /// Sums.
    pub totals: Totals,
    /// Every item.
    pub items: Vec<Item>,
}

/// Sums over a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// All items.
    pub items: usize,
    /// Proven in this run.
    pub proved: usize,
    /// Proven before.
    pub skipped: usize,
    /// Not proven.
    pub failed: usize,
    /// Input values that were clamped to the declared range.
    pub clamped: usize,
    /// Seconds of this run, without the making of keys.
    pub seconds: f64,
    /// Proofs per second of this run.
    pub proofs_per_second: f64,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Proven in this run.
    Proved,
    /// Proven before.
    Skipped,
    /// Not proven.
    Failed,
}

/// One item.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub status: Status,
    /// Why it failed.
    pub reason: Option<String>,
    /// Why a file that was there was not its proof, and was replaced.
    pub replaced: Option<String>,
    /// Input values that were clamped to the declared range.
    pub clamped: usize,
    /// Seconds that its proof took, on the threads that it had.
    pub seconds: Option<f64>,
    /// The proof file, in the folder of proofs.
    pub proof: Option<String>,
    /// Digest of the statement.
    pub statement: Option<StatementDigest>,
}

impl Item {
    pub(super) fn failed(name: &str, reason: &super::ItemError) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Failed,
            reason: Some(reason.to_string()),
            replaced: None,
            clamped: 0,
            seconds: None,
            proof: None,
            statement: None,
        }
    }
}

impl Totals {
    pub(super) fn new(items: &[Item], seconds: f64) -> Self {
        let count = |status: Status| items.iter().filter(|item| item.status == status).count();
        let proved = count(Status::Proved);
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        let proofs_per_second = if seconds > 0.0 { proved as f64 / seconds } else { 0.0 };
        Self {
            items: items.len(),
            proved,
            skipped: count(Status::Skipped),
            failed: count(Status::Failed),
            clamped: items.iter().map(|item| item.clamped).sum(),
            seconds,
            proofs_per_second,
        }
    }
}

impl Summary {
    /// The bytes of [`SUMMARY`].
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }
}
