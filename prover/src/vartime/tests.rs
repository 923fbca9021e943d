//! The group is the one of pasta_curves.

use super::*;
use ff::Field;
use group::{Curve as _, Group as _};
use halo2_proofs::arithmetic::best_multiexp;
use pasta_curves::{arithmetic::CurveExt as _, Eq, EqAffine, Fp};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

/// Neutral, equal, opposite and random points, with other denominators and doublings.
fn points() -> Vec<(Point, Eq)> {
    let base = Eq::random(&mut rng());
    let mut points = vec![(Point::identity(), Eq::identity())];
    for multiple in [1, 2, 3, 5, 8] {
        let scalar = Fp::from(multiple);
        for scalar in [scalar, -scalar] {
            let expected = base * scalar;
            let affine = Affine::from(expected.to_affine());
            points.push((affine.into(), expected));
            // Another denominator.
            points.push((Point::from(base) * scalar, expected));
            points.push(((Point::from(affine).double().double()), expected.double().double()));
        }
    }
    points
}

#[track_caller]
fn assert_same(ours: Point, theirs: Eq) {
    assert_eq!(EqAffine::from(Affine::from(ours)), theirs.to_affine());
    assert_eq!(ours, Point::from(theirs));
    assert_eq!(bool::from(ours.is_identity()), bool::from(theirs.is_identity()));
    assert!(bool::from(ours.is_on_curve()));
    assert_eq!(format!("{:?}", ours.to_affine()), format!("{:?}", theirs.to_affine()));
}

#[test]
fn sums_and_multiples_are_the_same() {
    for (first, expected) in points() {
        assert_same(first, expected);
        assert_same(-first, -expected);
        assert_same(first.double(), expected.double());
        for (second, other) in points() {
            assert_same(first + second, expected + other);
            assert_same(first - second, expected - other);
            assert_same(first + second.to_affine(), expected + other);
            assert_same(first - second.to_affine(), expected - other);
            assert_same(first.to_affine() + second.to_affine(), expected + other);
            assert_same(first.double() + second, expected.double() + other);
            assert_eq!(first == second, expected == other);
        }
        let mut rng = rng();
        let special = [
            Fp::ZERO,
            Fp::ONE,
            -Fp::ONE,
            Fp::from(16),
            Fp::from(u64::MAX),
            Fp::ONE.double().invert().expect("not zero"),
        ];
        for scalar in special.into_iter().chain((0..4).map(|_| Fp::random(&mut rng))) {
            assert_same(first * scalar, expected * scalar);
            assert_same(first.to_affine() * scalar, expected * scalar);
        }
    }
}

#[test]
fn points_are_normalised_together() {
    let all = points();
    let ours: Vec<Point> = all.iter().map(|(ours, _)| *ours).collect();
    let mut affine = vec![Affine::default(); ours.len()];
    Point::batch_normalize_vartime(&ours, &mut affine);
    for (affine, (_, theirs)) in affine.into_iter().zip(all) {
        assert_eq!(EqAffine::from(affine), theirs.to_affine());
        assert_eq!(Option::<Affine>::from(Affine::from_bytes(&affine.to_bytes())).expect("a point"), affine);
    }
    let off = Affine::from(EqAffine::from(Affine::from(ours[1])));
    let mut bytes = off.to_bytes();
    bytes.0[0] ^= 1;
    assert!(bool::from(Affine::from_bytes(&bytes).is_none()));
}

#[test]
fn halo2_multiplies_to_the_same_with_any_number_of_threads() {
    let mut rng = rng();
    for (count, small) in [(3, false), (40, false), (257, false), (257, true)] {
        let scalar = |i: u64| if small { Fp::from(i % 100) } else { Fp::random(&mut rng) };
        let scalars: Vec<Fp> = (0..count).map(scalar).collect();
        let bases: Vec<EqAffine> = (0..count).map(|i| (Eq::generator() * Fp::from(i / 2)).to_affine()).collect();
        let ours: Vec<Affine> = bases.iter().map(|base| Affine::from(*base)).collect();
        let expected = best_multiexp(&scalars, &bases);
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            assert_same(pool.install(|| best_multiexp(&scalars, &ours)), expected);
        }
    }
}
