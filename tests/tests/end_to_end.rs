//! Honest proofs are accepted, for every kind of graph, layout and mode, with gates proven in either way.

use zkonnx_circuits::lower::{Mode, Modes};
use zkonnx_prover::prove::prove;
use zkonnx_quantize::model::QuantizedModel;
use zkonnx_tests::{
    graphs,
    graphs::GraphBuilder,
    setup::{both_ways, Sides},
};
use zkonnx_verifier::{error::VerifyError, statement::Context, verify::verify};

fn accepts(model: &QuantizedModel, seed: u64) {
    let [relations, halo2] = Sides::both(model);
    assert_ne!(relations.handle.id(), halo2.handle.id(), "the way is part of the identity");
    assert!(relations.prover.keys.halo2.is_none() && halo2.prover.keys.halo2.is_some());
    accepted(&relations, seed);
    accepted(&halo2, seed);
}

fn accepted(sides: &Sides, seed: u64) {
    let inputs = GraphBuilder::random_inputs(&sides.prover.model, seed);
    let (statement, proof) = prove(&sides.prover, &inputs, Context::default()).expect("a proof");
    assert_eq!(proof.len(), sides.prover.keys.proof_length, "the proof's length is the model's");
    let verified = verify(&sides.handle, &statement, &proof, None).expect("an accepted proof");
    assert_eq!(verified.model_id(), sides.handle.id());
    assert_eq!(verified.statement_digest(), statement.digest());
}

#[test]
fn accepts_an_mlp() {
    accepts(&graphs::mlp((10, 6, 3), 6, 4, 1), 2);
}

#[test]
fn accepts_an_mlp_whose_weights_are_longer_than_a_column() {
    // 40 > 32 rows: chunked; 20·6 > 32: packed.
    accepts(&graphs::mlp((40, 20, 6), 5, 4, 3), 4);
}

#[test]
fn accepts_convolutions_with_pooling() {
    for (k, limb_bits) in [(6, 4), (7, 6)] {
        accepts(&graphs::lenet_like(k, limb_bits, 5), 6);
    }
}

#[test]
fn accepts_maxima_tables_divisions_and_squares() {
    accepts(&graphs::softmax_like(7, 5, 7), 8);
}

#[test]
fn accepts_products_of_activations() {
    accepts(&graphs::attention_like(6, 4, 9), 10);
}

fn modes(model: &QuantizedModel, input: Mode, output: Mode) -> Modes {
    Modes { inputs: vec![input; model.graph.inputs.len()], outputs: vec![output; model.graph.outputs.len()] }
}

#[test]
fn accepts_hidden_inputs_and_outputs() {
    for (input, output) in [(Mode::Hidden, Mode::Public), (Mode::Public, Mode::Hidden)] {
        for model in [
            graphs::mlp((10, 6, 3), 6, 4, 1),
            graphs::lenet_like(6, 4, 5),
            graphs::softmax_like(7, 5, 7),
            graphs::attention_like(6, 4, 9),
        ] {
            for model in both_ways(&model) {
                let modes = modes(&model, input, output);
                accepted(&Sides::with_modes(model, modes), 11);
            }
        }
    }
}

/// One model proven in one way is not the other: a proof of the one has not even the length of the other's.
#[test]
fn a_proof_in_the_other_way_is_refused() {
    let [relations, halo2] = Sides::both(&graphs::mlp((10, 6, 3), 6, 4, 1));
    for (own, other) in [(&relations, &halo2), (&halo2, &relations)] {
        let inputs = GraphBuilder::random_inputs(&own.prover.model, 3);
        let (mut statement, proof) = prove(&own.prover, &inputs, Context::default()).expect("a proof");
        assert!(matches!(verify(&other.handle, &statement, &proof, None), Err(VerifyError::UnknownModel { .. })));
        statement.model_id = other.handle.id();
        assert!(matches!(verify(&other.handle, &statement, &proof, None), Err(VerifyError::Length { .. })));
    }
}

/// Without gates there is nothing that halo2 could prove: the two ways differ in their active rows alone.
#[test]
fn accepts_models_without_gates() {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[40], 0, 15);
    let mut out = graphs::form(&[40]);
    out.terms.push(graphs::read(1, x, &[40]));
    b.output(out);
    for model in both_ways(&b.finish(5, 4)) {
        let modes = modes(&model, Mode::Hidden, Mode::Public);
        let sides = Sides::with_modes(model, modes);
        assert!(sides.prover.keys.halo2.is_none());
        accepted(&sides, 2);
    }
}
