use std::collections::HashMap;

use async_trait::async_trait;
use gyre_env::program::tools::{RUN_EXAMPLES, SUBMIT, call};
use gyre_model::{ModelClient, ModelError, ModelIdentity};
use gyre_types::{ChatCompletion, ChatRequest, Digest, FinishReason, Message, Role, ToolChoice};

/// A model that answers each instruction by one program: for benchmarks, and for
/// debugging a family.
#[derive(Debug, Clone)]
pub struct ScriptedModel {
    programs: HashMap<String, String>,
    digest: Digest,
}

impl ScriptedModel {
    /// Answers by these programs, each by its instruction; an instruction without
    /// one gets an empty program.
    pub fn new(programs: HashMap<String, String>) -> Self {
        let mut sorted: Vec<_> = programs.iter().collect();
        sorted.sort();
        let digest = Digest::of_json(&("scripted", sorted));
        Self { programs, digest }
    }
}

#[async_trait]
impl ModelClient for ScriptedModel {
    async fn complete(&self, request: ChatRequest) -> Result<ChatCompletion, ModelError> {
        let turn = request.messages.iter().filter(|said| said.role == Role::Assistant).count();
        let instruction = request.messages.iter().find(|said| said.role == Role::User);
        let program = instruction.and_then(|said| self.programs.get(&said.content));
        let tool = match &request.tool_choice {
            ToolChoice::Tool(tool) if tool == SUBMIT => SUBMIT,
            _ => RUN_EXAMPLES,
        };
        let call = call(turn as u32, tool, program.map_or("", String::as_str));
        let message = Message {
            role: Role::Assistant,
            content: String::new(),
            tool_calls: vec![call],
            tool_call_id: None,
        };
        Ok(ChatCompletion { finish: FinishReason::Rule, ..ChatCompletion::of(message) })
    }

    fn identity(&self) -> ModelIdentity {
        ModelIdentity { name: "scripted".to_owned(), checkpoint: None, digest: self.digest }
    }
}
