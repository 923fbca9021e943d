//! Files that are no models, models that are not supported, and dimensions that need a value.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};
use zkonnx_quantize::{
    data::{NamedTensor, Samples},
    onnx::{graph::ValueId, inspect::inspect, ImportOptions},
    ImportError, OnnxModel,
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests").join(name)
}

fn import(bytes: &[u8]) -> Result<OnnxModel, ImportError> {
    OnnxModel::from_bytes(bytes, &BTreeMap::new())
}

#[test]
fn lists_all_unsupported_nodes_at_once() {
    let error = OnnxModel::from_path(&path("ops/unsupported.onnx"), &BTreeMap::new()).unwrap_err();
    let ImportError::Unsupported(nodes) = &error else { panic!("{error}") };
    assert_eq!(nodes.len(), 2, "{error}");
    for node in nodes {
        assert!(!node.op.is_empty() && !node.name.is_empty() && node.opset > 0);
        assert!(error.to_string().contains(&node.op) && error.to_string().contains(&node.name));
    }
    let inspection = inspect(&path("ops/unsupported.onnx"), &ImportOptions::default()).unwrap();
    assert_eq!(inspection.unsupported.len(), 2);
    assert!(inspection.problem.is_some());
}

#[test]
fn refuses_foreign_and_empty_files() {
    assert!(matches!(import(b""), Err(ImportError::Malformed(_))));
    assert!(matches!(
        import(b"%PDF-1.7 this is no model at all"),
        Err(ImportError::Malformed(_) | ImportError::NotOnnx(_))
    ));
    assert!(matches!(import(&[0; 64]), Err(ImportError::Malformed(_) | ImportError::NotOnnx(_))));
    let missing = OnnxModel::from_path(&path("models/nothing.onnx"), &BTreeMap::new());
    assert!(matches!(missing, Err(ImportError::Io { .. })));
}

#[test]
fn refuses_a_truncated_file_wherever_it_is_cut() {
    let bytes = std::fs::read(path("models/mlp.onnx")).unwrap();
    assert!(import(&bytes).is_ok());
    for part in [1, 10, 100, 1000, bytes.len() / 2, bytes.len() - 1000, bytes.len() - 1] {
        assert!(import(&bytes[..part]).is_err(), "cut to {part} bytes");
    }
}

#[test]
fn edited_bytes_never_panic() {
    let bytes = std::fs::read(path("ops/misc/conv_relu_maxpool.onnx")).unwrap();
    for at in 0..bytes.len() {
        for value in [0x00, 0x7f, 0xff] {
            let mut edited = bytes.clone();
            edited[at] = value;
            if let Ok(model) = import(&edited) {
                let elements: usize = model.graph().values.iter().map(|v| v.shape.iter().product::<usize>()).sum();
                if elements < 1 << 16 {
                    let _ = zkonnx_quantize::quantize(&model, None, &zkonnx_quantize::Recipe::default());
                }
            }
        }
    }
}

#[test]
fn binds_symbolic_dimensions() {
    let file = path("ops/misc/symbolic_batch.onnx");
    let model = OnnxModel::from_path(&file, &BTreeMap::new()).unwrap();
    assert_eq!(model.inputs()[0].shape[0], 1);
    // A batch of none has no output, and is no reason to panic.
    let none = OnnxModel::from_path(&file, &BTreeMap::from([(symbol(&file), 0)]));
    assert!(none.is_err());
}

/// The symbol of the first axis.
fn symbol(file: &std::path::Path) -> String {
    let unknown = OnnxModel::from_path(file, &BTreeMap::from([("nothing".into(), 1)])).unwrap_err();
    let ImportError::UnknownDim { known, .. } = unknown else { panic!("{unknown}") };
    known.into_iter().find(|name| !name.contains(':')).unwrap()
}

#[test]
fn an_input_without_elements_is_no_input() {
    let model = OnnxModel::from_path(&path("variants/files/empty_past.onnx"), &BTreeMap::new()).unwrap();
    assert_eq!(model.inputs().len(), 1);
    assert!(model.graph().notes.iter().any(|n| n.contains("'past' of shape [1, 0, 4] has no elements")));
    // An array of none for it is no array too many.
    let samples = |rows: usize| {
        let x = NamedTensor { name: "x".into(), shape: vec![1, 3, 4], data: vec![0.5; 12] };
        let past = NamedTensor { name: "past".into(), shape: vec![1, rows, 4], data: vec![0.0; 4 * rows] };
        Samples::new(&model.inputs(), vec![x, past])
    };
    assert_eq!(samples(0).unwrap().len(), 1);
    assert!(samples(1).is_err());
}

#[test]
fn infinities_behind_a_softmax_are_noted() {
    let model = OnnxModel::from_path(&path("variants/files/is_nan.onnx"), &BTreeMap::new()).unwrap();
    assert_eq!(model.graph().notes.len(), 1);
    assert!(model.graph().notes[0].contains("masked altogether"));
}

#[test]
fn constants_that_only_went_into_others_are_not_kept() {
    let mut files = 0;
    for entry in std::fs::read_dir(path("ops/misc")).unwrap() {
        let file = entry.unwrap().path();
        let Ok(model) = OnnxModel::from_path(&file, &BTreeMap::new()) else { continue };
        let graph = model.graph();
        let outputs = graph.outputs.iter().map(|(_, id)| *id);
        let read: HashSet<_> = graph.nodes.iter().flat_map(|n| n.inputs.clone()).chain(outputs).collect();
        let kept = (0..graph.values.len()).filter(|i| graph.values[*i].constant.is_some());
        assert_eq!(kept.filter(|i| !read.contains(&ValueId(*i))).count(), 0, "{}", file.display());
        files += 1;
    }
    assert!(files > 10);
}

/// What the error of a file in `tests/refused` says.
const REFUSED: &[(&str, &str)] = &[
    ("activation_without_a_default", "'activation_alpha'"),
    ("body_of_an_unknown_operator", "own.Nonsense"),
    ("function_named_like_an_operator", "has the name of an operator"),
    ("function_of_itself", "nested too deeply"),
    ("function_with_a_default", "default values"),
    ("functions_that_double", "too many nodes"),
    ("if_of_other_shapes", "branches of different shapes"),
    ("integers_found_as_it_runs", "the file finds the range of as it runs, other than in products"),
    ("lengths_of_inputs", "input 4 must be a constant"),
    ("loop_of_large_constants", "too many nodes or constants"),
    ("loop_of_unknown_length", "input 0 must be a constant"),
    ("loop_without_end", "16384 iterations"),
    ("loops_in_loops", "too many nodes"),
    ("nodes_in_a_circle", "which nothing before it computes"),
    ("past_without_entries", "no elements"),
    ("scale_found_as_it_runs", "as an output"),
    ("too_many_activation_parameters", "more activation parameters"),
];

#[test]
fn refuses_loops_functions_and_recurrences_by_name() {
    let files = std::fs::read_dir(path("refused")).unwrap().count();
    assert_eq!(files, REFUSED.len());
    for (name, says) in REFUSED {
        let error = OnnxModel::from_path(&path(&format!("refused/{name}.onnx")), &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains(says), "{name}: {error}");
    }
}
