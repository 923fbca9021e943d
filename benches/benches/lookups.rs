//! Lookups of LeNet: the witness's columns, fractions added up by layers, and all layers proven; by the leaf.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use ff::Field;
use pasta_curves::Fp;
use zkonnx_benches::fixture;
use zkonnx_circuits::{
    compiled::CompiledModel,
    witness::{assign, multiplicities},
};
use zkonnx_prover::{
    argument::lookup,
    columns::Column,
    layers::{LayerClaim, Layers, Leaves},
};
use zkonnx_quantize::{eval::evaluate, integers::Integers};

/// A challenge that nobody draws.
fn challenge(seed: u64) -> Fp {
    Fp::from(seed ^ 0x1234_5678_9abc_def1).square() + Fp::from(seed)
}

fn leaves<'a>(model: &CompiledModel, columns: &'a [Column]) -> Leaves<'a> {
    lookup::leaves(&model.shape, columns, (challenge(1), challenge(2)))
}

/// Proves all layers with challenges of no transcript. Gives the numerator of the sum, and whether every layer ended as its claim says.
fn prove(mut layers: Layers<'_>) -> (Fp, bool) {
    let (mut point, mut p, mut q) = (Vec::new(), Fp::ZERO, Fp::ZERO);
    let (mut sum, mut holds) = (Fp::ZERO, true);
    for layer in 0..layers.len() {
        let lambda = if layer == 0 { Fp::ZERO } else { challenge(layer as u64) };
        let mut claim = p + lambda * q;
        let mut next = Vec::new();
        let mut exchange = |round: usize, _: Fp, [c1, c2]: [Fp; 2]| {
            let (z, sigma): (Fp, Fp) = (point[round], challenge((layer << 8 | round) as u64));
            claim += (sigma - z) * c1 + (sigma.square() - z) * c2;
            next.push(sigma);
            sigma
        };
        let [p0, p1, q0, q1] =
            layers.prove(layer, &LayerClaim { point: &point, lambda, value: p + lambda * q }, &mut exchange);
        let product = p0 * q1 + q0 * (p1 + lambda * q1);
        match layer {
            0 => sum = product,
            _ => holds &= product == claim,
        }
        let beta = challenge(!(layer as u64));
        (p, q) = (p0 + beta * (p1 - p0), q0 + beta * (q1 - q0));
        next.insert(0, beta);
        point = next;
    }
    (sum, holds)
}

fn lookups(criterion: &mut Criterion) {
    let fixture = fixture("lenet");
    let model = &fixture.prover.keys.compiled;
    let trace = evaluate(&fixture.prover.model, &fixture.inputs[0]).expect("inputs as declared");
    let words = || assign(model, &trace).columns;
    let cells = words();
    let counts = multiplicities(&model.shape, &cells);
    let all = model.shape.slots.lookups.len() * model.shape.num_active_rows();
    assert_eq!(counts.iter().flatten().sum::<i64>(), i64::try_from(all).expect("few"), "a cell is in no table");
    let pack = |columns: &[Vec<i64>]| -> Vec<Column> {
        columns.iter().map(|values| Column::Integers(Integers::new(values))).collect()
    };
    let columns = [pack(&cells), pack(&counts)].concat();
    assert_eq!(prove(Layers::new(leaves(model, &columns))), (Fp::ZERO, true));
    let mut wrong = counts.clone();
    wrong[0][0] += 1;
    assert_ne!(prove(Layers::new(leaves(model, &[pack(&cells), pack(&wrong)].concat()))).0, Fp::ZERO);
    let mut group = criterion.benchmark_group("lookups of lenet");
    group.throughput(Throughput::Elements((model.shape.num_lookup_slots() * model.num_rows()) as u64));
    group.bench_function("words", |b| b.iter(words));
    group.bench_function("multiplicities", |b| b.iter(|| multiplicities(&model.shape, &cells)));
    group.bench_function("add up fractions", |b| b.iter(|| Layers::new(leaves(model, &columns))));
    group.bench_function("add up fractions and prove all layers", |b| {
        b.iter(|| prove(Layers::new(leaves(model, &columns))));
    });
    group.finish();
}

criterion_group!(benches, lookups);
criterion_main!(benches);
