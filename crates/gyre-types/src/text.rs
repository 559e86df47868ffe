//! Texts as people are shown them.

/// The start of a text, marked where it was cut.
pub(crate) fn preview(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
