//! The rules of the house: which crate may know what (see ARCHITECTURE.md).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Gyre's crates that each crate may name, beside tests. Arrows point down only.
const ARROWS: &[(&str, &[&str])] = &[
    ("gyre-fault", &[]),
    ("gyre-folder", &[]),
    ("gyre-types", &[]),
    ("gyre-verify", &["gyre-env", "gyre-types"]),
    ("gyre-round", &["gyre-types"]),
    ("gyre-sandbox", &["gyre-types"]),
    ("gyre-dataset", &["gyre-fault", "gyre-folder", "gyre-types"]),
    ("gyre-learner", &["gyre-fault", "gyre-folder", "gyre-model", "gyre-train", "gyre-types"]),
    ("gyre-tasks", &["gyre-env", "gyre-folder", "gyre-types", "gyre-verify"]),
    ("gyre-env", &["gyre-types"]),
    ("gyre-model", &["gyre-fault", "gyre-types"]),
    ("gyre-rollout", &["gyre-types", "gyre-env", "gyre-model", "gyre-sandbox"]),
    ("gyre-train", &["gyre-fault", "gyre-folder", "gyre-types"]),
    ("gyre-lineage", &["gyre-env", "gyre-fault", "gyre-types", "gyre-round"]),
    ("gyre-queue", &["gyre-fault"]),
    ("gyre-orchestrator", BELOW_ORCHESTRATOR),
    ("gyre-server", EVERYTHING),
    ("gyre-cli", EVERYTHING),
    ("xtask", &[]),
];

const BELOW_ORCHESTRATOR: &[&str] = &[
    "gyre-fault",
    "gyre-folder",
    "gyre-types",
    "gyre-verify",
    "gyre-round",
    "gyre-sandbox",
    "gyre-dataset",
    "gyre-learner",
    "gyre-tasks",
    "gyre-env",
    "gyre-model",
    "gyre-train",
    "gyre-rollout",
    "gyre-lineage",
    "gyre-queue",
];

const EVERYTHING: &[&str] = &[
    "gyre-fault",
    "gyre-folder",
    "gyre-types",
    "gyre-verify",
    "gyre-round",
    "gyre-sandbox",
    "gyre-dataset",
    "gyre-learner",
    "gyre-tasks",
    "gyre-env",
    "gyre-model",
    "gyre-train",
    "gyre-rollout",
    "gyre-lineage",
    "gyre-queue",
    "gyre-orchestrator",
    "gyre-server",
];

/// The heavy things, by the start of their names, and the one crate that names
/// each. Tests may read with them what another crate wrote.
const FENCES: &[(&str, &[&str])] = &[
    ("gyre-fault", &["fail"]),
    ("gyre-sandbox", &["wasmtime", "cranelift", "wasmparser"]),
    ("gyre-dataset", &["arrow", "parquet"]),
    ("gyre-lineage", &["sqlx", "rusqlite", "libsqlite3"]),
    ("gyre-learner", &["safetensors"]),
    ("gyre-server", &["axum", "hyper", "tower"]),
    ("gyre-queue", &["apalis"]),
    ("gyre-model", &["reqwest", "retry-policies", "httpdate"]),
    ("gyre-orchestrator", &["object_store"]),
    (
        "gyre-cli",
        &["clap", "indicatif", "comfy-table", "tracing-subscriber", "opentelemetry", "ureq"],
    ),
];

/// Folders as handles: of the one crate through which all others open what somebody
/// else may have named or made, and of the sandbox, which asks more of its caches.
const HANDLES: (&str, &[&str]) = ("cap-", &["gyre-sandbox", "gyre-folder"]);

/// The queue's engine takes pools of sqlx, so the queue makes them; the client of
/// object stores is told which HTTP client to use, and promotions are posted with the
/// same one; what a trainer leaves is read by the format's own crate.
const SHARED: &[(&str, &str)] =
    &[("gyre-queue", "sqlx"), ("gyre-orchestrator", "reqwest"), ("gyre-train", "safetensors")];

/// Crates without clock, files, environment, ambient randomness or async, and
/// all that they may name from outside.
const PURE: &[&str] = &["gyre-types", "gyre-env", "gyre-verify", "gyre-round"];
const PURE_DEPENDENCIES: &[&str] = &[
    // Without its feature that reads the clock.
    "chrono",
    "chrono-tz",
    "croner",
    "indexmap",
    "rand_chacha",
    "regex",
    "schemars",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
];
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "RandomState",
];

struct Package {
    manifest: PathBuf,
    /// Named in `[dependencies]` and `[build-dependencies]`.
    dependencies: BTreeSet<String>,
}

fn workspace() -> BTreeMap<String, Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("metadata has packages");
    packages.iter().map(|package| (text(&package["name"]), read(package))).collect()
}

fn read(package: &Value) -> Package {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    Package {
        manifest: PathBuf::from(text(&package["manifest_path"])),
        dependencies: dependencies
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| text(&dependency["name"]))
            .collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("metadata has a text here").to_owned()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("gyre-")
}

#[test]
fn arrows_point_down_only() {
    for (name, package) in workspace() {
        let (_, allowed) = ARROWS
            .iter()
            .find(|(crate_name, _)| *crate_name == name)
            .unwrap_or_else(|| panic!("{name} has no place in the house: add it to ARROWS"));
        let ours = package.dependencies.iter().filter(|name| is_ours(name));
        for dependency in ours {
            assert!(allowed.contains(&dependency.as_str()), "{name} may not know {dependency}");
        }
    }
}

/// By what they name and by what that names: an answer key reaches neither the
/// agent nor a training row.
#[test]
fn rollouts_and_datasets_cannot_name_a_grading_key() {
    let packages = workspace();
    for name in ["gyre-env", "gyre-rollout", "gyre-dataset"] {
        let (mut reached, mut open) = (BTreeSet::new(), vec![name.to_owned()]);
        while let Some(name) = open.pop() {
            let Some(package) = packages.get(&name) else { continue };
            if reached.insert(name) {
                open.extend(package.dependencies.iter().cloned());
            }
        }
        for holder in ["gyre-verify", "gyre-tasks"] {
            assert!(!reached.contains(holder), "{name} reaches {holder}, which holds grading keys");
        }
    }
}

#[test]
fn each_heavy_dependency_has_one_crate() {
    for (name, package) in workspace() {
        for dependency in &package.dependencies {
            let fence = FENCES
                .iter()
                .find(|(_, prefixes)| prefixes.iter().any(|prefix| dependency.starts_with(prefix)));
            if SHARED.contains(&(name.as_str(), dependency.as_str())) {
                continue;
            }
            if let Some((owner, _)) = fence {
                assert_eq!(&name, owner, "only {owner} may name {dependency}");
            }
            let (prefix, owners) = HANDLES;
            let is_handle = dependency.starts_with(prefix);
            assert!(
                !is_handle || owners.contains(&name.as_str()),
                "only {owners:?} may name {dependency}"
            );
        }
    }
}

#[test]
fn the_pure_crates_name_nothing_that_touches_the_machine() {
    let packages = workspace();
    for name in PURE {
        let package = &packages[*name];
        for dependency in package.dependencies.iter().filter(|name| !is_ours(name)) {
            assert!(
                PURE_DEPENDENCIES.contains(&dependency.as_str()),
                "{name} may not name {dependency}: it has no clock, files, environment or async"
            );
        }
        let folder = package.manifest.parent().expect("a manifest lies in a folder").join("src");
        for (path, source) in sources(&folder) {
            for impure in IMPURE {
                assert!(!source.contains(impure), "{} names {impure}", path.display());
            }
        }
    }
}

/// Crates that read and write what databases, manifests, stores and links of others
/// lead to, and the files of theirs that open something by its path: what a person
/// or the system chose.
const HELD: &[&str] = &["gyre-dataset", "gyre-orchestrator", "gyre-train"];
const BY_PATH: &[&str] = &[
    // Where a caller says which file.
    "gyre-dataset/src/source.rs",
    // The configuration, the program, the data folder and the store that somebody names.
    "gyre-orchestrator/src/config.rs",
    "gyre-orchestrator/src/judging/command.rs",
    "gyre-orchestrator/src/objects.rs",
    "gyre-orchestrator/src/project.rs",
    // What the system tells of processes.
    "gyre-orchestrator/src/run/owner.rs",
    "gyre-orchestrator/src/scheduler/meter.rs",
    "gyre-train/src/process/supervisor.rs",
    // The log, where the caller wants it.
    "gyre-train/src/process/output.rs",
    // Sizes and times alone; a parent may be a folder of links.
    "gyre-train/src/snapshot.rs",
];
const OPENS_BY_PATH: &[&str] = &[
    "fs::copy(",
    "fs::create_dir",
    "fs::hard_link(",
    "fs::metadata(",
    "fs::read",
    "fs::remove_",
    "fs::rename(",
    "fs::write(",
    "File::create(",
    "File::open(",
    "OpenOptions",
    ".read_dir(",
];

#[test]
fn what_others_may_have_made_is_opened_below_a_handle() {
    let packages = workspace();
    for name in HELD {
        let folder = packages[*name].manifest.parent().expect("a manifest lies in a folder");
        for (path, source) in sources(&folder.join("src")) {
            if BY_PATH.iter().any(|known| path.ends_with(known)) {
                continue;
            }
            let opened = opened_by_path(&source);
            let path = path.display();
            assert!(opened.is_empty(), "{path} opens by path; use gyre_folder::Folder: {opened:?}");
        }
    }
    for bad in ["let f = File::open(path)?;", "std::fs::remove_dir_all(&target)", "dir.read_dir()?"]
    {
        assert_eq!(opened_by_path(bad).len(), 1, "{bad}");
    }
    let tests = "folder.open(name)?;\nParquetFile::create(x);\n#[cfg(test)]\nfs::write(a, b)";
    assert!(opened_by_path(tests).is_empty());
}

/// The lines of a source, but for its tests, that open something by its path.
fn opened_by_path(source: &str) -> Vec<&str> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let opens = |line: &&str| {
        OPENS_BY_PATH.iter().any(|call| {
            let Some(at) = line.find(call) else { return false };
            // Not the end of a longer name.
            let before = line[..at].chars().next_back();
            call.starts_with('.') || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    };
    let code = source.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    code.filter(opens).collect()
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let sources = sources_below(folder);
    assert!(!sources.is_empty(), "{} holds no source", folder.display());
    sources
}

fn sources_below(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(folder).expect("a crate has sources");
    let mut sources = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            sources.extend(sources_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).expect("sources are UTF-8");
            sources.push((path, source));
        }
    }
    sources
}

/// The files that alone name a crate of ours, where a crate may be chosen among others.
const CHOSEN_IN: &[(&str, &str, &str)] =
    &[("gyre-orchestrator", "gyre_learner", "gyre-orchestrator/src/engine.rs")];

#[test]
fn who_acts_and_who_trains_is_chosen_in_one_place() {
    let packages = workspace();
    for (name, chosen, place) in CHOSEN_IN {
        let folder = packages[*name].manifest.parent().expect("a manifest lies in a folder");
        for (path, source) in sources(&folder.join("src")) {
            let names_it = source.contains(chosen);
            assert_eq!(names_it, path.ends_with(place), "{} and {chosen}", path.display());
        }
    }
}

#[test]
fn every_manifest_takes_lints_and_versions_from_the_workspace() {
    for (name, package) in workspace() {
        let manifest = std::fs::read_to_string(&package.manifest).expect("manifests are UTF-8");
        for line in [
            "edition.workspace = true",
            "license.workspace = true",
            "rust-version.workspace = true",
            "version.workspace = true",
            "publish.workspace = true",
            "[lints]\nworkspace = true",
        ] {
            assert!(manifest.contains(line), "the manifest of {name} lacks `{line}`");
        }
        for line in dependency_lines(&manifest) {
            assert!(
                line.contains("workspace = true"),
                "{name} names a version of its own: `{line}`"
            );
        }
    }
}

/// The lines of all dependency tables.
fn dependency_lines(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            lines.push(line);
        }
    }
    lines
}

/// Ways of turning a value into JSON, and what swallows the error of one: a
/// `null` would be stored, sent or digested in the place of what failed.
const WRITES_JSON: &[&str] =
    &["to_value(", "serde_json::to_string(", "serde_json::to_vec(", "to_json("];
const SWALLOWS: &[&str] = &[
    ".unwrap_or_default(",
    ".unwrap_or(",
    ".unwrap_or_else(|_|",
    ".map_or(",
    ".ok()",
    ".is_ok()",
    ".into_iter()",
];

#[test]
fn no_value_that_cannot_be_written_becomes_a_null() {
    for (name, package) in workspace() {
        let folder = package.manifest.parent().expect("a manifest lies in a folder").join("src");
        for (path, source) in sources(&folder) {
            let swallowed = swallowed(&source);
            assert!(
                swallowed.is_empty(),
                "{name}: {} passes over a value that cannot be written as JSON; use \
                 gyre_types::to_json and `?`: {swallowed:?}",
                path.display()
            );
        }
    }
    for bad in [
        "serde_json::to_value(&event).unwrap_or_default()",
        "serde_json::to_value(f(a, (b)))\n        .ok()\n        .and_then(g)",
        "to_json(\"a key\", &key).unwrap_or(Value::Null)",
        "serde_json::to_vec(&names).unwrap_or_else(|_| vec![])",
    ] {
        assert_eq!(swallowed(bad).len(), 1, "{bad}");
    }
    for good in [
        "to_json(\"a key\", &key)?",
        "serde_json::to_value(&a).map_err(f)?; b.unwrap_or_default()",
        "fn to_value(&self) -> Value { self.x.ok() }",
    ] {
        assert!(swallowed(good).is_empty(), "{good}");
    }
}

/// The calls of a source that write JSON and pass over why they could not.
fn swallowed(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for call in WRITES_JSON {
        for (at, _) in source.match_indices(call) {
            let Some(end) = closing(&source[at + call.len()..]) else { continue };
            let after = at + call.len() + end;
            let next: String = source[after..].chars().filter(|c| !c.is_whitespace()).collect();
            if SWALLOWS.iter().any(|swallow| next.starts_with(swallow)) {
                found.push(source[at..after].to_owned());
            }
        }
    }
    found
}

/// Where the parenthesis that was opened before `text` is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}
