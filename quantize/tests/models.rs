//! Whole models: accuracy on held-out samples, determinism, the file format.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use rayon::prelude::*;
use std::{collections::BTreeMap, path::PathBuf};
use zkonnx_quantize::{
    data::{quantise_input, read_npz, NamedTensor, Samples},
    eval::evaluate,
    model::QuantizedModel,
    quantize,
    recipe::Method,
    report::{accuracy, argmax},
    OnnxModel, Recipe,
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models").join(name)
}

fn array(file: &str, name: &str) -> NamedTensor {
    let arrays = read_npz(&path(file)).unwrap();
    let names: Vec<String> = arrays.iter().map(|a| a.name.clone()).collect();
    arrays.into_iter().find(|a| a.name == name).unwrap_or_else(|| panic!("{file}: {names:?}"))
}

fn load(name: &str) -> OnnxModel {
    OnnxModel::from_path(&path(&format!("{name}.onnx")), &BTreeMap::new()).unwrap()
}

/// Images as the model takes them: bytes become k / 255 in 32-bit floats.
fn images(model: &OnnxModel, mut tensor: NamedTensor) -> Samples {
    let spec = &model.inputs()[0];
    let count = tensor.shape[0];
    if tensor.data.iter().any(|v| *v > 1.5) {
        #[allow(clippy::cast_possible_truncation)]
        tensor.data.iter_mut().for_each(|v| *v = f64::from(*v as f32 / 255.0));
    }
    tensor.shape = vec![count, spec.shape.iter().product()];
    tensor.name.clone_from(&spec.name);
    Samples::new(&model.inputs(), vec![tensor]).unwrap()
}

fn held_out(name: &str, data: &str, points: f64) {
    let model = load(name);
    let calibration = read_npz(&path(&format!("{name}_calibration.npz"))).unwrap().remove(0);
    let calibration = images(&model, calibration);
    let (quantised, _) = quantize(&model, Some(&calibration), &Recipe::default()).unwrap();
    let bytes = quantised.to_bytes();
    assert_eq!(QuantizedModel::from_bytes(&bytes).unwrap(), quantised);
    let (again, _) = quantize(&model, Some(&calibration), &Recipe::default()).unwrap();
    assert_eq!(bytes, again.to_bytes(), "quantisation is deterministic");

    let samples = images(&model, array(&format!("{data}_heldout.npz"), "images"));
    let labels = array(&format!("{data}_heldout.npz"), "labels");
    let logits = array(&format!("{name}_expected.npz"), "logits");
    let (report_on, _) = samples.clone().split_at(200);
    let report = accuracy(&model, &quantised, &report_on).unwrap();
    println!("{name}: {} bytes\n{report}", bytes.len());
    let classes = logits.shape[1];
    let input = &quantised.graph.inputs[0];
    let is_right = |class: usize, i: usize| usize::from((class as f64 - labels.data[i]).abs() < 0.5);
    let integer = |i: usize| {
        let values = quantise_input(input, samples.sample(i)[0]).unwrap().values;
        let trace = evaluate(&quantised, &[values]).unwrap();
        is_right(argmax(&trace.outputs[0]), i)
    };
    let integer: usize = (0..samples.len()).into_par_iter().map(integer).sum();
    let float: usize =
        (0..samples.len()).map(|i| is_right(argmax(&logits.data[i * classes..(i + 1) * classes]), i)).sum();
    let (float, integer) = (100.0 * float as f64 / samples.len() as f64, 100.0 * integer as f64 / samples.len() as f64);
    println!("{name}: float {float} %, integer {integer} %");
    assert!(float - integer <= points + 1e-9, "{name}: float {float} %, integer {integer} %");
}

#[test]
fn lenet_keeps_its_accuracy() {
    held_out("lenet", "mnist", 0.2);
}

#[test]
fn mlp_keeps_its_accuracy() {
    held_out("mlp", "mnist", 0.2);
}

#[test]
fn cifar_keeps_its_accuracy() {
    if path("cifar.onnx").exists() {
        held_out("cifar", "cifar", 0.5);
    }
}

#[test]
fn every_calibration_method_agrees_with_the_float_model() {
    let model = load("lenet");
    let calibration = images(&model, read_npz(&path("lenet_calibration.npz")).unwrap().remove(0)).split_at(64).0;
    let held_out = images(&model, array("mnist_heldout.npz", "images")).split_at(100).0;
    for calibration_method in [Method::MinMax, Method::Percentile(0.9999), Method::Mse] {
        let recipe = Recipe { calibration: calibration_method, ..Recipe::default() };
        let (quantised, notes) = quantize(&model, Some(&calibration), &recipe).unwrap();
        assert_eq!(notes.calibration_samples, 64);
        assert!(notes.warnings.is_empty());
        let report = accuracy(&model, &quantised, &held_out).unwrap();
        assert!(report.outputs[0].top1_agreement >= 0.99, "{calibration_method:?}: {report}");
        assert!(serde_json::to_string(&report).unwrap().contains("top1_agreement"));
    }
}

#[test]
fn quantises_without_samples_and_says_so() {
    let model = load("mlp");
    let (quantised, notes) = quantize(&model, None, &Recipe::default()).unwrap();
    assert_eq!(notes.warnings.len(), 1);
    assert_eq!(notes.calibration_samples, 0);
    assert_eq!(QuantizedModel::from_bytes(&quantised.to_bytes()).unwrap(), quantised);
}

#[test]
fn keeps_its_accuracy_with_private_weights() {
    let model = load("lenet");
    let calibration = images(&model, read_npz(&path("lenet_calibration.npz")).unwrap().remove(0));
    let held_out = images(&model, array("mnist_heldout.npz", "images")).split_at(200).0;
    let recipe = Recipe { private_weights: true, ..Recipe::default() };
    let (quantised, _) = quantize(&model, Some(&calibration), &recipe).unwrap();
    let report = accuracy(&model, &quantised, &held_out).unwrap();
    println!("private lenet\n{report}");
    assert!(report.outputs[0].top1_agreement >= 0.99, "{report}");
}
