//! Provers with a wrong witness: every wrong cell, weight or activation is rejected, and at the right place.
//!
//! The debug verifier, which sees the witness, names the place; the real one names the step.

use zkonnx_circuits::{
    gadgets::{clamp::ClampNode, max::MaxNode},
    lower::{Mode, Modes, NodeWords},
    words::{CellKind, Lane},
};
use zkonnx_prover::{
    deviation::{Deviation, Honest},
    keys::ProverModel,
    prove::prove_trace,
};
use zkonnx_quantize::{
    eval::{evaluate, Trace},
    graph::{Interval, Op, TensorId},
    model::QuantizedModel,
};
use zkonnx_tests::{
    debug_verifier::{Fault, Witness},
    graphs::{self, form, read, relu, with_weight, GraphBuilder},
    lies::{force, place_of, rejected_at, Case, CellLie},
    setup::Sides,
};
use zkonnx_verifier::{
    error::{Step, VerifyError},
    statement::Statement,
    verify::{public_values, verify},
};

/// What the debug verifier finds when `lie` changes the cells that belong to `trace`.
fn faults_of(case: &Case, trace: &Trace, statement: &Statement, lie: &mut dyn Deviation) -> Vec<Fault> {
    let mut cells = zkonnx_circuits::witness::assign(case.model(), trace);
    lie.cells(case.model(), &mut cells);
    let (inputs, outputs) = public_values(statement);
    let weights = &case.sides.prover.model.weights;
    Witness { model: case.model(), cells: &cells, weights, inputs: &inputs, outputs: &outputs }.faults()
}

/// Claims what `trace` says, with `lie`: the faults, and the step that rejects it, which must be that of the faults.
fn reject(case: &Case, trace: &Trace, lie: &mut dyn Deviation) -> Vec<Fault> {
    let statement = case.claim(trace);
    let faults = faults_of(case, trace, &statement, lie);
    let proof = prove_trace(&case.sides.prover, trace, &statement, lie).expect("a proof, if a wrong one");
    let expected = match faults.as_slice() {
        [] => panic!("the debug verifier sees nothing wrong"),
        faults if faults.iter().all(|f| matches!(f, Fault::Relation { .. })) => Step::Linear,
        _ => Step::Halo2,
    };
    assert_eq!(rejected_at(&case.sides, &statement, &proof), expected, "{faults:?}");
    faults
}

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

fn mlp() -> Case {
    let case = Case::public(graphs::mlp((10, 6, 3), 6, 4, 1), 2);
    case.is_sound();
    case
}

/// A trace in which the form of the first layer's `row` is off by `by`, and all that follows is consistent with it.
fn false_trace(case: &Case, row: usize, by: i64) -> Trace {
    let bias = 2;
    let model = with_weight(&case.sides.prover.model, bias, row, by);
    evaluate(&model, &case.trace.tensors[..1]).expect("the same inputs")
}

/// A neuron that is neither clamped nor next to it.
fn inner_neuron(case: &Case) -> usize {
    case.trace.tensors[1].iter().position(|y| (2..14).contains(y)).expect("a neuron inside the clamp")
}

#[test]
fn rejects_a_wrong_activation_with_all_later_layers_consistent() {
    let case = mlp();
    let row = inner_neuron(&case);
    let trace = false_trace(&case, row, 8);
    assert_eq!(trace.tensors[1][row], case.trace.tensors[1][row] + 1);
    let faults = reject(&case, &trace, &mut Honest);
    assert!(matches!(&faults[..], [Fault::Relation { relation: 0, element, .. }] if *element == row), "{faults:?}");
}

#[test]
fn rejects_wrong_weights() {
    for (model, param) in [
        (graphs::mlp((10, 6, 3), 6, 4, 1), 0),
        (graphs::mlp((10, 6, 3), 6, 4, 1), 1),
        (graphs::mlp((10, 6, 3), 6, 4, 1), 2),
        (graphs::mlp((40, 20, 6), 5, 4, 3), 0),
        (graphs::mlp((40, 20, 6), 5, 4, 3), 1),
        (graphs::lenet_like(6, 4, 5), 1),
        (graphs::lenet_like(6, 4, 5), 2),
    ] {
        for mode in [Mode::Public, Mode::Hidden] {
            let mut modes = Modes::public(&model.graph);
            modes.inputs.fill(mode);
            let handle = Sides::with_modes(model.clone(), modes.clone()).handle;
            // The thief's columns hold other weights; he claims the registered model's identity.
            let index = model.weights[param].iter().position(|w| *w == 0).unwrap_or(0);
            let stolen = with_weight(&model, param, index, 1);
            let mut prover =
                ProverModel::new(stolen, modes, zkonnx_tests::setup::params(model.layout.k)).expect("a model");
            assert_ne!(prover.id, handle.id(), "other weights are another model");
            prover.id = handle.id();
            let sides = Sides { prover, handle };
            let inputs: Vec<Vec<i64>> = GraphBuilder::random_inputs(&model, 4);
            let trace = evaluate(&sides.prover.model, &inputs).expect("inputs");
            let values = (inputs.as_slice(), trace.outputs.as_slice());
            let keys = &sides.prover.keys.compiled;
            let statement = Statement::new(&model.graph, &keys.modes, sides.handle.id(), values, Default::default());
            let proof = prove_trace(&sides.prover, &trace, &statement, &mut Honest).expect("a proof");
            assert_eq!(rejected_at(&sides, &statement, &proof), Step::Linear, "parameter {param}");
        }
    }
}

#[test]
fn rejects_a_remainder_out_of_range() {
    let case = mlp();
    let row = inner_neuron(&case);
    // q − 1 and r + 8: the relation holds, and all later layers.
    let trace = false_trace(&case, row, -8);
    let remainder = clamp_node(&case, 0).remainder.expect("a shift");
    let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
        let r = i64::try_from(cells.read(model, remainder, row)).expect("a remainder");
        force(model, cells, remainder, row, r + 8);
    });
    let faults = reject(&case, &trace, &mut lie);
    let (column, at) = place_of(case.model(), remainder, 0, row);
    assert!(
        matches!(&faults[..], [Fault::Range { column: c, row: r, value: 8.. }] if (*c, *r) == (column, at)),
        "{faults:?}"
    );
}

#[test]
fn rejects_a_wrong_limb_of_every_word() {
    let case = mlp();
    for word in 0..case.model().placement.words.len() {
        for limb in 0..case.model().placement.words[word].limbs.len() {
            let (column, row) = place_of(case.model(), zkonnx_circuits::words::WordId(word), limb, 1);
            for by in [1, -1] {
                let mut lie = CellLie(|_: &_, cells: &mut zkonnx_circuits::witness::Cells| {
                    cells.columns[column][row] += by;
                });
                reject(&case, &case.trace, &mut lie);
            }
        }
    }
}

struct Counts(fn(&mut Vec<Vec<u64>>));

impl Deviation for Counts {
    fn multiplicities(&mut self, counts: &mut Vec<Vec<u64>>) {
        (self.0)(counts);
    }
}

#[test]
fn rejects_multiplicities_that_are_off() {
    let case = mlp();
    for lie in [
        (|c| c[0][0] += 1) as fn(&mut Vec<Vec<u64>>),
        |c| c[0][0] -= 1,
        |c| *c[0].last_mut().expect("rows") += 1,
        |c| {
            // The same sum, on another tuple.
            c[0][0] -= 1;
            c[0][1] += 1;
        },
        |c| {
            // Moved to the table's padding, which repeats the first tuple: no lie at all, see below.
            c[0][0] -= 1;
            *c[0].last_mut().expect("rows") += 2;
        },
    ] {
        let proof = case.prove(&case.statement, &mut Counts(lie));
        assert_eq!(case.rejected_at(&case.statement, &proof), Step::Halo2);
    }
    // Padding holds the table's first tuple and nothing else (T1).
    let shape = &case.model().shape;
    let last = shape.num_active_rows() - 1;
    assert!(shape.table.len() <= last);
    let honest_elsewhere = Counts(|c| {
        c[0][0] -= 1;
        *c[0].last_mut().expect("rows") += 1;
    });
    let proof = case.prove(&case.statement, &mut { honest_elsewhere });
    let accepted = verify(&case.sides.handle, &case.statement, &proof, None);
    assert!(accepted.is_ok(), "the padding is the first tuple again");
}

#[test]
fn rejects_swapped_columns() {
    for case in [mlp(), Case::public(graphs::lenet_like(6, 4, 5), 6)] {
        let columns = &case.model().shape.columns;
        let mut swapped = 0;
        for a in 0..columns.len() {
            for b in a + 1..columns.len().min(a + 4) {
                let cells = case.cells();
                if cells.columns[a] == cells.columns[b] {
                    continue;
                }
                swapped += 1;
                let mut lie = CellLie(|_: &_, cells: &mut zkonnx_circuits::witness::Cells| cells.columns.swap(a, b));
                reject(&case, &case.trace, &mut lie);
                if swapped > 8 {
                    break;
                }
            }
        }
        assert!(swapped > 3);
    }
}

/// S4: the last active row is checked like every other one, and the row after it is read by nobody.
#[test]
fn rejects_a_cell_out_of_range_on_the_last_active_row() {
    // k = 4: ten active rows, ten elements in one limb.
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[10], 0, 15);
    let mut out = form(&[10]);
    out.terms.push(read(1, x, &[10]));
    b.output(out);
    let mut model = b.finish(4, 4);
    model.graph.outputs[0].form.bounds = Interval::new(0, 15);
    let mut modes = Modes::public(&model.graph);
    modes.inputs.fill(Mode::Hidden);
    let case = Case::with_inputs(model, modes, &[vec![3; 10]]);
    case.is_sound();
    let words = case.model().lowered.inputs[0].expect("a hidden input");
    for element in [9, 0] {
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            force(model, cells, words.value, element, 16 + 3);
        });
        let faults = reject(&case, &case.trace, &mut lie);
        let (column, row) = place_of(case.model(), words.value, 0, element);
        assert_eq!(row == case.model().shape.num_active_rows() - 1, element == 9);
        assert!(faults.contains(&Fault::Range { column, row, value: 19 }), "{faults:?}");
    }
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

#[test]
fn rejects_a_hidden_input_that_is_not_the_one_computed_with() {
    let model = graphs::mlp((10, 6, 3), 6, 4, 1);
    let mut modes = Modes::public(&model.graph);
    modes.inputs.fill(Mode::Hidden);
    let case = Case::new(model, modes, 3);
    case.is_sound();
    let words = case.model().lowered.inputs[0].expect("a hidden input");
    let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
        let value = i64::try_from(cells.read(model, words.value, 4)).expect("small");
        force(model, cells, words.value, 4, if value == 15 { 14 } else { value + 1 });
    });
    let faults = reject(&case, &case.trace, &mut lie);
    assert!(faults.iter().all(|f| matches!(f, Fault::Relation { relation: 0, .. })), "{faults:?}");
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

/// Two models with one circuit, and so one verifying key: the relations tell them apart.
#[test]
fn rejects_a_proof_for_another_model_with_the_same_circuit() {
    let with = |constant: i64| -> QuantizedModel {
        let mut b = GraphBuilder::new(1);
        let x = b.input(&[4], -20, 20);
        let mut a = form(&[4]);
        a.terms.push(read(1, x, &[4]));
        let y = b.node(a, 0, relu(Some(7)));
        let mut out = form(&[4]);
        out.terms.push(read(1, y, &[4]));
        out.constant = constant;
        b.output(out);
        b.finish(6, 4)
    };
    let case = |constant| {
        let model = with(constant);
        let modes = Modes::public(&model.graph);
        Case::with_inputs(model, modes, &[vec![1, 2, 3, 19]])
    };
    let (one, two) = (case(0), case(1));
    assert_eq!(one.sides.prover.keys.vk_digest, two.sides.prover.keys.vk_digest);
    let proof = one.prove(&one.statement, &mut Honest);
    let error = verify(&two.sides.handle, &one.statement, &proof, None);
    assert!(matches!(error, Err(VerifyError::UnknownModel { .. })));
    // The statement says model two, with the outputs of model one.
    let claim = Statement { model_id: two.sides.handle.id(), ..one.statement.clone() };
    let proof = one.prove(&claim, &mut Honest);
    assert_eq!(rejected_at(&two.sides, &claim, &proof), Step::Linear);
}
