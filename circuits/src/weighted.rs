//! Integers times field elements: sums with one reduction at the end.
//!
//! A sum `Σ_i c_i·v_i` of field elements times integers is one of integers: `c_i` as its canonical
//! representative below `2^255`, `v_i` moved to `v_i + m` within `0..2m`, where the offset `m` is that of their width
//! (64-bit integers: of the bits that they need). Five 64-bit limbs hold it while the `2m` add up to no more than
//! `2^65`; then, or at the end, it is reduced, and `m·Σ_i c_i` subtracted. An integer costs four multiplications of
//! words and no reduction: 2.5 ns, where the image of the integer and a product of field elements take 50.

use crate::field::Fp;
use ff::{Field, FromUniformBytes, PrimeField};
use zkonnx_quantize::{integers::IntegerSlice, with_integer_slice};

/// A field element's canonical representative, least significant limb first.
type Limbs = [u64; 4];
/// A sum below `2^320`.
type Accumulator = [u64; 5];

/// Accumulators that are filled together: 20 kB, so that they stay in the first cache.
const BLOCK: usize = 512;
/// Rows that are added in one pass over the accumulators.
const ROWS: usize = 4;
/// An [`Accumulator`] holds representatives with multipliers of this sum.
const CAPACITY: u128 = 1 << 65;

fn limbs(value: &Fp) -> Limbs {
    let repr = value.to_repr();
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(repr.as_chunks().0) {
        *limb = u64::from_le_bytes(*bytes);
    }
    limbs
}

#[inline(always)]
fn add_multiple(sum: &mut Accumulator, value: &Limbs, by: u64) {
    let mut carry = 0;
    for (sum, limb) in sum.iter_mut().zip(value) {
        (*sum, carry) = limb.carrying_mul_add(by, *sum, carry);
    }
    sum[4] = sum[4].wrapping_add(carry);
}

fn reduce(sum: &Accumulator) -> Fp {
    let mut bytes = [0; 64];
    for (bytes, limb) in bytes.as_chunks_mut().0.iter_mut().zip(sum) {
        *bytes = limb.to_le_bytes();
    }
    Fp::from_uniform_bytes(&bytes)
}

/// What integers are moved by: a power of two, at most `2^63`, such that all moved integers lie within `0..2·offset`.
fn offset(values: IntegerSlice<'_>) -> u64 {
    match values {
        IntegerSlice::I8(_) => 1 << 7,
        IntegerSlice::I16(_) => 1 << 15,
        IntegerSlice::I32(_) => 1 << 31,
        // The bits that some value needs without its sign; 64-bit integers are seldom that wide.
        IntegerSlice::I64(values) => {
            1 << (64 - values.iter().fold(0, |bits, value| bits | (value ^ (value >> 63))).leading_zeros())
        }
    }
}

/// An integer moved to the non-negative ones.
#[inline(always)]
fn moved(value: impl Into<i64>, by: u64) -> u64 {
    value.into().cast_unsigned().wrapping_add(by)
}

/// A weight, and the integers that it multiplies: one for each of a run of sums.
pub(crate) struct Row<'a> {
    weight: Limbs,
    offset: u64,
    values: IntegerSlice<'a>,
}

impl<'a> Row<'a> {
    fn new(weight: Limbs, values: IntegerSlice<'a>) -> Self {
        Self { weight, offset: offset(values), values }
    }

    /// The part of the row from sum `start` on.
    fn part(&self, start: usize, len: usize) -> IntegerSlice<'a> {
        let end = self.values.len();
        self.values.slice(start.min(end)..(start + len).min(end))
    }
}

/// Adds rows to sums; what comes after the end of a row is zero, moved.
fn add_rows<T: Copy + Into<i64>, const N: usize>(sums: &mut [Accumulator], rows: &[Row<'_>; N], values: [&[T]; N]) {
    let common = values.iter().map(|values| values.len()).min().unwrap_or(0);
    let (common_sums, other_sums) = sums.split_at_mut(common);
    let heads = values.map(|values| &values[..common]);
    for (j, sum) in common_sums.iter_mut().enumerate() {
        let mut total = *sum;
        for (row, head) in rows.iter().zip(&heads) {
            add_multiple(&mut total, &row.weight, moved(head[j], row.offset));
        }
        *sum = total;
    }
    for (j, sum) in (common..).zip(other_sums) {
        for (row, values) in rows.iter().zip(&values) {
            add_multiple(sum, &row.weight, values.get(j).map_or(row.offset, |value| moved(*value, row.offset)));
        }
    }
}

/// Adds [`ROWS`] rows from sum `start` on, in one pass when they are of one width.
fn add_group(sums: &mut [Accumulator], rows: &[Row<'_>; ROWS], start: usize) {
    use IntegerSlice::{I16, I32, I64, I8};
    match std::array::from_fn(|i| rows[i].part(start, sums.len() - 1)) {
        [I8(a), I8(b), I8(c), I8(d)] => add_rows(sums, rows, [a, b, c, d]),
        [I16(a), I16(b), I16(c), I16(d)] => add_rows(sums, rows, [a, b, c, d]),
        [I32(a), I32(b), I32(c), I32(d)] => add_rows(sums, rows, [a, b, c, d]),
        [I64(a), I64(b), I64(c), I64(d)] => add_rows(sums, rows, [a, b, c, d]),
        values => {
            for (row, values) in rows.iter().zip(values) {
                with_integer_slice!(values, values => add_rows(sums, std::array::from_ref(row), [values]));
            }
        }
    }
}

/// The rows cut into runs whose multipliers add up to no more than [`CAPACITY`].
fn runs<'r, 'a>(rows: &'r [Row<'a>]) -> impl Iterator<Item = &'r [Row<'a>]> {
    let mut sum = 0;
    rows.chunk_by(move |previous, next| {
        sum = sum.max(reach(previous.offset)) + reach(next.offset);
        let fits = sum <= CAPACITY;
        if !fits {
            sum = reach(next.offset);
        }
        fits
    })
}

/// What a moved integer stays below.
fn reach(offset: u64) -> u128 {
    u128::from(offset) * 2
}

/// Adds `Σ_t weight_t · values_t[j]` to every `out[j]`; values past the end of a slice are zero.
///
/// Slices longer than `out` are cut. A weight costs some 15 ns and a sum 50 ns beside the integers, so it pays from
/// some eight sums on.
pub fn weighted_sum(terms: &[(Fp, IntegerSlice<'_>)], out: &mut [Fp]) {
    let rows: Vec<Row<'_>> = terms
        .iter()
        .filter(|(weight, values)| *weight != Fp::ZERO && !values.is_empty())
        .map(|(weight, values)| Row::new(limbs(weight), *values))
        .collect();
    add_weighted_rows(&rows, out);
}

/// [`weighted_sum`] of rows that are ready.
pub(crate) fn add_weighted_rows(rows: &[Row<'_>], out: &mut [Fp]) {
    // One more sum than there are in a block: that of a row that has ended, which is what the others have too much.
    let mut sums = vec![[0; 5]; out.len().min(BLOCK) + 1];
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let sums = &mut sums[..=out.len()];
        for run in runs(rows) {
            sums.fill([0; 5]);
            let (groups, rest) = run.as_chunks::<ROWS>();
            for group in groups {
                add_group(sums, group, block * BLOCK);
            }
            for row in rest {
                let values = row.part(block * BLOCK, out.len());
                with_integer_slice!(values, values => add_rows(sums, std::array::from_ref(row), [values]));
            }
            let moved = reduce(&sums[out.len()]);
            for (out, sum) in out.iter_mut().zip(sums.iter()) {
                *out += reduce(sum) - moved;
            }
        }
    }
}

/// Field elements that many runs of integers are multiplied by, made ready for it once.
#[derive(Clone, Debug)]
pub struct Weights {
    limbs: Vec<Limbs>,
    /// Entry `i` is the sum of the first `i`.
    sums: Vec<Fp>,
}

impl Weights {
    /// Makes the elements ready.
    #[must_use]
    pub fn new(weights: &[Fp]) -> Self {
        let mut sums = vec![Fp::ZERO];
        sums.extend(weights.iter().scan(Fp::ZERO, |sum, weight| {
            *sum += weight;
            Some(*sum)
        }));
        Self { limbs: weights.iter().map(limbs).collect(), sums }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.limbs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limbs.is_empty()
    }

    /// Integers that weight `index` multiplies.
    pub(crate) fn row<'a>(&self, index: usize, values: IntegerSlice<'a>) -> Row<'a> {
        Row::new(self.limbs[index], values)
    }
}

/// `Σ_i weights[i]·values[i]` over the shorter length.
#[must_use]
pub fn weighted_inner_product(values: IntegerSlice<'_>, weights: &Weights) -> Fp {
    let len = values.len().min(weights.len());
    let values = values.slice(0..len);
    let offset = offset(values);
    let run = usize::try_from(CAPACITY / reach(offset)).unwrap_or(usize::MAX);
    let sum = with_integer_slice!(values, values => values
        .chunks(run)
        .zip(weights.limbs.chunks(run))
        .map(|(values, weights)| moved_inner_product(values, weights, offset))
        .sum::<Fp>());
    sum - weights.sums[len] * Fp::from(offset)
}

fn moved_inner_product<T: Copy + Into<i64>>(values: &[T], weights: &[Limbs], offset: u64) -> Fp {
    let mut sum = [0; 5];
    for (value, weight) in values.iter().zip(weights) {
        add_multiple(&mut sum, weight, moved(*value, offset));
    }
    reduce(&sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::from_i64;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};
    use zkonnx_quantize::integers::Integers;

    /// Random integers of `bits` bits with both extremes; their encoding is the narrowest.
    fn integers(rng: &mut ChaCha20Rng, bits: u32, len: usize) -> Integers {
        let extremes = [i64::MIN, i64::MAX, i64::MIN + 1, -1, 0, 1].map(|v| v >> (64 - bits));
        let random = |_| rng.next_u64().cast_signed() >> (64 - bits);
        let mut values: Vec<i64> = (0..len).map(random).collect();
        for (value, extreme) in values.iter_mut().step_by(3).zip(extremes) {
            *value = extreme;
        }
        Integers::new(&values)
    }

    fn elements(rng: &mut ChaCha20Rng, len: usize) -> Vec<Fp> {
        let mut elements: Vec<Fp> = (0..len).map(|_| Fp::random(rng)).collect();
        for (element, special) in elements.iter_mut().skip(1).step_by(2).zip([-Fp::ONE, Fp::ZERO, Fp::ONE]) {
            *element = special;
        }
        elements
    }

    const WIDTHS: [u32; 10] = [1, 3, 8, 9, 16, 17, 32, 33, 63, 64];
    const LENGTHS: [usize; 7] = [0, 1, 2, 7, 511, 513, 1030];

    #[test]
    fn a_weighted_inner_product_is_the_plain_sum() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for (bits, len, weights) in
            WIDTHS.iter().flat_map(|b| LENGTHS.map(|l| (*b, l, l))).chain([(8, 5, 9), (64, 9, 5)])
        {
            let values = integers(&mut rng, bits, len);
            let weights = elements(&mut rng, weights);
            let plain: Fp = values.iter().zip(&weights).map(|(v, w)| from_i64(v) * w).sum();
            let ready = Weights::new(&weights);
            assert_eq!(weighted_inner_product(values.as_slice(), &ready), plain, "{bits} bits, {len} values");
            // The same integers in the widest encoding.
            let wide = values.to_vec();
            assert_eq!(
                weighted_inner_product(IntegerSlice::from(&wide[..]), &ready),
                plain,
                "{bits} bits, {len} values"
            );
        }
    }

    #[test]
    fn weighted_sums_are_the_plain_sums() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for (bits, len) in WIDTHS.iter().flat_map(|b| LENGTHS.map(|l| (*b, l))) {
            for rows in [0, 1, 4, 11] {
                let rows: Vec<Integers> = (0..rows).map(|_| integers(&mut rng, bits, len)).collect();
                check(&mut rng, &rows, len);
            }
        }
    }

    #[test]
    fn rows_may_be_of_all_widths_and_lengths() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let mut rows: Vec<Integers> = Vec::new();
        for bits in [8, 8, 8, 8, 64, 16, 64, 33, 8, 32, 32, 32, 32, 64, 64, 64, 64, 64, 1] {
            let len = [0, 1, 600, 512, 511, 900, 1000][rows.len() % 7];
            rows.push(integers(&mut rng, bits, len));
        }
        for len in [0, 1, 512, 700, 1000] {
            check(&mut rng, &rows, len);
        }
    }

    #[test]
    fn sums_of_extremes_do_not_overflow() {
        let weights = [-Fp::ONE; 64];
        for value in [i64::MIN, i64::MIN + 1, i64::MAX, i64::from(i32::MIN), -128, 127] {
            let values = Integers::new(&[value; 64]);
            let plain = -from_i64(value) * Fp::from(64);
            assert_eq!(weighted_inner_product(values.as_slice(), &Weights::new(&weights)), plain);
            let terms = weights.map(|w| (w, values.slice(0..1)));
            let mut out = [Fp::ONE];
            weighted_sum(&terms, &mut out);
            assert_eq!(out, [plain + Fp::ONE]);
        }
    }

    fn check(rng: &mut ChaCha20Rng, rows: &[Integers], len: usize) {
        let weights = elements(rng, rows.len());
        let mut out = elements(rng, len);
        let mut plain = out.clone();
        for (weight, row) in weights.iter().zip(rows) {
            for (out, value) in plain.iter_mut().zip(row.iter()) {
                *out += weight * from_i64(value);
            }
        }
        let terms: Vec<(Fp, IntegerSlice<'_>)> = weights.into_iter().zip(rows.iter().map(Integers::as_slice)).collect();
        weighted_sum(&terms, &mut out);
        assert!(out == plain, "{} rows, {len} sums", rows.len());
    }
}
