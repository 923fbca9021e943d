//! Einstein sums, as transposes, matrix products and sums.

use super::reduce::Reduction;
use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::ValueId,
    tensor::{strides, volume},
};

pub(crate) const OPS: &[&str] = &["Einsum"];

/// The name of an axis: a letter, or a number from the end for those that an ellipsis stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Ellipsis(usize),
    Letter(char),
}

/// A value whose axes have names, each once.
#[derive(Clone, Debug)]
struct Operand {
    value: ValueId,
    labels: Vec<Label>,
}

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let fail = || NodeProblem::Attribute("equation");
    let equation: String = c.attributes.string("equation").ok_or_else(fail)?.split_whitespace().collect();
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation.as_str(), None),
    };
    if c.element(0).wraps() {
        return Err(NodeProblem::Variant("arithmetic of integers of 8 or 16 bits, which wraps"));
    }
    let values = c.all()?;
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != values.len() {
        return Err(fail());
    }
    let mut operands = Vec::new();
    for (term, value) in terms.iter().zip(&values) {
        let labels = labels_of(term, c.shape_of(*value).len())?;
        operands.push(Operand { value: *value, labels });
    }
    // The ellipsis of the result stands for the most axes that it stands for anywhere.
    let dots = operands.iter().flat_map(|o| &o.labels).filter_map(|l| match l {
        Label::Ellipsis(i) => Some(i + 1),
        Label::Letter(_) => None,
    });
    let dots = dots.max().unwrap_or(0);
    let output = match right {
        Some(right) => labels_of(right, right.chars().filter(char::is_ascii_alphabetic).count() + dots)?,
        None => {
            // Ellipsis first, then letters that occur once, in order.
            let letters = left.chars().filter(char::is_ascii_alphabetic).map(Label::Letter);
            let mut once: Vec<Label> =
                letters.clone().filter(|l| letters.clone().filter(|m| l == m).count() == 1).collect();
            once.sort_unstable();
            (0..dots).rev().map(Label::Ellipsis).chain(once).collect()
        }
    };
    let known = |l: &Label| operands.iter().any(|o| o.labels.contains(l));
    if output.iter().any(|l| !known(l)) || (1..output.len()).any(|i| output[..i].contains(&output[i])) {
        return Err(fail());
    }
    let result = contracted(c, operands, &output)?;
    Ok(vec![result])
}

/// The labels of a term for a value of this rank.
fn labels_of(term: &str, rank: usize) -> Result<Vec<Label>, NodeProblem> {
    let fail = || NodeProblem::Attribute("equation");
    let letters = |part: &str| {
        let label = |l: char| l.is_ascii_alphabetic().then_some(Label::Letter(l)).ok_or_else(fail);
        part.chars().map(label).collect::<Result<Vec<_>, _>>()
    };
    let Some((front, back)) = term.split_once("...") else {
        let labels = letters(term)?;
        return if labels.len() == rank { Ok(labels) } else { Err(fail()) };
    };
    let (mut labels, back) = (letters(front)?, letters(back)?);
    let dots = rank.checked_sub(labels.len() + back.len()).ok_or_else(fail)?;
    labels.extend((0..dots).rev().map(Label::Ellipsis));
    labels.extend(back);
    Ok(labels)
}

/// The sum of products over all labels that the output does not have.
fn contracted(c: &mut Context<'_>, operands: Vec<Operand>, output: &[Label]) -> Result<ValueId, NodeProblem> {
    let mut all = Vec::new();
    for operand in operands {
        all.push(diagonal(c, operand)?);
    }
    // Sizes; an axis of one element is broadcast where another operand has more.
    let size_of = |c: &Context<'_>, all: &[Operand], label: Label| {
        let sizes = all.iter().filter_map(|o| {
            let at = o.labels.iter().position(|l| *l == label)?;
            Some(c.shape_of(o.value)[at])
        });
        sizes.max().unwrap_or(1)
    };
    for i in 0..all.len() {
        let shape = c.shape_of(all[i].value);
        let largest: Vec<usize> = all[i].labels.iter().map(|l| size_of(c, &all, *l)).collect();
        if shape.iter().zip(&largest).any(|(own, largest)| own != largest && *own != 1) {
            let shapes = all.iter().map(|o| c.shape_of(o.value)).collect();
            return Err(NodeProblem::Shapes { shapes, why: "axes of one name have different sizes" });
        }
        let kept: Vec<usize> = (0..shape.len()).filter(|d| shape[*d] == largest[*d]).collect();
        let value = c.reshape(all[i].value, kept.iter().map(|d| shape[*d]).collect())?;
        all[i] = Operand { value, labels: kept.iter().map(|d| all[i].labels[*d]).collect() };
    }
    let mut rest = all.into_iter();
    let mut result = rest.next().ok_or(NodeProblem::MissingInput(0))?;
    let mut rest: Vec<Operand> = rest.collect();
    loop {
        let needed = |l: &Label| output.contains(l) || rest.iter().any(|o| o.labels.contains(l));
        result = summed(c, result, &needed)?;
        if rest.is_empty() {
            break;
        }
        let next = rest.remove(0);
        let needed = |l: &Label| output.contains(l) || rest.iter().any(|o| o.labels.contains(l));
        let own = result.labels.clone();
        let next = summed(c, next, &|l: &Label| needed(l) || own.contains(l))?;
        result = product(c, &result, &next, &needed)?;
    }
    let perm = output.iter().map(|l| result.labels.iter().position(|m| l == m)).collect::<Option<Vec<_>>>();
    c.transpose(result.value, &perm.ok_or(NodeProblem::Attribute("equation"))?)
}

/// Every label once: of a repeated one, the diagonal.
fn diagonal(c: &mut Context<'_>, operand: Operand) -> Result<Operand, NodeProblem> {
    let mut labels: Vec<Label> = Vec::new();
    for label in &operand.labels {
        if !labels.contains(label) {
            labels.push(*label);
        }
    }
    if labels.len() == operand.labels.len() {
        return Ok(operand);
    }
    let shape = c.shape_of(operand.value);
    let own = strides(&shape);
    let places = |label: &Label| -> Vec<usize> { (0..shape.len()).filter(|d| operand.labels[*d] == *label).collect() };
    let mut sizes = Vec::new();
    let mut steps: Vec<usize> = Vec::new();
    for label in &labels {
        let places = places(label);
        if places.iter().any(|d| shape[*d] != shape[places[0]]) {
            return Err(NodeProblem::Shapes { shapes: vec![shape.clone()], why: "a diagonal of different sizes" });
        }
        sizes.push(shape[places[0]]);
        steps.push(places.iter().map(|d| own[*d]).sum());
    }
    let inner = strides(&sizes);
    let address = |i: usize| Some((0..sizes.len()).map(|d| i / inner[d] % sizes[d] * steps[d]).sum());
    let value = c.pick(operand.value, (0..volume(&sizes)).map(address).collect(), sizes)?;
    Ok(Operand { value, labels })
}

/// The sum over labels that are no more needed.
fn summed(c: &mut Context<'_>, operand: Operand, needed: &dyn Fn(&Label) -> bool) -> Result<Operand, NodeProblem> {
    let (kept, over): (Vec<usize>, Vec<usize>) = (0..operand.labels.len()).partition(|d| needed(&operand.labels[*d]));
    if over.is_empty() {
        return Ok(operand);
    }
    let shape = c.shape_of(operand.value);
    let sum = c.reduce(operand.value, Reduction::Sum, &over)?;
    let value = c.reshape(sum, kept.iter().map(|d| shape[*d]).collect())?;
    Ok(Operand { value, labels: kept.iter().map(|d| operand.labels[*d]).collect() })
}

/// The product of two operands as a matrix product, summed over what both have and nobody needs.
fn product(
    c: &mut Context<'_>,
    a: &Operand,
    b: &Operand,
    needed: &dyn Fn(&Label) -> bool,
) -> Result<Operand, NodeProblem> {
    let of = |labels: &[Label], test: &dyn Fn(&Label) -> bool| labels.iter().copied().filter(test).collect::<Vec<_>>();
    let batch = of(&a.labels, &|l| b.labels.contains(l) && needed(l));
    let over = of(&a.labels, &|l| b.labels.contains(l) && !needed(l));
    let (rows, cols) = (of(&a.labels, &|l| !b.labels.contains(l)), of(&b.labels, &|l| !a.labels.contains(l)));
    let size = |c: &Context<'_>, operand: &Operand, labels: &[Label]| -> Vec<usize> {
        let shape = c.shape_of(operand.value);
        let place = |l: &Label| operand.labels.iter().position(|m| l == m).map_or(1, |d| shape[d]);
        labels.iter().map(place).collect()
    };
    let (batch_size, over_size) = (size(c, a, &batch), volume(&size(c, a, &over)));
    let (row_size, col_size) = (size(c, a, &rows), size(c, b, &cols));
    let arranged = |c: &mut Context<'_>, operand: &Operand, order: [&[Label]; 3], shape: Vec<usize>| {
        let place = |l: &Label| operand.labels.iter().position(|m| l == m);
        let perm = order.concat().iter().map(place).collect::<Option<Vec<_>>>();
        let value = c.transpose(operand.value, &perm.ok_or(NodeProblem::Attribute("equation"))?)?;
        c.reshape(value, shape)
    };
    let lead = |last: [usize; 2]| batch_size.iter().copied().chain(last).collect::<Vec<_>>();
    let left = arranged(c, a, [&batch, &rows, &over], lead([volume(&row_size), over_size]))?;
    let right = arranged(c, b, [&batch, &over, &cols], lead([over_size, volume(&col_size)]))?;
    let value = c.matmul(left, right)?;
    let value = c.reshape(value, [batch_size, row_size, col_size].concat())?;
    Ok(Operand { value, labels: [batch, rows, cols].concat() })
}
