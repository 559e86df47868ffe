use gyre_types::Value;

/// Longest text that a mismatch repeats, in characters.
const PREVIEW_CHARS_MAX: usize = 120;

/// A value as a check names it.
pub(super) fn shown(value: &Value) -> String {
    value.preview(PREVIEW_CHARS_MAX)
}
