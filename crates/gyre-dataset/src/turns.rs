//! Token ids of a published rollout, turn by turn.

use arrow_array::types::UInt32Type;
use arrow_array::{BooleanArray, ListArray, StringArray};
use gyre_types::{RolloutRecord, TurnRecord};
use serde::Serialize;

use crate::columns::{Columns, View, bools, bounds, float_list, numbers, optional};
use crate::decimals::{decimal, nine_decimals_of_32_bits};
use crate::error::Fault;

/// What is published of one turn. Lists are empty where nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RowTurn {
    /// Token ids of the prompt that the turn answered, as the engine read them.
    pub prompt_tokens: Vec<u32>,
    /// Token ids as sampled.
    pub tokens: Vec<u32>,
    /// Natural logarithms, at temperature 1: one for each of `tokens`, or none.
    pub logprobs: Vec<f32>,
    /// For each of `tokens`: whether to train on it.
    pub loss_mask: Vec<bool>,
    /// Whether the prompt does not extend the turn before, so that the two must
    /// not be joined to one sequence; see [`find_branches`].
    pub is_branch: bool,
    /// What the model thought before it spoke, where its server told it apart.
    pub reasoning: Option<String>,
}

/// For each turn, whether it begins a sequence of its own: whether its prompt does
/// not start with the prompt and the tokens of the turn before it.
///
/// Chat templates cause branches where they drop reasoning, reformat a tool call,
/// or encode a text in other tokens than were sampled. Where nothing is known of
/// the tokens of either turn, no branch is marked.
pub fn find_branches(turns: &[TurnRecord]) -> Vec<bool> {
    let mut before: Option<&TurnRecord> = None;
    let is_branch = |turn| before.replace(turn).is_some_and(|before| !extends(turn, before));
    turns.iter().map(is_branch).collect()
}

fn extends(turn: &TurnRecord, before: &TurnRecord) -> bool {
    let rest = turn.prompt_tokens.strip_prefix(before.prompt_tokens.as_slice());
    rest.is_some_and(|rest| rest.starts_with(&before.tokens))
}

/// The turns of a record. `carries_loss` says by a turn's index whether its tokens
/// are to be trained on.
pub(crate) fn row_turns(
    record: &RolloutRecord,
    carries_loss: impl Fn(usize) -> bool,
) -> Vec<RowTurn> {
    let branches = find_branches(&record.turns);
    let turns = record.turns.iter().zip(branches).enumerate();
    turns
        .map(|(at, (turn, is_branch))| RowTurn {
            prompt_tokens: turn.prompt_tokens.clone(),
            tokens: turn.tokens.clone(),
            logprobs: logprobs(turn),
            loss_mask: vec![carries_loss(at); turn.tokens.len()],
            is_branch,
            reasoning: turn.reasoning.clone(),
        })
        .collect()
}

/// The log-probabilities of a turn; none where they are not those of its tokens, as
/// some servers give them.
fn logprobs(turn: &TurnRecord) -> Vec<f32> {
    let is_whole = turn.logprobs.len() == turn.tokens.len();
    let known = turn.logprobs.iter().filter(|p| is_whole && p.is_finite());
    let known: Vec<_> = known.map(|p| nine_decimals_of_32_bits(*p)).collect();
    if known.len() == turn.tokens.len() { known } else { Vec::new() }
}

/// Why turns may not be published, if they may not.
pub(crate) fn objection(turns: &[RowTurn]) -> Option<String> {
    turns.iter().enumerate().find_map(|(at, turn)| {
        let tokens = turn.tokens.len();
        let (logprobs, mask) = (turn.logprobs.len(), turn.loss_mask.len());
        if logprobs != 0 && logprobs != tokens {
            return Some(format!("turn {at} has {logprobs} logprobs for {tokens} tokens"));
        }
        if mask != tokens {
            return Some(format!(
                "the loss mask of turn {at} has {mask} entries for {tokens} tokens"
            ));
        }
        let unfit = turn.logprobs.iter().find(|logprob| !logprob.is_finite());
        unfit.map(|logprob| format!("turn {at} has the logprob {logprob}"))
    })
}

/// Writes the column `turns`, one list a row.
pub(crate) fn encode<'a>(
    columns: &mut Columns,
    lists: impl Iterator<Item = &'a [RowTurn]> + Clone,
) -> Result<(), Fault> {
    let all = || lists.clone().flatten();
    let mut items = Columns::default();
    items.u32_lists("prompt_tokens", all().map(|turn| turn.prompt_tokens.as_slice()));
    items.u32_lists("tokens", all().map(|turn| turn.tokens.as_slice()));
    let decimals = |turn: &RowTurn| turn.logprobs.iter().map(|p| decimal(*p)).collect();
    items.f64_lists("logprobs", all().map(decimals));
    items.bool_lists("loss_mask", all().map(|turn| turn.loss_mask.as_slice()));
    items.bool("is_branch", all().map(|turn| turn.is_branch));
    items.optional_text("reasoning", all().map(|turn| turn.reasoning.as_ref()));
    columns.struct_lists("turns", lists.map(<[RowTurn]>::len), items)
}

/// The turns of rows, read; of any version of a schema.
pub(crate) enum Turns<'a> {
    ByTurn(ByTurn<'a>),
    Joined(Joined<'a>),
}

impl<'a> Turns<'a> {
    pub(crate) fn of(view: &View<'a>) -> Result<Self, Fault> {
        match view.has("turns") {
            true => ByTurn::of(view).map(Self::ByTurn),
            false => Joined::of(view).map(Self::Joined),
        }
    }

    pub(crate) fn row(&self, row: usize) -> Result<Vec<RowTurn>, Fault> {
        match self {
            Self::ByTurn(turns) => turns.row(row),
            Self::Joined(turns) => turns.row(row),
        }
    }
}

/// The column `turns`.
pub(crate) struct ByTurn<'a> {
    list: &'a ListArray,
    prompt_tokens: &'a ListArray,
    tokens: &'a ListArray,
    logprobs: &'a ListArray,
    loss_mask: &'a ListArray,
    is_branch: &'a BooleanArray,
    reasoning: &'a StringArray,
}

impl<'a> ByTurn<'a> {
    fn of(view: &View<'a>) -> Result<Self, Fault> {
        let (list, items) = view.structs("turns")?;
        Ok(Self {
            list,
            prompt_tokens: items.get("prompt_tokens")?,
            tokens: items.get("tokens")?,
            logprobs: items.get("logprobs")?,
            loss_mask: items.get("loss_mask")?,
            is_branch: items.get("is_branch")?,
            reasoning: items.text("reasoning")?,
        })
    }

    fn row(&self, row: usize) -> Result<Vec<RowTurn>, Fault> {
        let turn = |index: usize| {
            Ok(RowTurn {
                prompt_tokens: numbers::<UInt32Type>(self.prompt_tokens, index)?,
                tokens: numbers::<UInt32Type>(self.tokens, index)?,
                logprobs: float_list(self.logprobs, index)?,
                loss_mask: bools(self.loss_mask, index)?,
                is_branch: self.is_branch.value(index),
                reasoning: optional(self.reasoning, index).map(str::to_owned),
            })
        };
        bounds(self.list, row).map(turn).collect()
    }
}

/// Columns of `dataset/1` and `dataset/2`, which joined the tokens of all turns and
/// held the first prompt alone. They read as one turn.
pub(crate) struct Joined<'a> {
    prompt_tokens: &'a ListArray,
    tokens: &'a ListArray,
    logprobs: &'a ListArray,
    loss_mask: &'a ListArray,
}

impl<'a> Joined<'a> {
    fn of(view: &View<'a>) -> Result<Self, Fault> {
        Ok(Self {
            prompt_tokens: view.get("prompt_tokens")?,
            tokens: view.get("tokens")?,
            logprobs: view.get("logprobs")?,
            loss_mask: view.get("loss_mask")?,
        })
    }

    fn row(&self, row: usize) -> Result<Vec<RowTurn>, Fault> {
        let joined = RowTurn {
            prompt_tokens: numbers::<UInt32Type>(self.prompt_tokens, row)?,
            tokens: numbers::<UInt32Type>(self.tokens, row)?,
            logprobs: float_list(self.logprobs, row)?,
            loss_mask: bools(self.loss_mask, row)?,
            ..RowTurn::default()
        };
        Ok(if joined == RowTurn::default() { Vec::new() } else { vec![joined] })
    }
}

#[cfg(test)]
mod tests {
    use gyre_types::{Digest, FinishReason, Usage};

    use super::*;

    fn turn(prompt_tokens: &[u32], tokens: &[u32]) -> TurnRecord {
        TurnRecord {
            prompt_tokens: prompt_tokens.to_vec(),
            tokens: tokens.to_vec(),
            logprobs: Vec::new(),
            finish: FinishReason::Stop,
            reasoning: None,
            usage: Usage::default(),
            model: None,
            fuel: 0,
            chain: Digest::of(b""),
        }
    }

    fn check(turns: &[(&[u32], &[u32])], expected: &[bool]) {
        let turns: Vec<_> = turns.iter().map(|(prompt, tokens)| turn(prompt, tokens)).collect();
        assert_eq!(find_branches(&turns), expected);
    }

    #[test]
    fn a_prompt_that_holds_all_that_came_before_extends_it() {
        check(&[], &[]);
        check(&[(&[1, 2], &[3])], &[false]);
        check(&[(&[1, 2], &[3]), (&[1, 2, 3, 4], &[5]), (&[1, 2, 3, 4, 5], &[])], &[false; 3]);
    }

    #[test]
    fn a_prompt_that_changes_anything_before_it_is_a_branch() {
        // Other tokens for what was sampled.
        check(&[(&[1, 2], &[3, 4]), (&[1, 2, 34, 5], &[6])], &[false, true]);
        // The sampled tokens were dropped, or cut.
        check(&[(&[1, 2], &[3, 4]), (&[1, 2], &[6])], &[false, true]);
        check(&[(&[1, 2], &[3, 4]), (&[1, 2, 3], &[6])], &[false, true]);
        // Another beginning; the turn after it goes on from there.
        let other: &[(&[u32], &[u32])] =
            &[(&[1, 2], &[3]), (&[9, 2, 3], &[4]), (&[9, 2, 3, 4], &[5])];
        check(other, &[false, true, false]);
    }

    #[test]
    fn what_is_not_known_joins_nothing_that_is() {
        check(&[(&[], &[]), (&[], &[])], &[false, false]);
        check(&[(&[], &[3]), (&[], &[4])], &[false, true]);
        check(&[(&[1], &[2]), (&[], &[])], &[false, true]);
    }
}
