//! `zkonnx serve`.

use super::{files, Failure, Outcome};
use crate::service::{Config, Server};
use clap::Args;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address and port; port 0 takes any that is free. There is no authentication and no encryption: put something in
    /// front of it before you leave loopback
    #[arg(long, default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8710))]
    listen: SocketAddr,
    /// A .zkv file to register at the start; may be repeated
    #[arg(long, value_name = "FILE")]
    model: Vec<PathBuf>,
    /// Register no models but those of --model
    #[arg(long)]
    no_registration: bool,
    /// Show this queue: a dashboard at /, JSON at /v1/queue, and its numbers at /metrics
    #[arg(long, value_name = "STORE", env = "ZKONNX_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Models that can be registered
    #[arg(long, value_name = "N", default_value_t = Config::default().max_models)]
    max_models: usize,
    /// Accept every job (domain and job id) once, and remember so many. In memory only: after a restart, or by another
    /// process, every job is accepted again. Where money depends on it, keep settled jobs in a database of your own
    #[arg(long, value_name = "JOBS", num_args = 0..=1, default_missing_value = "1048576")]
    replay: Option<usize>,
    /// Bytes of a request's body
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().max_body)]
    max_body: usize,
    /// Proofs in one batch
    #[arg(long, value_name = "N", default_value_t = Config::default().max_batch)]
    max_batch: usize,
    /// Verifications that run at once
    #[arg(long, value_name = "N", default_value_t = Config::default().workers)]
    workers: usize,
    /// Verifications that wait; more are refused
    #[arg(long, value_name = "N", default_value_t = Config::default().queue)]
    queue: usize,
    /// Open connections; more wait
    #[arg(long, value_name = "N", default_value_t = Config::default().max_connections)]
    max_connections: usize,
    /// Seconds for the head of a request, and again for its body
    #[arg(long, value_name = "SECONDS", default_value_t = Config::default().read_timeout.as_secs())]
    read_timeout: u64,
    /// Seconds from the whole request to its answer
    #[arg(long, value_name = "SECONDS", default_value_t = Config::default().timeout.as_secs())]
    timeout: u64,
    /// Seconds for running requests after SIGTERM or SIGINT
    #[arg(long, value_name = "SECONDS", default_value_t = Config::default().shutdown_timeout.as_secs())]
    shutdown_timeout: u64,
}

impl Serve {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let store = self.store.as_deref().map(|store| crate::jobs::open(store).map_err(Failure::new)).transpose()?;
        let config = Config {
            store: store.map(Arc::from),
            max_models: self.max_models,
            registration: !self.no_registration,
            max_jobs: self.replay,
            max_body: self.max_body,
            max_batch: self.max_batch,
            workers: self.workers,
            queue: self.queue,
            max_connections: self.max_connections,
            read_timeout: Duration::from_secs(self.read_timeout),
            timeout: Duration::from_secs(self.timeout),
            shutdown_timeout: Duration::from_secs(self.shutdown_timeout),
            ..Config::default()
        };
        let cannot_listen = |e: std::io::Error| Failure::new(format!("{}: {e}", self.listen));
        let server = Server::bind(self.listen, config).map_err(cannot_listen)?;
        for path in &self.model {
            let id = server.register(&files::read(path)?).map_err(|e| match e.code {
                "registration" => Failure::at(path, e.message).hint(files::RENEW),
                _ => Failure::at(path, e.message),
            })?;
            say!("model {id} {}", path.display());
        }
        let address = server.local_addr().map_err(cannot_listen)?;
        if !address.ip().is_loopback() {
            eprintln!("warning: {address} is not loopback, and the service has no authentication and no encryption");
        }
        say!("listening on http://{address}");
        if self.store.is_some() {
            say!("dashboard at http://{address}/");
        }
        server.run(stopped()).map_err(|e| Failure::new(e.to_string()))?;
        say!("stopped");
        Ok(Outcome::Done)
    }
}

/// Ready when the process is told to stop.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{signal, SignalKind};
        if let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
