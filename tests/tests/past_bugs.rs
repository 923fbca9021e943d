//! Every bug that was found leaves a test that names it.

use zkonnx_circuits::lower::{LowerError, Mode, Modes};
use zkonnx_prover::{error::ProveError, keys::ProverModel, prove::prove};
use zkonnx_quantize::{
    graph::{Form, Op, Operand, ParamId, Product, Source, TensorId},
    index::{Factor, IndexMap},
    model::QuantizedModel,
    scale::Scale,
    table::{Function, Table},
};
use zkonnx_tests::{
    forgeries::{with_gates, WAYS},
    graphs::{form, read, GraphBuilder},
    setup::{params, Sides},
};
use zkonnx_verifier::{error::RegisterError, statement::Context, verify::verify};

fn accepts(model: &QuantizedModel) {
    for (mode, gates) in [Mode::Public, Mode::Hidden].into_iter().flat_map(|mode| WAYS.map(|gates| (mode, gates))) {
        let mut modes = Modes::public(&model.graph);
        modes.inputs.fill(mode);
        let sides = Sides::with_modes(with_gates(model.clone(), gates), modes);
        let inputs = GraphBuilder::random_inputs(&sides.prover.model, 3);
        let (statement, proof) = prove(&sides.prover, &inputs, Context::default()).expect("a proof");
        verify(&sides.handle, &statement, &proof, None).unwrap_or_else(|e| panic!("inputs {mode:?}, {gates:?}: {e}"));
    }
}

fn contraction(shape: &[u32], summed: u32, left: (ParamId, Vec<Factor>), right: (TensorId, Vec<Factor>)) -> Form {
    let operand = |source, factors| Operand { source, sums: Vec::new(), map: IndexMap { base: 0, factors } };
    let mut form = form(shape);
    form.products.push(Product {
        coef: 1,
        summed: vec![summed],
        left: operand(Source::Param(left.0), left.1),
        right: operand(Source::Tensor(right.0), right.1),
    });
    form
}

/// A matrix longer than a column whose rows the other side reads too (a depthwise layer): its functional had χ of the rows
/// only, and not the sumcheck's point, so that honest proofs failed and another function could be proven.
#[test]
fn weights_whose_rows_are_a_batch_axis_are_pooled() {
    let mut b = GraphBuilder::new(1);
    let (x, w) = (b.input(&[8, 8], -5, 5), b.param(8, 8, 5));
    let both = vec![Factor::plain(0, 8, 8), Factor::plain(1, 8, 1)];
    b.output(contraction(&[8], 8, (w, both.clone()), (x, both)));
    accepts(&b.finish(5, 4));
}

/// A matrix longer than a column with two axes of its own: the second was lost where the input is public.
#[test]
fn weights_with_two_axes_of_their_own_are_pooled() {
    let mut b = GraphBuilder::new(1);
    let (x, w) = (b.input(&[5], -5, 5), b.param(8, 10, 5));
    let left = vec![Factor::plain(0, 8, 10), Factor::plain(1, 2, 5), Factor::plain(2, 5, 1)];
    b.output(contraction(&[8, 2], 5, (w, left), (x, vec![Factor::plain(2, 5, 1)])));
    accepts(&b.finish(5, 4));
}

/// `lo·2^shift` wrapped around in 64 bits, and the relation was about another `lo`.
#[test]
fn a_bound_times_the_shift_does_not_wrap_around() {
    for (op, table) in [
        (Op::Clamp { lo: Some(1 << 50), hi: None, under: false }, 0),
        (Op::Clamp { lo: None, hi: Some(-1 << 50), under: false }, 0),
        (Op::Max { axes: 1, lo: Some(1 << 50), hi: None }, 0),
        (Op::Table { table: 0 }, 1_i64 << 40),
    ] {
        let mut b = GraphBuilder::new(1);
        let x = b.input(&[3], -5, 5);
        b.graph.tables.push(Table {
            function: Function::Custom,
            input_scale: Scale::ONE,
            output_scale: Scale::ONE,
            lo: table,
            entries: vec![1, 2],
        });
        let mut a = form(&[3]);
        a.terms.push(read(1 << 45, x, &[3]));
        let shape: &[u32] = if matches!(op, Op::Max { .. }) { &[] } else { &[3] };
        let y = b.node(a, 40, op);
        let mut out = form(shape);
        out.terms.push(read(1, y, shape));
        b.output(out);
        let model = b.finish(6, 8);
        let modes = Modes::public(&model.graph);
        let refused = ProverModel::new(model, modes, params(6));
        assert!(
            matches!(refused, Err(ProveError::Model(RegisterError::Lower(LowerError::TooWide)))),
            "a constant that wraps around is refused"
        );
    }
}

/// Circuits without words, and relations without a hidden side, are still proven.
#[test]
fn models_without_gadgets_are_proven() {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[3], -5, 5);
    let mut linear = form(&[3]);
    linear.terms.push(read(3, x, &[3]));
    b.output(linear);
    let mut square = form(&[3]);
    let side = Operand { source: Source::Tensor(x), sums: Vec::new(), map: IndexMap::identity(&[3], 0) };
    square.products.push(Product { coef: 1, summed: Vec::new(), left: side.clone(), right: side });
    b.output(square);
    accepts(&b.finish(5, 4));
}

/// Unused rows of a table held `(0, 0)`, which is in the table only if its first entry is its smallest.
#[test]
fn unused_rows_of_a_table_hold_a_pair_of_the_table() {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[3], -2, 2);
    b.graph.tables.push(Table {
        function: Function::Custom,
        input_scale: Scale::ONE,
        output_scale: Scale::ONE,
        lo: -2,
        entries: vec![9, 1, 0, 1, 9],
    });
    let mut a = form(&[3]);
    a.terms.push(read(1, x, &[3]));
    let y = b.node(a, 0, Op::Table { table: 0 });
    let mut out = form(&[3]);
    out.terms.push(read(1, y, &[3]));
    b.output(out);
    accepts(&b.finish(5, 4));
}
