//! What a reading of the code with fresh eyes has found: one test for each finding.

use group::{Curve, GroupEncoding};
use pasta_curves::{Eq, EqAffine};
use std::sync::Arc;
use zkonnx_circuits::{
    compiled::CompiledModel,
    lower::{LowerError, Modes, NodeWords},
    work::{verification_work, MAX_VERIFICATION_WORK},
};
use zkonnx_prover::{generators::Generators, keys::ParamColumns, prove::prove};
use zkonnx_quantize::{
    bounds::{parameter_free_bounds, tight_bounds},
    graph::{Form, Graph, Input, Interval, Node, Op, Operand, Output, Product, Source, TensorId, Term},
    index::{Factor, IndexMap},
    integers::Integers,
    model::{Gates, LayoutChoice, WeightPrivacy},
    scale::Scale,
    table::{Function, Table},
    validate::{validate_graph, Problem},
};
use zkonnx_tests::{
    graphs::{self, form, read, GraphBuilder},
    setup::{params, Sides},
};
use zkonnx_verifier::{
    error::{RegisterError, Step, VerifyError},
    registry::{Registry, WeightStatus},
    statement::Context,
    verify::{public_values, verify},
    zkv::{DeclaredWeights, VerifierModel},
};

fn input(name: &str, lo: i64, hi: i64) -> Input {
    Input { name: name.into(), shape: vec![1], bounds: Interval::new(lo, hi), scale: Scale::ONE }
}

fn output(form: Form) -> Output {
    Output { name: "y".into(), shape: form.shape.clone(), form, scale: Scale::ONE }
}

#[test]
fn bounds_without_parameters_are_checked_when_a_graph_is() {
    // x in [0, 100], clamped at 60, with bounds that say it never exceeds 60: the clamp would be dropped.
    let mut clamped = form(&[1]);
    clamped.terms.push(read(1, TensorId(0), &[1]));
    clamped.bounds = Interval::new(0, 60);
    let op = Op::Clamp { lo: None, hi: Some(60), under: false };
    let node = Node { name: "clamp".into(), form: clamped, shift: 0, op, scale: Scale::ONE };
    let mut last = form(&[1]);
    last.terms.push(read(1, TensorId(1), &[1]));
    last.bounds = Interval::new(0, 60);
    let mut graph =
        Graph { inputs: vec![input("x", 0, 100)], nodes: vec![node], outputs: vec![output(last)], ..Graph::default() };
    let error = validate_graph(&graph).expect_err("a clamp that would vanish");
    assert!(matches!(error.problem, Problem::Bounds { lo: 0, hi: 60, .. }), "{error}");
    graph.nodes[0].form.bounds = Interval::new(0, 100);
    validate_graph(&graph).expect("honest bounds");
}

#[test]
fn no_clamp_is_dropped_by_the_word_of_a_file() {
    // The same with a parameter: only its owner knows that the form reaches 100, and says that it stays below 60.
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[1], 0, 100);
    let w = b.param(1, 1, 1);
    b.weights[0] = Integers::new(&[1]);
    for (lo, hi) in [(None, Some(60)), (Some(0), Some(60)), (Some(-3), Some(60))] {
        let mut product = form(&[1]);
        product.products.push(graphs::dense(w, x, 1, 1));
        let y = b.node(product, 0, Op::Clamp { lo, hi, under: false });
        let mut out = form(&[1]);
        out.terms.push(read(1, y, &[1]));
        b.output(out);
    }
    let mut model = b.finish(6, 6);
    for node in &mut model.graph.nodes {
        node.form.bounds = Interval::new(0, 60);
    }
    let sides = Sides::new(model);
    let (statement, proof) = prove(&sides.prover, &[vec![100]], Context::default()).expect("a proof");
    verify(&sides.handle, &statement, &proof, None).expect("the evaluator's answer");
    assert_eq!(public_values(&statement).1, vec![vec![60]; 3]);
    for node in &sides.prover.keys.compiled.lowered.nodes {
        let NodeWords::Clamp(words) = node else { panic!("a clamp") };
        assert!(words.clamp.over.is_some() || words.clamp.coef == -1, "the upper bound has no word");
    }
}

#[test]
fn private_weights_need_bounds_from_declared_widths() {
    // Bounds of this model come from its weights: a private model must not show them.
    let prover = Sides::new(graphs::mlp((10, 6, 3), 6, 4, 1)).prover;
    let mut model = VerifierModel::from_bytes(&prover.zkv).expect("a valid file");
    model.weights = DeclaredWeights::Private;
    let mut registry = Registry::new();
    registry.insert_params(params(6));
    assert_eq!(registry.register(&model.to_bytes()).err(), Some(RegisterError::Bounds));
}

#[test]
fn weights_are_recomputed_by_whoever_has_them() {
    let sides = Sides::new(graphs::lenet_like(6, 4, 5));
    assert_eq!(sides.handle.weight_status(), WeightStatus::Unchecked);
    let weights = &sides.prover.model.weights;
    let handle = sides.handle.recompute(weights).expect("the right weights");
    assert_eq!((handle.weight_status(), handle.id()), (WeightStatus::Recomputed, sides.handle.id()));
    let mut others = weights.clone();
    let mut values = others[0].to_vec();
    let last = values.last_mut().expect("a weight");
    *last = -*last + i64::from(*last == 0);
    others[0] = values.into();
    assert!(sides.handle.recompute(&others).is_err());
    assert!(sides.handle.recompute(&weights[1..]).is_err());
}

#[test]
fn intervals_that_cancel_after_overflowing_are_refused() {
    // Four constants of 2^61 each squared, with signs that cancel: every partial sum is far above 2^62.
    let big = 1_i64 << 61;
    let mut sums = form(&[1]);
    for coef in [1, 1, -1, -1] {
        let side =
            || Operand { source: Source::Tensor(TensorId(0)), sums: Vec::new(), map: IndexMap::identity(&[1], 0) };
        sums.products.push(Product { coef, summed: Vec::new(), left: side(), right: side() });
    }
    let graph = Graph { inputs: vec![input("x", big, big)], outputs: vec![output(sums)], ..Graph::default() };
    assert!(matches!(validate_graph(&graph).expect_err("overflow").problem, Problem::Rule(_)));
}

#[test]
fn names_are_unique_and_printable() {
    let mut out = form(&[1]);
    out.terms.push(read(1, TensorId(0), &[1]));
    out.bounds = Interval::new(0, 1);
    let graph = |first: &str, second: &str| Graph {
        inputs: vec![input(first, 0, 1), input(second, 0, 1)],
        outputs: vec![output(out.clone())],
        ..Graph::default()
    };
    validate_graph(&graph("a", "b")).expect("two names");
    for (first, second) in [("a", "a"), ("a", "\u{1b}[2Jb"), ("a\n", "b")] {
        assert!(matches!(validate_graph(&graph(first, second)).expect_err("bad names").problem, Problem::Rule(_)));
    }
}

/// A graph that looks up so many tables of `2^17` rows.
fn long_tables(count: u32) -> Arc<Graph> {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[1], 0, 9);
    let mut out = form(&[1]);
    for table in 0..count {
        let entries = (0..1 << 17).map(|i| i & 7).collect();
        let (input_scale, output_scale) = (Scale::ONE, Scale::ONE);
        b.graph.tables.push(Table { function: Function::Custom, input_scale, output_scale, lo: 0, entries });
        let mut looked_up = form(&[1]);
        looked_up.terms.push(read(1, x, &[1]));
        let y = b.node(looked_up, 0, Op::Table { table });
        out.terms.push(read(1, y, &[1]));
    }
    b.output(out);
    Arc::new(b.finish(4, 4).graph)
}

#[test]
fn long_tables_are_counted_in_a_verifiers_work_and_limited_together() {
    let compile = |count, k| {
        let graph = long_tables(count);
        let layout = LayoutChoice { k, limb_bits: 4, gates: Gates::Relations };
        CompiledModel::new(Arc::clone(&graph), Modes::public(&graph), layout)
    };
    // Every row is evaluated, and every sixteen of them have a point in a short circuit.
    let (short, long) = (compile(1, 4).expect("a circuit"), compile(1, 14).expect("a circuit"));
    assert_eq!((short.shape.num_table_groups(), long.shape.num_table_groups()), (1 << 13, 8));
    assert!(verification_work(&short) > (1 << 13) * 512 + (1 << 17), "points and rows");
    assert!(verification_work(&long) > 1 << 17 && verification_work(&short) < MAX_VERIFICATION_WORK);
    // Sixteen such tables are as many rows as there may be.
    assert!(matches!(compile(17, 14), Err(LowerError::TooManyTableRows { .. })));
    compile(16, 14).expect("a circuit");
}

#[test]
fn wide_maxima_in_a_short_circuit_are_refused_before_they_are_laid_out() {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[4, 128, 128], -200, 200);
    let mut window = form(&[4, 128, 128]);
    window.terms.push(read(1, x, &[4, 128, 128]));
    let y = b.node(window, 0, Op::Max { axes: 2, lo: None, hi: None });
    let mut out = form(&[4]);
    out.terms.push(read(1, y, &[4]));
    b.output(out);
    let model = b.finish(4, 4);
    let graph = Arc::new(model.graph);
    let compiled = CompiledModel::new(Arc::clone(&graph), Modes::public(&graph), model.layout);
    assert!(matches!(compiled, Err(LowerError::TooManyColumns { .. })));
}

#[test]
fn work_counts_rows_times_columns_of_linear_products() {
    // A parameter of one row, read by two large axes that do not move the address.
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[64], 0, 3);
    let w = b.param(1, 64, 3);
    let mut out = form(&[1 << 12]);
    let mut product = graphs::dense(w, x, 1, 64);
    product.left.map.factors[0] = zkonnx_quantize::index::Factor::affine(&[(0, 0)], 0, 1, 64);
    out.products.push(product);
    b.output(out);
    let model = b.finish(8, 6);
    let graph = Arc::new(model.graph);
    let compiled = CompiledModel::new(Arc::clone(&graph), Modes::public(&graph), model.layout).expect("a circuit");
    let work = verification_work(&compiled);
    assert!((1 << 18..MAX_VERIFICATION_WORK).contains(&work), "{work}");
}

#[test]
fn private_blinds_are_never_shared_between_models() {
    let generators = Generators::new(&params(6)).expect("halo2's parameters");
    let mut model = graphs::mlp((10, 6, 3), 6, 4, 1);
    model.privacy = WeightPrivacy::Private { blind_seed: [7; 32] };
    let first = ParamColumns::new(&model, &generators);
    let mut other = graphs::with_weight(&model, 0, 0, 1);
    let second = ParamColumns::new(&other, &generators);
    assert!(first.blinds.iter().all(|blind| !second.blinds.contains(blind)));
    other = model.clone();
    assert_eq!(ParamColumns::new(&other, &generators).points, first.points);
}

#[test]
fn rejects_a_parameter_point_with_a_component_on_u() {
    // The owner of a model shifts a registered point by U: nothing that a prover sends afterwards cancels it.
    let Sides { mut prover, .. } = Sides::new(graphs::mlp((10, 6, 3), 6, 4, 1));
    let mut file = VerifierModel::from_bytes(&prover.zkv).expect("a valid file");
    let shifted = (prover.columns.points[0] + Eq::from(EqAffine::from(prover.generators.value))).to_affine();
    file.commitments[0] = shifted.to_bytes();
    prover.zkv = file.to_bytes();
    prover.id = file.id();
    let mut registry = Registry::new();
    registry.insert_params(params(6));
    let handle = registry.register(&prover.zkv).expect("a point is a point");
    let inputs = GraphBuilder::random_inputs(&prover.model, 3);
    let (statement, proof) = prove(&prover, &inputs, Context::default()).expect("a proof");
    let error = verify(&handle, &statement, &proof, None).expect_err("a component on U");
    assert!(matches!(error, VerifyError::Rejected { step: Step::Linear, .. }), "{error}");
}

#[test]
fn bounds_in_constant_memory_are_those_of_every_element() {
    // Sums over windows that hang over both ends, a table with holes over a summed axis, one over the element's own.
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[8], -3, 5);
    let windows = |offset, stride, size| IndexMap {
        base: 0,
        factors: vec![Factor::affine(&[(0, stride), (1, 1)], offset, size, 1)],
    };
    let table = |axis| IndexMap { base: 0, factors: vec![Factor::table(axis, vec![0, -1, 7, 1], 8, 1)] };
    for map in [windows(-1, 2, 8), windows(-3, 3, 8), windows(5, -2, 8), windows(0, 1, 8), table(0), table(1)] {
        for coef in [2, -7] {
            let sums = if map.uses(1) { vec![if map.factors[0].axes.len() == 2 { 3 } else { 4 }] } else { vec![] };
            let mut own = form(&[4]);
            own.terms.push(Term { coef, source: Source::Tensor(x), sums, map: map.clone() });
            own.terms.push(Term { coef: 1, source: Source::Tensor(x), sums: vec![], map: table(0) });
            own.constant = 11;
            let tensors = b.graph.tensors();
            let every_element = tight_bounds(&own, &tensors, &[], &[]);
            assert!(every_element.is_some());
            assert_eq!(parameter_free_bounds(&own, &tensors), every_element, "{own:?}");
        }
    }
}
