//! Every operator case in `tests/ops` and `tests/variants`: float evaluation and integer evaluation against ONNX Runtime.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use zkonnx_quantize::{
    data::{dequantise_output, quantise_input, read_npz, NamedTensor, Samples},
    eval::evaluate,
    graph::Op,
    model::QuantizedModel,
    onnx::{inspect::inspect, ImportOptions},
    quantize, OnnxModel, Recipe,
};

fn root(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests").join(folder)
}

struct Case {
    model: OnnxModel,
    samples: Samples,
    /// Per output: name and all samples' values.
    expected: Vec<NamedTensor>,
    /// What ONNX Runtime gives, where the file rounds as it runs and `expected` is what it rounds.
    file: Vec<NamedTensor>,
}

fn load(path: &Path) -> Result<Case, String> {
    let model = OnnxModel::from_path(path, &BTreeMap::new()).map_err(|e| e.to_string())?;
    let arrays = read_npz(&path.with_extension("npz")).map_err(|e| e.to_string())?;
    let part = |prefix: &str| -> Vec<NamedTensor> {
        let own = arrays.iter().filter_map(|a| Some((a.name.strip_prefix(prefix)?.to_owned(), a)));
        own.map(|(name, a)| NamedTensor { name, ..a.clone() }).collect()
    };
    let samples = Samples::new(&model.inputs(), part("in_")).map_err(|e| e.to_string())?;
    Ok(Case { model, samples, expected: part("out_"), file: part("file_") })
}

fn expected<'a>(case: &'a Case, name: &str, sample: usize) -> &'a [f64] {
    let array = case.expected.iter().find(|a| a.name == name).unwrap();
    let width = array.data.len() / case.samples.len();
    &array.data[sample * width..(sample + 1) * width]
}

fn check_float(case: &Case) -> Result<(), String> {
    for s in 0..case.samples.len() {
        let outputs = case.model.graph().run(&case.samples.tensors(s), |_, _| ()).map_err(|e| e.to_string())?;
        for ((name, _), actual) in case.model.graph().outputs.iter().zip(outputs) {
            let wanted = expected(case, name, s);
            if actual.data.len() != wanted.len() {
                return Err(format!("{name}: {} elements, ORT has {}", actual.data.len(), wanted.len()));
            }
            for (i, (a, w)) in actual.data.iter().zip(wanted).enumerate() {
                if (a - w).abs() > 1e-4 * w.abs().max(1.0) {
                    return Err(format!("float: {name} sample {s} element {i}: {a}, ORT {w}"));
                }
            }
        }
    }
    Ok(())
}

fn check_integer(case: &Case, recipe: &Recipe, tolerance: f64) -> Result<f64, String> {
    let (model, _) = quantize(&case.model, Some(&case.samples), recipe).map_err(|e| e.to_string())?;
    let bytes = model.to_bytes();
    if QuantizedModel::from_bytes(&bytes).map_err(|e| e.to_string())? != model {
        return Err("the file does not hold the model".into());
    }
    let mut worst = 0.0_f64;
    for s in 0..case.samples.len() {
        let inputs: Vec<Vec<i64>> = model
            .graph
            .inputs
            .iter()
            .zip(case.samples.sample(s))
            .map(|(i, v)| quantise_input(i, v).unwrap().values)
            .collect();
        let trace = evaluate(&model, &inputs).map_err(|e| e.to_string())?;
        for (n, node) in model.graph.nodes.iter().enumerate() {
            for a in &trace.forms[n] {
                assert!(node.form.bounds.contains(*a), "{}: a form leaves its bounds", node.name);
            }
        }
        for (output, integers) in model.graph.outputs.iter().zip(&trace.outputs) {
            if integers.iter().any(|v| !output.form.bounds.contains(*v)) {
                return Err("an output leaves its bounds".into());
            }
            let real = dequantise_output(output, integers).data;
            let all = &case.expected.iter().find(|a| a.name == output.name).unwrap().data;
            let magnitude = all.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            for (i, (a, w)) in real.iter().zip(expected(case, &output.name, s)).enumerate() {
                let error = (a - w).abs() / magnitude.max(1e-9);
                worst = worst.max(error);
                if error > tolerance {
                    return Err(format!(
                        "integer: {} sample {s} element {i}: {a}, ORT {w}, {error:.4} of the range",
                        output.name
                    ));
                }
            }
        }
    }
    Ok(worst)
}

fn all_cases(folder: &str) -> Vec<PathBuf> {
    let mut cases = Vec::new();
    for family in std::fs::read_dir(root(folder)).unwrap().filter_map(Result::ok).filter(|e| e.path().is_dir()) {
        for case in std::fs::read_dir(family.path()).unwrap().filter_map(Result::ok) {
            if case.path().extension().is_some_and(|e| e == "onnx") {
                cases.push(case.path());
            }
        }
    }
    cases.sort();
    cases
}

fn run_all(folder: &str, recipe: &Recipe, tolerance: f64, float: bool) {
    run_cases(folder, all_cases(folder), recipe, tolerance, float);
}

fn run_cases(folder: &str, cases: Vec<PathBuf>, recipe: &Recipe, tolerance: f64, float: bool) {
    let mut failures = Vec::new();
    assert!(cases.len() >= 50, "only {} operator cases", cases.len());
    for path in cases {
        let name = path.strip_prefix(root(folder)).unwrap().display().to_string();
        // Thresholds, and weights of sums that cancel, are wider than a network's.
        let mut recipe = recipe.clone();
        if ["ml/", "convolutions/volumes", "indices/", "quantised/", "resize/"].iter().any(|n| name.starts_with(n)) {
            (recipe.declared_weight_bits, recipe.declared_bias_bits) = (24, 48);
        }
        let result = load(&path).and_then(|case| {
            if float {
                check_float(&case)?;
            }
            check_integer(&case, &recipe, tolerance)
        });
        match result {
            Ok(worst) => println!("{name}: {:.3} %", 100.0 * worst),
            Err(e) => failures.push(format!("{name}: {e}")),
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_operator_agrees_with_onnx_runtime() {
    run_all("ops", &Recipe::default(), 0.015, true);
}

#[test]
fn every_operator_agrees_more_closely_at_sixteen_bits() {
    let recipe =
        Recipe { bits: 16, input_bits: 16, table_bits: 15, shift: 16, max_range_bits: 20, ..Recipe::default() };
    run_all("ops", &recipe, 0.002, false);
}

#[test]
fn every_operator_agrees_with_private_weights() {
    run_all("ops", &Recipe { private_weights: true, ..Recipe::default() }, 0.02, false);
}

#[test]
fn every_variant_agrees_with_onnx_runtime() {
    let recipe =
        Recipe { bits: 14, input_bits: 14, table_bits: 13, shift: 14, max_range_bits: 18, ..Recipe::default() };
    run_all("variants", &recipe, 0.005, true);
}

/// What a file rounds to 16 bits it rounds so at any width of the recipe: inputs follow the file.
#[test]
fn activations_of_sixteen_bits_are_those_of_the_file_at_any_width() {
    for name in ["qdq_int16_13", "qdq_int16_21", "qdq_uint16_13", "qdq_uint16_21"] {
        let case = load(&root("variants").join(format!("quantised/{name}.onnx"))).unwrap();
        for bits in [6, 10, 16] {
            let worst = check_integer(&case, &Recipe::of_bits(bits), 1e-4);
            println!("{name} {bits}: {:.4} %", 100.0 * worst.unwrap_or_else(|e| panic!("{name}, {bits} bits: {e}")));
        }
    }
}

/// Files that quantise activations as they run are imported without that rounding: which their owner is told.
#[test]
fn what_is_imported_is_near_what_files_give_that_quantise_as_they_run() {
    let recipe = Recipe::of_bits(12);
    let mut found = 0;
    for path in all_cases("variants") {
        let mut case = load(&path).unwrap();
        if case.file.is_empty() {
            continue;
        }
        found += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        case.expected = std::mem::take(&mut case.file);
        let worst = check_integer(&case, &recipe, 0.03).unwrap_or_else(|e| panic!("{name}: {e}"));
        println!("{name}: {:.3} %", 100.0 * worst);
        let inspection = inspect(&path, &ImportOptions::default()).unwrap();
        assert_eq!(inspection.notes.len(), 1, "{name}: {:?}", inspection.notes);
        let (_, notes) = quantize(&case.model, Some(&case.samples), &recipe).unwrap();
        for said in [&inspection.notes, &notes.warnings] {
            assert!(said.iter().any(|n| n.contains("run-time rounding is not reproduced")), "{name}: {said:?}");
        }
        assert!(inspection.to_string().contains(&inspection.notes[0]), "{name}");
    }
    assert!(found >= 17, "{found} such files");
}

/// The cases of masks, pooling and whole transformers.
fn transformers() -> Vec<PathBuf> {
    let families = ["masks", "pooling", "transformers"].map(|f| root("variants").join(f));
    all_cases("variants").into_iter().filter(|path| families.iter().any(|f| path.starts_with(f))).collect()
}

#[test]
fn transformers_agree_at_every_width() {
    for (bits, tolerance) in [(8, 0.1), (10, 0.03), (12, 0.01), (16, 0.001), (20, 0.0005), (24, 0.0005)] {
        run_cases("variants", transformers(), &Recipe::of_bits(bits), tolerance, false);
    }
}

#[test]
fn transformers_agree_with_private_weights() {
    // One-hot vectors times embeddings have no factor but the weights.
    let (declared_weight_bits, declared_bias_bits) = (28, 48);
    let recipe = Recipe { private_weights: true, declared_weight_bits, declared_bias_bits, ..Recipe::of_bits(12) };
    run_cases("variants", transformers(), &recipe, 0.02, false);
}

#[test]
fn masks_set_no_scale() {
    // The same scores and values with and without a mask in calibration: hidden scores leave the others as fine as they are.
    let recipe = Recipe::default();
    for case in ["constant_min", "product_min", "where_min", "filled_65504", "both_1e9", "gpt2", "with_bias"] {
        let case = load(&root("variants/masks").join(format!("{case}.onnx"))).unwrap();
        let (model, _) = quantize(&case.model, Some(&case.samples), &recipe).unwrap();
        let scores = model.graph.nodes.iter().find(|n| n.name.ends_with("/scores")).unwrap();
        // Scores lie within ±6, or ±5 and a bias: ten bits of that.
        assert!(scores.scale.to_f64() <= 12.0 / 1023.0, "{}", scores.scale.to_f64());
    }
}

#[test]
fn attention_is_divided_by_lines() {
    // Two heads of six queries and keys, three values each. A mask that is an input multiplies exponentials: their weights are divided.
    for (case, lines_only) in [("constant_min", true), ("constant_1e4", true), ("product_min", false)] {
        let case = load(&root("variants/masks").join(format!("{case}.onnx"))).unwrap();
        let (model, _) = quantize(&case.model, Some(&case.samples), &Recipe::default()).unwrap();
        let divisions = model.graph.nodes.iter().filter(|n| matches!(n.op, Op::Div { .. }));
        let divided: Vec<usize> = divisions.map(|n| n.form.len()).collect();
        assert_eq!(divided, [if lines_only { 12 } else { 72 }]);
    }
}

#[test]
fn a_mask_of_ones_in_calibration_says_nothing_of_zeros() {
    let case = load(&root("variants/pooling/mean.onnx")).unwrap();
    let count = case.samples.len();
    let arrays = case.samples.specs().iter().enumerate().map(|(i, spec)| NamedTensor {
        name: spec.name.clone(),
        shape: [&[count], spec.shape.as_slice()].concat(),
        data: if spec.name == "mask" { vec![1.0; count * 8] } else { case.samples.values(i).to_vec() },
    });
    let samples = Samples::new(&case.model.inputs(), arrays.collect()).unwrap();
    let (model, _) = quantize(&case.model, Some(&samples), &Recipe::default()).unwrap();
    for s in 0..count {
        let quantised = |(i, v)| quantise_input(i, v).unwrap();
        let inputs: Vec<_> = model.graph.inputs.iter().zip(case.samples.sample(s)).map(quantised).collect();
        assert!(inputs.iter().all(|i| i.clamped == 0));
        let inputs: Vec<Vec<i64>> = inputs.into_iter().map(|i| i.values).collect();
        let trace = evaluate(&model, &inputs).unwrap();
        let actual = dequantise_output(&model.graph.outputs[0], &trace.outputs[0]).data;
        for (a, w) in actual.iter().zip(expected(&case, "y", s)) {
            assert!((a - w).abs() < 0.01, "sample {s}: {a}, ORT {w}");
        }
    }
}

#[test]
fn models_of_text_quantise_without_samples() {
    for case in ["transformers/bert", "transformers/sentence", "transformers/gpt", "transformers/llama"] {
        let case = load(&root("variants").join(format!("{case}.onnx"))).unwrap();
        for bits in [8, 10, 12, 16, 24] {
            let (model, _) = quantize(&case.model, None, &Recipe::of_bits(bits)).unwrap();
            let ids = &model.graph.inputs[0];
            assert_eq!((ids.bounds.lo, ids.bounds.hi, ids.scale.to_f64()), (0, 23, 1.0));
            if let Some(mask) = model.graph.inputs.get(1) {
                assert_eq!((mask.bounds.lo, mask.bounds.hi, mask.scale.to_f64()), (0, 1, 1.0));
            }
        }
    }
}
