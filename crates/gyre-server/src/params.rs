use std::collections::BTreeMap;

use axum::http::Uri;
use gyre_lineage::Cursor;

use crate::failure::Failure;

/// The parameters of a request's query. Empty ones count as absent, which is
/// what a form sends for a field that was left alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(BTreeMap<String, String>);

/// Bytes of a parameter, at most.
const VALUE_BYTES_MAX: usize = 400;
/// Rows of a page, where nothing was asked for, and at most.
const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 500;

impl Params {
    /// Reads a query of which only `known` parameters may be a part.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Failure> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Failure::bad("bad_query", error.to_string()))?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs.0 {
            if !known.contains(&name.as_str()) {
                let name: String = name.chars().take(40).collect();
                let detail = format!("{name:?} is no parameter here; known: {}", known.join(", "));
                return Err(Failure::bad("unknown_parameter", detail));
            }
            if value.len() > VALUE_BYTES_MAX || value.chars().any(char::is_control) {
                let detail = format!(
                    "{name} must have at most {VALUE_BYTES_MAX} bytes and no control characters"
                );
                return Err(Failure::bad("bad_parameter", detail));
            }
            if !value.is_empty() && params.insert(name.clone(), value).is_some() {
                return Err(Failure::bad("bad_parameter", format!("{name} is given twice")));
            }
        }
        Ok(Self(params))
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter as what it should be.
    pub(crate) fn get<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Failure> {
        let parse = |text: &str| {
            text.parse().map_err(|error| Failure::bad("bad_parameter", format!("{name}: {error}")))
        };
        self.text(name).map(parse).transpose()
    }

    /// A share between 0 and 1.
    pub(crate) fn share(&self, name: &str) -> Result<Option<f64>, Failure> {
        match self.get::<f64>(name)? {
            Some(value) if !(0.0..=1.0).contains(&value) => {
                Err(Failure::bad("bad_parameter", format!("{name} is not between 0 and 1")))
            }
            value => Ok(value),
        }
    }

    /// How many rows a page may have.
    pub(crate) fn limit(&self) -> Result<u32, Failure> {
        match self.get::<u32>("limit")? {
            Some(limit) if !(1..=LIMIT_MAX).contains(&limit) => {
                let detail = format!("limit is {limit}, not between 1 and {LIMIT_MAX}");
                Err(Failure::bad("bad_parameter", detail))
            }
            limit => Ok(limit.unwrap_or(LIMIT_DEFAULT)),
        }
    }

    /// Where the page starts.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, Failure> {
        let bad = || Failure::bad("bad_cursor", "the cursor is not one that this list gave");
        let Some(text) = self.text("cursor") else { return Ok(None) };
        let plain = from_hex(text).ok_or_else(bad)?;
        plain.parse().map(Some).map_err(|_| bad())
    }

    /// Where a page of a list starts, and how many rows it may have.
    pub(crate) fn page(&self) -> Result<(Option<Cursor>, u32), Failure> {
        Ok((self.cursor()?, self.limit()?))
    }

    /// Where a page of a list starts that is ordered by a number.
    pub(crate) fn place<T: std::str::FromStr>(&self) -> Result<Option<T>, Failure> {
        let bad = || Failure::bad("bad_cursor", "the cursor is not one that this list gave");
        let Some(text) = self.text("cursor") else { return Ok(None) };
        from_hex(text).and_then(|text| text.parse().ok()).map(Some).ok_or_else(bad)
    }

    /// Whether a page is asked for as one file.
    pub(crate) fn is_export(&self) -> bool {
        self.text("export").is_some_and(|value| value == "1")
    }

    /// The query with some parameters changed; none takes one away.
    pub(crate) fn with(&self, changes: &[(&str, Option<&str>)]) -> String {
        let mut params = self.0.clone();
        for (name, value) in changes {
            match value {
                Some(value) => params.insert((*name).to_owned(), (*value).to_owned()),
                None => params.remove(*name),
            };
        }
        let pair = |(name, value): (&String, &String)| format!("{name}={}", percent(value));
        format!("?{}", params.iter().map(pair).collect::<Vec<_>>().join("&"))
    }
}

/// A cursor as callers see it: a text that says nothing.
pub(crate) fn opaque(cursor: &impl std::fmt::Display) -> String {
    cursor.to_string().bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<String> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    String::from_utf8(pairs.map(|pair| pair[0] << 4 | pair[1]).collect()).ok()
}

/// Percent-encodes all but what may stand in a query as it is.
pub(crate) fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let of =
            |text: &str| Params::of(&text.parse().unwrap(), &["round", "q", "cursor", "limit"]);
        let params = of("/x?round=3&q=a%20b&cursor=").unwrap();
        assert_eq!(params.get::<u32>("round").unwrap(), Some(3));
        assert_eq!(params.text("q"), Some("a b"));
        assert_eq!(params.cursor().unwrap(), None);
        assert_eq!(params.with(&[("q", Some("<\"&")), ("round", None)]), "?q=%3C%22%26");
        for (query, code) in [
            ("/x?other=1", "unknown_parameter"),
            ("/x?q=a&q=b", "bad_parameter"),
            ("/x?q=%00", "bad_parameter"),
        ] {
            assert_eq!(of(query).unwrap_err().code, code, "{query}");
        }
        assert_eq!(
            of("/x?round=-1").unwrap().get::<u32>("round").unwrap_err().code,
            "bad_parameter"
        );
        assert_eq!(of("/x?limit=501").unwrap().limit().unwrap_err().code, "bad_parameter");
        for cursor in ["zz", "abc", "00ff", "3a3a"] {
            let params = of(&format!("/x?cursor={cursor}")).unwrap();
            assert_eq!(params.cursor().unwrap_err().code, "bad_cursor", "{cursor}");
        }
    }

    #[test]
    fn cursors_go_out_and_come_back() {
        let cursor: Cursor = "7:roll-0123456789abcdef".parse().unwrap();
        let uri = format!("/x?cursor={}", opaque(&cursor)).parse().unwrap();
        assert_eq!(Params::of(&uri, &["cursor"]).unwrap().cursor().unwrap(), Some(cursor));
    }
}
