//! `kill -9` at random moments: nothing is lost, nothing is done twice, nothing is half-written.

use crate::program::{Ended, Queue};
use std::{process::Child, time::Duration};

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

/// Submits jobs, so many at a time, and proves them with two workers, until so many programs are killed and all jobs have ended.
fn survive(jobs: usize, kills: usize, seed: u64) {
    let mut random = Random(seed | 1);
    let queue = Queue::new();
    let submit = ["submit", "m.zkq", "--inputs", "x.jsonl", "--json"];
    let mut submitted = 0;
    let (mut killed, mut done) = (0, false);
    let mut workers: Vec<Child> = Vec::new();
    while killed < kills || !done {
        if done || submitted == 0 {
            queue.lines_from("x.jsonl", submitted, jobs);
            submitted += jobs;
            // Some submissions are killed; the last is not.
            let whole = Duration::from_millis(100);
            for _ in 0..kills.div_ceil(10) {
                let child = queue.command(&submit).spawn().unwrap();
                moment(&mut random, whole);
                killed += usize::from(kill(child));
            }
            queue.assert_whole();
            assert_eq!(queue.run(&submit).json(0)["refused"], 0);
        }
        while workers.len() < 2 {
            workers.push(queue.drain().spawn().unwrap());
        }
        moment(&mut random, Duration::from_millis(600));
        if killed < kills {
            let at = usize::try_from(random.below(2)).unwrap();
            killed += usize::from(kill(workers.swap_remove(at)));
        }
        if killed % 10 == 0 {
            queue.assert_whole();
        }
        done = queue.jobs().iter().all(|job| job.receipt.is_some());
    }
    for worker in workers {
        Ended::of(worker).done();
    }
    queue.assert_all_done(submitted);
    let jobs = queue.jobs();
    assert!(jobs.iter().all(|job| job.attempts == 0), "a dead worker costs no attempt");
    let expired: u32 = jobs.iter().map(|job| job.expirations).sum();
    println!("{killed} programs killed, {expired} jobs were being proven by one that vanished, {submitted} jobs done");
}

/// Waits for a random time.
fn moment(random: &mut Random, longest: Duration) {
    std::thread::sleep(longest * u32::try_from(random.below(1000)).unwrap() / 1000);
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
    survive(400, 100, seed);
}
