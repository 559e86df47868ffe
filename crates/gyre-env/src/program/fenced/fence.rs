use super::bare::{begins_code, is_code_line};

/// What opens and closes a block: at least three backticks or tildes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    /// A fence is closed by the same mark, at least as often.
    pub(crate) fn is_closed_by(self, other: Self) -> bool {
        self.mark == other.mark && other.length >= self.length
    }
}

/// What stands behind an opening fence.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Info<'a> {
    pub(crate) language: Option<&'a str>,
    /// Code that was begun on the fence's own line.
    pub(crate) code: Option<&'a str>,
}

/// A line that begins with a fence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FenceLine<'a> {
    /// The fence alone: it closes a block, or opens one.
    Bare(Fence),
    /// With a language or code behind it: it opens a block.
    Opening(Fence, Info<'a>),
    /// A block on one line, closed at its end.
    Whole(Info<'a>),
}

impl<'a> FenceLine<'a> {
    /// Reads a line. Any indentation is taken: models put blocks into lists.
    pub(crate) fn read(line: &'a str) -> Option<Self> {
        let line = line.trim();
        let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let rest = line.trim_start_matches(mark);
        let fence = Fence { mark, length: line.len() - rest.len() };
        if fence.length < 3 {
            return None;
        }
        if rest.is_empty() {
            return Some(Self::Bare(fence));
        }
        if mark == '~' || !rest.contains('`') {
            return Some(Self::Opening(fence, Info::read(rest)));
        }
        let inside = rest.trim_end_matches('`');
        let closing = Fence { mark, length: rest.len() - inside.len() };
        let is_whole = fence.is_closed_by(closing) && !inside.contains('`');
        is_whole.then(|| Self::Whole(Info { language: None, code: Some(inside.trim()) }.named()))
    }
}

impl<'a> Info<'a> {
    /// Reads what stands behind a fence: a language with attributes, code that was
    /// begun there, or both.
    fn read(text: &'a str) -> Self {
        let text = text.trim();
        if is_code_line(text) {
            return Self { language: None, code: Some(text) };
        }
        let (language, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        // `title="f.py"` is an attribute, though it looks like an assignment.
        Self { language: Some(language), code: begins_code(rest).then_some(rest) }
    }

    /// Takes a language from the beginning of code on one line.
    fn named(self) -> Self {
        let code = self.code.unwrap_or_default();
        match code.split_once(char::is_whitespace) {
            Some((name, rest)) if is_python(name) => {
                Self { language: Some(name), code: Some(rest.trim()) }
            }
            _ => self,
        }
    }
}

/// Whether a name is one of Python's: `python`, `Python3`, `py`, `{.python}`.
pub(super) fn is_python(name: &str) -> bool {
    let name = name.trim_matches(['{', '}', '.', ' ']).to_ascii_lowercase();
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    matches!(name, "py" | "python" | "ipython" | "pycon" | "python-repl")
}
