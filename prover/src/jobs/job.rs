//! What a job is, and what becomes of it.

use super::{blob::BlobId, time::UnixMillis};
use blake2b_simd::Params as Blake2b;
use serde::{Deserialize, Serialize};
use std::fmt;
use zkonnx_verifier::{
    json::to_hex,
    metering::Metering,
    replay::JobKey,
    statement::{Context, ModelId, StatementDigest},
};

/// A job's number in its store, in the order of submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobNumber(pub i64);

impl fmt::Display for JobNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for a worker.
    Queued,
    /// A worker has it.
    Leased,
    /// Proven, verified and recorded.
    Done,
    /// Cannot be proven, for a reason that another attempt would meet again.
    Failed,
    /// Given up after too many attempts.
    Poisoned,
    /// Nobody wants it any more.
    Cancelled,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 6] = [Self::Queued, Self::Leased, Self::Done, Self::Failed, Self::Poisoned, Self::Cancelled];

    /// Its name, as stored and printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Poisoned => "poisoned",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a worker loads to prove a job: a `model.zkq`, and which of its inputs and outputs stay hidden.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelRef {
    /// The bytes of the `model.zkq`.
    pub blob: BlobId,
    /// Names of hidden inputs and outputs, sorted.
    pub hidden: Vec<String>,
}

/// What a worker must be capable of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    /// Version of statement, proof and model formats.
    pub format: u16,
    /// Proof system and transcript.
    pub suite: u16,
    /// Rows are `2^k`.
    pub k: u8,
    /// Predicted peak bytes of proving.
    pub memory: u64,
}

/// A job to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The statement's context; domain and job id are the key.
    pub context: Context,
    /// The model.
    pub model: ModelRef,
    /// What it takes.
    pub requirements: Requirements,
    /// The input, as [`super::JobStore`]'s users encode it.
    pub input: BlobId,
    /// Whether inputs outside of the declared range are refused, not clamped.
    pub strict_range: bool,
    /// For people: the file, and the sample in it.
    pub label: String,
    /// Larger goes first.
    pub priority: i32,
    /// Among equal priorities, earlier goes first. A job whose deadline has passed is still proven.
    pub deadline: Option<UnixMillis>,
}

impl NewJob {
    /// What the job is known by.
    #[must_use]
    pub fn key(&self) -> JobKey {
        JobKey::of(&self.context)
    }

    /// Digest of everything that the proof depends on: jobs with one key and one payload are one job.
    #[must_use]
    pub fn payload(&self) -> [u8; 32] {
        let mut state = Blake2b::new().hash_length(32).personal(b"zkonnx.job.v1___").to_state();
        let Context { domain, job_id, nonce, requester, payee, not_after } = &self.context;
        for bytes in [domain, job_id, requester, payee, &self.model.blob.0, &self.input.0] {
            state.update(bytes);
        }
        state.update(&nonce.to_le_bytes()).update(&not_after.to_le_bytes());
        state.update(&self.requirements.format.to_le_bytes()).update(&self.requirements.suite.to_le_bytes());
        state.update(&[u8::from(self.strict_range)]);
        for name in &self.model.hidden {
            state.update(&u64::try_from(name.len()).unwrap_or(u64::MAX).to_le_bytes()).update(name.as_bytes());
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(state.finalize().as_bytes());
        digest
    }
}

/// What only the holder of a lease knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub [u8; 16]);

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseToken({})", to_hex(&self.0))
    }
}

/// The right to finish a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobNumber,
    /// The token.
    pub token: LeaseToken,
    /// When the job is given to somebody else, unless a heartbeat comes first.
    pub until: UnixMillis,
    /// 1 for the first attempt.
    pub attempt: u32,
}

/// A job and the right to finish it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedJob {
    /// The right.
    pub lease: Lease,
    /// The job.
    pub job: NewJob,
}

/// What a proof leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobResult {
    /// The model's identity.
    pub model_id: ModelId,
    /// The statement that was proven.
    pub statement: StatementDigest,
    /// The receipt, in binary: it is written before the result is recorded.
    pub receipt: BlobId,
    /// What it is charged for.
    pub metering: Metering,
    /// Milliseconds of proving and verifying.
    pub milliseconds: u64,
}

/// A result as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// The job.
    pub job: JobNumber,
    /// Hexadecimal digits.
    #[serde(serialize_with = "hex")]
    pub domain: [u8; 32],
    /// Hexadecimal digits.
    #[serde(serialize_with = "hex")]
    pub job_id: [u8; 32],
    /// The job's label.
    pub label: String,
    /// The model's identity.
    pub model_id: ModelId,
    /// The statement that was proven.
    pub statement: StatementDigest,
    /// The receipt.
    pub receipt: BlobId,
    /// What it is charged for.
    pub metering: Metering,
    /// Milliseconds of proving and verifying.
    pub milliseconds: u64,
    /// Who proved it.
    pub worker: String,
    /// When it was recorded.
    pub recorded: UnixMillis,
}

/// A job as a listing shows it. Times in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Job {
    /// Its number.
    pub number: JobNumber,
    /// Hexadecimal digits.
    #[serde(serialize_with = "hex")]
    pub domain: [u8; 32],
    /// Hexadecimal digits.
    #[serde(serialize_with = "hex")]
    pub job_id: [u8; 32],
    /// For people.
    pub label: String,
    /// Where it stands.
    pub state: JobState,
    /// Larger goes first.
    pub priority: i32,
    /// When it should be done.
    pub deadline: Option<UnixMillis>,
    /// What is loaded for it.
    pub model: ModelRef,
    /// What it takes.
    #[serde(flatten)]
    pub requirements: Requirements,
    /// The input.
    pub input: BlobId,
    /// Attempts that failed.
    pub attempts: u32,
    /// Leases that expired.
    pub expirations: u32,
    /// Who has it, or had it last.
    pub worker: Option<String>,
    /// Until when it is leased.
    pub leased_until: Option<UnixMillis>,
    /// Why it failed last.
    pub reason: Option<String>,
    /// When it was queued first.
    pub submitted: UnixMillis,
    /// When it was leased last.
    pub started: Option<UnixMillis>,
    /// When it ended.
    pub finished: Option<UnixMillis>,
    /// The receipt of a job that is done.
    pub receipt: Option<BlobId>,
}

fn hex<S: serde::Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_hex(bytes))
}
