//! A person's word on a candidate that passed the gate.

use gyre_lineage::{AnswerVia, ApprovalAnswer, ApprovalRow, Commit, NewAnswer, Promotion, RunRow};
use gyre_round::{ApprovalRequest, RoundEvent, RoundState, Stage};
use gyre_types::{CheckpointId, RunId};

use crate::champion;
use crate::clock::Clock;
use crate::error::Error;
use crate::host;
use crate::inspect;
use crate::project::Project;
use crate::promotion_settings::PromotionSettings;
use crate::run::context::RunContext;
use crate::run::event_log::{EventLog, LogEntry};
use crate::run::owner::host as host_name;

/// Bytes of a name and of a reason, at most.
const BY_BYTES_MAX: usize = 100;
const WHY_BYTES_MAX: usize = 400;

/// What somebody says of a candidate that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonAnswer {
    /// Whether the candidate becomes champion.
    pub approves: bool,
    /// Who says so: 1 to 100 bytes without control characters.
    pub by: String,
    /// By what they say so.
    pub via: AnswerVia,
    /// Why: at most 400 bytes without control characters.
    pub why: Option<String>,
}

/// What came of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The run.
    pub run: RunId,
    /// The round.
    pub round: u32,
    /// The candidate.
    pub candidate: CheckpointId,
    /// Whether it is champion now.
    pub is_promoted: bool,
}

impl PersonAnswer {
    /// Says what is wrong with the name or the reason.
    ///
    /// # Errors
    ///
    /// In words, for people.
    pub fn check(&self) -> Result<(), String> {
        let is_plain = |text: &str| !text.chars().any(char::is_control);
        let by = self.by.trim();
        if by.is_empty() || by.len() > BY_BYTES_MAX || !is_plain(by) {
            return Err(format!(
                "the name of who answers must have 1 to {BY_BYTES_MAX} bytes and no control \
                 characters"
            ));
        }
        match &self.why {
            Some(why) if why.len() > WHY_BYTES_MAX || !is_plain(why) => Err(format!(
                "the reason must have at most {WHY_BYTES_MAX} bytes and no control characters"
            )),
            _ => Ok(()),
        }
    }
}

/// Who runs this process, as far as the system tells: `user@host`.
pub fn person() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(host::variable);
    let user = user
        .filter(|user| !user.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", host_name())
}

/// The candidates of all runs that wait for an answer.
///
/// # Errors
///
/// When the store fails.
pub fn waiting(project: &Project) -> Result<Vec<ApprovalRow>, Error> {
    Ok(project.wait(project.store.waiting_approvals())?)
}

/// Records what somebody says of the candidate of a round, and makes it champion where
/// they approve: event, answer, promotion and what it is to be handed over to become
/// durable in one commit, which is refused where the champion changed meanwhile. The
/// hand-overs themselves are made afterwards, by whoever comes next.
///
/// # Errors
///
/// [`Error::NotAwaited`] where the round waits for nobody, [`Error::ApprovalExpired`]
/// where it is too late (which is recorded), and when another process drives the run or
/// the store fails.
pub fn answer(
    project: &Project,
    (run, round): (&RunId, u32),
    answer: &PersonAnswer,
    clock: Clock,
) -> Result<Answered, Error> {
    let (mut log, run) = EventLog::open(project, run, clock)?;
    let waiting = Waiting::of(project, &run, round)?;
    let mut rows = Commit::new(run.id.clone(), 0, 0, 0);
    let is_late = waiting.is_expired(clock());
    let event = match is_late {
        true => waiting.expire(&mut rows),
        false => waiting.answer(answer, &project.config_of(&run)?.promotion, &mut rows),
    };
    gyre_fault::crash_point("approval::answering");
    let place = (project, &run.id, clock);
    log.append_to(place, round, &waiting.state, (&event, rows))?;
    gyre_fault::crash_point("approval::answered");
    let candidate = waiting.candidate;
    if is_late {
        return Err(Error::ApprovalExpired { run: run.id, round, candidate });
    }
    champion::renew(project, &run)?;
    Ok(Answered { run: run.id, round, candidate, is_promoted: answer.approves })
}

/// Records that nobody answered in time; a run that still waits goes no further.
///
/// # Errors
///
/// [`Error::AwaitingApproval`] until it is too late, and when the store fails.
pub(crate) fn await_approval(run: &RunContext, round: u32) -> Result<LogEntry, Error> {
    let waiting = Waiting::of(&run.project, &run.row, round)?;
    if !waiting.is_expired((run.clock)()) {
        return Err(Error::AwaitingApproval {
            run: run.id().clone(),
            round,
            candidate: waiting.candidate,
            expires_after: waiting.request.expires_after,
        });
    }
    let mut rows = run.no_rows();
    let event = waiting.expire(&mut rows);
    Ok(LogEntry { event, rows })
}

/// A round that waits for somebody's word.
struct Waiting {
    round: u32,
    state: RoundState,
    candidate: CheckpointId,
    champion: CheckpointId,
    request: ApprovalRequest,
    /// When the gate decided, in milliseconds since 1970.
    asked_at_ms: i64,
}

impl Waiting {
    /// # Errors
    ///
    /// [`Error::NotAwaited`] where the round waits for nobody.
    fn of(project: &Project, run: &RunRow, round: u32) -> Result<Self, Error> {
        let (state, events) = inspect::round_state(project, run, round)?;
        let asked = events.iter().rev().find_map(|(at_ms, event)| match event {
            RoundEvent::Decided { .. } => Some(*at_ms),
            _ => None,
        });
        let champion = state.plan.as_ref().and_then(|plan| plan.champion.clone());
        let parts = (state.candidate.clone(), champion, state.approval, asked);
        let (
            Stage::AwaitingApproval,
            (Some(candidate), Some(champion), Some(request), Some(asked)),
        ) = (&state.stage, parts)
        else {
            let stage = state.stage.name();
            return Err(Error::NotAwaited { run: run.id.clone(), round, stage });
        };
        Ok(Self { round, state, candidate, champion, request, asked_at_ms: asked })
    }

    fn is_expired(&self, now_ms: i64) -> bool {
        self.request.is_expired(self.asked_at_ms, now_ms)
    }

    /// Adds to a commit that nobody answered in time, and gives its event.
    fn expire(&self, commit: &mut Commit) -> RoundEvent {
        let answer = ApprovalAnswer::Expired;
        commit.answer = Some(NewAnswer { round: self.round, answer, by: None, why: None });
        RoundEvent::ApprovalExpired
    }

    /// Adds to a commit what somebody answered and, where they approve, the promotion
    /// with what it is to be handed over to. Gives its event.
    fn answer(
        &self,
        said: &PersonAnswer,
        settings: &PromotionSettings,
        commit: &mut Commit,
    ) -> RoundEvent {
        let approved = said.approves;
        commit.answer = Some(NewAnswer {
            round: self.round,
            answer: if approved { ApprovalAnswer::Approved } else { ApprovalAnswer::Declined },
            by: Some((said.by.clone(), said.via)),
            why: said.why.clone(),
        });
        if !approved {
            return RoundEvent::Declined { by: said.by.clone(), why: said.why.clone() };
        }
        commit.handovers = settings.handovers(self.round, &self.candidate);
        commit.promotion = Some(Promotion {
            expected_champion: Some(self.champion.clone()),
            champion: self.candidate.clone(),
            round: self.round,
            gate_digest: self.state.gate,
        });
        RoundEvent::Approved { by: said.by.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_for_and_bounded() {
        let answer = |by: &str, why: Option<&str>| PersonAnswer {
            approves: true,
            by: by.to_owned(),
            via: AnswerVia::Command,
            why: why.map(str::to_owned),
        };
        answer("ada@here", Some("it is good")).check().unwrap();
        assert!(person().contains('@'));
        for by in ["", " ", "a\nb", &"x".repeat(101)] {
            answer(by, None).check().unwrap_err();
        }
        answer("ada", Some(&"x".repeat(401))).check().unwrap_err();
    }
}
