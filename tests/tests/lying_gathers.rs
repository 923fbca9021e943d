//! Provers that pick other rows than the indices say: of public indices the verifier's own vectors give them away, of hidden ones the bits' sum,
//! their range, or the definition of the index.

use zkonnx_circuits::{
    compiled::CompiledModel,
    gadgets::one_hot::OneHotNode,
    lower::{Mode, Modes, NodeWords},
    witness::Cells,
};
use zkonnx_prover::deviation::Honest;
use zkonnx_quantize::{eval::evaluate, model::QuantizedModel};
use zkonnx_tests::{
    debug_verifier::Fault,
    graphs,
    lies::{force, reject, Case, CellLie},
    setup::both_ways,
};

const IDS: [i64; 5] = [3, -1, 0, 6, -7];

fn cases(input: Mode) -> impl Iterator<Item = Case> {
    let models = [(6, 4), (7, 6)].map(|(k, bits)| graphs::gather_like(k, bits, 21));
    models.into_iter().flat_map(|model| both_ways(&model)).map(move |model: QuantizedModel| {
        let modes = Modes { inputs: vec![input, Mode::Hidden], outputs: vec![Mode::Public; 3] };
        let table = (0..14).map(|i| i * 5 % 19 - 9).collect();
        let case = Case::with_inputs(model, modes, &[IDS.to_vec(), table]);
        case.is_sound();
        case
    })
}

fn hot(case: &Case) -> Option<OneHotNode> {
    match &case.model().lowered.nodes[0] {
        NodeWords::OneHot(words) => *words,
        other => panic!("one-hot vectors, not {other:?}"),
    }
}

#[test]
fn public_indices_have_no_cells_and_hidden_ones_a_bit_for_each_place() {
    for case in cases(Mode::Public) {
        assert!(hot(&case).is_none());
        let rows: Vec<&[i64]> = case.trace.outputs[2].chunks(7).collect();
        assert_eq!(rows, [[0, 0, 0, 0, 0, 0, 3], [0, 0, 0, 0, 0, 0, 3]], "−1 is the last place");
    }
    for case in cases(Mode::Hidden) {
        let words = hot(&case).expect("words");
        let word = |id: zkonnx_circuits::words::WordId| &case.model().placement.words[id.0];
        assert_eq!((word(words.hot).len, word(words.hot).limbs.len()), (35, 1));
        assert_eq!(word(words.negative.expect("negative indices")).len, 5);
    }
}

/// What a model with these indices gives, under a statement that names the true ones.
#[test]
fn rejects_rows_of_other_indices() {
    // An index taken modulo the rows, −1 clamped to the first row, two exchanged.
    for other in [[3, 0, 0, 6, -7], [3, -1, 0, 6, 6], [-1, 3, 0, 6, -7], [4, -1, 0, 6, -7]] {
        for case in cases(Mode::Public).chain(cases(Mode::Hidden)) {
            let inputs = [other.to_vec(), case.trace.tensors[1].clone()];
            let mut trace = evaluate(&case.sides.prover.model, &inputs).expect("indices as declared");
            assert_ne!(trace.outputs, case.trace.outputs);
            // The statement keeps the true indices; vectors, rows and outputs are those of the others.
            trace.tensors[0] = IDS.to_vec();
            if hot(&case).is_none() {
                assert!(!reject(&case, &trace, &mut Honest).is_empty());
                continue;
            }
            // Only the definition of the index holds hidden vectors to it.
            let faults = reject(&case, &trace, &mut Honest);
            assert!(faults.iter().all(|f| matches!(f, Fault::Relation { .. })), "{faults:?}");
        }
    }
}

/// Rewrites the bits of the first vector, whose index is 3; everything after it stays.
fn bits(places: &'static [(usize, i64)], negative: i64) -> impl FnMut(&CompiledModel, &mut Cells) {
    move |model: &CompiledModel, cells: &mut Cells| {
        let NodeWords::OneHot(Some(words)) = model.lowered.nodes[0] else { panic!("words") };
        force(model, cells, words.hot, 3, 0);
        for (place, value) in places {
            force(model, cells, words.hot, *place, *value);
        }
        force(model, cells, words.negative.expect("a bit"), 0, negative);
    }
}

/// Places with their bits, whether a bit counts from the end, and what is violated: the sum of bits, the definition of the index, a range.
type Lie = (&'static [(usize, i64)], i64, [bool; 3]);

#[test]
fn rejects_vectors_that_are_not_one_hot() {
    let lies: [Lie; 7] = [
        (&[], 0, [true, true, false]),
        (&[(2, 1)], 0, [false, true, false]),
        (&[(1, 1), (2, 1)], 0, [true, false, false]),
        (&[(3, 1), (0, 1)], 0, [true, false, false]),
        (&[(3, 1)], 1, [false, true, false]),
        // A mixture of rows: 2 − 3 + … with sum one and the right index.
        (&[(2, 2), (1, -1)], 0, [false, false, true]),
        (&[(4, 1), (3, -1), (2, 1)], 0, [false, false, true]),
    ];
    for case in cases(Mode::Hidden) {
        for (places, negative, expected) in &lies {
            let faults = reject(&case, &case.trace, &mut CellLie(bits(places, *negative)));
            let relation = |of: &str| faults.iter().any(|f| matches!(f, Fault::Relation { name, .. } if name == of));
            let range = faults.iter().any(|f| matches!(f, Fault::Range { .. }));
            let found = [relation("node0: one place"), relation("node0"), range];
            assert_eq!(found, *expected, "{places:?} {negative}: {faults:?}");
        }
    }
}
