//! Limits of size, time and number, and the end.

use crate::{
    client::{get, head, post, Open},
    files, Running,
};
use base64::{prelude::BASE64_STANDARD, Engine};
use serde_json::json;
use std::{net::TcpStream, thread::yield_now, time::Duration};
use zkonnx_prover::service::Config;

/// A batch that takes a while.
fn long_batch() -> Vec<u8> {
    let proof = json!({"proof": BASE64_STANDARD.encode(&files().good)});
    json!({"proofs": vec![proof; 400]}).to_string().into_bytes()
}

/// Sends a long batch, and waits until it is being verified.
fn start_long_batch(service: &Running) -> Open {
    let mut open = Open::new(service.address);
    let body = long_batch();
    open.send(&head("POST", "/v1/verify-batch", "application/json", body.len()));
    open.send(&body);
    while !get(service.address, "/metrics").text().contains("zkonnx_running 1") {
        yield_now();
    }
    open
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let limit = files().good.len().max(files().zkv.len());
    let service = Running::with_model(Config { max_body: limit, ..Config::default() });
    // Refused by what is declared, before it is sent.
    let mut open = Open::new(service.address);
    open.send(&head("POST", "/v1/verify", "application/octet-stream", limit + 1));
    open.answer().expect("an answer").is_error(413, "too_large");
    let mut open = Open::new(service.address);
    open.send(&head("POST", "/v1/models", "application/octet-stream", usize::MAX / 2));
    open.answer().expect("an answer").is_error(413, "too_large");
    // Refused while it comes, when nothing is declared.
    let mut open = Open::new(service.address);
    open.send(b"POST /v1/verify HTTP/1.1\r\nhost: test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    for _ in 0..=limit / 1024 {
        open.send(b"400\r\n");
        open.send(&[0; 1024]);
        open.send(b"\r\n");
    }
    open.send(b"0\r\n\r\n");
    open.answer().expect("an answer").is_error(413, "too_large");
    // As large as allowed.
    post(service.address, "/v1/verify", &files().good).verdict("accepted");
    post(service.address, "/v1/verify", &vec![0; limit]).is_error(400, "not_this_file");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let service = Running::with_model(Config { read_timeout: Duration::from_millis(300), ..Config::default() });
    let mut open = Open::new(service.address);
    open.send(&head("POST", "/v1/verify", "application/octet-stream", files().good.len()));
    open.send(&files().good[..10]);
    open.answer().expect("an answer").is_error(408, "slow_body");
    // Nor is a head.
    let mut open = Open::new(service.address);
    open.send(b"POST /v1/ver");
    assert!(open.answer().is_none_or(|answer| answer.status >= 400));
    post(service.address, "/v1/verify", &files().good).verdict("accepted");
}

#[test]
fn no_more_wait_than_may() {
    let service = Running::with_model(Config { workers: 1, queue: 0, ..Config::default() });
    let open = start_long_batch(&service);
    let busy = post(service.address, "/v1/verify", &files().good);
    busy.is_error(503, "busy");
    assert!(busy.head.to_ascii_lowercase().contains("\r\nretry-after: 1"), "{}", busy.head);
    // What needs no verification is answered all the same.
    assert_eq!(get(service.address, "/healthz").status, 200);
    let verdicts = open.answer().expect("an answer").json()["verdicts"].as_array().unwrap().clone();
    assert!(verdicts.len() == 400 && verdicts.iter().all(|v| v["verdict"] == "accepted"));
    while !get(service.address, "/metrics").text().contains("zkonnx_running 0") {
        yield_now();
    }
    post(service.address, "/v1/verify", &files().good).verdict("accepted");
}

#[test]
fn a_verdict_that_is_late_is_not_waited_for() {
    let service = Running::with_model(Config { workers: 1, timeout: Duration::from_millis(1), ..Config::default() });
    let open = start_long_batch(&service);
    post(service.address, "/v1/verify", &files().good).is_error(504, "timeout");
    open.answer().expect("an answer").is_error(504, "timeout");
}

#[test]
fn running_verifications_are_finished_before_the_end() {
    let mut service = Running::with_model(Config { workers: 1, ..Config::default() });
    let idle = Open::new(service.address);
    let open = start_long_batch(&service);
    service.stop();
    // New connections are refused from some moment on.
    while TcpStream::connect(service.address).is_ok() {
        yield_now();
    }
    let verdicts = open.answer().expect("an answer").json()["verdicts"].as_array().unwrap().clone();
    assert!(verdicts.len() == 400 && verdicts.iter().all(|v| v["verdict"] == "accepted"));
    drop(idle);
    service.join();
}

#[test]
fn counters_count() {
    let service = Running::with_model(Config::default());
    let to = service.address;
    post(to, "/v1/verify", &files().good).verdict("accepted");
    post(to, "/v1/verify", &files().expired).verdict("rejected");
    post(to, "/v1/verify", b"").is_error(400, "not_this_file");
    get(to, "/secret/path").is_error(404, "no_route");
    let metrics = get(to, "/metrics");
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{}", metrics.head);
    let text = metrics.text();
    for line in [
        "zkonnx_verdicts_total{code=\"accepted\"} 1",
        "zkonnx_verdicts_total{code=\"expired\"} 1",
        "zkonnx_requests_total{route=\"/v1/verify\",status=\"200\"} 2",
        "zkonnx_requests_total{route=\"/v1/verify\",status=\"400\"} 1",
        "zkonnx_requests_total{route=\"none\",status=\"404\"} 1",
        "zkonnx_verification_seconds_count 2",
        "zkonnx_models 1",
    ] {
        assert!(text.lines().any(|l| l == line), "no '{line}' in {text}");
    }
    assert!(!text.contains("secret"));
}
