//! Holds a document against rules.

use std::collections::BTreeSet;

use super::canonical::canonical;
use super::compile::{Bound, Counted, Limits, Node, Rule, Rules, Type};
use super::number::Decimal;
use crate::plain::Plain;

/// Whether a document keeps all rules; else where and which it breaks first.
pub(super) fn validate(rules: &Rules, document: &Plain) -> Result<(), String> {
    check(rules, Rules::ROOT, document, &Place::Root)
}

/// Where in a document: a path is only written where something is wrong.
enum Place<'a> {
    Root,
    Item(&'a Place<'a>, usize),
    Property(&'a Place<'a>, &'a str),
}

impl Place<'_> {
    fn path(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Item(above, at) => format!("{}/{at}", above.path()),
            Self::Property(above, name) => format!("{}/{name}", above.path()),
        }
    }

    fn fails(&self, why: impl AsRef<str>) -> Result<(), String> {
        match self {
            Self::Root => Err(why.as_ref().to_owned()),
            _ => Err(format!("at {}: {}", self.path(), why.as_ref())),
        }
    }
}

fn check(rules: &Rules, node: Node, document: &Plain, at: &Place<'_>) -> Result<(), String> {
    rules.of(node).iter().try_for_each(|rule| check_rule(rules, rule, document, at))
}

fn holds(rules: &Rules, node: Node, document: &Plain, at: &Place<'_>) -> bool {
    check(rules, node, document, at).is_ok()
}

fn check_rule(rules: &Rules, rule: &Rule, document: &Plain, at: &Place<'_>) -> Result<(), String> {
    match rule {
        Rule::Never => at.fails("nothing may be there"),
        Rule::Types(types) if types.iter().any(|of| is(document, *of)) => Ok(()),
        Rule::Types(types) => {
            let names: Vec<_> = types.iter().map(|of| of.as_str()).collect();
            at.fails(format!("it is {} instead of {}", document.kind(), names.join(" or ")))
        }
        Rule::OneOf(values) if values.contains(&canonical(document)) => Ok(()),
        Rule::OneOf(_) => at.fails("it is none of the values that are listed"),
        Rule::All(nodes) => nodes.iter().try_for_each(|node| check(rules, *node, document, at)),
        Rule::Any(nodes) if nodes.iter().any(|node| holds(rules, *node, document, at)) => Ok(()),
        Rule::Any(_) => at.fails("it is valid under none of the schemas of `anyOf`"),
        Rule::ExactlyOne(nodes) => {
            match nodes.iter().filter(|node| holds(rules, **node, document, at)).count() {
                1 => Ok(()),
                n => at.fails(format!("it is valid under {n} of the schemas of `oneOf`")),
            }
        }
        Rule::Not(node) if holds(rules, *node, document, at) => {
            at.fails("it is valid under the schema of `not`")
        }
        Rule::Not(_) => Ok(()),
        Rule::If { test, then, otherwise } => {
            let branch = if holds(rules, *test, document, at) { then } else { otherwise };
            branch.map_or(Ok(()), |node| check(rules, node, document, at))
        }
        rule => match document {
            Plain::Number(number) => check_number(rule, &Decimal::of(number), at),
            Plain::Text(text) => check_text(rule, text, at),
            Plain::List(items) => check_list(rules, rule, items, at),
            Plain::Object(entries) => check_object(rules, rule, document, entries, at),
            // What is left is about documents of other types.
            Plain::Null | Plain::Bool(_) => Ok(()),
        },
    }
}

fn is(document: &Plain, of: Type) -> bool {
    match (document, of) {
        (Plain::Null, Type::Null)
        | (Plain::Bool(_), Type::Boolean)
        | (Plain::Number(_), Type::Number)
        | (Plain::Text(_), Type::String)
        | (Plain::List(_), Type::Array)
        | (Plain::Object(_), Type::Object) => true,
        (Plain::Number(number), Type::Integer) => Decimal::of(number).is_integer(),
        _ => false,
    }
}

fn check_number(rule: &Rule, number: &Decimal, at: &Place<'_>) -> Result<(), String> {
    match rule {
        Rule::Bound(bound, limit) => {
            let (keeps, word) = match bound {
                Bound::Maximum => (number <= limit, "above the maximum"),
                Bound::ExclusiveMaximum => (number < limit, "not below the maximum"),
                Bound::Minimum => (number >= limit, "below the minimum"),
                Bound::ExclusiveMinimum => (number > limit, "not above the minimum"),
            };
            if keeps { Ok(()) } else { at.fails(format!("it is {word}")) }
        }
        Rule::MultipleOf(of) if !number.is_multiple_of(of) => {
            at.fails("it is not the multiple that it must be")
        }
        _ => Ok(()),
    }
}

fn check_text(rule: &Rule, text: &str, at: &Place<'_>) -> Result<(), String> {
    match rule {
        Rule::Pattern(pattern) if !pattern.is_match(text) => {
            at.fails(format!("{pattern} is not found in it"))
        }
        Rule::Count(Counted::Characters, limits) => {
            check_count(text.chars().count(), *limits, "characters", at)
        }
        _ => Ok(()),
    }
}

fn check_count(count: usize, limits: Limits, of: &str, at: &Place<'_>) -> Result<(), String> {
    let Limits { min, max } = limits;
    match count as u64 {
        count if count < min => at.fails(format!("it has {count} {of}, less than {min}")),
        count if count > max => at.fails(format!("it has {count} {of}, more than {max}")),
        _ => Ok(()),
    }
}

fn check_list(rules: &Rules, rule: &Rule, items: &[Plain], at: &Place<'_>) -> Result<(), String> {
    match rule {
        Rule::Count(Counted::Items, limits) => check_count(items.len(), *limits, "items", at),
        Rule::Items { first, rest } => items.iter().enumerate().try_for_each(|(place, item)| {
            let node = first.get(place).copied().or(*rest);
            node.map_or(Ok(()), |node| check(rules, node, item, &Place::Item(at, place)))
        }),
        Rule::Contains(node, limits) => {
            let found = items
                .iter()
                .enumerate()
                .filter(|(place, item)| holds(rules, *node, item, &Place::Item(at, *place)));
            check_count(found.count(), *limits, "items of the kind that it must contain", at)
        }
        Rule::Unique => {
            let mut seen = BTreeSet::new();
            match items.iter().all(|item| seen.insert(canonical(item))) {
                true => Ok(()),
                false => at.fails("an item is there twice"),
            }
        }
        _ => Ok(()),
    }
}

fn check_object(
    rules: &Rules,
    rule: &Rule,
    document: &Plain,
    entries: &[(String, Plain)],
    at: &Place<'_>,
) -> Result<(), String> {
    let has = |name: &str| entries.iter().any(|(own, _)| own == name);
    let require = |name: &String| match has(name) {
        true => Ok(()),
        false => at.fails(format!("{name:?} is missing")),
    };
    match rule {
        Rule::Count(Counted::Properties, limits) => {
            check_count(entries.len(), *limits, "properties", at)
        }
        Rule::Properties { named, by_pattern, others } => {
            entries.iter().try_for_each(|(name, value)| {
                let place = Place::Property(at, name);
                let own = named.get(name).copied();
                let matching = by_pattern.iter().filter(|(pattern, _)| pattern.is_match(name));
                let mut nodes: Vec<Node> =
                    own.into_iter().chain(matching.map(|(_, node)| *node)).collect();
                if nodes.is_empty() {
                    nodes.extend(*others);
                }
                nodes.into_iter().try_for_each(|node| check(rules, node, value, &place))
            })
        }
        Rule::PropertyNames(node) => entries.iter().try_for_each(|(name, _)| {
            let place = Place::Property(at, name);
            check(rules, *node, &Plain::Text(name.clone()), &place)
        }),
        Rule::Required(names) => names.iter().try_for_each(require),
        Rule::DependentRequired(needs) => {
            let needed = needs.iter().filter(|(name, _)| has(name));
            needed.flat_map(|(_, others)| others).try_for_each(require)
        }
        Rule::DependentSchemas(nodes) => {
            let mut needed = nodes.iter().filter(|(name, _)| has(name));
            needed.try_for_each(|(_, node)| check(rules, *node, document, at))
        }
        _ => Ok(()),
    }
}
