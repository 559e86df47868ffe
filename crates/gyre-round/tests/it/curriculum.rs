use std::collections::{BTreeMap, BTreeSet};

use gyre_round::{
    CurriculumConfig, CurriculumState, FamilyCurriculum, Observation, TaskSlot, plan_round,
    skill_weights,
};
use gyre_types::Seed;
use proptest::prelude::*;

fn family(name: &str, weight: u32) -> FamilyCurriculum {
    FamilyCurriculum {
        family: name.to_owned(),
        difficulty_min: 1,
        difficulty_max: 5,
        difficulty_start: 2,
        weight,
    }
}

fn config() -> CurriculumConfig {
    CurriculumConfig {
        families: vec![family("compose", 3), family("everyday", 1)],
        ..Default::default()
    }
}

/// A round in which level `difficulty` of `compose` was passed so often of a hundred.
fn after(state: &CurriculumState, difficulty: u32, passes: u32) -> CurriculumState {
    let skills = [format!("skill{difficulty}")];
    let rollouts = (0..100).map(|at| Observation {
        family: "compose",
        difficulty,
        skills: &skills,
        passed: at < passes,
    });
    state.after_round(&config(), rollouts)
}

fn counts(slots: &[TaskSlot], family: &str) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for slot in slots.iter().filter(|slot| slot.family == family) {
        *counts.entry(slot.difficulty).or_default() += 1;
    }
    counts
}

#[test]
fn an_unknown_policy_gets_the_open_levels_alike() {
    let slots = plan_round(&config(), &CurriculumState::default(), 1, Seed(1), 1600);
    assert_eq!(counts(&slots, "compose"), BTreeMap::from([(1, 600), (2, 600)]));
    assert_eq!(counts(&slots, "everyday"), BTreeMap::from([(1, 200), (2, 200)]));
    assert_eq!(slots.iter().filter(|slot| slot.weighted).count(), 1200);
    let seeds: BTreeSet<_> = slots.iter().map(|slot| slot.seed).collect();
    assert_eq!(seeds.len(), 1600);
    // Mixed along the list: any quarter holds about a quarter of each cell.
    assert!((148..=152).contains(&counts(&slots[..400], "compose")[&1]));
}

#[test]
fn the_next_level_opens_when_the_top_one_passes_often_enough() {
    let start = CurriculumState::default();
    let open = |state: &CurriculumState| state.families["compose"].unlocked;
    assert_eq!(open(&after(&start, 1, 100)), Some(2), "only the top level counts");
    assert_eq!(open(&after(&start, 2, 8)), Some(2));
    let third = after(&start, 2, 40);
    assert_eq!(open(&third), Some(3));
    assert_eq!(open(&after(&third, 3, 0)), Some(3), "a level once open stays open");
    let fifth = after(&after(&third, 3, 90), 4, 90);
    assert_eq!(open(&after(&fifth, 5, 90)), Some(5), "there is none beyond the last");
}

#[test]
fn mastered_and_hopeless_levels_get_less() {
    let state = after(&after(&CurriculumState::default(), 1, 98), 2, 50);
    let slots = counts(&plan_round(&config(), &state, 2, Seed(1), 1000), "compose");
    // p(1-p)+0.08 is about 0.14 (decayed), 0.33 and 0.33 (unknown).
    assert!(slots[&1] < slots[&2] / 2, "{slots:?}");
    assert_eq!(slots.values().sum::<usize>(), 750);
    assert!(slots[&3] > 250, "{slots:?}");
}

#[test]
fn the_hardest_open_level_keeps_its_share_however_hopeless() {
    let state = after(&after(&CurriculumState::default(), 1, 50), 2, 0);
    let share = |share: f64| {
        let frontier_share_min = serde_json::from_value(share.into()).unwrap();
        let config = CurriculumConfig { frontier_share_min, ..config() };
        counts(&plan_round(&config, &state, 2, Seed(1), 1600), "compose")[&2]
    };
    assert_eq!(share(0.25), 300);
    assert_eq!(share(0.5), 600);
    // Without it, its weight is p(1-p)+0.08 with p about 0.01: 0.09 beside 0.33.
    assert_eq!((share(0.0), share(0.1)), (256, 256));
}

#[test]
fn weak_skills_weigh_more() {
    let state = after(&after(&CurriculumState::default(), 1, 100), 2, 0);
    let weights = skill_weights(&config(), &state, "compose");
    assert!((weights.unseen - 0.55).abs() < 1e-12);
    assert!(weights.seen["skill1"] < 0.1 && weights.seen["skill2"] > 1.0, "{weights:?}");
    assert!(skill_weights(&config(), &state, "unknown").seen.is_empty());
}

#[test]
fn the_last_round_speaks_loudest() {
    let bad = after(&CurriculumState::default(), 1, 0);
    let good = after(&bad, 1, 100);
    let rate = good.families["compose"].level(1).pass_rate();
    assert!((rate - 101.0 / 127.0).abs() < 1e-12, "{rate}");
}

#[test]
fn the_state_survives_being_written() {
    let state = after(&CurriculumState::default(), 2, 40);
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<CurriculumState>(&text).unwrap(), state);
}

proptest! {
    #[test]
    fn every_slot_is_asked_for_and_open(
        count in 0u32..3000,
        round in 0u32..50,
        seed in any::<u64>(),
        seen in prop::collection::vec((1u32..7, any::<bool>()), 0..200),
    ) {
        let mut state = CurriculumState::default();
        for (difficulty, passed) in seen {
            let one = Observation { family: "compose", difficulty, skills: &[], passed };
            state = state.after_round(&config(), [one]);
        }
        let slots = plan_round(&config(), &state, round, Seed(seed), count);
        prop_assert_eq!(slots.len(), count as usize);
        prop_assert_eq!(&plan_round(&config(), &state, round, Seed(seed), count), &slots);
        let top = state.families.get("compose").and_then(|family| family.unlocked).unwrap_or(2);
        prop_assert!(top <= 5);
        for slot in &slots {
            let top = if slot.family == "compose" { top } else { 2 };
            prop_assert!((1..=top).contains(&slot.difficulty));
        }
        let share = slots.iter().filter(|slot| slot.weighted).count() as f64;
        prop_assert!((share - 0.75 * f64::from(count)).abs() <= 7.0);
    }
}
