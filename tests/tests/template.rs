//! The tests of one operator, to copy for a new one (`docs/extending.md`).
//!
//! What is about the operator stands first: its case in `tests/ops`, and its meaning in floating point, written down here from
//! ONNX's specification and not from the code that is tested. All below holds for any operator whose outputs are floats. A
//! new gadget has in addition one lie for every constraint, as in `lying_gadgets.rs`.
#![cfg(feature = "onnx")]

use halo2_proofs::dev::MockProver;
use pasta_curves::Fp;
use zkonnx_circuits::{
    compiled::CompiledModel,
    field::from_i64,
    halo2::circuit::{with_shape, ModelCircuit},
    lower::{Mode, Modes},
    witness::Cells,
    words::WordId,
};
use zkonnx_prover::deviation::Honest;
use zkonnx_quantize::{data::dequantise_output, eval::evaluate, model::QuantizedModel};
use zkonnx_tests::{
    debug_verifier::Fault,
    lies::{faults_of, place_of, reject, Case, CellLie},
    onnx_fixtures::{float_case, FloatCase},
    setup::both_ways,
};
use zkonnx_verifier::error::Step;

/// The case, made by `tests/models/make_op_cases.py`.
const CASE: &str = "activation/hardswish";
/// How far integers may be from the reference, as a part of the largest value: about `2^-bits` of the recipe for every rounding.
const TOLERANCE: f64 = 0.005;

/// The outputs of one sample, as the specification has them: `x · max(0, min(1, x / 6 + 1/2))`.
fn reference(inputs: &[&[f64]]) -> Vec<Vec<f64>> {
    vec![inputs[0].iter().map(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)).collect()]
}

// What follows is the same for every operator.

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, v| most.max(v.abs()))
}

/// The case as a prover and a verifier see it, with its first sample.
fn proven(float: &FloatCase, model: &QuantizedModel, input: Mode) -> Case {
    let mut modes = Modes::public(&model.graph);
    modes.inputs.fill(input);
    Case::with_inputs(model.clone(), modes, &float.integers(model, 0))
}

#[test]
fn the_import_is_the_reference_and_what_onnx_runtime_computes() {
    let case = float_case(CASE);
    for sample in 0..case.samples.len() {
        let outputs = case.onnx.graph().run(&case.samples.tensors(sample), |_, _| ()).expect("inputs as declared");
        let wanted = reference(&case.samples.sample(sample));
        assert_eq!(outputs.len(), wanted.len(), "the reference has all outputs");
        for ((spec, actual), wanted) in case.onnx.outputs().iter().zip(&outputs).zip(&wanted) {
            let theirs = case.expected.iter().find(|array| array.name == spec.name).expect("an array of this name");
            let theirs = &theirs.data[sample * wanted.len()..(sample + 1) * wanted.len()];
            assert_eq!(actual.shape, spec.shape);
            assert_eq!(actual.data.len(), wanted.len());
            for ((ours, wanted), theirs) in actual.data.iter().zip(wanted).zip(theirs) {
                assert!((ours - wanted).abs() <= 1e-12 * largest(&[*wanted, 1.0]), "{ours}, reference {wanted}");
                assert!((ours - theirs).abs() <= 1e-5 * largest(&[*theirs, 1.0]), "{ours}, ONNX Runtime {theirs}");
            }
        }
    }
}

#[test]
fn the_integers_are_near_the_reference() {
    let case = float_case(CASE);
    let model = case.quantised();
    for sample in 0..case.samples.len() {
        let trace = evaluate(&model, &case.integers(&model, sample)).expect("inputs as declared");
        let wanted = reference(&case.samples.sample(sample));
        for ((output, integers), wanted) in model.graph.outputs.iter().zip(&trace.outputs).zip(&wanted) {
            let all = case.expected.iter().find(|array| array.name == output.name).expect("an array of this name");
            let tolerance = TOLERANCE * largest(&all.data);
            let actual = dequantise_output(output, integers).data;
            assert_eq!(actual.len(), wanted.len());
            for (actual, wanted) in actual.iter().zip(wanted) {
                assert!((actual - wanted).abs() <= tolerance, "{}: {actual}, reference {wanted}", output.name);
            }
        }
    }
}

/// Whatever stands within the declared intervals can be evaluated, and stays within the intervals that analysis found.
#[test]
fn the_extremes_are_within_their_bounds_and_proven() {
    let model = float_case(CASE).quantised();
    let (graph, tensors) = (&model.graph, model.graph.tensors());
    for pattern in 0..4 {
        let inputs = graph.inputs.iter().map(|input| {
            let count: u32 = input.shape.iter().product();
            let high = |i: u32| [false, true, i.is_multiple_of(2), i.is_multiple_of(3)][pattern];
            (0..count).map(|i| if high(i) { input.bounds.hi } else { input.bounds.lo }).collect()
        });
        let inputs: Vec<Vec<i64>> = inputs.collect();
        let case = Case::with_inputs(model.clone(), Modes::public(graph), &inputs);
        for (info, values) in tensors.iter().zip(&case.trace.tensors) {
            assert!(values.iter().all(|v| info.bounds.contains(*v)), "pattern {pattern}: {info:?}");
        }
        for (node, values) in graph.nodes.iter().zip(&case.trace.forms) {
            assert!(values.iter().all(|v| node.form.bounds.contains(*v)), "pattern {pattern}: {}", node.name);
        }
        case.is_sound();
    }
}

#[test]
fn proofs_are_accepted_and_another_output_is_refused() {
    let float = float_case(CASE);
    let [relations, halo2] = both_ways(&float.quantised());
    for (model, input) in [(&relations, Mode::Public), (&relations, Mode::Hidden), (&halo2, Mode::Hidden)] {
        let case = proven(&float, model, input);
        assert_eq!(faults_of(&case, &case.trace, &case.statement, &mut Honest), [], "inputs {input:?}");
        case.is_sound();
        for (output, declared) in model.graph.outputs.iter().enumerate() {
            // Within the declared interval, or the statement itself would be refused.
            let value = case.trace.outputs[output][0];
            let by = if value < declared.form.bounds.hi { 1 } else { -1 };
            let statement = case.false_output(output, 0, by);
            let proof = case.prove(&statement, &mut Honest);
            assert_eq!(case.rejected_at(&statement, &proof), Step::Linear, "output {output}, inputs {input:?}");
        }
    }
}

/// One cell of every word is one more, or one less: a relation, a range or a gate fails, and the proof at the step of what fails, in both ways.
#[test]
fn every_word_is_determined() {
    let float = float_case(CASE);
    for model in both_ways(&float.quantised()) {
        let case = proven(&float, &model, Mode::Hidden);
        let words = case.model().placement.words.len();
        assert!(words > 0, "an operator without cells proves nothing");
        for word in 0..words {
            for by in [1, -1] {
                let mut lie = CellLie(|model: &CompiledModel, cells: &mut Cells| {
                    let (column, row) = place_of(model, WordId(word), 0, 0);
                    cells.columns[column][row] += by;
                });
                let faults = reject(&case, &case.trace, &mut lie);
                assert!(!faults.is_empty(), "word {word} is free");
            }
        }
    }
}

/// The circuit's gates are those that the debug verifier knows: for the witness, and with any one cell changed.
#[test]
fn the_mock_prover_and_the_debug_verifier_agree() {
    let float = float_case(CASE);
    let [_, halo2] = both_ways(&float.quantised());
    let case = proven(&float, &halo2, Mode::Hidden);
    let model = case.model();
    let mocked = |cells: &Cells| {
        let column = |column: &usize| cells.columns[*column].iter().map(|v| from_i64(*v)).collect();
        let advice: Vec<Vec<Fp>> = model.shape.gated.iter().map(column).collect();
        let circuit = ModelCircuit { shape: &model.shape, advice: Some(&advice) };
        let run = || MockProver::run(model.shape.k, &circuit, Vec::new());
        with_shape(&model.shape, run).expect("a circuit that fits").verify().is_ok()
    };
    let honest = case.cells();
    assert!(mocked(&honest));
    for column in model.shape.gated.clone() {
        for by in [1, -1, 1 << 20] {
            let mut cells = honest.clone();
            cells.columns[column][0] += by;
            let faults = faults_of(
                &case,
                &case.trace,
                &case.statement,
                &mut CellLie(|_: &_, own: &mut Cells| *own = cells.clone()),
            );
            let is_gate = |fault: &Fault| matches!(fault, Fault::Gate { .. });
            assert_eq!(mocked(&cells), !faults.iter().any(is_gate), "column {column} by {by}");
        }
    }
}
