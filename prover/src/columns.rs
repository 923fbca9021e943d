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
pub struct Embedding {
    small: Vec<Fp>,
}

impl Default for Embedding {
    fn default() -> Self {
        Self::new()
    }
}

impl Embedding {
    /// Integers of up to so many bits are looked up.
    const BITS: u32 = 10;

    /// The table.
    #[must_use]
    pub fn new() -> Self {
        Self { small: (0..1_u64 << Self::BITS).map(Fp::from).collect() }
    }

    /// The image of an integer.
    #[must_use]
    pub fn of(&self, value: impl Into<i64>) -> Fp {
        let value = value.into();
        usize::try_from(value).ok().and_then(|v| self.small.get(v)).copied().unwrap_or_else(|| from_i64(value))
    }
}

/// Multiples of a field element by small integers, by table.
#[derive(Clone, Debug)]
pub struct Multiples {
    factor: Fp,
    multiples: Vec<Fp>,
}

impl Multiples {
    /// Multiples by integers of up to so many bits are looked up.
    #[must_use]
    pub fn new(factor: Fp, bits: u32) -> Self {
        let multiples = std::iter::successors(Some(Fp::ZERO), |last| Some(*last + factor)).take(1 << bits).collect();
        Self { factor, multiples }
    }

    /// The factor.
    #[must_use]
    pub fn factor(&self) -> Fp {
        self.factor
    }

    /// `value·factor`.
    #[must_use]
    pub fn of(&self, value: impl Into<i64>) -> Fp {
        let value = value.into();
        let known = usize::try_from(value).ok().and_then(|v| self.multiples.get(v)).copied();
        known.unwrap_or_else(|| self.factor * from_i64(value))
    }
}
