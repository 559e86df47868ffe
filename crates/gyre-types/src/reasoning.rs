/// How models mark what they think, where the server does not take it apart.
const MARKS: &[(&str, &str)] =
    &[("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>")];

/// What a model thought and what it answered, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct SplitText {
    /// The marked parts, joined by blank lines; nothing where there are none.
    pub reasoning: Option<String>,
    /// The rest.
    pub answer: String,
}

/// Takes marked reasoning out of a text.
///
/// A text that begins in its reasoning, because the prompt held the opening mark,
/// has a closing one only. One that was cut off in its reasoning has no answer.
pub fn split_reasoning(text: &str) -> SplitText {
    let Some((open, close)) = marks(text) else {
        return SplitText { reasoning: None, answer: text.to_owned() };
    };
    let mut thoughts = Vec::new();
    let mut answer = String::new();
    let mut rest = text;
    if let Some(end) = rest.find(close)
        && rest.find(open).is_none_or(|start| end < start)
    {
        thoughts.push(&rest[..end]);
        rest = &rest[end + close.len()..];
    }
    while let Some(start) = rest.find(open) {
        let inside = &rest[start + open.len()..];
        match inside.find(close) {
            Some(end) => {
                answer.push_str(&rest[..start]);
                thoughts.push(&inside[..end]);
                rest = &inside[end + close.len()..];
            }
            None if answer.trim().is_empty() && rest[..start].trim().is_empty() => {
                thoughts.push(inside);
                rest = "";
            }
            // A mark in the middle of an answer, as text.
            None => break,
        }
    }
    answer.push_str(rest);
    let thoughts: Vec<_> = thoughts.iter().map(|thought| thought.trim()).collect();
    let reasoning = thoughts.join("\n\n");
    SplitText {
        reasoning: Some(reasoning),
        answer: answer.trim_start_matches(['\r', '\n']).to_owned(),
    }
}

/// The marks that a text uses, if it uses any in a way that makes sense.
fn marks(text: &str) -> Option<(&'static str, &'static str)> {
    MARKS.iter().copied().find(|(open, close)| {
        let begins = text.trim_start().starts_with(open);
        begins || text.contains(close)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, reasoning: Option<&str>, answer: &str) {
        let split = split_reasoning(text);
        assert_eq!((split.reasoning.as_deref(), split.answer.as_str()), (reasoning, answer));
    }

    #[test]
    fn reasoning_is_taken_out_of_the_answer() {
        check("plain\n", None, "plain\n");
        check("<think>\na draft\n</think>\n\nthe answer", Some("a draft"), "the answer");
        check("a draft</think>the answer", Some("a draft"), "the answer");
        check("<think>cut off", Some("cut off"), "");
        check("<think></think>answer", Some(""), "answer");
        check("<thinking>a</thinking>b<thinking>c</thinking>d", Some("a\n\nc"), "bd");
        check("x\n</think>\n<think>y</think>z", Some("x\n\ny"), "z");
    }

    #[test]
    fn a_mark_that_is_only_mentioned_stays() {
        check("use <think> to think", None, "use <think> to think");
        check("<think>a</think>say <think>", Some("a"), "say <think>");
    }
}
