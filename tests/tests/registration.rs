//! Registration of private weights: every weight is an integer of its declared width.

use ff::{Field, PrimeField};
use group::GroupEncoding;
use pasta_curves::Fp;
use zkonnx_circuits::{
    field::from_i64,
    length::{halo2_elements, proof_length},
    lower::Modes,
    params::ParamPlace,
    words::Lane,
};
use zkonnx_prover::{
    deviation::Honest,
    keys::{verifier_model, ProverModel},
    prove::{prove, prove_trace, prove_weights},
};
use zkonnx_quantize::{
    eval::evaluate,
    graph::Interval,
    model::{Gates, QuantizedModel, WeightPrivacy},
};
use zkonnx_tests::{
    graphs::{self, with_private_weights, with_weight, GraphBuilder},
    lies::{param_cell, Strays},
    setup::{both_ways, params},
};
use zkonnx_verifier::{
    error::RegisterError,
    registry::{ModelHandle, Registry, WeightStatus},
    statement::{Context, Statement},
    verify::verify,
    zkv::VerifierModel,
};

fn registering(model: QuantizedModel) -> ProverModel {
    let params = params(model.layout.k);
    ProverModel::for_registration(model, params).expect("a circuit")
}

fn proving(model: QuantizedModel) -> ProverModel {
    let (modes, params) = (Modes::public(&model.graph), params(model.layout.k));
    ProverModel::new(model, modes, params).expect("a circuit")
}

/// The model's file with a registration proof, both from what the prover has.
fn file(prover: &ProverModel) -> VerifierModel {
    let mut file = verifier_model(&prover.model, &prover.columns);
    file.registration = prove_weights(prover, &mut Honest).expect("a proof");
    file
}

fn register(file: &VerifierModel) -> Result<ModelHandle, RegisterError> {
    let mut registry = Registry::new();
    registry.insert_params(params(file.layout.k));
    registry.register(&file.to_bytes())
}

fn refused(file: &VerifierModel) -> String {
    match register(file) {
        Err(error @ RegisterError::Registration(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Pooled weights; packed ones with a row that is missing in the last column; rows in chunks.
fn models() -> [QuantizedModel; 3] {
    [graphs::mlp((6, 4, 3), 5, 4, 1), graphs::mlp((10, 5, 3), 5, 4, 2), graphs::mlp((40, 5, 3), 5, 4, 3)]
}

#[test]
fn honest_weights_are_range_proven_wherever_they_stand() {
    let mut places = Vec::new();
    for model in models().iter().flat_map(both_ways) {
        let prover = registering(with_private_weights(model));
        places.extend(prover.keys.compiled.params.places.clone());
        let file = file(&prover);
        assert_eq!(file.id(), prover.id, "the proof is no part of the identity");
        let handle = register(&file).expect("an honest registration");
        assert_eq!(handle.weight_status(), WeightStatus::RangeProven);
        let without = VerifierModel { registration: Vec::new(), ..file.clone() };
        let unchecked = register(&without).expect("a valid file");
        assert_eq!(unchecked.weight_status(), WeightStatus::Unchecked);
        assert_eq!(unchecked.id(), handle.id());
        // One registry: the better of the two is kept.
        let mut registry = Registry::new();
        registry.insert_params(params(file.layout.k));
        for (bytes, status) in [
            (without.to_bytes(), WeightStatus::Unchecked),
            (file.to_bytes(), WeightStatus::RangeProven),
            (without.to_bytes(), WeightStatus::RangeProven),
        ] {
            assert_eq!(registry.register(&bytes).expect("a valid file").weight_status(), status);
        }
        // The registered model proves as any other.
        let own = proving(prover.model.clone());
        assert_eq!(own.id, handle.id());
        let inputs = GraphBuilder::random_inputs(&own.model, 4);
        let (statement, proof) = prove(&own, &inputs, Context::default()).expect("a proof");
        verify(&handle, &statement, &proof, None).expect("an honest proof");
    }
    let seen = |f: fn(&ParamPlace) -> bool| places.iter().any(f);
    assert!(seen(|p| matches!(p, ParamPlace::Pooled { .. })));
    assert!(seen(|p| matches!(p, ParamPlace::Packed { .. })));
    assert!(seen(|p| matches!(p, ParamPlace::Chunked { .. })));
}

#[test]
fn refuses_weights_beyond_their_declared_width() {
    for (number, model) in models().iter().flat_map(both_ways).enumerate() {
        let model = with_private_weights(model);
        for param in 0..model.graph.params.len() {
            let bounds = model.graph.params[param].bounds;
            let last = model.weights[param].len() - 1;
            for (index, value) in [(0, bounds.hi + 1), (last, bounds.lo - 1), (last / 2, 1 << 20), (0, -(1 << 40))] {
                // The columns, and so the commitments, hold the weight; the file declares the narrow width.
                let by = value - graphs::weight(&model, param, index);
                let file = file(&registering(graphs::with_weight(&model, param, index, by)));
                let reason = refused(&file);
                assert!(reason.contains("equation"), "model {number}, parameter {param}: {reason}");
            }
        }
    }
}

/// Elements of the field that are no integers of any width.
fn no_integers() -> [Fp; 4] {
    let half = Fp::from(2).invert().expect("not zero");
    [half, -half, Fp::from_u128((1 << 64) + 1), -Fp::from_u128(1 << 100)]
}

/// The weight of 1/2: a relation over the field then is none over the integers. With the weight's form even, everything else is as it
/// should be, and a verifier who believes the file accepts what no integer weights compute. The registration shows that there are some.
#[test]
fn a_weight_of_one_half_proves_what_no_integers_compute_and_is_never_range_proven() {
    for model in models() {
        let model = with_private_weights(model);
        let (inputs, hidden) = (model.graph.params[0].cols as usize, model.graph.params[0].rows as usize);
        // The first weight, and the last one of the last row.
        for (row, col) in [(0, 0), (hidden - 1, inputs - 1)] {
            let mut prover = proving(model.clone());
            let weight = graphs::weight(&model, 0, row * inputs + col);
            let cell = param_cell(&prover.keys.compiled, 0, row * inputs + col);
            let half = no_integers()[0];
            let mut strays = Strays::in_parameter(&mut prover, cell, half - from_i64(weight));
            // One input of 2: the weight contributes 1, what an integer bias would.
            let mut x = vec![0; inputs];
            x[col] = 2;
            let trace = evaluate(&with_weight(&model, 2, row, 1 - 2 * weight), &[x]).expect("inputs as declared");
            let honest = evaluate(&model, &trace.tensors[..1]).expect("inputs as declared");
            assert_eq!(trace.forms[0][row], honest.forms[0][row] + 1 - 2 * weight);
            let values = (&trace.tensors[..1], trace.outputs.as_slice());
            let (graph, modes) = (&prover.model.graph, &prover.keys.compiled.modes);
            let statement = Statement::new(graph, modes, prover.id, values, Context::default());
            let proof = prove_trace(&prover, &trace, &statement, &mut strays).expect("a proof");
            let believing = register(&VerifierModel::from_bytes(&prover.zkv).expect("a valid file"));
            let believing = believing.expect("a file without registration");
            assert_eq!(believing.weight_status(), WeightStatus::Unchecked);
            verify(&believing, &statement, &proof, None).expect("over the field it is true");
            // Without the weight in its columns it is not.
            let plain = prove_trace(&prover, &trace, &statement, &mut Honest).expect("a proof");
            verify(&believing, &statement, &plain, None).expect_err("other columns");
        }
    }
}

#[test]
fn refuses_weights_that_are_no_integers_wherever_they_stand() {
    for model in models() {
        let model = with_private_weights(model);
        for param in 0..model.graph.params.len() {
            let last = model.weights[param].len() - 1;
            for (element, value) in [0, last, last / 2, last].into_iter().zip(no_integers()) {
                let mut prover = registering(model.clone());
                let cell = param_cell(&prover.keys.compiled, param, element);
                let extra = value - from_i64(graphs::weight(&model, param, element));
                let mut strays = Strays::in_parameter(&mut prover, cell, extra);
                let mut file = verifier_model(&prover.model, &prover.columns);
                file.registration = prove_weights(&prover, &mut strays).expect("a proof");
                assert!(refused(&file).contains("equation"), "parameter {param}, element {element}");
                // A lying prover may as well open what the words say.
                file.registration = prove_weights(&prover, &mut Honest).expect("a proof");
                assert!(refused(&file).contains("equation"), "parameter {param}, element {element}");
            }
        }
    }
}

/// Cells that no relation reads hold what they like, and it changes nothing: a registration is about those that are read.
#[test]
fn cells_that_nothing_reads_may_hold_anything() {
    for model in models() {
        let mut prover = registering(with_private_weights(model));
        let compiled = &prover.keys.compiled;
        let (places, n) = (compiled.params.places.clone(), compiled.num_rows());
        let mut strays = Strays::default();
        for (place, param) in places.iter().zip(prover.model.graph.params.clone()) {
            // The last row of a column that is not full.
            let (column, used) = match place {
                ParamPlace::Pooled { start } => ((start + param.len()) / n, 0),
                ParamPlace::Packed { first, rows_per_column, .. } => (*first, rows_per_column * param.cols as usize),
                ParamPlace::Chunked { first, chunks } => (first + chunks - 1, param.cols as usize % n),
            };
            if used > 0 && used < n {
                let more = Strays::in_parameter(&mut prover, (column, n - 1), no_integers()[0]);
                strays.parameters.extend(more.parameters);
            }
        }
        let mut file = verifier_model(&prover.model, &prover.columns);
        file.registration = prove_weights(&prover, &mut strays).expect("a proof");
        assert_eq!(register(&file).expect("nothing that is read").weight_status(), WeightStatus::RangeProven);
    }
}

#[test]
fn refuses_padding_that_a_contraction_would_read() {
    let model = with_private_weights(graphs::mlp((10, 5, 3), 5, 4, 2));
    let prover = || registering(model.clone());
    let place = prover().keys.compiled.params.places.iter().find_map(|place| match place {
        ParamPlace::Packed { first, rows_per_column, count } => {
            Some(first + count - 1).filter(|_| *rows_per_column == 2)
        }
        _ => None,
    });
    let column = place.expect("a packed parameter of two rows a column");
    // Five rows in three columns: one row of the last column is missing.
    assert_eq!(prover().columns.columns[column].len(), 10);
    for (row, hidden) in [(10, Fp::ONE), (19, -Fp::from(7)), (11, no_integers()[0]), (18, no_integers()[2])] {
        let mut prover = prover();
        let mut strays = Strays::in_parameter(&mut prover, (column, row), hidden);
        let mut file = verifier_model(&prover.model, &prover.columns);
        file.registration = prove_weights(&prover, &mut strays).expect("a proof");
        assert!(refused(&file).contains("equation"), "row {row}");
    }
}

/// A registration looks weights up and relates them, and has no gates but `a + a' = D`, for a width that is not `2^b − 1`: only there, and only in
/// the second way, it has a part of halo2.
#[test]
fn only_intervals_that_are_no_power_of_two_have_a_gate() {
    // Weights from −7 to 7 are of width 14, from −8 to 7 of width 15.
    let odd = with_private_weights(graphs::mlp((6, 4, 3), 5, 4, 1));
    let mut even = graphs::mlp((6, 4, 3), 5, 4, 1);
    even.graph.params.iter_mut().for_each(|param| param.bounds = Interval::new(-32, 31));
    let even = with_private_weights(even);
    for (model, gated) in [(odd, true), (even, false)] {
        for model in both_ways(&model) {
            let is_halo2 = model.layout.gates == Gates::Halo2;
            let prover = registering(model);
            let compiled = &prover.keys.compiled;
            let lanes = compiled.shape.lanes.iter();
            assert!(lanes.clone().all(|placed| matches!(placed.lane, Lane::Interval { .. })));
            assert_eq!(lanes.count() > 0, gated);
            assert_eq!(compiled.shape.num_product_slots(), 0);
            assert_eq!(prover.keys.halo2.is_some(), gated && is_halo2);
            assert_eq!(halo2_elements(&compiled.shape) > 0, gated && is_halo2);
            let file = file(&prover);
            assert_eq!(file.registration.len(), proof_length(compiled));
            assert_eq!(register(&file).expect("an honest registration").weight_status(), WeightStatus::RangeProven);
        }
    }
}

/// There is nothing to register of a model without parameters.
#[test]
fn a_model_without_parameters_has_no_registration() {
    let prover = proving(with_private_weights(graphs::elementwise(4, Interval::new(-8, 7), 5)));
    let mut file = VerifierModel::from_bytes(&prover.zkv).expect("a valid file");
    assert_eq!(file.commitments, Vec::<[u8; 32]>::new());
    for elements in 1..60 {
        file.registration = vec![0; 32 * elements];
        refused(&file);
    }
}

#[test]
fn refuses_registrations_of_other_models_and_changed_bytes() {
    let first = registering(with_private_weights(graphs::mlp((6, 4, 3), 5, 4, 1)));
    let good = file(&first);
    let with = |registration: Vec<u8>| VerifierModel { registration, ..good.clone() };
    // Another model of the same shape, and the same weights under other blinds.
    let second = registering(with_private_weights(graphs::mlp((6, 4, 3), 5, 4, 8)));
    refused(&with(file(&second).registration));
    let mut third = with_private_weights(graphs::mlp((6, 4, 3), 5, 4, 1));
    third.privacy = WeightPrivacy::Private { blind_seed: [10; 32] };
    refused(&with(file(&registering(third)).registration));
    // Any byte, and other lengths.
    let proof = &good.registration;
    for at in (0..proof.len()).step_by(97).chain([proof.len() - 1]) {
        let mut wrong = proof.clone();
        wrong[at] ^= 1;
        refused(&with(wrong));
    }
    refused(&with(proof[..proof.len() - 32].to_vec()));
    refused(&with([proof.as_slice(), &[0; 32]].concat()));
    // Public weights have none.
    let public = registering(graphs::mlp((6, 4, 3), 5, 4, 1));
    let public = file(&public);
    assert!(refused(&public).contains("public"));
}

#[test]
fn an_inference_proof_is_no_registration() {
    let model = with_private_weights(graphs::mlp((6, 4, 3), 5, 4, 1));
    let own = proving(model.clone());
    let inputs = GraphBuilder::random_inputs(&model, 4);
    let (_, proof) = prove(&own, &inputs, Context::default()).expect("a proof");
    let mut file = verifier_model(&own.model, &own.columns);
    assert!(file.commitments.iter().all(|c| *c != [0; 32]), "{:?}", own.columns.points[0].to_bytes());
    file.registration = proof;
    refused(&file);
}
