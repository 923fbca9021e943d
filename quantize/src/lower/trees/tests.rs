#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::cast_possible_truncation)]

use super::ways::{Column, Forest};
use crate::{
    data::{quantise_input, read_npz, read_samples},
    eval::{evaluate, Trace},
    graph::Op,
    model::QuantizedModel,
    onnx::{
        graph::FloatOp,
        ops::ml::{Ensemble, Node, Test},
        tensor::Tensor,
        OnnxModel,
    },
    quantize, Recipe,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

struct Fixture {
    model: QuantizedModel,
    ensemble: Arc<Ensemble>,
    held_out: Vec<Vec<f64>>,
    columns: Vec<Column>,
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models").join(name)
}

impl Fixture {
    fn new(name: &str) -> Self {
        let onnx = OnnxModel::from_path(&path(&format!("{name}.onnx")), &BTreeMap::new()).unwrap();
        let samples = read_samples(&path(&format!("{name}_calibration.npz")), &onnx.inputs()).unwrap();
        let (model, _) = quantize(&onnx, Some(&samples), &Recipe::default()).unwrap();
        let trees = onnx.graph().nodes.iter().find_map(|n| match &n.op {
            FloatOp::Trees(ensemble) => Some(Arc::clone(ensemble)),
            _ => None,
        });
        let input = &model.graph.inputs[0];
        let features = input.shape[1] as usize;
        let column = Column { atom: 0, a: input.scale.to_f64(), b: 0.0, bounds: input.bounds };
        let rows = read_npz(&path(&format!("{name}_heldout.npz"))).unwrap();
        let rows = rows.iter().find(|a| a.name == "features").unwrap();
        let held_out = rows.data.chunks(features).map(<[f64]>::to_vec).collect();
        Self { model, ensemble: trees.unwrap(), held_out, columns: vec![column; features] }
    }

    fn integers(&self, row: &[f64]) -> Vec<i64> {
        let quantised = quantise_input(&self.model.graph.inputs[0], row).unwrap();
        assert_eq!(quantised.clamped, 0);
        quantised.values
    }

    /// A grid point as the float model gets it.
    fn reals(&self, integers: &[i64]) -> Vec<f64> {
        let unit = self.model.graph.inputs[0].scale.to_f64();
        integers.iter().map(|i| f64::from((*i as f64 * unit) as f32)).collect()
    }

    /// The places of the ones among the leaves that the integer model has, for the float model.
    fn expected(&self, row: &[f64]) -> Vec<i64> {
        let reached: Vec<usize> = self.ensemble.roots.iter().map(|root| self.ensemble.leaf(*root, row)).collect();
        let forest = Forest { ensemble: &self.ensemble, columns: &self.columns, private: false };
        let (_, rest) = super::rest_of_weights(&self.ensemble, false);
        let kept = |leaf: &usize| !rest[*leaf].is_empty();
        let leaves = forest.leaves().into_iter().map(|(leaf, _)| leaf).filter(kept);
        leaves.map(|leaf| i64::from(reached.contains(&leaf))).collect()
    }

    /// Checks that every leaf of a grid point is the float model's.
    fn check(&self, integers: Vec<i64>) -> Trace {
        let row = self.reals(&integers);
        let trace = evaluate(&self.model, &[integers]).unwrap();
        let leaves = self.model.graph.nodes.iter().position(|n| n.name.ends_with("/leaves")).unwrap();
        assert!(matches!(self.model.graph.nodes[leaves].op, Op::Clamp { lo: Some(0), hi: None, under: false }));
        assert_eq!(trace.tensors[1 + leaves], self.expected(&row), "{row:?}");
        trace
    }
}

fn no_path_differs(name: &str) {
    let fixture = Fixture::new(name);
    // Held-out rows: decimals lie on the grid bit for bit.
    for row in &fixture.held_out {
        let integers = fixture.integers(row);
        assert_eq!(&fixture.reals(&integers), row, "a sample that is not on the grid");
        fixture.check(integers);
    }
    // Rows with all features at thresholds, or next to them.
    let mut thresholds = vec![Vec::<f64>::new(); fixture.columns.len()];
    for node in &fixture.ensemble.nodes {
        if let Node::Branch { feature, test, .. } = node {
            thresholds[*feature].extend(test.thresholds());
        }
    }
    let unit = fixture.model.graph.inputs[0].scale.to_f64();
    let bounds = fixture.model.graph.inputs[0].bounds;
    let mut state = 1_u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % n
    };
    for round in 0..200 {
        let mut integers = fixture.integers(&fixture.held_out[round % fixture.held_out.len()]);
        for (integer, list) in integers.iter_mut().zip(&thresholds).filter(|(_, list)| !list.is_empty()) {
            let nearest = libm::floor(list[random(list.len())] / unit + 0.5) as i64;
            *integer = (nearest + i64::try_from(random(5)).unwrap() - 2).clamp(bounds.lo, bounds.hi);
        }
        fixture.check(integers);
    }
    for end in [bounds.lo, bounds.hi] {
        fixture.check(vec![end; fixture.columns.len()]);
    }
}

#[test]
fn no_path_of_the_boosted_regressor_differs() {
    no_path_differs("diabetes_gbr");
}

#[test]
fn no_path_of_the_forest_differs() {
    no_path_differs("cancer_forest");
}

/// Ties: `x = t` exactly, one float above and one below.
#[test]
fn ties_go_the_models_way() {
    let fixture = Fixture::new("cancer_forest");
    let ties = fixture.ensemble.nodes.iter().filter_map(|node| match node {
        Node::Branch { feature, test: Test::LessOrEqual(t), .. } => Some((*feature, *t)),
        _ => None,
    });
    let unit = fixture.model.graph.inputs[0].scale.to_f64();
    let mut exact = 0;
    for (feature, t) in ties {
        let i = libm::floor(t / unit + 0.5) as i64;
        let seen = f64::from((i as f64 * unit) as f32);
        exact += usize::from(seen == t);
        let forest = Forest { ensemble: &fixture.ensemble, columns: &fixture.columns, private: false };
        for near in [i - 1, i, i + 1] {
            let x = f64::from((near as f64 * unit) as f32);
            assert_eq!(forest.at_most(feature, &Test::LessOrEqual(t), near), x <= t);
        }
    }
    assert!(exact > 100, "{exact} thresholds lie on the grid");
}

/// All tests, with factors of both signs.
#[test]
fn every_test_is_exact_for_falling_features_too() {
    let tests = [
        Test::LessOrEqual(0.3),
        Test::Less(0.25),
        Test::GreaterOrEqual(-0.25),
        Test::Greater(-0.3),
        Test::Member(vec![0.5, -0.25, 7.0]),
        Test::NoMember(vec![0.125]),
    ];
    for (a, b) in [(0.125, 0.0), (-0.125, 0.0), (0.1, 0.05), (-0.3, 1.0), (0.0, 0.3)] {
        for test in &tests {
            let branch = Node::Branch { feature: 0, test: test.clone(), yes: 1, no: 2 };
            let ensemble = Ensemble {
                features: 1,
                targets: 1,
                nodes: vec![branch, Node::Leaf(0), Node::Leaf(1)],
                roots: vec![0],
                leaves: vec![vec![(0, 1.0)], vec![(0, 2.0)]],
                base: vec![0.0],
                double: false,
            };
            let bounds = crate::graph::Interval::new(-8, 8);
            let columns = [Column { atom: 0, a, b, bounds }];
            for private in [false, true] {
                let forest = Forest { ensemble: &ensemble, columns: &columns, private };
                for i in bounds.lo..=bounds.hi {
                    let row = Tensor::new(vec![1, 1], vec![columns[0].real(i)]);
                    let reached = if ensemble.evaluate(&row, &[1, 1]).data == [1.0] { 0 } else { 1 };
                    let ones: Vec<usize> =
                        forest.leaves().iter().filter(|(_, c)| c.value(i) == 1).map(|(leaf, _)| *leaf).collect();
                    assert_eq!(ones, [reached], "{a} {b} {test:?} {i}");
                    assert!(forest.leaves().iter().all(|(_, c)| c.value(i) <= 1));
                }
            }
        }
    }
}
