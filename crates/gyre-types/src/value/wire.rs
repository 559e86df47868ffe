//! The wire form of values: read strictly, since guests write it.

use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Value, is_plain, to_hex};
use crate::text::preview;

/// Bounds on what is accepted from a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueLimits {
    /// Bytes of wire text.
    pub bytes_max: u64,
    /// Depth of nesting. Must stay below the JSON parser's own bound of 128,
    /// two levels of which a `$dict` entry takes.
    pub depth_max: u32,
    /// Values within the value, itself included: each takes some 50 bytes of
    /// memory here, where two bytes on the wire may be enough to say it.
    pub nodes_max: u64,
}

impl ValueLimits {
    /// Bytes of wire text for each node. With it, a value takes at most some
    /// [`MEMORY_PER_BYTE`](Self::MEMORY_PER_BYTE) times its wire text.
    pub const BYTES_PER_NODE: u64 = 4;
    /// Bytes of memory that a byte of wire text may come to, nearly: a node is 32
    /// bytes, or 64 in a dictionary, and has an allocation of its own.
    pub const MEMORY_PER_BYTE: u64 = 16;

    /// The bounds of a value of so many bytes.
    pub fn of_bytes(bytes_max: u64) -> Self {
        Self { bytes_max, depth_max: 50, nodes_max: bytes_max / Self::BYTES_PER_NODE }
    }
}

impl Default for ValueLimits {
    fn default() -> Self {
        Self::of_bytes(256 << 10)
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
        let nodes_left = Cell::new(limits.nodes_max);
        let seed = Nested { depth_left: limits.depth_max, nodes_left: &nodes_left };
        let value = seed.deserialize(&mut deserializer).map_err(malformed)?;
        deserializer.end().map_err(malformed)?;
        Ok(value)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// CPython neither writes nor reads an integer of more digits.
const INT_DIGITS_MAX: usize = 4_300;

fn parse_big_int(digits: &str) -> Option<Value> {
    let magnitude = digits.strip_prefix('-').unwrap_or(digits);
    let canonical = !magnitude.is_empty()
        && magnitude.bytes().all(|b| b.is_ascii_digit())
        && !magnitude.starts_with('0');
    match digits.parse::<i64>() {
        Ok(_) => None,
        Err(_) if canonical && magnitude.len() <= INT_DIGITS_MAX => {
            Some(Value::BigInt(digits.to_owned()))
        }
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

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What is read here is our own, and as large as it is.
        let (depth_left, nodes_left) = (ValueLimits::default().depth_max, Cell::new(u64::MAX));
        Nested { depth_left, nodes_left: &nodes_left }.deserialize(deserializer)
    }
}

/// Parses one value with so many levels of nesting, and so many values, left.
#[derive(Clone, Copy)]
struct Nested<'a> {
    depth_left: u32,
    nodes_left: &'a Cell<u64>,
}

impl Nested<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1);
        let depth_left = depth_left.ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { depth_left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Nested<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let nodes_left = self.nodes_left.get().checked_sub(1);
        self.nodes_left.set(nodes_left.ok_or_else(|| D::Error::custom("too many values in it"))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested<'_> {
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
        // A vector of one has room for four.
        items.shrink_to_fit();
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
        entries.shrink_to_fit();
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

/// The elements of a set in the order of their wire texts.
fn distinct(items: Vec<Value>) -> Result<Vec<Value>, String> {
    let mut seen = HashSet::new();
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        if !seen.insert(equality_text(&item)?) {
            return Err("a set holds an element twice".to_owned());
        }
        keyed.push((item.to_wire_text(), item));
    }
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
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
        if !seen.insert(equality_text(&key)?) {
            return Err(format!("duplicate key {}", key.preview(40)));
        }
        entries.push((key, value));
    }
    Ok(entries)
}

/// One text for all hashable values that Python holds for equal, such as `1`,
/// `1.0` and `True`, of which a set or a dictionary has one.
///
/// # Errors
///
/// When the value is not hashable: no Python set or dictionary has it.
fn equality_text(value: &Value) -> Result<String, String> {
    let all = |tag: char, items: &[Value]| -> Result<String, String> {
        let texts = items.iter().map(equality_text).collect::<Result<Vec<_>, _>>()?;
        // A length before each part keeps different tuples apart.
        let parts = texts.iter().map(|text| format!("{}:{text}", text.len()));
        Ok(std::iter::once(tag.to_string()).chain(parts).collect())
    };
    match value {
        Value::List(_) | Value::Set(_) | Value::Dict(_) => {
            Err(format!("a {} is not hashable", value.type_name()))
        }
        Value::Bool(value) => Ok(i64::from(*value).to_string()),
        Value::Int(value) => Ok(value.to_string()),
        Value::BigInt(digits) => Ok(digits.clone()),
        // Written out in full, as its integer is.
        Value::Float(value) if value.fract() == 0.0 => Ok(format!("{:.0}", value + 0.0)),
        Value::Tuple(items) => all('t', items),
        // In the order of their wire texts, whichever way equal ones are written.
        Value::FrozenSet(items) => {
            let texts = items.iter().map(equality_text).collect::<Result<BTreeSet<_>, _>>()?;
            let parts = texts.iter().map(|text| format!("{}:{text}", text.len()));
            Ok(std::iter::once("z".to_owned()).chain(parts).collect())
        }
        Value::Null | Value::Float(_) | Value::Str(_) | Value::Bytes(_) => Ok(value.to_wire_text()),
    }
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

    /// Each of these made Python raise when it was handed to a verifier, or came
    /// out as another value there.
    #[test]
    fn what_no_python_value_is_is_refused() {
        let long = format!(r#"{{"$int":"{}"}}"#, "1".repeat(9_001));
        for wire in [
            r#"{"$set":[[1]]}"#,
            r#"{"$set":[{"$set":[1]}]}"#,
            r#"{"$frozenset":[{"a":1}]}"#,
            r#"{"$dict":[[[1],2]]}"#,
            r#"{"$dict":[[{"$dict":[]},2]]}"#,
            r#"{"$set":[{"$tuple":[1,[2]]}]}"#,
            r#"{"$set":[1,true]}"#,
            r#"{"$set":[1,1.0]}"#,
            r#"{"$set":[0,-0.0]}"#,
            r#"{"$set":[100000000000000000000.0,{"$int":"100000000000000000000"}]}"#,
            r#"{"$dict":[[1,"a"],[1.0,"b"]]}"#,
            r#"{"$set":[{"$tuple":[1]},{"$tuple":[true]}]}"#,
            r#"{"$set":[{"$frozenset":[1,2]},{"$frozenset":[2.0,true]}]}"#,
            long.as_str(),
        ] {
            assert!(parse(wire).is_err(), "{wire} was accepted");
        }
        for wire in [
            r#"{"$set":[1,"1",{"$tuple":[1]},{"$frozenset":[1]},{"$bytes":"31"},null,1.5]}"#,
            r#"{"$set":[{"$tuple":["a","b:1"]},{"$tuple":["a:1","b"]}]}"#,
            r#"{"$dict":[[null,[1]],[{"$tuple":[]},{"a":[]}]]}"#,
        ] {
            assert!(parse(wire).is_ok(), "{wire}: {:?}", parse(wire));
        }
        let longest = format!(r#"{{"$int":"-{}"}}"#, "9".repeat(INT_DIGITS_MAX));
        assert!(parse(&longest).is_ok());
    }

    #[test]
    fn nodes_are_bounded_as_bytes_are() {
        let limits = ValueLimits { nodes_max: 5, ..ValueLimits::default() };
        assert!(Value::parse("[1,[2],3]", limits).is_ok());
        assert!(Value::parse("[1,[2],3,4]", limits).is_err());
        assert!(Value::parse(r#"{"a":{"$dict":[[1,2]]}}"#, limits).is_err());
        let crowded = format!("[{}]", vec!["[1]"; 65_000].join(","));
        assert!(crowded.len() < 256 << 10);
        assert!(parse(&crowded).is_err());
        // Room for every list whose items take a few bytes each.
        let honest = format!("[{}]", vec!["100"; 65_000].join(","));
        assert!(parse(&honest).is_ok());
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
