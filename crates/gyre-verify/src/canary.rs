//! Impossible tasks, made from ordinary ones.

use gyre_env::program::canary::Secrets;
use gyre_types::{Digest, EnvironmentSpec, Seed, Task, TaskId};

use crate::{CheckDeclaration, GradingKey, Verifier};

/// A task that no answer can solve.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// What the policy is shown: the ordinary task, word for word.
    pub shown: Task,
    /// What its answer is judged as.
    pub judged: Task,
    /// What its answer is judged by.
    pub key: GradingKey,
}

/// Makes a canary: every hidden case expects a secret. Whoever accepts an
/// answer to it does not compare.
///
/// Where the verifier may accept without comparing with what is expected (a
/// schema, a program of the family's own), the cases cannot even be run: each
/// ends in an error, whatever the answer.
pub fn impossible(task: &Task, key: &GradingKey, verifier: &Verifier, seed: Seed) -> Canary {
    let (environment, key) = match (&task.environment, key) {
        (EnvironmentSpec::Program(spec), GradingKey::Program(key)) => {
            let (mut spec, mut key) = (spec.clone(), key.clone());
            let mut secrets = Secrets::new(seed);
            for case in &mut key.hidden {
                case.expect = secrets.like(&case.expect);
            }
            if !compares(verifier) {
                secrets.forbid(&mut spec, &mut key.hidden);
            }
            key.reference.clear();
            key.failures.clear();
            (EnvironmentSpec::Program(spec), GradingKey::Program(key))
        }
    };
    let key_digest = key.digest();
    let digest = Digest::of_json(&("canary", task.digest, key_digest));
    let id = TaskId::from_digest(&digest);
    let shown = Task { id, digest, key_digest, ..task.clone() };
    Canary { judged: Task { environment, ..shown.clone() }, shown, key }
}

/// Whether an accept needs what the key expects.
fn compares(verifier: &Verifier) -> bool {
    match verifier {
        Verifier::Cases => true,
        Verifier::Checks { checks, .. } => checks.declared().iter().any(|check| match check {
            CheckDeclaration::Exact { .. }
            | CheckDeclaration::Numeric { .. }
            | CheckDeclaration::Set { .. }
            | CheckDeclaration::Multiset { .. }
            | CheckDeclaration::Text { .. }
            | CheckDeclaration::Tokens { .. } => true,
            CheckDeclaration::Regex { pattern, .. } | CheckDeclaration::File { pattern, .. } => {
                pattern.is_none()
            }
            CheckDeclaration::JsonSchema { .. } => false,
        }),
        Verifier::Python(_) | Verifier::External(_) | Verifier::Unresolved { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Corpus;

    fn factorial() -> (Task, GradingKey) {
        let corpus = Corpus::embedded().unwrap();
        let task = corpus.task("factorial").unwrap();
        (task.task.clone(), task.key.clone())
    }

    #[test]
    fn a_canary_looks_like_its_task_and_expects_what_nobody_can_give() {
        let (task, key) = factorial();
        let canary = impossible(&task, &key, &Verifier::Cases, Seed(1));
        let renamed = Task { id: canary.shown.id.clone(), ..task.clone() };
        let renamed = Task { digest: canary.shown.digest, ..renamed };
        assert_eq!(canary.shown, Task { key_digest: canary.key.digest(), ..renamed });
        assert_eq!(canary.judged, canary.shown, "the key alone is another");
        let (GradingKey::Program(made), GradingKey::Program(ordinary)) = (&canary.key, &key);
        for (made, ordinary) in made.hidden.iter().zip(&ordinary.hidden) {
            assert_eq!(made.args, ordinary.args);
            assert_ne!(made.expect, ordinary.expect);
        }
        assert!(made.reference.is_empty() && made.failures.is_empty());
    }

    #[test]
    fn what_may_accept_without_comparing_is_given_cases_that_cannot_run() {
        let (task, key) = factorial();
        let kind = crate::VerifierKind::Command;
        let verifier = Verifier::Unresolved { kind, name: "any".to_owned() };
        let canary = impossible(&task, &key, &verifier, Seed(1));
        let EnvironmentSpec::Program(judged) = &canary.judged.environment;
        assert!(judged.entry.starts_with("absent_"), "{}", judged.entry);
        assert_eq!(canary.shown.environment, task.environment);
    }

    /// Recorded canaries have these ids: neither they nor the draws may change.
    #[test]
    fn the_canary_of_a_task_and_a_seed_keeps_its_id() {
        let (task, key) = factorial();
        let id = |verifier: &Verifier| impossible(&task, &key, verifier, Seed(7)).judged.id;
        let kind = crate::VerifierKind::Command;
        let any = Verifier::Unresolved { kind, name: "any".to_owned() };
        assert_eq!(id(&Verifier::Cases).as_str(), "task-f207292abc6d8036");
        assert_eq!(id(&any).as_str(), "task-f207292abc6d8036");
    }
}
