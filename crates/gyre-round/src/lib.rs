//! The pure half of a round: which tasks to ask for, which rollouts to train
//! on, and whether a candidate may replace the champion.
//!
//! Nothing here knows a clock, a file, the environment or a source of
//! randomness: seeds, counts and verdicts are arguments, so that every choice
//! of a round can be made again, and checked, from what was recorded.

mod alarm;
mod approval;
mod curation;
mod curriculum;
mod evaluation;
mod event;
mod faults;
mod gate;
mod guards;
mod plan;
mod pool;
mod schedule;
mod share;
mod state;
mod stop;
mod time_span;
mod usage;

pub use alarm::{AcceptCount, AlarmConfig, RateAlarm, rate_alarms};
pub use approval::{Approval, ApprovalRequest};
pub use curation::{
    Curated, CurationCandidate, CurationConfig, CurationMode, CurationReject, Funnel, PassRateBand,
    Rejected, VerdictKind, curate,
};
pub use curriculum::{
    Cell, CurriculumConfig, CurriculumState, FamilyCurriculum, FamilyState, LevelCell, Observation,
    SkillWeights, TaskSlot, plan_round, skill_weights,
};
pub use evaluation::{Comparison, Evaluation, Figures, LevelFigures, TaskResult, compare};
pub use event::{PublishedGroups, RoundEvent, VerdictCounts, WaveIndex};
pub use faults::{FaultBound, LostRollouts};
pub use gate::{
    Breakdown, Confidence, Contest, Decision, Estimate, GATE_RECORD_VERSION, GateConfig,
    GateHistory, GateRecord, Interval, LevelBreakdown, Outcome, PairTable, PairedOutcome,
    RejectReason, Spending, Unknown, decide, exact_interval, mcnemar_p_value, paired_interval,
    pass_at_k, wilson,
};
pub use guards::{
    CanaryConfig, GuardPlan, RecheckConfig, Rechecked, select_canaries, select_rechecks,
};
pub use plan::{GatePlan, PhasePlan, PhaseTasks, PlanVersion, RoundPlan};
pub use pool::PoolConfig;
pub use schedule::{
    CatchUp, Due, Overlap, SCHEDULE_NAME_BYTES_MAX, ScheduleConfig, ScheduleError, TICKS_PER_LOOK,
    Timetable, due,
};
pub use share::{Share, ShareError};
pub use state::{Action, IllegalTransition, Phase, RoundState, Stage, fold, step};
pub use stop::{BudgetLimit, RoundBudget, RoundOutcome, Spent, StopReason, StopRules, must_stop};
pub use time_span::{TimeSpan, TimeSpanError};
pub use usage::{BudgetConfig, BudgetScope, Cost, ModelBudget, ModelUsage};
