//! The kernels of proving: multi-scalar multiplications, sums of integers times field elements. Results are checked before
//! they are timed.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use ff::Field;
use halo2_proofs::{arithmetic::best_multiexp, poly::commitment::Params};
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{
    field::{from_i64, inner_product},
    weighted::{weighted_inner_product, weighted_sum, Weights},
};
use zkonnx_prover::{
    multiexp::{multiexp, small_multiexp},
    vartime::Affine,
};
use zkonnx_quantize::integers::Integers;

fn kernels(criterion: &mut Criterion) {
    const K: u32 = 10;
    let vesta = Params::<EqAffine>::new(K).get_g();
    let bases: Vec<Affine> = vesta.iter().copied().map(Affine::from).collect();
    let small: Vec<i64> = (0..1_i64 << K).map(|i| i * 2_654_435_761 % 1024).collect();
    let full: Vec<Fp> = std::iter::successors(Some(Fp::from(3)), |x| Some(x.square() + Fp::ONE)).take(1 << K).collect();
    let embedded: Vec<Fp> = small.iter().map(|v| from_i64(*v)).collect();
    assert_eq!(small_multiexp(&small, &bases), best_multiexp(&embedded, &bases));
    assert_eq!(multiexp(&full, &bases), best_multiexp(&full, &bases));
    assert_eq!(multiexp(&full, &bases), best_multiexp(&full, &vesta).into());
    let mut group = criterion.benchmark_group("multiexp of 1024 points");
    group.sample_size(20);
    group.bench_function("10-bit scalars, ours", |b| b.iter(|| small_multiexp(&small, &bases)));
    group.bench_function("full scalars, ours, one thread", |b| b.iter(|| multiexp(&full, &bases)));
    group.bench_function("full scalars, halo2's", |b| b.iter(|| best_multiexp(&full, &bases)));
    group.bench_function("full scalars, halo2's over pasta_curves", |b| b.iter(|| best_multiexp(&full, &vesta)));
    group.finish();
}

fn weighted(criterion: &mut Criterion) {
    const ROWS: usize = 256;
    const COLUMNS: usize = 1024;
    let weights: Vec<Fp> =
        std::iter::successors(Some(Fp::from(3)), |x| Some(x.square() + Fp::ONE)).take(COLUMNS).collect();
    let ready = Weights::new(&weights);
    let mut group = criterion.benchmark_group("integers times field elements");
    group.throughput(Throughput::Elements((ROWS * COLUMNS) as u64));
    for bits in [8, 16, 32, 48] {
        let mixed = (0..ROWS * COLUMNS).map(|i| i64::try_from(i).unwrap_or(0).wrapping_mul(0x1E37_79B9_7F4A_7C15));
        let values = Integers::new(&mixed.map(|v| v >> (64 - bits)).collect::<Vec<_>>());
        let rows: Vec<_> = (0..ROWS).map(|r| values.slice(r * COLUMNS..(r + 1) * COLUMNS)).collect();
        let terms: Vec<_> = weights.iter().copied().zip(rows.iter().copied()).collect();
        let mut out = vec![Fp::ZERO; COLUMNS];
        weighted_sum(&terms, &mut out);
        let row: Vec<Fp> = rows[0].to_vec().into_iter().map(from_i64).collect();
        let plain = inner_product(&row, &weights);
        assert_eq!(weighted_inner_product(rows[0], &ready), plain);
        let of_sums: Fp = rows.iter().zip(&weights).map(|(row, w)| weighted_inner_product(*row, &ready) * w).sum();
        assert_eq!(inner_product(&out, &weights), of_sums);
        group.bench_function(format!("weighted sum of rows, {bits} bits"), |b| {
            b.iter(|| weighted_sum(&terms, &mut out))
        });
        group.bench_function(format!("inner products of rows, {bits} bits"), |b| {
            b.iter(|| rows.iter().map(|row| weighted_inner_product(*row, &ready)).sum::<Fp>());
        });
    }
    group.finish();
}

criterion_group!(benches, kernels, weighted);
criterion_main!(benches);
