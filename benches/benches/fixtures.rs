//! Proving and verifying the fixture models. Every proof that is timed is verified first.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, Criterion};
use zkonnx_benches::fixture;
use zkonnx_prover::prove::prove;
use zkonnx_verifier::{statement::Context, verify::verify};

fn fixtures(criterion: &mut Criterion) {
    for name in ["mlp", "lenet", "cifar"] {
        let fixture = fixture(name);
        let proven = || prove(&fixture.prover, &fixture.inputs[0], Context::default()).expect("a proof");
        let (statement, proof) = proven();
        verify(&fixture.handle, &statement, &proof, None).expect("an accepted proof");
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        group.bench_function("prove", |b| b.iter(proven));
        group.bench_function("verify", |b| {
            b.iter(|| verify(&fixture.handle, &statement, &proof, None).expect("an accepted proof"));
        });
        group.finish();
    }
}

criterion_group!(benches, fixtures);
criterion_main!(benches);
