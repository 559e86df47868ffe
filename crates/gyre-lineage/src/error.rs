use gyre_types::{Digest, RunId};

use crate::DatabaseUrl;

/// The cause of a database's failure, kept opaque so that no caller names sqlx.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be made, or it was lost.
    #[error(
        "cannot reach the database {database}; check that the server runs and that host, port \
         and path are right"
    )]
    Unreachable {
        /// Without its password.
        database: DatabaseUrl,
        /// What the connection said.
        #[source]
        cause: Cause,
    },
    /// No connection could be made that is as protected as the URL asks for, or
    /// as one that leaves this machine must be.
    #[error(
        "no secure connection to the database {database} could be made; check sslmode, \
         sslrootcert, sslcert and sslkey in its URL"
    )]
    Insecure {
        /// Without its password.
        database: DatabaseUrl,
        /// What is wrong.
        #[source]
        cause: Cause,
    },
    /// A pooler lends the server's connections for a transaction at a time.
    #[error(
        "the database {database} is behind a pooler in transaction mode, on which leases, \
         migrations and prepared statements do not hold; use session mode (PgBouncer: pool_mode \
         = session), or the server's own port"
    )]
    Pooled {
        /// Without its password.
        database: DatabaseUrl,
        /// How that showed.
        #[source]
        cause: Cause,
    },
    /// The login may connect, but lacks a right to what it is to do.
    #[error(
        "the login of the database {database} lacks a right; grant it, or use the login that owns \
         the tables"
    )]
    Denied {
        /// Without its password.
        database: DatabaseUrl,
        /// Which.
        #[source]
        cause: Cause,
    },
    /// People's own SQL has no role of its own to run as.
    #[error(
        "queries of the database {database} run as the role gyre_reader, which may read the views \
         alone and is not set up; `gyre db migrate` does it (docs/sql.md says what it needs)"
    )]
    Unconfined {
        /// Without its password.
        database: DatabaseUrl,
        /// What is missing.
        #[source]
        cause: Cause,
    },
    /// The server refused the user, the password or the database's name.
    #[error(
        "the database {database} refused the connection; check user, password and the database's \
         name"
    )]
    Refused {
        /// Without its password.
        database: DatabaseUrl,
        /// What the server said.
        #[source]
        cause: Cause,
    },
    /// The file or folder cannot be opened or written.
    #[error(
        "cannot open or write the database {database}; check that its folder exists and may be \
         written"
    )]
    Unwritable {
        /// The file.
        database: DatabaseUrl,
        /// What the database said.
        #[source]
        cause: Cause,
    },
    /// A newer Gyre has been here.
    #[error(
        "the database {database} has schema version {found}, this gyre knows versions up to \
         {known}; use a newer gyre"
    )]
    NewerSchema {
        /// Without its password.
        database: DatabaseUrl,
        /// The version in the database.
        found: i64,
        /// The newest version that this binary knows.
        known: i64,
    },
    /// A migration failed; it ran in a transaction, so nothing changed.
    #[error("cannot bring the schema of the database {database} up to date")]
    Migration {
        /// Without its password.
        database: DatabaseUrl,
        /// What failed.
        #[source]
        cause: Cause,
    },
    /// Others held the database's lock all the time that we waited.
    #[error(
        "the database {database} stayed locked by another process; try again when that process \
         is done"
    )]
    Locked {
        /// Without its password.
        database: DatabaseUrl,
        /// What the database said.
        #[source]
        cause: Cause,
    },
    /// No space is left; the transaction was rolled back.
    #[error("no space is left for the database {database}; free some space and run again")]
    DiskFull {
        /// Without its password.
        database: DatabaseUrl,
        /// What the database said.
        #[source]
        cause: Cause,
    },
    /// The file is damaged, or no database at all.
    #[error(
        "the database {database} is damaged or is no lineage database; restore it from a backup \
         or choose another data folder"
    )]
    Corrupt {
        /// Without its password.
        database: DatabaseUrl,
        /// What was found.
        #[source]
        cause: Cause,
    },
    /// A statement failed for another reason.
    #[error("the database {database} failed")]
    Database {
        /// Without its password.
        database: DatabaseUrl,
        /// What the database said.
        #[source]
        cause: Cause,
    },
    /// The row is there already, or what it refers to is not: a bug of the caller.
    #[error("the commit to {run} breaks a rule of the schema; nothing was written")]
    Constraint {
        /// The run.
        run: RunId,
        /// Which rule.
        #[source]
        cause: Cause,
    },
    /// No such run.
    #[error("there is no run {run}; `gyre status` lists the runs")]
    UnknownRun {
        /// What was asked for.
        run: RunId,
    },
    /// Another process works on the run.
    #[error("the run {run} is held by {owner}; stop that process, or wait until its lease ends")]
    Held {
        /// The run.
        run: RunId,
        /// Who holds it, in the owner's own words.
        owner: String,
        /// Its lease; what [`crate::Store::steal_lease`] must be given.
        epoch: u64,
        /// When its lease ends, in milliseconds since 1970.
        expires_at_ms: i64,
    },
    /// The lease was lost: another process has taken the run over.
    #[error(
        "the lease on {run} (epoch {epoch}) is no longer ours; another process took the run over"
    )]
    Fenced {
        /// The run.
        run: RunId,
        /// The epoch that was presented.
        epoch: u64,
    },
    /// No such schedule.
    #[error(
        "there is no schedule {name:?}; `gyre schedule ls` lists them, `gyre serve` records them"
    )]
    UnknownSchedule {
        /// What was asked for.
        name: String,
    },
    /// A tick is no longer ours: another service has taken it over, or it is settled.
    #[error(
        "the tick {tick_ms} of schedule {schedule} (epoch {epoch}) is no longer ours; another \
         service took it over"
    )]
    TickLost {
        /// The schedule.
        schedule: String,
        /// The tick.
        tick_ms: i64,
        /// The epoch that was presented.
        epoch: u64,
    },
    /// Another process recorded a verifier or a revocation at the same moment,
    /// again and again.
    #[error("other processes keep recording verifiers or revocations; try again")]
    ChainMoved,
    /// The run's log is not where the caller believed.
    #[error("the log of {run} stands at event {found}, not at {expected}; read it again")]
    Conflict {
        /// The run.
        run: RunId,
        /// What the caller believed.
        expected: u64,
        /// Where it stands.
        found: u64,
    },
    /// Promotion is compare-and-swap, and the comparison failed.
    #[error("cannot promote in {run}: the champion is {found}, not {expected}")]
    NotChampion {
        /// The run.
        run: RunId,
        /// Who the caller believed to be champion.
        expected: String,
        /// Who is.
        found: String,
    },
    /// The commit contradicts itself or an invariant.
    #[error("the commit to {run} is refused: {reason}")]
    InvalidCommit {
        /// The run.
        run: RunId,
        /// Why.
        reason: String,
    },
    /// A revoked verifier is to judge again.
    #[error(
        "the verifier {} was revoked: {why}; mend it, so that it has another digest, and register \
         that one",
        verifier.short()
    )]
    Revoked {
        /// The verifier.
        verifier: Digest,
        /// Why it was revoked.
        why: String,
    },
    /// A stored row is not what this crate writes.
    #[error("a row of {table} cannot be read: {reason}; `gyre audit` tells more")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A backup that cannot be put back.
    #[error("the backup cannot be used: {reason}; nothing was put back")]
    BackupUnusable {
        /// Why.
        reason: String,
    },
    /// The file of a backup cannot be written or read.
    #[error("cannot {doing} the backup")]
    BackupFile {
        /// What was tried.
        doing: &'static str,
        /// What the file system said.
        #[source]
        cause: std::io::Error,
    },
    /// A backup is put back only where there is nothing.
    #[error(
        "the database {database} holds a lineage already; put the backup back into an empty one \
         (another file, or a new database)"
    )]
    NotEmpty {
        /// Without its password.
        database: DatabaseUrl,
    },
    /// A query of a person's own that is not answered.
    #[error("the query is refused: {reason}")]
    Query {
        /// Why.
        reason: String,
    },
    /// A cursor that no page gave.
    #[error("{text:?} is not a cursor of this list")]
    Cursor {
        /// What was given.
        text: String,
    },
}
