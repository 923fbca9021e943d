//! `zkonnx jobs --watch`: a table in the terminal that is renewed.

use super::{
    jobs::{age, line},
    output, Failure, Outcome,
};
use crate::jobs::{store::LEASE, Filter, Job, JobState, JobStore, Stats, StoreError, UnixMillis};
use console::{truncate_str, Style, Term};
use std::time::Duration;

/// Jobs of a state that are shown at most, besides those that are leased.
const SHARE: usize = 5;
/// Lines that are not jobs, beside the workers.
const FRAME: usize = 8;
/// Workers that are shown at most.
const WORKERS: usize = 10;

/// Shows the queue until the process is interrupted.
pub(super) fn run(store: &dyn JobStore, filter: &Filter, every: Duration) -> Result<Outcome, Failure> {
    let terminal = Term::stdout();
    if !terminal.is_term() {
        return Err(Failure::new("--watch needs a terminal").hint("without it, or with --json, jobs are listed once"));
    }
    loop {
        let (rows, columns) = terminal.size();
        let frame = match frame(store, filter, rows.into()) {
            Ok(lines) => lines,
            // It may come back.
            Err(error) => vec![(Style::new().red(), super::one_line(&error.to_string()))],
        };
        // The cursor is moved, not all cleared: nothing flickers.
        let mut text = String::from("\u{1b}[H");
        for (style, line) in frame.iter().take(usize::from(rows).saturating_sub(1)) {
            let line = line.replace(char::is_control, "\u{fffd}");
            text += &format!("{}\u{1b}[K\r\n", style.apply_to(truncate_str(&line, columns.into(), "…")));
        }
        text += "\u{1b}[J";
        if terminal.write_str(&text).and_then(|()| terminal.flush()).is_err() || output::failure().is_some() {
            return Ok(Outcome::Done);
        }
        std::thread::sleep(every);
    }
}

type Line = (Style, String);

fn frame(store: &dyn JobStore, filter: &Filter, rows: usize) -> Result<Vec<Line>, StoreError> {
    let now = UnixMillis::now();
    let stats = store.stats(0, now)?;
    let workers = stats.workers.len().min(WORKERS);
    let jobs = jobs(store, filter, rows.saturating_sub(FRAME + workers).max(SHARE))?;
    Ok(lines(&stats, &jobs, now))
}

/// What is being proven, the last that failed, the last that are done, and what waits; or what was asked for.
fn jobs(store: &dyn JobStore, filter: &Filter, room: usize) -> Result<Vec<Job>, StoreError> {
    let limit = |most: usize| filter.limit.min(u32::try_from(most).unwrap_or(u32::MAX));
    if !filter.states.is_empty() || !filter.numbers.is_empty() {
        return store.list(&Filter { limit: limit(room), ..filter.clone() });
    }
    let parts = [
        (vec![JobState::Leased], room),
        (vec![JobState::Failed, JobState::Poisoned], SHARE),
        (vec![JobState::Done], SHARE),
        (vec![JobState::Queued], room),
    ];
    let mut jobs = Vec::new();
    for (states, most) in parts {
        let left = room.saturating_sub(jobs.len()).min(most);
        if left > 0 {
            jobs.extend(store.list(&Filter { states, limit: limit(left), ..filter.clone() })?);
        }
    }
    Ok(jobs)
}

fn lines(stats: &Stats, jobs: &[Job], now: UnixMillis) -> Vec<Line> {
    let (plain, head) = (Style::new(), Style::new().bold());
    let counts: Vec<String> = JobState::ALL.iter().map(|state| format!("{} {state}", stats.jobs.of(*state))).collect();
    let mut lines = vec![(head.clone(), counts.join("   "))];
    let oldest = stats.oldest_age(now).map_or(String::new(), |time| format!("; the oldest waits for {}", age(time)));
    let (minute, hour) = (stats.last_minute.proofs, stats.last_hour.proofs);
    let late = if stats.late > 0 { format!("; {} past their deadline", stats.late) } else { String::new() };
    lines.push((plain.clone(), format!("{minute} proofs in the last minute, {hour} in the last hour{oldest}{late}")));
    lines.push((plain.clone(), String::new()));
    if stats.workers.is_empty() {
        lines.push((plain.clone(), "no worker was seen in the last day".into()));
    } else {
        lines.push((
            head.clone(),
            format!("{:32} {:>7} {:>8} {:>8} {:>7} {:>10}", "worker", "leased", "at once", "done", "failed", "seen"),
        ));
    }
    for worker in stats.workers.iter().take(WORKERS) {
        let silent = now.since(worker.seen);
        let style = if silent > LEASE { Style::new().dim() } else { plain.clone() };
        let name = truncate_str(&worker.name, 32, "…");
        let (leased, at_once, silent) = (worker.leased, worker.concurrency, age(silent));
        let (done, failed) = (worker.done, worker.failed);
        lines.push((style, format!("{name:32} {leased:>7} {at_once:>8} {done:>8} {failed:>7} {silent:>6} ago")));
    }
    lines.push((plain.clone(), String::new()));
    if !jobs.is_empty() {
        lines.push((head, format!("{:>8}  {:9}  {:>5}  {:>8}  label", "job", "state", "tries", "age")));
    }
    for job in jobs {
        let style = match job.state {
            JobState::Leased => Style::new().cyan(),
            JobState::Done => Style::new().green(),
            JobState::Failed | JobState::Poisoned => Style::new().red(),
            JobState::Queued | JobState::Cancelled => plain.clone(),
        };
        lines.push((style, line(job, now)));
    }
    lines
}
