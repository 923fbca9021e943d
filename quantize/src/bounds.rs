//! Interval analysis of forms.

use crate::{
    contraction::{volume, Axis, ProductAxes},
    graph::{Form, Interval, Param, Product, Source, TensorInfo},
    index::IndexMap,
};

/// No exact form may reach this absolute value.
pub const FORM_LIMIT: i128 = 1 << 62;

type Wide = (i128, i128);

// All arithmetic is checked: an interval that leaves 128 bits is no interval, and saturating ones could be
// made to cancel.

fn scale_interval(interval: Wide, coef: i64) -> Option<Wide> {
    times(interval, (coef.into(), coef.into()))
}

fn add((a, b): Wide, (c, d): Wide) -> Option<Wide> {
    Some((a.checked_add(c)?, b.checked_add(d)?))
}

fn times((a, b): Wide, (c, d): Wide) -> Option<Wide> {
    let all = [a.checked_mul(c)?, a.checked_mul(d)?, b.checked_mul(c)?, b.checked_mul(d)?];
    Some((all.iter().copied().min()?, all.iter().copied().max()?))
}

fn count(sizes: &[u32]) -> Option<i128> {
    sizes.iter().try_fold(1_i128, |n, s| n.checked_mul(i128::from(*s)))
}

/// `n` times the interval.
fn repeated(interval: Wide, n: Option<i128>) -> Option<Wide> {
    let n = n?;
    times(interval, (n, n))
}

/// The largest absolute value of an interval.
fn magnitude((lo, hi): Wide) -> Option<i128> {
    Some(lo.checked_abs()?.max(hi.checked_abs()?))
}

fn declared(source: Source, tensors: &[TensorInfo], params: &[Param]) -> Option<Wide> {
    let bounds = match source {
        Source::Tensor(id) => tensors.get(id.0 as usize)?.bounds,
        Source::Param(id) => params.get(id.0 as usize)?.bounds,
    };
    Some((i128::from(bounds.lo), i128::from(bounds.hi)))
}

/// What a read can give: the declared interval, and zero where the map may read outside.
fn read((lo, hi): Wide, map: &IndexMap, sizes: &dyn Fn(u8) -> u32) -> Wide {
    let mut outside = false;
    for factor in &map.factors {
        let own: Vec<u32> = factor.axes.iter().map(|a| sizes(*a)).collect();
        factor.for_each(&own, |_, x| outside |= x.is_none());
    }
    if outside {
        (lo.min(0), hi.max(0))
    } else {
        (lo, hi)
    }
}

/// Bounds of a form from the declared intervals of tensors and parameters alone.
///
/// `None` when it refers to something that is not there, or when the absolute values of its parts add up to
/// [`FORM_LIMIT`]: so no partial sum of an evaluation leaves 62 bits either.
#[must_use]
pub fn conservative_bounds(form: &Form, tensors: &[TensorInfo], params: &[Param]) -> Option<Wide> {
    let mut total: Wide = (i128::from(form.constant), i128::from(form.constant));
    let mut absolute = magnitude(total)?;
    for term in &form.terms {
        let value = declared(term.source, tensors, params)?;
        let value = read(value, &term.map, &|a| size_of(form, &[], &term.sums, a));
        let sum = repeated(value, count(&term.sums))?;
        let part = scale_interval(sum, term.coef)?;
        absolute = absolute.checked_add(magnitude(sum)?.max(magnitude(part)?))?;
        total = add(total, part)?;
    }
    for product in &form.products {
        let side = |operand: &crate::graph::Operand| {
            let value = declared(operand.source, tensors, params)?;
            let value = read(value, &operand.map, &|a| size_of(form, &product.summed, &operand.sums, a));
            repeated(value, count(&operand.sums))
        };
        let sum = repeated(times(side(&product.left)?, side(&product.right)?)?, count(&product.summed))?;
        let part = scale_interval(sum, product.coef)?;
        absolute = absolute.checked_add(magnitude(sum)?.max(magnitude(part)?))?;
        total = add(total, part)?;
    }
    (absolute < FORM_LIMIT).then_some(total)
}

fn size_of(form: &Form, summed: &[u32], sums: &[u32], axis: u8) -> u32 {
    form.shape.iter().chain(summed).chain(sums).nth(usize::from(axis)).copied().unwrap_or(0)
}

/// Tight bounds of a form for known weights: per output element for linear terms and parameters,
/// per row of the weight matrix for contractions.
///
/// `None` when it leaves `i64` or refers to something that is not there.
#[must_use]
pub fn tight_bounds(form: &Form, tensors: &[TensorInfo], params: &[Param], weights: &[Vec<i64>]) -> Option<Interval> {
    let axes: Vec<u8> = (0..form.shape.len()).filter_map(|a| u8::try_from(a).ok()).collect();
    let mut lo = vec![i128::from(form.constant); form.len()];
    let mut hi = lo.clone();
    for term in &form.terms {
        let range = declared(term.source, tensors, params)?;
        let ids: Vec<u8> = (0..form.shape.len() + term.sums.len()).filter_map(|a| u8::try_from(a).ok()).collect();
        let sizes: Vec<u32> = form.shape.iter().chain(&term.sums).copied().collect();
        let addresses = term.map.addresses(&ids, &sizes);
        let width = usize::try_from(count(&term.sums)?).ok()?;
        for (e, row) in addresses.chunks(width).enumerate() {
            for address in row.iter().flatten() {
                let value = match term.source {
                    Source::Tensor(_) => range,
                    Source::Param(id) => {
                        let v = i128::from(*weights.get(id.0 as usize)?.get((term.map.base + address) as usize)?);
                        (v, v)
                    }
                };
                let (l, h) = scale_interval(value, term.coef)?;
                (lo[e], hi[e]) = add((lo[e], hi[e]), (l, h))?;
            }
        }
    }
    for product in &form.products {
        let bounds = product_bounds(form, product, tensors, params, weights)?;
        // `bounds` runs over batch and row axes; every other axis sees the same interval.
        let sorted = ProductAxes::new(form, product);
        let own: Vec<Axis> = sorted.batch.iter().chain(&sorted.rows).copied().collect();
        let mut map = IndexMap::default();
        let mut stride = 1;
        for axis in own.iter().rev() {
            map.factors.push(crate::index::Factor::plain(axis.id, axis.size, stride));
            stride *= axis.size;
        }
        for (e, address) in map.addresses(&axes, &form.shape).into_iter().enumerate() {
            let part = scale_interval(*bounds.get(address? as usize)?, product.coef)?;
            (lo[e], hi[e]) = add((lo[e], hi[e]), part)?;
        }
    }
    let lo = i64::try_from(lo.into_iter().min()?).ok()?;
    let hi = i64::try_from(hi.into_iter().max()?).ok()?;
    Some(Interval::new(lo, hi))
}

fn product_bounds(
    form: &Form,
    product: &Product,
    tensors: &[TensorInfo],
    params: &[Param],
    weights: &[Vec<i64>],
) -> Option<Vec<Wide>> {
    let axes = ProductAxes::new(form, product);
    let own: Vec<Axis> = axes.batch.iter().chain(&axes.rows).copied().collect();
    let right = declared(product.right.source, tensors, params)?;
    let right = read(right, &product.right.map, &|a| size_of(form, &product.summed, &product.right.sums, a));
    let right = repeated(right, count(&product.right.sums))?;
    let left_sums = ProductAxes::own_sums(form, product, &product.left);
    let Source::Param(id) = product.left.source else {
        let left = declared(product.left.source, tensors, params)?;
        let left = read(left, &product.left.map, &|a| size_of(form, &product.summed, &product.left.sums, a));
        let left = repeated(left, count(&product.left.sums))?;
        return Some(vec![repeated(times(left, right)?, count(&product.summed))?; volume(&own)]);
    };
    let values = weights.get(id.0 as usize)?;
    let order: Vec<Axis> = own.iter().chain(&axes.summed).chain(&left_sums).copied().collect();
    let ids: Vec<u8> = order.iter().map(|a| a.id).collect();
    let sizes: Vec<u32> = order.iter().map(|a| a.size).collect();
    let addresses = product.left.map.addresses(&ids, &sizes);
    let inner = volume(&axes.summed);
    let width = volume(&left_sums);
    addresses
        .chunks(inner * width)
        .map(|row| {
            row.chunks(width).try_fold((0, 0), |total, sums| {
                let weight = sums.iter().flatten().try_fold(0_i128, |sum, address| {
                    Some(sum + i128::from(*values.get((product.left.map.base + address) as usize)?))
                })?;
                add(total, times((weight, weight), right)?)
            })
        })
        .collect()
}
