//! Points with affine coordinates.

use super::Point;
use ff::{Field, PrimeField};
use group::{CurveAffine as _, GroupEncoding};
use pasta_curves::{
    arithmetic::{Coordinates, CurveAffine},
    EqAffine, Fp, Fq,
};
use std::{
    fmt,
    ops::{Add, Mul, Neg, Sub},
};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, CtOption};

/// A point of Vesta; the identity has the coordinates zero, which no other point has.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Affine {
    pub(super) x: Fq,
    pub(super) y: Fq,
}

/// Both coordinates, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct Uncompressed(pub [u8; 64]);

impl Default for Uncompressed {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl AsRef<[u8]> for Uncompressed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsMut<[u8]> for Uncompressed {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Affine {
    pub(super) fn is_neutral(&self) -> bool {
        // No point has order two.
        self.y.is_zero_vartime()
    }
}

/// As pasta_curves shows it: halo2's digest of a verifying key depends on it.
impl fmt::Debug for Affine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        EqAffine::from(*self).fmt(f)
    }
}

impl From<EqAffine> for Affine {
    fn from(point: EqAffine) -> Self {
        let coordinates: Option<Coordinates<EqAffine>> = point.coordinates().into();
        coordinates.map_or_else(Self::default, |c| Self { x: *c.x(), y: *c.y() })
    }
}

impl From<Affine> for EqAffine {
    fn from(point: Affine) -> Self {
        // Neither the identity nor, if there were one, a point off the curve.
        Option::from(EqAffine::from_xy(point.x, point.y)).unwrap_or_default()
    }
}

impl From<Point> for Affine {
    fn from(point: Point) -> Self {
        point.normalised()
    }
}

impl Neg for Affine {
    type Output = Self;

    fn neg(self) -> Self {
        Self { x: self.x, y: -self.y }
    }
}

impl Add for Affine {
    type Output = Point;

    fn add(self, other: Self) -> Point {
        Point::of_two(&self, &other)
    }
}

impl Sub for Affine {
    type Output = Point;

    fn sub(self, other: Self) -> Point {
        Point::of_two(&self, &-other)
    }
}

impl Mul<Fp> for Affine {
    type Output = Point;

    fn mul(self, scalar: Fp) -> Point {
        Point::from(self).times(&scalar)
    }
}

impl Mul<&Fp> for Affine {
    type Output = Point;

    fn mul(self, scalar: &Fp) -> Point {
        Point::from(self).times(scalar)
    }
}

impl ConditionallySelectable for Affine {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self { x: Fq::conditional_select(&a.x, &b.x, choice), y: Fq::conditional_select(&a.y, &b.y, choice) }
    }
}

impl ConstantTimeEq for Affine {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.x.ct_eq(&other.x) & self.y.ct_eq(&other.y)
    }
}

impl GroupEncoding for Affine {
    type Repr = Uncompressed;

    fn from_bytes(bytes: &Uncompressed) -> CtOption<Self> {
        let point = Self::from_bytes_unchecked(bytes);
        point.and_then(|point| CtOption::new(point, point.is_on_curve()))
    }

    fn from_bytes_unchecked(bytes: &Uncompressed) -> CtOption<Self> {
        let half = |at: usize| {
            let mut repr = [0; 32];
            repr.copy_from_slice(&bytes.0[at..at + 32]);
            Fq::from_repr(repr)
        };
        half(0).and_then(|x| half(32).map(|y| Self { x, y }))
    }

    fn to_bytes(&self) -> Uncompressed {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.x.to_repr());
        bytes[32..].copy_from_slice(&self.y.to_repr());
        Uncompressed(bytes)
    }
}

impl group::CurveAffine for Affine {
    type Curve = Point;
    type Scalar = Fp;

    fn identity() -> Self {
        Self::default()
    }

    fn generator() -> Self {
        EqAffine::generator().into()
    }

    fn is_identity(&self) -> Choice {
        self.y.is_zero()
    }

    fn to_curve(&self) -> Point {
        (*self).into()
    }
}

impl CurveAffine for Affine {
    type ScalarExt = Fp;
    type Base = Fq;
    type CurveExt = Point;

    fn coordinates(&self) -> CtOption<Coordinates<Self>> {
        // Fails for the identity, which is not on the curve.
        Coordinates::from_xy(self.x, self.y)
    }

    fn from_xy(x: Fq, y: Fq) -> CtOption<Self> {
        let point = Self { x, y };
        CtOption::new(point, point.is_on_curve() & !point.is_identity())
    }

    fn is_on_curve(&self) -> Choice {
        self.y.square().ct_eq(&(self.x.square() * self.x + Self::b())) | self.is_identity()
    }

    fn a() -> Fq {
        EqAffine::a()
    }

    fn b() -> Fq {
        EqAffine::b()
    }
}
