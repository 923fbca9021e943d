//! Ways through trees: what has to hold of integers for a leaf to be reached.

use crate::{
    graph::Interval,
    onnx::ops::ml::{Ensemble, Node, Test},
};
use std::collections::BTreeMap;

/// A feature: `a i + b` for the integer `i` of an interval, or `b` alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// The atom that reads it.
    pub(super) atom: usize,
    pub(super) a: f64,
    pub(super) b: f64,
    pub(super) bounds: Interval,
}

impl Column {
    #[allow(clippy::cast_precision_loss)] // declared intervals are below 2^53
    pub(super) fn real(&self, i: i64) -> f64 {
        self.a * i as f64 + self.b
    }
}

/// What a test says of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Literal {
    Always,
    Never,
    /// `i ≤ T`.
    AtMost(i64),
    /// `i > T`.
    Above(i64),
}

/// `[i ≤ T]` of a feature. With private weights every branch has its own, and its place tells nothing of `T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Comparison {
    pub(super) branch: usize,
    pub(super) feature: usize,
    pub(super) most: i64,
}

/// A way through a tree: bounds of features, and what is no bound.
#[derive(Clone, Debug, Default)]
struct Way {
    /// Above the first (if any), at most the second.
    bounds: BTreeMap<usize, (Option<i64>, Option<i64>)>,
    /// Further conditions, each a sum of comparisons that is one or zero.
    others: Vec<Condition>,
}

/// `constant + Σ plus − Σ minus`.
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    pub(super) constant: i64,
    pub(super) plus: Vec<Comparison>,
    pub(super) minus: Vec<Comparison>,
}

impl Condition {
    fn of(branch: usize, feature: usize, literal: Literal) -> Self {
        let comparison = |most| vec![Comparison { branch, feature, most }];
        match literal {
            Literal::Always => Self { constant: 1, ..Self::default() },
            Literal::Never => Self::default(),
            Literal::AtMost(t) => Self { plus: comparison(t), ..Self::default() },
            Literal::Above(t) => Self { constant: 1, minus: comparison(t), ..Self::default() },
        }
    }
    fn add(&mut self, other: &Self) {
        self.constant += other.constant;
        self.plus.extend(&other.plus);
        self.minus.extend(&other.minus);
    }
    fn negated(self) -> Self {
        Self { constant: -self.constant, plus: self.minus, minus: self.plus }
    }
    fn opposite(self) -> Self {
        let negated = self.negated();
        Self { constant: negated.constant + 1, ..negated }
    }
}

impl Literal {
    fn opposite(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::AtMost(t) => Self::Above(t),
            Self::Above(t) => Self::AtMost(t),
        }
    }
}

impl Way {
    /// The way on; `None` if nothing can go it.
    fn and(&self, feature: usize, literal: Literal) -> Option<Self> {
        let mut way = self.clone();
        let bounds = way.bounds.entry(feature).or_default();
        match literal {
            Literal::Always => {}
            Literal::Never => return None,
            Literal::AtMost(t) => bounds.1 = Some(bounds.1.map_or(t, |old| old.min(t))),
            Literal::Above(t) => bounds.0 = Some(bounds.0.map_or(t, |old| old.max(t))),
        }
        match *bounds {
            (Some(above), Some(most)) if above >= most => None,
            _ => Some(way),
        }
    }

    /// One if all conditions hold, zero or less otherwise.
    fn indicator(&self) -> Condition {
        let mut sum = Condition::default();
        let mut count = 0;
        for (feature, (above, most)) in &self.bounds {
            let literals = [above.map(Literal::Above), most.map(Literal::AtMost)];
            for literal in literals.into_iter().flatten() {
                sum.add(&Condition::of(0, *feature, literal));
                count += 1;
            }
        }
        for other in &self.others {
            sum.add(other);
            count += 1;
        }
        sum.constant += 1 - count;
        sum
    }
}

/// Where a predicate that is monotone on an interval of integers changes.
fn monotone(bounds: Interval, holds: impl Fn(i64) -> bool) -> Literal {
    let first = holds(bounds.lo);
    if holds(bounds.hi) == first {
        return if first { Literal::Always } else { Literal::Never };
    }
    // holds(lo) = first, holds(hi) ≠ first.
    let (mut lo, mut hi) = (bounds.lo, bounds.hi);
    while hi - lo > 1 {
        let middle = lo + (hi - lo) / 2;
        if holds(middle) == first {
            lo = middle;
        } else {
            hi = middle;
        }
    }
    if first {
        Literal::AtMost(lo)
    } else {
        Literal::Above(lo)
    }
}

/// The trees over features of integers.
pub(super) struct Forest<'a> {
    pub(super) ensemble: &'a Ensemble,
    pub(super) columns: &'a [Column],
    /// Nothing may be left out, or merged, by what thresholds are.
    pub(super) private: bool,
}

impl Forest<'_> {
    fn literal(&self, feature: usize, holds: impl Fn(f64) -> bool) -> Literal {
        let column = &self.columns[feature];
        let literal = monotone(column.bounds, |i| holds(self.ensemble.seen(column.real(i))));
        match literal {
            Literal::Always if self.private => Literal::AtMost(column.bounds.hi),
            Literal::Never if self.private => Literal::AtMost(column.bounds.lo - 1),
            other => other,
        }
    }

    /// The ways on from a branch: where its test holds, and where not.
    fn ways(&self, way: &Way, branch: usize, feature: usize, test: &Test) -> [Option<Way>; 2] {
        let branch = if self.private { branch + 1 } else { 0 };
        let condition = match test {
            Test::Member(set) | Test::NoMember(set) => {
                // x = v where x ≥ v and not x > v.
                let mut values = set.clone();
                values.sort_by(f64::total_cmp);
                values.dedup();
                let mut inside = Condition::default();
                for value in values {
                    let (not_below, above) =
                        (self.literal(feature, |x| x >= value), self.literal(feature, |x| x > value));
                    inside.add(&Condition::of(branch, feature, not_below));
                    inside.add(&Condition::of(branch, feature, above).negated());
                }
                if matches!(test, Test::Member(_)) {
                    inside
                } else {
                    inside.opposite()
                }
            }
            _ => {
                let literal = self.literal(feature, |x| test.holds(x));
                if !self.private {
                    return [way.and(feature, literal), way.and(feature, literal.opposite())];
                }
                Condition::of(branch, feature, literal)
            }
        };
        [condition.clone(), condition.opposite()].map(|condition| {
            let mut way = way.clone();
            if condition.plus.is_empty() && condition.minus.is_empty() {
                return (condition.constant == 1).then_some(way);
            }
            way.others.push(condition);
            Some(way)
        })
    }

    /// Leaves that can be reached, with their indicators.
    pub(super) fn leaves(&self) -> Vec<(usize, Condition)> {
        let mut found = Vec::new();
        for root in &self.ensemble.roots {
            let mut open = vec![(*root, Way::default())];
            while let Some((at, way)) = open.pop() {
                match &self.ensemble.nodes[at] {
                    Node::Leaf(leaf) => found.push((*leaf, way.indicator())),
                    Node::Branch { feature, test, yes, no } => {
                        let [holds, fails] = self.ways(&way, at, *feature, test);
                        open.extend(fails.map(|way| (*no, way)));
                        open.extend(holds.map(|way| (*yes, way)));
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
impl Forest<'_> {
    /// What the comparison of a test says of an integer.
    pub(super) fn at_most(&self, feature: usize, test: &Test, i: i64) -> bool {
        match self.literal(feature, |x| test.holds(x)) {
            Literal::Always => true,
            Literal::Never => false,
            Literal::AtMost(t) => i <= t,
            Literal::Above(t) => i > t,
        }
    }
}

#[cfg(test)]
impl Condition {
    /// The sum for one integer as every feature.
    pub(super) fn value(&self, i: i64) -> i64 {
        let ones = |list: &[Comparison]| i64::try_from(list.iter().filter(|c| i <= c.most).count()).unwrap_or(i64::MAX);
        self.constant + ones(&self.plus) - ones(&self.minus)
    }
}
