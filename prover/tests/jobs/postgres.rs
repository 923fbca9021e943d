//! PostgreSQL: the suite, and what happens when the server goes away.

use crate::{claim, job, program::Queue, result, server::Server, submit, CLAIM, NOW};
use std::{
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        Arc,
    },
    time::Duration,
};
use zkonnx_prover::jobs::{
    postgres::{Postgres, PostgresStore},
    sql::{migrate, MIGRATIONS},
    Claim, Filter, JobState, JobStore, NewJob, StoreError, UnixMillis,
};

/// A store in a database of its own.
struct Empty {
    store: Box<dyn JobStore>,
    #[allow(dead_code)] // stopped when dropped
    server: Arc<Server>,
}

fn empty() -> Option<Empty> {
    let server = Server::shared()?;
    let store = Box::new(PostgresStore::open(&server.address(&server.database())).unwrap());
    Some(Empty { store, server })
}

crate::conformance::conforms!(empty());

#[test]
fn programs_that_start_together_make_one_schema() {
    let Some(server) = Server::shared() else { return };
    let address = server.address(&server.database());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| PostgresStore::open(&address).unwrap().stats(0, NOW).unwrap());
        }
    });
    submit(&PostgresStore::open(&address).unwrap(), &[job(1)]);
}

#[test]
fn an_old_store_is_upgraded_with_jobs_in_flight() {
    let Some(server) = Server::shared() else { return };
    for old in 1..MIGRATIONS.len() {
        let address = server.address(&server.database());
        let worker = PostgresStore::at_version(Postgres::new(&address).unwrap(), old).unwrap();
        submit(&worker, &[job(1), job(2)]);
        let lease = claim(&worker, &CLAIM, NOW).unwrap().lease;
        let new = PostgresStore::open(&address).unwrap();
        assert_eq!(worker.complete(&[(lease, result(1))], NOW).unwrap(), [true]);
        let lease = claim(&new, &CLAIM, NOW).unwrap().lease;
        assert_eq!(new.complete(&[(lease, result(2))], NOW).unwrap(), [true]);
        assert_eq!(new.stats(1, NOW).unwrap().jobs.done, 2);
        let older = migrate(&Postgres::new(&address).unwrap(), old);
        assert!(matches!(older, Err(StoreError::Schema { .. })), "{older:?}");
    }
}

/// Every connection is cut in the middle of transactions of this kind, three times, by a trigger.
fn cut_in_the_middle_of(condition: &str) {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let store = PostgresStore::open(&server.address(&database)).unwrap();
    // Numbers of a sequence are not given back by a transaction that is rolled back.
    let cut = format!(
        "CREATE SEQUENCE cuts;
        CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('cuts') <= 3 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER cut AFTER UPDATE ON jobs FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION cut();"
    );
    server.run(&database, &cut);
    let numbers = submit(&store, &[job(1), job(2)]);
    for (id, number) in (1..).zip(numbers) {
        let lease = claim(&store, &CLAIM, NOW).unwrap().lease;
        assert_eq!(lease.job, number);
        assert_eq!(store.complete(&[(lease, result(id))], NOW).unwrap(), [true]);
    }
    let jobs = store.list(&Filter::default()).unwrap();
    assert!(jobs.iter().all(|job| (job.state, job.expirations) == (JobState::Done, 0)), "{jobs:#?}");
    assert_eq!(store.results(&Filter::default()).unwrap().len(), 2);
    server.run(&database, "DO $$ BEGIN ASSERT nextval('cuts') > 3; END $$");
}

#[test]
fn a_connection_that_is_cut_in_the_middle_of_a_claim_is_made_again() {
    cut_in_the_middle_of("NEW.state = 'leased' AND OLD.state = 'queued'");
}

#[test]
fn a_connection_that_is_cut_in_the_middle_of_a_completion_is_made_again() {
    cut_in_the_middle_of("NEW.state = 'done'");
}

/// Workers claim and complete jobs while `disturb` is run again and again.
fn disturbed(server: &Server, disturb: impl Fn(&str) + Sync) {
    const JOBS: u8 = 120;
    let database = server.database();
    let address = server.address(&database);
    let store = PostgresStore::open(&address).unwrap();
    let jobs: Vec<NewJob> = (1..=JOBS).map(job).collect();
    let numbers = submit(&store, &jobs);
    let (recorded, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    let insist = |work: &dyn Fn() -> Result<Vec<bool>, StoreError>| loop {
        match work() {
            Ok(answer) => return answer,
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = ["one", "two", "three"]
            .into_iter()
            .map(|name| {
                let (address, recorded) = (&address, &recorded);
                scope.spawn(move || {
                    let store = PostgresStore::open(address).unwrap();
                    let claim = Claim { worker: name, lease: Duration::from_secs(1), ..CLAIM };
                    let open = vec![JobState::Queued, JobState::Leased];
                    let open = Filter { states: open, limit: 1, ..Filter::default() };
                    while store.list(&open).map_or(true, |jobs| !jobs.is_empty()) {
                        let Ok(leased) = store.claim(&claim, UnixMillis::now()) else { continue };
                        for job in leased {
                            let id = job.job.context.job_id[0];
                            std::thread::sleep(Duration::from_millis(5));
                            let heard = insist(&|| store.complete(&[(job.lease, result(id))], UnixMillis::now()));
                            recorded.fetch_add(usize::from(heard == [true]), Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                disturb(&database);
            }
        });
        let results: Vec<_> = workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        ended.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
    // Every job was recorded once, and one worker was told so.
    assert_eq!(recorded.into_inner(), numbers.len());
    let all = Filter { limit: 1000, ..Filter::default() };
    let jobs = store.list(&all).unwrap();
    assert!(jobs.iter().all(|job| (job.state, job.attempts) == (JobState::Done, 0)), "{jobs:#?}");
    assert_eq!(store.results(&all).unwrap().len(), numbers.len());
}

#[test]
fn connections_are_cut_all_the_time() {
    let Some(server) = Server::shared() else { return };
    disturbed(&server, |database| {
        std::thread::sleep(Duration::from_millis(15));
        let cut = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'zkonnx' AND datname = '{database}' AND pid <> pg_backend_pid()"
        );
        server.run(database, &cut);
    });
}

#[test]
fn the_server_is_restarted_again_and_again() {
    let Some(server) = Server::new() else { return };
    disturbed(&server, |_| {
        std::thread::sleep(Duration::from_millis(100));
        server.stop();
        server.start();
    });
}

#[test]
fn a_server_that_is_not_there_is_named_as_such() {
    // The discard port: nobody listens.
    let error = PostgresStore::open("postgres://me:secret@127.0.0.1:9/jobs").unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn commands_work_with_a_server() {
    let Some(server) = Server::shared() else { return };
    let queue = Queue::new();
    let address = server.address(&server.database());
    queue.lines("x.jsonl", 6);
    let run = |arguments: &[&str]| {
        let mut command = queue.command(arguments);
        command.env("ZKONNX_STORE", &address).env("ZKONNX_BLOBS", queue.path("blobs"));
        crate::program::Ended::new(command.output().unwrap())
    };
    assert_eq!(run(&["submit", "m.zkq", "--inputs", "x.jsonl", "--json"]).json(0)["new"], 6);
    assert_eq!(run(&["worker", "--drain", "--json"]).json(0)["done"], 6);
    assert_eq!(run(&["receipts", "-o", "out", "--json"]).json(0).as_array().unwrap().len(), 6);
    // Artefacts are not beside a server.
    let mut command = queue.command(&["worker", "--once"]);
    command.env("ZKONNX_STORE", &address);
    crate::program::Ended::new(command.output().unwrap()).refused(&["artefacts"]);
}
