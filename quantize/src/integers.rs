//! Integers in the narrowest width that holds them all: statements, weights and cells.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Integers in the narrowest width that holds them all. In JSON a list.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(from = "Vec<i64>", into = "Vec<i64>")]
pub enum Integers {
    /// 8 bits.
    I8(Vec<i8>),
    /// 16 bits.
    I16(Vec<i16>),
    /// 32 bits.
    I32(Vec<i32>),
    /// 64 bits.
    I64(Vec<i64>),
}

/// Runs an expression with the values as a slice of their own width.
#[macro_export]
macro_rules! with_integers {
    ($integers:expr, $values:ident => $action:expr) => {
        match $integers {
            $crate::integers::Integers::I8($values) => $action,
            $crate::integers::Integers::I16($values) => $action,
            $crate::integers::Integers::I32($values) => $action,
            $crate::integers::Integers::I64($values) => $action,
        }
    };
}

/// A borrowed run of [`Integers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegerSlice<'a> {
    /// 8 bits.
    I8(&'a [i8]),
    /// 16 bits.
    I16(&'a [i16]),
    /// 32 bits.
    I32(&'a [i32]),
    /// 64 bits.
    I64(&'a [i64]),
}

/// [`with_integers!`] for an [`IntegerSlice`].
#[macro_export]
macro_rules! with_integer_slice {
    ($slice:expr, $values:ident => $action:expr) => {
        match $slice {
            $crate::integers::IntegerSlice::I8($values) => $action,
            $crate::integers::IntegerSlice::I16($values) => $action,
            $crate::integers::IntegerSlice::I32($values) => $action,
            $crate::integers::IntegerSlice::I64($values) => $action,
        }
    };
}

fn widened<T: Copy + Into<i64>>(value: &T) -> i64 {
    (*value).into()
}

/// The largest absolute value.
fn magnitude<T: Copy + Into<i64>>(values: &[T]) -> u64 {
    values.iter().fold(0, |m, v| m.max(widened(v).unsigned_abs()))
}

impl Default for Integers {
    fn default() -> Self {
        Self::I8(Vec::new())
    }
}

impl Integers {
    /// Packs the values.
    #[must_use]
    pub fn new(values: &[i64]) -> Self {
        fn narrow<T: TryFrom<i64>>(values: &[i64]) -> Option<Vec<T>> {
            values.iter().map(|v| T::try_from(*v).ok()).collect()
        }
        None.or_else(|| narrow(values).map(Self::I8))
            .or_else(|| narrow(values).map(Self::I16))
            .or_else(|| narrow(values).map(Self::I32))
            .unwrap_or_else(|| Self::I64(values.to_vec()))
    }

    /// The values.
    #[must_use]
    pub fn to_vec(&self) -> Vec<i64> {
        self.iter().collect()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        with_integers!(self, values => values.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One value.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<i64> {
        with_integers!(self, values => values.get(index).map(widened))
    }

    /// All values, in order.
    pub fn iter(&self) -> Box<dyn ExactSizeIterator<Item = i64> + '_> {
        with_integers!(self, values => Box::new(values.iter().map(widened)))
    }

    /// The largest absolute value; 0 when there is none.
    #[must_use]
    pub fn magnitude(&self) -> u64 {
        self.as_slice().magnitude()
    }

    /// All values, borrowed.
    #[must_use]
    pub fn as_slice(&self) -> IntegerSlice<'_> {
        match self {
            Self::I8(values) => IntegerSlice::I8(values),
            Self::I16(values) => IntegerSlice::I16(values),
            Self::I32(values) => IntegerSlice::I32(values),
            Self::I64(values) => IntegerSlice::I64(values),
        }
    }

    /// Some of the values, borrowed.
    ///
    /// # Panics
    /// When the range does not lie within the values.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> IntegerSlice<'_> {
        self.as_slice().slice(range)
    }
}

impl<'a> IntegerSlice<'a> {
    /// How many.
    #[must_use]
    pub fn len(self) -> usize {
        with_integer_slice!(self, values => values.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// One value.
    #[must_use]
    pub fn get(self, index: usize) -> Option<i64> {
        with_integer_slice!(self, values => values.get(index).map(widened))
    }

    /// Some of the values.
    ///
    /// # Panics
    /// When the range does not lie within the values.
    #[must_use]
    pub fn slice(self, range: Range<usize>) -> Self {
        match self {
            Self::I8(values) => Self::I8(&values[range]),
            Self::I16(values) => Self::I16(&values[range]),
            Self::I32(values) => Self::I32(&values[range]),
            Self::I64(values) => Self::I64(&values[range]),
        }
    }

    /// The values.
    #[must_use]
    pub fn to_vec(self) -> Vec<i64> {
        with_integer_slice!(self, values => values.iter().map(widened).collect())
    }

    /// The largest absolute value; 0 when there is none.
    #[must_use]
    pub fn magnitude(self) -> u64 {
        with_integer_slice!(self, values => magnitude(values))
    }
}

impl<'a> From<&'a Integers> for IntegerSlice<'a> {
    fn from(integers: &'a Integers) -> Self {
        integers.as_slice()
    }
}

impl<'a> From<&'a Vec<i64>> for IntegerSlice<'a> {
    fn from(values: &'a Vec<i64>) -> Self {
        Self::I64(values)
    }
}

impl<'a> From<&'a [i64]> for IntegerSlice<'a> {
    fn from(values: &'a [i64]) -> Self {
        Self::I64(values)
    }
}

impl From<Vec<i64>> for Integers {
    fn from(values: Vec<i64>) -> Self {
        Self::new(&values)
    }
}

impl From<Integers> for Vec<i64> {
    fn from(integers: Integers) -> Self {
        integers.to_vec()
    }
}
