//! The order of challenges: each forgery is accepted by a mutant of the verifier that draws one challenge too early, or not at all, and
//! rejected by the real one (protocol, section 5; the mutants are those of [`zkonnx_tests::weak_verifier`]).

use ff::Field;
use pasta_curves::Fp;
use zkonnx_circuits::{
    compiled::CompiledModel,
    messages::{GateWeights, Piece, Rounds},
    witness::Cells,
};
use zkonnx_prover::deviation::{Deviation, Honest, PieceView};
use zkonnx_quantize::model::Gates;
use zkonnx_tests::{
    forgeries::{
        cells::{false_remainder, quarters, Falsehood},
        forger::Lie,
        gates::{both_nonzero, clamped, false_clamp, INPUTS},
        with_gates, WAYS,
    },
    graphs,
    lies::Case,
    weak_verifier::{accepts_without, outcome, Lacks, Mutant, Outcome},
};
use zkonnx_verifier::{checks::Check, error::Step};

const PARTS: [(i64, i64); 3] = [(3, 0), (5, 1), (-4, 2)];

/// A prover who plays by the rules of a mutant.
struct ByMutant {
    lie: Lie,
    lacks: Lacks,
    mutant: Mutant,
    /// By how much the equation of layer 0 is wrong.
    error: Fp,
}

impl ByMutant {
    fn new(lie: &Lie, lacks: Lacks) -> Self {
        Self { lie: lie.clone(), lacks, mutant: Mutant::new(lacks), error: Fp::ZERO }
    }
}

impl Deviation for ByMutant {
    fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {
        self.lie.cells(model, cells);
    }
    fn strays(&mut self, model: &CompiledModel) -> Vec<(usize, usize, Fp)> {
        self.lie.strays(model)
    }
    fn challenge(&mut self, name: Check, challenge: &mut Fp) {
        *challenge = self.mutant.drawn(name, *challenge);
    }
    fn gates(&mut self, weights: &mut GateWeights) {
        self.mutant.gates(weights);
    }
    fn piece(&mut self, piece: Piece, view: &PieceView, values: &mut [Fp]) {
        let Piece::LayerValues { layer } = piece else { return };
        let inverse = |x: Fp| x.invert().expect("not zero");
        // By how much the product is to be larger.
        let wanted = view.claim - view.truth;
        match (self.lacks, layer) {
            (Lacks::LateOmega(_), 0) => self.error = -wanted,
            (Lacks::LateOmega(at), _) if layer == at => {
                // Both p wrong by e: this equation is wrong by e·(q0 + q1), the next one by −e, and the first by E.
                let omega = self.mutant.early_omega().expect("drawn when the layer began");
                let power = omega.pow_vartime([at as u64]);
                let by = self.error * inverse(power * (omega - values[2] - values[3]));
                values[0] += by;
                values[1] += by;
            }
            (Lacks::OwnLambda, 0) => values[1] += wanted * inverse(values[2]),
            (Lacks::OwnLambda, 1) => {
                // The next layer has the same λ: errors of p and q that cancel in its claim.
                let by = wanted * inverse(values[1]);
                values[0] -= view.lambda * by;
                values[2] += by;
            }
            _ => {}
        }
    }
}

/// Accepted by the mutant, and by no other one.
fn only_the_mutant_accepts(falsehood: &Falsehood, lacks: Lacks) {
    let proof = falsehood.prove(&mut ByMutant::new(&falsehood.lie, lacks));
    let Falsehood { case, statement, .. } = falsehood;
    assert!(accepts_without(lacks, &case.sides, statement, &proof), "the attack is real: {lacks:?}");
    assert!(!accepts_without(Lacks::Nothing, &case.sides, statement, &proof));
    assert_eq!(case.rejected_at(statement, &proof), Step::Linear, "{lacks:?}");
    // By the rules of the real protocol the same lie helps nobody.
    let proof = falsehood.prove(&mut falsehood.lie.clone());
    for lacks in [Lacks::Nothing, lacks] {
        assert!(!accepts_without(lacks, &case.sides, statement, &proof), "{lacks:?}");
    }
}

#[test]
fn the_weak_verifier_without_a_weakness_agrees_with_the_real_one() {
    let all = Outcome { halo2: true, linear: true, joint: true };
    for gates in WAYS {
        let cases = [
            Case::public(with_gates(graphs::mlp((10, 6, 3), 6, 4, 1), gates), 2),
            Case::public(with_gates(graphs::softmax_like(7, 5, 7), gates), 1),
            Case::public(with_gates(graphs::attention_like(6, 5, 3), gates), 1),
            Case::public(with_gates(graphs::lenet_like(7, 5, 2), gates), 1),
            quarters(gates, &PARTS),
        ];
        for case in cases {
            case.is_sound();
            let proof = case.prove(&case.statement, &mut Honest);
            for lacks in [Lacks::Nothing, Lacks::LateOmega(3), Lacks::OwnLambda, Lacks::OwnWeight, Lacks::Z, Lacks::R] {
                let proof = case.prove(&case.statement, &mut ByMutant::new(&Lie::default(), lacks));
                assert_eq!(outcome(lacks, &case.sides, &case.statement, &proof), all, "{lacks:?}, honest");
            }
            let lie = case.false_output(0, 1, 1);
            let naive = case.prove(&lie, &mut Honest);
            let wrong = Outcome { linear: false, joint: false, ..all };
            assert_eq!(outcome(Lacks::Nothing, &case.sides, &lie, &naive), wrong, "a false output");
            assert_eq!(case.rejected_at(&lie, &naive), Step::Linear);
            // An honest proof for other rules than the mutant's is none.
            let other = outcome(Lacks::LateOmega(3), &case.sides, &case.statement, &proof);
            assert_eq!(other, wrong);
        }
        let falsehood = both_nonzero(clamped(gates, &INPUTS), 2);
        let proof = falsehood.prove(&mut falsehood.lie.clone());
        let outcome = outcome(Lacks::Nothing, &falsehood.case.sides, &falsehood.statement, &proof);
        let is_halo2 = gates == Gates::Halo2;
        assert_eq!(outcome, Outcome { halo2: !is_halo2, linear: is_halo2, joint: false }, "a false gate");
    }
}

#[test]
fn omega_comes_after_the_pieces_of_every_layer() {
    for gates in WAYS {
        let falsehood = false_remainder(gates, &PARTS, 1, 1);
        let layers = Rounds::of(falsehood.model()).layers;
        for layer in [1, 2, 5, layers - 2] {
            only_the_mutant_accepts(&falsehood, Lacks::LateOmega(layer));
        }
    }
}

#[test]
fn every_layer_has_a_lambda_of_its_own() {
    for gates in WAYS {
        only_the_mutant_accepts(&false_remainder(gates, &PARTS, 1, 1), Lacks::OwnLambda);
    }
}

#[test]
fn products_of_gates_have_a_power_of_mu_of_their_own() {
    // −5 + 4 − 3 + 2 = −2: v·y' = w·(D − y') = 12, and y' + y'' = D + 12. One slot of each product and one of the linear gate on a row:
    // with one weight the errors cancel for every ρ.
    let falsehood = false_clamp(clamped(Gates::Relations, &[-2, 3, 6]), 0, [4, 3, 2, 18]);
    assert_eq!((falsehood.lie.products.len(), falsehood.lie.linear.len()), (2, 1));
    assert_eq!(falsehood.trace.tensors[1][0], -1, "for −2");
    only_the_mutant_accepts(&falsehood, Lacks::OwnWeight);
}

#[test]
fn without_the_relations_of_gates_anything_is_clamped_to_anything() {
    for falsehood in [
        both_nonzero(clamped(Gates::Relations, &INPUTS), 2),
        false_clamp(clamped(Gates::Relations, &INPUTS), 0, [11, 0, 0, 0]),
        false_clamp(clamped(Gates::Relations, &INPUTS), 6, [3, 7, 10, 30]),
    ] {
        only_the_mutant_accepts(&falsehood, Lacks::Gates);
    }
}
