//! Dishonest answers fail and honest ones pass, whatever they look like.

use std::collections::HashSet;

use gyre_tasks::{AdmittedTask, Family, StaticTask, TaskRequest, generate_tasks};
use gyre_types::{Case, Judgement, Seed, Value, Verdict};
use gyre_verify::{Submission, judge_batch};

use crate::execute;

/// `solve(numbers)`: the sorted list of the squares of the even numbers.
fn squares() -> AdmittedTask {
    let case = |numbers: &[i64]| {
        let list = |values: Vec<i64>| Value::List(values.into_iter().map(Value::Int).collect());
        let mut squares: Vec<i64> = numbers.iter().filter(|n| *n % 2 == 0).map(|n| n * n).collect();
        squares.sort_unstable();
        Case { args: vec![list(numbers.to_vec())], expect: list(squares) }
    };
    admitted(
        "Return the squares of the even numbers, sorted.",
        vec![case(&[3, 2, -4])],
        vec![case(&[]), case(&[1]), case(&[1, 2]), case(&[6, -2, 1, 0]), case(&[1, -10, 8, 8])],
        "def solve(numbers):\n    return sorted(n * n for n in numbers if n % 2 == 0)\n",
    )
}

/// `solve(n)`: whether `n` is positive, as 1 or 0.
fn sign() -> AdmittedTask {
    let case = |n| Case { args: vec![Value::Int(n)], expect: Value::Int(i64::from(n > 0)) };
    admitted(
        "Return 1 if n is positive, else 0.",
        vec![case(5)],
        [1, 0, -3, 12].map(case).to_vec(),
        "def solve(n):\n    return 1 if n > 0 else 0\n",
    )
}

fn admitted(
    instruction: &str,
    visible: Vec<Case>,
    hidden: Vec<Case>,
    reference: &str,
) -> AdmittedTask {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("written");
    std::fs::create_dir(&dir).unwrap();
    let task = StaticTask {
        name: "one".to_owned(),
        difficulty: 1,
        skills: Vec::new(),
        instruction: instruction.to_owned(),
        entry: "solve".to_owned(),
        visible,
        hidden,
        comparison: None,
        reference: reference.to_owned(),
        failures: Vec::new(),
    };
    let manifest = "name = 'written'\nversion = 1\ndescription = 'One task.'\nsource = 'static'\n\
                    difficulty = { min = 1, max = 1 }\nlimits = { fuel_max = 300_000_000 }\n";
    std::fs::write(dir.join("family.toml"), manifest).unwrap();
    std::fs::write(dir.join("tasks.jsonl"), serde_json::to_string(&task).unwrap()).unwrap();
    let family = Family::load(&dir).unwrap();
    let request = TaskRequest::new(Seed(0), 1, None);
    generate_tasks(&family, &[request], &HashSet::new(), execute).unwrap().tasks.remove(0).unwrap()
}

fn judge(admitted: &AdmittedTask, answers: &[&str]) -> Vec<Judgement> {
    let AdmittedTask { task, key } = admitted;
    let submissions: Vec<_> =
        answers.iter().map(|answer| Submission::of_program(task, key, answer)).collect();
    judge_batch(&submissions, execute)
}

#[test]
fn attacks_fail() {
    let attacks = [
        "print('PASS')\nprint('{\"ok\": []}')",
        "import sys\nprint('PASS')\nsys.exit(0)",
        "import os\nos._exit(0)",
        "def solve(numbers):\n    raise SystemExit(0)",
        "def solve(numbers):\n    print('all tests passed')",
        "class Yes:\n    def __eq__(self, other): return True\n    __hash__ = None\ndef solve(numbers):\n    return Yes()",
        "class Yes(list):\n    def __eq__(self, other): return True\ndef solve(numbers):\n    return Yes(numbers)",
        "def solve(numbers):\n    return tuple(sorted(n * n for n in numbers if n % 2 == 0))",
        "def solve(numbers):\n    return sorted(float(n * n) for n in numbers if n % 2 == 0)",
        "def solve(numbers):\n    return {(3, 2, -4): [4, 16]}.get(tuple(numbers), [])",
        "import builtins\nbuiltins.sorted = lambda x: []\nbuiltins.all = lambda x: True\ndef solve(numbers):\n    return sorted(numbers)",
        "import json\njson.dumps = lambda *a, **k: '{\"ok\": []}'\ndef solve(numbers):\n    return numbers",
        "calls = []\nANSWERS = [[], [], [4], [0, 4, 36], [64, 64, 100]]\ndef solve(numbers):\n    calls.append(1)\n    return ANSWERS[len(calls) - 1]",
        "def solve(numbers):\n    while True:\n        pass",
        "def solve(numbers):\n    return [0] * 10**9",
        "def solve(numbers):\n    return solve(numbers)",
        "import inspect\ndef solve(numbers):\n    for frame in inspect.stack():\n        for value in frame.frame.f_locals.values():\n            if isinstance(value, dict) and 'expect' in value:\n                return value['expect']",
        "import gc\ndef solve(numbers):\n    for found in gc.get_objects():\n        if isinstance(found, dict) and 'expect' in found:\n            return found['expect']",
        "def solve(numbers):\n    return (n * n for n in sorted(numbers))",
        "def solve(numbers):\n    return '\\ud800'",
        "solve = 3",
        "def other(numbers):\n    return []",
        "def solve(numbers)\n    return []",
        "",
    ];
    let judged = judge(&squares(), &attacks);
    for (attack, judgement) in attacks.iter().zip(&judged) {
        assert!(matches!(judgement.verdict, Verdict::Fail { .. }), "{attack}\n{judgement:?}");
    }
}

#[test]
fn state_across_cases_fails_though_the_shared_guest_agreed() {
    let counting = "calls = []\nANSWERS = [[], [], [4], [0, 4, 36], [64, 64, 100]]\ndef solve(numbers):\n    calls.append(1)\n    return ANSWERS[len(calls) - 1]";
    let judgement = judge(&squares(), &[counting]).remove(0);
    assert_eq!(judgement.guests, 6);
    assert_eq!(judgement.checks.iter().filter(|check| check.passed).count(), 2);
    assert!(judgement.checks[4].detail.contains("carries state from case to case"));
}

#[test]
fn numbers_of_another_type_fail() {
    let wrong = [
        "def solve(n):\n    return n > 0",
        "def solve(n):\n    return 1.0 if n > 0 else 0.0",
        "class Int(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\ndef solve(n):\n    return Int(2)",
        "import decimal\ndef solve(n):\n    return decimal.Decimal(int(n > 0))",
        "def solve(n):\n    return '1' if n > 0 else '0'",
    ];
    let judged = judge(&sign(), &wrong);
    for (answer, judgement) in wrong.iter().zip(&judged) {
        assert!(matches!(judgement.verdict, Verdict::Fail { .. }), "{answer}\n{judgement:?}");
        assert!(judgement.checks.iter().all(|check| !check.passed), "{answer}\n{judgement:?}");
    }
}

/// What their base type holds decides, whatever their own methods say.
#[test]
fn values_of_subclasses_are_what_their_base_type_holds() {
    let right = [
        "class Int(int):\n    def __eq__(self, other): return False\n    __hash__ = int.__hash__\ndef solve(n):\n    return Int(n > 0)",
        "import enum\nclass Sign(enum.IntEnum):\n    NO = 0\n    YES = 1\ndef solve(n):\n    return Sign(int(n > 0))",
    ];
    for (answer, judgement) in right.iter().zip(judge(&sign(), &right)) {
        assert_eq!(judgement.verdict, Verdict::Pass, "{answer}\n{judgement:?}");
    }
}

#[test]
fn honest_answers_of_odd_looks_pass() {
    let honest = [
        "def solve(numbers):\n    print('FAIL', numbers)\n    return sorted(n * n for n in numbers if n % 2 == 0)",
        "import sys\ncount = 0\ndef solve(numbers):\n    global count\n    count += 1\n    print(count, file=sys.stderr)\n    return sorted(n * n for n in numbers if n % 2 == 0)",
        "class Solver:\n    def __init__(self, numbers):\n        self.numbers = numbers\n    def __call__(self):\n        return sorted(n * n for n in self.numbers if n % 2 == 0)\ndef solve(numbers):\n    return Solver(numbers)()",
        "class Solve:\n    def __call__(self, numbers):\n        return sorted(n * n for n in numbers if n % 2 == 0)\nsolve = Solve()",
        "def solve(numbers):\n    if not numbers:\n        return []\n    head = [numbers[0] ** 2] if numbers[0] % 2 == 0 else []\n    return sorted(head + solve(numbers[1:]))",
        "def evens(numbers):\n    for n in numbers:\n        if n % 2 == 0:\n            yield n * n\ndef solve(numbers):\n    return sorted(evens(numbers))",
        "solve = lambda numbers: sorted(map(lambda n: n * n, filter(lambda n: not n % 2, numbers)))",
        "import collections, heapq, itertools, functools, re, math, statistics, decimal\ndef solve(numbers):\n    heap = [n * n for n in numbers if math.fmod(n, 2) == 0]\n    heapq.heapify(heap)\n    return [heapq.heappop(heap) for _ in range(len(heap))]",
        "def solve(numbers):\n    numbers.sort(key=abs)\n    result = []\n    while numbers:\n        n = numbers.pop(0)\n        if n % 2 == 0:\n            result.append(n * n)\n    return result",
        "import random\ndef solve(numbers):\n    numbers = numbers[:]\n    random.shuffle(numbers)\n    return sorted(n * n for n in numbers if n % 2 == 0)",
        "import time\ndef solve(numbers):\n    time.sleep(3600)\n    return sorted(n * n for n in numbers if n % 2 == 0)",
        "def solve(numbers, cache={}):\n    key = tuple(numbers)\n    if key not in cache:\n        cache[key] = sorted(n * n for n in numbers if n % 2 == 0)\n    return cache[key]",
        "sum = max = None\n__name__ = 'renamed'\ndef solve(numbers):\n    list = sorted(n * n for n in numbers if n % 2 == 0)\n    return list",
        "def solve(*args, **kwargs):\n    try:\n        return sorted(n * n for n in args[0] if n % 2 == 0)\n    finally:\n        print('done')",
    ];
    let judged = judge(&squares(), &honest);
    for (answer, judgement) in honest.iter().zip(&judged) {
        assert_eq!(judgement.verdict, Verdict::Pass, "{answer}\n{judgement:?}");
    }
}

#[test]
fn judging_again_gives_the_same_judgement() {
    let answers = [
        "def solve(numbers):\n    import random\n    return [random.random()]",
        "def solve(numbers):\n    return sorted(n * n for n in numbers if n % 2 == 0)",
    ];
    let task = squares();
    assert_eq!(judge(&task, &answers), judge(&task, &answers));
}
