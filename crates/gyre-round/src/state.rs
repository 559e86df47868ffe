//! The state of a round: the fold of its events, and what is outstanding.

use std::collections::{BTreeMap, BTreeSet};

use gyre_types::{CheckpointId, Digest, ShardId, Split};

use crate::event::{PublishedGroups, RoundEvent, VerdictCounts, WaveIndex};
use crate::plan::RoundPlan;
use crate::{ApprovalRequest, BudgetScope, Decision, LostRollouts, ModelUsage, Rechecked};

/// Where a round stands. Nothing but [`step`] makes one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoundState {
    /// How far it is.
    pub stage: Stage,
    /// The plan, once there is one.
    pub plan: Option<Box<RoundPlan>>,
    /// Tasks admitted, by side of the split.
    pub tasks: BTreeMap<Split, u32>,
    /// Rollouts planned and waves, of each phase opened so far.
    pub phases: Vec<Phase>,
    /// Waves that were sampled.
    pub rolled_out: BTreeSet<WaveIndex>,
    /// Waves that were judged.
    pub verified: BTreeSet<WaveIndex>,
    /// Rollouts stored.
    pub rollouts: u32,
    /// Tokens sampled.
    pub tokens: u64,
    /// What a model's server was asked for, over all waves, impossible tasks and
    /// held-out parts.
    pub usage: ModelUsage,
    /// Verdicts over all waves.
    pub counts: VerdictCounts,
    /// Rollouts lost to faults of the model's server or the sandbox, by what they were
    /// made for.
    pub faulted: BTreeMap<Split, u32>,
    /// Accepts judged again, over all waves and held-out parts.
    pub rechecked: Rechecked,
    /// Verdicts of impossible tasks.
    pub canaries: VerdictCounts,
    /// Whether those who judge were checked.
    pub checked: bool,
    /// Alarms when they were.
    pub alarms: u32,
    /// Whether the run ended with this round.
    pub ends_run: bool,
    /// Rows published.
    pub rows: u32,
    /// The shard that holds them.
    pub shard: Option<ShardId>,
    /// The whole groups beside them.
    pub groups: Option<PublishedGroups>,
    /// The budget that ended it.
    pub budget_spent: Option<BudgetScope>,
    /// The candidate, once trained.
    pub candidate: Option<CheckpointId>,
    /// Held-out parts on which it was evaluated.
    pub evaluated: BTreeMap<Split, VerdictCounts>,
    /// Digest of the gate's record.
    pub gate: Option<Digest>,
    /// What the gate asked of people, whether or not somebody answered.
    pub approval: Option<ApprovalRequest>,
}

/// An opened phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// Rollouts planned.
    pub rollouts: u32,
    /// Waves.
    pub waves: u32,
}

/// How far a round is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stage {
    /// Nothing is recorded.
    #[default]
    Unplanned,
    /// The plan is fixed and tasks are being generated.
    Generating,
    /// Rollouts of the last opened phase are being sampled and judged, wave by wave (or
    /// the next phase is to be opened).
    RollingOut,
    /// All rollouts of the last opened phase are sampled; some are still to be judged.
    Verifying,
    /// Those who judge are being checked.
    Checking,
    /// Rows are being chosen.
    Curating,
    /// A candidate is being trained.
    Training,
    /// The candidate is being evaluated.
    Evaluating,
    /// The gate has all that it needs.
    Deciding,
    /// The candidate passed the gate and waits for a person's approval.
    AwaitingApproval,
    /// The candidate is champion.
    Promoted,
    /// The candidate is recorded; the champion stays.
    Rejected,
    /// The rows are published, and nothing is trained on them in this run.
    Collected,
    /// It could not go on.
    Failed {
        /// The stage that it failed in.
        at: &'static str,
        /// Why.
        cause: String,
    },
    /// Someone ended it.
    Cancelled,
}

impl Stage {
    /// The stage's name, as shown.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unplanned => "unplanned",
            Self::Generating => "generating",
            Self::RollingOut => "rolling out",
            Self::Verifying => "verifying",
            Self::Checking => "checking",
            Self::Curating => "curating",
            Self::Training => "training",
            Self::Evaluating => "evaluating",
            Self::Deciding => "deciding",
            Self::AwaitingApproval => "awaiting approval",
            Self::Promoted => "promoted",
            Self::Rejected => "rejected",
            Self::Collected => "collected",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more can happen.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Promoted
            | Self::Rejected
            | Self::Collected
            | Self::Failed { .. }
            | Self::Cancelled => true,
            Self::Unplanned
            | Self::Generating
            | Self::RollingOut
            | Self::Verifying
            | Self::Checking
            | Self::Curating
            | Self::Training
            | Self::Evaluating
            | Self::Deciding
            | Self::AwaitingApproval => false,
        }
    }
}

/// Something that is outstanding. Each is idempotent by its own content: what
/// it commits has keys that follow from the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Make the plan.
    Plan,
    /// Generate and admit the round's tasks.
    GenerateTasks,
    /// Choose the tasks of a phase.
    OpenPhase(u32),
    /// Sample a wave.
    RollOut(WaveIndex),
    /// Judge a wave.
    Verify(WaveIndex),
    /// Check those who judge: impossible tasks, accept rates.
    Check,
    /// Choose and publish rows.
    Curate,
    /// Train a candidate.
    Train,
    /// Evaluate the candidate on a held-out part.
    Evaluate(Split),
    /// Ask the gate.
    Decide,
    /// Wait until somebody approves the candidate or declines it, or it is too late.
    AwaitApproval,
}

impl Action {
    /// A name for people, the same for all waves and parts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::GenerateTasks => "generate tasks",
            Self::OpenPhase(_) => "open phase",
            Self::RollOut(_) => "roll out",
            Self::Verify(_) => "verify",
            Self::Check => "check verifiers",
            Self::Curate => "curate",
            Self::Train => "train",
            Self::Evaluate(_) => "evaluate",
            Self::Decide => "decide",
            Self::AwaitApproval => "await approval",
        }
    }
}

/// An event that cannot happen in this state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event} is illegal while the round is {stage}: {why}")]
pub struct IllegalTransition {
    /// The event's kind.
    pub event: &'static str,
    /// The stage's name.
    pub stage: &'static str,
    /// What is wrong.
    pub why: &'static str,
}

/// Takes one recorded event and gives the state after it and all that is then
/// outstanding.
///
/// # Errors
///
/// When the event cannot happen in this state; the state is unchanged.
pub fn step(
    state: &RoundState,
    event: &RoundEvent,
) -> Result<(RoundState, Vec<Action>), IllegalTransition> {
    let mut next = state.clone();
    next.apply(event).map_err(|why| IllegalTransition {
        event: event.kind(),
        stage: state.stage.name(),
        why,
    })?;
    let actions = next.outstanding();
    Ok((next, actions))
}

/// Folds a round's events from the beginning.
///
/// # Errors
///
/// At the first event that cannot happen where it stands.
pub fn fold<'a>(
    events: impl IntoIterator<Item = &'a RoundEvent>,
) -> Result<RoundState, IllegalTransition> {
    events.into_iter().try_fold(RoundState::default(), |state, event| Ok(step(&state, event)?.0))
}

/// Where a decision of the gate leads.
fn stage_after(
    decision: &Decision,
    approval: Option<&ApprovalRequest>,
) -> Result<Stage, &'static str> {
    match (decision, approval) {
        (Decision::Promote, None) => Ok(Stage::Promoted),
        (Decision::Promote, Some(_)) => Ok(Stage::AwaitingApproval),
        (Decision::Reject { .. }, None) => Ok(Stage::Rejected),
        (Decision::Reject { .. }, Some(_)) => Err("nobody is asked about a rejected candidate"),
    }
}

impl RoundState {
    /// Whether this is the cold start.
    pub fn is_base(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.round == 0)
    }

    /// Whether the round ends once its rows are published.
    pub fn collects_only(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.collects_only) && !self.is_base()
    }

    /// Whether the round has lost more rollouts to faults than its plan allows. It is to
    /// fail then, whatever is outstanding.
    pub fn lost_rollouts(&self) -> Option<LostRollouts> {
        let bound = self.plan.as_ref()?.guards?.faults;
        let made = |part: &Split| match part {
            Split::Train => self.rollouts,
            part => self.evaluated.get(part).map_or(0, |counts| counts.total()),
        };
        self.faulted.iter().find_map(|(part, lost)| bound.check(*part, *lost, made(part)))
    }

    /// Whether every wave of the phases opened so far is sampled and judged.
    pub fn are_waves_judged(&self) -> bool {
        self.rolled_out == self.verified && self.waves_missing(&self.rolled_out).is_empty()
    }

    /// What is to be done, in the order in which it is best done. Empty exactly
    /// when the round is over.
    pub fn outstanding(&self) -> Vec<Action> {
        match &self.stage {
            Stage::Unplanned => vec![Action::Plan],
            Stage::Generating => vec![Action::GenerateTasks],
            Stage::RollingOut => {
                let unjudged = self.rolled_out.difference(&self.verified).copied();
                let missing = self.waves_missing(&self.rolled_out).into_iter();
                let actions: Vec<_> =
                    unjudged.map(Action::Verify).chain(missing.map(Action::RollOut)).collect();
                match actions.is_empty() {
                    true => vec![Action::OpenPhase(self.phases.len() as u32)],
                    false => actions,
                }
            }
            Stage::Verifying => {
                self.waves_missing(&self.verified).into_iter().map(Action::Verify).collect()
            }
            Stage::Checking => vec![Action::Check],
            Stage::Curating => vec![Action::Curate],
            Stage::Training => vec![Action::Train],
            Stage::Evaluating => self.parts_missing().into_iter().map(Action::Evaluate).collect(),
            Stage::Deciding => vec![Action::Decide],
            Stage::AwaitingApproval => vec![Action::AwaitApproval],
            Stage::Promoted
            | Stage::Rejected
            | Stage::Collected
            | Stage::Failed { .. }
            | Stage::Cancelled => vec![],
        }
    }

    fn apply(&mut self, event: &RoundEvent) -> Result<(), &'static str> {
        match (&self.stage, event) {
            (Stage::Unplanned, RoundEvent::Planned { plan }) => {
                self.plan = Some(plan.clone());
                self.stage = Stage::Generating;
            }
            (Stage::Generating, RoundEvent::TasksGenerated { admitted, .. }) => {
                self.tasks.clone_from(admitted);
                self.stage = self.after_phase();
            }
            (Stage::RollingOut, RoundEvent::PhaseOpened { phase, rollouts, waves }) => {
                self.open_phase(*phase, Phase { rollouts: *rollouts, waves: *waves })?;
            }
            (
                Stage::RollingOut,
                RoundEvent::WaveRolledOut { at, rollouts, tokens, faulted, usage, .. },
            ) => {
                self.roll_out(*at, *rollouts, *tokens)?;
                self.lose(Split::Train, *faulted);
                self.usage = self.usage.plus(*usage);
            }
            (
                Stage::RollingOut | Stage::Verifying,
                RoundEvent::WaveVerified { at, counts, rechecked, faulted },
            ) => {
                self.verify(*at, *counts)?;
                self.rechecked = self.rechecked.plus(*rechecked);
                self.lose(Split::Train, *faulted);
            }
            (Stage::Checking, RoundEvent::Checked { canaries, alarms, usage }) => {
                if canaries.passed > 0 {
                    return Err("an impossible task was accepted");
                }
                (self.canaries, self.alarms, self.checked) = (*canaries, *alarms, true);
                self.usage = self.usage.plus(*usage);
                self.stage = Stage::Curating;
            }
            (Stage::Curating, RoundEvent::Curated { rows, shard, groups, .. }) => {
                self.rows = *rows;
                self.shard.clone_from(shard);
                self.groups.clone_from(groups);
                self.stage = if self.collects_only() { Stage::Collected } else { Stage::Training };
            }
            (Stage::Training, RoundEvent::Trained { candidate, .. }) => {
                self.candidate = Some(candidate.clone());
                self.stage = self.after_part();
            }
            (
                Stage::Evaluating,
                RoundEvent::Evaluated { part, counts, rechecked, faulted, usage },
            ) => {
                self.evaluate(*part, *counts)?;
                self.rechecked = self.rechecked.plus(*rechecked);
                self.lose(*part, *faulted);
                self.usage = self.usage.plus(*usage);
            }
            (Stage::Deciding, RoundEvent::Decided { decision, gate, approval }) => {
                (self.gate, self.approval) = (*gate, *approval);
                self.stage = stage_after(decision, approval.as_ref())?;
            }
            (Stage::AwaitingApproval, RoundEvent::Approved { .. }) => self.stage = Stage::Promoted,
            (
                Stage::AwaitingApproval,
                RoundEvent::Declined { .. } | RoundEvent::ApprovalExpired,
            ) => self.stage = Stage::Rejected,
            (stage, _) if stage.is_terminal() => return Err("the round is over"),
            (Stage::Unplanned, _) => return Err("there is no plan yet"),
            (stage, RoundEvent::Failed { cause, ends_run }) => {
                self.ends_run = *ends_run;
                self.stage = Stage::Failed { at: stage.name(), cause: cause.clone() };
            }
            (stage, RoundEvent::BudgetSpent { scope, cause }) => {
                self.budget_spent = Some(*scope);
                self.stage = Stage::Failed { at: stage.name(), cause: cause.clone() };
            }
            (_, RoundEvent::Cancelled) => self.stage = Stage::Cancelled,
            _ => return Err("it belongs to another stage"),
        }
        Ok(())
    }

    /// The stage once every opened phase is judged.
    fn after_phase(&self) -> Stage {
        let Some(plan) = &self.plan else { return Stage::Curating };
        if self.phases.len() < plan.phases.len() {
            Stage::RollingOut
        } else if plan.guards.is_some() && !plan.phases.is_empty() {
            Stage::Checking
        } else {
            Stage::Curating
        }
    }

    fn waves_missing(&self, done: &BTreeSet<WaveIndex>) -> Vec<WaveIndex> {
        let Some(phase) = self.phases.len().checked_sub(1) else { return vec![] };
        (0..self.phases[phase].waves)
            .map(|wave| WaveIndex { phase: phase as u32, wave })
            .filter(|at| !done.contains(at))
            .collect()
    }

    fn open_phase(&mut self, index: u32, phase: Phase) -> Result<(), &'static str> {
        if !self.waves_missing(&self.rolled_out).is_empty() {
            return Err("the last phase still has waves to sample");
        }
        if index as usize != self.phases.len() {
            return Err("phases open in order");
        }
        self.phases.push(phase);
        if phase.waves == 0 {
            self.stage = self.after_phase();
        }
        Ok(())
    }

    fn roll_out(&mut self, at: WaveIndex, rollouts: u32, tokens: u64) -> Result<(), &'static str> {
        if !self.waves_missing(&self.rolled_out).contains(&at) {
            return Err("that wave is not outstanding");
        }
        self.rolled_out.insert(at);
        self.rollouts += rollouts;
        self.tokens += tokens;
        if self.waves_missing(&self.rolled_out).is_empty() {
            self.stage = Stage::Verifying;
        }
        Ok(())
    }

    fn verify(&mut self, at: WaveIndex, counts: VerdictCounts) -> Result<(), &'static str> {
        let is_rolled_out = self.rolled_out.contains(&at);
        if !is_rolled_out || !self.waves_missing(&self.verified).contains(&at) {
            return Err("that wave is not outstanding");
        }
        self.verified.insert(at);
        self.counts = self.counts.plus(counts);
        if self.counts.total() > self.rollouts {
            return Err("more verdicts than rollouts");
        }
        if self.waves_missing(&self.verified).is_empty() {
            self.stage = self.after_phase();
        }
        Ok(())
    }

    fn lose(&mut self, part: Split, faulted: u32) {
        if faulted > 0 {
            *self.faulted.entry(part).or_default() += faulted;
        }
    }

    fn evaluate(&mut self, part: Split, counts: VerdictCounts) -> Result<(), &'static str> {
        if !part.is_held_out() {
            return Err("a candidate is evaluated on held-out tasks alone");
        }
        if !self.parts_missing().contains(&part) {
            return Err("that part is not outstanding");
        }
        self.evaluated.insert(part, counts);
        self.stage = self.after_part();
        Ok(())
    }

    /// Held-out parts on which the candidate is still to be evaluated.
    fn parts_missing(&self) -> Vec<Split> {
        // A run that trains nothing may have no held-out tasks; any other has both parts.
        let may_lack = self.plan.as_ref().is_some_and(|plan| plan.collects_only);
        let is_there =
            |part: &Split| !may_lack || self.tasks.get(part).is_some_and(|admitted| *admitted > 0);
        [Split::Gate, Split::Test]
            .into_iter()
            .filter(|part| is_there(part) && !self.evaluated.contains_key(part))
            .collect()
    }

    /// The stage once a candidate is trained, or evaluated on a part.
    fn after_part(&self) -> Stage {
        if self.parts_missing().is_empty() { Stage::Deciding } else { Stage::Evaluating }
    }
}
