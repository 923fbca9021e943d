//! Relations: the linear (and bilinear) equations that tie gadgets to each other.
//!
//! For every index `e` of the index space of a relation,
//!
//! ```text
//! left_constant + Σ c·P[map(e)]  =  right(e)
//! ```
//!
//! A relation is one of two kinds, and none is both. A *definition* has on its left side words of one gadget only; its right side is a form of
//! the graph, or words of lower rank. Every input form of every used row of every gadget, and every element of every public
//! output, is the left side of exactly one pair (definition, index): lowering emits one definition per
//! gadget input form, over the gadget's whole index space. A *constraint* reads words of one gadget and defines nothing: it belongs to the
//! gadget's lemma, as row gates do.

use crate::words::WordId;
use zkonnx_quantize::{
    graph::{Form, Graph, Op, ParamId},
    index::IndexMap,
};

/// `coef · Σ_s word[map(e, s)]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordTerm {
    /// The factor.
    pub coef: i64,
    /// The word.
    pub word: WordId,
    /// Sizes of axes of its own, after those of the relation, that are summed over.
    pub sums: Vec<u32>,
    /// Where it is read.
    pub map: IndexMap,
}

impl WordTerm {
    /// A term without sums.
    #[must_use]
    pub fn plain(coef: i64, word: WordId, map: IndexMap) -> Self {
        Self { coef, word, sums: Vec::new(), map }
    }
}

/// What a relation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// Its left side is defined by its right side.
    Define,
    /// It binds words of one gadget to each other.
    Constrain,
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
    /// Definition or constraint.
    pub kind: RelationKind,
    /// Sizes of the axes of its index space.
    pub shape: Vec<u32>,
    /// The left side.
    pub left: Left,
    /// The right side.
    pub right: Right,
    /// For people: what it states.
    pub name: String,
}

/// How the cells of a tensor give its value: `offset + coef · word + excess`.
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
        /// A second word on the same rows: what saturation by lookup adds.
        excess: Option<WordId>,
    },
    /// One-hot vectors of a public input's elements: whoever knows the statement knows them.
    OneHot {
        /// The input.
        input: usize,
        /// The node, whose form says which elements.
        node: usize,
    },
}

impl TensorCells {
    /// A word of a gadget, less its smallest value.
    #[must_use]
    pub fn word(offset: i64, word: WordId) -> Self {
        Self::Word { offset, coef: 1, word, excess: None }
    }
}
