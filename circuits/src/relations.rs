//! Relations: the linear (and bilinear) equations that tie gadgets to each other.
//!
//! For every index `e` of the index space of a relation,
//!
//! ```text
//! left_constant + Σ c·P[map(e)]  =  right(e)
//! ```
//!
//! The left side reads words of one gadget only; the right side is a form of the graph, or words of
//! lower rank. Every input form of every used row of every gadget, and every element of every public
//! output, is the left side of exactly one pair (relation, index): lowering emits one relation per
//! gadget input form, over the gadget's whole index space.

use crate::words::WordId;
use zkonnx_quantize::{
    graph::{Form, Graph, Op, ParamId},
    index::IndexMap,
};

/// `coef · word[map(e)]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordTerm {
    /// The factor.
    pub coef: i64,
    /// The word.
    pub word: WordId,
    /// Where it is read.
    pub map: IndexMap,
}

/// A form of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormRef {
    /// The form of a node.
    Node(usize),
    /// The denominator of a division node.
    Denominator(usize),
    /// The form of an output.
    Output(usize),
}

impl FormRef {
    /// Looks the form up.
    #[must_use]
    pub fn resolve<'a>(&self, graph: &'a Graph) -> Option<&'a Form> {
        match *self {
            Self::Node(i) => graph.nodes.get(i).map(|n| &n.form),
            Self::Output(i) => graph.outputs.get(i).map(|o| &o.form),
            Self::Denominator(i) => match &graph.nodes.get(i)?.op {
                Op::Div { denominator } => Some(denominator),
                _ => None,
            },
        }
    }
}

/// The left side of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// Words of one gadget, plus a constant.
    Words(Vec<WordTerm>, i64),
    /// A public output: its elements stand in the statement.
    Output(usize),
    /// The committed cells of a tensor, by its number among the committed ones.
    Committed(usize),
    /// The words of a parameter's weights: in a registration, tensor `i` is parameter `i`. Zero beyond the last row.
    Weights(ParamId),
}

/// The right side of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// A form of the graph.
    Form(FormRef),
    /// Words of lower rank, plus a constant.
    Words(Vec<WordTerm>, i64),
    /// The committed cells of a tensor, by its number among the committed ones.
    Committed(usize),
    /// The cells of a parameter, row by row, and those beyond its last row that a contraction would read.
    Weights(ParamId),
}

/// One relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Sizes of the axes of its index space.
    pub shape: Vec<u32>,
    /// The left side.
    pub left: Left,
    /// The right side.
    pub right: Right,
    /// For people: what it states.
    pub name: String,
}

/// How the cells of a tensor give its value: `offset + coef · word`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorCells {
    /// A public input: its values stand in the statement.
    Public(usize),
    /// A word of a gadget.
    Word {
        /// Added to the word.
        offset: i64,
        /// 1 or −1.
        coef: i64,
        /// The word.
        word: WordId,
    },
}
