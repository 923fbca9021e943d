//! What may be quantised: limits bound what a stranger's file costs a verifier, not the size of a layer.

use zkonnx_quantize::{
    bounds::{parameter_free_bounds, tight_bounds},
    eval::evaluate,
    graph::{Form, Graph, Input, Interval, Node, Op, Operand, Output, Product, Source, TensorId, Term},
    index::{Factor, IndexMap},
    model::{Gates, LayoutChoice, QuantizedModel, WeightPrivacy},
    scale::Scale,
    validate::{validate_graph, ModelError, Problem},
};

fn form(shape: &[u32], terms: Vec<Term>, products: Vec<Product>, bounds: Interval) -> Form {
    Form { shape: shape.to_vec(), terms, products, constant: 0, bounds }
}

fn term(coef: i64, tensor: u32, sums: &[u32], factors: Vec<Factor>) -> Term {
    let map = IndexMap { base: 0, factors };
    Term { coef, source: Source::Tensor(TensorId(tensor)), sums: sums.to_vec(), map }
}

fn input(shape: &[u32]) -> Input {
    Input { name: "x".into(), shape: shape.to_vec(), bounds: Interval::new(-128, 127), scale: Scale::ONE }
}

fn model(input: Input, nodes: Vec<Node>, output: Form) -> QuantizedModel {
    let output = Output { name: "y".into(), shape: output.shape.clone(), form: output, scale: Scale::ONE };
    QuantizedModel {
        graph: Graph { inputs: vec![input], nodes, outputs: vec![output], ..Graph::default() },
        weights: vec![],
        layout: LayoutChoice { k: 10, limb_bits: 8, gates: Gates::Relations },
        privacy: WeightPrivacy::Public,
    }
}

fn values(count: u32) -> Vec<i64> {
    (0..count).map(|i| i64::from(i.wrapping_mul(2_654_435_761) >> 24) - 128).collect()
}

#[test]
fn a_maximum_may_run_over_a_second_of_audio() {
    const SAMPLES: u32 = 53_148;
    let bounds = Interval::new(-128, 127);
    let whole = form(&[SAMPLES], vec![term(1, 0, &[], vec![Factor::plain(0, SAMPLES, 1)])], vec![], bounds);
    let op = Op::Max { axes: 1, lo: None, hi: None };
    let node = Node { name: "max".into(), form: whole, shift: 0, op, scale: Scale::ONE };
    let model = model(input(&[SAMPLES]), vec![node], form(&[1], vec![term(1, 1, &[], vec![])], vec![], bounds));
    validate_graph(&model.graph).expect("a long window");
    let mut x = values(SAMPLES);
    x.iter_mut().for_each(|v| *v = (*v).min(100));
    x[40_000] = 113;
    assert_eq!(evaluate(&model, &[x]).expect("an input").outputs, [[113]]);
}

/// `x − mean(x)` over rows of 768, for 512 rows: 302 million visits, of 393,216 different elements.
#[test]
fn a_mean_that_every_element_of_a_row_reads_counts_once() {
    let (rows, width) = (512, 768);
    let own = term(768, 0, &[], vec![Factor::plain(0, rows, width), Factor::plain(1, width, 1)]);
    let mean = term(-1, 0, &[width], vec![Factor::plain(0, rows, width), Factor::plain(2, width, 1)]);
    let bounds = Interval::new(768 * -255, 768 * 255);
    let centred = form(&[rows, width], vec![own, mean], vec![], bounds);
    assert_eq!(
        tight_bounds(&centred, &model(input(&[rows, width]), vec![], centred.clone()).graph.tensors(), &[], &[]),
        Some(bounds)
    );
    let model = model(input(&[rows, width]), vec![], centred);
    validate_graph(&model.graph).expect("a mean");
    let x = values(rows * width);
    let out = evaluate(&model, std::slice::from_ref(&x)).expect("an input").outputs.remove(0);
    for (x, out) in x.chunks(768).zip(out.chunks(768)) {
        let sum: i64 = x.iter().sum();
        assert!(x.iter().zip(out).all(|(x, y)| 768 * x - sum == *y));
    }
}

/// A convolution of 4 billion multiply-accumulates in one node.
#[test]
fn a_layer_may_have_billions_of_multiply_accumulates() {
    let (rows, cols, inner) = (1 << 11, 1 << 11, 1 << 10);
    let side = |axis, offset: u32| Operand {
        source: Source::Tensor(TensorId(0)),
        sums: vec![],
        map: IndexMap { base: offset, factors: vec![Factor::plain(axis, rows, inner), Factor::plain(2, inner, 1)] },
    };
    let product = Product { coef: 1, summed: vec![inner], left: side(0, 0), right: side(1, 0) };
    let most = 128 * 128 * i64::from(inner);
    let own = form(&[rows, cols], vec![], vec![product], Interval::new(-127 * 128 * i64::from(inner), most));
    validate_graph(&model(input(&[rows, inner]), vec![], own).graph).expect("a large product");
}

/// Terms that may read outside, each along another axis: checking their bounds would enumerate all pairs, with all sums.
#[test]
fn what_a_verifier_would_enumerate_is_limited() {
    let size = 1 << 12;
    let along = |axis: u8| term(1, 0, &[1 << 7], vec![Factor::affine(&[(axis, 1), (2, 1)], -1, size, 1)]);
    let own = form(&[size, size], vec![along(0), along(1)], vec![], Interval::new(-(1 << 20), 1 << 20));
    let refused = validate_graph(&model(input(&[size]), vec![], own.clone()).graph);
    let Err(ModelError { problem: Problem::TooLarge { what, actual, .. }, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(what, "the work of reading all maps");
    assert!(actual >= 2 << (12 + 12 + 7), "{actual}");
    // With fewer elements it is what it was.
    let along = |axis: u8| term(1, 0, &[4], vec![Factor::affine(&[(axis, 1), (2, 1)], -1, 8, 1)]);
    let own = form(&[8, 8], vec![along(0), along(1)], vec![], Interval::new(-1024, 1016));
    let graph = model(input(&[8]), vec![], own.clone()).graph;
    assert_eq!(parameter_free_bounds(&own, &graph.tensors()), tight_bounds(&own, &graph.tensors(), &[], &[]));
    validate_graph(&graph).expect("small");
}
