//! Episodes of the program environment, event by event.

use gyre_env::{Episode, EpisodeSettings, EpisodeSpec, Event, Need};
use gyre_types::{
    Acting, Answer, ChatCompletion, ChatRequest, Digest, FinishReason, GuestOutcome, InvalidReason,
    Message, PolicyRef, Role, RolloutId, Sampling, Seed, Split, Step, StepReport, StopReason, Task,
    ToolCall, ToolChoice, Value,
};

use crate::task;

const WRONG: &str = "def solve(n):\n    return n\n";
const RIGHT: &str = "def solve(n):\n    product = 1\n    for factor in range(2, n + 1):\n        \
                     product *= factor\n    return product\n";

fn settings(acting: Acting) -> EpisodeSettings {
    EpisodeSettings {
        turns_max: 3,
        tokens_max: 100,
        sampling: Sampling { temperature: 1.0, tokens_max: 50 },
        repair_temperature: 1.25,
        acting,
    }
}

fn begin(task: &Task, acting: Acting) -> (Episode<'_>, Need) {
    let spec = EpisodeSpec {
        id: RolloutId::from_digest(&Digest::of(b"rollout")),
        round: 1,
        purpose: Split::Train,
        task,
        sample: 0,
        seed: Seed(9),
    };
    let policy = PolicyRef { checkpoint: None, digest: Digest::of(b"policy") };
    Episode::begin(spec, settings(acting), policy, Digest::of(b"sandbox"))
}

fn calls(calls: &[(&str, &str, &str)]) -> Event {
    let call = |(id, name, arguments): &(&str, &str, &str)| ToolCall {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
    };
    let tool_calls = calls.iter().map(call).collect();
    completed(Message { role: Role::Assistant, tool_calls, ..Message::user("") }, vec![])
}

fn completed(message: Message, tokens: Vec<u32>) -> Event {
    let finish = FinishReason::ToolCalls;
    Event::Completed(ChatCompletion { finish, tokens, ..ChatCompletion::of(message) })
}

/// The policy runs a program, as the embedded one says so.
fn runs(turn: u32, code: &str, tokens: Vec<u32>) -> Event {
    let tool_calls = vec![gyre_env::program::tools::call(turn, "run_examples", code)];
    completed(Message { role: Role::Assistant, tool_calls, ..Message::user("") }, tokens)
}

/// Gives what the program and each of its calls gave.
fn ran(episode: &mut Episode<'_>, results: [i64; 3]) -> Need {
    let step = |value: Value, fuel: u64| StepReport {
        outcome: GuestOutcome::Value { value },
        stdout: String::new(),
        fuel,
        virtual_ns: 0,
    };
    episode.next(Event::Stepped(step(Value::Null, 10)));
    for result in results {
        episode.next(Event::Stepped(step(Value::Int(result), 5)));
    }
    episode.next(Event::Ran)
}

fn request(need: Need) -> ChatRequest {
    match need {
        Need::Completion(request) => request,
        other => panic!("{other:?}"),
    }
}

/// The digests were computed apart from this code, from the forms that recorded runs
/// have: what is shown, offered and recorded stays as it is, byte for byte.
#[test]
fn an_episode_of_a_recorded_task_is_what_it_was_before_tasks_held_messages() {
    let task = task();
    let (mut episode, need) = begin(&task, Acting::Tools);
    let first = request(need);
    assert_eq!(Digest::of_json(&first).short(), "70c7fd00b03a");
    let need = episode.next(runs(0, WRONG, vec![1, 2]));
    let call = |n| Step::Call { function: "solve".to_owned(), args: vec![Value::Int(n)] };
    let run = Step::Run { code: WRONG.to_owned() };
    assert_eq!(need, Need::Run { steps: vec![run, call(3), call(5), call(0)], keep: true });
    let second = request(ran(&mut episode, [3, 5, 0]));
    assert_eq!((second.tool_choice, second.messages.len()), (ToolChoice::Auto, 3));
    let need = episode.next(runs(1, RIGHT, vec![3]));
    assert!(matches!(need, Need::Run { keep: false, .. }), "the last turn submits: {need:?}");
    // What agrees with all examples is submitted, and nobody is asked.
    assert_eq!(ran(&mut episode, [6, 120, 1]), Need::Nothing);
    let record = episode.finish().record;
    assert_eq!(record.answer, Answer::Program(RIGHT.to_owned()));
    assert_eq!((record.stop, record.turns.len(), record.fuel), (StopReason::Submitted, 3, 50));
    assert_eq!(record.chain.short(), "8b5db2ab4770");
}

#[test]
fn every_call_of_a_turn_is_answered_in_order_also_behind_a_submission() {
    let task = task();
    let (mut episode, _) = begin(&task, Acting::Tools);
    let need = episode.next(calls(&[
        ("a", "cheat", r#"{"code":"x"}"#),
        ("b", "run_examples", "not JSON"),
        ("c", "submit", r#"{"code":"x = 1"}"#),
        ("d", "run_examples", r#"{"code":"x = 2"}"#),
    ]));
    assert_eq!(need, Need::Nothing);
    let record = episode.finish().record;
    let told: Vec<_> = record.messages[2..]
        .iter()
        .map(|said| (said.tool_call_id.as_deref().unwrap(), said.content.as_str()))
        .collect();
    assert_eq!(told[0], ("a", "there is no tool \"cheat\": use run_examples or submit"));
    assert!(told[1].0 == "b" && told[1].1.starts_with("the arguments are malformed: "), "{told:?}");
    assert_eq!(told[2], ("d", "not run: the answer was submitted"));
    assert_eq!(record.answer, Answer::Program("x = 1".to_owned()));
}

#[test]
fn the_last_turn_is_asked_to_submit_and_offers_what_the_task_offers() {
    let task = Task { tools: task().tools[1..].to_vec(), ..task() };
    let (mut episode, need) = begin(&task, Acting::Tools);
    assert_eq!(request(need).tools, task.tools);
    // A tool that is not offered is refused, whatever the environment knows.
    let second = request(episode.next(runs(0, WRONG, vec![])));
    let refused = "there is no tool \"run_examples\": use submit";
    assert_eq!(second.messages.last().unwrap().content, refused);
    let last = request(episode.next(runs(1, WRONG, vec![])));
    assert_eq!(last.tool_choice, ToolChoice::Tool("submit".to_owned()));
    assert_eq!(last.tools, task.tools);
}

#[test]
fn a_model_that_acts_in_text_is_told_how_and_by_the_user() {
    let task = task();
    let (mut episode, need) = begin(&task, Acting::Text);
    let first = request(need);
    assert!(first.tools.is_empty());
    let how =
        "Answer with one fenced code block. Write a Python function. Start with: def solve(x):";
    assert_eq!(first.messages[0].content, format!("{}\n\n{how}", task.instruction()));
    let says =
        |text: &str| completed(Message { role: Role::Assistant, ..Message::user(text) }, vec![]);
    let second = request(episode.next(says("I cannot.")));
    let told = second.messages.last().unwrap();
    assert_eq!(told.role, Role::User);
    assert_eq!(told.content, format!("Your answer holds no program. {how}"));
    let need = episode.next(says(&format!("```python\n{RIGHT}```")));
    assert!(matches!(need, Need::Run { .. }), "{need:?}");
    assert_eq!(ran(&mut episode, [6, 120, 1]), Need::Nothing);
    let record = episode.finish().record;
    assert_eq!((record.stop, record.turns.len()), (StopReason::Submitted, 2));
    assert_eq!(record.answer, Answer::Program(RIGHT.to_owned()));
}

/// A run that the sandbox ended is told as far as it came, and nothing more is asked.
#[test]
fn a_fault_ends_the_episode_with_what_was_seen() {
    let task = task();
    let (mut episode, _) = begin(&task, Acting::Tools);
    episode.next(runs(0, WRONG, vec![]));
    let gone = InvalidReason::Infrastructure { detail: "the pool is gone".to_owned() };
    assert_eq!(episode.next(Event::Failed(gone.clone())), Need::Nothing);
    let outcome = episode.finish();
    assert_eq!(outcome.fault, Some(gone));
    assert_eq!(outcome.record.stop, StopReason::Faulted);
    let told = outcome.record.messages.last().unwrap();
    assert_eq!(told.content, "the program was not run: its session had ended");
}
