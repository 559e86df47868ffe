//! What a seal says: the keys and digests of a transaction's rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::row::RowDigest;

/// The rows of one transaction, by table.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    /// Whether these rows were there before there were seals, and are sealed as
    /// they were found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) adopted: bool,
    /// For each row its key and digest; of one that was changed, the digest before
    /// stands between them.
    rows: BTreeMap<String, Vec<Vec<String>>>,
}

/// A row that a seal names.
pub(super) struct Entry<'a> {
    pub(super) table: &'a str,
    pub(super) key: &'a str,
    /// What the row was before; nothing where it was added.
    pub(super) before: Option<RowDigest>,
    pub(super) after: RowDigest,
}

impl Body {
    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        let before = entry.before.map(|digest| digest.to_string());
        let parts = [Some(entry.key.to_owned()), before, Some(entry.after.to_string())];
        let rows = match self.rows.get_mut(entry.table) {
            Some(rows) => rows,
            None => self.rows.entry(entry.table.to_owned()).or_default(),
        };
        rows.push(parts.into_iter().flatten().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows; what is wrong with the first that is none.
    pub(super) fn entries(&self) -> impl Iterator<Item = Result<Entry<'_>, String>> {
        let rows = self.rows.iter().flat_map(|(table, rows)| rows.iter().map(move |r| (table, r)));
        rows.map(|(table, parts)| entry(table, parts))
    }
}

fn entry<'a>(table: &'a str, parts: &'a [String]) -> Result<Entry<'a>, String> {
    let (key, before, after) = match parts {
        [key, after] => (key, None, after),
        [key, before, after] => (key, Some(parse(before)?), after),
        _ => return Err(format!("a row of {table} has no key and digest")),
    };
    Ok(Entry { table, key, before, after: parse(after)? })
}

fn parse(text: &str) -> Result<RowDigest, String> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
    number.map(RowDigest).ok_or_else(|| format!("{text:?} is no digest of a row"))
}
