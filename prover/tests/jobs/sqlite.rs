//! SQLite: the suite, and the file.

use crate::{claim, job, result, submit, CLAIM, NOW};
use std::path::PathBuf;
use tempfile::TempDir;
use zkonnx_prover::jobs::{
    sql::{migrate, MIGRATIONS},
    sqlite::Sqlite,
    JobState, JobStore, SqliteStore, StoreError, Submission,
};

/// A store in a folder of its own.
struct Empty {
    store: Box<dyn JobStore>,
    #[allow(dead_code)] // removed when dropped
    folder: TempDir,
}

fn empty() -> Option<Empty> {
    let (folder, path) = file();
    Some(Empty { store: Box::new(SqliteStore::open(&path).unwrap()), folder })
}

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    (folder, path)
}

crate::conformance::conforms!(empty());

#[test]
fn two_programs_share_a_file() {
    let (_folder, path) = file();
    let (one, two) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    let number = submit(&one, &[job(1)])[0];
    assert_eq!(two.submit(&[job(1)], NOW).unwrap(), [Submission::Known(number, JobState::Queued)]);
    let lease = claim(&two, &CLAIM, NOW).unwrap().lease;
    assert_eq!(claim(&one, &CLAIM, NOW), None);
    assert_eq!(one.complete(&[(lease, result(1))], NOW).unwrap(), [true]);
    assert_eq!(two.stats(0, NOW).unwrap().jobs.done, 1);
}

#[test]
fn an_old_store_is_upgraded_with_jobs_in_flight() {
    for old in 1..MIGRATIONS.len() {
        let (_folder, path) = file();
        migrate(&Sqlite::open(&path).unwrap(), old).unwrap();
        // The worker of the old program goes on with what it has open.
        let worker = SqliteStore::at_version(Sqlite::open(&path).unwrap(), old).unwrap();
        submit(&worker, &[job(1), job(2)]);
        let lease = claim(&worker, &CLAIM, NOW).unwrap().lease;
        let new = SqliteStore::open(&path).unwrap();
        assert_eq!(new.stats(1, NOW).unwrap().jobs.leased, 1);
        assert_eq!(worker.complete(&[(lease, result(1))], NOW).unwrap(), [true]);
        let lease = claim(&new, &CLAIM, NOW).unwrap().lease;
        assert_eq!(new.complete(&[(lease, result(2))], NOW).unwrap(), [true]);
        assert_eq!(new.stats(1, NOW).unwrap().jobs.done, 2);
    }
}

#[test]
fn a_newer_store_is_refused() {
    let (_folder, path) = file();
    SqliteStore::open(&path).unwrap();
    let refused = migrate(&Sqlite::open(&path).unwrap(), 1);
    assert!(
        matches!(refused, Err(StoreError::Schema { expected: 1, actual }) if usize::try_from(actual) == Ok(MIGRATIONS.len()))
    );
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let (folder, path) = file();
    std::fs::write(&path, "not a database, but a text that somebody has written and wants to keep").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err().to_string();
    assert!(error.contains("jobs.db"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(SqliteStore::open(&folder.path().join("missing/jobs.db")).is_err());
}
