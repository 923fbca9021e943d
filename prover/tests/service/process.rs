//! `zkonnx serve` as a program.

use crate::{
    client::{get, post},
    files, params_folder,
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
