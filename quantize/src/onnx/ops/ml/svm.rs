//! Support vector machines.
//!
//! The kernels of all support vectors are one matrix product of the features; features are centred first, which
//! changes no difference and lets distances be small numbers.

use super::{
    attributes::{floats, indices},
    scores::{above, binary_scores, post_transform, rows, Classes},
};
use crate::{
    curve::Curve,
    onnx::{
        context::{Context, Outputs},
        error::NodeProblem,
        graph::{FloatOp, ValueId},
        ops::{
            elementwise::{Binary, Unary},
            functions::power,
            reduce::Reduction,
        },
        tensor::Tensor,
    },
};

pub(super) const OPS: &[&str] = &["SVMClassifier", "SVMRegressor"];

pub(super) fn import(c: &mut Context<'_>) -> Outputs {
    if c.node.op_type == "SVMRegressor" {
        regressor(c)
    } else {
        classifier(c)
    }
}

/// `K(x, v)` for every support vector `v`: rows × vectors.
fn kernels(c: &mut Context<'_>, count: usize) -> Result<ValueId, NodeProblem> {
    let x = rows(c)?;
    let features = c.shape_of(x)[1];
    let vectors = floats(c, "support_vectors")?;
    if count.checked_mul(features) != Some(vectors.len()) {
        return Err(NodeProblem::Attribute("support_vectors"));
    }
    let params = floats(c, "kernel_params")?;
    let param = |i: usize| params.get(i).copied().unwrap_or(0.0);
    let (gamma, offset, degree) = (param(0), param(1), param(2));
    match c.attributes.string("kernel_type").unwrap_or("LINEAR") {
        "LINEAR" => dot(c, x, features, vectors),
        "POLY" => {
            let product = dot(c, x, features, vectors)?;
            let base = c.affine(product, gamma, offset)?;
            c.make_precise(base);
            power(c, base, degree, false)
        }
        "SIGMOID" => {
            let product = dot(c, x, features, vectors)?;
            let argument = c.affine(product, gamma, offset)?;
            c.unary(Unary::Tanh, argument)
        }
        "RBF" => {
            let rows = c.shape_of(x)[0];
            #[allow(clippy::cast_precision_loss)] // a count
            let mean: Vec<f64> =
                (0..features).map(|f| vectors.iter().skip(f).step_by(features).sum::<f64>() / count as f64).collect();
            let vectors = vectors.iter().enumerate().map(|(i, v)| v - mean[i % features]).collect();
            let vectors = c.tensor(Tensor::new(vec![count, features], vectors));
            let mean = c.tensor(Tensor::new(vec![features], mean));
            let x = c.sub(x, mean)?;
            let x = c.reshape(x, vec![rows, 1, features])?;
            let difference = c.sub(x, vectors)?;
            let square = c.mul(difference, difference)?;
            let distance = c.reduce(square, Reduction::Sum, &[2])?;
            let distance = c.reshape(distance, vec![rows, count])?;
            let argument = c.affine(distance, -gamma, 0.0)?;
            c.make_precise(argument);
            c.unary(Unary::Exp, argument)
        }
        _ => Err(NodeProblem::Attribute("kernel_type")),
    }
}

/// `x Vᵀ` for rows of coefficients.
fn dot(c: &mut Context<'_>, x: ValueId, features: usize, values: Vec<f64>) -> Result<ValueId, NodeProblem> {
    let weights = c.tensor(Tensor::new(vec![values.len() / features.max(1), features], values));
    c.push(FloatOp::Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true }, &[x, weights])
}

fn regressor(c: &mut Context<'_>) -> Outputs {
    let count = usize::try_from(c.attributes.int("n_supports").unwrap_or(0));
    let count = count.map_err(|_| NodeProblem::Attribute("n_supports"))?;
    let coefficients = floats(c, "coefficients")?;
    let rho = floats(c, "rho")?.first().copied().ok_or(NodeProblem::Attribute("rho"))?;
    let kernels = match count {
        0 => rows(c)?,
        _ => kernels(c, count)?,
    };
    let width = c.shape_of(kernels)[1];
    if coefficients.len() != width {
        return Err(NodeProblem::Attribute("coefficients"));
    }
    let sum = dot(c, kernels, width, coefficients)?;
    let y = c.affine(sum, 1.0, rho)?;
    if c.attributes.flag("one_class") {
        let inside = above(c, y, 0.0)?;
        return Ok(vec![c.affine(inside, 2.0, -1.0)?]);
    }
    Ok(vec![y])
}

fn classifier(c: &mut Context<'_>) -> Outputs {
    let classes = Classes::read(c, "classlabels_ints")?;
    let per_class = indices(c, "vectors_per_class")?;
    let count = per_class.iter().sum::<usize>();
    let rho = floats(c, "rho")?;
    let transform = c.attributes.string("post_transform").unwrap_or("NONE").to_owned();
    if count == 0 {
        return without_vectors(c, &classes, &rho, &transform);
    }
    let pairs: Vec<(usize, usize)> =
        (0..classes.len()).flat_map(|i| (i + 1..classes.len()).map(move |j| (i, j))).collect();
    let coefficients = floats(c, "coefficients")?;
    if per_class.len() != classes.len() || rho.len() != pairs.len() || pairs.is_empty() {
        return Err(NodeProblem::Attribute("rho"));
    }
    if coefficients.len() != count * (classes.len() - 1) {
        return Err(NodeProblem::Attribute("coefficients"));
    }
    let kernels = kernels(c, count)?;
    // A score for each pair of classes, above zero for the first one.
    let starts: Vec<usize> = per_class.iter().scan(0, |sum, n| Some(std::mem::replace(sum, *sum + n))).collect();
    let mut weights = vec![0.0; pairs.len() * count];
    for (row, (i, j)) in weights.chunks_mut(count).zip(&pairs) {
        for (class, other) in [(*i, *j - 1), (*j, *i)] {
            let own = starts[class]..starts[class] + per_class[class];
            row[own.clone()].copy_from_slice(&coefficients[other * count..][own]);
        }
    }
    let sums = dot(c, kernels, count, weights)?;
    let rho = c.tensor(Tensor::new(vec![rho.len()], rho));
    let scores = c.add(sums, rho)?;
    c.make_precise(scores);
    let label = by_votes(c, &classes, scores, &pairs)?;
    let (a, b) = (floats(c, "prob_a")?, floats(c, "prob_b")?);
    if a.is_empty() && b.is_empty() {
        let scores = match (classes.len(), transform.as_str()) {
            (2, "NONE") => binary_scores(c, scores, "NONE", 0.0)?,
            (2, "LOGISTIC" | "SOFTMAX" | "SOFTMAX_ZERO") => binary_scores(c, scores, "NONE", 1.0)?,
            _ => post_transform(c, scores, &transform)?,
        };
        return Ok(vec![label, scores]);
    }
    if classes.len() > 2 {
        return Err(NodeProblem::Variant(
            "probabilities of more than two classes by support vectors: an iteration without a fixed number of steps",
        ));
    }
    let ([a], [b]) = (a.as_slice(), b.as_slice()) else { return Err(NodeProblem::Attribute("prob_a")) };
    let argument = c.affine(scores, *a, *b)?;
    let first = c.unary(Unary::Curve(Curve::Coupling), argument)?;
    let second = c.affine(first, -1.0, 1.0)?;
    let both = c.concat(&[first, second], 1)?;
    Ok(vec![label, post_transform(c, both, &transform)?])
}

/// The class with the most pairs won, the first of equal ones.
fn by_votes(
    c: &mut Context<'_>,
    classes: &Classes,
    scores: ValueId,
    pairs: &[(usize, usize)],
) -> Result<ValueId, NodeProblem> {
    let wins = above(c, scores, 0.0)?;
    // votes = wins · (first − second) + second.
    let whole = |shape: Vec<usize>, data: Vec<f64>| Tensor { shape, data, integer: true };
    let count = classes.len();
    let (mut gain, mut base) = (vec![0.0; pairs.len() * count], vec![0.0; count]);
    for (row, (i, j)) in gain.chunks_mut(count).zip(pairs) {
        (row[*i], row[*j]) = (1.0, -1.0);
        base[*j] += 1.0;
    }
    let gain = c.tensor(whole(vec![pairs.len(), count], gain));
    let base = c.tensor(whole(vec![count], base));
    let votes = c.matmul(wins, gain)?;
    let votes = c.binary(Binary::Add, votes, base)?;
    classes.largest(c, votes, &vec![true; count])
}

/// One row of coefficients per class.
fn without_vectors(c: &mut Context<'_>, classes: &Classes, rho: &[f64], transform: &str) -> Outputs {
    let x = rows(c)?;
    let features = c.shape_of(x)[1];
    let coefficients = floats(c, "coefficients")?;
    if classes.len().checked_mul(features) != Some(coefficients.len()) {
        return Err(NodeProblem::Attribute("coefficients"));
    }
    if classes.len() < 3 {
        return Err(NodeProblem::Variant("one or two classes without support vectors"));
    }
    let sums = dot(c, x, features, coefficients)?;
    let scores = c.affine(sums, 1.0, rho.first().copied().ok_or(NodeProblem::Attribute("rho"))?)?;
    c.make_precise(scores);
    let label = classes.largest(c, scores, &vec![true; classes.len()])?;
    Ok(vec![label, post_transform(c, scores, transform)?])
}
