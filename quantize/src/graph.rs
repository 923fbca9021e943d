//! The integer graph: the execution semantics of a model.
//!
//! A graph is a list of nodes in topological order. A node computes one *form*, an exact integer
//! expression in earlier tensors and parameters, shifts it right with the one rounding rule, and
//! applies one non-linear operation:
//!
//! ```text
//! A[e] = constant + Σ_t c_t · T_t[π_t(e)] + Σ_s c_s Σ_j X_s[α_s(e,j)] · Y_s[β_s(e,j)]      exact, |A| < 2^62
//! q[e] = (A[e] + 2^(shift-1)) >> shift                                            half-up, arithmetic shift
//! y    = op(q)
//! ```
//!
//! Everything linear (reshape, transpose, slice, concat, pad, broadcast, sums, scaling, matrix
//! products, convolutions) lives in the index maps of forms and never makes a tensor of its own.
//! All shapes are row-major. All integers are signed and exact.

use crate::{index::IndexMap, scale::Scale, table::Table};
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// A tensor of the graph: inputs first, then the outputs of nodes in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct TensorId(pub u32);

/// A parameter tensor (weights, biases).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ParamId(pub u32);

/// What a term reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Source {
    /// A tensor.
    Tensor(TensorId),
    /// A parameter.
    Param(ParamId),
}

/// A closed interval of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
pub struct Interval {
    /// The smallest value.
    pub lo: i64,
    /// The largest value.
    pub hi: i64,
}

impl Interval {
    /// The interval from `lo` to `hi`, both included.
    #[must_use]
    pub const fn new(lo: i64, hi: i64) -> Self {
        Self { lo, hi }
    }
    /// Whether it holds the value.
    #[must_use]
    pub const fn contains(&self, value: i64) -> bool {
        self.lo <= value && value <= self.hi
    }
}

/// One linear term: `coef · Σ_sums source[map(e, sums)]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Term {
    /// The integer factor.
    pub coef: i64,
    /// What is read.
    pub source: Source,
    /// Sizes of the axes summed over; they follow the form's axes in the map's numbering.
    pub sums: Vec<u32>,
    /// Where it is read.
    pub map: IndexMap,
}

/// One side of a [`Product`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Operand {
    /// What is read.
    pub source: Source,
    /// Sizes of axes that this side alone sums over; they follow the product's summed axes.
    pub sums: Vec<u32>,
    /// Where it is read.
    pub map: IndexMap,
}

/// A contraction: `coef · Σ_j left[α(e,j)] · right[β(e,j)]`.
///
/// Axes are numbered: the form's axes, then `summed`, then the operand's own `sums`. Both sides use
/// every axis of `summed`. An axis of the form may be used by the left side (rows), the right side
/// (columns) or both (batch, group, elementwise). A parameter stands on the left; not both sides are
/// parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Product {
    /// The integer factor.
    pub coef: i64,
    /// Sizes of the axes that both sides share and that are summed over.
    pub summed: Vec<u32>,
    /// The left side; the parameter, where there is one.
    pub left: Operand,
    /// The right side.
    pub right: Operand,
}

/// An exact integer expression over an index space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Form {
    /// Sizes of the axes of the index space.
    pub shape: Vec<u32>,
    /// Linear terms.
    pub terms: Vec<Term>,
    /// Contractions.
    pub products: Vec<Product>,
    /// Added to every element.
    pub constant: i64,
    /// Every value of the form lies here, for all inputs within the declared intervals.
    pub bounds: Interval,
}

impl Form {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().map(|s| *s as usize).product()
    }
    /// Whether it reads a parameter.
    #[must_use]
    pub fn reads_parameters(&self) -> bool {
        let products = self.products.iter().flat_map(|p| [p.left.source, p.right.source]);
        self.terms.iter().map(|t| t.source).chain(products).any(|source| matches!(source, Source::Param(_)))
    }
    /// Whether it has no elements; a valid form never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The non-linear operation of a node, applied to `q`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Op {
    /// `y = min(max(q, lo), hi)`; a missing bound does not clamp. ReLU is `lo = 0`.
    Clamp {
        /// Lower bound.
        lo: Option<i64>,
        /// Upper bound.
        hi: Option<i64>,
        /// Whether the node has a second output `max(lo − q, 0)` (needs `lo`): with it, leaky
        /// and parametric ReLU are linear.
        under: bool,
    },
    /// `y = table[min(max(q, table.lo), table.hi)]`.
    Table {
        /// Index in [`Graph::tables`].
        table: u32,
    },
    /// `y = min(max(max_window(q), lo), hi)` over the last `axes` axes of the form.
    Max {
        /// How many trailing axes are the window.
        axes: u8,
        /// Lower bound.
        lo: Option<i64>,
        /// Upper bound.
        hi: Option<i64>,
    },
    /// `y = floor(q / d)` with `d` another form of the same shape whose bounds are at least 1; the shift is 0.
    Div {
        /// The denominator.
        denominator: Form,
    },
    /// One-hot vectors: `y[e, j] = 1` if `q[e] = j` or `q[e] = j − size`, else 0, for `j` of one more, last axis. The form's bounds lie
    /// within `−size` and `size − 1`, so every vector has exactly one 1; the shift is 0.
    OneHot {
        /// The size of the last axis.
        size: u32,
    },
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Node {
    /// For people: the ONNX node that it comes from.
    pub name: String,
    /// The linear part.
    pub form: Form,
    /// Bits of the requantisation, 0 to 40.
    pub shift: u8,
    /// The non-linear part.
    pub op: Op,
    /// The unit of the output (of both outputs).
    pub scale: Scale,
}

impl Node {
    /// The shape of the output.
    #[must_use]
    pub fn output_shape(&self) -> Vec<u32> {
        let mut shape = self.form.shape.clone();
        match &self.op {
            Op::Max { axes, .. } => shape.truncate(shape.len().saturating_sub(usize::from(*axes))),
            Op::OneHot { size } => shape.push(*size),
            Op::Clamp { .. } | Op::Table { .. } | Op::Div { .. } => {}
        }
        shape
    }
    /// How many tensors it defines: one, or two.
    #[must_use]
    pub fn num_outputs(&self) -> u32 {
        if matches!(self.op, Op::Clamp { under: true, .. }) {
            2
        } else {
            1
        }
    }
}

/// A declared input.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Input {
    /// Its ONNX name.
    pub name: String,
    /// Its shape, as in the ONNX model with dimensions bound.
    pub shape: Vec<u32>,
    /// The declared interval of its integers.
    pub bounds: Interval,
    /// Its unit.
    pub scale: Scale,
}

/// A declared output: an exact form, without rounding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Output {
    /// Its ONNX name.
    pub name: String,
    /// Its shape, as in the ONNX model; the form has the same number of elements in row-major order.
    pub shape: Vec<u32>,
    /// Its value.
    pub form: Form,
    /// Its unit.
    pub scale: Scale,
}

/// A parameter tensor, as declared: its values are no part of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Param {
    /// For people: the ONNX initialiser that it comes from.
    pub name: String,
    /// Rows of the matrix, in memory order. For a contraction the rows are the axis that only the parameter has.
    pub rows: u32,
    /// Columns of the matrix: the summed axes (and batch or group axes) of the contraction.
    pub cols: u32,
    /// Declared interval of every value.
    pub bounds: Interval,
}

impl Param {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows as usize * self.cols as usize
    }
    /// Whether it has no elements; a valid parameter never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The integer graph, without the values of its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Graph {
    /// Parameters.
    pub params: Vec<Param>,
    /// Tables of non-linear functions.
    pub tables: Vec<Table>,
    /// Inputs; tensors `0..inputs.len()`.
    pub inputs: Vec<Input>,
    /// Nodes in topological order.
    pub nodes: Vec<Node>,
    /// Outputs.
    pub outputs: Vec<Output>,
}

/// Shape, interval and unit of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Shape.
    pub shape: Vec<u32>,
    /// Every value lies here.
    pub bounds: Interval,
    /// Unit.
    pub scale: Scale,
    /// Whether every vector along the last axis is a one-hot vector ([`Op::OneHot`]).
    pub one_hot: bool,
}

impl TensorInfo {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().map(|s| *s as usize).product()
    }
    /// Whether it has no elements; a valid tensor never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `min(max(v, lo), hi)`, with the bounds that there are.
#[must_use]
pub fn clamped(v: i64, (lo, hi): (Option<i64>, Option<i64>)) -> i64 {
    let v = lo.map_or(v, |lo| v.max(lo));
    hi.map_or(v, |hi| v.min(hi))
}

/// The one rounding rule: `(a + 2^(shift-1)) >> shift`, half-up; the identity for shift 0.
#[must_use]
pub fn round_shift(a: i64, shift: u8) -> i64 {
    if shift == 0 {
        a
    } else {
        (a + (1_i64 << (shift - 1))) >> shift
    }
}

impl Graph {
    /// Shape, interval and unit of every tensor, in order of [`TensorId`].
    #[must_use]
    pub fn tensors(&self) -> Vec<TensorInfo> {
        let mut infos: Vec<TensorInfo> = self
            .inputs
            .iter()
            .map(|i| TensorInfo { shape: i.shape.clone(), bounds: i.bounds, scale: i.scale, one_hot: false })
            .collect();
        for node in &self.nodes {
            let q = node.quantised_bounds();
            let bounds = match &node.op {
                Op::Clamp { lo, hi, .. } | Op::Max { lo, hi, .. } => {
                    Interval::new(clamped(q.lo, (*lo, *hi)), clamped(q.hi, (*lo, *hi)))
                }
                Op::Table { table } => self.tables.get(*table as usize).map_or(q, |t| t.image(q)),
                Op::Div { denominator } => {
                    let (dl, dh) = (denominator.bounds.lo.max(1), denominator.bounds.hi.max(1));
                    Interval::new(
                        q.lo.div_euclid(if q.lo < 0 { dl } else { dh }),
                        q.hi.div_euclid(if q.hi < 0 { dh } else { dl }),
                    )
                }
                Op::OneHot { .. } => Interval::new(0, 1),
            };
            let shape = node.output_shape();
            let one_hot = matches!(node.op, Op::OneHot { .. });
            infos.push(TensorInfo { shape: shape.clone(), bounds, scale: node.scale, one_hot });
            if let Op::Clamp { lo: Some(lo), under: true, .. } = &node.op {
                let bounds = Interval::new((lo - q.hi).max(0), (lo - q.lo).max(0));
                infos.push(TensorInfo { shape, bounds, scale: node.scale, one_hot: false });
            }
        }
        infos
    }
}

impl Node {
    /// The interval of `q`, the form after the shift.
    #[must_use]
    pub fn quantised_bounds(&self) -> Interval {
        Interval::new(round_shift(self.form.bounds.lo, self.shift), round_shift(self.form.bounds.hi, self.shift))
    }
}
