//! Functions of one argument: tables, and where a table is too coarse, interpolation between its entries.
//!
//! The interpolated value of a curve `f` at `x` is `m[h] + s[h] · (x − 2^t h)` with `h = round(x / 2^t)`: two
//! tables of the segment `h`, and a product. `m` is halfway between the curve and its chord in the middle of the
//! segment and `s` the slope of the chord, which makes the largest error of a segment of width `w` about
//! `w² |f''| / 16`. The number of segments is chosen so that this is below half a unit of the result; what was
//! reached is noted.

use super::{
    dims, emit,
    expr::{Atom, Blocked, Expr},
    requantise::{clip_name, quantised, scale, step_of},
    Lazy, LowerError, Lowering,
};
use crate::{
    calibrate::Range,
    curve::Curve,
    graph::{round_shift, Interval, Node, Op, TensorId},
    onnx::graph::{FloatNode, ValueId},
    scale::Scale,
    table::{Function, Table},
};

/// The fewest segments of an interpolated table, as a power of two.
const FEWEST_SEGMENTS: u8 = 4;
/// A curve that grows without bound towards zero is cut where its argument has grown by this factor.
const PART: f64 = 32.0;
/// Inverses that differ by more than this are as fine as the smallest ones need.
const APART: f64 = 32.0;
/// Inverses have at most so many bits.
const INVERSE_BITS: i32 = 26;
/// At most so many parts.
const MAX_PARTS: usize = 8;
/// The most entries of a table that is larger than the recipe's because many elements are looked up in it, as a power of two.
const MOST_ENTRY_BITS: u32 = 16;
/// An element without interpolation is worth so many entries: it saves some thirty cells, and an entry costs about two.
const ENTRIES_PER_ELEMENT: u64 = 8;

/// What was reached by a function's table.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TableNote {
    /// The node.
    pub node: String,
    /// The function.
    pub function: String,
    /// Entries of the table; segments, when it is interpolated.
    pub entries: usize,
    /// Whether it is interpolated.
    pub interpolated: bool,
    /// The largest error within the domain, in the function's own unit.
    pub max_error: f64,
}

/// Where a curve is constant or without meaning, whatever the calibration says.
fn natural_domain(curve: Curve, bits: u8) -> (f64, f64) {
    let far = f64::from(bits.max(16)) * 0.75;
    match curve {
        Curve::Sigmoid | Curve::Coupling => (-far, far),
        Curve::Tanh => (-far / 2.0, far / 2.0),
        Curve::Erf => (-4.5, 4.5),
        Curve::Asin | Curve::Acos => (-1.0, 1.0),
        Curve::Sqrt => (0.0, f64::INFINITY),
        Curve::Acosh => (1.0, f64::INFINITY),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

/// Whether a curve has no finite value at zero.
fn is_singular(curve: Curve) -> bool {
    match curve {
        Curve::Log | Curve::Rsqrt | Curve::Reciprocal => true,
        Curve::Pow(e) => e.get() < 0.0,
        _ => false,
    }
}

/// Whether a curve is what something is multiplied by instead of being divided.
fn is_inverse(curve: Curve) -> bool {
    is_singular(curve) && curve != Curve::Log
}

/// Whether a curve is steep at zero and exists for no negative argument.
fn is_root(curve: Curve) -> bool {
    match curve {
        Curve::Sqrt => true,
        Curve::Pow(e) => e.get() != libm::floor(e.get()),
        _ => false,
    }
}

/// Where the tables of a curve are, from the calibrated range of its argument.
fn domain(curve: Curve, range: Range, bits: u8) -> Result<Range, LowerError> {
    if !(range.lo.is_finite() && range.hi.is_finite()) {
        return Err(LowerError::Scale(range.hi));
    }
    let (first, last) = natural_domain(curve, bits);
    // One value seen says little of its neighbours.
    let slack = ((range.hi - range.lo) / 8.0).max(range.magnitude() / 64.0).max(1e-9);
    let (mut lo, mut hi) = ((range.lo - slack).clamp(first, last), (range.hi + slack).clamp(first, last));
    if is_singular(curve) || is_root(curve) {
        match (range.lo > 0.0, range.hi < 0.0) {
            (true, _) => lo = lo.max(range.lo / 2.0),
            (_, true) if curve == Curve::Reciprocal => hi = hi.min(range.hi / 2.0),
            _ if is_root(curve) => lo = 0.0,
            _ => return Err(LowerError::Denominator { lo: range.lo, hi: range.hi }),
        }
    }
    if curve == Curve::Atanh {
        // At most half of the way to the ends.
        let most = |v: f64| (v.abs() + 1.0) / 2.0;
        (lo, hi) = (lo.max(-most(range.lo.min(0.0))), hi.min(most(range.hi.max(0.0))));
    }
    if hi - lo > 1e-9 * (1.0 + hi.abs()) {
        Ok(Range { lo, hi })
    } else {
        let more = 0.5_f64.min((hi.abs() / 2.0).max(1e-6));
        let lo = (lo - more).max(first).max(if is_singular(curve) && lo > 0.0 { lo / 2.0 } else { f64::NEG_INFINITY });
        Ok(Range { lo, hi: (hi + more).min(last) })
    }
}

/// The curve; where it has no value just beyond the domain (segments at the ends reach over), its end value.
fn inside(curve: Curve, domain: Range, x: f64) -> f64 {
    let value = curve.evaluate(x);
    if value.is_finite() {
        value
    } else {
        curve.evaluate(x.clamp(domain.lo, domain.hi))
    }
}

/// The largest error of interpolation with segments of this width.
fn interpolation_error(curve: Curve, domain: Range, width: f64) -> f64 {
    const POINTS: u32 = 8;
    let mut worst = 0.0_f64;
    #[allow(clippy::cast_possible_truncation)] // at most a few thousand segments
    let (first, last) = (libm::floor(domain.lo / width + 0.5) as i64, libm::floor(domain.hi / width + 0.5) as i64);
    for h in first..=last {
        #[allow(clippy::cast_precision_loss)]
        let centre = h as f64 * width;
        let f = |x: f64| inside(curve, domain, x);
        let (left, right) = (f(centre - width / 2.0), f(centre + width / 2.0));
        let middle = (left + 2.0 * f(centre) + right) / 4.0;
        for p in 0..=POINTS {
            let part = f64::from(p) / f64::from(POINTS) - 0.5;
            let x = centre + part * width;
            if x >= domain.lo && x <= domain.hi {
                worst = worst.max((middle + part * (right - left) - f(x)).abs());
            }
        }
    }
    worst
}

impl Lowering<'_> {
    /// `f(x)` for a calibrated argument.
    pub(super) fn curve(&mut self, node: &FloatNode, curve: Curve) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        if curve == Curve::Reciprocal {
            if let Some(lazy) = self.reciprocal_of_count(node)? {
                return Ok(lazy);
            }
        }
        let output = self.ranges[node.output.0];
        let span = libm::ldexp(1.0, self.recipe.bits.into()) - 1.0;
        if is_inverse(curve) && output.lo > 0.0 && output.hi > APART * output.lo {
            // Factors that differ this much: the smallest ones are those that count, of lines that are not constant.
            let unit = (output.lo / span).max(libm::ldexp(output.hi, -INVERSE_BITS));
            let expr = self.curve_of(input, curve, unit, &node.name)?;
            let shape = dims(self.float.shape(node.output));
            let range = Range { lo: output.lo / 2.0, hi: output.hi * 2.0 };
            let tensor = self.fine_tensor(&expr, range, unit, &node.name, &shape)?;
            return Ok(self.lazy_tensor(node, tensor));
        }
        let unit = (output.hi - output.lo).max(output.magnitude() * 1e-3) / span;
        let expr = self.curve_of(input, curve, unit, &node.name)?;
        Ok(self.lazy(node, expr))
    }

    /// The expression of `f(x)` in about this unit.
    fn curve_of(&mut self, input: ValueId, curve: Curve, unit: f64, name: &str) -> Result<Expr, LowerError> {
        let domain = domain(curve, self.ranges[input.0], self.recipe.bits)?;
        if unit.is_nan() || unit <= 0.0 || unit.is_infinite() {
            return Err(LowerError::Scale(unit));
        }
        let shape = dims(self.float.shape(input));
        let steep = is_singular(curve) || is_root(curve);
        let mut cuts = vec![domain.lo];
        if steep && domain.lo >= 0.0 {
            let floor = domain.lo.max(domain.hi * libm::exp2(-1.5 * f64::from(self.recipe.bits)));
            let mut cut = domain.hi / PART;
            while cut > floor && cuts.len() < MAX_PARTS {
                cuts.insert(1, cut);
                cut /= PART;
            }
        }
        cuts.push(domain.hi);
        // f(x) = Σ_i f(clamp(x, c_i, c_(i+1))) − Σ f(c_i) over the inner cuts.
        let expr = self.fetch(input)?;
        if cuts.len() == 2 {
            return self.curve_part(&expr, curve, domain, unit, name, &shape);
        }
        let (tensor, mut sum) = (expr, None::<Expr>);
        for pair in cuts.windows(2) {
            let part = Range { lo: pair[0], hi: pair[1] };
            let x = tensor.freshened(&mut self.axes);
            self.in_parts = true;
            let value = self.curve_part(&x, curve, part, unit / 2.0, name, &shape);
            self.in_parts = false;
            let mut value = value?;
            if part.lo > domain.lo {
                let atom = Atom { coef: -curve.evaluate(part.lo), dense: None, reads: vec![], summed: vec![] };
                value.atoms.push(atom);
            }
            sum = Some(match sum {
                None => value,
                Some(sum) => sum.plus(&mut self.axes, value).map_err(|Blocked| LowerError::NotSeparable)?,
            });
        }
        sum.ok_or(LowerError::Internal("no part"))
    }

    /// `f(clamp(x, lo, hi))`: one table, or two and a product.
    pub(super) fn curve_part(
        &mut self,
        x: &Expr,
        curve: Curve,
        domain: Range,
        unit: f64,
        name: &str,
        shape: &[u32],
    ) -> Result<Expr, LowerError> {
        let bits = self.recipe.table_bits;
        let entries = self.table_entries();
        let steep = steepest(curve, domain);
        let exact = self.exact_width(x, domain);
        let is_exact = |entries: f64| exact.is_some_and(|width| width <= entries);
        let direct = if is_exact(entries) || steep * step_of(domain, entries) <= 1.01 * unit {
            Some(entries)
        } else {
            let room = most_entries(shape);
            let needed = libm::ceil(steep * (domain.hi - domain.lo) / unit) + 1.0;
            exact.into_iter().chain([needed]).find(|entries| *entries <= room)
        };
        if let Some(entries) = direct {
            let tensor = self.lookup(x, Function::Curve(curve), (domain, entries), unit, name, shape)?;
            let coarse = (steep * step_of(domain, entries) + unit) / 2.0;
            let error = if is_exact(entries) { unit / 2.0 } else { coarse };
            self.note(name, curve, entries, false, error);
            return Ok(self.read(tensor, shape));
        }
        let mut segments = FEWEST_SEGMENTS;
        let width = |segments: u8| (domain.hi - domain.lo) / (libm::ldexp(1.0, segments.into()) - 1.0);
        while segments < bits && interpolation_error(curve, domain, width(segments)) > unit / 2.0 {
            segments += 1;
        }
        // The argument, finely: 2^t of its units are one segment.
        let needed = libm::ceil(libm::log2((width(segments) * steep / unit).max(2.0))).min(20.0);
        let target = width(segments) / libm::exp2(needed);
        let fine = self.fine_tensor(x, domain, target, &format!("{name}/argument"), shape)?;
        let fine_unit = self.tensors[fine.0 as usize].scale.to_f64();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let t = libm::floor(libm::log2(width(segments) / fine_unit) + 1e-9).clamp(1.0, 24.0) as u8;
        let segment_unit = scale(libm::ldexp(fine_unit, t.into()))?;
        let segment = self.rounded(fine, t, &format!("{name}/segment"), shape)?;
        // Entries of both tables are a few bits finer than the result.
        let middle_unit = (unit / 16.0).max(largest(curve, domain) / 1e9);
        let mut integers = self.tensors[segment.0 as usize].bounds;
        if self.in_steps {
            let end = |v: f64| Ok::<_, LowerError>(round_shift(emit::integer(v / fine_unit)?, t));
            integers = Interval::new(integers.lo.min(end(domain.lo)?), integers.hi.max(end(domain.hi)?));
        }
        let integers = Interval::new(integers.lo, integers.hi.max(integers.lo + 1));
        let mut reads = Vec::new();
        for (function, part) in [(Function::Middle(curve), "middle"), (Function::Rise(curve), "rise")] {
            let table = self.curve_table(function, segment_unit, scale(middle_unit)?, integers, domain)?;
            let index = self.table_index(table)?;
            let segment = self.read(segment, shape);
            let segment = self.compacted(segment, &[]);
            let order = segment.axes();
            let form = self.commit(&segment, &order, segment_unit.to_f64(), name)?;
            let name = clip_name(&format!("{name}/{part}"));
            let node = Node { name, form, shift: 0, op: Op::Table { table: index }, scale: scale(middle_unit)? };
            reads.push(self.push_node(node, shape)?);
        }
        // m[h] + s[h] · (x − h) / segment.
        let blocked = |Blocked| LowerError::NotSeparable;
        // The offset is a tensor: its parts are much larger than it and would have to cancel in every product.
        let segment = self.read(segment, shape).scaled(-1.0);
        let offset = self.read(fine, shape).plus(&mut self.axes, segment).map_err(blocked)?;
        let offset = self.offset(&offset, fine_unit, t, &format!("{name}/offset"), shape)?;
        let offset = self.read(offset, shape);
        let slope = self.read(reads[1], shape).scaled(1.0 / segment_unit.to_f64());
        let product = slope.times(&mut self.axes, offset).map_err(blocked)?;
        let value = self.read(reads[0], shape).plus(&mut self.axes, product).map_err(blocked)?;
        let error = interpolation_error(curve, domain, segment_unit.to_f64()) + fine_unit * steep / 2.0 + middle_unit;
        self.note(name, curve, libm::ldexp(1.0, segments.into()), true, error);
        Ok(value)
    }

    /// Notes a table of so many entries, or segments.
    pub(super) fn note(&mut self, node: &str, curve: Curve, entries: f64, interpolated: bool, max_error: f64) {
        let (node, function) = (node.to_owned(), format!("{curve:?}"));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small count
        let entries = entries as usize;
        self.tables.push(TableNote { node, function, entries, interpolated, max_error });
    }

    /// Number of integers that an expression takes within a domain, when it is one tensor times a number.
    fn exact_width(&self, expr: &Expr, domain: Range) -> Option<f64> {
        if !Self::is_single(expr) {
            return None;
        }
        let atom = expr.atoms.first()?;
        let bounds = self.tensors[atom.reads.first()?.tensor.0 as usize].bounds;
        #[allow(clippy::cast_precision_loss)] // a count
        let all = (bounds.hi - bounds.lo) as f64 + 1.0;
        let seen = if atom.summed.is_empty() { all } else { return None };
        Some(seen.min((domain.hi - domain.lo) / atom.coef.abs() + 2.0))
    }

    /// [`Lowering::fine_tensor`] of a sum that fits.
    pub(super) fn fine_sum(
        &mut self,
        expr: &Expr,
        domain: Range,
        target: f64,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let chosen = self.choose(&expr, target);
        let unit = scale(chosen.scale)?;
        let form = self.commit(&expr, &order, libm::ldexp(unit.to_f64(), -i32::from(chosen.shift)), name)?;
        let q = quantised(&form, chosen.shift);
        let ends = |v: f64| emit::integer(v / unit.to_f64());
        let (lo, hi) = (ends(domain.lo)?, ends(domain.hi)?);
        // What is cut to positive reals stays positive.
        let (lo, hi) = if domain.lo > 0.0 { (lo.max(1), hi.max(2)) } else { (lo, hi) };
        let (lo, hi) = (lo.min(hi - 1), hi);
        if let (true, Some(tensor)) = (lo <= q.lo && q.hi <= hi, self.is_whole(&expr, unit.to_f64())) {
            return Ok(tensor);
        }
        let op = Op::Clamp { lo: (lo > q.lo).then_some(lo), hi: (hi < q.hi).then_some(hi), under: false };
        let node = Node { name: clip_name(name), form, shift: chosen.shift, op, scale: unit };
        self.push_node(node, shape)
    }

    /// The tensor that an expression of this unit just is, element by element.
    fn is_whole(&self, expr: &Expr, unit: f64) -> Option<TensorId> {
        let [Atom { coef, dense: None, reads, summed }] = expr.atoms.as_slice() else { return None };
        let axes = expr.axes();
        let ([read], [axis]) = (reads.as_slice(), axes.as_slice()) else { return None };
        let info = &self.tensors[read.tensor.0 as usize];
        let len = info.len();
        let plain =
            matches!(read.factors.as_slice(), [f] if f.is_plain(&self.axes) && f.axes == [*axis] && f.stride == 1);
        let same = summed.is_empty() && read.base == 0 && self.axes.size(*axis) as usize == len && *coef == unit;
        (plain && same && info.scale.to_f64() == unit).then_some(read.tensor)
    }

    /// `round(x / 2^shift)` of a tensor.
    pub(super) fn rounded(
        &mut self,
        x: TensorId,
        shift: u8,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let unit = self.tensors[x.0 as usize].scale.to_f64();
        let expr = self.read(x, shape);
        let expr = self.compacted(expr, &[]);
        let order = expr.axes();
        let form = self.commit(&expr, &order, unit, name)?;
        let op = Op::Clamp { lo: None, hi: None, under: false };
        let unit = scale(libm::ldexp(unit, shift.into()))?;
        self.push_node(Node { name: clip_name(name), form, shift, op, scale: unit }, shape)
    }

    /// An exact difference that lies within half a segment.
    fn offset(&mut self, expr: &Expr, unit: f64, t: u8, name: &str, shape: &[u32]) -> Result<TensorId, LowerError> {
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let form = self.commit(&expr, &order, unit, name)?;
        // What rounding leaves is at least −2^(t−1) and below 2^(t−1), whatever the interval analysis thinks.
        let half = 1_i64 << (t - 1);
        let op = Op::Clamp { lo: Some(-half), hi: Some(half - 1), under: false };
        self.push_node(Node { name: clip_name(name), form, shift: 0, op, scale: scale(unit)? }, shape)
    }

    /// Adds a table, or finds it.
    pub(super) fn table_index(&mut self, table: Table) -> Result<u32, LowerError> {
        let index = self.graph.tables.iter().position(|t| *t == table).unwrap_or(self.graph.tables.len());
        if index == self.graph.tables.len() {
            self.graph.tables.push(table);
        }
        u32::try_from(index).map_err(|_| LowerError::TooWide)
    }

    /// A table of a curve on integers; custom where the curve has no value at an end.
    pub(super) fn curve_table(
        &self,
        function: Function,
        input: Scale,
        output: Scale,
        integers: Interval,
        domain: Range,
    ) -> Result<Table, LowerError> {
        if let Some(table) = Table::named(function, input, output, integers) {
            return Ok(table);
        }
        let width = input.to_f64();
        let entry = |x: i64| {
            #[allow(clippy::cast_precision_loss)] // tables are small
            let centre = x as f64 * width;
            let value = match function {
                Function::Middle(curve) => {
                    let f = |x: f64| inside(curve, domain, x);
                    (f(centre - width / 2.0) + 2.0 * f(centre) + f(centre + width / 2.0)) / 4.0
                }
                Function::Rise(curve) => {
                    inside(curve, domain, centre + width / 2.0) - inside(curve, domain, centre - width / 2.0)
                }
                Function::Curve(curve) => inside(curve, domain, centre),
                _ => return Err(LowerError::Internal("a table whose values leave 32 bits")),
            };
            i32::try_from(emit::integer(value / output.to_f64())?).map_err(|_| LowerError::TooWide)
        };
        let entries = (integers.lo..=integers.hi).map(entry).collect::<Result<Vec<_>, _>>()?;
        Ok(Table { function: Function::Custom, input_scale: input, output_scale: output, lo: integers.lo, entries })
    }
}

/// How many entries a table may have for elements of this shape, beyond those of the recipe.
#[allow(clippy::cast_precision_loss)] // at most 2^16
pub(super) fn most_entries(shape: &[u32]) -> f64 {
    let elements = shape.iter().fold(1_u64, |count, size| count.saturating_mul((*size).into()));
    elements.saturating_mul(ENTRIES_PER_ELEMENT).min(1 << MOST_ENTRY_BITS) as f64
}

/// The largest absolute slope, by differences.
fn steepest(curve: Curve, domain: Range) -> f64 {
    const STEPS: u32 = 512;
    let step = (domain.hi - domain.lo) / f64::from(STEPS);
    let value = |i: u32| curve.evaluate(domain.lo + f64::from(i) * step);
    let slopes = (0..STEPS).map(|i| ((value(i + 1) - value(i)) / step).abs());
    slopes.filter(|s| s.is_finite()).fold(1e-12, f64::max)
}

/// The largest absolute value, by samples.
fn largest(curve: Curve, domain: Range) -> f64 {
    const STEPS: u32 = 64;
    let step = (domain.hi - domain.lo) / f64::from(STEPS);
    let values = (0..=STEPS).map(|i| curve.evaluate(domain.lo + f64::from(i) * step).abs());
    values.filter(|v| v.is_finite()).fold(0.0, f64::max)
}
