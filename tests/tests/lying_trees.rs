//! Lying provers of tree ensembles: comparisons, leaves and weights other than the true ones, with everything that
//! follows from them consistent. The debug verifier names the element that lies, and nothing else.
#![cfg(feature = "onnx")]

use std::{collections::BTreeSet, sync::Arc};
use zkonnx_circuits::{
    compiled::CompiledModel,
    gadgets::clamp::ClampWords,
    lower::{Modes, NodeWords},
    witness::Cells,
    words::{Lane, WordId},
};
use zkonnx_prover::{
    deviation::{Deviation, Honest},
    prove::prove_trace,
};
use zkonnx_quantize::{
    eval::{evaluate, evaluate_form, Trace},
    graph::{round_shift, Op},
    model::QuantizedModel,
    onnx::{
        build::ModelBuilder,
        graph::FloatOp,
        ops::ml::{Ensemble, Node, Test},
    },
    quantize,
    scale::Scale,
    Recipe,
};
use zkonnx_tests::{
    debug_verifier::Fault,
    lies::{faults_of, force, place_of, rejected_at, Case, CellLie},
    setup::{both_ways, lay_out},
};
use zkonnx_verifier::error::Step;

/// Declared inputs are from `-EDGE` to `EDGE`, on a grid of units.
const EDGE: i64 = 8;
/// Places of the nodes: comparisons, then leaves.
const COMPARISONS: usize = 0;
const LEAVES: usize = 1;

fn branch(feature: usize, test: Test, yes: usize, no: usize) -> Node {
    Node::Branch { feature, test, yes, no }
}

/// Two trees over three features, with leaves 0 to 3 and 4 to 7.
fn two_trees() -> Ensemble {
    let nodes = vec![
        branch(0, Test::LessOrEqual(3.0), 1, 2),
        branch(1, Test::Less(5.0), 3, 4),
        branch(2, Test::LessOrEqual(-2.0), 5, 6),
        Node::Leaf(0),
        Node::Leaf(1),
        Node::Leaf(2),
        Node::Leaf(3),
        branch(1, Test::LessOrEqual(0.0), 8, 9),
        branch(0, Test::Less(3.0), 10, 11),
        Node::Leaf(7),
        Node::Leaf(4),
        branch(2, Test::GreaterOrEqual(4.0), 12, 13),
        Node::Leaf(5),
        Node::Leaf(6),
    ];
    ensemble(3, nodes, vec![0, 7], &[3.0, -20.0, 15.0, 40.0, 7.0, -3.0, 25.0, 11.0])
}

/// Trees of one branch: the four comparisons of one feature with the same threshold, with weights 1, 2, 4 and 8 where
/// they hold.
fn four_stumps() -> Ensemble {
    let tests = [Test::LessOrEqual(3.0), Test::Less(3.0), Test::GreaterOrEqual(3.0), Test::Greater(3.0)];
    let mut nodes = Vec::new();
    for (i, test) in tests.into_iter().enumerate() {
        nodes.extend([branch(0, test, 3 * i + 1, 3 * i + 2), Node::Leaf(2 * i), Node::Leaf(2 * i + 1)]);
    }
    ensemble(1, nodes, vec![0, 3, 6, 9], &[1.0, 0.0, 2.0, 0.0, 4.0, 0.0, 8.0, 0.0])
}

fn ensemble(features: usize, nodes: Vec<Node>, roots: Vec<usize>, weights: &[f64]) -> Ensemble {
    let leaves = weights.iter().map(|w| vec![(0, *w)]).collect();
    Ensemble { features, targets: 1, nodes, roots, leaves, base: vec![0.0], double: false }
}

fn model(ensemble: &Ensemble, private_weights: bool) -> QuantizedModel {
    let mut builder = ModelBuilder::default();
    let x = builder.input("x", &[1, ensemble.features], true);
    let y = builder.add("y", FloatOp::Trees(Arc::new(ensemble.clone())), &[x]).expect("shapes that fit");
    #[allow(clippy::cast_precision_loss)] // a small number
    let edge = EDGE as f64;
    let recipe = Recipe { input_range: Some((-edge, edge)), private_weights, ..Recipe::default() };
    let (mut model, _) = quantize(&builder.finish(&[("y", y)]), None, &recipe).expect("a quantised model");
    lay_out(&mut model, Some(8));
    assert_eq!(model.graph.inputs[0].scale, Scale::ONE);
    assert!(model.graph.nodes[COMPARISONS].name.ends_with("/comparisons"));
    assert!(model.graph.nodes[LEAVES].name.ends_with("/leaves"));
    model
}

/// With public weights in both ways of proving gates, and with private ones.
fn every_way(ensemble: &Ensemble) -> [(bool, QuantizedModel); 3] {
    let [relations, halo2] = both_ways(&model(ensemble, false));
    [(false, relations), (false, halo2), (true, model(ensemble, true))]
}

fn case(model: QuantizedModel, row: &[i64]) -> Case {
    let modes = Modes::public(&model.graph);
    let case = Case::with_inputs(model, modes, &[row.to_vec()]);
    case.is_sound();
    case
}

fn tensor(trace: &Trace, node: usize) -> &[i64] {
    &trace.tensors[1 + node]
}

/// The honest trace but for some values of one node, whose form says so too if `in_form`; all later nodes are evaluated
/// from them.
fn altered(case: &Case, node: usize, changes: &[(usize, i64)], in_form: bool) -> Trace {
    let model = &case.sides.prover.model;
    let mut lie = case.trace.clone();
    lie.tensors.truncate(2 + node);
    for (element, value) in changes {
        assert_ne!(lie.tensors[1 + node][*element], *value, "no lie");
        lie.tensors[1 + node][*element] = *value;
        if in_form {
            lie.forms[node][*element] = *value;
        }
    }
    assert_eq!(model.graph.nodes[node].shift, 0);
    for (n, later) in model.graph.nodes.iter().enumerate().skip(node + 1) {
        let form = evaluate_form(&later.form, &lie.tensors, &model.weights);
        let Op::Clamp { lo, hi, .. } = later.op else { panic!("clamps only, not {:?}", later.op) };
        let clamp = |a: &i64| round_shift(*a, later.shift).max(lo.unwrap_or(i64::MIN)).min(hi.unwrap_or(i64::MAX));
        lie.tensors.push(form.iter().map(clamp).collect());
        lie.forms[n] = form;
    }
    lie.outputs = model.graph.outputs.iter().map(|o| evaluate_form(&o.form, &lie.tensors, &model.weights)).collect();
    lie
}

/// Claims what the trace says, with `lie`; gives the faults.
fn reject(case: &Case, trace: &Trace, lie: &mut dyn Deviation) -> Vec<Fault> {
    let bounds = case.sides.prover.model.graph.outputs[0].form.bounds;
    if trace.outputs[0].iter().all(|v| bounds.contains(*v)) {
        return zkonnx_tests::lies::reject(case, trace, lie);
    }
    // An output that no input gives is refused before the proof is looked at.
    let claim = case.claim(trace);
    let proof = prove_trace(&case.sides.prover, trace, &claim, lie).expect("a proof, if a wrong one");
    assert_eq!(rejected_at(&case.sides, &claim, &proof), Step::Statement);
    faults_of(case, trace, &claim, lie)
}

/// Values of a node that its form does not give, in cells that satisfy every gate: exactly those elements of the node's
/// relation fail, and where a clamp is looked up, with values that no form of its gives, their pairs.
#[track_caller]
fn rejects_forms(case: &Case, node: usize, changes: &[(usize, i64)]) {
    let lie = altered(case, node, changes, true);
    let faults = reject(case, &lie, &mut Honest);
    let name = &case.sides.prover.model.graph.nodes[node].name;
    let (mut elements, mut pairs) = (Vec::new(), BTreeSet::new());
    for fault in &faults {
        match fault {
            Fault::Relation { name: own, element, .. } if own == name => elements.push(*element),
            Fault::Pair { column, row, .. } => _ = pairs.insert((*column, *row)),
            other => panic!("not in '{name}': {other:?}"),
        }
    }
    let mut expected: Vec<usize> = changes.iter().map(|(element, _)| *element).collect();
    expected.sort_unstable();
    assert_eq!(elements, expected);
    if !pairs.is_empty() {
        let argument = clamp(case, node);
        assert!(argument.lookup.is_some());
        let places = expected.iter().map(|element| place_of(case.model(), argument.value, 0, *element)).collect();
        assert!(pairs.is_subset(&places), "{pairs:?}");
    }
}

/// The words of a node.
fn clamp(case: &Case, node: usize) -> ClampWords {
    let NodeWords::Clamp(words) = &case.model().lowered.nodes[node] else { panic!("a clamp") };
    assert!(words.remainder.is_none());
    words.clamp.clone()
}

/// One other value of a node whose form is honest: what is beyond the bounds makes up for it, so every relation holds,
/// and one cell of the element's row is out of range, or its gate fails.
#[track_caller]
fn rejects_cells(case: &Case, node: usize, element: usize, value: i64) {
    let words = clamp(case, node);
    let trace = altered(case, node, &[(element, value)], false);
    if let Some(lookup) = words.lookup {
        // The argument is as it is, and the pair in no table.
        let excess = value - case.trace.forms[node][element];
        let mut lie = CellLie(|model: &CompiledModel, cells: &mut Cells| {
            force(model, cells, lookup.excess, element, excess);
        });
        let at = place_of(case.model(), words.value, 0, element);
        match reject(case, &trace, &mut lie).as_slice() {
            [Fault::Pair { column, row, .. }] => assert_eq!((*column, *row), at),
            other => panic!("one pair, in the element's row: {other:?}"),
        }
        return;
    }
    assert_eq!((words.offset, words.coef), (0, 1));
    // q = y' − v + w.
    let rest = value - case.trace.forms[node][element];
    let sides = [(words.under, rest.max(0)), (words.over, (-rest).max(0))];
    let sides = if words.over.is_none() { [(words.under, rest), (None, 0)] } else { sides };
    let write = |model: &CompiledModel, cells: &mut Cells| {
        let mut set = |word: WordId, value| force(model, cells, word, element, value);
        set(words.value, value);
        for (word, value) in sides {
            word.into_iter().for_each(|word| set(word, value));
        }
    };
    let faults = reject(case, &trace, &mut CellLie(write));
    let model = case.model();
    match faults.as_slice() {
        [Fault::Gate { kind: Lane::Clamp { .. }, lane, row, polynomial }] => {
            let (column, own) = place_of(model, words.value, 0, element);
            assert_eq!(*row, own);
            assert!(model.shape.lanes[*lane].words[0].iter().any(|(c, _)| *c == column), "another lane");
            // `v·y'`, or `w·(1 − y')`.
            assert_eq!(*polynomial, usize::from(value < tensor(&case.trace, node)[element]));
        }
        // `v = y' − q` is below zero.
        [Fault::Range { column, row, value: ..0 }] if words.over.is_none() => {
            let under = words.under.expect("a word");
            let limbs = 0..model.placement.words[under.0].limbs.len();
            assert!(limbs.map(|l| place_of(model, under, l, element)).any(|place| place == (*column, *row)));
        }
        other => panic!("one fault, in the element's row: {other:?}"),
    }
}

/// Places of the ensemble's leaves among those that the model has; the honest model is right on the whole grid.
fn places_of_leaves(ensemble: &Ensemble, model: &QuantizedModel) -> Vec<Option<usize>> {
    let mut places = vec![None; ensemble.leaves.len()];
    let grid = || -EDGE..=EDGE;
    let mut reached = Vec::new();
    for row in grid().flat_map(|a| grid().flat_map(move |b| grid().map(move |c| [a, b, c]))) {
        #[allow(clippy::cast_precision_loss)] // small numbers
        let reals = row.map(|v| v as f64);
        let trace = evaluate(model, &[row.to_vec()]).expect("declared inputs");
        let leaves: Vec<usize> = ensemble.roots.iter().map(|root| ensemble.leaf(*root, &reals)).collect();
        let ones: Vec<usize> = (0..tensor(&trace, LEAVES).len()).filter(|i| tensor(&trace, LEAVES)[*i] == 1).collect();
        assert!(tensor(&trace, LEAVES).iter().all(|v| *v == 0 || *v == 1), "{row:?}");
        reached.push((leaves, ones));
    }
    // A leaf's place is one whenever the leaf is reached, and never else.
    for (leaf, place) in places.iter_mut().enumerate() {
        let own = |p: &usize| reached.iter().all(|(leaves, ones)| leaves.contains(&leaf) == ones.contains(p));
        *place = (0..ensemble.leaves.len()).find(own);
    }
    let known = |leaves: &Vec<usize>| leaves.iter().filter(|leaf| places[**leaf].is_some()).count();
    assert!(reached.iter().all(|(leaves, ones)| known(leaves) == ones.len()));
    places
}

/// Rows that reach leaves 1 and 7, 3 and 5, 2 and 6.
const ROWS: [[i64; 3]; 3] = [[-4, 6, 0], [5, -1, 4], [8, 0, -2]];

/// All rows with public weights, one with private ones.
fn rows(private: bool) -> &'static [[i64; 3]] {
    &ROWS[..if private { 1 } else { 3 }]
}

#[test]
fn rejects_any_comparison_that_is_flipped() {
    for (private, model) in every_way(&two_trees()) {
        for row in rows(private) {
            let case = case(model.clone(), row);
            let comparisons = tensor(&case.trace, COMPARISONS).to_vec();
            assert!(comparisons.len() > 5 && comparisons.contains(&0));
            assert_eq!(comparisons.last(), Some(&1), "the one for leaves that ask little");
            let mut false_outputs = 0;
            for (element, value) in comparisons.into_iter().enumerate() {
                rejects_forms(&case, COMPARISONS, &[(element, 1 - value)]);
                rejects_cells(&case, COMPARISONS, element, 1 - value);
                let lie = altered(&case, COMPARISONS, &[(element, 1 - value)], true);
                false_outputs += usize::from(lie.outputs != case.trace.outputs);
            }
            assert!(false_outputs > 1, "flips that change the result");
        }
    }
}

#[test]
fn rejects_other_leaves() {
    let ensemble = two_trees();
    let trees: Vec<Vec<usize>> = ensemble.leaves_of_trees().collect();
    for (private, model) in every_way(&ensemble) {
        let places = places_of_leaves(&ensemble, &model);
        // The weight that a tree has most often is a constant, with public weights: its leaves are not there.
        assert_eq!(places.iter().flatten().count(), if private { 8 } else { 6 });
        for row in rows(private) {
            let case = case(model.clone(), row);
            let honest = tensor(&case.trace, LEAVES);
            for (tree, leaves) in trees.iter().enumerate() {
                let kept: Vec<usize> = leaves.iter().filter_map(|leaf| places[*leaf]).collect();
                let own = kept.iter().copied().find(|p| honest[*p] == 1);
                for other in kept.iter().copied().filter(|p| Some(*p) != own) {
                    if let Some(own) = own {
                        // Another leaf instead.
                        rejects_forms(&case, LEAVES, &[(own, 0), (other, 1)]);
                    }
                    // Two leaves of one tree, or one where the true one is the constant.
                    rejects_forms(&case, LEAVES, &[(other, 1)]);
                    rejects_cells(&case, LEAVES, other, 1);
                }
                let Some(own) = own else { continue };
                // No leaf, and the leaf twice.
                for value in [0, 2] {
                    rejects_forms(&case, LEAVES, &[(own, value)]);
                    rejects_cells(&case, LEAVES, own, value);
                }
                // A leaf of the other tree in its place.
                for other in trees[1 - tree].iter().filter_map(|leaf| places[*leaf]).filter(|p| honest[*p] == 0) {
                    rejects_forms(&case, LEAVES, &[(own, 0), (other, 1)]);
                }
            }
        }
    }
}

#[test]
fn rejects_the_weight_of_another_leaf() {
    let ensemble = two_trees();
    let model = model(&ensemble, false);
    let unit = model.graph.outputs[0].scale.to_f64();
    for row in ROWS {
        let case = case(model.clone(), &row);
        #[allow(clippy::cast_precision_loss)] // small numbers
        let reals = row.map(|v| v as f64);
        for root in &ensemble.roots {
            let own = ensemble.leaf(*root, &reals);
            // Weights of leaves of this tree, and of the other one.
            for other in (0..ensemble.leaves.len()).filter(|leaf| *leaf != own) {
                let by = (ensemble.weight(other, 0) - ensemble.weight(own, 0)) / unit;
                #[allow(clippy::cast_possible_truncation)] // a small number
                let by = by.round() as i64;
                assert_ne!(by, 0, "no lie");
                let mut trace = case.trace.clone();
                trace.outputs[0][0] += by;
                let faults = reject(&case, &trace, &mut Honest);
                let is_output = |f: &Fault| matches!(f, Fault::Relation { name, element: 0, .. } if name == "y");
                assert!(faults.len() == 1 && is_output(&faults[0]), "{faults:?}");
            }
        }
    }
}

#[test]
fn a_tie_is_decided_as_the_operator_says_and_not_otherwise() {
    for private in [false, true] {
        let model = model(&four_stumps(), private);
        let output = &model.graph.outputs[0];
        // ≤ and <; ≤ and ≥ at the tie; ≥ and >.
        let expected = [(2, 3.0), (3, 5.0), (4, 12.0)];
        for (x, value) in expected {
            let case = case(model.clone(), &[x]);
            let reals = zkonnx_quantize::data::dequantise_output(output, &case.trace.outputs[0]).data;
            assert!((reals[0] - value).abs() < 0.01, "{reals:?} for {x}, not {value}");
            for (element, value) in tensor(&case.trace, COMPARISONS).to_vec().into_iter().enumerate() {
                rejects_forms(&case, COMPARISONS, &[(element, 1 - value)]);
                rejects_cells(&case, COMPARISONS, element, 1 - value);
            }
            // The results on the other sides.
            for (other, _) in expected.iter().filter(|(other, _)| *other != x) {
                let trace = evaluate(&model, &[vec![*other]]).expect("a declared input");
                let claimed = Trace { outputs: trace.outputs, ..case.trace.clone() };
                assert_ne!(claimed.outputs, case.trace.outputs, "no lie");
                let faults = reject(&case, &claimed, &mut Honest);
                assert!(matches!(&faults[..], [Fault::Relation { name, element: 0, .. }] if name == "y"), "{faults:?}");
            }
        }
    }
}
