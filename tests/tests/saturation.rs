//! No input within the declared intervals is impossible to prove: the smallest and the largest values, one-hot extremes
//! and random signs, for every committed model.
#![cfg(feature = "onnx")]

use std::{collections::BTreeMap, sync::Arc};
use zkonnx_circuits::{compiled::CompiledModel, lower::Modes, witness::assign};
use zkonnx_prover::prove::prove;
use zkonnx_quantize::{
    data::{read_npz, Samples},
    eval::evaluate,
    model::QuantizedModel,
    quantize, OnnxModel, Recipe,
};
use zkonnx_tests::{
    debug_verifier::Witness,
    graphs::GraphBuilder,
    onnx_fixtures::{operator_cases, root},
    setup::{both_ways, lay_out, Sides},
};
use zkonnx_verifier::{statement::Context, verify::verify};

/// Inputs that drive everything to its ends.
fn extremes(model: &QuantizedModel) -> Vec<(&'static str, Vec<Vec<i64>>)> {
    let fill = |value: &dyn Fn(usize, i64, i64, usize) -> i64| -> Vec<Vec<i64>> {
        let one = |(i, input): (usize, &zkonnx_quantize::graph::Input)| {
            let len: usize = input.shape.iter().map(|s| *s as usize).product();
            (0..len).map(|e| value(i, input.bounds.lo, input.bounds.hi, e)).collect()
        };
        model.graph.inputs.iter().enumerate().map(one).collect()
    };
    let mut random = GraphBuilder::new(77);
    let signs: Vec<bool> = (0..1024).map(|_| random.random(0, 1) == 1).collect();
    vec![
        ("all smallest", fill(&|_, lo, _, _| lo)),
        ("all largest", fill(&|_, _, hi, _| hi)),
        ("one largest", fill(&|_, lo, hi, e| if e == 0 { hi } else { lo })),
        ("one smallest", fill(&|_, lo, hi, e| if e % 7 == 3 { lo } else { hi })),
        ("random signs", fill(&|i, lo, hi, e| if signs[(e * 31 + i) % signs.len()] { hi } else { lo })),
        ("inputs against each other", fill(&|i, lo, hi, _| if i % 2 == 0 { hi } else { lo })),
    ]
}

/// All patterns have a witness without a fault; those of `proven` are proven and verified, by turns in either way of proving gates.
fn check(name: &str, model: &QuantizedModel, proven: &[usize]) {
    let patterns = extremes(model);
    let compiled =
        CompiledModel::new(Arc::new(model.graph.clone()), Modes::public(&model.graph), model.layout).expect(name);
    for (pattern, inputs) in &patterns {
        let trace = evaluate(model, inputs).expect(name);
        let cells = assign(&compiled, &trace);
        let outputs = &trace.outputs;
        let witness = Witness { model: &compiled, cells: &cells, weights: &model.weights, inputs, outputs };
        assert_eq!(witness.faults(), vec![], "{name}: {pattern}");
    }
    for index in proven {
        let [even, odd] = both_ways(model);
        let sides = Sides::new(if index % 2 == 0 { even } else { odd });
        let (pattern, inputs) = &patterns[index % patterns.len()];
        let (statement, proof) = prove(&sides.prover, inputs, Context::default()).expect(name);
        if let Err(error) = verify(&sides.handle, &statement, &proof, None) {
            panic!("{name}: {pattern}: {error}");
        }
    }
}

#[test]
fn every_operator_case_can_be_driven_to_its_ends() {
    for (i, case) in operator_cases().0.iter().enumerate() {
        check(&case.name, &case.model, &[i]);
    }
}

/// A fixture model, quantised with its calibration samples.
fn fixture(name: &str, recipe: &Recipe) -> QuantizedModel {
    let path = root().join("models").join(format!("{name}.onnx"));
    let onnx = OnnxModel::from_path(&path, &BTreeMap::new()).expect(name);
    let arrays = read_npz(&root().join("models").join(format!("{name}_calibration.npz"))).expect(name);
    let samples = Samples::new(&onnx.inputs(), arrays).expect(name);
    let (mut model, _) = quantize(&onnx, Some(&samples), recipe).expect(name);
    lay_out(&mut model, None);
    model
}

#[test]
fn every_model_can_be_driven_to_its_ends() {
    for name in ["mlp", "lenet", "cifar", "diabetes_gbr", "cancer_forest"] {
        check(name, &fixture(name, &Recipe::default()), &[0, 1, 4]);
    }
    for name in ["series_lstm", "series_tcn"] {
        check(name, &fixture(name, &Recipe::of_bits(16)), &[1, 4]);
    }
}
