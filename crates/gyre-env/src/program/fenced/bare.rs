//! Code that stands in an answer without a fence, between prose.

/// Whether these lines define a name at their top level.
pub(crate) fn defines(lines: &[&str], entry: &str) -> bool {
    let indentation = indentation(lines);
    lines
        .iter()
        .filter_map(|line| line.strip_prefix(indentation))
        .any(|line| defines_here(line, entry))
}

fn defines_here(line: &str, entry: &str) -> bool {
    let declared = ["def ", "async def ", "class "]
        .iter()
        .filter_map(|word| line.strip_prefix(word))
        .any(|rest| after_name(rest.trim_start(), entry).is_some());
    let assigned = || {
        let rest = after_name(line, entry).unwrap_or_default().trim_start();
        rest.starts_with('=') && !rest.starts_with("==")
    };
    declared || assigned()
}

/// What follows a name, where the text begins with it and not with a longer one.
fn after_name<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name).filter(|rest| !rest.starts_with(in_name))
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The whitespace that all lines begin with, blank ones aside.
pub(crate) fn indentation<'a>(lines: &[&'a str]) -> &'a str {
    let mut filled = lines.iter().filter(|line| !line.trim().is_empty());
    let first = filled.next().copied().unwrap_or_default();
    let mut common = &first[..first.len() - first.trim_start().len()];
    for line in filled {
        let shared = common.char_indices().zip(line.chars()).take_while(|((_, a), b)| a == b);
        let end = shared.last().map_or(0, |((at, c), _)| at + c.len_utf8());
        common = &common[..end];
    }
    common
}

/// Whether a block without a language looks like a program rather than like what
/// one printed.
pub(crate) fn looks_like_code(lines: &[&str]) -> bool {
    lines.iter().any(|line| begins_code(line.trim_start()))
}

/// The code among prose: from the first line that begins code to the last that
/// belongs to it. Where `entry` is named, the code has to define it.
pub(crate) fn bare_code<'a>(lines: &[&'a str], entry: Option<&str>) -> Option<Vec<&'a str>> {
    let begins =
        |line: &&str| begins_code(line) || entry.is_some_and(|entry| defines_here(line, entry));
    let mut code: Vec<&str> = Vec::new();
    let mut text = OpenText::default();
    for line in lines.iter().skip_while(|line| !begins(line)) {
        let belongs = text.is_open()
            || line.trim().is_empty()
            || line.starts_with([' ', '\t'])
            || is_code_line(line);
        if !belongs {
            break;
        }
        text.read(line);
        code.push(line);
    }
    let is_wanted = entry.is_none_or(|entry| defines(&code, entry));
    (!code.is_empty() && is_wanted).then_some(code)
}

/// A text in triple quotes that goes over lines, in which anything may stand.
#[derive(Default)]
struct OpenText {
    quotes: Option<&'static str>,
}

impl OpenText {
    fn is_open(&self) -> bool {
        self.quotes.is_some()
    }

    fn read(&mut self, mut line: &str) {
        while let Some((quotes, at)) = self.next_quotes(line) {
            self.quotes = if self.is_open() { None } else { Some(quotes) };
            line = &line[at + quotes.len()..];
        }
    }

    fn next_quotes(&self, line: &str) -> Option<(&'static str, usize)> {
        let all = ["\"\"\"", "'''"].into_iter();
        let wanted = all.filter(|quotes| self.quotes.is_none_or(|open| open == *quotes));
        wanted.filter_map(|quotes| Some((quotes, line.find(quotes)?))).min_by_key(|(_, at)| *at)
    }
}

/// Whether a line begins a program: a definition or an import.
pub(crate) fn begins_code(line: &str) -> bool {
    let declares = ["def ", "async def ", "class "]
        .iter()
        .any(|word| line.starts_with(word) && line.contains(['(', ':']));
    let is_decorator = line.starts_with('@') && !line.trim_end().contains(' ');
    let imports = line.strip_prefix("import ").is_some_and(is_names);
    let imports_from = line
        .strip_prefix("from ")
        .and_then(|rest| rest.split_once(" import "))
        .is_some_and(|(module, _)| is_names(module));
    declares || is_decorator || imports || imports_from
}

fn is_names(text: &str) -> bool {
    let text = text.trim_end();
    !text.is_empty()
        && text.split(',').all(|part| {
            let name = part.trim().split(" as ").next().unwrap_or_default();
            !name.is_empty() && name.chars().all(|c| in_name(c) || c == '.')
        })
}

/// Words that begin a statement whose line ends with a colon, or goes on.
const COMPOUND: &[&str] =
    &["if ", "elif ", "else:", "for ", "while ", "try:", "except", "finally:", "with "];

/// Whether a line that is not indented is a statement of Python rather than prose.
pub(crate) fn is_code_line(line: &str) -> bool {
    let line = line.trim_end();
    let compound = COMPOUND.iter().any(|word| line.starts_with(word))
        && line.ends_with([':', '(', '[', '{', ',', '\\']);
    let closes = line.starts_with([')', ']', '}', '#']);
    let quotes = line.starts_with("\"\"\"") || line.starts_with("'''");
    begins_code(line) || compound || closes || quotes || assigns_or_calls(line)
}

fn assigns_or_calls(line: &str) -> bool {
    let name = line.find(|c: char| !(in_name(c) || matches!(c, '.' | '[' | ']')));
    let Some((target, rest)) = name.filter(|end| *end > 0).map(|end| line.split_at(end)) else {
        return false;
    };
    if target.starts_with(|c: char| c.is_numeric() || c == '.') {
        return false;
    }
    let calls = rest.starts_with('(') && line.ends_with([')', '(', ',', '[', '{']);
    let rest = rest.trim_start().trim_start_matches(['+', '-', '*', '/', '|', '&']);
    calls || rest.starts_with('=')
}
