//! Recorded tasks of every version stay readable, and mean what they meant.

use gyre_env::{TaskDocument, own_tools, task_from_stored, task_to_stored};
use gyre_types::{EnvironmentSpec, Message, Role, Task, canonical_json};
use serde_json::{Value, json};

use crate::{TASK_1, task};

#[test]
fn a_task_of_version_1_opens_with_its_instruction_and_offers_both_tools() {
    let task = task();
    assert_eq!(task.id.as_str(), "task-a498eabc6bb37d93");
    assert_eq!(task.messages, [Message::user(task.instruction())]);
    assert!(task.instruction().starts_with("Write a function solve(n) that returns the factorial"));
    let EnvironmentSpec::Program(spec) = &task.environment;
    assert_eq!((spec.entry.as_str(), spec.visible.len()), ("solve", 3));
    let names: Vec<_> = task.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["run_examples", "submit"]);
}

#[test]
fn what_the_api_gives_of_a_task_is_what_version_1_recorded() {
    assert_eq!(canonical_json(&TaskDocument(&task())), TASK_1.trim_end());
}

#[test]
fn a_task_comes_back_as_it_was_written() {
    let ordinary = task();
    let stored = task_to_stored(&ordinary).unwrap();
    assert_eq!(stored["version"], 2);
    assert_eq!(stored["environment"]["program"]["entry"], "solve");
    assert_eq!(stored.get("tools"), None, "the environment's own tools are not written");
    assert_eq!(task_from_stored(stored).unwrap(), ordinary);

    let system = Message { role: Role::System, ..Message::user("Be brief.") };
    let unusual = Task {
        messages: vec![system, Message::user("Add one.")],
        tools: own_tools(&ordinary.environment)[1..].to_vec(),
        ..ordinary.clone()
    };
    assert_eq!(unusual.instruction(), "Add one.");
    for task in [unusual, Task { tools: vec![], ..ordinary }] {
        assert_eq!(task_from_stored(task_to_stored(&task).unwrap()).unwrap(), task);
    }
}

#[test]
fn a_task_of_another_version_or_form_is_refused() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut stored = task_to_stored(&task()).unwrap();
        change(&mut stored);
        task_from_stored(stored).unwrap_err().to_string()
    };
    let newer = refused(&|stored| stored["version"] = json!(3));
    assert!(newer.starts_with("it is of version 3, this gyre reads version 2"), "{newer}");
    let unknown = refused(&|stored| stored["colour"] = json!("red"));
    assert!(unknown.contains("unknown field `colour`"), "{unknown}");
    let kind = refused(&|stored| stored["environment"] = json!({ "maze": {} }));
    assert!(kind.contains("unknown variant `maze`"), "{kind}");
    let mixed = refused(&|stored| stored["version"] = json!(1));
    assert!(mixed.contains("unknown field"), "{mixed}");
}
