//! The engine behind the seam of models.

use futures_executor::block_on;
use futures_util::StreamExt;
use futures_util::stream;
use gyre_learner::{Engine, LocalPolicy, SampleRequest};
use gyre_model::ModelClient;
use gyre_types::{
    ChatCompletion, ChatRequest, CheckpointId, Digest, FinishReason, Message, Role, Sampling, Seed,
    ToolChoice, ToolSpec,
};
use proptest::prelude::*;

use crate::{examples, start};

fn engine() -> (Engine, LocalPolicy) {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), 1).unwrap();
    let load = || LocalPolicy::load(dir.path()).unwrap();
    let checkpoint = CheckpointId::from_digest(&Digest::of(b"a checkpoint"));
    (Engine::start(checkpoint, load()), load())
}

fn request(n: usize) -> SampleRequest {
    let examples = examples();
    SampleRequest {
        prompt: examples[n % examples.len()].prompt.clone(),
        seed: Seed(n as u64),
        temperature: [0.0, 1.0, 1.2][n % 3],
        tokens_max: 3 + n as u32 % 60,
    }
}

fn chat(request: SampleRequest, tools: Vec<ToolSpec>, tool_choice: ToolChoice) -> ChatRequest {
    let SampleRequest { prompt, seed, temperature, tokens_max } = request;
    let instruction =
        Message { role: Role::User, content: prompt, tool_calls: vec![], tool_call_id: None };
    let sampling = Sampling { temperature, tokens_max };
    ChatRequest { messages: vec![instruction], tools, tool_choice, sampling, seed }
}

fn bits(completion: &ChatCompletion) -> Vec<u32> {
    completion.logprobs.iter().map(|logprob| logprob.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever else is in the batch, and whenever a request joins it.
    #[test]
    fn what_is_sampled_depends_on_the_request_alone(
        order in Just((0..90).collect::<Vec<usize>>()).prop_shuffle(),
        in_flight in 1_usize..80,
    ) {
        let (engine, alone) = engine();
        let ask = |n: usize| {
            let engine = &engine;
            async move {
                (n, engine.complete(chat(request(n), vec![], ToolChoice::Auto)).await.unwrap())
            }
        };
        let answers: Vec<_> =
            block_on(stream::iter(order).map(ask).buffer_unordered(in_flight).collect());
        prop_assert_eq!(answers.len(), 90);
        for (n, answer) in answers {
            let expected = &alone.sample_on(1, &[request(n)])[0];
            prop_assert_eq!(&answer.message.content, &expected.text);
            prop_assert_eq!(&answer.tokens, &expected.tokens);
            let expected: Vec<_> = expected.logprobs.iter().map(|p| p.to_bits()).collect();
            prop_assert_eq!(bits(&answer), expected);
        }
    }
}

#[test]
fn what_is_sampled_is_the_argument_of_the_tool_that_is_demanded() {
    let (engine, _) = engine();
    let tool = |name: &str, argument: &str| ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        parameters: serde_json::json!({ "type": "object", "required": [argument] }),
    };
    let tools = vec![tool("try", "program"), tool("submit", "code")];
    let complete = |tools: &[ToolSpec], choice| {
        block_on(engine.complete(chat(request(4), tools.to_vec(), choice))).unwrap()
    };
    let text = complete(&[], ToolChoice::Auto);
    assert!(text.message.tool_calls.is_empty() && !text.message.content.is_empty());
    for (choice, name, argument) in [
        (ToolChoice::Auto, "try", "program"),
        (ToolChoice::Tool("submit".to_owned()), "submit", "code"),
    ] {
        let said = complete(&tools, choice);
        let [call] = said.message.tool_calls.as_slice() else { panic!("{said:?}") };
        assert_eq!((call.name.as_str(), call.id.as_str()), (name, "call-0"));
        let arguments: serde_json::Value = serde_json::from_str(&call.arguments).unwrap();
        assert_eq!(arguments, serde_json::json!({ argument: text.message.content }));
        assert_eq!(said.message.content, "");
    }
    assert_eq!(text.usage.completion, text.tokens.len() as u64);
    assert_eq!(text.usage.prompt, text.prompt_tokens.len() as u64);
    assert_ne!(text.finish, FinishReason::Rule);
}
