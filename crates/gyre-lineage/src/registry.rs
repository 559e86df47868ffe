use std::fmt;
use std::str::FromStr;

use gyre_types::{Digest, canonical_json};
use serde_json::Value;

use crate::cells::{Reason, convert};
use crate::database::{Query, Row};
use crate::rows::stored_enum;
use crate::schema;
use crate::seal::{Sealed, Sealer, row_of};
use crate::{SealChain, Store, StoreError};

stored_enum! {
    /// Which of the ways of the verifier contract a verifier goes.
    VerifierKind {
        /// The built-in comparison of hidden cases.
        Cases = "cases",
        /// Checks that a family declares.
        Checks = "checks",
        /// A `verify.py` in a Python guest.
        Python = "python",
        /// A WebAssembly component.
        Component = "component",
        /// A program outside the sandbox.
        Command = "command",
    }
}

stored_enum! {
    /// Whether a verifier may judge.
    VerifierStatus {
        /// It may.
        Active = "active",
        /// It was found wrong: it may not, and what it said does not count.
        Revoked = "revoked",
    }
}

/// A verifier to register.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVerifier {
    /// Its identity.
    pub digest: Digest,
    /// What families call it.
    pub name: String,
    /// What it is.
    pub kind: VerifierKind,
    /// Whether it runs outside the sandbox, on its author's word.
    pub trusted: bool,
    /// What the audit measured.
    pub scorecard: Value,
    /// Milliseconds since 1970.
    pub registered_at_ms: i64,
}

/// A registered verifier.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifierRow {
    /// Its identity.
    pub digest: Digest,
    /// What families call it.
    pub name: String,
    /// What it is.
    pub kind: VerifierKind,
    /// Whether it runs outside the sandbox, on its author's word.
    pub trusted: bool,
    /// What the audit measured.
    pub scorecard: Value,
    /// Whether it may judge.
    pub status: VerifierStatus,
    /// Milliseconds since 1970.
    pub registered_at_ms: i64,
    /// When and why it was revoked, if it was.
    pub revoked: Option<RevokedVerifier>,
}

/// The end of a verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedVerifier {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Why, in the words of who did it.
    pub why: String,
    /// The verifier that judged again, if one did.
    pub replaced_by: Option<Digest>,
}

/// How often another process may record something at the same moment.
const ATTEMPTS: u32 = 20;

const VERIFIER: &str = "digest, name, kind, trusted, scorecard, status, registered_at_ms, \
    revoked_at_ms, revoked_why, replaced_by";

impl Store {
    /// Registers a verifier, and gives its row. One that is registered already
    /// takes the new name, scorecard and time: the same digest is the same
    /// verifier. A crash before this returns leaves it as it was or as it is to be.
    ///
    /// # Errors
    ///
    /// [`StoreError::Revoked`] where it was revoked, registered or not, or when
    /// the database fails.
    pub async fn register_verifier(&self, new: &NewVerifier) -> Result<VerifierRow, StoreError> {
        for _ in 1..ATTEMPTS {
            match self.try_register(new).await {
                Err(StoreError::ChainMoved) => {}
                registered => return registered,
            }
        }
        self.try_register(new).await
    }

    async fn try_register(&self, new: &NewVerifier) -> Result<VerifierRow, StoreError> {
        let mut transaction = self.begin_write().await?;
        let digest = new.digest.to_hex();
        let revoked = Query::with(
            "SELECT why FROM revocations WHERE kind = 'verifier' AND target = $1",
            [digest.as_str().into()],
        );
        let rows = transaction.fetch(revoked).await.map_err(|failure| self.fail(failure))?;
        if let Some(why) = convert("revocations", rows, Row::text)?.pop() {
            return Err(StoreError::Revoked { verifier: new.digest, why });
        }
        let chain = SealChain::Registry;
        let (sealed, key) = (Sealed::of_table(&schema::VERIFIERS), [digest.as_str().into()]);
        let mut sealer = Sealer::resume(self, &mut *transaction, chain.clone()).await?;
        let before = row_of(self, &mut *transaction, sealed, &chain, &key).await?;
        let upsert = Query::with(
            "INSERT INTO verifiers (digest, name, kind, trusted, scorecard, status, \
             registered_at_ms) VALUES ($1, $2, $3, $4, $5, 'active', $6) \
             ON CONFLICT (digest) DO UPDATE SET name = excluded.name, kind = excluded.kind, \
             trusted = excluded.trusted, scorecard = excluded.scorecard, \
             registered_at_ms = excluded.registered_at_ms",
            [
                digest.as_str().into(),
                new.name.as_str().into(),
                new.kind.as_str().into(),
                i64::from(new.trusted).into(),
                canonical_json(&new.scorecard).into(),
                new.registered_at_ms.into(),
            ],
        );
        transaction.execute(upsert).await.map_err(|failure| self.fail(failure))?;
        let after = row_of(self, &mut *transaction, sealed, &chain, &key).await?;
        sealer.put(&schema::VERIFIERS, before.as_deref(), after.as_deref());
        sealer.append(self, &mut *transaction).await?;
        self.finish(transaction, "register").await?;
        Ok(VerifierRow {
            digest: new.digest,
            name: new.name.clone(),
            kind: new.kind,
            trusted: new.trusted,
            scorecard: new.scorecard.clone(),
            status: VerifierStatus::Active,
            registered_at_ms: new.registered_at_ms,
            revoked: None,
        })
    }

    /// A registered verifier by its digest, revoked or not.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn verifier(&self, digest: &Digest) -> Result<Option<VerifierRow>, StoreError> {
        let mut query = select();
        query.push(" WHERE digest = ").arg(digest.to_hex());
        Ok(convert("verifiers", self.fetch(query).await?, read)?.pop())
    }

    /// The active verifier that was registered last under a name.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn verifier_named(&self, name: &str) -> Result<Option<VerifierRow>, StoreError> {
        let mut query = select();
        query.push(" WHERE status = 'active' AND name = ").arg(name);
        query.push(" ORDER BY registered_at_ms DESC, digest DESC LIMIT 1");
        Ok(convert("verifiers", self.fetch(query).await?, read)?.pop())
    }

    /// Every registered verifier, by name, newest first.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn verifiers(&self) -> Result<Vec<VerifierRow>, StoreError> {
        let mut query = select();
        query.push(" ORDER BY name, registered_at_ms DESC, digest DESC");
        convert("verifiers", self.fetch(query).await?, read)
    }
}

fn select() -> Query {
    let mut query = Query::new("SELECT ");
    query.push(VERIFIER).push(" FROM verifiers");
    query
}

fn read(row: &mut Row) -> Result<VerifierRow, Reason> {
    Ok(VerifierRow {
        digest: row.parse()?,
        name: row.text()?,
        kind: row.parse()?,
        trusted: row.int::<i64>()? != 0,
        scorecard: row.json()?,
        status: row.parse()?,
        registered_at_ms: row.int()?,
        revoked: read_revoked(row)?,
    })
}

/// The last three columns, which are null together but for the last.
fn read_revoked(row: &mut Row) -> Result<Option<RevokedVerifier>, Reason> {
    let at_ms = row.optional_int()?;
    let why = row.optional::<String>()?;
    let replaced_by = row.optional()?;
    match (at_ms, why) {
        (Some(at_ms), Some(why)) => Ok(Some(RevokedVerifier { at_ms, why, replaced_by })),
        (None, None) => Ok(None),
        _ => Err("it is revoked by halves".to_owned()),
    }
}
