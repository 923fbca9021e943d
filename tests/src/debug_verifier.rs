//! A verifier that is given the witness, and names the place where it is wrong.
//!
//! It checks ranges, tables and gates row by row, and every relation index by index, over the
//! integers, with code of its own: index maps are evaluated point by point from their definition. What it
//! finds is exactly what a proof can be wrong about before any challenge is drawn.

use zkonnx_circuits::{
    committed::CommittedRef,
    compiled::CompiledModel,
    relations::{Left, Right, TensorCells, WordTerm},
    witness::Cells,
    words::{CellKind, Lane},
};
use zkonnx_quantize::{
    graph::{Form, Node, Op, Operand, Source},
    index::{Coordinate, IndexMap},
    integers::Integers,
};

/// One place where a witness is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A cell is not in its range.
    Range {
        /// The column.
        column: usize,
        /// The row.
        row: usize,
        /// The cell.
        value: i64,
    },
    /// A pair is not in its function's table.
    Pair {
        /// The argument's column.
        column: usize,
        /// The row.
        row: usize,
        /// The pair.
        pair: (i64, i64),
    },
    /// A gate does not vanish.
    Gate {
        /// The lane's number.
        lane: usize,
        /// The lane.
        kind: Lane,
        /// The row.
        row: usize,
        /// Which of the lane's polynomials.
        polynomial: usize,
    },
    /// A relation does not hold at an index.
    Relation {
        /// Its number.
        relation: usize,
        /// Its name.
        name: String,
        /// The element, row-major.
        element: usize,
        /// Its left side.
        left: i128,
        /// Its right side.
        right: i128,
    },
    /// A public input is outside of its declared interval.
    Input {
        /// The input.
        input: usize,
        /// The element.
        element: usize,
    },
}

/// A witness with its statement.
#[derive(Clone, Copy, Debug)]
pub struct Witness<'a> {
    /// The compiled model.
    pub model: &'a CompiledModel,
    /// The cells.
    pub cells: &'a Cells,
    /// Values of parameters.
    pub weights: &'a [Integers],
    /// Public and committed inputs; empty for hidden ones.
    pub inputs: &'a [Vec<i64>],
    /// Public and committed outputs; empty for hidden ones.
    pub outputs: &'a [Vec<i64>],
}

impl Witness<'_> {
    /// Everything that is wrong.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.cell_faults();
        for (input, values) in self.inputs.iter().enumerate() {
            let bounds = self.model.graph.inputs[input].bounds;
            for (element, _) in values.iter().enumerate().filter(|v| !bounds.contains(*v.1)) {
                faults.push(Fault::Input { input, element });
            }
        }
        faults.extend(self.relation_faults());
        faults
    }

    /// Ranges, tables and gates.
    #[must_use]
    #[allow(clippy::needless_range_loop)] // a row runs through all columns
    pub fn cell_faults(&self) -> Vec<Fault> {
        let shape = &self.model.shape;
        let columns = &self.cells.columns;
        let mut faults = Vec::new();
        for row in 0..shape.num_active_rows() {
            for (column, own) in shape.columns.iter().enumerate() {
                match own.kind {
                    CellKind::Range { bits } => {
                        let value = columns[column][row];
                        if value < 0 || value >= 1 << bits {
                            faults.push(Fault::Range { column, row, value });
                        }
                    }
                    CellKind::Argument { table } => {
                        // The value's column stands right after the argument's.
                        let pair = (columns[column][row], columns[column + 1][row]);
                        let table = self.model.lowered.tables.get(table).expect("a table");
                        let argument = table.interval.lo + pair.0;
                        let value = table.value(&self.model.graph, argument);
                        if !table.interval.contains(argument) || value != pair.1 {
                            faults.push(Fault::Pair { column, row, pair });
                        }
                    }
                    CellKind::Value | CellKind::Unchecked => {}
                }
            }
            for (lane, placed) in shape.lanes.iter().enumerate() {
                let words: Vec<i128> = placed
                    .words
                    .iter()
                    .map(|limbs| limbs.iter().map(|(c, shift)| i128::from(columns[*c][row]) << shift).sum())
                    .collect();
                for (polynomial, value) in gate(placed.lane, &words).into_iter().enumerate() {
                    if value != 0 {
                        faults.push(Fault::Gate { lane, kind: placed.lane, row, polynomial });
                    }
                }
            }
        }
        faults
    }

    /// Relations.
    #[must_use]
    pub fn relation_faults(&self) -> Vec<Fault> {
        let tensors: Vec<Vec<i128>> = self.model.lowered.tensors.iter().map(|t| self.tensor(t)).collect();
        let mut faults = Vec::new();
        for (r, relation) in self.model.lowered.relations.iter().enumerate() {
            for (element, point) in points(&relation.shape).enumerate() {
                let left = match &relation.left {
                    Left::Words(terms, constant) => self.words(terms, *constant, &point),
                    Left::Output(o) => i128::from(self.outputs[*o][element]),
                    Left::Committed(tensor) => self.committed(*tensor, element),
                    Left::Weights(id) => tensors[id.0 as usize].get(element).copied().unwrap_or(0),
                };
                let right = match &relation.right {
                    Right::Words(terms, constant) => self.words(terms, *constant, &point),
                    Right::Form(form) => self.form(form.resolve(&self.model.graph).expect("a form"), &point, &tensors),
                    Right::Committed(tensor) => self.committed(*tensor, element),
                    // Row-major, so cells beyond the last row come last.
                    Right::Weights(id) => self.weights[id.0 as usize].get(element).map_or(0, i128::from),
                };
                if left != right {
                    faults.push(Fault::Relation { relation: r, name: relation.name.clone(), element, left, right });
                }
            }
        }
        faults
    }

    fn committed(&self, tensor: usize, element: usize) -> i128 {
        i128::from(match self.model.committed[tensor].tensor {
            CommittedRef::Input(i) => self.inputs[i][element],
            CommittedRef::Output(o) => self.outputs[o][element],
        })
    }

    fn tensor(&self, cells: &TensorCells) -> Vec<i128> {
        match *cells {
            TensorCells::Public(input) => self.inputs[input].iter().map(|v| i128::from(*v)).collect(),
            TensorCells::OneHot { input, node } => {
                let node = &self.model.graph.nodes[node];
                let len = node.output_shape().iter().product::<u32>() as usize;
                (0..len).map(|at| one_hot_element(node, &self.inputs[input], at).into()).collect()
            }
            TensorCells::Word { word, .. } => (0..self.model.placement.words[word.0].len)
                .filter_map(|element| self.cells.value(self.model, *cells, element))
                .collect(),
        }
    }

    fn words(&self, terms: &[WordTerm], constant: i64, point: &[u32]) -> i128 {
        let read = |term: &WordTerm, point: &[u32]| {
            address(&term.map, point).map_or(0, |element| self.cells.read(self.model, term.word, element))
        };
        terms.iter().fold(i128::from(constant), |sum, term| {
            let own = points(&term.sums).map(|tail| read(term, &[point, &tail].concat())).sum::<i128>();
            sum + i128::from(term.coef) * own
        })
    }

    fn read(&self, source: Source, map: &IndexMap, point: &[u32], tensors: &[Vec<i128>]) -> i128 {
        address(map, point).map_or(0, |address| match source {
            Source::Tensor(id) => tensors[id.0 as usize][address],
            Source::Param(id) => self.weights[id.0 as usize].get(address).expect("a weight").into(),
        })
    }

    fn form(&self, form: &Form, point: &[u32], tensors: &[Vec<i128>]) -> i128 {
        let join = |tail: &[u32], more: &[u32]| [point, tail, more].concat();
        let mut sum = i128::from(form.constant);
        for term in &form.terms {
            for tail in points(&term.sums) {
                sum += i128::from(term.coef) * self.read(term.source, &term.map, &join(&tail, &[]), tensors);
            }
        }
        for product in &form.products {
            for j in points(&product.summed) {
                let side = |operand: &Operand| {
                    points(&operand.sums)
                        .map(|own| self.read(operand.source, &operand.map, &join(&j, &own), tensors))
                        .sum::<i128>()
                };
                sum += i128::from(product.coef) * side(&product.left) * side(&product.right);
            }
        }
        sum
    }
}

/// The polynomials of a lane over the integers, as the gadgets' documentation states them.
fn gate(lane: Lane, words: &[i128]) -> Vec<i128> {
    let saturation = |first: usize, under: bool, over: Option<u64>| {
        let mut next = first;
        let mut values = Vec::new();
        if under {
            values.push(words[next] * words[0]);
            next += 1;
        }
        if let Some(width) = over {
            values.push(words[next] * (i128::from(width) - words[0]));
            next += 1;
        }
        (values, next)
    };
    match lane {
        Lane::Range => Vec::new(),
        Lane::Interval { width } => vec![words[0] + words[1] - i128::from(width)],
        Lane::Clamp { under, over, complement } => {
            let (mut values, next) = saturation(1, under, over);
            if let (true, Some(width)) = (complement, over) {
                values.push(words[0] + words[next] - i128::from(width));
            }
            values
        }
        Lane::Table { under, over, .. } => saturation(2, under, over).0,
        Lane::Select => vec![words[0] * words[1]],
        Lane::Division { q_lo } => {
            vec![words[0] - (i128::from(q_lo) + words[1]) * (1 + words[2] + words[3]) - words[2]]
        }
    }
}

/// All points of an index space, row-major.
pub fn points(shape: &[u32]) -> impl Iterator<Item = Vec<u32>> + '_ {
    let count: u32 = shape.iter().product();
    (0..count).map(move |flat| {
        let mut rest = flat;
        let mut point: Vec<u32> = shape
            .iter()
            .rev()
            .map(|size| {
                let index = rest % size;
                rest /= size;
                index
            })
            .collect();
        point.reverse();
        point
    })
}

/// Where a map reads, `None` outside.
#[must_use]
pub fn address(map: &IndexMap, point: &[u32]) -> Option<usize> {
    map.factors.iter().try_fold(map.base as usize, |address, factor| {
        let at = |axis: &u8| i64::from(point[usize::from(*axis)]);
        let coordinate = match &factor.coordinate {
            Coordinate::Affine { coefs, offset } => factor
                .axes
                .iter()
                .zip(coefs)
                .fold(i64::from(*offset), |sum, (axis, coef)| sum + at(axis) * i64::from(*coef)),
            Coordinate::Table(entries) => i64::from(entries[usize::try_from(at(&factor.axes[0])).ok()?]),
        };
        let coordinate = u32::try_from(coordinate).ok().filter(|x| *x < factor.size)?;
        Some(address + coordinate as usize * factor.stride as usize)
    })
}

/// An element of the one-hot vectors of a public input, from the semantics alone.
///
/// # Panics
/// When the node is none of such vectors.
#[must_use]
pub fn one_hot_element(node: &Node, input: &[i64], at: usize) -> i64 {
    let Op::OneHot { size } = node.op else { panic!("one-hot vectors") };
    let (row, place) = (at / size as usize, i64::try_from(at % size as usize).expect("a place"));
    let point = points(&node.form.shape).nth(row).expect("a row");
    let index = address(&node.form.terms[0].map, &point).map_or(0, |address| input[address]);
    i64::from(index == place || index + i64::from(size) == place)
}
