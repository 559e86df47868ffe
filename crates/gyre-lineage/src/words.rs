//! Finding tasks by their words: those of the instruction, the family's name and
//! the composition.

use gyre_types::RunId;

use crate::cells::convert;
use crate::database::Query;
use crate::{Store, StoreError};

/// Rollouts that are few: all of them are looked at, and sorted.
pub(crate) const FEW: u64 = 4_000;

/// The tasks that a text names.
pub(crate) enum Named {
    /// These, and few enough to be named one by one.
    Few(Vec<String>),
    /// Too many for that, or tasks of too many rollouts.
    Many,
}

/// Tasks that are named one by one, at most.
const TASKS_MAX: usize = 1_000;

/// Words of a text that count, and characters of a word.
const WORDS_MAX: usize = 32;
const WORD_CHARS_MAX: usize = 64;

/// A text's words, as both databases cut them: at what is ASCII and neither
/// letter nor digit, with ASCII in lower case.
pub(crate) fn words(text: &str) -> Vec<String> {
    let words = text
        .split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words
        .take(WORDS_MAX)
        .map(|word| word.to_ascii_lowercase().chars().take(WORD_CHARS_MAX).collect())
        .collect()
}

impl Store {
    /// The tasks that have each word of a text at the start of one of theirs.
    pub(crate) async fn tasks_named(&self, run: &RunId, text: &str) -> Result<Named, StoreError> {
        let words = words(text);
        if words.is_empty() {
            return Ok(Named::Few(Vec::new()));
        }
        let (before, query_text, after) = self.database.matching(&words);
        let mut query = Query::new("SELECT k.task, k.rollouts FROM index_tasks k WHERE k.key IN (");
        query.push(before).arg(query_text).push(after).push(") AND k.run = ").arg(run.as_str());
        query.push(" LIMIT ").arg(TASKS_MAX as u64 + 1);
        let rows = self.fetch(query).await?;
        let named = convert("index_tasks", rows, |row| Ok((row.text()?, row.int::<u64>()?)))?;
        let rollouts: u64 = named.iter().map(|(_, rollouts)| rollouts).sum();
        if named.len() > TASKS_MAX || rollouts > FEW {
            return Ok(Named::Many);
        }
        Ok(Named::Few(named.into_iter().map(|(task, _)| task).collect()))
    }

    /// Restricts a query to tasks that a text names, each looked at by itself.
    pub(crate) fn push_words(&self, query: &mut Query, (run, task): (&str, &str), text: &str) {
        let words = words(text);
        if words.is_empty() {
            query.push(" AND 1 = 0");
            return;
        }
        let (before, query_text, after) = self.database.matching(&words);
        query.push(&format!(
            " AND EXISTS (SELECT 1 FROM index_tasks k WHERE k.run = {run} AND k.task = {task} \
             AND +k.key IN ({before}"
        ));
        query.arg(query_text).push(after).push("))");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits_in_lower_case() {
        assert_eq!(words("Größe, of_LIST(2)! →x"), ["größe", "of", "list", "2", "→x"]);
        assert_eq!(words(" -- \"*' "), [""; 0]);
        assert_eq!(words(&"x".repeat(100))[0].len(), WORD_CHARS_MAX);
        assert_eq!(words(&"x ".repeat(100)).len(), WORDS_MAX);
    }
}
