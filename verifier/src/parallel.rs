//! Threads where there are any; results never depend on them.

/// `f` of every element, in order.
#[cfg(feature = "multicore")]
pub(crate) fn map<T: Send, U: Send>(items: Vec<T>, f: impl Fn(T) -> U + Sync + Send) -> Vec<U> {
    use rayon::prelude::*;
    items.into_par_iter().map(f).collect()
}

/// `f` of every element, in order.
#[cfg(not(feature = "multicore"))]
pub(crate) fn map<T, U>(items: Vec<T>, f: impl Fn(T) -> U) -> Vec<U> {
    items.into_iter().map(f).collect()
}

/// Runs `f` where halo2's small multiplications are serial.
///
/// With two threads, and no other number, halo2 0.4.1 splits even the multiplication of three points that commits to the instance
/// into 257 windows of one bit, each doubled up on its own: 33,000 doublings, as much as all the rest of a small proof's verification but
/// the final equation. A pool of three threads is kept for that case.
///
/// A caller that is a thread of a pool itself waits for a thread of its own that goes there: while it waited for another pool it would take
/// up more work of its own, verify within verifying, and so on until its stack is full.
#[cfg(feature = "multicore")]
pub(crate) fn apart<R: Send>(f: impl Fn() -> R + Send + Sync) -> R {
    static POOL: std::sync::OnceLock<Option<rayon::ThreadPool>> = std::sync::OnceLock::new();
    if rayon::current_num_threads() != 2 {
        return f();
    }
    let Some(pool) = POOL.get_or_init(|| rayon::ThreadPoolBuilder::new().num_threads(3).build().ok()) else {
        return f();
    };
    if rayon::current_thread_index().is_none() {
        return pool.install(f);
    }
    std::thread::scope(|scope| match std::thread::Builder::new().spawn_scoped(scope, || pool.install(&f)) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        // No thread can be had: slower, and the same.
        Err(_) => f(),
    })
}

/// Runs `f`.
#[cfg(not(feature = "multicore"))]
pub(crate) fn apart<R>(f: impl Fn() -> R) -> R {
    f()
}
