//! Faults of those who judge, a thousand random programs for each: not one may
//! be recorded as a pass or a fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gyre_types::Seed;
use serde_json::{Value, json};

use crate::audits::{Bench, register_as, scorecard};
use crate::bad_input::in_namespace;
use crate::judging::VERIFY;
use crate::plugin_fixture::{Returned, declines, verifier};
use crate::support::{gyre, json_lines, on};

/// Random programs for each fault.
const GUESTS: u64 = 1_000;
/// Fewer where each burns all of its fuel, which is a second of this machine.
const GUESTS_OF_A_LOOP: u64 = 12;
const SEED: Seed = Seed(20_261_125);

/// Ways to answer the bench's one task, right and wrong; `{n}` is a number.
const PROGRAMS: [&str; 12] = [
    "def solve(numbers):\n    return 3 * sum(n for n in numbers if n > 2)  # {n}\n",
    "def solve(numbers):\n    total = {n} - {n}\n    for n in numbers:\n        if n > 2:\n            total += 3 * n\n    return total\n",
    "def solve(numbers):\n    return {n}\n",
    "def solve(numbers):\n    return [numbers, {n}, 'x' * ({n} % 500)]\n",
    "def solve(numbers):\n    return 1 / ({n} - {n})\n",
    "def solve(numbers):\n    print('spam' * ({n} % 90))\n    return 24\n",
    "import random, time\ndef solve(numbers):\n    time.sleep({n})\n    return random.random()\n",
    "def solve(numbers):\n    raise SystemExit({n} % 256)\n",
    "import os\nos._exit({n} % 256)\n",
    "def solve(numbers):\n    return solve(numbers + [{n}])\n",
    "def solve(numbers:\n    return {n}\n",
    "def solve(numbers):\n    return float('nan') if {n} % 2 else None\n",
];

/// Writes so many random programs, and gives their names in the folder.
fn programs(folder: &Path, count: u64) -> Vec<String> {
    let write = |at: u64| {
        let random = SEED.derive("program", &[at]).0;
        let program = PROGRAMS[(random % PROGRAMS.len() as u64) as usize];
        let name = format!("{at}.py");
        // Each differs from every other, so that each is judged.
        let number = (at + 1 + 10_000 * (random >> 32 & 0xff)).to_string();
        fs::write(folder.join(&name), program.replace("{n}", &number)).unwrap();
        name
    };
    (0..count).map(write).collect()
}

/// The bench's task with this verifier, in a file.
fn task(bench: &Bench, name: &str, declaration: &Value, python: Option<&str>) -> PathBuf {
    bench.declares("kind = 'python'\n");
    fs::write(bench.family.join("verify.py"), VERIFY).unwrap();
    let family = bench.family.to_str().unwrap();
    let mut file = on(&bench.data, ["task", "show", family, "--json"]).ok().json();
    file["verifier"] = json!({ "declaration": declaration, "python": python });
    if python.is_none() {
        file["verifier"].as_object_mut().unwrap().remove("python");
    }
    let path = bench.folder.path().join(format!("{name}.json"));
    fs::write(&path, file.to_string()).unwrap();
    path
}

fn by_python(bench: &Bench, name: &str, source: &str, fuel_max: u64) -> PathBuf {
    let limits = json!({ "fuel_max": fuel_max });
    let declaration = json!({ "kind": "python", "file": "verify.py", "limits": limits });
    task(bench, name, &declaration, Some(source))
}

fn judge(bench: &Bench, folder: &Path, task: &Path, names: &[String]) -> Command {
    let mut command = gyre();
    command.current_dir(folder).arg("--data-dir").arg(&bench.data);
    command.args(["judge", "--json", "--task"]).arg(task).args(names);
    command
}

/// What was said of each answer.
fn verdicts(stdout: &str) -> BTreeMap<String, Value> {
    let one = |line: Value| {
        let answer = line["answer"].as_str().unwrap().to_owned();
        (answer, line["judgement"]["verdict"].clone())
    };
    json_lines(stdout).into_iter().map(one).collect()
}

fn count(verdicts: &BTreeMap<String, Value>, kind: &str) -> usize {
    verdicts.values().filter(|verdict| verdict["verdict"] == kind).count()
}

#[test]
fn no_fault_of_a_verifier_is_a_pass_or_a_fail() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let names = programs(folder.path(), GUESTS);
    let judged = |task: &Path, names: &[String]| {
        let output = judge(&bench, folder.path(), task, names).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(62), "{stderr}");
        let verdicts = verdicts(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(verdicts.len(), names.len());
        verdicts
    };
    let ample = 10_000_000_000;
    let sound = judged(&by_python(&bench, "sound", VERIFY, ample), &names);
    assert!(count(&sound, "pass") > 100 && count(&sound, "fail") > 500, "{sound:#?}");
    assert_eq!(count(&sound, "invalid"), 0, "{sound:#?}");

    let returned = |from: &str, to: &str| VERIFY.replace(from, to);
    let python = [
        ("raises", returned("    checks = []\n", "    raise KeyError('x')\n"), "raised KeyError"),
        ("hangs", returned("    checks = []\n", "    while True: pass\n"), "fuel"),
        ("says-nan", returned("'score': share", "'score': float('nan')"), "NaN"),
        ("exits", returned("    checks = []\n", "    raise SystemExit(0)\n"), "SystemExit"),
        ("says-pass", returned("    checks = []\n", "    return 'PASS'\n"), "instead of"),
    ];
    for (name, source, words) in &python {
        let fuel_max = if *name == "hangs" { 60_000_000 } else { ample };
        all_invalid(name, words, &judged(&by_python(&bench, name, source, fuel_max), &names));
    }

    let card = scorecard(bench.folder.path());
    let nan = Returned { score: f64::NAN, ..Returned::default() };
    let components = [
        ("traps", verifier("", "unreachable"), "trapped", GUESTS),
        ("declines", declines("no"), "an error instead of a report", GUESTS),
        ("gives-nan", nan.always(), "NaN", GUESTS),
        ("loops", verifier("", "(loop $on (br $on)) unreachable"), "it loops", GUESTS_OF_A_LOOP),
    ];
    for (name, bytes, words, guests) in &components {
        register_as(&bench.data, name, bytes, &card);
        let declaration = json!({ "kind": "component", "use": name });
        let task = task(&bench, name, &declaration, None);
        all_invalid(name, words, &judged(&task, &names[..*guests as usize]));
    }
}

#[track_caller]
fn all_invalid(name: &str, words: &str, verdicts: &BTreeMap<String, Value>) {
    for (answer, verdict) in verdicts {
        assert_eq!(verdict["verdict"], "invalid", "{name}, {answer}: {verdict}");
        assert_eq!(verdict["reason"]["kind"], "verifier", "{name}, {answer}: {verdict}");
        let detail = verdict["reason"]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{name}, {answer}: no {words:?} in {detail}");
    }
}

/// The verdicts where nothing happens: some of each.
#[track_caller]
fn undisturbed(
    bench: &Bench,
    folder: &Path,
    task: &Path,
    names: &[String],
) -> BTreeMap<String, Value> {
    let judged = judge(bench, folder, task, names).output().unwrap();
    let expected = verdicts(&String::from_utf8(judged.stdout).unwrap());
    assert!(count(&expected, "pass") > 100 && count(&expected, "fail") > 500);
    expected
}

#[test]
fn no_killed_worker_is_a_pass_or_a_fail() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let names = programs(folder.path(), GUESTS);
    let task = by_python(&bench, "sound", VERIFY, 10_000_000_000);
    let expected = undisturbed(&bench, folder.path(), &task, &names);

    let mut command = judge(&bench, folder.path(), &task, &names);
    let into = fs::File::create(folder.path().join("verdicts")).unwrap();
    command.stdin(Stdio::null()).stdout(into).stderr(Stdio::null());
    let mut judging = command.spawn().unwrap();
    let mut killed = 0;
    while judging.try_wait().unwrap().is_none() {
        killed += kill_busy_children(judging.id());
    }
    let found = verdicts(&fs::read_to_string(folder.path().join("verdicts")).unwrap());
    assert!(killed >= 5, "only {killed} workers were killed");
    assert_eq!(found.len(), names.len());
    let mut right = 0;
    for (answer, verdict) in &found {
        if *verdict == expected[answer] {
            right += 1;
        } else {
            assert_eq!(verdict["reason"]["kind"], "infrastructure", "{answer}: {verdict}");
        }
    }
    assert!(right > names.len() / 2, "{right} of {} were judged in spite of it", names.len());
}

/// Where neither the data folder, nor the folder for temporary files, nor that
/// of the answers has a byte left.
#[test]
fn no_full_disk_is_a_pass_or_a_fail() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let names = programs(folder.path(), GUESTS);
    let task = by_python(&bench, "sound", VERIFY, 10_000_000_000);
    let expected = undisturbed(&bench, folder.path(), &task, &names);

    let place = tempfile::tempdir().unwrap();
    let [disk, cut, whole] = ["disk", "cut", "whole"].map(|name| place.path().join(name));
    fs::create_dir(&disk).unwrap();
    fs::create_dir_all(&bench.data).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64m tmpfs \"$2\"; mkdir \"$2/tmp\"; \
         cp -a \"$3\" \"$2/answers\"; cp -a \"$4\" \"$2/data\"; \
         cat /dev/zero > \"$2/rest\" 2> \"$6.full\" || true; grep -q 'No space' \"$6.full\"; \
         cd \"$2/answers\"; export TMPDIR=\"$2/tmp\"; \
         judge() {{ \"$gyre\" --data-dir ../data judge --json --task \"$task\" {}; }}; \
         gyre=$1 task=$5 disk=$2 whole=$6 cut=$7 code=0; \
         judge > \"$whole\" 2> \"$whole.said\" || code=$?; test $code = 62; \
         judge > \"$disk/cut\" || code=$?; cp \"$disk/cut\" \"$cut\"; exit $code",
        names.join(" ")
    );
    let args: [&Path; 6] = [&disk, folder.path(), &bench.data, &task, &whole, &cut];
    // What was judged and cannot be written is an error of the command.
    in_namespace(&script, &args).fails(40, &["free some space"]);

    let found = verdicts(&fs::read_to_string(&whole).unwrap());
    assert_eq!(found.len(), names.len());
    for (answer, verdict) in &found {
        let excused = verdict["reason"]["kind"] == "infrastructure";
        assert!(*verdict == expected[answer] || excused, "{answer}: {verdict}");
    }
    let right = found.iter().filter(|(answer, verdict)| **verdict == expected[*answer]).count();
    assert!(right > names.len() / 2, "{right} of {} were judged in spite of it", names.len());
    // Nor is anything wrong in what came out before there was no room.
    for line in fs::read_to_string(&cut).unwrap().lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let answer = line["answer"].as_str().unwrap();
        assert_eq!(line["judgement"]["verdict"], expected[answer], "{answer}");
    }
}

/// Kills each worker of a process that has worked for a tenth of a second.
fn kill_busy_children(parent: u32) -> usize {
    let children = Command::new("pgrep").args(["-P", &parent.to_string()]).output();
    let children = String::from_utf8(children.expect("pgrep is needed").stdout).unwrap();
    let busy = |child: &&str| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        // After the name: state, …; the time in user mode is the twelfth, in hundredths.
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        fields.split(' ').nth(11).and_then(|ticks| ticks.parse().ok()).unwrap_or(0) >= 10_u32
    };
    let kill = |child: &str| Command::new("kill").args(["-9", child]).status();
    children.lines().filter(busy).filter(|child| kill(child).is_ok_and(|s| s.success())).count()
}
