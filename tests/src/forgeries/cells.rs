//! False cells, and everything that reads them made to agree: one lookup is false, and nothing else.

use super::{forger::Lie, proof_of, with_gates, Attempt, KNOWN};
use crate::{
    graphs::{elementwise, form, read, GraphBuilder},
    lies::{place_of, Case},
};
use ff::Field;
use pasta_curves::Fp;
use zkonnx_circuits::{
    compiled::CompiledModel,
    field::from_i64,
    lower::{Modes, NodeWords},
    table_rows::{TableRow, FUNCTION_TAG},
    words::WordId,
};
use zkonnx_prover::{deviation::Deviation, prove::prove_trace};
use zkonnx_quantize::{
    eval::Trace,
    graph::{Interval, Op},
    model::Gates,
    scale::Scale,
    table::{Function, Table},
};
use zkonnx_verifier::statement::Statement;

/// A false statement, and the cells that are to show it.
#[derive(Debug)]
pub struct Falsehood {
    /// The model.
    pub case: Case,
    /// The trace that is claimed.
    pub trace: Trace,
    /// What it claims.
    pub statement: Statement,
    /// Other cells than those of the trace.
    pub lie: Lie,
}

impl Falsehood {
    /// A claim with a lie about its cells.
    #[must_use]
    pub fn new(case: Case, trace: Trace, lie: Lie) -> Self {
        let statement = case.claim(&trace);
        Self { case, trace, statement, lie }
    }

    /// The true statement, with a lie about cells that nothing reads.
    #[must_use]
    pub fn harmless(case: Case, lie: Lie) -> Self {
        let trace = case.trace.clone();
        Self::new(case, trace, lie)
    }

    /// The compiled model.
    #[must_use]
    pub fn model(&self) -> &CompiledModel {
        self.case.model()
    }

    /// A proof with a deviation.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn prove(&self, deviation: &mut dyn Deviation) -> Vec<u8> {
        prove_trace(&self.case.sides.prover, &self.trace, &self.statement, deviation).expect("a proof, if a wrong one")
    }

    /// What is shown to the verifier.
    #[must_use]
    pub fn attempt(&self, deviation: &mut dyn Deviation) -> Attempt {
        proof_of(&self.case, &self.statement, self.prove(deviation))
    }

    /// Adds to the multiplicity of a table row.
    pub fn count(&mut self, (tag, x, y): (u64, i64, i64), by: Fp) {
        let (column, row) = multiplicity_of(self.model(), TableRow { tag, x, y }).expect("a row");
        self.lie.strays.push((column, row, by));
    }
}

/// Column and row of the multiplicity of a table row.
#[must_use]
pub fn multiplicity_of(model: &CompiledModel, row: TableRow) -> Option<(usize, usize)> {
    let rows = model.shape.num_active_rows();
    let at = model.shape.table.iter().position(|own| *own == row)?;
    Some((model.shape.columns.len() + at / rows, at % rows))
}

/// The words of the only clamp: `y'`, `v`, the remainder.
#[must_use]
pub fn clamp_words(model: &CompiledModel) -> (WordId, WordId, WordId) {
    match &model.lowered.nodes[0] {
        NodeWords::Clamp(words) => {
            (words.clamp.value, words.clamp.under.expect("ReLU"), words.remainder.expect("a shift"))
        }
        other => panic!("a clamp, not {other:?}"),
    }
}

/// Bits of the remainder of [`quarters`].
pub const REMAINDER_BITS: u64 = 2;
/// Bits of a full limb there.
pub const LIMB_BITS: u64 = 5;

/// `3·max(0, x/4)` of inputs that give quotients and remainders of one's choice: `4·q + r − 2`.
#[must_use]
pub fn quarters(gates: Gates, parts: &[(i64, i64)]) -> Case {
    let len = u32::try_from(parts.len()).expect("few");
    let model = with_gates(elementwise(len, Interval::new(-124, 124), 5), gates);
    let inputs: Vec<i64> = parts.iter().map(|(q, r)| 4 * q + r - 2).collect();
    let case = Case::with_inputs(model.clone(), Modes::public(&model.graph), &[inputs]);
    case.is_sound();
    case
}

/// The trace in which an element of the clamp of [`quarters`] is another.
fn with_quotient(case: &Case, element: usize, value: i64) -> Trace {
    let mut trace = case.trace.clone();
    trace.tensors[1][element] = value;
    trace.outputs[0][element] = 3 * value;
    trace
}

/// One more than the true quotient, with a remainder that is four less; or one less, and four more.
#[must_use]
pub fn false_remainder(gates: Gates, parts: &[(i64, i64)], element: usize, by: i64) -> Falsehood {
    let case = quarters(gates, parts);
    let (value, _, remainder) = clamp_words(case.model());
    let (q, r) = parts[element];
    let words = vec![(value, element, q + by), (remainder, element, r - 4 * by)];
    let trace = with_quotient(&case, element, q + by);
    Falsehood::new(case, trace, Lie { words, ..Lie::default() })
}

/// Zero for a quotient of one, made up for by `v = −1`.
#[must_use]
pub fn negative_under(gates: Gates, parts: &[(i64, i64)], element: usize) -> Falsehood {
    assert_eq!(parts[element].0, 1);
    let case = quarters(gates, parts);
    let (value, under, _) = clamp_words(case.model());
    let trace = with_quotient(&case, element, 0);
    Falsehood::new(case, trace, Lie { words: vec![(value, element, 0), (under, element, -1)], ..Lie::default() })
}

/// The remainder `r` is that of one more, and its multiplicity is made for a known φ: with `(r' + φ) = t/t'·(x + φ)` the
/// fingerprint of `r'` under its tag `t` is a multiple of that of the row `(t', x)`, whatever θ.
#[must_use]
pub fn for_known_phi(gates: Gates) -> Falsehood {
    // r = 1 is −3: −3 + 7 = 2/5·(3 + 7).
    let mut falsehood = false_remainder(gates, &[(3, 0), (5, 1), (-4, 2)], 1, 1);
    let ratio = from_i64(5) * from_i64(2).invert().expect("not zero");
    assert_eq!(from_i64(3) + Fp::from(KNOWN), ratio * (from_i64(-3) + Fp::from(KNOWN)));
    falsehood.count((LIMB_BITS, 3, 0), ratio);
    falsehood
}

/// The fingerprint of a tuple for known θ and φ.
#[must_use]
pub fn known_fingerprint(tag: u64, x: Fp, y: Fp) -> Fp {
    let known = Fp::from(KNOWN);
    known + known.square() * Fp::from(tag) + x + known * y
}

/// Any false lookup, with the multiplicity of any row made for known θ and φ.
#[must_use]
pub fn for_known_theta_and_phi(gates: Gates) -> Falsehood {
    let mut falsehood = false_remainder(gates, &[(3, 0), (5, 1), (-4, 2)], 1, 1);
    let told = known_fingerprint(REMAINDER_BITS, from_i64(-3), Fp::ZERO);
    let row = known_fingerprint(LIMB_BITS, from_i64(11), Fp::ZERO);
    falsehood.count((LIMB_BITS, 11, 0), row * told.invert().expect("not zero"));
    falsehood
}

/// A false lookup, and two cells that nothing reads whose fingerprints are zero for known θ and φ: then the sum of
/// fractions is 0/0.
#[must_use]
pub fn poles(gates: Gates) -> Falsehood {
    let mut falsehood = false_remainder(gates, &[(3, 0), (5, 1), (-4, 2)], 1, 1);
    let (column, _) = place_of(falsehood.model(), clamp_words(falsehood.model()).2, 0, 0);
    let pole = -known_fingerprint(REMAINDER_BITS, Fp::ZERO, Fp::ZERO);
    falsehood.lie.strays.extend([(column, 9, pole), (column, 10, pole)]);
    falsehood
}

/// A function of public inputs by its table.
#[must_use]
pub fn function(gates: Gates) -> Case {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[5], -24, 0);
    let scales = (Scale::from_f64(0.25).expect("a scale"), Scale::from_f64(1.0 / 32.0).expect("a scale"));
    let domain = Interval::new(-24, 0);
    b.graph.tables.push(Table::named(Function::Exp, scales.0, scales.1, domain).expect("a table"));
    let mut argument = form(&[5]);
    argument.terms.push(read(1, x, &[5]));
    let y = b.node(argument, 0, Op::Table { table: 0 });
    let mut out = form(&[5]);
    out.terms.push(read(1, y, &[5]));
    b.output(out);
    let model = with_gates(b.finish(5, 5), gates);
    let case = Case::with_inputs(model.clone(), Modes::public(&model.graph), &[vec![-10, -3, 0, -24, -1]]);
    case.is_sound();
    case
}

/// `f(x)` is another value than the function's: `y'` is what the cell then holds.
#[must_use]
pub fn false_value(case: Case, element: usize, value: i64) -> Falsehood {
    let NodeWords::Table(words) = &case.model().lowered.nodes[0] else { panic!("a table") };
    let word = words.value;
    let floor = case.model().lowered.tables.get(0).expect("a table").floor;
    let mut trace = case.trace.clone();
    trace.tensors[1][element] = value;
    trace.outputs[0][element] = value;
    Falsehood::new(case, trace, Lie { words: vec![(word, element, value - floor)], ..Lie::default() })
}

/// The pair `(x, y)` has the fingerprint of `(x + θ, y − 1)` for a known θ: a false value that counts as another pair.
#[must_use]
pub fn for_known_theta(gates: Gates) -> Falsehood {
    let case = function(gates);
    let function = case.model().lowered.tables.get(0).expect("a table");
    let x = case.trace.tensors[0][0];
    let other = x + i64::try_from(KNOWN).expect("small");
    let of = |x| function.value(&case.model().graph, x);
    let row = (FUNCTION_TAG, other - function.interval.lo, of(other));
    let value = of(other) + function.floor + 1;
    assert_ne!(value, of(x) + function.floor);
    let mut falsehood = false_value(case, 0, value);
    falsehood.count(row, Fp::ONE);
    falsehood
}
