//! The configurations that come with the program.

use crate::support::{gyre, repository, run};

#[test]
fn every_configuration_that_comes_with_the_program_is_accepted() {
    let mut seen = 0;
    for entry in std::fs::read_dir(repository().join("configs")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let shown = run(gyre().args(["config", "show", "--config"]).arg(&path)).ok();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(shown.stdout.contains(&format!("name = \"{name}\"")), "{}", shown.stdout);
        seen += 1;
    }
    assert!(seen >= 3, "{seen} configurations");
}

#[test]
fn what_is_shown_is_a_configuration_itself() {
    let folder = tempfile::tempdir().unwrap();
    let shown = run(gyre().args(["config", "show"])).ok().stdout;
    let file = folder.path().join("shown.toml");
    std::fs::write(&file, &shown).unwrap();
    let again = run(gyre().args(["config", "show", "--config"]).arg(&file)).ok().stdout;
    assert_eq!(again, shown);
}

#[test]
fn the_schema_names_every_section() {
    let schema = run(gyre().args(["config", "schema"])).ok().json();
    for section in ["rollout", "curriculum", "curation", "gate", "learner", "sandbox", "database"] {
        assert!(schema["properties"].get(section).is_some(), "{section} is not in the schema");
    }
}
