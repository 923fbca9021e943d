//! Gadgets under the mock prover: every honest assignment inside the range is accepted, the first value outside is
//! refused, and a lie in every advice cell of a row, phase 2 included, is refused by the gate that is there for it.

use ff::Field;
use halo2_proofs::dev::{MockProver, VerifyFailure};
use pasta_curves::Fp;
use std::{collections::BTreeSet, sync::Arc};
use zkonnx_circuits::{
    circuit::{with_shape, Assignment, ModelCircuit},
    compiled::CompiledModel,
    lower::{Mode, Modes, NodeWords},
    witness::{assign, complete, Cells},
    words::WordId,
};
use zkonnx_quantize::{
    eval::evaluate,
    graph::{Form, Graph, Input, Interval, Node, Op, Output, Source, TensorId, Term},
    index::IndexMap,
    model::{Gates, LayoutChoice, QuantizedModel, WeightPrivacy},
    scale::Scale,
    table::{Function, Table},
};

const PHI: u64 = 0x1234_5678_9abc_def1;
const THETA: u64 = 0x0fed_cba9_8765_4321;

/// The gates that an assignment violates, by name; empty when it is accepted.
fn failures(model: &CompiledModel, assignment: &Assignment) -> BTreeSet<String> {
    let (phi, theta) = (Fp::from(PHI).square(), Fp::from(THETA).square());
    let circuit = ModelCircuit { shape: &model.shape, assignment: Some(assignment) };
    let instance = vec![vec![phi, theta]];
    let prover =
        with_shape(&model.shape, || MockProver::run(model.shape.k, &circuit, instance)).expect("a circuit that fits");
    match prover.verify() {
        Ok(()) => BTreeSet::new(),
        Err(failures) => failures
            .into_iter()
            .map(|failure| match failure {
                VerifyFailure::ConstraintNotSatisfied { constraint, .. } => {
                    // "Constraint 0 in gate 3 ('gadget')": the name is between the first quotes.
                    constraint.to_string().split('\'').nth(1).unwrap_or_default().to_owned()
                }
                other => panic!("not a violated gate: {other}"),
            })
            .collect(),
    }
}

fn completed(model: &CompiledModel, cells: &Cells) -> Assignment {
    let (phi, theta) = (Fp::from(PHI).square(), Fp::from(THETA).square());
    complete(&model.shape, cells.columns.clone(), phi, theta).expect("no fingerprint vanishes")
}

fn verify(model: &CompiledModel, cells: &Cells) -> BTreeSet<String> {
    failures(model, &completed(model, cells))
}

fn read(coef: i64, source: u32, len: u32) -> Term {
    Term { coef, source: Source::Tensor(TensorId(source)), sums: Vec::new(), map: IndexMap::identity(&[len], 0) }
}

/// The graph `y = op(x >> shift)` with `x` in `bounds`, laid out for `len` elements.
fn unary(op: Op, shift: u8, bounds: Interval, len: u32, tables: Vec<Table>) -> QuantizedModel {
    let form = |shape: &[u32], terms: Vec<Term>, bounds| Form {
        shape: shape.to_vec(),
        terms,
        products: Vec::new(),
        constant: 0,
        bounds,
    };
    let outer: &[u32] = if matches!(op, Op::Max { .. }) { &[] } else { &[len] };
    let mut graph = Graph {
        tables,
        inputs: vec![Input { name: "x".into(), shape: vec![len], bounds, scale: Scale::ONE }],
        nodes: vec![Node {
            name: "y".into(),
            form: form(&[len], vec![read(1, 0, len)], bounds),
            shift,
            op,
            scale: Scale::ONE,
        }],
        ..Graph::default()
    };
    let y = graph.tensors()[1].bounds;
    let map = IndexMap::identity(outer, 0);
    let term = Term { coef: 1, source: Source::Tensor(TensorId(1)), sums: Vec::new(), map };
    graph.outputs.push(Output {
        name: "out".into(),
        shape: outer.to_vec(),
        form: form(outer, vec![term], y),
        scale: Scale::ONE,
    });
    zkonnx_quantize::validate::validate_graph(&graph).expect("a valid graph");
    let layout = LayoutChoice { k: 6, limb_bits: 4, gates: Gates::Relations };
    QuantizedModel { graph, weights: Vec::new(), layout, privacy: WeightPrivacy::Public }
}

fn compile(model: &QuantizedModel, input: Mode) -> CompiledModel {
    let mut modes = Modes::public(&model.graph);
    modes.inputs.fill(input);
    CompiledModel::new(Arc::new(model.graph.clone()), modes, model.layout).expect("a circuit")
}

/// The honest cells for one input.
fn honest(quantized: &QuantizedModel, model: &CompiledModel, x: &[i64]) -> Cells {
    assign(model, &evaluate(quantized, &[x.to_vec()]).expect("inputs as declared"))
}

/// Writes to the limb `limb` of a word's element.
fn cell<'a>(model: &CompiledModel, cells: &'a mut Cells, word: WordId, limb: usize, element: usize) -> &'a mut i64 {
    let rows = model.shape.num_active_rows();
    let place = &model.placement.words[word.0].places[limb];
    let position = place.start + element;
    &mut cells.columns[place.columns[position / rows]][position % rows]
}

/// Accepts all inputs, in blocks of the graph's length.
fn accepts_all(quantized: &QuantizedModel, values: impl Iterator<Item = i64>) {
    let len = quantized.graph.inputs[0].shape[0] as usize;
    let lo = quantized.graph.inputs[0].bounds.lo;
    let values: Vec<i64> = values.collect();
    for input in [Mode::Public, Mode::Hidden] {
        let model = compile(quantized, input);
        for block in values.chunks(len) {
            let mut x = block.to_vec();
            x.resize(len, lo);
            assert_eq!(verify(&model, &honest(quantized, &model, &x)), BTreeSet::new(), "{x:?}");
        }
    }
}

/// Every cell of every word out of its range by one on either side: `−1`, and `2^bits` of its limb.
fn refuses_cells_out_of_range(quantized: &QuantizedModel, x: &[i64]) {
    let model = compile(quantized, Mode::Hidden);
    let cells = honest(quantized, &model, x);
    for (w, word) in model.placement.words.iter().enumerate() {
        for (l, limb) in word.limbs.iter().enumerate() {
            let zkonnx_circuits::words::CellKind::Range { bits } = limb.kind else { continue };
            for outside in [-1, 1 << bits, i64::MAX, i64::MIN + 1] {
                let mut cells = cells.clone();
                *cell(&model, &mut cells, WordId(w), l, 0) = outside;
                let failed = verify(&model, &cells);
                assert!(failed.contains("ends at zero"), "word {w}, limb {l}, {outside}: {failed:?}");
            }
        }
    }
}

fn clamp(lo: Option<i64>, hi: Option<i64>) -> Op {
    Op::Clamp { lo, hi, under: false }
}

#[test]
fn words_and_requantisation() {
    for shift in [1, 3, 6] {
        let quantized = unary(clamp(None, None), shift, Interval::new(-70, 90), 40, Vec::new());
        accepts_all(&quantized, -70..=90);
        refuses_cells_out_of_range(&quantized, &[17; 40]);
    }
}

#[test]
fn intervals() {
    for (lo, hi) in [(-3, 8), (0, 15), (0, 0), (-100, 155), (7, 8)] {
        let quantized = unary(clamp(None, None), 0, Interval::new(lo, hi), 40, Vec::new());
        accepts_all(&quantized, lo..=hi);
        let model = compile(&quantized, Mode::Hidden);
        let words = model.lowered.inputs[0].expect("a hidden input");
        let cells = honest(&quantized, &model, &[hi; 40]);
        // hi + 1, with the complement as it is.
        let mut wrong = cells.clone();
        *cell(&model, &mut wrong, words.value, 0, 0) += 1;
        let failed = verify(&model, &wrong);
        match words.complement {
            None => assert_eq!(failed, BTreeSet::from(["ends at zero".to_owned()])),
            Some(complement) => {
                assert!(failed.contains("gadget"), "{failed:?}");
                // And with the complement that fits the gate.
                *cell(&model, &mut wrong, complement, 0, 0) -= 1;
                assert_eq!(verify(&model, &wrong), BTreeSet::from(["ends at zero".to_owned()]));
            }
        }
    }
}

#[test]
fn clamps() {
    for (lo, hi) in [
        (Some(0), None),
        (None, Some(9)),
        (Some(-10), Some(20)),
        (Some(0), Some(15)),
        (Some(3), Some(4)),
        (Some(-80), Some(100)),
        (Some(60), None),
        (None, Some(-60)),
    ] {
        for shift in [0, 2] {
            let quantized = unary(clamp(lo, hi), shift, Interval::new(-50, 50), 40, Vec::new());
            accepts_all(&quantized, -50..=50);
            refuses_cells_out_of_range(&quantized, &[1; 40]);
        }
    }
}

/// All assignments of `y', v, w` up to a size: those that pass the gates are the honest ones.
#[test]
fn a_two_sided_clamp_has_no_other_assignment() {
    let quantized = unary(clamp(Some(-1), Some(2)), 0, Interval::new(-6, 6), 1, Vec::new());
    let model = compile(&quantized, Mode::Public);
    let NodeWords::Clamp(node) = &model.lowered.nodes[0] else { panic!("a clamp") };
    let words = &node.clamp;
    let honest: BTreeSet<(i64, i64, i64)> =
        (-6..=9).map(|q| words.assign(q)).map(|a| (a.value, a.under, a.over)).collect();
    let (under, over) = (words.under.expect("v"), words.over.expect("w"));
    for y in 0..=4 {
        for v in 0..=3 {
            for w in 0..=3 {
                let mut cells = Cells::unused(&model);
                *cell(&model, &mut cells, words.value, 0, 0) = y;
                *cell(&model, &mut cells, under, 0, 0) = v;
                *cell(&model, &mut cells, over, 0, 0) = w;
                let accepted = verify(&model, &cells).is_empty();
                assert_eq!(accepted, y <= 3 && honest.contains(&(y, v, w)), "{:?}", (y, v, w));
            }
        }
    }
}

#[test]
fn maxima() {
    for window in [1_u32, 2, 4, 5, 9, 17] {
        let quantized = unary(Op::Max { axes: 1, lo: None, hi: None }, 0, Interval::new(-20, 20), window, Vec::new());
        let model = compile(&quantized, Mode::Hidden);
        let window = i64::from(window);
        for seed in 0..8 {
            let x: Vec<i64> = (0..window).map(|i| (i * 7 + seed * 11) % 41 - 20).collect();
            assert_eq!(verify(&model, &honest(&quantized, &model, &x)), BTreeSet::new(), "{x:?}");
        }
        for x in [-20, 20].map(|v| (0..window).map(|_| v).collect::<Vec<i64>>()) {
            let cells = honest(&quantized, &model, &x);
            assert_eq!(verify(&model, &cells), BTreeSet::new());
            // No difference is zero any more.
            let NodeWords::Max(node) = &model.lowered.nodes[0] else { panic!("a maximum") };
            for level in &node.levels {
                for group in &level.differences {
                    let mut wrong = cells.clone();
                    for word in group {
                        *cell(&model, &mut wrong, *word, 0, 0) += 1;
                    }
                    assert_eq!(verify(&model, &wrong), BTreeSet::from(["gadget".to_owned()]));
                }
            }
        }
    }
}

#[test]
fn tables_with_saturation() {
    let table = |lo: i64| Table {
        function: Function::Custom,
        input_scale: Scale::ONE,
        output_scale: Scale::ONE,
        lo,
        entries: vec![5, -3, 7, 7, 0, 2, 11],
    };
    // Below and above; below; above; neither; only one entry is reached.
    for (lo, bounds) in [(-3, (-20, 20)), (-3, (-20, 2)), (-3, (-3, 20)), (-3, (-3, 3)), (-30, (0, 5))] {
        let quantized = unary(Op::Table { table: 0 }, 0, Interval::new(bounds.0, bounds.1), 20, vec![table(lo)]);
        accepts_all(&quantized, bounds.0..=bounds.1);
    }
    let quantized = unary(Op::Table { table: 0 }, 0, Interval::new(-20, 20), 20, vec![table(-3)]);
    let model = compile(&quantized, Mode::Public);
    let cells = honest(&quantized, &model, &[0; 20]);
    let NodeWords::Table(node) = &model.lowered.nodes[0] else { panic!("a table") };
    let pairs: BTreeSet<(i64, i64)> = (0..).zip([8, 0, 10, 10, 3, 5, 14]).collect();
    for x in -1..=8 {
        for y in -1..=15 {
            let mut wrong = cells.clone();
            *cell(&model, &mut wrong, node.argument, 0, 0) = x;
            *cell(&model, &mut wrong, node.value, 0, 0) = y;
            let failed = verify(&model, &wrong);
            assert_eq!(!failed.contains("ends at zero"), pairs.contains(&(x, y)), "{:?}", (x, y));
        }
    }
    // x' at neither end, and v or w not zero.
    for word in [node.under.expect("v"), node.over.expect("w")] {
        let mut wrong = cells.clone();
        *cell(&model, &mut wrong, word, 0, 0) += 1;
        assert_eq!(verify(&model, &wrong), BTreeSet::from(["gadget".to_owned()]));
    }
}

#[test]
fn divisions() {
    let denominator = |len: u32| Form {
        shape: vec![len],
        terms: vec![read(1, 0, len)],
        products: Vec::new(),
        constant: 26,
        bounds: Interval::new(1, 51),
    };
    let quantized = unary(Op::Div { denominator: denominator(20) }, 0, Interval::new(-25, 25), 20, Vec::new());
    accepts_all(&quantized, -25..=25);
    refuses_cells_out_of_range(&quantized, &[11; 20]);
    let model = compile(&quantized, Mode::Public);
    let cells = honest(&quantized, &model, &[11; 20]);
    let NodeWords::Division(words) = &model.lowered.nodes[0] else { panic!("a division") };
    for word in [words.numerator, words.quotient, words.remainder] {
        for by in [1, -1] {
            let mut wrong = cells.clone();
            let value = cell(&model, &mut wrong, word, 0, 0);
            *value += by;
            if *value < 0 && word != words.numerator {
                continue;
            }
            assert_eq!(verify(&model, &wrong), BTreeSet::from(["gadget".to_owned()]), "{word:?}");
        }
    }
}

/// Every advice cell of phase 2, and every multiplicity, on the first, second and last active rows and in the middle.
#[test]
fn refuses_a_lie_in_every_phase_two_cell() {
    let table = Table {
        function: Function::Custom,
        input_scale: Scale::ONE,
        output_scale: Scale::ONE,
        lo: -3,
        entries: vec![5, -3, 7],
    };
    let quantized = unary(Op::Table { table: 0 }, 2, Interval::new(-20, 20), 20, vec![table]);
    let model = compile(&quantized, Mode::Hidden);
    let honest = completed(&model, &honest(&quantized, &model, &[4; 20]));
    assert_eq!(failures(&model, &honest), BTreeSet::new());
    let last = model.shape.num_active_rows() - 1;
    for row in [0, 1, last / 2, last - 1, last] {
        for g in 0..honest.phase2.helpers.len() {
            let mut wrong = honest.clone();
            wrong.phase2.helpers[g][row] += Fp::ONE;
            let failed = failures(&model, &wrong);
            assert!(
                failed.contains("lookups") && failed.contains(if row == last { "ends at zero" } else { "adds up" }),
                "row {row}: {failed:?}"
            );
        }
        for g in 0..honest.multiplicities.len() {
            let mut wrong = honest.clone();
            wrong.phase2.table_helpers[g][row] += Fp::ONE;
            let failed = failures(&model, &wrong);
            assert!(
                failed.contains("table") && failed.contains(if row == last { "ends at zero" } else { "adds up" }),
                "row {row}: {failed:?}"
            );
            let mut wrong = honest.clone();
            wrong.multiplicities[g][row] += 1;
            assert_eq!(failures(&model, &wrong), BTreeSet::from(["table".to_owned()]), "row {row}");
        }
        let mut wrong = honest.clone();
        wrong.phase2.sum[row] += Fp::ONE;
        let failed = failures(&model, &wrong);
        let expected = ["starts at zero", "adds up", "ends at zero"];
        assert!(!failed.is_empty() && failed.iter().all(|name| expected.contains(&name.as_str())), "{row}: {failed:?}");
    }
    for (phi, theta) in [(Fp::ONE, Fp::ZERO), (Fp::ZERO, Fp::ONE)] {
        let mut wrong = honest.clone();
        wrong.phase2.phi += phi;
        wrong.phase2.theta += theta;
        assert!(failures(&model, &wrong).iter().any(|name| name.ends_with("is the instance")));
    }
}
