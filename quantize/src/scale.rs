//! Exact dyadic scales: the unit of an integer tensor.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The scale of an integer tensor, the exact rational `mantissa · 2^exponent`.
///
/// A scale only gives integers a meaning (`real = integer · scale`); it takes no part in
/// evaluation. The mantissa is odd and below 2^53, so a scale is exactly one finite positive `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
pub struct Scale {
    mantissa: u64,
    exponent: i32,
}

/// A value that is no scale: zero, negative, not finite or not canonical.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a scale: a scale is a finite positive number")]
pub struct InvalidScale(pub f64);

impl Scale {
    /// The scale one.
    pub const ONE: Self = Self { mantissa: 1, exponent: 0 };

    /// The exact value of a finite positive normal `f64`.
    ///
    /// # Errors
    /// [`InvalidScale`] when `value` is zero, negative, subnormal, infinite or NaN.
    pub fn from_f64(value: f64) -> Result<Self, InvalidScale> {
        if !value.is_normal() || value < 0.0 {
            return Err(InvalidScale(value));
        }
        let bits = value.to_bits();
        let raw_exponent = i32::try_from((bits >> 52) & 0x7ff).map_err(|_| InvalidScale(value))?;
        let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
        let zeros = mantissa.trailing_zeros();
        let exponent = raw_exponent - 1075 + i32::try_from(zeros).map_err(|_| InvalidScale(value))?;
        Ok(Self { mantissa: mantissa >> zeros, exponent })
    }

    /// The power of two `2^exponent`.
    ///
    /// # Errors
    /// [`InvalidScale`] when the power is no normal `f64`.
    pub fn power_of_two(exponent: i32) -> Result<Self, InvalidScale> {
        Self::from_f64(libm::ldexp(1.0, exponent))
    }

    /// The scale as a float, exactly.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // the mantissa is below 2^53
    pub fn to_f64(self) -> f64 {
        libm::ldexp(self.mantissa as f64, self.exponent)
    }

    /// The odd mantissa, below 2^53.
    #[must_use]
    pub fn mantissa(self) -> u64 {
        self.mantissa
    }

    /// The power of two that multiplies the mantissa.
    #[must_use]
    pub fn exponent(self) -> i32 {
        self.exponent
    }

    /// Whether a decoded scale is canonical: what [`Scale::from_f64`] would give.
    #[must_use]
    pub fn is_canonical(self) -> bool {
        self.mantissa < 1 << 53 && (-1074..=1023).contains(&self.exponent) && Self::from_f64(self.to_f64()) == Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_floats_exactly() {
        for value in [1.0, 0.1, 1.0 / 255.0, 3e-300, 1e300, 2.0_f64.powi(-40)] {
            let scale = Scale::from_f64(value).expect("a scale");
            assert_eq!(scale.to_f64(), value);
            assert!(scale.is_canonical());
        }
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY, 5e-324] {
            assert!(Scale::from_f64(value).is_err());
        }
    }
}
