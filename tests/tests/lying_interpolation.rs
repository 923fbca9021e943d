//! An interpolated function: a prover who takes another segment, another entry or another offset is rejected, even when
//! everything that follows is computed from it.
#![cfg(feature = "onnx")]

use zkonnx_prover::deviation::Honest;
use zkonnx_quantize::{
    curve::Curve,
    eval::{evaluate_form, Trace},
    graph::{round_shift, Op},
    model::QuantizedModel,
    onnx::{build::ModelBuilder, graph::FloatOp, ops::elementwise::Unary},
    quantize, Recipe,
};
use zkonnx_tests::{
    lies::{reject, Case},
    setup::{both_ways, lay_out},
};

/// The function with its gates proven in either way.
fn interpolated(curve: Curve) -> [Case; 2] {
    let mut builder = ModelBuilder::default();
    let x = builder.input("x", &[6], false);
    let y = builder.add("y", FloatOp::Unary(Unary::Curve(curve)), &[x]).expect("shapes that fit");
    let recipe = Recipe { input_range: Some((-3.0, 3.0)), table_bits: 6, ..Recipe::of_bits(12) };
    let (mut model, notes) = quantize(&builder.finish(&[("y", y)]), None, &recipe).expect("a quantised model");
    assert!(notes.tables.iter().any(|t| t.interpolated && t.max_error < 2e-3), "{:?}", notes.tables);
    lay_out(&mut model, Some(8));
    both_ways(&model).map(|model| {
        let case = Case::public(model, 5);
        case.is_sound();
        case
    })
}

/// The trace with one element of one tensor changed, and all nodes behind it evaluated again.
fn altered(model: &QuantizedModel, trace: &Trace, tensor: usize, by: i64) -> Trace {
    let mut lie = trace.clone();
    let inputs = model.graph.inputs.len();
    lie.tensors.truncate(tensor + 1);
    lie.tensors[tensor][2] += by;
    for (n, node) in model.graph.nodes.iter().enumerate().skip(tensor + 1 - inputs) {
        let a = evaluate_form(&node.form, &lie.tensors, &model.weights);
        let y = a.iter().map(|a| {
            let q = round_shift(*a, node.shift);
            match &node.op {
                Op::Clamp { lo, hi, .. } => {
                    let q = lo.map_or(q, |lo| q.max(lo));
                    hi.map_or(q, |hi| q.min(hi))
                }
                Op::Table { table } => model.graph.tables[*table as usize].value(q),
                other => panic!("clamps and tables only, not {other:?}"),
            }
        });
        let y = y.collect();
        lie.forms[n] = a;
        lie.tensors.push(y);
    }
    lie.outputs = model.graph.outputs.iter().map(|o| evaluate_form(&o.form, &lie.tensors, &model.weights)).collect();
    lie
}

#[test]
fn no_part_of_an_interpolation_can_be_another() {
    for case in [Curve::Gelu, Curve::Erf].into_iter().flat_map(interpolated) {
        let model = case.sides.prover.model.clone();
        let names: Vec<&str> = model.graph.nodes.iter().map(|n| n.name.as_str()).collect();
        for part in ["segment", "middle", "rise", "offset"] {
            assert!(names.iter().any(|n| n.ends_with(part)), "{part} in {names:?}");
        }
        for tensor in model.graph.inputs.len()..case.trace.tensors.len() {
            for by in [-1, 1] {
                let lie = altered(&model, &case.trace, tensor, by);
                reject(&case, &lie, &mut Honest);
            }
        }
    }
}
