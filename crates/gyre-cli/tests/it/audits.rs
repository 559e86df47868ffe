//! Measuring verifiers, and registering those that are good enough.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::judging::{COMMAND, VERIFY, first_line, pinned};
use crate::plugin_fixture::{Returned, returning, verifier};
use crate::support::{Ran, SMALL, gyre, on, repository, run, text};

/// How many cases of a group were judged, and how many of those accepted.
fn group(card: &Value, name: &str) -> (u64, u64) {
    let groups = card["groups"].as_array().unwrap();
    let row = groups.iter().find(|row| row["group"] == name).unwrap();
    (row["cases"].as_u64().unwrap(), row["accepted"].as_u64().unwrap())
}

#[track_caller]
fn is_sound(card: &Value, tasks: u64) {
    assert_eq!(card["findings"].as_array().map(Vec::len), Some(0), "{card:#}");
    assert_eq!(card["subject"]["tasks"], tasks, "{card:#}");
    for name in ["golden", "metamorphic"] {
        let (cases, accepted) = group(card, name);
        assert!(cases >= tasks && cases == accepted, "{name}: {card:#}");
    }
    for name in ["known_bad", "malformed", "attack"] {
        let (cases, accepted) = group(card, name);
        assert!(cases >= 3 * tasks && accepted == 0, "{name}: {card:#}");
    }
    assert!(group(card, "attack").0 >= 90, "{card:#}");
    assert!(card["mutants"]["made"].as_u64().unwrap() >= 4 * tasks, "{card:#}");
    assert_eq!(card["determinism"]["verdicts_differing"], 0, "{card:#}");
    assert_eq!(card["determinism"]["costs_differing"], 0, "{card:#}");
}

/// The audit's own limits decide; what it found may be a mutant that the
/// hidden cases of a task do not tell apart.
fn audit_of_a_built_in_family(name: &str) {
    let ran = run(gyre().args(["verifier", "audit", name, "--json", "-n", "3", "--mutants", "8"]));
    let mut card = ran.ok().json();
    let findings = card["findings"].as_array_mut().unwrap();
    findings.retain(|finding| finding["group"] != "mutant");
    is_sound(&card, 3);
}

#[test]
fn the_everyday_family_is_judged_within_the_limits() {
    audit_of_a_built_in_family("everyday");
}

#[test]
fn the_compose_family_is_judged_within_the_limits() {
    audit_of_a_built_in_family("compose");
}

/// A component that compares every result with the expected one, as texts.
pub(crate) fn comparing() -> Vec<u8> {
    comparing_after("")
}

/// The same, which does something else first.
pub(crate) fn comparing_after(first: &str) -> Vec<u8> {
    // A case takes 52 bytes: expect at 16, the result's kind at 24, its text at 28.
    let locals = "(local $case i32) (local $left i32) (local $byte i32) (local $wrong i32)";
    let code = "
      (local.set $case (local.get $cases))
      (local.set $left (local.get $cases_count))
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (if (i32.load8_u offset=24 (local.get $case)) (then (local.set $wrong (i32.const 1))))
        (local.set $byte (i32.load offset=20 (local.get $case)))
        (if (i32.ne (local.get $byte) (i32.load offset=32 (local.get $case)))
          (then (local.set $wrong (i32.const 1)))
          (else (block $same (loop $more
            (br_if $same (i32.eqz (local.get $byte)))
            (local.set $byte (i32.sub (local.get $byte) (i32.const 1)))
            (if (i32.ne
                (i32.load8_u (i32.add (i32.load offset=16 (local.get $case)) (local.get $byte)))
                (i32.load8_u (i32.add (i32.load offset=28 (local.get $case)) (local.get $byte))))
              (then (local.set $wrong (i32.const 1))))
            (br $more)))))
        (local.set $case (i32.add (local.get $case) (i32.const 52)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
      (if (local.get $wrong) (then
        (i32.store8 (i32.const 1032) (i32.const 0))
        (i32.store8 (i32.const 1288) (i32.const 0))
        (f64.store (i32.const 1040) (f64.const 0))))";
    verifier(&Returned::default().text(), &returning(&format!("{locals} {first} {code}")))
}

/// The scorecard that the comparing component has on tasks of `compose`.
/// Whoever can write it to a file can write another's digest into it, and some
/// tests do.
pub(crate) fn scorecard(folder: &Path) -> Value {
    let file = folder.join("comparing.wasm");
    fs::write(&file, comparing()).unwrap();
    let mut audit = gyre();
    audit.args(["verifier", "audit", "compose", "-n", "3", "--mutants", "8", "--json"]);
    run(audit.arg("--component").arg(file)).ok().json()
}

/// Registers a component with the scorecard of another.
pub(crate) fn register_as(data: &Path, name: &str, bytes: &[u8], card: &Value) {
    let mut card = card.clone();
    card["subject"]["verifier"] = json!(gyre_types::Digest::of(bytes));
    let folder = tempfile::tempdir().unwrap();
    let [file, scorecard] = ["own.wasm", "card.json"].map(|name| folder.path().join(name));
    fs::write(&file, bytes).unwrap();
    fs::write(&scorecard, card.to_string()).unwrap();
    let (file, scorecard) = (shown(&file), shown(&scorecard));
    let files = ["--component", &file, "--scorecard", &scorecard];
    on(data, ["verifier", "register", name].iter().chain(&files)).ok();
}

/// A family of one task, judged by a component that is not registered yet.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) family: PathBuf,
    pub(crate) data: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let family = folder.path().join("own");
        fs::create_dir(&family).unwrap();
        let manifest = "name = 'own'\nversion = 1\ndescription = 'One task.'\nsource = 'static'\n\
            difficulty = { min = 1, max = 1 }\n[limits]\nfuel_max = 200_000_000\n\
            [verifier]\nkind = 'component'\nuse = 'comparing'\n";
        fs::write(family.join("family.toml"), manifest).unwrap();
        let case = |args: Value, expect: u32| json!({ "args": [args], "expect": expect });
        let task = json!({
            "name": "one", "difficulty": 1, "entry": "solve", "visible": [],
            "instruction": "Write solve(numbers): three times the sum of those above 2.",
            "hidden": [case(json!([1, 2, 3, 5]), 24), case(json!([]), 0), case(json!([2]), 0),
                case(json!([4, 4]), 24)],
            "reference": "def solve(numbers):\n    total = 0\n    for number in numbers:\n        \
                if number > 2:\n            total += number * 3\n    return total\n",
            "failures": ["def solve(numbers):\n    return 3 * sum(numbers)\n",
                "def solve(numbers):\n    return 24\n"],
        });
        fs::write(family.join("tasks.jsonl"), task.to_string()).unwrap();
        let data = folder.path().join("data");
        Self { folder, family, data }
    }

    /// Gives the family another verifier.
    pub(crate) fn declares(&self, table: &str) {
        let path = self.family.join("family.toml");
        let manifest = fs::read_to_string(&path).unwrap();
        let (before, _) = manifest.split_once("[verifier]\n").unwrap();
        fs::write(path, format!("{before}[verifier]\n{table}")).unwrap();
    }

    /// A configuration with this at its end.
    fn config(&self, more: &str) -> String {
        let small = fs::read_to_string(repository().join(SMALL)).unwrap();
        self.file("audit.toml", format!("{small}\n{more}").as_bytes())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        shown(&path)
    }

    fn verifier(&self, args: &[&str]) -> Ran {
        on(&self.data, [&["verifier"], args].concat())
    }

    fn registered(&self) -> Vec<Value> {
        self.verifier(&["ls", "--json"]).ok().json().as_array().unwrap().clone()
    }
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_verifier_that_accepts_everything_is_not_registered() {
    let bench = Bench::new();
    let file = bench.file("credulous.wasm", &Returned::default().always());
    let family = shown(&bench.family);
    let args = ["register", "comparing", "--component", &file, "--family", &family];
    bench.verifier(&args).fails(
        63,
        &["beyond the limits", "known-bad or malformed cases accepted", "attacks accepted"],
    );
    assert_eq!(bench.registered(), Vec::<Value>::new());
    assert!(!bench.data.join("verifiers").exists());
}

#[test]
fn a_component_within_the_limits_is_registered_and_found_by_its_family() {
    let bench = Bench::new();
    let family = shown(&bench.family);
    let file = bench.file("comparing.wasm", &comparing());
    bench.verifier(&["audit", &family]).fails(63, &["comparing"]);

    let card_file = shown(&bench.folder.path().join("card.json"));
    let audit = ["audit", &family, "--component", &file, "--out", &card_file, "--json"];
    let card = bench.verifier(&audit).ok().json();
    is_sound(&card, 1);
    assert_eq!(card["mutants"]["killed"]["share"], 1.0, "{card:#}");

    // The card of one component is not that of another.
    let other = bench.file("other.wasm", &Returned::default().always());
    let with = |file: &str| {
        bench.verifier(&["register", "comparing", "--component", file, "--scorecard", &card_file])
    };
    with(&other).fails(63, &["the scorecard is that of"]);
    assert_eq!(bench.registered(), Vec::<Value>::new());

    let digest = text(&card["subject"], "verifier").to_owned();
    // Ended between file and row, and after the row: not registered, and registered.
    for (point, rows) in [("verifier::stored", 0), ("register::committed", 1)] {
        let mut killed = gyre();
        killed.env("GYRE_FAILPOINTS", format!("{point}=return")).arg("--data-dir").arg(&bench.data);
        killed.args(["verifier", "register", "comparing", "--component", &file]);
        let killed = run(killed.args(["--scorecard", &card_file]));
        assert_eq!(killed.code, None, "{killed:#?}");
        assert_eq!(bench.registered().len(), rows, "{point}");
    }
    with(&file).ok();
    let rows = bench.registered();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(text(&rows[0], "name"), "comparing");
    assert_eq!(text(&rows[0], "digest"), digest);
    assert_eq!(rows[0]["scorecard"], card);
    let stored = bench.data.join("verifiers").join(format!("{digest}.wasm"));
    assert_eq!(fs::read(&stored).unwrap(), comparing());
    let listed = bench.verifier(&["ls"]).ok().stdout;
    assert!(listed.contains("comparing") && listed.contains("active"), "{listed}");

    let found = bench.verifier(&["audit", &family, "--json"]).ok().json();
    assert_eq!(found, card);
    fs::write(&stored, b"something else").unwrap();
    bench.verifier(&["audit", &family]).fails(63, &["is not the component that was registered"]);
    // Registering it again puts that right.
    with(&file).ok();
    bench.verifier(&["audit", &family, "--mutants", "1"]).ok();
}

#[test]
fn the_configured_limits_decide() {
    let bench = Bench::new();
    let family = shown(&bench.family);
    let file = bench.file("credulous.wasm", &Returned::default().always());
    let card = shown(&bench.folder.path().join("card.json"));
    let audit = |config: &str| {
        let args = ["audit", &family, "--component", &file, "--config", config, "--out", &card];
        bench.verifier(&args)
    };
    let register = |config: &str| {
        let args = ["register", "lax", "--component", &file, "--scorecard", &card];
        bench.verifier(&[&args[..], &["--config", config]].concat())
    };
    let strict = bench.config("");
    let ran = audit(&strict).fails(63, &["known_bad_accepted_max", "attacks_accepted_max"]);
    assert!(ran.stderr.contains("mutants_killed_share_min"), "{ran:#?}");
    register(&strict).fails(63, &["known_bad_accepted_max"]);

    // Each limit that is not widened is still there, and is named alone.
    let most = "[verifiers.audit]\nknown_bad_accepted_max = 1000\nmutants_killed_share_min = 0.0\n";
    let most = bench.config(most);
    for ran in [audit(&most), register(&most)] {
        let ran = ran.fails(63, &["attacks_accepted_max", "at most 0"]);
        assert!(!ran.stderr.contains("known_bad") && !ran.stderr.contains("share"), "{ran:#?}");
    }
    let all = "[verifiers.audit]\nknown_bad_accepted_max = 1000\nattacks_accepted_max = 1000\n\
               mutants_killed_share_min = 0.0\n";
    let all = bench.config(all);
    audit(&all).ok();
    register(&all).ok();
    assert_eq!(text(&bench.registered()[0], "name"), "lax");

    for (table, code, words) in [
        ("attacks_max = 1", 10, "attacks_max"),
        ("attacks_accepted_max = -1", 11, "attacks_accepted_max"),
        ("mutants_killed_share_min = 90.0", 12, "`verifiers.audit.mutants_killed_share_min` is 90"),
    ] {
        audit(&bench.config(&format!("[verifiers.audit]\n{table}\n"))).fails(code, &[words]);
    }
    let schema = run(gyre().args(["config", "schema"])).ok().stdout;
    assert!(schema.contains("golden_accepted_share_min"), "{schema}");
}

#[test]
fn what_a_family_declares_is_registered_by_its_digest() {
    let bench = Bench::new();
    let family = shown(&bench.family);
    let register = |name: &str, more: &[&str]| {
        bench.verifier(&[&["register", name, "--family", &family, "--mutants", "4"], more].concat())
    };
    bench.declares("kind = 'python'\n");
    let credulous = VERIFY.replace("fine = ", "fine = True or ");
    fs::write(bench.family.join("verify.py"), credulous).unwrap();
    register("own", &[]).fails(63, &["beyond the limits", "attacks accepted"]);
    let hint = bench.verifier(&["ls"]).ok().stdout;
    assert!(hint.contains("no verifier is registered") && hint.contains("gyre verifier register"));

    fs::write(bench.family.join("verify.py"), VERIFY).unwrap();
    let card = shown(&bench.folder.path().join("card.json"));
    let audited = bench.verifier(&["audit", &family, "--mutants", "4", "--out", &card, "--json"]);
    let digest = text(&audited.ok().json()["subject"], "verifier").to_owned();
    let row = register("own", &["--scorecard", &card, "--json"]).ok().json();
    assert_eq!((text(&row, "digest"), text(&row, "kind")), (digest.as_str(), "python"));
    let kept = bench.data.join("verifiers").join(format!("{digest}.json"));
    assert!(fs::read_to_string(kept).unwrap().contains("def verify(outcome)"));
    // Another text is another verifier, which the scorecard is not about.
    fs::write(bench.family.join("verify.py"), format!("{VERIFY}# more\n")).unwrap();
    register("own", &["--scorecard", &card]).fails(63, &["the scorecard is that of"]);

    let judge = |source: &str| {
        let first = first_line();
        let source =
            format!("{first}{COMMAND}{source}print(json.dumps(verify(json.load(sys.stdin))))\n");
        let sha256 = pinned(&bench.family.join("judge"), &source);
        bench.declares(&format!("kind = 'command'\nargv = ['judge']\nsha256 = '{sha256}'\n"));
    };
    judge(&VERIFY.replace("'detail': detail", "'detail': str(os.getpid())"));
    register("program", &[]).fails(63, &["--allow-commands"]);
    register("program", &["--allow-commands"]).fails(63, &["differed", "(deterministic)"]);
    judge(VERIFY);
    let trusting = bench.config("[verifiers]\nallow_commands = true\n");
    let own = shown(&bench.folder.path().join("program.json"));
    let audit = ["audit", &family, "--mutants", "4", "--config", &trusting, "--out", &own];
    bench.verifier(&audit).ok();
    let with = ["--config", &trusting, "--scorecard", &own, "--json"];
    register("own", &with).fails(63, &["of the kind python", "take another"]);
    let row = register("program", &with).ok().json();
    assert_eq!((text(&row, "kind"), &row["trusted"]), ("command", &Value::Bool(true)));
    let listed = bench.verifier(&["ls"]).ok().stdout;
    for words in ["own", "python", "command (trusted)", "active", "mutants killed", "0 of "] {
        assert!(listed.contains(words), "no {words:?} in {listed}");
    }

    // What was revoked is not registered again.
    bench.verifier(&["revoke", &digest, "--why", "it is wrong"]).ok();
    fs::write(bench.family.join("verify.py"), VERIFY).unwrap();
    bench.declares("kind = 'python'\n");
    register("own", &["--scorecard", &card]).fails(63, &["revoked", "it is wrong"]);
    assert!(bench.verifier(&["ls"]).ok().stdout.contains("revoked: it is wrong"));
}
