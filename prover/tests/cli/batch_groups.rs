//! `zkonnx batch --group`: several inferences in one proof.

use crate::{
    batch::{batch, context, item, proofs, summary, totals},
    image, images, mlp, write, zkonnx, Dir,
};
use serde_json::Value;
use std::fs;
use zkonnx_verifier::proof_file::ProofFile;

/// The scores that a verified proof states, one list for each inference.
fn scores(proof: &str) -> Vec<Vec<f64>> {
    let verdict = zkonnx(&["verify", "--json", "--model", &mlp().zkv, proof]).json();
    let (_, output) = verdict["outputs"].as_object().unwrap().iter().next().unwrap();
    let data: Vec<f64> = output["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    data.chunks(10).map(<[f64]>::to_vec).collect()
}

#[test]
fn a_group_says_what_its_members_say_alone_and_saves_time() {
    let dir = Dir::new("batch-group");
    let (inputs, alone, out) = (dir.path("in.npz"), dir.path("alone"), dir.path("out"));
    images(&inputs, &[0, 1, 2, 3, 4, 5, 6], &[5]);
    totals(&summary(&batch(&inputs, &alone, &["--json"]), 1, &alone), 6, 0, 1);
    let first = summary(&batch(&inputs, &out, &["--json", "--group", "3"]), 1, &out);
    totals(&first, 6, 0, 1);
    // Three, the two that are left of three, and one.
    assert_eq!(proofs(&out), ["group-000000.proof", "group-000001.proof", "sample-000006.proof"]);
    for sample in [0, 1, 2, 3, 4, 6] {
        let name = format!("sample-{sample:06}");
        let item = item(&first, &name);
        let proof = format!("{out}/{}", item["proof"].as_str().unwrap());
        let member = usize::try_from(item["member"].as_u64().unwrap_or(0)).unwrap();
        let size = [3, 2, 1][sample / 3];
        assert_eq!((member, item["group"].as_u64().unwrap_or(1)), (sample % 3, size), "{item:#}");
        assert_eq!(scores(&proof)[member], scores(&format!("{alone}/{name}.proof"))[0], "{name}");
    }
    let group = &first["group"];
    assert_eq!(group["size"], 3);
    let number = |name: &str| group[name].as_f64().unwrap();
    assert!(number("predicted") > 1.0 && number("measured") > 0.0, "{group:#}");
    assert!((number("measured") * number("grouped_seconds") - number("single_seconds")).abs() < 1e-9, "{group:#}");

    // The verdict names model and size; the receipt counts all members.
    let path = format!("{out}/group-000000.proof");
    let verdict = zkonnx(&["verify", "--json", "--model", &mlp().zkv, &path]).json();
    let model = zkonnx(&["verify", "--json", "--model", &mlp().zkv, &mlp().proof]).json()["model_id"].clone();
    assert_eq!((&verdict["group"]["model_id"], &verdict["group"]["size"]), (&model, &3.into()), "{verdict:#}");
    assert_ne!(verdict["model_id"], model);
    let receipt = dir.path("group.receipt.json");
    zkonnx(&["receipt", "make", "--model", &mlp().zkv, &path, "-o", &receipt]).done();
    zkonnx(&["verify", "--model", &mlp().zkv, &receipt]).done();
    let meter = |more: &[&str]| zkonnx(&[&["receipt", "meter", "--json", &mlp().zkv], more].concat()).json();
    let made: Value = serde_json::from_slice(&fs::read(&receipt).unwrap()).unwrap();
    assert_eq!(meter(&["--group", "3"]), made["metering"]);
    assert!(meter(&["--group", "3"])["lookups"].as_u64() > meter(&[])["lookups"].as_u64());

    // Nothing is proven twice; another context, and a member that was bad, make another proof.
    totals(&summary(&batch(&inputs, &out, &["--json", "--group", "3"]), 1, &out), 0, 6, 1);
    images(&inputs, &[0, 1, 2, 3, 4, 5, 6], &[]);
    let repaired = summary(&batch(&inputs, &out, &["--json", "--group", "3"]), 0, &out);
    totals(&repaired, 3, 4, 0);
    let replaced = item(&repaired, "sample-000003")["replaced"].as_str().unwrap();
    assert_eq!(replaced, "it is of another model, or of another number of inferences");
    assert_eq!(proofs(&out).len(), 3);
}

#[test]
fn who_has_a_context_is_proven_alone() {
    let dir = Dir::new("batch-group-context");
    let out = dir.path("out");
    let line = |more: &str| format!("{{\"image\": [{:?}]{more}}}", image(&[784], 0).data);
    let lines =
        [line(", \"name\": \"a\""), line(", \"context\": {\"nonce\": 5}, \"name\": \"b\""), line("")].join("\n");
    let inputs = dir.file("in.jsonl", lines);
    let base = dir.file("context.json", r#"{"nonce": 1}"#);
    let summary = summary(&batch(&inputs, &out, &["--json", "--group", "3", "--context", &base]), 0, &out);
    totals(&summary, 3, 0, 0);
    assert_eq!(proofs(&out), ["b.proof", "group-000000.proof"]);
    assert_eq!((context(&out, "b").nonce, context(&out, "group-000000").nonce), (5, 1));
    assert_ne!(context(&out, "b").job_id, context(&out, "group-000000").job_id);
    assert_eq!((&item(&summary, "b")["group"], &item(&summary, "line-000003")["member"]), (&Value::Null, &1.into()));
}

#[test]
fn groups_that_cannot_be_are_refused_or_not_made() {
    let dir = Dir::new("batch-group-refused");
    let (inputs, out) = (dir.path("in.npz"), dir.path("out"));
    images(&inputs, &(0..40).map(|i| i % 9).collect::<Vec<_>>(), &[]);
    assert_eq!(batch(&inputs, &out, &["--group", "0"]).code, Some(2));
    let folder = dir.path("named");
    fs::create_dir(&folder).unwrap();
    for name in ["group-000001.npy", "x.npy"] {
        write(&format!("{folder}/{name}"), &[image(&[1, 784], 0)]);
    }
    // The name of an item of a folder has its extension: no group's has.
    totals(&summary(&batch(&folder, &out, &["--json", "--group", "2"]), 0, &out), 2, 0, 0);
    let line = format!("{{\"image\": [{:?}], \"name\": \"group-000001\"}}", image(&[784], 0).data);
    let lines = dir.file("in.jsonl", [line.as_str(), r#"{"image": []}"#].join("\n"));
    batch(&lines, &out, &["--group", "2"]).refused(&["group-000001", "hint"]);
    // A single item has no group.
    images(&inputs, &[3], &[]);
    let single = summary(&batch(&inputs, &out, &["--json", "--group", "8"]), 0, &out);
    assert!(single["group"].is_null());
    let file = ProofFile::from_bytes(&fs::read(format!("{out}/sample-000000.proof")).unwrap()).unwrap();
    assert_eq!(file.statement.inputs[0].shape, [1, 784]);
}
