//! Honest proofs are accepted, for every kind of graph, layout and mode.

use zkonnx_circuits::lower::{Mode, Modes};
use zkonnx_prover::prove::prove;
use zkonnx_quantize::model::QuantizedModel;
use zkonnx_tests::{graphs, graphs::GraphBuilder, setup::Sides};
use zkonnx_verifier::{statement::Context, verify::verify};

fn accepts(sides: &Sides, seed: u64) {
    let inputs = GraphBuilder::random_inputs(&sides.prover.model, seed);
    let (statement, proof) = prove(&sides.prover, &inputs, Context::default()).expect("a proof");
    assert_eq!(proof.len(), sides.prover.keys.proof_length, "the proof's length is the model's");
    let verified = verify(&sides.handle, &statement, &proof, None).expect("an accepted proof");
    assert_eq!(verified.model_id(), sides.handle.id());
    assert_eq!(verified.statement_digest(), statement.digest());
}

#[test]
fn accepts_an_mlp() {
    accepts(&Sides::new(graphs::mlp((10, 6, 3), 6, 4, 1)), 2);
}

#[test]
fn accepts_an_mlp_whose_weights_are_longer_than_a_column() {
    // 40 > 32 rows: chunked; 20·6 > 32: packed.
    accepts(&Sides::new(graphs::mlp((40, 20, 6), 5, 4, 3)), 4);
}

#[test]
fn accepts_convolutions_with_pooling() {
    for (k, limb_bits) in [(6, 4), (7, 6)] {
        accepts(&Sides::new(graphs::lenet_like(k, limb_bits, 5)), 6);
    }
}

#[test]
fn accepts_maxima_tables_divisions_and_squares() {
    accepts(&Sides::new(graphs::softmax_like(7, 5, 7)), 8);
}

#[test]
fn accepts_products_of_activations() {
    accepts(&Sides::new(graphs::attention_like(6, 4, 9)), 10);
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
            let modes = modes(&model, input, output);
            accepts(&Sides::with_modes(model, modes), 11);
        }
    }
}
