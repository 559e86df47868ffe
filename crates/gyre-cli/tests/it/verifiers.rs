//! Writing, checking and testing verifiers of one's own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::plugin_fixture::{Returned, assemble, declines, four_bytes, returning, verifier};
use crate::support::{Ran, gyre, repository, run, sql, text};

fn ran<'a>(args: impl IntoIterator<Item = &'a str>, path: &Path) -> Ran {
    run(gyre().arg("verifier").args(args).arg(path))
}

/// A golden case: an answer, and what must be said of it.
fn golden(folder: &Path, name: &str, answer: &str, expect: &str) -> PathBuf {
    let outcome = format!(
        r#"{{"version": 1, "answer": "{answer}", "task": {{"id": "t", "family": "f", "entry": "e",
            "instruction": "i", "visible": []}}, "cases": [{{"name": "hidden[0]", "args": [],
            "expect": 1, "result": {{"kind": "value", "value": 1}}, "stdout": "", "files": {{}}}}]}}"#
    );
    fs::create_dir_all(folder.join("golden")).unwrap();
    let path = folder.join("golden").join(format!("{name}.json"));
    fs::write(&path, format!(r#"{{"expect": {expect}, "outcome": {outcome}}}"#)).unwrap();
    path
}

/// A folder with a verifier that passes answers of four bytes.
fn honest() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("honest.wasm");
    fs::write(&file, four_bytes()).unwrap();
    golden(folder.path(), "four", "1234", r#"{"passed": true, "score": 1}"#);
    golden(folder.path(), "three", "123", r#"{"passed": false}"#);
    (folder, file)
}

#[test]
fn a_new_verifier_is_written_once_in_each_language() {
    let folder = tempfile::tempdir().unwrap();
    for (language, source) in [("rust", "src/lib.rs"), ("python", "app.py"), ("js", "verifier.js")]
    {
        let name = format!("{language}-sums");
        let args = ["new", "--lang", language, &name, "--dir"];
        let said = ran(args, folder.path()).ok().stdout;
        assert!(said.contains(source) && said.contains("gyre verifier test"), "{said}");
        let dir = folder.path().join(&name);
        let manifest = fs::read_to_string(dir.join("verifier.toml")).unwrap();
        assert!(manifest.contains(&name) && !manifest.contains('@'), "{manifest}");
        let wit = fs::read(dir.join("wit/verifier.wit")).unwrap();
        assert_eq!(wit, fs::read(repository().join("sandboxes/wit/verifier.wit")).unwrap());
        ran(args, folder.path()).fails(63, &["is there already"]);
        ran(["check"], &dir).fails(63, &["is not there", "gyre verifier test"]);
    }
    for name in ["", "Sums", "../up", "a b", "1st"] {
        ran(["new", "--lang", "rust", name, "--dir"], folder.path()).fails(63, &["no name"]);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn a_component_is_checked_in_words() {
    let (folder, file) = honest();
    let said = ran(["check"], &file).ok().stdout;
    assert!(said.contains("gyre:verifier/grading@1.0.0 and imports nothing"), "{said}");
    let report = ran(["check", "--json"], &file).ok().json();
    assert_eq!(text(&report, "digest").len(), 64, "{report:#}");

    let bad = folder.path().join("bad.wasm");
    let check = |bytes: &[u8]| {
        fs::write(&bad, bytes).unwrap();
        ran(["check"], &bad)
    };
    check(b"#!/bin/sh\n").fails(63, &["bad.wasm is not a verifier: it is not WebAssembly"]);
    check(&assemble("(module)")).fails(63, &["core module", "wasm32-wasip2"]);
    let network = r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#;
    check(&assemble(network)).fails(
        63,
        &[
            "imports the network (wasi:sockets/tcp@0.2.0), and a verifier imports nothing",
            "does not export gyre:verifier/grading",
        ],
    );
    let empty = r#"(component (instance $i) (export "gyre:verifier/grading@1.0.0" (instance $i)))"#;
    check(&assemble(empty)).fails(63, &["without its function `verify`"]);
    ran(["check"], &folder.path().join("absent.wasm")).fails(42, &["absent.wasm"]);
}

#[test]
fn golden_cases_are_run() {
    let (folder, file) = honest();
    let said = ran(["test"], &file).ok().stdout;
    assert!(said.contains("2 of 2 golden cases came out as expected"), "{said}");
    golden(folder.path(), "five", "12345", r#"{"passed": true}"#);
    let wrong = ran(["test"], &file).fails(63, &["1 of 3 golden cases"]);
    assert!(wrong.stdout.contains("five: only: as it should be"), "{wrong:#?}");
    let report = ran(["test", "--json"], &file).fails(63, &[]).json();
    let agrees: Vec<_> =
        report["cases"].as_array().unwrap().iter().map(|case| case["agrees"].clone()).collect();
    assert_eq!(agrees, [false, true, true], "{report:#}");

    let broken = golden(folder.path(), "five", "12345", r#"{"passed": false}"#);
    fs::write(&broken, fs::read_to_string(&broken).unwrap().replace("\"cases\"", "\"case\""))
        .unwrap();
    ran(["test"], &file).fails(63, &["five.json is no golden case", "case"]);
    fs::remove_dir_all(folder.path().join("golden")).unwrap();
    ran(["test"], &file).fails(42, &["golden"]);
    fs::create_dir(folder.path().join("golden")).unwrap();
    ran(["test"], &file).fails(63, &["holds no golden case"]);
    // A folder of somebody else's leads nowhere else.
    let secret = folder.path().join("secret");
    fs::write(&secret, "not yours").unwrap();
    std::os::unix::fs::symlink(&secret, folder.path().join("golden/five.json")).unwrap();
    let refused = ran(["test"], &file).fails(42, &["five.json", "leads out of the folder"]);
    assert!(!refused.stderr.contains("not yours"), "{refused:#?}");
}

#[test]
fn what_a_bad_verifier_does_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.wasm");
    golden(folder.path(), "one", "1234", r#"{"passed": true}"#);
    let huge = Returned { detail_size: Some(10 << 20), ..Returned::default() };
    let inconsistent = Returned { score: 0.5, ..Returned::default() };
    for (bytes, words) in [
        (verifier("", "(loop $on (br $on)) unreachable"), "it loops"),
        (verifier("", "unreachable"), "the verifier trapped"),
        (Returned { score: f64::NAN, ..Returned::default() }.always(), "the score is NaN"),
        (
            verifier(&huge.text(), &returning("(drop (memory.grow (i32.const 200)))")),
            "report takes more than",
        ),
        (inconsistent.always(), "it passed with the score 0.5"),
        (declines("no such family"), "an error instead of a report: no such family"),
    ] {
        fs::write(&file, bytes).unwrap();
        let ran = ran(["test"], &file).fails(63, &["1 of 1 golden cases came out otherwise"]);
        assert!(ran.stdout.contains("no verdict"), "{ran:#?}");
        assert!(ran.stdout.contains(words), "no {words:?} in {ran:#?}");
    }
}

/// A process that is killed when dropped.
struct Watching {
    child: Child,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn watching_runs_again_on_every_save() {
    let (folder, file) = honest();
    let mut command = gyre();
    command.args(["verifier", "test", "--watch"]).arg(&file);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut watching = Watching { child: child.spawn().unwrap() };
    let mut lines = BufReader::new(watching.child.stdout.take().unwrap()).lines();
    let mut until = |words: &str| {
        let found = lines.by_ref().map_while(Result::ok).find(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("it ended without {words:?}"))
    };
    until("2 of 2 golden cases");
    until("watching for changes");
    golden(folder.path(), "three", "123", r#"{"passed": true}"#);
    until("1 of 2 golden cases");
    until("watching for changes");
    fs::write(&file, Returned::default().always()).unwrap();
    until("2 of 2 golden cases");
}

#[test]
fn a_build_that_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    ran(["new", "--lang", "python", "sums", "--dir"], folder.path()).ok();
    let dir = folder.path().join("sums");
    let manifest = fs::read_to_string(dir.join("verifier.toml")).unwrap();
    let build = |command: &str| {
        let (before, rest) = manifest.split_once("build = [").unwrap();
        let (_, after) = rest.split_once("]\n").unwrap();
        fs::write(dir.join("verifier.toml"), format!("{before}build = {command}\n{after}"))
            .unwrap();
        ran(["test"], &dir)
    };
    build(r#"["false"]"#).fails(63, &["the build failed", "`false`"]);
    build(r#"["no-such-tool", "x"]"#).fails(63, &["`no-such-tool` cannot be started", "README.md"]);
    build(r#"["true"]"#).fails(63, &["sums.wasm is not there"]);
    fs::write(dir.join("verifier.toml"), "name = 1\n").unwrap();
    ran(["test"], &dir).fails(63, &["verifier.toml is malformed"]);
}

/// Tools such as componentize-py give other bytes each time, and a verifier is
/// named by its bytes: so it is built once for the same sources.
#[test]
fn a_component_is_built_once_for_the_same_sources() {
    let folder = tempfile::tempdir().unwrap();
    ran(["new", "--lang", "python", "sums", "--dir"], folder.path()).ok();
    let dir = folder.path().join("sums");
    fs::remove_dir_all(dir.join("golden")).unwrap();
    golden(&dir, "four", "1234", r#"{"passed": true}"#);
    // Another component each time, which is no source, as are hidden files.
    fs::create_dir(dir.join(".builds")).unwrap();
    let components = [four_bytes(), Returned::default().always(), four_bytes()];
    for (at, component) in components.iter().enumerate() {
        fs::write(dir.join(format!(".builds/{at}.wasm")), component).unwrap();
    }
    let script = "cp .builds/$(ls .builds/*.done 2>/dev/null | wc -l).wasm sums.wasm; \
                  : > .builds/$(ls .builds | wc -l).done";
    let manifest = format!(
        "name = \"sums\"\nbuild = [\"sh\", \"-euc\", '{script}']\ncomponent = \"sums.wasm\"\n\
         golden = \"golden\"\n"
    );
    fs::write(dir.join("verifier.toml"), manifest).unwrap();
    let builds = || {
        let names = fs::read_dir(dir.join(".builds")).unwrap().map(|e| e.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".done")).count()
    };
    let tested = || {
        let report = ran(["test", "--json"], &dir).ok().json();
        (text(&report, "digest").to_owned(), report["cases"][0]["fuel"].clone())
    };
    let first = tested();
    assert_eq!((tested(), builds()), (first.clone(), 1));
    // Golden cases are no part of it, sources are.
    golden(&dir, "more", "4321", r#"{"passed": true}"#);
    assert_eq!((tested(), builds()), (first.clone(), 1));
    let app = dir.join("app.py");
    fs::write(&app, fs::read_to_string(&app).unwrap() + "# changed\n").unwrap();
    assert_ne!(tested(), first);
    assert_eq!(builds(), 2);
    // What is not what was built is built again.
    fs::write(dir.join("sums.wasm"), "damaged").unwrap();
    assert_eq!((tested(), builds()), (first, 3));
}

/// The shell blocks of a section of the guide, in their order.
fn shell_blocks(section: &str) -> String {
    let guide = fs::read_to_string(repository().join("docs/verifiers.md")).unwrap();
    let heading = format!("\n### {section}\n");
    let (_, rest) = guide.split_once(&heading).unwrap_or_else(|| panic!("no section {section}"));
    let section = rest.split("\n### ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.collect()
}

/// Follows a section of the guide literally, in an empty folder.
fn follow(section: &str) -> (tempfile::TempDir, Ran) {
    let folder = tempfile::tempdir().unwrap();
    let blocks = shell_blocks(section) + &shell_blocks("Put it to work");
    assert!(
        blocks.contains("gyre verifier new") && blocks.contains("gyre verifier test"),
        "{blocks}"
    );
    let binaries = Path::new(env!("CARGO_BIN_EXE_gyre")).parent().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the shell finds the toolchains as people do")]
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &blocks]).current_dir(folder.path());
    shell.env("PATH", format!("{}:{path}", binaries.display())).env_remove("GYRE_DATA_DIR");
    (folder, run(&mut shell))
}

#[test]
fn the_guide_works_in_rust() {
    let (folder, ran) = follow("In Rust");
    came_out(folder.path(), ran);
    breaks(folder.path(), "src/lib.rs", "parse(value)? == expected", "true");
}

#[test]
fn the_guide_works_in_python() {
    let (folder, followed) = follow("In Python");
    came_out(folder.path(), followed);
    // The same sources have the same digest and fuel, whatever the tool would make.
    let tested = || ran(["test", "--json"], &folder.path().join("sums")).ok().json();
    let first = tested();
    assert_eq!(tested(), first);
    let registered = sql(&folder.path().join(".gyre"), "SELECT digest FROM verifiers");
    assert_eq!(registered.trim(), text(&first, "digest"));
}

/// The golden cases passed, and the component gave every verdict of the run.
fn came_out(folder: &Path, ran: Ran) {
    let ran = ran.ok();
    for said in ["7 of 7 golden cases came out as expected", "is a verifier", "mine-1: clean"] {
        assert!(ran.stdout.contains(said), "no {said:?} in {ran:#?}");
    }
    let data = folder.join(".gyre");
    let registered = sql(&data, "SELECT digest FROM verifiers WHERE name = 'sums'");
    let judged = sql(&data, "SELECT DISTINCT verifier_digest FROM verdicts");
    assert_eq!(judged, registered);
    let passed = sql(&data, "SELECT COUNT(*) FROM verdicts WHERE verdict = 'pass'");
    assert_ne!(passed.trim(), "0");
}

/// The golden cases notice a verifier that passes whatever returns a value.
fn breaks(folder: &Path, source: &str, from: &str, to: &str) {
    let path = folder.join("sums").join(source);
    let sound = fs::read_to_string(&path).unwrap();
    assert_eq!(sound.matches(from).count(), 1, "no {from:?} in {sound}");
    fs::write(&path, sound.replace(from, to)).unwrap();
    let ran = ran(["test"], &folder.join("sums")).fails(63, &["5 of 7 golden cases"]);
    for case in ["not-a-number", "says-pass", "true-for-one", "wrong-in-one-case"] {
        assert!(ran.stdout.contains(&format!("WRONG  {case}")), "{case}: {ran:#?}");
    }
}
