use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What a server understands beyond OpenAI's own keys.
///
/// It decides only what is asked for: whatever a server tells is read, whichever
/// dialect it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI's API and no more: neither `top_k` nor token ids.
    #[default]
    OpenAi,
    /// vLLM, from 0.11: token ids by `return_token_ids`.
    Vllm,
    /// llama.cpp's `llama-server`, of 2026: token ids by `return_tokens` and `verbose`,
    /// and those of the prompt by `/tokenize`.
    LlamaCpp,
    /// SGLang, from mid 2026: token ids by `return_token_ids`.
    SgLang,
}

/// Which tokens are drawn from, beside those of nucleus sampling.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cuts {
    /// The most probable ones; none for all.
    pub(crate) top_k: Option<u32>,
    /// Those of at least this share of the most probable one's probability.
    pub(crate) min_p: f32,
}

impl Dialect {
    /// Adds the keys of the dialect: all of the sampling, since each server has
    /// defaults of its own (llama.cpp cuts to 40 tokens, vLLM and SGLang read the
    /// checkpoint's `generation_config.json`), and token ids.
    pub(crate) fn add_keys(self, cuts: Cuts, body: &mut Map<String, Value>) {
        let mut add = |key: &str, value: Value| body.insert(key.to_owned(), value);
        if self == Self::OpenAi {
            return;
        }
        add("min_p", json!(cuts.min_p));
        add("top_k", self.top_k(cuts.top_k));
        add("logprobs", json!(true));
        match self {
            Self::OpenAi => {}
            Self::Vllm | Self::SgLang => {
                add("repetition_penalty", json!(1.0));
                add("return_token_ids", json!(true));
            }
            Self::LlamaCpp => {
                add("repeat_penalty", json!(1.0));
                add("typical_p", json!(1.0));
                // The sampled ids, and the prompt as it was rendered.
                add("return_tokens", json!(true));
                add("verbose", json!(true));
                // Else it sends twenty alternatives to each token.
                add("top_logprobs", json!(1));
            }
        }
    }

    /// `top_k`, with each server's own value for "all tokens".
    fn top_k(self, top_k: Option<u32>) -> Value {
        match (top_k, self) {
            (Some(top_k), _) => json!(top_k),
            (None, Self::LlamaCpp) => json!(0),
            (None, _) => json!(-1),
        }
    }

    /// The choice of one tool: llama.cpp knows no object here and would take it
    /// for "auto".
    pub(crate) fn tool_choice(self, name: &str) -> Value {
        match self {
            Self::LlamaCpp => json!("required"),
            _ => json!({"type": "function", "function": {"name": name}}),
        }
    }
}
