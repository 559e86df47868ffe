//! Scorecards of hand-made audits, and Wilson's interval against published figures.

use gyre_types::{Digest, InvalidReason, Judgement, Score, TaskId, Verdict};
use gyre_verify::{
    AuditedCase, CaseGroup, Rate, Scorecard, ScorecardLimits, ScorecardSubject, VerifierKind,
};

fn subject() -> ScorecardSubject {
    let digest = Digest::of(b"subject");
    ScorecardSubject {
        verifier: digest,
        kind: VerifierKind::Cases,
        family: "test".to_owned(),
        family_digest: digest,
        seed: 1,
        tasks: 1,
    }
}

fn judgement(verdict: Verdict) -> Judgement {
    Judgement { verdict, checks: Vec::new(), fuel: 10, guests: 2 }
}

fn fail() -> Verdict {
    Verdict::Fail { score: Score::ZERO }
}

fn invalid() -> Verdict {
    Verdict::Invalid { reason: InvalidReason::Verifier { detail: "raised".to_owned() } }
}

fn case(group: CaseGroup, verdict: Verdict) -> AuditedCase {
    AuditedCase {
        group,
        task: TaskId::from_digest(&Digest::of(b"task")),
        name: "a case".to_owned(),
        equivalent: false,
        first: judgement(verdict.clone()),
        second: judgement(verdict),
    }
}

/// One case of each group, judged rightly.
fn right() -> Vec<AuditedCase> {
    let verdict = |group: CaseGroup| if group.must_pass() { Verdict::Pass } else { fail() };
    CaseGroup::ALL.into_iter().map(|group| case(group, verdict(group))).collect()
}

fn breaches(cases: &[AuditedCase]) -> Vec<String> {
    Scorecard::of(subject(), cases).breaches(&ScorecardLimits::default())
}

/// Newcombe, "Two-sided confidence intervals for the single proportion", 1998,
/// table I, method 3: all four of its examples, and one where everything happened.
#[test]
fn wilsons_interval_agrees_with_published_figures() {
    for (events, of, low, high) in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ] {
        let rate = Rate::new(events, of);
        let near = |a: f64, b: f64| (a - b).abs() < 5e-5;
        assert!(near(rate.interval[0], low) && near(rate.interval[1], high), "{rate:?}");
    }
    assert_eq!(Rate::new(0, 0).interval, [0.0, 1.0]);
}

#[test]
fn a_right_verifier_is_within_the_limits() {
    let card = Scorecard::of(subject(), &right());
    assert_eq!(card.breaches(&ScorecardLimits::default()), Vec::<String>::new());
    assert_eq!((card.false_accepts.events, card.false_accepts.of), (0, 3));
    assert_eq!((card.false_rejects.events, card.false_rejects.of), (0, 2));
    assert!(card.findings.is_empty());
    let text = serde_json::to_string(&card).unwrap();
    assert_eq!(Scorecard::parse(&text), Ok(card));
    assert!(Scorecard::parse(&text.replace("\"format\":1", "\"format\":2")).is_err());
}

#[test]
fn every_limit_is_kept() {
    for (group, verdict, said) in [
        (CaseGroup::Golden, fail(), "golden"),
        (CaseGroup::Golden, invalid(), "golden"),
        (CaseGroup::Metamorphic, fail(), "golden"),
        (CaseGroup::KnownBad, Verdict::Pass, "known-bad"),
        (CaseGroup::Malformed, Verdict::Pass, "malformed"),
        (CaseGroup::Attack, Verdict::Pass, "attacks"),
        (CaseGroup::Mutant, Verdict::Pass, "mutants"),
        (CaseGroup::Mutant, invalid(), "mutants"),
    ] {
        let mut cases = right();
        cases.push(case(group, verdict));
        let found = breaches(&cases);
        assert!(found.len() == 1 && found[0].contains(said), "{group}: {found:?}");
        assert_eq!(Scorecard::of(subject(), &cases).findings.len(), 1);
    }
}

/// A verifier that says nothing accepts nothing: that alone is no merit.
#[test]
fn what_was_not_measured_is_missed() {
    assert_eq!(breaches(&[]).len(), CaseGroup::ALL.len());
    let without_attacks: Vec<_> =
        right().into_iter().filter(|case| case.group != CaseGroup::Attack).collect();
    assert_eq!(breaches(&without_attacks), ["no attack case was judged"]);
}

#[test]
fn mutants_that_mean_the_same_count_neither_way() {
    let mut cases = right();
    cases.push(AuditedCase { equivalent: true, ..case(CaseGroup::Mutant, Verdict::Pass) });
    let card = Scorecard::of(subject(), &cases);
    assert_eq!((card.mutants.made, card.mutants.equivalent), (2, 1));
    assert_eq!((card.mutants.killed.events, card.mutants.killed.of), (1, 1));
    assert!(card.breaches(&ScorecardLimits::default()).is_empty());
}

#[test]
fn what_differs_the_second_time_is_seen() {
    let differing = |change: &dyn Fn(&mut Judgement)| {
        let mut cases = right();
        change(&mut cases[0].second);
        breaches(&cases)
    };
    let verdict = differing(&|judgement| judgement.verdict = fail());
    assert!(verdict[0].contains("1 verdicts and 0 costs"), "{verdict:?}");
    let fuel = differing(&|judgement| judgement.fuel += 1);
    assert!(fuel[0].contains("0 verdicts and 1 costs"), "{fuel:?}");
}
