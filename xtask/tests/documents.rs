//! The documents of the repository: their links lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository")
}

fn markdown(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository().join(folder)).expect("the folder exists");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    let starts = text.split("](").skip(1);
    starts.filter_map(|rest| rest.split_once(')').map(|(target, _)| target)).collect()
}

#[test]
fn relative_links_lead_to_files() {
    for document in ["", "docs", "docs/adr"].into_iter().flat_map(markdown) {
        let text = std::fs::read_to_string(&document).expect("documents are UTF-8");
        let folder = document.parent().expect("a document lies in a folder");
        for target in links(&text) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            assert!(folder.join(path).exists(), "{}: {target} leads nowhere", document.display());
        }
    }
}

#[test]
fn every_decision_record_is_listed_under_a_number_of_its_own() {
    let index = std::fs::read_to_string(repository().join("docs/README.md"));
    let index = index.expect("docs/README.md lists the documents");
    let mut numbers = BTreeSet::new();
    for record in markdown("docs/adr") {
        let name = record.file_name().expect("a file has a name").to_string_lossy().into_owned();
        assert!(index.contains(&format!("(adr/{name})")), "docs/README.md does not list {name}");
        let number = name.get(..4).and_then(|digits| digits.parse::<u32>().ok());
        let number = number.unwrap_or_else(|| panic!("{name} does not begin with four digits"));
        assert!(numbers.insert(number), "two decision records have the number {number}");
    }
}
