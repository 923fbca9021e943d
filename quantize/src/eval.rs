//! The reference evaluator: what a quantised model means.

use crate::{
    contraction::{volume, Axis, ProductAxes},
    graph::{round_shift, Form, Graph, Op, Operand, Product, Source},
    index::IndexMap,
    integers::{IntegerSlice, Integers},
    model::QuantizedModel,
    one_hot, with_integer_slice,
};

/// Everything that an evaluation computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Every tensor, row-major, in order of [`crate::graph::TensorId`].
    pub tensors: Vec<Vec<i64>>,
    /// The exact form of every node, before the shift.
    pub forms: Vec<Vec<i64>>,
    /// The denominator of every division, empty for other nodes.
    pub denominators: Vec<Vec<i64>>,
    /// The declared outputs.
    pub outputs: Vec<Vec<i64>>,
}

/// Inputs that the model does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// Wrong number of input tensors.
    #[error("the model takes {expected} inputs, {actual} were given")]
    InputCount {
        /// How many the model takes.
        expected: usize,
        /// How many were given.
        actual: usize,
    },
    /// Wrong number of elements.
    #[error("input '{name}' has {expected} elements, {actual} were given")]
    InputLength {
        /// The input.
        name: String,
        /// Its number of elements.
        expected: usize,
        /// How many were given.
        actual: usize,
    },
    /// A value outside of the declared interval.
    #[error("input '{name}', element {index}: {value} is outside of the declared interval [{lo}, {hi}]")]
    InputRange {
        /// The input.
        name: String,
        /// The element, row-major.
        index: usize,
        /// Its value.
        value: i64,
        /// Smallest allowed.
        lo: i64,
        /// Largest allowed.
        hi: i64,
    },
}

/// Evaluates the model on integer inputs, one vector per declared input.
///
/// # Errors
/// [`EvalError`] when the inputs are not as declared.
pub fn evaluate(model: &QuantizedModel, inputs: &[Vec<i64>]) -> Result<Trace, EvalError> {
    evaluate_with(model, inputs, &mut |_| {})
}

/// The same; calls `done` with the number of every node after it is evaluated, in order.
///
/// # Errors
/// [`EvalError`] when the inputs are not as declared.
pub fn evaluate_with(
    model: &QuantizedModel,
    inputs: &[Vec<i64>],
    done: &mut dyn FnMut(usize),
) -> Result<Trace, EvalError> {
    let graph = &model.graph;
    check_inputs(graph, inputs)?;
    let mut trace = Trace { tensors: inputs.to_vec(), ..Trace::default() };
    for (number, node) in graph.nodes.iter().enumerate() {
        let a = evaluate_form(&node.form, &trace.tensors, &model.weights);
        let q = a.iter().map(|a| round_shift(*a, node.shift));
        let clamp = |q: i64, lo: &Option<i64>, hi: &Option<i64>| {
            let q = lo.map_or(q, |lo| q.max(lo));
            hi.map_or(q, |hi| q.min(hi))
        };
        let mut denominator = Vec::new();
        let mut under_values = None;
        let y: Vec<i64> = match &node.op {
            Op::Clamp { lo, hi, under } => {
                if let (Some(lo), true) = (lo, under) {
                    under_values = Some(q.clone().map(|q| (lo - q).max(0)).collect());
                }
                q.map(|q| clamp(q, lo, hi)).collect()
            }
            Op::Table { table } => {
                let table = &graph.tables[*table as usize];
                q.map(|q| table.value(q)).collect()
            }
            Op::Max { axes, lo, hi } => {
                let outer = node.form.shape.len() - usize::from(*axes);
                let window: usize = node.form.shape[outer..].iter().map(|s| *s as usize).product();
                let q: Vec<i64> = q.collect();
                q.chunks(window).map(|w| clamp(w.iter().copied().max().unwrap_or(0), lo, hi)).collect()
            }
            Op::Div { denominator: form } => {
                denominator = evaluate_form(form, &trace.tensors, &model.weights);
                q.zip(&denominator).map(|(q, d)| q.div_euclid(*d)).collect()
            }
            Op::OneHot { size } => one_hot::vectors(q, *size),
        };
        trace.tensors.push(y);
        trace.tensors.extend(under_values);
        trace.forms.push(a);
        trace.denominators.push(denominator);
        done(number);
    }
    trace.outputs = graph.outputs.iter().map(|o| evaluate_form(&o.form, &trace.tensors, &model.weights)).collect();
    Ok(trace)
}

/// Checks count, lengths and intervals of integer inputs.
///
/// # Errors
/// [`EvalError`] when they are not as declared.
pub fn check_inputs(graph: &Graph, inputs: &[Vec<i64>]) -> Result<(), EvalError> {
    if inputs.len() != graph.inputs.len() {
        return Err(EvalError::InputCount { expected: graph.inputs.len(), actual: inputs.len() });
    }
    for (declared, values) in graph.inputs.iter().zip(inputs) {
        let expected = declared.shape.iter().map(|s| *s as usize).product();
        if values.len() != expected {
            return Err(EvalError::InputLength { name: declared.name.clone(), expected, actual: values.len() });
        }
        if let Some(index) = values.iter().position(|v| !declared.bounds.contains(*v)) {
            return Err(EvalError::InputRange {
                name: declared.name.clone(),
                index,
                value: values[index],
                lo: declared.bounds.lo,
                hi: declared.bounds.hi,
            });
        }
    }
    Ok(())
}

fn source<'a>(source: Source, tensors: &'a [Vec<i64>], params: &'a [Integers]) -> IntegerSlice<'a> {
    match source {
        Source::Tensor(id) => IntegerSlice::from(&tensors[id.0 as usize]),
        Source::Param(id) => IntegerSlice::from(&params[id.0 as usize]),
    }
}

/// The exact value of a form, row-major over its shape.
#[must_use]
pub fn evaluate_form(form: &Form, tensors: &[Vec<i64>], params: &[Integers]) -> Vec<i64> {
    let mut out = vec![form.constant; form.len()];
    let form_axes: Vec<Axis> = all_axes(&form.shape, 0);
    for term in &form.terms {
        let values = source(term.source, tensors, params);
        let sums = all_axes(&term.sums, form.shape.len());
        let inner = gather_matrix(&term.map, values, &form_axes, &sums);
        let width = volume(&sums);
        for (out, row) in out.iter_mut().zip(inner.chunks(width)) {
            *out += term.coef * row.iter().sum::<i64>();
        }
    }
    for product in &form.products {
        add_product(form, product, tensors, params, &mut out);
    }
    out
}

/// Axes numbered from `first`.
fn all_axes(sizes: &[u32], first: usize) -> Vec<Axis> {
    sizes
        .iter()
        .enumerate()
        .map(|(i, size)| Axis { id: u8::try_from(first + i).unwrap_or(u8::MAX), size: *size })
        .collect()
}

/// The matrix `values[map(outer, inner)]`, row-major with `inner` fastest; zero outside.
fn gather_matrix(map: &IndexMap, values: IntegerSlice<'_>, outer: &[Axis], inner: &[Axis]) -> Vec<i64> {
    let axes: Vec<Axis> = outer.iter().chain(inner).copied().collect();
    let ids: Vec<u8> = axes.iter().map(|a| a.id).collect();
    let sizes: Vec<u32> = axes.iter().map(|a| a.size).collect();
    let addresses = map.addresses(&ids, &sizes);
    with_integer_slice!(values, values => gather(addresses, values, map.base))
}

fn gather<T: Copy + Into<i64>>(addresses: Vec<Option<u32>>, values: &[T], base: u32) -> Vec<i64> {
    addresses.into_iter().map(|address| address.map_or(0, |a| values[(base + a) as usize].into())).collect()
}

/// One side as a matrix over (batch, own outer axes) × summed axes, its own sums added up.
fn operand_matrix(
    form: &Form,
    product: &Product,
    operand: &Operand,
    axes: (&[Axis], &[Axis], &[Axis]),
    values: IntegerSlice<'_>,
) -> Vec<i64> {
    let (batch, outer, summed) = axes;
    let outer: Vec<Axis> = batch.iter().chain(outer).chain(summed).copied().collect();
    let sums = ProductAxes::own_sums(form, product, operand);
    let matrix = gather_matrix(&operand.map, values, &outer, &sums);
    let width = volume(&sums);
    if width == 1 {
        matrix
    } else {
        matrix.chunks(width).map(|row| row.iter().sum()).collect()
    }
}

fn add_product(form: &Form, product: &Product, tensors: &[Vec<i64>], params: &[Integers], out: &mut [i64]) {
    let axes = ProductAxes::new(form, product);
    let left = source(product.left.source, tensors, params);
    let right = source(product.right.source, tensors, params);
    let left = operand_matrix(form, product, &product.left, (&axes.batch, &axes.rows, &axes.summed), left);
    let right = operand_matrix(form, product, &product.right, (&axes.batch, &axes.cols, &axes.summed), right);
    let (batch, rows, cols) = (volume(&axes.batch), volume(&axes.rows), volume(&axes.cols));
    let inner = volume(&axes.summed);
    let mut strides = vec![1_usize; form.shape.len()];
    for d in (0..form.shape.len().saturating_sub(1)).rev() {
        strides[d] = strides[d + 1] * form.shape[d + 1] as usize;
    }
    let offsets = |list: &[Axis]| {
        let mut offsets = vec![0_usize];
        for axis in list {
            offsets = offsets
                .iter()
                .flat_map(|o| (0..axis.size as usize).map(move |i| (o, i)))
                .map(|(o, i)| o + i * strides[usize::from(axis.id)])
                .collect();
        }
        offsets
    };
    let (at_batch, at_row) = (offsets(&axes.batch), offsets(&axes.rows));
    let (at_col, at_free) = (offsets(&axes.cols), offsets(&axes.free));
    let narrow = |m: &[i64]| m.iter().map(|v| i32::try_from(*v).ok()).collect::<Option<Vec<i32>>>();
    let (narrow_left, narrow_right) = (narrow(&left), narrow(&right));
    for b in 0..batch {
        for r in 0..rows {
            let l = (b * rows + r) * inner..(b * rows + r + 1) * inner;
            for c in 0..cols {
                let k = (b * cols + c) * inner..(b * cols + c + 1) * inner;
                let sum: i64 = match (&narrow_left, &narrow_right) {
                    (Some(left), Some(right)) => {
                        left[l.clone()].iter().zip(&right[k]).map(|(x, y)| i64::from(*x) * i64::from(*y)).sum()
                    }
                    _ => left[l.clone()].iter().zip(&right[k]).map(|(x, y)| x * y).sum(),
                };
                for free in &at_free {
                    out[at_batch[b] + at_row[r] + at_col[c] + free] += product.coef * sum;
                }
            }
        }
    }
}
