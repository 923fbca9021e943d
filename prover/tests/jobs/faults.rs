//! Disks that are full, or cannot be written.

use crate::{
    program::{Ended, Queue},
    worker::{config, work},
};
use std::{
    io::{Error, ErrorKind},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use zkonnx_prover::jobs::{
    worker::{Config, WorkerError},
    BlobError, BlobId, BlobStore, JobStore, UnixMillis,
};

/// Refuses so many writes.
#[derive(Debug)]
struct Full<'a> {
    blobs: &'a dyn BlobStore,
    refusals: AtomicUsize,
}

impl BlobStore for Full<'_> {
    fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError> {
        let refuse = self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        match refuse {
            Ok(_) => Err(BlobError::File { path: "blobs".into(), source: Error::from(ErrorKind::StorageFull) }),
            Err(_) => self.blobs.put(bytes),
        }
    }

    fn get(&self, id: BlobId) -> Result<Vec<u8>, BlobError> {
        self.blobs.get(id)
    }
}

#[test]
fn a_disk_that_stays_full_ends_the_worker_and_costs_no_attempt() {
    let queue = Queue::new();
    let (store, blobs) = (queue.store(), queue.blobs());
    queue.submit(&store, 3);
    let full = Full { blobs: &blobs, refusals: AtomicUsize::new(usize::MAX) };
    let error = work(&store, &full, &config("one")).unwrap_err();
    assert!(matches!(&error, WorkerError::Trouble { message, .. } if message.contains("receipt")), "{error}");
    let counts = store.stats(0, UnixMillis::now()).unwrap().jobs;
    assert_eq!((counts.queued, counts.leased), (3, 0));
    assert!(queue.jobs().iter().all(|job| job.attempts == 0 && job.expirations == 0));
    assert_eq!(work(&store, &blobs, &config("two")).unwrap().done, 3);
    queue.assert_all_done(3);
}

#[test]
fn a_disk_that_recovers_is_waited_for() {
    let queue = Queue::new();
    let (store, blobs) = (queue.store(), queue.blobs());
    queue.submit(&store, 3);
    let full = Full { blobs: &blobs, refusals: AtomicUsize::new(2) };
    let patient = Config { patience: Duration::from_secs(60), ..config("one") };
    let tally = work(&store, &full, &patient).unwrap();
    assert_eq!((tally.done, tally.failed, tally.released), (3, 0, 0));
    queue.assert_all_done(3);
}

/// Runs a command whose files may not grow beyond so many blocks; what a full disk looks like to a program.
#[cfg(unix)]
fn limited(queue: &Queue, blocks: u32, arguments: &[&str]) -> Ended {
    let inner = queue.command(arguments);
    let script = format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(queue.folder.path()).stdin(Stdio::null());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ended::new(command.output().unwrap())
}

#[cfg(unix)]
#[test]
fn commands_on_a_full_disk_end_with_an_error_and_can_be_run_again() {
    let queue = Queue::new();
    let lines = queue.lines("x.jsonl", 30);
    let submit = ["submit", "m.zkq", "--inputs", lines.to_str().unwrap()];
    // From nothing to what is nearly enough; the last is enough for the artefacts, and not for the database.
    for blocks in [0, 2, 16, 64] {
        limited(&queue, blocks, &submit).refused(&[]);
        queue.assert_whole();
    }
    queue.run(&submit).done();
    let worker = ["worker", "--drain", "--lease", "1.5", "--poll", "0.1", "--patience", "0.5"];
    for blocks in [0, 4, 64] {
        limited(&queue, blocks, &worker).refused(&[]);
    }
    assert!(queue.jobs().iter().all(|job| job.attempts == 0), "a full disk is no attempt");
    Ended::of(queue.drain().spawn().unwrap()).done();
    queue.assert_all_done(30);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let queue = Queue::new();
    let lines = queue.lines("x.jsonl", 1);
    let submit = ["submit", "m.zkq", "--inputs", lines.to_str().unwrap()];
    // Nobody makes files here, root neither.
    queue.run(&[&submit[..], &["--store", "/proc/jobs.db"]].concat()).refused(&["/proc/jobs.db"]);
    queue.run(&[&submit[..], &["--blobs", "/proc/blobs"]].concat()).refused(&["/proc/blobs"]);
    assert!(queue.jobs().is_empty());
    queue.run(&submit).done();
    let worker = ["worker", "--drain", "--lease", "1.5", "--poll", "0.1", "--patience", "0.3"];
    queue.run(&[&worker[..], &["--blobs", "/proc/blobs"]].concat()).done();
    // The model is not there: three attempts.
    let job = queue.jobs().pop().unwrap();
    assert_eq!(job.state, zkonnx_prover::jobs::JobState::Poisoned, "{job:#?}");
    queue.run(&["retry", "--state", "poisoned"]).done();
    Ended::of(queue.drain().spawn().unwrap()).done();
    queue.assert_all_done(1);
}
