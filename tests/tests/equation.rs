//! The one linear equation of prover and verifier is the protocol's: with every column, message and challenge random, `Σ <a_j, U_j> + constant`
//! is `Σ η^i·E_i` as [`zkonnx_tests::equation`] computes it from the text.

use zkonnx_circuits::lower::{Mode, Modes};
use zkonnx_quantize::{graph::Interval, model::QuantizedModel};
use zkonnx_tests::{
    equation::Random,
    forgeries::{cells::function, with_gates, WAYS},
    graphs::{self, GraphBuilder},
    lies::Case,
};
use zkonnx_verifier::verify::public_values;

fn is_the_protocols(case: &Case, seed: u64) {
    let (inputs, outputs) = public_values(&case.statement);
    let random = Random::new(case.model(), (&inputs, &outputs), seed);
    assert_eq!(random.of_the_system(), random.expected());
    let (evaluated, plain) = random.on_random_rows(seed);
    assert_eq!(evaluated, plain);
}

/// Nothing but forms of inputs: a claim of relations, and no pairs.
fn linear() -> QuantizedModel {
    let mut b = GraphBuilder::new(4);
    let x = b.input(&[3], -5, 5);
    let w = b.param(2, 3, 4);
    let mut out = graphs::form(&[2]);
    out.products.push(graphs::dense(w, x, 2, 3));
    out.constant = 7;
    b.output(out);
    b.finish(4, 4)
}

#[test]
fn the_equation_is_that_of_the_protocol() {
    for gates in WAYS {
        let models = [
            linear(),
            graphs::mlp((10, 6, 3), 6, 4, 1),
            graphs::mlp((9, 5, 2), 4, 4, 2),
            graphs::lenet_like(6, 5, 5),
            graphs::softmax_like(5, 5, 7),
            graphs::attention_like(5, 4, 9),
            graphs::elementwise(40, Interval::new(-20, 60), 4),
        ];
        for (seed, model) in (1..).zip(models) {
            let model = with_gates(model, gates);
            let mut hidden = Modes::public(&model.graph);
            hidden.inputs.fill(Mode::Hidden);
            for modes in [Modes::public(&model.graph), hidden] {
                is_the_protocols(&Case::new(model.clone(), modes, seed), seed);
            }
        }
        is_the_protocols(&function(gates), 1);
    }
}
