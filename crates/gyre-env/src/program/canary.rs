//! What makes a program's task impossible: secrets in the place of expected
//! values, and cases that no program can be run on.

use gyre_types::{Case, Interface, ProgramSpec, Seed, Value};

/// Values that nobody can guess, drawn one after the other from a seed.
///
/// A guess is right with a probability of 2^-64 or less. What has few values
/// (`True`, `None`, an empty list) is replaced by something that has many.
#[derive(Debug)]
pub struct Secrets {
    seed: Seed,
    drawn: u64,
}

impl Secrets {
    /// The secrets of a seed.
    pub fn new(seed: Seed) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Changes an environment and its cases so that each case ends in an error,
    /// whatever the program.
    pub fn forbid(&mut self, spec: &mut ProgramSpec, cases: &mut [Case]) {
        let name = format!("absent_{:016x}", self.draw());
        match spec.interface {
            Interface::Call => spec.entry = name,
            Interface::Stdio => cases.iter_mut().for_each(|case| case.args.clear()),
            Interface::Statements => {
                let args = [Value::Str(String::new()), Value::Str(name)];
                cases.iter_mut().for_each(|case| case.args = args.to_vec());
            }
        }
    }

    /// A secret of the value's own kind, where that has room for one.
    pub fn like(&mut self, value: &Value) -> Value {
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

    fn text(&mut self) -> Value {
        let (high, low) = (self.draw(), self.draw());
        Value::Str(format!("{high:016x}{low:016x}"))
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.seed.derive("secret", &[self.drawn]).0
    }
}

#[cfg(test)]
mod tests {
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
        let mut secrets = Secrets::new(Seed(1));
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

    /// Recorded canaries are judged again by what was drawn for them.
    #[test]
    fn what_is_drawn_from_a_seed_stays_what_it_is() {
        let mut secrets = Secrets::new(Seed(7));
        assert_eq!(secrets.draw(), Seed(7).derive("secret", &[1]).0);
        let text = format!(
            "{:016x}{:016x}",
            Seed(7).derive("secret", &[2]).0,
            Seed(7).derive("secret", &[3]).0
        );
        assert_eq!(secrets.like(&Value::Null), Value::Str(text));
    }

    #[test]
    fn forbidden_cases_cannot_be_run_by_any_interface() {
        for interface in [Interface::Call, Interface::Stdio, Interface::Statements] {
            let before = ProgramSpec { entry: "solve".to_owned(), interface, visible: vec![] };
            let text = || Value::Str("1".to_owned());
            let args = vec![text(), text()];
            let mut cases = vec![Case { args: args.clone(), expect: Value::Int(1) }];
            let mut spec = before.clone();
            Secrets::new(Seed(1)).forbid(&mut spec, &mut cases);
            assert_ne!((&spec, &cases[0].args), (&before, &args), "{}", interface.as_str());
        }
    }
}
