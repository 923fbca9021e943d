//! Integers in the narrowest width that holds them all: statements, weights and cells.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Integers in the narrowest width that holds them all. In JSON a list; other encodings name the width, and whoever decodes
/// them checks that it [is the narrowest](Integers::is_narrowest).
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
            // These need no widening.
            #[allow(clippy::useless_conversion)]
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
            // These need no widening.
            #[allow(clippy::useless_conversion)]
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
            if values.iter().any(|v| T::try_from(*v).is_err()) {
                return None;
            }
            let mut all = Vec::with_capacity(values.len());
            all.extend(values.iter().filter_map(|v| T::try_from(*v).ok()));
            Some(all)
        }
        None.or_else(|| narrow(values).map(Self::I8))
            .or_else(|| narrow(values).map(Self::I16))
            .or_else(|| narrow(values).map(Self::I32))
            .unwrap_or_else(|| Self::I64(values.to_vec()))
    }

    /// Whether no narrower width holds them.
    #[must_use]
    pub fn is_narrowest(&self) -> bool {
        match self {
            Self::I8(_) => true,
            Self::I16(values) => values.iter().any(|v| i8::try_from(*v).is_err()),
            Self::I32(values) => values.iter().any(|v| i16::try_from(*v).is_err()),
            Self::I64(values) => values.iter().any(|v| i32::try_from(*v).is_err()),
        }
    }

    /// The values.
    #[must_use]
    pub fn to_vec(&self) -> Vec<i64> {
        self.as_slice().to_vec()
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

    /// A copy of the same width, be it the narrowest or not.
    #[must_use]
    pub fn to_integers(self) -> Integers {
        match self {
            Self::I8(values) => Integers::I8(values.to_vec()),
            Self::I16(values) => Integers::I16(values.to_vec()),
            Self::I32(values) => Integers::I32(values.to_vec()),
            Self::I64(values) => Integers::I64(values.to_vec()),
        }
    }

    /// Runs of `size` values, the last one maybe shorter.
    ///
    /// # Panics
    /// When `size` is zero.
    pub fn chunks(self, size: usize) -> impl Iterator<Item = Self> + 'a {
        let len = self.len();
        (0..len).step_by(size).map(move |start| self.slice(start..len.min(start + size)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> [(Vec<i64>, Integers); 9] {
        [
            (vec![], Integers::I8(vec![])),
            (vec![-128, 127], Integers::I8(vec![-128, 127])),
            (vec![0, 128], Integers::I16(vec![0, 128])),
            (vec![-129], Integers::I16(vec![-129])),
            (vec![32_768], Integers::I32(vec![32_768])),
            (vec![-32_769, 0, 1], Integers::I32(vec![-32_769, 0, 1])),
            (vec![1 << 31], Integers::I64(vec![1 << 31])),
            (vec![-(1 << 31) - 1], Integers::I64(vec![-(1 << 31) - 1])),
            (vec![i64::MIN, 0, i64::MAX], Integers::I64(vec![i64::MIN, 0, i64::MAX])),
        ]
    }

    #[test]
    fn the_narrowest_width_is_chosen() {
        for (values, packed) in cases() {
            let integers = Integers::new(&values);
            assert_eq!(integers, packed);
            assert!(integers.is_narrowest());
            let wide = Integers::I64(values.clone());
            assert_eq!(wide.is_narrowest(), wide == integers);
            assert_eq!((integers.to_vec(), integers.iter().collect()), (values.clone(), values.clone()));
            assert_eq!(integers.magnitude(), values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0));
            assert_eq!(integers.get(values.len()), None);
            for start in 0..values.len() {
                assert_eq!(integers.get(start), Some(values[start]));
                assert_eq!(integers.slice(start..values.len()).to_vec(), values[start..]);
            }
            let chunks: Vec<Vec<i64>> = integers.as_slice().chunks(2).map(IntegerSlice::to_vec).collect();
            assert_eq!(chunks, values.chunks(2).map(<[i64]>::to_vec).collect::<Vec<_>>());
        }
    }
}
