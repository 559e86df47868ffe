use std::fmt;

use gyre_types::{Digest, RunId, TaskId};
use serde_json::Value;

use crate::cells::{Reason, convert};
use crate::database::{FailureClass, Query, Row};
use crate::schema;
use crate::seal::{Sealed, Sealer, row_of};
use crate::{SealChain, Store, StoreError};

/// What must no longer be believed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// What a verifier said, registered or not.
    Verifier(Digest),
    /// What was said of a task's rollouts.
    Task(TaskId),
}

impl RevocationTarget {
    /// `verifier` or `task`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Verifier(_) => "verifier",
            Self::Task(_) => "task",
        }
    }

    /// The digest or the id.
    pub fn text(&self) -> String {
        match self {
            Self::Verifier(digest) => digest.to_hex(),
            Self::Task(task) => task.to_string(),
        }
    }
}

impl fmt::Display for RevocationTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verifier(digest) => write!(f, "verifier {}", digest.short()),
            Self::Task(task) => write!(f, "task {task}"),
        }
    }
}

/// A revocation to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRevocation {
    /// What must no longer be believed.
    pub target: RevocationTarget,
    /// Why, in the words of who says so.
    pub why: String,
    /// The verifier that judges again; none where nothing can be said any more.
    pub replacement: Option<Digest>,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// A recorded revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationRow {
    /// From 1, in the order in which they were made.
    pub ordinal: u32,
    /// What must no longer be believed.
    pub target: RevocationTarget,
    /// Why.
    pub why: String,
    /// The verifier that judges again.
    pub replacement: Option<Digest>,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

const REVOCATION: &str = "ordinal, kind, target, why, replacement, at_ms";

/// How often another process may take the ordinal that we were about to take.
const ORDINAL_ATTEMPTS: u32 = 20;

impl Store {
    /// Records a revocation and marks the verifier, where it is registered. From
    /// then on it may not judge. What it said is put right run by run; until
    /// that is done the audit tells of it.
    ///
    /// A target that was revoked before keeps its record, which is given back:
    /// so this may be called again after a crash.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn revoke(&self, new: &NewRevocation) -> Result<RevocationRow, StoreError> {
        for _ in 0..ORDINAL_ATTEMPTS {
            match self.try_revoke(new).await {
                Ok(Some(row)) => return Ok(row),
                Ok(None) | Err(StoreError::ChainMoved) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Row {
            table: "revocations",
            reason: format!("other processes took {ORDINAL_ATTEMPTS} ordinals in a row"),
        })
    }

    /// Gives none where another process took the ordinal at the same moment.
    async fn try_revoke(&self, new: &NewRevocation) -> Result<Option<RevocationRow>, StoreError> {
        let mut transaction = self.begin_write().await?;
        let rows = transaction.fetch(of_target(&new.target)).await;
        let rows = rows.map_err(|failure| self.fail(failure))?;
        if let Some(known) = convert("revocations", rows, read)?.pop() {
            return Ok(Some(known));
        }
        let newest = Query::new("SELECT COALESCE(MAX(ordinal), 0) FROM revocations");
        let rows = transaction.fetch(newest).await.map_err(|failure| self.fail(failure))?;
        let newest = convert("revocations", rows, |row| row.int::<u32>())?;
        let ordinal = newest.first().copied().unwrap_or(0) + 1;
        let chain = SealChain::Registry;
        let mut sealer = Sealer::resume(self, &mut *transaction, chain.clone()).await?;
        match transaction.execute(insert(ordinal, new)).await {
            Ok(_) => {}
            Err(failure) if failure.class == FailureClass::Constraint => return Ok(None),
            Err(failure) => return Err(self.fail(failure)),
        }
        let revocations = Sealed::of_table(&schema::REVOCATIONS);
        let row = row_of(self, &mut *transaction, revocations, &chain, &[ordinal.into()]).await?;
        sealer.put(&schema::REVOCATIONS, None, row.as_deref());
        if let RevocationTarget::Verifier(digest) = &new.target {
            let (verifiers, key) = (Sealed::of_table(&schema::VERIFIERS), [digest.to_hex().into()]);
            let before = row_of(self, &mut *transaction, verifiers, &chain, &key).await?;
            let mark = mark_revoked(digest, new);
            transaction.execute(mark).await.map_err(|failure| self.fail(failure))?;
            let after = row_of(self, &mut *transaction, verifiers, &chain, &key).await?;
            sealer.put(&schema::VERIFIERS, before.as_deref(), after.as_deref());
        }
        sealer.append(self, &mut *transaction).await?;
        self.finish(transaction, "revocation").await?;
        let NewRevocation { target, why, replacement, at_ms } = new.clone();
        Ok(Some(RevocationRow { ordinal, target, why, replacement, at_ms }))
    }

    /// Every revocation, in order.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn revocations(&self) -> Result<Vec<RevocationRow>, StoreError> {
        let query = Query::new(&format!("SELECT {REVOCATION} FROM revocations ORDER BY ordinal"));
        convert("revocations", self.fetch(query).await?, read)
    }

    /// The revocation of a target, if there is one.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn revocation_of(
        &self,
        target: &RevocationTarget,
    ) -> Result<Option<RevocationRow>, StoreError> {
        Ok(convert("revocations", self.fetch(of_target(target)).await?, read)?.pop())
    }

    /// What a revocation came to in a run, once it was carried out there.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn revocation_report(
        &self,
        run: &RunId,
        ordinal: u32,
    ) -> Result<Option<Value>, StoreError> {
        let query = Query::with(
            "SELECT report FROM revocation_runs WHERE run = $1 AND revocation = $2",
            [run.as_str().into(), ordinal.into()],
        );
        Ok(convert("revocation_runs", self.fetch(query).await?, Row::json)?.pop())
    }
}

fn insert(ordinal: u32, new: &NewRevocation) -> Query {
    let mut columns = "ordinal, kind, target, why, at_ms".to_owned();
    let mut args = vec![
        ordinal.into(),
        new.target.kind().into(),
        new.target.text().into(),
        new.why.as_str().into(),
        new.at_ms.into(),
    ];
    if let Some(replacement) = new.replacement {
        columns.push_str(", replacement");
        args.push(replacement.to_hex().into());
    }
    let values: Vec<_> = (1..=args.len()).map(|at| format!("${at}")).collect();
    let text = format!("INSERT INTO revocations ({columns}) VALUES ({})", values.join(", "));
    Query::with(&text, args)
}

fn mark_revoked(digest: &Digest, new: &NewRevocation) -> Query {
    let mut query = Query::new("UPDATE verifiers SET status = 'revoked', revoked_at_ms = ");
    query.arg(new.at_ms).push(", revoked_why = ").arg(new.why.as_str());
    if let Some(replacement) = new.replacement {
        query.push(", replaced_by = ").arg(replacement.to_hex());
    }
    query.push(" WHERE digest = ").arg(digest.to_hex());
    query
}

fn of_target(target: &RevocationTarget) -> Query {
    Query::with(
        &format!("SELECT {REVOCATION} FROM revocations WHERE kind = $1 AND target = $2"),
        [target.kind().into(), target.text().into()],
    )
}

fn read(row: &mut Row) -> Result<RevocationRow, Reason> {
    Ok(RevocationRow {
        ordinal: row.int()?,
        target: match row.text()?.as_str() {
            "verifier" => RevocationTarget::Verifier(row.parse()?),
            "task" => RevocationTarget::Task(row.parse()?),
            other => return Err(format!("{other:?} cannot be revoked")),
        },
        why: row.text()?,
        replacement: row.optional()?,
        at_ms: row.int()?,
    })
}
