//! Values of functionals on rows: `Σ factor·<rows, part of a functional>`.
//!
//! A word stands in a stream of columns, and what a verifier wants of it is a sum over its columns, each with a weight. So a functional is cut where a
//! column ends, and every part is known by its elements and its first row. Equal parts are added up; then each is cut into runs of the
//! functional's finest vector, and equal runs are added up: the inner product of a vector with rows is computed once, however many words and
//! columns want it. Both lists are bounded; what does not fit is computed at once.

use crate::{
    field::Fp,
    outer_products::{OuterProducts, Run},
    parallel,
};
use ff::Field;
use pasta_curves::deferred::DeferredField;

/// Parts, or runs, that are collected before they are computed.
const MOST_COLLECTED: usize = 1 << 16;
/// Runs that are collected while parts are cut, by one thread.
const MOST_CUT: usize = MOST_COLLECTED / 2;
/// Parts are cut into runs by so many threads at most.
const MOST_THREADS: usize = 8;
/// Fewer parts are not worth a thread.
const FEWEST_PARTS: usize = 16;
/// Shorter runs are computed at once: to look for equal ones would cost more.
const LEAST_COLLECTED: usize = 4;

/// Elements of a functional on rows from `row` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    functional: usize,
    first: usize,
    len: usize,
    row: usize,
}

/// Vectors and the rows that they stand on.
#[derive(Clone, Copy, Debug)]
struct Rows<'a> {
    products: &'a OuterProducts,
    rows: &'a [Fp],
}

impl Rows<'_> {
    /// `<entries, rows>`.
    fn value(&self, run: &Run) -> Fp {
        let mut sum = Default::default();
        let rows = self.rows[run.at..].iter();
        let add = |(entry, row): (&Fp, &Fp)| Fp::mul_accumulate(&mut sum, entry, row);
        match run.stride {
            1 => self.products.entries(run).iter().zip(rows).for_each(add),
            stride => self.products.entries(run).iter().zip(rows.step_by(stride)).for_each(add),
        }
        Fp::reduce(sum)
    }

    /// Parts as runs.
    fn cut(&self, parts: &[(Part, Fp)], most: usize) -> Runs {
        let mut all = Runs::default();
        if parts.len() <= most {
            for (part, factor) in parts {
                self.products.for_each_run(
                    part.functional,
                    part.first..part.first + part.len,
                    *factor,
                    &mut |run, f| {
                        all.add(self, run.part(0, run.len, part.row + run.at - part.first), f, MOST_CUT);
                    },
                );
            }
            return all;
        }
        let (low, high) = parts.split_at(parts.len() / 2);
        let (mut all, high) = parallel::join(|| self.cut(low, most), || self.cut(high, most));
        all.append(self, high, MOST_CUT);
        all
    }
}

/// Runs at rows that are being collected, and the sum of those that are computed already.
#[derive(Debug, Default)]
struct Runs {
    runs: Vec<(Run, Fp)>,
    sum: Fp,
}

impl Runs {
    fn add(&mut self, rows: &Rows<'_>, run: Run, factor: Fp, most: usize) {
        if run.len < LEAST_COLLECTED {
            self.sum += factor * rows.value(&run);
            return;
        }
        self.runs.push((run, factor));
        self.bound(rows, most);
    }

    fn append(&mut self, rows: &Rows<'_>, mut other: Self, most: usize) {
        self.sum += other.sum;
        self.runs.append(&mut other.runs);
        self.bound(rows, most);
    }

    /// Computes all, if there are more than `most` different ones.
    fn bound(&mut self, rows: &Rows<'_>, most: usize) {
        if is_full(&mut self.runs, most) {
            self.compute(rows);
        }
    }

    fn compute(&mut self, rows: &Rows<'_>) {
        self.sum += parallel::sum(&self.runs, &|(run, factor)| *factor * rows.value(run));
        self.runs.clear();
    }
}

/// A sum that is being collected.
#[derive(Debug)]
pub(crate) struct RowValues<'a> {
    rows: Rows<'a>,
    parts: Vec<(Part, Fp)>,
    runs: Runs,
}

impl<'a> RowValues<'a> {
    /// Nothing.
    pub(crate) fn new(products: &'a OuterProducts, rows: &'a [Fp]) -> Self {
        Self { rows: Rows { products, rows }, parts: Vec::new(), runs: Runs::default() }
    }

    /// Adds a functional, times `factor`, on `len` elements from position `start` of a stream on, whose columns have `active` rows. Each column of
    /// the elements has a weight.
    pub(crate) fn add_stream(
        &mut self,
        functional: usize,
        (start, len, active): (usize, usize, usize),
        weights: &[Fp],
        factor: Fp,
    ) {
        let products = self.rows.products;
        let extent = products.extent(functional);
        let range = extent.start..extent.end.min(len);
        if range.is_empty() {
            return;
        }
        let weight = |column: usize| factor * weights[column - start / active];
        let (first, last) = ((start + range.start) / active, (start + range.end - 1) / active);
        if last - first < products.num_runs(functional) {
            for column in first..=last {
                let from = range.start.max((column * active).saturating_sub(start));
                let to = range.end.min((column + 1) * active - start);
                let part = Part { functional, first: from, len: to - from, row: start + from - column * active };
                self.add_part(part, weight(column));
            }
            return;
        }
        // Few runs in many columns.
        products.for_each_run(functional, range, Fp::ONE, &mut |run, entry| {
            let mut done = 0;
            while done < run.len {
                let position = start + run.at + done * run.stride;
                let row = position % active;
                let len = (active - row).div_ceil(run.stride).min(run.len - done);
                let weight = entry * weight(position / active);
                self.runs.add(&self.rows, run.part(done, len, row), weight, MOST_COLLECTED);
                done += len;
            }
        });
    }

    /// Adds a functional of `len` rows, times `factor`.
    pub(crate) fn add_column(&mut self, functional: usize, len: usize, factor: Fp) {
        self.add_part(Part { functional, first: 0, len, row: 0 }, factor);
    }

    fn add_part(&mut self, part: Part, factor: Fp) {
        self.parts.push((part, factor));
        if is_full(&mut self.parts, MOST_COLLECTED) {
            self.cut_parts();
        }
    }

    fn cut_parts(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        let cut = self.rows.cut(&parts, FEWEST_PARTS.max(parts.len().div_ceil(MOST_THREADS)));
        self.runs.append(&self.rows, cut, MOST_COLLECTED);
    }

    /// The sum.
    pub(crate) fn finish(mut self) -> Fp {
        add_up(&mut self.parts);
        self.cut_parts();
        add_up(&mut self.runs.runs);
        self.runs.compute(&self.rows);
        self.runs.sum
    }
}

/// Whether there is no room for more than `most`, though equal terms are added up.
fn is_full<T: Ord>(terms: &mut Vec<(T, Fp)>, most: usize) -> bool {
    if terms.len() < most {
        return false;
    }
    add_up(terms);
    terms.len() > most / 2
}

/// Adds up the factors of what is equal; the rest is in order then.
pub(crate) fn add_up<T: Ord>(terms: &mut Vec<(T, Fp)>) {
    terms.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    terms.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1 += later.1;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        field::inner_product,
        outer_products::tests::{dense, functional, functionals, random},
    };
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    fn below(rng: &mut ChaCha20Rng, bound: usize) -> usize {
        usize::try_from(rng.next_u64() % bound as u64).expect("small")
    }

    /// `Σ_c weights[c]·<rows, part in column c>`, element by element.
    fn plain(functional: &[Fp], start: usize, weights: &[Fp], (rows, active): (&[Fp], usize)) -> Fp {
        let value = |(i, entry): (usize, &Fp)| {
            let position = start + i;
            *entry * weights[position / active - start / active] * rows[position % active]
        };
        functional.iter().enumerate().map(value).sum()
    }

    #[test]
    fn words_in_any_columns_are_the_plain_sums() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let all = functionals(&mut rng);
        for active in [5, 64, 122, 256, 4096] {
            let rows = random(&mut rng, active + 6);
            let mut products = OuterProducts::default();
            let numbers: Vec<(usize, Fp)> = all.iter().map(|(f, _)| products.number(f.clone())).collect();
            let mut values = RowValues::new(&products, &rows);
            let mut expected = Fp::ZERO;
            for ((own, len), (number, scale)) in all.iter().zip(&numbers) {
                for start in [0, 0, 64, below(&mut rng, 3 * active)] {
                    // A word may be longer than what is read of it.
                    let len = len + below(&mut rng, 9);
                    let weights = random(&mut rng, (start + len).div_ceil(active) + 1);
                    let factor = Fp::random(&mut rng);
                    expected += factor * plain(&dense(own, len), start, &weights, (&rows, active));
                    values.add_stream(*number, (start, len, active), &weights, factor * scale);
                }
                if *len <= active {
                    expected += inner_product(&dense(own, *len), &rows);
                    values.add_column(*number, *len, *scale);
                }
            }
            assert_eq!(values.finish(), expected, "{active} rows");
        }
    }

    #[test]
    fn more_than_is_collected_at_once_is_all_counted() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let (coarse, rows) = (random(&mut rng, 1 << 10), random(&mut rng, 1 << 13));
        let mut products = OuterProducts::default();
        let own: Vec<_> = (0..80).map(|_| functional(0, &[(5, &coarse), (1, &random(&mut rng, 4))])).collect();
        let numbers: Vec<(usize, Fp)> = own.iter().map(|own| products.number(own.clone())).collect();
        // Many runs of few words; many parts of many words.
        let mut values = RowValues::new(&products, &rows);
        let mut expected = Fp::ZERO;
        for (start, (own, (number, scale))) in own.iter().zip(&numbers).enumerate() {
            values.add_stream(*number, (start, 5 << 10, rows.len()), &[Fp::ONE], *scale);
            expected += inner_product(&dense(own, 5 << 10), &rows[start..]);
        }
        assert_eq!(values.finish(), expected);
        let mut values = RowValues::new(&products, &rows);
        let mut expected = Fp::ZERO;
        let weights = random(&mut rng, 400);
        for start in 0..400 {
            let (number, scale) = numbers[start % 2];
            values.add_stream(number, (start, 5 << 10, 16), &weights, scale);
            expected += plain(&dense(&own[start % 2], 5 << 10), start, &weights, (&rows, 16));
        }
        assert_eq!(values.finish(), expected);
    }
}
