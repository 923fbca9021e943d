//! Receipts: given for what is true, and verified.

use crate::{
    client::{head, post, post_json, request, Open},
    files, Running,
};
use base64::{prelude::BASE64_STANDARD, Engine};
use serde_json::json;
use zkonnx_prover::service::Config;
use zkonnx_verifier::receipt::Receipt;

#[test]
fn a_receipt_is_given_and_verified_in_both_forms() {
    let service = Running::with_model(Config::default());
    let to = service.address;
    let text = post(to, "/v1/receipts", &files().good);
    assert_eq!(text.status, 201, "{text:?}");
    let receipt = Receipt::from_json(&text.body).unwrap();
    assert_eq!(receipt.storage, None);
    assert_eq!(usize::try_from(receipt.metering.proof_bytes).unwrap(), receipt.proof.len());

    let mut open = Open::new(to);
    let head = head("POST", "/v1/receipts", "application/octet-stream", files().good.len());
    open.send(&[&head[..head.len() - 2], b"accept: application/octet-stream\r\n\r\n"].concat());
    open.send(&files().good);
    let binary = open.answer().unwrap();
    assert_eq!((binary.status, &binary.body), (201, &receipt.to_bytes()));

    let verdict = post(to, "/v1/receipts/verify", &binary.body).verdict("accepted");
    assert_eq!(verdict["model_id"], files().model_id);
    let same = request(to, "POST", "/v1/receipts/verify", "application/json", &text.body).verdict("accepted");
    assert_eq!(same, verdict);
    let other = post(to, &format!("/v1/receipts/verify?payee={}", "09".repeat(32)), &binary.body).verdict("rejected");
    assert_eq!(other["code"], "other_payee");
}

#[test]
fn a_storage_reference_is_kept_if_it_is_one() {
    let service = Running::with_model(Config::default());
    let storage = json!({"uri": "ipfs://data", "digest": "07".repeat(32), "length": 3, "expires": 0});
    let mut body = json!({"proof": BASE64_STANDARD.encode(&files().good), "storage": storage});
    let answer = post_json(service.address, "/v1/receipts", &body);
    assert_eq!((answer.status, &answer.json()["storage"]), (201, &storage));
    body["storage"]["uri"] = json!("two words");
    post_json(service.address, "/v1/receipts", &body).is_error(400, "storage_uri");
    body["storage"]["more"] = json!(1);
    post_json(service.address, "/v1/receipts", &body).is_error(400, "bad_request");
}

#[test]
fn there_is_no_receipt_for_what_is_false() {
    let service = Running::with_model(Config::default());
    let to = service.address;
    let refused = post(to, "/v1/receipts", &files().expired);
    assert_eq!((refused.status, &refused.json()["code"]), (422, &json!("expired")));
    assert_eq!(refused.json()["verdict"], "rejected");
    assert_eq!(post(to, "/v1/receipts", &files().hidden).status, 422);
    post(to, "/v1/receipts", &files().other).is_error(404, "unknown_model");
    post(to, "/v1/receipts", b"").is_error(400, "not_this_file");

    let good = Receipt::from_json(&post(to, "/v1/receipts", &files().good).body).unwrap();
    let verify = |receipt: &Receipt| post(to, "/v1/receipts/verify", &receipt.to_bytes());
    let mut cheaper = good.clone();
    cheaper.metering.macs += 1;
    assert_eq!(verify(&cheaper).verdict("rejected")["code"], "metering");
    let mut thief = good.clone();
    thief.statement.context.payee = [6; 32];
    assert!(verify(&thief).verdict("rejected")["code"].as_str().unwrap().starts_with("rejected_"));
    let mut short = good.clone();
    short.proof.pop();
    verify(&short).is_error(400, "proof_length");
    post(to, "/v1/receipts/verify", &files().good).is_error(400, "not_this_file");
    request(to, "POST", "/v1/receipts/verify", "application/json", b"[]").is_error(400, "malformed_json");
    verify(&good).verdict("accepted");
}

#[test]
fn a_receipt_settles_nothing_until_it_is_verified() {
    let service = Running::with_model(Config { max_jobs: Some(9), ..Config::default() });
    let to = service.address;
    let receipt = post(to, "/v1/receipts", &files().good).body;
    let mut cheaper = Receipt::from_json(&receipt).unwrap();
    cheaper.metering.rows = 1;
    assert_eq!(post(to, "/v1/receipts/verify", &cheaper.to_bytes()).verdict("rejected")["code"], "metering");
    let verify = || request(to, "POST", "/v1/receipts/verify", "application/json", &receipt);
    verify().verdict("accepted");
    assert_eq!(verify().verdict("rejected")["code"], "replayed");
    assert_eq!(post(to, "/v1/verify", &files().good).verdict("rejected")["code"], "replayed");
}
