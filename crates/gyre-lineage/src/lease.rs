use gyre_types::RunId;

use crate::cells::convert;
use crate::database::{FailureClass, Query, Transaction};
use crate::{Store, StoreError};

/// The right to commit to a run. Whoever takes the run over raises the epoch,
/// which fences every commit with an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// What commits must carry.
    pub epoch: u64,
    /// When others may take the run over, in milliseconds since 1970.
    pub expires_at_ms: i64,
}

/// Who wants a lease, and for how long.
struct Claim<'a> {
    owner: &'a str,
    now_ms: i64,
    ttl_ms: i64,
    /// The epoch of a holder that is known to be dead.
    dead_epoch: Option<u64>,
}

impl Store {
    /// Takes the lease on a run: where nobody has it, or its holder released
    /// it or let it expire.
    ///
    /// `owner` is shown to others; where it runs, process id and start time make a good
    /// one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Held`] where another holds it, [`StoreError::UnknownRun`],
    /// or when the database fails.
    pub async fn acquire_lease(
        &self,
        run: &RunId,
        owner: &str,
        now_ms: i64,
        ttl_ms: i64,
    ) -> Result<Lease, StoreError> {
        self.claim(run, Claim { owner, now_ms, ttl_ms, dead_epoch: None }).await
    }

    /// Takes the lease from a holder that is known to be dead, before it
    /// expires. `dead_epoch` is what [`StoreError::Held`] told: where the lease
    /// moved on since, this fails as [`Store::acquire_lease`] does.
    ///
    /// # Errors
    ///
    /// As [`Store::acquire_lease`].
    pub async fn steal_lease(
        &self,
        run: &RunId,
        dead_epoch: u64,
        owner: &str,
        now_ms: i64,
        ttl_ms: i64,
    ) -> Result<Lease, StoreError> {
        let dead_epoch = Some(dead_epoch);
        self.claim(run, Claim { owner, now_ms, ttl_ms, dead_epoch }).await
    }

    async fn claim(&self, run: &RunId, claim: Claim<'_>) -> Result<Lease, StoreError> {
        let expires_at_ms = claim.now_ms.saturating_add(claim.ttl_ms);
        // Inserting first makes the row exist, so that two claims meet on its lock.
        let insert = Query::with(
            "INSERT INTO leases (run, epoch, owner, acquired_at_ms, expires_at_ms, released) \
             VALUES ($1, 0, '', $2, $2, 1) ON CONFLICT (run) DO NOTHING",
            [run.as_str().into(), claim.now_ms.into()],
        );
        let mut transaction = self.begin_write().await?;
        transaction.execute(insert).await.map_err(|failure| match failure.class {
            FailureClass::Constraint => StoreError::UnknownRun { run: run.clone() },
            _ => self.fail(failure),
        })?;
        let held = self.lock_lease(&mut *transaction, run).await?;
        let free = held.released
            || held.expires_at_ms <= claim.now_ms
            || claim.dead_epoch == Some(held.epoch);
        if !free {
            let Held { owner, epoch, expires_at_ms, .. } = held;
            return Err(StoreError::Held { run: run.clone(), owner, epoch, expires_at_ms });
        }
        let epoch = held.epoch + 1;
        let update = Query::with(
            "UPDATE leases SET epoch = $2, owner = $3, acquired_at_ms = $4, expires_at_ms = $5, \
             released = 0 WHERE run = $1",
            [
                run.as_str().into(),
                epoch.into(),
                claim.owner.into(),
                claim.now_ms.into(),
                expires_at_ms.into(),
            ],
        );
        transaction.execute(update).await.map_err(|failure| self.fail(failure))?;
        self.finish(transaction, "lease").await?;
        Ok(Lease { run: run.clone(), epoch, expires_at_ms })
    }

    /// Prolongs a lease.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] where it is no longer ours, or when the database fails.
    pub async fn renew_lease(
        &self,
        lease: &Lease,
        now_ms: i64,
        ttl_ms: i64,
    ) -> Result<Lease, StoreError> {
        let expires_at_ms = now_ms.saturating_add(ttl_ms);
        self.update_lease(lease, "expires_at_ms = $3", expires_at_ms).await?;
        Ok(Lease { expires_at_ms, ..lease.clone() })
    }

    /// Gives a lease back, so that others need not wait for its end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] where it is no longer ours, or when the database fails.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        self.update_lease(lease, "released = $3", 1).await
    }

    async fn update_lease(&self, lease: &Lease, set: &str, to: i64) -> Result<(), StoreError> {
        let mut query = Query::new("UPDATE leases SET ");
        query.push(set).push(" WHERE run = $1 AND epoch = $2 AND released = 0");
        query.args = vec![lease.run.as_str().into(), lease.epoch.into(), to.into()];
        let mut transaction = self.begin_write().await?;
        let updated = transaction.execute(query).await.map_err(|failure| self.fail(failure))?;
        if updated == 0 {
            return Err(StoreError::Fenced { run: lease.run.clone(), epoch: lease.epoch });
        }
        self.finish(transaction, "release").await
    }

    /// Refuses an epoch that is not the current one, and keeps the lease from
    /// changing hands until the transaction ends.
    pub(crate) async fn check_fence(
        &self,
        transaction: &mut dyn Transaction,
        run: &RunId,
        epoch: u64,
    ) -> Result<(), StoreError> {
        let held = self.lock_lease(transaction, run).await?;
        if held.epoch == epoch && !held.released {
            Ok(())
        } else {
            Err(StoreError::Fenced { run: run.clone(), epoch })
        }
    }

    async fn lock_lease(
        &self,
        transaction: &mut dyn Transaction,
        run: &RunId,
    ) -> Result<Held, StoreError> {
        let mut query =
            Query::new("SELECT epoch, owner, expires_at_ms, released FROM leases WHERE run = ");
        query.arg(run.as_str()).push(self.database.row_lock());
        let rows = transaction.fetch(query).await.map_err(|failure| self.fail(failure))?;
        let held = convert("leases", rows, |row| {
            Ok(Held {
                epoch: row.int()?,
                owner: row.text()?,
                expires_at_ms: row.int()?,
                released: row.int::<i64>()? != 0,
            })
        })?;
        // A run without a lease has never been worked on.
        let never = Held { epoch: 0, owner: String::new(), expires_at_ms: 0, released: true };
        Ok(held.into_iter().next().unwrap_or(never))
    }
}

struct Held {
    epoch: u64,
    owner: String,
    expires_at_ms: i64,
    released: bool,
}
