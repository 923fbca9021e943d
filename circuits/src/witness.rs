//! The honest assignment: from the trace of an evaluation to cells.

use crate::{
    circuit::{Assignment, Phase2},
    compiled::CompiledModel,
    field::{from_i64, Fp},
    gadgets::{clamp::ClampWords, max, requantise, table},
    lower::NodeWords,
    shape::{CircuitShape, Lookup},
    table_rows::{TableRow, FUNCTION_TAG},
    words::{unused_limb, WordId},
};
use ff::{BatchInvert, Field};
use std::collections::HashMap;
use zkonnx_quantize::{
    eval::Trace,
    graph::{round_shift, Op},
};

/// Values of words, and the cells that they are written to.
#[derive(Clone, Debug)]
pub struct Cells {
    /// The word columns, on active rows.
    pub columns: Vec<Vec<i64>>,
}

impl Cells {
    /// All cells unused.
    #[must_use]
    pub fn unused(model: &CompiledModel) -> Self {
        let rows = model.shape.num_active_rows();
        Self { columns: model.shape.columns.iter().map(|c| vec![c.unused; rows]).collect() }
    }

    /// Writes the values of a word.
    pub fn write(&mut self, model: &CompiledModel, word: WordId, values: impl IntoIterator<Item = i64>) {
        let rows = model.shape.num_active_rows();
        let word = &model.placement.words[word.0];
        let values: Vec<i64> = values.into_iter().collect();
        debug_assert_eq!(values.len(), word.len);
        for (limb, place) in word.limbs.iter().zip(&word.places) {
            place.for_each_run(word.len, rows, |column, cells, elements| {
                for (cell, value) in self.columns[column][cells].iter_mut().zip(&values[elements]) {
                    *cell = unused_limb(*value, *limb);
                }
            });
        }
    }

    /// The value of one element of a word.
    #[must_use]
    pub fn read(&self, model: &CompiledModel, word: WordId, element: usize) -> i128 {
        let rows = model.shape.num_active_rows();
        let word = &model.placement.words[word.0];
        word.limbs
            .iter()
            .zip(&word.places)
            .map(|(limb, place)| {
                let position = place.start + element;
                i128::from(self.columns[place.columns[position / rows]][position % rows]) << limb.shift
            })
            .sum()
    }
}

/// Assigns every word from a trace of the model.
#[must_use]
pub fn assign(model: &CompiledModel, trace: &Trace) -> Cells {
    let mut cells = Cells::unused(model);
    for (input, words) in model.lowered.inputs.iter().enumerate() {
        if let Some(words) = words {
            let bounds = model.graph.inputs[input].bounds;
            let values = &trace.tensors[input];
            cells.write(model, words.value, values.iter().map(|v| v - bounds.lo));
            if let Some(complement) = words.complement {
                cells.write(model, complement, values.iter().map(|v| bounds.hi - v));
            }
        }
    }
    for (i, (node, words)) in model.graph.nodes.iter().zip(&model.lowered.nodes).enumerate() {
        let a = &trace.forms[i];
        let q = || a.iter().map(|a| round_shift(*a, node.shift));
        let remainders = || a.iter().map(|a| requantise::remainder(*a, node.shift));
        let remainder = match words {
            NodeWords::Clamp(words) => {
                assign_clamp(&mut cells, model, &words.clamp, &q().collect::<Vec<_>>());
                words.remainder
            }
            NodeWords::Table(words) => {
                if let Op::Table { table: index } = node.op {
                    let function = &model.graph.tables[index as usize];
                    let (lo, hi, floor) = (function.lo, function.hi(), table::floor(function));
                    cells.write(model, words.argument, q().map(|q| q.clamp(lo, hi) - lo));
                    cells.write(model, words.value, q().map(|q| function.value(q) - floor));
                    if let Some(under) = words.under {
                        cells.write(model, under, q().map(|q| (lo - q).max(0)));
                    }
                    if let Some(over) = words.over {
                        cells.write(model, over, q().map(|q| (q - hi).max(0)));
                    }
                }
                words.remainder
            }
            NodeWords::Max(words) => {
                assign_max(&mut cells, model, words, &q().collect::<Vec<_>>());
                words.remainder
            }
            NodeWords::Division(words) => {
                let d = &trace.denominators[i];
                let quotients: Vec<i64> = q().zip(d).map(|(x, d)| x.div_euclid(*d)).collect();
                let rests: Vec<i64> = q().zip(d).map(|(x, d)| x.rem_euclid(*d)).collect();
                cells.write(model, words.numerator, q());
                cells.write(model, words.quotient, quotients.iter().map(|q| q - words.q_lo));
                cells.write(model, words.remainder, rests.iter().copied());
                cells.write(model, words.rest, rests.iter().zip(d).map(|(r, d)| d - 1 - r));
                None
            }
        };
        if let Some(remainder) = remainder {
            cells.write(model, remainder, remainders());
        }
    }
    cells
}

fn assign_clamp(cells: &mut Cells, model: &CompiledModel, words: &ClampWords, q: &[i64]) {
    let values: Vec<_> = q.iter().map(|q| words.assign(*q)).collect();
    cells.write(model, words.value, values.iter().map(|v| v.value));
    for (word, values) in [
        (words.under, values.iter().map(|v| v.under).collect::<Vec<_>>()),
        (words.over, values.iter().map(|v| v.over).collect()),
        (words.complement, values.iter().map(|v| v.complement).collect()),
    ] {
        if let Some(word) = word {
            cells.write(model, word, values);
        }
    }
}

fn assign_max(cells: &mut Cells, model: &CompiledModel, words: &max::MaxNode, q: &[i64]) {
    let len = model.placement.words[words.clamp.value.0].len;
    let window = q.len() / len;
    let maxima: Vec<i64> = q.chunks(window).map(|w| w.iter().copied().max().unwrap_or(0)).collect();
    assign_clamp(cells, model, &words.clamp, &maxima);
    let trees: Vec<_> = q.chunks(window).map(|w| max::assign(w, words.q_lo)).collect();
    for (l, level) in words.levels.iter().enumerate() {
        for (c, word) in level.differences.iter().flatten().enumerate() {
            cells.write(model, *word, trees.iter().map(|t| t[l].0[c]));
        }
        for (g, word) in level.maxima.iter().enumerate() {
            cells.write(model, *word, trees.iter().map(|t| t[l].1[g]));
        }
    }
}

/// Finds rows of the joint table.
#[derive(Debug)]
struct TableIndex {
    /// First row of each range table, by tag.
    ranges: HashMap<u64, (usize, usize)>,
    /// First row of each function table, by tag.
    functions: HashMap<u64, (usize, usize)>,
}

impl TableIndex {
    fn new(table: &[TableRow]) -> Self {
        let mut index = Self { ranges: HashMap::new(), functions: HashMap::new() };
        for (row, entry) in table.iter().enumerate() {
            let map = if entry.tag < FUNCTION_TAG { &mut index.ranges } else { &mut index.functions };
            map.entry(entry.tag).or_insert((row, 0)).1 += 1;
        }
        index
    }

    /// The row that holds the tuple.
    fn find(&self, table: &[TableRow], tag: u64, x: i64, y: i64) -> Option<usize> {
        let map = if tag < FUNCTION_TAG { &self.ranges } else { &self.functions };
        let (first, len) = map.get(&tag)?;
        let row = first + usize::try_from(x).ok().filter(|x| x < len)?;
        (table[row].y == y).then_some(row)
    }
}

/// How often each table row is looked up, one column per table group. Tuples that are in no table are left out.
#[must_use]
pub fn multiplicities(shape: &CircuitShape, columns: &[Vec<i64>]) -> Vec<Vec<u64>> {
    let rows = shape.num_active_rows();
    let index = TableIndex::new(&shape.table);
    let mut counts = vec![0_u64; shape.num_table_groups() * rows];
    for lookup in shape.groups.iter().flatten() {
        for row in 0..rows {
            let (tag, x, y) = tuple(lookup, columns, row);
            if let Some(found) = index.find(&shape.table, tag, x, y) {
                counts[found] += 1;
            }
        }
    }
    counts.chunks(rows).map(<[u64]>::to_vec).collect()
}

fn tuple(lookup: &Lookup, columns: &[Vec<i64>], row: usize) -> (u64, i64, i64) {
    match *lookup {
        Lookup::Single { column, tag } => (tag, columns[column][row], 0),
        Lookup::Pair { x, y, tag } => (tag, columns[x][row], columns[y][row]),
    }
}

/// The phase-2 columns for challenges `φ` and `θ`; `None` when a fingerprint vanishes.
#[must_use]
pub fn phase2(
    shape: &CircuitShape,
    columns: &[Vec<i64>],
    multiplicities: &[Vec<u64>],
    phi: Fp,
    theta: Fp,
) -> Option<Phase2> {
    let rows = shape.num_active_rows();
    let power = match (shape.has_tags(), shape.has_pairs()) {
        (false, _) => Fp::ZERO,
        (true, false) => theta,
        (true, true) => theta.square(),
    };
    let fingerprint = |tag: u64, x: i64, y: i64| {
        let single = phi + power * Fp::from(tag) + from_i64(x);
        if y == 0 {
            single
        } else {
            single + theta * from_i64(y)
        }
    };
    let index = TableIndex::new(&shape.table);
    let mut inverses: Vec<Fp> = shape.table.iter().map(|row| fingerprint(row.tag, row.x, row.y)).collect();
    if inverses.iter().any(|d| bool::from(d.is_zero())) {
        return None;
    }
    inverses.iter_mut().batch_invert();
    let mut helpers = Vec::with_capacity(shape.groups.len());
    for group in &shape.groups {
        let mut helper = vec![Fp::ZERO; rows];
        for lookup in group {
            for (row, helper) in helper.iter_mut().enumerate() {
                let (tag, x, y) = tuple(lookup, columns, row);
                *helper += match index.find(&shape.table, tag, x, y) {
                    Some(found) => inverses[found],
                    None => Option::<Fp>::from(fingerprint(tag, x, y).invert())?,
                };
            }
        }
        helpers.push(helper);
    }
    let table_helpers: Vec<Vec<Fp>> = multiplicities
        .iter()
        .enumerate()
        .map(|(g, counts)| {
            let inverse = |row: usize| inverses.get(g * rows + row).or(inverses.first()).copied().unwrap_or(Fp::ZERO);
            counts
                .iter()
                .enumerate()
                .map(|(row, m)| if *m == 0 { Fp::ZERO } else { inverse(row) * Fp::from(*m) })
                .collect()
        })
        .collect();
    let mut sum = Vec::with_capacity(rows);
    let mut total = Fp::ZERO;
    for row in 0..rows {
        sum.push(total);
        total += helpers.iter().map(|h| h[row]).sum::<Fp>();
        total -= table_helpers.iter().map(|h| h[row]).sum::<Fp>();
    }
    Some(Phase2 { phi, theta, helpers, table_helpers, sum })
}

/// A whole assignment for given challenges: what the mock prover needs.
#[must_use]
pub fn complete(shape: &CircuitShape, columns: Vec<Vec<i64>>, phi: Fp, theta: Fp) -> Option<Assignment> {
    let multiplicities = multiplicities(shape, &columns);
    let phase2 = phase2(shape, &columns, &multiplicities, phi, theta)?;
    Some(Assignment { columns, multiplicities, phase2 })
}
