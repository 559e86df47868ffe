use gyre_types::{Digest, RunId, Seed, canonical_json};
use serde_json::Value;

use crate::cells::{RUN, convert, read_run};
use crate::claim::TickLease;
use crate::database::{FailureClass, Query};
use crate::page::{PAGE_ROWS_MAX, page};
use crate::rows::{RunRow, RunStatus};
use crate::schema;
use crate::seal::Sealer;
use crate::{All, Cursor, Page, SealChain, Store, StoreError};

/// A run to create.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// The configured name.
    pub name: String,
    /// Digest of everything that decides its outcome.
    pub fingerprint: Digest,
    /// The seed that every stream derives from.
    pub seed: Seed,
    /// The whole configuration.
    pub config: Value,
    /// The sandbox that it starts with.
    pub sandbox_digest: Digest,
    /// Milliseconds since 1970.
    pub created_at_ms: i64,
}

/// How often another process may take the ordinal that we were about to take.
const ORDINAL_ATTEMPTS: u32 = 100;

impl Store {
    /// Creates a run with the next ordinal of its name, in one transaction.
    ///
    /// # Errors
    ///
    /// When the name cannot be part of a run id, or the database fails.
    pub async fn create_run(&self, new: &NewRun) -> Result<RunRow, StoreError> {
        self.create_run_for(new, None).await
    }

    /// Creates the run that a schedule drives from here on, and binds it to the
    /// schedule in the same transaction: a crash leaves neither or both.
    ///
    /// # Errors
    ///
    /// As [`Store::create_run`], and [`StoreError::TickLost`] where the tick is
    /// no longer ours.
    pub async fn create_scheduled_run(
        &self,
        new: &NewRun,
        tick: &TickLease,
    ) -> Result<RunRow, StoreError> {
        self.create_run_for(new, Some(tick)).await
    }

    async fn create_run_for(
        &self,
        new: &NewRun,
        tick: Option<&TickLease>,
    ) -> Result<RunRow, StoreError> {
        for _ in 1..ORDINAL_ATTEMPTS {
            if let Some(run) = self.try_create_run(new, tick).await? {
                return Ok(run);
            }
        }
        Err(StoreError::Row {
            table: "runs",
            reason: format!("other processes took {ORDINAL_ATTEMPTS} ordinals in a row"),
        })
    }

    /// Gives none where another process took the ordinal at the same moment.
    async fn try_create_run(
        &self,
        new: &NewRun,
        tick: Option<&TickLease>,
    ) -> Result<Option<RunRow>, StoreError> {
        let mut transaction = self.begin_write().await?;
        if let Some(tick) = tick {
            self.check_tick(&mut *transaction, tick).await?;
        }
        let newest = Query::with(
            "SELECT COALESCE(MAX(ordinal), 0) FROM runs WHERE name = $1",
            [new.name.as_str().into()],
        );
        let rows = transaction.fetch(newest).await.map_err(|failure| self.fail(failure))?;
        let newest: u32 = convert("runs", rows, |row| row.int())?.first().copied().unwrap_or(0);
        let ordinal = newest + 1;
        let bad_name = |error: gyre_types::IdError| StoreError::Row {
            table: "runs",
            reason: error.to_string(),
        };
        let run = RunRow {
            id: RunId::new(&new.name, ordinal).map_err(bad_name)?,
            name: new.name.clone(),
            fingerprint: new.fingerprint,
            seed: new.seed,
            config: new.config.clone(),
            sandbox_digest: new.sandbox_digest,
            created_at_ms: new.created_at_ms,
            status: RunStatus::Active,
            last_seq: 0,
        };
        let cells = vec![
            run.id.as_str().into(),
            run.name.as_str().into(),
            ordinal.into(),
            run.fingerprint.to_hex().into(),
            run.seed.to_string().into(),
            canonical_json(&run.config).into(),
            run.sandbox_digest.to_hex().into(),
            run.created_at_ms.into(),
            run.status.as_str().into(),
            run.last_seq.into(),
        ];
        let mut sealer = Sealer::begin(SealChain::Run(run.id.clone()));
        sealer.added(&schema::RUNS, std::slice::from_ref(&cells));
        match transaction.insert(&schema::RUNS, vec![cells], false).await {
            Ok(_) => {}
            Err(failure) if failure.class == FailureClass::Constraint => return Ok(None),
            Err(failure) => return Err(self.fail(failure)),
        }
        if let Some(tick) = tick {
            let bind = Query::with(
                "UPDATE schedules SET run = $2 WHERE name = $1",
                [tick.schedule.as_str().into(), run.id.as_str().into()],
            );
            transaction.execute(bind).await.map_err(|failure| self.fail(failure))?;
        }
        sealer.append(self, &mut *transaction).await?;
        self.finish(transaction, "create").await?;
        Ok(Some(run))
    }

    /// All runs, newest first.
    pub fn runs(&self) -> All<RunRow> {
        All::new(self, |store, after, rows| {
            Box::pin(async move { store.runs_page(after.as_ref(), rows).await })
        })
    }

    /// Runs, newest first, a page at a time.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn runs_page(
        &self,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<RunRow>, StoreError> {
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        let mut query = Query::new("SELECT ");
        query.push(RUN).push(" FROM runs");
        if let Some(cursor) = after {
            query.push(
                " WHERE (created_at_ms, run) < ((SELECT created_at_ms FROM runs WHERE run = ",
            );
            query.arg(cursor.id.as_str()).push("), ").arg(cursor.id.as_str()).push(")");
        }
        query.push(" ORDER BY created_at_ms DESC, run DESC LIMIT ").arg(limit + 1);
        let rows = convert("runs", self.fetch(query).await?, read_run)?;
        Ok(page(rows, limit, |row| (0, row.id.to_string())))
    }

    /// A run, if it exists.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn run(&self, run: &RunId) -> Result<Option<RunRow>, StoreError> {
        let mut query = Query::new("SELECT ");
        query.push(RUN).push(" FROM runs WHERE run = ").arg(run.as_str());
        Ok(convert("runs", self.fetch(query).await?, read_run)?.pop())
    }

    /// The run with the highest ordinal of a name, or the newest of all names.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn latest_run(&self, name: Option<&str>) -> Result<Option<RunRow>, StoreError> {
        let mut query = Query::new("SELECT ");
        query.push(RUN).push(" FROM runs");
        match name {
            Some(name) => query.push(" WHERE name = ").arg(name).push(" ORDER BY ordinal DESC"),
            None => query.push(" ORDER BY created_at_ms DESC, run DESC"),
        };
        query.push(" LIMIT 1");
        Ok(convert("runs", self.fetch(query).await?, read_run)?.pop())
    }
}
