//! `zkonnx submit | jobs | retry | cancel | worker | receipts`.

use crate::program::{Ended, Queue};
use serde_json::Value;
use std::{collections::BTreeSet, fs};
use zkonnx_verifier::json::to_hex;

#[test]
fn from_inputs_to_receipts() {
    let queue = Queue::new();
    queue.lines("x.jsonl", 5);
    let submit = ["submit", "m.zkq", "--inputs", "x.jsonl", "--json"];
    let first = queue.run(&submit).json(0);
    assert_eq!((&first["new"], &first["known"], &first["refused"]), (&5.into(), &0.into(), &0.into()));
    let again = queue.run(&submit).json(0);
    assert_eq!((&again["new"], &again["known"]), (&0.into(), &5.into()));
    let ids = |answer: &Value| -> Vec<(Value, Value)> {
        answer["jobs"].as_array().unwrap().iter().map(|job| (job["job"].clone(), job["job_id"].clone())).collect()
    };
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(ids(&first).iter().map(|(_, id)| id.to_string()).collect::<BTreeSet<_>>().len(), 5);

    assert_eq!(queue.run(&["worker", "--once", "--json"]).json(0)["done"], 1);
    let listed = queue.run(&["jobs", "--json"]).json(0);
    assert_eq!((&listed["counts"]["done"], &listed["counts"]["queued"]), (&1.into(), &4.into()));
    let done = queue.run(&["jobs", "--state", "done", "--json"]).json(0);
    assert_eq!(done["jobs"][0]["label"], "line-000001");
    assert_eq!(queue.run(&["worker", "--drain", "--json"]).json(0)["done"], 4);
    queue.assert_all_done(5);
    assert_eq!(queue.run(&["worker", "--once", "--json"]).json(0)["done"], 0);
    let text = queue.run(&["jobs", "--limit", "2"]).done();
    assert!(text.starts_with("0 queued, 0 leased, 5 done") && text.contains("line-000005"), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");

    let recorded = queue.run(&["receipts", "-o", "out", "--json"]).json(0);
    let recorded = recorded.as_array().unwrap();
    assert_eq!(recorded.len(), 5);
    assert!(recorded[0]["metering"]["proof_bytes"].as_u64().unwrap() > 1000);
    let out = queue.path("out");
    for result in recorded {
        let file = out.join(format!("{}.receipt", result["job_id"].as_str().unwrap()));
        let shown = queue.run(&["receipt", "show", file.to_str().unwrap(), "--json"]).json(0);
        assert_eq!(shown["metering"], result["metering"]);
    }
    // Once more changes nothing; as JSON beside them.
    queue.run(&["receipts", "-o", "out"]).done();
    let text = queue.run(&["receipts", "--label", "line-000002", "-o", "out", "--encoding", "json"]).done();
    assert!(text.contains("1 receipts"), "{text}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 6);
}

#[test]
fn bad_inputs_are_named_and_the_others_are_queued() {
    let queue = Queue::new();
    let inputs = queue.path("in");
    fs::create_dir(&inputs).unwrap();
    fs::write(inputs.join("good.json"), r#"{"x": [0.1, 0.2, 0.3, 0.4]}"#).unwrap();
    fs::write(inputs.join("short.json"), r#"{"x": [0.1]}"#).unwrap();
    fs::write(inputs.join("nan.csv"), "0.1,nan,0.2,0.3\n").unwrap();
    fs::write(inputs.join("torn.npy"), "\u{1}NUMPY").unwrap();
    let ended = queue.run(&["submit", "m.zkq", "--inputs", "in", "--json"]).json(1);
    assert_eq!((&ended["new"], &ended["refused"]), (&1.into(), &3.into()));
    let refused: Vec<&str> = ended["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|job| job["status"] == "refused")
        .map(|job| job["input"].as_str().unwrap())
        .collect();
    assert_eq!(refused, ["nan.csv", "short.json", "torn.npy"]);
    let text = queue.run(&["submit", "m.zkq", "--inputs", "in"]);
    assert_eq!(text.code, Some(1));
    assert!(text.out.contains("FAILED: nan.csv: ") && text.out.contains("1 known before, 3 refused"), "{text:#?}");
    fs::write(queue.path("m.zkq"), "torn").unwrap();
    queue.run(&["submit", "m.zkq", "--inputs", "in"]).refused(&["m.zkq"]);
    queue.run(&["worker", "--store", "mysql://host/jobs"]).refused(&["is no store"]);
}

#[test]
fn contexts_priorities_and_conflicts() {
    let queue = Queue::new();
    let id = "07".repeat(32);
    fs::write(queue.path("c.json"), format!(r#"{{"domain": "{}", "nonce": 9}}"#, "01".repeat(32))).unwrap();
    let line = |value: f64| {
        format!("{{\"x\": [{value}, 0, 0, 0], \"name\": \"mine\", \"context\": {{\"job_id\": \"{id}\"}}}}\n")
    };
    fs::write(queue.path("a.jsonl"), line(0.5)).unwrap();
    fs::write(queue.path("b.jsonl"), line(0.6)).unwrap();
    let submit = |file: &str, more: &[&str]| {
        queue.run(&[&["submit", "m.zkq", "--inputs", file, "--context", "c.json", "--json"], more].concat())
    };
    let first = submit("a.jsonl", &["--priority", "-3", "--deadline", "60"]).json(0);
    assert_eq!(first["jobs"][0]["job_id"], id);
    // Other inputs under the same job id.
    let conflict = submit("b.jsonl", &[]).json(1);
    assert_eq!(conflict["jobs"][0]["status"], "conflict");
    assert_eq!(conflict["jobs"][0]["job"], first["jobs"][0]["job"]);
    let job = queue.jobs().pop().unwrap();
    assert_eq!((job.priority, to_hex(&job.domain), job.label.as_str()), (-3, "01".repeat(32), "mine"));
    assert!(job.deadline.unwrap().since(job.submitted).as_secs().abs_diff(60) <= 5);
    // Hidden inputs are another job, whose id does not depend on them.
    queue.lines("x.jsonl", 1);
    queue.lines("y.jsonl", 1);
    fs::write(queue.path("y.jsonl"), "{\"x\": [1, 1, 1, 1]}\n").unwrap();
    let hidden = |file: &str| queue.run(&["submit", "m.zkq", "--inputs", file, "--hide", "x", "--json"]);
    let id = hidden("x.jsonl").json(0)["jobs"][0]["job_id"].clone();
    assert_eq!(hidden("y.jsonl").json(1)["jobs"][0]["job_id"], id);
    queue.run(&["submit", "m.zkq", "--inputs", "x.jsonl", "--hide", "z"]).refused(&["'z'"]);
    fs::write(queue.path("c.json"), r#"{"not_after": 5}"#).unwrap();
    submit("x.jsonl", &[]).refused(&["expired"]);
    assert_eq!(queue.run(&["worker", "--drain", "--json"]).json(0)["done"], 2);
    queue.run(&["receipts", "-o", "out"]).done();
}

#[test]
fn jobs_are_cancelled_and_retried() {
    let queue = Queue::new();
    queue.lines("x.jsonl", 4);
    queue.run(&["submit", "m.zkq", "--inputs", "x.jsonl"]).done();
    let number = queue.jobs()[1].number.to_string();
    assert_eq!(queue.run(&["cancel", &number]).done(), "1 of 1 jobs cancelled\n");
    assert_eq!(queue.run(&["cancel", "--label", "line-00000", "--state", "queued"]).done(), "3 of 3 jobs cancelled\n");
    assert_eq!(queue.run(&["worker", "--drain", "--json"]).json(0)["done"], 0);
    assert_eq!(queue.run(&["retry", "--state", "cancelled", "--json"]).json(0).as_array().unwrap().len(), 4);
    assert_eq!(queue.run(&["retry", &number]).done(), "0 of 1 jobs queued again\n");
    queue.run(&["retry"]).refused(&["no jobs are named"]);
    queue.run(&["cancel", "99"]).refused(&["99"]);
    queue.run(&["jobs", "--state", "lost"]).refused_by_clap("the states are");
    assert_eq!(queue.run(&["worker", "--drain", "--json"]).json(0)["done"], 4);
    queue.assert_all_done(4);
}

impl Ended {
    /// Exit code 2 from the parser of options.
    #[track_caller]
    fn refused_by_clap(&self, part: &str) {
        assert!(self.code == Some(2) && self.err.contains(part), "{self:#?}");
    }
}

#[test]
fn logs_are_lines_of_json_with_the_job() {
    let queue = Queue::new();
    queue.lines("x.jsonl", 2);
    let submitted = queue.run(&["submit", "m.zkq", "--inputs", "x.jsonl", "--json"]).json(0);
    fs::write(queue.path("bad.jsonl"), "{\"x\": [9, 9, 9, 9]}\n").unwrap();
    queue.run(&["submit", "m.zkq", "--inputs", "bad.jsonl", "--strict-range"]).done();
    let ended = queue.run(&["worker", "--drain", "--log", "json"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let lines: Vec<Value> = ended.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let done: BTreeSet<String> = lines
        .iter()
        .filter(|line| line["message"] == "done")
        .map(|line| line["job_id"].as_str().unwrap().into())
        .collect();
    let ids = submitted["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap().into()).collect();
    assert_eq!(done, ids);
    let failed = lines.iter().find(|line| line["message"] == "failed").unwrap();
    assert!(failed["reason"].as_str().unwrap().contains("outside of the declared range"));
    assert_eq!(failed["span"]["job"], queue.jobs()[2].number.0);
}

#[cfg(unix)]
#[test]
fn a_worker_that_is_terminated_drains() {
    let queue = Queue::new();
    queue.lines("x.jsonl", 200);
    queue.run(&["submit", "m.zkq", "--inputs", "x.jsonl"]).done();
    for signal in ["-TERM", "-INT"] {
        let before = queue.jobs().iter().filter(|job| job.receipt.is_some()).count();
        let worker = queue.command(&["worker", "--threads", "1", "--json"]).spawn().unwrap();
        while queue.jobs().iter().filter(|job| job.receipt.is_some()).count() <= before {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let status = std::process::Command::new("kill").args([signal, &worker.id().to_string()]).status().unwrap();
        assert!(status.success());
        let tally = Ended::of(worker).json(0);
        let jobs = queue.jobs();
        assert!(jobs.iter().all(|job| job.leased_until.is_none() && job.expirations == 0 && job.attempts == 0));
        let done = jobs.iter().filter(|job| job.receipt.is_some()).count();
        assert_eq!(tally["done"], done - before);
    }
}
