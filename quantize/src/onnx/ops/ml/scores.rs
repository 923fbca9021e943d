//! What classifiers make of scores: probabilities and labels.

use super::attributes::{ints, strings};
use crate::onnx::{
    context::Context,
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    ops::elementwise::{Binary, Unary},
    tensor::Tensor,
};
use std::sync::Arc;

/// Input 0 as rows of features: a vector is one row.
pub(super) fn rows(c: &mut Context<'_>) -> Result<ValueId, NodeProblem> {
    let x = c.input(0)?;
    match c.shape_of(x)[..] {
        [features] => c.reshape(x, vec![1, features]),
        [_, _] => Ok(x),
        _ => Err(NodeProblem::Shapes { shapes: vec![c.shape_of(x)], why: "rows of features are needed" }),
    }
}

/// The transform of rows of scores.
pub(super) fn post_transform(c: &mut Context<'_>, scores: ValueId, name: &str) -> Result<ValueId, NodeProblem> {
    match name {
        "NONE" => Ok(scores),
        "LOGISTIC" => c.unary(Unary::Sigmoid, scores),
        "SOFTMAX" => c.push(FloatOp::Softmax(1), &[scores]),
        "SOFTMAX_ZERO" => Err(NodeProblem::Variant("the post-transform SOFTMAX_ZERO, which jumps at scores of zero")),
        "PROBIT" => Err(NodeProblem::Variant("the post-transform PROBIT")),
        _ => Err(NodeProblem::Attribute("post_transform")),
    }
}

/// Both columns for one score `s` of two classes: `[offset − s, s]`, or with `LOGISTIC` its transform of `[−s, s]`. Other
/// transforms are left out, as in ONNX Runtime.
pub(super) fn binary_scores(
    c: &mut Context<'_>,
    score: ValueId,
    transform: &str,
    offset: f64,
) -> Result<ValueId, NodeProblem> {
    if !["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"].contains(&transform) {
        return post_transform(c, score, transform);
    }
    let logistic = transform == "LOGISTIC";
    let other = c.affine(score, -1.0, if logistic { 0.0 } else { offset })?;
    let both = c.concat(&[other, score], 1)?;
    if logistic {
        c.unary(Unary::Sigmoid, both)
    } else {
        Ok(both)
    }
}

/// Ones where values are above a number.
pub(super) fn above(c: &mut Context<'_>, x: ValueId, threshold: f64) -> Result<ValueId, NodeProblem> {
    let threshold = c.scalar(threshold);
    c.binary(Binary::Greater, x, threshold)
}

/// The labels of classes. Strings have no integers: the index of the class stands for them.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    ids: Vec<i64>,
    names: Option<Arc<Vec<String>>>,
}

impl Classes {
    /// The labels of a classifier, from its attribute of strings or from the one of integers.
    pub(super) fn read(c: &Context<'_>, integers: &'static str) -> Result<Self, NodeProblem> {
        let names = strings(c, "classlabels_strings")?;
        let classes = match names.is_empty() {
            true => Self { ids: ints(c, integers).to_vec(), names: None },
            false => Self { ids: (0..).take(names.len()).collect(), names: Some(Arc::new(names)) },
        };
        if classes.ids.is_empty() || classes.ids.len() > 1 << 16 {
            return Err(NodeProblem::Attribute(integers));
        }
        if classes.ids.iter().any(|id| id.unsigned_abs() > 1 << 40) {
            return Err(NodeProblem::Variant("class labels beyond 2^40"));
        }
        Ok(classes)
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// A column of labels `[rows, 1]` as the output `[rows]`.
    pub(super) fn column(&self, c: &mut Context<'_>, labels: ValueId) -> Result<ValueId, NodeProblem> {
        let rows = c.shape_of(labels).iter().product();
        let labels = c.reshape(labels, vec![rows])?;
        if let Some(names) = &self.names {
            c.importer.strings.insert(labels, Arc::clone(names));
        }
        Ok(labels)
    }

    /// The label of the second of two classes where a column holds one, else that of the first.
    pub(super) fn of_two(&self, c: &mut Context<'_>, second: ValueId) -> Result<ValueId, NodeProblem> {
        let labels = self.of_index(c, second)?;
        self.column(c, labels)
    }

    /// The label of the class with the largest score, the first of equal ones, among those that are known.
    pub(super) fn largest(&self, c: &mut Context<'_>, scores: ValueId, known: &[bool]) -> Result<ValueId, NodeProblem> {
        let kept: Vec<usize> = (0..self.len()).filter(|class| known[*class]).collect();
        let mut classes = self.clone();
        let mut columns = scores;
        if kept.len() < self.len() {
            classes.ids = kept.iter().map(|class| self.ids[*class]).collect();
            let shape = vec![kept.len()];
            let indices = kept.into_iter().map(Some).collect();
            columns = c.push(FloatOp::Gather { axis: 1, indices, shape }, &[scores])?;
        }
        let index = c.push(FloatOp::ArgMax { axis: 1, last: false }, &[columns])?;
        let labels = classes.of_index(c, index)?;
        self.column(c, labels)
    }

    /// The labels of classes given by their indices, elementwise.
    #[allow(clippy::cast_precision_loss)] // checked when read
    fn of_index(&self, c: &mut Context<'_>, index: ValueId) -> Result<ValueId, NodeProblem> {
        look_up(c, index, self.ids.iter().map(|id| *id as f64).collect(), true)
    }
}

/// `values[index]`, elementwise, for an index that is computed; zero outside.
#[allow(clippy::cast_precision_loss, clippy::float_cmp)] // few, and exact
pub(super) fn look_up(
    c: &mut Context<'_>,
    index: ValueId,
    values: Vec<f64>,
    integer: bool,
) -> Result<ValueId, NodeProblem> {
    let Some(first) = values.first().copied() else { return Err(NodeProblem::Variant("a list without elements")) };
    let whole = |v: f64| Tensor { shape: vec![], data: vec![v], integer };
    let step = values.get(1).map_or(0.0, |v| v - first);
    if values.iter().enumerate().all(|(i, v)| *v == first + step * i as f64) {
        let mut y = index;
        if step != 1.0 || !integer {
            let step = c.tensor(whole(step));
            y = c.mul(y, step)?;
        }
        if first != 0.0 {
            let first = c.tensor(whole(first));
            y = c.add(y, first)?;
        }
        return Ok(y);
    }
    let count = values.len();
    let ones = c.push(FloatOp::OneHot { depth: count, wrap: false }, &[index])?;
    let values = c.tensor(Tensor { shape: vec![count], data: values, integer });
    c.matmul(ones, values)
}
