//! Interval analysis of forms.

use crate::{
    contraction::{volume, Axis, ProductAxes},
    graph::{Form, Interval, Operand, Param, Product, Source, TensorInfo, Term},
    index::{Coordinate, Factor, IndexMap},
    integers::Integers,
    one_hot, with_integers,
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
    with_zero((lo, hi), outside)
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
        let sum = product_sum(form, product, tensors, params)?;
        let part = scale_interval(sum, product.coef)?;
        absolute = absolute.checked_add(magnitude(sum)?.max(magnitude(part)?))?;
        total = add(total, part)?;
    }
    (absolute < FORM_LIMIT).then_some(total)
}

/// What a product is before its factor, from the declared intervals of both sides.
fn product_sum(form: &Form, product: &Product, tensors: &[TensorInfo], params: &[Param]) -> Option<Wide> {
    let side = |operand: &Operand| {
        let value = declared(operand.source, tensors, params)?;
        let value = read(value, &operand.map, &|a| size_of(form, &product.summed, &operand.sums, a));
        repeated(value, count(&operand.sums))
    };
    let picks = |operand: &Operand| one_hot::picks(form.shape.len(), product, operand, tensors);
    if picks(&product.right) || picks(&product.left) {
        let (picked, by) =
            if picks(&product.right) { (&product.left, &product.right) } else { (&product.right, &product.left) };
        return Some(with_zero(side(picked)?, reads_outside(form, product, by)));
    }
    repeated(times(side(&product.left)?, side(&product.right)?)?, count(&product.summed))
}

/// Whether an operand's map reads outside anywhere.
fn reads_outside(form: &Form, product: &Product, operand: &Operand) -> bool {
    let size = |axis: &u8| size_of(form, &product.summed, &operand.sums, *axis);
    let is_inside = |f: &Factor| is_never_outside(f, &f.axes.iter().map(size).collect::<Vec<_>>());
    !operand.map.factors.iter().all(is_inside)
}

fn with_zero((lo, hi): Wide, zero: bool) -> Wide {
    if zero {
        (lo.min(0), hi.max(0))
    } else {
        (lo, hi)
    }
}

fn size_of(form: &Form, summed: &[u32], sums: &[u32], axis: u8) -> u32 {
    form.shape.iter().chain(summed).chain(sums).nth(usize::from(axis)).copied().unwrap_or(0)
}

/// Tight bounds of a form for known weights: per output element for linear terms and parameters,
/// per row of the weight matrix for contractions.
///
/// `None` when it leaves `i64` or refers to something that is not there.
#[must_use]
pub fn tight_bounds(form: &Form, tensors: &[TensorInfo], params: &[Param], weights: &[Integers]) -> Option<Interval> {
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
                        let v = i128::from(weights.get(id.0 as usize)?.get((term.map.base + address) as usize)?);
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

/// [`tight_bounds`] of a form that reads no parameter, in constant memory: hostile graphs are checked with it.
///
/// `None` when it leaves `i64`, or refers to a parameter or to something that is not there.
#[must_use]
pub fn parameter_free_bounds(form: &Form, tensors: &[TensorInfo]) -> Option<Interval> {
    let mut everywhere = (i128::from(form.constant), i128::from(form.constant));
    for product in &form.products {
        let sum = product_sum(form, product, tensors, &[])?;
        everywhere = add(everywhere, scale_interval(sum, product.coef)?)?;
    }
    // Reads that are never outside count the same for all elements.
    let mut partial = Vec::new();
    for term in &form.terms {
        let value = scale_interval(declared(term.source, tensors, &[])?, term.coef)?;
        let reads = TermReads::new(form, term);
        if reads.mixed.is_empty() {
            everywhere = add(everywhere, repeated(value, Some(reads.constant))?)?;
        } else {
            partial.push((value, reads));
        }
    }
    let (mut lo, mut hi) = (i128::MAX, i128::MIN);
    // Along an axis that decides about no read all elements are the same.
    let decides = |axis: usize| partial.iter().any(|(_, reads)| reads.depend_on(axis));
    let sizes: Vec<u32> = (0..).zip(&form.shape).map(|(axis, size)| if decides(axis) { *size } else { 1 }).collect();
    let mut index = vec![0_u32; sizes.len()];
    for _ in 0..sizes.iter().map(|size| *size as usize).product() {
        let mut own = everywhere;
        for (value, reads) in &partial {
            own = add(own, repeated(*value, Some(reads.at(&index)))?)?;
        }
        (lo, hi) = (lo.min(own.0), hi.max(own.1));
        for (i, size) in index.iter_mut().zip(&sizes).rev() {
            *i += 1;
            if *i < *size {
                break;
            }
            *i = 0;
        }
    }
    Some(Interval::new(i64::try_from(lo).ok()?, i64::try_from(hi).ok()?))
}

/// How many points of a term's summed axes read inside, at an element.
struct TermReads<'a> {
    /// Those of factors for which it is the same at all elements.
    constant: i128,
    /// The other factors, with coefficient and size of their summed axes.
    mixed: Vec<(&'a Factor, Vec<(i64, u32)>)>,
}

impl<'a> TermReads<'a> {
    fn new(form: &Form, term: &'a Term) -> Self {
        let axes = form.shape.len();
        let mut reads = Self { constant: 1, mixed: Vec::new() };
        let size = |axis: &u8| size_of(form, &[], &term.sums, *axis);
        // An axis that no factor reads has size 1: the graph is valid.
        for factor in &term.map.factors {
            let sizes: Vec<u32> = factor.axes.iter().map(size).collect();
            let is_sum = |a: &u8| usize::from(*a) >= axes;
            if is_never_outside(factor, &sizes) {
                let sums = factor.axes.iter().zip(&sizes).filter(|(a, _)| is_sum(a));
                reads.constant *= sums.map(|(_, s)| i128::from(*s)).product::<i128>();
            } else if factor.axes.iter().all(is_sum) {
                let mut inside = 0;
                factor.for_each(&sizes, |_, x| inside += i128::from(x.is_some()));
                reads.constant *= inside;
            } else {
                let steps = match &factor.coordinate {
                    Coordinate::Affine { coefs, .. } => {
                        let steps = factor.axes.iter().zip(coefs).zip(&sizes).filter(|((a, _), _)| is_sum(a));
                        steps.map(|((_, coef), size)| (i64::from(*coef), *size)).collect()
                    }
                    Coordinate::Table(_) => Vec::new(),
                };
                reads.mixed.push((factor, steps));
            }
        }
        reads
    }

    fn depend_on(&self, axis: usize) -> bool {
        self.mixed.iter().any(|(factor, _)| factor.axes.iter().any(|a| usize::from(*a) == axis))
    }

    fn at(&self, index: &[u32]) -> i128 {
        self.mixed.iter().fold(self.constant, |n, (factor, steps)| {
            let own = factor.axes.iter().map(|axis| index.get(usize::from(*axis)));
            n * match &factor.coordinate {
                Coordinate::Table(entries) => {
                    let entry = own.flatten().next().and_then(|i| entries.get(*i as usize));
                    i128::from(entry.is_some_and(|x| (0..i64::from(factor.size)).contains(&i64::from(*x))))
                }
                Coordinate::Affine { coefs, offset } => {
                    let own = own.zip(coefs).filter_map(|(i, coef)| Some(i64::from(*i?) * i64::from(*coef)));
                    count_inside(i64::from(*offset) + own.sum::<i64>(), steps, factor.size)
                }
            }
        })
    }
}

/// Points over all steps whose coordinate is within `0..size`.
fn count_inside(at: i64, steps: &[(i64, u32)], size: u32) -> i128 {
    match steps {
        [] => i128::from((0..i64::from(size)).contains(&at)),
        [(coef, count), rest @ ..] => (0..*count).map(|i| count_inside(at + i64::from(i) * coef, rest, size)).sum(),
    }
}

fn is_never_outside(factor: &Factor, sizes: &[u32]) -> bool {
    let size = i128::from(factor.size);
    match &factor.coordinate {
        Coordinate::Table(entries) => entries.iter().all(|x| (0..size).contains(&i128::from(*x))),
        Coordinate::Affine { coefs, offset } => {
            let reach = coefs.iter().zip(sizes).map(|(c, s)| i128::from(*c) * (i128::from(*s) - 1));
            let (lo, hi) = reach.fold((0, 0), |(lo, hi), r| (lo + r.min(0), hi + r.max(0)));
            i128::from(*offset) + lo >= 0 && i128::from(*offset) + hi < size
        }
    }
}

fn product_bounds(
    form: &Form,
    product: &Product,
    tensors: &[TensorInfo],
    params: &[Param],
    weights: &[Integers],
) -> Option<Vec<Wide>> {
    let axes = ProductAxes::new(form, product);
    let own: Vec<Axis> = axes.batch.iter().chain(&axes.rows).copied().collect();
    let Source::Param(id) = product.left.source else {
        return Some(vec![product_sum(form, product, tensors, params)?; volume(&own)]);
    };
    let right = declared(product.right.source, tensors, params)?;
    let right = read(right, &product.right.map, &|a| size_of(form, &product.summed, &product.right.sums, a));
    let right = repeated(right, count(&product.right.sums))?;
    let left_sums = ProductAxes::own_sums(form, product, &product.left);
    let values = weights.get(id.0 as usize)?;
    let order: Vec<Axis> = own.iter().chain(&axes.summed).chain(&left_sums).copied().collect();
    let ids: Vec<u8> = order.iter().map(|a| a.id).collect();
    let sizes: Vec<u32> = order.iter().map(|a| a.size).collect();
    let addresses = product.left.map.addresses(&ids, &sizes);
    let inner = volume(&axes.summed);
    let width = volume(&left_sums);
    let base = product.left.map.base;
    if one_hot::picks(form.shape.len(), product, &product.right, tensors) {
        let zero = reads_outside(form, product, &product.right);
        let row_bounds = |row| Some(with_zero(with_integers!(values, values => hull(row, values, base))?, zero));
        return addresses.chunks(inner).map(row_bounds).collect();
    }
    let row_bounds = |row| with_integers!(values, values => weighted_bounds(row, width, values, base, right));
    addresses.chunks(inner * width).map(row_bounds).collect()
}

/// From the smallest to the largest of some weights, zero outside.
fn hull<T: Copy + Into<i64>>(row: &[Option<u32>], weights: &[T], base: u32) -> Option<Wide> {
    row.iter().try_fold((i128::MAX, i128::MIN), |(lo, hi), address| {
        let weight: i64 = match address {
            Some(address) => (*weights.get((base + address) as usize)?).into(),
            None => 0,
        };
        Some((lo.min(weight.into()), hi.max(weight.into())))
    })
}

/// The interval of a sum of one interval, times the sum of each `width` weights.
fn weighted_bounds<T: Copy + Into<i64>>(
    row: &[Option<u32>],
    width: usize,
    weights: &[T],
    base: u32,
    interval: Wide,
) -> Option<Wide> {
    row.chunks(width).try_fold((0, 0), |total, addresses| {
        let weight = addresses.iter().flatten().try_fold(0_i128, |sum, address| {
            let weight: i64 = (*weights.get((base + address) as usize)?).into();
            Some(sum + i128::from(weight))
        })?;
        add(total, times((weight, weight), interval)?)
    })
}
