//! What docs/deploy/ offers, each checked by its own linter.

use std::path::{Path, PathBuf};
use std::process::Command;

fn deploy() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    repository.expect("xtask lies in the repository").join("docs/deploy")
}

/// A linter of the tests' Python environment.
#[expect(clippy::disallowed_methods, reason = "the caller prepares the environment")]
fn linter(name: &str) -> Command {
    let python = std::env::var("GYRE_TEST_PYTHON").expect(
        "GYRE_TEST_PYTHON is not set; prepare it with: \
         export GYRE_TEST_PYTHON=$(.ci/python-env)",
    );
    let program = Path::new(&python).with_file_name(name);
    assert!(
        program.exists(),
        "{name} is missing: remove the environment of {python}, make it anew"
    );
    let mut command = Command::new(program);
    command.current_dir(deploy());
    command
}

/// Runs a linter: its exit code, and what it printed.
fn output(command: &mut Command) -> (bool, String) {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{shown}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn passes(command: &mut Command) -> String {
    let (passed, text) = output(command);
    assert!(passed, "{command:?} found:\n{text}");
    text
}

/// A copy of a file with a mistake in it, in a folder of the test's own.
fn with_mistake(file: &str, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(deploy().join(file)).expect("the file is there");
    assert!(text.contains(from), "{file} does not hold {from:?}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deploy");
    std::fs::create_dir_all(&folder).expect("the tests' folder can be written");
    let name = Path::new(file).file_name().expect("a file has a name");
    let copy = folder.join(name);
    std::fs::write(&copy, text.replace(from, to)).expect("the tests' folder can be written");
    copy
}

#[test]
fn the_dockerfile_passes_hadolint() {
    passes(linter("hadolint").arg("Dockerfile"));
    let mistaken = with_mistake("Dockerfile", "debian:trixie-slim", "debian");
    assert!(!output(linter("hadolint").arg(mistaken)).0, "hadolint lets everything through");
    let text = std::fs::read_to_string(deploy().join("Dockerfile")).expect("it is there");
    let user = text.lines().rfind(|line| line.starts_with("USER "));
    assert!(user.is_some_and(|line| line != "USER root" && line != "USER 0"), "it runs as root");
}

#[test]
fn the_compose_file_fits_the_compose_specification() {
    let check = |file: &Path| {
        let mut command = linter("check-jsonschema");
        command.args(["--builtin-schema", "vendor.compose-spec"]).arg(file);
        command
    };
    passes(&mut check(Path::new("compose.yaml")));
    let mistaken =
        with_mistake("compose.yaml", "    restart: unless-stopped", "    restrat: always");
    assert!(!output(&mut check(&mistaken)).0, "check-jsonschema lets everything through");
}

#[test]
fn the_kubernetes_manifests_fit_their_kinds() {
    let files = ["kubernetes/service.yaml", "kubernetes/migrate.yaml", "kubernetes/workers.yaml"];
    passes(linter("kubernetes-validate").arg("--strict").args(files));
    for (file, from, to) in [
        (files[0], "replicas: 1", "replicas: one"),
        (files[2], "maxReplicas: 16", "maxReplica: 16"),
    ] {
        let mistaken = with_mistake(file, from, to);
        let (passed, _) = output(linter("kubernetes-validate").arg("--strict").arg(mistaken));
        assert!(!passed, "kubernetes-validate lets everything through");
    }
}

#[test]
fn the_yaml_is_tidy() {
    let lint = ["--strict", "--config-file", "yamllint.yaml"];
    passes(linter("yamllint").args(lint).args(["compose.yaml", "kubernetes", "yamllint.yaml"]));
}

/// The program need not be installed where the unit is checked, so another
/// stands in its place. The score is systemd's own, 10 being all open.
#[test]
fn the_unit_is_sound_and_hardened() {
    let unit = with_mistake("gyre.service", "/usr/local/bin/gyre", "/bin/true");
    let analyze = || Command::new("systemd-analyze");
    let found = passes(analyze().args(["verify", "--man=no"]).arg(&unit));
    assert_eq!(found.trim(), "", "systemd-analyze verify found something");
    passes(analyze().args(["security", "--offline=true", "--threshold=20"]).arg(&unit));
}
