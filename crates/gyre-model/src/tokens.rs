use serde_json::Value;

/// Token ids and log-probabilities, as far as a server told them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sampled {
    pub(crate) prompt: Vec<u32>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) logprobs: Vec<f32>,
}

/// Reads the token ids and log-probabilities of a choice, in whichever of the
/// places a server puts them.
///
/// | server | prompt's ids | sampled ids |
/// |---|---|---|
/// | vLLM | `prompt_token_ids` | `choices[].token_ids` |
/// | SGLang | `choices[].prompt_token_ids` | `choices[].token_ids` |
/// | llama.cpp | | `__verbose.tokens`, `choices[].logprobs.content[].id` |
///
/// All are known or none: a list with one entry missing is of no use to a trainer.
pub(crate) fn read(body: &Value, choice: &Value) -> Sampled {
    let ids = |values: &[&Value]| values.iter().find_map(|value| ids(value)).unwrap_or_default();
    let prompt = ids(&[&body["prompt_token_ids"], &choice["prompt_token_ids"]]);
    let mut tokens = ids(&[&choice["token_ids"], &body["__verbose"]["tokens"]]);
    let entries = choice["logprobs"]["content"].as_array();
    let entries = entries.map(Vec::as_slice).unwrap_or_default();
    if tokens.is_empty() {
        tokens = entries.iter().map(entry_id).collect::<Option<_>>().unwrap_or_default();
    }
    let mut logprobs: Vec<f32> =
        entries.iter().map(entry_logprob).collect::<Option<_>>().unwrap_or_default();
    if !tokens.is_empty() && logprobs.len() != tokens.len() {
        logprobs.clear();
    }
    Sampled { prompt, tokens, logprobs }
}

impl Sampled {
    /// Leaves out the ids whose number is not the one that the server counted: some
    /// are missing, and a trainer would take the rest for all.
    pub(crate) fn counted_by(mut self, usage: &Value) -> Self {
        let differs = |key: &str, ids: &[u32]| {
            usage[key].as_u64().is_some_and(|counted| counted != ids.len() as u64)
        };
        if differs("prompt_tokens", &self.prompt) {
            self.prompt.clear();
        }
        if !self.tokens.is_empty() && differs("completion_tokens", &self.tokens) {
            self.tokens.clear();
            self.logprobs.clear();
        }
        self
    }
}

/// The prompt as llama.cpp rendered it, of which it tells no ids.
pub(crate) fn rendered_prompt(body: &Value) -> Option<&str> {
    body["__verbose"]["prompt"].as_str()
}

/// A list of ids; nothing where there is none, or where it is empty.
pub(crate) fn ids(value: &Value) -> Option<Vec<u32>> {
    let ids: Vec<u32> = value.as_array()?.iter().map(id).collect::<Option<_>>()?;
    (!ids.is_empty()).then_some(ids)
}

fn id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

fn entry_id(entry: &Value) -> Option<u32> {
    id(&entry["id"]).or_else(|| id(&entry["token_id"])).or_else(|| {
        // vLLM with `return_tokens_as_token_ids`.
        entry["token"].as_str()?.strip_prefix("token_id:")?.parse().ok()
    })
}

fn entry_logprob(entry: &Value) -> Option<f32> {
    let logprob = entry["logprob"].as_f64()? as f32;
    logprob.is_finite().then_some(logprob)
}

/// How a turn's prompt relates to the tokens before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// It begins with the earlier turn's prompt and sampled tokens: both turns
    /// are one sequence.
    Extends,
    /// It leaves them at this position: the history was rendered anew (reasoning
    /// removed, arguments written otherwise), so the turn is a sequence of its own.
    Branches {
        /// The first token that differs.
        at: usize,
    },
    /// The ids of either are not known.
    Unknown,
}

/// The token ids of one turn.
#[derive(Debug, Clone, Copy)]
pub struct TurnTokens<'a> {
    /// Its prompt.
    pub prompt: &'a [u32],
    /// What was sampled.
    pub tokens: &'a [u32],
}

/// Says whether the prompt of the next turn extends this turn, so that both may
/// be trained on as one sequence.
pub fn extends(before: TurnTokens<'_>, next_prompt: &[u32]) -> Extension {
    if before.prompt.is_empty() || before.tokens.is_empty() || next_prompt.is_empty() {
        return Extension::Unknown;
    }
    let expected = before.prompt.iter().chain(before.tokens);
    let mut found = next_prompt.iter();
    match expected.zip(std::iter::from_fn(|| Some(found.next()))).position(|(a, b)| Some(a) != b) {
        Some(at) => Extension::Branches { at },
        None => Extension::Extends,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sampled(prompt: &[u32], tokens: &[u32], logprobs: &[f32]) -> Sampled {
        Sampled { prompt: prompt.to_vec(), tokens: tokens.to_vec(), logprobs: logprobs.to_vec() }
    }

    #[test]
    fn each_server_puts_ids_in_a_place_of_its_own() {
        let logprobs = json!({"content": [{"logprob": -0.5}, {"logprob": 0.0}]});
        let vllm = json!({"prompt_token_ids": [1, 2]});
        let choice = json!({"token_ids": [3, 4], "logprobs": logprobs});
        assert_eq!(read(&vllm, &choice), sampled(&[1, 2], &[3, 4], &[-0.5, 0.0]));
        let sglang = json!({"prompt_token_ids": [1], "token_ids": [3], "logprobs": null});
        assert_eq!(read(&json!({}), &sglang), sampled(&[1], &[3], &[]));
        let llamacpp = json!({"logprobs": {"content": [{"id": 7, "logprob": -1.5}]}});
        assert_eq!(read(&json!({}), &llamacpp), sampled(&[], &[7], &[-1.5]));
        let verbose = json!({"__verbose": {"tokens": [7, 2], "prompt": "<s>hi"}});
        let without_end = json!({"logprobs": {"content": [{"id": 7, "logprob": -1.5}]}});
        assert_eq!(read(&verbose, &without_end), sampled(&[], &[7, 2], &[]));
        assert_eq!(rendered_prompt(&verbose), Some("<s>hi"));
        let as_text = json!({"logprobs": {"content": [{"token": "token_id:9", "logprob": -2}]}});
        assert_eq!(read(&json!({}), &as_text), sampled(&[], &[9], &[-2.0]));
    }

    #[test]
    fn what_is_known_in_part_is_not_known() {
        for choice in [
            json!({"token_ids": [1, -1]}),
            json!({"token_ids": [1, "2"]}),
            json!({"token_ids": [4_294_967_296_u64]}),
            json!({"token_ids": "1, 2"}),
            json!({"logprobs": {"content": null}}),
            json!({"logprobs": {"content": [{"id": 1}, {"logprob": -1.0}]}}),
            json!({"logprobs": []}),
        ] {
            assert_eq!(read(&json!({}), &choice), Sampled::default(), "{choice}");
        }
        let short = json!({"token_ids": [1, 2], "logprobs": {"content": [{"logprob": -1.0}]}});
        assert_eq!(read(&json!({}), &short), sampled(&[], &[1, 2], &[]));
        let without_ids = json!({"logprobs": {"content": [{"logprob": -1.0}]}});
        assert_eq!(read(&json!({}), &without_ids), sampled(&[], &[], &[-1.0]));
    }

    #[test]
    fn ids_that_the_server_counted_otherwise_are_not_known() {
        let all = || sampled(&[1, 2], &[3, 4], &[-1.0, -2.0]);
        let counted = |prompt: Value, completion: Value| {
            all().counted_by(&json!({"prompt_tokens": prompt, "completion_tokens": completion}))
        };
        assert_eq!(counted(json!(2), json!(2)), all());
        assert_eq!(counted(Value::Null, Value::Null), all());
        assert_eq!(counted(json!(3), json!(2)), sampled(&[], &[3, 4], &[-1.0, -2.0]));
        assert_eq!(counted(json!(2), json!(3)), sampled(&[1, 2], &[], &[]));
    }

    #[test]
    fn a_prompt_extends_a_turn_or_branches_from_it() {
        let turn = TurnTokens { prompt: &[1, 2], tokens: &[3, 4] };
        assert_eq!(extends(turn, &[1, 2, 3, 4]), Extension::Extends);
        assert_eq!(extends(turn, &[1, 2, 3, 4, 5]), Extension::Extends);
        assert_eq!(extends(turn, &[1, 2, 9, 4, 5]), Extension::Branches { at: 2 });
        assert_eq!(extends(turn, &[1, 2, 3]), Extension::Branches { at: 3 });
        assert_eq!(extends(turn, &[]), Extension::Unknown);
        assert_eq!(extends(TurnTokens { tokens: &[], ..turn }, &[1, 2]), Extension::Unknown);
    }
}
