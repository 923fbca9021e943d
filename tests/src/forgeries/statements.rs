//! Forgeries of statements.

use super::{edited, mlp, proof_of, values, Attempt, Forgery, Stopped};
use crate::{graphs, setup::Sides};
use ff::PrimeField;
use pasta_curves::Fp;
use std::sync::Arc;
use zkonnx_circuits::{
    compiled::CompiledModel,
    lower::{Mode, Modes},
};
use zkonnx_prover::{
    deviation::Honest,
    prove::{prove_opened, prove_trace},
};
use zkonnx_quantize::{eval::evaluate, graph::Interval};
use zkonnx_verifier::{
    checks::Check,
    commitment::{CommittedValue, Opening},
    length::num_opening_columns,
    proof_file::ProofFile,
    statement::{Context, Integers, ModelId, Statement, TensorEntry, TensorValue},
};

/// A committed input of zeros, and what the thief makes of its entry.
fn committed(edit: impl FnOnce(&mut CommittedValue)) -> Attempt {
    // All weights of the columns are used, so that one more point has none.
    let sizes = (1..=30).flat_map(|len| (2..30).map(move |bits| (len, bits)));
    let sides = sizes.into_iter().find_map(|(len, bits)| {
        let model = graphs::elementwise(len, Interval::new(-1, (1 << bits) - 2), 5);
        let modes = Modes { inputs: vec![Mode::Committed], outputs: vec![Mode::Public] };
        let compiled = CompiledModel::new(Arc::new(model.graph.clone()), modes.clone(), model.layout).ok()?;
        num_opening_columns(&compiled).is_power_of_two().then(|| Sides::with_modes(model, modes))
    });
    let sides = sides.expect("a model of a power of two of columns");
    let graph = &sides.prover.model.graph;
    let len: u32 = graph.inputs[0].shape.iter().product();
    let opening = Opening { values: vec![0; len as usize], blinds: vec![[0; 32]] };
    let trace = evaluate(&sides.prover.model, std::slice::from_ref(&opening.values)).expect("zeros");
    let (values, context) = ((&trace.tensors[..1], trace.outputs.as_slice()), Context::default());
    let modes = &sides.prover.keys.compiled.modes;
    // A blind, for points that are to be points.
    let blinded = Opening { blinds: vec![Fp::from(5).to_repr()], ..opening.clone() };
    let points = blinded.points(&sides.prover.params).expect("a point");
    let mut statement =
        Statement::with_commitments(graph, modes, sides.prover.id, values, std::slice::from_ref(&points), context);
    let entry = &mut statement.inputs[0];
    if let TensorValue::Committed(committed) = &mut entry.value {
        edit(committed);
    }
    let changed = matches!(&entry.value, TensorValue::Committed(c) if c.points[0] != points[0]);
    *entry = TensorEntry::new(&entry.name, &entry.shape, entry.value.clone());
    // What is no point counts as the identity: zeros without a blind.
    let opening = if changed { opening } else { blinded };
    let proof = prove_opened(&sides.prover, &trace, &statement, &[opening], &mut Honest).expect("a proof");
    let file = ProofFile { statement, proof };
    Attempt::Proof { zkv: sides.prover.zkv, file: file.to_bytes(), now: None }
}

pub(super) fn against_statements() -> Vec<Forgery> {
    use Stopped::Alone;
    let case = mlp();
    let expired = match edited(&case, |s| s.context.not_after = 10) {
        Attempt::Proof { zkv, file, .. } => Attempt::Proof { zkv, file, now: Some(11) },
        other => other,
    };
    let wide = {
        let mut model = case.sides.prover.model.clone();
        model.graph.inputs[0].bounds.hi = 16;
        let mut inputs = vec![vec![0; 10]];
        inputs[0][0] = 16;
        let trace = evaluate(&model, &inputs).expect("inputs of the wider model");
        let statement = case.claim(&trace);
        let proof = prove_trace(&case.sides.prover, &trace, &statement, &mut Honest).expect("a proof");
        proof_of(&case, &statement, proof)
    };
    let forgery = |check, lie, step, attempt| Forgery { check, lie, step, stopped: Alone, attempt };
    vec![
        forgery(Check::Format, "a statement of format 2", "version", edited(&case, |s| s.format = 2)),
        forgery(Check::Suite, "a statement of the first proof system", "version", edited(&case, |s| s.suite = 1)),
        forgery(Check::Semantics, "a statement of other semantics", "version", edited(&case, |s| s.semantics = 2)),
        forgery(
            Check::Model,
            "a statement about another model",
            "model",
            edited(&case, |s| s.model_id = ModelId([9; 32])),
        ),
        forgery(
            Check::Name,
            "the output is called 'approved'",
            "statement",
            edited(&case, |s| s.outputs[0].name = "approved".into()),
        ),
        forgery(
            Check::Shape,
            "the output has another shape",
            "statement",
            edited(&case, |s| s.outputs[0] = TensorEntry::new("output0", &[3, 1], s.outputs[0].value.clone())),
        ),
        forgery(
            Check::Width,
            "a second statement that says the same",
            "statement",
            edited(&case, |s| s.outputs[0].value = TensorValue::Public(Integers::I64(values(&s.outputs[0])))),
        ),
        forgery(
            Check::Elements,
            "an output element that the model does not have",
            "statement",
            edited(&case, |s| {
                let more = [values(&s.outputs[0]), vec![1]].concat();
                s.outputs[0] = TensorEntry::new("output0", &[3], TensorValue::Public(Integers::new(&more)));
            }),
        ),
        forgery(Check::Interval, "an input above its declared interval", "statement", wide),
        forgery(
            Check::CommittedCount,
            "a committed tensor with a point that commits to nothing in the model",
            "statement",
            committed(|c| c.points.push(c.points[0])),
        ),
        forgery(
            Check::CommittedKind,
            "a committed tensor in units that are not the model's",
            "statement",
            committed(|c| c.bounds.hi += 1),
        ),
        forgery(
            Check::CommittedPoints,
            "a committed tensor whose point is none",
            "statement",
            committed(|c| c.points[0] = [255; 32]),
        ),
        forgery(
            Check::Digest,
            "a tensor with another tensor's digest",
            "statement",
            edited(&case, |s| s.outputs[0].digest[0] ^= 1),
        ),
        forgery(Check::Expiry, "a statement that has expired", "expired", expired),
    ]
}
