//! The stages of a proof of LeNet, by the prover's own spans: for every one whole proofs are made, and its part of them counts.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, Criterion};
use std::hint::black_box;
use zkonnx_benches::{
    fixture_by,
    stages::{stages_of, time_of},
};
use zkonnx_quantize::model::Gates;

fn stages(criterion: &mut Criterion) {
    for (gates, name) in [(Gates::Relations, "stages of lenet"), (Gates::Halo2, "stages of lenet, gates by halo2")] {
        let fixture = fixture_by("lenet", gates);
        black_box(fixture.checked_proof());
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        for stage in stages_of(gates) {
            group.bench_function(*stage, |b| b.iter_custom(|runs| time_of(&fixture, stage, runs)));
        }
        group.finish();
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
