//! How a model is quantised.

use crate::{graph::Interval, scale::Scale};
use serde::Serialize;
use std::collections::BTreeMap;

/// How the range of a tensor is found from samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub enum Method {
    /// Everything seen is inside.
    #[default]
    MinMax,
    /// This share of the values seen is inside, cut evenly at both ends, for example 0.9999.
    Percentile(f64),
    /// The range with the least squared error at the recipe's number of bits.
    Mse,
}

/// How a model is quantised. The same ONNX file, recipe and samples give the same bytes on every machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// Bits of an activation's calibrated range.
    pub bits: u8,
    /// Bits of an input's declared range.
    pub input_bits: u8,
    /// Preferred bits of a requantisation; raised where weights would lose too much.
    pub shift: u8,
    /// The largest weight of a layer has at least this many bits, with its sign.
    pub weight_bits: u8,
    /// The largest weight of an output has this many bits, with its sign; outputs are exact, so it costs nothing.
    pub output_weight_bits: u8,
    /// A table of a function has `2^table_bits` entries; where that is too coarse for `bits`, it is interpolated
    /// between at most as many.
    pub table_bits: u8,
    /// A maximum over windows is scaled so that its argument's static interval has this many bits…
    pub max_range_bits: u8,
    /// …if the calibrated range keeps at least this many.
    pub max_min_bits: u8,
    /// Channels that are small in calibration are stored larger by a power of two where that is free: between
    /// products with constant weights.
    pub per_channel: bool,
    /// Nothing public may depend on the weights' values.
    pub private_weights: bool,
    /// With private weights: the declared width of every weight.
    pub declared_weight_bits: u8,
    /// With private weights: the declared width of every bias.
    pub declared_bias_bits: u8,
    /// Sizes of symbolic dimensions, by name.
    pub dims: BTreeMap<String, u32>,
    /// How ranges are found.
    pub calibration: Method,
    /// Ranges of tensors are taken larger than calibrated by this share of themselves, away from zero: other inputs
    /// may reach further than the samples did.
    pub headroom: f64,
    /// The declared range of every input; otherwise a little more than the samples show.
    pub input_range: Option<(f64, f64)>,
    /// Inputs whose unit and interval are given, by name: those of another model's output, whose integers then are this
    /// model's inputs as they stand.
    pub inputs: BTreeMap<String, DeclaredInput>,
}

/// Unit and interval of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeclaredInput {
    /// The real value of the integer 1.
    pub scale: Scale,
    /// Where the integers lie.
    pub bounds: Interval,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            bits: 10,
            input_bits: 10,
            shift: 10,
            weight_bits: 8,
            output_weight_bits: 16,
            table_bits: 10,
            max_range_bits: 11,
            max_min_bits: 7,
            per_channel: false,
            private_weights: false,
            declared_weight_bits: 12,
            declared_bias_bits: 26,
            dims: BTreeMap::new(),
            calibration: Method::MinMax,
            headroom: 0.0,
            input_range: None,
            inputs: BTreeMap::new(),
        }
    }
}

/// A recipe that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("recipe: {field} is {actual}, it must be {expected}")]
pub struct RecipeError {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub actual: String,
    /// What is allowed.
    pub expected: &'static str,
}

impl Recipe {
    /// The recipe for activations and inputs of this many bits, with all other widths to match.
    #[must_use]
    pub fn of_bits(bits: u8) -> Self {
        let default = Self::default();
        Self {
            bits,
            input_bits: bits,
            // Weights cost a bit or so of a shift: above the default they are as fine as activations.
            weight_bits: if bits > default.bits { bits } else { default.weight_bits },
            output_weight_bits: default.output_weight_bits.max((bits + 4).min(24)),
            max_range_bits: default.max_range_bits.max(bits + 1),
            max_min_bits: default.max_min_bits.max(bits.saturating_sub(3)),
            // Where there are bits to spare.
            headroom: if bits >= 12 { 0.125 } else { 0.0 },
            ..default
        }
    }

    /// Bits of the largest factor of a tensor that is added to others.
    pub(crate) fn factor_bits(&self) -> u8 {
        self.bits.max(6)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`RecipeError`], naming the first field that is out of range.
    pub fn check(&self) -> Result<(), RecipeError> {
        let check = |field, value: u8, range: std::ops::RangeInclusive<u8>, expected| {
            if range.contains(&value) {
                Ok(())
            } else {
                Err(RecipeError { field, actual: value.to_string(), expected })
            }
        };
        check("bits", self.bits, 4..=24, "4 to 24")?;
        check("input_bits", self.input_bits, 4..=24, "4 to 24")?;
        check("shift", self.shift, 1..=30, "1 to 30")?;
        check("weight_bits", self.weight_bits, 2..=24, "2 to 24")?;
        check("output_weight_bits", self.output_weight_bits, 4..=28, "4 to 28")?;
        check("table_bits", self.table_bits, 4..=18, "4 to 18")?;
        check("max_range_bits", self.max_range_bits, 4..=30, "4 to 30")?;
        check("max_min_bits", self.max_min_bits, 1..=24, "1 to 24")?;
        check("declared_weight_bits", self.declared_weight_bits, 4..=32, "4 to 32")?;
        check("declared_bias_bits", self.declared_bias_bits, 8..=60, "8 to 60")?;
        let fail = |field, actual: String, expected| Err(RecipeError { field, actual, expected });
        match self.calibration {
            Method::Percentile(p) if !(p > 0.5 && p <= 1.0) => {
                return fail("calibration", format!("percentile {p}"), "a share above 0.5, up to 1")
            }
            _ => {}
        }
        if !(0.0..=8.0).contains(&self.headroom) {
            return fail("headroom", self.headroom.to_string(), "0 to 8");
        }
        match self.input_range {
            Some((lo, hi)) if !(lo.is_finite() && hi.is_finite() && lo < hi) => {
                fail("input_range", format!("{lo}..{hi}"), "two finite numbers in order")
            }
            _ => Ok(()),
        }
    }
}
