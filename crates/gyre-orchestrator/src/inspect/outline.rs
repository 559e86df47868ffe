//! What a summary needs of a round's events.

use gyre_lineage::{EventRow, RunRow};
use gyre_round::{
    Decision, ModelUsage, PublishedGroups, Rechecked, RejectReason, RoundEvent, RoundState, Stage,
    VerdictCounts,
};
use gyre_types::{CheckpointId, Split};

use super::state::round_state;
use crate::error::Error;
use crate::project::Project;
use crate::stored;
use crate::summary::ApprovalSummary;

/// A round in a few figures, without what was counted over its rollouts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Outline {
    pub(super) stage: &'static str,
    pub(super) cause: Option<String>,
    pub(super) reasons: Vec<RejectReason>,
    pub(super) candidate: Option<CheckpointId>,
    /// Whether the candidate was evaluated on the test part.
    pub(super) is_measured: bool,
    pub(super) verdicts: VerdictCounts,
    pub(super) rechecked: Rechecked,
    pub(super) rollouts: u32,
    pub(super) tokens: u64,
    pub(super) rows: u32,
    pub(super) groups: Option<PublishedGroups>,
    pub(super) usage: ModelUsage,
    /// What people were asked and what they said.
    pub(super) approval: Option<ApprovalSummary>,
    /// From the first event to the last, without the time for which it waited.
    pub(super) seconds: f64,
}

impl Outline {
    /// Of a round that may be anywhere: its events are folded.
    pub(super) fn of(project: &Project, run: &RunRow, round: u32) -> Result<Self, Error> {
        let (state, events) = round_state(project, run, round)?;
        let reasons = events.iter().find_map(|(_, event)| match event {
            RoundEvent::Decided { decision: Decision::Reject { reasons }, .. } => Some(reasons),
            _ => None,
        });
        let ends = (events.first().map(|e| e.0), events.last().map(|e| e.0));
        let mut approval = None;
        for (at_ms, event) in &events {
            ApprovalSummary::follow(&mut approval, *at_ms, event);
        }
        let seconds = seconds(ends) - waited(approval.as_ref());
        Ok(Self { seconds, approval, ..Self::of_state(&state, reasons.cloned()) })
    }

    fn of_state(state: &RoundState, reasons: Option<Vec<RejectReason>>) -> Self {
        let cause = match &state.stage {
            Stage::Failed { cause, .. } => Some(cause.clone()),
            _ => None,
        };
        Self {
            stage: state.stage.name(),
            cause,
            reasons: reasons.unwrap_or_default(),
            candidate: state.candidate.clone(),
            is_measured: state.evaluated.contains_key(&Split::Test),
            verdicts: state.counts,
            rechecked: state.rechecked,
            rollouts: state.rollouts,
            tokens: state.tokens,
            rows: state.rows,
            groups: state.groups.clone(),
            usage: state.usage,
            approval: None,
            seconds: 0.0,
        }
    }

    /// Of a round that has ended, from its events without the plan; none where
    /// it is under way. The log was folded when each was recorded, so they are
    /// only added up.
    pub(super) fn of_ended(run: &RunRow, events: &[EventRow]) -> Result<Option<Self>, Error> {
        let ends = (events.first().map(|e| e.at_ms), events.last().map(|e| e.at_ms));
        let mut outline = Self { seconds: seconds(ends), ..Self::default() };
        for row in events.iter().filter(|row| row.kind != "planned") {
            let event = stored::read_event(&run.id, row)?;
            ApprovalSummary::follow(&mut outline.approval, row.at_ms, &event);
            outline.add(event);
        }
        outline.seconds -= waited(outline.approval.as_ref());
        Ok((!outline.stage.is_empty()).then_some(outline))
    }

    fn add(&mut self, event: RoundEvent) {
        match event {
            RoundEvent::WaveRolledOut { rollouts, tokens, usage, .. } => {
                self.rollouts += rollouts;
                self.tokens += tokens;
                self.usage = self.usage.plus(usage);
            }
            RoundEvent::Checked { usage, .. } => self.usage = self.usage.plus(usage),
            RoundEvent::WaveVerified { counts, rechecked, .. } => {
                self.verdicts = self.verdicts.plus(counts);
                self.rechecked = self.rechecked.plus(rechecked);
            }
            RoundEvent::Curated { rows, groups, .. } => (self.rows, self.groups) = (rows, groups),
            RoundEvent::Trained { candidate, .. } => self.candidate = Some(candidate),
            RoundEvent::Evaluated { part, rechecked, usage, .. } => {
                self.usage = self.usage.plus(usage);
                self.is_measured |= part == Split::Test;
                self.rechecked = self.rechecked.plus(rechecked);
            }
            // One that somebody was asked about is not over yet.
            RoundEvent::Decided { decision: Decision::Promote, approval: Some(_), .. } => {}
            RoundEvent::Decided { decision: Decision::Promote, .. }
            | RoundEvent::Approved { .. } => self.stage = Stage::Promoted.name(),
            RoundEvent::Declined { .. } | RoundEvent::ApprovalExpired => {
                self.stage = Stage::Rejected.name();
            }
            RoundEvent::Decided { decision: Decision::Reject { reasons }, .. } => {
                self.stage = Stage::Rejected.name();
                self.reasons = reasons;
            }
            RoundEvent::Failed { cause, .. } | RoundEvent::BudgetSpent { cause, .. } => {
                let failed = Stage::Failed { at: "", cause: String::new() };
                self.stage = failed.name();
                self.cause = Some(cause);
            }
            RoundEvent::Cancelled => self.stage = Stage::Cancelled.name(),
            RoundEvent::Planned { .. }
            | RoundEvent::TasksGenerated { .. }
            | RoundEvent::PhaseOpened { .. } => {}
        }
    }
}

fn waited(approval: Option<&ApprovalSummary>) -> f64 {
    approval.map_or(0.0, |approval| approval.waited_ms() as f64 / 1000.0)
}

fn seconds(ends: (Option<i64>, Option<i64>)) -> f64 {
    match ends {
        (Some(first), Some(last)) => (last - first) as f64 / 1000.0,
        _ => 0.0,
    }
}
