use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, json};

use crate::sandbox::preview;

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

/// Bounds on what is accepted from a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueLimits {
    /// Bytes of wire text.
    pub bytes_max: u64,
    /// Depth of nesting. Must stay below the JSON parser's own bound of 128,
    /// two levels of which a `$dict` entry takes.
    pub depth_max: u32,
}

impl Default for ValueLimits {
    fn default() -> Self {
        Self { bytes_max: 256 << 10, depth_max: 50 }
    }
}

/// Why a wire text was refused.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// Too many bytes.
    #[error("the value takes {bytes} bytes, more than the {bytes_max} allowed")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// Not JSON, or not of the wire form (duplicate keys, unknown `$` tags, too deep).
    #[error("the value is malformed: {0}")]
    Malformed(String),
}

impl Value {
    /// Parses wire text strictly: bounded, no duplicate keys, no unknown tags,
    /// nothing after the value.
    ///
    /// # Errors
    ///
    /// See [`ValueError`].
    pub fn parse(wire: &str, limits: ValueLimits) -> Result<Self, ValueError> {
        let bytes = wire.len() as u64;
        if bytes > limits.bytes_max {
            return Err(ValueError::TooLarge { bytes, bytes_max: limits.bytes_max });
        }
        let malformed = |error: serde_json::Error| ValueError::Malformed(error.to_string());
        let mut deserializer = serde_json::Deserializer::from_str(wire);
        let seed = Nested { depth_left: limits.depth_max };
        let value = seed.deserialize(&mut deserializer).map_err(malformed)?;
        deserializer.end().map_err(malformed)?;
        Ok(value)
    }

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

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn parse_big_int(digits: &str) -> Option<Value> {
    let magnitude = digits.strip_prefix('-').unwrap_or(digits);
    let canonical = !magnitude.is_empty()
        && magnitude.bytes().all(|b| b.is_ascii_digit())
        && !magnitude.starts_with('0');
    match digits.parse::<i64>() {
        Ok(_) => None,
        Err(_) if canonical => Some(Value::BigInt(digits.to_owned())),
        Err(_) => None,
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::BigInt(digits) => tagged(serializer, "$int", digits),
            Self::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Self::Float(value) if value.is_nan() => tagged(serializer, "$float", "nan"),
            Self::Float(value) if *value > 0.0 => tagged(serializer, "$float", "inf"),
            Self::Float(_) => tagged(serializer, "$float", "-inf"),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => tagged(serializer, "$bytes", &to_hex(bytes)),
            Self::List(items) => serializer.collect_seq(items),
            Self::Tuple(items) => tagged(serializer, "$tuple", items),
            Self::Set(items) => tagged(serializer, "$set", items),
            Self::FrozenSet(items) => tagged(serializer, "$frozenset", items),
            Self::Dict(entries) if is_plain(entries) => {
                serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
            }
            Self::Dict(entries) => tagged(serializer, "$dict", entries),
        }
    }
}

fn tagged<S: Serializer, T: Serialize + ?Sized>(
    serializer: S,
    tag: &'static str,
    body: &T,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag, body)?;
    map.end()
}

/// Whether every key is a text that cannot be taken for a tag.
fn is_plain(entries: &[(Value, Value)]) -> bool {
    entries.iter().all(|(key, _)| matches!(key, Value::Str(text) if !text.starts_with('$')))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Nested { depth_left: ValueLimits::default().depth_max }.deserialize(deserializer)
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
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value in Gyre's wire form")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::BigInt(value.to_string()), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Str(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Str(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(deeper)? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(deeper)?;
            if key.starts_with('$') {
                if !entries.is_empty() || map.next_key::<String>()?.is_some() {
                    return Err(A::Error::custom("a tagged object has exactly one key"));
                }
                return untag(&key, value).map_err(A::Error::custom);
            }
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format_args!(
                    "duplicate key {:?}",
                    preview(&key, 40)
                )));
            }
            entries.push((Value::Str(key), value));
        }
        Ok(Value::Dict(entries))
    }
}

fn untag(tag: &str, value: Value) -> Result<Value, String> {
    let wrong = |what: &str| Err(format!("{tag} must hold {what}"));
    match (tag, value) {
        ("$tuple", Value::List(items)) => Ok(Value::Tuple(items)),
        ("$set", Value::List(items)) => Ok(Value::Set(distinct(items)?)),
        ("$frozenset", Value::List(items)) => Ok(Value::FrozenSet(distinct(items)?)),
        ("$dict", Value::List(pairs)) => Ok(Value::Dict(distinct_keys(pairs)?)),
        ("$int", Value::Str(digits)) => match parse_big_int(&digits) {
            Some(value) => Ok(value),
            None => wrong("canonical digits of an integer beyond 64 bits"),
        },
        ("$float", Value::Str(name)) => match name.as_str() {
            "nan" => Ok(Value::Float(f64::NAN)),
            "inf" => Ok(Value::Float(f64::INFINITY)),
            "-inf" => Ok(Value::Float(f64::NEG_INFINITY)),
            _ => wrong("nan, inf or -inf"),
        },
        ("$bytes", Value::Str(hex)) => match from_hex(&hex) {
            Some(bytes) => Ok(Value::Bytes(bytes)),
            None => wrong("pairs of hexadecimal digits"),
        },
        ("$tuple" | "$set" | "$frozenset" | "$dict", _) => wrong("a list"),
        ("$int" | "$float" | "$bytes", _) => wrong("a text"),
        _ => Err(format!("unknown tag {:?}", preview(tag, 40))),
    }
}

fn distinct(items: Vec<Value>) -> Result<Vec<Value>, String> {
    let mut keyed: Vec<(String, Value)> =
        items.into_iter().map(|item| (item.to_wire_text(), item)).collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    if keyed.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err("a set holds an element twice".to_owned());
    }
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn distinct_keys(pairs: Vec<Value>) -> Result<Vec<(Value, Value)>, String> {
    let mut seen = HashSet::new();
    let mut entries = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let Value::List(pair) = pair else {
            return Err("$dict holds pairs".to_owned());
        };
        let [key, value] = <[Value; 2]>::try_from(pair).map_err(|_| "$dict holds pairs")?;
        if !seen.insert(key.to_wire_text()) {
            return Err(format!("duplicate key {}", key.preview(40)));
        }
        entries.push((key, value));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(wire: &str) -> Result<Value, ValueError> {
        Value::parse(wire, ValueLimits::default())
    }

    #[test]
    fn types_are_kept_apart() {
        assert_eq!(parse("1").unwrap(), Value::Int(1));
        assert_eq!(parse("1.0").unwrap(), Value::Float(1.0));
        assert_eq!(parse("true").unwrap(), Value::Bool(true));
        assert_eq!(parse("[1]").unwrap(), Value::List(vec![Value::Int(1)]));
        assert_eq!(parse(r#"{"$tuple":[1]}"#).unwrap(), Value::Tuple(vec![Value::Int(1)]));
    }

    #[test]
    fn hostile_texts_are_refused() {
        let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
        for wire in [
            r#"{"a":1,"a":2}"#,
            r#"{"$tuple":[1],"$set":[]}"#,
            r#"{"a":1,"$set":[]}"#,
            r#"{"$set":[1,1]}"#,
            r#"{"$dict":[[1,2],[1,3]]}"#,
            r#"{"$dict":[[1]]}"#,
            r#"{"$int":"5"}"#,
            r#"{"$int":"099999999999999999999"}"#,
            r#"{"$float":"1"}"#,
            r#"{"$bytes":"0g"}"#,
            r#"{"$eq":[]}"#,
            "NaN",
            "1e999",
            "1 2",
            "\"\\ud800\"",
            deep.as_str(),
        ] {
            assert!(parse(wire).is_err(), "{wire} was accepted");
        }
    }

    #[test]
    fn dictionaries_keep_their_order() {
        for wire in [r#"{"b":1,"a":{"d":[],"c":null}}"#, r#"{"$dict":[[2,"b"],[1,"a"]]}"#] {
            assert_eq!(parse(wire).unwrap().to_wire_text(), wire);
        }
    }

    #[test]
    fn both_wire_forms_are_the_same() {
        for wire in [r#"{"$tuple":[1,{"$set":[]},{"$frozenset":["x"]},{"$bytes":"00ff"}]}"#, "-0.0"]
        {
            let value = parse(wire).unwrap();
            assert_eq!(value.to_wire_text(), wire);
            assert_eq!(value.to_wire().to_string(), wire);
        }
    }

    #[test]
    fn sets_have_one_form() {
        assert_eq!(parse(r#"{"$set":[2,1]}"#).unwrap(), parse(r#"{"$set":[1,2]}"#).unwrap());
    }

    proptest::proptest! {
        #[test]
        fn wire_round_trips(value in arbitrary()) {
            let text = value.to_wire_text();
            proptest::prop_assert_eq!(parse(&text).unwrap(), value);
        }
    }

    fn arbitrary() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            Just(Value::BigInt("-98765432109876543210".to_owned())),
            any::<f64>().prop_filter("equality", |f| !f.is_nan()).prop_map(Value::Float),
            ".{0,8}".prop_map(Value::Str),
            any::<Vec<u8>>().prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Tuple),
                prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(|map| {
                    Value::Dict(map.into_iter().map(|(k, v)| (Value::Str(k), v)).collect())
                }),
            ]
        })
    }
}
