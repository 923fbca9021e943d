//! The worker: what it proves, what it refuses, and what it leaves to others.

use crate::program::{model, params_folder, specs, Queue};
use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, Mutex,
    },
    time::Duration,
};
use tracing_subscriber::layer::SubscriberExt;
use zkonnx_circuits::cost::choose_layout;
use zkonnx_prover::{
    jobs::{
        worker::{run, Config, Tally, Until, WorkerError},
        BlobError, BlobId, BlobStore, Claim, Filter, JobInput, JobState, JobStore, LoadedModel, ModelRef, NewJob,
        Requirements, UnixMillis,
    },
    spans::{SpanTime, SpanTimer},
};
use zkonnx_quantize::{data::InputSpec, model::Gates, onnx::OnnxModel, quantize, Recipe};
use zkonnx_verifier::{statement::Context, zkv::VerifierModel};

pub(crate) fn config(name: &str) -> Config {
    Config {
        until: Until::Drained,
        concurrency: 1,
        threads: 1,
        lease: Duration::from_secs(5),
        heartbeat: Duration::from_millis(500),
        poll: Duration::from_millis(50),
        patience: Duration::from_millis(300),
        params: params_folder(),
        ..Config::new(name.into())
    }
}

pub(crate) fn work(store: &dyn JobStore, blobs: &dyn BlobStore, config: &Config) -> Result<Tally, WorkerError> {
    run((store, blobs), config, &AtomicBool::new(false), &|| panic!("abandoned"))
}

#[test]
fn bad_jobs_fail_with_their_reason_and_the_rest_is_proven() {
    let queue = Queue::new();
    let (store, blobs) = (queue.store(), queue.blobs());
    let good = |id| queue.job(id, &[0.5, -0.5, 0.0, 1.0]);
    let input = |id, bytes: &[u8]| NewJob { input: blobs.put(bytes).unwrap(), ..good(id) };
    let model_of = |id, bytes: &[u8]| {
        let blob = blobs.put(bytes).unwrap();
        NewJob { model: ModelRef { blob, hidden: Vec::new() }, ..good(id) }
    };
    let mut of_two = specs();
    of_two[0].shape = vec![2];
    let mut named = specs();
    named[0].name = "other".into();
    let mut cut = model().to_bytes();
    cut.truncate(cut.len() / 2);
    let hidden = ModelRef { hidden: vec!["z".into()], ..good(8).model };
    let damaged = queue.job(9, &[0.25; 4]);
    let cases = [
        (good(1), JobState::Done, ""),
        (input(2, &JobInput::new(&of_two, &[vec![0.0; 2]]).to_bytes()), JobState::Failed, "input 'x' has shape [4]"),
        (queue.job(3, &[0.0, f64::NAN, 0.0, 0.0]), JobState::Failed, "element 1: NaN is not finite"),
        (NewJob { strict_range: true, ..queue.job(4, &[9.0; 4]) }, JobState::Failed, "4 of 4 values lie outside"),
        (input(5, b"no input"), JobState::Failed, "input"),
        (model_of(6, &cut), JobState::Failed, "model"),
        (input(7, &JobInput::new(&named, &[vec![0.0; 4]]).to_bytes()), JobState::Failed, "'other' is no input"),
        (NewJob { model: hidden, ..good(8) }, JobState::Failed, "'z' is no input or output"),
        (damaged.clone(), JobState::Failed, "is damaged"),
        (NewJob { input: BlobId([9; 32]), ..good(10) }, JobState::Poisoned, "there is no artefact 0909"),
        (NewJob { context: Context { not_after: 1, ..good(11).context }, ..good(11) }, JobState::Failed, "expired"),
        (queue.job(12, &[9.0; 4]), JobState::Done, ""),
        (input(13, &JobInput::new(&specs(), &[vec![0.0; 8]]).to_bytes()), JobState::Failed, "shape"),
    ];
    std::fs::write(blobs.path_of(damaged.input), "damaged").unwrap();
    let jobs: Vec<NewJob> = cases.iter().map(|(job, ..)| job.clone()).collect();
    store.submit(&jobs, UnixMillis::now()).unwrap();
    let tally = work(&store, &blobs, &config("one")).unwrap();
    assert_eq!((tally.done, tally.late, tally.released), (2, 0, 0));
    for (job, (_, state, reason)) in queue.jobs().iter().zip(cases) {
        assert_eq!(job.state, state, "{job:#?}");
        assert!(job.reason.as_deref().unwrap_or_default().contains(reason), "'{reason}' in {job:#?}");
        let attempts = match state {
            JobState::Done => 0,
            JobState::Poisoned => 3,
            _ => 1,
        };
        assert_eq!(job.attempts, attempts, "{job:#?}");
    }
}

#[test]
fn a_worker_leaves_what_does_not_fit_its_memory() {
    let queue = Queue::new();
    let (store, blobs) = (queue.store(), queue.blobs());
    queue.submit(&store, 2);
    let big = queue.job(3, &[0.0; 4]);
    let memory = big.requirements.memory;
    let requirements = Requirements { memory: memory + 1, ..big.requirements };
    store.submit(&[NewJob { requirements, ..big }], UnixMillis::now()).unwrap();
    let tally = work(&store, &blobs, &Config { memory: memory - 1, ..config("small") }).unwrap();
    assert_eq!(tally, Tally::default());
    let tally = work(&store, &blobs, &Config { memory, concurrency: 2, ..config("large") }).unwrap();
    assert_eq!((tally.done, tally.failed), (2, 0));
    assert_eq!(store.stats(0, UnixMillis::now()).unwrap().jobs.queued, 1);
}

#[test]
fn a_job_that_hides_what_it_takes_is_refused_by_the_worker() {
    let queue = Queue::new();
    let (store, blobs) = (queue.store(), queue.blobs());
    let job = queue.job(1, &[0.0; 4]);
    let memory = job.requirements.memory;
    let requirements = Requirements { memory: 1, ..job.requirements };
    store.submit(&[NewJob { requirements, ..job }], UnixMillis::now()).unwrap();
    work(&store, &blobs, &Config { memory: memory - 1, ..config("one") }).unwrap();
    let job = queue.jobs().pop().unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert!(job.reason.unwrap().contains("bytes of memory"));
}

/// The same for jobs: it is the job's fault, and the message names the element.
#[test]
fn ids_beyond_their_table_are_no_input_of_a_job() {
    let onnx = format!("{}/../tests/variants/transformers/sentence.onnx", env!("CARGO_MANIFEST_DIR"));
    let onnx = OnnxModel::from_path(onnx.as_ref(), &BTreeMap::new()).unwrap();
    let graph = quantize(&onnx, None, &Recipe::of_bits(8)).unwrap().0.graph;
    let specs: Vec<InputSpec> = graph.inputs.iter().map(InputSpec::from).collect();
    let of = |last: f64| JobInput::new(&specs, &[vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, last], vec![1.0; 8]]);
    assert_eq!(of(23.0).quantise(&graph, false).unwrap().1, 0);
    let error = of(24.0).quantise(&graph, false).unwrap_err();
    assert!(error.to_string().contains("input 'input_ids', element 7: 24 lies outside of 0 to 23"), "{error}");
}

#[test]
fn a_worker_commits_the_weights_of_a_model_once_and_checks_what_it_kept() {
    let queue = Queue::new();
    let (blobs, params) = (queue.blobs(), queue.path("params"));
    let onnx = format!("{}/../tests/cli/regressor.onnx", env!("CARGO_MANIFEST_DIR"));
    let onnx = OnnxModel::from_path(onnx.as_ref(), &BTreeMap::new()).unwrap();
    let mut model = quantize(&onnx, None, &Recipe::of_bits(8)).unwrap().0;
    let graph = Arc::new(model.graph.clone());
    model.layout = choose_layout(&graph, Gates::Relations, Some(7), None).unwrap().0;
    let reference = ModelRef { blob: blobs.put(&model.to_bytes()).unwrap(), hidden: Vec::new() };
    let kept = params.join(format!("{}.zkv", reference.blob));
    // What is loaded, and whether weights were committed.
    let load = || {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&spans);
        let timer = SpanTimer::new(move |span: SpanTime| seen.lock().unwrap().push(span.name()));
        let subscriber = tracing_subscriber::registry().with(timer);
        let loaded =
            tracing::subscriber::with_default(subscriber, || LoadedModel::load(&reference, &blobs, &params).unwrap());
        let committed = spans.lock().unwrap().contains(&"commit parameters");
        (loaded, committed)
    };
    let (first, committed) = load();
    assert!(committed && !first.prover.columns.points.is_empty());
    assert_eq!(std::fs::read(&kept).unwrap(), first.prover.zkv);
    let (second, committed) = load();
    assert!(!committed);
    assert_eq!(second.prover.zkv, first.prover.zkv);
    // Points of other weights, and no points at all.
    let mut changed = VerifierModel::from_bytes(&first.prover.zkv).unwrap();
    changed.commitments[0] = [0; 32];
    for bad in [changed.to_bytes(), b"damaged".to_vec()] {
        std::fs::write(&kept, bad).unwrap();
        let (third, committed) = load();
        assert!(committed);
        assert_eq!(third.prover.zkv, first.prover.zkv);
        assert_eq!(std::fs::read(&kept).unwrap(), first.prover.zkv, "written anew");
    }
}

/// Does something when the first receipt is kept.
#[derive(Debug)]
struct Hooked<'a, F> {
    blobs: &'a dyn BlobStore,
    hook: Mutex<Option<F>>,
}

impl<F> Hooked<'_, F> {
    fn new(blobs: &dyn BlobStore, hook: F) -> Hooked<'_, F> {
        Hooked { blobs, hook: Mutex::new(Some(hook)) }
    }
}

#[derive(Clone, Copy)]
struct Opaque<F>(F);

impl<F> std::fmt::Debug for Opaque<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hook")
    }
}

impl<F: FnOnce() + Send> BlobStore for Hooked<'_, Opaque<F>> {
    fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError> {
        if let Some(hook) = self.hook.lock().unwrap().take() {
            (hook.0)();
        }
        self.blobs.put(bytes)
    }

    fn get(&self, id: BlobId) -> Result<Vec<u8>, BlobError> {
        self.blobs.get(id)
    }
}

#[test]
fn a_slow_worker_is_told_and_its_proof_is_not_recorded() {
    let queue = Queue::new();
    let (store, blobs) = (queue.store(), queue.blobs());
    queue.submit(&store, 1);
    // Its lease expires while it proves, and another one is faster.
    let (other, quick) = (queue.store(), config("quick"));
    let hook = Opaque(|| {
        other.expire(UnixMillis::now().after(Duration::from_secs(3600))).unwrap();
        assert_eq!(work(&other, &queue.blobs(), &quick).unwrap().done, 1);
    });
    let slow = Hooked::new(&blobs, hook);
    // One that claims ahead might take the same job again before the other does.
    let config = Config { until: Until::Once, ..config("slow") };
    let tally = work(&store, &slow, &config).unwrap();
    assert_eq!((tally.done, tally.late), (0, 1));
    let results = store.results(&Filter::default()).unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].worker, "quick");
    queue.assert_all_done(1);
}

#[test]
fn a_cancelled_job_is_not_recorded() {
    let queue = Queue::new();
    let (store, blobs) = (queue.store(), queue.blobs());
    queue.submit(&store, 1);
    let number = queue.jobs()[0].number;
    let hook = Opaque(|| assert_eq!(queue.store().cancel(&[number], UnixMillis::now()).unwrap(), [number]));
    let tally = work(&store, &Hooked::new(&blobs, hook), &config("one")).unwrap();
    assert_eq!((tally.done, tally.late), (0, 1));
    assert_eq!(queue.jobs()[0].state, JobState::Cancelled);
    assert!(store.results(&Filter::default()).unwrap().is_empty());
}

#[test]
fn a_worker_that_is_told_to_stop_finishes_what_it_proves_and_gives_back_the_rest() {
    let queue = Queue::new();
    let (store, blobs) = (queue.store(), queue.blobs());
    queue.submit(&store, 40);
    let stop = AtomicBool::new(false);
    let hook = Opaque(|| stop.store(true, Ordering::Relaxed));
    let config = Config { until: Until::Stopped, ..config("one") };
    let tally = run((&store, &Hooked::new(&blobs, hook)), &config, &stop, &|| panic!("abandoned")).unwrap();
    assert!(tally.done >= 1 && tally.failed == 0 && tally.late == 0, "{tally:?}");
    let counts = store.stats(0, UnixMillis::now()).unwrap().jobs;
    assert_eq!((counts.done, counts.leased, counts.queued), (tally.done, 0, 40 - tally.done));
    assert!(counts.queued > 0);
    assert!(queue.jobs().iter().all(|job| job.attempts == 0 && job.expirations == 0));
}

#[test]
fn workers_of_one_process_share_the_jobs() {
    let queue = Queue::new();
    queue.submit(&queue.store(), 12);
    let tallies = std::thread::scope(|scope| {
        let one = |name: &'static str| {
            let queue = &queue;
            scope.spawn(move || {
                let config = Config { concurrency: 2, ..config(name) };
                work(&queue.store(), &queue.blobs(), &config).unwrap()
            })
        };
        [one("one"), one("two")].map(|thread| thread.join().unwrap())
    });
    assert_eq!(tallies.map(|tally| tally.done).iter().sum::<u64>(), 12);
    queue.assert_all_done(12);
    let store = queue.store();
    let stats = store.stats(0, UnixMillis::now()).unwrap();
    assert_eq!(stats.workers.iter().map(|worker| worker.done).sum::<u64>(), 12);
    let claim = Claim { memory: 1 << 60, ..crate::CLAIM };
    assert!(store.claim(&claim, UnixMillis::now()).unwrap().is_empty());
}
