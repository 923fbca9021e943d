//! Every limit on what strangers send, in one place.
//!
//! Two kinds. *Counted while decoding*: no decoder allocates more than sixty-four times the bytes that it was given,
//! or a mebibyte where that is more; a length inside a file never sizes an allocation. *Checked after decoding*,
//! before anything is computed from what was read: the numbers below. Limits of graphs and circuits stand in the
//! crates that know graphs and circuits; they are given here by the same names, and have one value.
//!
//! Whoever embeds the verifier may well allow less: a service that knows its models knows the length of every proof
//! ([`ModelHandle::proof_length`](crate::registry::ModelHandle::proof_length)), and can refuse longer bodies unread.

use std::ops::RangeInclusive;
use zkonnx_circuits::{compiled, lower, slots, work};
use zkonnx_quantize::{bounds, model, validate};

/// The limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits;

impl Limits {
    /// Bytes of a `model.zkv`.
    pub const ZKV_BYTES: usize = 1 << 28;
    /// Bytes of a statement.
    pub const STATEMENT_BYTES: usize = 1 << 26;
    /// Bytes of a proof. The exact length is known from the model, and any other is refused.
    pub const PROOF_BYTES: usize = 1 << 22;
    /// Bytes of a proof file: a statement and a proof.
    pub const PROOF_FILE_BYTES: usize = Self::STATEMENT_BYTES + Self::PROOF_BYTES;
    /// Bytes of a receipt.
    pub const RECEIPT_BYTES: usize = Self::PROOF_FILE_BYTES + (1 << 16);
    /// Bytes of a receipt in JSON.
    pub const RECEIPT_JSON_BYTES: usize = 1 << 28;
    /// Bytes of a context in JSON.
    pub const CONTEXT_JSON_BYTES: usize = 1 << 16;
    /// Bytes of the URI of a storage reference.
    pub const URI: usize = 2048;
    /// Bytes that any decoder looks at.
    pub const FILE_BYTES: usize = model::MAX_FILE;

    /// `k`: a circuit has `2^k` rows.
    pub const K: RangeInclusive<u8> = compiled::K_RANGE;
    /// Words of a circuit: each has relations of its own.
    pub const WORDS: usize = lower::MAX_WORDS;
    /// Columns of words of a circuit.
    pub const COLUMNS: usize = compiled::MAX_COLUMNS;
    /// Rows of lookup tables.
    pub const TABLE_ROWS: usize = compiled::MAX_TABLE_ROWS;
    /// Bits of the number of leaves of the lookup argument, and of the rows of product gates.
    pub const SLOT_BITS: usize = slots::MAX_SLOT_BITS;
    /// Index bits of a contraction.
    pub const VARIABLES: usize = compiled::MAX_VARIABLES;
    /// Field multiplications of one verification, apart from the multi-scalar multiplication of the proof's own points: about ten
    /// seconds. What is held in memory is at most as many field elements, 32 bytes each; both are counted before anything is derived.
    pub const WORK: usize = work::MAX_VERIFICATION_WORK;

    /// Inputs, outputs, nodes, parameters and tables of a graph, each; so also entries of a statement.
    pub const ITEMS: usize = validate::Limits::ITEMS;
    /// Bytes of a name.
    pub const NAME: usize = validate::Limits::NAME;
    /// Axes of an index space, so also of a shape.
    pub const AXES: usize = validate::Limits::AXES;
    /// Elements of a tensor, form or parameter.
    pub const ELEMENTS: usize = validate::Limits::ELEMENTS;
    /// Points of the axes of a form and of those summed over: multiply-accumulates of whoever evaluates, which no verifier does.
    pub const VISITS: u64 = validate::Limits::VISITS;
    /// Integers of a graph, and all parts of a form together, stay below this in absolute value.
    pub const INTEGERS: i128 = bounds::FORM_LIMIT;
    /// Bits of a requantisation.
    pub const SHIFT: u8 = validate::Limits::SHIFT;
    /// Elements of a maximum's window.
    pub const WINDOW: usize = validate::Limits::WINDOW;
    /// Terms and products of a form, each.
    pub const TERMS: usize = validate::Limits::TERMS;
    /// Entries of a table.
    pub const TABLE: usize = validate::Limits::TABLE;
    /// Points that checking a graph enumerates.
    pub const GRAPH_WORK: usize = validate::Limits::WORK;

    /// Rows (the sum of `2^k`) of the proofs of a batch that are held in memory at once, 32 bytes each; larger batches are
    /// decided part by part.
    pub const BATCH_ROWS: usize = 1 << 22;
    /// Choices of modes whose keys a handle keeps: statements choose the modes, so strangers do.
    pub const KEPT_MODES: usize = 8;
    /// Jobs that a guard against replays keeps in memory unless told otherwise, about 100 bytes each.
    pub const REPLAY_JOBS: usize = 1 << 20;
}
