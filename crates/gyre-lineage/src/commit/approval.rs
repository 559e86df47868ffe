//! What a commit asks of people, what they answered, and what a promotion is handed
//! over to.

use super::{Writer, run_cell};
use crate::StoreError;
use crate::approval::{ApprovalAnswer, NewAnswer, NewApproval, answer_cells, request_cells};
use crate::cells::convert;
use crate::database::Query;
use crate::handover::{NewHandover, handover_cells};
use crate::rows::GateDecision;
use crate::schema;

impl Writer<'_> {
    /// Asks people about a candidate, which must have passed its gate and is not
    /// promoted by the same commit.
    pub(super) async fn ask_approval(&mut self, asked: &NewApproval) -> Result<(), StoreError> {
        let NewApproval { round, candidate, champion, .. } = asked;
        if self.commit.promotion.is_some() {
            let reason = format!("{candidate} is promoted before anybody approved it");
            return Err(self.invalid(reason));
        }
        let query = Query::with(
            "SELECT 1 FROM gates WHERE run = $1 AND round = $2 AND digest = $3 \
             AND candidate = $4 AND champion = $5 AND decision = $6",
            [
                run_cell(&self.commit.run),
                (*round).into(),
                asked.gate_digest.to_hex().into(),
                candidate.as_str().into(),
                champion.as_str().into(),
                GateDecision::Promoted.as_str().into(),
            ],
        );
        if self.fetch(query).await?.is_empty() {
            let reason = format!("{candidate} did not pass the gate of round {round}");
            return Err(self.invalid(reason));
        }
        let cells = request_cells(&self.commit.run, asked, self.commit.at_ms);
        self.insert(&schema::APPROVALS, vec![cells]).await
    }

    /// Records what became of a candidate that waited. An approval comes with the
    /// promotion, in time; an expiry does not come before its time.
    pub(super) async fn answer_approval(&mut self, answer: &NewAnswer) -> Result<(), StoreError> {
        let round = answer.round;
        let query = Query::with(
            "SELECT expires_at_ms FROM approvals WHERE run = $1 AND round = $2",
            [run_cell(&self.commit.run), round.into()],
        );
        let rows = self.fetch(query).await?;
        let Some(expires_at_ms) = convert("approvals", rows, |row| row.int::<i64>())?.pop() else {
            return Err(self.invalid(format!("nobody was asked to approve round {round}")));
        };
        let is_late = self.commit.at_ms >= expires_at_ms;
        let promotes =
            self.commit.promotion.as_ref().is_some_and(|promotion| promotion.round == round);
        let wrong = match answer.answer {
            ApprovalAnswer::Approved if is_late => Some("its approval expired"),
            ApprovalAnswer::Approved if !promotes => Some("it is approved and not promoted"),
            ApprovalAnswer::Expired if !is_late => Some("its approval has not expired yet"),
            ApprovalAnswer::Declined | ApprovalAnswer::Expired if promotes => {
                Some("it is promoted and not approved")
            }
            _ => None,
        };
        if let Some(why) = wrong {
            return Err(self.invalid(format!("the candidate of round {round}: {why}")));
        }
        let cells = answer_cells(&self.commit.run, answer, self.commit.at_ms);
        self.insert(&schema::APPROVAL_ANSWERS, vec![cells]).await
    }

    /// A promotion about which somebody was asked needs the answer that approves.
    pub(super) async fn check_approved(&mut self, round: u32) -> Result<(), StoreError> {
        let query = Query::with(
            "SELECT a.round FROM approvals a WHERE a.run = $1 AND a.round = $2 AND NOT EXISTS \
             (SELECT 1 FROM approval_answers w WHERE w.run = a.run AND w.round = a.round \
             AND w.answer = 'approved')",
            [run_cell(&self.commit.run), round.into()],
        );
        if self.fetch(query).await?.is_empty() {
            return Ok(());
        }
        Err(self.invalid(format!("nobody approved the candidate of round {round}")))
    }

    /// Records what the promotion of the same commit is handed over to.
    pub(super) async fn insert_handovers(&mut self) -> Result<(), StoreError> {
        let commit = self.commit;
        let is_of = |handover: &&NewHandover| {
            commit.promotion.as_ref().is_some_and(|promotion| {
                promotion.round == handover.round && promotion.champion == handover.champion
            })
        };
        if let Some(stray) = commit.handovers.iter().find(|handover| !is_of(handover)) {
            let NewHandover { champion, round, .. } = stray;
            let reason = format!("{champion} is handed over and not promoted in round {round}");
            return Err(self.invalid(reason));
        }
        let cells = commit.handovers.iter();
        let cells = cells.map(|new| handover_cells(&commit.run, new, commit.at_ms)).collect();
        self.insert(&schema::HANDOVERS, cells).await
    }
}
