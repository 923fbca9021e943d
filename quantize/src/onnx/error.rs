//! Why an ONNX file is not imported.

use super::{inputs, normalize::NormalizeProblem};
use serde::Serialize;
use std::{fmt, path::PathBuf};

/// Why an ONNX file is not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read '{}': {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The bytes are no protobuf message, or a truncated one.
    #[error("not an ONNX file, or a truncated one: {0}")]
    Malformed(String),
    /// A protobuf message that is no ONNX model.
    #[error("not an ONNX model: {0}")]
    NotOnnx(&'static str),
    /// Nodes that this program does not support, all of them.
    #[error("{} unsupported node{}:{}", .0.len(), plural(.0.len()), list(.0))]
    Unsupported(Vec<UnsupportedNode>),
    /// A graph input that cannot be fixed.
    #[error("input '{name}': {problem}")]
    Input {
        /// The input.
        name: String,
        /// What is wrong with it.
        problem: InputProblem,
    },
    /// Dimensions of inputs without a size, all of them.
    #[error("{} dimension{} without a size:{}", .0.len(), plural(.0.len()), .0.iter().map(|d| format!("\n  {d}")).collect::<String>())]
    Unbound(Vec<UnboundDim>),
    /// A size for a dimension that the model does not have.
    #[error("there is no dimension '{name}'; the model has {}", names(known))]
    UnknownDim {
        /// The name.
        name: String,
        /// The names of all dimensions of its inputs.
        known: Vec<String>,
    },
    /// A normalisation that does not fit the model.
    #[error(transparent)]
    Normalize(NormalizeProblem),
    /// An initialiser that cannot be read.
    #[error("initialiser '{name}': {problem}")]
    Initializer {
        /// The initialiser.
        name: String,
        /// What is wrong with it.
        problem: TensorProblem,
    },
    /// A node whose attributes, inputs or shapes are wrong.
    #[error("node '{name}' ({op}, opset {opset}): {problem}")]
    Node {
        /// The node.
        name: String,
        /// Its operator.
        op: String,
        /// The operator set version.
        opset: i64,
        /// What is wrong with it.
        problem: NodeProblem,
    },
    /// A declared output that no node computes.
    #[error("output '{0}' is computed by no node")]
    MissingOutput(String),
    /// A declared output without elements.
    #[error("output '{name}' has the shape {shape:?} and so no elements: leave it out")]
    EmptyOutput {
        /// The output.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Inputs for a run that are not what the model takes.
    #[error("input '{name}' of shape {expected:?} is needed, {}", actual.as_ref().map_or("none was given".into(), |a| format!("{a:?} was given")))]
    RunInput {
        /// The input.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
        /// The shape given.
        actual: Option<Vec<usize>>,
    },
}

/// A node that is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedNode {
    /// Its operator, with the domain unless it is the default one.
    pub op: String,
    /// Its name.
    pub name: String,
    /// The operator set version.
    pub opset: i64,
    /// Which variant of a supported operator it is.
    pub reason: Option<String>,
    /// The input that would have to be a constant, where this is the reason.
    pub not_constant: Option<usize>,
}

/// A dimension of an input that the file gives no size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnboundDim {
    /// The input.
    pub input: String,
    /// The axis.
    pub axis: usize,
    /// Its symbol; may be empty.
    pub symbol: String,
}

impl UnboundDim {
    /// The name by which it is given a size: its symbol if it has a good one, else `INPUT:AXIS`.
    #[must_use]
    pub fn key(&self) -> String {
        if inputs::is_name(&self.symbol) {
            self.symbol.clone()
        } else {
            inputs::place(&self.input, self.axis)
        }
    }
}

impl fmt::Display for UnboundDim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "axis {} of input '{}'", self.axis, self.input)?;
        if self.symbol.is_empty() {
            Ok(())
        } else {
            write!(f, " ('{}')", self.symbol)
        }
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 {
        ""
    } else {
        "s"
    }
}

fn names(list: &[String]) -> String {
    if list.is_empty() {
        return "none".into();
    }
    list.iter().map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", ")
}

fn list(nodes: &[UnsupportedNode]) -> String {
    let reason = |n: &UnsupportedNode| n.reason.as_ref().map_or(String::new(), |r| format!(": {r}"));
    nodes.iter().map(|n| format!("\n  {} (node '{}', opset {}){}", n.op, n.name, n.opset, reason(n))).collect()
}

/// What is wrong with a graph input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputProblem {
    /// No shape in the file.
    #[error("it has no shape in the file: every axis needs a size, by the name INPUT:AXIS")]
    NoShape,
    /// Another size than the file fixes.
    #[error("axis {axis} has the fixed size {size}, not {given}")]
    Fixed {
        /// The axis.
        axis: usize,
        /// Its size in the file.
        size: i64,
        /// The size given.
        given: u32,
    },
    /// Zero or far too large.
    #[error("axis {axis} has size {size}")]
    Size {
        /// The axis.
        axis: usize,
        /// Its size.
        size: i64,
    },
    /// Too many elements.
    #[error("it has too many elements")]
    TooLarge,
    /// Not a tensor of numbers.
    #[error("it is no tensor of floats (ONNX type {0})")]
    Type(i32),
}

/// What is wrong with a constant tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorProblem {
    /// An element type that is not read.
    #[error("element type {0} is not supported")]
    Type(i32),
    /// Data that does not fit the shape.
    #[error("shape {shape:?} needs {expected} elements, the data holds {actual}")]
    Length {
        /// The declared shape.
        shape: Vec<i64>,
        /// Elements of the shape.
        expected: usize,
        /// Elements of the data.
        actual: usize,
    },
    /// A negative or enormous dimension.
    #[error("the shape {0:?} is not possible")]
    Shape(Vec<i64>),
    /// Data in another file, of a model that is given as bytes.
    #[error("its data is in another file, '{0}', which is found beside a model that is given by its path")]
    External(String),
    /// Data in another file that is not read.
    #[error("its data is in '{location}': {problem}")]
    ExternalData {
        /// The file, from the model's folder.
        location: String,
        /// Why not.
        problem: Box<ExternalProblem>,
    },
    /// NaN or infinite.
    #[error("element {0} is not finite")]
    NotFinite(usize),
}

/// What is wrong with a file of weights beside the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalProblem {
    /// No file.
    #[error("there is no '{}'; it belongs beside the model", .0.display())]
    Missing(PathBuf),
    /// A path that is absolute or goes up.
    #[error("the path leaves the model's folder; weights are read from the folder only")]
    Outside,
    /// A symbolic link, which may lead anywhere.
    #[error("'{}' is a symbolic link; put the file itself beside the model", .0.display())]
    Link(PathBuf),
    /// A folder or a device.
    #[error("'{}' is no file", .0.display())]
    NotAFile(PathBuf),
    /// A field that is missing or no number.
    #[error("the field '{0}' is missing or not valid")]
    Field(&'static str),
    /// Another length than shape and type have.
    #[error("shape and type need {expected} bytes, the field 'length' says {actual}")]
    Length {
        /// The bytes of the shape.
        expected: u64,
        /// The bytes that the model declares.
        actual: u64,
    },
    /// A file that ends before the data does.
    #[error("{length} bytes from {offset} on are needed, the file has {size}; it is truncated, or another model's")]
    Short {
        /// Where the data begins.
        offset: u64,
        /// Its length.
        length: u64,
        /// The length of the file.
        size: u64,
    },
    /// Far more data than the file has.
    #[error("too many tensors share its bytes")]
    Repeated,
    /// What the operating system says.
    #[error("{0}")]
    Io(String),
}

/// What is wrong with a node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeProblem {
    /// An input that the operator needs.
    #[error("input {0} is missing")]
    MissingInput(usize),
    /// An input that nothing before this node computes.
    #[error("reads '{0}', which nothing before it computes")]
    Undefined(String),
    /// An input that has to be a constant.
    #[error("input {0} must be a constant")]
    NotConstant(usize),
    /// An attribute that the operator needs, or one with an impossible value.
    #[error("attribute '{0}' is missing or not valid")]
    Attribute(&'static str),
    /// A constant that cannot be read.
    #[error("attribute '{name}': {problem}")]
    Constant {
        /// The attribute.
        name: String,
        /// What is wrong with it.
        problem: TensorProblem,
    },
    /// Shapes that do not fit together.
    #[error("input shapes {shapes:?} do not fit: {why}")]
    Shapes {
        /// The shapes of the inputs.
        shapes: Vec<Vec<usize>>,
        /// Why not.
        why: &'static str,
    },
    /// The result would be enormous or empty.
    #[error("its result has the shape {0:?}, which is empty or too large")]
    Size(Vec<usize>),
    /// A variant of the operator that is not supported.
    #[error("not supported: {0}")]
    Variant(&'static str),
    /// Loops or functions that unroll to too much, or are nested too deeply.
    #[error("loops and functions unroll to too many nodes or constants, or are nested too deeply")]
    Unrolled,
    /// Something in the body of a control-flow operator or a function that is not supported, and has been listed.
    #[error("its body holds unsupported nodes")]
    Noted,
    /// Something in the body of a control-flow operator.
    #[error("{0}")]
    Body(Box<ImportError>),
}
