//! Commands that must not do what they are asked, and leave nothing behind.

use crate::{fixture, mlp, zkonnx, Dir};

#[test]
fn a_missed_limit_writes_no_model() {
    let dir = Dir::new("limits");
    let (onnx, data) = (fixture("models/mlp.onnx"), fixture("models/mlp_calibration.npz"));
    let quantize = ["quantize", &onnx, "-o", &dir.path("m.zkq")];
    let with = |more: &[&str]| zkonnx(&[&quantize[..], more].concat());
    with(&["--max-error", "1e-9", "--calibrate", &data]).refused(&["'logits'", "above 0.000000001", "hint", "--bits"]);
    with(&["--min-top1", "1.1", "--calibrate", &data]).refused(&["'logits'", "top-1", "hint"]);
    with(&["--max-error", "1"]).refused(&["need samples", "hint", "--calibrate"]);
    for value in ["nan", "inf", "x"] {
        assert_eq!(with(&["--max-error", value, "--calibrate", &data]).code, Some(2));
        assert_eq!(with(&["--min-top1", value, "--calibrate", &data]).code, Some(2));
    }
    assert!(dir.list().is_empty());
    // The report says why: it is written all the same.
    with(&["--max-error", "1e-9", "--calibrate", &data, "--report", &dir.path("r.json")]).refused(&["'logits'"]);
    assert_eq!(dir.list(), ["r.json"]);
    with(&["--max-error", "1", "--min-top1", "0.9", "--calibrate", &data]).done();
    assert_eq!(dir.list(), ["m.zkq", "m.zkv", "r.json"]);
}

#[test]
fn impossible_options_are_refused() {
    let dir = Dir::new("options");
    let (onnx, data) = (fixture("models/mlp.onnx"), fixture("models/mlp_calibration.npz"));
    for options in [
        &["--bits", "0"][..],
        &["--bits", "200"],
        &["--k", "3"],
        &["--k", "19"],
        &["--k", "255"],
        &["--limb-bits", "0"],
        &["--limb-bits", "255"],
        &["--k", "8", "--limb-bits", "19"],
        &["--input-range", "1,0"],
        &["--input-range", "nan,1"],
        &["--input-range", "-inf,inf"],
        &["--percentile", "0.3", "--calibrate", &data],
        &["--percentile", "nan", "--calibrate", &data],
    ] {
        let quantize = ["quantize", &onnx, "-o", &dir.path("m.zkq")];
        zkonnx(&[&quantize[..], options].concat()).refused(&["mlp.onnx"]);
    }
    assert!(dir.list().is_empty());
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing() {
    let (mlp, dir) = (mlp(), Dir::new("unwritable"));
    let onnx = fixture("models/mlp.onnx");
    dir.file("file", "");
    std::fs::create_dir(dir.path("folder.zkq")).unwrap();
    std::fs::create_dir(dir.path("other.zkv")).unwrap();
    let before = dir.list();
    for bad in ["file/m.zkq", "file/deep/m.zkq", "folder.zkq", "other.zkq"] {
        let named = bad.replace("other.zkq", "other.zkv");
        zkonnx(&["quantize", &onnx, "-o", &dir.path(bad)]).refused(&[&named]);
    }
    for bad in ["file/p", "folder.zkq", "."] {
        let path = dir.path(bad);
        zkonnx(&["prove", &mlp.zkq, "--input", &mlp.input, "-o", &path]).refused(&[&path]);
    }
    for bad in ["file/y.npy", "file/y.csv", "folder.zkq", "y.txt"] {
        zkonnx(&["run", &mlp.zkq, "--input", &mlp.input, "-o", &dir.path(bad)]).refused(&[bad]);
    }
    // A file system that nobody can write to, root neither.
    if cfg!(target_os = "linux") {
        zkonnx(&["quantize", &onnx, "-o", "/proc/m.zkq"]).refused(&["/proc/m.zk"]);
        zkonnx(&["prove", &mlp.zkq, "--input", &mlp.input, "-o", "/proc/p"]).refused(&["/proc/p"]);
        zkonnx(&["run", &mlp.zkq, "--input", &mlp.input, "-o", "/proc/y.npz"]).refused(&["/proc/y.npz"]);
    }
    assert_eq!(dir.list(), before);
}

/// `quantize -o m.zkv` once wrote the model of the prover, with its weights, over the verifier's.
#[test]
fn no_output_replaces_an_input_or_another_output() {
    let (mlp, dir) = (mlp(), Dir::new("replace"));
    let onnx = dir.file("m.onnx", std::fs::read(fixture("models/mlp.onnx")).unwrap());
    for bad in ["m.zkv", "m.onnx", "m", "m.json"] {
        zkonnx(&["quantize", &onnx, "-o", &dir.path(bad)]).refused(&[bad, ".zkq", "hint"]);
    }
    let data = fixture("models/mlp_calibration.npz");
    for bad in ["m.zkq", "m.zkv", "m.onnx"] {
        let arguments = ["quantize", &onnx, "-o", &dir.path("m.zkq"), "--calibrate", &data, "--report", &dir.path(bad)];
        zkonnx(&arguments).refused(&[bad, "hint"]);
    }
    let before = std::fs::read(&mlp.input).unwrap();
    for path in [&mlp.input, &mlp.dir.path("../cli-mlp/x.npy")] {
        zkonnx(&["prove", &mlp.zkq, "--input", &mlp.input, "-o", path]).refused(&["x.npy", "replace an input"]);
        zkonnx(&["run", &mlp.zkq, "--input", &mlp.input, "-o", path]).refused(&["x.npy", "replace an input"]);
    }
    zkonnx(&["prove", &mlp.zkq, "--input", &mlp.input, "-o", &mlp.zkq]).refused(&["m.zkq", "replace an input"]);
    assert_eq!(std::fs::read(&mlp.input).unwrap(), before);
    assert_eq!(dir.list(), ["m.onnx"]);
}
