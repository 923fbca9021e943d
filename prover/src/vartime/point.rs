//! Points with coordinates `(X, Y, ZZ, ZZZ)`, and doublings that are still to be done.

use super::{Affine, Uncompressed};
use ff::{Field, PrimeField};
use group::{CurveAffine as _, Group, GroupEncoding};
use pasta_curves::{
    arithmetic::{CurveAffine as _, CurveExt, VartimeField},
    Eq as Vesta, Fp, Fq,
};
use rand_core::TryRng;
use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign},
};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, CtOption};

/// `2^doublings` times the point with `x = X/ZZ`, `y = Y/ZZZ`; the identity has `ZZ = 0`.
#[derive(Clone, Copy, Default)]
pub struct Point {
    x: Fq,
    y: Fq,
    zz: Fq,
    zzz: Fq,
    doublings: u32,
}

/// Bits of a window of a scalar multiplication.
const WINDOW: usize = 5;
/// Odd multiples of a point that the digits of a window need.
pub(crate) const ODD_MULTIPLES: usize = 1 << (WINDOW - 2);

impl Point {
    fn is_neutral(&self) -> bool {
        self.zz.is_zero_vartime()
    }

    /// The sum of two affine points (mmadd-2008-s).
    pub(super) fn of_two(first: &Affine, second: &Affine) -> Self {
        if first.is_neutral() || second.is_neutral() {
            return Self::from(if first.is_neutral() { *second } else { *first });
        }
        let (p, r) = (second.x - first.x, second.y - first.y);
        if p.is_zero_vartime() {
            return if r.is_zero_vartime() { Self::from(*first).doubled() } else { Self::default() };
        }
        let pp = p.square();
        let ppp = p * pp;
        let q = first.x * pp;
        let x = r.square() - ppp - q.double();
        Self { x, y: r * (q - x) - first.y * ppp, zz: pp, zzz: ppp, doublings: 0 }
    }

    /// The double (dbl-2008-s-1).
    fn doubled(&self) -> Self {
        if self.is_neutral() {
            return *self;
        }
        let u = self.y.double();
        let v = u.square();
        let w = u * v;
        let s = self.x * v;
        let xx = self.x.square();
        let m = xx.double() + xx;
        let x = m.square() - s.double();
        Self { x, y: m * (s - x) - w * self.y, zz: v * self.zz, zzz: w * self.zzz, doublings: self.doublings }
    }

    /// The same with no more than so many doublings left.
    fn with_doublings(&self, left: u32) -> Self {
        let mut point = *self;
        while point.doublings > left {
            point = point.doubled();
            point.doublings -= 1;
        }
        point
    }

    /// The sum with an affine point (madd-2008-s).
    fn plus_affine(&self, other: &Affine) -> Self {
        if other.is_neutral() {
            return *self;
        }
        if self.is_neutral() {
            return Self::from(*other);
        }
        let Self { x: x1, y: y1, zz, zzz, .. } = self.with_doublings(0);
        let (p, r) = (other.x * zz - x1, other.y * zzz - y1);
        if p.is_zero_vartime() {
            return if r.is_zero_vartime() { Self::from(*other).doubled() } else { Self::default() };
        }
        let pp = p.square();
        let ppp = p * pp;
        let q = x1 * pp;
        let x = r.square() - ppp - q.double();
        Self { x, y: r * (q - x) - y1 * ppp, zz: zz * pp, zzz: zzz * ppp, doublings: 0 }
    }

    /// The sum (add-2008-s). Doublings of both are left.
    fn plus(&self, other: &Self) -> Self {
        if self.is_neutral() || other.is_neutral() {
            return if self.is_neutral() { *other } else { *self };
        }
        let doublings = self.doublings.min(other.doublings);
        let (first, second) = (self.with_doublings(doublings), other.with_doublings(doublings));
        let (u1, s1) = (first.x * second.zz, first.y * second.zzz);
        let (p, r) = (second.x * first.zz - u1, second.y * first.zzz - s1);
        if p.is_zero_vartime() {
            return if r.is_zero_vartime() { first.doubled() } else { Self::default() };
        }
        let pp = p.square();
        let ppp = p * pp;
        let q = u1 * pp;
        let x = r.square() - ppp - q.double();
        Self {
            x,
            y: r * (q - x) - s1 * ppp,
            zz: first.zz * second.zz * pp,
            zzz: first.zzz * second.zzz * ppp,
            doublings,
        }
    }

    /// The same without doublings left.
    pub(crate) fn done(&self) -> Self {
        self.with_doublings(0)
    }

    /// A multiple: signed odd digits of windows, least significant first.
    pub(super) fn times(&self, scalar: &Fp) -> Self {
        let own = self.with_doublings(0);
        let double = own.doubled();
        // 1, 3, … 2^(WINDOW−1) − 1 times the point.
        let odd: Vec<Self> =
            std::iter::successors(Some(own), |last| Some(last.plus(&double))).take(ODD_MULTIPLES).collect();
        signed_odd_digits(scalar.to_repr().as_ref()).iter().rev().fold(Self::default(), |sum, digit| {
            let sum = sum.doubled();
            match odd.get(usize::from(digit.unsigned_abs() / 2)) {
                Some(_) if *digit == 0 => sum,
                Some(term) if *digit > 0 => sum.plus(term),
                Some(term) => sum.plus(&-*term),
                None => sum,
            }
        })
    }

    /// The affine point.
    pub(super) fn normalised(&self) -> Affine {
        let mut points = [Affine::default()];
        normalise(&[*self], &mut points);
        points[0]
    }

    /// The same in the coordinates of pasta_curves.
    fn to_vesta(self) -> Vesta {
        let Self { x, y, zz, zzz, .. } = self.with_doublings(0);
        // With Z = ZZ: Z² = ZZ·ZZ, Z³ = ZZZ·ZZZ.
        Option::from(Vesta::new_jacobian(x * zz, y * zzz, zz)).unwrap_or_default()
    }
}

/// The signed digits of a number, little-endian: odd or zero, below `2^(WINDOW−1)`, and of `WINDOW` in a row at most one is not zero.
pub(crate) fn signed_odd_digits(bytes: &[u8]) -> Vec<i8> {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| i8::try_from(byte >> (at % 8) & 1).unwrap_or(0));
    let mut digits = vec![0; 8 * bytes.len() + 1];
    let (mut carry, mut at) = (0, 0);
    while at < digits.len() {
        if bit(at) == carry {
            at += 1;
            continue;
        }
        let window = (0..WINDOW).map(|i| bit(at + i) << i).sum::<i8>() + carry;
        carry = window >> (WINDOW - 1);
        digits[at] = window - (carry << WINDOW);
        at += WINDOW;
    }
    digits
}

/// Affine coordinates of many points, with one inversion.
fn normalise(points: &[Point], affine: &mut [Affine]) {
    let mut product = Fq::ONE;
    let mut flushed = Vec::with_capacity(points.len());
    for (point, affine) in points.iter().zip(affine.iter_mut()) {
        // The product of what came before, for a while.
        affine.x = product;
        let point = point.with_doublings(0);
        if !point.is_neutral() {
            product *= point.zzz;
        }
        flushed.push(point);
    }
    let mut inverse = product.invert_vartime().unwrap_or(Fq::ZERO);
    for (point, affine) in flushed.iter().zip(affine.iter_mut()).rev() {
        if point.is_neutral() {
            *affine = Affine::default();
            continue;
        }
        let own = inverse * affine.x;
        inverse *= point.zzz;
        // 1/Z = ZZ/ZZZ.
        let z = point.zz * own;
        *affine = Affine { x: point.x * z.square(), y: point.y * own };
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.normalised().fmt(f)
    }
}

impl From<Affine> for Point {
    fn from(Affine { x, y }: Affine) -> Self {
        match y.is_zero_vartime() {
            true => Self::default(),
            false => Self { x, y, zz: Fq::ONE, zzz: Fq::ONE, doublings: 0 },
        }
    }
}

impl From<Vesta> for Point {
    fn from(point: Vesta) -> Self {
        let (x, y, z) = point.jacobian_coordinates();
        let zz = z.square();
        Self { x, y, zz, zzz: zz * z, doublings: 0 }
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        let (first, second) = (self.with_doublings(0), other.with_doublings(0));
        match (first.is_neutral(), second.is_neutral()) {
            (false, false) => {
                first.x * second.zz == second.x * first.zz && first.y * second.zzz == second.y * first.zzz
            }
            (first, second) => first == second,
        }
    }
}

impl Eq for Point {}

impl Neg for Point {
    type Output = Self;

    fn neg(self) -> Self {
        Self { y: -self.y, ..self }
    }
}

impl Neg for &Point {
    type Output = Point;

    fn neg(self) -> Point {
        -*self
    }
}

/// Sums and differences with points of one kind, by value and by reference.
macro_rules! sums {
    ($other:ty, $plus:ident) => {
        impl Add<$other> for Point {
            type Output = Point;
            fn add(self, other: $other) -> Point {
                self.$plus(&other)
            }
        }
        impl Add<&$other> for Point {
            type Output = Point;
            fn add(self, other: &$other) -> Point {
                self.$plus(other)
            }
        }
        impl Sub<$other> for Point {
            type Output = Point;
            fn sub(self, other: $other) -> Point {
                self.$plus(&-other)
            }
        }
        impl Sub<&$other> for Point {
            type Output = Point;
            fn sub(self, other: &$other) -> Point {
                self.$plus(&-*other)
            }
        }
        impl AddAssign<$other> for Point {
            fn add_assign(&mut self, other: $other) {
                *self = self.$plus(&other);
            }
        }
        impl AddAssign<&$other> for Point {
            fn add_assign(&mut self, other: &$other) {
                *self = self.$plus(other);
            }
        }
        impl SubAssign<$other> for Point {
            fn sub_assign(&mut self, other: $other) {
                *self = self.$plus(&-other);
            }
        }
        impl SubAssign<&$other> for Point {
            fn sub_assign(&mut self, other: &$other) {
                *self = self.$plus(&-*other);
            }
        }
    };
}

sums!(Point, plus);
sums!(Affine, plus_affine);

impl Mul<Fp> for Point {
    type Output = Self;

    fn mul(self, scalar: Fp) -> Self {
        self.times(&scalar)
    }
}

impl Mul<&Fp> for Point {
    type Output = Self;

    fn mul(self, scalar: &Fp) -> Self {
        self.times(scalar)
    }
}

impl MulAssign<Fp> for Point {
    fn mul_assign(&mut self, scalar: Fp) {
        *self = self.times(&scalar);
    }
}

impl MulAssign<&Fp> for Point {
    fn mul_assign(&mut self, scalar: &Fp) {
        *self = self.times(scalar);
    }
}

impl Sum for Point {
    fn sum<I: Iterator<Item = Self>>(points: I) -> Self {
        points.fold(Self::default(), |sum, point| sum.plus(&point))
    }
}

impl<'a> Sum<&'a Point> for Point {
    fn sum<I: Iterator<Item = &'a Self>>(points: I) -> Self {
        points.fold(Self::default(), |sum, point| sum.plus(point))
    }
}

impl ConditionallySelectable for Point {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        let select = |of: fn(&Self) -> &Fq| Fq::conditional_select(of(a), of(b), choice);
        Self {
            x: select(|p| &p.x),
            y: select(|p| &p.y),
            zz: select(|p| &p.zz),
            zzz: select(|p| &p.zzz),
            doublings: u32::conditional_select(&a.doublings, &b.doublings, choice),
        }
    }
}

impl ConstantTimeEq for Point {
    fn ct_eq(&self, other: &Self) -> Choice {
        u8::from(self == other).into()
    }
}

impl Group for Point {
    type Scalar = Fp;

    fn try_random<R: TryRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        Vesta::try_random(rng).map(Self::from)
    }

    fn identity() -> Self {
        Self::default()
    }

    fn generator() -> Self {
        Affine::generator().into()
    }

    fn is_identity(&self) -> Choice {
        self.zz.is_zero()
    }

    fn double(&self) -> Self {
        Self { doublings: self.doublings + 1, ..*self }
    }
}

impl GroupEncoding for Point {
    type Repr = Uncompressed;

    fn from_bytes(bytes: &Uncompressed) -> CtOption<Self> {
        Affine::from_bytes(bytes).map(Self::from)
    }

    fn from_bytes_unchecked(bytes: &Uncompressed) -> CtOption<Self> {
        Affine::from_bytes_unchecked(bytes).map(Self::from)
    }

    fn to_bytes(&self) -> Uncompressed {
        self.normalised().to_bytes()
    }
}

impl group::Curve for Point {
    type Affine = Affine;

    fn batch_normalize(points: &[Self], affine: &mut [Affine]) {
        assert_eq!(points.len(), affine.len());
        normalise(points, affine);
    }

    fn to_affine(&self) -> Affine {
        self.normalised()
    }
}

impl group::prime::PrimeGroup for Point {}

impl group::prime::PrimeCurve for Point {}

impl CurveExt for Point {
    type ScalarExt = Fp;
    type Base = Fq;
    type AffineExt = Affine;

    const CURVE_ID: &'static str = <Vesta as CurveExt>::CURVE_ID;

    fn endo(&self) -> Self {
        Self::from(self.to_vesta().endo())
    }

    fn jacobian_coordinates(&self) -> (Fq, Fq, Fq) {
        self.to_vesta().jacobian_coordinates()
    }

    fn hash_to_curve<'a>(domain_prefix: &'a str) -> Box<dyn Fn(&[u8]) -> Self + 'a> {
        let hasher = Vesta::hash_to_curve(domain_prefix);
        Box::new(move |message| Self::from(hasher(message)))
    }

    fn is_on_curve(&self) -> Choice {
        self.normalised().is_on_curve()
    }

    fn a() -> Fq {
        Affine::a()
    }

    fn b() -> Fq {
        Affine::b()
    }

    fn new_jacobian(x: Fq, y: Fq, z: Fq) -> CtOption<Self> {
        Vesta::new_jacobian(x, y, z).map(Self::from)
    }

    fn to_affine_vartime(&self) -> Affine {
        self.normalised()
    }

    fn batch_normalize_vartime(points: &[Self], affine: &mut [Affine]) {
        assert_eq!(points.len(), affine.len());
        normalise(points, affine);
    }
}
