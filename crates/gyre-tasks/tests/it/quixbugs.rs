//! Small programs, each with a version that has one bug, in the layout of the
//! QuixBugs benchmark: the correct one passes, the other fails.

use std::fs;
use std::path::{Path, PathBuf};

use gyre_tasks::{CheckPlan, Family, StaticTask, check_family};
use gyre_types::{Case, Seed, Value};

use crate::execute;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/quixbugs")
}

/// One line of `cases/NAME.json`: `[[arguments], expected]`.
fn case(line: &str) -> Case {
    let (args, expect): (Vec<Value>, Value) = serde_json::from_str(line).unwrap();
    Case { args, expect }
}

fn task(name: &str) -> StaticTask {
    let read = |path: String| fs::read_to_string(data().join(path)).unwrap();
    StaticTask {
        name: name.to_owned(),
        difficulty: 1,
        skills: Vec::new(),
        instruction: format!("Write the function {name}."),
        entry: name.to_owned(),
        visible: Vec::new(),
        hidden: read(format!("cases/{name}.json")).lines().map(case).collect(),
        comparison: None,
        reference: read(format!("correct/{name}.py")),
        failures: vec![read(format!("buggy/{name}.py"))],
    }
}

#[test]
fn correct_programs_pass_and_each_with_one_bug_fails() {
    let mut names: Vec<String> = fs::read_dir(data().join("correct"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 20, "{names:?}");

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("bugs");
    fs::create_dir(&dir).unwrap();
    let manifest = "name = 'bugs'\nversion = 1\ndescription = 'One bug each.'\n\
                    source = 'static'\ndifficulty = { min = 1, max = 1 }\n";
    fs::write(dir.join("family.toml"), manifest).unwrap();
    let line = |name: &String| serde_json::to_string(&task(name)).unwrap() + "\n";
    fs::write(dir.join("tasks.jsonl"), names.iter().map(line).collect::<String>()).unwrap();

    let family = Family::load(&dir).unwrap();
    let plan = CheckPlan { seed: Seed(1), tasks_per_level: 1 };
    let report = check_family(&family, plan, execute).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    let (level, all) = (&report.levels[0], names.len() as u64);
    assert_eq!((level.admitted, level.references_passed), (all, all));
    assert_eq!((level.failures_rejected, level.failures_accepted), (all, 0));
}
