//! Sums of many lists of affine points.
//!
//! Half of the points of every list are added to their neighbours, and again, until one is left. The additions of one level do not depend on each
//! other: they stay affine and share one inversion (Montgomery's trick), six multiplications for each, where a mixed addition in `(X, Y, ZZ, ZZZ)`
//! takes ten. Four at a time are interleaved, which hides the latency of multiplications.

use super::Affine;
use ff::Field;
use pasta_curves::{arithmetic::VartimeField, Fq};

/// Additions that are interleaved.
const LANES: usize = 4;

/// Lists of points to be summed, and the memory for it.
///
/// Cost: a list of `m` points takes `m − 1` additions of six multiplications; an inversion for every level of all lists together, so that some
/// thousands of points should be collected before they are summed.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// The points of all lists, one list after another.
    points: Vec<Affine>,
    /// Lengths of the lists.
    sizes: Vec<usize>,
    /// Points that are in closed lists.
    closed: usize,
    /// The points of the next level.
    next: Vec<Affine>,
    /// The additions of a level: place of the first point (the second follows), place of the sum.
    additions: Vec<(usize, usize)>,
    /// Products of the denominators before those of [`LANES`] additions.
    products: Vec<[Fq; LANES]>,
}

impl Sums {
    /// Adds a point to the open list.
    #[inline]
    pub(crate) fn push(&mut self, point: Affine) {
        self.points.push(point);
    }

    /// Adds a point, or its negative, to the open list.
    #[inline]
    pub(crate) fn push_signed(&mut self, point: &Affine, negative: bool) {
        self.points.push(if negative { -*point } else { *point });
    }

    /// Ends the open list.
    pub(crate) fn close(&mut self) {
        self.sizes.push(self.points.len() - self.closed);
        self.closed = self.points.len();
    }

    /// How many points wait.
    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// Appends the sum of every closed list, and forgets the lists.
    pub(crate) fn sum_into(&mut self, sums: &mut Vec<Affine>) {
        while self.sizes.iter().any(|size| *size > 1) {
            self.halve();
        }
        let mut points = self.points.iter();
        sums.extend(self.sizes.iter().map(|size| match size {
            0 => Affine::default(),
            _ => points.next().copied().unwrap_or_default(),
        }));
        self.points.clear();
        self.sizes.clear();
        self.closed = 0;
    }

    /// Adds every second point of every list to the one before.
    fn halve(&mut self) {
        self.additions.clear();
        let left: usize = self.sizes.iter().map(|size| size.div_ceil(2)).sum();
        if self.next.len() < left {
            self.next.resize(left, Affine::default());
        }
        let (mut from, mut to) = (0, 0);
        for size in &mut self.sizes {
            let pairs = *size / 2;
            self.additions.extend((0..pairs).map(|i| (from + 2 * i, to + i)));
            if *size % 2 == 1 {
                self.next[to + pairs] = self.points[from + *size - 1];
            }
            from += *size;
            *size -= pairs;
            to += *size;
        }
        // Up: the products of the denominators.
        self.products.clear();
        let mut product = [Fq::ONE; LANES];
        for group in self.additions.chunks(LANES) {
            self.products.push(product);
            if let Some(pairs) = regular(&self.points, group) {
                product = std::array::from_fn(|i| product[i] * (pairs[i].1.x - pairs[i].0.x));
            } else {
                for (product, (at, _)) in product.iter_mut().zip(group) {
                    if let Some((_, denominator)) = slope(&self.points[*at], &self.points[at + 1]) {
                        *product *= denominator;
                    }
                }
            }
        }
        // Down: their inverses, and the sums.
        let mut inverse = invert(product);
        for (group, product) in self.additions.chunks(LANES).zip(&self.products).rev() {
            if let Some(pairs) = regular(&self.points, group) {
                let own: [Fq; LANES] = std::array::from_fn(|i| inverse[i] * product[i]);
                inverse = std::array::from_fn(|i| inverse[i] * (pairs[i].1.x - pairs[i].0.x));
                let slope: [Fq; LANES] = std::array::from_fn(|i| own[i] * (pairs[i].1.y - pairs[i].0.y));
                let x: [Fq; LANES] = std::array::from_fn(|i| slope[i].square() - pairs[i].0.x - pairs[i].1.x);
                let y: [Fq; LANES] = std::array::from_fn(|i| slope[i] * (pairs[i].0.x - x[i]) - pairs[i].0.y);
                for (i, (_, to)) in group.iter().enumerate() {
                    self.next[*to] = Affine { x: x[i], y: y[i] };
                }
                continue;
            }
            for ((inverse, product), (at, to)) in inverse.iter_mut().zip(product).zip(group) {
                let (first, second) = (self.points[*at], self.points[at + 1]);
                self.next[*to] = match slope(&first, &second) {
                    Some((numerator, denominator)) => {
                        let slope = numerator * *inverse * product;
                        *inverse *= denominator;
                        let x = slope.square() - first.x - second.x;
                        Affine { x, y: slope * (first.x - x) - first.y }
                    }
                    None if first.is_neutral() => second,
                    None if second.is_neutral() => first,
                    None => Affine::default(),
                };
            }
        }
        std::mem::swap(&mut self.points, &mut self.next);
        self.points.truncate(left);
        self.closed = left;
    }
}

/// The points of [`LANES`] additions, when none is special.
#[inline]
fn regular<'a>(points: &'a [Affine], group: &[(usize, usize)]) -> Option<[(&'a Affine, &'a Affine); LANES]> {
    let group: &[(usize, usize); LANES] = group.try_into().ok()?;
    let pairs = group.map(|(at, _)| (&points[at], &points[at + 1]));
    let special = |(first, second): &(&Affine, &Affine)| {
        first.is_neutral() || second.is_neutral() || (first.x - second.x).is_zero_vartime()
    };
    (!pairs.iter().any(special)).then_some(pairs)
}

/// Numerator and denominator of the slope through two points; nothing for opposite ones and the identity.
fn slope(first: &Affine, second: &Affine) -> Option<(Fq, Fq)> {
    if first.is_neutral() || second.is_neutral() {
        return None;
    }
    if first.x == second.x {
        // There is no point of order two.
        let square = first.x.square();
        return (first.y == second.y).then(|| (square.double() + square, first.y.double()));
    }
    Some((second.y - first.y, second.x - first.x))
}

/// The inverses of numbers that are not zero, with one inversion.
fn invert(numbers: [Fq; LANES]) -> [Fq; LANES] {
    let mut before = [Fq::ONE; LANES];
    let mut product = Fq::ONE;
    for (before, number) in before.iter_mut().zip(numbers) {
        *before = product;
        product *= number;
    }
    let mut inverse = product.invert_vartime().unwrap_or(Fq::ZERO);
    let mut inverses = [Fq::ZERO; LANES];
    for ((own, before), number) in inverses.iter_mut().zip(before).zip(numbers).rev() {
        *own = inverse * before;
        inverse *= number;
    }
    inverses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vartime::Point;
    use group::Group as _;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn lists_are_summed_whatever_meets_in_them() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let some: Vec<Affine> = (0..9).map(|_| Point::random(&mut rng).into()).collect();
        let none = Affine::default();
        let mut lists: Vec<Vec<Affine>> = vec![Vec::new(), vec![none], vec![none; 5], some.clone()];
        lists.push(vec![some[0]; 17]);
        lists.push(vec![some[0], -some[0]]);
        lists.push(vec![some[0], -some[0], some[1], -some[1], some[2]]);
        lists.push(vec![some[0], none, some[1], none, none, some[2], some[2]]);
        lists.push((0..40).map(|i| if i % 3 == 0 { -some[i % 4] } else { some[i % 5] }).collect());
        lists.extend((0..40).map(|i| some[i % 9..].to_vec()));
        let mut sums = Sums::default();
        for _ in 0..2 {
            for list in &lists {
                for (i, point) in list.iter().enumerate() {
                    if i % 2 == 0 {
                        sums.push(*point);
                    } else {
                        sums.push_signed(&-*point, true);
                    }
                }
                sums.close();
            }
            assert_eq!(sums.len(), lists.iter().map(Vec::len).sum::<usize>());
            let mut found = Vec::new();
            sums.sum_into(&mut found);
            let plain: Vec<Affine> =
                lists.iter().map(|list| list.iter().fold(Point::identity(), |sum, point| sum + point).into()).collect();
            assert_eq!(found, plain);
            assert_eq!(sums.len(), 0);
        }
        let mut nothing = Vec::new();
        sums.sum_into(&mut nothing);
        assert!(nothing.is_empty());
    }
}
