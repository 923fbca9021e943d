//! Lowering: from the integer graph to words, blocks and relations.
//!
//! Lowering is a function of the graph, the limb width and the modes of inputs and outputs alone, so a
//! verifier derives the same relations from a registered model as the prover: nothing of them is stored.

use crate::{
    gadgets::{clamp, division, interval, max, one_hot, table, Builder, WordForm},
    lookup_tables::LookupTables,
    relations::{FormRef, Left, Relation, RelationKind, Right, TensorCells},
    saturation,
    words::{Block, CellKind, Limb},
};
use std::ops::Range;
use zkonnx_quantize::graph::{Graph, Op};

/// How a declared input or output stands in a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Its integers stand in the statement.
    Public,
    /// Nothing is said about it but its declared interval.
    Hidden,
    /// Points that hide it stand in the statement (see [`crate::committed`]).
    Committed,
}

/// The modes of all inputs and outputs, in declared order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Modes {
    /// One per input.
    pub inputs: Vec<Mode>,
    /// One per output.
    pub outputs: Vec<Mode>,
}

impl Modes {
    /// Everything public.
    #[must_use]
    pub fn public(graph: &Graph) -> Self {
        Self { inputs: vec![Mode::Public; graph.inputs.len()], outputs: vec![Mode::Public; graph.outputs.len()] }
    }
}

/// Why a valid graph has no circuit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError {
    /// An interval that words cannot hold.
    #[error("an interval is empty or wider than 62 bits")]
    TooWide,
    /// Words whose linear form leaves the field's safe range.
    #[error("the words of '{0}' could leave the range in which a relation over the field is one over the integers")]
    Overflow(String),
    /// A table or limb width that is not allowed.
    #[error("limbs of {0} bits are not supported (4 to 18)")]
    LimbBits(u8),
    /// `k` is not allowed.
    #[error("k = {0} is not supported (4 to 18)")]
    K(u8),
    /// Modes of another graph.
    #[error("{expected} {what} have modes, the graph has {actual}")]
    Modes {
        /// Inputs or outputs.
        what: &'static str,
        /// In the modes.
        expected: usize,
        /// In the graph.
        actual: usize,
    },
    /// A point of a committed tensor needs more generators than there are.
    #[error("the committed tensor '{name}' needs {needed} generators, there are {rows}: choose a larger k")]
    CommittedRows {
        /// The tensor.
        name: String,
        /// Elements of a point.
        needed: usize,
        /// Rows.
        rows: usize,
    },
    /// More words than the limit.
    #[error("the graph needs {actual} words and more, the limit is {limit}")]
    TooManyWords {
        /// How many it needs at least.
        actual: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A contraction over more index bits than the limit.
    #[error("a contraction runs over {actual} index bits, the limit is {limit}")]
    TooManyVariables {
        /// How many it runs over.
        actual: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// More lookups or gates than the argument takes.
    #[error("lookups or gates of 2^{actual} rows in all, the limit is 2^{limit}")]
    TooManySlots {
        /// Bits of their number.
        actual: usize,
        /// Bits allowed.
        limit: usize,
    },
    /// More rows of tables than the limit.
    #[error("the lookup tables would have {actual} rows, the limit is {limit}")]
    TooManyTableRows {
        /// How many they would have.
        actual: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A column that no lookup and no gate binds, or that is looked up twice. No graph leads to one.
    #[error("column {0} is not bound as its kind asks")]
    Coverage(usize),
    /// More columns than the limit.
    #[error("the circuit would have {actual} columns, the limit is {limit}: choose a larger k")]
    TooManyColumns {
        /// How many it would have.
        actual: usize,
        /// How many are allowed.
        limit: usize,
    },
}

/// The words of a node, for the honest assignment.
#[derive(Clone, Debug)]
pub enum NodeWords {
    /// A clamp.
    Clamp(clamp::ClampNode),
    /// A table.
    Table(table::TableNode),
    /// A maximum.
    Max(max::MaxNode),
    /// A division.
    Division(division::DivisionNode),
    /// One-hot vectors; none where they are public.
    OneHot(Option<one_hot::OneHotNode>),
}

/// A lowered graph.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// What arguments of functions are looked up in.
    pub tables: LookupTables,
    /// Words: number of elements and limbs.
    pub words: Vec<(usize, Vec<Limb>)>,
    /// Blocks.
    pub blocks: Vec<Block>,
    /// Relations.
    pub relations: Vec<Relation>,
    /// The cells of every tensor, in order of their ids.
    pub tensors: Vec<TensorCells>,
    /// The interval words of hidden and committed inputs; `None` for public ones.
    pub inputs: Vec<Option<interval::IntervalWords>>,
    /// The words of every node.
    pub nodes: Vec<NodeWords>,
    /// The numbers of every node's words.
    pub node_words: Vec<Range<usize>>,
}

/// Widths of limbs.
pub const LIMB_BITS: std::ops::RangeInclusive<u8> = 4..=18;

/// More words than this are refused: every one has relations of its own.
pub const MAX_WORDS: usize = 1 << 17;

/// Absolute values on both sides of a relation stay below `2^126`: far below half the field's size.
const SIDE_LIMIT: i128 = 1 << 126;

/// Forms in product gates stay below `2^100`, so products of two and the numerator of a division are below `2^202`.
const FORM_LIMIT: i128 = 1 << 100;

/// One more than the largest value of a word.
///
/// Cells that are not looked up count nothing: a numerator `x` is `q·d + r` by its gate, below `2^202`, and is the whole left side of its
/// relation; selectors are read by their gate and their sum alone, whose lemma holds for all elements of the field.
fn capacity(limbs: &[Limb]) -> i128 {
    limbs.iter().fold(0_i128, |sum, limb| match limb.kind {
        CellKind::Range { bits } => sum.saturating_add(1_i128 << (u32::from(bits) + u32::from(limb.shift)).min(120)),
        // Table indices and entries are 32-bit integers at most, relative to the smallest.
        CellKind::Argument { .. } | CellKind::Value => sum.saturating_add(1 << 40),
        CellKind::Unchecked => sum,
    })
}

/// Lowers a valid graph.
///
/// # Errors
/// [`LowerError`] when the graph has no circuit with these limbs.
pub fn lower(graph: &Graph, modes: &Modes, limb_bits: u8) -> Result<Lowered, LowerError> {
    if !LIMB_BITS.contains(&limb_bits) {
        return Err(LowerError::LimbBits(limb_bits));
    }
    for (what, expected, actual) in
        [("inputs", modes.inputs.len(), graph.inputs.len()), ("outputs", modes.outputs.len(), graph.outputs.len())]
    {
        if expected != actual {
            return Err(LowerError::Modes { what, expected, actual });
        }
    }
    let infos = graph.tensors();
    let mut builder = Builder::with_tables(limb_bits, saturation::choose(graph, limb_bits)?);
    let mut inputs = Vec::new();
    let mut committed = 0..;
    for (i, (input, mode)) in graph.inputs.iter().zip(&modes.inputs).enumerate() {
        inputs.push(match mode {
            Mode::Public => {
                builder.define(TensorCells::Public(i));
                None
            }
            Mode::Hidden | Mode::Committed => {
                let len = input.shape.iter().map(|s| *s as usize).product();
                let words = interval::lower_input(&mut builder, len, input.bounds)?;
                if let Some(at) = (*mode == Mode::Committed).then(|| committed.next()).flatten() {
                    let form = WordForm::elementwise(input.bounds.lo, &[(1, words.value)], &input.shape);
                    builder.relate(&input.name, &input.shape, form, Right::Committed(at));
                }
                Some(words)
            }
        });
    }
    let mut nodes = Vec::new();
    let mut node_words = Vec::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        if builder.words.len() > MAX_WORDS {
            return Err(LowerError::TooManyWords { actual: builder.words.len(), limit: MAX_WORDS });
        }
        let form = FormRef::Node(i);
        let first = builder.words.len();
        nodes.push(match &node.op {
            Op::Clamp { lo, hi, under } => {
                NodeWords::Clamp(clamp::lower(&mut builder, node, form, (*lo, *hi, *under))?)
            }
            Op::Table { table: index } => NodeWords::Table(table::lower(&mut builder, node, form, *index)?),
            Op::Max { axes, lo, hi } => {
                NodeWords::Max(max::lower(&mut builder, node, form, usize::from(*axes), (*lo, *hi))?)
            }
            Op::Div { denominator } => {
                let output = infos.get(builder.tensors.len()).ok_or(LowerError::TooWide)?.bounds;
                let forms = (form, FormRef::Denominator(i));
                NodeWords::Division(division::lower(&mut builder, node, forms, denominator, output)?)
            }
            Op::OneHot { size } => NodeWords::OneHot(one_hot::lower(&mut builder, node, i, form, *size)?),
        });
        node_words.push(first..builder.words.len());
    }
    for (i, (output, mode)) in graph.outputs.iter().zip(&modes.outputs).enumerate() {
        let left = match mode {
            Mode::Public => Some(Left::Output(i)),
            Mode::Committed => committed.next().map(Left::Committed),
            Mode::Hidden => None,
        };
        builder.relations.extend(left.map(|left| Relation {
            kind: RelationKind::Define,
            shape: output.form.shape.clone(),
            left,
            right: Right::Form(FormRef::Output(i)),
            name: output.name.clone(),
        }));
    }
    let Builder { tables, words, blocks, relations, tensors, .. } = builder;
    let lowered = Lowered { tables, words, blocks, relations, tensors, inputs, nodes, node_words };
    lowered.check_ranges()?;
    Ok(lowered)
}

impl Lowered {
    /// Both sides of a relation are integers far below the field's size, from enforced ranges alone.
    ///
    /// Right sides that are forms are below 2^62 by the graph's validation.
    fn check_ranges(&self) -> Result<(), LowerError> {
        let size = |terms: &[crate::relations::WordTerm]| {
            terms.iter().fold(0_i128, |sum, term| {
                let limbs = &self.words[term.word.0].1;
                let count = term.sums.iter().fold(1_i128, |n, size| n.saturating_mul(i128::from(*size)));
                let factor = i128::from(term.coef).abs().saturating_mul(count);
                sum.saturating_add(capacity(limbs).saturating_mul(factor))
            })
        };
        for relation in &self.relations {
            let left = match &relation.left {
                Left::Words(terms, _) => size(terms),
                Left::Output(_) | Left::Committed(_) | Left::Weights(_) => 0,
            };
            let right = match &relation.right {
                Right::Words(terms, _) => size(terms),
                Right::Form(_) | Right::Committed(_) | Right::Weights(_) => 0,
            };
            if left.saturating_add(right) >= SIDE_LIMIT {
                return Err(LowerError::Overflow(relation.name.clone()));
            }
        }
        for block in &self.blocks {
            for gate in block.lane.gates() {
                for form in gate.forms() {
                    let size = form.words.iter().fold(i128::from(form.constant).abs(), |sum, (word, coef)| {
                        let limbs = block.words.get(*word).map_or(&[][..], |id| &self.words[id.0].1);
                        sum.saturating_add(capacity(limbs).saturating_mul(i128::from(*coef).abs()))
                    });
                    if size >= FORM_LIMIT {
                        return Err(LowerError::Overflow(format!("{:?}", block.lane)));
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Lane, WordId};

    /// `b·d` with `d` of limbs that hold so many bits, in a gate and in no relation.
    fn of_bits(bits: u8) -> Result<(), LowerError> {
        let limb = |shift: u8| Limb { shift, kind: CellKind::Range { bits: (bits - shift).min(10) } };
        let d: Vec<Limb> = (0..bits).step_by(10).map(limb).collect();
        let selector = vec![Limb { shift: 0, kind: CellKind::Unchecked }];
        let lowered = Lowered {
            tables: LookupTables::default(),
            words: vec![(1, d), (1, selector)],
            blocks: vec![Block { lane: Lane::Select, words: vec![WordId(0), WordId(1)] }],
            relations: Vec::new(),
            tensors: Vec::new(),
            inputs: Vec::new(),
            nodes: Vec::new(),
            node_words: Vec::new(),
        };
        lowered.check_ranges()
    }

    #[test]
    fn refuses_a_gate_of_forms_beyond_the_limit() {
        // A word of 99 bits in several limbs stays below 2^100; one more bit does not.
        assert!(of_bits(99).is_ok());
        let error = of_bits(101).expect_err("a product above 2^202");
        assert!(matches!(&error, LowerError::Overflow(lane) if lane.contains("Select")), "{error:?}");
    }
}
