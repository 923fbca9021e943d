//! The kernels of proving: multi-scalar multiplications. Results are checked before they are timed.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, Criterion};
use ff::Field;
use halo2_proofs::{arithmetic::best_multiexp, poly::commitment::Params};
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::field::from_i64;
use zkonnx_prover::{
    multiexp::{multiexp, small_multiexp},
    vartime::Affine,
};

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

criterion_group!(benches, kernels);
criterion_main!(benches);
