//! What a gadget costs: proofs of 32² and of 64² results, and of both the difference, for each cell that the larger one has more.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use zkonnx_benches::{gadgets::Gadget, Fixture};

const SIDES: [u32; 2] = [32, 64];

fn time(fixture: &Fixture) -> Duration {
    let started = Instant::now();
    black_box(fixture.prove());
    started.elapsed()
}

fn gadgets(criterion: &mut Criterion) {
    for (name, gadget) in Gadget::ALL {
        let fixtures = SIDES.map(|side| gadget.fixture(side));
        for fixture in &fixtures {
            black_box(fixture.checked_proof());
        }
        let mut group = criterion.benchmark_group(format!("gadget {name}"));
        group.sample_size(10);
        for (side, fixture) in SIDES.into_iter().zip(&fixtures) {
            group.throughput(Throughput::Elements((side * side).into()));
            group.bench_function(format!("{} results", side * side), |b| b.iter(|| fixture.prove()));
        }
        let [small, large] = &fixtures;
        group.throughput(Throughput::Elements((large.num_cells() - small.num_cells()) as u64));
        group.bench_function("marginal cells", |b| {
            b.iter_custom(|runs| {
                // In turns; a difference that noise makes negative counts as nothing.
                let (mut less, mut more) = (Duration::ZERO, Duration::ZERO);
                for _ in 0..runs {
                    less += time(small);
                    more += time(large);
                }
                more.saturating_sub(less).max(Duration::from_nanos(1))
            });
        });
        group.finish();
    }
}

criterion_group!(benches, gadgets);
criterion_main!(benches);
