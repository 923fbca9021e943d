//! The honest assignment: from the trace of an evaluation to cells.

use crate::{
    compiled::CompiledModel,
    gadgets::{clamp::ClampWords, max, requantise},
    lower::NodeWords,
    relations::TensorCells,
    shape::CircuitShape,
    words::{unused_limb, WordId},
};
use std::collections::HashMap;
use zkonnx_quantize::{
    eval::Trace,
    graph::{round_shift, Op},
    one_hot,
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

    /// The value of one element of a tensor that has cells.
    #[must_use]
    pub fn value(&self, model: &CompiledModel, tensor: TensorCells, element: usize) -> Option<i128> {
        let TensorCells::Word { offset, coef, word, excess } = tensor else { return None };
        let read = |word| self.read(model, word, element);
        Some(i128::from(offset) + i128::from(coef) * read(word) + excess.map_or(0, read))
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
                let table = match node.op {
                    Op::Table { table } => model.lowered.tables.get(table),
                    _ => None,
                };
                if let Some(table) = table {
                    let (lo, hi) = (table.interval.lo, table.interval.hi);
                    cells.write(model, words.argument, q().map(|q| table.saturate(q) - lo));
                    cells.write(model, words.value, q().map(|q| table.value(&model.graph, q)));
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
            NodeWords::OneHot(words) => {
                if let (Some(words), Op::OneHot { size }) = (words, &node.op) {
                    cells.write(model, words.hot, one_hot::vectors(q(), *size));
                    if let Some(negative) = words.negative {
                        cells.write(model, negative, q().map(|q| i64::from(q < 0)));
                    }
                }
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
    if let Some(lookup) = words.lookup {
        cells.write(model, lookup.excess, values.iter().map(|v| v.excess));
    }
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
    let (differences, selectors): (Vec<_>, Vec<_>) = q.chunks(window).map(max::assign).unzip();
    cells.write(model, words.difference, differences.into_iter().flatten());
    cells.write(model, words.selector, selectors.into_iter().flatten());
}

/// How often each table row is looked up, one column per table group. Tuples that are in no table are left out.
#[must_use]
pub fn multiplicities(shape: &CircuitShape, columns: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let rows = shape.num_active_rows();
    // First row and length of every table, by its tag: rows of a table have `x = 0, 1, 2, …`.
    let mut tables: HashMap<u64, (usize, usize)> = HashMap::new();
    for (row, entry) in shape.table.iter().enumerate() {
        tables.entry(entry.tag).or_insert((row, 0)).1 += 1;
    }
    let mut counts = vec![0_i64; shape.num_table_groups() * rows];
    for lookup in &shape.slots.lookups {
        let Some((first, len)) = tables.get(&lookup.tag) else { continue };
        let x = columns[lookup.x].iter().take(rows);
        let mut count = |row: usize, x: i64| {
            let found = usize::try_from(x).ok().filter(|x| x < len).map(|x| first + x);
            let y = lookup.y.map_or(0, |y| columns[y][row]);
            if let Some(found) = found.filter(|found| shape.table[*found].y == y) {
                counts[found] += 1;
            }
        };
        x.enumerate().for_each(|(row, x)| count(row, *x));
    }
    counts.chunks(rows).enumerate().map(|(g, part)| part[..shape.table_group(g).len()].to_vec()).collect()
}
