//! Every direction in which a guest is bounded.

use std::num::NonZeroUsize;

use futures_executor::block_on;
use futures_util::future::join_all;
use gyre_sandbox::{Sandbox, SandboxConfig, SessionSpec};
use gyre_types::{GuestOutcome, Limits, SandboxJob, Seed};

use crate::support::{call, config, job, once, once_with, raised, run, sandbox, warm_cache};

fn trap(outcome: &GuestOutcome) -> &str {
    match outcome {
        GuestOutcome::Trap { message } => message,
        other => panic!("no trap but {other:?}"),
    }
}

#[test]
fn an_endless_loop_burns_its_fuel_and_no_more() {
    let limits = Limits { fuel_max: 20_000_000, ..Limits::default() };
    let report = once_with("print('before')\nwhile True: pass", limits);
    assert_eq!(report.outcome, GuestOutcome::FuelExhausted);
    assert_eq!(report.fuel, 20_000_000);
    assert_eq!(report.stdout, "before\n");
}

#[test]
fn memory_is_bounded() {
    for code in [
        "x = [0] * 40_000_000",
        "x = []\nwhile True: x.append('y' * 100_000)",
        "x = bytearray(1 << 28)",
    ] {
        assert_eq!(once(code).outcome, GuestOutcome::MemoryExceeded, "{code}");
    }
}

#[test]
fn memory_within_the_limit_is_granted() {
    let report = once("x = bytearray(64 << 20)\nprint(len(x))");
    assert_eq!(report.stdout, "67108864\n");
}

#[test]
fn what_no_machine_could_hold_is_an_ordinary_exception() {
    assert_eq!(raised(&once("x = [0] * 10**9")).kind, "MemoryError");
    assert_eq!(raised(&once("x = b'y' * (1 << 40)")).kind, "OverflowError");
}

#[test]
fn output_is_bounded_on_every_way_out() {
    let limits = Limits { stdout_bytes_max: 10, ..Limits::default() };
    for code in [
        "while True: print('spam')",
        "import os\nwhile True: os.write(1, b'spam')",
        "import sys\nwhile True: print('spam', file=sys.stderr)",
        "import sys\nsys.stdout.write('spam' * 1_000_000)",
        "import os\nos.write(2, b'spam' * 100_000)",
    ] {
        let report = once_with(code, limits.clone());
        assert_eq!(report.outcome, GuestOutcome::OutputExceeded, "{code}");
        assert!(report.stdout.len() <= 10, "{code}: {:?}", report.stdout);
    }
    assert_eq!(once_with("print('123456789')", limits).stdout, "123456789\n");
}

#[test]
fn host_calls_are_bounded() {
    let limits = Limits { host_calls_max: 1_000, ..Limits::default() };
    for code in [
        "import os\nwhile True: os.urandom(1)",
        "import time\nwhile True: time.time()",
        "import time\nwhile True: time.sleep(1)",
    ] {
        let report = once_with(code, limits.clone());
        assert_eq!(report.outcome, GuestOutcome::HostCallsExceeded, "{code}");
    }
}

#[test]
fn what_the_host_does_for_a_guest_burns_fuel_too() {
    let limits = Limits { fuel_max: 50_000_000, ..Limits::default() };
    let report = once_with("import os\nwhile True: os.urandom(1_000_000)", limits.clone());
    assert_eq!(report.outcome, GuestOutcome::FuelExhausted);
    let fill = once_with("while True: bytearray(90 << 20)", limits);
    assert_eq!(fill.outcome, GuestOutcome::FuelExhausted);
}

#[test]
fn pythons_recursion_is_bounded_at_the_given_depth() {
    let code = "def f(n): return f(n + 1)\nf(0)";
    assert_eq!(raised(&once(code)).kind, "RecursionError");
    let deep = "def f(n): return 0 if n == 0 else 1 + f(n - 1)\nprint(f(900))";
    let limits = Limits { recursion_max: 1_000, ..Limits::default() };
    assert_eq!(once_with(deep, limits).stdout, "900\n");
}

#[test]
fn recursion_through_c_code_ends_in_recursion_errors_too() {
    let limits = Limits { recursion_max: 1_000, ..Limits::default() };
    for code in [
        "class A:\n    def __repr__(self): return repr(self)\nrepr(A())",
        "def f(x): return sorted([1, 2], key=f)\nf(1)",
        "def f(x): return list(map(f, [x]))\nf(1)",
        "def f(): return eval('f()')\nf()",
        "class A:\n    def __getattr__(self, n): return getattr(self, n)\nA().x",
        "class A:\n    def __str__(self): return '%s' % self\nstr(A())",
        "import re\nre.compile('(' * 10_000)",
        "def g(n):\n    yield from g(n + 1)\nlist(g(0))",
    ] {
        let report = once_with(code, limits.clone());
        assert_eq!(raised(&report).kind, "RecursionError", "{code}");
    }
}

#[test]
fn bombs_end_in_an_outcome() {
    let limits = Limits { fuel_max: 500_000_000, ..Limits::default() };
    for code in [
        "x = 9 ** 9 ** 9",
        "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
        "import json\njson.loads('9' * 10_000_000)",
        "x = '%0999999999d' % 1",
        "x = 'a'\nwhile True: x += x",
        "import itertools\nlist(itertools.product(range(1000), repeat=5))",
    ] {
        let outcome = once_with(code, limits.clone()).outcome;
        assert!(
            matches!(
                outcome,
                GuestOutcome::FuelExhausted
                    | GuestOutcome::MemoryExceeded
                    | GuestOutcome::Exception(_)
            ),
            "{code}: {outcome:?}"
        );
    }
}

#[test]
fn leaving_early_is_data() {
    let code = "import sys\nprint('a')\nsys.exit(0)";
    assert_eq!(raised(&once(code)).kind, "SystemExit");
    assert_eq!(raised(&once("raise KeyboardInterrupt('k')")).message, "k");
    assert_eq!(raised(&once("raise GeneratorExit")).kind, "GeneratorExit");
    let report = once("import os\nprint('a')\nos._exit(0)");
    assert_eq!(trap(&report.outcome), "the guest ended its process");
    assert_eq!(report.stdout, "a\n");
}

#[test]
fn an_exception_that_cannot_be_printed_is_still_told() {
    let report = once("class E(BaseException):\n    def __str__(self): raise self\nraise E");
    assert_eq!(
        (raised(&report).kind.as_str(), raised(&report).message.as_str()),
        ("E", "<unprintable>")
    );
    let report = once("raise ValueError('x' * 1_000_000)");
    assert!(raised(&report).message.chars().count() <= 4_001);
    let report = once("raise ValueError('\\ud800')");
    assert_eq!(raised(&report).message, "\\ud800");
}

const REPORTS_BYTES_MAX: u64 = 4 << 20;

/// A sandbox that may hold [`REPORTS_BYTES_MAX`] of reports at a time.
fn narrow_sandbox(live_max: u32) -> Sandbox {
    drop(sandbox());
    let config = SandboxConfig {
        workers: NonZeroUsize::new(2).unwrap(),
        live_max,
        reports_bytes_max: REPORTS_BYTES_MAX,
        ..config(&warm_cache())
    };
    Sandbox::open(&config, &|_| {}).unwrap()
}

/// A function whose result counts as about 2 MB of report memory.
const COSTLY: &str = "def f():\n    return 'x' * 130_000\n";

#[track_caller]
fn assert_bounded(sandbox: &Sandbox) {
    let peak = sandbox.reports_bytes_peak();
    assert!(peak > 1 << 20 && peak <= REPORTS_BYTES_MAX, "{peak}");
}

/// Reports of attempts are consumed one by one, within the bound on their memory.
#[test]
fn reports_of_attempts_are_bounded_together() {
    let sandbox = narrow_sandbox(8);
    let attempt = SandboxJob { steps: vec![run(COSTLY), call("f", vec![])], ..job("") };
    let steps = |job| async {
        let report = sandbox.attempt(job).await.unwrap();
        report.take_in(|report| report.steps.len())
    };
    let came = block_on(join_all(vec![attempt; 40].into_iter().map(steps)));
    assert_eq!(came, [2; 40]);
    assert_bounded(&sandbox);
    // A program that does not run through is not called.
    let fails = SandboxJob { steps: vec![run("1 / 0"), call("f", vec![])], ..job("") };
    assert_eq!(block_on(steps(fails)), 1);
}

/// Reports of steps in live sessions count towards the same bound.
#[test]
fn reports_of_sessions_are_bounded_together() {
    let sandbox = narrow_sandbox(40);
    let spec = || SessionSpec { seed: Seed(1), limits: Limits::default() };
    let started = block_on(join_all((0..40).map(|_| sandbox.begin(spec()))));
    let mut sessions: Vec<_> = started.into_iter().map(Result::unwrap).collect();
    for step in [run(COSTLY), call("f", vec![])] {
        let steps = sessions.iter_mut().map(|session| async {
            let report = session.advance(step.clone()).await.unwrap();
            report.take_in(|report| report.outcome.value().is_some())
        });
        assert_eq!(block_on(join_all(steps)), [true; 40]);
    }
    assert_bounded(&sandbox);
}
