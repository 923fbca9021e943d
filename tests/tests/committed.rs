//! Committed tensors: completeness, chains of models, opening, and provers who commit something else.

use ff::{Field, PrimeField};
use group::{Curve, GroupEncoding};
use halo2_proofs::poly::commitment::Params;
use pasta_curves::{Eq, EqAffine, Fp};
use zkonnx_circuits::{
    committed::{CommittedRef, POINT_LEN},
    lower::{Mode, Modes},
};
use zkonnx_prover::{
    deviation::Honest,
    prove::{prove_committed, prove_opened, Proven},
};
use zkonnx_quantize::{eval::evaluate, graph::Interval, model::QuantizedModel};
use zkonnx_tests::{
    graphs::{self, elementwise, form, read, GraphBuilder},
    lies::Strays,
    setup::{both_ways, params, Sides},
};
use zkonnx_verifier::{
    commitment::{OpenError, Opening},
    error::{Step, VerifyError},
    statement::{Context, Statement, TensorEntry, TensorValue},
    verify::verify,
};

fn modes(input: Mode, output: Mode) -> Modes {
    Modes { inputs: vec![input], outputs: vec![output] }
}

fn honest(sides: &Sides, inputs: &[Vec<i64>], known: &[(CommittedRef, Opening)]) -> Proven {
    prove_committed(&sides.prover, inputs, known, Context::default()).expect("a proof")
}

fn points(entry: &TensorEntry) -> Vec<[u8; 32]> {
    let TensorValue::Committed(committed) = &entry.value else { panic!("a committed tensor") };
    committed.points.clone()
}

fn rejected_at(sides: &Sides, statement: &Statement, proof: &[u8], step: Step) {
    match verify(&sides.handle, statement, proof, None) {
        Err(VerifyError::Rejected { step: at, .. }) => assert_eq!(at, step),
        other => panic!("{other:?}"),
    }
}

#[test]
fn commits_every_choice_of_tensors_of_one_point_and_of_several() {
    for (len, k, way) in [(5, 4, 0), (16, 4, 0), (16, 4, 1), (256, 8, 0), (300, 8, 0), (300, 8, 1), (600, 9, 0)] {
        let model = both_ways(&elementwise(len, Interval::new(-30, 33), k))[way].clone();
        let inputs = GraphBuilder::random_inputs(&model, 5);
        for (input, output) in [
            (Mode::Committed, Mode::Public),
            (Mode::Public, Mode::Committed),
            (Mode::Committed, Mode::Committed),
            (Mode::Hidden, Mode::Committed),
        ] {
            let sides = Sides::with_modes(model.clone(), modes(input, output));
            let Proven { statement, proof, openings } = honest(&sides, &inputs, &[]);
            verify(&sides.handle, &statement, &proof, None).expect("an honest proof");
            let committed: Vec<&TensorEntry> = [(&statement.inputs[0], input), (&statement.outputs[0], output)]
                .into_iter()
                .filter_map(|(entry, mode)| (mode == Mode::Committed).then_some(entry))
                .collect();
            assert_eq!(committed.len(), openings.len());
            for (entry, opening) in committed.iter().zip(&openings) {
                assert_eq!(points(entry).len(), (len as usize).div_ceil(POINT_LEN));
                opening.open(entry, &params(8)).expect("its own opening");
            }
        }
    }
}

#[test]
fn a_committed_output_is_the_committed_input_of_a_model_of_another_k() {
    let first = graphs::mlp((5, 6, 4), 6, 4, 1);
    let second = elementwise(4, first.graph.outputs[0].form.bounds, 5);
    let first = Sides::with_modes(first, modes(Mode::Committed, Mode::Committed));
    let second = Sides::with_modes(second, modes(Mode::Committed, Mode::Public));
    let inputs = GraphBuilder::random_inputs(&first.prover.model, 3);
    let start = honest(&first, &inputs, &[]);
    let between = start.openings[1].clone();
    let end = honest(&second, std::slice::from_ref(&between.values), &[(CommittedRef::Input(0), between.clone())]);
    verify(&first.handle, &start.statement, &start.proof, None).expect("the first proof");
    verify(&second.handle, &end.statement, &end.proof, None).expect("the second proof");
    // What settlement compares: the points, and that unit and interval are those of the first model.
    let (given, taken) = (&start.statement.outputs[0], &end.statement.inputs[0]);
    assert!(given.commits_same_as(taken) && taken.commits_same_as(given));
    // The chain computes what the two models compute.
    let middle = evaluate(&first.prover.model, &inputs).expect("inputs as declared").outputs;
    let last = evaluate(&second.prover.model, &middle).expect("outputs of the first model").outputs;
    let TensorValue::Public(shown) = &end.statement.outputs[0].value else { panic!("a public output") };
    assert_eq!(shown.to_vec(), last[0]);
    // Without the opening the same integers get other points: nobody can compare commitments.
    let fresh = honest(&second, std::slice::from_ref(&between.values), &[]);
    assert_ne!(points(&fresh.statement.inputs[0]), points(&end.statement.inputs[0]));
    assert!(!given.commits_same_as(&fresh.statement.inputs[0]));
    assert!(!end.statement.outputs[0].commits_same_as(&end.statement.outputs[0]), "public");
    // The opening of other integers is refused before anything is proven.
    let mut other = between.values.clone();
    other[0] = other[0].saturating_sub(1).max(second.prover.model.graph.inputs[0].bounds.lo);
    if other != between.values {
        let refused =
            prove_committed(&second.prover, &[other], &[(CommittedRef::Input(0), between)], Context::default());
        assert!(refused.is_err());
    }
}

#[test]
fn nothing_but_its_own_opening_opens_a_tensor() {
    let sides = Sides::with_modes(elementwise(9, Interval::new(0, 63), 5), modes(Mode::Committed, Mode::Public));
    let inputs = GraphBuilder::random_inputs(&sides.prover.model, 2);
    let Proven { statement, openings, .. } = honest(&sides, &inputs, &[]);
    let (entry, opening) = (&statement.inputs[0], &openings[0]);
    assert_eq!(opening.values, inputs[0]);
    for k in [4, 5, 8] {
        opening.open(entry, &params(k)).expect("the generators do not depend on k");
    }
    for at in 0..9 {
        let mut wrong = opening.clone();
        wrong.values[at] += 1;
        assert_eq!(wrong.open(entry, &params(5)), Err(OpenError::Other(0)));
    }
    let mut wrong = opening.clone();
    wrong.blinds[0][0] ^= 1;
    assert_eq!(wrong.open(entry, &params(5)), Err(OpenError::Other(0)));
    wrong.blinds[0] = [255; 32];
    assert_eq!(wrong.open(entry, &params(5)), Err(OpenError::Blinds));
    wrong.blinds.clear();
    assert_eq!(wrong.open(entry, &params(5)), Err(OpenError::Blinds));
    let mut wrong = opening.clone();
    wrong.values.push(0);
    assert_eq!(wrong.open(entry, &params(5)), Err(OpenError::Length { expected: 9, actual: 10 }));
    assert_eq!(opening.open(&statement.outputs[0], &params(5)), Err(OpenError::NotCommitted));
    let few: Params<_> = Params::new(3);
    assert_eq!(opening.open(entry, &few), Err(OpenError::Generators { needed: 9, actual: 8 }));
}

#[test]
fn commitments_hide() {
    // Equal integers, other points and other bytes.
    let sides = Sides::with_modes(elementwise(4, Interval::new(0, 3), 4), modes(Mode::Committed, Mode::Hidden));
    let inputs = vec![vec![1, 2, 3, 0]];
    let (a, b) = (honest(&sides, &inputs, &[]), honest(&sides, &inputs, &[]));
    assert_ne!(points(&a.statement.inputs[0]), points(&b.statement.inputs[0]));
    assert_ne!(a.openings[0].blinds, b.openings[0].blinds);
}

/// Statements and proofs of a prover whose points commit other integers than the ones it computed with.
fn lying(sides: &Sides, inputs: &[Vec<i64>], tensor: usize, element: usize, by: i64) -> (Statement, Vec<u8>, Vec<u8>) {
    let honest = honest(sides, inputs, &[]);
    let trace = evaluate(&sides.prover.model, inputs).expect("inputs as declared");
    let mut openings = honest.openings;
    openings[tensor].values[element] += by;
    let points: Vec<_> = openings.iter().map(|o| o.points(&sides.prover.params).expect("points")).collect();
    let (graph, modes) = (&sides.prover.model.graph, &sides.prover.keys.compiled.modes);
    let values = (&trace.tensors[..inputs.len()], trace.outputs.as_slice());
    let statement = Statement::with_commitments(graph, modes, sides.prover.id, values, &points, Context::default());
    // The prover opens what it has committed, and what it should have.
    let own = prove_opened(&sides.prover, &trace, &statement, &openings, &mut Honest).expect("a proof");
    openings[tensor].values[element] -= by;
    let other = prove_opened(&sides.prover, &trace, &statement, &openings, &mut Honest).expect("a proof");
    (statement, own, other)
}

#[test]
fn rejects_other_integers_behind_the_points() {
    let model = elementwise(20, Interval::new(-8, 7), 5);
    let inputs = GraphBuilder::random_inputs(&model, 9);
    let sides = Sides::with_modes(model, modes(Mode::Committed, Mode::Committed));
    // Within the interval and beyond it, the first element and the last one; an input, an output.
    for (tensor, element, by) in [(0, 0, 1), (0, 19, -1), (0, 3, 1000), (1, 0, 1), (1, 19, -3), (1, 7, 1 << 40)] {
        let (statement, own, other) = lying(&sides, &inputs, tensor, element, by);
        rejected_at(&sides, &statement, &own, Step::Linear);
        rejected_at(&sides, &statement, &other, Step::Linear);
    }
}

/// The statement and proof of a prover whose first committed tensor holds `extra` at a generator beside its integers.
fn straying(sides: &Sides, inputs: &[Vec<i64>], tensor: usize, generator: usize, extra: Fp) -> (Proven, Vec<u8>) {
    let Proven { statement, openings, .. } = honest(sides, inputs, &[]);
    let trace = evaluate(&sides.prover.model, inputs).expect("inputs as declared");
    let mut all: Vec<_> = openings.iter().map(|o| o.points(&sides.prover.params).expect("points")).collect();
    let before: usize = all[..tensor].iter().map(Vec::len).sum();
    let (at, place) = (generator / POINT_LEN, generator % POINT_LEN);
    let point: EqAffine = Option::from(EqAffine::from_bytes(&all[tensor][at])).expect("a point");
    all[tensor][at] =
        (EqAffine::from(sides.prover.generators.coefficient[place]) * extra + point).to_affine().to_bytes();
    let (graph, modes) = (&sides.prover.model.graph, &sides.prover.keys.compiled.modes);
    let values = (&trace.tensors[..inputs.len()], trace.outputs.as_slice());
    let lying = Statement::with_commitments(graph, modes, sides.prover.id, values, &all, statement.context);
    let mut strays = Strays { parameters: Vec::new(), committed: vec![(before + at, place, extra)] };
    let proof = prove_opened(&sides.prover, &trace, &lying, &openings, &mut strays).expect("a proof");
    let plain = prove_opened(&sides.prover, &trace, &lying, &openings, &mut Honest).expect("a proof");
    (Proven { statement: lying, proof, openings }, plain)
}

#[test]
fn rejects_a_committed_tensor_of_no_integers() {
    let half = Fp::from(2).invert().expect("not zero");
    for (len, k, elements) in [(20, 5, [0, 19]), (300, 8, [255, 256])] {
        let model = elementwise(len, Interval::new(-8, 7), k);
        let inputs = GraphBuilder::random_inputs(&model, 9);
        let sides = Sides::with_modes(model, modes(Mode::Committed, Mode::Committed));
        for (tensor, element) in [(0, elements[0]), (0, elements[1]), (1, elements[0]), (1, elements[1])] {
            for extra in [half, -Fp::from_u128(1 << 64)] {
                let (Proven { statement, proof, .. }, plain) = straying(&sides, &inputs, tensor, element, extra);
                rejected_at(&sides, &statement, &proof, Step::Linear);
                rejected_at(&sides, &statement, &plain, Step::Linear);
            }
        }
    }
}

/// What a point holds beyond the tensor's last element is read by no relation: the proof holds, and nothing opens the point.
/// So who compares the points of two tensors compares their numbers of elements too.
#[test]
fn what_stands_beyond_a_tensor_is_not_part_of_it_and_never_opened() {
    let model = elementwise(9, Interval::new(-8, 7), 5);
    let inputs = GraphBuilder::random_inputs(&model, 9);
    let sides = Sides::with_modes(model, modes(Mode::Committed, Mode::Public));
    let (Proven { statement, proof, openings }, plain) = straying(&sides, &inputs, 0, 9, Fp::from(5));
    verify(&sides.handle, &statement, &proof, None).expect("the tensor's own elements are as they should be");
    rejected_at(&sides, &statement, &plain, Step::Linear);
    let entry = &statement.inputs[0];
    assert_eq!(openings[0].open(entry, &params(5)), Err(OpenError::Other(0)));
    let mut longer = openings[0].clone();
    longer.values.push(5);
    assert_eq!(longer.open(entry, &params(5)), Err(OpenError::Length { expected: 9, actual: 10 }));
    let other = TensorEntry::new(&entry.name, &[10], entry.value.clone());
    assert!(!entry.commits_same_as(&other) && entry.commits_same_as(entry));
}

#[test]
fn rejects_a_committed_point_with_a_component_on_u() {
    let model = elementwise(9, Interval::new(-8, 7), 5);
    let inputs = GraphBuilder::random_inputs(&model, 9);
    let sides = Sides::with_modes(model, modes(Mode::Committed, Mode::Public));
    let Proven { mut statement, openings, .. } = honest(&sides, &inputs, &[]);
    let entry = &mut statement.inputs[0];
    let TensorValue::Committed(committed) = &mut entry.value else { panic!("committed") };
    let point: EqAffine = Option::from(EqAffine::from_bytes(&committed.points[0])).expect("a point");
    committed.points[0] = (Eq::from(EqAffine::from(sides.prover.generators.value)) + point).to_affine().to_bytes();
    *entry = TensorEntry::new(&entry.name, &entry.shape, entry.value.clone());
    let trace = evaluate(&sides.prover.model, &inputs).expect("inputs as declared");
    let proof = prove_opened(&sides.prover, &trace, &statement, &openings, &mut Honest).expect("a proof");
    rejected_at(&sides, &statement, &proof, Step::Linear);
}

/// One tensor as two committed inputs, under the same points and under others: each is bound by itself.
#[test]
fn a_tensor_committed_twice_is_bound_twice() {
    let mut b = GraphBuilder::new(1);
    let (x, y) = (b.input(&[6], -8, 7), b.input(&[6], -8, 7));
    let mut difference = form(&[6]);
    difference.terms.extend([read(1, x, &[6]), read(-1, y, &[6])]);
    b.output(difference);
    let both = Modes { inputs: vec![Mode::Committed; 2], outputs: vec![Mode::Public] };
    let sides = Sides::with_modes(b.finish(5, 4), both);
    let values = vec![1, -2, 3, 4, -5, 6];
    let inputs = [values.clone(), values];
    let first = honest(&sides, &inputs, &[]);
    let same = honest(&sides, &inputs, &[(CommittedRef::Input(1), first.openings[0].clone())]);
    let again = honest(
        &sides,
        &inputs,
        &[CommittedRef::Input(0), CommittedRef::Input(1)].map(|t| (t, first.openings[0].clone())),
    );
    for proven in [&first, &same, &again] {
        verify(&sides.handle, &proven.statement, &proven.proof, None).expect("an honest proof");
    }
    assert_eq!(points(&again.statement.inputs[0]), points(&again.statement.inputs[1]));
    // Opposite lies in both, which cancel in the output, and in the sum of the points.
    for second in [1, -1] {
        let mut openings = again.openings.clone();
        openings[0].values[2] += 1;
        openings[1].values[2] += second;
        let all: Vec<_> = openings.iter().map(|o| o.points(&sides.prover.params).expect("points")).collect();
        let trace = evaluate(&sides.prover.model, &inputs).expect("inputs as declared");
        let (graph, modes) = (&sides.prover.model.graph, &sides.prover.keys.compiled.modes);
        let values = (&trace.tensors[..2], trace.outputs.as_slice());
        let statement = Statement::with_commitments(graph, modes, sides.prover.id, values, &all, Context::default());
        let proof = prove_opened(&sides.prover, &trace, &statement, &openings, &mut Honest).expect("a proof");
        rejected_at(&sides, &statement, &proof, Step::Linear);
    }
}

#[test]
fn rejects_points_of_another_statement_or_form() {
    for (model, step) in
        both_ways(&elementwise(300, Interval::new(-2000, 2000), 8)).into_iter().zip([Step::Linear, Step::Halo2])
    {
        rejects_other_points(model, step);
    }
}

/// Other points in the statement are other challenges: `step` is the first that meets them.
fn rejects_other_points(model: QuantizedModel, step: Step) {
    let inputs = GraphBuilder::random_inputs(&model, 9);
    let sides = Sides::with_modes(model, modes(Mode::Committed, Mode::Public));
    let (a, b) = (honest(&sides, &inputs, &[]), honest(&sides, &inputs, &[]));
    let with = |change: &dyn Fn(&mut Vec<[u8; 32]>)| {
        let mut statement = a.statement.clone();
        let TensorValue::Committed(committed) = &mut statement.inputs[0].value else { panic!("committed") };
        change(&mut committed.points);
        let entry = &statement.inputs[0];
        statement.inputs[0] = TensorEntry::new(&entry.name, &entry.shape, entry.value.clone());
        statement
    };
    // The same integers under other blinds, points exchanged.
    rejected_at(&sides, &with(&|p| *p = points(&b.statement.inputs[0])), &a.proof, step);
    rejected_at(&sides, &with(&|p| p.swap(0, 1)), &a.proof, step);
    // Too few, too many, no point, the identity.
    for change in [
        &(|p: &mut Vec<[u8; 32]>| p.truncate(1)) as &dyn Fn(&mut Vec<[u8; 32]>),
        &|p| p.push(p[0]),
        &Vec::clear,
        &|p| p[1] = [255; 32],
        &|p| p[0] = [0; 32],
    ] {
        rejected_at(&sides, &with(change), &a.proof, Step::Statement);
    }
    // Another scale or interval, which a chain would rely on.
    let mut statement = a.statement.clone();
    if let TensorValue::Committed(committed) = &mut statement.inputs[0].value {
        committed.bounds.hi += 1;
    }
    let entry = &statement.inputs[0];
    statement.inputs[0] = TensorEntry::new(&entry.name, &entry.shape, entry.value.clone());
    rejected_at(&sides, &statement, &a.proof, Step::Statement);
}

#[test]
fn a_model_with_fewer_rows_than_a_point_has_elements_is_refused() {
    let model = elementwise(40, Interval::new(0, 7), 5);
    let sides = Sides::new(model);
    let error = sides.handle.keys(&modes(Mode::Committed, Mode::Public)).expect_err("32 rows");
    assert!(error.to_string().contains("needs 40 generators, there are 32"), "{error}");
}
