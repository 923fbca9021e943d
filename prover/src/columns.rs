//! Committed columns of word cells and multiplicities, in the narrowest integers that hold them.

use ff::Field;
use pasta_curves::Fp;
use zkonnx_circuits::field::from_i64;
use zkonnx_quantize::{integers::Integers, with_integers};

/// The values of a column, from row 0 on; what is beyond their number is zero.
#[derive(Clone, Debug)]
pub enum Column {
    /// Small integers: every column of an honest prover but those that end in halo2's randomness.
    Integers(Integers),
    /// Field elements.
    Field(Vec<Fp>),
}

impl Column {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Field(values) => values.len(),
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values if they are small integers.
    #[must_use]
    pub fn integers(&self) -> Option<&Integers> {
        match self {
            Self::Integers(values) => Some(values),
            Self::Field(_) => None,
        }
    }

    /// One value.
    #[must_use]
    pub fn get(&self, row: usize) -> Fp {
        match self {
            Self::Integers(values) => values.get(row).map_or(Fp::ZERO, from_i64),
            Self::Field(values) => values.get(row).copied().unwrap_or(Fp::ZERO),
        }
    }

    /// All values.
    #[must_use]
    pub fn to_field(&self) -> Vec<Fp> {
        match self {
            Self::Integers(values) => {
                let embed = Embedding::new();
                with_integers!(values, values => values.iter().map(|v| embed.of(*v)).collect())
            }
            Self::Field(values) => values.clone(),
        }
    }

    /// Adds to one value.
    pub fn add(&mut self, row: usize, value: Fp) {
        let mut values = self.to_field();
        add_at(&mut values, row, value);
        *self = Self::Field(values);
    }
}

/// Adds to one of the values; what is beyond their number is zero.
pub(crate) fn add_at(values: &mut Vec<Fp>, row: usize, value: Fp) {
    if values.len() <= row {
        values.resize(row + 1, Fp::ZERO);
    }
    values[row] += value;
}

/// Field elements of small integers, by table.
#[derive(Clone, Debug)]
pub struct Embedding(Multiples);

impl Default for Embedding {
    fn default() -> Self {
        Self::new()
    }
}

impl Embedding {
    /// Integers of up to so many bits are looked up.
    const BITS: u32 = 20;

    /// The table.
    #[must_use]
    pub fn new() -> Self {
        Self(Multiples::new(Fp::ONE, Self::BITS))
    }

    /// The image of an integer.
    #[must_use]
    pub fn of(&self, value: impl Into<i64>) -> Fp {
        self.0.of(value)
    }
}

/// Multiples of a field element by small integers, by tables of the multiples of a low and of a high part.
#[derive(Clone, Debug)]
pub struct Multiples {
    factor: Fp,
    low: Vec<Fp>,
    high: Vec<Fp>,
}

impl Multiples {
    /// One table has at most `2^this` entries: more would not stay in a cache.
    const TABLE_BITS: u32 = 10;

    /// Multiples by integers of up to so many bits are looked up: at most 20 bits.
    #[must_use]
    pub fn new(factor: Fp, bits: u32) -> Self {
        let low = if bits <= 8 { bits } else { bits.div_ceil(2).min(Self::TABLE_BITS) };
        let high = (bits - low).min(Self::TABLE_BITS);
        let table = |step: Fp, bits: u32| {
            std::iter::successors(Some(Fp::ZERO), |last| Some(*last + step)).take(1 << bits).collect()
        };
        Self { factor, low: table(factor, low), high: table(factor * Fp::from(1 << low), high) }
    }

    /// The factor.
    #[must_use]
    pub fn factor(&self) -> Fp {
        self.factor
    }

    /// `value·factor`.
    #[must_use]
    #[inline]
    pub fn of(&self, value: impl Into<i64>) -> Fp {
        let value = value.into();
        let Ok(index) = usize::try_from(value) else { return self.factor * from_i64(value) };
        if let Some(low) = self.low.get(index) {
            return *low;
        }
        let bits = self.low.len().trailing_zeros();
        match self.high.get(index >> bits) {
            Some(high) => self.low[index & (self.low.len() - 1)] + high,
            None => self.factor * from_i64(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_products_whatever_table_they_are_of() {
        let factor = Fp::from(12_345).square().square();
        for bits in [0, 1, 8, 9, 14, 19, 20, 25] {
            let multiples = Multiples::new(factor, bits);
            let ends = [8, 9, 10, 13, 14, 18, 19, 20, 21, 40].map(|b| 1_i64 << b);
            for value in ends.into_iter().flat_map(|end| [end - 1, end, end + 1, -end]).chain([0, 1, -1, i64::MIN]) {
                assert_eq!(multiples.of(value), factor * from_i64(value), "{bits} bits, {value}");
            }
        }
    }
}
