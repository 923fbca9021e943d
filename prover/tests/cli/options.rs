//! Options of the commands: data formats, contexts, hidden tensors, private weights, the cache of parameters.

use crate::{command, finish, fixture, image, mlp, params_folder, write, zkonnx, Dir};
use std::path::Path;
use zkonnx_quantize::{
    data::{quantise_input, read_npz, NamedTensor},
    eval::evaluate,
    model::QuantizedModel,
};

#[test]
fn every_input_format_gives_the_same_outputs() {
    let (mlp, dir) = (mlp(), Dir::new("formats"));
    let expected = zkonnx(&["run", &mlp.zkq, "--input", &mlp.input]).json();
    for name in ["x.npy", "x.npz", "x.json", "x.csv"] {
        // CSV has one row per sample: a column of 784 numbers would be 784 samples.
        write(&dir.path(name), &[image(&[1, 784], 0)]);
        assert_eq!(zkonnx(&["run", &mlp.zkq, "--input", &dir.path(name)]).json(), expected, "{name}");
    }
    let list: Vec<String> = image(&[784], 0).data.iter().map(ToString::to_string).collect();
    let positional = dir.file("p.json", format!("{{\"input_data\": [[{}]]}}", list.join(",")));
    assert_eq!(zkonnx(&["run", &mlp.zkq, "--input", &positional]).json(), expected);
    // The name of a .npz array does not matter when there is one input; nor does a batch axis of 1.
    write(&dir.path("other.npz"), &[NamedTensor { name: "picture".into(), ..image(&[784], 0) }]);
    assert_eq!(zkonnx(&["run", &mlp.zkq, "--input", &dir.path("other.npz")]).json(), expected);
}

#[test]
fn raw_outputs_are_the_integers_of_the_evaluator() {
    let mlp = mlp();
    let model = QuantizedModel::from_bytes(&std::fs::read(&mlp.zkq).unwrap()).unwrap();
    let pixels = quantise_input(&model.graph.inputs[0], &image(&[1, 784], 0).data).unwrap().values;
    let expected = evaluate(&model, &[pixels]).unwrap().outputs.remove(0);
    let raw = zkonnx(&["run", &mlp.zkq, "--input", &mlp.input, "--raw"]).json();
    assert_eq!(raw["logits"]["data"], serde_json::json!(expected));
}

#[test]
fn outputs_of_many_samples_are_written_in_every_format() {
    let (mlp, dir) = (mlp(), Dir::new("many"));
    let mut both = image(&[2, 784], 0);
    both.data.extend(image(&[784], 1).data);
    write(&dir.path("x.npy"), &[both]);
    let json = zkonnx(&["run", &mlp.zkq, "--input", &dir.path("x.npy")]).json();
    assert_eq!(json["logits"]["shape"], serde_json::json!([2, 1, 10]));
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let expected = numbers(&json["logits"]["data"]);
    assert_eq!(expected.len(), 20);
    for name in ["y.npy", "y.npz", "y.json", "y.csv"] {
        zkonnx(&["run", &mlp.zkq, "--input", &dir.path("x.npy"), "-o", &dir.path(name)]).done();
    }
    assert_eq!(dir.list(), ["x.npy", "y.csv", "y.json", "y.npy", "y.npz"]);
    // serde_json reads numbers to the last bit but one.
    let equal = |a: &[f64], b: &[f64]| a == b;
    let written = read_npz(Path::new(&dir.path("y.npz"))).unwrap().remove(0);
    assert_eq!(written.shape, [2, 1, 10]);
    assert!(equal(&written.data, &expected));
    let csv = std::fs::read_to_string(dir.path("y.csv")).unwrap();
    let rows: Vec<Vec<f64>> = csv.lines().map(|row| row.split(',').map(|v| v.parse().unwrap()).collect()).collect();
    assert_eq!(rows.len(), 2);
    assert!(equal(&rows[0], &written.data[..10]) && equal(&rows[1], &written.data[10..]));

    zkonnx(&["prove", &mlp.zkq, "--input", &dir.path("x.npy"), "-o", &dir.path("p")]).refused(&[
        "x.npy",
        "2 samples",
        "hint",
        "zkonnx run",
    ]);
}

/// A model with several inputs and outputs, of different shapes: `misc/two_outputs` has two outputs.
#[test]
fn csv_has_one_row_per_sample_for_every_output() {
    let dir = Dir::new("outputs");
    let zkq = dir.path("m.zkq");
    zkonnx(&["quantize", &fixture("ops/misc/two_outputs.onnx"), "-o", &zkq]).done();
    let arrays = read_npz(Path::new(&fixture("ops/misc/two_outputs.npz"))).unwrap();
    let x = arrays.iter().find(|a| a.name == "in_x").unwrap();
    write(&dir.path("x.npz"), &[NamedTensor { name: "x".into(), ..x.clone() }]);
    zkonnx(&["run", &zkq, "--input", &dir.path("x.npz"), "-o", &dir.path("y.csv")]).done();
    let json = zkonnx(&["run", &zkq, "--input", &dir.path("x.npz")]).json();
    let count: usize = ["left", "right"].iter().map(|name| json[*name]["data"].as_array().unwrap().len()).sum();
    let csv = std::fs::read_to_string(dir.path("y.csv")).unwrap();
    assert_eq!(csv.lines().count(), 8);
    assert!(csv.lines().all(|row| row.split(',').count() == count / 8));
    zkonnx(&["run", &zkq, "--input", &dir.path("x.npz"), "-o", &dir.path("y.npy")]).refused(&["y.npy", "one tensor"]);
    assert_eq!(dir.list(), ["m.zkq", "m.zkv", "x.npz", "y.csv"]);
}

#[test]
fn values_outside_of_the_range_are_clamped_with_a_warning_or_refused() {
    let (mlp, dir) = (mlp(), Dir::new("range"));
    let mut bright = image(&[1, 784], 0);
    bright.data[100] = 7.0;
    write(&dir.path("x.npy"), std::slice::from_ref(&bright));
    let ended = zkonnx(&["run", &mlp.zkq, "--input", &dir.path("x.npy")]).done();
    assert!(ended.err.starts_with("warning: ") && ended.err.contains("1 of 784 values"), "{ended:#?}");
    bright.data[100] = 1.0;
    write(&dir.path("clamped.npy"), &[bright]);
    assert_eq!(ended.out, zkonnx(&["run", &mlp.zkq, "--input", &dir.path("clamped.npy")]).done().out);
    for arguments in [&["run", &mlp.zkq][..], &["prove", &mlp.zkq, "-o", &dir.path("p")]] {
        let strict = ["--strict-range", "--input", &dir.path("x.npy")];
        zkonnx(&[arguments, &strict].concat()).refused(&["x.npy", "'image'", "1 of 784", "--strict-range"]);
    }
    assert_eq!(dir.list(), ["clamped.npy", "x.npy"]);
}

/// Token ids beyond their table, and a mask of other than zeros and ones: the nearest ones would mean something else.
#[test]
fn ids_and_masks_beyond_their_ranges_are_refused_by_every_command() {
    let dir = Dir::new("ids");
    let zkq = dir.path("m.zkq");
    zkonnx(&["quantize", &fixture("variants/transformers/sentence.onnx"), "-o", &zkq, "--bits", "8"]).done();
    let tensor = |name: &str, data: &[f64]| NamedTensor { name: name.into(), shape: vec![1, 8], data: data.to_vec() };
    let inputs = |name: &str, ids: &[f64], mask: &[f64]| {
        let path = dir.path(name);
        write(&path, &[tensor("input_ids", ids), tensor("attention_mask", mask)]);
        path
    };
    let (ids, mask) = ([0.0, 23.0, 3.0, 9.0, 4.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    let good = inputs("good.npz", &ids, &mask);
    let (mut far, mut grey) = (ids, mask);
    (far[4], grey[1]) = (24.0, 3.0);
    let of_ids = "input 'input_ids', element 4: 24 lies outside of 0 to 23";
    let of_mask = "input 'attention_mask', element 1: 3 lies outside of 0 to 1";
    let (far, grey) = (inputs("far.npz", &far, &mask), inputs("grey.npz", &ids, &grey));
    zkonnx(&["run", &zkq, "--input", &good]).done();
    for (bad, reason) in [(&far, of_ids), (&grey, of_mask)] {
        zkonnx(&["run", &zkq, "--input", bad]).refused(&[bad, reason]);
        zkonnx(&["prove", &zkq, "--input", bad, "-o", &dir.path("m.proof")]).refused(&[bad, reason]);
    }
    // Among many: the sample is named.
    let both = dir.path("both.npz");
    let twice =
        |name: &str, data: [&[f64]; 2]| NamedTensor { name: name.into(), shape: vec![2, 1, 8], data: data.concat() };
    let mut below = ids;
    below[7] = -1.0;
    write(&both, &[twice("input_ids", [&ids, &below]), twice("attention_mask", [&mask, &mask])]);
    zkonnx(&["run", &zkq, "--input", &both]).refused(&["sample 1: input 'input_ids', element 7: -1 lies outside"]);
    // A batch proves the others.
    let out = dir.path("out");
    let ended = zkonnx(&["batch", &zkq, "--inputs", &both, "-o", &out, "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let summary: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&summary["totals"]["proved"], &summary["totals"]["failed"]), (&1.into(), &1.into()), "{summary:#}");
    let reason = summary["items"][1]["reason"].as_str().unwrap();
    assert!(reason.contains("input 'input_ids', element 7: -1 lies outside of 0 to 23"), "{reason}");
    assert!(!Path::new(&dir.path("m.proof")).exists());
}

fn prove_with_context(dir: &Dir, context: &str) -> crate::Ended {
    let (mlp, context) = (mlp(), dir.file("c.json", context));
    zkonnx(&["prove", &mlp.zkq, "--input", &mlp.input, "-o", &dir.path("p"), "--context", &context])
}

#[test]
fn a_context_comes_out_as_it_went_in() {
    let (mlp, dir) = (mlp(), Dir::new("context"));
    let (payee, job) = ("ab".repeat(32), "07".repeat(32));
    let far = 4_000_000_000_u64;
    let context = format!(r#"{{"payee": "{payee}", "job_id": "{job}", "nonce": 5, "not_after": {far}}}"#);
    prove_with_context(&dir, &context).done();
    let verified = zkonnx(&["verify", "--model", &mlp.zkv, &dir.path("p"), "--json"]).json();
    let zero = "00".repeat(32);
    assert_eq!(
        verified["context"],
        serde_json::json!({
            "domain": zero, "job_id": job, "nonce": 5, "requester": zero, "payee": payee, "not_after": far
        })
    );
    assert!(zkonnx(&["verify", "--model", &mlp.zkv, &dir.path("p")]).done().out.contains(&payee));
}

#[test]
fn an_expired_statement_is_rejected() {
    let (mlp, dir) = (mlp(), Dir::new("expired"));
    let proven = prove_with_context(&dir, r#"{"not_after": 1000000000}"#).done();
    assert!(proven.err.contains("warning: the context has expired"), "{proven:#?}");
    zkonnx(&["verify", "--model", &mlp.zkv, &dir.path("p")]).rejected("expired");
}

#[test]
fn hidden_tensors_do_not_stand_in_the_proof() {
    let (mlp, dir) = (mlp(), Dir::new("hide"));
    let prove = ["prove", &mlp.zkq, "--input", &mlp.input, "-o", &dir.path("p")];
    // Twice the same name is once.
    zkonnx(&[&prove[..], &["--hide", "image", "--hide", "image"]].concat()).done();
    let (hidden, public) = (std::fs::metadata(dir.path("p")).unwrap(), std::fs::metadata(&mlp.proof).unwrap());
    assert!(hidden.len() < public.len());
    let outputs = zkonnx(&["run", &mlp.zkq, "--input", &mlp.input]).json();
    let verified = zkonnx(&["verify", "--model", &mlp.zkv, &dir.path("p"), "--json"]).json();
    assert_eq!(verified["inputs"], serde_json::json!({}));
    assert_eq!(verified["outputs"], outputs);
    assert!(zkonnx(&["verify", "--model", &mlp.zkv, &dir.path("p")]).done().out.contains("image [1, 784] hidden"));

    let ended = zkonnx(&[&prove[..], &["--hide", "image", "--hide", "logits"]].concat()).done();
    assert!(ended.err.contains("says almost nothing"), "{ended:#?}");
    std::fs::remove_file(dir.path("p")).unwrap();
    zkonnx(&[&prove[..], &["--hide", "pixels"]].concat()).refused(&["pixels", "image", "logits"]);
    assert!(dir.list().is_empty());
}

#[test]
fn private_weights_are_blinded_and_declared() {
    let (mlp, dir) = (mlp(), Dir::new("private"));
    let onnx = fixture("models/mlp.onnx");
    let quantize = |name: &str| {
        let ended = zkonnx(&["quantize", &onnx, "-o", &dir.path(name), "--private-weights", "--json"]);
        ended.json()["model_id"].clone()
    };
    assert_ne!(quantize("a.zkq"), quantize("b.zkq"), "blinds are fresh");
    zkonnx(&["prove", &dir.path("a.zkq"), "--input", &mlp.input, "-o", &dir.path("p")]).done();
    let text = zkonnx(&["verify", "--model", &dir.path("a.zkv"), &dir.path("p")]).done().out;
    assert!(text.contains("weights    private"), "{text}");
    zkonnx(&["verify", "--model", &dir.path("b.zkv"), &dir.path("p")]).rejected("model");
}

#[test]
fn a_changed_or_unusable_cache_is_said_and_does_no_harm() {
    let (mlp, dir) = (mlp(), Dir::new("params"));
    let verify = |folder: &Path| {
        let mut command = command(&["verify", "--model", &mlp.zkv, &mlp.proof]);
        command.env("ZKONNX_PARAMS", folder);
        finish(command).done()
    };
    let folder = dir.0.join("cache");
    assert_eq!(verify(&folder).err, "");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let good = std::fs::read(file).unwrap();
    assert_eq!(good, std::fs::read(params_folder().join(file.file_name().unwrap())).unwrap());
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    for bad in [&changed[..], &good[..good.len() - 1], b"", b"foreign"] {
        std::fs::write(file, bad).unwrap();
        let ended = verify(&folder);
        assert!(
            ended.err.starts_with("warning: cached parameters in ") && ended.err.lines().count() == 1,
            "{ended:#?}"
        );
        assert_eq!(std::fs::read(file).unwrap(), bad, "the file is left alone");
    }
    let ended = verify(Path::new(&dir.file("file", "")));
    assert!(ended.err.starts_with("warning: parameters could not be cached"), "{ended:#?}");
}
