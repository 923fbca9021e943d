//! Provers that assign a gadget wrongly: each lie is rejected by the gate or range that is there for it.
//!
//! The debug verifier, which sees the witness, names the place; the real one names the step. Every lie is told in both ways of proving gates.

use zkonnx_circuits::{
    compiled::CompiledModel,
    gadgets::clamp::ClampNode,
    lower::{Mode, Modes, NodeWords},
    witness::Cells,
    words::Lane,
};
use zkonnx_prover::prove::prove_trace;
use zkonnx_quantize::graph::{Interval, Op, TensorId};
use zkonnx_tests::{
    debug_verifier::Fault,
    graphs::{form, read, GraphBuilder},
    lies::{faults_of, force, place_of, reject, rejected_at, Case, CellLie},
    setup::both_ways,
};
use zkonnx_verifier::{error::Step, verify::verify};

fn clamp_node(case: &Case, node: usize) -> ClampNode {
    match &case.model().lowered.nodes[node] {
        NodeWords::Clamp(words) => words.clone(),
        other => panic!("a clamp, not {other:?}"),
    }
}

/// `y = op(x)` for a hidden or public input, with gates proven in either way.
fn unary_with(op: Op, bounds: Interval, values: &[i64], (input, output): (Mode, Mode)) -> [Case; 2] {
    let mut b = GraphBuilder::new(1);
    let shape = [u32::try_from(values.len()).expect("few values")];
    let x = b.input(&shape, bounds.lo, bounds.hi);
    let mut a = form(&shape);
    a.terms.push(read(1, x, &shape));
    let has_under = matches!(op, Op::Clamp { under: true, .. });
    let y = b.node(a, 0, op);
    let mut out = form(&shape);
    out.terms.push(read(1, y, &shape));
    b.output(out);
    if has_under {
        let mut out = form(&shape);
        out.terms.push(read(1, TensorId(y.0 + 1), &shape));
        b.output(out);
    }
    both_ways(&b.finish(6, 4)).map(|model| {
        let mut modes = Modes::public(&model.graph);
        modes.inputs.fill(input);
        modes.outputs.fill(output);
        let case = Case::with_inputs(model, modes, &[values.to_vec()]);
        case.is_sound();
        case
    })
}

/// The same with `y` public.
fn unary(op: Op, bounds: Interval, values: &[i64], input: Mode) -> [Case; 2] {
    unary_with(op, bounds, values, (input, Mode::Public))
}

#[test]
fn rejects_clamps_with_wrong_parts() {
    let op = Op::Clamp { lo: Some(-10), hi: Some(20), under: false };
    unary(op, Interval::new(-50, 50), &[5, -30, 45, -10, 20], Mode::Public).iter().for_each(rejects_clamps);
}

fn rejects_clamps(case: &Case) {
    let clamp = clamp_node(case, 0).clamp;
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
        let mut lie = CellLie(|model: &_, cells: &mut Cells| {
            for (word, value) in [(clamp.value, y), (under, v), (over, w), (complement, 30 - y)] {
                force(model, cells, word, element, value);
            }
        });
        let faults = reject(case, &trace, &mut lie);
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
    let mut lie = CellLie(|model: &_, cells: &mut Cells| {
        for (word, value) in [(clamp.value, -20), (under, 0), (complement, 50)] {
            force(model, cells, word, 1, value);
        }
    });
    let faults = faults_of(case, &trace, &claim, &mut lie);
    assert!(faults.iter().all(|f| matches!(f, Fault::Range { value: ..0, .. } | Fault::Range { value: 16.., .. })));
    // The output's bounds say the same before a proof is looked at.
    let proof = prove_trace(&case.sides.prover, &trace, &claim, &mut lie).expect("a proof");
    assert_eq!(rejected_at(&case.sides, &claim, &proof), Step::Statement);
}

/// `y' = D + 1` passes both products where `w` is zero: the linear gate stops it, and the range of `y''` what would pass that.
#[test]
fn rejects_a_clamp_that_is_one_above_its_bound() {
    let op = Op::Clamp { lo: Some(-10), hi: Some(20), under: false };
    for case in unary_with(op, Interval::new(-50, 50), &[5, 21], (Mode::Public, Mode::Hidden)) {
        let clamp = clamp_node(&case, 0).clamp;
        let (over, complement) = (clamp.over.expect("w"), clamp.complement.expect("30 is no 2^b − 1"));
        for rest in [0, 1, -1] {
            let mut trace = case.trace.clone();
            (trace.tensors[1][1], trace.outputs[0][1]) = (21, 21);
            let mut lie = CellLie(|model: &_, cells: &mut Cells| {
                for (word, value) in [(clamp.value, 31), (over, 0), (complement, rest)] {
                    force(model, cells, word, 1, value);
                }
            });
            let faults = reject(&case, &trace, &mut lie);
            match &faults[..] {
                [Fault::Gate { kind: Lane::Clamp { .. }, polynomial: 2, .. }] => assert!(rest >= 0),
                [Fault::Range { value: ..0, .. }] => assert_eq!(rest, -1),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A clamp of many elements on a narrow range is looked up: another pair is in no table, and a pair of another argument is another input.
#[test]
fn rejects_a_clamp_by_lookup_with_another_value() {
    let op = Op::Clamp { lo: Some(-10), hi: Some(20), under: false };
    let values: Vec<i64> = (-30..=40).collect();
    for case in unary_with(op, Interval::new(-30, 40), &values, (Mode::Public, Mode::Hidden)) {
        let clamp = clamp_node(&case, 0).clamp;
        let excess = clamp.lookup.expect("as many elements as arguments").excess;
        assert!(clamp.under.is_none() && clamp.over.is_none() && clamp.complement.is_none());
        let at = |value: i64| values.iter().position(|v| *v == value).expect("a value");
        // Argument, and what is claimed to be added to it; whether the pair is in the table.
        for (value, argument, added, is_pair) in [
            (5, 5, 1, false),     // within the bounds, and moved
            (-30, -30, 0, false), // not clamped
            (40, 40, 0, false),
            (-11, -11, 0, false),
            (21, 21, -2, false),
            (5, 5, -15, false), // clamped without need
            (20, 21, -1, true), // the right value, of another argument
            (5, 6, 0, true),
            (5, 41, -36, false), // beyond the table
            (5, -31, 36, false),
        ] {
            let element = at(value);
            let mut trace = case.trace.clone();
            (trace.tensors[1][element], trace.outputs[0][element]) = (argument + added, argument + added);
            let mut lie = CellLie(|model: &_, cells: &mut Cells| {
                force(model, cells, clamp.value, element, argument + 30);
                force(model, cells, excess, element, added);
            });
            match &reject(&case, &trace, &mut lie)[..] {
                [Fault::Pair { pair, .. }] => assert!(!is_pair && argument == value && *pair == (argument + 30, added)),
                [Fault::Pair { .. }, Fault::Relation { relation: 0, element: e, .. }] => {
                    assert!(!is_pair && argument != value && *e == element);
                }
                [Fault::Relation { relation: 0, element: e, .. }] => assert!(is_pair && *e == element),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Gates hold on all rows. A row that no element uses may hold any valid assignment, and nothing reads it.
#[test]
fn unused_rows_hold_gates_and_nothing_else() {
    let op = Op::Clamp { lo: Some(-10), hi: Some(20), under: false };
    for case in unary(op, Interval::new(-50, 50), &[5, 21], Mode::Public) {
        let clamp = clamp_node(&case, 0).clamp;
        let words = [clamp.value, clamp.under.expect("v"), clamp.over.expect("w"), clamp.complement.expect("y''")];
        let last = case.model().shape.num_active_rows() - 1;
        // Limbs of four bits: `y'` and `y''` have two.
        let write = |values: [i64; 4]| {
            CellLie(move |model: &CompiledModel, cells: &mut Cells| {
                for (word, value) in words.iter().zip(values) {
                    let (column, row) = place_of(model, *word, 0, 0);
                    assert_eq!(row, 0);
                    cells.columns[column][last] = value & 15;
                    let (column, _) = place_of(model, *word, 1, 0);
                    cells.columns[column][last] = value >> 4;
                }
            })
        };
        for values in [[14, 0, 0, 16], [0, 9, 0, 30], [30, 0, 9, 0]] {
            let mut other = write(values);
            assert_eq!(faults_of(&case, &case.trace, &case.statement, &mut other), []);
            let proof = case.prove(&case.statement, &mut other);
            verify(&case.sides.handle, &case.statement, &proof, None).expect("a valid row that nothing reads");
        }
        for values in [[1, 1, 0, 29], [0, 0, 1, 30], [0, 0, 0, 29]] {
            let faults = reject(&case, &case.trace, &mut write(values));
            assert!(faults.iter().all(|f| matches!(f, Fault::Gate { row, .. } if *row == last)), "{faults:?}");
        }
    }
}

#[test]
fn rejects_a_relu_with_its_parts_exchanged() {
    let op = Op::Clamp { lo: Some(0), hi: None, under: true };
    unary(op, Interval::new(-20, 20), &[-7, 7, 0], Mode::Hidden).iter().for_each(rejects_relus);
}

fn rejects_relus(case: &Case) {
    let clamp = clamp_node(case, 0).clamp;
    let under = clamp.under.expect("v");
    for (element, y, v) in [(0, 7, 0), (1, 0, 7), (0, 0, 6), (0, 1, 8), (2, 1, 1), (1, 8, 1), (0, 0, 8)] {
        let mut trace = case.trace.clone();
        (trace.tensors[1][element], trace.outputs[0][element]) = (y, y);
        (trace.tensors[2][element], trace.outputs[1][element]) = (v, v);
        let mut lie = CellLie(|model: &_, cells: &mut Cells| {
            force(model, cells, clamp.value, element, y);
            force(model, cells, under, element, v);
        });
        let faults = reject(case, &trace, &mut lie);
        let holds = y - v == case.trace.forms[0][element];
        match &faults[..] {
            [Fault::Gate { kind: Lane::Clamp { .. }, polynomial: 0, .. }] => assert!(holds),
            [Fault::Relation { relation: 0, element: e, .. }] => assert!(!holds && *e == element),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rejects_a_hidden_input_above_an_interval_that_is_no_power_of_two() {
    // [−3, 8] has width 11; 9 would be a = 12 of a four-bit limb.
    let op = Op::Clamp { lo: None, hi: None, under: false };
    let bounds = Interval::new(-3, 8);
    unary(op, bounds, &[8, -3, 0], Mode::Hidden).iter().for_each(rejects_beyond_eight);
}

fn rejects_beyond_eight(case: &Case) {
    let words = case.model().lowered.inputs[0].expect("a hidden input");
    let complement = words.complement.expect("11 is no 2^b − 1");
    let value = clamp_node(case, 0).clamp.value;
    for (a, rest) in [(12, 0), (12, -1), (-1, 12), (-1, 11), (15, 0)] {
        let mut trace = case.trace.clone();
        trace.tensors[0][0] = a - 3;
        trace.forms[0][0] = a - 3;
        trace.tensors[1][0] = a - 3;
        trace.outputs[0][0] = a - 3;
        let mut lie = CellLie(|model: &_, cells: &mut Cells| {
            force(model, cells, words.value, 0, a);
            force(model, cells, complement, 0, rest);
            force(model, cells, value, 0, a);
        });
        // The output bounds would show it at once: ask about the proof alone, with a hidden output.
        let faults = faults_of(case, &trace, &case.claim(&trace), &mut lie);
        assert!(!faults.iter().any(|f| matches!(f, Fault::Relation { .. })), "{faults:?}");
        let stopped = faults.iter().any(|f| {
            matches!(f, Fault::Gate { kind: Lane::Interval { width: 11 }, .. } | Fault::Range { value: ..0, .. })
        });
        assert!(stopped, "{faults:?}");
        let mut lie = CellLie(|model: &_, cells: &mut Cells| {
            force(model, cells, words.value, 0, a);
            force(model, cells, complement, 0, rest);
        });
        reject(case, &case.trace, &mut lie);
    }
}
