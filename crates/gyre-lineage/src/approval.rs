//! Candidates that wait for a person, and what became of them.

use std::fmt;
use std::str::FromStr;

use gyre_types::{CheckpointId, Digest, RunId};

use crate::cells::{Reason, convert};
use crate::database::{Cell, Query, Row};
use crate::rows::stored_enum;
use crate::{Store, StoreError};

stored_enum! {
    /// What became of a candidate that waited for a person.
    ApprovalAnswer {
        /// Somebody approved it: it is champion.
        Approved = "approved",
        /// Somebody declined it: the champion stays.
        Declined = "declined",
        /// Nobody answered in time: the champion stays.
        Expired = "expired",
    }
}

stored_enum! {
    /// By what somebody answered.
    AnswerVia {
        /// `gyre promote`.
        Command = "command",
        /// The page's button.
        Page = "page",
        /// The HTTP API.
        Api = "api",
    }
}

/// A candidate that passed the gate and is to wait for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApproval {
    /// The round whose gate it passed.
    pub round: u32,
    /// The candidate.
    pub candidate: CheckpointId,
    /// Who is champion meanwhile.
    pub champion: CheckpointId,
    /// The gate's record.
    pub gate_digest: Digest,
    /// How long it waits from the commit on, in milliseconds.
    pub expires_after_ms: i64,
}

/// What became of a candidate that waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAnswer {
    /// The round whose gate it passed.
    pub round: u32,
    /// What became of it.
    pub answer: ApprovalAnswer,
    /// Who answered and by what; nobody where it expired.
    pub by: Option<(String, AnswerVia)>,
    /// Why, where somebody said so.
    pub why: Option<String>,
}

/// A request as recorded, with its answer where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRow {
    /// The run.
    pub run: RunId,
    /// The round whose gate the candidate passed.
    pub round: u32,
    /// The candidate.
    pub candidate: CheckpointId,
    /// Who was champion when it was asked.
    pub champion: CheckpointId,
    /// The gate's record.
    pub gate_digest: Digest,
    /// When it was asked, in milliseconds since 1970.
    pub asked_at_ms: i64,
    /// From when on it is too late, in milliseconds since 1970.
    pub expires_at_ms: i64,
    /// What became of it, and when, in milliseconds since 1970.
    pub answer: Option<(NewAnswer, i64)>,
}

const APPROVAL: &str = "SELECT a.run, a.round, a.candidate, a.champion, a.gate_digest, \
    a.at_ms, a.expires_at_ms, w.answer, w.answered_by, w.via, w.why, w.at_ms FROM approvals a \
    LEFT JOIN approval_answers w ON w.run = a.run AND w.round = a.round";

impl Store {
    /// What a run asked of people, by round: at most one request a round.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn approvals(&self, run: &RunId) -> Result<Vec<ApprovalRow>, StoreError> {
        let mut query = Query::new(APPROVAL);
        query.push(" WHERE a.run = ").arg(run.as_str()).push(" ORDER BY a.round");
        convert("approvals", self.fetch(query).await?, read)
    }

    /// The candidates of all runs that wait for an answer, also those for which it is
    /// too late and nobody has recorded that yet. A run has at most one.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn waiting_approvals(&self) -> Result<Vec<ApprovalRow>, StoreError> {
        let mut query = Query::new(APPROVAL);
        query.push(
            " WHERE w.answer IS NULL AND NOT EXISTS (SELECT 1 FROM events e \
             WHERE e.run = a.run AND e.round = a.round AND e.kind IN ('failed', 'cancelled')) \
             ORDER BY a.run, a.round",
        );
        convert("approvals", self.fetch(query).await?, read)
    }
}

pub(crate) fn request_cells(run: &RunId, new: &NewApproval, at_ms: i64) -> Vec<Cell> {
    vec![
        run.as_str().into(),
        new.round.into(),
        new.candidate.as_str().into(),
        new.champion.as_str().into(),
        new.gate_digest.to_hex().into(),
        at_ms.saturating_add(new.expires_after_ms).into(),
        at_ms.into(),
    ]
}

pub(crate) fn answer_cells(run: &RunId, new: &NewAnswer, at_ms: i64) -> Vec<Cell> {
    let text = |text: Option<&str>| text.map_or(Cell::Null, Cell::from);
    let by = new.by.as_ref();
    vec![
        run.as_str().into(),
        new.round.into(),
        new.answer.as_str().into(),
        text(by.map(|(who, _)| who.as_str())),
        text(by.map(|(_, via)| via.as_str())),
        text(new.why.as_deref()),
        at_ms.into(),
    ]
}

fn read(row: &mut Row) -> Result<ApprovalRow, Reason> {
    let (run, round) = (row.parse()?, row.int()?);
    let (candidate, champion, gate_digest) = (row.parse()?, row.parse()?, row.parse()?);
    let (asked_at_ms, expires_at_ms) = (row.int()?, row.int()?);
    let answer: Option<ApprovalAnswer> = row.optional()?;
    let (who, via) = (row.optional::<String>()?, row.optional::<AnswerVia>()?);
    let why = row.optional::<String>()?;
    let at_ms: Option<i64> = row.optional_int()?;
    let answer = answer.zip(at_ms).map(|(answer, at_ms)| {
        let by = who.zip(via);
        (NewAnswer { round, answer, by, why }, at_ms)
    });
    Ok(ApprovalRow {
        run,
        round,
        candidate,
        champion,
        gate_digest,
        asked_at_ms,
        expires_at_ms,
        answer,
    })
}
