//! The kernels of proving: multi-scalar multiplications, commitments of many columns, the rounds of the inner-product argument, sums of integers
//! times field elements; and those of evaluation, matrix products and convolutions. Results are checked before they are timed.

#![allow(missing_docs)] // criterion's macros make an undocumented main

use criterion::{criterion_group, criterion_main, BatchSize, Criterion, Throughput};
use ff::Field;
use halo2_proofs::{arithmetic::best_multiexp, poly::commitment::Params};
use pasta_curves::{EqAffine, Fp};
use std::hint::black_box;
use zkonnx_circuits::{
    field::{from_i64, inner_product},
    weighted::{weighted_inner_product, weighted_sum, Weights},
};
use zkonnx_prover::{
    commit::commit_columns,
    generators::Generators,
    inner_product::{Cross, Rounds},
    multiexp::{multiexp, small_multiexp},
    vartime::{Affine, Point},
};
use zkonnx_quantize::{
    eval::evaluate_form,
    graph::{Form, Interval, Operand, ParamId, Product, Source, TensorId},
    index::{Factor, IndexMap},
    integers::Integers,
    onnx::{
        build::ModelBuilder,
        graph::FloatOp,
        ops::conv::{Conv, Window},
        tensor::Tensor,
        OnnxModel,
    },
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

fn generators(k: u32) -> Generators {
    Generators::new(&Params::new(k)).expect("halo2's parameters")
}

/// Columns of a small CNN, and of the weights of larger models.
fn columns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commitments of columns");
    group.sample_size(20);
    for (k, count, bits) in [(8, 79, 8), (10, 512, 8), (12, 128, 10)] {
        let generators = generators(k);
        let values = |column: i64| (0..1_i64 << k).map(move |i| (i + column) * 2_654_435_761 % 1_000_003 % (1 << bits));
        let columns: Vec<Integers> = (0..count).map(|c| Integers::new(&values(c).collect::<Vec<i64>>())).collect();
        let columns: Vec<&Integers> = columns.iter().collect();
        for (column, point) in columns.iter().zip(commit_columns(&columns, &generators)) {
            assert_eq!(point, small_multiexp(&column.to_vec(), &generators.row));
        }
        let name = format!("{count} of {} rows, {bits} bits", 1 << k);
        group.bench_function(name, |b| b.iter(|| commit_columns(&columns, &generators)));
    }
    group.finish();
}

/// Folds to the end, with the same challenge in every round; what every round sends.
fn all_rounds(mut rounds: Rounds<'_>, u: Fp, inverse: Fp) -> (Vec<Cross>, Fp) {
    let mut sent = Vec::new();
    while !rounds.is_done() {
        sent.push(rounds.cross_terms());
        rounds.fold(u, inverse);
    }
    (sent, rounds.finish())
}

/// The same, folding the generators in every round.
fn all_rounds_plainly(generators: &Generators, mut a: Vec<Fp>, mut b: Vec<Fp>, u: Fp, inverse: Fp) -> (Vec<Cross>, Fp) {
    let mut sent = Vec::new();
    let mut g: Vec<Affine> = generators.coefficient.clone();
    while a.len() > 1 {
        let half = a.len() / 2;
        sent.push(Cross {
            left: multiexp(&a[..half], &g[half..]),
            right: multiexp(&a[half..], &g[..half]),
            left_value: inner_product(&a[..half], &b[half..]),
            right_value: inner_product(&a[half..], &b[..half]),
        });
        a = (0..half).map(|i| a[i] + u * a[half + i]).collect();
        b = (0..half).map(|i| b[i] + inverse * b[half + i]).collect();
        g = (0..half).map(|i| Affine::from(Point::from(g[i]) + g[half + i] * inverse)).collect();
    }
    (sent, a[0])
}

fn rounds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rounds of the inner-product argument");
    group.sample_size(20);
    for k in [8, 10, 12] {
        let generators = generators(k);
        let vector: Vec<Fp> =
            std::iter::successors(Some(Fp::from(3)), |x| Some(x.square() + Fp::ONE)).take(1 << k).collect();
        let u = vector[100];
        let inverse = u.invert().expect("not zero");
        let start = || Rounds::new(&generators, vector.clone(), vector.clone());
        let plain = all_rounds_plainly(&generators, vector.clone(), vector.clone(), u, inverse);
        assert_eq!(all_rounds(start(), u, inverse), plain);
        group.bench_function(format!("{} rows", 1 << k), |b| {
            b.iter_batched(start, |rounds| black_box(all_rounds(rounds, u, inverse)), BatchSize::LargeInput);
        });
    }
    group.finish();
}

/// A contraction of weights with a tensor, the shape of its form, and its multiply-accumulates.
struct Contraction {
    name: &'static str,
    form: Form,
    weights: u32,
    values: u32,
    macs: u64,
}

fn contraction(name: &'static str, shape: &[u32], summed: &[u32], left: IndexMap, right: IndexMap) -> Contraction {
    let length = |map: &IndexMap| map.extent().expect("short");
    let (weights, values) = (length(&left), length(&right));
    let operand = |source, map| Operand { source, sums: vec![], map };
    let product = Product {
        coef: 1,
        summed: summed.to_vec(),
        left: operand(Source::Param(ParamId(0)), left),
        right: operand(Source::Tensor(TensorId(0)), right),
    };
    let macs = shape.iter().chain(summed).map(|s| u64::from(*s)).product();
    let bounds = Interval::new(-(1 << 61), 1 << 61);
    let form = Form { shape: shape.to_vec(), terms: vec![], products: vec![product], constant: 0, bounds };
    Contraction { name, form, weights, values, macs }
}

fn map(factors: Vec<Factor>) -> IndexMap {
    IndexMap { base: 0, factors }
}

/// A window of 3 by 3 with a padding of 1 over a square image, whose channels are this far apart in numbering.
fn windows(first: u8, size: u32) -> [Factor; 2] {
    let axis = |d: u8, stride| Factor::affine(&[(1 + d, 1), (first + d, 1)], -1, size, stride);
    [axis(0, size), axis(1, 1)]
}

fn contractions() -> Vec<Contraction> {
    let matrix = |rows: u32, inner: u32, cols: u32| {
        let left = map(vec![Factor::plain(0, rows, inner), Factor::plain(2, inner, 1)]);
        (left, map(vec![Factor::plain(1, cols, inner), Factor::plain(2, inner, 1)]))
    };
    let (dense, tokens) = matrix(768, 768, 128);
    let (wide, token) = matrix(4096, 4096, 1);
    let [high, across] = windows(4, 56);
    let conv =
        map(vec![Factor::plain(0, 64, 576), Factor::plain(3, 64, 9), Factor::plain(4, 3, 3), Factor::plain(5, 3, 1)]);
    let image = map(vec![Factor::plain(3, 64, 56 * 56), high, across]);
    let [high, across] = windows(3, 56);
    let single = map(vec![Factor::plain(0, 64, 9), Factor::plain(3, 3, 3), Factor::plain(4, 3, 1)]);
    let channels = map(vec![Factor::plain(0, 64, 56 * 56), high, across]);
    vec![
        contraction("768 by 768 weights, 128 tokens", &[768, 128], &[768], dense, tokens),
        contraction("4096 by 4096 weights, one vector", &[4096, 1], &[4096], wide, token),
        contraction("convolution of 64 channels", &[64, 56, 56], &[64, 3, 3], conv, image),
        contraction("convolution of single channels", &[64, 56, 56], &[3, 3], single, channels),
    ]
}

/// The first element, from the formula.
fn first_element(c: &Contraction, weights: &Integers, values: &[i64]) -> i64 {
    let product = &c.form.products[0];
    let sizes: Vec<u32> = c.form.shape.iter().map(|_| 1).chain(product.summed.iter().copied()).collect();
    let ids: Vec<u8> = (0_u8..).take(sizes.len()).collect();
    let [left, right] = [&product.left, &product.right].map(|o| o.map.addresses(&ids, &sizes));
    let pairs = left.into_iter().zip(right).filter_map(|(w, x)| Some((w? as usize, x? as usize)));
    pairs.map(|(w, x)| weights.get(w).expect("a weight") * values[x]).sum()
}

/// Integer and float evaluation; elements per second are multiply-accumulates per second.
fn evaluation(criterion: &mut Criterion) {
    let mixed = |i: u32, bits: u32| i64::from(i.wrapping_mul(2_654_435_761) >> (32 - bits)) - (1 << (bits - 1));
    let mut group = criterion.benchmark_group("evaluation of integers");
    group.sample_size(10);
    for c in contractions() {
        group.throughput(Throughput::Elements(c.macs));
        for (bits, weight_bits) in [(10, 8), (16, 16), (28, 24)] {
            let weights = Integers::new(&(0..c.weights).map(|i| mixed(i, weight_bits)).collect::<Vec<_>>());
            let tensors = [(0..c.values).map(|i| mixed(i + 7, bits)).collect::<Vec<i64>>()];
            let params = [weights];
            let out = evaluate_form(&c.form, &tensors, &params);
            assert_eq!(out[0], first_element(&c, &params[0], &tensors[0]), "{}", c.name);
            group.bench_function(format!("{}, {bits} and {weight_bits} bits", c.name), |b| {
                b.iter(|| evaluate_form(&c.form, &tensors, &params));
            });
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("evaluation of floats");
    group.sample_size(10);
    for (name, model, macs) in float_models() {
        let shape = model.inputs()[0].shape.clone();
        let x = float_tensor(&shape);
        group.throughput(Throughput::Elements(macs));
        let run = || model.graph().run(std::slice::from_ref(&x), |_, _| ()).expect("an input of its shape");
        assert!(run()[0].data.iter().all(|v| v.is_finite() && v.abs() > 0.0), "{name}");
        group.bench_function(name, |b| b.iter(run));
    }
    group.finish();
}

fn float_tensor(shape: &[usize]) -> Tensor {
    let value = |i: u32| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 23) - 0.9;
    Tensor::new(shape.to_vec(), (0..).take(shape.iter().product()).map(value).collect())
}

fn float_models() -> Vec<(&'static str, OnnxModel, u64)> {
    let one = |op: FloatOp, input: &[usize], weights: &[usize]| {
        let mut builder = ModelBuilder::default();
        let (x, w) = (builder.input("x", input, false), builder.constant(float_tensor(weights)));
        let y = builder.add("y", op, &[x, w]).expect("shapes that fit");
        builder.finish(&[("y", y)])
    };
    let gemm = FloatOp::Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true };
    let conv = |group| FloatOp::Conv(Conv { windows: vec![Window::new(3, 1, (1, 1)); 2], group });
    vec![
        ("128 by 768 by 768", one(FloatOp::MatMul, &[128, 768], &[768, 768]), 128 * 768 * 768),
        ("128 by 768 by 768, the second transposed", one(gemm, &[128, 768], &[768, 768]), 128 * 768 * 768),
        ("1 by 4096 by 4096", one(FloatOp::MatMul, &[1, 4096], &[4096, 4096]), 4096 * 4096),
        ("convolution of 64 channels", one(conv(1), &[1, 64, 56, 56], &[64, 64, 3, 3]), 64 * 64 * 9 * 56 * 56),
        ("convolution of single channels", one(conv(64), &[1, 64, 56, 56], &[64, 1, 3, 3]), 64 * 9 * 56 * 56),
    ]
}

criterion_group!(benches, kernels, weighted, columns, rounds, evaluation);
criterion_main!(benches);
