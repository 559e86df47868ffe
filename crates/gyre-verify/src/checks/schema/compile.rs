//! Turns a schema into rules, and refuses what is none.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::canonical::canonical;
use super::number::Decimal;
use crate::plain::{DOCUMENT_DEPTH_MAX, Plain};

/// The draft that a schema may name.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Keywords that say nothing about a document.
const NOTES: &[&str] = &[
    "$comment",
    "$defs",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// Size of a compiled expression, in bytes: the library's own default.
const PATTERN_BYTES_MAX: usize = 10 << 20;

/// The number of a schema within all of them.
pub(super) type Node = usize;

/// The rules of a schema and of all schemas within it; the first is the whole.
#[derive(Debug)]
pub(super) struct Rules {
    nodes: Vec<Vec<Rule>>,
}

impl Rules {
    pub(super) const ROOT: Node = 0;

    pub(super) fn of(&self, node: Node) -> &[Rule] {
        &self.nodes[node]
    }
}

/// One thing that a schema asserts; all of a schema's must hold.
#[derive(Debug)]
pub(super) enum Rule {
    Never,
    Types(BTreeSet<Type>),
    /// Canonical texts.
    OneOf(BTreeSet<String>),
    Bound(Bound, Decimal),
    MultipleOf(Decimal),
    Pattern(Regex),
    Count(Counted, Limits),
    Items {
        first: Vec<Node>,
        rest: Option<Node>,
    },
    Contains(Node, Limits),
    Unique,
    Properties {
        named: BTreeMap<String, Node>,
        by_pattern: Vec<(Regex, Node)>,
        others: Option<Node>,
    },
    PropertyNames(Node),
    Required(Vec<String>),
    /// Where there is one property, others are needed.
    DependentRequired(BTreeMap<String, Vec<String>>),
    DependentSchemas(BTreeMap<String, Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    ExactlyOne(Vec<Node>),
    Not(Node),
    If {
        test: Node,
        then: Option<Node>,
        otherwise: Option<Node>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    const ALL: [Self; 7] = [
        Self::Null,
        Self::Boolean,
        Self::Integer,
        Self::Number,
        Self::String,
        Self::Array,
        Self::Object,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Maximum,
    ExclusiveMaximum,
    Minimum,
    ExclusiveMinimum,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Characters,
    Items,
    Properties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) min: u64,
    pub(super) max: u64,
}

pub(super) fn compile(schema: &Value) -> Result<Rules, String> {
    let mut compiler = Compiler { root: schema, nodes: Vec::new(), known: BTreeMap::new() };
    compiler.node(String::new(), schema)?;
    let rules = Rules { nodes: compiler.nodes };
    require_an_end(&rules)?;
    Ok(rules)
}

struct Compiler<'a> {
    root: &'a Value,
    nodes: Vec<Vec<Rule>>,
    /// Schemas by where they are in the whole one.
    known: BTreeMap<String, Node>,
}

/// Where a keyword is, for errors.
fn below(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

impl<'a> Compiler<'a> {
    fn node(&mut self, at: String, schema: &'a Value) -> Result<Node, String> {
        if let Some(node) = self.known.get(&at) {
            return Ok(*node);
        }
        let node = self.nodes.len();
        self.nodes.push(Vec::new());
        self.known.insert(at.clone(), node);
        self.nodes[node] = match schema {
            Value::Bool(true) => Vec::new(),
            Value::Bool(false) => vec![Rule::Never],
            Value::Object(keywords) => self.rules(&at, keywords)?,
            _ => return Err(format!("at {at:?}: a schema is an object or a boolean")),
        };
        Ok(node)
    }

    fn rules(&mut self, at: &str, keywords: &'a Map<String, Value>) -> Result<Vec<Rule>, String> {
        let mut rules = Vec::new();
        for (key, value) in keywords {
            let here = below(at, key);
            let rule = self.rule(&here, key, value, keywords, at);
            rules.extend(rule.map_err(|why| match why.starts_with("at ") {
                true => why,
                false => format!("at {here:?}: {why}"),
            })?);
        }
        Ok(rules)
    }

    fn rule(
        &mut self,
        here: &str,
        key: &str,
        value: &'a Value,
        keywords: &'a Map<String, Value>,
        at: &str,
    ) -> Result<Option<Rule>, String> {
        let count = |key: &str| keywords.get(key).map(count).transpose();
        let limits = |counted, min, max: &str| -> Result<Option<Rule>, String> {
            // Either keyword makes the rule, with both of its bounds; once.
            if key == max && keywords.contains_key(min) {
                return Ok(None);
            }
            let min = count(min)?.unwrap_or(0);
            let max = count(max)?.unwrap_or(u64::MAX);
            Ok(Some(Rule::Count(counted, Limits { min, max })))
        };
        Ok(Some(match key {
            "$schema" if value != DRAFT => return Err(format!("the only draft is {DRAFT}")),
            "$defs" | "definitions" => {
                self.named(here, value)?;
                return Ok(None);
            }
            key if NOTES.contains(&key) => return Ok(None),
            "$ref" => Rule::All(vec![self.referred(text(value)?)?]),
            "type" => Rule::Types(types(value)?),
            "enum" => Rule::OneOf(list(value)?.iter().map(constant).collect::<Result<_, _>>()?),
            "const" => Rule::OneOf(BTreeSet::from([constant(value)?])),
            "maximum" => Rule::Bound(Bound::Maximum, number(value)?),
            "exclusiveMaximum" => Rule::Bound(Bound::ExclusiveMaximum, number(value)?),
            "minimum" => Rule::Bound(Bound::Minimum, number(value)?),
            "exclusiveMinimum" => Rule::Bound(Bound::ExclusiveMinimum, number(value)?),
            "multipleOf" => match number(value)? {
                of if of.is_positive() => Rule::MultipleOf(of),
                _ => return Err("it is not above 0".to_owned()),
            },
            "pattern" => Rule::Pattern(pattern(text(value)?)?),
            "minLength" | "maxLength" => {
                return limits(Counted::Characters, "minLength", "maxLength");
            }
            "minItems" | "maxItems" => return limits(Counted::Items, "minItems", "maxItems"),
            "minProperties" | "maxProperties" => {
                return limits(Counted::Properties, "minProperties", "maxProperties");
            }
            "uniqueItems" => match value {
                Value::Bool(true) => Rule::Unique,
                Value::Bool(false) => return Ok(None),
                _ => return Err("it is not a boolean".to_owned()),
            },
            "items" if keywords.contains_key("prefixItems") => return Ok(None),
            "items" => {
                Rule::Items { first: Vec::new(), rest: Some(self.node(here.to_owned(), value)?) }
            }
            "prefixItems" => {
                let first = self.all(here, value)?;
                let rest = keywords.get("items").map(|rest| self.node(below(at, "items"), rest));
                Rule::Items { first, rest: rest.transpose()? }
            }
            "contains" => {
                let min = count("minContains")?.unwrap_or(1);
                let max = count("maxContains")?.unwrap_or(u64::MAX);
                Rule::Contains(self.node(here.to_owned(), value)?, Limits { min, max })
            }
            // Without `contains` they say nothing.
            "minContains" | "maxContains" => {
                count(key)?;
                return Ok(None);
            }
            "properties" | "patternProperties" | "additionalProperties" => {
                return self.properties(at, key, keywords);
            }
            "propertyNames" => Rule::PropertyNames(self.node(here.to_owned(), value)?),
            "required" => Rule::Required(texts(value)?),
            "dependentRequired" => {
                let needs = object(value)?.iter();
                let needs = needs.map(|(name, others)| Ok((name.clone(), texts(others)?)));
                Rule::DependentRequired(needs.collect::<Result<_, String>>()?)
            }
            "dependentSchemas" => Rule::DependentSchemas(self.named(here, value)?),
            "allOf" => Rule::All(self.some(here, value)?),
            "anyOf" => Rule::Any(self.some(here, value)?),
            "oneOf" => Rule::ExactlyOne(self.some(here, value)?),
            "not" => Rule::Not(self.node(here.to_owned(), value)?),
            "if" => {
                let mut branch = |key: &str| {
                    let schema = keywords.get(key)?;
                    Some(self.node(below(at, key), schema))
                };
                let (then, otherwise) = (branch("then"), branch("else"));
                let (then, otherwise) = (then.transpose()?, otherwise.transpose()?);
                Rule::If { test: self.node(here.to_owned(), value)?, then, otherwise }
            }
            // Compiled with `if`; without it they say nothing, and must be schemas still.
            "then" | "else" => {
                self.node(here.to_owned(), value)?;
                return Ok(None);
            }
            _ => return Err(unknown(key)),
        }))
    }

    /// The three keywords about properties are one rule, made by the first of them.
    fn properties(
        &mut self,
        at: &str,
        key: &str,
        keywords: &'a Map<String, Value>,
    ) -> Result<Option<Rule>, String> {
        let of_rule = ["properties", "patternProperties", "additionalProperties"];
        if of_rule.iter().find(|key| keywords.contains_key(**key)) != Some(&key) {
            return Ok(None);
        }
        let schemas = |compiler: &mut Self, key| match keywords.get(key) {
            Some(value) => compiler.named(&below(at, key), value),
            None => Ok(BTreeMap::new()),
        };
        let named = schemas(self, "properties")?;
        let by_pattern = schemas(self, "patternProperties")?.into_iter();
        let by_pattern = by_pattern.map(|(text, node)| Ok((pattern(&text)?, node)));
        let by_pattern = by_pattern.collect::<Result<_, String>>()?;
        let key = "additionalProperties";
        let others = keywords.get(key).map(|others| self.node(below(at, key), others));
        Ok(Some(Rule::Properties { named, by_pattern, others: others.transpose()? }))
    }

    fn named(&mut self, here: &str, value: &'a Value) -> Result<BTreeMap<String, Node>, String> {
        let schemas = object(value)?.iter();
        let schemas =
            schemas.map(|(name, schema)| Ok((name.clone(), self.node(below(here, name), schema)?)));
        schemas.collect()
    }

    fn all(&mut self, here: &str, value: &'a Value) -> Result<Vec<Node>, String> {
        let schemas = list(value)?.iter().enumerate();
        schemas.map(|(at, schema)| self.node(below(here, &at.to_string()), schema)).collect()
    }

    /// At least one.
    fn some(&mut self, here: &str, value: &'a Value) -> Result<Vec<Node>, String> {
        match self.all(here, value)? {
            schemas if schemas.is_empty() => Err("there is none".to_owned()),
            schemas => Ok(schemas),
        }
    }

    fn referred(&mut self, reference: &str) -> Result<Node, String> {
        let own = "a schema may refer to its own parts and to nothing else, such as #/$defs/name";
        let Some(pointer) = reference.strip_prefix('#') else {
            return Err(format!("{own}; this is {reference:?}"));
        };
        if pointer.contains('%') || !(pointer.is_empty() || pointer.starts_with('/')) {
            return Err(format!("{own}; this is {reference:?}"));
        }
        let root = self.root;
        let schema = root.pointer(pointer).ok_or(format!("it has no part {reference:?}"))?;
        self.node(pointer.to_owned(), schema)
    }
}

fn unknown(key: &str) -> String {
    match key {
        "format" => "`format` asserts nothing in this draft; use `pattern`".to_owned(),
        _ => format!("the keyword {key:?} is not known here, or not of {DRAFT}"),
    }
}

/// Refuses schemas that refer to themselves for the same part of a document.
fn require_an_end(rules: &Rules) -> Result<(), String> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Above,
        Done,
    }
    fn visit(rules: &Rules, node: Node, seen: &mut [Seen]) -> bool {
        match seen[node] {
            Seen::Above => return false,
            Seen::Done => return true,
            Seen::Not => seen[node] = Seen::Above,
        }
        let ends = rules.of(node).iter().all(|rule| {
            let next: Vec<Node> = match rule {
                Rule::All(nodes) | Rule::Any(nodes) | Rule::ExactlyOne(nodes) => nodes.clone(),
                Rule::Not(node) => vec![*node],
                Rule::If { test, then, otherwise } => {
                    [Some(*test), *then, *otherwise].into_iter().flatten().collect()
                }
                Rule::DependentSchemas(nodes) => nodes.values().copied().collect(),
                _ => Vec::new(),
            };
            next.into_iter().all(|next| visit(rules, next, seen))
        });
        seen[node] = Seen::Done;
        ends
    }
    let mut seen = vec![Seen::Not; rules.nodes.len()];
    match (0..rules.nodes.len()).all(|node| visit(rules, node, &mut seen)) {
        true => Ok(()),
        false => Err("it refers to itself without end".to_owned()),
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "it is not a text".to_owned())
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "it is not a list".to_owned())
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| "it is not an object".to_owned())
}

/// A list of texts, each there once.
fn texts(value: &Value) -> Result<Vec<String>, String> {
    let texts: Vec<_> =
        list(value)?.iter().map(|item| text(item).map(str::to_owned)).collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    match texts.iter().find(|text| !seen.insert(*text)) {
        Some(twice) => Err(format!("{twice:?} is there twice")),
        None => Ok(texts),
    }
}

fn number(value: &Value) -> Result<Decimal, String> {
    match value {
        Value::Number(number) => Ok(Decimal::of(number)),
        _ => Err("it is not a number".to_owned()),
    }
}

fn count(value: &Value) -> Result<u64, String> {
    number(value)?.to_count().ok_or_else(|| "it is not a whole number from 0 on".to_owned())
}

fn types(value: &Value) -> Result<BTreeSet<Type>, String> {
    let named = |name: &str| {
        let found = Type::ALL.into_iter().find(|of| of.as_str() == name);
        let all = Type::ALL.map(Type::as_str).join(", ");
        found.ok_or_else(|| format!("{name:?} is none of {all}"))
    };
    match value {
        Value::String(name) => Ok(BTreeSet::from([named(name)?])),
        _ => match texts(value)? {
            names if names.is_empty() => Err("there is none".to_owned()),
            names => names.iter().map(|name| named(name)).collect(),
        },
    }
}

fn constant(value: &Value) -> Result<String, String> {
    Plain::parse(&value.to_string(), DOCUMENT_DEPTH_MAX).map(|value| canonical(&value))
}

/// An expression as schemas mean it, found anywhere in a text: classes by a letter
/// are those of ASCII. The answer chooses the text, so it takes linear time, and an
/// expression that would have to go back is refused.
fn pattern(text: &str) -> Result<Regex, String> {
    let mut translated = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            translated.push(letter);
            continue;
        }
        match letters.next() {
            Some('d') => translated.push_str("[0-9]"),
            Some('D') => translated.push_str("[^0-9]"),
            Some('w') => translated.push_str("[0-9A-Za-z_]"),
            Some('W') => translated.push_str("[^0-9A-Za-z_]"),
            Some(other) => translated.extend(['\\', other]),
            None => translated.push('\\'),
        }
    }
    let built = RegexBuilder::new(&translated).size_limit(PATTERN_BYTES_MAX).build();
    built.map_err(|error| format!("{text:?} is no expression that takes linear time: {error}"))
}
