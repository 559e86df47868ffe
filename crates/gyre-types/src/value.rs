mod wire;

use std::fmt;

use serde_json::{Map, Number, json};

use crate::text::preview;

pub use wire::{ValueError, ValueLimits};

/// A Python value, typed exactly: `True`, `1` and `1.0` differ, and so do a
/// list and a tuple.
///
/// On the wire it is JSON. `None`, booleans, texts, lists, integers of 64 bits,
/// finite floats (always with a point or an exponent) and dictionaries with
/// text keys are themselves; everything else is an object with one key that
/// starts with `$`: `$int` (decimal text), `$float` (`nan`, `inf`, `-inf`),
/// `$tuple`, `$set`, `$frozenset`, `$bytes` (hexadecimal), `$dict` (a list of
/// pairs, for keys that are no texts or start with `$`).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`.
    Null,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A larger integer, in decimal digits, without a leading zero or plus.
    BigInt(String),
    /// A float, which may be infinite or not a number.
    Float(f64),
    /// A text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A set, in the order of its elements' wire text.
    Set(Vec<Value>),
    /// A frozen set, in the order of its elements' wire text.
    FrozenSet(Vec<Value>),
    /// A dictionary, in insertion order.
    Dict(Vec<(Value, Value)>),
}

impl Value {
    /// The value of plain JSON, such as a configuration holds: no tags are read.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) => Self::BigInt(value.to_string()),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::Str(text.clone()),
            serde_json::Value::Array(items) => {
                Self::List(items.iter().map(Self::from_json).collect())
            }
            serde_json::Value::Object(entries) => Self::Dict(
                entries.iter().map(|(k, v)| (Self::Str(k.clone()), Self::from_json(v))).collect(),
            ),
        }
    }

    /// The wire form.
    pub fn to_wire(&self) -> serde_json::Value {
        let all = |items: &[Value]| items.iter().map(Value::to_wire).collect::<Vec<_>>();
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => json!(value),
            Self::Int(value) => json!(value),
            Self::BigInt(digits) => json!({ "$int": digits }),
            Self::Float(value) => match Number::from_f64(*value) {
                Some(number) => serde_json::Value::Number(number),
                None if value.is_nan() => json!({ "$float": "nan" }),
                None if *value > 0.0 => json!({ "$float": "inf" }),
                None => json!({ "$float": "-inf" }),
            },
            Self::Str(text) => json!(text),
            Self::Bytes(bytes) => json!({ "$bytes": to_hex(bytes) }),
            Self::List(items) => json!(all(items)),
            Self::Tuple(items) => json!({ "$tuple": all(items) }),
            Self::Set(items) => json!({ "$set": all(items) }),
            Self::FrozenSet(items) => json!({ "$frozenset": all(items) }),
            Self::Dict(entries) => dict_to_wire(entries),
        }
    }

    /// The wire form as text.
    ///
    /// Dictionaries keep their insertion order here; in [`Value::to_wire`],
    /// whose maps are sorted, they do not.
    ///
    /// # Panics
    ///
    /// Never: every value has a wire form.
    pub fn to_wire_text(&self) -> String {
        serde_json::to_string(self).expect("keys are texts and floats are finite or tagged")
    }

    /// Python source for the value, cut after `chars_max` characters.
    pub fn preview(&self, chars_max: usize) -> String {
        preview(&self.to_string(), chars_max)
    }

    /// The name of its Python type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::BigInt(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Set(_) => "set",
            Self::FrozenSet(_) => "frozenset",
            Self::Dict(_) => "dict",
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The 64-bit integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements of a list or a tuple.
    pub fn as_seq(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// What a dictionary holds under a text key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Dict(entries) => {
                entries.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    /// Writes Python source for the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(value) => write!(f, "{value}"),
            Self::BigInt(digits) => f.write_str(digits),
            Self::Float(value) if value.is_finite() => write!(f, "{value:?}"),
            Self::Float(value) => write!(f, "float('{value}')"),
            Self::Str(text) => write_python_text(f, text),
            Self::Bytes(bytes) => write!(f, "bytes.fromhex('{}')", to_hex(bytes)),
            Self::List(items) => write_items(f, "[", items, "]"),
            Self::Tuple(items) if items.len() == 1 => write_items(f, "(", items, ",)"),
            Self::Tuple(items) => write_items(f, "(", items, ")"),
            Self::Set(items) if items.is_empty() => f.write_str("set()"),
            Self::Set(items) => write_items(f, "{", items, "}"),
            Self::FrozenSet(items) => write_items(f, "frozenset([", items, "])"),
            Self::Dict(entries) => {
                f.write_str("{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{key}: {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn write_items(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    items: &[Value],
    close: &str,
) -> fmt::Result {
    f.write_str(open)?;
    for (at, item) in items.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(f, "{comma}{item}")?;
    }
    f.write_str(close)
}

fn write_python_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    write!(f, "{quote}")?;
    for c in text.chars() {
        match c {
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\\' => f.write_str("\\\\")?,
            c if c == quote => write!(f, "\\{c}")?,
            c if (c as u32) < 0x20 || (0x7f..0xa0).contains(&(c as u32)) => {
                write!(f, "\\x{:02x}", c as u32)?;
            }
            c => write!(f, "{c}")?,
        }
    }
    write!(f, "{quote}")
}

fn dict_to_wire(entries: &[(Value, Value)]) -> serde_json::Value {
    if is_plain(entries) {
        let entry = |(key, value): &(Value, Value)| {
            (key.as_str().unwrap_or_default().to_owned(), value.to_wire())
        };
        serde_json::Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
    } else {
        let pairs: Vec<_> =
            entries.iter().map(|(k, v)| json!([k.to_wire(), v.to_wire()])).collect();
        json!({ "$dict": pairs })
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether every key is a text that cannot be taken for a tag.
fn is_plain(entries: &[(Value, Value)]) -> bool {
    entries.iter().all(|(key, _)| matches!(key, Value::Str(text) if !text.starts_with('$')))
}
