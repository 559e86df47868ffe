use super::number::Decimal;
use crate::plain::Plain;

/// The same for equal documents, and for no others: numbers by their values,
/// properties in whatever order.
pub(super) fn canonical(document: &Plain) -> String {
    let mut text = String::new();
    write(document, &mut text);
    text
}

fn write(document: &Plain, text: &mut String) {
    match document {
        Plain::Null => text.push_str("null"),
        Plain::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Plain::Number(number) => text.push_str(&Decimal::of(number).to_text()),
        Plain::Text(value) => text.push_str(&format!("{value:?}")),
        Plain::List(items) => {
            text.push('[');
            for item in items {
                write(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Plain::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            text.push('{');
            for (name, value) in entries {
                text.push_str(&format!("{name:?}:"));
                write(value, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}
