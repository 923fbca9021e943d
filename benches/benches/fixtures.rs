//! Proving and verifying the fixture models. Every proof that is timed is verified first.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, Criterion};
use std::sync::LazyLock;
use zkonnx_benches::fixture_by;
use zkonnx_quantize::model::Gates;
use zkonnx_verifier::verify::verify;

const NAMES: [&str; 7] = ["mlp", "lenet", "cifar", "cancer_forest", "diabetes_gbr", "series_lstm", "series_tcn"];

fn fixtures(criterion: &mut Criterion) {
    let ways = NAMES.map(|name| (name, Gates::Relations)).into_iter().chain([("lenet", Gates::Halo2)]);
    for (name, gates) in ways {
        // Only where the filter lets a benchmark through.
        let made = LazyLock::new(move || {
            let fixture = fixture_by(name, gates);
            let proof = fixture.checked_proof();
            (fixture, proof)
        });
        let mut group = criterion.benchmark_group(match gates {
            Gates::Relations => name.to_owned(),
            Gates::Halo2 => format!("{name}, gates by halo2"),
        });
        group.sample_size(10);
        group.bench_function("prove", |b| {
            let (fixture, _) = &*made;
            b.iter(|| fixture.prove());
        });
        group.bench_function("verify", |b| {
            let (fixture, (statement, proof)) = &*made;
            b.iter(|| verify(&fixture.handle, statement, proof, None).expect("an accepted proof"));
        });
        group.finish();
    }
}

criterion_group!(benches, fixtures);
criterion_main!(benches);
