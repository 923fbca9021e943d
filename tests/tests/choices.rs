//! Comparisons, arguments of maxima, largest elements, floors and one-hot vectors: right on every tie, and a prover
//! who decides a tie or a comparison otherwise is rejected.
#![cfg(feature = "onnx")]

use zkonnx_circuits::lower::Modes;
use zkonnx_prover::{deviation::Honest, prove::prove_trace};
use zkonnx_quantize::{
    data::{InputSpec, NamedTensor, Samples},
    onnx::{
        build::ModelBuilder,
        graph::{FloatOp, ValueId},
        ops::elementwise::{Binary, Unary},
    },
    quantize, OnnxModel, Recipe,
};
use zkonnx_tests::{
    lies::{reject, rejected_at, Case},
    setup::lay_out,
};
use zkonnx_verifier::error::Step;

/// `y = op(x, …)` for inputs of these values, which are also the samples.
fn case(inputs: &[(&[usize], Vec<f64>)], integer: bool, op: FloatOp) -> Case {
    let mut builder = ModelBuilder::default();
    let ids: Vec<ValueId> =
        inputs.iter().enumerate().map(|(i, (shape, _))| builder.input(&format!("x{i}"), shape, integer)).collect();
    let y = builder.add("y", op, &ids).expect("shapes that fit");
    proven(&builder.finish(&[("y", y)]), inputs)
}

fn proven(model: &OnnxModel, inputs: &[(&[usize], Vec<f64>)]) -> Case {
    let specs: Vec<InputSpec> = model.inputs();
    let array = |(spec, (shape, data)): (&InputSpec, &(&[usize], Vec<f64>))| NamedTensor {
        name: spec.name.clone(),
        shape: shape.to_vec(),
        data: data.clone(),
    };
    let samples = Samples::new(&specs, specs.iter().zip(inputs).map(array).collect()).expect("samples");
    let (mut model, _) = quantize(model, Some(&samples), &Recipe::default()).expect("a quantised model");
    lay_out(&mut model, Some(8));
    let integers = model.graph.inputs.iter().zip(samples.sample(0));
    let integers: Vec<Vec<i64>> = integers
        .map(|(input, values)| zkonnx_quantize::data::quantise_input(input, values).expect("finite").values)
        .collect();
    let modes = Modes::public(&model.graph);
    let case = Case::with_inputs(model, modes, &integers);
    case.is_sound();
    case
}

fn output(case: &Case) -> Vec<f64> {
    let output = &case.sides.prover.model.graph.outputs[0];
    zkonnx_quantize::data::dequantise_output(output, &case.trace.outputs[0]).data
}

/// Claims another value of one element of the one output, everything before it honest.
fn rejects_output(case: &Case, element: usize, by: i64) {
    let mut trace = case.trace.clone();
    trace.outputs[0][element] += by;
    let bounds = case.sides.prover.model.graph.outputs[0].form.bounds;
    if bounds.contains(trace.outputs[0][element]) {
        reject(case, &trace, &mut Honest);
    } else {
        // A value that no input gives is refused before the proof is looked at.
        let claim = case.claim(&trace);
        let proof = prove_trace(&case.sides.prover, &trace, &claim, &mut Honest).expect("a proof, if a wrong one");
        assert_eq!(rejected_at(&case.sides, &claim, &proof), Step::Statement);
    }
}

/// Claims another value of one element of a tensor, and what follows from it by evaluation.
#[track_caller]
fn rejects_tensor(case: &Case, tensor: usize, element: usize, by: i64) {
    let model = &case.sides.prover.model;
    let mut trace = case.trace.clone();
    trace.tensors[tensor][element] += by;
    // Everything behind the lie is recomputed honestly.
    let first = tensor + 1 - model.graph.inputs.len();
    let mut tensors = trace.tensors[..=tensor].to_vec();
    let rest = zkonnx_quantize::model::QuantizedModel {
        graph: zkonnx_quantize::graph::Graph { nodes: model.graph.nodes[first..].to_vec(), ..model.graph.clone() },
        ..model.clone()
    };
    for node in &rest.graph.nodes {
        let a = zkonnx_quantize::eval::evaluate_form(&node.form, &tensors, &model.weights);
        let clamp = |q: i64| match &node.op {
            zkonnx_quantize::graph::Op::Clamp { lo, hi, .. } => {
                let q = lo.map_or(q, |lo| q.max(lo));
                hi.map_or(q, |hi| q.min(hi))
            }
            other => panic!("only clamps follow, not {other:?}"),
        };
        let y = a.iter().map(|a| clamp(zkonnx_quantize::graph::round_shift(*a, node.shift))).collect();
        trace.forms[tensors.len() - model.graph.inputs.len()] = a;
        tensors.push(y);
    }
    trace.tensors = tensors;
    let outputs = model.graph.outputs.iter();
    trace.outputs =
        outputs.map(|o| zkonnx_quantize::eval::evaluate_form(&o.form, &trace.tensors, &model.weights)).collect();
    reject(case, &trace, &mut Honest);
}

#[test]
fn comparisons_are_exact_at_equality_and_at_both_zeros() {
    let a = vec![-1.0, -0.0, 0.0, 0.25, 1.0, -0.25, 0.5, 0.5];
    let b = vec![1.0, 0.0, -0.0, 0.25, -1.0, -0.25, 0.25, 0.75];
    for (op, expected) in [
        (Binary::Greater, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]),
        (Binary::GreaterOrEqual, [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]),
        (Binary::Equal, [0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]),
    ] {
        let case = case(&[(&[8], a.clone()), (&[8], b.clone())], false, FloatOp::Binary(op));
        assert_eq!(output(&case), expected, "{op:?}");
        for (element, value) in expected.iter().enumerate() {
            rejects_output(&case, element, if *value == 0.0 { 1 } else { -1 });
        }
        // The truth value itself, in its cell.
        rejects_tensor(&case, case.trace.tensors.len() - 1, 1, if case.trace.tensors[2][1] == 0 { 1 } else { -1 });
    }
}

#[test]
fn comparisons_with_constants_are_exact_between_grid_points() {
    use zkonnx_quantize::onnx::tensor::Tensor;
    let x = vec![-2.0, -1.0, 0.0, 1.0, 2.0, 3.0];
    for (op, constant, swap, expected) in [
        (Binary::Greater, 0.5, false, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
        (Binary::Greater, 1.0, false, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]),
        (Binary::Greater, 1.0, true, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
        (Binary::Greater, 0.5, true, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
        (Binary::GreaterOrEqual, 1.0, false, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
        (Binary::GreaterOrEqual, 0.5, true, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
        (Binary::GreaterOrEqual, 1.0, true, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]),
        (Binary::Equal, 1.0, false, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        (Binary::Equal, 0.5, true, [0.0; 6]),
    ] {
        let mut builder = ModelBuilder::default();
        let input = builder.input("x", &[6], false);
        let constant_value = builder.constant(Tensor::new(vec![], vec![constant]));
        let operands = if swap { [constant_value, input] } else { [input, constant_value] };
        let y = builder.add("y", FloatOp::Binary(op), &operands).expect("shapes that fit");
        let case = proven(&builder.finish(&[("y", y)]), &[(&[6], x.clone())]);
        assert_eq!(output(&case), expected, "{op:?} {constant} {swap}");
    }
}

#[test]
fn the_argument_of_a_maximum_takes_the_right_one_of_equals() {
    let x = vec![3.0, 7.0, 7.0, 7.0, -1.0, /* */ 0.0, 0.0, 0.0, 0.0, 0.0, /* */ -5.0, -6.0, -5.0, -7.0, -5.0];
    for (last, expected) in [(false, [1.0, 0.0, 0.0]), (true, [3.0, 4.0, 4.0])] {
        let case = case(&[(&[3, 5], x.clone())], true, FloatOp::ArgMax { axis: 1, last });
        assert_eq!(output(&case), expected);
        for element in 0..3 {
            // Another of the equal ones, and one that is not largest.
            for by in [-1, 1, 2] {
                rejects_output(&case, element, by);
            }
        }
        // The key of the maximum: that of another largest element, then what follows from it.
        for by in [1, -1, 8, -8] {
            rejects_tensor(&case, 1, 0, by);
        }
    }
}

#[test]
fn the_largest_elements_come_in_order_with_duplicates() {
    let x = vec![2.0, 9.0, 9.0, -3.0, 2.0, 2.0];
    for (indices, expected) in [(false, [9.0, 9.0, 2.0, 2.0]), (true, [1.0, 2.0, 0.0, 4.0])] {
        let case = case(&[(&[6], x.clone())], true, FloatOp::TopK { axis: 0, k: 4, indices });
        assert_eq!(output(&case), expected);
        for element in 0..4 {
            for by in [-1, 1] {
                rejects_output(&case, element, by);
            }
        }
    }
}

#[test]
fn floors_are_exact_on_the_grid() {
    let x = vec![-1.5, -1.0, -0.5, -0.0, 0.5, 1.0, 1.75, 2.0];
    let case = case(&[(&[8], x)], false, FloatOp::Unary(Unary::Floor));
    assert_eq!(output(&case), [-2.0, -1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 2.0]);
    for element in 0..8 {
        rejects_output(&case, element, 1);
        rejects_output(&case, element, -1);
        rejects_tensor(&case, 1, element, 1);
    }
}

#[test]
fn one_hot_vectors_have_their_one_in_place_or_nowhere() {
    let case = case(&[(&[5], vec![0.0, 2.0, 4.0, 1.0, 7.0])], true, FloatOp::OneHot { depth: 5, wrap: false });
    let mut expected = vec![0.0; 25];
    for (row, at) in [(0, 0), (1, 2), (2, 4), (3, 1)] {
        expected[row * 5 + at] = 1.0;
    }
    assert_eq!(output(&case), expected);
    for (element, value) in expected.iter().enumerate() {
        rejects_output(&case, element, if *value == 0.0 { 1 } else { -1 });
    }
    // One step more or less: the one moves, or there are two.
    for element in 0..5 {
        rejects_tensor(&case, 1, element, if case.trace.tensors[1][element] == 0 { 1 } else { -1 });
    }
}
