//! Artefacts in object storage: a server that speaks S3 and checks signatures.

use crate::program::{Ended, Queue};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use std::{net::SocketAddr, path::Path, process::Command};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};
use zkonnx_prover::jobs::{
    blob::{Objects, MAX_BLOB},
    BlobError, BlobId, BlobStore, JobState,
};

const KEY: &str = "operator";
const SECRET: &str = "a secret of the tests";

/// A server with the bucket `proofs`, until it is dropped.
struct Storage {
    folder: TempDir,
    address: SocketAddr,
    server: Option<Runtime>,
}

impl Storage {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("proofs")).unwrap();
        let mut this = Self { folder, address: SocketAddr::from(([127, 0, 0, 1], 0)), server: None };
        this.up();
        this
    }

    /// Listens, where it was before if it was somewhere.
    fn up(&mut self) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(self.folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let listener = runtime.block_on(TcpListener::bind(self.address)).unwrap();
        self.address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let http = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
            while let Ok((socket, _)) = listener.accept().await {
                let (http, service) = (http.clone(), service.clone());
                tokio::spawn(async move {
                    let io = hyper_util::rt::TokioIo::new(socket);
                    // Clients may go when they like.
                    let _ = http.serve_connection(io, service).await;
                });
            }
        });
        self.server = Some(runtime);
    }

    fn down(&mut self) {
        self.server.take().unwrap().shutdown_background();
    }

    fn variables(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.address);
        [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "here"),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_ALLOW_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    fn open(&self, address: &str) -> Objects {
        Objects::s3(address, self.variables()).unwrap()
    }

    /// A command with this storage's artefacts.
    fn command(&self, queue: &Queue, arguments: &[&str]) -> Command {
        let mut command = queue.command(arguments);
        command.env("ZKONNX_BLOBS", "s3://proofs/zkonnx").envs(self.variables());
        command
    }

    fn run(&self, queue: &Queue, arguments: &[&str]) -> Ended {
        Ended::new(self.command(queue, arguments).output().unwrap())
    }

    fn file(&self, prefix: &str, id: BlobId) -> std::path::PathBuf {
        let name = id.to_string();
        self.folder.path().join("proofs").join(Path::new(prefix)).join(&name[..2]).join(&name[2..])
    }
}

#[test]
fn keeps_what_it_is_given() {
    let storage = Storage::start();
    for prefix in ["", "a/b"] {
        let blobs = storage.open(&format!("s3://proofs/{prefix}"));
        assert!(matches!(blobs.get(BlobId::of(b"x")), Err(BlobError::Missing(_))));
        for bytes in [b"".as_slice(), b"x", &[7; 300_000]] {
            let id = blobs.put(bytes).unwrap();
            assert_eq!(blobs.get(id).unwrap(), bytes);
            assert_eq!(blobs.put(bytes).unwrap(), id);
            assert_eq!(std::fs::read(storage.file(prefix, id)).unwrap(), bytes);
        }
        let id = blobs.put(b"what was meant").unwrap();
        std::fs::write(storage.file(prefix, id), "what was bent").unwrap();
        assert!(matches!(blobs.get(id), Err(BlobError::Damaged { expected, .. }) if expected == id));
        std::fs::File::create(storage.file(prefix, id)).unwrap().set_len(MAX_BLOB as u64 + 1).unwrap();
        assert!(matches!(blobs.get(id), Err(BlobError::TooLong { .. })));
        blobs.put(b"what was meant").unwrap();
        assert_eq!(blobs.get(id).unwrap(), b"what was meant");
    }
}

#[test]
fn a_storage_that_says_no_is_told_without_secrets() {
    let storage = Storage::start();
    let mut variables = storage.variables();
    variables[1].1 = "another secret".into();
    let wrong = Objects::s3("s3://proofs", variables).unwrap();
    for error in [wrong.put(b"x").unwrap_err(), wrong.get(BlobId::of(b"x")).unwrap_err()] {
        assert!(matches!(error, BlobError::Storage(_)), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn from_inputs_to_receipts() {
    let storage = Storage::start();
    let queue = Queue::new();
    let lines = queue.lines("x.jsonl", 4);
    storage.run(&queue, &["submit", "m.zkq", "--inputs", lines.to_str().unwrap()]).done();
    let worker = ["worker", "--drain", "--poll", "0.1", "--threads", "1"];
    storage.run(&queue, &worker).done();
    assert!(queue.jobs().iter().all(|job| job.state == JobState::Done), "{:#?}", queue.jobs());
    storage.run(&queue, &["receipts", "-o", "receipts"]).done();
    assert_eq!(std::fs::read_dir(queue.path("receipts")).unwrap().count(), 4);
    assert!(!queue.path("jobs.db.blobs").exists(), "artefacts are in the storage alone");
}

#[test]
fn a_storage_that_is_away_is_waited_for() {
    let mut storage = Storage::start();
    let queue = Queue::new();
    let lines = queue.lines("x.jsonl", 6);
    storage.run(&queue, &["submit", "m.zkq", "--inputs", lines.to_str().unwrap()]).done();
    storage.down();
    let worker = ["worker", "--drain", "--poll", "0.1", "--threads", "1", "--lease", "5"];
    let patient = storage.command(&queue, &worker).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(queue.jobs().iter().all(|job| job.state != JobState::Done));
    storage.up();
    Ended::of(patient).done();
    for job in queue.jobs() {
        assert_eq!((job.state, job.attempts), (JobState::Done, 0), "{job:#?}");
    }
}
