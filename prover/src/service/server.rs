//! Connections: a bounded number of them, with a time for heads, until the service is told to stop.

use super::{error::ApiError, routes::router, state::App, Config};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener as AsyncListener,
    sync::Semaphore,
    time::{sleep, timeout},
};

/// After an error of `accept` (too many open files, say), wait this long.
const PAUSE: Duration = Duration::from_millis(50);

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Open at once; more wait to be accepted.
    pub(super) max_connections: usize,
    /// Time for a head.
    pub(super) read_timeout: Duration,
    /// Time that running requests get at the end.
    pub(super) shutdown_timeout: Duration,
}

/// A service that is bound to its address.
#[derive(Debug)]
pub struct Server {
    app: App,
    listener: TcpListener,
}

impl Server {
    /// Binds the address; nothing is answered yet.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr, config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { app: App::new(config).map_err(io::Error::other)?, listener })
    }

    /// The address, with the port that was found if none was given.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Registers a model before, or while, requests are answered; gives its id.
    ///
    /// # Errors
    /// [`ApiError`] for what is no model, or one too many.
    pub fn register(&self, zkv: &[u8]) -> Result<String, ApiError> {
        self.app.register(zkv).map(|(handle, _)| handle.id().to_string())
    }

    /// Answers requests until `stop` is ready; then finishes those that run, as long as the configuration allows.
    ///
    /// # Errors
    /// When the runtime cannot be made.
    pub fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let config = &self.app.config;
        let patience = config.shutdown_timeout;
        let limits = Limits {
            max_connections: config.max_connections,
            read_timeout: config.read_timeout,
            shutdown_timeout: patience,
        };
        // A store may have a runtime of its own, which must not end inside of this one.
        let _store = config.store.clone();
        let result = runtime.block_on(accept(self.listener, router(self.app), limits, stop));
        // Verifications that nobody waits for any more.
        runtime.shutdown_timeout(patience);
        result
    }
}

/// Answers requests until `stop` is ready.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = AsyncListener::from_std(listener)?;
    let connections = Arc::new(Semaphore::new(limits.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.read_timeout);
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&connections).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let (Ok(place), Ok((stream, _))) = (place, accepted) else {
            sleep(PAUSE).await;
            continue;
        };
        // Without it, small answers wait for acknowledgements; to go without is no error.
        let _ = stream.set_nodelay(true);
        let connection = builder.serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that went away, or sent no HTTP, is nobody's error.
            let _ = connection.await;
            drop(place);
        });
    }
    // New connections are refused from here on.
    drop(listener);
    if timeout(limits.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut");
    }
    Ok(())
}
