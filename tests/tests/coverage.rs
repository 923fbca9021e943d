//! Coverage (T3): every used cell and every public output is determined. A forgotten relation would be a free witness,
//! a forgotten output relation a free answer.

use zkonnx_circuits::{
    functional::{linear_system, LinearChallenges, PublicTensors},
    lower::{Mode, Modes},
    words::WordId,
};
use zkonnx_quantize::model::QuantizedModel;
use zkonnx_tests::{
    debug_verifier::Witness,
    graphs,
    lies::{place_of, Case},
};
use zkonnx_verifier::verify::public_values;

fn models() -> Vec<QuantizedModel> {
    vec![
        graphs::mlp((10, 6, 3), 6, 4, 1),
        graphs::mlp((40, 20, 6), 5, 4, 3),
        graphs::lenet_like(6, 4, 5),
        graphs::lenet_like(7, 6, 5),
        graphs::softmax_like(7, 5, 7),
        graphs::attention_like(6, 4, 9),
    ]
}

fn each_case(mut check: impl FnMut(&Case)) {
    for model in models() {
        for (input, output) in [(Mode::Public, Mode::Public), (Mode::Hidden, Mode::Public)] {
            let modes = Modes {
                inputs: vec![input; model.graph.inputs.len()],
                outputs: vec![output; model.graph.outputs.len()],
            };
            check(&Case::new(model.clone(), modes, 11));
        }
    }
}

#[test]
fn every_used_cell_and_every_public_output_is_determined() {
    each_case(|case| {
        let model = case.model();
        let (inputs, outputs) = public_values(&case.statement);
        let mut cells = case.cells();
        let weights = &case.sides.prover.model.weights;
        let witness = Witness { model, cells: &cells, weights, inputs: &inputs, outputs: &outputs };
        assert_eq!(witness.faults(), [], "the honest witness is right");
        let mut perturbed = 0;
        for (w, word) in model.placement.words.iter().enumerate() {
            // Of long words, elements spread over the whole word, the last one among them.
            let step = word.len.div_ceil(12);
            for element in (0..word.len).filter(|e| e % step == 0 || *e + 1 == word.len) {
                for limb in 0..word.limbs.len() {
                    let (column, row) = place_of(model, WordId(w), limb, element);
                    for by in [1, -1] {
                        cells.columns[column][row] += by;
                        let faults =
                            Witness { model, cells: &cells, weights, inputs: &inputs, outputs: &outputs }.faults();
                        assert!(!faults.is_empty(), "word {w}, element {element}, limb {limb} is free");
                        cells.columns[column][row] -= by;
                        perturbed += 1;
                    }
                }
            }
        }
        assert!(perturbed > 20);
        for (o, values) in outputs.iter().enumerate() {
            for element in 0..values.len() {
                for by in [1, -1] {
                    let mut outputs = outputs.clone();
                    outputs[o][element] += by;
                    let faults =
                        Witness { model, cells: &cells, weights, inputs: &inputs, outputs: &outputs }.relation_faults();
                    assert_eq!(faults.len(), 1, "output {o}, element {element}");
                }
            }
        }
        for (i, values) in inputs.iter().enumerate() {
            for element in 0..values.len() {
                let mut inputs = inputs.clone();
                inputs[i][element] += if values[element] == model.graph.inputs[i].bounds.hi { -1 } else { 1 };
                let faults =
                    Witness { model, cells: &cells, weights, inputs: &inputs, outputs: &outputs }.relation_faults();
                assert!(!faults.is_empty(), "input {i}, element {element} does not matter");
            }
        }
    });
}

/// No two elements of words share a cell, and all cells are active ones.
#[test]
fn every_used_cell_is_used_once_and_active() {
    each_case(|case| {
        let model = case.model();
        let mut used = vec![vec![false; model.num_rows()]; model.shape.columns.len()];
        for (w, word) in model.placement.words.iter().enumerate() {
            for limb in 0..word.limbs.len() {
                for element in 0..word.len {
                    let (column, row) = place_of(model, WordId(w), limb, element);
                    assert!(row < model.shape.num_active_rows());
                    assert!(!std::mem::replace(&mut used[column][row], true), "column {column}, row {row}");
                    assert_eq!(model.shape.columns[column].kind, word.limbs[limb].kind);
                }
            }
        }
    });
}

/// Functionals read used cells only: never halo2's own rows, and never a cell that no word owns.
#[test]
fn functionals_read_used_cells_only() {
    use pasta_curves::Fp;
    each_case(|case| {
        let model = case.model();
        let (inputs, outputs) = public_values(&case.statement);
        let value = |i: usize| Fp::from(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(i as u64 + 1));
        let bits = zkonnx_circuits::functional::num_index_bits(model);
        let challenges = LinearChallenges {
            rho: (0..bits).map(value).collect(),
            mu: value(100),
            sigma: (200..200 + model.sumcheck.num_rounds).map(value).collect(),
            gamma: value(300),
            eta: value(301),
            zeta: value(302),
        };
        let masked: Vec<_> = (0..model.sumcheck.num_masked).map(|s| (value(400 + s), value(500 + s))).collect();
        let system = linear_system(model, PublicTensors { inputs: &inputs, outputs: &outputs }, &challenges, &masked);
        let mut used = vec![vec![false; model.num_rows()]; model.shape.columns.len()];
        for (w, word) in model.placement.words.iter().enumerate() {
            for limb in 0..word.limbs.len() {
                for element in 0..word.len {
                    let (column, row) = place_of(model, WordId(w), limb, element);
                    used[column][row] = true;
                }
            }
        }
        // Words that stand in gates alone (complements) are in no relation; every other one is.
        for (column, functional) in system.words.iter().enumerate() {
            for (row, value) in functional.iter().enumerate() {
                assert!(used[column][row] || *value == Fp::zero(), "column {column}, row {row}");
            }
        }
    });
}
