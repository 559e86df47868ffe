//! Approvals by people and hand-overs of promotions.

use gyre_lineage::{
    AnswerVia, ApprovalAnswer, AttemptOutcome, AuditRules, CheckpointRow, Commit, GateDecision,
    GateRow, HandoverAttempt, NewAnswer, NewApproval, NewHandover, Promotion, SealChain, Store,
    StoreError,
};
use serde_json::json;

use crate::scenario::{Recorded, checkpoint, digest, event, write};
use crate::support::{TestDatabase, on_both};

on_both!(
    a_candidate_waits_until_it_is_approved,
    an_answer_comes_in_time_and_once,
    nobody_is_asked_about_what_did_not_pass,
    a_promotion_is_handed_over_until_it_is_delivered,
    only_promotions_are_handed_over,
    planted_corruptions_are_found,
);

const EXPIRES: i64 = 1_000;

/// A run with a second candidate, which passed its gate.
struct Waiting {
    recorded: Recorded,
    next: CheckpointRow,
    gate: GateRow,
}

impl Waiting {
    async fn write(store: &Store) -> Self {
        let recorded = write(store, "r").await;
        let next = checkpoint("next", 2, Some(&recorded.candidate));
        let pair = (next.id.clone(), recorded.candidate.id.clone());
        let gate = GateRow::new(2, pair, GateDecision::Promoted, json!({"p": 0.01}));
        Self { recorded, next, gate }
    }

    fn request(&self) -> NewApproval {
        NewApproval {
            round: 2,
            candidate: self.next.id.clone(),
            champion: self.recorded.candidate.id.clone(),
            gate_digest: self.gate.digest,
            // It is committed at 50.
            expires_after_ms: EXPIRES - 50,
        }
    }

    /// The commit of the gate's decision.
    fn decided(&self) -> Commit {
        let mut commit = self.recorded.commit();
        commit.events = vec![event(2, "decided")];
        commit.checkpoints = vec![self.next.clone()];
        commit.gates = vec![self.gate.clone()];
        commit
    }

    fn asking(&self) -> Commit {
        Commit { approval: Some(self.request()), ..self.decided() }
    }

    fn promotion(&self) -> Promotion {
        Promotion {
            expected_champion: Some(self.recorded.candidate.id.clone()),
            champion: self.next.id.clone(),
            round: 2,
            gate_digest: Some(self.gate.digest),
        }
    }

    /// The commit of an answer, at a time.
    fn answering(&self, answer: ApprovalAnswer, at_ms: i64) -> Commit {
        let mut commit = self.recorded.commit();
        (commit.at_ms, commit.expected_seq) = (at_ms, self.recorded.last_seq + 1);
        commit.events = vec![event(2, answer.as_str())];
        commit.answer = Some(NewAnswer {
            round: 2,
            answer,
            by: (answer != ApprovalAnswer::Expired)
                .then(|| ("ada@here".to_owned(), AnswerVia::Command)),
            why: None,
        });
        commit.promotion = (answer == ApprovalAnswer::Approved).then(|| self.promotion());
        commit
    }

    fn hook(&self) -> NewHandover {
        NewHandover {
            round: 2,
            target: "hook".to_owned(),
            champion: self.next.id.clone(),
            target_digest: digest("settings"),
        }
    }
}

async fn refused(store: &Store, commit: Commit) -> String {
    let error = store.commit(commit).await.unwrap_err();
    assert!(matches!(error, StoreError::InvalidCommit { .. }), "{error}");
    error.to_string()
}

/// Whether rows and seals are as they should be.
async fn is_sound(store: &Store, waiting: &Waiting) {
    let run = &waiting.recorded.run;
    assert_eq!(store.audit_rows(run, AuditRules::default()).await.unwrap(), []);
    let sealed = store.audit_seals(&SealChain::Run(run.clone())).await.unwrap();
    assert_eq!(sealed.findings, []);
}

async fn a_candidate_waits_until_it_is_approved(db: &TestDatabase) {
    let store = &db.store;
    let waiting = Waiting::write(store).await;
    let run = &waiting.recorded.run;
    assert_eq!(store.waiting_approvals().await.unwrap(), []);
    store.commit(waiting.asking()).await.unwrap();
    is_sound(store, &waiting).await;
    let asked = store.waiting_approvals().await.unwrap();
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((&asked.run, asked.round, &asked.candidate), (run, 2, &waiting.next.id));
    assert_eq!((asked.asked_at_ms, asked.expires_at_ms), (50, EXPIRES));
    assert_eq!(asked.gate_digest, waiting.gate.digest);
    assert_eq!(asked.answer, None);
    let champion = store.champion(run).await.unwrap().unwrap();
    assert_eq!(champion.champion, waiting.recorded.candidate.id, "nobody approved it yet");

    let mut commit = waiting.answering(ApprovalAnswer::Approved, 60);
    commit.handovers = vec![waiting.hook()];
    store.commit(commit).await.unwrap();
    is_sound(store, &waiting).await;
    assert_eq!(store.champion(run).await.unwrap().unwrap().champion, waiting.next.id);
    assert_eq!(store.waiting_approvals().await.unwrap(), []);
    let (answer, at_ms) = store.approvals(run).await.unwrap().pop().unwrap().answer.unwrap();
    assert_eq!((answer.answer, at_ms), (ApprovalAnswer::Approved, 60));
    assert_eq!(answer.by, Some(("ada@here".to_owned(), AnswerVia::Command)));
}

async fn an_answer_comes_in_time_and_once(db: &TestDatabase) {
    let store = &db.store;
    let waiting = Waiting::write(store).await;
    store.commit(waiting.asking()).await.unwrap();

    let mut unanswered = waiting.answering(ApprovalAnswer::Approved, 60);
    unanswered.answer = None;
    assert!(refused(store, unanswered).await.contains("nobody approved"));
    let late = refused(store, waiting.answering(ApprovalAnswer::Approved, EXPIRES)).await;
    assert!(late.contains("its approval expired"), "{late}");
    let early = refused(store, waiting.answering(ApprovalAnswer::Expired, EXPIRES - 1)).await;
    assert!(early.contains("has not expired yet"), "{early}");
    let mut only_said = waiting.answering(ApprovalAnswer::Approved, 60);
    only_said.promotion = None;
    assert!(refused(store, only_said).await.contains("approved and not promoted"));
    let mut against = waiting.answering(ApprovalAnswer::Declined, 60);
    against.promotion = Some(waiting.promotion());
    assert!(refused(store, against).await.contains("promoted and not approved"));

    let declined = waiting.answering(ApprovalAnswer::Declined, 60);
    store.commit(declined).await.unwrap();
    is_sound(store, &waiting).await;
    let mut again = waiting.answering(ApprovalAnswer::Approved, 61);
    again.expected_seq += 1;
    let error = store.commit(again).await.unwrap_err();
    assert!(matches!(error, StoreError::Constraint { .. }), "{error}");
    let run = &waiting.recorded.run;
    let champion = store.champion(run).await.unwrap().unwrap();
    assert_eq!(champion.champion, waiting.recorded.candidate.id);
}

async fn nobody_is_asked_about_what_did_not_pass(db: &TestDatabase) {
    let store = &db.store;
    let waiting = Waiting::write(store).await;
    let mut both = waiting.asking();
    both.promotion = Some(waiting.promotion());
    assert!(refused(store, both).await.contains("before anybody approved it"));
    let mut other = waiting.asking();
    other.gates[0].decision = GateDecision::Rejected;
    assert!(refused(store, other).await.contains("did not pass the gate of round 2"));
    let unasked = Commit {
        expected_seq: waiting.recorded.last_seq,
        ..waiting.answering(ApprovalAnswer::Declined, 60)
    };
    assert!(refused(store, unasked).await.contains("nobody was asked"));
}

async fn a_promotion_is_handed_over_until_it_is_delivered(db: &TestDatabase) {
    let store = &db.store;
    let waiting = Waiting::write(store).await;
    let run = &waiting.recorded.run;
    let mut commit = waiting.decided();
    commit.promotion = Some(waiting.promotion());
    let webhook = NewHandover { target: "webhook".to_owned(), ..waiting.hook() };
    commit.handovers = vec![waiting.hook(), webhook];
    store.commit(commit).await.unwrap();
    is_sound(store, &waiting).await;
    assert_eq!(store.undelivered_handovers().await.unwrap().len(), 2);

    let attempt = |outcome, detail: &str, at_ms| HandoverAttempt {
        outcome,
        detail: detail.to_owned(),
        at_ms,
    };
    let failed = attempt(AttemptOutcome::Failed, "ended with \u{0}exit code 1", 61);
    let delivered = attempt(AttemptOutcome::Delivered, "", 62);
    for attempt in [&failed, &failed, &delivered, &failed] {
        store.record_handover_attempt(run, (2, "hook"), attempt).await.unwrap();
    }
    is_sound(store, &waiting).await;
    let rows = store.handovers(run).await.unwrap();
    let [hook, webhook] = &rows[..] else { panic!("{rows:?}") };
    assert!(hook.is_delivered());
    assert_eq!((hook.attempts, hook.at_ms), (3, 50), "what comes after a delivery is no attempt");
    assert_eq!(hook.handover, waiting.hook());
    assert_eq!(hook.last, Some(delivered));
    assert_eq!((webhook.attempts, &webhook.last), (0, &None));
    store.record_handover_attempt(run, (2, "webhook"), &failed).await.unwrap();
    let left = store.undelivered_handovers().await.unwrap();
    let [left] = &left[..] else { panic!("{left:?}") };
    assert_eq!((left.handover.target.as_str(), left.attempts), ("webhook", 1));
    let said = left.last.clone().unwrap().detail;
    assert_eq!(said, "ended with \u{fffd}exit code 1");
}

async fn only_promotions_are_handed_over(db: &TestDatabase) {
    let store = &db.store;
    let waiting = Waiting::write(store).await;
    let mut unpromoted = waiting.decided();
    unpromoted.gates.clear();
    unpromoted.handovers = vec![waiting.hook()];
    assert!(refused(store, unpromoted).await.contains("handed over and not promoted"));
    let attempt =
        HandoverAttempt { outcome: AttemptOutcome::Failed, detail: String::new(), at_ms: 1 };
    let run = &waiting.recorded.run;
    let error = store.record_handover_attempt(run, (2, "hook"), &attempt).await.unwrap_err();
    assert!(error.to_string().contains("is not handed over to \"hook\""), "{error}");
}

/// Each on a fresh run of the same database, with what must be found.
const CORRUPTIONS: &[(&str, &str)] = &[
    ("DELETE FROM approval_answers WHERE run = 'RUN'", "promotion_without_approval"),
    (
        "UPDATE approval_answers SET answer = 'declined' WHERE run = 'RUN'",
        "promotion_without_approval",
    ),
    ("UPDATE approval_answers SET at_ms = 1000 WHERE run = 'RUN'", "answer_out_of_time"),
    ("DELETE FROM promotions WHERE run = 'RUN' AND round = 2", "gate_without_promotion"),
    ("DELETE FROM promotions WHERE run = 'RUN' AND round = 2", "handover_without_promotion"),
    ("UPDATE handovers SET champion = 'BASE' WHERE run = 'RUN'", "handover_without_promotion"),
    ("DELETE FROM handover_attempts WHERE run = 'RUN' AND ordinal = 1", "handover_attempts"),
    (
        "INSERT INTO handover_attempts VALUES ('RUN', 2, 'hook', 3, 'failed', '', 9)",
        "handover_attempts",
    ),
];

async fn planted_corruptions_are_found(db: &TestDatabase) {
    let store = &db.store;
    for (sql, code) in CORRUPTIONS {
        let waiting = Waiting::write(store).await;
        let run = &waiting.recorded.run;
        store.commit(waiting.asking()).await.unwrap();
        let mut commit = waiting.answering(ApprovalAnswer::Approved, 60);
        commit.handovers = vec![waiting.hook()];
        store.commit(commit).await.unwrap();
        for outcome in [AttemptOutcome::Failed, AttemptOutcome::Delivered] {
            let attempt = HandoverAttempt { outcome, detail: String::new(), at_ms: 61 };
            store.record_handover_attempt(run, (2, "hook"), &attempt).await.unwrap();
        }
        is_sound(store, &waiting).await;
        let sql =
            sql.replace("RUN", run.as_str()).replace("BASE", waiting.recorded.base.id.as_str());
        db.plant(&sql).await;
        let findings = store.audit_rows(run, AuditRules::default()).await.unwrap();
        assert!(findings.iter().any(|found| found.code == *code), "{sql}\ngave {findings:?}");
        let sealed = store.audit_seals(&SealChain::Run(run.clone())).await.unwrap();
        assert_ne!(sealed.findings, [], "{sql} is sealed against");
    }
}
