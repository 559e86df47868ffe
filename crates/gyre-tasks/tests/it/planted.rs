//! Families with one thing wrong each, and the reason that they get.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use gyre_tasks::{
    CheckPlan, Family, Generation, Reason, TaskError, TaskRequest, check_family, generate_tasks,
};
use gyre_types::Seed;

use crate::execute;

const MANIFEST: &str = r#"
name = "planted"
version = 1
description = "A family with one thing wrong."
difficulty = { min = 1, max = 1 }
limits = { fuel_max = 50_000_000 }
"#;

/// A family that is fine: each variation below replaces one piece of it.
const GENERATOR: &str = r#"
import random

def compose(seed, difficulty, options):
    return {"composition": ["next"], "skills": [], "spec": {"by": seed % 1000003}}

def generate(spec):
    by = spec["by"]
    expect = lambda n: n + by
    hidden = [[[n], expect(n)] for n in range(5)]
    return {
        "instruction": "Add %d." % by,
        "visible": [[[9], expect(9)]],
        "hidden": hidden,
        "reference": "def solve(n):\n    return n + %d\n" % by,
        "failures": [
            "def solve(n):\n    return n\n",
            "def solve(n):\n    return n + %d\n" % (by + 1),
            "def solve(n):\n    return float(n + %d)\n" % by,
        ],
    }
"#;

fn family_of(manifest: &str, generator: &str) -> (tempfile::TempDir, Result<Family, TaskError>) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("planted");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("family.toml"), manifest).unwrap();
    fs::write(dir.join("generate.py"), generator).unwrap();
    let family = Family::load(&dir);
    (folder, family)
}

fn with(old: &str, new: &str) -> Family {
    assert!(GENERATOR.contains(old), "{old}");
    family_of(MANIFEST, &GENERATOR.replacen(old, new, 1)).1.unwrap()
}

fn attempt(family: &Family) -> Generation {
    let request = TaskRequest::new(Seed(5), 1, None);
    generate_tasks(family, &[request], &HashSet::new(), execute).unwrap()
}

fn refusal(old: &str, new: &str) -> (Reason, String) {
    let family = with(old, new);
    let refusal = attempt(&family).tasks.remove(0).unwrap_err();
    (refusal.reason, refusal.detail)
}

#[test]
fn the_control_is_admitted() {
    let family = family_of(MANIFEST, GENERATOR).1.unwrap();
    assert_eq!(attempt(&family).report.admitted, 1);
}

#[test]
fn wrong_tasks_are_refused_with_the_reason() {
    for (old, new, reason, detail) in [
        (
            "return n + %d\\n\" % by,\n        \"fail",
            "return n * %d\\n\" % by,\n        \"fail",
            Reason::ReferenceFails,
            "visible[0]: expected",
        ),
        (
            "\"def solve(n):\\n    return n + %d\\n\" % by",
            "\"def solve(n)\\n\"",
            Reason::ReferenceFails,
            "SyntaxError: expected",
        ),
        (
            "return float(n + %d)",
            "return (n + %d)",
            Reason::FailurePasses,
            "failures[2] passes every hidden case",
        ),
        (
            "        \"failures\": [\n",
            "        \"failures\": [][:0] and [\n",
            Reason::Schema,
            "0 failure cases, fewer than 3",
        ),
        ("\"hidden\": hidden", "\"hiden\": hidden", Reason::Schema, "unknown key 'hiden'"),
        (
            "\"visible\": [[[9], expect(9)]]",
            "\"visible\": [[9, expect(9)]]",
            Reason::Schema,
            "visible: [0]: arguments: int instead of a list",
        ),
        (
            "[[n], expect(n)]",
            "[[n], {n: object()}]",
            Reason::Schema,
            "returned no comparable value",
        ),
        (
            "\"composition\": [\"next\"]",
            "\"composition\": []",
            Reason::Schema,
            "compose: composition is empty",
        ),
        (
            "expect = lambda n: n + by",
            "expect = lambda n: None",
            Reason::Trivial,
            "returns None passes",
        ),
        (
            "expect = lambda n: n + by",
            "expect = lambda n: n",
            Reason::Trivial,
            "returns its first argument passes",
        ),
        (
            "expect = lambda n: n + by",
            "expect = lambda n: 7",
            Reason::Trivial,
            "always returns the same value",
        ),
        (
            "\"visible\": [[[9], expect(9)]]",
            "\"visible\": hidden",
            Reason::VisibleOnly,
            "arguments of a visible one",
        ),
        (
            "    by = spec[\"by\"]\n",
            "    by = spec[\"nothing\"]\n",
            Reason::GeneratorRaised,
            "File \"generate.py\", line 8, in generate",
        ),
        (
            "    by = spec[\"by\"]\n",
            "    while True: pass\n",
            Reason::GeneratorDied,
            "ran out of fuel",
        ),
        (
            "    by = spec[\"by\"]\n",
            "    return {'refused': 'Too dull: nobody asks'}\n",
            Reason::Declined("too_dull".to_owned()),
            "nobody asks",
        ),
    ] {
        let (got, text) = refusal(old, new);
        assert_eq!(got, reason, "{new}: {text}");
        assert!(text.contains(detail), "{new}: {text}");
    }
}

#[test]
fn a_failure_is_not_judged_by_what_another_program_left() {
    // It defines nothing: the reference's own `solve` must not stand in for it.
    let family = with("\"def solve(n):\\n    return n\\n\",", "\"x = 1\",");
    assert_eq!(attempt(&family).report.admitted, 1);
}

#[test]
fn a_failure_that_kills_its_guest_leaves_the_next_to_be_judged() {
    let bomb = "\"def solve(n):\\n    while True: pass\\n\",";
    let family = with("\"def solve(n):\\n    return n\\n\",", bomb);
    assert_eq!(attempt(&family).report.admitted, 1);
    let both = GENERATOR.replacen("\"def solve(n):\\n    return n\\n\",", bomb, 1).replacen(
        "return float(n + %d)",
        "return (n + %d)",
        1,
    );
    let family = family_of(MANIFEST, &both).1.unwrap();
    let refusal = attempt(&family).tasks.remove(0).unwrap_err();
    assert_eq!(refusal.to_string(), "failure_passes: failures[2] passes every hidden case");
}

#[test]
fn a_generator_that_remembers_is_found_out() {
    let counting = GENERATOR.replacen(
        "def generate(spec):\n    by = spec[\"by\"]\n",
        "calls = []\n\ndef generate(spec):\n    calls.append(1)\n    by = spec[\"by\"] + len(calls)\n",
        1,
    );
    let family = family_of(MANIFEST, &counting).1.unwrap();
    let plan = CheckPlan { seed: Seed(1), tasks_per_level: 4 };
    let report = check_family(&family, plan, execute).unwrap();
    assert!(!report.is_clean());
    assert!(report.levels[0].refused.contains_key(&Reason::Nondeterministic), "{report:?}");
    assert!(report.problems.iter().any(|p| p.contains("x nondeterministic")), "{report:?}");
}

#[test]
fn a_check_names_what_must_be_put_right() {
    let family = with("return float(n + %d)", "return (n + %d)");
    let plan = CheckPlan { seed: Seed(1), tasks_per_level: 2 };
    let report = check_family(&family, plan, execute).unwrap();
    let expected =
        "difficulty 1: 8 x failure_passes, such as: failures[2] passes every hidden case";
    assert_eq!(report.problems[0], expected);
    assert!(report.problems[1].contains("2 of 2 tasks cannot be had"), "{:?}", report.problems);
}

#[test]
fn a_generator_that_cannot_be_loaded_is_shown_with_its_line() {
    let family = family_of(MANIFEST, "import nothing_here\n").1.unwrap();
    let request = TaskRequest::new(Seed(5), 1, None);
    let error = generate_tasks(&family, &[request], &HashSet::new(), execute).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the generator of family planted cannot be loaded"), "{text}");
    assert!(text.contains("File \"generate.py\", line 1"), "{text}");
}

#[test]
fn neighbours_can_be_imported() {
    let (folder, _) = family_of(
        MANIFEST,
        &GENERATOR.replacen("import random", "import steps", 1).replacen(
            "[\"next\"]",
            "[steps.NAME]",
            1,
        ),
    );
    let dir = folder.path().join("planted");
    fs::write(dir.join("steps.py"), "import more\nNAME = more.name()\n").unwrap();
    fs::write(dir.join("more.py"), "def name():\n    return 'from_a_neighbour'\n").unwrap();
    let family = Family::load(&dir).unwrap();
    let task = attempt(&family).tasks.remove(0).unwrap().task;
    assert_eq!(task.composition.0, ["from_a_neighbour"]);
}

#[test]
fn manifests_are_read_strictly() {
    let refused = |manifest: &str, text: &str| {
        let error = family_of(manifest, GENERATOR).1.unwrap_err().to_string();
        assert!(error.contains("family.toml is not valid") && error.contains(text), "{error}");
    };
    refused(&MANIFEST.replace("version = 1", "version = 1\nvesion = 2"), "unknown field `vesion`");
    refused(&MANIFEST.replace("version = 1", "version = \"one\""), "invalid type: string");
    refused(&MANIFEST.replace("planted", "other"), "the folder is \"planted\"");
    refused(&MANIFEST.replace("min = 1", "min = 2"), "difficulty.min is above difficulty.max");
    refused(&MANIFEST.replace("fuel_max", "fuel"), "unknown field `fuel`");
    refused(
        &format!("{MANIFEST}\n[comparison.float_tolerance]\nrelative = 2.0\n"),
        "a float tolerance must be finite",
    );
    let missing = Family::load(Path::new("/nowhere/planted")).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read /nowhere/planted/family.toml");
}

#[test]
fn the_digest_covers_every_file() {
    let (folder, family) = family_of(MANIFEST, GENERATOR);
    let dir = folder.path().join("planted");
    let before = family.unwrap().digest;
    assert_eq!(Family::load(&dir).unwrap().digest, before);
    fs::create_dir(dir.join("__pycache__")).unwrap();
    fs::write(dir.join("__pycache__/x.pyc"), "cache").unwrap();
    assert_eq!(Family::load(&dir).unwrap().digest, before);
    fs::write(dir.join("words.txt"), "a b c").unwrap();
    assert_ne!(Family::load(&dir).unwrap().digest, before);
}
