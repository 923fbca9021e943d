//! Receipts and batches.

use crate::{fixture, mlp, zkonnx, Dir};
use serde_json::Value;

#[test]
fn receipts_are_made_shown_converted_and_verified() {
    let (mlp, dir) = (mlp(), Dir::new("receipts"));
    let (binary, json, back) = (dir.path("r.receipt"), dir.path("r.json"), dir.path("back.receipt"));
    let data = dir.file("data.bin", "some bytes");
    let storage = ["--storage-uri", "file:data.bin", "--storage-data", &data, "--storage-expires", "7"];
    let make = ["receipt", "make", "--model", &mlp.zkv, &mlp.proof, "-o", &binary];
    zkonnx(&[&make[..], &storage].concat()).done();
    zkonnx(&["receipt", "convert", &binary, &json]).done();
    zkonnx(&["receipt", "convert", &json, &back]).done();
    assert_eq!(std::fs::read(&binary).unwrap(), std::fs::read(&back).unwrap());
    let text: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!((&text["storage"]["length"], &text["storage"]["expires"]), (&10.into(), &7.into()));
    assert_eq!(zkonnx(&["receipt", "show", &binary, "--json"]).json(), text);
    assert!(zkonnx(&["receipt", "show", &json]).done().out.contains("file:data.bin"));

    // A price before anything is proven, from either file.
    for model in [&mlp.zkv, &mlp.zkq] {
        assert_eq!(zkonnx(&["receipt", "meter", model, "--json"]).json(), text["metering"]);
    }
    assert_eq!(text["metering"]["macs"], 784 * 128 + 128 * 10);
    assert!(zkonnx(&["receipt", "meter", &mlp.zkv]).done().out.contains("MACs"));

    for receipt in [&binary, &json] {
        let verified = zkonnx(&["verify", "--model", &mlp.zkv, receipt, "--json"]).json();
        assert_eq!((&verified["verdict"], &verified["metering"]), (&"accepted".into(), &text["metering"]));
        assert!(zkonnx(&["verify", "--model", &mlp.zkv, receipt]).done().out.contains("metering"));
    }
    let cheaper = text.to_string().replace("\"macs\":", "\"macs\":1");
    let cheaper = dir.file("cheaper.json", &cheaper);
    zkonnx(&["verify", "--model", &mlp.zkv, &cheaper]).rejected("the metering is not the model's");
    let names = dir.list();
    zkonnx(&[&make[..6], &[&binary]].concat()).done();
    zkonnx(&["receipt", "show", &mlp.zkv]).refused(&["receipt", "hint"]);
    zkonnx(&["receipt", "convert", &binary, &binary]).refused(&["replace an input"]);
    zkonnx(&["receipt", "make", "--model", &mlp.zkv, &mlp.zkq, "-o", &dir.path("x")]).refused(&[".zkq"]);
    assert_eq!(dir.list(), names);
}

#[test]
fn several_proofs_are_verified_in_one_batch_with_a_verdict_for_each() {
    let (mlp, dir) = (mlp(), Dir::new("batches"));
    let mut bytes = std::fs::read(&mlp.proof).unwrap();
    let last = bytes.len() - 32;
    bytes[last] ^= 1;
    let wrong = dir.path("wrong.proof");
    std::fs::write(&wrong, bytes).unwrap();
    let garbage = dir.file("garbage.proof", "garbage");

    let models = ["verify", "--model", &mlp.zkv];
    let good = zkonnx(&[&models[..], &[&mlp.proof, &mlp.proof]].concat()).done().out;
    assert!(good.contains("2 of 2 accepted"), "{good}");
    let mixed = zkonnx(&[&models[..], &[&mlp.proof, &wrong, &garbage, &mlp.proof]].concat());
    assert_eq!(mixed.code, Some(1));
    assert_eq!(mixed.out.matches("accepted: ").count(), 2, "{mixed:?}");
    assert!(mixed.out.contains("wrong.proof: rejected (linear)") && mixed.out.contains("garbage.proof: not a proof"));
    let mixed = zkonnx(&[&models[..], &[&mlp.proof, &wrong, &garbage, "--json"]].concat());
    assert_eq!(mixed.code, Some(1));
    let json: Value = serde_json::from_str(&mixed.out).unwrap();
    let verdicts: Vec<&Value> = json["verdicts"].as_array().unwrap().iter().map(|v| &v["verdict"]).collect();
    assert_eq!(verdicts, ["accepted", "rejected", "rejected"]);

    // Proofs of several models: each is about one of them.
    let lenet = dir.path("lenet.zkq");
    let lenet_zkv = dir.path("lenet.zkv");
    let calibration = fixture("models/lenet_calibration.npz");
    zkonnx(&["quantize", &fixture("models/lenet.onnx"), "-o", &lenet, "--calibrate", &calibration]).done();
    let both = zkonnx(&["verify", "--model", &lenet_zkv, "--model", &mlp.zkv, &mlp.proof, &mlp.proof]).done().out;
    assert!(both.contains("2 of 2 accepted"), "{both}");
    zkonnx(&["verify", "--model", &lenet_zkv, &mlp.proof]).rejected("the statement is about model");
}
