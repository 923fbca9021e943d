//! Separable reads against the plain sums over all points of their axes.

use ff::Field;
use pasta_curves::Fp;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::borrow::Cow;
use zkonnx_circuits::{
    field::from_i64,
    separable::{contract, AxisWeights},
};
use zkonnx_quantize::{
    index::{Coordinate, Factor, IndexMap},
    integers::{IntegerSlice, Integers},
};

/// A read: sizes of the axes, map, length of the tensor.
struct Read {
    sizes: Vec<u32>,
    map: IndexMap,
    len: usize,
}

fn read(sizes: &[u32], base: u32, factors: Vec<Factor>) -> Read {
    let last: u32 = factors.iter().map(|f| (f.size - 1) * f.stride).sum();
    Read { sizes: sizes.to_vec(), map: IndexMap { base, factors }, len: (base + last + 1) as usize }
}

fn window(axes: [u8; 2], coefs: [i32; 2], offset: i32, size: u32, stride: u32) -> Factor {
    Factor { axes: axes.to_vec(), coordinate: Coordinate::Affine { coefs: coefs.to_vec(), offset }, size, stride }
}

fn reads() -> Vec<Read> {
    vec![
        // A matrix, its transpose, one with a gap, and a vector.
        read(&[19, 37], 0, vec![Factor::plain(0, 19, 37), Factor::plain(1, 37, 1)]),
        read(&[19, 37], 5, vec![Factor::plain(1, 37, 19), Factor::plain(0, 19, 1)]),
        read(&[6, 5, 3], 2, vec![Factor::plain(0, 6, 31), Factor::plain(1, 5, 6), Factor::plain(2, 3, 1)]),
        read(&[600], 0, vec![Factor::plain(0, 600, 1)]),
        // A last dimension of two, and one of one.
        read(&[31, 2], 0, vec![Factor::plain(0, 31, 2), Factor::plain(1, 2, 1)]),
        read(&[31, 1], 0, vec![Factor::plain(0, 31, 1), Factor::plain(1, 1, 1)]),
        // A padded convolution with stride 2: channels, then rows of positions and taps.
        read(&[3, 4, 5, 3], 0, vec![Factor::plain(0, 3, 8), window([1, 3], [2, 1], -1, 8, 1)]),
        read(
            &[3, 4, 2, 4, 3],
            0,
            vec![Factor::plain(0, 3, 80), window([1, 2], [2, 1], 0, 8, 10), window([3, 4], [2, 1], -1, 10, 1)],
        ),
        // An axis that is not read, a table that reads outside.
        read(
            &[4, 3, 5],
            1,
            vec![
                Factor { axes: vec![0], coordinate: Coordinate::Table(vec![2, -1, 0, 7]), size: 3, stride: 5 },
                Factor::plain(2, 5, 1),
            ],
        ),
    ]
}

fn weights(rng: &mut ChaCha20Rng, sizes: &[u32]) -> Vec<Vec<Fp>> {
    sizes.iter().map(|size| (0..*size).map(|_| Fp::random(&mut *rng)).collect()).collect()
}

/// All points with the integer read there.
fn points(read: &Read, values: &[i64]) -> Vec<(Vec<usize>, i64)> {
    let ids: Vec<u8> = (0..).take(read.sizes.len()).collect();
    let mut points = vec![Vec::new()];
    for size in &read.sizes {
        points = points
            .iter()
            .flat_map(|point: &Vec<usize>| (0..*size as usize).map(move |i| [&point[..], &[i]].concat()))
            .collect();
    }
    let addresses = read.map.addresses(&ids, &read.sizes);
    assert_eq!(points.len(), addresses.len());
    let value = |address: Option<_>| address.map_or(0, |a: u32| values[(read.map.base + a) as usize]);
    points.into_iter().zip(addresses).map(|(point, address)| (point, value(address))).collect()
}

/// Integers of three widths for a read.
fn tensors(rng: &mut ChaCha20Rng, read: &Read) -> [Integers; 3] {
    [6, 14, 44].map(|bits| {
        Integers::new(&(0..read.len).map(|_| rng.next_u64().cast_signed() >> (63 - bits)).collect::<Vec<_>>())
    })
}

#[test]
fn contractions_are_the_plain_sums() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for (number, read) in reads().iter().enumerate() {
        let weights = weights(&mut rng, &read.sizes);
        let read_axes: Vec<u8> = (0..).take(read.sizes.len()).filter(|a| read.map.uses(usize::from(*a))).collect();
        for (values, kept) in
            tensors(&mut rng, read).iter().flat_map(|v| (0..1_u32 << read_axes.len()).map(move |k| (v, k)))
        {
            let inner: Vec<(u8, usize)> = read_axes
                .iter()
                .enumerate()
                .filter(|(i, _)| kept >> i & 1 == 1)
                .map(|(_, a)| (*a, read.sizes[usize::from(*a)] as usize))
                .collect();
            let axes = AxisWeights::new(weights.iter().map(|w| Cow::Borrowed(&w[..])).collect());
            let table = contract(&read.map, values.as_slice(), &axes, &inner);
            let mut plain = vec![Fp::ZERO; table.len()];
            for (point, value) in points(read, &values.to_vec()) {
                let mut index = 0;
                let mut bits = 0;
                for (axis, size) in &inner {
                    index |= point[usize::from(*axis)] << bits;
                    bits += size.next_power_of_two().trailing_zeros();
                }
                let summed = read_axes.iter().filter(|a| inner.iter().all(|i| i.0 != **a)).map(|a| usize::from(*a));
                // Axes that are not read do not scale a contraction: count one of their points.
                if (0..point.len()).all(|a| point[a] == 0 || read.map.uses(a)) {
                    plain[index] += summed.fold(from_i64(value), |product, a| product * weights[a][point[a]]);
                }
            }
            assert!(table == plain, "read {number}, kept {inner:?}");
        }
    }
}

#[test]
fn functionals_are_the_plain_sums() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for (number, read) in reads().iter().enumerate() {
        let weights = weights(&mut rng, &read.sizes);
        let axes = AxisWeights::new(weights.iter().map(|w| Cow::Borrowed(&w[..])).collect());
        let functional = axes.functional(&read.map);
        for values in tensors(&mut rng, read) {
            let plain: Fp = points(read, &values.to_vec())
                .into_iter()
                .map(|(point, value)| {
                    (0..point.len()).fold(from_i64(value), |product, a| product * weights[a][point[a]])
                })
                .sum();
            assert_eq!(functional.evaluate(&values), plain, "read {number}");
            let wide = values.to_vec();
            assert_eq!(functional.evaluate(IntegerSlice::from(&wide)), plain, "read {number}");
        }
    }
}
