use super::*;
use crate::{multiexp::small_multiexp, vartime::Affine};
use group::Group as _;
use zkonnx_circuits::field::from_i64;

fn generators(k: u32) -> Generators {
    Generators::new(&zkonnx_verifier::params::derive(k).expect("supported")).expect("halo2's parameters")
}

/// Numbers that look random, below `bound`.
fn numbers(seed: u64, bound: u64) -> impl Iterator<Item = i64> {
    let next = |x: &u64| Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(Some(seed), next).map(move |x| i64::try_from((x >> 33) % bound).expect("small"))
}

fn plain(column: &Integers, row: &[Affine]) -> Point {
    column.iter().zip(row).map(|(v, base)| *base * from_i64(v)).sum()
}

/// Columns of all kinds.
fn columns(n: usize) -> Vec<Integers> {
    let mut columns = vec![
        Integers::default(),
        Integers::new(&vec![0; n]),
        Integers::new(&[0, 0, 1]),
        Integers::new(&vec![-1; n]),
        Integers::new(&vec![127; n]),
        Integers::new(&vec![-128; n]),
        Integers::new(&[i64::MAX, i64::MIN, i64::MIN + 1, 0, -1, i64::from(i32::MIN), 1 << 40]),
        Integers::I64(vec![3, 0, -3]),
        Integers::I16(vec![256, -256, 255, 257, i16::MIN, i16::MAX]),
    ];
    for (seed, bound) in (0..).zip([2, 100, 256, 257, 1024, 4096, 1 << 16, 1 << 30]) {
        let centred: Vec<i64> =
            numbers(seed, bound).map(|v| v - i64::try_from(bound / 2).expect("small")).take(n).collect();
        columns.push(Integers::new(&centred));
        columns.push(Integers::new(&numbers(seed, bound).take(n / 2).collect::<Vec<i64>>()));
        columns.push(Integers::new(
            &numbers(seed, bound).map(|v| if v % 7 == 0 { v } else { 0 }).take(n).collect::<Vec<i64>>(),
        ));
    }
    columns
}

#[test]
fn every_method_agrees_with_single_multiplications() {
    let generators = generators(6);
    let columns = columns(64);
    let all: Vec<&Integers> = columns.iter().collect();
    let expected: Vec<Point> = columns.iter().map(|column| plain(column, &generators.row)).collect();
    assert_eq!(commit_columns(&all, &generators), expected);
    let profiles: Vec<Profile> = columns.iter().map(Profile::new).collect();
    assert_eq!(commit_with_windows(&all, &profiles, &generators.row), expected);
    // The table grows, and a larger one serves.
    for count in [0, 1, 128, 256, 200, 2048] {
        let fits: Vec<usize> = (0..columns.len()).filter(|i| profiles[*i].fits(count)).collect();
        let few: Vec<&Integers> = fits.iter().map(|i| all[*i]).collect();
        let expected: Vec<Point> = fits.iter().map(|i| expected[*i]).collect();
        for kept in [true, false] {
            assert_eq!(commit_with_multiples(&few, &generators, count, kept), expected, "{count} {kept}");
        }
    }
    assert!(commit_columns(&[], &generators).is_empty());
}

#[test]
fn many_columns_agree_with_one_by_one_for_every_plan() {
    let generators = generators(9);
    let mut plans = Vec::new();
    for (count, bound) in [(70, 256), (3, 256), (600, 512), (5, 60_000)] {
        let columns: Vec<Integers> =
            (0..count).map(|i| Integers::new(&numbers(i, bound).take(512).collect::<Vec<i64>>())).collect();
        let all: Vec<&Integers> = columns.iter().collect();
        let profiles: Vec<Profile> = columns.iter().map(Profile::new).collect();
        plans.push(Plan::new(&profiles, 512, 512 * columns.len(), 0));
        for (column, point) in columns.iter().zip(commit_columns(&all, &generators)) {
            assert_eq!(point, small_multiexp(&column.to_vec(), &generators.row));
        }
    }
    assert!(plans.iter().any(|plan| plan.kept), "{plans:?}");
    assert!(plans.iter().any(|plan| !plan.kept && plan.count > 0), "{plans:?}");
    assert!(plans.iter().any(|plan| plan.count == 0), "{plans:?}");
}

#[test]
fn generators_that_are_equal_opposite_or_neutral_are_no_exception() {
    let mut generators = generators(6);
    generators.row[1] = generators.row[0];
    generators.row[3] = -generators.row[2];
    generators.row[4] = Point::identity().into();
    for i in 8..40 {
        generators.row[i] = generators.row[i % 4];
    }
    let columns = columns(64);
    let all: Vec<&Integers> = columns.iter().collect();
    let expected: Vec<Point> = columns.iter().map(|column| plain(column, &generators.row)).collect();
    assert_eq!(commit_columns(&all, &generators), expected);
    let profiles: Vec<Profile> = columns.iter().map(Profile::new).collect();
    assert_eq!(commit_with_windows(&all, &profiles, &generators.row), expected);
}

#[test]
fn widths_are_those_of_twos_complement() {
    let bits = |values: &[i64]| Profile::new(&Integers::new(values)).bits;
    assert_eq!([bits(&[]), bits(&[0]), bits(&[-1]), bits(&[1])], [1, 1, 1, 2]);
    assert_eq!([bits(&[127]), bits(&[-128]), bits(&[128]), bits(&[-129])], [8, 8, 9, 9]);
    assert_eq!([bits(&[i64::MAX]), bits(&[i64::MIN])], [64, 64]);
}
