//! The mock prover with the slots of the relations and the lookups beside it, and graphs of one gadget.
//!
//! The mock prover is asked with the gates of the halo2 circuit. The slots of the relations are evaluated on the same cells, and must
//! say the same; lookups, which are in neither, are checked against the table's rows.

use halo2_proofs::dev::{MockProver, VerifyFailure};
use pasta_curves::Fp;
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};
use zkonnx_circuits::{
    compiled::CompiledModel,
    field::from_i64,
    halo2::circuit::{with_shape, ModelCircuit},
    lower::{Mode, Modes},
    slots::RowForm,
    table_rows::TableRow,
    witness::{assign, multiplicities, Cells},
    words::{CellKind, WordId},
};
use zkonnx_quantize::{
    eval::evaluate,
    graph::{Form, Graph, Input, Interval, Node, Op, Output, Source, TensorId, Term},
    index::IndexMap,
    model::{Gates, LayoutChoice, QuantizedModel, WeightPrivacy},
    scale::Scale,
    table::Table,
};

/// What an assignment can violate.
pub(crate) const PRODUCT: &str = "product";
pub(crate) const LINEAR: &str = "linear";
pub(crate) const LOOKUP: &str = "lookup";

/// The gates that the mock prover finds violated.
fn mocked(model: &CompiledModel, cells: &Cells) -> BTreeSet<String> {
    let column = |column: &usize| cells.columns[*column].iter().map(|v| from_i64(*v)).collect();
    let advice: Vec<Vec<Fp>> = model.shape.gated.iter().map(column).collect();
    let circuit = ModelCircuit { shape: &model.shape, advice: Some(&advice) };
    let run = || MockProver::run(model.shape.k, &circuit, Vec::new());
    let failures = match with_shape(&model.shape, run).expect("a circuit that fits").verify() {
        Ok(()) => Vec::new(),
        Err(failures) => failures,
    };
    let name = |failure| match failure {
        VerifyFailure::ConstraintNotSatisfied { constraint, .. } => {
            // "Constraint 0 in gate 3 ('product')": the name is between the first quotes.
            constraint.to_string().split('\'').nth(1).unwrap_or_default().to_owned()
        }
        other => panic!("not a violated gate: {other}"),
    };
    failures.into_iter().map(name).collect()
}

/// The gates that the slots of the relations find violated, row by row.
fn evaluated(model: &CompiledModel, cells: &Cells) -> BTreeSet<String> {
    let value = |form: &RowForm, row: usize| {
        let terms = form.terms.iter().map(|(column, coef)| from_i64(*coef) * from_i64(cells.columns[*column][row]));
        terms.fold(from_i64(form.constant), |sum, term| sum + term)
    };
    let mut failed = BTreeSet::new();
    for row in 0..model.shape.num_active_rows() {
        for slot in &model.shape.slots.products {
            if value(&slot.a, row) * value(&slot.b, row) != value(&slot.c, row) {
                failed.insert(PRODUCT.to_owned());
            }
        }
        if model.shape.slots.linear.iter().any(|form| value(form, row) != Fp::zero()) {
            failed.insert(LINEAR.to_owned());
        }
    }
    failed
}

/// What an assignment violates; empty when it is accepted.
pub(crate) fn verify(model: &CompiledModel, cells: &Cells) -> BTreeSet<String> {
    let mut failed = evaluated(model, cells);
    if model.shape.has_halo2() {
        assert_eq!(mocked(model, cells), failed, "the two ways of proving gates");
    }
    let table: HashSet<TableRow> = model.shape.table.iter().copied().collect();
    for lookup in &model.shape.slots.lookups {
        let y = |row: usize| lookup.y.map_or(0, |y| cells.columns[y][row]);
        let mut tuples = (0..model.shape.num_active_rows()).map(|row| (cells.columns[lookup.x][row], y(row)));
        if tuples.any(|(x, y)| !table.contains(&TableRow { tag: lookup.tag, x, y })) {
            failed.insert(LOOKUP.to_owned());
        }
    }
    failed
}

pub(crate) fn only(what: &str) -> BTreeSet<String> {
    BTreeSet::from([what.to_owned()])
}

pub(crate) fn read(coef: i64, source: u32, len: u32) -> Term {
    Term { coef, source: Source::Tensor(TensorId(source)), sums: Vec::new(), map: IndexMap::identity(&[len], 0) }
}

/// The graph `y = op(x >> shift)` with `x` in `bounds`, laid out for `len` elements.
pub(crate) fn unary(op: Op, shift: u8, bounds: Interval, len: u32, tables: Vec<Table>) -> QuantizedModel {
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
    let layout = LayoutChoice { k: 6, limb_bits: 4, gates: Gates::Halo2 };
    QuantizedModel { graph, weights: Vec::new(), layout, privacy: WeightPrivacy::Public }
}

pub(crate) fn compile(model: &QuantizedModel, input: Mode) -> CompiledModel {
    let mut modes = Modes::public(&model.graph);
    modes.inputs.fill(input);
    CompiledModel::new(Arc::new(model.graph.clone()), modes, model.layout).expect("a circuit")
}

/// The honest cells for one input.
pub(crate) fn honest(quantized: &QuantizedModel, model: &CompiledModel, x: &[i64]) -> Cells {
    assign(model, &evaluate(quantized, &[x.to_vec()]).expect("inputs as declared"))
}

/// Writes to the limb `limb` of a word's element.
pub(crate) fn cell<'a>(
    model: &CompiledModel,
    cells: &'a mut Cells,
    word: WordId,
    limb: usize,
    element: usize,
) -> &'a mut i64 {
    let rows = model.shape.num_active_rows();
    let place = &model.placement.words[word.0].places[limb];
    let position = place.start + element;
    &mut cells.columns[place.columns[position / rows]][position % rows]
}

/// Every tuple that is looked up is counted once, on rows of tables and nowhere else.
pub(crate) fn counts_every_lookup(model: &CompiledModel, cells: &Cells) {
    let counts = multiplicities(&model.shape, &cells.columns);
    let lengths: Vec<usize> = (0..counts.len()).map(|group| model.shape.table_group(group).len()).collect();
    assert_eq!(counts.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
    assert_eq!(lengths.iter().sum::<usize>(), model.shape.table.len());
    let lookups = model.shape.slots.lookups.len() * model.shape.num_active_rows();
    assert_eq!(usize::try_from(counts.concat().iter().sum::<i64>()), Ok(lookups));
}

/// Accepts all inputs, in blocks of the graph's length.
pub(crate) fn accepts_all(quantized: &QuantizedModel, values: impl Iterator<Item = i64>) {
    let len = quantized.graph.inputs[0].shape[0] as usize;
    let lo = quantized.graph.inputs[0].bounds.lo;
    let values: Vec<i64> = values.collect();
    for (input, gates) in [(Mode::Public, Gates::Halo2), (Mode::Hidden, Gates::Halo2), (Mode::Hidden, Gates::Relations)]
    {
        let mut quantized = quantized.clone();
        quantized.layout.gates = gates;
        let model = compile(&quantized, input);
        for block in values.chunks(len) {
            let mut x = block.to_vec();
            x.resize(len, lo);
            let cells = honest(&quantized, &model, &x);
            assert_eq!(verify(&model, &cells), BTreeSet::new(), "{x:?}");
            counts_every_lookup(&model, &cells);
        }
    }
}

/// Every cell of every word out of its range by one on either side: `−1`, and `2^bits` of its limb.
pub(crate) fn refuses_cells_out_of_range(quantized: &QuantizedModel, x: &[i64]) {
    let model = compile(quantized, Mode::Hidden);
    let cells = honest(quantized, &model, x);
    for (w, word) in model.placement.words.iter().enumerate() {
        for (l, limb) in word.limbs.iter().enumerate() {
            let CellKind::Range { bits } = limb.kind else { continue };
            for outside in [-1, 1 << bits, i64::MAX, i64::MIN + 1] {
                let mut cells = cells.clone();
                *cell(&model, &mut cells, WordId(w), l, 0) = outside;
                let failed = verify(&model, &cells);
                assert!(failed.contains(LOOKUP), "word {w}, limb {l}, {outside}: {failed:?}");
            }
        }
    }
}
