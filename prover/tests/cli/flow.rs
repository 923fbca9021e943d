//! What the README shows.

use crate::{command, finish, fixture, image, mlp, write, zkonnx, Dir};
use serde_json::Value;

fn flow(name: &str, shape: &[usize]) {
    let dir = Dir::new(name);
    let (zkq, zkv, input, proof) = (dir.path("m.zkq"), dir.path("m.zkv"), dir.path("x.npy"), dir.path("m.proof"));
    let onnx = fixture(&format!("models/{name}.onnx"));
    let calibration = fixture(&format!("models/{name}_calibration.npz"));
    write(&input, &[image(shape, 3)]);

    let inspected = zkonnx(&["inspect", &onnx, "--json"]).json();
    assert!(inspected["predicted"]["prove_seconds"].is_number());
    assert!(zkonnx(&["inspect", &onnx]).done().out.contains("Gemm"));

    let report = dir.path("r.json");
    let arguments = ["quantize", &onnx, "-o", &zkq, "--calibrate", &calibration, "--report", &report];
    let quantised = zkonnx(&[&arguments[..], &["--json"]].concat()).json();
    assert_eq!(quantised["zkq_bytes"], std::fs::metadata(&zkq).unwrap().len());
    assert_eq!(quantised["zkv_bytes"], std::fs::metadata(&zkv).unwrap().len());
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["model_id"], quantised["model_id"]);
    assert_eq!(report["accuracy"], quantised["accuracy"]);
    assert_eq!(dir.list(), ["m.zkq", "m.zkv", "r.json", "x.npy"]);
    // The same again, in words, gives the same model.
    let (first, text) = (std::fs::read(&zkq).unwrap(), zkonnx(&arguments).done().out);
    assert_eq!(first, std::fs::read(&zkq).unwrap());
    assert!(text.contains(quantised["model_id"].as_str().unwrap()));

    let outputs = zkonnx(&["run", &zkq, "--input", &input]).json();
    assert_eq!(outputs["logits"]["shape"], serde_json::json!([1, 10]));

    let proven = zkonnx(&["prove", &zkq, "--input", &input, "-o", &proof, "--json"]).json();
    assert_eq!(proven["model_id"], quantised["model_id"]);
    assert_eq!(proven["file_bytes"], std::fs::metadata(&proof).unwrap().len());
    assert!(zkonnx(&["prove", &zkq, "--input", &input, "-o", &proof]).done().out.contains("m.proof"));

    let verified = zkonnx(&["verify", "--model", &zkv, &proof, "--json"]).json();
    assert_eq!(verified["verdict"], "accepted");
    assert_eq!(verified["model_id"], quantised["model_id"]);
    assert_eq!(verified["outputs"], outputs, "verify prints what run prints");
    let text = zkonnx(&["verify", "--model", &zkv, &proof]).done().out;
    let logit = outputs["logits"]["data"][0].as_f64().unwrap();
    assert!(text.starts_with("accepted") && text.contains(&format!("logits [1, 10] = [{logit:.5}, ")), "{text}");
    assert!(text.contains("weights    declared public"), "{text}");
    assert_eq!(dir.list(), ["m.proof", "m.zkq", "m.zkv", "r.json", "x.npy"]);
}

#[test]
fn an_mlp_from_onnx_to_an_accepted_proof() {
    flow("mlp", &[1, 784]);
}

#[test]
fn a_lenet_from_onnx_to_an_accepted_proof() {
    flow("lenet", &[1, 1, 28, 28]);
}

#[test]
fn the_demo_proves_an_image_and_refuses_three_lies() {
    let out = zkonnx(&["demo", "--images", "1"]).done().out;
    assert_eq!(out.matches("the model says").count(), 1, "{out}");
    for lie in ["one bit of the proof flipped: ", "one output raised by one unit: ", "another payee: "] {
        assert!(out.contains(lie), "{out}");
    }
}

#[test]
fn bench_measures_every_stage() {
    let mlp = mlp();
    let json = zkonnx(&["bench", &mlp.zkq, "--runs", "1", "--json"]).json();
    for stage in ["evaluate", "witness", "phase-1 commitments", "halo2 proof", "sumcheck", "relations", "opening"] {
        assert!(json["seconds"][stage]["median"].as_f64().unwrap() > 0.0, "{stage} in {json:#}");
    }
    assert!(json["proof_bytes"].as_u64().unwrap() > 1000);
    let text = zkonnx(&["bench", &mlp.zkq, "--runs", "1", "--input", &mlp.input]).done().out;
    assert!(text.contains("every proof verified"), "{text}");
    zkonnx(&["bench", &mlp.zkq, "--runs", "0"]).refused(&["--runs"]);
    let json = zkonnx(&["bench", &mlp.zkq, "--runs", "1", "--batch", "2", "--json"]).json();
    let batches = json["verify_batches"].as_array().unwrap();
    assert!(!batches.is_empty() && batches.iter().all(|b| b["proofs"] == 2 && b["ratio"].as_f64().unwrap() > 0.0));
    zkonnx(&["bench", &mlp.zkq, "--batch", "0"]).refused(&["--batch"]);
}

#[test]
fn usage_errors_end_in_exit_code_2_and_help_in_0() {
    for arguments in [&[][..], &["nothing"], &["verify"], &["prove", "m.zkq"], &["quantize", "m.onnx", "--bits", "x"]] {
        assert_eq!(zkonnx(arguments).code, Some(2), "{arguments:?}");
    }
    assert!(zkonnx(&["--help"]).done().out.contains("quantize"));
    assert!(zkonnx(&["--version"]).done().out.contains(env!("CARGO_PKG_VERSION")));
}

/// A full disk must not pass for success; a reader that has seen enough must not look like a crash.
#[test]
#[cfg(target_os = "linux")]
fn standard_output_that_cannot_be_written_is_an_error() {
    let mlp = mlp();
    let mut full = command(&["verify", "--model", &mlp.zkv, &mlp.proof]);
    full.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let ended = full.spawn().unwrap().wait().unwrap();
    assert_eq!(ended.code(), Some(2));

    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", "\"$0\" inspect \"$1\" | true; echo ${PIPESTATUS[0]}"]);
    shell.args([env!("CARGO_BIN_EXE_zkonnx"), &fixture("models/lenet.onnx")]);
    let ended = finish(shell).done();
    assert_eq!((ended.out.trim(), ended.err.as_str()), ("0", ""));
}
