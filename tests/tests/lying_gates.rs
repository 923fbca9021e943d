//! Lying provers of row gates, told with both ways of proving them: halo2 says no, or the two relations of gates.
//!
//! What is false is a gate alone: relations and lookups agree with the lie, so that the verifier without the check accepts.

use ff::Field;
use pasta_curves::Fp;
use zkonnx_circuits::{compiled::CompiledModel, field::from_i64, witness::Cells};
use zkonnx_quantize::model::Gates;
use zkonnx_tests::{
    debug_verifier::Fault,
    forgeries::{
        accepted_only_without,
        cells::Falsehood,
        forger::Forger,
        gates::{
            beyond, both_nonzero, clamp_of, clamped, division_of, false_clamp, false_maximum, false_quotient,
            gate_and_value, maxima, on_an_unused_row, quotients, selectors_at_a_tie, two_gates, FRACTIONS, INPUTS,
            SPAN, WINDOWS,
        },
        strict, WAYS,
    },
    lies::{faults_of, place_of, step_of, Case, CellLie},
};
use zkonnx_verifier::{checks::Check, error::Step, verify::verify};

/// The check that the one gate needs, and where it says no.
fn check_of(gates: Gates, relation: Check) -> (Check, Step) {
    match gates {
        Gates::Relations => (relation, Step::Linear),
        Gates::Halo2 => (Check::Halo2, Step::Halo2),
    }
}

fn only_products_are_false(falsehood: &Falsehood, what: &str) {
    let lie = &falsehood.lie;
    assert!(!lie.products.is_empty() && lie.linear.is_empty() && lie.relations.is_empty(), "{what}: {lie:?}");
    let (check, step) = check_of(falsehood.model().shape.gates, Check::Gates);
    told(falsehood, check, step, what);
}

fn told(falsehood: &Falsehood, check: Check, step: Step, what: &str) {
    let forger = Forger::new(falsehood.model(), falsehood.lie.clone(), &[check]);
    accepted_only_without(&[check], &falsehood.attempt(&mut forger.clone()), step, what);
    let by_the_rules = falsehood.attempt(&mut falsehood.lie.clone());
    assert_eq!(strict(&by_the_rules), Err(step.to_string()), "{what}");
}

/// Every gate holds; what the debug verifier finds is of another kind, and rejected by the linear part.
fn every_gate_holds(falsehood: &Falsehood, what: &str) -> Vec<Fault> {
    assert!(falsehood.lie.products.is_empty() && falsehood.lie.linear.is_empty(), "{what}: {:?}", falsehood.lie);
    let attempt = falsehood.attempt(&mut falsehood.lie.clone());
    assert_eq!(strict(&attempt), Err(Step::Linear.to_string()), "{what}");
    faults_of(&falsehood.case, &falsehood.trace, &falsehood.statement, &mut falsehood.lie.clone())
}

fn is_range(fault: &Fault) -> bool {
    matches!(fault, Fault::Range { .. })
}

/// Zeros, in two copies of the lane.
fn two_copies(gates: Gates) -> Case {
    let case = clamped(gates, &[0; 18]);
    let value = clamp_of(&case).value;
    assert_ne!(place_of(case.model(), value, 0, 0).0, place_of(case.model(), value, 0, 17).0);
    assert_eq!(case.model().shape.lanes.len(), 2);
    case
}

#[test]
fn rejects_a_value_that_is_moved_up_and_down_at_once() {
    for gates in WAYS {
        only_products_are_false(&both_nonzero(clamped(gates, &INPUTS), 2), "first copy");
        only_products_are_false(&both_nonzero(two_copies(gates), 17), "last used element of the second copy");
        // For the input 6: 9 + 2 − 5.
        let below = false_clamp(clamped(gates, &INPUTS), 0, [SPAN - 1, 0, 2, 1]);
        only_products_are_false(&below, "w though y' is below D");
        let everything = false_clamp(clamped(gates, &INPUTS), 6, [2, 6, 10, SPAN - 2]);
        assert_eq!(everything.lie.products.len(), 2);
        only_products_are_false(&everything, "v, w and y' between the bounds");
    }
}

/// No element is false, and nothing would be lost without this: gates hold on all rows because that is simpler.
#[test]
fn rejects_a_false_gate_on_a_row_that_no_element_uses() {
    for gates in WAYS {
        let falsehood = on_an_unused_row(gates);
        assert_eq!(falsehood.statement, falsehood.case.statement);
        only_products_are_false(&falsehood, "unused row");
    }
}

#[test]
fn rejects_a_value_beyond_the_bound_that_it_is_clamped_to() {
    for gates in WAYS {
        let falsehood = beyond(gates);
        assert!(falsehood.lie.products.is_empty() && falsehood.lie.relations.is_empty());
        let (check, step) = check_of(gates, Check::LinearGates);
        told(&falsehood, check, step, "y' = D + 1");
        let balanced = false_clamp(clamped(gates, &INPUTS), 0, [SPAN + 1, 0, 0, -1]);
        let faults = every_gate_holds(&balanced, "y'' = −1");
        assert!(faults.len() == 1 && faults.iter().all(is_range), "{faults:?}");
    }
}

#[test]
fn rejects_a_false_quotient() {
    let i = from_i64;
    for gates in WAYS {
        only_products_are_false(&false_quotient(gates, 3, [i(7), i(1), i(1), i(1)]), "one less");
        only_products_are_false(&false_quotient(gates, 9, [i(7), i(3), i(1), i(1)]), "one more");
        let larger_remainder = false_quotient(gates, 3, [i(7), i(1), i(4), i(-2)]);
        let faults = every_gate_holds(&larger_remainder, "r more by d, r' less by d");
        assert!(faults.len() == 1 && faults.iter().all(is_range), "{faults:?}");
        let smaller_numerator = false_quotient(gates, 3, [i(4), i(1), i(1), i(1)]);
        let faults = every_gate_holds(&smaller_numerator, "x less by d");
        assert!(matches!(faults.as_slice(), [Fault::Relation { relation: 0, .. }]), "{faults:?}");
        // Three times 7/3 is 7. Only that 7/3 is no small integer is wrong with it.
        let exact = i(7) * i(3).invert().expect("not zero");
        every_gate_holds(&false_quotient(gates, 7, [i(7), exact, i(0), i(2)]), "the quotient in the field");
    }
}

#[test]
fn rejects_a_false_maximum() {
    let (half, i) = (Fp::from(2).invert().expect("not zero"), from_i64);
    for gates in WAYS {
        // The window is (5, 7, 3).
        only_products_are_false(&false_maximum(gates, 8, [i(0), i(1), i(0)]), "one more, the selector as it was");
        // Sum one, and Σ b·d = 0 for d = (3, 1, 5): every single product is needed.
        let selectors = [-half, half + i(1), i(0)];
        let in_the_field = false_maximum(gates, 8, selectors);
        assert_eq!(selectors.iter().sum::<Fp>(), Fp::ONE);
        assert_eq!(in_the_field.lie.products.iter().map(|p| p.2).sum::<Fp>(), Fp::ZERO, "only their sum vanishes");
        only_products_are_false(&in_the_field, "selectors in the field");
        let none = false_maximum(gates, 8, [Fp::ZERO; 3]);
        let faults = every_gate_holds(&none, "no selector");
        assert!(
            matches!(faults.as_slice(), [Fault::Relation { name, left: 0, right: 1, .. }] if name.contains("one is selected")),
            "{faults:?}"
        );
        let less = false_maximum(gates, 5, [i(1), i(0), i(0)]);
        let faults = every_gate_holds(&less, "the maximum of some");
        assert!(faults.len() == 1 && faults.iter().all(is_range), "{faults:?}");
    }
}

#[test]
fn accepts_any_selectors_of_sum_one_where_maxima_tie() {
    for gates in WAYS {
        for selectors in [[1, 0, 0], [0, 1, 0], [5, -4, 0], [-1_000_000, 1_000_001, 0]] {
            let falsehood = selectors_at_a_tie(gates, selectors);
            let proof = falsehood.prove(&mut falsehood.lie.clone());
            verify(&falsehood.case.sides.handle, &falsehood.statement, &proof, None).expect("nothing reads them");
        }
        only_products_are_false(&selectors_at_a_tie(gates, [0, 0, 1]), "what is not the maximum is selected");
        every_gate_holds(&selectors_at_a_tie(gates, [1, 1, 0]), "two selectors");
    }
}

/// Exchanges two words of all copies, or two copies, and proves the true statement with them.
fn rejects_exchanged(case: &Case, columns: &[(usize, usize)], what: &str) {
    let exchange = |_: &CompiledModel, cells: &mut Cells| {
        columns.iter().for_each(|(a, b)| cells.columns.swap(*a, *b));
    };
    let faults = faults_of(case, &case.trace, &case.statement, &mut CellLie(exchange));
    assert!(!faults.is_empty(), "{what}");
    assert_eq!(case.rejects_cells(exchange), step_of(case.model(), &faults), "{what}");
}

#[test]
fn rejects_exchanged_words_and_copies() {
    for gates in WAYS {
        let case = clamped(gates, &INPUTS);
        let words = clamp_of(&case);
        let column = |case: &Case, word| place_of(case.model(), word, 0, 0).0;
        let (v, w) = (words.under.expect("v"), words.over.expect("w"));
        rejects_exchanged(&case, &[(column(&case, v), column(&case, w))], "v and w");
        let case = quotients(gates, &FRACTIONS.0, &FRACTIONS.1);
        let words = division_of(&case);
        rejects_exchanged(&case, &[(column(&case, words.remainder), column(&case, words.rest))], "r and r'");
        // Two copies of one lane, with other elements.
        let inputs: Vec<i64> = (0..18).collect();
        let case = clamped(gates, &inputs);
        let words = clamp_of(&case);
        let all = [Some(words.value), words.under, words.over, words.complement];
        let pairs = all
            .into_iter()
            .flatten()
            .map(|word| (place_of(case.model(), word, 0, 0).0, place_of(case.model(), word, 0, 17).0));
        rejects_exchanged(&case, &pairs.collect::<Vec<_>>(), "copies");
        // Windows of one maximum: the relations between them are false, the gates are not.
        let case = maxima(gates, &WINDOWS);
        let rotate = |_: &CompiledModel, cells: &mut Cells| cells.columns.iter_mut().for_each(|c| c.rotate_left(3));
        assert_eq!(case.rejects_cells(rotate), Step::Linear);
    }
}

#[test]
fn rho_and_mu_must_not_be_known() {
    let two = two_gates();
    assert!(two.lie.products.len() == 2 && two.lie.relations.is_empty());
    let forger = Forger::new(two.model(), two.lie.clone(), &[Check::Rho]);
    accepted_only_without(&[Check::Rho], &two.attempt(&mut forger.clone()), Step::Linear, "two gates that cancel");
    let both = gate_and_value();
    assert!(both.lie.products.len() == 1 && both.lie.relations.len() == 1);
    let checks = [Check::Rho, Check::Mu];
    let forger_of_both = Forger::new(both.model(), both.lie.clone(), &checks);
    let attempt = both.attempt(&mut forger_of_both.clone());
    accepted_only_without(&checks, &attempt, Step::Linear, "a gate and a value that cancel");
    for check in checks {
        let forger = Forger::new(both.model(), both.lie.clone(), &[check]);
        assert!(zkonnx_tests::forgeries::without(&[check], &both.attempt(&mut forger.clone())).is_err());
    }
    for (falsehood, forger) in [(two, forger), (both, forger_of_both)] {
        let attempt = falsehood.attempt(&mut forger.by_the_rules());
        assert_eq!(strict(&attempt), Err(Step::Linear.to_string()));
    }
}

#[test]
fn no_challenge_after_the_gates_must_be_known() {
    let falsehood = both_nonzero(clamped(Gates::Relations, &INPUTS), 2);
    let rounds = zkonnx_circuits::messages::Rounds::of(falsehood.model());
    let folds = zkonnx_circuits::length::num_fold_rounds(falsehood.model());
    let at_all = |check, count: usize| (0..count).map(move |round| (check, round)).collect::<Vec<_>>();
    let mut known = at_all(Check::Sigma, rounds.contractions);
    known.extend(at_all(Check::PairSigma, rounds.pair_rounds));
    known.extend(at_all(Check::Tau, folds));
    known.extend(at_all(Check::U, 4));
    known.extend([Check::Eta, Check::Z, Check::Xi].map(|check| (check, 0)));
    for (check, round) in known {
        let what = format!("a false gate, {check:?} of round {round} known");
        let forger = Forger::new(falsehood.model(), falsehood.lie.clone(), &[check]).at(0, round);
        accepted_only_without(&[check], &falsehood.attempt(&mut forger.clone()), Step::Linear, &what);
        let attempt = falsehood.attempt(&mut forger.by_the_rules());
        assert_eq!(strict(&attempt), Err(Step::Linear.to_string()), "{what}, by the rules");
    }
}
