//! Orders of values: arguments of maxima, the largest few, rank correlation.

use std::cmp::Ordering;

/// Index of the largest value, the lowest on ties.
#[must_use]
pub fn argmax<T: PartialOrd + Copy>(values: &[T]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

/// Indices from the largest value on, the lowest first on ties.
fn falling<T: PartialOrd + Copy>(values: &[T]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].partial_cmp(&values[*a]).unwrap_or(Ordering::Equal).then(a.cmp(b)));
    order
}

/// How many of the `k` largest of one list are among the `k` largest of the other.
pub(super) fn common_largest<T: PartialOrd + Copy, U: PartialOrd + Copy>(a: &[T], b: &[U], k: usize) -> usize {
    let (a, b) = (falling(a), falling(b));
    let b = &b[..k.min(b.len())];
    a.iter().take(k).filter(|i| b.contains(i)).count()
}

/// Ranks, from 0; equal values share the mean of theirs.
#[allow(clippy::cast_precision_loss)] // counts
fn ranks(values: &[f64]) -> Vec<f64> {
    let order = falling(values);
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let tied = order[first..].iter().take_while(|i| values[**i] == values[order[first]]).count().max(1);
        let rank = first as f64 + (tied - 1) as f64 / 2.0;
        order[first..first + tied].iter().for_each(|i| ranks[*i] = rank);
        first += tied;
    }
    ranks
}

/// Spearman's rank correlation. `None` where it has no meaning: fewer than two values, or all of a list equal.
#[allow(clippy::cast_precision_loss)] // counts
pub(super) fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let count = a.len().min(b.len());
    let (a, b) = (ranks(&a[..count]), ranks(&b[..count]));
    let mean = (count as f64 - 1.0) / 2.0;
    let moment = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let variance = moment(&a, &a) * moment(&b, &b);
    (variance > 0.0).then(|| (moment(&a, &b) / libm::sqrt(variance)).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_values_is_the_largest() {
        assert_eq!(argmax(&[1, 3, 3, 2]), 1);
        assert_eq!(common_largest(&[5, 4, 3, 2], &[2.0, 5.0, 4.0, 3.0], 2), 1);
        assert_eq!(common_largest(&[1, 1, 1], &[1.0, 1.0, 1.0], 2), 2);
    }

    #[test]
    fn rank_correlation_is_of_order_alone() {
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[1.0, 10.0, 100.0]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[1.0], &[1.0]), None);
        // Ties share a rank; scipy.stats.spearmanr gives the same.
        let tied = spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).expect("a number");
        assert!((tied - 0.948_683_298_050_513_8).abs() < 1e-12);
    }
}
