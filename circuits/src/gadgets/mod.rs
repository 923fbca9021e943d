//! Gadgets: what makes a row of columns valid.
//!
//! Each gadget declares its cells, its gates (with the lemma that makes its output unique), the input
//! forms that relations must define, and how an honest prover assigns it. Rule: every cell is
//! range-checked, or a product gate gives it as a polynomial of range-checked cells, or the gadget's lemma holds whatever
//! element of the field it is.

pub mod clamp;
pub mod division;
pub mod interval;
pub mod max;
pub mod one_hot;
pub mod requantise;
pub mod table;

use crate::{
    lookup_tables::LookupTables,
    lower::LowerError,
    relations::{Left, Relation, RelationKind, Right, TensorCells, WordTerm},
    words::{bits_of, loose_limbs, Block, CellKind, Lane, Limb, WordId},
};
use zkonnx_quantize::{graph::Interval, index::IndexMap};

/// Collects words, blocks and relations while a graph is lowered.
#[derive(Clone, Debug)]
pub struct Builder {
    /// Width of a limb, in bits.
    pub limb_bits: u8,
    /// What arguments of functions are looked up in.
    pub tables: LookupTables,
    /// The words: number of elements and limbs.
    pub words: Vec<(usize, Vec<Limb>)>,
    /// The blocks.
    pub blocks: Vec<Block>,
    /// The relations.
    pub relations: Vec<Relation>,
    /// The tensors.
    pub tensors: Vec<TensorCells>,
}

impl Builder {
    /// A builder for limbs of this width, without tables.
    #[must_use]
    pub fn new(limb_bits: u8) -> Self {
        Self::with_tables(limb_bits, LookupTables::default())
    }

    /// A builder for limbs of this width, with these tables.
    #[must_use]
    pub fn with_tables(limb_bits: u8, tables: LookupTables) -> Self {
        let (words, blocks, relations, tensors) = Default::default();
        Self { limb_bits, tables, words, blocks, relations, tensors }
    }

    /// A new word.
    pub fn word(&mut self, len: usize, limbs: Vec<Limb>) -> WordId {
        self.words.push((len, limbs));
        WordId(self.words.len() - 1)
    }

    /// A word of full limbs that holds `0..=max`, at least one limb.
    pub fn loose_word(&mut self, len: usize, max: i64) -> WordId {
        let bits = bits_of(i128::from(max)).max(1);
        let limbs = loose_limbs(bits, self.limb_bits);
        self.word(len, limbs)
    }

    /// The words `x'` and `y'` of a pair that is looked up.
    pub fn pair(&mut self, len: usize, table: u32) -> (WordId, WordId) {
        let mut cell = |kind| self.word(len, vec![Limb { shift: 0, kind }]);
        (cell(CellKind::Argument { table }), cell(CellKind::Value))
    }

    /// A block of words under a gate.
    pub fn block(&mut self, lane: Lane, words: &[WordId]) {
        self.blocks.push(Block { lane, words: words.to_vec() });
    }

    /// A definition of an input form of a gadget.
    pub fn relate(&mut self, name: &str, shape: &[u32], left: WordForm, right: Right) {
        self.push(RelationKind::Define, name, shape, left, right);
    }

    /// A constraint: words of one gadget add up to a constant.
    pub fn constrain(&mut self, name: &str, shape: &[u32], words: Vec<WordTerm>, sum: i64) {
        let left = WordForm { constant: 0, terms: words };
        self.push(RelationKind::Constrain, name, shape, left, Right::Words(Vec::new(), sum));
    }

    fn push(&mut self, kind: RelationKind, name: &str, shape: &[u32], left: WordForm, right: Right) {
        self.relations.push(Relation {
            kind,
            shape: shape.to_vec(),
            left: Left::Words(left.terms, left.constant),
            right,
            name: name.to_owned(),
        });
    }

    /// Declares the next tensor of the graph.
    pub fn define(&mut self, cells: TensorCells) {
        self.tensors.push(cells);
    }
}

/// A linear form in words over some index space: an input form of a gadget.
#[derive(Clone, Debug, Default)]
pub struct WordForm {
    /// The constant.
    pub constant: i64,
    /// The words.
    pub terms: Vec<WordTerm>,
}

impl WordForm {
    /// The form `constant + Σ coef·word[e]`, elementwise over `shape`.
    #[must_use]
    pub fn elementwise(constant: i64, terms: &[(i64, WordId)], shape: &[u32]) -> Self {
        let map = IndexMap::identity(shape, 0);
        let term = |(coef, word): &(i64, WordId)| WordTerm::plain(*coef, *word, map.clone());
        let terms = terms.iter().map(term).collect();
        Self { constant, terms }
    }
}

/// `hi − lo`, refused when it leaves 62 bits.
pub(crate) fn width(interval: Interval) -> Result<i64, LowerError> {
    interval.hi.checked_sub(interval.lo).filter(|w| *w >= 0 && *w < 1 << 62).ok_or(LowerError::TooWide)
}
