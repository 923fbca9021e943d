//! Interval analysis of forms.

use crate::{
    contraction::{volume, Axis, ProductAxes},
    graph::{Form, Interval, Param, Product, Source, TensorInfo},
    index::IndexMap,
};

/// No exact form may reach this absolute value.
pub const FORM_LIMIT: i128 = 1 << 62;

type Wide = (i128, i128);

fn scale_interval((lo, hi): Wide, coef: i64) -> Wide {
    let coef = i128::from(coef);
    if coef >= 0 {
        (lo.saturating_mul(coef), hi.saturating_mul(coef))
    } else {
        (hi.saturating_mul(coef), lo.saturating_mul(coef))
    }
}

fn add((a, b): Wide, (c, d): Wide) -> Wide {
    (a.saturating_add(c), b.saturating_add(d))
}

fn times((a, b): Wide, (c, d): Wide) -> Wide {
    let all = [a.saturating_mul(c), a.saturating_mul(d), b.saturating_mul(c), b.saturating_mul(d)];
    let fold = |pick: fn(i128, i128) -> i128| all.iter().copied().reduce(pick).unwrap_or(0);
    (fold(i128::min), fold(i128::max))
}

fn count(sizes: &[u32]) -> i128 {
    sizes.iter().map(|s| i128::from(*s)).product()
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
/// `None` when it refers to something that is not there.
#[must_use]
pub fn conservative_bounds(form: &Form, tensors: &[TensorInfo], params: &[Param]) -> Option<Wide> {
    let mut total: Wide = (i128::from(form.constant), i128::from(form.constant));
    for term in &form.terms {
        let value = declared(term.source, tensors, params)?;
        let value = read(value, &term.map, &|a| size_of(form, &[], &term.sums, a));
        total = add(total, scale_interval(times(value, (count(&term.sums), count(&term.sums))), term.coef));
    }
    for product in &form.products {
        let side = |operand: &crate::graph::Operand| {
            let value = declared(operand.source, tensors, params)?;
            let value = read(value, &operand.map, &|a| size_of(form, &product.summed, &operand.sums, a));
            Some(times(value, (count(&operand.sums), count(&operand.sums))))
        };
        let value = times(side(&product.left)?, side(&product.right)?);
        let terms = count(&product.summed);
        total = add(total, scale_interval(times(value, (terms, terms)), product.coef));
    }
    Some(total)
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
        let width = usize::try_from(count(&term.sums)).ok()?;
        for (e, row) in addresses.chunks(width).enumerate() {
            for address in row.iter().flatten() {
                let value = match term.source {
                    Source::Tensor(_) => range,
                    Source::Param(id) => {
                        let v = i128::from(*weights.get(id.0 as usize)?.get((term.map.base + address) as usize)?);
                        (v, v)
                    }
                };
                let (l, h) = scale_interval(value, term.coef);
                lo[e] += l;
                hi[e] += h;
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
            let (l, h) = scale_interval(*bounds.get(address? as usize)?, product.coef);
            lo[e] += l;
            hi[e] += h;
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
    let right = times(right, (count(&product.right.sums), count(&product.right.sums)));
    let left_sums = ProductAxes::own_sums(form, product, &product.left);
    let Source::Param(id) = product.left.source else {
        let left = declared(product.left.source, tensors, params)?;
        let left = read(left, &product.left.map, &|a| size_of(form, &product.summed, &product.left.sums, a));
        let left = times(left, (count(&product.left.sums), count(&product.left.sums)));
        let terms = count(&product.summed);
        return Some(vec![times(times(left, right), (terms, terms)); volume(&own)]);
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
                Some(add(total, times((weight, weight), right)))
            })
        })
        .collect()
}
