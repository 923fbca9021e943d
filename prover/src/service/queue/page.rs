//! The dashboard: one page without scripts or anything from elsewhere, which loads itself again.

use super::{
    text::{bytes, clock, duration, escape, number, shorten},
    Snapshot, GONE, STEPS,
};
use crate::jobs::{Job, JobState, UnixMillis, WorkerSeen};
use std::fmt::Write;

/// Seconds until the page loads itself again.
const REFRESH: u32 = 5;
const STYLE: &str = include_str!("page.css");
/// Longest label and reason that are shown whole.
const LABEL: usize = 60;
const REASON: usize = 300;

/// The page.
pub(super) fn render(snapshot: &Snapshot) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{} open jobs</title>\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
        <meta name=\"color-scheme\" content=\"light dark\"><meta http-equiv=\"refresh\" content=\"{REFRESH}\">\
        <style>{STYLE}</style></head><body>\
        <header><h1>Proof queue</h1><p>{} · <a href=\"/v1/queue\">JSON</a> · <a href=\"/metrics\">metrics</a></p></header>\
        <main>{}{}{}{}</main></body></html>\n",
        snapshot.stats.jobs.open(),
        clock(snapshot.now),
        tiles(snapshot),
        throughput(snapshot),
        workers(snapshot),
        failures(snapshot),
    );
    page
}

fn tiles(snapshot: &Snapshot) -> String {
    let stats = &snapshot.stats;
    let mut text = String::from("<section class=\"tiles\" aria-label=\"Jobs by state\">");
    for state in JobState::ALL {
        let count = stats.jobs.of(state);
        let class = if count == 0 { "none" } else { state.name() };
        let _ = write!(text, "<div class=\"tile {class}\"><b>{}</b><span>{state}</span></div>", number(count));
    }
    text.push_str("</section><p class=\"facts\">");
    let mut facts = Vec::new();
    if let Some(age) = stats.oldest_age(snapshot.now) {
        facts.push(format!("The oldest waits for <b>{}</b>.", duration(age)));
    }
    if let Some(left) = snapshot.left() {
        facts.push(format!("All is done in about <b>{}</b>.", duration(left)));
    }
    match snapshot.alive() {
        0 if stats.jobs.open() > 0 => facts.push("<b class=\"bad\">No worker is running.</b>".into()),
        0 => facts.push("No worker is running.".into()),
        1 => facts.push("<b>1</b> worker is running.".into()),
        count => facts.push(format!("<b>{count}</b> workers are running.")),
    }
    if stats.late > 0 {
        facts.push(format!("<b class=\"bad\">{}</b> open jobs are past their deadline.", number(stats.late)));
    }
    if stats.expirations > 0 {
        facts.push(format!("<b>{}</b> leases have expired: workers vanished.", number(stats.expirations)));
    }
    text.push_str(&facts.join(" "));
    text.push_str("</p>");
    text
}

/// A bar for every minute of the last hour.
fn throughput(snapshot: &Snapshot) -> String {
    const HEIGHT: u64 = 100;
    const WIDTH: usize = 10;
    let most = snapshot.history.iter().map(|step| step.done.proofs).max().unwrap_or(0).max(1);
    let mut bars = String::new();
    for (i, step) in snapshot.history.iter().enumerate() {
        let proofs = step.done.proofs;
        // What is not nothing can be seen.
        let height = (HEIGHT * proofs / most).max(u64::from(proofs > 0) * 2);
        let _ = write!(
            bars,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{height}\"><title>{}: {} proofs</title></rect>",
            i * WIDTH + 1,
            HEIGHT - height,
            WIDTH - 2,
            clock(step.begins),
            number(proofs)
        );
    }
    let (minute, hour, total) = (snapshot.stats.last_minute, snapshot.stats.last_hour, snapshot.stats.total);
    #[allow(clippy::cast_precision_loss)] // for people
    let mean = |done: crate::jobs::Done| {
        if done.proofs == 0 {
            "–".into()
        } else {
            format!("{:.2} s", done.milliseconds as f64 / 1e3 / done.proofs as f64)
        }
    };
    format!(
        "<section><h2>Throughput</h2><p class=\"facts\"><b>{}</b> proofs in the last minute, <b>{}</b> in the last hour, {} each; \
        <b>{}</b> in all, {} of proofs.</p>\
        <figure><div class=\"axis\"><span>{} a minute</span></div>\
        <svg viewBox=\"0 0 {} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Proofs in every minute of the last hour\">{bars}</svg>\
        <figcaption><span>an hour ago</span><span>now</span></figcaption></figure></section>",
        number(minute.proofs),
        number(hour.proofs),
        mean(hour),
        number(total.proofs),
        bytes(total.proof_bytes),
        number(most),
        STEPS as usize * WIDTH,
    )
}

fn workers(snapshot: &Snapshot) -> String {
    let mut text = String::from("<section><h2>Workers</h2>");
    if snapshot.stats.workers.is_empty() {
        text.push_str("<p class=\"facts\">None was seen in the last day.</p></section>");
        return text;
    }
    text.push_str(
        "<table><thead><tr><th>name<th class=\"n\">leased<th class=\"n\">at once<th class=\"n\">done<th class=\"n\">failed<th class=\"n\">memory\
        <th class=\"n\">running for<th class=\"n\">last seen</tr></thead><tbody>",
    );
    for worker in &snapshot.stats.workers {
        text.push_str(&worker_row(worker, snapshot.now));
    }
    text.push_str("</tbody></table></section>");
    text
}

fn worker_row(worker: &WorkerSeen, now: UnixMillis) -> String {
    let silent = now.since(worker.seen);
    let class = if silent > GONE { " class=\"gone\"" } else { "" };
    format!(
        "<tr{class}><td data-is=\"name\" class=\"name\">{}<td data-is=\"leased\" class=\"n\">{}<td data-is=\"at once\" class=\"n\">{}<td data-is=\"done\" class=\"n\">{}\
        <td data-is=\"failed\" class=\"n\">{}<td data-is=\"memory\" class=\"n\">{}<td data-is=\"running for\" class=\"n\">{}\
        <td data-is=\"last seen\" class=\"n\">{} ago</tr>",
        escape(&shorten(&worker.name, LABEL)),
        number(worker.leased),
        worker.concurrency,
        number(worker.done),
        number(worker.failed),
        bytes(worker.memory),
        duration(worker.seen.since(worker.started)),
        duration(silent)
    )
}

fn failures(snapshot: &Snapshot) -> String {
    let mut text = String::from("<section><h2>Last failures</h2>");
    if snapshot.stats.failures.is_empty() {
        text.push_str("<p class=\"facts\">There is none.</p></section>");
        return text;
    }
    text.push_str(
        "<table><thead><tr><th class=\"n\">job<th>label<th>state<th class=\"n\">ended<th>reason</tr></thead><tbody>",
    );
    for job in &snapshot.stats.failures {
        text.push_str(&failure_row(job, snapshot.now));
    }
    text.push_str("</tbody></table></section>");
    text
}

fn failure_row(job: &Job, now: UnixMillis) -> String {
    let ended = job.finished.map_or("–".into(), |finished| format!("{} ago", duration(now.since(finished))));
    let state = job.state.name();
    format!(
        "<tr><td data-is=\"job\" class=\"n\">{}<td data-is=\"label\" class=\"name\">{}<td data-is=\"state\"><span class=\"state {state}\">{state}</span>\
        <td data-is=\"ended\" class=\"n\">{ended}<td data-is=\"reason\" class=\"reason\">{}</tr>",
        job.number,
        escape(&shorten(&job.label, LABEL)),
        escape(&shorten(job.reason.as_deref().unwrap_or(""), REASON)),
    )
}
