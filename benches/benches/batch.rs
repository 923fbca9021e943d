//! Batch verification: proofs of one model, different ones, and how many of them are verified in a second.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use zkonnx_benches::fixture;
use zkonnx_prover::prove::prove;
use zkonnx_verifier::{
    batch::{verify_batch, BatchItem},
    statement::Context,
};

const SIZES: [usize; 3] = [1, 8, 64];

fn batch(criterion: &mut Criterion) {
    let fixture = fixture("mlp");
    // Copies of one proof would share their points.
    let proofs: Vec<_> = (0..64)
        .zip(&fixture.inputs)
        .map(|(nonce, inputs)| {
            prove(&fixture.prover, inputs, Context { nonce, ..Context::default() }).expect("a proof")
        })
        .collect();
    let items: Vec<BatchItem<'_>> =
        proofs.iter().map(|(statement, proof)| BatchItem { handle: &fixture.handle, statement, proof }).collect();
    let accepted = |items: &[BatchItem<'_>]| verify_batch(items, None).iter().filter(|v| v.is_ok()).count();
    let mut broken = proofs[63].1.clone();
    broken[0] ^= 1;
    let mut lying = items.clone();
    lying[63].proof = &broken;
    assert_eq!((accepted(&items), accepted(&lying)), (64, 63));
    let mut group = criterion.benchmark_group("verify a batch of mlp");
    group.sample_size(10);
    for size in SIZES {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| b.iter(|| verify_batch(&items[..size], None)));
    }
    group.finish();
}

criterion_group!(benches, batch);
criterion_main!(benches);
