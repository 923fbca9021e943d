//! `kill -9` at random moments: nothing is lost, nothing is done twice, nothing is half-written.

use crate::program::{Ended, Queue};
use std::{
    process::Child,
    time::{Duration, Instant},
};

/// A few random numbers (an xorshift generator).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn kill(mut child: Child) -> bool {
    let was_alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    was_alive
}

/// Submits and proves `jobs` jobs while so many programs are killed; two workers at a time.
fn survive(jobs: usize, kills: usize, seed: u64) {
    let mut random = Random(seed | 1);
    let queue = Queue::new();
    queue.lines("x.jsonl", jobs);
    let submit = ["submit", "m.zkq", "--inputs", "x.jsonl", "--json"];
    // How long a submission takes when it is left alone.
    let started = Instant::now();
    let whole = {
        let other = Queue::new();
        other.lines("x.jsonl", jobs);
        other.run(&submit).json(0);
        started.elapsed()
    };
    let mut killed = 0;
    let moment = |random: &mut Random, longest: Duration| {
        let longest = u64::try_from(longest.as_micros()).unwrap().max(1);
        std::thread::sleep(Duration::from_micros(random.below(longest)));
    };
    let mut submitted = false;
    while killed < kills / 4 {
        let child = queue.command(&submit).spawn().unwrap();
        moment(&mut random, whole);
        killed += usize::from(kill(child));
        queue.assert_whole();
    }
    let mut workers: Vec<Child> = Vec::new();
    while killed < kills {
        while workers.len() < 2 {
            workers.push(queue.drain().spawn().unwrap());
        }
        moment(&mut random, Duration::from_millis(700));
        // A submission is killed among the workers, too.
        if !submitted {
            let child = queue.command(&submit).spawn().unwrap();
            moment(&mut random, whole);
            submitted = !kill(child);
        }
        let at = usize::try_from(random.below(2)).unwrap();
        killed += usize::from(kill(workers.swap_remove(at)));
        queue.assert_whole();
        if queue.jobs().len() == jobs && queue.jobs().iter().all(|job| job.receipt.is_some()) {
            break;
        }
    }
    let answer = queue.run(&submit).json(0);
    assert_eq!(answer["refused"], 0);
    while workers.len() < 2 {
        workers.push(queue.drain().spawn().unwrap());
    }
    for worker in workers {
        Ended::of(worker).done();
    }
    queue.assert_all_done(jobs);
    let jobs = queue.jobs();
    assert!(jobs.iter().all(|job| job.attempts == 0), "a dead worker costs no attempt");
    let expired: u32 = jobs.iter().map(|job| job.expirations).sum();
    println!("{killed} programs killed, {expired} leases expired, {} jobs done", jobs.len());
}

#[test]
fn a_few_kills_lose_nothing() {
    survive(40, 6, 0x9e37_79b9_7f4a_7c15);
}

/// Named command of CONTRIBUTING.md.
#[test]
#[ignore = "minutes"]
fn a_hundred_kills_lose_nothing() {
    let seed = std::env::var("ZKONNX_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    survive(1500, 100, seed);
}
