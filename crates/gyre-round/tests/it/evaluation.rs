use gyre_round::{
    Confidence, Contest, Decision, Evaluation, GateConfig, GateHistory, Outcome, PairedOutcome,
    RejectReason, TaskResult, compare, decide, wilson,
};
use gyre_types::{Digest, FailureKind, Split, TaskId};

use FailureKind::{NoCode, Syntax, WrongName, WrongValue};
use Outcome::{Fail, Invalid, Missing, Pass};

fn result(at: usize, outcome: Outcome, failure: Option<FailureKind>) -> TaskResult {
    TaskResult {
        task: TaskId::from_digest(&Digest::of(&at.to_le_bytes())),
        part: if at.is_multiple_of(2) { Split::Gate } else { Split::Test },
        family: if at < 6 { "compose" } else { "everyday" }.to_owned(),
        difficulty: 1 + at as u32 % 2,
        outcome,
        failure,
        invalid: (outcome == Invalid).then(|| "model: it is down".to_owned()),
        tokens: 10,
    }
}

fn results(outcomes: &[Outcome]) -> Vec<TaskResult> {
    outcomes.iter().enumerate().map(|(at, outcome)| result(at, *outcome, None)).collect()
}

#[test]
fn form_and_skill_are_counted_apart_and_invalid_in_no_rate() {
    let results = [
        result(0, Pass, None),
        result(1, Fail, Some(NoCode)),
        result(2, Fail, Some(WrongValue)),
        result(3, Fail, Some(Syntax)),
        result(4, Invalid, None),
        result(5, Fail, Some(WrongName)),
        result(6, Pass, None),
        result(7, Fail, Some(WrongValue)),
    ];
    let all = Evaluation::of(&results);
    assert_eq!((all.overall.tasks, all.overall.passed, all.overall.invalid), (7, 2, 1));
    assert_eq!(all.overall.pass_at_1.value, 2.0 / 7.0);
    assert_eq!(all.overall.pass_at_1.interval, wilson(2, 7, Confidence::P95));
    assert_eq!((all.overall.failed_by_form(), all.overall.failed_by_skill()), (3, 2));
    assert_eq!(all.overall.tokens, 80);
    assert_eq!(all.parts[&Split::Gate].tasks + all.parts[&Split::Test].tasks, 7);
    let compose = &all.families["compose"];
    assert_eq!((compose.tasks, compose.passed, compose.invalid), (5, 1, 1));
    assert_eq!(compose.failures[&WrongName], 1);
    let levels: Vec<_> = all
        .levels
        .iter()
        .map(|level| (level.family.as_str(), level.difficulty, level.figures.tasks))
        .collect();
    let expected = [("compose", 1, 2), ("compose", 2, 3), ("everyday", 1, 1), ("everyday", 2, 1)];
    assert_eq!(levels, expected);

    // The order decides nothing, and what is written is read back.
    let mut turned = results.to_vec();
    turned.reverse();
    assert_eq!(Evaluation::of(&turned), all);
    let text = serde_json::to_string(&all).unwrap();
    assert!(text.contains(r#""failures":{"no_code":1,"syntax":1,"wrong_name":1,"wrong_value":2}"#));
    assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), all);
}

#[test]
fn nothing_at_all_has_the_whole_range() {
    let none = Evaluation::of(&[]);
    assert_eq!((none.overall.tasks, none.overall.pass_at_1.value), (0, 0.0));
    assert_eq!(none.overall.pass_at_1.interval, wilson(0, 0, Confidence::P95));
    assert_eq!(none.overall.failed_by_skill(), 0);
}

#[test]
fn two_models_are_compared_by_the_gates_own_test() {
    let mut first = [Fail; 40];
    let mut second = [Fail; 40];
    first[..4].fill(Pass);
    second[2..20].fill(Pass);
    let (first, second) = (results(&first), results(&second));
    let digest = |name: &str| Digest::of(name.as_bytes());
    let config = GateConfig::default();
    let compared = compare(&config, (digest("a"), &first), (digest("b"), &second));

    let pairs: Vec<_> = first
        .iter()
        .zip(&second)
        .map(|(a, b)| PairedOutcome {
            task: a.task.clone(),
            family: a.family.clone(),
            difficulty: a.difficulty,
            champion: a.outcome,
            candidate: b.outcome,
        })
        .collect();
    let contest = Contest {
        round: 0,
        champion: digest("a"),
        candidate: digest("b"),
        history: GateHistory::default(),
    };
    assert_eq!(compared.gate, decide(&config, &contest, &pairs));
    assert_eq!(compared.gate.decision, Decision::Promote);
    let table = compared.gate.overall.table;
    assert_eq!((table.wins, table.losses, table.both, table.neither), (16, 2, 2, 20));
    assert_eq!((compared.flips_won.len(), compared.gate.flips_lost.len()), (16, 2));
    assert!(compared.flips_won.is_sorted());
}

#[test]
fn a_task_that_one_model_was_not_given_counts_against_the_second() {
    let digest = |name: &str| Digest::of(name.as_bytes());
    let config = GateConfig::default();
    let all = results(&[Pass; 10]);
    let compared = compare(&config, (digest("a"), &all[..9]), (digest("b"), &all[1..]));
    // The task that the second lacks is lost, and the first is believed to pass its own.
    let table = compared.gate.overall.table;
    assert_eq!((table.n, table.wins, table.losses, table.both), (10, 0, 1, 9));
    assert_eq!(compared.flips_won, []);
    assert_eq!((compared.gate.unknown.champion, compared.gate.unknown.candidate), (1, 1));
    let Decision::Reject { reasons } = compared.gate.decision else { panic!("promoted") };
    assert!(reasons.contains(&RejectReason::TooManyUnknown { unknown: 2, outcomes: 20 }));
    assert!(all.iter().all(|result| result.outcome != Missing));

    let same = compare(&config, (digest("a"), &all), (digest("a"), &all));
    let Decision::Reject { reasons } = same.gate.decision else { panic!("promoted") };
    assert!(reasons.contains(&RejectReason::IdenticalCheckpoint));
}
