//! The guest meets the bound of its own stack before that of the native one: what
//! CPython frees without recursion is freed, and what it refuses is refused.

use gyre_types::{GuestOutcome, Limits, Seed, Value};

use crate::support::{call, job, once_with, run, sandbox, session_with};

/// Room for structures of a million parts.
fn roomy() -> Limits {
    Limits { fuel_max: 12_000_000_000, memory_bytes_max: 512 << 20, ..Limits::default() }
}

fn ends_well(name: &str, code: &str, printed: &str) {
    let report = once_with(code, roomy());
    assert_eq!(
        report.outcome,
        GuestOutcome::Value { value: Value::Null },
        "{name}: {}",
        report.stdout
    );
    assert_eq!(report.stdout, printed, "{name}");
}

#[test]
fn long_chains_are_freed() {
    for (name, code) in [
        (
            "a linked list",
            "class Node:\n    def __init__(self, next): self.next = next\nx = None\n\
             for _ in range(1_000_000): x = Node(x)\ndel x\nprint('freed')",
        ),
        (
            "a linked list with slots",
            "class Node:\n    __slots__ = ('next',)\n    def __init__(self, next): self.next = next\nx = None\n\
             for _ in range(300_000): x = Node(x)\ndel x\nprint('freed')",
        ),
        ("dictionaries", "x = {}\nfor _ in range(300_000): x = {'a': x}\ndel x\nprint('freed')"),
        ("lists", "x = []\nfor _ in range(300_000): x = [x]\ndel x\nprint('freed')"),
        ("tuples", "x = ()\nfor _ in range(300_000): x = (x,)\ndel x\nprint('freed')"),
        (
            "generators",
            "def g(inner):\n    yield 1\n    yield from inner\nx = iter([])\n\
             for _ in range(100_000):\n    x = g(x); next(x)\ndel x\nprint('freed')",
        ),
        (
            "iterators",
            "import itertools\nx = iter([1])\nfor _ in range(100_000): x = itertools.chain(x, [1])\n\
             y = map(int, [])\nfor _ in range(100_000): y = map(int, y)\ndel x, y\nprint('freed')",
        ),
        (
            "exceptions",
            "x = None\nfor _ in range(100_000):\n    e = ValueError(); e.__context__ = x; x = e\ndel e, x\nprint('freed')",
        ),
        (
            "closures",
            "x = None\ndef make(inner): return lambda: inner\nfor _ in range(100_000): x = make(x)\ndel x\nprint('freed')",
        ),
        (
            "constructors within constructors",
            "import sys\nsys.setrecursionlimit(10 ** 6)\nclass A:\n    def __init__(self, n):\n        self.x = A(n - 1) if n else None\n\
             A(50_000)\nprint('freed')",
        ),
    ] {
        ends_well(name, code, "freed\n");
    }
}

#[test]
fn what_cpython_refuses_raises_a_recursion_error() {
    const DEEP: &str = "x = []\nfor _ in range(100_000): x = [x]\n";
    for (name, prepare, refused) in [
        ("json.loads, open", "import json", "json.loads('[' * 100_000)"),
        ("json.loads, whole", "import json", "json.loads('[' * 100_000 + ']' * 100_000)"),
        (
            "json.loads, objects",
            "import json",
            "json.loads('{\"a\":' * 100_000 + '1' + '}' * 100_000)",
        ),
        ("json.dumps", &format!("import json\n{DEEP}"), "json.dumps(x)"),
        ("list ==", &format!("{DEEP}y = []\nfor _ in range(100_000): y = [y]"), "x == y"),
        ("repr", DEEP, "repr(x)"),
        ("pickle", &format!("import pickle\n{DEEP}"), "pickle.dumps(x)"),
        ("copy", &format!("import copy\n{DEEP}"), "copy.deepcopy(x)"),
        ("isinstance", "x = int\nfor _ in range(100_000): x = (x,)", "isinstance('', x)"),
        ("a sum of 100,000 terms", "", "eval('+'.join(['1'] * 100_000))"),
        ("a chain of attributes", "", "compile('a' + '.b' * 100_000, '', 'eval')"),
        (
            "partial",
            "import functools\nx = int\nfor _ in range(100_000): x = staticmethod(x)",
            "x()",
        ),
        (
            "lru_cache",
            "import functools, sys\nsys.setrecursionlimit(10 ** 6)\n@functools.cache\ndef f(n): return n and f(n - 1) + 1",
            "f(100_000)",
        ),
        (
            "map",
            "import sys\nsys.setrecursionlimit(10 ** 6)\ndef f(n): return sum(map(f, [n + 1]))",
            "f(0)",
        ),
    ] {
        let code = format!(
            "{prepare}\ntry:\n    {refused}\n    print('done')\nexcept RecursionError:\n    print('refused')\nx = y = None\nprint('alive')"
        );
        ends_well(name, &code, "refused\nalive\n");
    }
}

#[test]
fn a_sum_of_twenty_thousand_terms_ends_in_an_outcome_of_python() {
    let code =
        "try: print(eval('+'.join(['1'] * 20_000)))\nexcept RecursionError: print('refused')";
    ends_well("a sum", code, "refused\n");
    ends_well("a shorter sum", "print(eval('+'.join(['1'] * 2_000)))", "2000\n");
}

#[test]
fn pythons_own_recursion_takes_no_stack_of_c() {
    let code = "import sys\nsys.setrecursionlimit(10 ** 6)\ndef f(n): return n and f(n - 1) + 1\nprint(f(200_000))";
    ends_well("recursion", code, "200000\n");
}

/// CPython itself does not bound this, and dies of it; here the guest ends by its
/// own stack, which is the same on every processor.
#[test]
fn what_nobody_bounds_ends_at_the_low_end_of_memory() {
    let code = "x = iter([1])\nfor _ in range(100_000): x = map(int, x)\nnext(x)";
    let report = once_with(code, roomy());
    let GuestOutcome::Trap { message } = &report.outcome else { panic!("{:?}", report.outcome) };
    assert!(message.contains("out of bounds memory access"), "{message}");
    assert!(!message.contains("stack"), "{message}");
}

/// A fresh guest has its whole stack, whatever the one before it used up.
#[test]
fn deep_guests_repeat_to_the_unit_of_fuel() {
    let code = "import json\ntry: json.loads('[' * 100_000)\nexcept RecursionError as e: print(e)";
    let jobs = (0..6).map(|_| job(code)).collect();
    let reports: Vec<_> = sandbox().execute(jobs).into_iter().map(Result::unwrap).collect();
    assert!(reports[0].steps[0].stdout.starts_with("Stack overflow"), "{:?}", reports[0]);
    for report in &reports {
        assert_eq!(report.steps, reports[0].steps);
    }
}

#[test]
fn a_recursion_limit_that_a_program_sets_stays_in_force() {
    let code = "import sys\nsys.setrecursionlimit(10_000)\ndef f(n): return n and f(n - 1) + 1";
    let mut session = session_with(Seed(1), Limits::default());
    session.step(&run(code)).unwrap();
    for _ in 0..2 {
        let outcome = session.step(&call("f", vec![Value::Int(3_000)])).unwrap().outcome;
        assert_eq!(outcome, GuestOutcome::Value { value: Value::Int(3_000) });
    }
    session.step(&run("sys.setrecursionlimit(500)")).unwrap();
    let outcome = session.step(&call("f", vec![Value::Int(3_000)])).unwrap().outcome;
    assert!(matches!(outcome, GuestOutcome::Exception(e) if e.kind == "RecursionError"));
}
