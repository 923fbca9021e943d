//! Functionals that are outer products of few vectors: every vector once, and every functional once.
//!
//! Relations are all read at one point, so words of one shape are read by the same vectors, whatever layer they belong to; contractions of
//! one shape share theirs. A functional is a list of numbers of vectors; [`crate::row_values`] has its values. No vector of a word's length is
//! made but where a coordinate has that many values.

use crate::{field::Fp, separable::Functional};
use ff::{Field, PrimeField};
use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    ops::Range,
    sync::Arc,
};

/// Vectors of up to this length are joined with the next coarser one, so that there are fewer runs of them.
const MOST_JOINED: usize = 1 << 10;
/// Vectors are taken apart into parts of at least this power of two, where that is exact: places are aligned to powers of two, so such parts meet
/// the same rows more often.
const LEAST_SPLIT: usize = 1 << 6;

/// Things by number, each once.
#[derive(Clone, Debug)]
struct Numbered<T> {
    numbers: HashMap<Arc<T>, usize>,
    items: Vec<Arc<T>>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), items: Vec::new() }
    }
}

impl<T: Eq + Hash> Numbered<T> {
    fn number(&mut self, item: Arc<T>) -> usize {
        let next = self.items.len();
        *self.numbers.entry(item).or_insert_with_key(|item| {
            self.items.push(Arc::clone(item));
            next
        })
    }
}

/// A vector, hashed and compared as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Vector(Vec<Fp>);

impl Hash for Vector {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|element| state.write(&element.to_repr()));
    }
}

/// A functional: entry `base + Σ stride·x` is the product of its vectors' entries `x`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Product {
    base: usize,
    /// Stride and number of the vector, in order of falling strides; at least one.
    factors: Vec<(usize, usize)>,
}

/// Functionals without their factors.
#[derive(Clone, Debug, Default)]
pub(crate) struct OuterProducts {
    vectors: Numbered<Vector>,
    products: Numbered<Product>,
    /// The coarse and the fine part of vectors that were looked at.
    splits: HashMap<usize, Option<(usize, usize)>>,
    /// The outer product of a coarse and a fine vector.
    joined: HashMap<(usize, usize), usize>,
}

/// Entries `from .. from + len` of a vector, at `at`, `at + stride`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    vector: usize,
    from: usize,
    pub(crate) len: usize,
    pub(crate) stride: usize,
    pub(crate) at: usize,
}

impl Run {
    /// So many entries from entry `first` on, at `at`.
    pub(crate) fn part(self, first: usize, len: usize, at: usize) -> Self {
        Self { from: self.from + first, len, at, ..self }
    }
}

impl OuterProducts {
    fn vector(&self, number: usize) -> &[Fp] {
        &self.vectors.items[number].0
    }

    fn len(&self, number: usize) -> usize {
        self.vectors.items[number].0.len()
    }

    /// The number of a functional, and its factor.
    pub(crate) fn number(&mut self, functional: Functional) -> (usize, Fp) {
        let Functional { base, mut scale, factors } = functional;
        let mut own: Vec<(usize, usize)> = Vec::new();
        for (stride, vector) in factors {
            // What does not move only scales.
            if stride == 0 || vector.len() <= 1 {
                scale *= vector.iter().sum::<Fp>();
                continue;
            }
            let vector = self.vectors.number(Arc::new(Vector(vector)));
            match self.split(vector) {
                Some((coarse, fine)) => own.extend([(stride * self.len(fine), coarse), (stride, fine)]),
                None => own.push((stride, vector)),
            }
        }
        // From the finest one on.
        let mut factors: Vec<(usize, usize)> = Vec::new();
        for (stride, vector) in own.into_iter().rev() {
            let len = self.len(vector);
            match factors.last().copied() {
                Some((fine_stride, fine))
                    if stride == fine_stride * self.len(fine)
                        && len.is_power_of_two()
                        && len * self.len(fine) <= MOST_JOINED =>
                {
                    factors.pop();
                    factors.push((fine_stride, self.join(vector, fine)));
                }
                _ => factors.push((stride, vector)),
            }
        }
        factors.reverse();
        if factors.is_empty() {
            factors.push((1, self.vectors.number(Arc::new(Vector(vec![Fp::ONE])))));
        }
        (self.products.number(Arc::new(Product { base, factors })), scale)
    }

    /// A vector of length `m·2^a`, `m > 1` odd, as an outer product of vectors of `m` and `2^a`, if it is one.
    fn split(&mut self, number: usize) -> Option<(usize, usize)> {
        if let Some(known) = self.splits.get(&number) {
            return *known;
        }
        let parts = split(self.vector(number)).map(|(coarse, fine)| {
            (self.vectors.number(Arc::new(Vector(coarse))), self.vectors.number(Arc::new(Vector(fine))))
        });
        self.splits.insert(number, parts);
        parts
    }

    fn join(&mut self, coarse: usize, fine: usize) -> usize {
        if let Some(known) = self.joined.get(&(coarse, fine)) {
            return *known;
        }
        let vector = self.vector(coarse).iter().flat_map(|c| self.vector(fine).iter().map(move |f| c * f)).collect();
        let number = self.vectors.number(Arc::new(Vector(vector)));
        self.joined.insert((coarse, fine), number);
        number
    }

    /// Adds those of others; gives their numbers here.
    pub(crate) fn merge(&mut self, other: Self) -> Vec<usize> {
        let vectors: Vec<usize> = other.vectors.items.into_iter().map(|vector| self.vectors.number(vector)).collect();
        let mut number = |product: &Arc<Product>| {
            let factors = product.factors.iter().map(|(stride, vector)| (*stride, vectors[*vector])).collect();
            self.products.number(Arc::new(Product { base: product.base, factors }))
        };
        other.products.items.iter().map(&mut number).collect()
    }

    /// Calls `visit(run, factor)` for what each place of the finest vector has among the elements `range`; runs are at elements.
    pub(crate) fn for_each_run(
        &self,
        functional: usize,
        range: Range<usize>,
        factor: Fp,
        visit: &mut impl FnMut(Run, Fp),
    ) {
        let Product { base, factors } = &*self.products.items[functional];
        if !range.is_empty() {
            self.visit(factors, *base, factor, &range, visit);
        }
    }

    /// The elements that a functional reads lie among these.
    pub(crate) fn extent(&self, functional: usize) -> Range<usize> {
        let Product { base, factors } = &*self.products.items[functional];
        *base..base + self.reach(factors) + 1
    }

    /// How often a functional's finest vector stands in it.
    pub(crate) fn num_runs(&self, functional: usize) -> usize {
        let coarse = self.products.items[functional].factors.split_last().map_or(&[][..], |(_, coarse)| coarse);
        coarse.iter().fold(1, |runs, (_, vector)| runs.saturating_mul(self.len(*vector)))
    }

    fn reach(&self, factors: &[(usize, usize)]) -> usize {
        factors.iter().map(|(stride, vector)| stride * (self.len(*vector) - 1)).sum()
    }

    fn visit(
        &self,
        factors: &[(usize, usize)],
        address: usize,
        factor: Fp,
        range: &Range<usize>,
        visit: &mut impl FnMut(Run, Fp),
    ) {
        let [(stride, vector), finer @ ..] = factors else { return };
        let reach = self.reach(finer);
        // Those indices from which something of the range can be reached.
        let from = range.start.saturating_sub(address + reach).div_ceil(*stride);
        let to = range.end.saturating_sub(address).div_ceil(*stride).min(self.len(*vector));
        if from >= to {
            return;
        }
        if finer.is_empty() {
            let run = Run { vector: *vector, from, len: to - from, stride: *stride, at: address + from * stride };
            visit(run, factor);
            return;
        }
        for (x, weight) in self.vector(*vector)[from..to].iter().enumerate() {
            if *weight != Fp::ZERO {
                self.visit(finer, address + (from + x) * stride, factor * weight, range, visit);
            }
        }
    }

    /// The entries of a run.
    pub(crate) fn entries(&self, run: &Run) -> &[Fp] {
        &self.vector(run.vector)[run.from..run.from + run.len]
    }

    /// Adds `factor` times the elements `range` of a functional to `out`.
    pub(crate) fn scatter(&self, functional: usize, range: Range<usize>, factor: Fp, out: &mut [Fp]) {
        let start = range.start;
        self.for_each_run(functional, range, factor, &mut |run, factor| {
            let out = out[run.at - start..].iter_mut().step_by(run.stride);
            out.zip(self.entries(&run)).for_each(|(out, entry)| *out += factor * entry);
        });
    }
}

/// See [`OuterProducts::split`]; both sides of `vector[x]·vector[0] = vector[first of x's part]·vector[x within its part]` are compared.
fn split(vector: &[Fp]) -> Option<(Vec<Fp>, Vec<Fp>)> {
    let len = vector.len();
    let fine = 1_usize.checked_shl(len.trailing_zeros())?;
    if fine < LEAST_SPLIT || fine == len {
        return None;
    }
    let first = &vector[..fine];
    let inverse = Option::<Fp>::from(first[0].invert())?;
    let coarse: Vec<Fp> = vector.iter().step_by(fine).map(|entry| *entry * inverse).collect();
    let is_product = vector
        .chunks(fine)
        .zip(&coarse)
        .all(|(part, weight)| part.iter().zip(first).all(|(entry, fine)| *entry == *weight * fine));
    is_product.then(|| (coarse, first.to_vec()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    pub(crate) fn random(rng: &mut ChaCha20Rng, len: usize) -> Vec<Fp> {
        (0..len).map(|_| Fp::random(&mut *rng)).collect()
    }

    pub(crate) fn functional(base: usize, factors: &[(usize, &[Fp])]) -> Functional {
        let factors = factors.iter().map(|(stride, vector)| (*stride, vector.to_vec())).collect();
        Functional { base, scale: Fp::from(3), factors }
    }

    fn outer(coarse: &[Fp], fine: &[Fp]) -> Vec<Fp> {
        coarse.iter().flat_map(|c| fine.iter().map(move |f| c * f)).collect()
    }

    pub(crate) fn dense(functional: &Functional, len: usize) -> Vec<Fp> {
        let mut dense = vec![Fp::ZERO; len];
        functional.scatter(&mut dense);
        dense
    }

    /// Functionals of all kinds, each with the length of what it reads.
    pub(crate) fn functionals(rng: &mut ChaCha20Rng) -> Vec<(Functional, usize)> {
        let [two, three, five, eight, long] = [2, 3, 5, 8, 300].map(|len| random(rng, len));
        let mut sparse = random(rng, 12);
        [0, 1, 4, 11].iter().for_each(|i| sparse[*i] = Fp::ZERO);
        let product = outer(&three, &random(rng, 64));
        vec![
            (functional(4, &[]), 5),
            (functional(0, &[(1, &long)]), 300),
            (functional(7, &[(3, &five)]), 30),
            // Two that are joined, with one that is not, and a vector that is taken apart.
            (functional(0, &[(40, &three), (5, &eight), (1, &five)]), 120),
            (functional(0, &[(192, &two), (1, &product)]), 384),
            (functional(1, &[(300, &eight), (1, &product)]), 2300),
            // Gaps, zeros, a broadcast, one entry, places that are read more than once.
            (functional(3, &[(50, &sparse), (7, &three), (2, &two)]), 600),
            (functional(0, &[(1, &sparse), (0, &five)]), 12),
            (functional(0, &[(100, &five[..1]), (10, &five), (1, &sparse)]), 60),
            (functional(2, &[(3, &eight), (3, &five), (1, &five)]), 50),
            // Two elements far from each other.
            (functional(5, &[(2000, &two)]), 2100),
        ]
    }

    #[test]
    fn what_is_scattered_is_the_functional() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let all = functionals(&mut rng);
        let mut products = OuterProducts::default();
        for round in 0..2 {
            for (functional, len) in &all {
                let dense = dense(functional, *len);
                let (number, scale) = products.number(functional.clone());
                let mut scattered = vec![Fp::ONE; *len];
                products.scatter(number, 0..*len, scale, &mut scattered);
                assert!(scattered.iter().zip(&dense).all(|(s, d)| *s == *d + Fp::ONE), "functional {number}");
                let extent = products.extent(number);
                assert!(dense.iter().enumerate().all(|(i, d)| extent.contains(&i) || *d == Fp::ZERO));
                // Any part of it.
                for range in [0..1, len / 3..len - len / 3, len / 2..*len, *len..*len] {
                    let mut some = vec![Fp::ZERO; range.len()];
                    products.scatter(number, range.clone(), scale, &mut some);
                    assert!(some == dense[range], "functional {number}, round {round}");
                }
            }
        }
        // Those of the second round are the first ones again.
        assert_eq!(products.products.items.len(), all.len());
    }

    #[test]
    fn vectors_are_one_only_where_all_entries_are_equal() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let mut products = OuterProducts::default();
        let vector = random(&mut rng, 9);
        let number = |products: &mut OuterProducts, vector: &[Fp]| products.number(functional(0, &[(1, vector)])).0;
        let first = number(&mut products, &vector);
        assert_eq!(number(&mut products, &vector), first);
        for i in 0..9 {
            let mut other = vector.clone();
            other[i] += Fp::ONE;
            assert_ne!(number(&mut products, &other), first, "entry {i}");
        }
        assert_ne!(number(&mut products, &vector[..8]), first);
    }

    #[test]
    fn only_outer_products_are_taken_apart() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let (coarse, fine) = (random(&mut rng, 3), random(&mut rng, 64));
        let product = outer(&coarse, &fine);
        let (high, low) = split(&product).expect("an outer product");
        assert!(outer(&high, &low) == product);
        for i in 0..product.len() {
            let mut other = product.clone();
            other[i] += Fp::ONE;
            assert_eq!(split(&other), None, "entry {i}");
        }
        // Nothing is divided by zero; powers of two and short parts stay whole.
        let mut sparse = fine.clone();
        sparse[0] = Fp::ZERO;
        assert_eq!(split(&outer(&coarse, &sparse)), None);
        assert_eq!(split(&outer(&random(&mut rng, 4), &fine)), None);
        assert_eq!(split(&outer(&coarse, &fine[..32])), None);
        assert_eq!(split(&[]), None);
    }

    #[test]
    fn merged_functionals_keep_their_values() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let all = functionals(&mut rng);
        let (mut one, mut other) = (OuterProducts::default(), OuterProducts::default());
        all[3..].iter().for_each(|(functional, _)| {
            one.number(functional.clone());
        });
        let numbers: Vec<(usize, Fp)> =
            all[..6].iter().map(|(functional, _)| other.number(functional.clone())).collect();
        let renumbered = one.merge(other);
        assert_eq!(one.products.items.len(), all.len());
        for ((number, scale), (functional, len)) in numbers.into_iter().zip(&all) {
            let mut scattered = vec![Fp::ZERO; *len];
            one.scatter(renumbered[number], 0..*len, scale, &mut scattered);
            assert!(scattered == dense(functional, *len), "functional {number}");
        }
    }
}
