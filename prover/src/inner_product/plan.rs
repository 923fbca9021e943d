//! When generators are collapsed, and with which windows: the cheapest by a count of additions.
//!
//! Costs are affine additions of a batch, some 165 ns.

use crate::vartime::HALF_BITS;

/// The sums of a set of buckets' rows and columns with their weights, and what else a product takes.
const PRODUCT: usize = 80;
/// All shifts of one generator.
const SHIFTS: usize = 160;
/// The doublings of an interleaved product.
const DOUBLINGS: usize = 150;
/// A term of an interleaved product.
const TERM: usize = 56;

/// Bits from one shift to the next: 8 while the memory is small, 10, hence 26 shifts, above.
pub(super) fn window(num_generators: usize) -> usize {
    if num_generators < 2048 {
        8
    } else {
        10
    }
}

/// Shifts of one generator, an even number.
pub(super) fn num_shifts(window: usize) -> usize {
    2 * HALF_BITS.div_ceil(window)
}

/// The product of `terms` scalars, each digit in one or in two halves.
fn product(terms: usize, window: usize, halves: bool) -> usize {
    let digits = terms * num_shifts(window);
    match halves {
        true => 2 * (digits + PRODUCT / 2) + 4 * (1 << window.div_ceil(2)) / 2,
        false => digits + PRODUCT + (1 << window),
    }
}

/// Whether short products are cheaper with two digits of half the bits.
pub(super) fn in_halves(terms: usize, window: usize) -> bool {
    product(terms, window, true) < product(terms, window, false)
}

/// From `generators`, without shifts, to the end.
fn few(generators: usize) -> usize {
    generators * TERM / 3 + (0..generators.ilog2()).map(|_| 2 * DOUBLINGS + generators * TERM).sum::<usize>()
}

/// The cost of all rounds from `generators` with shifts, and how many are left when they are collapsed; 0 for never.
fn shifted(generators: usize) -> (usize, usize) {
    let window = window(generators);
    let round = 2 * product(generators / 2, window, false);
    let rounds = generators.ilog2();
    let collapsed = (1..rounds).map(|round_of_collapse| {
        let left = generators >> round_of_collapse;
        let terms = 1 << round_of_collapse;
        let collapse = left * product(terms, window, in_halves(terms, window));
        let rest = few(left).min(SHIFTS * left + shifted(left).0);
        (round_of_collapse as usize * round + collapse + rest, left)
    });
    collapsed.chain([(rounds as usize * round, 0)]).min().unwrap_or_default()
}

/// How many generators are left when `generators` of them, with shifts, are collapsed; 0 for never.
pub(super) fn collapse_at(generators: usize) -> usize {
    shifted(generators).1
}

/// Whether so many generators, just collapsed, are worth shifts of their own.
pub(super) fn wants_shifts(generators: usize) -> bool {
    SHIFTS * generators + shifted(generators).0 < few(generators)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bases_are_collapsed_in_their_middle_and_tiny_ones_never() {
        assert_eq!([collapse_at(1), collapse_at(2), collapse_at(4)], [0, 0, 0]);
        for k in 8..15 {
            let left = collapse_at(1 << k);
            assert!((8..=1 << (k - 2)).contains(&left), "{k}: {left}");
        }
        assert!(!wants_shifts(2) && wants_shifts(512));
    }
}
