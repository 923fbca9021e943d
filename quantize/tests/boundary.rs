//! The input boundary: what is clamped, and what is refused.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, path::Path};
use zkonnx_quantize::{
    data::{exact_input, quantise_inputs, DataError, Exact, InputSpec},
    graph::{Graph, Input, Interval},
    quantize, OnnxModel, Recipe,
};

/// The integer graph of a case in `tests/variants`.
fn variant(case: &str) -> Graph {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/variants").join(format!("{case}.onnx"));
    let model = OnnxModel::from_path(&path, &BTreeMap::new()).expect("a model");
    quantize(&model, None, &Recipe::default()).expect("a graph").0.graph
}

#[test]
fn indices_and_masks_beyond_their_intervals_are_refused_and_other_values_clamped() {
    let graph = variant("transformers/sentence");
    assert_eq!([0, 1, 2].map(|i| exact_input(&graph, i)), [Some(Exact::Indices), Some(Exact::TruthValues), None]);
    let (ids, mask) = ([0.0, 23.0, 5.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let inputs = quantise_inputs(&graph, &[ids, mask]).expect("inside");
    assert_eq!(inputs[0].values, [0, 23, 5, 1, 2, 3, 4, 5]);
    let refused =
        |ids: [f64; 8], mask: [f64; 8]| quantise_inputs(&graph, &[ids, mask]).expect_err("outside").to_string();
    let with = |mut values: [f64; 8], at: usize, value: f64| {
        values[at] = value;
        values
    };
    assert_eq!(
        refused(with(ids, 3, 24.0), mask),
        "input 'input_ids', element 3: 24 lies outside of 0 to 23; it holds indices, which are not clamped"
    );
    // From the end, as no sample counted: the first row is another one.
    assert!(refused(with(ids, 7, -1.0), mask).contains("element 7: -1 lies outside of 0 to 23"));
    assert!(refused(with(with(ids, 6, 1e300), 1, 1e9), mask).contains("element 1: 1000000000 lies"));
    assert_eq!(
        refused(ids, with(mask, 2, 2.0)),
        "input 'attention_mask', element 2: 2 lies outside of 0 to 1; it holds truth values, which are not clamped"
    );
    assert!(matches!(quantise_inputs(&graph, &[with(ids, 0, f64::NAN), mask]), Err(DataError::NotFinite { .. })));
    // Floats, and a mask of floats beside them.
    let graph = variant("masks/of_floats");
    let exact: Vec<Option<Exact>> = (0..graph.inputs.len()).map(|i| exact_input(&graph, i)).collect();
    assert_eq!(exact, [Some(Exact::TruthValues), None, None]);
    let far = |i: &Input| {
        vec![if i.bounds == Interval::new(0, 1) { 1.0 } else { 1e6 }; InputSpec::from(i).shape.iter().product()]
    };
    let values: Vec<Vec<f64>> = graph.inputs.iter().map(far).collect();
    let clamped: Vec<usize> = quantise_inputs(&graph, &values).expect("clamped").iter().map(|i| i.clamped).collect();
    assert_eq!(clamped, [0, values[1].len(), values[2].len()]);
}
