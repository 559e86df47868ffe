//! Plain JSON, read strictly: what a report is written in, and what a schema
//! is held against.

use std::collections::BTreeSet;
use std::fmt;

use gyre_types::Value;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// Nesting of a report that is read: it has three levels.
pub(crate) const REPORT_DEPTH_MAX: u32 = 8;

/// Nesting of an answer's own JSON, as deep as its values may be.
pub(crate) const DOCUMENT_DEPTH_MAX: u32 = 50;

/// One JSON value, its keys in order and each there once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Plain>),
    Object(Vec<(String, Plain)>),
}

impl Plain {
    /// Parses a text that holds one value and nothing else.
    pub(crate) fn parse(text: &str, depth_max: u32) -> Result<Self, String> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = Nested { depth_left: depth_max }
            .deserialize(&mut deserializer)
            .map_err(|error| error.to_string())?;
        deserializer.end().map_err(|error| error.to_string())?;
        Ok(value)
    }

    /// Takes a guest's value, as far as JSON has the same.
    pub(crate) fn of_value(value: &Value, depth_left: u32) -> Result<Self, String> {
        let deeper = || depth_left.checked_sub(1).ok_or_else(|| "nested too deep".to_owned());
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Number((*value).into()),
            Value::Float(value) => match Number::from_f64(*value) {
                Some(number) => Self::Number(number),
                None => return Err(format!("{value} is not a finite number")),
            },
            Value::Str(text) => Self::Text(text.clone()),
            Value::List(items) => {
                let left = deeper()?;
                let all = items.iter().map(|item| Self::of_value(item, left));
                Self::List(all.collect::<Result<_, _>>()?)
            }
            Value::Dict(entries) => {
                let left = deeper()?;
                let mut seen = BTreeSet::new();
                let entry = |(key, value): &(Value, Value)| match key {
                    Value::Str(key) if !seen.insert(key.clone()) => Err(twice(key)),
                    Value::Str(key) => Ok((key.clone(), Self::of_value(value, left)?)),
                    other => Err(format!("a key is {} instead of a str", other.type_name())),
                };
                Self::Object(entries.iter().map(entry).collect::<Result<_, _>>()?)
            }
            other => return Err(format!("{} is not JSON", other.type_name())),
        })
    }

    /// What it is, in JSON's words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Parses one value with so many levels of nesting left.
#[derive(Clone, Copy)]
struct Nested {
    depth_left: u32,
}

impl Nested {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1);
        depth_left.map(|depth_left| Self { depth_left }).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Plain;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Plain, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
        Ok(Plain::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Plain, E> {
        Ok(Plain::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Plain, E> {
        Ok(Plain::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Plain, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number is not finite"))?;
        Ok(Plain::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Plain, E> {
        Ok(Plain::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Plain, A::Error> {
        let deeper = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(deeper)? {
            items.push(item);
        }
        Ok(Plain::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
        let deeper = self.deeper()?;
        let mut seen = BTreeSet::new();
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(twice(&key)));
            }
            entries.push((key, map.next_value_seed(deeper)?));
        }
        Ok(Plain::Object(entries))
    }
}

fn twice(key: &str) -> String {
    let shown: String = key.chars().take(40).collect();
    format!("the key {shown:?} is there twice")
}
