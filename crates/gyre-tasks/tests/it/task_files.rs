use std::collections::HashSet;

use gyre_tasks::{TaskFile, TaskRequest, generate_tasks, task_digest};
use gyre_types::{EnvironmentSpec, Interface, Message, ProgramSpec, Role, Seed, Task};
use gyre_verify::GradingKey;

use crate::{execute, shipped};

fn file() -> TaskFile {
    let request = TaskRequest::new(Seed(2), 2, None);
    let family = shipped("everyday");
    let generation = generate_tasks(&family, &[request], &HashSet::new(), execute);
    TaskFile::new(&family, generation.unwrap().tasks.remove(0).unwrap())
}

#[test]
fn a_file_comes_back_as_it_was() {
    let file = file();
    assert_eq!(TaskFile::parse(&file.to_text().unwrap()).unwrap(), file);
}

#[test]
fn files_are_read_strictly() {
    let file = file();
    let text = file.to_text().unwrap();
    let refused = |old: &str, new: &str, message: &str| {
        assert!(text.contains(old), "{old}");
        let error = TaskFile::parse(&text.replacen(old, new, 1)).unwrap_err();
        assert!(error.contains(message), "{error}");
    };
    refused("\"format\": 2", "\"format\": 3", "format: 3 is not known; this version reads 1 and 2");
    refused(
        "\"difficulty\": 2",
        "\"difficulty\": \"two\"",
        "task.difficulty: invalid type: string",
    );
    refused("\"difficulty\": 2", "\"difficulty\": 2, \"colour\": 1", "unknown field `colour`");
    refused("\"entry\": \"solve\"", "\"entry\": \"other\"", "task.digest: the content's digest is");
    refused("\"failures\": [", "\"failures\": [\"pass\",", "task.key_digest: the key's digest is");
    refused(file.task.id.as_str(), "task-0000000000000000", "task.id: the digest's id is");
    assert!(TaskFile::parse("[]").unwrap_err().starts_with("it is no task file"));
    assert!(TaskFile::parse(&format!("{text}{{}}")).unwrap_err().contains("trailing characters"));
}

/// A file that version 1 of the format wrote, never written again: a task of a
/// program and its key, without their kinds.
const VERSION_1: &str = include_str!("../data/task-file-1.json");

#[test]
fn a_file_of_version_1_reads_and_its_task_keeps_its_id() {
    let file = TaskFile::parse(VERSION_1).unwrap();
    assert_eq!(file.task.id.as_str(), "task-a498eabc6bb37d93");
    assert!(file.task.instruction().starts_with("Write a function solve(n)"));
    let EnvironmentSpec::Program(spec) = &file.task.environment;
    assert_eq!((spec.entry.as_str(), spec.visible.len()), ("solve", 3));
    assert_eq!(file.task.tools, gyre_env::own_tools(&file.task.environment));
    let GradingKey::Program(key) = &file.key;
    assert_eq!((key.hidden.len(), key.failures.len()), (8, 4));
    // What is written today says the same.
    assert_eq!(TaskFile::parse(&file.to_text().unwrap()).unwrap(), file);
    let edited = VERSION_1.replacen("factorial of", "double of", 1);
    assert!(TaskFile::parse(&edited).unwrap_err().starts_with("task.digest: the content's"));
    let newer = VERSION_1.replacen("\"seed\"", "\"tools\": [], \"seed\"", 1);
    assert!(TaskFile::parse(&newer).unwrap_err().contains("unknown field `tools`"));
}

#[test]
fn a_conversation_and_tools_of_its_own_are_part_of_a_tasks_digest() {
    let file = TaskFile::parse(VERSION_1).unwrap();
    let refused = |task: Task| {
        let changed = TaskFile { task, ..file.clone() };
        let error = TaskFile::parse(&changed.to_text().unwrap()).unwrap_err();
        assert!(error.starts_with("task.digest: the content's digest is"), "{error}");
    };
    let system = Message { role: Role::System, ..Message::user("Be brief.") };
    let messages = [vec![system], file.task.messages.clone()].concat();
    refused(Task { messages, ..file.task.clone() });
    refused(Task { tools: file.task.tools[1..].to_vec(), ..file.task.clone() });
}

/// The digests were computed apart from this code, from what version 1 digested.
#[test]
fn a_tasks_digest_is_what_it_was_before_tasks_held_messages() {
    let Task { messages, tools, limits, key_digest, .. } = TaskFile::parse(VERSION_1).unwrap().task;
    let digest = |interface: Interface| {
        let spec = ProgramSpec { entry: "solve".to_owned(), interface, visible: vec![] };
        let environment = EnvironmentSpec::Program(spec);
        task_digest(&messages, &tools, &environment, &limits, &key_digest).short()
    };
    assert_eq!(digest(Interface::Call), "b886261b767c");
    assert_eq!(digest(Interface::Stdio), "9235fdd1f496");
    assert_eq!(digest(Interface::Statements), "0df869aa2852");
}
