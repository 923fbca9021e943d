//! The heart: says that the worker lives and holds its leases.

use super::shared::{Shared, TICK};
use crate::jobs::time::UnixMillis;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// Beats until `ended`; when stopping takes longer than the grace, gives all leases back and calls `abandon`.
pub(super) fn run(shared: &Shared<'_>, ended: &AtomicBool, abandon: &(dyn Fn() + Sync)) {
    let mut next = Instant::now();
    let mut stopping: Option<Instant> = None;
    while !ended.load(Ordering::Relaxed) {
        if Instant::now() >= next {
            next = Instant::now() + shared.config.heartbeat;
            beat(shared);
        }
        if shared.stopping() {
            let since = stopping.get_or_insert_with(Instant::now);
            if since.elapsed() > shared.config.grace {
                tracing::warn!("proofs take longer than the grace: their leases are released");
                shared.leases().iter().for_each(|lease| shared.release(lease));
                abandon();
            }
        }
        std::thread::sleep(TICK);
    }
    // The last word: what was done.
    beat(shared);
}

fn beat(shared: &Shared<'_>) {
    let now = UnixMillis::now();
    match shared.store.heartbeat(&shared.report(), &shared.leases(), now.after(shared.config.lease), now) {
        Ok(lost) => shared.lost(&lost),
        Err(error) => tracing::warn!(error = %error, "no heartbeat"),
    }
}
