//! What classifiers make of scores: probabilities and labels.

use super::attributes::{ints, strings};
use crate::onnx::{
    context::Context,
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    ops::elementwise::{Binary, Unary},
    tensor::Tensor,
};

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

/// Ones where values are above a number.
pub(super) fn above(c: &mut Context<'_>, x: ValueId, threshold: f64) -> Result<ValueId, NodeProblem> {
    let threshold = c.scalar(threshold);
    c.binary(Binary::Greater, x, threshold)
}

/// The labels of classes. Strings have no integers: the index of the class stands for them, which is noted.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    ids: Vec<i64>,
}

impl Classes {
    /// The labels of a classifier, from its attribute of strings or from the one of integers.
    pub(super) fn read(c: &mut Context<'_>, integers: &'static str) -> Result<Self, NodeProblem> {
        let names = strings(c, "classlabels_strings")?;
        let ids = ints(c, integers).to_vec();
        let classes = if names.is_empty() { Self { ids } } else { Self::of_strings(c, 0, &names) };
        if classes.ids.is_empty() || classes.ids.len() > 1 << 16 {
            return Err(NodeProblem::Attribute(integers));
        }
        Ok(classes)
    }

    /// Strings as their indices; says so of an output.
    pub(super) fn of_strings(c: &mut Context<'_>, output: usize, names: &[String]) -> Self {
        if c.wants(output) {
            let list: Vec<String> =
                names.iter().take(100).enumerate().map(|(i, name)| format!("{i} is '{name}'")).collect();
            let more = if names.len() > 100 { ", …" } else { "" };
            let output = &c.node.output[output];
            let note = format!("'{output}' holds indices in place of strings: {}{more}", list.join(", "));
            c.importer.graph.notes.push(note);
        }
        Self { ids: (0..).take(names.len()).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// A column of labels `[rows, 1]` as the output `[rows]`.
    pub(super) fn column(&self, c: &mut Context<'_>, labels: ValueId) -> Result<ValueId, NodeProblem> {
        let rows = c.shape_of(labels).iter().product();
        c.reshape(labels, vec![rows])
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
    #[allow(clippy::cast_precision_loss)] // checked
    pub(super) fn of_index(&self, c: &mut Context<'_>, index: ValueId) -> Result<ValueId, NodeProblem> {
        if self.ids.iter().any(|id| id.unsigned_abs() > 1 << 40) {
            return Err(NodeProblem::Variant("class labels beyond 2^40"));
        }
        let ids: Vec<f64> = self.ids.iter().map(|id| *id as f64).collect();
        look_up(c, index, ids, true)
    }
}

/// `values[index]`, elementwise, for an index that is computed.
#[allow(clippy::cast_precision_loss, clippy::float_cmp)] // few, and exact
pub(super) fn look_up(
    c: &mut Context<'_>,
    index: ValueId,
    values: Vec<f64>,
    integer: bool,
) -> Result<ValueId, NodeProblem> {
    let whole = |v: f64| Tensor { shape: vec![], data: vec![v], integer };
    let first = values[0];
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
    let ones = c.push(FloatOp::OneHot(count), &[index])?;
    let values = c.tensor(Tensor { shape: vec![count], data: values, integer });
    c.matmul(ones, values)
}
