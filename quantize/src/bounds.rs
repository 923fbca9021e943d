//! Interval analysis of forms.

use crate::{
    contraction::{volume, Axis, ProductAxes},
    graph::{Form, Interval, Operand, Param, Product, Source, TensorInfo, Term},
    index::{Coordinate, Factor, IndexMap},
    integers::Integers,
    kernels::{parallel, read::Layout},
    one_hot, with_integer_slice,
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
    let is_inside = |factor: &Factor| {
        let own: Vec<u32> = factor.axes.iter().map(|a| sizes(*a)).collect();
        is_never_outside(factor, &own)
    };
    with_zero((lo, hi), !map.factors.iter().all(is_inside))
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
    let everywhere = (i128::from(form.constant), i128::from(form.constant));
    let parts = form.terms.iter().map(|term| term_bounds(form, term, tensors, params, weights));
    let parts = parts.chain(form.products.iter().map(|p| product_bounds(form, p, tensors, params, weights)));
    let parts: Vec<Part> = parts.collect::<Option<_>>()?;
    // Along an axis that no part depends on all elements are the same.
    let decides = |axis: &Axis| parts.iter().any(|part| part.axes.iter().any(|a| a.id == axis.id));
    let axes = (0_u8..).zip(&form.shape).map(|(id, size)| Axis { id, size: *size });
    let axes: Vec<Axis> = axes.filter(decides).collect();
    let mut totals = vec![everywhere; volume(&axes)];
    for part in &parts {
        let places = Layout::matrix(&part.axes, form.shape.len()).offsets(&axes);
        for (total, place) in totals.iter_mut().zip(places) {
            *total = add(*total, *part.bounds.get(place as usize)?)?;
        }
    }
    let lo = i64::try_from(totals.iter().map(|t| t.0).min()?).ok()?;
    let hi = i64::try_from(totals.iter().map(|t| t.1).max()?).ok()?;
    Some(Interval::new(lo, hi))
}

/// Bounds of a summand, one for every point of some axes of the form, the last fastest; along the others they are the same.
struct Part {
    axes: Vec<Axis>,
    bounds: Vec<Wide>,
}

impl Part {
    /// The same everywhere.
    fn uniform(bounds: Wide) -> Self {
        Self { axes: Vec::new(), bounds: vec![bounds] }
    }
}

fn term_bounds(
    form: &Form,
    term: &Term,
    tensors: &[TensorInfo],
    params: &[Param],
    weights: &[Integers],
) -> Option<Part> {
    let range = declared(term.source, tensors, params)?;
    let axes = (0_u8..).zip(&form.shape).map(|(id, size)| Axis { id, size: *size });
    let Source::Param(id) = term.source else {
        let value = scale_interval(range, term.coef)?;
        let reads = TermReads::new(form, term);
        if reads.mixed.is_empty() {
            return Some(Part::uniform(repeated(value, Some(reads.constant))?));
        }
        let axes: Vec<Axis> = axes.filter(|a| reads.depend_on(a.id.into())).collect();
        let mut index = vec![0_u32; form.shape.len()];
        let mut bounds = Vec::with_capacity(volume(&axes));
        for _ in 0..volume(&axes) {
            bounds.push(repeated(value, Some(reads.at(&index)))?);
            for axis in axes.iter().rev() {
                let i = &mut index[usize::from(axis.id)];
                *i += 1;
                if *i < axis.size {
                    break;
                }
                *i = 0;
            }
        }
        return Some(Part { axes, bounds });
    };
    let values = weights.get(id.0 as usize)?;
    let sizes: Vec<u32> = form.shape.iter().chain(&term.sums).copied().collect();
    let layout = Layout::within(&term.map, &sizes, values.len())?;
    let first = form.shape.len();
    let sums: Vec<Axis> = (0_u8..).zip(&sizes).skip(first).map(|(id, size)| Axis { id, size: *size }).collect();
    let axes: Vec<Axis> = axes.filter(|a| term.map.uses(a.id.into())).collect();
    let (at, within) = (layout.offsets(&axes), layout.offsets(&sums));
    let data = layout.data(values.as_slice(), |v| v);
    let total = |at: &u32| {
        let sum = within.iter().fold(0, |sum: i128, i| sum + i128::from(data[(at + i) as usize]));
        scale_interval((sum, sum), term.coef)
    };
    Some(Part { axes, bounds: at.iter().map(total).collect::<Option<_>>()? })
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

/// Whether a map over axes of these sizes reads outside anywhere.
pub(crate) fn may_read_outside(map: &IndexMap, sizes: &[u32]) -> bool {
    let own = |f: &Factor| f.axes.iter().map(|a| sizes.get(usize::from(*a)).copied().unwrap_or(0)).collect::<Vec<_>>();
    !map.factors.iter().all(|f| is_never_outside(f, &own(f)))
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
) -> Option<Part> {
    let axes = ProductAxes::new(form, product);
    let Source::Param(id) = product.left.source else {
        let sum = product_sum(form, product, tensors, params)?;
        return Some(Part::uniform(scale_interval(sum, product.coef)?));
    };
    let values = weights.get(id.0 as usize)?;
    let sizes: Vec<u32> = form.shape.iter().chain(&product.summed).chain(&product.left.sums).copied().collect();
    let layout = Layout::within(&product.left.map, &sizes, values.len())?;
    let own: Vec<Axis> = axes.batch.iter().chain(&axes.rows).copied().collect();
    let offsets = [&own, &axes.summed, &ProductAxes::own_sums(form, product, &product.left)].map(|l| layout.offsets(l));
    if one_hot::picks(form.shape.len(), product, &product.right, tensors) {
        let zero = reads_outside(form, product, &product.right);
        let rows = match layout.own_place() {
            Some((start, len)) => {
                with_integer_slice!(values.slice(start..start + len), values => hulls(values, &offsets))
            }
            None => hulls(&layout.data(values.as_slice(), |v| v), &offsets),
        };
        let bounds = rows.into_iter().map(|row| scale_interval(with_zero(row, zero), product.coef));
        return Some(Part { axes: own, bounds: bounds.collect::<Option<_>>()? });
    }
    let right = declared(product.right.source, tensors, params)?;
    let right = read(right, &product.right.map, &|a| size_of(form, &product.summed, &product.right.sums, a));
    let right = repeated(right, count(&product.right.sums))?;
    let bounds = |(above, below): (i128, i128)| {
        // Each weight times the end of the interval that makes its product smallest, or largest.
        let ends = |first: i128, second: i128| above.checked_mul(first)?.checked_add(below.checked_mul(second)?);
        scale_interval((ends(right.0, right.1)?, ends(right.1, right.0)?), product.coef)
    };
    let sums = match layout.own_place() {
        Some((start, len)) => {
            with_integer_slice!(values.slice(start..start + len), values => signed_sums(values, &offsets))
        }
        None => signed_sums(&layout.data(values.as_slice(), |v| v), &offsets),
    };
    Some(Part { axes: own, bounds: sums.into_iter().map(bounds).collect::<Option<_>>()? })
}

/// For every row its smallest and its largest weight.
fn hulls<T: Copy + Into<i64> + Sync>(values: &[T], [rows, summed, _]: &[Vec<u32>; 3]) -> Vec<Wide> {
    parallel::map(rows.len(), summed.len(), |row| {
        let row = &values[rows[row] as usize..];
        let weights = summed.iter().map(|at| row[*at as usize].into());
        let (lo, hi) = weights.fold((i64::MAX, i64::MIN), |(lo, hi), w: i64| (lo.min(w), hi.max(w)));
        (lo.into(), hi.into())
    })
}

/// For every row the sums of its weights above zero and of those below. A weight is the sum of what stands at the offsets of
/// the third list.
fn signed_sums<T: Copy + Into<i64> + Sync>(values: &[T], offsets: &[Vec<u32>; 3]) -> Vec<(i128, i128)> {
    let [rows, summed, own] = offsets;
    let is_run = summed.iter().zip(0..).all(|(at, i)| *at == i);
    let signed = |(above, below): (i128, i128), w: i128| (above + w.max(0), below + w.min(0));
    parallel::map(rows.len(), summed.len() * own.len(), |row| {
        let row = &values[rows[row] as usize..];
        if own.len() == 1 && is_run && std::mem::size_of::<T>() < std::mem::size_of::<i64>() {
            // Some 2^26 weights of 32 bits add up to less than 64 bits.
            let (above, below) = row[..summed.len()].iter().fold((0_i64, 0_i64), |(above, below), w| {
                let w: i64 = (*w).into();
                (above + w.max(0), below + w.min(0))
            });
            return (above.into(), below.into());
        }
        summed.iter().fold((0, 0), |sums, at| {
            let weight = own.iter().fold(0, |sum: i128, i| {
                let w: i64 = row[(at + i) as usize].into();
                sum + i128::from(w)
            });
            signed(sums, weight)
        })
    })
}
