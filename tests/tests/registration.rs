//! Registration of private weights: every weight is an integer of its declared width.

use group::{Curve, GroupEncoding};
use std::sync::Arc;
use zkonnx_circuits::params::ParamPlace;
use zkonnx_prover::{
    deviation::Honest,
    keys::{verifier_model, ProverModel},
    prove::{prove, prove_weights},
};
use zkonnx_quantize::model::{QuantizedModel, WeightPrivacy};
use zkonnx_tests::{
    graphs::{self, with_private_weights, GraphBuilder},
    setup::params,
};
use zkonnx_verifier::{
    error::RegisterError,
    registry::{ModelHandle, Registry, WeightStatus},
    statement::Context,
    verify::verify,
    zkv::VerifierModel,
};

fn registering(model: QuantizedModel) -> ProverModel {
    let params = params(model.layout.k);
    ProverModel::for_registration(model, params).expect("a circuit")
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
    for model in models() {
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
        let modes = zkonnx_circuits::lower::Modes::public(&prover.model.graph);
        let own = ProverModel::new(prover.model.clone(), modes, Arc::clone(&prover.params)).expect("a model");
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
    for (number, model) in models().into_iter().enumerate() {
        let model = with_private_weights(model);
        for param in 0..model.graph.params.len() {
            let bounds = model.graph.params[param].bounds;
            let last = model.weights[param].len() - 1;
            for (index, value) in [(0, bounds.hi + 1), (last, bounds.lo - 1), (last / 2, 1 << 20), (0, -(1 << 40))] {
                // The columns, and so the commitments, hold the weight; the file declares the narrow width.
                let by = value - model.weights[param][index];
                let file = file(&registering(graphs::with_weight(&model, param, index, by)));
                let reason = refused(&file);
                assert!(reason.contains("equation"), "model {number}, parameter {param}: {reason}");
            }
        }
    }
}

#[test]
fn refuses_padding_that_a_contraction_would_read() {
    let model = with_private_weights(graphs::mlp((10, 5, 3), 5, 4, 2));
    let mut prover = registering(model);
    let place = prover.keys.compiled.params.places.iter().find_map(|place| match place {
        ParamPlace::Packed { first, rows_per_column, count } => {
            Some(first + count - 1).filter(|_| *rows_per_column == 2)
        }
        _ => None,
    });
    let column = place.expect("a packed parameter of two rows a column");
    // Five rows in three columns: one row of the last column is missing.
    assert_eq!(prover.columns.columns[column].len(), 10);
    let mut cells = prover.columns.columns[column].clone();
    for (row, hidden) in [(10, 1), (19, -7)] {
        cells.resize(20, 0);
        cells[row] = hidden;
        prover.columns.columns[column].clone_from(&cells);
        let extra = prover.generators.row[row] * pasta_curves::Fp::from(hidden.unsigned_abs());
        let extra = if hidden < 0 { -extra } else { extra };
        prover.columns.points[column] = (extra + prover.columns.points[column]).to_affine();
        prover.id = verifier_model(&prover.model, &prover.columns).id();
        assert!(refused(&file(&prover)).contains("equation"));
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
    let modes = zkonnx_circuits::lower::Modes::public(&model.graph);
    let own = ProverModel::new(model.clone(), modes, params(5)).expect("a model");
    let inputs = GraphBuilder::random_inputs(&model, 4);
    let (_, proof) = prove(&own, &inputs, Context::default()).expect("a proof");
    let mut file = verifier_model(&own.model, &own.columns);
    assert!(file.commitments.iter().all(|c| *c != [0; 32]), "{:?}", own.columns.points[0].to_bytes());
    file.registration = proof;
    refused(&file);
}
