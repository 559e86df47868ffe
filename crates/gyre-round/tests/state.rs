//! The state machine against an executor that does outstanding work in any
//! order, and against events that do not belong where they stand.

use std::collections::BTreeMap;

use gyre_round::{
    Action, AlarmConfig, Approval, ApprovalRequest, BudgetScope, CanaryConfig, CurationConfig,
    CurriculumState, Decision, FaultBound, GateConfig, GateHistory, GatePlan, GuardPlan,
    ModelUsage, PhasePlan, PhaseTasks, PlanVersion, RecheckConfig, Rechecked, RejectReason,
    RoundEvent, RoundPlan, RoundState, Stage, VerdictCounts, WaveIndex, fold, step,
};
use gyre_types::{CheckpointId, Digest, Seed, ShardId, Split, Usage};
use proptest::prelude::*;

fn plan(round: u32, phases: usize) -> RoundPlan {
    let phase = PhasePlan { tasks: PhaseTasks::All, samples: 2, temperature: 1.0 };
    RoundPlan {
        version: PlanVersion,
        round,
        seed: Seed(1),
        fingerprint: Digest::of(b"run"),
        champion: (round > 0).then(|| CheckpointId::from_digest(&Digest::of(b"champion"))),
        sandbox: Digest::of(b"sandbox"),
        verifier: Digest::of(b"verifier"),
        verifiers: BTreeMap::new(),
        families: BTreeMap::new(),
        slots: vec![],
        curriculum: CurriculumState::default(),
        skill_weights: BTreeMap::new(),
        phases: vec![phase; phases],
        curation: CurationConfig::default(),
        gate: (round > 0)
            .then(|| GatePlan { config: GateConfig::default(), history: GateHistory::default() }),
        // Plans with two phases check those who judge; others are as they were.
        guards: (phases == 2).then(|| GuardPlan {
            canaries: CanaryConfig::default(),
            recheck: RecheckConfig::default(),
            alarms: AlarmConfig::default(),
            faults: FaultBound::default(),
        }),
        collects_only: false,
    }
}

/// The plan of a round that trains nothing.
fn collecting(round: u32, phases: usize) -> RoundPlan {
    RoundPlan { collects_only: true, gate: None, ..plan(round, phases) }
}

/// What carrying out an action might record. `dice` decides what is free.
fn carry_out(action: Action, dice: u32, phases: usize) -> RoundEvent {
    let counts = VerdictCounts { passed: dice % 3, failed: 2 - dice % 3, invalid: 0 };
    let rechecked = Rechecked { repeated: dice % 2, differed: 0 };
    match action {
        Action::Plan => RoundEvent::Planned { plan: Box::new(plan(1, phases)) },
        Action::GenerateTasks => RoundEvent::TasksGenerated {
            admitted: BTreeMap::from([(Split::Train, dice)]),
            refused: BTreeMap::new(),
            tasks_digest: Digest::of(b"tasks"),
        },
        Action::OpenPhase(phase) => {
            RoundEvent::PhaseOpened { phase, rollouts: 2 * (dice % 4), waves: dice % 4 }
        }
        Action::RollOut(at) => {
            let usage = usage(dice);
            RoundEvent::WaveRolledOut {
                at,
                rollouts: 2,
                tokens: 9,
                fuel: 9,
                faulted: dice % 2,
                usage,
            }
        }
        Action::Verify(at) => RoundEvent::WaveVerified { at, counts, rechecked, faulted: dice % 2 },
        Action::Check if dice.is_multiple_of(5) => RoundEvent::Failed {
            cause: "an impossible task was accepted".to_owned(),
            ends_run: true,
        },
        Action::Check => RoundEvent::Checked {
            canaries: VerdictCounts { passed: 0, failed: 3, invalid: 1 },
            alarms: dice % 2,
            usage: usage(dice),
        },
        Action::Curate if dice.is_multiple_of(7) => {
            RoundEvent::Failed { cause: "no rollout was accepted".to_owned(), ends_run: false }
        }
        Action::Curate => RoundEvent::Curated {
            rows: dice,
            shard: Some(ShardId::from_digest(&Digest::of(b"shard"))),
            funnel: BTreeMap::new(),
            groups: None,
        },
        Action::Train => RoundEvent::Trained {
            candidate: CheckpointId::from_digest(&Digest::of(b"candidate")),
            digest: Digest::of(b"candidate"),
            steps: 1,
            tokens: 1,
            loss: 0.5,
        },
        Action::Evaluate(part) if dice.is_multiple_of(11) => {
            RoundEvent::BudgetSpent { scope: BudgetScope::Round, cause: format!("no {part} part") }
        }
        Action::Evaluate(part) => {
            let usage = usage(dice);
            RoundEvent::Evaluated { part, counts, rechecked, faulted: dice % 2, usage }
        }
        Action::Decide if dice.is_multiple_of(2) => RoundEvent::Decided {
            decision: Decision::Promote,
            gate: Some(Digest::of(b"gate")),
            approval: dice.is_multiple_of(4).then(request),
        },
        Action::Decide => RoundEvent::Decided {
            decision: Decision::Reject { reasons: vec![RejectReason::IdenticalCheckpoint] },
            gate: Some(Digest::of(b"gate")),
            approval: None,
        },
        Action::AwaitApproval => match dice % 3 {
            0 => RoundEvent::Approved { by: "ada".to_owned() },
            1 => RoundEvent::Declined { by: "ada".to_owned(), why: None },
            _ => RoundEvent::ApprovalExpired,
        },
    }
}

fn usage(dice: u32) -> ModelUsage {
    let tokens = Usage { prompt: u64::from(dice), cached: 0, completion: 1 };
    ModelUsage { requests: u64::from(dice % 2), tokens }
}

fn request() -> ApprovalRequest {
    ApprovalRequest { expires_after: "7d".parse().expect("a length of time") }
}

/// Drives a round to its end, taking outstanding actions in an order that the
/// dice decide. Gives the events and every state on the way.
fn drive(dice: &[u32], phases: usize) -> (Vec<RoundEvent>, Vec<RoundState>) {
    let mut dice = dice.iter().copied().cycle();
    let mut next = || dice.next().unwrap_or(1);
    let (mut events, mut states) = (vec![], vec![RoundState::default()]);
    loop {
        let state = states.last().expect("there is a first state");
        let actions = state.outstanding();
        assert_eq!(actions.is_empty(), state.stage.is_terminal());
        let Some(action) = actions.get(next() as usize % actions.len().max(1)) else { break };
        let event = carry_out(*action, next(), phases);
        let (after, outstanding) = step(state, &event).expect("an outstanding action is legal");
        assert!(!outstanding.contains(action), "{action:?} is still outstanding");
        events.push(event);
        states.push(after);
        assert!(events.len() < 100, "the round does not end");
    }
    (events, states)
}

proptest! {
    #[test]
    fn any_order_ends_and_folds_to_the_live_state(
        dice in prop::collection::vec(0u32..1000, 1..40),
        phases in 0usize..3,
    ) {
        let (events, states) = drive(&dice, phases);
        for (at, live) in states.iter().enumerate() {
            // A process that was killed here folds to what the living one had.
            prop_assert_eq!(&fold(&events[..at]).expect("recorded events are legal"), live);
        }
        let end = states.last().expect("there is a last state");
        prop_assert!(end.counts.total() <= end.rollouts);
        if end.rolled_out == end.verified {
            prop_assert_eq!(end.counts.total(), 2 * end.verified.len() as u32);
        }
    }

    #[test]
    fn an_event_is_taken_once(dice in prop::collection::vec(0u32..1000, 1..40)) {
        let (events, states) = drive(&dice, 2);
        for (event, before) in events.iter().zip(&states) {
            let (after, _) = step(before, event).expect("recorded events are legal");
            prop_assert!(step(&after, event).is_err(), "{} was taken twice", event.kind());
        }
    }

    #[test]
    fn what_does_not_belong_is_refused(
        dice in prop::collection::vec(0u32..1000, 1..40),
        stray in 0usize..64,
        at in 0usize..64,
    ) {
        let (events, states) = drive(&dice, 2);
        let (stray, state) = (&events[stray % events.len()], &states[at % states.len()]);
        let belongs = state.outstanding().into_iter().any(|action| {
            let answers_a_request = action == Action::AwaitApproval
                && matches!(
                    stray,
                    RoundEvent::Approved { .. }
                        | RoundEvent::Declined { .. }
                        | RoundEvent::ApprovalExpired
                );
            answers_a_request
                || carry_out(action, 3, 2).kind() == stray.kind() && same_place(action, stray)
        }) || (matches!(stray, RoundEvent::Failed { .. } | RoundEvent::BudgetSpent { .. })
            && !state.stage.is_terminal()
            && state.stage != Stage::Unplanned);
        prop_assert_eq!(step(state, stray).is_ok(), belongs, "{} while {:?}", stray.kind(), state.stage);
    }
}

fn same_place(action: Action, event: &RoundEvent) -> bool {
    match (action, event) {
        (Action::OpenPhase(phase), RoundEvent::PhaseOpened { phase: opened, .. }) => {
            phase == *opened
        }
        (Action::RollOut(at), RoundEvent::WaveRolledOut { at: rolled, .. }) => at == *rolled,
        (Action::Verify(at), RoundEvent::WaveVerified { at: verified, .. }) => at == *verified,
        (Action::Evaluate(part), RoundEvent::Evaluated { part: evaluated, .. }) => {
            part == *evaluated
        }
        _ => true,
    }
}

#[test]
fn a_round_may_be_cancelled_until_it_is_over() {
    let planned = RoundEvent::Planned { plan: Box::new(plan(1, 1)) };
    let state = fold([&planned, &RoundEvent::Cancelled]).expect("legal");
    assert_eq!(state.stage, Stage::Cancelled);
    let error = step(&state, &planned).expect_err("the round is over");
    assert_eq!(
        error.to_string(),
        "event planned is illegal while the round is cancelled: the round is over"
    );
}

#[test]
fn more_verdicts_than_rollouts_are_refused() {
    let at = WaveIndex { phase: 0, wave: 0 };
    let counts = VerdictCounts { passed: 3, failed: 0, invalid: 0 };
    let events = [
        RoundEvent::Planned { plan: Box::new(plan(1, 1)) },
        carry_out(Action::GenerateTasks, 1, 1),
        RoundEvent::PhaseOpened { phase: 0, rollouts: 2, waves: 1 },
        RoundEvent::WaveRolledOut {
            at,
            rollouts: 2,
            tokens: 1,
            fuel: 1,
            faulted: 0,
            usage: usage(0),
        },
        RoundEvent::WaveVerified { at, counts, rechecked: Rechecked::default(), faulted: 0 },
    ];
    assert!(fold(&events[..4]).is_ok());
    assert_eq!(fold(&events).expect_err("one too many").why, "more verdicts than rollouts");
}

#[test]
fn an_accepted_canary_never_lets_a_round_go_on() {
    let events = [
        RoundEvent::Planned { plan: Box::new(plan(1, 2)) },
        carry_out(Action::GenerateTasks, 1, 2),
        RoundEvent::PhaseOpened { phase: 0, rollouts: 0, waves: 0 },
        RoundEvent::PhaseOpened { phase: 1, rollouts: 0, waves: 0 },
    ];
    let state = fold(&events).expect("legal");
    assert_eq!(state.outstanding(), [Action::Check]);
    let accepted = VerdictCounts { passed: 1, failed: 3, invalid: 0 };
    let error =
        step(&state, &RoundEvent::Checked { canaries: accepted, alarms: 0, usage: usage(0) });
    assert_eq!(error.expect_err("refused").why, "an impossible task was accepted");
    let failed = RoundEvent::Failed { cause: "why".to_owned(), ends_run: true };
    let (state, outstanding) = step(&state, &failed).expect("legal");
    assert!(state.ends_run && outstanding.is_empty());
}

#[test]
fn a_round_that_lost_too_many_rollouts_says_so_wherever_it_lost_them() {
    let at = WaveIndex { phase: 0, wave: 0 };
    let all = |invalid| VerdictCounts { passed: 0, failed: 20 - invalid, invalid };
    let rechecked = Rechecked::default();
    let usage = usage(0);
    let rolled_out = |faulted| {
        let (rollouts, tokens, fuel) = (20, 1, 1);
        RoundEvent::WaveRolledOut { at, rollouts, tokens, fuel, faulted, usage }
    };
    let verified = |invalid, faulted| {
        let counts = all(invalid);
        RoundEvent::WaveVerified { at, counts, rechecked, faulted }
    };
    let lost = |rest: &[RoundEvent], guarded: bool| {
        let mut plan = plan(1, 2);
        plan.phases.truncate(1);
        plan.guards = plan.guards.filter(|_| guarded);
        let mut events = vec![
            RoundEvent::Planned { plan: Box::new(plan) },
            carry_out(Action::GenerateTasks, 1, 1),
            RoundEvent::PhaseOpened { phase: 0, rollouts: 20, waves: 1 },
        ];
        events.extend_from_slice(rest);
        let lost = fold(&events).expect("legal").lost_rollouts()?;
        Some((lost.part, lost.lost, lost.rollouts))
    };
    assert_eq!(lost(&[rolled_out(4)], true), None);
    assert_eq!(lost(&[rolled_out(5)], true), Some((Split::Train, 5, 20)));
    assert_eq!(lost(&[rolled_out(4), verified(5, 1)], true), Some((Split::Train, 5, 20)));
    // What verifiers failed at is invalid too, and is no fault of this kind.
    assert_eq!(lost(&[rolled_out(4), verified(20, 0)], true), None);
    assert_eq!(lost(&[rolled_out(20)], false), None, "plans without guards have no bound");
    let evaluated =
        RoundEvent::Evaluated { part: Split::Gate, counts: all(9), rechecked, faulted: 9, usage };
    let checked = RoundEvent::Checked { canaries: all(0), alarms: 0, usage };
    let to_the_gate = [
        rolled_out(0),
        verified(0, 0),
        checked,
        carry_out(Action::Curate, 1, 1),
        carry_out(Action::Train, 1, 1),
        evaluated,
    ];
    assert_eq!(lost(&to_the_gate, true), Some((Split::Gate, 9, 20)));
}

#[test]
fn a_round_that_trains_nothing_ends_with_its_rows() {
    let planned = RoundEvent::Planned { plan: Box::new(collecting(3, 0)) };
    let curated = carry_out(Action::Curate, 5, 0);
    let events = [planned, carry_out(Action::GenerateTasks, 1, 0), curated];
    let state = fold(&events[..2]).expect("legal");
    assert!(!state.is_base() && state.collects_only());
    assert_eq!(state.outstanding(), [Action::Curate]);
    let (state, outstanding) = step(&state, &events[2]).expect("legal");
    assert_eq!((state.stage.name(), state.rows, outstanding), ("collected", 5, vec![]));
    assert!(state.stage.is_terminal());
    let error = step(&state, &carry_out(Action::Train, 1, 0)).expect_err("nothing is trained");
    assert_eq!(error.why, "the round is over");
}

/// The base of a run that trains nothing is evaluated where there is something to
/// evaluate it on, and once.
#[test]
fn the_base_of_a_run_that_trains_nothing_needs_no_held_out_tasks() {
    for (parts, evaluated) in [
        (vec![], vec![]),
        (vec![(Split::Test, 4)], vec![Split::Test]),
        (vec![(Split::Gate, 4), (Split::Test, 0)], vec![Split::Gate]),
        (vec![(Split::Gate, 4), (Split::Test, 4)], vec![Split::Gate, Split::Test]),
    ] {
        let mut state = RoundState::default();
        let mut take = |event: &RoundEvent| {
            let (next, outstanding) = step(&state, event).expect("legal");
            state = next;
            outstanding
        };
        take(&RoundEvent::Planned { plan: Box::new(collecting(0, 0)) });
        take(&RoundEvent::TasksGenerated {
            admitted: parts.into_iter().collect(),
            refused: BTreeMap::new(),
            tasks_digest: Digest::of(b"tasks"),
        });
        let curated =
            RoundEvent::Curated { rows: 0, shard: None, funnel: BTreeMap::new(), groups: None };
        assert_eq!(take(&curated), [Action::Train], "the base takes over what the run starts from");
        let mut outstanding = take(&carry_out(Action::Train, 1, 0));
        for part in evaluated {
            assert_eq!(outstanding.first(), Some(&Action::Evaluate(part)));
            outstanding = take(&carry_out(Action::Evaluate(part), 1, 0));
        }
        assert_eq!(outstanding, [Action::Decide]);
        assert_eq!(state.outstanding(), [Action::Decide]);
    }
}

#[test]
fn what_a_plan_does_not_do_is_not_written_down() {
    let of = |plan: RoundPlan| serde_json::to_value(plan).expect("JSON");
    assert_eq!(of(plan(1, 1)).get("collects_only"), None);
    assert_eq!(of(collecting(1, 1))["collects_only"], true);
    let digest = |plan: RoundPlan| plan.digest().to_hex();
    assert_ne!(digest(plan(1, 1)), digest(RoundPlan { collects_only: true, ..plan(1, 1) }));
}

/// Events and plans as they were written before the loop checked its verifiers.
#[test]
fn what_older_runs_recorded_still_folds() {
    let mut older = serde_json::to_value(plan(1, 1)).expect("JSON");
    assert!(older.get("guards").is_none(), "absent stays absent");
    let planned = serde_json::json!({ "event": "planned", "plan": older.take() });
    let rest = [
        r#"{"event":"tasks_generated","admitted":{"train":1},"refused":{},"tasks_digest":
            "0000000000000000000000000000000000000000000000000000000000000000"}"#,
        r#"{"event":"phase_opened","phase":0,"rollouts":2,"waves":1}"#,
        r#"{"event":"wave_rolled_out","at":{"phase":0,"wave":0},"rollouts":2,"tokens":4,"fuel":5}"#,
        r#"{"event":"wave_verified","at":{"phase":0,"wave":0},
            "counts":{"passed":1,"failed":1,"invalid":0}}"#,
        r#"{"event":"failed","cause":"no rollout was accepted"}"#,
    ];
    let rest = rest.iter().map(|text| serde_json::from_str(text).expect("an event"));
    let planned = serde_json::from_value(planned).expect("an event");
    let events: Vec<RoundEvent> = std::iter::once(planned).chain(rest).collect();
    assert_eq!(fold(&events[..5]).expect("legal").outstanding(), [Action::Curate]);
    let end = fold(&events).expect("legal");
    assert_eq!((end.stage.name(), end.ends_run), ("failed", false));
    for event in &events[3..5] {
        let written = serde_json::to_value(event).expect("JSON");
        let is_absent = |key: &str| written.get(key).is_none();
        assert!(is_absent("rechecked") && is_absent("faulted"), "absent stays absent: {written}");
    }
    let guards = serde_json::to_value(plan(1, 2).guards).expect("JSON");
    assert!(guards.get("faults").is_none(), "the default stays absent: {guards}");
    let written = serde_json::to_value(&events[3]).expect("JSON");
    assert!(written.get("usage").is_none(), "absent stays absent: {written}");
    assert_eq!(end.usage, ModelUsage::default());
}

#[test]
fn what_models_were_asked_for_is_added_up_over_waves_and_held_out_parts() {
    let at = WaveIndex { phase: 0, wave: 0 };
    let counts = VerdictCounts { passed: 1, failed: 1, invalid: 0 };
    let rechecked = Rechecked::default();
    let events = [
        RoundEvent::Planned { plan: Box::new(plan(1, 1)) },
        carry_out(Action::GenerateTasks, 1, 1),
        RoundEvent::PhaseOpened { phase: 0, rollouts: 2, waves: 1 },
        RoundEvent::WaveRolledOut {
            at,
            rollouts: 2,
            tokens: 1,
            fuel: 1,
            faulted: 0,
            usage: usage(3),
        },
        RoundEvent::WaveVerified { at, counts, rechecked, faulted: 0 },
        carry_out(Action::Curate, 1, 1),
        carry_out(Action::Train, 1, 1),
        RoundEvent::Evaluated { part: Split::Gate, counts, rechecked, faulted: 0, usage: usage(5) },
    ];
    let state = fold(&events).expect("legal");
    let tokens = Usage { prompt: 8, cached: 0, completion: 2 };
    assert_eq!(state.usage, ModelUsage { requests: 2, tokens });
    let cause = "the run's budget of 2 requests is spent (2)".to_owned();
    let spent = RoundEvent::BudgetSpent { scope: BudgetScope::Run, cause: cause.clone() };
    let (ended, outstanding) = step(&state, &spent).expect("legal");
    assert_eq!(outstanding, []);
    assert_eq!(ended.budget_spent, Some(BudgetScope::Run));
    assert_eq!(ended.stage, Stage::Failed { at: "evaluating", cause });
}

/// A round that has come to its gate.
fn deciding() -> Vec<RoundEvent> {
    let evaluated = |part| carry_out(Action::Evaluate(part), 1, 0);
    let before = [Action::Plan, Action::GenerateTasks, Action::Curate, Action::Train];
    let before = before.map(|action| carry_out(action, 1, 0));
    before.into_iter().chain([evaluated(Split::Gate), evaluated(Split::Test)]).collect()
}

fn decided(decision: Decision, approval: Option<ApprovalRequest>) -> RoundEvent {
    RoundEvent::Decided { decision, gate: Some(Digest::of(b"gate")), approval }
}

#[test]
fn a_candidate_that_passed_waits_for_a_person_and_is_promoted_by_approval_alone() {
    let mut events = deciding();
    events.push(decided(Decision::Promote, Some(request())));
    let waiting = fold(&events).expect("legal");
    assert_eq!(waiting.stage, Stage::AwaitingApproval);
    assert_eq!(waiting.approval, Some(request()));
    assert_eq!(waiting.outstanding(), [Action::AwaitApproval]);
    let by = || "ada@here".to_owned();
    for (answer, stage) in [
        (RoundEvent::Approved { by: by() }, Stage::Promoted),
        (RoundEvent::Declined { by: by(), why: Some("not now".to_owned()) }, Stage::Rejected),
        (RoundEvent::ApprovalExpired, Stage::Rejected),
        (RoundEvent::Cancelled, Stage::Cancelled),
    ] {
        let (state, outstanding) = step(&waiting, &answer).expect("legal");
        assert_eq!((state.stage.clone(), outstanding), (stage, vec![]));
        let again = step(&state, &RoundEvent::Approved { by: by() }).expect_err("too late");
        assert_eq!(again.why, "the round is over");
    }
}

#[test]
fn nobody_answers_what_was_not_asked() {
    let at_the_gate = fold(&deciding()).expect("legal");
    let early = step(&at_the_gate, &RoundEvent::Approved { by: "ada".to_owned() });
    assert_eq!(early.expect_err("not asked").why, "it belongs to another stage");
    let reject = Decision::Reject { reasons: vec![RejectReason::IdenticalCheckpoint] };
    let asked = step(&at_the_gate, &decided(reject, Some(request())));
    assert_eq!(asked.expect_err("rejected").why, "nobody is asked about a rejected candidate");
}

#[test]
fn an_approval_expires_by_recorded_times() {
    let request = request();
    let end = 7 * 86_400_000 + 1_000;
    assert_eq!(request.expires_at_ms(1_000), end);
    assert!(!request.is_expired(1_000, end - 1));
    assert!(request.is_expired(1_000, end));
}

/// Runs of older versions have neither key, and their fingerprints stay.
#[test]
fn the_default_of_approval_is_written_nowhere() {
    let config = serde_json::to_value(GateConfig::default()).expect("JSON");
    assert!(config.get("approval").is_none() && config.get("approval_expires").is_none());
    let event = serde_json::to_value(decided(Decision::Promote, None)).expect("JSON");
    assert!(event.get("approval").is_none(), "{event}");
    let older: RoundEvent = serde_json::from_value(event).expect("an event");
    assert_eq!(older, decided(Decision::Promote, None));
    let manual = GateConfig { approval: Approval::Manual, ..GateConfig::default() };
    assert_eq!(manual.approval_request(), Some(request()));
    assert_eq!(GateConfig::default().approval_request(), None);
    let written = serde_json::to_value(&manual).expect("JSON");
    assert_eq!(written["approval"], "manual");
    assert_eq!(serde_json::from_value::<GateConfig>(written).expect("a gate"), manual);
}
