//! Text that a terminal shows and does not obey.

use std::borrow::Cow;

/// A text in which nothing moves a cursor, clears a screen or turns the
/// direction of reading: guests write much of what is shown here.
///
/// What could is written as JSON would, `\\u001b`, so a line of JSON stays the
/// same document.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(misleads) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if misleads(c) {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal would do something else with it than show it.
fn misleads(c: char) -> bool {
    let turns =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    c.is_control() && c != '\n' && c != '\t' || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        let fair = "plain, größer, 数, tab\tand\nline";
        assert!(matches!(printable(fair), Cow::Borrowed(text) if text == fair));
        assert_eq!(printable("a\x1b[2J\rb\u{9b}c\x7f"), r"a\u001b[2J\u000db\u009bc\u007f");
        assert_eq!(printable("\u{202e}ssap\u{200b}"), r"\u202essap\u200b");
        let json = serde_json::json!({ "detail": "\u{202e}x\u{7f}" });
        let shown = printable(&json.to_string()).into_owned();
        assert!(!shown.chars().any(misleads));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), json);
    }
}
