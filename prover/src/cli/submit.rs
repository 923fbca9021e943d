//! `zkonnx submit`.

use super::{context, files, store::Place, Failure, Outcome};
use crate::{
    batch::Source,
    jobs::{
        prove_job::requirements, BlobId, BlobStore, JobInput, JobNumber, JobState, ModelRef, NewJob, Requirements,
        Submission, UnixMillis,
    },
};
use blake2b_simd::Params as Blake2b;
use clap::Args;
use std::{path::PathBuf, time::Duration};
use zkonnx_quantize::data::InputSpec;
use zkonnx_verifier::{json::to_hex, statement::Context};

/// Jobs that are queued in one transaction.
const CHUNK: usize = 256;
/// Inputs that are written at once: what takes time is the disk.
const WRITERS: usize = 8;

#[derive(Debug, Args)]
pub(super) struct Submit {
    /// The quantised model
    model: PathBuf,
    /// As for `batch`: a folder, a .jsonl file, or a file with many samples; every one is a job
    #[arg(long, value_name = "DIR|FILE")]
    inputs: PathBuf,
    /// What the contexts of all jobs have in common, as `prove` takes it; the job id of each is derived from this one's, the model, its
    /// name and its input (unless hidden), unless its line has one. The same job again is the same job
    #[arg(long)]
    context: Option<PathBuf>,
    /// Say nothing about this input or output in the statement (may be given several times)
    #[arg(long, value_name = "NAME")]
    hide: Vec<String>,
    /// Refuse inputs outside of the declared range instead of clamping them
    #[arg(long)]
    strict_range: bool,
    /// Larger goes first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// Seconds from now; among equal priorities the earliest goes first
    #[arg(long, value_name = "SECONDS")]
    deadline: Option<u32>,
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What became of an input.
#[derive(Debug, serde::Serialize)]
struct Answer {
    input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    /// `new`, `known`, `conflict` or `refused`.
    status: &'static str,
    /// Where a known job stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<JobState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What the jobs have in common.
struct Common<'a> {
    base: Context,
    model: ModelRef,
    requirements: Requirements,
    specs: Vec<InputSpec>,
    /// Whether the statement shows all inputs.
    shows_inputs: bool,
    deadline: Option<UnixMillis>,
    source: &'a Source,
    blobs: &'a dyn BlobStore,
}

impl Submit {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let bytes = files::read(&self.model)?;
        let model = files::read_model(&self.model)?;
        let base = context::read(self.context.as_deref())?;
        let now = UnixMillis::now();
        if base.not_after != 0 && base.not_after < now.seconds() {
            return Err(Failure::new("the context has expired already: nobody would accept the proofs"));
        }
        let mut hidden = self.hide.clone();
        hidden.sort();
        hidden.dedup();
        let requirements = requirements(&model, &hidden).map_err(|e| Failure::at(&self.model, e))?;
        let specs = files::input_specs(&model.graph);
        let source = Source::open(&self.inputs, specs.clone()).map_err(Failure::new)?;
        let (store, blobs) = (self.place.open()?, self.place.blobs()?);
        let blob = blobs.put(&bytes).map_err(Failure::new)?;
        let common = Common {
            base,
            shows_inputs: specs.iter().all(|spec| !hidden.contains(&spec.name)),
            model: ModelRef { blob, hidden },
            requirements,
            specs,
            deadline: self.deadline.map(|seconds| now.after(Duration::from_secs(seconds.into()))),
            source: &source,
            blobs: &*blobs,
        };
        let mut answers = Vec::with_capacity(source.len());
        for chunk in (0..source.len()).collect::<Vec<_>>().chunks(CHUNK) {
            let jobs = self.prepare(&common, chunk)?;
            let new: Vec<NewJob> = jobs.iter().filter_map(|job| job.as_ref().ok()).cloned().collect();
            let submitted = store.submit(&new, UnixMillis::now()).map_err(Failure::new)?;
            let mut submitted = new.iter().zip(submitted);
            for (index, job) in chunk.iter().zip(&jobs) {
                let answer = match job {
                    Err(reason) => Answer::refused(source.name(*index), reason),
                    Ok(_) => submitted.next().map_or_else(
                        || Answer::refused(source.name(*index), "the store gave no answer"),
                        |(job, answer)| Answer::new(job, answer),
                    ),
                };
                if let Some(reason) = answer.reason.as_ref().filter(|_| !self.json) {
                    say!("FAILED: {}: {reason}", answer.input);
                }
                answers.push(answer);
            }
        }
        Ok(self.report(&answers))
    }

    /// The jobs of some inputs, with the inputs kept; or why there is none.
    fn prepare(&self, common: &Common<'_>, chunk: &[usize]) -> Result<Vec<Result<NewJob, String>>, Failure> {
        let part = chunk.len().div_ceil(WRITERS).max(1);
        std::thread::scope(|scope| {
            let one = |index: &usize| self.job(common, *index);
            let threads: Vec<_> = chunk
                .chunks(part)
                .map(|part| scope.spawn(move || part.iter().map(one).collect::<Result<Vec<_>, Failure>>()))
                .collect();
            let mut jobs = Vec::new();
            for thread in threads {
                jobs.extend(thread.join().map_err(|_| Failure::new("a thread that reads inputs panicked"))??);
            }
            Ok(jobs)
        })
    }

    fn job(&self, common: &Common<'_>, index: usize) -> Result<Result<NewJob, String>, Failure> {
        let name = common.source.name(index);
        let loaded = match common.source.load(index) {
            Ok(loaded) => loaded,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let input = JobInput::new(&common.specs, &loaded.values).to_bytes();
        let job_id = job_id(common, name, BlobId::of(&input));
        let mut context = Context { job_id, ..common.base };
        if let (Some(own), serde_json::Value::Object(mut fields)) = (loaded.context, serde_json::json!(context)) {
            fields.extend(own);
            match Context::from_json(serde_json::Value::Object(fields).to_string().as_bytes()) {
                Ok(own) => context = own,
                Err(error) => return Ok(Err(format!("context: {error}"))),
            }
        }
        let input = common.blobs.put(&input).map_err(Failure::new)?;
        Ok(Ok(NewJob {
            context,
            model: common.model.clone(),
            requirements: common.requirements,
            input,
            strict_range: self.strict_range,
            label: name.to_owned(),
            priority: self.priority,
            deadline: common.deadline,
        }))
    }

    fn report(&self, answers: &[Answer]) -> Outcome {
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        let (new, known, refused) = (count("new"), count("known"), count("refused") + count("conflict"));
        if self.json {
            say!("{}", serde_json::json!({ "new": new, "known": known, "refused": refused, "jobs": answers }));
        } else {
            say!("{new} jobs queued, {known} known before, {refused} refused");
        }
        if refused == 0 {
            Outcome::Done
        } else {
            Outcome::Rejected
        }
    }
}

impl Answer {
    fn refused(input: &str, reason: impl std::fmt::Display) -> Self {
        let (input, reason) = (input.to_owned(), Some(reason.to_string()));
        Self { input, job: None, job_id: None, status: "refused", state: None, reason }
    }

    fn new(job: &NewJob, submission: Submission) -> Self {
        let (number, status, state, reason) = match submission {
            Submission::New(number) => (number, "new", None, None),
            Submission::Known(number, state) => (number, "known", Some(state), None),
            Submission::Conflict(number) => {
                let reason = format!("job {number} has its domain and job id, and is another");
                (number, "conflict", None, Some(reason))
            }
        };
        let (input, job_id) = (job.label.clone(), Some(to_hex(&job.context.job_id)));
        Self { input, job: Some(number), job_id, status, state, reason }
    }
}

/// The job id of an input that has none: it is the same whenever the same is submitted.
///
/// Of the input it depends only where the statement shows all inputs: a digest would tell what is hidden.
fn job_id(common: &Common<'_>, name: &str, input: BlobId) -> [u8; 32] {
    let mut state = Blake2b::new().hash_length(32).personal(b"zkonnx.queue.job").to_state();
    state.update(&common.base.job_id).update(&common.model.blob.0);
    for hidden in &common.model.hidden {
        state.update(&u64::try_from(hidden.len()).unwrap_or(u64::MAX).to_le_bytes()).update(hidden.as_bytes());
    }
    state.update(&[u8::from(common.shows_inputs)]);
    if common.shows_inputs {
        state.update(&input.0);
    }
    state.update(name.as_bytes());
    let mut id = [0; 32];
    id.copy_from_slice(state.finalize().as_bytes());
    id
}
