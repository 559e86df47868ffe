use std::collections::HashSet;

use gyre_tasks::{TaskFile, TaskRequest, generate_tasks};
use gyre_types::Seed;

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
    refused("\"format\": 1", "\"format\": 2", "format: 2 is not known; this version reads 1");
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
