//! What `zkonnx inspect` says of a model: how it is proven, why it cannot be, what is missing.

use crate::{fixture, zkonnx, Dir};
use serde_json::Value;

/// Exit code 1, and what stands on standard output.
#[track_caller]
fn impossible(arguments: &[&str]) -> String {
    let ended = zkonnx(arguments);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_eq!(ended.err, "", "{ended:#?}");
    ended.out
}

#[test]
fn every_node_is_told_how_it_is_proven_and_what_it_costs() {
    let (onnx, data) = (fixture("models/lenet.onnx"), fixture("models/lenet_calibration.npz"));
    let json = zkonnx(&["inspect", &onnx, "--calibrate", &data, "--json"]).json();
    let nodes = json["proven_by"].as_array().unwrap();
    let of = |name: &str| nodes.iter().find(|n| n["name"] == name).unwrap();
    // Cells and seconds add up to the prediction.
    let cells: u64 = nodes.iter().map(|n| n["cells"].as_u64().unwrap()).sum();
    assert_eq!(cells, json["predicted"]["cells"]);
    // Selectors are no lookups.
    assert!(json["predicted"]["lookups"].as_u64().unwrap() < cells);
    assert_eq!(json["predicted"]["gates"], "relations");
    for field in ["verify_seconds", "memory_bytes", "proof_bytes", "columns"] {
        assert!(json["predicted"][field].as_f64().unwrap() > 0.0, "{field}");
    }
    let seconds: f64 = nodes.iter().map(|n| n["seconds"].as_f64().unwrap()).sum();
    assert!((seconds / json["predicted"]["prove_seconds"].as_f64().unwrap() - 1.0).abs() < 1e-9);
    let share: f64 = nodes.iter().map(|n| n["share"].as_f64().unwrap()).sum();
    assert!((share - 1.0).abs() < 1e-9);
    // Linear nodes live within the next one that is not.
    assert_eq!(of("conv0")["within"], serde_json::json!(["pool2"]));
    assert_eq!((&of("conv0")["cells"], &of("conv0")["by"]), (&0.into(), &serde_json::json!([])));
    assert_eq!(of("pool2")["by"], serde_json::json!(["max over 4", "linear in the public input 6x576x25"]));
    assert_eq!(of("relu8")["by"], serde_json::json!(["clamp", "contraction 120x1x256"]));
    assert_eq!(of("logits")["by"], serde_json::json!(["exact linear form", "contraction 10x1x84"]));

    let text = zkonnx(&["inspect", &onnx, "--calibrate", &data]).done().out;
    let line = |name: &str| text.lines().find(|l| l.contains(name)).unwrap_or_else(|| panic!("{text}")).to_owned();
    assert!(line("pool2  ").contains(" %") && line("pool2  ").contains("max over 4"), "{text}");
    assert!(line("conv3").ends_with("free, within pool5"), "{text}");
    assert!(text.contains("predicted  k = ") && text.contains("s to prove on two cores"), "{text}");
    assert!(!text.contains("random inputs"), "{text}");
    // Without samples the ranges are made up, and it says so.
    assert!(zkonnx(&["inspect", &onnx]).done().out.contains("random inputs: --calibrate"));
}

#[test]
fn more_bits_cost_more_and_functions_are_tables() {
    let (onnx, data) = (fixture("cli/regressor.onnx"), fixture("cli/regressor_samples.npz"));
    let inspect = |bits: &str| zkonnx(&["inspect", &onnx, "--calibrate", &data, "--bits", bits, "--json"]).json();
    let tanh = |json: &Value| {
        let nodes = json["proven_by"].as_array().unwrap();
        nodes.iter().find(|n| n["name"] == "tanh").unwrap()["by"].to_string()
    };
    let (narrow, wide) = (inspect("8"), inspect("24"));
    assert!(narrow["predicted"]["prove_seconds"].as_f64() < wide["predicted"]["prove_seconds"].as_f64());
    assert!(tanh(&narrow).contains("table of ") && !tanh(&narrow).contains("interpolated"), "{narrow:#}");
    assert!(tanh(&wide).contains("interpolated table of Tanh, ") && tanh(&wide).contains("error below"), "{wide:#}");
    zkonnx(&["inspect", &onnx, "--bits", "25"]).refused(&["regressor.onnx", "bits is 25", "4 to 24"]);
}

#[test]
fn all_refusals_are_told_at_once_with_the_nearest_supported_form() {
    let onnx = fixture("cli/refused.onnx");
    let out = impossible(&["inspect", &onnx]);
    for part in [
        "4 unsupported nodes",
        "NonZero x2 (opset 13): a shape that depends on the values of the inputs",
        "nonzero_1, nonzero_2",
        "needs a shape that does not depend on data",
        "Reshape (opset 13): input 1 must be a constant",
        "fix the shapes when exporting",
        "com.microsoft.FusedConv (opset 1)",
        "an operator of ONNX Runtime",
    ] {
        assert!(out.contains(part), "no '{part}' in {out}");
    }
    let json: Value = serde_json::from_str(&impossible(&["inspect", &onnx, "--json"])).unwrap();
    let unsupported = json["model"]["unsupported"].as_array().unwrap();
    assert_eq!(unsupported.len(), 4);
    let reshape = unsupported.iter().find(|n| n["op"] == "Reshape").unwrap();
    assert_eq!((&reshape["name"], &reshape["opset"]), (&"reshape_4".into(), &13.into()));
    assert!(unsupported.iter().all(|n| !n["reason"].as_str().unwrap().is_empty() && n["instead"].is_string()));
    assert_eq!(json["predicted"], Value::Null);
    let dir = Dir::new("refused");
    let names = ["nonzero_1", "nonzero_2", "reshape_4", "fused_5", "hint", "zkonnx inspect"];
    zkonnx(&["quantize", &onnx, "-o", &dir.path("m.zkq")]).refused(&names);
}

#[test]
fn all_open_dimensions_are_told_at_once_with_the_line_to_type() {
    let (dir, onnx) = (Dir::new("dims"), fixture("cli/dims.onnx"));
    let line = "--dim height=N --dim x:2=N --dim y:1=N --dim 'time steps=N'";
    let out = impossible(&["inspect", &onnx]);
    assert!(out.contains("5 dimensions without a size") && out.contains(line), "{out}");
    assert!(out.contains("axis 3 of input 'x' ('height')") && out.contains("axis 2 of input 'x'\n"), "{out}");
    let json: Value = serde_json::from_str(&impossible(&["inspect", &onnx, "--json"])).unwrap();
    assert_eq!(json["dims_to_give"], line);
    assert_eq!(json["model"]["unbound"][1], serde_json::json!({"input": "x", "axis": 2, "symbol": "", "key": "x:2"}));
    let zkq = dir.path("m.zkq");
    zkonnx(&["quantize", &onnx, "-o", &zkq]).refused(&["dims.onnx", "5 dimensions", "hint: give", line]);
    // The line, typed.
    let dims = ["--dim", "height=3", "--dim", "x:2=2", "--dim", "y:1=5", "--dim", "time steps=4"];
    let inspected = zkonnx(&[&["inspect", &onnx, "--json"], &dims[..]].concat()).json();
    assert_eq!(inspected["model"]["inputs"][0]["shape"], serde_json::json!([1, 3, 2, 3]));
    assert_eq!(inspected["model"]["inputs"][1]["shape"], serde_json::json!([1, 5, 4]));
    zkonnx(&[&["quantize", &onnx, "-o", &zkq], &dims[..]].concat()).done();
    // INPUT:AXIS binds any axis, also the batch, and goes before the symbol.
    let more = ["--dim", "x:0=2", "--dim", "x:3=6"];
    let inspected = zkonnx(&[&["inspect", &onnx, "--json"], &dims[..], &more].concat()).json();
    assert_eq!(inspected["model"]["inputs"][0]["shape"], serde_json::json!([2, 3, 2, 6]));
}

#[test]
fn a_size_for_no_dimension_is_refused() {
    let (dir, onnx) = (Dir::new("no-dim"), fixture("cli/dims.onnx"));
    let quantize = |dim: &str| zkonnx(&["quantize", &onnx, "-o", &dir.path("m.zkq"), "--dim", dim]);
    quantize("hieght=3").refused(&["no dimension 'hieght'", "'height'", "'x:2'"]);
    quantize("z:0=3").refused(&["no dimension 'z:0'"]);
    for malformed in ["height", "=3", "height=x", "height=-1"] {
        assert_eq!(quantize(malformed).code, Some(2), "{malformed}");
    }
    let lenet = fixture("models/lenet.onnx");
    let fixed = |dim: &str| zkonnx(&["quantize", &lenet, "-o", &dir.path("m.zkq"), "--dim", dim]);
    fixed("image:2=27").refused(&["input 'image'", "fixed size 28, not 27"]);
    fixed("image:2=28").done();
}

#[test]
fn preprocessing_is_free_where_it_is_linear() {
    let (dir, onnx, raw) = (Dir::new("inspect-normalize"), fixture("cli/pixels.onnx"), fixture("cli/pixels_raw.npz"));
    let stats = dir.file("stats.json", r#"{"pixels": {"mean": [0.485, 0.456, 0.406], "std": 0.2, "scale": 0.004}}"#);
    let json = zkonnx(&["inspect", &onnx, "--normalize", &stats, "--calibrate", &raw, "--json"]).json();
    let normalize = &json["proven_by"][0];
    assert_eq!(normalize["op"], "Normalize");
    assert_eq!((&normalize["cells"], &normalize["within"]), (&0.into(), &serde_json::json!(["relu"])));
}

/// A name is what somebody else wrote: it must not move the cursor.
#[test]
fn names_have_no_control_over_the_terminal() {
    let dir = Dir::new("control");
    let mut evil = std::fs::read(fixture("cli/refused.onnx")).unwrap();
    let at = evil.windows(9).position(|w| w == b"nonzero_2").unwrap();
    evil[at..at + 9].copy_from_slice(b"\x1b[2Jzero2");
    let out = impossible(&["inspect", &dir.file("evil.onnx", evil)]);
    assert!(out.contains("\u{fffd}[2Jzero2") && !out.contains('\u{1b}'), "{out:?}");
}
