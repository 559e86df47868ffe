//! Verifiers of families' own: in a run, on the command line, and at fault.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gyre_types::Digest;
use serde_json::json;

use crate::support::{Ran, clean_state, copy, gyre, on, repository, run, sql, text};

/// Compares, in `verify.py` and in a command alike.
pub(crate) const VERIFY: &str = "\
def verify(outcome):
    checks = []
    for case in outcome['cases']:
        result = case['result']
        fine = result['kind'] == 'value' and result['value'] == case['expect']
        detail = '' if fine else result.get('error', 'another value')
        checks.append({'name': case['name'], 'passed': fine, 'weight': 1, 'detail': detail})
    passed = [check['passed'] for check in checks]
    share = sum(passed) / len(passed)
    return {'passed': all(passed), 'score': share, 'checks': checks, 'metrics': {}}
";

pub(crate) const COMMAND: &str = "\
import json, os, sys
assert not set(os.environ) - {'LC_CTYPE'}, os.environ
";

/// The first line of a script for the Python that is at hand, by its full path:
/// a command has no PATH to find it by.
pub(crate) fn first_line() -> String {
    let asked = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .expect("python3 is needed");
    format!("#!{}", String::from_utf8(asked.stdout).unwrap())
}

pub(crate) fn pinned(path: &Path, source: &str) -> Digest {
    fs::write(path, source).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    Digest::of(source.as_bytes())
}

/// A copy of the family `compose` under another name, with a verifier.
pub(crate) fn compose(tasks: &Path, name: &str, verifier: &str) -> PathBuf {
    let dir = tasks.join(name);
    copy(&repository().join("tasks/compose"), &dir);
    let manifest = fs::read_to_string(dir.join("family.toml")).unwrap();
    let named = manifest.replace("name = \"compose\"", &format!("name = \"{name}\""));
    fs::write(dir.join("family.toml"), format!("{named}\n[verifier]\n{verifier}")).unwrap();
    dir
}

/// The small configuration, with families of its own and little to do.
pub(crate) fn config(folder: &Path, families: &[&str], more: &str) -> PathBuf {
    let small = fs::read_to_string(repository().join(crate::support::SMALL)).unwrap();
    let (head, rest) = small.split_once("[[curriculum.families]]").unwrap();
    let (_, rest) = rest.split_once("[held_out]").unwrap();
    let family = |name: &&str| {
        format!(
            "[[curriculum.families]]\nfamily = \"{name}\"\ndifficulty_min = 1\n\
             difficulty_max = 1\ndifficulty_start = 1\nweight = 1\n\n"
        )
    };
    let families: String = families.iter().map(family).collect();
    let tasks = folder.join("tasks");
    let text = format!("{head}{families}[held_out]{rest}\n[tasks]\ndir = {tasks:?}\n{more}")
        .replace("rounds = 2", "rounds = 1")
        .replace("gate = 20", "gate = 6")
        .replace("test = 20", "test = 6")
        .replace("{ 1 = 300 }", "{ 1 = 120 }")
        .replace("tasks_per_round = 24", "tasks_per_round = 12");
    let path = folder.join("own.toml");
    fs::write(&path, text).unwrap();
    path
}

pub(crate) fn start(folder: &Path, config: &Path) -> Ran {
    let config = config.to_string_lossy().into_owned();
    on(&folder.join("data"), ["run", "--json", "--config", &config])
}

#[test]
fn every_way_judges_a_family_in_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = folder.path().join("tasks");
    compose(&tasks, "compose", "kind = 'checks'\nchecks = [{ check = 'exact' }]\n");
    let python = compose(&tasks, "composed", "kind = 'python'\n");
    fs::write(python.join("verify.py"), VERIFY).unwrap();
    let first = first_line();
    let source =
        format!("{first}{COMMAND}{VERIFY}print(json.dumps(verify(json.load(sys.stdin))))\n");
    let draft = compose(&tasks, "commanded", "");
    let sha256 = pinned(&draft.join("judge"), &source);
    let manifest = fs::read_to_string(draft.join("family.toml")).unwrap();
    let table = format!("kind = 'command'\nargv = ['judge']\nsha256 = '{sha256}'\n");
    fs::write(draft.join("family.toml"), manifest + &table).unwrap();
    let families = ["compose", "composed", "commanded"];

    let forbidden = config(folder.path(), &families, "");
    start(folder.path(), &forbidden).fails(63, &["commanded", "allow_commands = true"]);
    let allowed = config(folder.path(), &families, "[verifiers]\nallow_commands = true\n");
    start(folder.path(), &allowed).ok();

    let data = folder.path().join("data");
    clean_state(&data);
    let judged = sql(
        &data,
        "SELECT t.family || ' ' || COUNT(DISTINCT v.verifier_digest) || ' ' || \
         SUM(v.verdict = 'invalid') || ' ' || (COUNT(*) > 4) FROM verdicts v \
         JOIN rollouts r ON r.run = v.run AND r.id = v.rollout \
         JOIN tasks t ON t.run = r.run AND t.id = r.task GROUP BY t.family ORDER BY t.family",
    );
    assert_eq!(judged, "commanded 1 0 1\ncompose 1 0 1\ncomposed 1 0 1\n");
    let verifiers = sql(&data, "SELECT COUNT(DISTINCT verifier_digest) FROM verdicts");
    assert_eq!(verifiers, "3\n");
    // What was judged by a verifier of its own is judged the same again.
    on(&data, ["replay", "--sample", "20"]).ok();

    // Another program under the same name is another verifier.
    pinned(&draft.join("judge"), &(source + "# changed\n"));
    start(folder.path(), &allowed).fails(63, &["commanded", "another program"]);
}

#[test]
fn a_fault_stops_a_run_or_not_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = folder.path().join("tasks");
    let dir = compose(&tasks, "compose", "kind = 'python'\n");
    // Sound on the tasks' own programs, which all give something; at fault on
    // what a policy writes that has hardly learnt to.
    let picky = VERIFY.replace(
        "    checks = []\n",
        "    checks = []\n    if all(c['result']['kind'] == 'error' for c in outcome['cases']):\n\
         \x20       raise RuntimeError('nothing to judge')\n",
    );
    fs::write(dir.join("verify.py"), picky).unwrap();

    let stop = config(folder.path(), &["compose"], "[verifiers]\non_fault = \"stop\"\n");
    start(folder.path(), &stop)
        .fails(64, &["compose", "raised RuntimeError: nothing to judge", "on_fault"]);

    let on = config(folder.path(), &["compose"], "[verifiers]\non_fault = \"continue\"\n");
    start(folder.path(), &on).ok();
    let data = folder.path().join("data");
    let counted = sql(
        &data,
        "SELECT COUNT(*) > 0, MIN(reason LIKE '%\"verifier\"%'), MIN(reason LIKE '%RuntimeError%'), \
         SUM(score IS NOT NULL) FROM verdicts WHERE verdict = 'invalid'",
    );
    assert_eq!(counted, "1|1|1|0\n");
}

/// A task file judged by a command, and an answer.
fn commanded(folder: &Path, source: &str, wall_ms_max: u64) -> PathBuf {
    let shown = run(gyre().args(["task", "show", "everyday", "--json"])).ok();
    let mut file = shown.json();
    fs::write(folder.join("answer.py"), text(&file["key"]["program"], "reference")).unwrap();
    let program = folder.join("judge");
    let sha256 = pinned(&program, source);
    file["verifier"] = json!({ "declaration": {
        "kind": "command", "argv": [program], "sha256": sha256, "wall_ms_max": wall_ms_max,
    } });
    let path = folder.join("task.json");
    fs::write(&path, file.to_string()).unwrap();
    path
}

fn judged(folder: &Path, task: &Path, allow: bool) -> Ran {
    let mut command = gyre();
    command.args(["judge", "--json", "--task"]).arg(task);
    if allow {
        command.arg("--allow-commands");
    }
    run(command.arg(folder.join("answer.py")))
}

/// The others of its batch are judged all the same.
#[test]
fn an_answer_that_is_no_text_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let shown = run(gyre().args(["task", "show", "compose", "--json"])).ok().json();
    let task = folder.path().join("task.json");
    fs::write(&task, shown.to_string()).unwrap();
    let (bad, good) = (folder.path().join("bad.py"), folder.path().join("good.py"));
    fs::write(&bad, b"def solve(x):\n    return '\xff\xfe'\n").unwrap();
    fs::write(&good, text(&shown["key"]["program"], "reference")).unwrap();
    let ran = run(gyre().args(["judge", "--json", "--task"]).args([&task, &bad, &good]));
    assert_eq!(ran.code, Some(62), "{ran:#?}");
    let verdicts: Vec<_> = ran.json_lines().iter().map(verdict).collect();
    assert_eq!(verdicts, ["fail", "pass"], "{ran:#?}");
}

fn verdict(line: &serde_json::Value) -> String {
    text(&line["judgement"]["verdict"], "verdict").to_owned()
}

#[test]
fn a_command_is_run_only_where_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    let report = "{\"passed\":true,\"score\":1,\"metrics\":{},\"checks\":[{\"name\":\"a\",\
                  \"passed\":true,\"weight\":1,\"detail\":\"\"}]}";
    let source = format!("#!/bin/sh\n: > {}\necho '{report}'\n", touched.display());
    let task = commanded(folder.path(), &source, 10_000);
    judged(folder.path(), &task, false).fails(63, &["outside", "--allow-commands"]);
    assert!(!touched.exists());
    let ran = judged(folder.path(), &task, true).ok();
    assert_eq!(ran.json()["judgement"]["verdict"]["verdict"], "pass");
    assert!(touched.exists());
    pinned(&folder.path().join("judge"), "#!/bin/sh\necho yes\n");
    judged(folder.path(), &task, true).fails(63, &["another program"]);
    fs::remove_file(folder.path().join("judge")).unwrap();
    judged(folder.path(), &task, true).fails(63, &["cannot be read"]);
}

#[test]
fn what_a_command_does_wrong_is_invalid_with_its_reason() {
    for (source, words) in [
        ("#!/bin/sh\necho PASS\n", "expected value"),
        ("#!/bin/sh\n", "EOF"),
        ("#!/bin/sh\nexit 0\n", "EOF"),
        ("#!/bin/sh\necho no disk >&2\nexit 3\n", "ended with exit status: 3: no disk"),
        ("#!/bin/sh\nkill -9 $$\n", "signal: 9"),
        ("#!/bin/sh\nwhile :; do :; done\n", "ran longer than 300 ms"),
        ("#!/bin/sh\nsleep 60 & wait\n", "ran longer than 300 ms"),
        ("#!/bin/sh\nexec cat /dev/zero\n", "wrote more than"),
        ("#!/bin/sh\nprintf '\\377'\n", "UTF-8"),
        ("#!/no/such/shell\n", "cannot be started"),
        (
            "#!/bin/sh\necho '{\"passed\":true,\"passed\":true,\"score\":1,\"checks\":[],\
             \"metrics\":{}}'\n",
            "there twice",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        // Long enough for a busy machine, short where it is waited for.
        let wall_ms_max = if words.contains("300 ms") { 300 } else { 60_000 };
        let task = commanded(folder.path(), source, wall_ms_max);
        let ran = judged(folder.path(), &task, true).fails(62, &["1 of 1"]);
        let verdict = &ran.json()["judgement"]["verdict"];
        assert_eq!(verdict["verdict"], "invalid", "{source}: {verdict}");
        assert_eq!(verdict["reason"]["kind"], "verifier", "{source}: {verdict}");
        let detail = text(&verdict["reason"], "detail");
        assert!(detail.contains(words), "{source}: {detail}");
    }
}
