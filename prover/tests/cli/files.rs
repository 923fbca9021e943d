//! Files that are not what they should be: of every kind, truncated, foreign, changed, of other versions.

use crate::{fixture, image, mlp, write, zkonnx, Dir};
use zkonnx_quantize::data::NamedTensor;

/// What is no file of ours, whatever the extension says.
fn foreign() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", Vec::new()),
        ("text", b"%PDF-1.7 nothing of ours\n".to_vec()),
        ("zeros", vec![0; 4096]),
        ("ones", vec![0xff; 4096]),
        ("model", std::fs::read(fixture("models/mlp.onnx")).unwrap()),
        ("archive", std::fs::read(fixture("models/mlp_calibration.npz")).unwrap()),
    ]
}

/// Foreign bytes, and good ones cut short.
fn bad(good: &str) -> Vec<(&'static str, Vec<u8>)> {
    let good = std::fs::read(good).unwrap();
    let cut = [1, 7, 9, 40, good.len() / 2, good.len() - 1].map(|at| ("cut", good[..at.min(good.len() - 1)].to_vec()));
    foreign().into_iter().chain(cut).filter(|(_, bytes)| *bytes != good).collect()
}

/// With each of `count` version numbers, which stand after the magic bytes, replaced.
fn other_versions(good: &str, count: usize) -> Vec<Vec<u8>> {
    let good = std::fs::read(good).unwrap();
    let with = |i: usize| {
        let mut bytes = good.clone();
        bytes[8 + 2 * i] = 77;
        bytes
    };
    (0..count).map(with).collect()
}

#[test]
fn a_file_that_is_missing_or_a_directory_is_named() {
    let (mlp, dir) = (mlp(), Dir::new("missing"));
    let folder = dir.0.to_str().unwrap().to_owned();
    for bad in [&dir.path("nothing.npy"), &folder] {
        let out = dir.path("out.zkq");
        zkonnx(&["inspect", bad]).refused(&[bad]);
        zkonnx(&["quantize", bad, "-o", &out]).refused(&[bad, "hint"]);
        zkonnx(&["quantize", &fixture("models/mlp.onnx"), "-o", &out, "--calibrate", bad]).refused(&[bad]);
        zkonnx(&["run", bad, "--input", &mlp.input]).refused(&[bad]);
        zkonnx(&["run", &mlp.zkq, "--input", bad]).refused(&[bad]);
        zkonnx(&["prove", bad, "--input", &mlp.input, "-o", &out]).refused(&[bad]);
        zkonnx(&["prove", &mlp.zkq, "--input", &mlp.input, "-o", &out, "--context", bad]).refused(&[bad]);
        zkonnx(&["verify", "--model", bad, &mlp.proof]).refused(&[bad]);
        zkonnx(&["verify", "--model", &mlp.zkv, bad]).refused(&[bad]);
        zkonnx(&["bench", bad]).refused(&[bad]);
    }
    assert!(dir.list().is_empty());
}

#[test]
fn weights_beside_the_model_make_the_same_model() {
    let dir = Dir::new("external");
    let (samples, out) = (fixture("cli/regressor_samples.npz"), dir.path("m.zkq"));
    let id = |onnx: &str| {
        let json = zkonnx(&["quantize", onnx, "-o", &out, "--calibrate", &samples, "--json"]).json();
        json["model_id"].as_str().unwrap().to_owned()
    };
    assert_eq!(id(&fixture("cli/external.onnx")), id(&fixture("cli/regressor.onnx")));
    // Without its weights.
    let alone = dir.file("alone.onnx", std::fs::read(fixture("cli/external.onnx")).unwrap());
    let missing = dir.path("external.onnx.data");
    zkonnx(&["quantize", &alone, "-o", &out]).refused(&[&alone, &missing, "'w0'", "beside the model"]);
    zkonnx(&["inspect", &alone]).refused(&[&alone, &missing]);
}

#[test]
fn a_bad_onnx_file_is_refused() {
    let dir = Dir::new("onnx");
    for (what, bytes) in bad(&fixture("models/mlp.onnx")) {
        if what == "model" {
            continue;
        }
        let path = dir.file("bad.onnx", bytes);
        zkonnx(&["quantize", &path, "-o", &dir.path("m.zkq")]).refused(&["bad.onnx: not an ONNX", "hint"]);
        zkonnx(&["inspect", &path]).refused(&["bad.onnx: not an ONNX"]);
    }
    assert_eq!(dir.list(), ["bad.onnx"]);
}

#[test]
fn all_unsupported_nodes_are_listed() {
    let (dir, onnx) = (Dir::new("unsupported"), fixture("ops/unsupported.onnx"));
    zkonnx(&["quantize", &onnx, "-o", &dir.path("m.zkq")]).refused(&[
        "unsupported.onnx",
        "2 unsupported nodes",
        "RandomUniformLike (node 'randomuniformlike_1', opset 13)",
        "NonZero (node 'nonzero_2', opset 13)",
        "hint",
    ]);
    assert!(dir.list().is_empty());
    let inspected = zkonnx(&["inspect", &onnx]);
    assert_eq!(inspected.code, Some(1));
    assert!(inspected.out.contains("randomuniformlike_1") && inspected.out.contains("nonzero_2"), "{inspected:#?}");
}

#[test]
fn a_bad_quantised_model_is_refused() {
    let (mlp, dir) = (mlp(), Dir::new("zkq"));
    let mut long = std::fs::read(&mlp.zkq).unwrap();
    long.push(0);
    let zkv = std::fs::read(&mlp.zkv).unwrap();
    let files = bad(&mlp.zkq).into_iter().chain([("long", long), ("zkv", zkv)]);
    let versions = other_versions(&mlp.zkq, 2).into_iter().map(|bytes| ("version", bytes));
    for (what, bytes) in files.chain(versions) {
        let path = dir.file("bad.zkq", bytes);
        let reason = if what == "version" { "version 77 is unknown" } else { "file" };
        zkonnx(&["run", &path, "--input", &mlp.input]).refused(&["bad.zkq", reason, "hint", "zkonnx quantize"]);
        zkonnx(&["bench", &path]).refused(&["bad.zkq", reason]);
        zkonnx(&["prove", &path, "--input", &mlp.input, "-o", &dir.path("p")]).refused(&["bad.zkq", reason]);
    }
    assert_eq!(dir.list(), ["bad.zkq"]);
}

#[test]
fn a_quantised_model_with_an_impossible_layout_is_refused() {
    let (mlp, dir) = (mlp(), Dir::new("layout"));
    let mut model = zkonnx_quantize::model::QuantizedModel::from_bytes(&std::fs::read(&mlp.zkq).unwrap()).unwrap();
    for (k, limb_bits) in [(0, 0), (3, 4), (19, 8), (255, 8), (8, 0), (8, 3), (8, 19), (8, 255)] {
        model.layout =
            zkonnx_quantize::model::LayoutChoice { k, limb_bits, gates: zkonnx_quantize::model::Gates::Relations };
        let path = dir.file("bad.zkq", model.to_bytes());
        zkonnx(&["prove", &path, "--input", &mlp.input, "-o", &dir.path("p")]).refused(&["bad.zkq"]);
        zkonnx(&["bench", &path, "--runs", "1"]).refused(&["bad.zkq"]);
    }
    assert_eq!(dir.list(), ["bad.zkq"]);
}

#[test]
fn a_bad_verifier_model_is_refused() {
    let (mlp, dir) = (mlp(), Dir::new("zkv"));
    let mut long = std::fs::read(&mlp.zkv).unwrap();
    long.push(0);
    let zkq = std::fs::read(&mlp.zkq).unwrap();
    let files = bad(&mlp.zkv).into_iter().chain([("long", long), ("zkq", zkq)]);
    let versions = other_versions(&mlp.zkv, 3).into_iter().map(|bytes| ("version", bytes));
    for (what, bytes) in files.chain(versions) {
        let path = dir.file("bad.zkv", bytes);
        let reason = if what == "version" { "version 77 is unknown" } else { "file" };
        zkonnx(&["verify", "--model", &path, &mlp.proof]).refused(&["bad.zkv", reason, "hint"]);
    }
    // The suite before this one.
    let mut old = std::fs::read(&mlp.zkv).unwrap();
    old[10..12].copy_from_slice(&1_u16.to_le_bytes());
    let path = dir.file("bad.zkv", old);
    let reasons = ["bad.zkv", "suite version 1 is unknown", "makes the model anew"];
    zkonnx(&["verify", "--model", &path, &mlp.proof]).refused(&reasons);
    zkonnx(&["receipt", "meter", &path]).refused(&reasons);
    assert_eq!(dir.list(), ["bad.zkv"]);
}

#[test]
fn a_verifier_model_with_any_byte_changed_accepts_nothing() {
    let (mlp, dir) = (mlp(), Dir::new("zkv-bytes"));
    let good = std::fs::read(&mlp.zkv).unwrap();
    for part in 0..40 {
        let mut bytes = good.clone();
        bytes[part * (good.len() - 1) / 39] ^= 1 << (part % 8);
        let path = dir.file("bad.zkv", bytes);
        let ended = zkonnx(&["verify", "--model", &path, &mlp.proof]);
        assert!(matches!(ended.code, Some(1 | 2)) && !ended.err.contains("panicked"), "{ended:#?}");
    }
}

#[test]
fn a_proof_for_another_model_is_rejected() {
    let (mlp, dir) = (mlp(), Dir::new("another"));
    let onnx = fixture("models/lenet.onnx");
    zkonnx(&["quantize", &onnx, "-o", &dir.path("lenet.zkq")]).done();
    zkonnx(&["verify", "--model", &dir.path("lenet.zkv"), &mlp.proof]).rejected("is about model");
    // The same network quantised in another way is another model.
    zkonnx(&["quantize", &fixture("models/mlp.onnx"), "-o", &dir.path("mlp.zkq")]).done();
    zkonnx(&["verify", "--model", &dir.path("mlp.zkv"), &mlp.proof]).rejected("is about model");
}

#[test]
fn a_bad_proof_is_rejected() {
    let (mlp, dir) = (mlp(), Dir::new("proof"));
    let verify = |bytes: &[u8], reason: &str| {
        let path = dir.file("bad.proof", bytes);
        zkonnx(&["verify", "--model", &mlp.zkv, &path]).rejected(reason);
    };
    for (_, bytes) in bad(&mlp.proof) {
        verify(&bytes, "bad.proof: ");
    }
    for bytes in other_versions(&mlp.proof, 3) {
        verify(&bytes, "version 77 is unknown");
    }
    let good = std::fs::read(&mlp.proof).unwrap();
    verify(&[&good[..], &[0]].concat(), "malformed");
    // A byte added or missing within the proof, with its length made to fit.
    let file = zkonnx_verifier::proof_file::ProofFile::from_bytes(&good).unwrap();
    for length in [0, file.proof.len() - 32, file.proof.len() - 1, file.proof.len() + 1, file.proof.len() + 32] {
        let mut other = file.clone();
        other.proof.resize(length, 0);
        verify(&other.to_bytes(), "malformed: the proof has");
    }
    for part in 0..40 {
        let mut bytes = good.clone();
        bytes[part * (good.len() - 1) / 39] ^= 1 << (part % 8);
        verify(&bytes, "bad.proof: ");
    }
    let path = dir.file("bad.proof", &good[..100]);
    let ended = zkonnx(&["verify", "--model", &mlp.zkv, &path, "--json"]);
    assert_eq!(ended.code, Some(1));
    let json: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(json["verdict"], "rejected");
}

#[test]
fn bad_data_is_refused_with_its_place() {
    let (mlp, dir) = (mlp(), Dir::new("data"));
    let onnx = fixture("models/mlp.onnx");
    let refused = |name: &str, reason: &str| {
        let path = dir.path(name);
        for arguments in [
            &["run", &mlp.zkq, "--input", &path][..],
            &["prove", &mlp.zkq, "-o", &dir.path("p"), "--input", &path],
            &["bench", &mlp.zkq, "--input", &path],
            &["quantize", &onnx, "-o", &dir.path("m.zkq"), "--calibrate", &path],
            &["quantize", &onnx, "-o", &dir.path("m.zkq"), "--evaluate", &path],
        ] {
            zkonnx(arguments).refused(&[name, reason, "hint", "'image' [1, 784]"]);
        }
        std::fs::remove_file(path).unwrap();
        assert!(dir.list().is_empty(), "{name} left {:?}", dir.list());
    };
    for extension in ["npy", "npz", "json", "csv"] {
        let name = format!("bad.{extension}");
        write(&dir.path(&name), &[image(&[1, 784], 0)]);
        let length = std::fs::read(dir.path(&name)).unwrap().len();
        for (what, bytes) in bad(&dir.path(&name)) {
            // What is cut last of text is the line's end.
            let is_whole = matches!(extension, "json" | "csv") && bytes.len() + 1 == length;
            if is_whole || extension == "npz" && what == "archive" {
                continue;
            }
            dir.file(&name, bytes);
            refused(&name, if what == "empty" && extension == "csv" { "no samples" } else { "bad" });
        }
    }
    let x = || image(&[1, 784], 0);
    let with = |value: f64| {
        let mut x = x();
        x.data[10] = value;
        x
    };
    for (value, reason) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
        for name in ["x.npy", "x.npz", "x.csv"] {
            write(&dir.path(name), &[with(value)]);
            refused(name, &format!("'image', sample 0, element 10: {reason} is not finite"));
        }
    }
    dir.file("x.json", r#"{"image": [1e999]}"#);
    refused("x.json", "number out of range");
    dir.file("x.json", r#"{"image": [null]}"#);
    refused("x.json", "no number");
    dir.file("x.json", "{}");
    refused("x.json", "'image'");
    dir.file("x.json", "[1, 2]");
    refused("x.json", "an object by input name is needed");
    dir.file("x.csv", "1,2,3\n");
    refused("x.csv", "line 1 has 3 columns");
    dir.file("x.txt", "1");
    refused("x.txt", ".npy, .npz, .json and .csv");
    write(&dir.path("x.npy"), &[NamedTensor { data: vec![0.0; 28], ..image(&[28, 1], 0) }]);
    refused("x.npy", "[28, 1]");
    write(&dir.path("x.npy"), &[image(&[28, 28], 0)]);
    refused("x.npy", "[28, 28]");
    write(&dir.path("x.npy"), &[NamedTensor { data: Vec::new(), ..image(&[0, 784], 0) }]);
    refused("x.npy", "no samples");
    write(&dir.path("x.json"), &[NamedTensor { name: "picture".into(), ..x() }]);
    refused("x.json", "'picture' is no input");
    write(&dir.path("x.npz"), &[x(), NamedTensor { name: "more".into(), ..x() }]);
    refused("x.npz", "'more' is no input");
}

#[test]
fn a_bad_context_is_refused() {
    let (mlp, dir) = (mlp(), Dir::new("contexts"));
    for (text, reason) in [
        ("", "not a JSON object"),
        ("{", "EOF"),
        ("not JSON", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        (r#"{"payee": "12"}"#, "'payee' is not 64 hexadecimal digits"),
        (r#"{"domain": 5}"#, "invalid type"),
        (r#"{"nonce": -1}"#, "invalid value"),
        (r#"{"nonce": 1.5}"#, "invalid type"),
        (r#"{"nonce": 18446744073709551616}"#, "invalid"),
        (r#"{"paye": ""}"#, "unknown field"),
        (r#"{"nonce": 1, "nonce": 2}"#, "duplicate field"),
        (r#"{"nonce": 1} {}"#, "trailing"),
    ] {
        let path = dir.file("c.json", text);
        let arguments = ["prove", &mlp.zkq, "--input", &mlp.input, "-o", &dir.path("p"), "--context", &path];
        zkonnx(&arguments).refused(&["c.json", reason, "hint"]);
    }
    assert_eq!(dir.list(), ["c.json"]);
}
