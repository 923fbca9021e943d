//! The float graph: an ONNX graph with fixed shapes, folded constants and few operators.

use super::{
    ops::{
        conv::Conv,
        elementwise::{Binary, Unary},
        ml::Ensemble,
        pool::Pool,
        reduce::Reduction,
    },
    tensor::Tensor,
};
use std::sync::Arc;

/// A value of a [`FloatGraph`], by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub usize);

/// A value: an input, a constant or the result of a node.
#[derive(Clone, Debug)]
pub struct Value {
    /// Its ONNX name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether it holds integers or booleans.
    pub integer: bool,
    /// Its value, where it does not depend on the inputs.
    pub constant: Option<Arc<Tensor>>,
    /// Whether it is a constant that follows from shapes and attributes: no weights, and so never secret.
    pub public: bool,
    /// The value whose calibrated range it shares (itself, or that at the same place in another step of a recurrence).
    pub range_of: Option<ValueId>,
    /// Whether what follows it needs more than the recipe's bits: scores that decide, arguments of steep functions.
    pub precise: bool,
}

/// An operator. ONNX operators that differ only in spelling are one operator here.
#[derive(Clone, Debug, PartialEq)]
pub enum FloatOp {
    /// Inputs x, weights, and optionally bias.
    Conv(Conv),
    /// `alpha · A' · B' + beta · C`.
    Gemm {
        /// Factor of the product.
        alpha: f64,
        /// Factor of C.
        beta: f64,
        /// Whether A is transposed.
        trans_a: bool,
        /// Whether B is transposed.
        trans_b: bool,
    },
    /// Matrix product with broadcast leading axes.
    MatMul,
    /// Elementwise with broadcasting.
    Binary(Binary),
    /// Inputs x, scale, bias, mean, variance.
    BatchNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Elementwise function of one input.
    Unary(Unary),
    /// Inputs x and slope.
    PRelu,
    /// Window maximum.
    MaxPool(Pool),
    /// Window mean.
    AveragePool {
        /// The windows.
        pool: Pool,
        /// Whether padding counts in the divisor.
        count_include_pad: bool,
    },
    /// Sum, mean or maximum over axes, which stay with size 1.
    Reduce(Reduction, Vec<usize>),
    /// The same elements in another shape.
    Reshape(Vec<usize>),
    /// Axis d of the result is axis `perm[d]` of the input.
    Transpose(Vec<usize>),
    /// Joined along an axis.
    Concat(usize),
    /// Per axis: start, step, length.
    Slice(Vec<(usize, i64, usize)>),
    /// Per axis: elements added in front, behind; and their value.
    Pad(Vec<(usize, usize)>, f64),
    /// Broadcast.
    Expand(Vec<usize>),
    /// Picks indices of an axis.
    Gather {
        /// The axis.
        axis: usize,
        /// The indices; `None` reads zero.
        indices: Vec<Option<usize>>,
        /// The shape that replaces the axis.
        shape: Vec<usize>,
    },
    /// Softmax over one axis.
    Softmax(usize),
    /// Inputs condition, a, b: a where the condition is not zero, else b; with broadcasting.
    Where,
    /// The index of the largest element of an axis, which stays with size 1.
    ArgMax {
        /// The axis.
        axis: usize,
        /// Of several largest ones the last counts, not the first.
        last: bool,
    },
    /// The largest elements of an axis in falling order (of equal ones the first comes first), or their indices.
    TopK {
        /// The axis.
        axis: usize,
        /// How many.
        k: usize,
        /// The indices instead of the values.
        indices: bool,
    },
    /// A new last axis with a one at the index that an integer element gives, and zeros; all are zeros where there is no such place.
    OneHot {
        /// Its size.
        depth: usize,
        /// Whether negative indices count from the end.
        wrap: bool,
    },
    /// Rows of features to sums of the weights of decision trees.
    Trees(Arc<Ensemble>),
}

impl FloatOp {
    /// Whether it has one input, whose elements it moves, repeats or leaves out.
    pub(crate) fn moves(&self) -> bool {
        matches!(
            self,
            Self::Reshape(_)
                | Self::Transpose(_)
                | Self::Expand(_)
                | Self::Slice(_)
                | Self::Gather { .. }
                | Self::Pad(..)
        )
    }

    /// Whether the result jumps where the arguments change by little.
    #[must_use]
    pub fn is_discontinuous(&self) -> bool {
        match self {
            Self::Binary(binary) => binary.is_comparison(),
            Self::Unary(unary) => matches!(unary, Unary::Floor | Unary::Round { .. }),
            _ => false,
        }
    }
}

/// A node.
#[derive(Clone, Debug)]
pub struct FloatNode {
    /// Its ONNX name, or that of its first output.
    pub name: String,
    /// Its ONNX operator.
    pub op_type: String,
    /// What it computes.
    pub op: FloatOp,
    /// Its inputs.
    pub inputs: Vec<ValueId>,
    /// Its output.
    pub output: ValueId,
}

/// An ONNX graph with fixed shapes and folded constants.
#[derive(Clone, Debug, Default)]
pub struct FloatGraph {
    /// All values.
    pub values: Vec<Value>,
    /// The inputs.
    pub inputs: Vec<ValueId>,
    /// Nodes in topological order; each depends on an input.
    pub nodes: Vec<FloatNode>,
    /// Output names and values.
    pub outputs: Vec<(String, ValueId)>,
    /// What the owner of the model should know of its outputs.
    pub notes: Vec<String>,
}

impl FloatGraph {
    /// The shape of a value.
    #[must_use]
    pub fn shape(&self, id: ValueId) -> &[usize] {
        &self.values[id.0].shape
    }
    /// A new value that is no constant.
    pub(crate) fn add_value(&mut self, name: &str, shape: Vec<usize>, integer: bool) -> ValueId {
        let name = name.into();
        self.values.push(Value { name, shape, integer, constant: None, public: false, range_of: None, precise: false });
        ValueId(self.values.len() - 1)
    }
    /// The constant value, if it is one.
    #[must_use]
    pub fn constant(&self, id: ValueId) -> Option<&Arc<Tensor>> {
        self.values[id.0].constant.as_ref()
    }
    /// How often a value is read by nodes and outputs.
    #[must_use]
    pub fn num_readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.values.len()];
        for id in self.nodes.iter().flat_map(|n| &n.inputs).chain(self.outputs.iter().map(|o| &o.1)) {
            readers[id.0] += 1;
        }
        readers
    }
}
