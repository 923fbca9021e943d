//! Recurrent layers, unrolled: LSTM, GRU and RNN.
//!
//! Every direction and step is a few products of its own; weights stay one constant each, and values of the same place in
//! different steps share a calibrated range, so that the integer graph has them once.
//!
//! Where the specification leaves a choice, this is what ONNX Runtime does: `clip` bounds the arguments of the gates but
//! not that of the LSTM's output activation; after a sequence's own length its outputs are zero and its last states are
//! those at its end, and the reverse direction starts there.

use super::activations::{self, Activation};
use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    ops::elementwise::Unary,
    tensor::Tensor,
};
use std::{cell::RefCell, collections::BTreeMap};

pub(crate) const OPS: &[&str] = &["GRU", "LSTM", "RNN"];

/// No layer may have more steps, counted over all directions and lengths.
const MAX_STEPS: usize = 4096;

/// What a step computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Lstm { coupled: bool },
    Gru { linear_before_reset: bool },
    Rnn,
}

impl Cell {
    /// Gates, in the order in which the weights hold them.
    fn gates(self) -> usize {
        match self {
            Self::Lstm { .. } => 4,
            Self::Gru { .. } => 3,
            Self::Rnn => 1,
        }
    }
    fn default_activations(self) -> &'static [&'static str] {
        match self {
            Self::Lstm { .. } => &["Sigmoid", "Tanh", "Tanh"],
            Self::Gru { .. } => &["Sigmoid", "Tanh"],
            Self::Rnn => &["Tanh"],
        }
    }
}

/// Sizes of a layer.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    steps: usize,
    batch: usize,
    hidden: usize,
    directions: usize,
}

/// Weights of neighbouring gates for rows: `x · w + h · r + w_bias + r_bias`.
struct Gates {
    w: ValueId,
    r: ValueId,
    w_bias: Option<ValueId>,
    r_bias: Option<ValueId>,
}

/// A layer in one direction.
struct Direction {
    cell: Cell,
    activations: Vec<Activation>,
    clip: Option<f64>,
    hidden: usize,
    /// What the cell takes apart: see [`Direction::step`].
    gates: Vec<Gates>,
    /// By the order of gates in the weights.
    peepholes: Option<[ValueId; 3]>,
    /// The first value of every role.
    roles: RefCell<BTreeMap<Role, ValueId>>,
}

/// What a value is in every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// The argument of a part of the gates.
    Argument(usize),
    /// The same, clipped.
    Clipped(usize),
    /// A part of the gates.
    Gate(usize),
    /// The LSTM's cell.
    Cell,
    /// What the output, or the GRU's candidate, sees of the state.
    Seen,
    /// The hidden state.
    Hidden,
}

/// The states after a step; the second is the LSTM's cell. None is zero.
#[derive(Clone, Copy)]
struct State {
    hidden: Option<ValueId>,
    cell: Option<ValueId>,
}

/// What a run over a sequence gives: the hidden state of every step in the order of the sequence, and the last states.
struct Run {
    hidden: Vec<ValueId>,
    cell: Option<ValueId>,
    last: ValueId,
}

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let cell = match c.node.op_type.as_str() {
        "LSTM" | "DynamicQuantizeLSTM" => Cell::Lstm { coupled: c.attributes.flag("input_forget") },
        "GRU" => Cell::Gru { linear_before_reset: c.attributes.flag("linear_before_reset") },
        _ => Cell::Rnn,
    };
    let reversed: &[bool] = match c.attributes.string("direction") {
        None | Some("" | "forward") => &[false],
        Some("reverse") => &[true],
        Some("bidirectional") => &[false, true],
        Some(_) => return Err(NodeProblem::Attribute("direction")),
    };
    let batch_first = match c.attributes.int("layout") {
        None | Some(0) => false,
        Some(1) => true,
        Some(_) => return Err(NodeProblem::Attribute("layout")),
    };
    let mut x = c.input(0)?;
    if batch_first && c.shape_of(x).len() == 3 {
        x = c.transpose(x, &[1, 0, 2])?;
    }
    let sizes = check_shapes(c, x, cell, reversed.len())?;
    let lists = activations::read(c, cell.default_activations(), reversed.len())?;
    let clip = match c.attributes.get("clip") {
        Some(a) if a.f > 0.0 => Some(f64::from(a.f)),
        Some(a) if a.f == 0.0 => None,
        Some(_) => return Err(NodeProblem::Attribute("clip")),
        None => None,
    };
    let groups = lengths(c, sizes)?;
    if groups.iter().map(|(length, _)| length * sizes.directions).sum::<usize>() > MAX_STEPS {
        return Err(NodeProblem::Variant("more than 4096 unrolled steps"));
    }
    let mut results = Vec::new();
    for (d, (reverse, activations)) in reversed.iter().zip(lists).enumerate() {
        let gates = split_gates(c, cell, sizes, d)?;
        let peepholes = peepholes(c, cell, sizes, d)?;
        let direction =
            Direction { cell, activations, clip, hidden: sizes.hidden, gates, peepholes, roles: RefCell::default() };
        let initial =
            State { hidden: initial(c, 5, sizes, d, batch_first)?, cell: initial(c, 6, sizes, d, batch_first)? };
        results.push(run_groups(c, &direction, (x, initial), sizes, &groups, *reverse)?);
    }
    assemble(c, &results, sizes, batch_first)
}

/// Checks the shapes of all inputs; `x` is `[steps, batch, features]`.
fn check_shapes(c: &Context<'_>, x: ValueId, cell: Cell, directions: usize) -> Result<Sizes, NodeProblem> {
    let (x, w, r) = (c.shape_of(x), c.shape(1)?, c.shape(2)?);
    let misfit = |why| NodeProblem::Shapes { shapes: vec![x.clone(), w.clone(), r.clone()], why };
    let ([steps, batch, features], [_, _, hidden]) = (x.as_slice(), r.as_slice()) else {
        return Err(misfit("three axes are needed"));
    };
    let gates = cell.gates();
    if w != [directions, gates * hidden, *features] || r != [directions, gates * hidden, *hidden] {
        return Err(misfit("the weights have other sizes"));
    }
    if c.attributes.int("hidden_size").is_some_and(|h| usize::try_from(h) != Ok(*hidden)) {
        return Err(NodeProblem::Attribute("hidden_size"));
    }
    let bias_fits = !c.has(3) || c.shape(3)? == [directions, 2 * gates * hidden];
    let peepholes_fit = !c.has(7) || c.shape(7)? == [directions, 3 * hidden];
    if !bias_fits || !peepholes_fit {
        return Err(misfit("a bias has another size"));
    }
    Ok(Sizes { steps: *steps, batch: *batch, hidden: *hidden, directions })
}

/// Sequences of equal length: the length, and which of the batch they are.
fn lengths(c: &Context<'_>, sizes: Sizes) -> Result<Vec<(usize, Vec<usize>)>, NodeProblem> {
    let Some(lengths) = c.constant_ints(4)? else { return Ok(vec![(sizes.steps, (0..sizes.batch).collect())]) };
    if lengths.len() != sizes.batch {
        return Err(NodeProblem::Attribute("sequence_lens"));
    }
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    for (b, length) in lengths.into_iter().enumerate() {
        let length = usize::try_from(length).ok().filter(|l| (1..=sizes.steps).contains(l));
        let length = length.ok_or(NodeProblem::Attribute("sequence_lens"))?;
        match groups.iter_mut().find(|g| g.0 == length) {
            Some(group) => group.1.push(b),
            None => groups.push((length, vec![b])),
        }
    }
    Ok(groups)
}

/// Elements of one direction of input `i` (without that axis), from its second axis on.
fn of_direction(c: &mut Context<'_>, i: usize, direction: usize) -> Result<ValueId, NodeProblem> {
    let (x, shape) = (c.input(i)?, c.shape(i)?);
    let part = c.slice(x, 0, (direction, 1, 1))?;
    c.reshape(part, shape[1..].to_vec())
}

/// The weights of every part of the gates that a step computes apart.
fn split_gates(c: &mut Context<'_>, cell: Cell, sizes: Sizes, direction: usize) -> Result<Vec<Gates>, NodeProblem> {
    // First gate and number of gates: what has one activation and one argument goes together.
    let parts: &[(usize, usize)] = match cell {
        Cell::Lstm { coupled: true } if c.has(7) => &[(0, 1), (1, 1), (3, 1)],
        Cell::Lstm { coupled: true } => &[(0, 2), (3, 1)],
        Cell::Lstm { coupled: false } if c.has(7) => &[(0, 1), (1, 1), (2, 1), (3, 1)],
        Cell::Lstm { coupled: false } => &[(0, 3), (3, 1)],
        Cell::Gru { .. } => &[(0, 2), (2, 1)],
        Cell::Rnn => &[(0, 1)],
    };
    let (w, r) = (of_direction(c, 1, direction)?, of_direction(c, 2, direction)?);
    let (w, r) = (c.transpose(w, &[1, 0])?, c.transpose(r, &[1, 0])?);
    let bias = if c.has(3) { Some(of_direction(c, 3, direction)?) } else { None };
    let mut gates = Vec::new();
    for (first, count) in parts {
        let (start, length) = (first * sizes.hidden, count * sizes.hidden);
        let half = cell.gates() * sizes.hidden;
        let cut = |c: &mut Context<'_>, start| bias.map(|b| c.slice(b, 0, (start, 1, length))).transpose();
        let (w_bias, r_bias) = (cut(c, start)?, cut(c, half + start)?);
        let (w, r) = (c.slice(w, 1, (start, 1, length))?, c.slice(r, 1, (start, 1, length))?);
        gates.push(Gates { w, r, w_bias, r_bias });
    }
    // Where both biases are only ever added, they are one.
    let apart = cell == (Cell::Gru { linear_before_reset: true });
    let last = gates.len() - 1;
    for (i, part) in gates.iter_mut().enumerate() {
        if let (Some(a), Some(b), false) = (part.w_bias, part.r_bias, apart && i == last) {
            part.w_bias = Some(c.add(a, b)?);
            part.r_bias = None;
        }
    }
    Ok(gates)
}

/// The weights by which the gates i, o and f see the cell.
fn peepholes(
    c: &mut Context<'_>,
    cell: Cell,
    sizes: Sizes,
    direction: usize,
) -> Result<Option<[ValueId; 3]>, NodeProblem> {
    if !c.has(7) || !matches!(cell, Cell::Lstm { .. }) {
        return Ok(None);
    }
    let all = of_direction(c, 7, direction)?;
    let mut part = |i: usize| c.slice(all, 0, (i * sizes.hidden, 1, sizes.hidden));
    Ok(Some([part(0)?, part(1)?, part(2)?]))
}

/// An initial state `[batch, hidden]`: input `i`, if it is there.
fn initial(
    c: &mut Context<'_>,
    i: usize,
    sizes: Sizes,
    direction: usize,
    batch_first: bool,
) -> Result<Option<ValueId>, NodeProblem> {
    let Some(all) = c.optional(i) else { return Ok(None) };
    let axis = usize::from(batch_first);
    let mut expected = [sizes.directions, sizes.batch, sizes.hidden];
    expected[..2].rotate_right(axis);
    if c.shape_of(all) != expected {
        let shapes = vec![c.shape_of(all), expected.to_vec()];
        return Err(NodeProblem::Shapes { shapes, why: "an initial state has another size" });
    }
    let part = c.slice(all, axis, (direction, 1, 1))?;
    c.reshape(part, vec![sizes.batch, sizes.hidden]).map(Some)
}

/// Runs every group of sequences of equal length and puts the batch together again.
fn run_groups(
    c: &mut Context<'_>,
    direction: &Direction,
    (x, initial): (ValueId, State),
    sizes: Sizes,
    groups: &[(usize, Vec<usize>)],
    reverse: bool,
) -> Result<Run, NodeProblem> {
    let whole = |group: &[usize]| group.len() == sizes.batch;
    let mut runs = Vec::new();
    for (length, group) in groups {
        let pick = |c: &mut Context<'_>, value: ValueId, axis: usize| {
            if whole(group) {
                return Ok(value);
            }
            let indices = group.iter().map(|b| Some(*b)).collect();
            c.push(FloatOp::Gather { axis, indices, shape: vec![group.len()] }, &[value])
        };
        let x = pick(c, x, 1)?;
        let start = State {
            hidden: initial.hidden.map(|h| pick(c, h, 0)).transpose()?,
            cell: initial.cell.map(|h| pick(c, h, 0)).transpose()?,
        };
        let mut run = direction.run(c, (x, start), *length, reverse)?;
        if *length < sizes.steps {
            let zero = c.tensor(Tensor::zeros(&[group.len(), sizes.hidden]));
            run.hidden.resize(sizes.steps, zero);
        }
        runs.push(run);
    }
    if let [_] = runs.as_slice() {
        return runs.pop().ok_or(NodeProblem::MissingInput(0));
    }
    // Where each of the batch stands in the groups joined.
    let order: Vec<usize> = groups.iter().flat_map(|g| g.1.iter().copied()).collect();
    let places: Vec<Option<usize>> = (0..sizes.batch).map(|b| order.iter().position(|o| *o == b)).collect();
    let mut join = |parts: Vec<ValueId>| {
        let joined = c.concat(&parts, 0)?;
        let (indices, shape) = (places.clone(), vec![sizes.batch]);
        c.push(FloatOp::Gather { axis: 0, indices, shape }, &[joined])
    };
    let hidden =
        (0..sizes.steps).map(|t| join(runs.iter().map(|r| r.hidden[t]).collect())).collect::<Result<_, _>>()?;
    let last = join(runs.iter().map(|r| r.last).collect())?;
    let cells: Option<Vec<ValueId>> = runs.iter().map(|r| r.cell).collect();
    Ok(Run { hidden, last, cell: cells.map(join).transpose()? })
}

/// The outputs Y, `Y_h` and, with a cell, `Y_c`.
fn assemble(c: &mut Context<'_>, results: &[Run], sizes: Sizes, batch_first: bool) -> Outputs {
    let mut outputs = Vec::new();
    let state = vec![1, sizes.batch, sizes.hidden];
    let step = vec![1, 1, sizes.batch, sizes.hidden];
    let mut sequences = Vec::new();
    if c.wants(0) {
        for result in results {
            let steps: Vec<ValueId> =
                result.hidden.iter().map(|h| c.reshape(*h, step.clone())).collect::<Result<_, _>>()?;
            sequences.push(c.concat(&steps, 0)?);
        }
        let y = c.concat(&sequences, 1)?;
        outputs.push(if batch_first { c.transpose(y, &[2, 0, 1, 3])? } else { y });
    } else {
        outputs.push(results[0].last); // has no name
    }
    let mut states = vec![results.iter().map(|r| r.last).collect::<Vec<_>>()];
    states.extend(results.iter().map(|r| r.cell).collect::<Option<Vec<_>>>());
    for parts in states {
        let parts: Vec<ValueId> = parts.into_iter().map(|p| c.reshape(p, state.clone())).collect::<Result<_, _>>()?;
        let joined = c.concat(&parts, 0)?;
        outputs.push(if batch_first { c.transpose(joined, &[1, 0, 2])? } else { joined });
    }
    Ok(outputs)
}

impl Direction {
    /// Runs over the first `length` steps of `x`.
    fn run(
        &self,
        c: &mut Context<'_>,
        (x, start): (ValueId, State),
        length: usize,
        reverse: bool,
    ) -> Result<Run, NodeProblem> {
        let rows = c.shape_of(x)[1..].to_vec();
        let mut hidden = Vec::new();
        let mut state = start;
        for i in 0..length {
            let t = if reverse { length - 1 - i } else { i };
            let row = c.slice(x, 0, (t, 1, 1))?;
            let row = c.reshape(row, rows.clone())?;
            let next = match self.cell {
                Cell::Lstm { coupled } => self.lstm(c, row, state, coupled)?,
                Cell::Gru { linear_before_reset } => (self.gru(c, row, state.hidden, linear_before_reset)?, None),
                Cell::Rnn => (self.gate(c, (0, 0), row, state.hidden)?, None),
            };
            state = State { hidden: Some(self.same(c, Role::Hidden, next.0)), cell: next.1 };
            hidden.push(next.0);
        }
        let last = *hidden.last().ok_or(NodeProblem::MissingInput(0))?;
        if reverse {
            hidden.reverse();
        }
        Ok(Run { hidden, last, cell: state.cell })
    }

    /// A value whose unit is the same in every step.
    fn same(&self, c: &mut Context<'_>, role: Role, value: ValueId) -> ValueId {
        let leader = *self.roles.borrow_mut().entry(role).or_insert(value);
        c.share_range(leader, value);
        value
    }

    /// `x · w + h · r + bias` of a part of the gates.
    fn argument(
        &self,
        c: &mut Context<'_>,
        part: usize,
        x: ValueId,
        h: Option<ValueId>,
    ) -> Result<ValueId, NodeProblem> {
        let gates = &self.gates[part];
        let mut sum = c.matmul(x, gates.w)?;
        if let Some(h) = h {
            let seen = c.matmul(h, gates.r)?;
            sum = c.add(sum, seen)?;
        }
        for bias in [gates.w_bias, gates.r_bias].into_iter().flatten() {
            sum = c.add(sum, bias)?;
        }
        Ok(sum)
    }

    /// Activation `i` of the argument of a part of the gates, clipped.
    fn activate(
        &self,
        c: &mut Context<'_>,
        (part, i): (usize, usize),
        argument: ValueId,
    ) -> Result<ValueId, NodeProblem> {
        let mut x = self.same(c, Role::Argument(part), argument);
        if let Some(clip) = self.clip {
            x = c.unary(Unary::Clip { lo: -clip, hi: clip }, x)?;
            x = self.same(c, Role::Clipped(part), x);
        }
        let y = self.activations[i].apply(c, x)?;
        Ok(self.same(c, Role::Gate(part), y))
    }

    /// A part of the gates, and which activation it has.
    fn gate(
        &self,
        c: &mut Context<'_>,
        (part, i): (usize, usize),
        x: ValueId,
        h: Option<ValueId>,
    ) -> Result<ValueId, NodeProblem> {
        let argument = self.argument(c, part, x, h)?;
        self.activate(c, (part, i), argument)
    }

    /// A part of the gates that also sees the cell.
    fn peeping(
        &self,
        c: &mut Context<'_>,
        part: usize,
        (x, h): (ValueId, Option<ValueId>),
        (weight, cell): (ValueId, Option<ValueId>),
    ) -> Result<ValueId, NodeProblem> {
        let mut argument = self.argument(c, part, x, h)?;
        if let Some(cell) = cell {
            let seen = c.mul(cell, weight)?;
            argument = c.add(argument, seen)?;
        }
        self.activate(c, (part, 0), argument)
    }

    /// Gate `i` of several in one value.
    fn one_of(&self, c: &mut Context<'_>, all: ValueId, i: usize) -> Result<ValueId, NodeProblem> {
        c.slice(all, 1, (i * self.hidden, 1, self.hidden))
    }

    /// `C' = f ⊙ C + i ⊙ g(c)`, `H' = o ⊙ h(C')`; coupled, `f = 1 − i`. Gates in the order i, o, f, c.
    fn lstm(
        &self,
        c: &mut Context<'_>,
        x: ValueId,
        state: State,
        coupled: bool,
    ) -> Result<(ValueId, Option<ValueId>), NodeProblem> {
        let candidate = self.gate(c, (self.gates.len() - 1, 1), x, state.hidden)?;
        // Without peepholes all gates are one value; with them o sees the new cell and comes later.
        let all = match self.peepholes {
            None => Some(self.gate(c, (0, 0), x, state.hidden)?),
            Some(_) => None,
        };
        let gate = |c: &mut Context<'_>, i: usize, cell: Option<ValueId>| match (all, self.peepholes) {
            (None, Some(weights)) => self.peeping(c, i, (x, state.hidden), (weights[i], cell)),
            (all, _) => self.one_of(c, all.unwrap_or(x), i),
        };
        let input = gate(c, 0, state.cell)?;
        let mut cell = c.mul(input, candidate)?;
        if let Some(before) = state.cell {
            let forget = if coupled { c.affine(input, -1.0, 1.0)? } else { gate(c, 2, state.cell)? };
            let kept = c.mul(forget, before)?;
            cell = c.add(kept, cell)?;
        }
        self.same(c, Role::Cell, cell);
        let output = gate(c, 1, Some(cell))?;
        let seen = self.activations[2].apply(c, cell)?;
        self.same(c, Role::Seen, seen);
        Ok((c.mul(output, seen)?, Some(cell)))
    }

    /// `H' = (1 − z) ⊙ h + z ⊙ H = h + z ⊙ (H − h)`. Gates in the order z, r, h.
    fn gru(
        &self,
        c: &mut Context<'_>,
        x: ValueId,
        state: Option<ValueId>,
        linear_before_reset: bool,
    ) -> Result<ValueId, NodeProblem> {
        let both = self.gate(c, (0, 0), x, state)?;
        let (update, reset) = (self.one_of(c, both, 0)?, self.one_of(c, both, 1)?);
        let last = &self.gates[1];
        let candidate = if linear_before_reset {
            let mut seen = last.r_bias;
            if let Some(state) = state {
                let product = c.matmul(state, last.r)?;
                let sum = seen.map_or(Ok(product), |bias| c.add(product, bias))?;
                seen = Some(self.same(c, Role::Seen, sum));
            }
            let mut sum = c.matmul(x, last.w)?;
            if let Some(seen) = seen {
                let seen = c.mul(reset, seen)?;
                sum = c.add(sum, seen)?;
            }
            last.w_bias.map_or(Ok(sum), |bias| c.add(sum, bias))?
        } else {
            let kept = state.map(|state| c.mul(reset, state)).transpose()?;
            let kept = kept.map(|kept| self.same(c, Role::Seen, kept));
            self.argument(c, 1, x, kept)?
        };
        let candidate = self.activate(c, (1, 1), candidate)?;
        let Some(state) = state else {
            let moved = c.mul(update, candidate)?;
            return c.sub(candidate, moved);
        };
        let difference = c.sub(state, candidate)?;
        let moved = c.mul(update, difference)?;
        c.add(candidate, moved)
    }
}
