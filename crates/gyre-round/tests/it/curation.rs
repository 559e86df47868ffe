use std::collections::{BTreeMap, BTreeSet};

use gyre_round::{
    Curated, CurationCandidate, CurationConfig, CurationMode, CurationReject, PassRateBand, Share,
    VerdictKind, curate,
};
use gyre_types::{Digest, RolloutId, Seed, Split, TaskId};
use proptest::prelude::*;

use VerdictKind::{Fail, Invalid, Pass};

/// A rollout of task `task`, sample `sample`, whose answer is `answer`.
fn row(task: u32, sample: u32, answer: &str, verdict: VerdictKind) -> CurationCandidate {
    CurationCandidate {
        rollout: RolloutId::from_digest(&Digest::of(format!("{task}/{sample}").as_bytes())),
        task: TaskId::from_digest(&Digest::of(&task.to_le_bytes())),
        split: Split::Train,
        sample,
        family: format!("family{}", task % 2),
        skills: vec![format!("skill{}", task % 5), "common".to_owned()],
        answer_digest: Digest::of(answer.as_bytes()),
        answer_bytes: answer.len() as u64,
        tokens: answer.len() as u64,
        verdict,
    }
}

fn verified() -> CurationConfig {
    CurationConfig::default()
}

fn reason(curated: &Curated, row: &CurationCandidate) -> Option<CurationReject> {
    curated.rejected.iter().find(|out| out.rollout == row.rollout).map(|out| out.reason)
}

#[test]
fn each_sieve_says_what_it_held_back() {
    let mut held_out = row(7, 0, "x", Pass);
    held_out.split = Split::Gate;
    let rows = [
        row(1, 0, "long program", Pass),
        row(1, 1, "short", Pass),
        row(1, 2, "short", Pass),
        row(1, 3, "middling", Pass),
        row(2, 0, "wrong", Fail),
        row(2, 1, "x", Invalid),
        row(2, 2, "", Pass),
        held_out,
        row(2, 0, "wrong", Fail),
    ];
    let curated = curate(&verified(), Seed(1), &rows);
    assert_eq!(curated.accepted, [rows[1].rollout.clone(), rows[3].rollout.clone()]);
    for (at, expected) in [
        (0, CurationReject::TaskCap),
        (2, CurationReject::Duplicate),
        (4, CurationReject::Failed),
        (5, CurationReject::Invalid),
        (6, CurationReject::Empty),
        (7, CurationReject::HeldOut),
    ] {
        assert_eq!(reason(&curated, &rows[at]), Some(expected), "row {at}");
    }
    assert_eq!(curated.funnel.candidates, 9);
    assert_eq!(curated.funnel.accepted, 2);
    assert!(curated.funnel.rejected.values().all(|&count| count == 1));
    assert_eq!(curated.funnel.rejected[&CurationReject::Repeated], 1);
}

#[test]
fn the_band_leaves_out_what_is_too_easy_or_too_hard() {
    let rows =
        [row(1, 0, "a", Pass), row(1, 1, "b", Pass), row(2, 0, "a", Pass), row(2, 1, "b", Fail)];
    let max = Share::new(0.8).unwrap();
    let config =
        CurationConfig { pass_rate_band: PassRateBand { min: Share::NONE, max }, ..verified() };
    assert_eq!(curate(&config, Seed(1), &rows).accepted, [rows[2].rollout.clone()]);
    assert_eq!(curate(&verified(), Seed(1), &rows).accepted.len(), 3);
}

#[test]
fn what_a_cap_keeps_follows_from_task_and_sample_alone() {
    let rows: Vec<_> = (0..40).map(|task| row(task, 0, &format!("p{task}"), Pass)).collect();
    let config = CurationConfig { skill_cap: Share::new(0.1).unwrap(), ..verified() };
    // As another run's rows: other ids for the same work.
    let renamed = |row: &CurationCandidate| CurationCandidate {
        rollout: RolloutId::from_digest(&Digest::of(row.rollout.as_str().as_bytes())),
        ..row.clone()
    };
    let others: Vec<_> = rows.iter().map(renamed).collect();
    let kept = |rows: &[CurationCandidate]| {
        let accepted = curate(&config, Seed(1), rows).accepted;
        let kept = rows.iter().filter(|row| accepted.contains(&row.rollout));
        kept.map(|row| row.task.clone()).collect::<Vec<_>>()
    };
    assert!((1..40).contains(&kept(&rows).len()));
    assert_eq!(kept(&rows), kept(&others));
}

#[test]
fn caps_bound_the_share_of_a_family_and_of_a_skill() {
    let rows: Vec<_> = (0..100).map(|task| row(task, 0, "a", Pass)).collect();
    let quarter = Share::new(0.25).unwrap();
    let family = CurationConfig { family_cap: quarter, ..verified() };
    assert_eq!(curate(&family, Seed(1), &rows).accepted.len(), 50);
    let skill = CurationConfig { skill_cap: quarter, ..verified() };
    assert_eq!(curate(&skill, Seed(1), &rows).accepted.len(), 25);
    assert_ne!(curate(&skill, Seed(1), &rows), curate(&skill, Seed(2), &rows));
}

#[test]
fn the_unverified_control_trains_on_every_answer() {
    let rows = [
        row(1, 0, "a", Pass),
        row(1, 1, "a", Fail),
        row(1, 2, "a", Fail),
        row(1, 3, "", Fail),
        row(2, 0, "b", Invalid),
    ];
    let config = CurationConfig { mode: CurationMode::Unverified, ..verified() };
    assert_eq!(curate(&config, Seed(1), &rows).accepted.len(), 3);
}

#[test]
fn the_shuffled_control_keeps_the_number_of_labels_and_loses_their_meaning() {
    let rows: Vec<_> =
        (0..1000).map(|task| row(task, 0, "a", if task % 10 < 3 { Pass } else { Fail })).collect();
    let config = CurationConfig { mode: CurationMode::Shuffled, ..verified() };
    let curated = curate(&config, Seed(1), &rows);
    assert_eq!(curated.accepted.len(), 300);
    assert_eq!(curated, curate(&config, Seed(1), &rows));
    let accepted: BTreeSet<_> = curated.accepted.iter().collect();
    let truly = rows.iter().filter(|row| row.verdict == Pass && accepted.contains(&row.rollout));
    // 90 by chance, 300 were the labels kept.
    assert!((65..115).contains(&truly.count()));
}

fn any_row() -> impl Strategy<Value = CurationCandidate> {
    let verdict = prop_oneof![Just(Pass), Just(Fail), Just(Invalid)];
    let split =
        prop_oneof![4 => Just(Split::Train), 1 => Just(Split::Gate), 1 => Just(Split::Test)];
    (0u32..12, 0u32..6, "[ab]{0,2}", verdict, split).prop_map(
        |(task, sample, answer, verdict, split)| CurationCandidate {
            split,
            ..row(task, sample, &answer, verdict)
        },
    )
}

proptest! {
    #[test]
    fn no_mode_breaks_the_rules(
        rows in prop::collection::vec(any_row(), 0..80),
        mode in prop_oneof![
            Just(CurationMode::Verified),
            Just(CurationMode::Unverified),
            Just(CurationMode::Shuffled),
        ],
        cap in 0.0..=1.0f64,
        turn in any::<prop::sample::Index>(),
    ) {
        let cap = Share::new(cap).unwrap();
        let config = CurationConfig { mode, family_cap: cap, skill_cap: cap, ..verified() };
        // One row per rollout, so that rows can be looked up by it.
        let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.rollout.clone(), row)).collect();
        let mut given: Vec<_> = rows.values().cloned().collect();
        let curated = curate(&config, Seed(3), &given);
        if !given.is_empty() {
            let turn = turn.index(given.len());
            given.rotate_left(turn);
        }
        prop_assert_eq!(&curate(&config, Seed(3), &given), &curated);

        let funnel = &curated.funnel;
        prop_assert_eq!(funnel.candidates, given.len() as u64);
        prop_assert_eq!(funnel.candidates, funnel.accepted + funnel.rejected.values().sum::<u64>());
        prop_assert_eq!(curated.accepted.len() as u64, funnel.accepted);

        let accepted: Vec<_> = curated.accepted.iter().map(|id| &rows[id]).collect();
        for row in &accepted {
            prop_assert!(!row.split.is_held_out() && row.answer_bytes > 0);
            prop_assert!(row.verdict != Invalid);
            prop_assert!(mode != CurationMode::Verified || row.verdict == Pass);
        }
        if mode != CurationMode::Unverified {
            let mut programs: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
            for row in &accepted {
                prop_assert!(programs.entry(&row.task).or_default().insert(row.answer_digest));
            }
            prop_assert!(programs.values().all(|programs| programs.len() <= 2));
        }
    }
}

#[test]
fn names_are_those_that_json_has() {
    let json = |value: serde_json::Value| value.as_str().map(str::to_owned);
    for mode in [CurationMode::Verified, CurationMode::Unverified, CurationMode::Shuffled] {
        assert_eq!(json(serde_json::to_value(mode).unwrap()).as_deref(), Some(mode.as_str()));
    }
    use CurationReject::{
        Duplicate, Empty, Failed, FamilyCap, HeldOut, Invalid, OutsideBand, Repeated, SkillCap,
        TaskCap,
    };
    for reason in [
        Repeated,
        HeldOut,
        Invalid,
        Empty,
        Failed,
        OutsideBand,
        Duplicate,
        TaskCap,
        FamilyCap,
        SkillCap,
    ] {
        assert_eq!(json(serde_json::to_value(reason).unwrap()).as_deref(), Some(reason.as_str()));
    }
}
