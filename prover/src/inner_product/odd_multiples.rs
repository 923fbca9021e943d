//! Products over a few points, interleaved.

use crate::vartime::{endomorphism, halves, signed_odd_digits, Affine, Point, ODD_MULTIPLES};
use group::{Curve as _, Group as _};
use pasta_curves::Fp;

/// `1, 3, 5 …` times each of some points, and times `λ` times each.
#[derive(Debug)]
pub(super) struct OddMultiples {
    plain: Vec<Affine>,
    turned: Vec<Affine>,
}

impl OddMultiples {
    /// Makes them: 3 µs for a point.
    pub(super) fn new(points: &[Affine]) -> Self {
        let multiples = points.iter().flat_map(|point| {
            let double = (*point + *point).done();
            std::iter::successors(Some(Point::from(*point)), move |last| Some(*last + double)).take(ODD_MULTIPLES)
        });
        let multiples: Vec<Point> = multiples.collect();
        let mut plain = vec![Affine::default(); multiples.len()];
        Point::batch_normalize(&multiples, &mut plain);
        let turned = plain.iter().map(endomorphism).collect();
        Self { plain, turned }
    }

    /// `Σ scalar·point[place]`: the doublings of all terms are shared, a term takes some 43 mixed additions.
    pub(super) fn product(&self, terms: impl Iterator<Item = (usize, Fp)>) -> Point {
        let mut digits: Vec<(&[Affine], Vec<i8>)> = Vec::new();
        for (place, scalar) in terms {
            for (half, multiples) in halves(&scalar).into_iter().zip([&self.plain, &self.turned]) {
                let mut own = signed_odd_digits(&half.magnitude.to_le_bytes());
                if half.negative {
                    own.iter_mut().for_each(|digit| *digit = -*digit);
                }
                digits.push((multiples.get(place * ODD_MULTIPLES..).unwrap_or_default(), own));
            }
        }
        let length = digits.iter().map(|(_, digits)| digits.len()).max().unwrap_or(0);
        (0..length).rev().fold(Point::identity(), |sum, bit| {
            let mut sum = sum.double();
            for (multiples, digits) in &digits {
                match digits.get(bit) {
                    Some(digit) if *digit > 0 => sum += &multiples[usize::from(digit.unsigned_abs() / 2)],
                    Some(digit) if *digit < 0 => sum -= &multiples[usize::from(digit.unsigned_abs() / 2)],
                    _ => {}
                }
            }
            sum
        })
    }
}
