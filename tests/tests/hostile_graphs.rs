//! Model files with a graph that means nothing are refused when they are registered (T3, T4, S5).

use zkonnx_circuits::lower::{LowerError, Modes};
use zkonnx_prover::deviation::Honest;
use zkonnx_quantize::{
    eval::evaluate,
    graph::{Graph, Interval, Op, Output, Param, ParamId, Source, TensorId, Term},
    index::{Coordinate, IndexMap},
    model::{Gates, LayoutChoice},
    scale::Scale,
    table::{Function, Table},
};
use zkonnx_tests::{
    graphs::{self, form, read, with_weight, GraphBuilder},
    lies::Case,
    setup::{params, Sides},
};
use zkonnx_verifier::{
    error::RegisterError,
    registry::{ModelHandle, Registry, WeightStatus},
    statement::Statement,
    verify::verify,
    zkv::{DeclaredWeights, VerifierModel},
};

fn register(case: &Case, edit: impl FnOnce(&mut VerifierModel)) -> Result<ModelHandle, RegisterError> {
    let mut model = VerifierModel::from_bytes(&case.sides.prover.zkv).expect("the prover's own file");
    edit(&mut model);
    let mut registry = Registry::new();
    registry.insert_params(params(case.model().layout.k));
    registry.register(&model.to_bytes())
}

#[test]
fn refuses_graphs_that_mean_nothing() {
    let case = Case::public(graphs::attention_like(6, 4, 9), 1);
    assert!(register(&case, |_| {}).is_ok());
    type Edit = fn(&mut Graph);
    let own = |g: &mut Graph, node: usize, id: u32| match g.nodes[node].form.terms.first_mut() {
        Some(term) => term.source = Source::Tensor(TensorId(id)),
        None => unreachable!("a term"),
    };
    let edits: [(&str, Edit); 22] = [
        ("no outputs", |g| g.outputs.clear()),
        ("an output's form of another size", |g| g.outputs[0].shape = vec![2, 3, 4]),
        ("an output of nothing", |g| g.outputs[0].shape = vec![0]),
        ("a form that reads an undefined tensor", |g| {
            g.outputs[0].form.terms[0].source = Source::Tensor(TensorId(99));
        }),
        ("a form that reads an undefined parameter", |g| {
            g.outputs[0].form.terms[0].source = Source::Param(zkonnx_quantize::graph::ParamId(0));
        }),
        ("a node without its input", |g| g.inputs.clear()),
        ("bounds upside down", |g| g.nodes[0].form.bounds = Interval::new(5, -5)),
        ("bounds wider than the widths allow", |g| g.nodes[0].form.bounds.hi += 1000),
        ("an output's bounds wider than the widths allow", |g| g.outputs[0].form.bounds.lo -= 1000),
        ("an input's bounds upside down", |g| g.inputs[0].bounds = Interval::new(1, 0)),
        ("an input's bounds too wide", |g| g.inputs[0].bounds = Interval::new(-(1 << 62), 0)),
        ("a clamp upside down", |g| g.nodes[1].op = Op::Clamp { lo: Some(3), hi: Some(3), under: false }),
        ("a leaky output without a bound", |g| {
            g.nodes[1].op = Op::Clamp { lo: None, hi: None, under: true };
        }),
        ("a table that is not there", |g| g.nodes[1].op = Op::Table { table: 0 }),
        ("a window with more axes than the form", |g| {
            g.nodes[1].op = Op::Max { axes: 4, lo: None, hi: None };
        }),
        ("a shift too large", |g| g.nodes[1].shift = 41),
        ("a factor that reads past the end", |g| g.outputs[0].form.terms[0].map.base = 1),
        ("a factor of size zero", |g| g.outputs[0].form.terms[0].map.factors[0].size = 0),
        ("an axis in two factors", |g| {
            let factors = &mut g.outputs[0].form.terms[0].map.factors;
            factors[1].axes = factors[0].axes.clone();
        }),
        ("a coordinate without its coefficient", |g| {
            g.outputs[0].form.terms[0].map.factors[0].coordinate = Coordinate::Affine { coefs: Vec::new(), offset: 0 };
        }),
        ("a summed axis that is not read", |g| g.outputs[0].form.terms[0].sums.push(2)),
        ("a denominator that may be zero", |g| {
            let mut denominator = g.nodes[1].form.clone();
            denominator.bounds = Interval::new(0, 0);
            g.nodes[1].op = Op::Div { denominator };
            g.nodes[1].shift = 0;
        }),
    ];
    for (what, edit) in edits {
        let refused = register(&case, |model| edit(&mut model.graph));
        assert!(matches!(refused, Err(RegisterError::Decode(_))), "{what}: {refused:?}");
    }
    // A node that reads itself, its own second output, or a later node.
    for (node, id) in [(0, 1), (0, 2), (0, 3), (1, 3), (1, 4), (2, 4)] {
        let refused = register(&case, |model| own(&mut model.graph, node, id));
        assert!(matches!(refused, Err(RegisterError::Decode(_))), "node {node} reads tensor {id}");
    }
}

#[test]
fn refuses_parameters_that_are_not_as_the_graph_says() {
    let case = Case::public(graphs::mlp((10, 6, 3), 6, 4, 1), 1);
    let refused = register(&case, |model| model.graph.params[0].bounds = Interval::new(7, -7));
    assert!(matches!(refused, Err(RegisterError::Decode(_))));
    let refused = register(&case, |model| model.graph.params[0].rows += 1000);
    assert!(matches!(refused, Err(RegisterError::Commitments { .. })), "{refused:?}");
    let refused = register(&case, |model| model.graph.params[0].cols -= 1);
    assert!(matches!(refused, Err(RegisterError::Decode(_))));
    let refused = register(&case, |model| {
        model.commitments.pop();
    });
    assert!(matches!(refused, Err(RegisterError::Commitments { .. })));
    let refused = register(&case, |model| model.commitments[0] = [0xff; 32]);
    assert!(matches!(refused, Err(RegisterError::Point(0))));
    // A width declared too small makes bounds that the widths do not allow.
    let refused = register(&case, |model| model.graph.params[0].bounds = Interval::new(0, 0));
    assert!(matches!(refused, Err(RegisterError::Decode(_))), "{refused:?}");
    for (k, limb_bits) in [(3, 4), (19, 4), (6, 3), (6, 19), (255, 255)] {
        let refused = register(&case, |model| (model.layout.k, model.layout.limb_bits) = (k, limb_bits));
        assert!(matches!(refused, Err(RegisterError::Lower(_))), "{refused:?}");
    }
}

/// A file of a model with one parameter of 2^26 elements, of which one is read, or none.
fn with_large_parameter(k: u8, is_read: bool) -> Vec<u8> {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[1], 0, 1);
    b.graph.params.push(Param { name: "large".into(), rows: 1 << 13, cols: 1 << 13, bounds: Interval::new(0, 1) });
    let mut out = form(&[1]);
    out.terms.push(read(1, x, &[1]));
    if is_read {
        let (sums, map) = (Vec::new(), IndexMap::default());
        out.terms.push(Term { coef: 1, source: Source::Param(ParamId(0)), sums, map });
    }
    out.bounds = Interval::new(0, if is_read { 2 } else { 1 });
    b.graph.outputs.push(Output { name: "output0".into(), shape: vec![1], form: out, scale: Scale::ONE });
    let file = VerifierModel {
        graph: b.graph,
        layout: LayoutChoice { k, limb_bits: 4, gates: Gates::Relations },
        weights: DeclaredWeights::Public,
        commitments: vec![[0; 32]; 1 << (26 - k)],
        registration: Vec::new(),
    };
    file.to_bytes()
}

/// A pooled parameter costs every verification memory and time as long as itself, each column a point: whatever of it is read.
#[test]
fn refuses_parameters_that_cost_too_much_to_carry() {
    for (k, is_read) in [(12, true), (6, false)] {
        let bytes = with_large_parameter(k, is_read);
        let refused = ModelHandle::new(&bytes, |_| panic!("refused before any generators are derived"));
        assert!(matches!(refused, Err(RegisterError::TooExpensive { .. })), "{refused:?}");
    }
}

/// Every verification evaluates every row of every table.
#[test]
fn refuses_tables_that_cost_too_much_to_evaluate() {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[1], 0, 7);
    for table in 0..3 {
        let entries = vec![0; 1 << 20];
        let [input_scale, output_scale] = [Scale::ONE; 2];
        b.graph.tables.push(Table { function: Function::Custom, input_scale, output_scale, lo: 0, entries });
        let mut argument = form(&[1]);
        argument.terms.push(read(1, x, &[1]));
        b.node(argument, 0, Op::Table { table });
    }
    let mut out = form(&[1]);
    out.terms.push(read(1, x, &[1]));
    b.output(out);
    let file = VerifierModel {
        graph: b.graph,
        layout: LayoutChoice { k: 16, limb_bits: 4, gates: Gates::Relations },
        weights: DeclaredWeights::Public,
        commitments: Vec::new(),
        registration: Vec::new(),
    };
    let refused = ModelHandle::new(&file.to_bytes(), |_| panic!("refused before any generators are derived"));
    assert!(matches!(refused, Err(RegisterError::Lower(LowerError::TooManyTableRows { .. }))), "{refused:?}");
}

/// What is a valid graph, but not this one, is another model: proofs and statements of this one are not about it.
#[test]
fn every_valid_edit_is_another_model() {
    let case = Case::public(graphs::mlp((10, 6, 3), 6, 4, 1), 1);
    let proof = case.prove(&case.statement, &mut Honest);
    type Edit = fn(&mut VerifierModel);
    let edits: [Edit; 7] = [
        |m| m.graph.nodes[0].shift = 4,
        |m| m.graph.nodes[0].name.push('x'),
        |m| m.graph.outputs[0].form.constant = 4,
        |m| m.graph.nodes[0].op = Op::Clamp { lo: Some(0), hi: Some(14), under: false },
        |m| m.layout.limb_bits = 5,
        |m| m.layout.gates = Gates::Halo2,
        |m| m.commitments.swap(0, 1),
    ];
    for (i, edit) in edits.into_iter().enumerate() {
        let handle = match register(&case, edit) {
            Ok(handle) => handle,
            Err(RegisterError::Decode(_)) => continue,
            Err(other) => panic!("edit {i}: {other}"),
        };
        assert_ne!(handle.id(), case.sides.handle.id());
        assert!(verify(&handle, &case.statement, &proof, None).is_err());
        // Nor is the proof one of the same statement about the other model.
        let statement = Statement { model_id: handle.id(), ..case.statement.clone() };
        assert!(verify(&handle, &statement, &proof, None).is_err());
    }
}

/// S5: with a file alone, weights are unchecked. A file may hold a weight that is not even in its declared interval, and
/// then proofs verify: only recomputing the commitments finds it, so the handle must not say more than it knows.
#[test]
fn a_file_is_not_believed_about_its_weights() {
    let model = graphs::mlp((10, 6, 3), 6, 4, 1);
    let honest = Sides::new(model.clone());
    let inputs = vec![vec![7; 10]];
    let hidden = evaluate(&model, &inputs).expect("inputs").tensors.remove(1);
    let idle = hidden.iter().position(|h| *h == 0).expect("a neuron that is off");
    let lying = with_weight(&model, 1, idle, 9_999);
    assert!(!model.graph.params[1].bounds.contains(graphs::weight(&lying, 1, idle)));
    let modes = Modes::public(&lying.graph);
    let case = Case::with_inputs(lying, modes, &inputs);
    case.is_sound();
    assert_eq!(case.sides.handle.weight_status(), WeightStatus::Unchecked);
    assert_eq!(honest.handle.weight_status(), WeightStatus::Unchecked);
    assert_ne!(case.sides.handle.id(), honest.handle.id());
}
