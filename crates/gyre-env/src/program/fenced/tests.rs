use proptest::prelude::*;

use super::*;

const F: &str = "def f(x):\n    return x\n";

/// Checks an answer to a prompt that opened no fence.
fn check(text: &str, expected: Option<&str>) {
    assert_eq!(code(text, Some("f"), false).as_deref(), expected, "{text}");
}

#[test]
fn a_block_has_any_fence_and_any_name_of_python() {
    for opening in [
        "```",
        "```python",
        "```py",
        "```Python",
        "```PYTHON3",
        "``` python ",
        "```{.python}",
        "```python title=\"f.py\"",
        "```python3.12",
        "````python",
        "  ```python",
    ] {
        let closing = if opening.contains("````") { "````" } else { "```" };
        check(&format!("Here:\n\n{opening}\n{F}{closing}\n\nIt works."), Some(F));
    }
    check(&format!("~~~\n{F}~~~"), Some(F));
    check(&format!("~~~~python\n{F}~~~~~"), Some(F));
    check(&format!("```python\r\n{}```\r\n", F.replace('\n', "\r\n")), Some(F));
}

#[test]
fn a_first_line_is_a_language_only_where_it_names_one() {
    check(&format!("```\npython\n{F}```"), Some(F));
    check("```def f(x):\n    return x\n```", Some(F));
    check("```python def f(x):\n    return x\n```", Some(F));
    check("```f = abs\n```", Some("f = abs\n"));
    check("```\nf = abs\n```", Some("f = abs\n"));
    assert_eq!(code("py\nf = abs\n```", Some("f"), true).as_deref(), Some("f = abs\n"));
    assert_eq!(code("pyramid = 1\n```", None, true).as_deref(), Some("pyramid = 1\n"));
    assert_eq!(code("r = 1\nf = abs\n```", Some("f"), true).as_deref(), Some("r = 1\nf = abs\n"));
}

#[test]
fn a_longer_fence_keeps_shorter_ones_in_it() {
    let quoted = "def f(x):\n    \"\"\"\n    ```\n    f(1)\n    ```\n    \"\"\"\n    return x\n";
    check(&format!("````python\n{quoted}````"), Some(quoted));
    check(&format!("~~~python\n{quoted}~~~"), Some(quoted));
    check(&format!("````markdown\n```python\n{F}```\n````"), Some(F));
    check(&format!("````\n```python\n{F}```\n````"), Some(F));
}

#[test]
fn a_block_need_not_be_closed_or_opened() {
    check(&format!("```python\n{F}"), Some(F));
    check(&format!("{F}```"), Some(F));
    check(&format!("{F}```\nThis returns its argument.\n"), Some(F));
    check(&format!("Sure!\n{F}```\n"), Some(F));
    check("```python def f(x): return x```", Some("def f(x): return x\n"));
}

#[test]
fn a_prompt_may_have_opened_the_block() {
    let opened = |text: &str| code(text, Some("f"), true);
    assert_eq!(opened(F).as_deref(), Some(F));
    assert_eq!(opened(&format!("{F}```")).as_deref(), Some(F));
    assert_eq!(opened(&format!("{F}```\nIt returns x.")).as_deref(), Some(F));
    assert_eq!(opened(&format!("python\n{F}```")).as_deref(), Some(F));
    let ignored = format!("Here is the code:\n```python\n{F}```\nDone.");
    assert_eq!(opened(&ignored).as_deref(), Some(F));
    assert_eq!(opened("").as_deref(), None);
}

#[test]
fn the_last_whole_block_that_defines_the_entry_counts() {
    let wrong = "def f(x):\n    return 0\n";
    let test = "print(f(1))\n";
    check(&format!("```python\n{wrong}```\nBetter:\n```python\n{F}```"), Some(F));
    check(&format!("```python\n{F}```\nUse:\n```python\n{test}```"), Some(F));
    check(&format!("```python\n{F}```\nPrints:\n```\n1\n```"), Some(F));
    check(&format!("```python\n{F}```\nOr:\n```python\n{wrong}"), Some(F));
    check(&format!("```bash\nls\n```\n```\n{F}```"), Some(F));
    check(&format!("```text\n{F}```\n```text\nresult\n```"), Some(F));
    check("```python\nfoo = 1\n```\n```python\nff = 2\n```", Some("ff = 2\n"));
    check("```python\ndef f2(x): pass\n```\n```\n[1, 2]\n```", Some("def f2(x): pass\n"));
    let method = "class A:\n    def f(self): pass\n";
    check(&format!("```python\n{F}```\n```python\n{method}```"), Some(F));
}

#[test]
fn reasoning_is_no_answer() {
    let draft = "def f(x):\n    return 0\n";
    check(&format!("<think>\n```python\n{draft}```\n</think>\n```python\n{F}```"), Some(F));
    check(&format!("```python\n{draft}```\n</think>\n{F}"), Some(F));
    check(&format!("<think>\n```python\n{draft}```"), None);
    check(&format!("<think>\n```python\n{draft}```\n</think>\nI cannot."), None);
}

#[test]
fn code_without_a_fence_is_found_between_prose() {
    check(F, Some(F));
    check(&format!("Here is the function:\n\n{F}\nIt returns its argument."), Some(F));
    let whole = "import math\nfrom functools import reduce\n\nN = 3\n\ndef f(x):\n    \"\"\"Adds.\n\n\
                 Prose at the margin.\n\"\"\"\n    return math.floor(x)\n\nprint(f(1))\n";
    check(&format!("From the list, import what you need.\n{whole}Note: it works."), Some(whole));
    check("I would import math and return the answer.", None);
    check("", None);
    check("   \n\n", None);
    assert_eq!(code("x = 1", None, false), None);
    assert_eq!(code(F, None, false).as_deref(), Some(F));
}

#[test]
fn common_indentation_goes() {
    let listed = "1. Write this:\n\n    ```python\n    def f(x):\n        return x\n    ```\n";
    check(listed, Some(F));
}

#[test]
fn fences_in_fences_are_followed_to_a_bound() {
    let mut text = String::new();
    for length in (3..2_000).rev() {
        text.push_str(&"`".repeat(length));
        text.push('\n');
    }
    assert_eq!(code(&text, Some("f"), false), None);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", entry in "\\PC{0,3}", opened: bool) {
        let _ = code(&text, Some(&entry), opened);
        let _ = code(&text, None, opened);
    }

    /// Texts of the pieces that matter, in any order.
    #[test]
    fn what_is_found_is_a_part_of_the_answer(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "```", "````", "~~~", "python", " ", "\n", "\r\n", "def f(x):", "    return x",
                "<think>", "</think>", "prose", "é", "\"\"\"", "f = 1", "\t", "`",
            ]),
            0..40,
        ),
        opened: bool,
    ) {
        let text = pieces.concat();
        if let Some(code) = code(&text, Some("f"), opened) {
            prop_assert!(code.ends_with('\n') && !code.trim().is_empty());
            let text = split_reasoning(&text).answer;
            for line in code.lines() {
                prop_assert!(text.contains(line), "{line:?} of {text:?}");
            }
        }
    }
}
