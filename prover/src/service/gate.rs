//! Bounded concurrency: so many run, so many wait, and all others are told to come back.

use super::error::ApiError;
use std::sync::Arc;
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{timeout_at, Instant},
};

/// Lets work run on threads of its own, a bounded number at once.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    /// Places for all who run or wait.
    places: Arc<Semaphore>,
    /// Places for those who run.
    workers: Arc<Semaphore>,
    capacity: [usize; 2],
}

impl Gate {
    pub(super) fn new(workers: usize, queue: usize) -> Self {
        let workers = workers.clamp(1, Semaphore::MAX_PERMITS);
        let all = workers.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(all)),
            workers: Arc::new(Semaphore::new(workers)),
            capacity: [all, workers],
        }
    }

    /// How many run, and how many run or wait.
    pub(super) fn load(&self) -> (usize, usize) {
        let [all, workers] = self.capacity;
        (workers - self.workers.available_permits(), all - self.places.available_permits())
    }

    /// Runs `work`, or refuses. Work that is late goes on, and keeps its place until it ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| ApiError::busy())?;
        let worker = timeout_at(deadline, Arc::clone(&self.workers).acquire_owned()).await;
        let worker = worker.map_err(|_| ApiError::timeout())?.map_err(|_| ApiError::internal())?;
        let running = spawn_blocking(move || {
            let _held = (worker, place);
            work()
        });
        match timeout_at(deadline, running).await {
            Ok(done) => done.map_err(|_| ApiError::internal()),
            Err(_) => Err(ApiError::timeout()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Duration};

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
    }

    #[test]
    fn refuses_whom_there_is_no_place_for() {
        let gate = Gate::new(1, 1);
        runtime().block_on(async {
            let (release, wait) = mpsc::channel::<()>();
            let (started, is_started) = tokio::sync::oneshot::channel();
            let own = gate.clone();
            let first = tokio::spawn(async move {
                let work = move || {
                    started.send(()).expect("somebody listens");
                    wait.recv().expect("a release");
                    1
                };
                own.run(later(), work).await
            });
            is_started.await.expect("the first one runs");
            let own = gate.clone();
            let second = tokio::spawn(async move { own.run(later(), || 2).await });
            while gate.load() != (1, 2) {
                tokio::task::yield_now().await;
            }
            assert_eq!(gate.run(later(), || 3).await, Err(ApiError::busy()));
            release.send(()).expect("the first one waits");
            assert_eq!(first.await.expect("no panic"), Ok(1));
            assert_eq!(second.await.expect("no panic"), Ok(2));
            assert_eq!(gate.load(), (0, 0));
        });
    }

    #[test]
    fn late_work_keeps_its_place() {
        let gate = Gate::new(1, 0);
        runtime().block_on(async {
            let (release, wait) = mpsc::channel::<()>();
            let result = gate.run(Instant::now(), move || wait.recv()).await;
            assert_eq!(result, Err(ApiError::timeout()));
            assert_eq!(gate.run(later(), || 1).await, Err(ApiError::busy()));
            release.send(()).expect("it still runs");
            while gate.load() != (0, 0) {
                tokio::task::yield_now().await;
            }
            assert_eq!(gate.run(later(), || 2).await, Ok(2));
        });
    }

    #[test]
    fn a_panic_is_an_error_and_frees_its_place() {
        let gate = Gate::new(1, 0);
        runtime().block_on(async {
            assert_eq!(gate.run(later(), || -> u8 { panic!("on purpose") }).await, Err(ApiError::internal()));
            while gate.load() != (0, 0) {
                tokio::task::yield_now().await;
            }
            assert_eq!(gate.run(later(), || 1).await, Ok(1));
        });
    }
}
