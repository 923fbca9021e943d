//! Weights in files beside the model.
#![allow(clippy::unwrap_used)]

use prost::Message;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tract_onnx::pb::{ModelProto, StringStringEntryProto, TensorProto};
use zkonnx_quantize::{
    onnx::{
        error::{ExternalProblem, TensorProblem},
        inspect::inspect,
        tensor::Tensor,
        ImportOptions,
    },
    ImportError, OnnxModel,
};

/// A directory of its own for a test, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("zkonnx-external-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("model")).unwrap();
        Self(dir)
    }
    fn model(&self) -> PathBuf {
        self.0.join("model/m.onnx")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn original() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models/mlp.onnx")
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.into(), value: value.into() }
}

/// Puts a tensor's bytes at the end of the data.
fn move_out(tensor: &mut TensorProto, data: &mut Vec<u8>, location: &str) {
    let bytes = std::mem::take(&mut tensor.raw_data);
    assert!(!bytes.is_empty(), "the fixture has raw data");
    // A gap, as exporters that align have.
    data.resize(data.len().next_multiple_of(64), 0xff);
    tensor.data_location = Some(1);
    tensor.external_data = vec![
        entry("location", location),
        entry("offset", &data.len().to_string()),
        entry("length", &bytes.len().to_string()),
    ];
    data.extend(bytes);
}

/// The perceptron with all of its weights elsewhere, and the bytes of that file.
fn split(location: &str) -> (ModelProto, Vec<u8>) {
    let mut model = ModelProto::decode(&std::fs::read(original()).unwrap()[..]).unwrap();
    let mut data = Vec::new();
    let tensors = model.graph.as_mut().unwrap().initializer.iter_mut();
    tensors.for_each(|tensor| move_out(tensor, &mut data, location));
    assert!(data.len() > 100_000);
    (model, data)
}

fn write(path: &Path, model: &ModelProto) {
    std::fs::write(path, model.encode_to_vec()).unwrap();
}

fn import(path: &Path) -> Result<OnnxModel, ImportError> {
    OnnxModel::from_path(path, &BTreeMap::new())
}

fn problem(path: &Path) -> ExternalProblem {
    match import(path).unwrap_err() {
        ImportError::Initializer { problem: TensorProblem::ExternalData { problem, .. }, .. } => *problem,
        other => panic!("{other}"),
    }
}

fn outputs(model: &OnnxModel) -> Vec<Vec<f64>> {
    let input = &model.inputs()[0];
    let data =
        (0..input.shape.iter().product::<usize>()).map(|i| f64::from(u32::try_from(i % 17).unwrap()) / 16.0).collect();
    let outputs = model.graph().run(&[Tensor::new(input.shape.clone(), data)], |_, _| ()).unwrap();
    outputs.iter().map(|tensor| tensor.data.clone()).collect()
}

#[test]
fn weights_beside_the_model_are_those_in_it() {
    let whole = import(&original()).unwrap();
    for location in ["m.onnx.data", "weights/part-1.bin", "./m.data"] {
        let dir = Dir::new("whole");
        let (model, data) = split(location);
        let file = dir.model().with_file_name(location);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &data).unwrap();
        write(&dir.model(), &model);
        assert_eq!(outputs(&import(&dir.model()).unwrap()), outputs(&whole), "{location}");
        let inspection = inspect(&dir.model(), &ImportOptions::default()).unwrap();
        assert_eq!(inspection.weights, inspect(&original(), &ImportOptions::default()).unwrap().weights);
        assert!(inspection.problem.is_none());
    }
}

#[test]
fn a_length_that_is_not_given_follows_from_shape_and_type() {
    let dir = Dir::new("lengths");
    let (mut model, data) = split("w");
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        tensor.external_data.retain(|e| e.key != "length");
        tensor.external_data.push(entry("checksum", "da39a3ee5e6b4b0d3255bfef95601890afd80709"));
    }
    std::fs::write(dir.model().with_file_name("w"), &data).unwrap();
    write(&dir.model(), &model);
    assert_eq!(outputs(&import(&dir.model()).unwrap()), outputs(&import(&original()).unwrap()));
}

#[test]
fn constants_of_nodes_are_read_from_files_too() {
    let dir = Dir::new("nodes");
    let (mut model, mut data) = split("w");
    let graph = model.graph.as_mut().unwrap();
    // The first initialiser becomes a Constant node.
    let tensor = graph.initializer.remove(0);
    let mut node = tract_onnx::pb::NodeProto { op_type: "Constant".into(), ..Default::default() };
    node.output.push(tensor.name.clone());
    node.attribute.push(tract_onnx::pb::AttributeProto { name: "value".into(), t: Some(tensor), ..Default::default() });
    graph.node.insert(0, node);
    let path = dir.model().with_file_name("w");
    std::fs::write(&path, &data).unwrap();
    write(&dir.model(), &model);
    assert_eq!(outputs(&import(&dir.model()).unwrap()), outputs(&import(&original()).unwrap()));
    data.truncate(10);
    std::fs::write(&path, &data).unwrap();
    assert!(matches!(problem(&dir.model()), ExternalProblem::Short { size: 10, .. }));
}

#[test]
fn a_missing_file_is_named_with_the_tensor() {
    let dir = Dir::new("missing");
    let (model, _) = split("m.onnx.data");
    write(&dir.model(), &model);
    let first = model.graph.as_ref().unwrap().initializer[0].name.clone();
    let error = import(&dir.model()).unwrap_err().to_string();
    let path = dir.model().with_file_name("m.onnx.data");
    assert!(error.contains(&first) && error.contains(&*path.to_string_lossy()) && error.contains("beside"), "{error}");
    assert!(inspect(&dir.model(), &ImportOptions::default()).unwrap_err().to_string().contains("m.onnx.data"));
    // Bytes have no folder.
    let error = OnnxModel::from_bytes(&model.encode_to_vec(), &BTreeMap::new()).unwrap_err();
    let external = |p: &TensorProblem| *p == TensorProblem::External("m.onnx.data".into());
    assert!(matches!(&error, ImportError::Initializer { problem, .. } if external(problem)), "{error}");
}

#[test]
fn paths_that_leave_the_folder_are_refused() {
    let dir = Dir::new("outside");
    let (_, data) = split("");
    let secret = dir.0.join("secret");
    std::fs::write(&secret, &data).unwrap();
    for location in [secret.to_str().unwrap(), "../secret", "weights/../../secret", "./../secret"] {
        write(&dir.model(), &split(location).0);
        assert_eq!(problem(&dir.model()), ExternalProblem::Outside, "{location}");
    }
    for location in [".", "folder"] {
        std::fs::create_dir_all(dir.model().with_file_name("folder")).unwrap();
        write(&dir.model(), &split(location).0);
        assert!(matches!(problem(&dir.model()), ExternalProblem::NotAFile(_)), "{location}");
    }
    write(&dir.model(), &split("").0);
    assert_eq!(problem(&dir.model()), ExternalProblem::Field("location"));
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_refused() {
    use std::os::unix::fs::symlink;
    let dir = Dir::new("links");
    let (model, data) = split("m.data");
    write(&dir.model(), &model);
    let secret = dir.0.join("secret");
    std::fs::write(&secret, &data).unwrap();
    let link = dir.model().with_file_name("m.data");
    symlink(&secret, &link).unwrap();
    assert_eq!(problem(&dir.model()), ExternalProblem::Link(link.clone()));
    // A folder that is a link.
    std::fs::remove_file(&link).unwrap();
    let link = dir.model().with_file_name("folder");
    symlink(&dir.0, &link).unwrap();
    write(&dir.model(), &split("folder/secret").0);
    assert_eq!(problem(&dir.model()), ExternalProblem::Link(link));
}

#[test]
fn fields_that_do_not_fit_are_refused() {
    let dir = Dir::new("fields");
    let (model, data) = split("w");
    std::fs::write(dir.model().with_file_name("w"), &data).unwrap();
    let with = |key: &str, value: &str| {
        let mut model = model.clone();
        let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
        tensor.external_data.retain(|e| e.key != key);
        tensor.external_data.push(entry(key, value));
        write(&dir.model(), &model);
        problem(&dir.model())
    };
    assert!(matches!(with("length", "4"), ExternalProblem::Length { actual: 4, .. }));
    for offset in ["-1", "", "x", "18446744073709551616"] {
        assert_eq!(with("offset", offset), ExternalProblem::Field("offset"), "{offset:?}");
    }
    let size = data.len() as u64;
    for offset in [size, size - 1, u64::MAX] {
        let short = with("offset", &offset.to_string());
        assert!(matches!(short, ExternalProblem::Short { size: s, .. } if s == size), "{offset}");
    }
    // An enormous shape is refused before anything is allocated for it.
    let mut model = model.clone();
    let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
    (tensor.dims, tensor.external_data) = (vec![1 << 40], vec![entry("location", "w")]);
    write(&dir.model(), &model);
    assert!(matches!(problem(&dir.model()), ExternalProblem::Short { .. }));
}

#[test]
fn a_small_file_is_not_read_over_and_over() {
    let dir = Dir::new("shared");
    let (mut model, data) = split("w");
    std::fs::write(dir.model().with_file_name("w"), &data).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let largest = graph.initializer.iter().max_by_key(|t| t.dims.iter().product::<i64>()).unwrap().clone();
    let copies =
        |n: usize| (0..n).map(|i| TensorProto { name: format!("copy {i}"), ..largest.clone() }).collect::<Vec<_>>();
    let own = graph.initializer.clone();
    graph.initializer = [own.clone(), copies(8)].concat();
    write(&dir.model(), &model);
    assert!(import(&dir.model()).is_ok());
    model.graph.as_mut().unwrap().initializer = [own, copies(100)].concat();
    write(&dir.model(), &model);
    assert_eq!(problem(&dir.model()), ExternalProblem::Repeated);
}
