//! Text that others wrote, as text: escaped, with what would turn, hide or fake
//! it made visible.

use maud::{Markup, PreEscaped, html};

/// Shows a text that a policy, a guest, a verifier or a family wrote.
pub(crate) fn hostile(text: &str) -> Markup {
    let mut shown = String::with_capacity(text.len() + 16);
    push(&mut shown, text);
    PreEscaped(shown)
}

/// A program with its words coloured; every piece goes through [`hostile`].
pub(crate) fn code(source: &str) -> Markup {
    let mut shown = String::with_capacity(source.len() * 2);
    for (class, piece) in pieces(source) {
        match class {
            "" => push(&mut shown, piece),
            class => {
                shown.push_str(&format!("<span class=\"{class}\">"));
                push(&mut shown, piece);
                shown.push_str("</span>");
            }
        }
    }
    html! { pre.code tabindex="0" { code { (PreEscaped(shown)) } } }
}

/// A long text in full, lines kept.
pub(crate) fn block(text: &str) -> Markup {
    html! { pre.text tabindex="0" { (hostile(text)) } }
}

fn push(shown: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            '\n' | '\t' => shown.push(c),
            c if misleads(c) => {
                shown.push_str(&format!("<span class=\"ctl\">\\u{{{:x}}}</span>", u32::from(c)));
            }
            c => shown.push(c),
        }
    }
}

/// Whether a browser would do something else with it than show it.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Cuts Python into pieces with a class each: words, numbers, texts, comments.
/// The pieces joined are the source, whatever it holds.
fn pieces(source: &str) -> Vec<(&'static str, &str)> {
    let mut pieces = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (class, length) = match first {
            '#' => ("c", rest.find('\n').unwrap_or(rest.len())),
            '"' | '\'' => ("s", string_length(rest, first)),
            c if c.is_ascii_digit() => {
                ("n", run(rest, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_'))
            }
            c if c.is_alphabetic() || c == '_' => {
                let length = run(rest, |c| c.is_alphanumeric() || c == '_');
                (if KEYWORDS.contains(&&rest[..length]) { "k" } else { "" }, length)
            }
            c => ("", c.len_utf8()),
        };
        pieces.push((class, &rest[..length]));
        rest = &rest[length..];
    }
    pieces
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// Bytes of the string literal at the start; it ends at the line unless tripled.
fn string_length(text: &str, quote: char) -> usize {
    let triple = quote.to_string().repeat(3);
    if let Some(inner) = text.strip_prefix(triple.as_str()) {
        return inner.find(triple.as_str()).map_or(text.len(), |end| end + 6);
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_stays_text_and_hidden_characters_show() {
        let shown = hostile("<script>alert('1')</script> & \"\u{202e}\u{0}\u{200b}").into_string();
        assert_eq!(
            shown,
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;\
             <span class=\"ctl\">\\u{202e}</span><span class=\"ctl\">\\u{0}</span>\
             <span class=\"ctl\">\\u{200b}</span>"
        );
        assert_eq!(hostile("größer\n\t数").into_string(), "größer\n\t数");
    }

    #[test]
    fn pieces_joined_are_the_source() {
        for source in [
            "def f(x):\n    return x[::2] # half\n",
            "s = 'it\\'s' + \"\"\"two\nlines\"\"\" + 'open\nnext",
            "'",
            "\"\"\"",
            "ünï = 0x1f_00 + 1.5e3",
            "\u{0}\u{202e}<b>",
            "'\\",
            "",
        ] {
            let joined: String = pieces(source).iter().map(|(_, piece)| *piece).collect();
            assert_eq!(joined, source);
        }
        let classes: Vec<_> =
            pieces("return 'a' # b").into_iter().filter(|(c, _)| !c.is_empty()).collect();
        assert_eq!(classes, [("k", "return"), ("s", "'a'"), ("c", "# b")]);
        assert!(!code("'<img src=x onerror=alert(1)>'").into_string().contains("<img"));
    }
}
