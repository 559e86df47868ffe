//! Gates that need no guest: what a program that does nothing would give is
//! known on the host.

use gyre_types::{Case, Value};
use gyre_verify::{Comparison, same};

use crate::contract::Content;
use crate::{Reason, Refusal};

/// Refuses a task that a stub would pass: all that is asked of tasks that
/// people wrote.
pub(crate) fn require_stub_fails(content: &Content, how: &Comparison) -> Result<(), Refusal> {
    if content.hidden.iter().all(|case| agree(&case.expect, &Value::Null, how)) {
        return Err(Refusal::new(Reason::Trivial, "a program that returns None passes"));
    }
    Ok(())
}

/// Refuses a task that a program without thought would pass: all that chance
/// can make of a generated one.
pub(crate) fn require_substance(content: &Content, how: &Comparison) -> Result<(), Refusal> {
    let hidden = &content.hidden;
    let all = |agrees: &dyn Fn(&Case) -> bool| hidden.iter().all(agrees);
    let first = hidden.first().map_or(&Value::Null, |case| &case.expect);
    let trivial = |what: &str| Err(Refusal::new(Reason::Trivial, what));
    require_stub_fails(content, how)?;
    if all(&|case| case.args.first().is_some_and(|arg| agree(&case.expect, arg, how))) {
        return trivial("a program that returns its first argument passes");
    }
    if all(&|case| agree(&case.expect, first, how)) {
        return trivial("a program that always returns the same value passes");
    }
    require_unseen(content)
}

/// Refuses a task whose hidden cases were all shown.
pub(crate) fn require_unseen(content: &Content) -> Result<(), Refusal> {
    let shown = |case: &Case| content.visible.iter().any(|v| same_arguments(&v.args, &case.args));
    if content.hidden.iter().all(shown) {
        let detail = "every hidden case has the arguments of a visible one";
        return Err(Refusal::new(Reason::VisibleOnly, detail));
    }
    Ok(())
}

fn agree(expected: &Value, actual: &Value, how: &Comparison) -> bool {
    same(expected, actual, how).is_ok()
}

fn same_arguments(a: &[Value], b: &[Value]) -> bool {
    let exactly = Comparison::default();
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b, &exactly))
}
