//! No two files of a crate import each other, directly or by way of others.
//!
//! A file may take from the one that it is a part of: `a/b.rs` from `a.rs`, which also
//! takes from it. To all others the two are one module.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemFn, ItemImpl, ItemMod, ItemUse, UseTree, Visibility};

/// A module's path below its crate; the crate's root is empty.
type Module = Vec<String>;

/// The names that each file takes from each other file of its crate.
type Arrows = BTreeMap<Module, BTreeMap<Module, BTreeSet<String>>>;

/// What one file names.
#[derive(Default)]
struct Names {
    /// The module that is being read; within a file there may be some.
    at: Module,
    /// Paths that are used, each with the module that names it.
    used: Vec<(Module, Vec<String>)>,
    /// What is handed on to others: the module, the name, and the path that it is.
    handed_on: Vec<(Module, String, Vec<String>)>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Mod(ItemMod { attrs, .. })
            | Item::Fn(ItemFn { attrs, .. })
            | Item::Impl(ItemImpl { attrs, .. })
            | Item::Use(ItemUse { attrs, .. }) => attrs,
            _ => &[],
        };
        if !attributes.iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.at.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.at.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_private = matches!(item.vis, Visibility::Inherited);
        for (name, path) in leaves(&item.tree, &[]) {
            if is_private {
                self.used.push((self.at.clone(), path));
            } else {
                self.handed_on.push((self.at.clone(), name, path));
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if segments.len() > 1 {
            self.used.push((self.at.clone(), segments));
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
}

/// Each name that a `use` brings in, with the whole path of what it is.
fn leaves(tree: &UseTree, above: &[String]) -> Vec<(String, Vec<String>)> {
    let below = |name: String| above.iter().cloned().chain([name]).collect::<Vec<_>>();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &below(path.ident.to_string())),
        UseTree::Name(name) if name.ident == "self" => {
            vec![(above.last().cloned().unwrap_or_default(), above.to_vec())]
        }
        UseTree::Name(name) => vec![(name.ident.to_string(), below(name.ident.to_string()))],
        UseTree::Rename(name) => vec![(name.rename.to_string(), below(name.ident.to_string()))],
        UseTree::Glob(_) => vec![("*".to_owned(), below("*".to_owned()))],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| leaves(tree, above)).collect(),
    }
}

/// The sources of a crate by their modules.
fn modules(folder: &Path) -> BTreeMap<Module, PathBuf> {
    let mut modules = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(open) = folders.pop() {
        for entry in fs::read_dir(open).expect("a crate has sources") {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(folder).expect("it was found there");
                let parts = below.with_extension("");
                let parts = parts.iter().map(|part| part.to_string_lossy().into_owned());
                let module: Module = parts.filter(|part| part != "lib" && part != "main").collect();
                modules.insert(module, path);
            }
        }
    }
    modules
}

/// The module that a path leads to from another, and the name that is meant in it.
fn resolve(
    files: &BTreeMap<Module, PathBuf>,
    at: &Module,
    path: &[String],
) -> Option<(Module, String)> {
    let (mut module, mut rest) = match path.first()?.as_str() {
        "crate" => (vec![], &path[1..]),
        "self" => (at.clone(), &path[1..]),
        "super" => (at.clone(), path),
        first => (at.iter().cloned().chain([first.to_owned()]).collect(), &path[1..]),
    };
    if !matches!(path[0].as_str(), "crate" | "self" | "super") && !files.contains_key(&module) {
        return None;
    }
    while rest.first().is_some_and(|part| part == "super") {
        module.pop();
        rest = &rest[1..];
    }
    while let Some(next) = rest.first() {
        let below: Module = module.iter().cloned().chain([next.clone()]).collect();
        if !files.contains_key(&below) {
            break;
        }
        (module, rest) = (below, &rest[1..]);
    }
    Some((module, rest.first().cloned().unwrap_or_default()))
}

/// The file that holds a module, which may be written within another's.
fn file_of(files: &BTreeMap<Module, PathBuf>, mut module: Module) -> Module {
    while !files.contains_key(&module) && module.pop().is_some() {}
    module
}

fn arrows(folder: &Path) -> Arrows {
    let files = modules(folder);
    let mut used = Vec::new();
    let mut handed_on = BTreeMap::new();
    for (module, path) in &files {
        let source = fs::read_to_string(path).expect("sources are UTF-8");
        let source = syn::parse_file(&source)
            .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
        let mut names = Names { at: module.clone(), ..Names::default() };
        names.visit_file(&source);
        used.extend(names.used.into_iter().map(|(at, path)| (module.clone(), at, path)));
        for (at, name, path) in names.handed_on {
            if let Some(target) = resolve(&files, &at, &path) {
                handed_on.insert((at, name), target);
            }
        }
    }
    let mut arrows = Arrows::new();
    for (from, at, path) in used {
        let Some(mut target) = resolve(&files, &at, &path) else { continue };
        // What is handed on is taken from where it is.
        let mut steps = 0;
        while let Some(next) = handed_on.get(&target)
            && steps < 8
        {
            target = next.clone();
            steps += 1;
        }
        let (module, name) = target;
        let to = file_of(&files, module);
        // The root hands on names, and has none of its own.
        let is_part_of = from.starts_with(&to);
        if to != from && !is_part_of && !from.is_empty() {
            arrows.entry(from).or_default().entry(to).or_default().insert(name);
        }
    }
    arrows
}

/// All that can be reached from a file.
fn reached<'a>(arrows: &'a Arrows, from: &'a Module) -> BTreeSet<&'a Module> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for next in arrows.get(module).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}

/// The arrows that lie in a circle, one a line.
fn circles(arrows: &Arrows) -> Vec<String> {
    let reached: BTreeMap<_, _> =
        arrows.keys().map(|module| (module, reached(arrows, module))).collect();
    let mut lines = Vec::new();
    for (from, all) in arrows {
        for (to, names) in all {
            if reached.get(to).is_some_and(|reached| reached.contains(from)) {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                let (from, to) = (from.join("/"), to.join("/"));
                lines.push(format!("{from}.rs takes {} from {to}.rs", names.join(", ")));
            }
        }
    }
    lines
}

#[test]
fn no_two_files_of_a_crate_import_each_other() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut found = Vec::new();
    for entry in fs::read_dir(crates).expect("there are crates") {
        let folder = entry.expect("a folder can be listed").path();
        let lines = circles(&arrows(&folder.join("src")));
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.extend(lines.into_iter().map(|line| format!("{name}: {line}")));
    }
    assert!(
        found.is_empty(),
        "files import each other; a third thing wants out, or they are one:\n{}",
        found.join("\n")
    );
}

#[test]
fn a_circle_is_found_whichever_way_it_is_written() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("it can be made");
        fs::write(path, text).expect("it can be written");
    };
    write("lib.rs", "mod a;\nmod b;\nmod c;\npub use b::Second;\n");
    write("a.rs", "use crate::Second;\nuse crate::c::Third;\npub struct First(Second, Third);\n");
    write("b.rs", "mod inner;\npub struct Second(Box<inner::Deep>);\npub struct Own;\n");
    write("b/inner.rs", "use super::Own;\npub struct Deep(Option<Box<crate::a::First>>, Own);\n");
    write("c.rs", "pub struct Third;\n#[cfg(test)]\nmod tests {\n    use crate::a::First;\n}\n");
    let found = circles(&arrows(folder.path()));
    assert_eq!(
        found,
        [
            "a.rs takes Second from b.rs",
            "b.rs takes Deep from b/inner.rs",
            "b/inner.rs takes First from a.rs",
        ]
    );
}
