//! The tree ensembles in `tests/models`: the float model and the integer model against ONNX Runtime on held-out rows.
//!
//! That no path differs is tested beside the lowering.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, path::PathBuf};
use zkonnx_quantize::{
    data::{dequantise_output, quantise_input, read_npz, read_samples, NamedTensor},
    eval::evaluate,
    quantize, OnnxModel, Recipe,
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models").join(name)
}

fn array(file: &str, name: &str) -> NamedTensor {
    let arrays = read_npz(&path(file)).unwrap();
    arrays.into_iter().find(|a| a.name == name).unwrap_or_else(|| panic!("{file} without {name}"))
}

/// The largest error of an output relative to the range of ONNX Runtime's values, for the float and integer models.
fn errors(name: &str, recipe: &Recipe, outputs: &[&str]) -> Vec<(f64, f64)> {
    let model = OnnxModel::from_path(&path(&format!("{name}.onnx")), &BTreeMap::new()).unwrap();
    let samples = read_samples(&path(&format!("{name}_calibration.npz")), &model.inputs()).unwrap();
    let (quantised, notes) = quantize(&model, Some(&samples), recipe).unwrap();
    assert_eq!(notes.warnings, Vec::<String>::new());
    let names: Vec<&str> = quantised.graph.outputs.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, outputs);
    let rows = array(&format!("{name}_heldout.npz"), "features");
    let shape = model.inputs()[0].shape.clone();
    let expected: Vec<NamedTensor> = outputs.iter().map(|o| array(&format!("{name}_expected.npz"), o)).collect();
    let mut worst = vec![(0.0_f64, 0.0_f64); outputs.len()];
    for (r, row) in rows.data.chunks(shape[1]).enumerate() {
        let tensor = zkonnx_quantize::onnx::tensor::Tensor::new(shape.clone(), row.to_vec());
        let float = model.graph().run(&[tensor], |_, _| ()).unwrap();
        let integers = quantise_input(&quantised.graph.inputs[0], row).unwrap();
        assert_eq!(integers.clamped, 0);
        let trace = evaluate(&quantised, &[integers.values]).unwrap();
        for (o, expected) in expected.iter().enumerate() {
            let width = expected.data.len() / expected.shape[0];
            let wanted = &expected.data[r * width..(r + 1) * width];
            let real = dequantise_output(&quantised.graph.outputs[o], &trace.outputs[o]).data;
            assert_eq!((float[o].data.len(), real.len()), (width, width));
            for i in 0..width {
                worst[o].0 = worst[o].0.max((float[o].data[i] - wanted[i]).abs());
                worst[o].1 = worst[o].1.max((real[i] - wanted[i]).abs());
            }
        }
    }
    for (expected, worst) in expected.iter().zip(&mut worst) {
        let fold = |f: fn(f64, f64) -> f64| expected.data.iter().copied().reduce(f).unwrap();
        let range = fold(f64::max) - fold(f64::min);
        *worst = (worst.0 / range, worst.1 / range);
    }
    println!("{name}: {worst:?}");
    worst
}

#[test]
fn the_boosted_regressor_is_as_precise_as_asked() {
    let worst = errors("diabetes_gbr", &Recipe::default(), &["variable"]);
    assert!(worst[0].0 < 1e-6 && worst[0].1 < 1e-4, "{worst:?}");
}

#[test]
fn the_forest_gives_every_label_and_its_probabilities() {
    let worst = errors("cancer_forest", &Recipe::default(), &["label", "probabilities"]);
    assert_eq!(worst[0], (0.0, 0.0));
    assert!(worst[1].0 < 1e-6 && worst[1].1 < 1e-4, "{worst:?}");
}

#[test]
fn the_forest_is_as_good_with_private_weights() {
    let recipe =
        Recipe { private_weights: true, declared_bias_bits: 48, declared_weight_bits: 16, ..Recipe::default() };
    let worst = errors("cancer_forest", &recipe, &["label", "probabilities"]);
    assert_eq!(worst[0], (0.0, 0.0));
    assert!(worst[1].1 < 5e-3, "{worst:?}");
}
