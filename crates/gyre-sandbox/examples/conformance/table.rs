//! The table of what came of each module, and the list of what failed.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::reasons::{self, REASONS};
use crate::{Outcome, Ran};

/// Characters of a failure's own words in the list.
const WORDS_CHARS_MAX: usize = 110;

#[derive(Default, Clone, Copy)]
struct Counts {
    found: usize,
    passed: usize,
    failed: usize,
    skipped: usize,
}

fn counts(ran: &Ran) -> Counts {
    let mut tests = BTreeMap::<usize, u8>::new();
    for ((at, _), outcome) in &ran.outcomes {
        let rank = match outcome {
            Outcome::Passed => 0,
            Outcome::Skipped(_) => 1,
            Outcome::Failed(_) => 2,
        };
        let worst = tests.entry(*at).or_default();
        *worst = rank.max(*worst);
    }
    let of = |rank| tests.values().filter(|found| **found == rank).count();
    let (passed, failed) = (of(0), of(2));
    let found = ran.found.max(passed + failed);
    Counts { found, passed, failed, skipped: found - passed - failed }
}

/// Failures by test, with their words; a module that did not run is one.
fn failures<'a>(module: &'a str, ran: &'a Ran) -> Vec<(&'a str, &'a str)> {
    let whole = ran.whole.iter().map(|outcome| (module, outcome));
    let tests = ran.outcomes.iter().map(|((_, test), outcome)| (test.as_str(), outcome));
    let failed = |(test, outcome): (&'a str, &'a Outcome)| match outcome {
        Outcome::Failed(why) => Some((test, why.as_str())),
        _ => None,
    };
    whole.chain(tests).filter_map(failed).collect()
}

/// One module, for the log.
pub(crate) fn line(module: &str, ran: &Ran) -> String {
    let Counts { found, passed, failed, skipped } = counts(ran);
    let whole = match &ran.whole {
        Some(Outcome::Failed(why) | Outcome::Skipped(why)) => format!(": {why}"),
        _ => String::new(),
    };
    format!("{module}: {found} tests, {passed} passed, {failed} failed, {skipped} skipped{whole}")
}

/// The document, made new each time.
pub(crate) fn document(guest: &str, version: &str, all: &BTreeMap<&str, Ran>) -> String {
    let mut text = format!(
        "# CPython's own tests in the guest\n\n\
         Made by `sandboxes/python/conformance`; do not edit it by hand.\n\n\
         The guest is CPython {guest}.\n\
         The tests are those of CPython {version}, the nearest that a package has; nothing of \
         them is kept here.\n\
         Each module runs in a guest whose workspace holds the library as files, so that what \
         the image lacks can be imported from there; a test that ends its guest counts as \
         failed, and the rest of its module goes on in another.\n\
         Tests of resources that CPython's own runner asks for (`cpu`, `network`, `largefile` \
         and the like) are skipped, as are those that CPython itself skips on WASI.\n\n"
    );
    summary(&mut text, all);
    modules(&mut text, all);
    list(&mut text, all);
    text
}

fn summary(text: &mut String, all: &BTreeMap<&str, Ran>) {
    let mut sum = Counts::default();
    for ran in all.values() {
        let own = counts(ran);
        sum.found += own.found;
        sum.passed += own.passed;
        sum.failed += own.failed;
        sum.skipped += own.skipped;
    }
    let Counts { found, passed, failed, skipped } = sum;
    let _ = writeln!(
        text,
        "{} modules, {found} tests: {passed} passed, {failed} failed, {skipped} skipped.\n\n\
         ## Why tests fail\n\n\
         A failure is put into the first class that its exception tells of.\n\n\
         | reason | failures | what it means |\n|---|---|---|",
        all.len()
    );
    for reason in REASONS {
        let of_all = all.iter().flat_map(|(module, ran)| failures(module, ran));
        let count = of_all.filter(|(_, why)| reasons::of(why).name == reason.name).count();
        let _ = writeln!(text, "| {} | {count} | {} |", reason.name, reason.means);
    }
}

fn modules(text: &mut String, all: &BTreeMap<&str, Ran>) {
    text.push_str(
        "\n## Modules\n\n\
         | module | tests | passed | failed | skipped | reasons |\n|---|---|---|---|---|---|\n",
    );
    for (module, ran) in all {
        let Counts { found, passed, failed, skipped } = counts(ran);
        let mut classes = BTreeMap::<&str, usize>::new();
        for (_, why) in failures(module, ran) {
            *classes.entry(reasons::of(why).name).or_default() += 1;
        }
        let mut notes: Vec<_> =
            classes.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if let Some(Outcome::Skipped(why)) = &ran.whole {
            notes.push(format!("skips itself: {}", words(why)));
        }
        let notes = notes.join(", ");
        let _ =
            writeln!(text, "| {module} | {found} | {passed} | {failed} | {skipped} | {notes} |");
    }
}

fn list(text: &mut String, all: &BTreeMap<&str, Ran>) {
    text.push_str("\n## What fails\n");
    for (module, ran) in all {
        let failures = failures(module, ran);
        if failures.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n### {module}\n");
        for (test, why) in failures {
            let test = test.strip_prefix(&format!("test.{module}.")).unwrap_or(test);
            let _ = writeln!(text, "- `{test}`, {}: {}", reasons::of(why).name, words(why));
        }
    }
}

/// The first line of a failure's words, such that Markdown shows them as they are.
fn words(why: &str) -> String {
    let first = why.lines().next().unwrap_or_default();
    let mut cut: String = first.chars().take(WORDS_CHARS_MAX).collect();
    if cut.len() < first.len() {
        cut.push('…');
    }
    let shown = cut.replace('`', "'").replace('|', "/");
    let shown: String = shown.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    format!("`{shown}`")
}
