//! Which turn of an episode gave its answer.

use gyre_types::{Message, Role, RolloutRecord};

/// The turn whose program is the answer: the last of those, or the last turn
/// where none is it word for word. `None` where nothing was sampled.
pub(crate) fn accepted_turn(record: &RolloutRecord) -> Option<usize> {
    let turns = record.turns.len();
    let said = record.messages.iter().filter(|message| message.role == Role::Assistant);
    let programs: Vec<_> = said.map(program).collect();
    let found = programs.iter().rposition(|program| *program == record.answer);
    // A turn says one message; where it does not, nothing tells them apart.
    let found = found.filter(|_| programs.len() == turns);
    found.or(turns.checked_sub(1))
}

/// Where in a conversation the answer is given: the last of the assistant's
/// messages that holds it, or its last one.
pub(crate) fn accepted_message(messages: &[Message], answer: &str) -> Option<usize> {
    let said = |message: &Message| message.role == Role::Assistant;
    let holds = |message: &Message| said(message) && program(message) == answer;
    messages.iter().rposition(holds).or_else(|| messages.iter().rposition(said))
}

/// The program that a message carries: in its first call, or in its text.
fn program(message: &Message) -> String {
    let call = message.tool_calls.first();
    let arguments =
        call.and_then(|call| serde_json::from_str::<serde_json::Value>(&call.arguments).ok());
    let code = arguments.as_ref().and_then(|arguments| arguments.get("code")?.as_str());
    match code {
        Some(code) => code.to_owned(),
        None => unfenced(&message.content).to_owned(),
    }
}

/// The text inside the first code fence, or the whole text.
fn unfenced(text: &str) -> &str {
    let Some((_, rest)) = text.split_once("```") else { return text };
    let rest = rest.split_once('\n').map_or(rest, |(_language, rest)| rest);
    rest.split_once("```").map_or(rest, |(code, _)| code)
}
