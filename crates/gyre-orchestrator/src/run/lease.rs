//! The right to drive a run, kept alive while the process lives.

use std::time::Duration;

use gyre_lineage::{Lease, StoreError};
use gyre_types::RunId;

use super::owner::{is_dead, owner};
use crate::clock::Clock;
use crate::error::Error;
use crate::project::Project;

/// A holder that stays silent for so long is taken for dead. Long enough for a
/// machine that pauses, short enough that another machine need not wait long.
const TTL_MS: i64 = 60_000;
/// Often enough that two renewals may fail before the lease expires.
const RENEW_EVERY: Duration = Duration::from_secs(15);

/// A lease that renews itself, and is given back when dropped.
#[derive(Debug)]
pub(crate) struct HeldLease {
    lease: Lease,
    project: Project,
    renewal: tokio::task::JoinHandle<()>,
}

impl HeldLease {
    /// Takes the lease on a run. A holder that is known to be a process of this
    /// machine which is gone is dead: there is no need to wait until its lease expires.
    pub(crate) fn acquire(project: &Project, run: &RunId, clock: Clock) -> Result<Self, Error> {
        let owner = owner();
        let store = &project.store;
        let lease = match project.wait(store.acquire_lease(run, &owner, clock(), TTL_MS)) {
            Err(StoreError::Held { owner: holder, epoch, .. }) if is_dead(&holder) => {
                project.wait(store.steal_lease(run, epoch, &owner, clock(), TTL_MS))?
            }
            taken => taken?,
        };
        let renewal = project.runtime().spawn(renew(project.clone(), lease.clone(), clock));
        Ok(Self { lease, project: project.clone(), renewal })
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.lease.epoch
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.renewal.abort();
        // One that cannot be given back expires by itself.
        if let Err(error) = self.project.wait(self.project.store.release_lease(&self.lease)) {
            tracing::debug!(%error, "the lease was not given back");
        }
    }
}

async fn renew(project: Project, lease: Lease, clock: Clock) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        // A commit under a lost lease is refused by the store, so a failure
        // here need not stop anything.
        if let Err(error) = project.store.renew_lease(&lease, clock(), TTL_MS).await {
            tracing::warn!(%error, "the lease could not be renewed");
        }
    }
}
