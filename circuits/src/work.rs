//! How much a verifier works for a model: an upper bound, checked before a model is registered.

use crate::{
    compiled::CompiledModel,
    length::num_points,
    params::ParamPlace,
    relations::{Left, Right, WordTerm},
};
use zkonnx_quantize::{
    contraction::{volume, ProductAxes},
    graph::{Form, Source},
    index::IndexMap,
};

/// Largest work of a registered model, in field multiplications (about ten seconds); more are not even held in memory.
pub const MAX_VERIFICATION_WORK: usize = 1 << 28;

fn map_work(map: &IndexMap, axes: &[u32]) -> usize {
    map.num_coordinates().saturating_add(map.num_points(axes))
}

/// What a functional of rank one on a matrix costs, with rows and columns given: weights of columns, and the row functional. `None` for anything
/// but a parameter with columns of its own.
fn matrix_work(model: &CompiledModel, source: Source) -> Option<usize> {
    let Source::Param(id) = source else { return None };
    let rows = model.graph.params.get(id.0 as usize)?.rows as usize;
    match model.params.places.get(id.0 as usize)? {
        ParamPlace::Pooled { .. } => None,
        ParamPlace::Packed { count, .. } => Some(count.saturating_add(model.num_rows())),
        ParamPlace::Chunked { chunks, .. } => Some(rows.saturating_mul(*chunks)),
    }
}

/// What a map's functional on a source costs.
fn read_work(model: &CompiledModel, source: Source, map: &IndexMap, axes: &[u32]) -> usize {
    match (source, matrix_work(model, source)) {
        (Source::Param(id), Some(columns)) => {
            let param = &model.graph.params[id.0 as usize];
            let vectors = (param.rows as usize).saturating_add(param.cols as usize);
            map.num_points(axes).saturating_add(vectors).saturating_add(columns)
        }
        _ => map_work(map, axes),
    }
}

fn form_work(model: &CompiledModel, form: &Form) -> usize {
    let terms = form.terms.iter().map(|t| {
        let axes: Vec<u32> = form.shape.iter().chain(&t.sums).copied().collect();
        read_work(model, t.source, &t.map, &axes)
    });
    let products = form.products.iter().flat_map(|p| {
        [&p.left, &p.right].map(|o| {
            let axes: Vec<u32> = form.shape.iter().chain(&p.summed).chain(&o.sums).copied().collect();
            // Beside the map itself: χ of every axis, and weights of all axes.
            let vectors = axes.iter().fold(0_usize, |sum, s| sum.saturating_add(*s as usize));
            read_work(model, o.source, &o.map, &axes).saturating_add(vectors).saturating_mul(4)
        })
    });
    terms.chain(products).fold(0, usize::saturating_add)
}

fn volume_of(shape: &[u32]) -> usize {
    shape.iter().map(|s| *s as usize).fold(1, usize::saturating_mul)
}

/// What one point, of a parameter column or of the proof, costs in the multi-scalar multiplication, in field multiplications.
const POINT_WORK: usize = 1 << 9;

/// What one cell of a pooled parameter column costs, read or not: it is filled, copied, and multiplied.
const POOL_WORK: usize = 4;

/// Field multiplications that building and evaluating the linear system of the model takes, with what its parameters' columns cost, roughly and at
/// most: it counts every element that a read meets, though reads that are alike are computed once (`row_values`).
#[must_use]
pub fn verification_work(model: &CompiledModel) -> usize {
    let pool = model.params.num_pooled.saturating_mul(model.num_rows()).saturating_mul(POOL_WORK);
    let points = num_points(model).saturating_mul(POINT_WORK);
    let shape = &model.shape;
    // Equality polynomials of slots and rows, the rows of tables, coefficients of columns.
    let slots = shape.num_lookup_slots() + shape.num_product_slots() + shape.num_linear_slots();
    let lookups = slots.saturating_add(shape.table.len()).saturating_add(8 * model.num_rows()).saturating_mul(4);
    let columns = pool.saturating_add(points).saturating_add(lookups);
    let relations = model.lowered.relations.iter().fold(columns, |work, relation| {
        let own = |terms: &[WordTerm]| {
            let axes = |t: &WordTerm| relation.shape.iter().chain(&t.sums).copied().collect::<Vec<u32>>();
            terms.iter().map(|t| map_work(&t.map, &axes(t))).fold(0, usize::saturating_add)
        };
        let left = match &relation.left {
            Left::Words(terms, _) => own(terms),
            Left::Output(_) | Left::Committed(_) | Left::Weights(_) => volume_of(&relation.shape),
        };
        let right = match &relation.right {
            Right::Words(terms, _) => own(terms),
            Right::Form(form) => form.resolve(&model.graph).map_or(0, |form| form_work(model, form)),
            Right::Committed(_) | Right::Weights(_) => volume_of(&relation.shape),
        };
        let vectors = relation.shape.iter().fold(0_usize, |sum, s| sum.saturating_add(*s as usize));
        work.saturating_add(left).saturating_add(right).saturating_add(vectors)
    });
    // Contractions of a parameter with a public input enumerate rows × columns of a pooled one; a matrix's weights are of rank one.
    model.sumcheck.linear.iter().fold(relations, |work, (relation, product)| {
        let Right::Form(form) = &model.lowered.relations[*relation].right else { return work };
        let Some(form) = form.resolve(&model.graph) else { return work };
        let product = &form.products[*product];
        let axes = ProductAxes::new(form, product);
        let (rows, inner) = (volume(&axes.rows), volume(&axes.inner()));
        work.saturating_add(match matrix_work(model, product.left.source) {
            Some(columns) => inner.saturating_mul(4).saturating_add(columns),
            None => rows.saturating_mul(inner),
        })
    })
}
