//! Threads where there are any; results never depend on them.

use crate::field::Fp;
use ff::Field;

/// Both, at once.
#[cfg(feature = "multicore")]
pub(crate) fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    rayon::join(a, b)
}

/// Both, one after the other.
#[cfg(not(feature = "multicore"))]
pub(crate) fn join<A, B>(a: impl FnOnce() -> A, b: impl FnOnce() -> B) -> (A, B) {
    (a(), b())
}

/// `action(number of the first item, items)` for parts of up to `most` items.
pub(crate) fn for_each_part<T: Send>(items: &mut [T], most: usize, action: &(impl Fn(usize, &mut [T]) + Sync)) {
    fn run<T: Send>(first: usize, items: &mut [T], most: usize, action: &(impl Fn(usize, &mut [T]) + Sync)) {
        if items.len() <= most.max(1) {
            action(first, items);
            return;
        }
        let (low, high) = items.split_at_mut(items.len() / 2);
        let middle = first + low.len();
        join(|| run(first, low, most, action), || run(middle, high, most, action));
    }
    run(0, items, most, action);
}

/// `Σ of(item)`.
pub(crate) fn sum<T: Sync>(items: &[T], of: &(impl Fn(&T) -> Fp + Sync)) -> Fp {
    // Fewer are not worth a thread.
    if items.len() < 64 {
        return items.iter().map(of).fold(Fp::ZERO, |sum, value| sum + value);
    }
    let (low, high) = items.split_at(items.len() / 2);
    let (low, high) = join(|| sum(low, of), || sum(high, of));
    low + high
}
