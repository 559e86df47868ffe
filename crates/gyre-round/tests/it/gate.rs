use expect_test::expect;
use gyre_round::{
    Contest, Decision, GateConfig, GateHistory, GateRecord, Outcome, PairedOutcome, RejectReason,
    Share, Spending, decide,
};
use gyre_types::{Digest, Seed, TaskId};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

use Outcome::{Fail, Invalid, Missing, Pass};

fn pair(at: usize, champion: Outcome, candidate: Outcome) -> PairedOutcome {
    PairedOutcome {
        task: TaskId::from_digest(&Digest::of(&at.to_le_bytes())),
        family: "compose".to_owned(),
        difficulty: 1 + at as u32 % 3,
        champion,
        candidate,
    }
}

/// So many pairs of each kind: wins, losses, both, neither.
fn pairs(table: [usize; 4]) -> Vec<PairedOutcome> {
    let kinds = [(Fail, Pass), (Pass, Fail), (Pass, Pass), (Fail, Fail)];
    let outcomes = kinds.into_iter().zip(table).flat_map(|(kind, n)| std::iter::repeat_n(kind, n));
    outcomes.enumerate().map(|(at, (champion, candidate))| pair(at, champion, candidate)).collect()
}

fn contest() -> Contest {
    let digest = |name: &str| Digest::of(name.as_bytes());
    Contest {
        round: 3,
        champion: digest("champion"),
        candidate: digest("candidate"),
        history: GateHistory::default(),
    }
}

fn reasons(record: &GateRecord) -> &[RejectReason] {
    match &record.decision {
        Decision::Promote => &[],
        Decision::Reject { reasons } => reasons,
    }
}

#[test]
fn a_clear_gain_is_promoted_and_the_record_says_why() {
    let record = decide(&GateConfig::default(), &contest(), &pairs([44, 20, 100, 236]));
    assert_eq!(record.decision, Decision::Promote);
    let text = serde_json::to_string_pretty(&record.overall).unwrap();
    expect![[r#"
        {
          "table": {
            "n": 400,
            "wins": 44,
            "losses": 20,
            "both": 100,
            "neither": 236
          },
          "champion": {
            "value": 0.3,
            "interval": {
              "low": 0.25716767195619705,
              "high": 0.34663724577752153
            }
          },
          "candidate": {
            "value": 0.36,
            "interval": {
              "low": 0.3144979076102711,
              "high": 0.40816553480333195
            }
          },
          "gain": {
            "value": 0.06,
            "interval": {
              "low": 0.02082935196173566,
              "high": 0.0985736331128912
            }
          }
        }"#]]
    .assert_eq(&text);
    assert_eq!(record.flips_lost.len(), 20);
    assert_eq!(record.per_difficulty.iter().map(|level| level.breakdown.table.n).sum::<u64>(), 400);
    assert!((record.p_value - 0.001_844_982_138).abs() < 1e-9);

    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<GateRecord>(&text).unwrap(), record);
}

#[test]
fn an_identical_checkpoint_never_promotes_and_costs_nothing() {
    let contest = Contest { candidate: contest().champion, ..contest() };
    let record = decide(&GateConfig::default(), &contest, &pairs([400, 0, 0, 0]));
    assert_eq!(reasons(&record), [RejectReason::IdenticalCheckpoint]);
    assert_eq!(contest.history.after(&record), GateHistory::default());
}

#[test]
fn a_candidate_better_by_luck_is_not_promoted() {
    let record = decide(&GateConfig::default(), &contest(), &pairs([30, 24, 100, 246]));
    let [RejectReason::NotSignificant { p_value, alpha }] = reasons(&record) else {
        panic!("{:?}", record.decision);
    };
    assert!((0.2..0.3).contains(p_value) && (*alpha - 0.015).abs() < 1e-12);
    assert_eq!(contest().history.after(&record), GateHistory { promoted: 0, rejected: 1 });
}

#[test]
fn a_significant_gain_below_the_margin_is_not_promoted() {
    let record = decide(&GateConfig::default(), &contest(), &pairs([12, 1, 1000, 2000]));
    assert!(matches!(reasons(&record), [RejectReason::BelowMargin { .. }]), "{record:?}");
}

#[test]
fn what_is_not_known_counts_against_the_candidate() {
    let config = GateConfig { unknown_share_max: Share::ALL, ..GateConfig::default() };
    for (champion, candidate) in
        [(Invalid, Pass), (Missing, Pass), (Fail, Invalid), (Fail, Missing), (Missing, Missing)]
    {
        let unknown: Vec<_> = (0..400).map(|at| pair(at, champion, candidate)).collect();
        let record = decide(&config, &contest(), &unknown);
        assert_eq!(record.overall.table.wins, 0, "{champion:?} {candidate:?}");
        assert!(!record.is_promotion());
    }
    // The default allows 2% of the outcomes, whatever the others say.
    let mut pairs = pairs([100, 0, 100, 200]);
    pairs.iter_mut().take(17).for_each(|pair| pair.candidate = Invalid);
    let record = decide(&GateConfig::default(), &contest(), &pairs);
    assert_eq!(reasons(&record), [RejectReason::TooManyUnknown { unknown: 17, outcomes: 800 }]);
    pairs[0].candidate = Pass;
    assert!(decide(&GateConfig::default(), &contest(), &pairs).is_promotion());
}

#[test]
fn one_family_may_not_pay_for_another() {
    let mut pairs = pairs([80, 12, 100, 208]);
    for pair in pairs.iter_mut().filter(|pair| pair.champion == Pass).take(60) {
        "everyday".clone_into(&mut pair.family);
    }
    let record = decide(&GateConfig::default(), &contest(), &pairs);
    let [RejectReason::FamilyInferior { family, .. }] = reasons(&record) else {
        panic!("{:?}", record.decision);
    };
    assert_eq!(family, "everyday");
    assert_eq!(record.per_family["everyday"].table.losses, 12);
}

#[test]
fn a_repeated_task_and_an_empty_set_reject() {
    let mut twice = pairs([100, 0, 100, 200]);
    twice.push(twice[0].clone());
    let record = decide(&GateConfig::default(), &contest(), &twice);
    assert_eq!(reasons(&record), [RejectReason::RepeatedTask { task: twice[0].task.clone() }]);
    assert!(!decide(&GateConfig::default(), &contest(), &[]).is_promotion());
}

#[test]
fn the_budget_is_spent_by_rejections_alone() {
    let config = GateConfig::default();
    let level = |promoted, rejected| GateHistory { promoted, rejected }.level(&config);
    assert_eq!(level(0, 0), level(7, 0));
    assert!((level(5, 1) - 0.0105).abs() < 1e-12);
    for spending in [
        Spending::default(),
        Spending::InverseSquare,
        Spending::Uniform { gates_max: 20 },
        Spending::Wealth { share: Share::ALL },
    ] {
        let config = GateConfig { spending, ..config.clone() };
        let spent: f64 =
            (0..10_000).map(|rejected| GateHistory { promoted: 0, rejected }.level(&config)).sum();
        assert!(spent <= 0.05 + 1e-9, "{spending:?} spends {spent}");
        assert!(spent > 0.0499, "{spending:?} spends only {spent}");
    }
}

#[test]
fn a_typing_error_in_the_rules_is_refused() {
    let parse = |text: &str| serde_json::from_str::<GateConfig>(text);
    assert_eq!(parse("{}").unwrap(), GateConfig::default());
    for text in [
        r#"{"alpha": 0.05}"#,
        r#"{"alpha_total": 1.5}"#,
        r#"{"spending": {"rule": "wealth"}}"#,
        r#"{"spending": {"rule": "uniform", "gates_max": 20, "share": 1}}"#,
    ] {
        assert!(parse(text).is_err(), "{text} was accepted");
    }
}

/// Two policies over `n` tasks: the shares only the candidate and only the
/// champion pass; a third of the rest is passed by both.
fn sample(rng: &mut ChaCha8Rng, n: usize, wins: f64, losses: f64) -> Vec<PairedOutcome> {
    let mut outcome = |at| {
        let draw = rng.next_u64() as f64 / 2f64.powi(64);
        match draw {
            _ if draw < wins => pair(at, Fail, Pass),
            _ if draw < wins + losses => pair(at, Pass, Fail),
            _ if draw < wins + losses + 0.3 => pair(at, Pass, Pass),
            _ => pair(at, Fail, Fail),
        }
    };
    (0..n).map(&mut outcome).collect()
}

/// Whether a campaign of twenty gates ever promotes, at these true shares.
fn campaign_promotes(config: &GateConfig, seed: Seed, wins: f64, losses: f64) -> bool {
    let mut rng = seed.rng();
    let mut history = GateHistory::default();
    (0..20).any(|round| {
        let contest = Contest { round, history, ..contest() };
        let record = decide(config, &contest, &sample(&mut rng, 200, wins, losses));
        history = history.after(&record);
        record.is_promotion()
    })
}

#[test]
fn twenty_rounds_of_equal_models_almost_never_promote() {
    let campaigns = 600;
    let promoted = (0..campaigns)
        .filter(|&at| {
            campaign_promotes(&GateConfig::default(), Seed(7).derive("null", &[at]), 0.1, 0.1)
        })
        .count();
    assert!((promoted as f64) < 0.05 * campaigns as f64, "{promoted} of {campaigns}");

    // What the gate replaces: the higher score wins, every other round.
    let mut rng = Seed(7).derive("naive", &[]).rng();
    let naive = (0..200)
        .filter(|_| {
            let pairs = sample(&mut rng, 200, 0.1, 0.1);
            decide(&GateConfig::default(), &contest(), &pairs).overall.gain.value > 0.0
        })
        .count();
    assert!((70..130).contains(&naive), "{naive} of 200");
}

#[test]
fn six_points_over_four_hundred_tasks_are_found() {
    let power = |history, wins, losses| {
        let mut rng = Seed(11).derive("power", &[]).rng();
        let contest = Contest { history, ..contest() };
        let trials = 300;
        let found = (0..trials)
            .filter(|_| {
                let pairs = sample(&mut rng, 400, wins, losses);
                decide(&GateConfig::default(), &contest, &pairs).is_promotion()
            })
            .count();
        found as f64 / f64::from(trials)
    };
    let fresh = GateHistory::default();
    // Five points lost for eleven won; after six promotions nothing was spent.
    assert!(power(fresh, 0.11, 0.05) > 0.7);
    assert!(power(GateHistory { promoted: 6, rejected: 0 }, 0.11, 0.05) > 0.7);
    assert!(power(GateHistory { promoted: 3, rejected: 1 }, 0.11, 0.05) > 0.65);
    // The early rounds of a real run gain more.
    assert!(power(fresh, 0.15, 0.05) > 0.95);
}

fn outcomes() -> impl Strategy<Value = Vec<(Outcome, Outcome)>> {
    let outcome =
        || prop_oneof![4 => Just(Pass), 4 => Just(Fail), 1 => Just(Invalid), 1 => Just(Missing)];
    prop::collection::vec((outcome(), outcome()), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_record_does_not_depend_on_order_and_its_counts_are_conserved(
        outcomes in outcomes(),
        turn in any::<prop::sample::Index>(),
    ) {
        let mut pairs: Vec<_> =
            outcomes.iter().enumerate().map(|(at, &(a, b))| pair(at, a, b)).collect();
        let record = decide(&GateConfig::default(), &contest(), &pairs);
        if !pairs.is_empty() {
            let turn = turn.index(pairs.len());
            pairs.rotate_left(turn);
        }
        prop_assert_eq!(&decide(&GateConfig::default(), &contest(), &pairs), &record);

        let table = record.overall.table;
        prop_assert_eq!(table.wins + table.losses + table.ties(), table.n);
        prop_assert_eq!(table.n, pairs.len() as u64);
        prop_assert!(record.flips_lost.len() as u64 <= table.losses);
        let gain = record.overall.candidate.value - record.overall.champion.value;
        prop_assert!((gain - record.overall.gain.value).abs() < 1e-12);
        prop_assert!(record.overall.gain.interval.contains(gain));
    }

    #[test]
    fn knowing_less_never_helps_the_candidate(
        outcomes in outcomes(),
        hidden in any::<prop::sample::Index>(),
        of_champion in any::<bool>(),
    ) {
        prop_assume!(!outcomes.is_empty());
        let mut pairs: Vec<_> =
            outcomes.iter().enumerate().map(|(at, &(a, b))| pair(at, a, b)).collect();
        let before = decide(&GateConfig::default(), &contest(), &pairs);
        let at = hidden.index(pairs.len());
        let side = if of_champion { &mut pairs[at].champion } else { &mut pairs[at].candidate };
        *side = Missing;
        let after = decide(&GateConfig::default(), &contest(), &pairs);
        prop_assert!(after.p_value >= before.p_value);
        prop_assert!(after.overall.gain.value <= before.overall.gain.value);
        prop_assert!(before.is_promotion() || !after.is_promotion());
    }
}
