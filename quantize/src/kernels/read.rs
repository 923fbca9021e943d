//! What a map reads, laid out so that the address is one offset per axis, added up.
//!
//! Where no coordinate is ever outside, a separable map is that already. Coordinates outside become zeros in a copy with
//! margins: a convolution then reads its padded input at `offset(pixel) + offset(window)`, without a comparison.

use crate::{
    contraction::Axis,
    index::{Coordinate, Factor, IndexMap},
    integers::IntegerSlice,
    with_integer_slice,
};

/// The share of an axis in an address.
#[derive(Clone, Debug)]
enum Step {
    Linear(u32),
    Table(Vec<u32>),
}

/// Coordinates of a factor that are read, as an axis of a copy.
#[derive(Clone, Debug)]
struct Extent {
    /// The first coordinate inside that is copied.
    first: u32,
    /// How many are copied.
    count: u32,
    /// Where the first one is put.
    at: u32,
    /// Size of the axis, margins included.
    size: u32,
    /// Distance in the source.
    stride: u32,
}

#[derive(Clone, Debug)]
enum Place {
    /// Where it stands.
    Own { start: usize, len: usize },
    /// A copy with margins, axes from outside to inside.
    Padded { base: usize, extents: Vec<Extent> },
    /// Every point by its address; outside where there is none.
    Gathered { base: usize, addresses: Vec<Option<u32>> },
}

/// A map over axes of known sizes.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    steps: Vec<Step>,
    place: Place,
}

/// The smallest and largest coordinate.
fn range(factor: &Factor, sizes: &[u32]) -> (i64, i64) {
    match &factor.coordinate {
        Coordinate::Table(entries) => {
            let entries = || entries.iter().map(|x| i64::from(*x));
            (entries().min().unwrap_or(0), entries().max().unwrap_or(0))
        }
        Coordinate::Affine { coefs, offset } => {
            let reach = own(factor, sizes).zip(coefs).map(|(size, coef)| i64::from(*coef) * (i64::from(size) - 1));
            reach.fold((i64::from(*offset), i64::from(*offset)), |(lo, hi), r| (lo + r.min(0), hi + r.max(0)))
        }
    }
}

/// The smallest and largest coordinate inside, for a range of coordinates; the second below the first when there is none.
fn inside(factor: &Factor, (lo, hi): (i64, i64)) -> (i64, i64) {
    let size = i64::from(factor.size);
    match &factor.coordinate {
        Coordinate::Table(entries) => {
            let entries = || entries.iter().map(|x| i64::from(*x)).filter(|x| (0..size).contains(x));
            (entries().min().unwrap_or(0), entries().max().unwrap_or(-1))
        }
        Coordinate::Affine { .. } => (lo.max(0), hi.min(size - 1)),
    }
}

/// Sizes of a factor's axes.
fn own<'a>(factor: &'a Factor, sizes: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    factor.axes.iter().map(|a| sizes.get(usize::from(*a)).copied().unwrap_or(1))
}

impl Layout {
    /// The reads of `map` from a source of this length, over axes of these sizes (axis `i` is number `i`).
    pub(crate) fn new(map: &IndexMap, sizes: &[u32], length: usize) -> Self {
        let base = map.base as usize;
        let ranges: Vec<(i64, i64)> = map.factors.iter().map(|f| range(f, sizes)).collect();
        let inside = |f: &Factor, (lo, hi): (i64, i64)| lo >= 0 && hi < i64::from(f.size);
        let used = |axis: &Axis| map.uses(axis.id.into());
        let axes: Vec<Axis> = (0_u8..).zip(sizes).map(|(id, size)| Axis { id, size: *size }).filter(used).collect();
        let points = axes.iter().fold(1_usize, |n, a| n.saturating_mul(a.size as usize));
        if map.factors.iter().zip(&ranges).all(|(f, r)| inside(f, *r)) {
            let strides = map.factors.iter().map(|f| f.stride as usize);
            let (start, len) = strides.zip(&ranges).fold((base, 1), |(start, len), (stride, (lo, hi))| {
                (start + stride * index(*lo), len + stride * index(hi - lo))
            });
            // Few points of much: gathered, so that the rest is not copied.
            if len / 2 <= points {
                let mut steps = vec![Step::Linear(0); sizes.len()];
                for (factor, (lo, _)) in map.factors.iter().zip(&ranges) {
                    set_steps((&mut steps, sizes), factor, *lo, factor.stride, None);
                }
                return Self { steps, place: Place::Own { start, len } };
            }
        } else if let Some(padded) = Self::padded(map, &ranges, sizes, (length, points)) {
            return padded;
        }
        let ids: Vec<u8> = axes.iter().map(|a| a.id).collect();
        let own: Vec<u32> = axes.iter().map(|a| a.size).collect();
        let addresses = map.addresses(&ids, &own);
        Self { steps: row_major(&axes, sizes.len()), place: Place::Gathered { base, addresses } }
    }

    /// The same; `None` when the map reads beyond the source.
    pub(crate) fn within(map: &IndexMap, sizes: &[u32], length: usize) -> Option<Self> {
        let extent = map.extent()? as usize;
        (extent <= length).then(|| Self::new(map, sizes, length))
    }

    /// A matrix over these axes, the last fastest.
    pub(crate) fn matrix(axes: &[Axis], num_axes: usize) -> Self {
        let len = axes.iter().map(|a| a.size as usize).product();
        Self { steps: row_major(axes, num_axes), place: Place::Own { start: 0, len } }
    }

    fn padded(map: &IndexMap, ranges: &[(i64, i64)], sizes: &[u32], (length, points): (usize, usize)) -> Option<Self> {
        let mut factors: Vec<(&Factor, (i64, i64))> = map.factors.iter().zip(ranges.iter().copied()).collect();
        factors.sort_by_key(|(f, _)| std::cmp::Reverse(f.stride));
        let mut extents = Vec::with_capacity(factors.len());
        for (factor, (lo, hi)) in &factors {
            // What is read inside, and the coordinates that the copy has.
            let (first, last) = inside(factor, (*lo, *hi));
            let count = u32::try_from(last - first + 1).unwrap_or(0);
            let (at, size) = match &factor.coordinate {
                // Reads outside of a table read the place behind the others.
                Coordinate::Table(_) => (0, i64::from(count) + 1),
                Coordinate::Affine { .. } => (first - lo, hi - lo + 1),
            };
            let at = u32::try_from(at).ok().filter(|_| count > 0).unwrap_or(0);
            let first = u32::try_from(first).ok().filter(|_| count > 0).unwrap_or(0);
            extents.push(Extent { first, count, at, size: u32::try_from(size).ok()?, stride: factor.stride });
        }
        let volume = extents.iter().try_fold(1_u32, |v, e| v.checked_mul(e.size))?;
        let most = (points.saturating_mul(2)).min(length.saturating_mul(4).saturating_add(1 << 12));
        if volume as usize > most {
            return None;
        }
        let mut steps = vec![Step::Linear(0); sizes.len()];
        let mut stride = 1;
        for ((factor, (lo, _)), extent) in factors.iter().zip(&extents).rev() {
            match factor.coordinate {
                Coordinate::Table(_) => {
                    set_steps((&mut steps, sizes), factor, extent.first.into(), stride, Some(extent.count));
                }
                Coordinate::Affine { .. } => set_steps((&mut steps, sizes), factor, *lo, stride, None),
            }
            stride *= extent.size;
        }
        Some(Self { steps, place: Place::Padded { base: map.base as usize, extents } })
    }

    /// Whether the values are read where they stand; then the place of the first one, and how many.
    pub(crate) fn own_place(&self) -> Option<(usize, usize)> {
        match self.place {
            Place::Own { start, len } => Some((start, len)),
            _ => None,
        }
    }

    /// The largest absolute value that may be read.
    pub(crate) fn magnitude(&self, values: IntegerSlice<'_>) -> u64 {
        match self.place {
            Place::Own { start, len } => values.slice(start..start + len).magnitude(),
            _ => values.magnitude(),
        }
    }

    /// The values that offsets point to.
    pub(crate) fn data<U: Copy + Default>(&self, values: IntegerSlice<'_>, convert: impl Fn(i64) -> U) -> Vec<U> {
        with_integer_slice!(values, values => self.converted(values, |v| convert(i64::from(v))))
    }

    fn converted<T: Copy, U: Copy + Default>(&self, values: &[T], convert: impl Fn(T) -> U) -> Vec<U> {
        match &self.place {
            Place::Own { start, len } => values[*start..start + len].iter().map(|v| convert(*v)).collect(),
            Place::Gathered { base, addresses } => {
                let read = |a: &Option<u32>| a.map_or(U::default(), |a| convert(values[base + a as usize]));
                addresses.iter().map(read).collect()
            }
            Place::Padded { base, extents } => {
                let volume = extents.iter().map(|e| e.size as usize).product();
                let mut data = vec![U::default(); volume];
                if extents.iter().all(|e| e.count > 0) {
                    copy(&mut data, &values[*base..], extents, &convert);
                }
                data
            }
        }
    }

    /// The share of these axes in an address, at every one of their points, the last axis fastest.
    pub(crate) fn offsets(&self, axes: &[Axis]) -> Vec<u32> {
        let mut offsets = vec![0];
        for axis in axes.iter().filter(|a| a.size != 1) {
            let step = self.steps.get(usize::from(axis.id)).unwrap_or(&Step::Linear(0));
            let mut next = Vec::with_capacity(offsets.len() * axis.size as usize);
            for offset in &offsets {
                match step {
                    Step::Linear(step) => next.extend((0..axis.size).map(|i| offset + i * step)),
                    Step::Table(table) => next.extend(table.iter().map(|t| offset + t)),
                }
            }
            offsets = next;
        }
        offsets
    }
}

fn index(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

fn row_major(axes: &[Axis], num_axes: usize) -> Vec<Step> {
    let mut steps = vec![Step::Linear(0); num_axes];
    let mut stride = 1_u32;
    for axis in axes.iter().rev() {
        if let Some(step) = steps.get_mut(usize::from(axis.id)) {
            *step = Step::Linear(stride);
        }
        stride = stride.saturating_mul(axis.size);
    }
    steps
}

/// The offsets of a factor's axes, for coordinates from `lo` on at this distance; reads outside of a table go to `outside`.
fn set_steps((steps, sizes): (&mut [Step], &[u32]), factor: &Factor, lo: i64, stride: u32, outside: Option<u32>) {
    match &factor.coordinate {
        Coordinate::Table(entries) => {
            let place = |x: &i32| {
                let inside = (0..i64::from(factor.size)).contains(&i64::from(*x));
                let place = if inside { u32::try_from(i64::from(*x) - lo).unwrap_or(0) } else { outside.unwrap_or(0) };
                place * stride
            };
            let step = factor.axes.first().and_then(|a| steps.get_mut(usize::from(*a)));
            step.into_iter().for_each(|s| *s = Step::Table(entries.iter().map(place).collect()));
        }
        Coordinate::Affine { coefs, .. } => {
            for (axis, coef) in factor.axes.iter().zip(coefs) {
                let Some(size) = sizes.get(usize::from(*axis)) else { continue };
                let Some(step) = steps.get_mut(usize::from(*axis)) else { continue };
                let distance = coef.unsigned_abs().wrapping_mul(stride);
                // Backwards: the first index reads the last place.
                *step = if *coef < 0 && *size > 1 {
                    Step::Table((0..*size).rev().map(|i| i * distance).collect())
                } else {
                    Step::Linear(distance)
                };
            }
        }
    }
}

fn copy<T: Copy, U: Copy>(out: &mut [U], values: &[T], extents: &[Extent], convert: &impl Fn(T) -> U) {
    let [extent, rest @ ..] = extents else {
        if let (Some(out), Some(value)) = (out.first_mut(), values.first()) {
            *out = convert(*value);
        }
        return;
    };
    let size: usize = rest.iter().map(|e| e.size as usize).product();
    let at = |i: u32| ((extent.at + i) as usize * size, (extent.first + i) as usize * extent.stride as usize);
    if rest.is_empty() {
        let (to, from) = at(0);
        let count = extent.count as usize;
        let values = values[from..].iter().step_by((extent.stride as usize).max(1));
        for (out, value) in out[to..to + count].iter_mut().zip(values) {
            *out = convert(*value);
        }
        return;
    }
    for i in 0..extent.count {
        let (to, from) = at(i);
        copy(&mut out[to..to + size], &values[from..], rest, convert);
    }
}
