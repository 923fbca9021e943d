//! Tables: total functions on an interval of integers, part of the model.

use crate::{curve::Curve, graph::Interval, scale::Scale};
use bincode::{Decode, Encode};

/// A named real function.
///
/// Entries of a named function are computed with `libm` (pure Rust, the same bits on every machine)
/// and rounded half-up, so anyone can recompute them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Function {
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `e^x`.
    Exp,
    /// Some other function: the entries are all that is known of it.
    Custom,
    /// A curve at the argument.
    Curve(Curve),
    /// The middle of a segment of a curve: entry `x` is `(f(x − ½) + 2 f(x) + f(x + ½)) / 4` in steps of the
    /// argument's unit, halfway between the curve and its chord.
    Middle(Curve),
    /// The rise of a curve over a segment: entry `x` is `f(x + ½) − f(x − ½)` in steps of the argument's unit.
    Rise(Curve),
}

impl Function {
    /// The value at `x`, for arguments in steps of `unit`; `None` for a custom function.
    #[must_use]
    pub fn evaluate(self, x: f64, unit: f64) -> Option<f64> {
        let half = unit / 2.0;
        match self {
            Self::Sigmoid => Some(Curve::Sigmoid.evaluate(x)),
            Self::Tanh => Some(Curve::Tanh.evaluate(x)),
            Self::Exp => Some(Curve::Exp.evaluate(x)),
            Self::Custom => None,
            Self::Curve(curve) => Some(curve.evaluate(x)),
            Self::Middle(curve) => {
                let f = |x| curve.evaluate(x);
                Some((f(x - half) + 2.0 * f(x) + f(x + half)) / 4.0)
            }
            Self::Rise(curve) => Some(curve.evaluate(x + half) - curve.evaluate(x - half)),
        }
    }
}

/// A function on the integers `lo ..= lo + entries.len() - 1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Table {
    /// The function that the entries approximate.
    pub function: Function,
    /// Unit of the argument.
    pub input_scale: Scale,
    /// Unit of the value.
    pub output_scale: Scale,
    /// The smallest argument.
    pub lo: i64,
    /// The values, one per argument.
    pub entries: Vec<i32>,
}

impl Table {
    /// The table of a named function: entry `i` is `round_half_up(f((lo + i) · input_scale) / output_scale)`.
    ///
    /// `None` for a custom function, or when a value does not fit 32 bits.
    #[must_use]
    pub fn named(function: Function, input_scale: Scale, output_scale: Scale, domain: Interval) -> Option<Self> {
        let entries = (domain.lo..=domain.hi)
            .map(|x| {
                #[allow(clippy::cast_precision_loss)] // domains are small
                let value = function.evaluate(x as f64 * input_scale.to_f64(), input_scale.to_f64())?;
                let value = value / output_scale.to_f64();
                let rounded = libm::floor(value + 0.5);
                #[allow(clippy::cast_possible_truncation)] // checked
                (rounded.abs() <= f64::from(i32::MAX)).then_some(rounded as i32)
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { function, input_scale, output_scale, lo: domain.lo, entries })
    }

    /// The largest argument.
    #[must_use]
    pub fn hi(&self) -> i64 {
        self.lo + i64::try_from(self.entries.len()).unwrap_or(i64::MAX / 2) - 1
    }

    /// The value at `x`, saturated to the table's interval.
    #[must_use]
    pub fn value(&self, x: i64) -> i64 {
        let index = usize::try_from(x.clamp(self.lo, self.hi()) - self.lo).unwrap_or(0);
        self.entries.get(index).map_or(0, |e| i64::from(*e))
    }

    /// The smallest interval that holds all values on `domain`.
    #[must_use]
    pub fn image(&self, domain: Interval) -> Interval {
        let index = |x: i64| usize::try_from(x.clamp(self.lo, self.hi()) - self.lo).unwrap_or(0);
        let part = self.entries.get(index(domain.lo)..=index(domain.hi)).unwrap_or(&self.entries);
        let lo = part.iter().min().copied().unwrap_or(0);
        let hi = part.iter().max().copied().unwrap_or(0);
        Interval::new(i64::from(lo), i64::from(hi))
    }

    /// Whether the entries of a named function are what anyone would recompute.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        self.function == Function::Custom
            || Self::named(self.function, self.input_scale, self.output_scale, Interval::new(self.lo, self.hi()))
                .as_ref()
                == Some(self)
    }
}
