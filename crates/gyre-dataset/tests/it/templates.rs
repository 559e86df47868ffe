//! Every row of every view under the chat templates of TRL, as it is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gyre_dataset::Layout;

use crate::python::python;
use crate::scenario::{WRONG, card, episode, manifest_shard, publish_rows};

/// The templates that docs/dataset.md says a view cannot be rendered with.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dataset.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let (_, section) = docs.split_once("## Chat templates").expect("docs/dataset.md lists them");
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (view, rest) = row.split_once("` |").unwrap();
        let failing = rest.rsplit('|').nth(1).unwrap().split(',').map(str::trim);
        let failing = failing.filter(|name| !name.is_empty()).map(str::to_owned);
        (view.to_owned(), failing.collect())
    })
    .collect()
}

#[test]
fn every_row_teaches_its_answer_under_the_templates_that_trl_ships() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(&folder.path().join("quick-1"));
    layout.create().unwrap();
    let shard = publish_rows(&layout.data_dir(), 1, (0..9).map(episode));
    layout.write_index(&card(), &[manifest_shard(1, &shard)]).unwrap();

    let arguments = [layout.root().as_os_str(), WRONG.as_ref()];
    let mut failing = BTreeMap::<String, BTreeSet<String>>::new();
    let mut told = Vec::new();
    for line in python("templates.py", &folder.path().join("cache"), &arguments) {
        let [view, template, what]: [&str; 3] =
            line.splitn(3, '\t').collect::<Vec<_>>().try_into().unwrap();
        let of_view = failing.entry(view.to_owned()).or_default();
        told.push((view.to_owned(), template.to_owned()));
        if what != "ok" {
            of_view.insert(template.to_owned());
        }
    }
    for (view, failing) in &failing {
        let tried = told.iter().filter(|(of, _)| of == view).count();
        assert!(tried - failing.len() >= 15, "{view}: {tried} tried, {failing:?} fail");
    }
    assert_eq!(failing, documented());
}
