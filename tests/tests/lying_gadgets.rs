//! Provers that assign a gadget wrongly: each lie is rejected by the gate or range that is there for it.
//!
//! The debug verifier, which sees the witness, names the place; the real one names the step.

use zkonnx_circuits::{
    gadgets::{clamp::ClampNode, max::MaxNode},
    lower::{Mode, Modes, NodeWords},
    words::{CellKind, Lane},
};
use zkonnx_prover::{deviation::Deviation, prove::prove_trace};
use zkonnx_quantize::graph::{Interval, Op, TensorId};
use zkonnx_tests::{
    debug_verifier::Fault,
    graphs::{self, form, read, GraphBuilder},
    lies::{faults_of, force, place_of, reject, rejected_at, Case, CellLie},
};
use zkonnx_verifier::error::Step;

fn clamp_node(case: &Case, node: usize) -> ClampNode {
    match &case.model().lowered.nodes[node] {
        NodeWords::Clamp(words) => words.clone(),
        other => panic!("a clamp, not {other:?}"),
    }
}

/// `y = op(x)` for a hidden or public input, `y` public.
fn unary(op: Op, bounds: Interval, values: &[i64], mode: Mode) -> Case {
    let mut b = GraphBuilder::new(1);
    let shape = [u32::try_from(values.len()).expect("few values")];
    let x = b.input(&shape, bounds.lo, bounds.hi);
    let mut a = form(&shape);
    a.terms.push(read(1, x, &shape));
    let outer: &[u32] = if matches!(op, Op::Max { .. }) { &[] } else { &shape };
    let has_under = matches!(op, Op::Clamp { under: true, .. });
    let y = b.node(a, 0, op);
    let mut out = form(outer);
    out.terms.push(read(1, y, outer));
    b.output(out);
    if has_under {
        let mut out = form(outer);
        out.terms.push(read(1, TensorId(y.0 + 1), outer));
        b.output(out);
    }
    let model = b.finish(6, 4);
    let mut modes = Modes::public(&model.graph);
    modes.inputs.fill(mode);
    let case = Case::with_inputs(model, modes, &[values.to_vec()]);
    case.is_sound();
    case
}

#[test]
fn rejects_clamps_with_wrong_parts() {
    let op = Op::Clamp { lo: Some(-10), hi: Some(20), under: false };
    let case = unary(op, Interval::new(-50, 50), &[5, -30, 45, -10, 20], Mode::Public);
    let clamp = clamp_node(&case, 0).clamp;
    let (under, over, complement) =
        (clamp.under.expect("v"), clamp.over.expect("w"), clamp.complement.expect("30 is no 2^b − 1"));
    // (element, y', v, w, polynomials that fail): the relation lo + y' − v + w = q holds for each.
    for (element, y, v, w, polynomials) in [
        (0, 15, 3, 3, vec![0, 1]), // v and w both nonzero
        (0, 18, 3, 0, vec![0]),    // y too large
        (0, 12, 0, 3, vec![1]),    // y too small
        (0, 0, 0, 15, vec![1]),    // saturated below
        (0, 30, 15, 0, vec![0]),   // saturated above
        (1, 1, 21, 0, vec![0]),    // below lo, but not at lo
        (2, 29, 0, 26, vec![1]),   // above hi, but not at hi
        (1, 30, 50, 0, vec![0]),   // at the wrong end
    ] {
        let mut trace = case.trace.clone();
        trace.tensors[1][element] = -10 + y;
        trace.outputs[0][element] = -10 + y;
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            for (word, value) in [(clamp.value, y), (under, v), (over, w), (complement, 30 - y)] {
                force(model, cells, word, element, value);
            }
        });
        let faults = reject(&case, &trace, &mut lie);
        let found: Vec<usize> = faults
            .iter()
            .map(|f| match f {
                Fault::Gate { kind: Lane::Clamp { .. }, polynomial, .. } => *polynomial,
                other => panic!("only gates, not {other:?}"),
            })
            .collect();
        assert_eq!(found, polynomials, "element {element}, y' = {y}");
    }
    // Below lo, with v = 0 and a negative y': only the range stops it.
    let mut trace = case.trace.clone();
    (trace.tensors[1][1], trace.outputs[0][1]) = (-30, -30);
    let claim = case.claim(&trace);
    let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
        for (word, value) in [(clamp.value, -20), (under, 0), (complement, 50)] {
            force(model, cells, word, 1, value);
        }
    });
    let faults = faults_of(&case, &trace, &claim, &mut lie);
    assert!(faults.iter().all(|f| matches!(f, Fault::Range { value: ..0, .. } | Fault::Range { value: 16.., .. })));
    // The output's bounds say the same before a proof is looked at.
    let proof = prove_trace(&case.sides.prover, &trace, &claim, &mut lie).expect("a proof");
    assert_eq!(rejected_at(&case.sides, &claim, &proof), Step::Statement);
}

#[test]
fn rejects_a_relu_with_its_parts_exchanged() {
    let op = Op::Clamp { lo: Some(0), hi: None, under: true };
    let case = unary(op, Interval::new(-20, 20), &[-7, 7, 0], Mode::Hidden);
    let clamp = clamp_node(&case, 0).clamp;
    let under = clamp.under.expect("v");
    for (element, y, v) in [(0, 7, 0), (1, 0, 7), (0, 0, 6), (0, 1, 8), (2, 1, 1), (1, 8, 1), (0, 0, 8)] {
        let mut trace = case.trace.clone();
        (trace.tensors[1][element], trace.outputs[0][element]) = (y, y);
        (trace.tensors[2][element], trace.outputs[1][element]) = (v, v);
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            force(model, cells, clamp.value, element, y);
            force(model, cells, under, element, v);
        });
        let faults = reject(&case, &trace, &mut lie);
        let holds = y - v == case.trace.forms[0][element];
        match &faults[..] {
            [Fault::Gate { kind: Lane::Clamp { .. }, polynomial: 0, .. }] => assert!(holds),
            [Fault::Relation { relation: 0, element: e, .. }] => assert!(!holds && *e == element),
            other => panic!("{other:?}"),
        }
    }
}

fn max_node(case: &Case) -> MaxNode {
    match &case.model().lowered.nodes[0] {
        NodeWords::Max(words) => words.clone(),
        other => panic!("a maximum, not {other:?}"),
    }
}

#[test]
fn rejects_wrong_maxima() {
    let values = [3, -8, 11, 2, 10, 4, -1, 0, 9];
    let case = unary(Op::Max { axes: 1, lo: None, hi: None }, Interval::new(-40, 40), &values, Mode::Hidden);
    let max = max_node(&case);
    let root = max.levels.last().expect("levels").differences[0].clone();
    // The maximum is 11; by one too large it bounds everything and is attained by nothing; by one too small it is
    // below an element.
    for by in [1, -1] {
        let mut trace = case.trace.clone();
        (trace.tensors[1][0], trace.outputs[0][0]) = (11 + by, 11 + by);
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            for word in root.iter().chain([&max.clamp.value]) {
                let value = i64::try_from(cells.read(model, *word, 0)).expect("small");
                force(model, cells, *word, 0, value + by);
            }
        });
        let faults = reject(&case, &trace, &mut lie);
        if by == 1 {
            assert!(matches!(&faults[..], [Fault::Gate { kind: Lane::ZeroProduct, .. }]), "{faults:?}");
        } else {
            assert!(faults.iter().any(|f| matches!(f, Fault::Range { value: ..0, .. })), "{faults:?}");
            assert!(!faults.iter().any(|f| matches!(f, Fault::Relation { .. })), "{faults:?}");
        }
    }
    // An inner maximum one too large, and the level above consistent with it.
    let inner = max.levels[0].maxima[0];
    let mut trace = case.trace.clone();
    (trace.tensors[1][0], trace.outputs[0][0]) = (12, 12);
    let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
        let others = root[1..].iter().chain([&max.clamp.value, &inner]).chain(&max.levels[0].differences[0]);
        for word in others.copied().collect::<Vec<_>>() {
            let value = i64::try_from(cells.read(model, word, 0)).expect("small");
            force(model, cells, word, 0, value + 1);
        }
    });
    let faults = reject(&case, &trace, &mut lie);
    assert!(matches!(&faults[..], [Fault::Gate { kind: Lane::ZeroProduct, .. }]), "{faults:?}");
}

#[test]
fn rejects_a_hidden_input_above_an_interval_that_is_no_power_of_two() {
    // [−3, 8] has width 11; 9 would be a = 12 of a four-bit limb.
    let op = Op::Clamp { lo: None, hi: None, under: false };
    let bounds = Interval::new(-3, 8);
    let case = unary(op, bounds, &[8, -3, 0], Mode::Hidden);
    let words = case.model().lowered.inputs[0].expect("a hidden input");
    let complement = words.complement.expect("11 is no 2^b − 1");
    let value = clamp_node(&case, 0).clamp.value;
    for (a, rest) in [(12, 0), (12, -1), (-1, 12), (-1, 11), (15, 0)] {
        let mut trace = case.trace.clone();
        trace.tensors[0][0] = a - 3;
        trace.forms[0][0] = a - 3;
        trace.tensors[1][0] = a - 3;
        trace.outputs[0][0] = a - 3;
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            force(model, cells, words.value, 0, a);
            force(model, cells, complement, 0, rest);
            force(model, cells, value, 0, a);
        });
        // The output bounds would show it at once: ask about the proof alone, with a hidden output.
        let faults = faults_of(&case, &trace, &case.claim(&trace), &mut lie);
        assert!(!faults.iter().any(|f| matches!(f, Fault::Relation { .. })), "{faults:?}");
        let stopped = faults.iter().any(|f| {
            matches!(f, Fault::Gate { kind: Lane::Interval { width: 11 }, .. } | Fault::Range { value: ..0, .. })
        });
        assert!(stopped, "{faults:?}");
        let step = case.rejects_cells(|model, cells| {
            force(model, cells, words.value, 0, a);
            force(model, cells, complement, 0, rest);
        });
        assert_eq!(step, Step::Halo2);
    }
}

fn softmax() -> Case {
    let case = Case::public(graphs::softmax_like(7, 5, 7), 8);
    case.is_sound();
    case
}

#[test]
fn rejects_pairs_that_are_in_no_table() {
    let case = softmax();
    let NodeWords::Table(table) = &case.model().lowered.nodes[1] else { panic!("a table") };
    let [argument, value] = [table.argument, table.value];
    let (column, row) = place_of(case.model(), argument, 0, 0);
    let cells = case.cells();
    let honest = (cells.read(case.model(), argument, 0), cells.read(case.model(), value, 0));
    // Another value; another argument; a pair of zeros; a pair outside; the tuple of the table's padding, (0, 0) of the
    // first range table.
    for pair in [(honest.0, honest.1 + 1), (0, 0), (24, 0), (25, 32), (-1, 0), (honest.0, -1)] {
        if pair == honest {
            continue;
        }
        let pair = (i64::try_from(pair.0).expect("small"), i64::try_from(pair.1).expect("small"));
        let entries = &case.model().graph.tables[0].entries;
        let floor = entries.iter().min().expect("entries");
        let is_row =
            usize::try_from(pair.0).ok().and_then(|x| entries.get(x)).is_some_and(|y| i64::from(y - floor) == pair.1);
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            force(model, cells, argument, 0, pair.0);
            force(model, cells, value, 0, pair.1);
        });
        let faults = reject(&case, &case.trace, &mut lie);
        assert_eq!(faults.contains(&Fault::Pair { column, row, pair }), !is_row, "{faults:?}");
    }
    // T1: no row of the table, padding included, is a tuple of zeros.
    let shape = &case.model().shape;
    for group in 0..shape.num_table_groups() {
        for row in 0..shape.num_active_rows() {
            let entry = shape.table_row(group, row);
            assert!(entry.tag != 0 && shape.table.contains(&entry));
        }
    }
    // A count on the padding does not make a pair of another table true.
    struct Padding(zkonnx_circuits::words::WordId, zkonnx_circuits::words::WordId);
    impl Deviation for Padding {
        fn cells(
            &mut self,
            model: &zkonnx_circuits::compiled::CompiledModel,
            cells: &mut zkonnx_circuits::witness::Cells,
        ) {
            force(model, cells, self.0, 0, 0);
            force(model, cells, self.1, 0, 0);
        }
        fn multiplicities(&mut self, counts: &mut Vec<Vec<u64>>) {
            *counts.last_mut().expect("a table").last_mut().expect("rows") += 1;
        }
    }
    let entries = &case.model().graph.tables[0].entries;
    if entries[0] == *entries.iter().min().expect("entries") {
        return; // (0, 0) is the exponential's own first pair.
    }
    let proof = case.prove(&case.statement, &mut Padding(argument, value));
    assert_eq!(case.rejected_at(&case.statement, &proof), Step::Halo2);
}

/// T2: quotient and remainder are unique because every cell but the numerator is range-checked.
#[test]
fn rejects_wrong_quotients() {
    let case = softmax();
    let NodeWords::Division(words) = case.model().lowered.nodes[2].clone() else { panic!("a division") };
    let cells = case.cells();
    let read = |word| i64::try_from(cells.read(case.model(), word, 0)).expect("small");
    let (x, q, r, rest) = (read(words.numerator), read(words.quotient), read(words.remainder), read(words.rest));
    let d = 1 + r + rest;
    assert_eq!(x, (words.q_lo + q) * d + r);
    // (x, q', r, r'): which kind of fault is the first.
    for (values, is_gate, is_range, is_relation) in [
        ((x, q + 1, r - d, rest + d), false, true, false), // r negative
        ((x, q - 1, r + d, rest - d), false, true, false), // r' negative
        ((x, q + 1, r, rest), true, false, false),         // the gate
        ((x + d, q + 1, r, rest), false, false, true),     // another numerator
        ((x, q, r + 1, rest - 1), true, false, false),     // another remainder
    ] {
        // Everything after the division is left as it was: the output's relation fails too when q is another.
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            let all = [words.numerator, words.quotient, words.remainder, words.rest];
            for (word, value) in all.into_iter().zip([values.0, values.1, values.2, values.3]) {
                force(model, cells, word, 0, value);
            }
        });
        let faults = reject(&case, &case.trace, &mut lie);
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
