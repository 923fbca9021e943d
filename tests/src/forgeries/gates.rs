//! False cells that violate a gate, with everything that reads them made to agree.

use super::{cells::Falsehood, forger::Lie, with_gates, KNOWN};
use crate::{
    graphs::{form, read, GraphBuilder},
    lies::{place_of, Case},
};
use ff::Field;
use pasta_curves::Fp;
use zkonnx_circuits::{
    field::from_i64,
    functional::num_index_bits,
    gadgets::{clamp::ClampWords, division::DivisionNode, max::MaxNode},
    lower::{Modes, NodeWords},
    messages::{gate_weights, Challenges},
    words::WordId,
};
use zkonnx_quantize::{
    graph::{Form, Op},
    model::{Gates, QuantizedModel},
};

/// The bounds of [`clamped`].
pub const CLAMP: (i64, i64) = (-5, 5);
/// Their distance, no power of two less one: the lane has all four words.
pub const SPAN: i64 = CLAMP.1 - CLAMP.0;

fn public(model: QuantizedModel, gates: Gates, inputs: &[Vec<i64>]) -> Case {
    let model = with_gates(model, gates);
    let case = Case::with_inputs(model.clone(), Modes::public(&model.graph), inputs);
    case.is_sound();
    case
}

/// Clamped inputs, and the inputs added to them: values beyond the bounds are within the output's interval.
#[must_use]
pub fn clamped(gates: Gates, inputs: &[i64]) -> Case {
    let len = u32::try_from(inputs.len()).expect("few");
    let mut b = GraphBuilder::new(1);
    // So wide that a table of it would not pay.
    let x = b.input(&[len], -36, 36);
    let mut a = form(&[len]);
    a.terms.push(read(1, x, &[len]));
    let y = b.node(a, 0, Op::Clamp { lo: Some(CLAMP.0), hi: Some(CLAMP.1), under: false });
    let mut out = form(&[len]);
    out.terms.extend([read(1, y, &[len]), read(1, x, &[len])]);
    b.output(out);
    public(b.finish(4, 5), gates, &[inputs.to_vec()])
}

/// The words of the clamp of [`clamped`].
#[must_use]
pub fn clamp_of(case: &Case) -> ClampWords {
    match &case.model().lowered.nodes[0] {
        NodeWords::Clamp(words) => words.clamp.clone(),
        other => panic!("a clamp, not {other:?}"),
    }
}

/// An element of the clamp is claimed to be `value`; the words `y', v, w, y''` are these.
#[must_use]
pub fn false_clamp(case: Case, element: usize, [y, v, w, complement]: [i64; 4]) -> Falsehood {
    let words = clamp_of(&case);
    let mut trace = case.trace.clone();
    trace.tensors[1][element] = CLAMP.0 + y;
    trace.outputs[0][element] = CLAMP.0 + y + trace.tensors[0][element];
    let places = [Some(words.value), words.under, words.over, words.complement];
    let words = places.into_iter().flatten().zip([y, v, w, complement]);
    let lie = Lie { words: words.map(|(word, value)| (word, element, value)).collect(), ..Lie::default() };
    let lie = lie.with_false_gates(case.model(), &trace);
    Falsehood::new(case, trace, lie)
}

/// `v` and `y'` both one more than they are, for the input 0: `v·y' = 6`.
#[must_use]
pub fn both_nonzero(case: Case, element: usize) -> Falsehood {
    assert_eq!(case.trace.tensors[0][element], 0);
    false_clamp(case, element, [6, 1, 0, SPAN - 6])
}

/// `y' = D + 1` for the input 6, with neither `w` nor `y''`: no product sees it.
#[must_use]
pub fn beyond(gates: Gates) -> Falsehood {
    let falsehood = false_clamp(clamped(gates, &INPUTS), 0, [SPAN + 1, 0, 0, 0]);
    assert!(falsehood.lie.products.is_empty() && falsehood.lie.linear.len() == 1);
    falsehood
}

/// Seven inputs, one of each kind: above, below, inside, at the bounds.
pub const INPUTS: [i64; 7] = [6, -9, 0, 5, -5, 20, 1];

/// The same on a row that no element uses: the statement is true.
#[must_use]
pub fn on_an_unused_row(gates: Gates) -> Falsehood {
    let case = clamped(gates, &INPUTS);
    let words = clamp_of(&case);
    let row = INPUTS.len() + 1;
    let set = |word: WordId, value: i64| (place_of(case.model(), word, 0, 0).0, row, value);
    let (under, complement) = (words.under.expect("v"), words.complement.expect("y''"));
    let cells = vec![set(words.value, 1), set(under, 1), set(complement, SPAN - 1)];
    let lie = Lie { cells, ..Lie::default() }.with_false_gates(case.model(), &case.trace);
    Falsehood::harmless(case, lie)
}

/// Maxima over windows of three.
#[must_use]
pub fn maxima(gates: Gates, windows: &[[i64; 3]]) -> Case {
    let len = u32::try_from(windows.len()).expect("few");
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[len, 3], 0, 15);
    let mut a = form(&[len, 3]);
    a.terms.push(read(1, x, &[len, 3]));
    let y = b.node(a, 0, Op::Max { axes: 1, lo: None, hi: None });
    let mut out = form(&[len]);
    out.terms.push(read(1, y, &[len]));
    // So that a maximum that is one too large is within the output's interval.
    out.constant = 3;
    b.output(out);
    public(b.finish(4, 5), gates, &[windows.concat()])
}

fn max_of(case: &Case) -> MaxNode {
    match &case.model().lowered.nodes[0] {
        NodeWords::Max(words) => words.clone(),
        other => panic!("a maximum, not {other:?}"),
    }
}

/// The windows of the tests: the second has two maxima.
pub const WINDOWS: [[i64; 3]; 3] = [[5, 7, 3], [4, 4, 1], [2, 0, 9]];

/// The maximum of window 0 is claimed to be another, all differences agree, and the selectors are these.
#[must_use]
pub fn false_maximum(gates: Gates, maximum: i64, selectors: [Fp; 3]) -> Falsehood {
    let case = maxima(gates, &WINDOWS);
    let words = max_of(&case);
    let mut trace = case.trace.clone();
    trace.tensors[1][0] = maximum;
    trace.outputs[0][0] = maximum + 3;
    let mut lie = Lie::default();
    lie.words.push((words.clamp.value, 0, maximum - words.clamp.offset));
    for (j, (x, selector)) in WINDOWS[0].iter().zip(selectors).enumerate() {
        lie.words.push((words.difference, j, maximum - x));
        lie.write(case.model(), words.selector, j, selector);
    }
    let lie = lie.with_false_gates(case.model(), &trace);
    Falsehood::new(case, trace, lie)
}

/// Selectors of window 1, which has two maxima.
#[must_use]
pub fn selectors_at_a_tie(gates: Gates, selectors: [i64; 3]) -> Falsehood {
    let case = maxima(gates, &WINDOWS);
    let selector = max_of(&case).selector;
    let words = selectors.into_iter().enumerate().map(|(j, value)| (selector, 3 + j, value)).collect();
    let lie = Lie { words, ..Lie::default() }.with_false_gates(case.model(), &case.trace);
    Falsehood::harmless(case, lie)
}

/// Three times the quotients.
#[must_use]
pub fn quotients(gates: Gates, numerators: &[i64], denominators: &[i64]) -> Case {
    let len = u32::try_from(numerators.len()).expect("few");
    let mut b = GraphBuilder::new(1);
    let (x, d) = (b.input(&[len], -10, 20), b.input(&[len], 2, 6));
    let same = |tensor, coef| -> Form {
        let mut a = form(&[len]);
        a.terms.push(read(coef, tensor, &[len]));
        a
    };
    let denominator = b.bounded(same(d, 1));
    assert_eq!((denominator.bounds.lo, denominator.bounds.hi), (2, 6));
    let y = b.node(same(x, 1), 0, Op::Div { denominator });
    b.output(same(y, 3));
    public(b.finish(4, 5), gates, &[numerators.to_vec(), denominators.to_vec()])
}

/// The words of the division of [`quotients`].
#[must_use]
pub fn division_of(case: &Case) -> DivisionNode {
    match &case.model().lowered.nodes[0] {
        NodeWords::Division(words) => words.clone(),
        other => panic!("a division, not {other:?}"),
    }
}

/// What is divided in the tests: the first is `7 = 2·3 + 1`.
pub const FRACTIONS: ([i64; 4], [i64; 4]) = ([7, -7, 12, 0], [3, 3, 4, 5]);

/// `7/3` is claimed to be another quotient; `x`, `q`, `r`, `r'` are these.
#[must_use]
pub fn false_quotient(gates: Gates, tripled: i64, [x, q, r, rest]: [Fp; 4]) -> Falsehood {
    let case = quotients(gates, &FRACTIONS.0, &FRACTIONS.1);
    let words = division_of(&case);
    let mut trace = case.trace.clone();
    trace.outputs[0][0] = tripled;
    let cells = [words.numerator, words.quotient, words.remainder, words.rest];
    let values = [x, q - from_i64(words.q_lo), r, rest];
    let mut lie = Lie::default();
    for (word, value) in cells.into_iter().zip(values) {
        lie.write(case.model(), word, 0, value);
    }
    if x != from_i64(FRACTIONS.0[0]) {
        lie.relations.push((0, 0, x - from_i64(FRACTIONS.0[0])));
    }
    let lie = lie.with_false_gates(case.model(), &trace);
    Falsehood::new(case, trace, lie)
}

/// Challenges up to `μ` that are all known.
fn known_challenges(case: &Case) -> Challenges {
    let (model, known) = (case.model(), Fp::from(KNOWN));
    let rho = vec![known; num_index_bits(model)];
    Challenges { rho, mu: known, gates: gate_weights(model, known), ..Challenges::default() }
}

/// A quotient that is one too small: the numerator is wrong by as much as hides the gate for known `ρ` and `μ`.
#[must_use]
pub fn gate_and_value() -> Falsehood {
    let plain = |x: Fp| false_quotient(Gates::Relations, 3, [x, Fp::ONE, Fp::ONE, Fp::ONE]);
    let challenges = known_challenges(&plain(from_i64(7)).case);
    let excess = |x: Fp| {
        let falsehood = plain(x);
        falsehood.lie.excess(falsehood.model(), &challenges)
    };
    // Affine in x.
    let (at_seven, at_eight) = (excess(from_i64(7)), excess(from_i64(8)));
    let step = (at_eight - at_seven).invert().expect("x is read");
    plain(from_i64(7) - at_seven * step)
}

/// Two gates of one lane, on rows 0 and 1, that are wrong by amounts that cancel for a known `ρ`: `−6·7 + 7·6 = 0`.
#[must_use]
pub fn two_gates() -> Falsehood {
    let case = clamped(Gates::Relations, &[1, 0, 3]);
    let words = clamp_of(&case);
    let at = |element| place_of(case.model(), words.value, 0, element).1;
    assert_eq!((at(0), at(1)), (0, 1));
    let mut falsehood = false_clamp(case, 0, [7, 1, 0, SPAN - 7]);
    falsehood.trace.tensors[1][1] = 1;
    falsehood.trace.outputs[0][1] = 1; // and the input 0
    let places = [Some(words.value), words.under, words.complement].into_iter().flatten();
    falsehood.lie.words.extend(places.zip([6, 1, SPAN - 6]).map(|(word, value)| (word, 1, value)));
    let lie = falsehood.lie.clone().with_false_gates(falsehood.model(), &falsehood.trace);
    assert_eq!(lie.excess(falsehood.model(), &known_challenges(&falsehood.case)), Fp::ZERO);
    Falsehood::new(falsehood.case, falsehood.trace, lie)
}
