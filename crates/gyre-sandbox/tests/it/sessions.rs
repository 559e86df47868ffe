use futures_executor::block_on;
use futures_util::future::join_all;
use gyre_sandbox::SandboxError;
use gyre_types::{GuestOutcome, Limits, Value};

use crate::support::{call, once, printed, raised, run, session, session_with, text};

#[test]
fn a_program_prints() {
    assert_eq!(printed("print(sum(range(10)))"), "45\n");
}

#[test]
fn state_lasts_within_a_session_and_nowhere_else() {
    let mut first = session();
    first.step(&run("x = 41")).unwrap();
    first.step(&run("def f(y):\n    return x + y")).unwrap();
    let report = first.step(&call("f", vec![Value::Int(1)])).unwrap();
    assert_eq!(report.outcome, GuestOutcome::Value { value: Value::Int(42) });
    let mut second = session();
    let report = second.step(&run("x")).unwrap();
    assert_eq!(raised(&report).kind, "NameError");
}

#[test]
fn an_exception_is_told_with_its_traceback_and_the_session_goes_on() {
    let mut session = session();
    let report = session.step(&run("def f(x):\n    return 1 / x\n\nprint('a')\nf(0)")).unwrap();
    let raised = raised(&report);
    assert_eq!(raised.kind, "ZeroDivisionError");
    assert_eq!(raised.message, "division by zero");
    assert_eq!(
        raised.traceback,
        "Traceback (most recent call last):\n  File \"<turn 1>\", line 5, in <module>\n    f(0)\n  \
         File \"<turn 1>\", line 2, in f\n    return 1 / x\nZeroDivisionError: division by zero"
    );
    assert_eq!(report.stdout, "a\n");
    let report = session.step(&call("f", vec![Value::Int(2)])).unwrap();
    assert_eq!(report.outcome, GuestOutcome::Value { value: Value::Float(0.5) });
}

#[test]
fn a_syntax_error_names_its_place() {
    let report = once("x = 1\ny = = 2\n");
    let raised = raised(&report);
    assert_eq!(raised.kind, "SyntaxError");
    assert!(raised.traceback.contains("line 2\n    y = = 2\n        ^\n"), "{}", raised.traceback);
}

#[test]
fn a_dead_session_says_so_and_tells_its_usage() {
    let limits = Limits { fuel_max: 50_000_000, ..Limits::default() };
    let mut session = session_with(gyre_types::Seed(1), limits);
    let report = session.step(&run("while True: pass")).unwrap();
    assert_eq!(report.outcome, GuestOutcome::FuelExhausted);
    assert!(matches!(session.step(&run("1")), Err(SandboxError::SessionDead)));
    let usage = session.end().unwrap();
    assert_eq!((usage.steps, usage.fuel), (1, 50_000_000));
}

#[test]
fn keyword_like_text_arguments_arrive_unchanged() {
    let mut session = session();
    session.step(&run("def f(*args): return list(args)")).unwrap();
    let args = vec![
        text("$int"),
        text("\u{0}é\u{1F600}\"\\"),
        Value::BigInt("-98765432109876543210".to_owned()),
    ];
    let report = session.step(&call("f", args.clone())).unwrap();
    assert_eq!(report.outcome, GuestOutcome::Value { value: Value::List(args) });
}

#[test]
fn many_sessions_step_at_one_time_and_keep_apart() {
    let mut sessions: Vec<_> = (0..40).map(|_| session()).collect();
    for round in 1..=3 {
        let steps = sessions.iter_mut().enumerate().map(|(at, session)| {
            session.advance(run(&format!("x = globals().get('x', {at}) + 1\nprint(x)")))
        });
        let reports = block_on(join_all(steps));
        assert_eq!(reports.len(), 40);
        for (at, report) in reports.into_iter().enumerate() {
            let printed = report.unwrap().take_in(|report| report.stdout);
            assert_eq!(printed, format!("{}\n", at + round));
        }
    }
}
