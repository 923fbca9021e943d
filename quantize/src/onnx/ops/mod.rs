//! Operators of the float model, by family: reading attributes, shapes, evaluation.

mod activations;
mod arrange;
mod attention;
mod constant;
mod control;
pub mod conv;
mod conv_transpose;
pub(crate) mod dynamic;
mod einsum;
pub mod elementwise;
mod functions;
mod gather;
mod logic;
mod losses;
pub mod matmul;
mod microsoft;
pub mod ml;
pub mod movement;
mod normalisation;
mod padding;
pub mod pool;
mod quantised;
mod recurrent;
pub mod reduce;
mod resize;
mod sample;
mod scatter;
mod selection;
mod spectrum;
mod triangular;

use self::elementwise::{Binary, Unary};
use super::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::FloatOp,
    proto::MAX_ELEMENTS,
    tensor::{broadcast_shapes, Tensor},
};
use crate::kernels::parallel;

/// Imports one node.
pub(crate) type Import = fn(&mut Context<'_>) -> Outputs;

/// The families of the default domain: their operators and how they are imported.
const FAMILIES: &[(&[&str], Import)] = &[
    (arrange::OPS, arrange::import),
    (attention::OPS, attention::import),
    (constant::OPS, constant::import),
    (control::OPS, control::import),
    (conv::OPS, conv::import),
    (conv_transpose::OPS, conv_transpose::import),
    (dynamic::OPS, dynamic::import),
    (elementwise::OPS, elementwise::import),
    (functions::OPS, functions::import),
    (gather::OPS, gather::import),
    (logic::OPS, logic::import),
    (matmul::OPS, matmul::import),
    (movement::OPS, movement::import),
    (normalisation::OPS, normalisation::import),
    (padding::OPS, padding::import),
    (pool::OPS, pool::import),
    (recurrent::OPS, recurrent::import),
    (quantised::OPS, quantised::import),
    (reduce::OPS, reduce::import),
    (resize::OPS, resize::import),
    (sample::OPS, sample::import),
    (scatter::OPS, scatter::import),
    (selection::OPS, selection::import),
    (spectrum::OPS, spectrum::import),
    (triangular::OPS, triangular::import),
    (losses::OPS, losses::import),
    (einsum::OPS, einsum::import),
];

/// How an operator is imported; `None` when it is not supported.
pub(crate) fn find(domain: &str, op: &str) -> Option<Import> {
    let families = match domain {
        "" => FAMILIES,
        "ai.onnx.ml" => ml::FAMILIES,
        "com.microsoft" => microsoft::FAMILIES,
        _ => return None,
    };
    families.iter().find(|(ops, _)| ops.contains(&op)).map(|(_, import)| *import)
}

/// Operators, besides those of whole families, whose first input may be empty.
const TAKE_EMPTY: &[&str] = &["Gather", "MatMul", "Split", "Tile"];

/// Whether an operator may have a first input without elements.
pub(crate) fn takes_empty(op: &str) -> bool {
    let families = [constant::OPS, control::OPS, elementwise::OPS, logic::OPS, movement::OPS, reduce::OPS];
    TAKE_EMPTY.contains(&op) || families.iter().any(|ops| ops.contains(&op))
}

/// The result where it has no elements, or follows from there being none to compute it of; `None` for all others.
pub(crate) fn of_empty(op: &FloatOp, inputs: &[&[usize]], shape: &[usize]) -> Result<Option<Tensor>, NodeProblem> {
    let empty = inputs.iter().find(|s| s.contains(&0));
    match (op, empty) {
        _ if shape.contains(&0) => Ok(Some(Tensor::zeros(shape))),
        (_, None) => Ok(None),
        // Sums of nothing.
        (FloatOp::MatMul | FloatOp::Reduce(reduce::Reduction::Sum, _), _) => Ok(Some(Tensor::zeros(shape))),
        (FloatOp::Concat(_) | FloatOp::Pad(..) | FloatOp::Gather { .. }, _) => Ok(None),
        (_, Some(empty)) => Err(NodeProblem::Size(empty.to_vec())),
    }
}

/// Whether the result holds integers or booleans, for inputs that do or do not.
pub(crate) fn is_integer(op: &FloatOp, inputs: &[bool]) -> bool {
    match op {
        FloatOp::Unary(unary) => unary.is_integer(inputs[0]),
        FloatOp::Softmax(_) | FloatOp::AveragePool { .. } | FloatOp::BatchNorm { .. } => false,
        FloatOp::Binary(binary) => binary.is_whole() || inputs.iter().all(|i| *i),
        FloatOp::Where => inputs[1..].iter().all(|i| *i),
        FloatOp::ArgMax { .. } | FloatOp::OneHot { .. } => true,
        FloatOp::TopK { indices, .. } => *indices || inputs[0],
        FloatOp::Reduce(reduction, _) => inputs[0] && *reduction != reduce::Reduction::Mean,
        FloatOp::Gemm { .. } | FloatOp::PRelu | FloatOp::Trees(_) => false,
        _ => inputs.iter().all(|i| *i),
    }
}

/// Whether finite inputs surely give finite results.
pub(crate) fn keeps_finite(op: &FloatOp) -> bool {
    match op {
        FloatOp::Unary(Unary::Exp) | FloatOp::Binary(Binary::Div | Binary::FloorDiv) => false,
        FloatOp::Unary(Unary::Curve(curve)) => curve.is_finite(),
        _ => true,
    }
}

/// The shape of an operator's result.
pub(crate) fn output_shape(op: &FloatOp, inputs: &[&[usize]]) -> Result<Vec<usize>, NodeProblem> {
    let misfit = |why| NodeProblem::Shapes { shapes: inputs.iter().map(|s| s.to_vec()).collect(), why };
    let x = *inputs.first().ok_or(NodeProblem::MissingInput(0))?;
    let input = |i: usize| inputs.get(i).copied().ok_or(NodeProblem::MissingInput(i));
    let shape = match op {
        FloatOp::Conv(conv) => conv.output_shape(x, input(1)?, inputs.get(2).copied()).map_err(misfit)?,
        FloatOp::Gemm { trans_a, trans_b, .. } => {
            matmul::gemm_shape(x, input(1)?, inputs.get(2).copied(), *trans_a, *trans_b).map_err(misfit)?
        }
        FloatOp::MatMul => matmul::matmul_shape(x, input(1)?).map_err(misfit)?,
        FloatOp::Binary(_) => broadcast_shapes(x, input(1)?).ok_or_else(|| misfit("they do not broadcast"))?,
        FloatOp::BatchNorm { .. } => {
            let channels = x.get(1).copied();
            if (1..5).any(|i| inputs.get(i).map(|s| s.iter().product()) != channels) {
                return Err(misfit("one value per channel is needed"));
            }
            x.to_vec()
        }
        FloatOp::PRelu => match broadcast_shapes(x, input(1)?) {
            Some(shape) if shape == x => shape,
            _ => return Err(misfit("the slope does not broadcast to the input")),
        },
        FloatOp::Unary(_) | FloatOp::Softmax(_) => x.to_vec(),
        FloatOp::MaxPool(pool) | FloatOp::AveragePool { pool, .. } => pool.output_shape(x).map_err(misfit)?,
        FloatOp::Reduce(_, axes) => (0..x.len()).map(|d| if axes.contains(&d) { 1 } else { x[d] }).collect(),
        FloatOp::Reshape(shape) => {
            if shape.iter().product::<usize>() != x.iter().product::<usize>() {
                return Err(misfit("the new shape has another number of elements"));
            }
            shape.clone()
        }
        FloatOp::Transpose(perm) => {
            let mut sorted = perm.clone();
            sorted.sort_unstable();
            if !sorted.into_iter().eq(0..x.len()) {
                return Err(misfit("the permutation does not fit"));
            }
            perm.iter().map(|p| x[*p]).collect()
        }
        FloatOp::Concat(axis) => movement::concat_shape(inputs, *axis).ok_or_else(|| misfit("they do not join"))?,
        FloatOp::Slice(parts) => parts.iter().map(|p| p.2).collect(),
        FloatOp::Pad(pads, _) => {
            x.iter().zip(pads).map(|(s, (b, e))| s.saturating_add(*b).saturating_add(*e)).collect()
        }
        FloatOp::Expand(shape) => shape.clone(),
        FloatOp::Where => {
            let both = broadcast_shapes(x, input(1)?).and_then(|s| broadcast_shapes(&s, inputs.get(2)?));
            both.ok_or_else(|| misfit("they do not broadcast"))?
        }
        FloatOp::ArgMax { axis, .. } => (0..x.len()).map(|d| if d == *axis { 1 } else { x[d] }).collect(),
        FloatOp::TopK { axis, k, .. } => {
            if *k > x[*axis] {
                return Err(misfit("there are fewer elements"));
            }
            (0..x.len()).map(|d| if d == *axis { *k } else { x[d] }).collect()
        }
        FloatOp::OneHot { depth, .. } => x.iter().copied().chain([*depth]).collect(),
        FloatOp::Trees(ensemble) => ensemble.output_shape(x).map_err(misfit)?,
        FloatOp::Gather { axis, shape, .. } => x[..*axis].iter().chain(shape).chain(&x[axis + 1..]).copied().collect(),
    };
    let size = shape.iter().try_fold(1_usize, |v, s| v.checked_mul(*s)).filter(|v| *v <= MAX_ELEMENTS);
    size.map(|_| shape.clone()).ok_or(NodeProblem::Size(shape))
}

/// The result of an operator. The shapes have been checked by [`output_shape`].
pub(crate) fn evaluate(op: &FloatOp, inputs: &[&Tensor], shape: &[usize]) -> Tensor {
    let x = inputs[0];
    match op {
        FloatOp::Conv(conv) => conv.evaluate(x, inputs[1], inputs.get(2).copied(), shape),
        FloatOp::Gemm { alpha, beta, trans_a, trans_b } => {
            matmul::gemm(x, inputs[1], inputs.get(2).copied(), (*alpha, *beta), (*trans_a, *trans_b), shape)
        }
        FloatOp::MatMul => matmul::matmul(x, inputs[1], shape),
        FloatOp::Binary(binary) => binary.evaluate(x, inputs[1], shape),
        FloatOp::BatchNorm { epsilon } => elementwise::batch_norm(inputs, *epsilon),
        FloatOp::Unary(unary) => {
            let mut data = x.data.clone();
            parallel::for_each_chunk(&mut data, 1 << 12, 16, |_, part| {
                part.iter_mut().for_each(|v| *v = unary.evaluate(*v));
            });
            Tensor { shape: shape.to_vec(), data, integer: unary.is_integer(x.integer) }
        }
        FloatOp::PRelu => {
            let slope = inputs[1].broadcast_to(shape);
            let data = x.data.iter().zip(&slope.data).map(|(v, s)| if *v < 0.0 { v * s } else { *v }).collect();
            Tensor::new(shape.to_vec(), data)
        }
        FloatOp::MaxPool(pool) => pool.max(x, shape),
        FloatOp::AveragePool { pool, count_include_pad } => pool.average(x, *count_include_pad, shape),
        FloatOp::Reduce(reduction, axes) => reduction.evaluate(x, axes, shape),
        FloatOp::Softmax(axis) => reduce::softmax(x, *axis),
        FloatOp::Where => selection::choose(x, inputs[1], inputs[2], shape),
        FloatOp::ArgMax { axis, last } => selection::arg_max(x, *axis, *last, shape),
        FloatOp::TopK { axis, indices, .. } => selection::top_k(x, *axis, *indices, shape),
        FloatOp::OneHot { depth, wrap } => selection::one_hot(x, (*depth, *wrap), shape),
        FloatOp::Trees(ensemble) => ensemble.evaluate(x, shape),
        FloatOp::Reshape(_) => Tensor { shape: shape.to_vec(), data: x.data.clone(), integer: x.integer },
        FloatOp::Transpose(perm) => movement::transpose(x, perm, shape),
        FloatOp::Concat(axis) => movement::concat(inputs, *axis, shape),
        FloatOp::Slice(parts) => movement::slice(x, parts, shape),
        FloatOp::Pad(pads, value) => movement::pad(x, pads, *value, shape),
        FloatOp::Expand(shape) => x.broadcast_to(shape),
        FloatOp::Gather { axis, indices, .. } => movement::gather(x, *axis, indices, shape),
    }
}
