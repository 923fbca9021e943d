//! Floats of 16 bits, as the reals that they are.

/// The value of an IEEE 754 binary16, from its bits.
pub(crate) fn half_to_f64(bits: u16) -> f64 {
    let sign = u64::from(bits >> 15) << 63;
    let (exponent, fraction) = (u64::from(bits >> 10 & 0x1f), u64::from(bits & 0x3ff));
    match exponent {
        // 2^-24, the unit of subnormal numbers, is exact, and so is the product.
        0 => f64::from_bits(sign | 1.0_f64.to_bits()) * f64::from(bits & 0x3ff) * (1.0 / 16_777_216.0),
        31 if fraction == 0 => f64::from_bits(sign | f64::INFINITY.to_bits()),
        31 => f64::NAN,
        _ => f64::from_bits(sign | (exponent + 1023 - 15) << 52 | fraction << 42),
    }
}

/// The value of a bfloat16, the upper half of a binary32, from its bits.
pub(crate) fn bfloat_to_f64(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)] // exact values
    fn halves_are_what_ieee_754_says() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, libm::ldexp(1.0, -24)),
            (0x83ff, -libm::ldexp(1023.0, -24)),
            (0x0400, libm::ldexp(1.0, -14)),
            (0x3c00, 1.0),
            (0x3555, 0.333_251_953_125),
            (0xc100, -2.5),
            (0x7bff, 65504.0),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half_to_f64(bits), value, "{bits:04x}");
        }
        assert!(half_to_f64(0x8000).is_sign_negative() && half_to_f64(0x7e00).is_nan());
        assert_eq!(bfloat_to_f64(0xc020), -2.5);
    }
}
