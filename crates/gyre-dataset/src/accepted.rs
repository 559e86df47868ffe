//! Which turn of an episode gave its answer.

use gyre_types::{Answer, Message, Role, RolloutRecord};

/// The turn whose program is the answer: the last of those, or the last turn
/// where none carries it word for word. `None` where nothing was sampled.
pub(crate) fn accepted_turn(record: &RolloutRecord) -> Option<usize> {
    let turns = record.turns.len();
    let Answer::Program(program) = &record.answer;
    let said = record.messages.iter().filter(|message| message.role == Role::Assistant);
    let carries: Vec<_> = said.map(|message| holds(message, program)).collect();
    let found = carries.iter().rposition(|carries| *carries);
    // A turn says one message; where it does not, nothing tells them apart.
    let found = found.filter(|_| carries.len() == turns);
    found.or(turns.checked_sub(1))
}

/// Where in a conversation the answer is given: the last of the assistant's
/// messages that holds it, or its last one.
pub(crate) fn accepted_message(messages: &[Message], answer: &str) -> Option<usize> {
    let said = |message: &Message| message.role == Role::Assistant;
    let gives = |message: &Message| said(message) && holds(message, answer);
    messages.iter().rposition(gives).or_else(|| messages.iter().rposition(said))
}

/// Whether a message carries a program: as its first call's, or in its text, where
/// the environment decides which block is the program.
fn holds(message: &Message, answer: &str) -> bool {
    let call = message.tool_calls.first();
    let arguments =
        call.and_then(|call| serde_json::from_str::<serde_json::Value>(&call.arguments).ok());
    let code = arguments.as_ref().and_then(|arguments| arguments.get("code")?.as_str());
    match code {
        Some(code) => code == answer,
        None => message.content.contains(answer.trim()),
    }
}
