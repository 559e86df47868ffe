use std::collections::HashSet;
use std::path::Path;

use gyre_tasks::{
    AdmittedTask, CheckPlan, Family, FamilySource, Import, TaskError, TaskRequest, check_family,
    generate_tasks, import_humaneval,
};
use gyre_types::{Seed, Value};
use gyre_verify::{Comparison, Equality, Submission};

use crate::execute;

const SAMPLE: &str = include_str!("../data/humaneval_sample.jsonl");

fn import(text: &str) -> Result<Import, TaskError> {
    import_humaneval(Path::new("sample.jsonl"), text, "sample", execute)
}

/// The family that an import makes.
pub(crate) fn written(imported: &Import) -> Family {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    imported.write(&dir).unwrap();
    Family::load(&dir).unwrap()
}

pub(crate) fn admitted(family: &Family) -> Vec<AdmittedTask> {
    let FamilySource::Static(tasks) = &family.source else { panic!("{family:?}") };
    let requests: Vec<_> =
        (0..tasks.len()).map(|at| TaskRequest::new(Seed(at as u64), 1, None)).collect();
    let made = generate_tasks(family, &requests, &HashSet::new(), execute).unwrap();
    let mut made: Vec<_> = made.tasks.into_iter().map(Result::unwrap).collect();
    made.sort_by_key(|task| tasks.iter().position(|t| t.instruction == task.task.instruction()));
    made
}

#[test]
fn every_solution_passes_and_every_stub_fails() {
    let imported = import(SAMPLE).unwrap();
    let refused: Vec<_> = imported.refused.iter().map(|(id, why)| format!("{id}: {why}")).collect();
    assert_eq!(
        refused,
        [
            "Sample/8: test_form: it asks for a property of a result: math.fabs(a * root + b) < \
             1e-4",
            "Sample/11: test_form: it uses another name of the solution: encode",
        ]
    );
    assert_eq!(imported.tasks.len(), 12);

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    imported.write(&dir).unwrap();
    let family = Family::load(&dir).unwrap();
    let plan = CheckPlan { seed: Seed(1), tasks_per_level: 1 };
    let report = check_family(&family, plan, execute).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    let level = &report.levels[0];
    assert_eq!((level.admitted, level.references_passed), (12, 12));
    assert_eq!((level.failures_rejected, level.failures_accepted), (3 * 12, 0));
    assert!(imported.write(&dir).is_err(), "an existing folder is not written over");
}

#[test]
fn cases_are_what_the_test_asked() {
    let imported = import(SAMPLE).unwrap();
    let task = |entry: &str| imported.tasks.iter().find(|task| task.entry == entry).unwrap();
    let shown = |entry: &str| {
        let case = |case: &gyre_types::Case| {
            format!("{} -> {}", Value::List(case.args.clone()), case.expect)
        };
        let task = task(entry);
        (
            task.visible.iter().map(case).collect::<Vec<_>>(),
            task.hidden.iter().map(case).collect::<Vec<_>>(),
        )
    };
    let (visible, hidden) = shown("split_at_peak");
    assert_eq!(visible, ["[[1, 5, 2]] -> ([1], 5, [2])"]);
    assert_eq!(hidden[2], "[[3, 3, 1]] -> ([], 3, [3, 1])");
    // The arguments are those before the call, though the call changes them.
    assert_eq!(shown("drop_last").1[1], "[[1, 2]] -> [1]");
    // `is None` and bare asserts are recorded like any other call.
    assert_eq!(shown("first_negative").1[1], "[[]] -> None");
    assert_eq!(shown("is_balanced").0, ["['(())'] -> True", "[')('] -> False"]);
    // Of a loop of sixty calls, distinct ones are kept up to the bound.
    assert_eq!(shown("untwist").1.len(), 40);
    assert_eq!(shown("power").1[1], format!("[7, 40] -> {}", 7_i128.pow(40)));

    let tolerance =
        |entry: &str| task(entry).comparison.and_then(|c| c.float_tolerance).map(|t| t.absolute());
    assert_eq!(tolerance("mean_distance"), Some(1e-6));
    assert_eq!(tolerance("power"), None);
}

/// What an import makes of a problem whose solution is `f` beside a helper `g`.
fn of_test(test: &str) -> Result<Option<Comparison>, String> {
    let problem = serde_json::json!({
        "task_id": "one",
        "prompt": "import math\nLIMIT = 3\ndef g(x):\n    return x\ndef f(x):\n",
        "entry_point": "f",
        "canonical_solution": "    return x > 1 if isinstance(x, float) else [x, x / 4]\n",
        "test": test,
    });
    let mut imported = import(&problem.to_string()).unwrap();
    match imported.refused.pop() {
        Some((_, refusal)) => Err(refusal.to_string()),
        None => Ok(imported.tasks.remove(0).comparison),
    }
}

#[test]
fn tests_that_compare_results_are_imported() {
    let bodies = [
        "assert candidate(2) == [2, 0.5]",
        "assert [2, 0.5] == candidate(2), 'so it must be'",
        "r = candidate(2)\n    s = r\n    assert s == [2, 0.5]",
        "for x, y in [(2, 0.5), (4, 1)]:\n        assert candidate(x) == [x, y]",
        "assert tuple(candidate(2)) == tuple(f(2))",
        "assert [candidate(x) for x in (2, 4)] == [[2, 0.5], [4, 1]]",
        "assert all(candidate(x) == [x, x / 4] for x in range(3)) and candidate(0) == [0, 0]",
        "LIMIT = 2\n    assert candidate(LIMIT) == [2, 0.5]",
        "import math\n    assert candidate(2) == [2, math.sqrt(0.25)]\n    assert True",
        "assert candidate(2.0)\n    assert not candidate(1.0)",
    ];
    for body in bodies {
        let made = of_test(&format!("def check(candidate):\n    {body}\n"));
        assert_eq!(made, Ok(None), "{body}");
    }
    let made = of_test("def check(candidate):\n    assert candidate(2.0) is True\n");
    assert_eq!(made, Ok(Some(Equality::Exact.into())), "1 is not True");
}

#[test]
fn tests_that_ask_for_more_are_refused_by_name() {
    for (body, why) in [
        ("assert g(candidate(2)) == [2, 0.5]", "it uses another name of the solution: g"),
        ("assert candidate(LIMIT) == [3, 0.75]", "another name of the solution: LIMIT"),
        ("assert len(candidate(2)) == 2", "a property of a result: len(candidate(2)) == 2"),
        ("assert candidate(2)[0] == 2", "a property of a result"),
        ("assert sorted(candidate(2)) == [0.5, 2]", "a property of a result"),
        ("assert set(candidate(2)) == {0.5, 2}", "a property of a result"),
        ("assert 2 in candidate(2)", "a property of a result"),
        ("assert candidate(2) != 3", "a property of a result"),
        ("assert candidate(2) == candidate(2)", "a property of a result"),
        ("assert abs(candidate(2)[0] * 2 - 4) < 1e-4", "a property of a result"),
        ("assert abs(sum(candidate(2)) - 2.5) < 1e-4", "a property of a result"),
        ("assert candidate(2) == [2, 0.5] or candidate(2) is None", "a property of a result"),
        ("assert all(x > 0 for x in candidate(2))", "a property of a result"),
        ("a, b = candidate(2)\n    assert a == 2", "it takes a result apart: a, b = candidate(2)"),
        ("r = sum(candidate(2))\n    assert r == 2.5", "it computes with a result"),
        ("r = candidate(candidate(2)[0])\n    assert r", "it calls the candidate with a result"),
        ("for x in candidate(2):\n        assert x", "it loops over a result: candidate(2)"),
        ("if candidate(2.0):\n        assert True", "in a way that is not known"),
        ("h = candidate\n    assert h(2) == [2, 0.5]", "it computes with a result: h = candidate"),
        ("try:\n        candidate(2)\n    except ValueError:\n        pass", "not known: try:"),
        ("candidate(2)", "it calls the candidate and asks nothing of the result"),
        ("candidate(2)\n    assert f(2) == [2, 0.5]", "asks nothing of the result"),
        (
            "x = [1]\n    r = candidate(2.0)\n    assert r\n    assert x == [1]",
            "is not about a result",
        ),
        ("assert candidate(2)", "whether a result is true, and the solution's is no boolean"),
        ("assert abs(candidate(2.0) - 1) < 5", "a bound that is not from 0 to 0.1: 5"),
        ("assert abs(candidate(2.0) - 1) < LEAST", "a bound that is no plain number: LEAST"),
    ] {
        let test = format!("LEAST = 1e-6\ndef check(candidate):\n    {body}\n");
        let refused = of_test(&test).unwrap_err();
        assert!(refused.starts_with("test_form: ") && refused.contains(why), "{body}\n{refused}");
    }
    let through =
        "def run(h):\n    assert h(2) == [2, 0.5]\ndef check(candidate):\n    run(candidate)\n";
    assert!(of_test(through).unwrap_err().contains("is not about a result: h(2)"));
}

#[test]
fn a_solution_may_be_slow_over_all_cases_but_not_in_one() {
    let problem = |id: &str, steps: u32| {
        serde_json::json!({
            "task_id": id, "prompt": "def f(x):\n", "entry_point": "f",
            "canonical_solution":
                format!("    for at in range({steps}):\n        x += at % 2\n    return x\n"),
            "test": format!(
                "def check(candidate):\n    for x in range(8):\n        \
                 assert candidate(x) == x + {steps} // 2\n"
            ),
        })
        .to_string()
    };
    // Eight cases of some 0.6e9 units of fuel, where an answer has 2e9 for each.
    let imported = import(&[problem("slow", 500_000), problem("slower", 4_000_000)].join("\n"));
    let imported = imported.unwrap();
    let names: Vec<_> = imported.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["slow"]);
    let refused = imported.refused[0].1.to_string();
    assert_eq!(
        refused,
        "reference_fails: the solution, judged as an answer, fails: hidden[0]: ran out of fuel"
    );
    let plan = CheckPlan { seed: Seed(1), tasks_per_level: 1 };
    let report = check_family(&written(&imported), plan, execute).unwrap();
    assert_eq!((report.problems, report.levels[0].references_passed), (vec![], 1));
}

#[test]
fn answers_are_compared_as_the_tests_compare() {
    let sum = serde_json::json!({
        "task_id": "sum", "prompt": "def f(xs):\n", "entry_point": "f",
        "canonical_solution": "    return sum(xs)\n",
        "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n    \
                 assert candidate([]) == 0\n",
    });
    let near = serde_json::json!({
        "task_id": "near", "prompt": "def f(x):\n", "entry_point": "f",
        "canonical_solution": "    return x / 3\n",
        "test": "def check(candidate):\n    assert abs(candidate(6) - 2) < 1e-6\n",
    });
    let family = written(&import(&format!("{sum}\n{near}")).unwrap());
    let tasks = admitted(&family);
    let verdicts = |at: usize, answers: &[&str]| -> Vec<bool> {
        let AdmittedTask { task, key } = &tasks[at];
        let submissions: Vec<_> =
            answers.iter().map(|answer| Submission::of_program(task, key, answer)).collect();
        let judged = family.verifier.judge(&submissions, execute);
        judged.iter().map(|judgement| judgement.verdict.is_pass()).collect()
    };
    let floats = "def f(xs):\n    return float(sum(xs))\n";
    let booleans = "def f(xs):\n    return sum(xs) if xs else False\n";
    let texts = "def f(xs):\n    return str(sum(xs))\n";
    assert_eq!(verdicts(0, &[floats, booleans, texts]), [true, true, false]);
    let whole = "def f(x):\n    return x // 3\n";
    let off = "def f(x):\n    return x / 3 + 0.001\n";
    assert_eq!(verdicts(1, &[whole, off]), [true, false]);
}

#[test]
fn problems_that_decide_nothing_are_refused_by_name() {
    let line = |id: &str, solution: &str, test: &str| {
        serde_json::json!({
            "task_id": id,
            "prompt": "def f(x):\n",
            "entry_point": "f",
            "canonical_solution": solution,
            "test": format!("def check(candidate):\n    {test}\n"),
        })
        .to_string()
    };
    let text = [
        line("wrong", "    return 1\n", "assert candidate(1) == 2"),
        line("never", "    return 1\n", "pass"),
        line("nothing", "    return None\n", "assert candidate(1) is None"),
        line("object", "    return object()\n", "candidate(1)"),
        line("syntax", "    return (\n", "candidate(1)"),
        line("fine", "    return x\n", "assert candidate(1) == 1"),
    ]
    .join("\n");
    let imported = import(&text).unwrap();
    let refused: Vec<_> =
        imported.refused.iter().map(|(id, refusal)| format!("{id}: {refusal}")).collect();
    assert_eq!(refused.len(), 5, "{refused:#?}");
    assert!(
        refused[0].starts_with(
            "wrong: reference_fails: the test, over the solution, raised AssertionError"
        ),
        "{}",
        refused[0]
    );
    assert!(refused[1].starts_with("never: schema: the test never calls"), "{}", refused[1]);
    assert!(refused[2].starts_with("nothing: trivial"), "{}", refused[2]);
    assert!(refused[3].starts_with("object: reference_fails"), "{}", refused[3]);
    assert!(
        refused[4].starts_with("syntax: reference_fails: the solution raised SyntaxError"),
        "{}",
        refused[4]
    );
    assert_eq!(imported.tasks[0].name, "fine");
}

#[test]
fn lines_of_another_form_are_named() {
    let refused = |text: &str, message: &str| {
        assert_eq!(
            import(text).unwrap_err().to_string(),
            format!("sample.jsonl is not valid: {message}")
        );
    };
    refused("", "there is no problem in it");
    refused(
        r#"{"task_id": 3}"#,
        "line 1: task_id: invalid type: integer `3`, expected a string at line 1 column 13",
    );
    let first = SAMPLE.lines().next().unwrap();
    refused(&format!("{first}\n{first}"), "line 2: task_id: \"Sample/0\" is there twice");
    let bad_entry = first.replace("\"entry_point\": \"shorter\"", "\"entry_point\": \"a b\"");
    refused(&bad_entry, "line 1: entry_point: \"a b\" is not a plain function name");
}

/// What the problems below ask for, each with four numbers for `K`: of an
/// integer `x`, a text `s` or a list `xs`.
const ASKED: [(&str, &str, &[&str]); 3] = [
    (
        "x",
        "0, 3, -7, 12",
        &[
            "x + K",
            "x * (K + 1)",
            "x - K * 2",
            "x ** (K + 1)",
            "x % (K + 1)",
            "x // (K + 1)",
            "abs(x) + K",
            "max(x, K)",
            "min(x, K)",
            "(x + K) % 7",
            "x * x + K",
            "bin(x & 255).count('1') + K",
            "str(x) * K",
            "[x] * K",
            "x > K",
            "(x, K)",
            "list(range(K)) + [x]",
            "{K: x}",
            "sum(range(abs(x))) + K",
            "divmod(x, K + 1)",
        ],
    ),
    (
        "s",
        "'', 'abc', 'Hello World', 'aab'",
        &[
            "s * (K + 1)",
            "s[:K]",
            "s[K:]",
            "s[::-1] + str(K)",
            "s.upper()[:K]",
            "s.count('a') + K",
            "len(s) * K",
            "s.replace('a', 'x' * K)",
            "[c * K for c in s]",
            "s.split() * K",
            "s.center(20, str(K))",
            "sorted(s)[:K]",
            "s.find('b') - K",
            "{c: K for c in s}",
            "s.title() + '!' * K",
        ],
    ),
    (
        "xs",
        "[], [1, 2, 3], [5, -1, 5], [9, 8, 7, 6]",
        &[
            "[x + K for x in xs]",
            "sum(xs) * K",
            "xs[:K] + [0]",
            "sorted(xs, reverse=True)[:K] + [K]",
            "[x for x in xs if x > K] + [len(xs)]",
            "len(xs) + K",
        ],
    ),
];

/// A file of the benchmark's shape and size, problems of our own.
fn problems() -> Vec<String> {
    let mut lines = Vec::new();
    for (parameter, inputs, asked) in ASKED {
        for (expression, k) in asked.iter().flat_map(|text| (1..=4).map(move |k| (text, k))) {
            let (number, expression) = (lines.len(), expression.replace('K', &k.to_string()));
            let line = serde_json::json!({
                "task_id": format!("HumanEval/{number}"),
                "prompt": format!(
                    "def problem_{number}({parameter}):\n    \"\"\" Return {expression}. \"\"\"\n"
                ),
                "entry_point": format!("problem_{number}"),
                "canonical_solution": format!("    return {expression}\n"),
                "test": format!(
                    "\n\nMETADATA = {{}}\n\n\ndef check(candidate):\n    for {parameter} in \
                     [{inputs}]:\n        assert candidate({parameter}) == ({expression})\n"
                ),
            });
            lines.push(line.to_string());
        }
    }
    lines
}

#[test]
fn of_164_problems_every_reference_passes_and_every_stub_fails() {
    let problems = problems();
    assert_eq!(problems.len(), 164);
    let imported = import(&problems.join("\n")).unwrap();
    assert_eq!(imported.refused, []);

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    imported.write(&dir).unwrap();
    let family = Family::load(&dir).unwrap();
    let plan = CheckPlan { seed: Seed(1), tasks_per_level: 1 };
    let report = check_family(&family, plan, execute).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    let level = &report.levels[0];
    assert_eq!((level.admitted, level.references_passed), (164, 164));
    assert_eq!((level.failures_rejected, level.failures_accepted), (3 * 164, 0));
}
