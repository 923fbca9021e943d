//! Which contractions go through the sumcheck.

use crate::{
    field::index_bits,
    lower::Lowered,
    params::{ParamLayout, ParamPlace},
    relations::{Right, TensorCells},
};
use zkonnx_quantize::{
    contraction::{Axis, ProductAxes},
    graph::{Form, Graph, Operand, ParamId, Product, Source, TensorId},
};

/// Whether the verifier knows one side of a contraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Committed columns.
    Hidden,
    /// A public input.
    Public,
}

/// A contraction that goes through the sumcheck.
#[derive(Clone, Debug)]
pub struct SumcheckProduct {
    /// Index of its relation.
    pub relation: usize,
    /// Index in the form's products.
    pub product: usize,
    /// The axes that the sumcheck runs over: batch axes, then summed axes. The first takes the lowest bits.
    pub inner: Vec<Axis>,
    /// Number of its variables: the sum of the axes' index bits.
    pub num_variables: usize,
    /// The left side.
    pub left: Side,
    /// The right side.
    pub right: Side,
}

impl SumcheckProduct {
    /// Whether both sides are hidden: then their product is one of the quadratic checks.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.left == Side::Hidden && self.right == Side::Hidden
    }
}

/// The sumcheck of a model.
#[derive(Clone, Debug, Default)]
pub struct SumcheckShape {
    /// The contractions.
    pub products: Vec<SumcheckProduct>,
    /// Contractions of a parameter with a public input, which are linear: (relation, product).
    pub linear: Vec<(usize, usize)>,
    /// The largest number of variables of these products.
    pub num_variables: usize,
    /// The largest number of index bits of any contraction, linear ones included.
    pub widest: usize,
    /// Number of contractions with two hidden sides.
    pub num_hidden: usize,
    /// Number of combined parameter columns.
    pub num_combined: usize,
}

/// The side of an operand.
#[must_use]
pub fn side(lowered: &Lowered, source: Source) -> Side {
    match source {
        Source::Tensor(TensorId(id)) => match lowered.tensors.get(id as usize) {
            Some(TensorCells::Public(_) | TensorCells::OneHot { .. }) => Side::Public,
            _ => Side::Hidden,
        },
        Source::Param(_) => Side::Hidden,
    }
}

/// Whether a contraction of a parameter with a public input can be read as a linear functional.
fn is_linear(form: &Form, product: &Product, axes: &ProductAxes) -> bool {
    let inner = axes.inner();
    let is_inner = |axis: &u8| inner.iter().any(|a| a.id == *axis);
    let unmixed = product.left.map.factors.iter().all(|f| f.axes.iter().all(is_inner) || !f.axes.iter().any(is_inner));
    unmixed && product.left.sums.is_empty() && form.shape.len() < 64
}

/// Combined columns that a parameter operand makes.
#[must_use]
pub fn num_combined(params: &ParamLayout, operand: &Operand) -> usize {
    match operand.source {
        Source::Param(ParamId(id)) => params.places.get(id as usize).map_or(0, num_combined_of),
        Source::Tensor(_) => 0,
    }
}

/// Combined columns of one functional on a parameter at this place.
#[must_use]
pub(crate) fn num_combined_of(place: &ParamPlace) -> usize {
    match place {
        ParamPlace::Packed { .. } => 1,
        ParamPlace::Chunked { chunks, .. } => *chunks,
        ParamPlace::Pooled { .. } => 0,
    }
}

/// Finds the contractions of all relations, with parameters in columns of `num_rows` rows.
#[must_use]
pub fn collect_products(graph: &Graph, lowered: &Lowered, num_rows: usize) -> SumcheckShape {
    let mut shape = SumcheckShape::default();
    let params = ParamLayout::new(graph, num_rows);
    for (r, relation) in lowered.relations.iter().enumerate() {
        let Right::Form(form) = relation.right else { continue };
        let Some(form) = form.resolve(graph) else { continue };
        for (p, product) in form.products.iter().enumerate() {
            shape.num_combined += num_combined(&params, &product.left);
            let axes = ProductAxes::new(form, product);
            let inner = axes.inner();
            let num_variables = inner.iter().map(|a| index_bits(a.size)).sum();
            shape.widest = shape.widest.max(num_variables);
            let (left, right) = (side(lowered, product.left.source), side(lowered, product.right.source));
            let is_param = matches!(product.left.source, Source::Param(_));
            if is_param && right == Side::Public && is_linear(form, product, &axes) {
                shape.linear.push((r, p));
                continue;
            }
            shape.products.push(SumcheckProduct { relation: r, product: p, inner, num_variables, left, right });
        }
    }
    shape.num_variables = shape.products.iter().map(|p| p.num_variables).max().unwrap_or(0);
    shape.num_hidden = shape.products.iter().filter(|p| p.is_hidden()).count();
    shape
}
