//! What a proof must not show: randomness is never used twice, and what is sent in the clear is uniform whatever the
//! witness. Statistics cannot prove zero knowledge; they find a mask that was forgotten.

use ff::PrimeField;
use pasta_curves::Fp;
use std::collections::HashSet;
use zkonnx_circuits::{
    length::{halo2_elements, linear_elements, num_free_points, ELEMENT},
    lower::{Mode, Modes},
    messages::{Piece, Rounds},
};
use zkonnx_prover::deviation::{Deviation, Honest, PieceView};
use zkonnx_quantize::{eval::evaluate, model::Gates};
use zkonnx_tests::{
    forgeries::{with_gates, WAYS},
    graphs::{self, form, read, relu, GraphBuilder},
    lies::Case,
};
use zkonnx_verifier::error::Step;

/// A hidden input of four, multiplied by public weights and clamped so hard that many inputs give one output.
fn case(gates: Gates, inputs: &[i64]) -> Case {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[4], 0, 15);
    let w = b.param(2, 4, 3);
    let mut a = form(&[4]);
    a.terms.push(read(1, x, &[4]));
    let h = b.node(a, 1, relu(Some(7)));
    let mut a = form(&[2]);
    a.products.push(graphs::dense(w, h, 2, 4));
    let y = b.node(a, 0, graphs::relu(Some(1)));
    let mut out = form(&[2]);
    out.terms.push(read(0, y, &[2]));
    out.terms.push(read(1, y, &[2]));
    b.output(out);
    let model = with_gates(b.finish(5, 4), gates);
    let mut modes = Modes::public(&model.graph);
    modes.inputs.fill(Mode::Hidden);
    Case::with_inputs(model, modes, &[inputs.to_vec()])
}

/// Two inputs with the same output.
fn two_witnesses(gates: Gates) -> (Case, Case) {
    let one = case(gates, &[0, 15, 3, 9]);
    let model = &one.sides.prover.model;
    let other = (0..1000)
        .map(|seed| GraphBuilder::random_inputs(model, seed).remove(0))
        .filter(|inputs| inputs.iter().zip(&one.trace.tensors[0]).all(|(a, b)| a != b))
        .find(|inputs| evaluate(model, std::slice::from_ref(inputs)).expect("inputs").outputs == one.trace.outputs);
    let two = case(gates, &other.expect("an input with the same output"));
    (one, two)
}

fn elements(proof: &[u8]) -> Vec<[u8; 32]> {
    proof.chunks_exact(ELEMENT).map(|c| c.try_into().expect("32 bytes")).collect()
}

#[test]
fn no_two_proofs_share_an_element() {
    for gates in WAYS {
        let (one, two) = two_witnesses(gates);
        assert_eq!(one.statement, two.statement, "the same statement");
        let mut seen = HashSet::new();
        for case in [&one, &one, &two] {
            case.is_sound();
            for element in elements(&case.prove(&case.statement, &mut Honest)) {
                // Evaluations of fixed columns at one's own challenge differ too; nothing may come twice.
                assert!(seen.insert(element), "an element came twice: {element:02x?}");
            }
        }
    }
}

/// Positions of what the linear part sends in the clear: `l`, `r`, and `c`, `f`. All else of it are points.
fn clear_scalars(case: &Case) -> [usize; 4] {
    let model = case.model();
    let rounds = Rounds::of(model);
    assert!(rounds.pairs > 0);
    let halo2 = halo2_elements(&model.shape);
    let end = halo2 + linear_elements(model);
    let left = num_free_points(&model.shape) + halo2 + rounds.num_pieces();
    [left, left + 1, end - 2, end - 1]
}

#[test]
fn clear_scalars_are_uniform_for_both_witnesses() {
    const PROOFS: usize = 40;
    for gates in WAYS {
        let (one, two) = two_witnesses(gates);
        let positions = clear_scalars(&one);
        assert_eq!(one.sides.prover.keys.proof_length, (positions[3] + 1) * ELEMENT);
        let mut seen = HashSet::new();
        for case in [&one, &two] {
            let samples: Vec<[[u8; 32]; 4]> = (0..PROOFS)
                .map(|_| {
                    let all = elements(&case.prove(&case.statement, &mut Honest));
                    positions.map(|position| all[position])
                })
                .collect();
            for (s, position) in positions.iter().enumerate() {
                let scalars: Vec<[u8; 32]> = samples.iter().map(|sample| sample[s]).collect();
                is_uniform(&scalars, &format!("element {position}, {gates:?}"));
                for scalar in scalars {
                    assert!(seen.insert(scalar), "a clear scalar came twice");
                }
            }
        }
    }
}

fn is_uniform(scalars: &[[u8; 32]], what: &str) {
    // Eight bins by the top three bits below the modulus' own (bits 251 to 253), and eight by the lowest.
    for bin in [|b: &[u8; 32]| usize::from(b[31] >> 3), |b: &[u8; 32]| usize::from(b[0] & 7)] {
        let mut counts = [0_u32; 8];
        for scalar in scalars {
            assert!(Option::<Fp>::from(Fp::from_repr(*scalar)).is_some());
            counts[bin(scalar).min(7)] += 1;
        }
        let expected = f64::from(u32::try_from(scalars.len()).expect("few")) / 8.0;
        let chi_square: f64 = counts.iter().map(|c| (f64::from(*c) - expected).powi(2) / expected).sum();
        // Seven degrees of freedom: 40 is passed by chance once in a million.
        assert!(chi_square < 40.0, "{what}: {counts:?}");
    }
}

/// What a prover without masks would send: then `l` and `r` are what they mask, and the test above would see it.
struct Unmasked;

impl Deviation for Unmasked {
    fn piece(&mut self, piece: Piece, _: &PieceView, values: &mut [Fp]) {
        if piece == Piece::PairRound(0) {
            values[2..].fill(Fp::zero());
        }
    }
}

/// The masks are two field elements of the first round of the pairs: none is left out, and no proof has those of another.
#[test]
fn masks_are_there_and_never_the_same() {
    struct Seen(Vec<[u8; 32]>);
    impl Deviation for Seen {
        fn piece(&mut self, piece: Piece, _: &PieceView, values: &mut [Fp]) {
            if piece == Piece::PairRound(0) {
                self.0.extend(values[2..].iter().map(PrimeField::to_repr));
            }
        }
    }
    for gates in WAYS {
        let (one, two) = two_witnesses(gates);
        let mut masks = Seen(Vec::new());
        for case in [&one, &two, &one] {
            for _ in 0..20 {
                let _ = case.prove(&case.statement, &mut masks);
            }
        }
        assert_eq!(masks.0.len(), 120);
        is_uniform(&masks.0, "masks");
        assert_eq!(masks.0.iter().collect::<HashSet<_>>().len(), 120);
        let proof = one.prove(&one.statement, &mut Unmasked);
        assert_eq!(
            one.rejected_at(&one.statement, &proof),
            Step::Linear,
            "masks that are sent are those that are used"
        );
    }
}
