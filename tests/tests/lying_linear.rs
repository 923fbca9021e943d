//! Lying provers of relations and of the opening (protocol, steps 4 to 7): a false output, and what is made for one known challenge.
//!
//! The clever ones (S2, S3) are shown to be accepted by a verifier that lacks the one defence against them, and rejected by the real one.

use ff::Field;
use group::{Curve as _, Group as _};
use pasta_curves::{Eq, EqAffine, Fp};
use zkonnx_circuits::{
    length::{halo2_elements, num_fold_rounds, num_free_points, ELEMENT},
    messages::Rounds,
};
use zkonnx_prover::deviation::{Deviation, FoldView, Honest};
use zkonnx_quantize::model::Gates;
use zkonnx_tests::{
    forgeries::{
        accepted_only_without,
        forger::{Forger, Lie},
        proof_of, strict, with_gates, WAYS,
    },
    graphs,
    lies::{rejected_at, Case},
    weak_verifier::{accepts_without, outcome, Lacks, Outcome},
};
use zkonnx_verifier::{
    checks::Check,
    error::{Step, VerifyError},
    verify::verify,
};

/// Two layers: the second contraction goes through the sumcheck, both sides hidden.
fn case(gates: Gates) -> Case {
    let case = Case::public(with_gates(graphs::mlp((10, 6, 3), 6, 4, 1), gates), 2);
    case.is_sound();
    let rounds = Rounds::of(case.model());
    assert!(rounds.contractions >= 3 && rounds.pairs > 2 * rounds.layers);
    case
}

/// Output 0 is one more than it is.
fn false_output(case: &Case) -> Lie {
    let relation = case.model().lowered.relations.len() - 1;
    Lie { relations: vec![(relation, 0, Fp::ONE)], ..Lie::default() }
}

#[test]
fn rejects_a_false_output() {
    for gates in WAYS {
        let case = case(gates);
        for element in 0..3 {
            // The last one is not even within the output's declared bounds.
            for (by, step) in [(1, Step::Linear), (-1, Step::Linear), (1 << 20, Step::Statement)] {
                let lie = case.false_output(0, element, by);
                let proof = case.prove(&lie, &mut Honest);
                assert_eq!(case.rejected_at(&lie, &proof), step);
            }
        }
    }
}

#[test]
fn no_challenge_after_the_relations_must_be_known() {
    for gates in WAYS {
        let case = case(gates);
        let statement = case.false_output(0, 0, 1);
        let rounds = Rounds::of(case.model());
        let at_all = |check, count: usize| (0..count).map(move |round| (check, round));
        let mut known: Vec<(Check, usize)> = at_all(Check::Sigma, rounds.contractions).collect();
        known.extend(at_all(Check::PairSigma, rounds.pair_rounds));
        known.extend(at_all(Check::Tau, num_fold_rounds(case.model())));
        known.extend(at_all(Check::U, usize::from(case.model().layout.k)));
        known.extend([Check::Eta, Check::Z, Check::Xi].map(|check| (check, 0)));
        for (check, round) in known {
            let what = format!("{check:?} of round {round}");
            let forger = Forger::new(case.model(), false_output(&case), &[check]).at(0, round);
            let proof = case.prove(&statement, &mut forger.clone());
            accepted_only_without(&[check], &proof_of(&case, &statement, proof), Step::Linear, &what);
            let proof = case.prove(&statement, &mut forger.by_the_rules());
            let attempt = proof_of(&case, &statement, proof);
            assert_eq!(strict(&attempt), Err(Step::Linear.to_string()), "{what}, by the rules");
        }
    }
}

/// S2 with the part on `X_L`: it would have to undo what it does to the lower half, which nobody can.
struct OnTheLeft(Forger);

impl Deviation for OnTheLeft {
    fn challenge(&mut self, name: Check, challenge: &mut Fp) {
        self.0.challenge(name, challenge);
    }
    fn relations(&mut self, challenges: &zkonnx_circuits::messages::Challenges) {
        self.0.relations(challenges);
    }
    fn clear(&mut self, claim: Fp, clear: &mut (Fp, Fp)) {
        self.0.clear(claim, clear);
    }
    fn linear(&mut self, challenges: &zkonnx_circuits::messages::Challenges, clear: (Fp, Fp)) {
        self.0.linear(challenges, clear);
    }
    fn fold_on_generator(&mut self, view: &FoldView<'_>) -> (Fp, Fp) {
        let (left, right) = self.0.fold_on_generator(view);
        (right, left)
    }
}

#[test]
fn rejects_a_cross_term_with_a_component_on_a_generator() {
    for gates in WAYS {
        let case = case(gates);
        let statement = case.false_output(0, 0, 1);
        let forger = Forger::new(case.model(), false_output(&case), &[Check::Z]).knowing(Fp::ONE);
        let forgery = case.prove(&statement, &mut forger.clone());
        assert!(accepts_without(Lacks::Z, &case.sides, &statement, &forgery), "the attack is real without z");
        assert_eq!(case.rejected_at(&statement, &forgery), Step::Linear);
        let mut others: [Box<dyn Deviation>; 3] = [
            Box::new(forger.clone().by_the_rules()),
            Box::new(OnTheLeft(forger.clone())),
            Box::new(OnTheLeft(forger.by_the_rules())),
        ];
        for other in &mut others {
            let proof = case.prove(&statement, other.as_mut());
            assert_eq!(case.rejected_at(&statement, &proof), Step::Linear);
        }
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
    fn challenge(&mut self, name: Check, _: &mut Fp) {
        assert_ne!(name, Check::R, "nobody draws it before everything is sent");
    }
    fn finish(&mut self, _: &mut Fp, f: &mut Fp) {
        *f -= self.h;
    }
}

/// An error on `W` is the one that a prover can place freely in both (the blinds are sent last); an error
/// on `U` or `G` of the linear part is multiplied by z, ξ or the u, all drawn after halo2's is fixed.
#[test]
fn rejects_opposite_errors_of_halo2_and_the_linear_part() {
    let case = case(Gates::Halo2);
    let mut count = OppositeErrors::default();
    let _ = case.prove(&case.statement, &mut count);
    let mut lie = OppositeErrors { last_scalar: Some(count.seen), seen: 0, h: Fp::from(12_345) };
    let forgery = case.prove(&case.statement, &mut lie);
    let outcome = outcome(Lacks::R, &case.sides, &case.statement, &forgery);
    assert_eq!(outcome, Outcome { halo2: false, linear: false, joint: true }, "the errors cancel without r");
    assert_eq!(case.rejected_at(&case.statement, &forgery), Step::Halo2);
}

/// Another point in the place of one.
struct Shift {
    free: Option<usize>,
    halo2: Option<usize>,
}

impl Deviation for Shift {
    fn free_point(&mut self, column: usize, point: &mut EqAffine) {
        if self.free == Some(column) {
            *point = (Eq::from(*point) + Eq::generator()).to_affine();
        }
    }
    fn halo2_point(&mut self, index: usize, point: &mut EqAffine) {
        if self.halo2 == Some(index) {
            *point = (Eq::from(*point) + Eq::generator()).to_affine();
        }
    }
}

#[test]
fn rejects_another_point_in_the_place_of_any() {
    for gates in WAYS {
        let case = case(gates);
        let shape = &case.model().shape;
        for free in shape.free_columns().chain(shape.columns.len()..shape.columns.len() + shape.num_table_groups()) {
            let proof = case.prove(&case.statement, &mut Shift { free: Some(free), halo2: None });
            assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear);
        }
        let points = halo2_elements(shape) - shape.gated.len();
        for index in [0, shape.gated.len() / 2, shape.gated.len(), shape.gated.len() + 3, points - 6] {
            if shape.has_halo2() {
                let proof = case.prove(&case.statement, &mut Shift { free: None, halo2: Some(index) });
                assert_eq!(case.rejected_at(&case.statement, &proof), Step::Halo2, "point {index}");
            }
        }
    }
}

#[test]
fn rejects_parts_of_two_proofs() {
    for gates in WAYS {
        let case = case(gates);
        let free = num_free_points(&case.model().shape) * ELEMENT;
        let halo2 = free + halo2_elements(&case.model().shape) * ELEMENT;
        let mut other = case.statement.clone();
        other.context.nonce = 1;
        let proofs = [
            case.prove(&case.statement, &mut Honest),
            case.prove(&case.statement, &mut Honest),
            case.prove(&other, &mut Honest),
        ];
        let is_halo2 = gates == Gates::Halo2;
        let first = if is_halo2 { Step::Halo2 } else { Step::Linear };
        // Two proofs of one statement, and proofs of two statements; cut after the free points, after halo2's part, and later.
        for second in [1, 2] {
            for (at, step) in [(free, first), (halo2, Step::Linear), (proofs[0].len() - 64, Step::Linear)] {
                let joined = [&proofs[0][..at], &proofs[second][at..]].concat();
                assert_eq!(case.rejected_at(&case.statement, &joined), step, "cut at {at}");
            }
        }
        assert_eq!(case.rejected_at(&other, &proofs[0]), first, "a proof is about one statement only");
    }
}

#[test]
fn rejects_a_proof_in_the_other_way_of_proving_gates() {
    let [relations, halo2] = WAYS.map(case);
    assert_ne!(relations.sides.handle.id(), halo2.sides.handle.id(), "the layout is part of the model");
    for (case, other) in [(&relations, &halo2), (&halo2, &relations)] {
        let proof = other.prove(&other.statement, &mut Honest);
        let verdict = verify(&case.sides.handle, &other.statement, &proof, None);
        assert!(matches!(verdict, Err(VerifyError::UnknownModel { .. })), "{verdict:?}");
        // The same claim about the same graph, for this model.
        let proof = other.prove(&case.statement, &mut Honest);
        let verdict = verify(&case.sides.handle, &case.statement, &proof, None);
        assert!(matches!(verdict, Err(VerifyError::Length { .. })), "{verdict:?}");
        // And cut or filled up to the length.
        let mut fitted = proof;
        fitted.resize(case.sides.prover.keys.proof_length, 0);
        assert_eq!(rejected_at(&case.sides, &case.statement, &fitted), Step::Transcript);
    }
}

#[test]
fn rejects_a_proof_without_halo2s_part_or_with_one_that_nobody_asked_for() {
    let [relations, halo2] = WAYS.map(case);
    let (from, len) = {
        let shape = &halo2.model().shape;
        (num_free_points(shape) * ELEMENT, halo2_elements(shape) * ELEMENT)
    };
    let full = halo2.prove(&halo2.statement, &mut Honest);
    let without = [&full[..from], &full[from + len..]].concat();
    let own = relations.prove(&relations.statement, &mut Honest);
    let with = [&own[..from], &full[from..from + len], &own[from..]].concat();
    for (case, proof) in [(&halo2, without), (&relations, with)] {
        let verdict = verify(&case.sides.handle, &case.statement, &proof, None);
        let expected = case.sides.prover.keys.proof_length;
        assert_eq!(verdict, Err(VerifyError::Length { expected, actual: proof.len() }));
    }
}
