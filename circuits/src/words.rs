//! Words and lanes: what the cells of the circuit are, before and after they get their places.
//!
//! A *word* is a vector of non-negative integers, one per element of a gadget port; each element is
//! the sum of its limbs, `Σ 2^shift_l · limb_l`, and each limb is one looked-up cell. A word has no
//! cell of its own: gates and relations use the sum. Digits are unique, so every integer has one
//! representation. A *lane* is the set of columns that a gate binds row by row; blocks of elements
//! with the same kind of lane share its columns, one after another.

use std::{collections::BTreeMap, sync::Arc};

/// A word, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WordId(pub usize);

/// What keeps a cell small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellKind {
    /// Looked up in the table of `0 .. 2^bits`.
    Range {
        /// The width.
        bits: u8,
    },
    /// The argument of a pair lookup in a function's table; the next cell of the lane is the value.
    Argument {
        /// Number of the function's table among [`crate::lookup_tables::LookupTables`].
        table: u32,
    },
    /// The value of a pair lookup.
    Value,
    /// Not looked up: a product gate gives it as a polynomial of cells that are, or nothing is claimed of its size.
    Unchecked,
}

impl CellKind {
    /// Whether a cell is looked up by itself: a value is with its argument.
    #[must_use]
    pub fn is_looked_up(self) -> bool {
        matches!(self, Self::Range { .. } | Self::Argument { .. })
    }
}

/// One limb of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limb {
    /// The limb counts `2^shift`.
    pub shift: u8,
    /// What bounds it.
    pub kind: CellKind,
}

/// The limbs of a word of exactly `bits` bits: full limbs of `limb_bits`, then a short one.
#[must_use]
pub fn exact_limbs(bits: u8, limb_bits: u8) -> Vec<Limb> {
    let mut limbs = Vec::new();
    let mut shift = 0;
    while shift < bits {
        let width = limb_bits.min(bits - shift);
        limbs.push(Limb { shift, kind: CellKind::Range { bits: width } });
        shift += width;
    }
    limbs
}

/// The limbs of a word of at least `bits` bits: full limbs only, which share one table.
#[must_use]
pub fn loose_limbs(bits: u8, limb_bits: u8) -> Vec<Limb> {
    exact_limbs(bits.div_ceil(limb_bits) * limb_bits, limb_bits)
}

/// The least number of bits that hold `value`.
#[must_use]
pub fn bits_of(value: i128) -> u8 {
    u8::try_from(128 - value.max(0).leading_zeros()).unwrap_or(u8::MAX)
}

/// What binds a lane's words on a row ([`Lane::gates`]); see the gadget of the same name for the lemma.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// No gate: cells are only in range.
    Range,
    /// Words `a, a'` with `a + a' = width`.
    Interval {
        /// The width of the interval.
        width: u64,
    },
    /// Words `y', [v], [w], [y'']`: see [`crate::gadgets::clamp`].
    Clamp {
        /// Whether there is a word `v` with `v·y' = 0`.
        under: bool,
        /// With `Some(D)` there is a word `w` with `w·(D − y') = 0`.
        over: Option<u64>,
        /// Whether there is a word `y''` with `y' + y'' = D`.
        complement: bool,
    },
    /// Words `d, b` with `b·d = 0`: see [`crate::gadgets::max`].
    Select,
    /// Words `x', y` in a pair lookup, then as in `Clamp` with `x'` for `y'`: see [`crate::gadgets::table`].
    Table {
        /// Number of the function's table.
        table: u32,
        /// Whether there is a word `v` with `v·x' = 0`.
        under: bool,
        /// With `Some(D)` there is a word `w` with `w·(D − x') = 0`.
        over: Option<u64>,
    },
    /// Words `x, q', r, r'` with `x = (q_lo + q')(1 + r + r') + r`: see [`crate::gadgets::division`].
    Division {
        /// The smallest quotient.
        q_lo: i64,
    },
}

impl Lane {
    /// The value that an unused cell of word `word` holds: a valid assignment of the lane.
    #[must_use]
    pub fn unused(&self, word: usize) -> i64 {
        match (self, word) {
            (Self::Interval { width }, 1) => i64::try_from(*width).unwrap_or(0),
            (Self::Clamp { under, over: Some(width), complement: true }, word) if word == 2 + usize::from(*under) => {
                i64::try_from(*width).unwrap_or(0)
            }
            (Self::Division { q_lo }, 0) => *q_lo,
            _ => 0,
        }
    }
}

/// Elements that one gadget puts into a lane.
#[derive(Clone, Debug)]
pub struct Block {
    /// The lane.
    pub lane: Lane,
    /// Its words, in the lane's order.
    pub words: Vec<WordId>,
}

/// A word and its place: limb `l` of element `t` is at stream position `p = start + t`, in column
/// `columns[p / u]`, row `p % u`, where `u` is the number of active rows.
#[derive(Clone, Debug)]
pub struct Word {
    /// Number of elements.
    pub len: usize,
    /// The limbs.
    pub limbs: Vec<Limb>,
    /// One per limb.
    pub places: Vec<Place>,
}

impl Word {
    /// One more than the largest value of the sum of limbs.
    #[must_use]
    pub fn capacity(&self) -> i128 {
        self.limbs
            .iter()
            .map(|l| match l.kind {
                CellKind::Range { bits } => ((1_i128 << bits) - 1) << l.shift,
                _ => 1_i128 << 62,
            })
            .sum::<i128>()
            + 1
    }
}

/// The place of a limb's cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Position of the first element in the lane's stream.
    pub start: usize,
    /// The columns of the stream, in order; all limbs of one stream share them.
    pub columns: Arc<[usize]>,
}

impl Place {
    /// Calls `visit(column, row range, element range)` for each run of elements within one column.
    pub fn for_each_run(
        &self,
        len: usize,
        active_rows: usize,
        mut visit: impl FnMut(usize, std::ops::Range<usize>, std::ops::Range<usize>),
    ) {
        let mut element = 0;
        while element < len {
            let position = self.start + element;
            let row = position % active_rows;
            let run = (active_rows - row).min(len - element);
            visit(self.columns[position / active_rows], row..row + run, element..element + run);
            element += run;
        }
    }
}

/// A column of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// What its cells are.
    pub kind: CellKind,
    /// What its unused cells hold.
    pub unused: i64,
}

/// A lane with its columns: word by word, limb by limb, `(column, shift)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlacedLane {
    /// The gate.
    pub lane: Lane,
    /// The cells of each word on a row.
    pub words: Vec<Vec<(usize, u8)>>,
}

/// Columns, lanes and the places of all words.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// The columns that hold words.
    pub columns: Vec<Column>,
    /// The lanes that have a gate.
    pub lanes: Vec<PlacedLane>,
    /// The words.
    pub words: Vec<Word>,
}

type LaneKey = (Lane, Vec<Vec<Limb>>);

/// Gives every limb its place.
///
/// Blocks of one kind of lane follow each other in that lane's columns; limbs that no gate binds
/// are pooled by width, whatever word they belong to. Those whose length has the larger power of two as a divisor come first:
/// so all of them start at multiples of that power, and words of one shape meet few different rows, which is what a verifier computes with.
///
/// # Errors
/// The number of columns, when it is above `most_columns`; nothing is laid out then.
pub fn place(
    words: &[(usize, Vec<Limb>)],
    blocks: &[Block],
    active_rows: usize,
    most_columns: usize,
) -> Result<Placement, usize> {
    let mut streams: BTreeMap<LaneKey, Vec<(usize, usize)>> = BTreeMap::new();
    for (b, block) in blocks.iter().enumerate() {
        if block.lane == Lane::Range {
            for word in &block.words {
                for (l, limb) in words[word.0].1.iter().enumerate() {
                    let key = (Lane::Range, vec![vec![Limb { shift: 0, kind: limb.kind }]]);
                    streams.entry(key).or_default().push((word.0, l));
                }
            }
        } else {
            let limbs = block.words.iter().map(|w| words[w.0].1.clone()).collect();
            streams.entry((block.lane, limbs)).or_default().push((b, usize::MAX));
        }
    }
    let len_of = |member: &(usize, usize)| match member {
        (b, usize::MAX) => words[blocks[*b].words[0].0].0,
        (w, _) => words[*w].0,
    };
    let copies_of = |members: &[(usize, usize)]| {
        let total = members.iter().map(len_of).fold(0, usize::saturating_add);
        total.div_ceil(active_rows).max(1)
    };
    let num_columns = streams.iter().fold(0_usize, |sum, ((_, limbs), members)| {
        sum.saturating_add(copies_of(members).saturating_mul(limbs.iter().map(Vec::len).sum()))
    });
    if num_columns > most_columns {
        return Err(num_columns);
    }
    let mut placement = Placement {
        words: words
            .iter()
            .map(|(len, limbs)| Word { len: *len, limbs: limbs.clone(), places: vec![Place::default(); limbs.len()] })
            .collect(),
        ..Placement::default()
    };
    for ((lane, limbs), mut members) in streams {
        members.sort_by_key(|member| std::cmp::Reverse(len_of(member).trailing_zeros()));
        let copies = copies_of(&members);
        // columns[copy][word][limb]
        let mut columns: Vec<Vec<Vec<usize>>> = Vec::new();
        for _ in 0..copies {
            let mut copy = Vec::new();
            for (w, word) in limbs.iter().enumerate() {
                let unused = lane.unused(w);
                let mut own = Vec::new();
                for limb in word {
                    own.push(placement.columns.len());
                    placement.columns.push(Column { kind: limb.kind, unused: unused_limb(unused, *limb) });
                }
                copy.push(own);
            }
            if lane != Lane::Range {
                let words = copy
                    .iter()
                    .zip(&limbs)
                    .map(|(own, word)| own.iter().zip(word).map(|(c, l)| (*c, l.shift)).collect())
                    .collect();
                placement.lanes.push(PlacedLane { lane, words });
            }
            columns.push(copy);
        }
        // The columns of each limb, shared by all members.
        let shared: Vec<Vec<Arc<[usize]>>> = limbs
            .iter()
            .enumerate()
            .map(|(w, word)| (0..word.len()).map(|l| columns.iter().map(|copy| copy[w][l]).collect()).collect())
            .collect();
        let mut start = 0;
        for member in &members {
            let place = |w: usize, l: usize| Place { start, columns: Arc::clone(&shared[w][l]) };
            if member.1 == usize::MAX {
                for (w, word) in blocks[member.0].words.iter().enumerate() {
                    for l in 0..limbs[w].len() {
                        placement.words[word.0].places[l] = place(w, l);
                    }
                }
            } else {
                placement.words[member.0].places[member.1] = place(0, 0);
            }
            start += len_of(member);
        }
    }
    Ok(placement)
}

/// The part of `value` that the limb holds.
#[must_use]
pub fn unused_limb(value: i64, limb: Limb) -> i64 {
    match limb.kind {
        CellKind::Range { bits } => (value >> limb.shift) & ((1 << bits) - 1),
        _ => value,
    }
}
