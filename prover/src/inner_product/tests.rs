use super::*;
use group::Group as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

fn generators(k: u32) -> Generators {
    Generators::new(&zkonnx_verifier::params::derive(k).expect("supported")).expect("halo2's parameters")
}

fn combine(scalars: &[Fp], points: &[Point]) -> Point {
    crate::multiexp::multiexp(scalars, &points.iter().copied().map(Affine::from).collect::<Vec<_>>())
}

/// Every round, folding everything as it is written.
fn agrees_with_folding(generators: &Generators, a: Vec<Fp>, b: Vec<Fp>, challenges: impl Fn(usize) -> Fp) {
    let mut g: Vec<Point> = generators.coefficient.iter().copied().map(Point::from).collect();
    let (mut plain_a, mut plain_b) = (a.clone(), b.clone());
    let mut rounds = Rounds::new(generators, a, b);
    for round in 0.. {
        assert_eq!(rounds.len(), plain_a.len());
        assert_eq!(rounds.is_done(), plain_a.len() == 1);
        if rounds.is_done() {
            break;
        }
        let half = plain_a.len() / 2;
        let expected = Cross {
            left: combine(&plain_a[..half], &g[half..]),
            right: combine(&plain_a[half..], &g[..half]),
            left_value: inner_product(&plain_a[..half], &plain_b[half..]),
            right_value: inner_product(&plain_a[half..], &plain_b[..half]),
        };
        assert_eq!(rounds.cross_terms(), expected, "round {round}");
        let u = challenges(round);
        let inverse = u.invert().unwrap_or(Fp::ZERO);
        rounds.fold(u, inverse);
        plain_a = (0..half).map(|i| plain_a[i] + u * plain_a[half + i]).collect();
        plain_b = (0..half).map(|i| plain_b[i] + inverse * plain_b[half + i]).collect();
        g = (0..half).map(|i| g[i] + g[half + i] * inverse).collect();
    }
    assert_eq!(rounds.finish(), plain_a[0]);
}

#[test]
fn all_rounds_agree_with_folding_every_round() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for k in [5, 6, 8, 9] {
        let generators = generators(k);
        let mut random = |_| Fp::random(&mut rng);
        let (a, b): (Vec<Fp>, Vec<Fp>) =
            ((0..1 << k).map(&mut random).collect(), (0..1 << k).map(&mut random).collect());
        let challenges: Vec<Fp> = (0..usize::try_from(k).expect("small")).map(&mut random).collect();
        agrees_with_folding(&generators, a, b, |round| challenges[round]);
    }
}

#[test]
fn extreme_vectors_challenges_and_generators_are_no_exception() {
    let mut generators = generators(7);
    generators.coefficient[5] = generators.coefficient[70];
    generators.coefficient[6] = -generators.coefficient[71];
    generators.coefficient[9] = Point::identity().into();
    let special = [
        Fp::ZERO,
        Fp::ONE,
        -Fp::ONE,
        Fp::from(128),
        -Fp::from(128),
        Fp::from(u64::MAX),
        Fp::ONE.double().invert().expect("not zero"),
    ];
    let vector = |step: usize| (0..128).map(|i| special[i * step % special.len()]).collect::<Vec<Fp>>();
    for u in special {
        agrees_with_folding(&generators, vector(1), vector(3), |_| u);
        agrees_with_folding(&generators, vec![Fp::ZERO; 128], vector(2), |_| u);
    }
}

#[test]
fn collapsing_agrees_for_both_windows_whole_and_in_halves() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let few: Vec<Affine> = (0..8).map(|_| Point::random(&mut rng).into()).collect();
    let generators: Vec<Affine> = (0..2048).map(|i| few[i * i / 3 % 8]).collect();
    for (count, size) in [(2048, 4), (2048, 256), (64, 2), (64, 32)] {
        let shifts = Shifts::new(&generators[..count]);
        let weights: Vec<Fp> = (0..size).map(|i| if i == 1 { -Fp::ONE } else { Fp::random(&mut rng) }).collect();
        let left = count / size;
        let found = shifts.collapse(&weights);
        assert_eq!(found.len(), left);
        for i in [0, left / 2, left - 1] {
            let expected = (0..size).map(|t| generators[t * left + i] * weights[t]).sum::<Point>();
            assert_eq!(found[i], expected, "{count} {size} {i}");
        }
    }
}
