//! Threads where there are any; results never depend on them.

/// Fewer steps than this are not worth another thread.
#[cfg(feature = "multicore")]
const ENOUGH: usize = 1 << 16;

/// `task(0), task(1), …` for `count` tasks of `work` steps each.
#[cfg(feature = "multicore")]
pub(crate) fn map<T: Send>(count: usize, work: usize, task: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    use rayon::prelude::*;
    if count < 2 || count.saturating_mul(work) < ENOUGH {
        return (0..count).map(task).collect();
    }
    let together = (ENOUGH / 4 / work.max(1)).max(1);
    (0..count).into_par_iter().with_min_len(together).map(task).collect()
}

/// `task(0), task(1), …` for `count` tasks of `work` steps each.
#[cfg(not(feature = "multicore"))]
pub(crate) fn map<T: Send>(count: usize, _work: usize, task: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    (0..count).map(task).collect()
}

/// Calls `task` with the number of every run of `size` elements, the last one maybe shorter, and the run; an element is
/// `work` steps.
#[cfg(feature = "multicore")]
pub(crate) fn for_each_chunk<T: Send>(
    data: &mut [T],
    size: usize,
    work: usize,
    task: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    use rayon::prelude::*;
    let size = size.max(1);
    if data.len() <= size || data.len().saturating_mul(work) < ENOUGH {
        data.chunks_mut(size).enumerate().for_each(|(i, chunk)| task(i, chunk));
    } else {
        let together = (ENOUGH / 4 / size.saturating_mul(work).max(1)).max(1);
        data.par_chunks_mut(size).with_min_len(together).enumerate().for_each(|(i, chunk)| task(i, chunk));
    }
}

/// Calls `task` with the number of every run of `size` elements, the last one maybe shorter, and the run; an element is
/// `work` steps.
#[cfg(not(feature = "multicore"))]
pub(crate) fn for_each_chunk<T: Send>(
    data: &mut [T],
    size: usize,
    _work: usize,
    task: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    data.chunks_mut(size.max(1)).enumerate().for_each(|(i, chunk)| task(i, chunk));
}
