//! `zkonnx serve` as a program.

use crate::{
    client::{get, post},
    files, params_folder,
    queue::described,
};
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

struct Program {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Program {
    fn new(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_zkonnx"))
            .arg("serve")
            .args(arguments)
            .env("ZKONNX_PARAMS", params_folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn address(&mut self) -> SocketAddr {
        let line = self.line();
        line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("'{line}'")).parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn it_serves_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.zkv");
    std::fs::write(&path, &files().zkv).unwrap();
    for signal in ["-TERM", "-INT"] {
        let model = path.to_str().unwrap();
        let mut program = Program::new(&["--listen", "127.0.0.1:0", "--model", model, "--no-registration"]);
        let line = program.line();
        assert!(line.starts_with(&format!("model {}", files().model_id)), "{line}");
        let address = program.address();
        assert!(address.ip().is_loopback());
        assert_eq!(get(address, "/healthz").text(), "ok\n");
        post(address, "/v1/verify", &files().good).verdict("accepted");
        post(address, "/v1/models", &files().other_zkv).is_error(403, "registration_closed");
        let id = program.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert_eq!(program.line(), "stopped");
        assert_eq!(program.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn what_is_no_model_or_no_address_ends_it_at_once() {
    let mut program = Program::new(&["--listen", "127.0.0.1:0", "--model", "/nothing/here.zkv"]);
    assert_eq!(program.child.wait().unwrap().code(), Some(2));
    // An address of nobody's machine (TEST-NET-1).
    let mut program = Program::new(&["--listen", "192.0.2.1:8710"]);
    assert_eq!(program.child.wait().unwrap().code(), Some(2));
}

#[cfg(unix)]
#[test]
fn a_queue_can_be_shown_and_a_worker_measured() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("jobs.db");
    let store = store.to_str().unwrap();
    let mut program = Program::new(&["--listen", "127.0.0.1:0", "--store", store]);
    let address = program.address();
    assert_eq!(program.line(), format!("dashboard at http://{address}/"));
    assert!(get(address, "/").text().contains("No worker is running"));
    let mut refused = Program::new(&["--listen", "127.0.0.1:0", "--store", "mysql://localhost/jobs"]);
    assert_eq!(refused.child.wait().unwrap().code(), Some(2));

    let mut worker = Command::new(env!("CARGO_BIN_EXE_zkonnx"))
        .args(["worker", "--store", store, "--metrics", "127.0.0.1:0", "--log", "json"])
        .env("ZKONNX_PARAMS", params_folder())
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut logs = BufReader::new(worker.stderr.take().unwrap());
    logs.read_line(&mut line).unwrap();
    let log: serde_json::Value = serde_json::from_str(&line).unwrap();
    let measured: SocketAddr = log["address"].as_str().unwrap_or_else(|| panic!("{log}")).parse().unwrap();
    let text = get(measured, "/metrics").text();
    assert!(text.contains("zkonnx_worker_jobs_total{outcome=\"done\"} 0"), "{text}");
    described(&text, include_str!("../../../docs/operating.md"));
    assert_eq!((get(measured, "/healthz").text().as_str(), get(measured, "/").status), ("ok\n", 404));
    assert!(Command::new("kill").args(["-TERM", &worker.id().to_string()]).status().unwrap().success());
    assert_eq!(worker.wait().unwrap().code(), Some(0));

    let watch = ["jobs", "--watch", "--store", store];
    let refused = Command::new(env!("CARGO_BIN_EXE_zkonnx")).args(watch).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("terminal"), "{refused:?}");
    assert!(Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().unwrap().success());
    assert_eq!((program.line().as_str(), program.child.wait().unwrap().code()), ("stopped", Some(0)));
}
