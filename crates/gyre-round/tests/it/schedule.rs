//! Ticks over changes of the clock, catch-up, budgets and stop rules.

use gyre_round::{
    CatchUp, RoundBudget, RoundOutcome, ScheduleConfig, ScheduleError, Spent, StopReason,
    StopRules, Timetable, due, must_stop,
};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-03-29 00:00 UTC: the day on which Berlin's clocks go from 2 to 3.
const FORWARD: i64 = 1_774_742_400_000;
/// 2026-10-25 00:00 UTC: the day on which they go from 3 to 2.
const BACK: i64 = 1_792_886_400_000;

fn berlin(cron: &str) -> Timetable {
    Timetable::parse(cron, "Europe/Berlin").unwrap()
}

/// Minutes after an instant.
fn minutes(timetable: &Timetable, from: i64, hours: i64) -> Vec<i64> {
    let ticks = timetable.ticks(from - 1, from + hours * HOUR, 1_000);
    ticks.into_iter().map(|tick| (tick - from) / MINUTE).collect()
}

#[test]
fn a_time_that_the_clock_skips_ticks_once_right_after_it() {
    // 02:30 does not exist; 03:00 summer time is 01:00 UTC.
    assert_eq!(minutes(&berlin("30 2 * * *"), FORWARD, 6), [60]);
    assert_eq!(minutes(&berlin("30 2 * * *"), FORWARD - DAY, 6), [90]);
    assert_eq!(minutes(&berlin("30 2 * * *"), FORWARD + DAY, 6), [30]);
}

#[test]
fn a_time_that_comes_twice_ticks_at_the_first() {
    // 02:30 summer time is 00:30 UTC; an hour later it is 02:30 again.
    assert_eq!(minutes(&berlin("30 2 * * *"), BACK, 6), [30]);
}

#[test]
fn an_interval_follows_the_clock_through_both() {
    assert_eq!(minutes(&berlin("0 * * * *"), FORWARD, 3), [0, 60, 120, 180]);
    assert_eq!(minutes(&berlin("*/30 * * * *"), BACK, 2), [0, 30, 60, 90, 120]);
}

#[test]
fn what_is_no_schedule_is_refused_by_name() {
    let schedule = |name: &str, cron: &str, zone: &str| ScheduleConfig {
        name: name.to_owned(),
        cron: cron.to_owned(),
        time_zone: zone.to_owned(),
        campaign: None,
        budget: RoundBudget::default(),
        stop: StopRules::default(),
        catch_up: CatchUp::default(),
        overlap: gyre_round::Overlap::default(),
    };
    assert_eq!(schedule("nightly", "0 2 * * 1-5", "America/New_York").check(), Ok(()));
    assert_eq!(schedule("often", "*/5 * * * * *", "UTC").check(), Ok(()));
    let refused = |schedule: ScheduleConfig| schedule.check().unwrap_err().to_string();
    assert!(refused(schedule("Nightly", "0 2 * * *", "UTC")).contains("a-z, 0-9 and -"));
    assert!(refused(schedule("n", "61 2 * * *", "UTC")).contains("\"61 2 * * *\""));
    assert!(refused(schedule("n", "0 2 * *", "UTC")).contains("cron expression"));
    assert!(refused(schedule("n", "0 2 * * *", "Berlin")).contains("Europe/Berlin"));
    let mut zero = schedule("n", "0 2 * * *", "UTC");
    zero.budget.rows = Some(0);
    assert_eq!(zero.check(), Err(ScheduleError::Zero { key: "budget.rows" }));
}

#[test]
fn late_ticks_follow_the_policy_and_those_on_time_run() {
    let now = 10 * HOUR;
    let ticks = [HOUR, 2 * HOUR, 3 * HOUR];
    let with_now = [HOUR, 2 * HOUR, now];
    let divided = |catch_up, ticks: &[i64]| {
        let due = due(catch_up, ticks, false, now);
        (due.missed.len(), due.run)
    };
    assert_eq!(divided(CatchUp::Skip, &ticks), (3, vec![]));
    assert_eq!(divided(CatchUp::Once, &ticks), (2, vec![3 * HOUR]));
    assert_eq!(divided(CatchUp::All, &ticks), (0, ticks.to_vec()));
    assert_eq!(divided(CatchUp::Skip, &with_now), (2, vec![now]));
    assert_eq!(divided(CatchUp::Once, &with_now), (2, vec![now]));
    assert_eq!(divided(CatchUp::All, &with_now), (0, with_now.to_vec()));
    // Where others have passed after these, the last one of those stands for all.
    assert_eq!(due(CatchUp::Once, &ticks, true, now).missed, ticks);
}

#[test]
fn a_budget_may_be_spent_and_not_overspent() {
    let budget = RoundBudget { tokens: Some(10), wall_seconds: Some(2), ..RoundBudget::default() };
    let spent = Spent { tokens: 10, wall_ms: 2_000, cpu_ms: 1 << 40, rows: 1 << 40 };
    assert_eq!(budget.exceeded(&spent), None);
    let over = budget.exceeded(&Spent { wall_ms: 2_001, ..spent }).unwrap();
    assert_eq!(over.to_string(), "the budget of 2 seconds is spent (3)");
    let over = budget.exceeded(&Spent { tokens: 11, ..spent }).unwrap();
    assert_eq!(over.to_string(), "the budget of 10 tokens is spent (11)");
}

#[test]
fn rules_stop_after_just_so_many_rounds() {
    use RoundOutcome::{Collected, Failed, Promoted, Rejected};
    let rejections = StopRules { rejections_in_a_row: Some(3), ..StopRules::default() };
    let no = Rejected { rate: 0.2 };
    assert_eq!(must_stop(&rejections, &[no, no, Failed]), None);
    let stopped = Some(StopReason::Rejections(3));
    assert_eq!(must_stop(&rejections, &[Promoted { rate: 0.2 }, no, no, Failed, no]), stopped);
    assert_eq!(must_stop(&rejections, &[no, no, Promoted { rate: 0.3 }, no]), None);

    let gain = StopRules { no_gain_rounds: Some(2), ..StopRules::default() };
    assert_eq!(must_stop(&gain, &[Promoted { rate: 0.2 }, no]), None);
    let stopped = Some(StopReason::NoGain(2));
    assert_eq!(must_stop(&gain, &[Promoted { rate: 0.2 }, no, Failed]), stopped);
    // A promotion that only brings back what was there before is no gain.
    assert_eq!(must_stop(&gain, &[Promoted { rate: 0.2 }, no, Promoted { rate: 0.2 }]), stopped);
    let failures = StopRules { failures_in_a_row: Some(2), ..StopRules::default() };
    assert_eq!(must_stop(&failures, &[Failed, no, Failed]), None);
    assert_eq!(must_stop(&failures, &[no, Failed, Failed]), Some(StopReason::Failures(2)));

    // Rounds that train nothing are neither rejections nor failures, and no lack of gain.
    let collected = [Collected; 5];
    for rules in [rejections, gain, failures] {
        assert_eq!(must_stop(&rules, &collected), None);
    }
    assert_eq!(must_stop(&failures, &[Failed, Collected, Failed]), None);
}

const CRONS: [&str; 6] =
    ["30 2 * * *", "*/7 * * * *", "0 0 1 * *", "15,45 1-3 * * 0", "0 */6 * * *", "59 23 L * *"];
const ZONES: [&str; 5] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However an interval is cut, its parts have the ticks of the whole: looking
    /// more or less often neither doubles nor loses one.
    #[test]
    fn looking_more_often_changes_no_tick(
        cron in prop::sample::select(&CRONS[..]),
        zone in prop::sample::select(&ZONES[..]),
        start in 0..400i64,
        mut cuts in prop::collection::vec(0..(9 * DAY), 0..6),
    ) {
        let timetable = Timetable::parse(cron, zone).unwrap();
        let from = FORWARD - 200 * DAY + start * DAY;
        let until = from + 9 * DAY;
        let whole = timetable.ticks(from, until, usize::MAX);
        cuts.push(9 * DAY);
        cuts.sort_unstable();
        let mut parts = Vec::new();
        let mut at = from;
        for cut in cuts {
            parts.extend(timetable.ticks(at, from + cut, usize::MAX));
            at = from + cut;
        }
        prop_assert!(whole.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(parts, whole);
    }

    /// Every tick is either run or missed, and order is kept.
    #[test]
    fn catching_up_loses_no_tick(
        policy in prop::sample::select(&[CatchUp::Skip, CatchUp::Once, CatchUp::All][..]),
        mut ages in prop::collection::vec(0..(3 * HOUR), 0..30),
    ) {
        ages.sort_unstable();
        let now = BACK;
        let ticks: Vec<i64> = ages.iter().rev().map(|age| now - age).collect();
        let divided = due(policy, &ticks, false, now);
        let mut all = divided.missed.clone();
        all.extend(&divided.run);
        prop_assert_eq!(&all, &ticks);
        let on_time = ticks.iter().filter(|tick| now - **tick <= MINUTE).count();
        prop_assert!(divided.run.len() >= on_time);
        match policy {
            CatchUp::Skip => prop_assert_eq!(divided.run.len(), on_time),
            CatchUp::Once => prop_assert!(divided.run.len() <= on_time.max(1)),
            CatchUp::All => prop_assert!(divided.missed.is_empty()),
        }
    }
}
