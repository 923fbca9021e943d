//! Models, and verdicts about proofs of them.

use crate::{
    client::{get, post, post_json, request},
    files, Running, CONTEXT,
};
use base64::{prelude::BASE64_STANDARD, Engine};
use serde_json::json;
use zkonnx_prover::service::Config;
use zkonnx_verifier::proof_file::ProofFile;

fn hex(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

#[test]
fn models_are_registered_once_and_shown() {
    let service = Running::new(Config { max_models: 1, ..Config::default() });
    let to = service.address;
    assert_eq!(get(to, "/v1/models").json(), json!({"models": []}));
    get(to, &format!("/v1/models/{}", files().model_id)).is_error(404, "unknown_model");
    get(to, "/v1/models/12").is_error(400, "bad_request");

    let first = post(to, "/v1/models", &files().zkv);
    assert_eq!(first.status, 201);
    let model = first.json();
    assert_eq!(model["model_id"], files().model_id);
    assert_eq!(model["inputs"][0]["name"], "x");
    assert_eq!((&model["weights"], &model["gates"]), (&"unchecked".into(), &"relations".into()));
    let again = post(to, "/v1/models", &files().zkv);
    assert_eq!((again.status, again.json()), (200, model.clone()));
    assert_eq!(get(to, &format!("/v1/models/{}", files().model_id)).json(), model);
    assert_eq!(get(to, "/v1/models").json(), json!({"models": [model]}));

    post(to, "/v1/models", &files().other_zkv).is_error(507, "too_many_models");
    post_json(to, "/v1/models", &json!({})).is_error(415, "media_type");
}

#[test]
fn what_is_no_model_is_refused() {
    let service = Running::new(Config::default());
    let zkv = &files().zkv;
    post(service.address, "/v1/models", b"").is_error(400, "not_this_file");
    post(service.address, "/v1/models", &zkv[..zkv.len() - 1]).is_error(400, "malformed");
    let mut version = zkv.clone();
    version[8] ^= 0x40;
    post(service.address, "/v1/models", &version).is_error(400, "unknown_file_version");
    post(service.address, "/v1/models", &files().good).is_error(400, "not_this_file");
    let closed = Running::new(Config { registration: false, ..Config::default() });
    post(closed.address, "/v1/models", zkv).is_error(403, "registration_closed");
}

#[test]
fn a_true_statement_is_accepted_with_all_it_says() {
    let service = Running::with_model(Config::default());
    let binary = post(service.address, "/v1/verify", &files().good).verdict("accepted");
    let text = json!({"proof": base64(&files().good)});
    assert_eq!(post_json(service.address, "/v1/verify", &text).verdict("accepted"), binary);
    assert_eq!(binary["model_id"], files().model_id);
    assert_eq!(binary["weights"], "unchecked", "a file's word");
    assert_eq!(binary["statement"], ProofFile::from_bytes(&files().good).unwrap().statement.digest().to_string());
    assert_eq!(binary["outputs"][0]["values"], json!(files().outputs));
    assert_eq!(binary["inputs"][0]["values"], json!([-9, -3, 0, 1, 5, 9]));
    assert_eq!(
        binary["context"],
        json!({"domain": hex(1), "job_id": hex(2), "nonce": 7, "requester": hex(4), "payee": hex(5), "not_after": 0})
    );
}

#[test]
fn a_false_statement_is_rejected_with_its_step() {
    let service = Running::with_model(Config::default());
    let reject = |change: &dyn Fn(&mut ProofFile)| {
        let mut file = ProofFile::from_bytes(&files().good).unwrap();
        change(&mut file);
        let verdict = post(service.address, "/v1/verify", &file.to_bytes()).verdict("rejected");
        (verdict["code"].as_str().unwrap().to_owned(), verdict["step"].as_str().unwrap().to_owned())
    };
    let last = |file: &mut ProofFile| file.proof.last_mut().map(|b| *b ^= 0x80).unwrap();
    assert_eq!(reject(&last), ("rejected_transcript".into(), "transcript".into()));
    // The copied proof of a thief.
    let (code, step) = reject(&|file| file.statement.context.payee = [6; 32]);
    assert!(code.starts_with("rejected_") && step != "statement", "{code} {step}");
    let (code, step) = reject(&|file| file.statement.outputs[0].digest[0] ^= 1);
    assert_eq!((code.as_str(), step.as_str()), ("rejected_statement", "statement"));
    let expired = post(service.address, "/v1/verify", &files().expired).verdict("rejected");
    assert_eq!(expired["code"], "expired");
}

#[test]
fn a_statement_that_is_not_the_expected_one_is_rejected() {
    let service = Running::with_model(Config::default());
    let to = service.address;
    let mut query = String::from("/v1/verify?nonce=7");
    let mut expected = json!({"nonce": 7});
    for (name, value) in [("domain", 1), ("job_id", 2), ("requester", 4), ("payee", 5)] {
        query += &format!("&{name}={}", hex(value));
        expected[name] = json!(hex(value));
    }
    post(to, &query, &files().good).verdict("accepted");
    let proof = base64(&files().good);
    post_json(to, "/v1/verify", &json!({"proof": proof, "expected": expected})).verdict("accepted");
    for (name, code) in [
        ("domain", "other_domain"),
        ("job_id", "other_job"),
        ("requester", "other_requester"),
        ("payee", "other_payee"),
    ] {
        let verdict = post(to, &format!("/v1/verify?{name}={}", hex(9)), &files().good).verdict("rejected");
        assert_eq!(verdict["code"], code);
        let verdict = post_json(to, "/v1/verify", &json!({"proof": proof, "expected": {name: hex(9)}}));
        assert_eq!(verdict.verdict("rejected")["code"], code);
    }
    let verdict = post(to, "/v1/verify?nonce=8", &files().good).verdict("rejected");
    assert_eq!(verdict["code"], "other_nonce");
    // A field that nobody knows is not passed over, nor one that cannot be read.
    post(to, &format!("/v1/verify?paye={}", hex(5)), &files().good).is_error(400, "bad_request");
    post(to, "/v1/verify?payee=5", &files().good).is_error(400, "bad_request");
    let unknown = json!({"proof": proof, "expected": {"paye": hex(5)}});
    post_json(to, "/v1/verify", &unknown).is_error(400, "bad_request");

    let hidden = post(to, "/v1/verify", &files().hidden).verdict("rejected");
    assert_eq!(hidden["code"], "hidden_output");
    let allowed = post(to, "/v1/verify?allow_hidden_outputs=true", &files().hidden).verdict("accepted");
    let output = &allowed["outputs"][0];
    assert_eq!((&output["mode"], &output["values"]), (&json!("hidden"), &json!(null)));
    assert_eq!(allowed["inputs"][0]["mode"], "public");
}

#[test]
fn what_is_no_proof_of_a_known_model_gets_no_verdict() {
    let service = Running::with_model(Config::default());
    let to = service.address;
    let good = &files().good;
    post(to, "/v1/verify", b"").is_error(400, "not_this_file");
    post(to, "/v1/verify", &files().zkv).is_error(400, "not_this_file");
    post(to, "/v1/verify", &good[..good.len() - 1]).is_error(400, "malformed");
    post(to, "/v1/verify", &[good.as_slice(), b"x"].concat()).is_error(400, "malformed");
    let mut short = ProofFile::from_bytes(good).unwrap();
    short.proof.pop();
    post(to, "/v1/verify", &short.to_bytes()).is_error(400, "proof_length");
    let mut version = ProofFile::from_bytes(good).unwrap();
    version.statement.suite = 9;
    post(to, "/v1/verify", &version.to_bytes()).is_error(400, "wrong_version");
    post(to, "/v1/verify", &files().other).is_error(404, "unknown_model");
    for text in ["", "[]", "{}", r#"{"proof": 1}"#, r#"{"proof": "*"}"#, r#"{"proof": "", "more": 1}"#, "{"] {
        request(to, "POST", "/v1/verify", "application/json", text.as_bytes()).is_error(400, "bad_request");
    }
    request(to, "POST", "/v1/verify", "text/html", good).is_error(415, "media_type");
    get(to, "/v1/verify").is_error(405, "method");
    get(to, "/v2/verify").is_error(404, "no_route");
    // Every byte of a small part, flipped: an answer, and never a true one.
    for at in (0..good.len()).step_by(good.len() / 48 + 1) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let answer = post(to, "/v1/verify", &bytes);
        assert!(answer.status == 400 || answer.status == 404 || answer.json()["verdict"] == "rejected", "{answer:?}");
    }
}

#[test]
fn a_batch_has_a_verdict_for_each() {
    let service = Running::with_model(Config { max_batch: 6, ..Config::default() });
    let mut bad = ProofFile::from_bytes(&files().good).unwrap();
    bad.statement.context.payee = [6; 32];
    let proof = |bytes: &[u8]| json!({"proof": base64(bytes)});
    let mut wrong_payee = proof(&files().good);
    wrong_payee["expected"] = json!({"payee": hex(9)});
    let all = vec![
        proof(&files().good),
        proof(&bad.to_bytes()),
        proof(b"nothing"),
        proof(&files().other),
        wrong_payee,
        proof(&files().good),
    ];
    let answer = post_json(service.address, "/v1/verify-batch", &json!({"proofs": all}));
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    let verdicts = answer["verdicts"].as_array().unwrap();
    let kinds: Vec<&str> = verdicts.iter().map(|v| v["verdict"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["accepted", "rejected", "error", "error", "rejected", "accepted"]);
    assert_eq!(verdicts[2]["code"], "not_this_file");
    assert_eq!(verdicts[3]["code"], "unknown_model");
    assert_eq!(verdicts[4]["code"], "other_payee");
    assert_eq!(verdicts[5], verdicts[0]);
    assert_eq!(verdicts[0]["context"]["nonce"], CONTEXT.nonce);

    let empty = post_json(service.address, "/v1/verify-batch", &json!({"proofs": []}));
    assert_eq!(empty.json(), json!({"verdicts": []}));
    let many: Vec<_> = (0..7).map(|_| proof(b"")).collect();
    post_json(service.address, "/v1/verify-batch", &json!({"proofs": many})).is_error(413, "too_many_proofs");
    post(service.address, "/v1/verify-batch", b"").is_error(415, "media_type");
}

#[test]
fn a_job_is_settled_once_where_that_is_asked_for() {
    let service = Running::with_model(Config { max_jobs: Some(1), ..Config::default() });
    let to = service.address;
    // What is not accepted settles nothing.
    post(to, &format!("/v1/verify?payee={}", hex(9)), &files().good).verdict("rejected");
    let first = post(to, "/v1/verify", &files().good).verdict("accepted");
    let second = post(to, "/v1/verify", &files().good).verdict("rejected");
    assert_eq!(second["code"], "replayed");
    assert!(second["message"].as_str().unwrap().contains(first["statement"].as_str().unwrap()), "{second}");
    // Another statement about the same job, and the guard has no place for another job.
    let same = post(to, "/v1/verify?allow_hidden_outputs=true", &files().hidden).verdict("rejected");
    assert_eq!(same["code"], "replayed");
    post(to, "/v1/verify", &files().another_job).is_error(507, "guard_full");
    let batch = json!({"proofs": [{"proof": base64(&files().good)}, {"proof": base64(&files().another_job)}]});
    let verdicts = post_json(to, "/v1/verify-batch", &batch).json();
    assert_eq!(verdicts["verdicts"][0]["code"], "replayed");
    assert_eq!(verdicts["verdicts"][1]["code"], "guard_full");
    // Twice in one batch is once too often.
    let service = Running::with_model(Config { max_jobs: Some(9), ..Config::default() });
    let batch = json!({"proofs": [{"proof": base64(&files().good)}, {"proof": base64(&files().good)}]});
    let verdicts = post_json(service.address, "/v1/verify-batch", &batch).json();
    assert_eq!(verdicts["verdicts"][0]["verdict"], "accepted");
    assert_eq!(verdicts["verdicts"][1]["code"], "replayed");
}
