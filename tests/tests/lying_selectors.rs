//! Provers that assign maxima, tables and divisions wrongly: each lie is rejected by the gate, range, table or sum that is there for it.
//!
//! The debug verifier, which sees the witness, names the place; the real one names the step. Every lie is told in both ways of proving gates.

use ff::Field;
use pasta_curves::Fp;
use zkonnx_circuits::{
    compiled::CompiledModel,
    field::from_i64,
    gadgets::{division::DivisionNode, max::MaxNode},
    lower::{Mode, Modes, NodeWords},
    witness::Cells,
    words::{CellKind, Lane, WordId},
};
use zkonnx_prover::{deviation::Deviation, prove::prove_trace};
use zkonnx_quantize::{eval::Trace, graph::Op};
use zkonnx_tests::{
    debug_verifier::Fault,
    graphs::{self, form, read, GraphBuilder},
    lies::{force, place_of, reject, step_of, Case, CellLie},
    setup::both_ways,
};
use zkonnx_verifier::{error::Step, verify::verify};

fn max_node(case: &Case) -> MaxNode {
    match &case.model().lowered.nodes[0] {
        NodeWords::Max(words) => words.clone(),
        other => panic!("a maximum, not {other:?}"),
    }
}

/// Claims another maximum, with differences that fit it and these selectors: integers, and field elements beside them.
struct Maximum {
    node: MaxNode,
    by: i64,
    selectors: Vec<i64>,
    beside: Vec<Fp>,
}

impl Deviation for Maximum {
    fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {
        let move_by = |cells: &mut Cells, word, element| {
            let value = i64::try_from(cells.read(model, word, element)).expect("small");
            force(model, cells, word, element, value + self.by);
        };
        move_by(cells, self.node.clamp.value, 0);
        for (element, selector) in self.selectors.iter().enumerate() {
            move_by(cells, self.node.difference, element);
            force(model, cells, self.node.selector, element, *selector);
        }
    }
    fn strays(&mut self, model: &CompiledModel) -> Vec<(usize, usize, Fp)> {
        let beside = self.beside.iter().enumerate();
        let stray = |(element, value): (usize, &Fp)| {
            let (column, row) = place_of(model, self.node.selector, 0, element);
            (column, row, *value)
        };
        beside.map(stray).collect()
    }
}

fn maximum(values: &[i64]) -> [Case; 2] {
    let mut b = GraphBuilder::new(1);
    let shape = [u32::try_from(values.len()).expect("few values")];
    let x = b.input(&shape, -40, 40);
    let mut window = form(&shape);
    window.terms.push(read(1, x, &shape));
    let y = b.node(window, 0, Op::Max { axes: 1, lo: None, hi: None });
    let mut out = form(&[]);
    out.terms.push(read(1, y, &[]));
    b.output(out);
    both_ways(&b.finish(6, 4)).map(|model| {
        let modes = Modes { inputs: vec![Mode::Hidden], outputs: vec![Mode::Public] };
        let case = Case::with_inputs(model, modes, &[values.to_vec()]);
        case.is_sound();
        case
    })
}

/// The trace that claims the true maximum and `by` more.
fn moved(case: &Case, by: i64) -> Trace {
    let mut trace = case.trace.clone();
    trace.tensors[1][0] += by;
    trace.outputs[0][0] += by;
    trace
}

#[test]
fn rejects_wrong_maxima() {
    for case in maximum(&[3, -8, 11, 2, 10, 4, -1, 0, 9]) {
        let selectors = |chosen: &[(usize, i64)]| {
            let mut selectors = vec![0; 9];
            chosen.iter().for_each(|(element, value)| selectors[*element] = *value);
            selectors
        };
        // The maximum is 11. One too large, it bounds everything and is attained by nothing, whatever is selected; one too small, it is
        // below an element.
        for (by, chosen) in [
            (1, vec![(2, 1)]),
            (1, vec![(4, 1)]),
            (1, vec![(2, 2), (4, -1)]),
            (1, vec![]),
            (-1, vec![(2, 1)]),
            (-1, vec![(4, 1)]),
            (-2, vec![(8, 1)]),
            (0, vec![]),
            (0, vec![(2, 2)]),
            (0, vec![(2, 1), (0, 1)]),
        ] {
            let mut lie = Maximum { node: max_node(&case), by, selectors: selectors(&chosen), beside: Vec::new() };
            let faults = reject(&case, &moved(&case, by), &mut lie);
            let has = |pick: fn(&Fault) -> bool| faults.iter().any(pick);
            let sum: i64 = chosen.iter().map(|(_, value)| value).sum();
            let values = &case.trace.tensors[0];
            let gates = chosen.iter().any(|(element, _)| values[*element] != 11 + by);
            assert_eq!(
                has(|f| matches!(f, Fault::Gate { kind: Lane::Select, .. })),
                gates,
                "{by} {chosen:?}: {faults:?}"
            );
            assert_eq!(has(|f| matches!(f, Fault::Range { value: ..0, .. })), by < 0, "{by} {chosen:?}: {faults:?}");
            let is_sum = |f: &Fault| matches!(f, Fault::Relation { name, .. } if name.ends_with("one is selected"));
            assert_eq!(faults.iter().any(is_sum), sum != 1, "{by} {chosen:?}: {faults:?}");
            assert!(faults.iter().all(|f| is_sum(f) || !matches!(f, Fault::Relation { .. })), "{faults:?}");
        }
    }
}

/// Selectors have no range. Over the field `Σ b·d = 0` and `Σ b = 1` have solutions without any `d` that is zero: each product must vanish.
#[test]
fn rejects_selectors_that_are_no_integers() {
    let half = Fp::from(2).invert().expect("not zero");
    for case in maximum(&[7, 9, 5]) {
        let node = max_node(&case);
        // A maximum of 10: d = (3, 1, 5).
        let beside = vec![-half, Fp::ONE + half, Fp::ZERO];
        let differences = [3, 1, 5].map(Fp::from);
        assert_eq!(beside.iter().zip(differences).map(|(b, d)| *b * d).sum::<Fp>(), Fp::ZERO);
        let trace = moved(&case, 1);
        let statement = case.claim(&trace);
        let mut lie = Maximum { node, by: 1, selectors: vec![0; 3], beside };
        let proof = prove_trace(&case.sides.prover, &trace, &statement, &mut lie).expect("a proof");
        let step = if case.model().shape.has_halo2() { Step::Halo2 } else { Step::Linear };
        assert_eq!(case.rejected_at(&statement, &proof), step);
    }
}

/// At a tie selectors may be anything with sum one: nothing reads them, and the maximum is the true one.
#[test]
fn selectors_at_a_tie_are_free() {
    let half = Fp::from(2).invert().expect("not zero");
    for case in maximum(&[9, 9, 5]) {
        for (selectors, beside) in
            [(vec![5, -4, 0], Vec::new()), (vec![0, 1, 0], Vec::new()), (vec![0; 3], vec![half, half])]
        {
            let mut lie = Maximum { node: max_node(&case), by: 0, selectors, beside };
            let proof = case.prove(&case.statement, &mut lie);
            verify(&case.sides.handle, &case.statement, &proof, None).expect("a true statement");
        }
    }
}

fn softmax() -> [Case; 2] {
    both_ways(&graphs::softmax_like(7, 5, 7)).map(|model| {
        let case = Case::public(model, 8);
        case.is_sound();
        case
    })
}

#[test]
fn rejects_pairs_that_are_in_no_table() {
    softmax().iter().for_each(rejects_pairs);
}

fn rejects_pairs(case: &Case) {
    let NodeWords::Table(table) = &case.model().lowered.nodes[1] else { panic!("a table") };
    let [argument, value] = [table.argument, table.value];
    let (column, row) = place_of(case.model(), argument, 0, 0);
    let cells = case.cells();
    let honest = [argument, value].map(|word| i64::try_from(cells.read(case.model(), word, 0)).expect("small"));
    let entries = &case.model().graph.tables[0].entries;
    let floor = entries.iter().min().expect("entries");
    // Another value; another argument; a pair of zeros, which is in every table of a range; a pair outside.
    for pair in [[honest[0], honest[1] + 1], [0, 0], [24, 0], [25, 32], [-1, 0], [honest[0], -1]] {
        if pair == honest {
            continue;
        }
        let entry = usize::try_from(pair[0]).ok().and_then(|x| entries.get(x));
        let is_row = entry.is_some_and(|y| i64::from(y - floor) == pair[1]);
        let mut lie = Pair { words: [argument, value], pair, counted: None };
        let faults = reject(case, &case.trace, &mut lie);
        assert_eq!(faults.contains(&Fault::Pair { column, row, pair: pair.into() }), !is_row, "{faults:?}");
        // Counting it as a row of another table does not make it one of its own.
        lie.counted = Some(0);
        let proof = case.prove(&case.statement, &mut lie);
        assert_eq!(case.rejected_at(&case.statement, &proof), step_of(case.model(), &faults));
    }
}

/// A pair in the first element, counted at a row of the tables.
struct Pair {
    words: [WordId; 2],
    pair: [i64; 2],
    counted: Option<usize>,
}

impl Deviation for Pair {
    fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {
        for (word, value) in self.words.iter().zip(self.pair) {
            force(model, cells, *word, 0, value);
        }
    }
    fn multiplicities(&mut self, counts: &mut Vec<Vec<i64>>) {
        if let Some(row) = self.counted {
            counts[0][row] += 1;
        }
    }
}

/// `x, q', r, r'` of an element.
fn division_parts(case: &Case, words: &DivisionNode, element: usize) -> [i64; 4] {
    let cells = case.cells();
    let all = [words.numerator, words.quotient, words.remainder, words.rest];
    all.map(|word| i64::try_from(cells.read(case.model(), word, element)).expect("small"))
}

/// T2: quotient and remainder are unique because every cell but the numerator is range-checked.
#[test]
fn rejects_wrong_quotients() {
    softmax().iter().for_each(rejects_quotients);
}

fn rejects_quotients(case: &Case) {
    let NodeWords::Division(words) = case.model().lowered.nodes[2].clone() else { panic!("a division") };
    let parts = |element: usize| division_parts(case, &words, element);
    let is_general = |[_, q, r, rest]: [i64; 4]| q > 0 && r > 0 && rest > 0 && r != rest;
    let element = (0..9).find(|element| is_general(parts(*element))).expect("an element whose parts are all different");
    let [x, q, r, rest] = parts(element);
    let d = 1 + r + rest;
    assert_eq!(x, (words.q_lo + q) * d + r);
    // (x, q', r, r'): which kind of fault is the first.
    for (values, is_gate, is_range, is_relation) in [
        ((x, q + 1, r - d, rest + d), false, true, false), // r negative
        ((x, q - 1, r + d, rest - d), false, true, false), // r' negative
        ((x, q + 1, r, rest), true, false, false),         // the gate
        ((x, q - 1, r, rest), true, false, false),         // the gate
        ((x + d, q + 1, r, rest), false, false, true),     // another numerator
        ((x, q, r + 1, rest - 1), true, false, false),     // another remainder
        ((x, q, rest, r), true, false, false),             // the two exchanged
    ] {
        // Everything after the division is left as it was: the output's relation fails too when q is another.
        let mut lie = CellLie(|model: &_, cells: &mut Cells| {
            let all = [words.numerator, words.quotient, words.remainder, words.rest];
            for (word, value) in all.into_iter().zip([values.0, values.1, values.2, values.3]) {
                force(model, cells, word, element, value);
            }
        });
        let faults = reject(case, &case.trace, &mut lie);
        let has = |pick: fn(&Fault) -> bool| faults.iter().any(pick);
        assert_eq!(has(|f| matches!(f, Fault::Gate { kind: Lane::Division { .. }, .. })), is_gate, "{faults:?}");
        assert_eq!(has(|f| matches!(f, Fault::Range { .. })), is_range, "{faults:?}");
        let node = &case.model().graph.nodes[2].name;
        let own = faults.iter().any(|f| matches!(f, Fault::Relation { name, .. } if name == node));
        assert_eq!(own, is_relation, "{faults:?}");
    }
    // No cell of the lane but the numerator is free of a range.
    for word in [words.quotient, words.remainder, words.rest] {
        let limbs = &case.model().placement.words[word.0].limbs;
        assert!(limbs.iter().all(|l| matches!(l.kind, CellKind::Range { .. })));
    }
}

/// The quotient in the field, with no remainder: gate and relations hold, and only the lookup of the quotient stops it.
#[test]
fn rejects_the_quotient_of_the_field() {
    for model in both_ways(&graphs::softmax_like(7, 5, 7)) {
        // Nothing reads the quotient beside its gadget.
        let case = Case::new(model, Modes { inputs: vec![Mode::Public], outputs: vec![Mode::Hidden] }, 8);
        case.is_sound();
        let NodeWords::Division(words) = case.model().lowered.nodes[2].clone() else { panic!("a division") };
        let [x, q, r, rest] = division_parts(&case, &words, 0);
        let d = 1 + r + rest;
        let quotient = from_i64(x) * from_i64(d).invert().expect("not zero") - from_i64(words.q_lo);
        let (column, row) = place_of(case.model(), words.quotient, 0, 0);
        let field = [(words.quotient, 0), (words.remainder, 0), (words.rest, d - 1)];
        let honest = [(words.quotient, q), (words.remainder, r), (words.rest, rest)];
        for (parts, stray, is_true) in [(field, quotient, false), (honest, Fp::ZERO, true)] {
            let mut lie = FieldQuotient { parts, stray: (column, row, stray) };
            let proof = case.prove(&case.statement, &mut lie);
            match is_true {
                true => drop(verify(&case.sides.handle, &case.statement, &proof, None).expect("no lie")),
                false => assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear),
            }
        }
    }
}

/// Words of the first element, and a field element beside them.
struct FieldQuotient {
    parts: [(WordId, i64); 3],
    stray: (usize, usize, Fp),
}

impl Deviation for FieldQuotient {
    fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {
        for (word, value) in self.parts {
            force(model, cells, word, 0, value);
        }
    }
    fn strays(&mut self, _: &CompiledModel) -> Vec<(usize, usize, Fp)> {
        vec![self.stray]
    }
}
