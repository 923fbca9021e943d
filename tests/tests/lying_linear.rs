//! Lying provers of the linear part: the sumcheck, the masked products and the opening (protocol, sections 5 and 6).
//!
//! The clever ones (S1, S2, S3) are forgeries: each is shown to be accepted by a verifier that lacks
//! the one defence against it, and rejected by the real one.

use ff::Field;
use pasta_curves::{
    group::{Curve as _, Group as _},
    Eq, EqAffine, Fp,
};
use zkonnx_circuits::functional::LinearChallenges;
use zkonnx_prover::deviation::{Deviation, FoldView, Honest};
use zkonnx_tests::{
    graphs,
    lies::{claim_excess, Case},
    weak_verifier::{accepts_without, outcome_without, Lacks, Outcome},
};
use zkonnx_verifier::{
    checks::Check,
    error::Step,
    length::{halo2_elements, ELEMENT},
};

/// Two layers: the second contraction goes through the sumcheck, both sides hidden.
fn case() -> Case {
    let case = Case::public(graphs::mlp((10, 6, 3), 6, 4, 1), 2);
    case.is_sound();
    let shape = &case.model().sumcheck;
    assert!(shape.num_rounds >= 2 && shape.num_masked >= 1 && shape.pieces.len() > shape.num_rounds);
    case
}

/// The number of the output's relation.
fn output_relation(case: &Case) -> usize {
    case.model().lowered.relations.len() - 1
}

#[test]
fn the_weak_verifier_without_a_weakness_agrees_with_the_real_one() {
    let case = case();
    let proof = case.prove(&case.statement, &mut Honest);
    let all = Outcome { halo2: true, linear: true, joint: true };
    assert_eq!(outcome_without(Lacks::Nothing, &case.sides, &case.statement, &proof), all);
    let lie = case.false_output(0, 1, 1);
    let proof = case.prove(&lie, &mut Honest);
    let wrong = Outcome { halo2: true, linear: false, joint: false };
    for lacks in [Lacks::Nothing, Lacks::R] {
        assert_eq!(outcome_without(lacks, &case.sides, &lie, &proof), wrong, "a naive lie fails everywhere");
    }
}

#[test]
fn rejects_a_false_output() {
    let case = case();
    for element in 0..3 {
        // The last one is not even within the output's declared bounds.
        for (by, step) in [(1, Step::Linear), (-1, Step::Linear), (1 << 20, Step::Statement)] {
            let lie = case.false_output(0, element, by);
            let proof = case.prove(&lie, &mut Honest);
            assert_eq!(case.rejected_at(&lie, &proof), step);
        }
    }
}

#[derive(Default)]
struct WrongMessages {
    round: Option<(usize, usize)>,
    mask: Option<usize>,
    masked: Option<(bool, bool)>,
    finish: Option<(bool, bool)>,
    cross: Option<(usize, bool)>,
}

impl Deviation for WrongMessages {
    fn round(&mut self, round: usize, _: &[Fp], message: &mut [Fp; 2]) {
        if let Some((at, which)) = self.round {
            if at == round {
                message[which] += Fp::ONE;
            }
        }
    }
    fn masks(&mut self, masks: &mut [Fp]) {
        if let Some(at) = self.mask {
            masks[at] += Fp::ONE;
        }
    }
    fn masked(&mut self, gamma: Fp, masked: &mut [(Fp, Fp)]) {
        if let Some((p, q)) = self.masked {
            masked[0].0 += if p { gamma } else { Fp::ZERO };
            masked[0].1 += if q { gamma } else { Fp::ZERO };
        }
    }
    fn fold(&mut self, view: &FoldView<'_>, cross: &mut (Fp, Fp)) {
        match self.cross {
            Some((round, true)) if round == view.round => cross.1 += Fp::ONE,
            Some((round, false)) if round == view.round => cross.0 += Fp::ONE,
            _ => {}
        }
    }
    fn finish(&mut self, c: &mut Fp, f: &mut Fp) {
        if let Some((wrong_c, wrong_f)) = self.finish {
            *c += if wrong_c { Fp::ONE } else { Fp::ZERO };
            *f += if wrong_f { Fp::ONE } else { Fp::ZERO };
        }
    }
}

#[test]
fn rejects_every_wrong_message_of_the_linear_part() {
    let case = case();
    let shape = &case.model().sumcheck;
    let mut lies = Vec::new();
    for round in 0..shape.num_rounds {
        lies.extend([0, 1].map(|which| WrongMessages { round: Some((round, which)), ..WrongMessages::default() }));
    }
    let num_masks = 2 * shape.num_masked + 2;
    // t1 and t0; a wrong mask alone is no lie, as p' and q' and the cross terms are then made with it.
    lies.extend([num_masks - 2, num_masks - 1].map(|m| WrongMessages { mask: Some(m), ..WrongMessages::default() }));
    lies.extend(
        [(true, false), (false, true), (true, true)]
            .map(|masked| WrongMessages { masked: Some(masked), ..WrongMessages::default() }),
    );
    lies.extend(
        [(true, false), (false, true), (true, true)]
            .map(|finish| WrongMessages { finish: Some(finish), ..WrongMessages::default() }),
    );
    let folds = zkonnx_verifier::length::num_fold_rounds(case.model());
    for round in 0..folds {
        lies.extend(
            [true, false].map(|right| WrongMessages { cross: Some((round, right)), ..WrongMessages::default() }),
        );
    }
    for mut lie in lies {
        let proof = case.prove(&case.statement, &mut lie);
        assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear);
    }
}

/// S1: piece `writer`, committed after σ_0 is known, rewrites `c0` of round 0.
struct RewritesARound {
    writer: usize,
    relation: usize,
    by: i64,
    without_zeta: bool,
    model: zkonnx_circuits::compiled::CompiledModel,
    excess: Fp,
}

impl Deviation for RewritesARound {
    fn relations(&mut self, challenges: &LinearChallenges) {
        self.excess = claim_excess(&self.model, challenges, self.relation, 0, self.by);
    }
    fn piece(&mut self, piece: usize, sigma: &[Fp]) -> Vec<(usize, Fp)> {
        if piece != self.writer {
            return Vec::new();
        }
        // The claim after round 0 is c0·(1 − 2σ_0) + claim·σ_0 + c2·(σ_0² − σ_0): an excess E of the claim is
        // cancelled by δ = −σ_0·E/(1 − 2σ_0) on c0, for whatever challenges follow.
        let slope = Option::<Fp>::from((Fp::ONE - sigma[0].double()).invert()).expect("σ_0 is not 1/2");
        vec![(self.model.sumcheck.pieces[0].start, -sigma[0] * self.excess * slope)]
    }
    fn challenge(&mut self, name: Check, challenge: &mut Fp) {
        if name == Check::Zeta && self.without_zeta {
            *challenge = Fp::ONE;
        }
    }
}

#[test]
fn rejects_a_later_piece_that_rewrites_an_earlier_round() {
    let case = case();
    let lie = case.false_output(0, 0, 1);
    let (rounds, pieces) = (case.model().sumcheck.num_rounds, case.model().sumcheck.pieces.len());
    // A mask piece, and a round piece, that write on round 0's rows.
    for writer in [rounds, 1, rounds - 1, pieces - 1] {
        let mut deviation = RewritesARound {
            writer,
            relation: output_relation(&case),
            by: 1,
            without_zeta: true,
            model: case.model().clone(),
            excess: Fp::ZERO,
        };
        let forgery = case.prove(&lie, &mut deviation);
        assert!(accepts_without(Lacks::Zeta, &case.sides, &lie, &forgery), "the attack is real without ζ");
        assert_eq!(case.rejected_at(&lie, &forgery), Step::Linear);
        // And when the forger plays by the real protocol's rules.
        deviation.without_zeta = false;
        let forgery = case.prove(&lie, &mut deviation);
        assert_eq!(case.rejected_at(&lie, &forgery), Step::Linear);
    }
}

/// S2: in the last fold, `X_R` (or `X_L`) has a component on `G_0` that moves the folded column.
struct StandsOnAGenerator {
    relation: usize,
    by: i64,
    on_right: bool,
    without_z: bool,
    model: zkonnx_circuits::compiled::CompiledModel,
    excess: Fp,
}

impl StandsOnAGenerator {
    /// `b[0]` of a functional is the sum of its entries: the DFT at `ω^0`.
    fn component(&self, view: &FoldView<'_>) -> Fp {
        let high: Fp = view.high.iter().sum();
        -self.excess * Option::<Fp>::from(high.invert()).expect("the upper column has a functional")
    }
}

impl Deviation for StandsOnAGenerator {
    fn linear(&mut self, challenges: &LinearChallenges) {
        let claim = claim_excess(&self.model, challenges, self.relation, 0, self.by);
        self.excess = challenges.sigma.iter().fold(challenges.gamma.square() * claim, |e, sigma| e * sigma);
    }
    fn fold(&mut self, view: &FoldView<'_>, cross: &mut (Fp, Fp)) {
        if view.round + 1 == view.num_rounds && self.on_right {
            // τ·g·(b_lo + τ⁻¹·b_hi) = g·b_hi + τ·g·b_lo: the first is −excess, the second goes into c_R.
            let low: Fp = view.low.iter().sum();
            cross.1 += self.component(view) * low;
        }
    }
    fn fold_on_generator(&mut self, view: &FoldView<'_>) -> (Fp, Fp) {
        if view.round + 1 < view.num_rounds {
            (Fp::ZERO, Fp::ZERO)
        } else if self.on_right {
            (Fp::ZERO, self.component(view))
        } else {
            (self.component(view), Fp::ZERO)
        }
    }
    fn challenge(&mut self, name: Check, challenge: &mut Fp) {
        if name == Check::Z && self.without_z {
            *challenge = Fp::ONE;
        }
    }
}

#[test]
fn rejects_a_cross_term_with_a_component_on_a_generator() {
    let case = case();
    let lie = case.false_output(0, 0, 1);
    for (on_right, without_z) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut deviation = StandsOnAGenerator {
            relation: output_relation(&case),
            by: 1,
            on_right,
            without_z,
            model: case.model().clone(),
            excess: Fp::ZERO,
        };
        let forgery = case.prove(&lie, &mut deviation);
        if on_right && without_z {
            assert!(accepts_without(Lacks::Z, &case.sides, &lie, &forgery), "the attack is real without z");
        }
        assert_eq!(case.rejected_at(&lie, &forgery), Step::Linear);
    }
}

/// S3: halo2's equation is off by `h·W`, the linear one by `−h·W`.
#[derive(Default)]
struct OppositeErrors {
    last_scalar: Option<usize>,
    seen: usize,
    h: Fp,
}

impl Deviation for OppositeErrors {
    fn halo2_scalar(&mut self, index: usize, scalar: &mut Fp) {
        self.seen = index;
        if self.last_scalar == Some(index) {
            *scalar += self.h;
        }
    }
    fn finish(&mut self, _: &mut Fp, f: &mut Fp) {
        *f -= self.h;
    }
}

/// An error on `W` is the one that a prover can place freely in both (the blinds are sent last); an error
/// on `U` or `G` of the linear part is multiplied by z, ξ or the u, all drawn after halo2's is fixed.
#[test]
fn rejects_opposite_errors_of_halo2_and_the_linear_part() {
    let case = case();
    let mut count = OppositeErrors::default();
    let _ = case.prove(&case.statement, &mut count);
    let mut lie = OppositeErrors { last_scalar: Some(count.seen), seen: 0, h: Fp::from(12_345) };
    let forgery = case.prove(&case.statement, &mut lie);
    let outcome = outcome_without(Lacks::R, &case.sides, &case.statement, &forgery);
    assert_eq!(outcome, Outcome { halo2: false, linear: false, joint: true }, "the errors cancel without r");
    assert_eq!(case.rejected_at(&case.statement, &forgery), Step::Halo2);
}

/// A column commitment with a component on `U`.
struct OnU {
    column: usize,
    u: EqAffine,
}

impl Deviation for OnU {
    fn halo2_point(&mut self, index: usize, point: &mut EqAffine) {
        if index == self.column {
            *point = (Eq::from(*point) + self.u * Fp::from(7)).to_affine();
        }
    }
}

#[test]
fn rejects_a_column_commitment_with_a_component_on_u() {
    let case = case();
    for column in [0, 1, case.model().shape.columns.len() - 1] {
        let mut lie = OnU { column, u: case.sides.prover.generators.value.into() };
        let proof = case.prove(&case.statement, &mut lie);
        let outcome = outcome_without(Lacks::Nothing, &case.sides, &case.statement, &proof);
        assert_eq!(outcome, Outcome { halo2: false, linear: false, joint: false });
        assert_eq!(case.rejected_at(&case.statement, &proof), Step::Halo2);
    }
}

#[test]
fn rejects_other_points_in_halo2s_place() {
    let case = case();
    struct Shift(usize);
    impl Deviation for Shift {
        fn halo2_point(&mut self, index: usize, point: &mut EqAffine) {
            if index == self.0 {
                *point = (Eq::from(*point) + Eq::generator()).to_affine();
            }
        }
    }
    let points = case.model().shape.num_advice_columns() + 3;
    for index in [0, case.model().shape.columns.len(), points - 4, points - 1] {
        let proof = case.prove(&case.statement, &mut Shift(index));
        assert_eq!(case.rejected_at(&case.statement, &proof), Step::Halo2);
    }
}

#[test]
fn rejects_halo2s_proof_of_one_statement_with_the_linear_part_of_another() {
    let case = case();
    let at = halo2_elements(&case.model().shape) * ELEMENT;
    let mut other = case.statement.clone();
    other.context.nonce = 1;
    let proofs = [
        case.prove(&case.statement, &mut Honest),
        case.prove(&case.statement, &mut Honest),
        case.prove(&other, &mut Honest),
    ];
    // Two proofs of one statement, and proofs of two statements.
    for second in [1, 2] {
        let joined = [&proofs[0][..at], &proofs[second][at..]].concat();
        assert_eq!(case.rejected_at(&case.statement, &joined), Step::Linear);
        let joined = [&proofs[second][..at], &proofs[0][at..]].concat();
        let step = case.rejected_at(&case.statement, &joined);
        assert_eq!(step, if second == 1 { Step::Linear } else { Step::Halo2 });
    }
    assert_eq!(case.rejected_at(&other, &proofs[0]), Step::Halo2, "a proof is about one statement only");
}
