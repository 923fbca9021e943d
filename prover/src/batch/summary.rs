//! What became of a batch.

use super::{
    group::Group,
    keys::{Keys, KeysBySize},
};
use serde::Serialize;
use std::path::PathBuf;
use zkonnx_circuits::cost::predict;
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
    /// Of several inferences in one proof: what that saves.
    pub group: Option<GroupReport>,
    /// Sums.
    pub totals: Totals,
    /// Every item.
    pub items: Vec<Item>,
}

/// What groups save.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GroupReport {
    /// Inferences in one proof.
    pub size: usize,
    /// Predicted seconds of proving one inference alone, divided by those of an inference in a group.
    pub predicted: f64,
    /// Seconds that proving one inference alone took, on the threads of one worker; `None` when nothing was proven.
    pub single_seconds: Option<f64>,
    /// Median seconds of an inference in a full group, on the threads of one worker.
    pub grouped_seconds: Option<f64>,
    /// How many times as many inferences per second groups have proven: the quotient of these two.
    pub measured: Option<f64>,
}

impl GroupReport {
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    pub(super) fn new(keys: &KeysBySize, single: Option<f64>, items: &[Item]) -> Self {
        let size = keys.size();
        let seconds = |keys: &Keys| predict(&keys.prover.keys.compiled).seconds;
        let predicted = seconds(keys.single()) * size as f64 / seconds(keys.full());
        let mut grouped: Vec<f64> =
            items.iter().filter(|item| item.group == Some(size)).filter_map(|item| item.seconds).collect();
        grouped.sort_by(f64::total_cmp);
        let grouped = grouped.get(grouped.len() / 2).copied();
        let measured = single.zip(grouped).map(|(single, grouped)| single / grouped);
        Self { size, predicted, single_seconds: single, grouped_seconds: grouped, measured }
    }
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
    /// Items proven per second of this run.
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
    /// Seconds that its proof took, or its part of it, on the threads that it had.
    pub seconds: Option<f64>,
    /// The proof file, in the folder of proofs.
    pub proof: Option<String>,
    /// How many items the proof is of, when there are several.
    pub group: Option<usize>,
    /// Which of them this one is: its index along the first axis of inputs and outputs.
    pub member: Option<usize>,
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
            group: None,
            member: None,
            statement: None,
        }
    }

    /// The members of a group whose proof is there and verifies, with their places among the items.
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    pub(super) fn of_group<'a>(
        group: &'a Group,
        seconds: Option<f64>,
        statement: StatementDigest,
    ) -> impl Iterator<Item = (usize, Self)> + 'a {
        let size = group.members.len();
        group.members.iter().enumerate().map(move |(at, member)| {
            let item = Self {
                name: member.name.clone(),
                status: if seconds.is_some() { Status::Proved } else { Status::Skipped },
                reason: None,
                replaced: group.replaces.clone(),
                clamped: member.clamped,
                seconds: seconds.map(|seconds| seconds / size as f64),
                proof: Some(group.file_name()),
                group: (size > 1).then_some(size),
                member: (size > 1).then_some(at),
                statement: Some(statement),
            };
            (member.index, item)
        })
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
