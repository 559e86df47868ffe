use std::collections::BTreeMap;

use gyre_round::{
    AcceptCount, AlarmConfig, CanaryConfig, RecheckConfig, Share, exact_interval, rate_alarms,
    select_canaries, select_rechecks,
};
use gyre_types::{Digest, Seed, TaskId};

fn cells(counts: &[(&str, u64, u64)]) -> BTreeMap<String, AcceptCount> {
    let cell = |&(name, accepted, judged): &(&str, u64, u64)| {
        (name.to_owned(), AcceptCount { accepted, judged })
    };
    counts.iter().map(cell).collect()
}

fn alarmed(comparison: u32, before: &[(&str, u64, u64)], now: &[(&str, u64, u64)]) -> Vec<String> {
    let alarms = rate_alarms(&AlarmConfig::default(), comparison, &cells(before), &cells(now));
    alarms.into_iter().map(|alarm| alarm.cell).collect()
}

/// R. G. Newcombe, "Two-sided confidence intervals for the single proportion",
/// Statistics in Medicine 17 (1998), table I, method 5.
#[test]
fn exact_intervals_agree_with_the_literature() {
    for (successes, n, low, high) in [
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ] {
        let interval = exact_interval(successes, n, 0.025);
        assert!((interval.low - low).abs() < 5e-5, "{successes}/{n}: {interval:?}");
        assert!((interval.high - high).abs() < 5e-5, "{successes}/{n}: {interval:?}");
    }
    assert_eq!(exact_interval(0, 0, 0.1).high, 1.0);
    assert_eq!(exact_interval(20, 20, 0.1).high, 1.0);
    let tiny = exact_interval(900, 1_000, 1e-12);
    assert!(tiny.low > 0.8 && tiny.high < 0.97, "{tiny:?}");
}

#[test]
fn a_verifier_that_begins_to_accept_everything_is_told() {
    let before = [("chain level 1", 180, 300), ("chain level 2", 60, 300), ("odd", 9, 90)];
    let after = [("chain level 1", 190, 300), ("chain level 2", 300, 300), ("odd", 89, 90)];
    assert_eq!(alarmed(1, &before, &after), ["chain level 2", "odd"]);
    // And one that begins to refuse everything.
    assert_eq!(alarmed(1, &after, &before), ["chain level 2", "odd"]);
    // Later in a campaign less is left to spend, and such a jump still shows.
    assert_eq!(alarmed(1_000, &before, &after), ["chain level 2", "odd"]);
    let alarm = &rate_alarms(&AlarmConfig::default(), 1, &cells(&before), &cells(&after))[0];
    assert_eq!(
        alarm.to_string(),
        "chain level 2: 60 of 300 tasks accepted in the round before (20%), now 300 of 300 \
         (100%): more than 30 points of learning and chance explain"
    );
}

#[test]
fn learning_few_tasks_and_new_cells_raise_nothing() {
    // A quarter more in one round is a good round.
    assert_eq!(alarmed(1, &[("a", 400, 1_000)], &[("a", 650, 1_000)]), [""; 0]);
    // Two tasks say nothing, however they end.
    assert_eq!(alarmed(1, &[("a", 0, 2)], &[("a", 2, 2)]), [""; 0]);
    assert_eq!(alarmed(1, &[("a", 0, 500)], &[("b", 500, 500)]), [""; 0]);
    assert_eq!(alarmed(1, &[("a", 0, 0)], &[("a", 500, 500)]), [""; 0]);
    let silent = AlarmConfig { alpha_total: Share::NONE, ..AlarmConfig::default() };
    let (before, now) = (cells(&[("a", 0, 500)]), cells(&[("a", 500, 500)]));
    assert_eq!(rate_alarms(&silent, 1, &before, &now), []);
}

/// The probability of a false alarm, summed over every outcome of two rounds,
/// against the level that the first comparison may spend.
#[test]
fn a_change_that_is_allowed_alarms_no_more_often_than_the_budget_says() {
    let config = AlarmConfig {
        change_max: Share::new(0.1).unwrap(),
        alpha_total: Share::new(0.2).unwrap(),
        stop: false,
    };
    let n = 24_u64;
    let level = config.alpha_total.get() * 6.0 / std::f64::consts::PI.powi(2);
    let mut highest = 0.0_f64;
    let is_alarm: Vec<Vec<bool>> = (0..=n)
        .map(|x| (0..=n).map(|y| !alarms_of(&config, (x, n), (y, n)).is_empty()).collect())
        .collect();
    for rate in [0.0, 0.05, 0.2, 0.45, 0.7, 0.9] {
        for change in [-0.1, 0.0, 0.1] {
            let now: f64 = rate + change;
            if !(0.0..=1.0).contains(&now) {
                continue;
            }
            let mut false_alarm = 0.0;
            for x in 0..=n {
                for y in 0..=n {
                    if is_alarm[x as usize][y as usize] {
                        false_alarm += probability(x, n, rate) * probability(y, n, now);
                    }
                }
            }
            assert!(false_alarm <= level, "{rate} to {now}: {false_alarm} above {level}");
            highest = highest.max(false_alarm);
        }
    }
    assert!(highest > 0.0, "the test never alarms: it shows nothing");
    // Over a campaign of any length the levels add up to the budget.
    let spent: f64 = (1..100_000)
        .map(|r| config.alpha_total.get() * 6.0 / (std::f64::consts::PI * f64::from(r)).powi(2))
        .sum();
    assert!(spent <= config.alpha_total.get());
}

fn alarms_of(config: &AlarmConfig, before: (u64, u64), now: (u64, u64)) -> Vec<String> {
    let (before, now) = (cells(&[("a", before.0, before.1)]), cells(&[("a", now.0, now.1)]));
    rate_alarms(config, 1, &before, &now).into_iter().map(|alarm| alarm.cell).collect()
}

fn probability(hits: u64, n: u64, p: f64) -> f64 {
    let choose: f64 = (1..=hits).map(|i| (n - hits + i) as f64 / i as f64).product();
    choose * p.powi(hits as i32) * (1.0 - p).powi((n - hits) as i32)
}

fn task(name: &str) -> TaskId {
    TaskId::from_digest(&Digest::of(name.as_bytes()))
}

#[test]
fn rechecks_are_the_asked_share_and_follow_from_the_seed() {
    let tasks: Vec<_> = (0..500).map(|n| task(&n.to_string())).collect();
    let accepts: Vec<_> = tasks.iter().map(|task| (task, 1)).collect();
    let config = RecheckConfig::default();
    let chosen = select_rechecks(&config, Seed(7), &accepts, true);
    assert!((2..=25).contains(&chosen.len()), "about 2% of 500: {chosen:?}");
    assert!(chosen.is_sorted_by(|a, b| a < b));
    assert_eq!(chosen, select_rechecks(&config, Seed(7), &accepts, true));
    assert_ne!(chosen, select_rechecks(&config, Seed(8), &accepts, true));
    assert_eq!(select_rechecks(&config, Seed(7), &accepts[..1], true), [0]);
    assert_eq!(select_rechecks(&config, Seed(7), &[], true), [0; 0]);
    let none = RecheckConfig { share: Share::NONE };
    assert_eq!(select_rechecks(&none, Seed(7), &accepts, true), [0; 0]);
    let all = RecheckConfig { share: Share::ALL };
    assert_eq!(select_rechecks(&all, Seed(7), &accepts, false).len(), 500);
}

#[test]
fn rechecks_are_the_same_whatever_the_waves() {
    let tasks: Vec<_> = (0..500).map(|n| task(&n.to_string())).collect();
    let accepts: Vec<_> = tasks.iter().map(|task| (task, 1)).collect();
    let config = RecheckConfig { share: Share::new(0.1).unwrap() };
    let whole = select_rechecks(&config, Seed(7), &accepts, true);
    for wave in [1, 7, 150, 499] {
        let in_waves = accepts.chunks(wave).enumerate().flat_map(|(number, accepts)| {
            let chosen = select_rechecks(&config, Seed(7), accepts, number == 0);
            chosen.into_iter().map(move |at| number * wave + at)
        });
        assert_eq!(in_waves.collect::<Vec<_>>(), whole, "in waves of {wave}");
    }
}

#[test]
fn canaries_come_from_every_family_in_turn() {
    let names: Vec<_> = (0..30).map(|n| task(&format!("large {n}"))).collect();
    let (few, large) = (task("few"), &names);
    let tasks = || large.iter().map(|t| (t, "large")).chain([(&few, "few")]);
    let count = CanaryConfig::default().per_round;
    let chosen = select_canaries(count, Seed(1), tasks());
    assert_eq!(chosen.len(), 4);
    assert!(chosen.contains(&few), "a family of one task is watched too");
    assert_eq!(
        chosen,
        select_canaries(count, Seed(1), tasks().collect::<Vec<_>>().into_iter().rev())
    );
    assert_ne!(chosen, select_canaries(count, Seed(2), tasks()));
    assert_eq!(select_canaries(100, Seed(1), tasks()).len(), 31);
    assert_eq!(select_canaries(0, Seed(1), tasks()), []);
}
