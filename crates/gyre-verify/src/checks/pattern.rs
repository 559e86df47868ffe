//! Regular expressions, matched in linear time whatever the text.

use gyre_types::Value;
use regex::{Regex, RegexBuilder};

use super::shown::shown;

/// Bytes that a compiled expression may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// An expression for a whole text.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    whole: Regex,
    text: String,
}

impl Pattern {
    /// Compiles an expression; the dot does not match a line's end.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        // By itself first: `a)|(b` is no expression, though it is one in a group.
        compile(text)?;
        let whole = compile(&format!("\\A(?:{text})\\z"))?;
        Ok(Self { whole, text: text.to_owned() })
    }

    pub(super) fn accepts(&self, text: &str) -> Result<(), String> {
        if self.whole.is_match(text) {
            return Ok(());
        }
        let got = shown(&Value::Str(text.to_owned()));
        Err(format!("{got} does not match {:?}", self.text))
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    let builder = &mut RegexBuilder::new(text);
    let compiled = builder.size_limit(COMPILED_BYTES_MAX).build();
    compiled.map_err(|error| format!("{text:?} is no regular expression: {error}"))
}
