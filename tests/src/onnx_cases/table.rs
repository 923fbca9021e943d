//! The table of `docs/operators.md`.

use super::{
    index::{Case, Index},
    run::{Outcome, Report},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// How often something came of cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// As expected.
    pub passed: usize,
    /// Refused.
    pub refused: usize,
    /// Not as expected.
    pub wrong: usize,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.passed + self.refused + self.wrong
    }

    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed { .. } => self.passed += 1,
            Outcome::Refused { .. } => self.refused += 1,
            Outcome::Wrong { .. } => self.wrong += 1,
        }
    }
}

/// Counts outcomes.
pub fn count<'a>(reports: impl IntoIterator<Item = &'a Report<'a>>) -> Counts {
    let mut counts = Counts::default();
    reports.into_iter().for_each(|report| counts.count(&report.outcome));
    counts
}

/// What came of an operator.
#[derive(Clone, Debug, Default)]
struct Row {
    all: Counts,
    float32: Counts,
    not_tensors: usize,
    reasons: BTreeMap<String, usize>,
    bound: BTreeSet<String>,
}

fn rows(index: &Index, reports: &[Report<'_>]) -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for case in index.cases.iter().filter(|case| case.direct) {
        rows.entry(case.operator().into()).or_default().not_tensors += usize::from(!case.not_tensors.is_empty());
    }
    for Report { case, outcome, bound, .. } in reports.iter().filter(|report| report.case.direct) {
        let row = rows.entry(case.operator().into()).or_default();
        row.all.count(outcome);
        if case.is_float32() {
            row.float32.count(outcome);
        }
        match outcome {
            Outcome::Passed { .. } => row.bound.extend(roles(case, bound)),
            Outcome::Refused { reason, .. } => *row.reasons.entry(reason.clone()).or_default() += 1,
            Outcome::Wrong { .. } => *row.reasons.entry("wrong".into()).or_default() += 1,
        }
    }
    rows
}

fn roles<'a>(case: &'a Case, bound: &'a BTreeSet<String>) -> impl Iterator<Item = String> + 'a {
    case.inputs.iter().filter(|port| bound.contains(&port.name)).map(|port| port.role.clone())
}

const HEADER: &str = "\
# Operators

ONNX's own operator cases, run through this program. The table is generated, and a test keeps it true:

    python tests/onnx_cases/dump.py CASES
    cargo run --release -p zkonnx-tests --example onnx_cases -- --cases CASES --write docs/operators.md

A case is one node with inputs and the outputs that ONNX expects of it, at the operator set that the case names. It is
imported, quantised to 16 bits with its own input as the only calibration sample, and evaluated in integers. It passes
when every element of every float output is within 1 % of the range of what is expected (of its magnitude, where that
range is below a ten-thousandth of it), and every integer and boolean is equal. Whatever is not computed is refused; a wrong answer fails the test. The passing cases are proven and verified,
a sample of them in every run of the tests.

In ONNX's cases weights, shapes, axes and indices are inputs. An input stays a true one where the program
allows it; those that it wants to be constants, parts of the model, are bound to the case's values, and named below. A
case of which nothing but constants would be left is refused.
";

/// The whole document.
#[must_use]
pub fn document(index: &Index, reports: &[Report<'_>]) -> String {
    let mut text = HEADER.to_string();
    let rows = rows(index, reports);
    let direct = index.cases.iter().filter(|case| case.direct).count();
    let not_tensors = rows.values().map(|row| row.not_tensors).sum::<usize>();
    let all = count(reports.iter().filter(|report| report.case.direct));
    let float32 = count(reports.iter().filter(|report| report.case.is_float32()));
    let some = rows.values().filter(|row| row.all.passed > 0).count();
    let _ = write!(
        text,
        "
`onnx` {}: {direct} cases of {} operators, {some} of them with a case that passes.

| | cases | passed | refused | wrong |
|---|---|---|---|---|
| one float32 output; float32, int32, int64 and boolean inputs, one at least float32 | {} | {} | {} | {} |
| all cases of tensors of numbers | {} | {} | {} | {} |

{not_tensors} cases hold strings, sequences, optional values or maps and are not run.

| operator | domain | cases | passed | float32 passed | constant inputs | refused |
|---|---|---|---|---|---|---|
",
        index.onnx,
        rows.len(),
        float32.total(),
        float32.passed,
        float32.refused,
        float32.wrong,
        all.total(),
        all.passed,
        all.refused,
        all.wrong,
    );
    for (operator, row) in &rows {
        let (domain, name) = operator.rsplit_once('.').unwrap_or(("", operator));
        let float32 = match row.float32.total() {
            0 => String::new(),
            total => format!("{} of {total}", row.float32.passed),
        };
        let bound = row.bound.iter().cloned().collect::<Vec<_>>().join(", ");
        let mut reasons: Vec<String> = row.reasons.iter().map(|(reason, n)| format!("{n}: {}", cell(reason))).collect();
        if row.not_tensors > 0 {
            reasons.push(format!("{}: no tensors of numbers", row.not_tensors));
        }
        let (cases, passed, reasons) = (row.all.total() + row.not_tensors, row.all.passed, reasons.join("; "));
        let _ = writeln!(text, "| {name} | {domain} | {cases} | {passed} | {float32} | {bound} | {reasons} |");
    }
    text
}

/// Text that fits a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// Per operator, for those at work on it: cases of float32, passed, refused, wrong, with reasons; most cases first.
#[must_use]
pub fn summary(index: &Index, reports: &[Report<'_>]) -> String {
    let mut text = String::new();
    let mut rows: Vec<(String, Row)> = rows(index, reports).into_iter().collect();
    rows.sort_by_key(|(name, row)| (std::cmp::Reverse((row.float32.total(), row.all.total())), name.clone()));
    let _ =
        writeln!(text, "float32: cases passed refused wrong | all: cases passed refused wrong | operator | reasons");
    for (name, Row { float32: f, all: a, reasons, .. }) in rows {
        let reasons: Vec<String> = reasons.iter().map(|(reason, n)| format!("{n}: {}", cell(reason))).collect();
        let (f, a) = ((f.total(), f.passed, f.refused, f.wrong), (a.total(), a.passed, a.refused, a.wrong));
        let _ = write!(text, "{:4} {:4} {:4} {:4} | {:4} {:4} {:4} {:4} | ", f.0, f.1, f.2, f.3, a.0, a.1, a.2, a.3);
        let _ = writeln!(text, "{name:28} | {}", reasons.join("; "));
    }
    text
}
