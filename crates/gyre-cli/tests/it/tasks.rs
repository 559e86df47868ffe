//! Writing, checking, judging and importing tasks.

use std::fs;
use std::path::Path;

use crate::support::{gyre, repository, run, text};

fn task<'a>(folder: &Path, args: impl IntoIterator<Item = &'a str>) -> crate::support::Ran {
    run(gyre().arg("task").args(args).arg("--tasks-dir").arg(folder))
}

#[test]
fn a_new_family_is_sound_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let said = task(folder.path(), ["new", "sums"]).ok().stdout;
    assert!(said.contains("generate.py") && said.contains("gyre task check sums"), "{said}");
    let said = task(folder.path(), ["check", "sums"]).ok().stdout;
    assert!(said.contains("clean: every reference passes"), "{said}");
    let report = task(folder.path(), ["check", "sums", "--json"]).ok().json();
    assert_eq!(report["problems"].as_array().map(Vec::len), Some(0), "{report:#}");
    let said = task(folder.path(), ["ls"]).ok().stdout;
    assert!(said.contains("sums"), "{said}");
    // Nobody's work is written over.
    task(folder.path(), ["new", "sums"]).fails(61, &["sums"]);
}

#[test]
fn a_family_that_is_wrong_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let family = folder.path().join("wrong");
    fs::create_dir(&family).unwrap();
    fs::write(
        family.join("family.toml"),
        "name = \"wrong\"\nversion = 1\ndescription = \"Its reference is wrong\"\n\
         difficulty = { min = 1, max = 1 }\n",
    )
    .unwrap();
    fs::write(family.join("generate.py"), "def generate(seed, difficulty):\n    return {}\n")
        .unwrap();
    task(folder.path(), ["check", "wrong"]).fails(61, &["wrong"]);
    task(folder.path(), ["check", "absent"]).fails(61, &["absent"]);
}

/// A new family with one thing in its generator replaced by another.
fn changed(from: &str, to: &str) -> crate::support::Ran {
    let folder = tempfile::tempdir().unwrap();
    task(folder.path(), ["new", "sums"]).ok();
    let generator = folder.path().join("sums/generate.py");
    let sound = fs::read_to_string(&generator).unwrap();
    assert_eq!(sound.matches(from).count(), 1, "no {from:?} in {sound}");
    fs::write(&generator, sound.replace(from, to)).unwrap();
    task(folder.path(), ["check", "sums", "-n", "5"])
}

#[test]
fn a_family_with_wrong_answers_is_refused_with_the_reason() {
    let reference = r#""reference": "def solve(numbers):\n    return None\n","#;
    let ran = changed(r#""reference": reference,"#, reference).fails(61, &["sums is not sound"]);
    assert!(ran.stdout.contains("reference_fails"), "{ran:#?}");
    assert!(ran.stdout.contains("got None"), "{ran:#?}");

    let failure = r##"reference + "# the same\n","##;
    let ran =
        changed("program(keep, change, others[0]),", failure).fails(61, &["sums is not sound"]);
    assert!(ran.stdout.contains("failure_passes"), "{ran:#?}");
}

#[test]
fn programs_are_judged_against_a_task_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let shown = run(gyre().args(["task", "show", "everyday", "--json"])).ok();
    fs::write(path("task.json"), &shown.stdout).unwrap();
    let file = shown.json();
    let entry = text(&file["task"]["environment"]["program"], "entry");
    fs::write(path("reference.py"), text(&file["key"]["program"], "reference")).unwrap();
    fs::write(path("stub.py"), format!("def {entry}(*args):\n    pass\n")).unwrap();
    fs::write(path("liar.py"), "print('PASS')\nraise SystemExit(0)\n").unwrap();
    fs::write(path("endless.py"), "while True:\n    pass\n").unwrap();
    fs::write(path("latin.py"), b"# caf\xe9\n").unwrap();

    let judge = |names: &[&str]| {
        let mut command = gyre();
        command.args(["judge", "--json", "--task"]).arg(path("task.json"));
        run(command.args(names.iter().map(|name| path(name))))
    };
    let ran = judge(&["reference.py"]).ok();
    assert_eq!(ran.json()["judgement"]["verdict"]["verdict"], "pass");
    // One that is not UTF-8 ends nothing but itself.
    let ran = judge(&["latin.py", "reference.py", "stub.py", "liar.py", "endless.py"])
        .fails(62, &["4 of 5 answers did not pass"]);
    let verdicts: Vec<_> = ran
        .json_lines()
        .iter()
        .map(|line| text(&line["judgement"]["verdict"], "verdict").to_owned())
        .collect();
    assert_eq!(verdicts, ["fail", "pass", "fail", "fail", "fail"]);
    judge(&["absent.py"]).fails(42, &["absent.py"]);
}

#[test]
fn tasks_in_the_humaneval_format_become_a_family() {
    let folder = tempfile::tempdir().unwrap();
    let sample = repository().join("crates/gyre-tasks/tests/data/humaneval_sample.jsonl");
    let tasks = fs::read_to_string(&sample).unwrap().lines().count();
    let sample = sample.to_string_lossy().into_owned();
    let args = ["import", "--format", "humaneval", &sample, "--name", "sample", "--json"];
    let imported = task(folder.path(), args).ok().json();
    // Of two the tests ask for more than equality.
    assert_eq!(imported["imported"].as_u64(), Some(tasks as u64 - 2), "{imported:#}");
    let refused: Vec<_> =
        imported["refused"].as_array().unwrap().iter().map(|r| text(r, "task")).collect();
    assert_eq!(refused, ["Sample/8", "Sample/11"]);
    let said = task(folder.path(), ["check", "sample"]).ok().stdout;
    assert!(said.contains("clean"), "{said}");
}

/// What an answer raises or returns is shown to people, who must be able to
/// believe their terminals.
#[test]
fn a_judged_answer_cannot_write_on_the_terminal() {
    let corpus = repository().join("crates/gyre-verify/corpus");
    let attacks = fs::read_dir(corpus.join("attacks/viewer_text")).unwrap();
    let mut escapes = 0;
    for attack in attacks.map(|entry| entry.unwrap().path()) {
        let source = fs::read_to_string(&attack).unwrap();
        let task = source.lines().find_map(|line| line.strip_prefix("# task: ")).unwrap();
        let mut command = gyre();
        command.arg("judge").arg("--task").arg(corpus.join(format!("tasks/{task}.json")));
        let ran = run(command.arg(&attack)).fails(62, &["1 of 1 answers did not pass"]);
        let shown = format!("{}{}", ran.stdout, ran.stderr);
        let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!shown.chars().any(obeyed), "{}: {shown:?}", attack.display());
        escapes += usize::from(shown.contains("\\u001b") || shown.contains("\\x1b"));
    }
    // The others never get to say anything that a person is shown.
    assert!(escapes >= 3, "{escapes} answers tried");
}

#[test]
fn the_corpus_prints_both_tables() {
    let ran = run(gyre().args(["verifier", "corpus"])).ok();
    for shown in ["early exit", "planted code", "viewer text", "odd but right", "judged as before"]
    {
        assert!(ran.stdout.contains(shown), "{shown} is not in {}", ran.stdout);
    }
    // Prepared folders were made: those of other users where root runs the tests.
    let not_tried = ran.stdout.matches("only root can make files of another user").count();
    assert!(not_tried == 0 || not_tried == 3, "{}", ran.stdout);
    let row = ran.stdout.lines().find(|line| line.contains("planted code")).unwrap();
    let counts: Vec<usize> = row.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let tried = 15 - not_tried;
    assert_eq!(counts, [tried, 0, 0, tried], "{row}");
    let folder = tempfile::tempdir().unwrap();
    task(folder.path(), ["new", "credulous"]).ok();
    let family = folder.path().join("credulous");
    let manifest = fs::read_to_string(family.join("family.toml")).unwrap();
    let declared = format!("{manifest}\n[verifier]\nkind = \"python\"\nfile = \"verify.py\"\n");
    fs::write(family.join("family.toml"), declared).unwrap();
    let yes = "def verify(outcome):\n    return {'passed': True, 'score': 1, 'checks': [{'name': \
               'yes', 'passed': True, 'weight': 1, 'detail': ''}], 'metrics': {}}\n";
    fs::write(family.join("verify.py"), yes).unwrap();
    let mut command = gyre();
    command.args(["verifier", "corpus", "--verifier", "credulous", "--tasks-dir"]);
    let ran = run(command.arg(folder.path())).fails(63, &["accepted", "attacks"]);
    assert!(ran.stdout.contains("problem: early_exit/exit_at_import"), "{}", ran.stdout);
}
