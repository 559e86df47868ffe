//! What a generator must give, read strictly.

use gyre_types::{Case, Composition, Interface, Value};
use gyre_verify::ANSWER_BYTES_MAX;

use crate::{Reason, Refusal};

/// Bounds of the contract. Generous for a task that a person would read, and
/// low enough that a runaway generator is noticed at once.
const INSTRUCTION_BYTES_MAX: usize = 16 << 10;
const VISIBLE_MAX: usize = 32;
const HIDDEN_MAX: usize = 256;
const FAILURES_MAX: usize = 32;
const SKILLS_MAX: usize = 64;
const SKILL_BYTES_MAX: usize = 128;

/// How many failure cases a generated task must come with.
pub(crate) const FAILURES_MIN: usize = 3;

/// What `compose` gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Composed {
    pub(crate) composition: Composition,
    pub(crate) skills: Vec<String>,
    pub(crate) spec: Value,
}

/// The content of a task, from `generate` or from a line of `tasks.jsonl`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Content {
    pub(crate) instruction: String,
    pub(crate) entry: String,
    pub(crate) visible: Vec<Case>,
    pub(crate) hidden: Vec<Case>,
    pub(crate) reference: String,
    pub(crate) failures: Vec<String>,
}

/// Reads what `compose` gave.
pub(crate) fn read_composed(value: &Value) -> Result<Composed, Refusal> {
    let composed = || -> Result<Composed, String> {
        only_keys(value, &["composition", "skills", "spec"])?;
        let composition = texts(field(value, "composition")?).map_err(at("composition"))?;
        if composition.is_empty() {
            return Err("composition is empty".to_owned());
        }
        let skills = texts(field(value, "skills")?).map_err(at("skills"))?;
        for (name, list) in [("composition", &composition), ("skills", &skills)] {
            if list.len() > SKILLS_MAX || list.iter().any(|text| text.len() > SKILL_BYTES_MAX) {
                return Err(format!(
                    "{name} holds more than {SKILLS_MAX} texts or one above {SKILL_BYTES_MAX} bytes"
                ));
            }
        }
        let spec = field(value, "spec")?.clone();
        Ok(Composed { composition: Composition(composition), skills, spec })
    };
    composed().map_err(|why| Refusal::new(Reason::Schema, format!("compose: {why}")))
}

/// Reads what `generate` gave: a task's content, or its refusal.
pub(crate) fn read_generated(
    value: &Value,
    default_entry: &str,
    interface: Interface,
) -> Result<Content, Refusal> {
    if let Some(refused) = value.get("refused") {
        let text = refused.as_str().unwrap_or("unnamed: the refusal is no text");
        let (code, detail) = text.split_once(':').unwrap_or((text, ""));
        return Err(Refusal::new(Reason::Declined(slug(code)), detail.trim()));
    }
    let content = || -> Result<Content, String> {
        const KEYS: [&str; 6] =
            ["instruction", "entry", "visible", "hidden", "reference", "failures"];
        only_keys(value, &KEYS)?;
        let entry = match value.get("entry") {
            Some(entry) => text(entry).map_err(at("entry"))?,
            None => default_entry.to_owned(),
        };
        Ok(Content {
            instruction: text(field(value, "instruction")?).map_err(at("instruction"))?,
            entry,
            visible: cases(field(value, "visible")?).map_err(at("visible"))?,
            hidden: cases(field(value, "hidden")?).map_err(at("hidden"))?,
            reference: text(field(value, "reference")?).map_err(at("reference"))?,
            failures: texts(field(value, "failures")?).map_err(at("failures"))?,
        })
    };
    content()
        .and_then(|content| {
            require_content(&content, interface)?;
            if content.visible.is_empty() {
                return Err("there is no visible example".to_owned());
            }
            if content.failures.len() < FAILURES_MIN {
                let count = content.failures.len();
                return Err(format!("{count} failure cases, fewer than {FAILURES_MIN}"));
            }
            Ok(content)
        })
        .map_err(|why| Refusal::new(Reason::Schema, format!("generate: {why}")))
}

/// What holds for every task's content, wherever it comes from.
pub(crate) fn require_content(content: &Content, interface: Interface) -> Result<(), String> {
    require_entry(&content.entry).map_err(at("entry"))?;
    let instruction = content.instruction.len();
    if content.instruction.trim().is_empty() || instruction > INSTRUCTION_BYTES_MAX {
        return Err(format!(
            "instruction takes {instruction} bytes: it must say something, in at most \
             {INSTRUCTION_BYTES_MAX}"
        ));
    }
    if content.hidden.is_empty() {
        return Err("there is no hidden case".to_owned());
    }
    for (name, count, max) in [
        ("visible", content.visible.len(), VISIBLE_MAX),
        ("hidden", content.hidden.len(), HIDDEN_MAX),
        ("failures", content.failures.len(), FAILURES_MAX),
    ] {
        if count > max {
            return Err(format!("{name} holds {count} items, more than {max}"));
        }
    }
    for (name, cases) in [("visible", &content.visible), ("hidden", &content.hidden)] {
        for (index, case) in cases.iter().enumerate() {
            interface.require_args(&case.args).map_err(at(&format!("{name}[{index}]")))?;
        }
    }
    require_program(&content.reference).map_err(at("reference"))?;
    for (index, failure) in content.failures.iter().enumerate() {
        require_program(failure).map_err(at(&format!("failures[{index}]")))?;
        if failure.trim() == content.reference.trim() {
            return Err(format!("failures[{index}] is the reference"));
        }
        if content.failures[..index].contains(failure) {
            return Err(format!("failures[{index}] is there twice"));
        }
    }
    Ok(())
}

fn require_program(source: &str) -> Result<(), String> {
    if source.trim().is_empty() {
        return Err("the program is empty".to_owned());
    }
    if source.len() > ANSWER_BYTES_MAX {
        return Err(format!("the program takes more than {ANSWER_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// Checks the name of an entry point: a plain Python identifier, since it is
/// also written into a step of the admission.
pub(crate) fn require_entry(entry: &str) -> Result<(), String> {
    let fine = entry.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && entry.len() <= 64
        && entry.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if fine { Ok(()) } else { Err(format!("{entry:?} is not a plain function name")) }
}

fn only_keys(value: &Value, known: &[&str]) -> Result<(), String> {
    let Value::Dict(entries) = value else {
        return Err(format!("it gave {} instead of a dict", value.type_name()));
    };
    match entries.iter().find(|(key, _)| key.as_str().is_none_or(|key| !known.contains(&key))) {
        None => Ok(()),
        Some((key, _)) => {
            Err(format!("unknown key {} (known: {})", key.preview(40), known.join(", ")))
        }
    }
}

fn field<'a>(value: &'a Value, name: &str) -> Result<&'a Value, String> {
    value.get(name).ok_or_else(|| format!("{name} is missing"))
}

fn at(name: &str) -> impl Fn(String) -> String {
    move |why| format!("{name}: {why}")
}

fn text(value: &Value) -> Result<String, String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("{} instead of a str", value.type_name()))
}

fn list(value: &Value) -> Result<&[Value], String> {
    value.as_seq().ok_or_else(|| format!("{} instead of a list", value.type_name()))
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    list(value)?.iter().map(text).collect()
}

fn cases(value: &Value) -> Result<Vec<Case>, String> {
    let one =
        |(index, item): (usize, &Value)| case(item).map_err(|why| format!("[{index}]: {why}"));
    list(value)?.iter().enumerate().map(one).collect()
}

/// Reads a case from a pair of arguments and the value expected.
pub(crate) fn case(value: &Value) -> Result<Case, String> {
    match value.as_seq() {
        Some([args, expect]) => {
            Ok(Case { args: list(args).map_err(at("arguments"))?.to_vec(), expect: expect.clone() })
        }
        _ => Err("a case is a pair [arguments, expected]".to_owned()),
    }
}

/// A generator's own refusal code, cut to what a report can show.
fn slug(code: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let slug: String = code.trim().chars().take(40).map(plain).collect();
    if slug.is_empty() { "unnamed".to_owned() } else { slug }
}
