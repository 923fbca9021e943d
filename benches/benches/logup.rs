//! The columns of the lookup argument: how often every row of the tables is looked up, and the helper columns of phase 2.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use ff::Field;
use pasta_curves::Fp;
use zkonnx_benches::fixture;
use zkonnx_circuits::{
    circuit::Phase2,
    witness::{assign, multiplicities, phase2},
};
use zkonnx_quantize::eval::evaluate;

/// What the running sum ends with: zero when everything looked up is in the tables as often as counted.
fn total(columns: &Phase2) -> Fp {
    let row = columns.sum.len() - 1;
    let at = |columns: &[Vec<Fp>]| columns.iter().map(|h| h[row]).sum::<Fp>();
    columns.sum[row] + at(&columns.helpers) - at(&columns.table_helpers)
}

fn logup(criterion: &mut Criterion) {
    let fixture = fixture("lenet");
    let model = &fixture.prover.keys.compiled;
    let trace = evaluate(&fixture.prover.model, &fixture.inputs[0]).expect("inputs as declared");
    let words = || assign(model, &trace).columns;
    let columns = words();
    let counts = multiplicities(&model.shape, &columns);
    let lookups = model.shape.groups.iter().map(Vec::len).sum::<usize>() * columns[0].len();
    assert_eq!(counts.iter().flatten().sum::<u64>(), lookups as u64, "a cell is in no table");
    let (phi, theta) = (Fp::from(0x1234_5678_9abc_def1).square(), Fp::from(0x0fed_cba9_8765_4321).square());
    let helpers =
        |counts: &[Vec<u64>]| phase2(&model.shape, &columns, counts, phi, theta).expect("no zero fingerprint");
    assert_eq!(total(&helpers(&counts)), Fp::ZERO);
    let mut wrong = counts.clone();
    wrong[0][0] += 1;
    assert_ne!(total(&helpers(&wrong)), Fp::ZERO);
    let mut group = criterion.benchmark_group("logup of lenet");
    group.throughput(Throughput::Elements(lookups as u64));
    group.bench_function("words", |b| b.iter(words));
    group.bench_function("multiplicities", |b| b.iter(|| multiplicities(&model.shape, &columns)));
    group.bench_function("helper columns", |b| b.iter(|| helpers(&counts)));
    group.finish();
}

criterion_group!(benches, logup);
criterion_main!(benches);
