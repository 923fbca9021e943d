//! The check of points against the columns that they are to be commitments of.
#![allow(clippy::unwrap_used)]

use ff::Field;
use group::Curve;
use pasta_curves::{EqAffine, Fp};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkonnx_prover::{
    commit::commit_columns,
    generators::{normalise, Generators},
    points::commit_to,
};
use zkonnx_quantize::integers::Integers;

#[test]
fn one_point_one_blind_or_one_weight_of_another_model_is_noticed() {
    // More rows than a thread adds up at a time.
    let generators = Generators::new(&zkonnx_verifier::params::derive(11).unwrap()).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let column =
        |(j, rows): (i64, i64)| Integers::new(&(0..rows).map(|i| (i * 37 + j) % 255 - 127).collect::<Vec<_>>());
    let columns: Vec<Integers> = (0..)
        .zip([2048, 1500, 700, 2048, 1500, 700])
        .map(column)
        .chain([Integers::default(), Integers::new(&[i64::MIN, 0, i64::MAX]), Integers::new(&[0; 20])])
        .collect();
    for blinded in [false, true] {
        let blinds: Vec<Fp> = columns.iter().map(|_| if blinded { Fp::random(&mut rng) } else { Fp::ZERO }).collect();
        let mut points = commit_columns(&columns.iter().collect::<Vec<_>>(), &generators);
        points.iter_mut().zip(&blinds).for_each(|(point, blind)| *point += generators.blind(*blind));
        let points = normalise(&points);
        let holds = |points: &[EqAffine], columns: &[Integers], blinds: &[Fp]| {
            commit_to(points, (columns, blinds), &generators).unwrap()
        };
        assert!(holds(&points, &columns, &blinds));
        for at in 0..points.len() {
            let mut other = points.clone();
            other[at] = (points[at] + EqAffine::from(generators.row[5])).to_affine();
            assert!(!holds(&other, &columns, &blinds), "point {at}");
            let mut other = blinds.clone();
            other[at] += Fp::ONE;
            assert!(!holds(&points, &columns, &other), "blind {at}");
        }
        let mut other = columns.clone();
        other[4] =
            Integers::new(&columns[4].iter().enumerate().map(|(i, v)| v + i64::from(i == 1499)).collect::<Vec<_>>());
        assert!(!holds(&points, &other, &blinds));
        // Exchanged: their sum is the same.
        let mut other = points.clone();
        other.swap(0, 1);
        assert!(!holds(&other, &columns, &blinds));
        assert!(!holds(&points[1..], &columns, &blinds));
    }
    assert!(commit_to(&[], (&[], &[]), &generators).unwrap());
}
