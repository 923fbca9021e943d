//! What the README shows.

use crate::{command, finish, fixture, image, mlp, write, zkonnx, Dir};
use serde_json::Value;
use zkonnx_quantize::data::NamedTensor;

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

/// The other way of proving gates, wherever it shows.
#[test]
fn gates_by_halo2_are_another_model_with_proofs_of_their_own() {
    let dir = Dir::new("gates");
    let (zkq, zkv, proof, data) =
        (dir.path("m.zkq"), dir.path("m.zkv"), dir.path("p"), fixture("cli/regressor_samples.npz"));
    let onnx = fixture("cli/regressor.onnx");
    let quantize = |path: &str, gates: &str| {
        zkonnx(&["quantize", &onnx, "-o", path, "--calibrate", &data, "--gates", gates, "--json"]).json()
    };
    let (halo2, relations) = (quantize(&zkq, "halo2"), quantize(&dir.path("other.zkq"), "relations"));
    assert_eq!((&halo2["gates"], &relations["gates"]), (&"halo2".into(), &"relations".into()));
    assert_ne!(halo2["model_id"], relations["model_id"]);
    let inspected = zkonnx(&["inspect", &onnx, "--calibrate", &data, "--gates", "halo2", "--json"]).json();
    assert_eq!(inspected["predicted"]["gates"], "halo2");

    let array = zkonnx_quantize::data::read_npz(std::path::Path::new(&data)).unwrap().remove(0);
    let first = NamedTensor {
        name: array.name.clone(),
        shape: array.shape[1..].to_vec(),
        data: array.data[..array.data.len() / array.shape[0]].to_vec(),
    };
    write(&dir.path("x.npy"), &[first]);
    let proven = zkonnx(&["prove", &zkq, "--input", &dir.path("x.npy"), "-o", &proof, "--json"]).json();
    assert_eq!((&proven["gates"], &proven["proof_bytes"]), (&"halo2".into(), &halo2["proof_bytes"]));
    let verified = zkonnx(&["verify", "--model", &zkv, &proof, "--json"]).json();
    assert_eq!((&verified["gates"], &verified["verdict"]), (&"halo2".into(), &"accepted".into()));
    let text = zkonnx(&["verify", "--model", &zkv, &proof]).done().out;
    assert!(text.contains("gates by halo2"), "{text}");
    zkonnx(&["verify", "--model", &dir.path("other.zkv"), &proof]).rejected("model");
    let metered = zkonnx(&["receipt", "meter", &zkv]).done().out;
    assert!(metered.contains("gates by halo2") && metered.contains(" columns"), "{metered}");
    assert_eq!(zkonnx(&["quantize", &onnx, "-o", &zkq, "--gates", "plonk"]).code, Some(2));
}

#[test]
fn the_demo_proves_an_image_and_refuses_three_lies() {
    let out = zkonnx(&["demo", "--images", "1"]).done().out;
    assert_eq!(out.matches("the model says").count(), 1, "{out}");
    // Both ways of proving gates.
    for way in ["by relations (2^", "by halo2     (2^"] {
        assert_eq!(out.matches(way).count(), 1, "{out}");
    }
    for lie in ["one bit of the proof flipped: ", "one output raised by one unit: ", "another payee: "] {
        assert!(out.contains(lie), "{out}");
    }
}

#[test]
fn bench_measures_every_stage() {
    let mlp = mlp();
    let json = zkonnx(&["bench", &mlp.zkq, "--runs", "1", "--gates", "relations,halo2", "--json"]).json();
    let own = ["evaluate", "witness", "commitments", "lookups", "contractions", "pairs", "relations", "opening"];
    let within = ["add up fractions", "contraction tables", "collect columns", "fold columns", "inner product rounds"];
    let halo2 = ["halo2 proof", "commit columns", "quotient", "inner product"];
    for (run, gates) in json["runs"].as_array().unwrap().iter().zip(["relations", "halo2"]) {
        assert_eq!(run["settings"]["gates"], gates);
        for stage in own.iter().chain(&within).chain(&halo2) {
            let spread = &run["stages"][*stage];
            if gates == "relations" && halo2.contains(stage) {
                assert!(spread.is_null(), "{stage} in {json:#}");
            } else {
                assert!(spread["median"].as_f64().unwrap() > 0.0 && spread["count"] == 1, "{stage} in {json:#}");
            }
        }
        assert!(run["sizes"]["proof"].as_u64().unwrap() > 1000);
        let (shape, of_halo2) = (&run["shape"], gates == "halo2");
        assert_eq!(shape["gated_columns"].as_u64().unwrap() > 0, of_halo2, "{run:#}");
        assert_eq!(shape["product_gates"].as_u64().unwrap() > 0, !of_halo2, "{run:#}");
    }
    assert_ne!(json["runs"][0]["model_id"], json["runs"][1]["model_id"]);
    assert_eq!(json["environment"]["executable"].as_str().unwrap().len(), 64);
    let text = zkonnx(&["bench", &mlp.zkq, "--runs", "1", "--input", &mlp.input]).done().out;
    assert!(text.contains("every proof verified"), "{text}");
    zkonnx(&["bench", &mlp.zkq, "--runs", "0"]).refused(&["--runs"]);
    let json = zkonnx(&["bench", &mlp.zkq, "--runs", "1", "--batch", "2", "--json"]).json();
    let batches = json["runs"][0]["batches"].as_array().unwrap();
    assert!(!batches.is_empty() && batches.iter().all(|b| b["proofs"] == 2 && b["ratio"].as_f64().unwrap() > 0.0));
    zkonnx(&["bench", &mlp.zkq, "--batch", "0"]).refused(&["--batch"]);
}

#[test]
fn bench_sweeps_over_settings_and_compares_reports() {
    let (mlp, dir) = (mlp(), Dir::new("bench-sweep"));
    let settings = |json: &serde_json::Value| -> Vec<[u64; 4]> {
        let of = |run: &serde_json::Value| {
            ["k", "limb_bits", "threads", "group"].map(|s| run["settings"][s].as_u64().unwrap())
        };
        json["runs"].as_array().unwrap().iter().map(of).collect()
    };
    let sweep =
        ["bench", &mlp.zkq, "--runs", "3", "--k", "8,9", "--limb-bits", "7", "--group", "1,2", "--threads", "1"];
    let ended = zkonnx(&[&sweep[..], &["--json"]].concat()).done();
    let json: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(settings(&json), [[8, 7, 1, 1], [8, 7, 1, 2], [9, 7, 1, 1], [9, 7, 1, 2]]);
    let first = dir.file("first.json", &ended.out);
    // The second is the first with proofs that took half as long.
    let mut faster = json.clone();
    for run in faster["runs"].as_array_mut().unwrap() {
        let spread = &mut run["stages"]["prove"];
        spread["median"] = (spread["median"].as_f64().unwrap() / 2.0).into();
        spread["deviation"] = 0.0.into();
    }
    let second = dir.file("second.json", faster.to_string());
    let text = zkonnx(&["bench", "--compare", &first, &second]).done().out;
    let halved = text.lines().filter(|line| line.starts_with("prove ") && line.contains("    0.500 "));
    assert_eq!(halved.count(), 4, "{text}");
    let compared = zkonnx(&["bench", "--compare", &first, &first, "--json"]).json();
    let stages = compared["stages"].as_array().unwrap();
    let expected = |stage: &serde_json::Value| if stage["stage"] == "load" { "unknown" } else { "same" };
    assert!(stages.len() > 40 && stages.iter().all(|s| s["verdict"] == expected(s)), "{compared:#}");
    zkonnx(&["bench", "--compare", &first, &mlp.zkq]).refused(&["m.zkq", "hint"]);
    // A report of the suite before: the same stages, other counts, one way of proving gates.
    let mut old = json.clone();
    old["format"] = 1.into();
    for run in old["runs"].as_array_mut().unwrap() {
        run["settings"].as_object_mut().unwrap().remove("gates");
        run["predicted"].as_object_mut().unwrap().remove("verify_seconds");
        run["shape"] = serde_json::json!({ "advice_columns": 120, "phase1_columns": 77, "linear": 60000 });
    }
    let old = dir.file("old.json", old.to_string());
    assert_eq!(zkonnx(&["bench", "--compare", &old, &first, "--json"]).json()["stages"], compared["stages"]);
    zkonnx(&["bench", "--fit", &old]).refused(&["4 measurements"]);
    let other = dir.file("other.json", ended.out.replace("\"m.zkq\"", "\"n.zkq\""));
    zkonnx(&["bench", "--compare", &first, &other]).refused(&["other.json", "no measurement"]);

    let calibration = fixture("models/mlp_calibration.npz");
    let onnx =
        ["bench", &fixture("models/mlp.onnx"), "--calibrate", &calibration, "--runs", "1", "--bits", "8,12", "--csv"];
    let table = zkonnx(&onnx).done().out;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{table}");
    for bits in ["8", "12"] {
        assert!(rows.iter().any(|row| row[3] == "relations" && row[4] == bits && row.contains(&"quantise")), "{table}");
    }
    zkonnx(&["bench", &mlp.zkq, "--bits", "8"]).refused(&["--bits", "hint"]);
    zkonnx(&["bench", &mlp.zkq, "--k", "8", "--limb-bits", "19", "--runs", "1"]).refused(&["m.zkq", "19 bits"]);
    assert_eq!(zkonnx(&["bench"]).code, Some(2));
}

#[test]
fn bench_fits_the_cost_model() {
    let (mlp, dir) = (mlp(), Dir::new("bench-fit"));
    let sweep = ["bench", &mlp.zkq, "--runs", "1", "--k", "8,9", "--group", "1,2", "--threads", "1", "--json"];
    let mut report = zkonnx(&[&sweep[..], &["--gates", "relations,halo2"]].concat()).json();
    // Proofs that took twice what is predicted.
    for run in report["runs"].as_array_mut().unwrap() {
        let twice = 2.0 * run["predicted"]["seconds"].as_f64().unwrap();
        run["stages"]["prove"]["median"] = twice.into();
    }
    let file = |name: &str, report: &serde_json::Value| dir.file(name, report.to_string());
    let fit = zkonnx(&["bench", "--json", "--fit", &file("twice.json", &report)]).json();
    let rows = fit["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 8);
    for row in rows {
        assert!((row["error_before"].as_f64().unwrap() + 0.5).abs() < 1e-9, "{row:#}");
        assert!(row["error"].as_f64().unwrap().abs() < 0.02, "{row:#}");
    }
    assert!(fit["worst_error"].as_f64().unwrap() >= fit["median_error"].as_f64().unwrap());
    let text = zkonnx(&["bench", "--fit", &file("twice.json", &report)]).done().out;
    assert!(text.contains("-50.0%") && text.contains("gated_cell"), "{text}");

    let mut few = report.clone();
    few["runs"].as_array_mut().unwrap().truncate(4);
    zkonnx(&["bench", "--fit", &file("few.json", &few)]).refused(&["4 measurements"]);
    let mut threads = report.clone();
    threads["runs"][3]["settings"]["threads"] = 2.into();
    zkonnx(&["bench", "--fit", &file("threads.json", &threads)]).refused(&["with 1 and with 2 threads"]);
    let mut old = report.clone();
    old["runs"][1]["shape"].as_object_mut().unwrap().remove("rows");
    zkonnx(&["bench", "--fit", &file("old.json", &old)]).refused(&["m.zkq", "measure it again"]);
    zkonnx(&["bench", "--fit", "missing.json"]).refused(&["missing.json"]);
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
