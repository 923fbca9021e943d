//! Weights in files beside the model (ONNX, `docs/ExternalData.md`): what torch's exporter writes by default, and the only way
//! above 2 GB.
//!
//! The place is a path from the model's folder. One that leaves the folder is refused, whether it is absolute, goes up, or
//! is a symbolic link: a model from elsewhere must not read files that its owner did not put beside it. Tensors are read
//! one by one, from where they stand; nothing is mapped, so that a file that changes meanwhile is an error and no undefined
//! behaviour. The `checksum` that ONNX allows is not looked at: nothing writes it.

use super::{
    element::Element,
    error::{ExternalProblem, ImportError, TensorProblem},
};
use std::{
    collections::HashMap,
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

/// How often the bytes of a file may be read: tensors may share them, but not make a small file large.
const MOST_READINGS: u64 = 64;

/// Reads all tensors of a model that stand in other files into the model.
pub(crate) fn read(model: &mut ModelProto, path: &Path) -> Result<(), ImportError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files = Files { folder, open: HashMap::new() };
    if let Some(graph) = &mut model.graph {
        of_graph(graph, &mut files)?;
    }
    model.functions.iter_mut().flat_map(|f| &mut f.node).try_for_each(|node| of_node(node, &mut files))
}

/// Where the data of a tensor is, if not in the model.
pub(crate) fn location(proto: &TensorProto) -> Option<&str> {
    // 1 is EXTERNAL.
    let is_external = proto.data_location == Some(1) || !proto.external_data.is_empty();
    is_external.then(|| field(proto, "location").unwrap_or_default())
}

fn field<'a>(proto: &'a TensorProto, key: &str) -> Option<&'a str> {
    proto.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

fn of_graph(graph: &mut GraphProto, files: &mut Files<'_>) -> Result<(), ImportError> {
    for tensor in &mut graph.initializer {
        let name = tensor.name.clone();
        of_tensor(tensor, &name, files)?;
    }
    graph.node.iter_mut().try_for_each(|node| of_node(node, files))
}

fn of_node(node: &mut NodeProto, files: &mut Files<'_>) -> Result<(), ImportError> {
    let name = super::import::node_name(node).to_owned();
    node.attribute.iter_mut().try_for_each(|attribute| of_attribute(attribute, &name, files))
}

fn of_attribute(attribute: &mut AttributeProto, name: &str, files: &mut Files<'_>) -> Result<(), ImportError> {
    attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(|tensor| of_tensor(tensor, name, files))?;
    attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|graph| of_graph(graph, files))
}

fn of_tensor(tensor: &mut TensorProto, name: &str, files: &mut Files<'_>) -> Result<(), ImportError> {
    let Some(location) = location(tensor).map(str::to_owned) else { return Ok(()) };
    let fail = |problem| ImportError::Initializer { name: name.to_owned(), problem };
    let expected = num_bytes(tensor).map_err(fail)?;
    let bytes = files.read(tensor, &location, expected).map_err(|problem| {
        let (location, problem) = (location.clone(), Box::new(problem));
        fail(TensorProblem::ExternalData { location, problem })
    })?;
    tensor.raw_data = bytes;
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}

/// The bytes that a tensor's shape and type need.
fn num_bytes(proto: &TensorProto) -> Result<u64, TensorProblem> {
    let bits = Element(proto.data_type).bits().ok_or(TensorProblem::Type(proto.data_type))?;
    let size = |d: &i64| u64::try_from(*d).ok();
    let count = proto.dims.iter().try_fold(1_u64, |v, d| v.checked_mul(size(d)?));
    let bits = count.and_then(|count| count.checked_mul(bits));
    bits.map(|bits| bits.div_ceil(8)).ok_or_else(|| TensorProblem::Shape(proto.dims.clone()))
}

/// The files of a folder that have been opened.
struct Files<'a> {
    folder: &'a Path,
    open: HashMap<String, Opened>,
}

struct Opened {
    file: File,
    size: u64,
    /// Bytes read of it.
    read: u64,
}

impl Files<'_> {
    /// The bytes of a tensor.
    fn read(&mut self, tensor: &TensorProto, location: &str, expected: u64) -> Result<Vec<u8>, ExternalProblem> {
        let number = |key: &'static str| {
            let parse = |text: &str| text.parse::<u64>().map_err(|_| ExternalProblem::Field(key));
            field(tensor, key).map(parse).transpose()
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        if let Some(actual) = length.filter(|length| *length != expected) {
            return Err(ExternalProblem::Length { expected, actual });
        }
        let opened = self.open(location)?;
        let end = offset.checked_add(expected).filter(|end| *end <= opened.size);
        let short = ExternalProblem::Short { offset, length: expected, size: opened.size };
        let (Some(_), Ok(length)) = (end, usize::try_from(expected)) else { return Err(short) };
        opened.read = opened.read.saturating_add(expected);
        if opened.read > opened.size.saturating_mul(MOST_READINGS) {
            return Err(ExternalProblem::Repeated);
        }
        let io = |e: std::io::Error| ExternalProblem::Io(e.to_string());
        opened.file.seek(SeekFrom::Start(offset)).map_err(io)?;
        let mut bytes = vec![0; length];
        opened.file.read_exact(&mut bytes).map_err(io)?;
        Ok(bytes)
    }

    fn open(&mut self, location: &str) -> Result<&mut Opened, ExternalProblem> {
        // Not by `entry`, which would copy the name of every tensor's file.
        if !self.open.contains_key(location) {
            let path = self.inside(location)?;
            let io = |e: std::io::Error| ExternalProblem::Io(e.to_string());
            let file = File::open(&path).map_err(io)?;
            let size = file.metadata().map_err(io)?.len();
            self.open.insert(location.to_owned(), Opened { file, size, read: 0 });
        }
        self.open.get_mut(location).ok_or(ExternalProblem::Field("location"))
    }

    /// The path of a location, if it stays in the folder and is a file there.
    fn inside(&self, location: &str) -> Result<PathBuf, ExternalProblem> {
        if location.is_empty() {
            return Err(ExternalProblem::Field("location"));
        }
        // A path of Windows reads as one name here, and there as what it is. All of it is looked at before the folder is.
        let goes_in = |component: &Component<'_>| matches!(component, Component::Normal(_) | Component::CurDir);
        if !Path::new(location).components().all(|component| goes_in(&component)) {
            return Err(ExternalProblem::Outside);
        }
        let mut path = self.folder.to_owned();
        let mut metadata = None;
        for component in Path::new(location).components() {
            let Component::Normal(name) = component else { continue };
            path.push(name);
            let found = path.symlink_metadata().map_err(|e| match e.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => ExternalProblem::Missing(path.clone()),
                _ => ExternalProblem::Io(e.to_string()),
            })?;
            if found.is_symlink() {
                return Err(ExternalProblem::Link(path));
            }
            metadata = Some(found);
        }
        match metadata {
            Some(metadata) if metadata.is_file() => Ok(path),
            _ => Err(ExternalProblem::NotAFile(path)),
        }
    }
}
