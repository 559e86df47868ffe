//! Whether a configuration is refused for a key that Gyre does not know.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use toml::Value;

/// Whether `text` is not a `T` because of a key that `T` does not have.
pub(crate) fn is_cause<T: DeserializeOwned>(text: &str) -> bool {
    let Ok(table) = toml::from_str::<toml::Table>(text) else { return false };
    matches!(T::deserialize(Tree(Value::Table(table))), Err(Refusal::UnknownKey))
}

/// Why a value was refused, as serde says it: by kind, not in words.
#[derive(Debug)]
enum Refusal {
    UnknownKey,
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKey => "a key is unknown",
            Self::Other => "a value is refused",
        })
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::UnknownKey
    }
}

/// A document whose refusals keep their kind.
struct Tree(Value);

impl IntoDeserializer<'_, Refusal> for Tree {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for Tree {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Float(number) => visitor.visit_f64(number),
            Value::Boolean(value) => visitor.visit_bool(value),
            Value::Datetime(time) => visitor.visit_string(time.to_string()),
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Tree)))
            }
            Value::Table(table) => {
                let entries = table.into_iter().map(|(key, value)| (key, Tree(value)));
                visitor.visit_map(MapDeserializer::new(entries))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::String(text) => {
                StrDeserializer::<Refusal>::new(&text).deserialize_enum(name, variants, visitor)
            }
            Value::Table(table) => {
                let entries = table.into_iter().map(|(key, value)| (key, Tree(value)));
                let map = MapDeserializer::new(entries);
                visitor.visit_enum(de::value::MapAccessDeserializer::new(map))
            }
            _ => Err(Refusal::Other),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunConfig;

    #[test]
    fn a_refusal_is_told_by_its_kind_and_not_by_its_words() {
        assert!(is_cause::<RunConfig>("runds = 1"));
        assert!(is_cause::<RunConfig>("[learner]\nstep = 3"));
        // A value whose text says so is no unknown key.
        assert!(!is_cause::<RunConfig>("rounds = \"unknown field `x`\""));
        assert!(!is_cause::<RunConfig>("[curation]\nmode = \"unknown field\""));
        assert!(!is_cause::<RunConfig>("rounds = = 1"));
        assert!(!is_cause::<RunConfig>("rounds = 1"));
    }
}
