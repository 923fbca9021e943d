//! The stages of a proof of LeNet, by the prover's own spans: for every one whole proofs are made, and its part of them counts.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, Criterion};
use std::hint::black_box;
use zkonnx_benches::{
    fixture,
    stages::{time_of, STAGES},
};

fn stages(criterion: &mut Criterion) {
    let fixture = fixture("lenet");
    black_box(fixture.checked_proof());
    let mut group = criterion.benchmark_group("stages of lenet");
    group.sample_size(10);
    for stage in STAGES {
        group.bench_function(stage, |b| b.iter_custom(|runs| time_of(&fixture, stage, runs)));
    }
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
