//! Lying provers of the lookup argument: false cells, multiplicities, and messages of the layers (protocol, step 3).
//!
//! A lie that a known challenge would hide is shown to be accepted by a verifier for which the challenge is known, and rejected by the
//! real one. Every one is told with both ways of proving gates.

use ff::Field;
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{compiled::CompiledModel, messages::Rounds, witness::Cells};
use zkonnx_prover::deviation::{Deviation, Honest};
use zkonnx_quantize::model::Gates;
use zkonnx_tests::{
    debug_verifier::Fault,
    forgeries::{
        accepted_only_without,
        cells::{
            clamp_words, false_remainder, false_value, for_known_phi, for_known_theta, for_known_theta_and_phi,
            function, negative_under, poles, quarters, Falsehood, LIMB_BITS,
        },
        forger::{Forger, Lie},
        strict, WAYS,
    },
    lies::{faults_of, place_of, step_of, CellLie},
};
use zkonnx_verifier::{checks::Check, error::Step, verify::verify};

/// Quotients and remainders of the inputs; most rows are unused.
const PARTS: [(i64, i64); 3] = [(3, 0), (5, 1), (-4, 2)];

fn false_lookup(gates: Gates) -> Falsehood {
    false_remainder(gates, &PARTS, 1, 1)
}

/// What the debug verifier finds is a lookup and nothing else; the proof is rejected where lookups are.
fn is_caught_by_its_lookup(falsehood: &Falsehood, what: &str) {
    let faults = faults_of(&falsehood.case, &falsehood.trace, &falsehood.statement, &mut falsehood.lie.clone());
    let is_lookup = |fault: &Fault| matches!(fault, Fault::Range { .. } | Fault::Pair { .. });
    assert!(!faults.is_empty() && faults.iter().all(is_lookup), "{what}: {faults:?}");
    let attempt = falsehood.attempt(&mut falsehood.lie.clone());
    assert_eq!(strict(&attempt), Err(Step::Linear.to_string()), "{what}");
}

#[test]
fn rejects_a_cell_out_of_range_in_a_free_column() {
    for gates in WAYS {
        is_caught_by_its_lookup(&false_lookup(gates), "below zero");
        // 5 and 6 are no remainders, though they are in the table of longer limbs.
        for (row, what) in [(1, "value of another tag"), (2, "value of another tag")] {
            let parts = [(3, 0), (5, 1), (7, 2)];
            is_caught_by_its_lookup(&false_remainder(gates, &parts, row, -1), what);
        }
    }
}

#[test]
fn rejects_a_cell_out_of_range_in_a_column_that_gates_read() {
    for gates in WAYS {
        let falsehood = negative_under(gates, &[(3, 0), (1, 1)], 1);
        let model = falsehood.model();
        let (column, _) = place_of(model, clamp_words(model).1, 0, 1);
        assert_eq!(model.shape.gated.contains(&column), gates == Gates::Halo2);
        is_caught_by_its_lookup(&falsehood, "v below zero");
    }
}

#[test]
fn rejects_a_cell_out_of_range_on_the_first_and_on_the_last_active_row() {
    for gates in WAYS {
        let rows = quarters(gates, &PARTS).model().shape.num_active_rows();
        assert_eq!(rows, if gates == Gates::Halo2 { 26 } else { 32 });
        let parts = vec![(1, 3); rows];
        for element in [0, rows - 1] {
            for falsehood in [false_remainder(gates, &parts, element, 1), negative_under(gates, &parts, element)] {
                let words = clamp_words(falsehood.model());
                for word in [words.1, words.2] {
                    assert_eq!(place_of(falsehood.model(), word, 0, element).1, element, "the row of the lie");
                }
                is_caught_by_its_lookup(&falsehood, "first or last active row");
            }
        }
    }
}

#[test]
fn rejects_a_cell_out_of_range_on_a_row_that_no_element_uses() {
    for gates in WAYS {
        let case = quarters(gates, &PARTS);
        let rows = case.model().shape.num_active_rows();
        let (value, under, remainder) = clamp_words(case.model());
        for row in [PARTS.len(), rows - 1] {
            // Where the other factor of the gate is zero, so that the lookup alone is wrong.
            for (word, cell) in [(value, 32), (under, -1), (remainder, 4), (remainder, 5)] {
                let case = quarters(gates, &PARTS);
                let cells = vec![(place_of(case.model(), word, 0, 0).0, row, cell)];
                let falsehood = Falsehood::harmless(case, Lie { cells, ..Lie::default() });
                is_caught_by_its_lookup(&falsehood, "unused row");
            }
        }
    }
}

#[test]
fn rejects_the_value_of_another_argument() {
    for gates in WAYS {
        for (element, value) in [(0, 4), (0, 2), (1, 16), (3, 1)] {
            let falsehood = false_value(function(gates), element, value);
            assert_ne!(falsehood.trace.outputs, falsehood.case.trace.outputs);
            is_caught_by_its_lookup(&falsehood, "pair of another argument");
        }
    }
}

/// Adds to one multiplicity.
struct Miscounts(usize, usize, i64);

impl Deviation for Miscounts {
    fn multiplicities(&mut self, counts: &mut Vec<Vec<i64>>) {
        counts[self.0][self.1] += self.2;
    }
}

#[test]
fn rejects_every_multiplicity_that_is_one_more_or_one_less() {
    for gates in WAYS {
        for case in [quarters(gates, &PARTS), function(gates)] {
            let shape = &case.model().shape;
            assert!(shape.num_table_groups() == 2 || shape.table.len() == 25);
            for group in 0..shape.num_table_groups() {
                for row in 0..shape.table_group(group).len() {
                    let by = if row % 2 == 0 { 1 } else { -1 };
                    let proof = case.prove(&case.statement, &mut Miscounts(group, row, by));
                    assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear, "group {group}, row {row}");
                }
            }
        }
    }
}

#[test]
fn rejects_exchanged_columns() {
    for gates in WAYS {
        let case = quarters(gates, &PARTS);
        let columns = case.model().shape.columns.len();
        let mut seen = Vec::new();
        for (a, b) in (0..columns).flat_map(|a| (a + 1..columns).map(move |b| (a, b))) {
            let exchange = |_: &CompiledModel, cells: &mut Cells| cells.columns.swap(a, b);
            let faults = faults_of(&case, &case.trace, &case.statement, &mut CellLie(exchange));
            let step = step_of(case.model(), &faults);
            assert_eq!(case.rejects_cells(exchange), step, "{a} and {b}");
            seen.push(case.model().shape.columns[a].kind == case.model().shape.columns[b].kind);
        }
        assert!(seen.contains(&true) && seen.contains(&false), "of one range and of two");
    }
}

#[test]
fn theta_must_not_be_known() {
    for gates in WAYS {
        let falsehood = for_known_theta(gates);
        let forger = Forger::new(falsehood.model(), falsehood.lie.clone(), &[Check::Theta]);
        let attempt = falsehood.attempt(&mut forger.clone());
        accepted_only_without(&[Check::Theta], &attempt, Step::Linear, "a pair with another pair's fingerprint");
        let attempt = falsehood.attempt(&mut forger.by_the_rules());
        assert_eq!(strict(&attempt), Err(Step::Linear.to_string()));
    }
}

#[test]
fn phi_must_not_be_known() {
    for gates in WAYS {
        let falsehood = for_known_phi(gates);
        let forger = Forger::new(falsehood.model(), falsehood.lie.clone(), &[Check::Phi]);
        let attempt = falsehood.attempt(&mut forger.clone());
        accepted_only_without(&[Check::Phi], &attempt, Step::Linear, "a multiple of a fingerprint of another tag");
        let attempt = falsehood.attempt(&mut forger.by_the_rules());
        assert_eq!(strict(&attempt), Err(Step::Linear.to_string()));
    }
}

/// The same where nothing reads the cell, so that no tuple of integers is needed: any row of another table will do.
#[test]
fn phi_must_not_be_known_for_unused_rows_either() {
    for gates in WAYS {
        for x in [0, 1, 30] {
            let case = quarters(gates, &PARTS);
            let (column, _) = place_of(case.model(), clamp_words(case.model()).2, 0, 0);
            let ratio = Fp::from(2) * Fp::from(LIMB_BITS).invert().expect("not zero");
            let known = Fp::from(zkonnx_tests::forgeries::KNOWN);
            let cell = ratio * (Fp::from(x) + known) - known;
            let mut falsehood = Falsehood::harmless(case, Lie { strays: vec![(column, 9, cell)], ..Lie::default() });
            falsehood.count((2, 0, 0), -Fp::ONE);
            let row = (LIMB_BITS, i64::try_from(x).expect("small"), 0);
            falsehood.count(row, ratio.invert().expect("not zero"));
            let forger = Forger::new(falsehood.model(), falsehood.lie.clone(), &[Check::Phi]);
            let attempt = falsehood.attempt(&mut forger.clone());
            accepted_only_without(&[Check::Phi], &attempt, Step::Linear, "an element of the field");
        }
    }
}

#[test]
fn theta_and_phi_must_not_both_be_known() {
    let checks = [Check::Theta, Check::Phi];
    for gates in WAYS {
        for (falsehood, what) in
            [(for_known_theta_and_phi(gates), "any row's multiplicity"), (poles(gates), "two poles")]
        {
            let forger = Forger::new(falsehood.model(), falsehood.lie.clone(), &checks);
            let attempt = falsehood.attempt(&mut forger.clone());
            accepted_only_without(&checks, &attempt, Step::Linear, what);
            for check in checks {
                let alone = falsehood.attempt(&mut Forger::new(falsehood.model(), falsehood.lie.clone(), &[check]));
                assert!(zkonnx_tests::forgeries::without(&[check], &alone).is_err(), "{what}, {check:?} alone");
            }
            let attempt = falsehood.attempt(&mut forger.by_the_rules());
            assert_eq!(strict(&attempt), Err(Step::Linear.to_string()), "{what}");
        }
    }
}

/// Where a challenge of the layers is known: the first layer, one in the middle, the last one that there is.
fn places(check: Check, layers: usize) -> Vec<(usize, usize)> {
    let last = layers - 1;
    match check {
        Check::LayerSigma => vec![(1, 0), (4, 2), (4, 3), (last, 0), (last, last - 1)],
        // What the last layer's values are about is the cells: only β hides there what is wrong.
        Check::Line => vec![(0, 0), (3, 0), (last, 0)],
        _ => vec![(0, 0), (3, 0), (last - 1, 0)],
    }
}

#[test]
fn no_challenge_of_the_layers_must_be_known() {
    for gates in WAYS {
        let falsehood = false_lookup(gates);
        let layers = Rounds::of(falsehood.model()).layers;
        for check in [Check::Lambda, Check::Line, Check::LayerSigma, Check::Omega] {
            for (layer, round) in places(check, layers) {
                let what = format!("{check:?} of layer {layer}, round {round}");
                let forger = Forger::new(falsehood.model(), falsehood.lie.clone(), &[check]).at(layer, round);
                let attempt = falsehood.attempt(&mut forger.clone());
                accepted_only_without(&[check], &attempt, Step::Linear, &what);
                let attempt = falsehood.attempt(&mut forger.by_the_rules());
                assert_eq!(strict(&attempt), Err(Step::Linear.to_string()), "{what}, by the rules");
            }
        }
    }
}

/// The commitment of a column has a part on `U`.
struct OnU {
    column: usize,
    is_gated: bool,
    by: Fp,
    u: EqAffine,
}

impl OnU {
    fn add(&self, point: &mut EqAffine) {
        use group::Curve as _;
        *point = (pasta_curves::Eq::from(*point) + self.u * self.by).to_affine();
    }
}

impl Deviation for OnU {
    fn free_point(&mut self, column: usize, point: &mut EqAffine) {
        if !self.is_gated && column == self.column {
            self.add(point);
        }
    }
    fn halo2_point(&mut self, index: usize, point: &mut EqAffine) {
        if self.is_gated && index == self.column {
            self.add(point);
        }
    }
}

#[test]
fn rejects_a_column_with_a_part_on_u() {
    for gates in WAYS {
        let case = quarters(gates, &PARTS);
        let shape = &case.model().shape;
        let u = EqAffine::from(case.sides.prover.generators.value);
        let all = 0..shape.columns.len() + shape.num_table_groups();
        let free = all.filter(|column| !shape.gated.contains(column)).map(|column| (column, false));
        let gated = (0..shape.gated.len()).map(|index| (index, true));
        for (column, is_gated) in free.chain(gated) {
            let mut lie = OnU { column, is_gated, by: Fp::from(7), u };
            let proof = case.prove(&case.statement, &mut lie);
            let step = if is_gated { Step::Halo2 } else { Step::Linear };
            assert_eq!(case.rejected_at(&case.statement, &proof), step, "column {column}");
        }
    }
}

/// Adds to cells beside the integers of all free columns.
struct Strays(Vec<(usize, usize, Fp)>);

impl Deviation for Strays {
    fn strays(&mut self, _: &CompiledModel) -> Vec<(usize, usize, Fp)> {
        self.0.clone()
    }
}

#[test]
fn accepts_anything_on_rows_that_nothing_reads() {
    for gates in WAYS {
        let case = quarters(gates, &PARTS);
        let shape = &case.model().shape;
        let value = |row: usize| Fp::from(77 + row as u64).invert().expect("not zero");
        let mut strays = Vec::new();
        // Rows that are not active: there are none where gates are relations.
        for column in shape.free_columns() {
            strays.extend((shape.num_active_rows()..shape.num_rows()).map(|row| (column, row, value(row))));
        }
        assert_eq!(strays.is_empty(), gates == Gates::Relations);
        // Multiplicities on rows without a table row.
        for group in 0..shape.num_table_groups() {
            let rows = shape.table_group(group).len()..shape.num_rows();
            strays.extend(rows.map(|row| (shape.columns.len() + group, row, value(row))));
        }
        assert!(!strays.is_empty());
        let proof = case.prove(&case.statement, &mut Strays(strays.clone()));
        verify(&case.sides.handle, &case.statement, &proof, None).expect("harmless");
        // One row further up is read.
        let column = shape.free_columns().next().expect("a free column");
        let last = shape.num_active_rows() - 1;
        for stray in [(column, last, Fp::ONE), (shape.columns.len(), 0, Fp::ONE)] {
            let proof = case.prove(&case.statement, &mut Strays(vec![stray]));
            assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear, "{stray:?}");
        }
        let proof = case.prove(&case.statement, &mut Honest);
        verify(&case.sides.handle, &case.statement, &proof, None).expect("honest");
    }
}
