//! Impossible tasks, made from ordinary ones.

use gyre_tasks::AdmittedTask;
use gyre_types::{Digest, Interface, Seed, Task, TaskId, Value};
use gyre_verify::{CheckDeclaration, Verifier};

/// A task that no answer can solve.
pub(crate) struct Canary {
    /// The ordinary task that it was made from.
    pub(crate) made_from: TaskId,
    /// What the policy is shown: the ordinary task, word for word.
    pub(crate) shown: Task,
    /// What its answer is judged by.
    pub(crate) judged: AdmittedTask,
}

/// Makes a canary: every hidden case expects a secret. Whoever accepts an
/// answer to it does not compare.
///
/// A guess is right with a probability of 2^-64 or less. What has few values
/// (`True`, `None`, an empty list) is replaced by something that has many.
///
/// Where the verifier may accept without comparing with what is expected (a
/// schema, a program of the family's own), the cases cannot even be run: each
/// ends in an error, whatever the answer.
pub(crate) fn impossible(ordinary: &AdmittedTask, verifier: &Verifier, seed: Seed) -> Canary {
    let mut judged = ordinary.clone();
    let mut secrets = Secrets { seed, drawn: 0 };
    for case in &mut judged.key.hidden {
        case.expect = secrets.like(&case.expect);
    }
    if !compares(verifier) {
        let name = format!("absent_{:016x}", secrets.draw());
        match judged.task.interface {
            Interface::Call => judged.task.entry = name,
            Interface::Stdio => judged.key.hidden.iter_mut().for_each(|case| case.args.clear()),
            Interface::Statements => {
                let args = [Value::Str(String::new()), Value::Str(name)];
                judged.key.hidden.iter_mut().for_each(|case| case.args = args.to_vec());
            }
        }
    }
    judged.key.reference = String::new();
    judged.key.failures.clear();
    judged.task.key_digest = judged.key.digest();
    judged.task.digest = Digest::of_json(&("canary", ordinary.task.digest, judged.task.key_digest));
    judged.task.id = TaskId::from_digest(&judged.task.digest);
    let shown = Task { entry: ordinary.task.entry.clone(), ..judged.task.clone() };
    Canary { made_from: ordinary.task.id.clone(), shown, judged }
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

struct Secrets {
    seed: Seed,
    drawn: u64,
}

impl Secrets {
    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.seed.derive("secret", &[self.drawn]).0
    }

    fn text(&mut self) -> Value {
        let (high, low) = (self.draw(), self.draw());
        Value::Str(format!("{high:016x}{low:016x}"))
    }

    /// A secret of the value's own kind, where that has room for one.
    fn like(&mut self, value: &Value) -> Value {
        match value {
            Value::Int(_) => Value::Int(self.draw().cast_signed()),
            Value::List(items) => Value::List(self.all(items)),
            Value::Tuple(items) => Value::Tuple(self.all(items)),
            Value::Dict(entries) if !entries.is_empty() => {
                let entry = |(key, value): &(Value, Value)| (key.clone(), self.like(value));
                Value::Dict(entries.iter().map(entry).collect())
            }
            _ => self.text(),
        }
    }

    fn all(&mut self, items: &[Value]) -> Vec<Value> {
        match items {
            [] => vec![self.text()],
            items => items.iter().map(|item| self.like(item)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use gyre_types::Value;

    use super::*;

    #[test]
    fn secrets_keep_the_kind_and_have_room_for_many_values() {
        let values = [
            Value::Int(3),
            Value::Bool(true),
            Value::Null,
            Value::Float(0.5),
            Value::Str("abc".to_owned()),
            Value::List(vec![]),
            Value::List(vec![Value::Int(1), Value::Int(1)]),
            Value::Dict(vec![(Value::Str("k".to_owned()), Value::Bool(false))]),
            Value::Dict(vec![]),
        ];
        let mut secrets = Secrets { seed: Seed(1), drawn: 0 };
        let made: Vec<_> = values.iter().map(|value| secrets.like(value)).collect();
        let again: Vec<_> = values.iter().map(|value| secrets.like(value)).collect();
        for ((value, made), again) in values.iter().zip(&made).zip(&again) {
            assert_ne!(value, made);
            assert_ne!(made, again, "a secret that comes twice is no secret");
        }
        let is_long = |value: &Value| matches!(value, Value::Str(text) if text.len() == 32);
        assert!(matches!(made[0], Value::Int(_)));
        assert!([1, 2, 3, 4, 8].iter().all(|&at| is_long(&made[at])), "{made:?}");
        assert!(matches!(&made[5], Value::List(items) if items.len() == 1));
        assert!(matches!(&made[6], Value::List(items) if items.len() == 2 && items[0] != items[1]));
        assert!(matches!(&made[7], Value::Dict(entries) if is_long(&entries[0].1)));
    }
}
