//! The forecasters among the fixture models: precision on held-out windows, and how often a recurrence has its weights.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use rayon::prelude::*;
use std::{collections::BTreeMap, path::PathBuf};
use zkonnx_quantize::{
    data::{dequantise_output, quantise_input, read_npz, NamedTensor, Samples},
    eval::evaluate,
    model::QuantizedModel,
    quantize, OnnxModel, Recipe,
};

fn array(file: &str, name: &str) -> NamedTensor {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models").join(file);
    read_npz(&path).unwrap().into_iter().find(|a| a.name == name).unwrap()
}

fn load(name: &str) -> OnnxModel {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models").join(format!("{name}.onnx"));
    OnnxModel::from_path(&path, &BTreeMap::new()).unwrap()
}

fn windows(model: &OnnxModel, mut tensor: NamedTensor) -> Samples {
    let spec = &model.inputs()[0];
    tensor.shape = vec![tensor.shape[0], spec.shape.iter().product()];
    Samples::new(&model.inputs(), vec![tensor]).unwrap()
}

fn quantised(name: &str, recipe: &Recipe) -> (OnnxModel, QuantizedModel) {
    let model = load(name);
    let calibration = windows(&model, array(&format!("{name}_calibration.npz"), "window"));
    let (quantised, _) = quantize(&model, Some(&calibration), recipe).unwrap();
    (model, quantised)
}

/// Checks every eighth held-out window, and all whose prediction is near zero.
fn is_precise(name: &str, recipe: &Recipe) {
    let (model, quantised) = quantised(name, recipe);
    let held_out = windows(&model, array(&format!("{name}_heldout.npz"), "window"));
    let expected = array(&format!("{name}_expected.npz"), "change").data;
    let smallest = expected.iter().copied().fold(f64::INFINITY, f64::min);
    let range = expected.iter().copied().fold(f64::NEG_INFINITY, f64::max) - smallest;
    let near = |i: &usize| expected[*i].abs() < 2e-3 * range;
    let chosen: Vec<usize> = (0..expected.len()).filter(|i| i % 8 == 0 || near(i)).collect();
    let of_window = |i: &usize| {
        let values = quantise_input(&quantised.graph.inputs[0], held_out.sample(*i)[0]).unwrap().values;
        let trace = evaluate(&quantised, &[values]).unwrap();
        let value = dequantise_output(&quantised.graph.outputs[0], &trace.outputs[0]).data[0];
        ((value - expected[*i]).abs() / range, (value > 0.0) == (expected[*i] > 0.0))
    };
    let results: Vec<(f64, bool)> = chosen.par_iter().map(of_window).collect();
    let worst = results.iter().map(|r| r.0).fold(0.0, f64::max);
    let wrong = results.iter().filter(|r| !r.1).count();
    println!("{name}: {} windows, worst {:.4} % of the range, {wrong} signs wrong", chosen.len(), 100.0 * worst);
    assert!(worst <= 1e-3, "{name}: {worst}");
    // One in a thousand of all 1728 windows may be.
    assert!(wrong <= 1, "{name}: {wrong} signs");
}

#[test]
fn lstm_is_precise_on_held_out_windows() {
    is_precise("series_lstm", &Recipe::of_bits(16));
}

#[test]
fn tcn_is_precise_on_held_out_windows() {
    is_precise("series_tcn", &Recipe::of_bits(16));
}

#[test]
fn the_steps_of_an_lstm_share_weights_and_tables() {
    for recipe in [Recipe::default(), Recipe::of_bits(16)] {
        let (_, model) = quantised("series_lstm", &recipe);
        // Input weights, recurrent weights and biases of the sigmoid gates and of the tanh gate, and the head's.
        let sizes: Vec<(u32, u32)> = model.graph.params.iter().map(|p| (p.rows, p.cols)).collect();
        assert_eq!(sizes.len(), 7, "{sizes:?}");
        for size in [(192, 5), (192, 64), (192, 1), (64, 5), (64, 64), (64, 1), (1, 64)] {
            assert!(sizes.contains(&size), "{size:?} in {sizes:?}");
        }
        let tables =
            model.graph.tables.iter().map(|t| (t.function, t.lo, t.entries.len(), t.input_scale, t.output_scale));
        let tables: Vec<_> = tables.map(|t| format!("{t:?}")).collect();
        // Two for the sigmoid, the gate's tanh, and the tanh of the first, the last and all other cells.
        assert!(tables.len() <= 10, "{}", tables.join("\n"));
    }
}

#[test]
fn the_steps_of_an_lstm_share_private_weights() {
    let recipe =
        Recipe { private_weights: true, declared_weight_bits: 24, declared_bias_bits: 40, ..Recipe::of_bits(12) };
    let (_, model) = quantised("series_lstm", &recipe);
    let values: usize = model.graph.params.iter().map(zkonnx_quantize::graph::Param::len).sum();
    assert!(values <= 2 * 18_000, "{values} values in {} parameters", model.graph.params.len());
}
