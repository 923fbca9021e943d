//! The reference evaluator: what a quantised model means.

use crate::{
    graph::{clamped, round_shift, Form, Graph, Op, Source},
    integers::{IntegerSlice, Integers},
    kernels::{product::add_product, term::add_term},
    model::QuantizedModel,
    one_hot,
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
        let mut denominator = Vec::new();
        let mut under_values = None;
        let y: Vec<i64> = match &node.op {
            Op::Clamp { lo, hi, under } => {
                if let (Some(lo), true) = (lo, under) {
                    under_values = Some(q.clone().map(|q| (lo - q).max(0)).collect());
                }
                q.map(|q| clamped(q, (*lo, *hi))).collect()
            }
            Op::Table { table } => {
                let table = &graph.tables[*table as usize];
                q.map(|q| table.value(q)).collect()
            }
            Op::Max { axes, lo, hi } => {
                let outer = node.form.shape.len() - usize::from(*axes);
                let window: usize = node.form.shape[outer..].iter().map(|s| *s as usize).product();
                let q: Vec<i64> = q.collect();
                q.chunks(window).map(|w| clamped(w.iter().copied().max().unwrap_or(0), (*lo, *hi))).collect()
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
    for term in &form.terms {
        add_term(form, term, source(term.source, tensors, params), &mut out);
    }
    for product in &form.products {
        let sides = [product.left.source, product.right.source].map(|s| source(s, tensors, params));
        add_product(form, product, sides.into(), &mut out);
    }
    out
}
