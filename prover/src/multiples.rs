//! Small multiples of points.

use crate::vartime::{Affine, Sums};

/// Makes `1·B … count·B` of a few bases, one base after another: one affine addition for a point, an inversion for every doubling of their number.
pub(crate) fn fill(points: &mut [Affine], bases: &[Affine], count: usize, sums: &mut Sums) {
    for (own, base) in points.chunks_exact_mut(count).zip(bases) {
        own[0] = *base;
    }
    // From 1 … m to m + 1 … 2m: additions that do not wait for each other.
    let (mut made, mut next) = (1, Vec::new());
    while made < count {
        let more = made.min(count - made);
        for own in points.chunks_exact(count) {
            for multiple in &own[..more] {
                sums.push(*multiple);
                sums.push(own[made - 1]);
                sums.close();
            }
        }
        next.clear();
        sums.sum_into(&mut next);
        for (own, next) in points.chunks_exact_mut(count).zip(next.chunks_exact(more)) {
            own[made..made + more].copy_from_slice(next);
        }
        made += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vartime::Point;
    use group::Group as _;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn any_number_of_multiples_agrees_with_repeated_addition() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let base: Affine = Point::random(&mut rng).into();
        let bases = [base, base, -base, Affine::default(), Point::random(&mut rng).into()];
        for count in [1, 2, 3, 8, 13, 100] {
            let mut points = vec![Affine::default(); bases.len() * count];
            fill(&mut points, &bases, count, &mut Sums::default());
            for (own, base) in points.chunks_exact(count).zip(bases) {
                let plain = std::iter::successors(Some(Point::from(base)), |last| Some(*last + base)).map(Affine::from);
                assert_eq!(own, plain.take(count).collect::<Vec<_>>());
            }
        }
    }
}
