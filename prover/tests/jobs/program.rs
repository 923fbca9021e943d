//! The command line, a small model, and a queue of their own for every test.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;
use zkonnx_circuits::cost::choose_layout;
use zkonnx_prover::{
    jobs::{
        blob::Directory, prove_job::requirements, BlobStore, Job, JobInput, JobState, JobStore, ModelRef, NewJob,
        SqliteStore, Submission, UnixMillis,
    },
    keys::ProverModel,
    params_cache,
};
use zkonnx_quantize::{
    data::InputSpec,
    model::{Gates, QuantizedModel},
    onnx::{build::ModelBuilder, graph::FloatOp, ops::elementwise::Unary},
    quantize, Recipe,
};
use zkonnx_verifier::{receipt::Receipt, registry::Registry, statement::Context};

/// Shared by all tests and kept between runs: parameters are the same for everyone.
pub(crate) fn params_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("params")
}

/// `relu` of four values between -2 and 2.
pub(crate) fn model() -> &'static QuantizedModel {
    static MODEL: OnceLock<QuantizedModel> = OnceLock::new();
    MODEL.get_or_init(|| {
        let mut builder = ModelBuilder::default();
        let x = builder.input("x", &[4], false);
        let y = builder.add("y", FloatOp::Unary(Unary::Relu), &[x]).unwrap();
        let recipe = Recipe { input_range: Some((-2.0, 2.0)), ..Recipe::of_bits(6) };
        let (mut model, _) = quantize(&builder.finish(&[("y", y)]), None, &recipe).unwrap();
        model.layout =
            choose_layout(&std::sync::Arc::new(model.graph.clone()), Gates::Relations, Some(7), None).unwrap().0;
        model
    })
}

/// The model's `model.zkv`.
fn zkv() -> &'static [u8] {
    static ZKV: OnceLock<Vec<u8>> = OnceLock::new();
    ZKV.get_or_init(|| {
        let model = model().clone();
        let modes = zkonnx_circuits::lower::Modes::public(&model.graph);
        let (params, _) = params_cache::load(&params_folder(), model.layout.k.into()).unwrap();
        ProverModel::new(model, modes, params.into()).unwrap().zkv
    })
}

pub(crate) fn specs() -> Vec<InputSpec> {
    model().graph.inputs.iter().map(InputSpec::from).collect()
}

/// A folder with a queue, a model and inputs.
pub(crate) struct Queue {
    pub(crate) folder: TempDir,
}

impl Queue {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m.zkq"), model().to_bytes()).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.path("jobs.db")).unwrap()
    }

    pub(crate) fn blobs(&self) -> Directory {
        Directory::new(&self.path("jobs.db.blobs"))
    }

    /// Lines of inputs, each another.
    pub(crate) fn lines(&self, name: &str, count: usize) -> PathBuf {
        self.lines_from(name, 0, count)
    }

    /// The same, from a number on: others have other inputs.
    pub(crate) fn lines_from(&self, name: &str, first: usize, count: usize) -> PathBuf {
        let line = |at: usize| {
            #[allow(clippy::cast_precision_loss)] // small
            let value = at as f64 / 1000.0;
            format!("{{\"x\": [{value}, -1.0, 0.5, {}]}}\n", -value)
        };
        let path = self.path(name);
        std::fs::write(&path, (first..first + count).map(line).collect::<String>()).unwrap();
        path
    }

    /// A job of the model in the domain 1, with its artefacts.
    pub(crate) fn job(&self, id: u8, values: &[f64]) -> NewJob {
        let blobs = self.blobs();
        let model_blob = blobs.put(&model().to_bytes()).unwrap();
        let input = JobInput::new(&specs(), &[values.to_vec()]).to_bytes();
        NewJob {
            context: Context { domain: [1; 32], job_id: [id; 32], ..Context::default() },
            model: ModelRef { blob: model_blob, hidden: Vec::new() },
            requirements: requirements(model(), &[]).unwrap(),
            input: blobs.put(&input).unwrap(),
            strict_range: false,
            label: format!("job {id}"),
            priority: 0,
            deadline: None,
        }
    }

    /// Queues so many good jobs.
    pub(crate) fn submit(&self, store: &dyn JobStore, count: u8) {
        let jobs: Vec<NewJob> = (1..=count).map(|id| self.job(id, &[f64::from(id) / 200.0, -1.0, 0.0, 2.0])).collect();
        let answers = store.submit(&jobs, UnixMillis::now()).unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Submission::New(_))));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zkonnx"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("ZKONNX_PARAMS", params_folder())
            .env_remove("ZKONNX_STORE")
            .env_remove("ZKONNX_BLOBS")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::new(self.command(arguments).output().unwrap())
    }

    /// A worker that ends when there is nothing left, with short leases.
    pub(crate) fn drain(&self) -> Command {
        self.command(&["worker", "--drain", "--lease", "1.5", "--poll", "0.1", "--threads", "1", "--json"])
    }

    /// All jobs, the first submitted first.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        let filter = zkonnx_prover::jobs::Filter { limit: 100_000, ..Default::default() };
        let mut jobs = self.store().list(&filter).unwrap();
        jobs.reverse();
        jobs
    }

    /// Every job has ended as done, with one result, whose receipt is whole and verifies.
    pub(crate) fn assert_all_done(&self, count: usize) {
        let jobs = self.jobs();
        assert_eq!(jobs.len(), count);
        for job in &jobs {
            assert_eq!(job.state, JobState::Done, "{job:#?}");
        }
        let filter = zkonnx_prover::jobs::Filter { limit: 100_000, ..Default::default() };
        let results = self.store().results(&filter).unwrap();
        assert_eq!(results.len(), count);
        let mut registry = Registry::new();
        registry.insert_params(params_cache::load(&params_folder(), model().layout.k.into()).unwrap().0.into());
        let handle = registry.register(zkv()).unwrap();
        for result in &results {
            let receipt = Receipt::from_bytes(&self.blobs().get(result.receipt).unwrap()).unwrap();
            let verified = receipt.verify(&handle, None).unwrap();
            assert_eq!(verified.statement_digest(), result.statement);
            assert_eq!((verified.context().domain, verified.context().job_id), (result.domain, result.job_id));
            assert_eq!(receipt.metering, result.metering);
        }
        self.assert_whole();
    }

    /// No artefact that can be seen is half-written.
    pub(crate) fn assert_whole(&self) {
        for folder in std::fs::read_dir(self.path("jobs.db.blobs")).into_iter().flatten() {
            let folder = folder.unwrap();
            if folder.file_name() == "tmp" {
                continue;
            }
            for file in std::fs::read_dir(folder.path()).unwrap() {
                let file = file.unwrap();
                let name = format!("{}{}", folder.file_name().to_str().unwrap(), file.file_name().to_str().unwrap());
                let id = zkonnx_prover::jobs::BlobId::try_from(name).unwrap();
                self.blobs().get(id).unwrap();
            }
        }
    }
}

/// How a program has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn of(child: Child) -> Self {
        Self::new(child.wait_with_output().unwrap())
    }

    /// Exit code 0; gives standard output.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    /// The JSON on standard output, with this exit code.
    #[track_caller]
    pub(crate) fn json(self, code: i32) -> serde_json::Value {
        assert_eq!(self.code, Some(code), "{self:#?}");
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    /// Exit code 2, an error of one line with all of these.
    #[track_caller]
    pub(crate) fn refused(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:#?}");
        let error = self.err.lines().last().unwrap_or_default();
        assert!(error.starts_with("error: ") && parts.iter().all(|part| error.contains(part)), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
    }
}
