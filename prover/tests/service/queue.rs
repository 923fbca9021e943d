//! The queue as a service shows it.

use crate::{
    client::get,
    document::{document, fits},
    Running,
};
use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    time::Duration,
};
use zkonnx_prover::{
    jobs::{
        sql::{Access, Database, Dialect, SqlStore, Work},
        sqlite::Sqlite,
        BlobId, Claim, FailureKind, JobResult, JobStore, ModelRef, NewJob, Requirements, SqliteStore, StoreError,
        UnixMillis, WorkerReport,
    },
    service::Config,
};
use zkonnx_verifier::{
    metering::Metering,
    statement::{Context, ModelId, StatementDigest},
};

const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{1b}[2J\u{202e}.npy";

fn job(id: u8) -> NewJob {
    NewJob {
        context: Context { job_id: [id; 32], ..Context::default() },
        model: ModelRef { blob: BlobId([1; 32]), hidden: vec!["x".into()] },
        requirements: Requirements { format: 1, suite: 1, k: 8, memory: 1000 },
        input: BlobId([id; 32]),
        strict_range: false,
        label: format!("{id}{HOSTILE}"),
        priority: 0,
        deadline: Some(UnixMillis(1)),
    }
}

/// Jobs in every state, and two workers with names of all sorts.
fn fill(store: &dyn JobStore) {
    let now = UnixMillis::now();
    let jobs: Vec<NewJob> = (1..=8).map(job).collect();
    store.submit(&jobs, now.before(Duration::from_secs(90))).unwrap();
    let claim = |limit| {
        let claim = Claim {
            worker: HOSTILE,
            format: 1,
            suite: 1,
            max_k: 16,
            memory: 1 << 30,
            loaded: &[],
            limit,
            begin: limit,
            lease: Duration::from_secs(30),
        };
        store.claim(&claim, now).unwrap()
    };
    let metering = Metering { macs: 10, weights: 1, lookups: 2, rows: 256, columns: 3, proof_bytes: 4000 };
    for leased in claim(2) {
        let result = JobResult {
            model_id: ModelId([7; 32]),
            statement: StatementDigest([8; 32]),
            receipt: BlobId([9; 32]),
            metering,
            milliseconds: 500,
        };
        store.complete(&[(leased.lease, result)], now).unwrap();
    }
    store.fail(&claim(1)[0].lease, FailureKind::Deterministic, HOSTILE, now).unwrap();
    for _ in 0..3 {
        store.fail(&claim(1)[0].lease, FailureKind::Transient, "again", now).unwrap();
    }
    let held = claim(1)[0].lease;
    let last = store.list(&zkonnx_prover::jobs::Filter { limit: 1, ..Default::default() }).unwrap()[0].number;
    store.cancel(&[last], now).unwrap();
    let report = WorkerReport {
        name: HOSTILE.into(),
        started: now.before(Duration::from_secs(100)),
        memory: u64::MAX / 4,
        concurrency: 2,
        done: 2,
        failed: 4,
    };
    store.heartbeat(&report, &[held], now.after(Duration::from_secs(30)), now).unwrap();
    let gone = WorkerReport { name: "gone".into(), ..report };
    store.heartbeat(&gone, &[], now, now.before(Duration::from_secs(60))).unwrap();
}

fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Every metric has its line in a document.
#[track_caller]
pub(crate) fn described(metrics: &str, document: &str) {
    let names: Vec<&str> = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(!names.is_empty(), "{metrics}");
    for name in names {
        assert!(document.contains(&format!("`{name}")), "{name} is not described");
    }
}

#[test]
fn a_queue_is_shown_as_page_json_and_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("jobs.db")).unwrap();
    fill(&store);
    let service = Running::new(Config { store: Some(Arc::new(store)), ..Config::default() });

    let answer = get(service.address, "/v1/queue");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let queue = answer.json();
    let document = document();
    fits(&document, &serde_json::json!({"$ref": "#/components/schemas/Queue"}), &queue).unwrap();
    let counts = ["queued", "leased", "done", "failed", "poisoned", "cancelled"].map(|s| queue["jobs"][s].as_u64());
    assert_eq!(counts, [2, 1, 2, 1, 1, 1].map(Some));
    assert_eq!((&queue["total"]["proofs"], &queue["late"]), (&2.into(), &3.into()));
    assert_eq!(queue["failures"].as_array().unwrap().len(), 2);
    let history = queue["history"].as_array().unwrap();
    assert_eq!(history.len(), 60);
    assert_eq!(history.iter().map(|step| step["proofs"].as_u64().unwrap()).sum::<u64>(), 2);

    for path in ["/", "/dashboard"] {
        let page = get(service.address, path);
        assert_eq!(page.status, 200);
        let head = page.head.to_lowercase();
        for header in ["content-security-policy: default-src 'none'", "text/html; charset=utf-8", "nosniff"] {
            assert!(head.contains(header), "no {header} in {head}");
        }
        let text = page.text();
        // The label and the reason of a failure, and the name of a worker.
        assert!(
            text.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\u{fffd}[2J\u{fffd}.npy").count() >= 3
        );
        for bad in ["<script", "javascript:", "http:", "https:", "src=", "@import", "\u{1b}", "\u{202e}"] {
            assert!(!text.contains(bad), "{bad} in {text}");
        }
        assert!(text.contains("class=\"gone\"") && text.contains("prefers-color-scheme: dark"));
        assert_eq!(text.matches("<rect ").count(), 60);
    }

    let text = get(service.address, "/metrics").text();
    for (name, value) in [
        ("zkonnx_queue_up", 1.0),
        ("zkonnx_queue_jobs{state=\"queued\"}", 2.0),
        ("zkonnx_queue_jobs{state=\"poisoned\"}", 1.0),
        ("zkonnx_queue_late_jobs", 3.0),
        ("zkonnx_queue_workers", 1.0),
        ("zkonnx_queue_proofs_total", 2.0),
        ("zkonnx_queue_proof_milliseconds_total", 1000.0),
        ("zkonnx_queue_proof_bytes_total", 8000.0),
        ("zkonnx_queue_macs_total", 20.0),
        ("zkonnx_queue_expired_leases_total", 0.0),
    ] {
        assert_eq!(metric(&text, name), Some(value), "{name} in {text}");
    }
    described(&text, include_str!("../../../verifier/docs/http.md"));
    let oldest = metric(&text, "zkonnx_queue_oldest_seconds").unwrap();
    assert!((90.0..3600.0).contains(&oldest), "{oldest}");
    assert!(text.contains("zkonnx_requests_total"), "{text}");
}

#[test]
fn without_a_store_there_is_no_queue() {
    let service = Running::new(Config::default());
    for path in ["/", "/dashboard", "/v1/queue"] {
        get(service.address, path).is_error(404, "no_queue");
    }
    let text = get(service.address, "/metrics").text();
    assert!(text.contains("zkonnx_models") && !text.contains("zkonnx_queue"), "{text}");
}

/// A database that can be cut off.
#[derive(Debug)]
struct Cut {
    database: Sqlite,
    cut: Arc<AtomicBool>,
}

impl Database for Cut {
    fn dialect(&self) -> &Dialect {
        self.database.dialect()
    }

    fn transaction(&self, access: Access, work: Work<'_>) -> Result<(), StoreError> {
        if self.cut.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("secret.example.org refuses".into()));
        }
        self.database.transaction(access, work)
    }
}

#[test]
fn a_store_that_is_away_is_said_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let cut = Arc::new(AtomicBool::new(false));
    let database = Sqlite::open(&folder.path().join("jobs.db")).unwrap();
    let store = SqlStore::new(Cut { database, cut: Arc::clone(&cut) }).unwrap();
    let service = Running::new(Config { store: Some(Arc::new(store)), ..Config::default() });
    cut.store(true, Ordering::Relaxed);
    for path in ["/", "/v1/queue"] {
        let answer = get(service.address, path);
        answer.is_error(503, "store_unavailable");
        assert!(!answer.text().contains("secret"), "{answer:?}");
    }
    let text = get(service.address, "/metrics").text();
    assert_eq!(metric(&text, "zkonnx_queue_up"), Some(0.0));
    assert!(text.contains("zkonnx_models") && !text.contains("zkonnx_queue_jobs"), "{text}");
    assert_eq!(get(service.address, "/healthz").status, 200);
    cut.store(false, Ordering::Relaxed);
    assert_eq!(get(service.address, "/v1/queue").status, 200);
}
