//! Terms and contractions against the formula that defines them, point by point.

use super::{product::add_product, term::add_term};
use crate::{
    graph::{Form, Interval, Operand, Product, Source, TensorId, Term},
    index::{Coordinate, Factor, IndexMap},
    integers::{IntegerSlice, Integers},
};

/// Pseudo-random numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 33) % u64::from(end.max(1))).expect("below a u32")
    }
    fn within(&mut self, lo: i32, hi: i32) -> i32 {
        lo + i32::try_from(self.below((hi - lo + 1).unsigned_abs())).expect("small")
    }
    fn sizes(&mut self, most: u32, size: u32) -> Vec<u32> {
        (0..self.below(most + 1)).map(|_| 1 + self.below(size)).collect()
    }
    /// A map that reads these axes, and how long its source is.
    fn map(&mut self, mut axes: Vec<u8>, sizes: &[u32]) -> (IndexMap, usize) {
        let mut factors = Vec::new();
        while !axes.is_empty() {
            let count = if axes.len() > 1 && self.below(2) == 0 { 2 } else { 1 };
            let mut own: Vec<u8> = (0..count)
                .map(|_| axes.swap_remove(self.below(u32::try_from(axes.len()).expect("few")) as usize))
                .collect();
            own.sort_unstable();
            let plain = self.below(2) == 0;
            let longest: u32 = own.iter().map(|a| sizes[usize::from(*a)]).product();
            let size = if plain { longest } else { 1 + self.below(longest + 2) };
            factors.push(if own.len() == 1 && self.below(4) == 0 {
                let last = i32::try_from(size).expect("small") - i32::from(plain);
                let entries = (0..sizes[usize::from(own[0])]).map(|_| self.within(if plain { 0 } else { -1 }, last));
                Factor::table(own[0], entries.collect(), size, 1)
            } else if plain {
                // Never outside, forwards or backwards.
                let mut coef = 1;
                let mut terms: Vec<(u8, i32)> = Vec::new();
                for axis in own.iter().rev() {
                    terms.push((*axis, coef));
                    coef *= i32::try_from(sizes[usize::from(*axis)]).expect("small");
                }
                let back = self.below(3) == 0;
                let offset = if back { coef - 1 } else { 0 };
                terms.iter_mut().for_each(|t| t.1 = if back { -t.1 } else { t.1 });
                Factor::affine(&terms, offset, size, 1)
            } else {
                let terms: Vec<(u8, i32)> = own.iter().map(|a| (*a, self.within(-2, 3))).collect();
                Factor::affine(&terms, self.within(-2, 2), size, 1)
            });
        }
        // Any order in memory.
        let mut stride = 1 + self.below(2);
        for _ in 0..factors.len() {
            let open: Vec<usize> = (0..factors.len()).filter(|i| factors[*i].axes[0] & 128 == 0).collect();
            let next = open[self.below(u32::try_from(open.len()).expect("few")) as usize];
            factors[next].stride = stride;
            stride *= factors[next].size;
            factors[next].axes[0] |= 128;
        }
        factors.iter_mut().for_each(|f| f.axes[0] &= 127);
        let map = IndexMap { base: self.below(3), factors };
        let length = map.extent().expect("short") as usize;
        (map, length)
    }
    fn values(&mut self, count: usize, bits: u32) -> Integers {
        let value = |r: &mut Self| (i64::from(r.below(u32::MAX)) << 20 | i64::from(r.below(1 << 20))) >> (52 - bits);
        Integers::new(&(0..count).map(|_| value(self) - (1 << (bits - 1))).collect::<Vec<i64>>())
    }
}

fn read(map: &IndexMap, point: &[u32], values: &Integers) -> i64 {
    let mut address = map.base;
    for factor in &map.factors {
        let at = |axis: &u8| point[usize::from(*axis)];
        let x = match &factor.coordinate {
            Coordinate::Affine { coefs, offset } => {
                factor.axes.iter().zip(coefs).fold(i64::from(*offset), |x, (a, c)| x + i64::from(at(a)) * i64::from(*c))
            }
            Coordinate::Table(entries) => entries[at(&factor.axes[0]) as usize].into(),
        };
        match u32::try_from(x) {
            Ok(x) if x < factor.size => address += x * factor.stride,
            _ => return 0,
        }
    }
    values.get(address as usize).expect("within the source")
}

fn points(sizes: &[u32]) -> Vec<Vec<u32>> {
    let grow = |points: Vec<Vec<u32>>, size: &u32| {
        points.into_iter().flat_map(|p| (0..*size).map(move |i| [p.as_slice(), &[i]].concat())).collect()
    };
    sizes.iter().fold(vec![vec![]], grow)
}

fn form(shape: Vec<u32>) -> Form {
    Form { shape, terms: vec![], products: vec![], constant: 0, bounds: Interval::new(0, 0) }
}

fn numbers(end: usize) -> Vec<u8> {
    (0..end).map(|a| u8::try_from(a).expect("few")).collect()
}

/// What the definition says of a product.
fn plain_product(form: &Form, product: &Product, left: &Integers, right: &Integers) -> Vec<i64> {
    let side = |operand: &Operand, values: &Integers, start: &[u32]| -> i64 {
        points(&operand.sums).iter().map(|s| read(&operand.map, &[start, s].concat(), values)).sum()
    };
    let element = |e: &Vec<u32>| {
        let sum: i64 = points(&product.summed)
            .iter()
            .map(|j| [e.as_slice(), j].concat())
            .map(|at| side(&product.left, left, &at) * side(&product.right, right, &at))
            .sum();
        product.coef * sum
    };
    points(&form.shape).iter().map(element).collect()
}

#[test]
fn contractions_are_what_their_formula_says() {
    let mut random = Random(0x1234_5678_9abc_def1);
    for case in 0..1500 {
        // Small ones of any kind; matrices; matrices with long sums.
        let (shape, summed) = match case % 5 {
            0..=2 => (random.sizes(4, 5), random.sizes(3, 4)),
            3 => (vec![1 + random.below(9), 1 + random.below(70)], vec![1 + random.below(20)]),
            _ => (vec![1 + random.below(6), 1 + random.below(3), 1 + random.below(7)], vec![60 + random.below(90)]),
        };
        let shape = if shape.is_empty() { vec![1] } else { shape };
        let form = form(shape.clone());
        let mut operand = |keep: u32| {
            let sums = if random.below(4) == 0 { random.sizes(2, 3) } else { vec![] };
            let sizes: Vec<u32> = shape.iter().chain(&summed).chain(&sums).copied().collect();
            let mut axes = numbers(sizes.len());
            axes.retain(|a| usize::from(*a) >= shape.len() || random.below(3) < keep);
            let (map, length) = random.map(axes, &sizes);
            let bits = [6, 10, 16, 22, 26][random.below(5) as usize];
            let values = random.values(length, bits);
            (Operand { source: Source::Tensor(TensorId(0)), sums, map }, values)
        };
        let ((left, a), (right, b)) = (operand(2), operand(2));
        let product = Product { coef: i64::from(random.within(-3, 3)), summed: summed.clone(), left, right };
        let expected = plain_product(&form, &product, &a, &b);
        for values in [(a.as_slice(), b.as_slice()), ((&a.to_vec()).into(), (&b.to_vec()).into())] {
            let mut out = vec![7; form.len()];
            add_product(&form, &product, values, &mut out);
            out.iter_mut().for_each(|v| *v -= 7);
            assert_eq!(out, expected, "case {case}: {form:?} {product:?}");
        }
    }
}

#[test]
fn terms_are_what_their_formula_says() {
    let mut random = Random(0x0fed_cba9_8765_4321);
    for case in 0..1500 {
        let (shape, sums) = ([random.sizes(4, 5), vec![1]].concat(), random.sizes(2, 4));
        let form = form(shape.clone());
        let sizes: Vec<u32> = shape.iter().chain(&sums).copied().collect();
        let mut axes = numbers(sizes.len());
        axes.retain(|a| usize::from(*a) >= shape.len() || random.below(3) < 2);
        let (map, length) = random.map(axes, &sizes);
        let values = random.values(length, 40);
        let coef = i64::from(random.within(-9, 9));
        let term = Term { coef, source: Source::Tensor(TensorId(0)), sums: sums.clone(), map };
        let sum = |e: &Vec<u32>| -> i64 {
            points(&sums).iter().map(|s| read(&term.map, &[e.as_slice(), s].concat(), &values)).sum()
        };
        let expected: Vec<i64> = points(&shape).iter().map(|e| 7 + coef * sum(e)).collect();
        let mut out = vec![7; form.len()];
        add_term(&form, &term, IntegerSlice::from(&values), &mut out);
        assert_eq!(out, expected, "case {case}: {term:?}");
    }
}

/// A matrix product at the largest 16-bit values, and at values of 30 bits: no sum may leave its width.
#[test]
fn wide_sums_are_exact() {
    for (x, y, inner) in [(32_767_i64, -32_767_i64, 300_u32), (1 << 30, (1 << 22) - 1, 70), (1 << 26, -(1 << 26), 130)]
    {
        let form = form(vec![5, 6]);
        let map = |row: u8| IndexMap {
            base: 0,
            factors: vec![Factor::plain(row, if row == 0 { 5 } else { 6 }, inner), Factor::plain(2, inner, 1)],
        };
        let side = |row: u8| Operand { source: Source::Tensor(TensorId(0)), sums: vec![], map: map(row) };
        let product = Product { coef: 1, summed: vec![inner], left: side(0), right: side(1) };
        let (a, b) = (vec![x; 5 * inner as usize], vec![y; 6 * inner as usize]);
        let mut out = vec![0; 30];
        add_product(&form, &product, ((&a).into(), (&b).into()), &mut out);
        assert_eq!(out, vec![x * y * i64::from(inner); 30]);
    }
}
