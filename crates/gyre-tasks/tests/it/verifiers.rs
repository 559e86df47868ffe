//! Families with verifiers of their own, over real guests: each way judges,
//! and no fault is ever a pass or a zero.

use std::collections::HashSet;
use std::fs;

use gyre_tasks::{AdmittedTask, Family, Reason, TaskFile, TaskRequest, generate_tasks};
use gyre_types::{InvalidReason, Judgement, SandboxJob, SandboxReport, Seed, Step, Verdict};
use gyre_verify::{Submission, VerifierKind};
use serde_json::{Value as Json, json};

use crate::execute;

/// A family of one written task.
fn family(manifest: &str, task: &Json, verify: Option<&str>) -> Result<Family, String> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("own");
    fs::create_dir(&dir).unwrap();
    let head = "name = 'own'\nversion = 1\ndescription = 'One task.'\nsource = 'static'\n\
                difficulty = { min = 1, max = 1 }\n";
    fs::write(dir.join("family.toml"), format!("{head}{manifest}")).unwrap();
    fs::write(dir.join("tasks.jsonl"), task.to_string()).unwrap();
    if let Some(verify) = verify {
        fs::write(dir.join("verify.py"), verify).unwrap();
    }
    Family::load(&dir).map_err(|error| error.to_string())
}

fn written(hidden: Json, reference: &str, failures: &[&str]) -> Json {
    json!({
        "name": "one", "difficulty": 1, "instruction": "Do it.", "entry": "solve",
        "visible": [], "hidden": hidden, "reference": reference, "failures": failures,
    })
}

fn case(args: Json, expect: Json) -> Json {
    json!({ "args": args, "expect": expect })
}

fn admit(family: &Family) -> Result<AdmittedTask, Reason> {
    let request = TaskRequest::new(Seed(0), 1, None);
    let mut made = generate_tasks(family, &[request], &HashSet::new(), execute).unwrap();
    made.tasks.remove(0).map_err(|refusal| refusal.reason)
}

fn judge(family: &Family, task: &AdmittedTask, answers: &[&str]) -> Vec<Judgement> {
    judge_with(family, task, answers, &|jobs| {
        execute(jobs).into_iter().map(|r| r.map_err(|e| e.to_string())).collect()
    })
}

fn judge_with(
    family: &Family,
    task: &AdmittedTask,
    answers: &[&str],
    execute: &dyn Fn(Vec<SandboxJob>) -> Reports,
) -> Vec<Judgement> {
    let AdmittedTask { task, key } = task;
    let submissions: Vec<_> =
        answers.iter().map(|answer| Submission::of_program(task, key, answer)).collect();
    family.verifier.judge(&submissions, execute)
}

/// Admits the task of a family and judges answers that pass and that fail.
#[track_caller]
fn judges(family: &Family, pass: &[&str], fail: &[&str]) {
    let task = admit(family).unwrap();
    for (answer, judged) in pass.iter().zip(judge(family, &task, pass)) {
        assert_eq!(judged.verdict, Verdict::Pass, "{answer}\n{judged:#?}");
    }
    for (answer, judged) in fail.iter().zip(judge(family, &task, fail)) {
        assert!(matches!(judged.verdict, Verdict::Fail { .. }), "{answer}\n{judged:#?}");
    }
    // A task file carries what it takes to judge again.
    let file = TaskFile::new(family, task);
    let read = TaskFile::parse(&file.to_text().unwrap()).unwrap();
    assert_eq!(read.verifier().unwrap().digest(), family.verifier.digest());
}

#[test]
fn declared_checks_judge_calls() {
    let divisors = "def solve(n):\n    return [d for d in range(n, 0, -1) if n % d == 0]\n";
    let task = written(
        json!([case(json!([6]), json!([1, 2, 3, 6])), case(json!([1]), json!([1]))]),
        divisors,
        &["def solve(n):\n    return [1, n]\n"],
    );
    let family =
        family("[verifier]\nkind = 'checks'\nchecks = [{ check = 'multiset' }]\n", &task, None)
            .unwrap();
    assert_eq!(family.verifier.kind(), VerifierKind::Checks);
    judges(
        &family,
        &[divisors, "def solve(n):\n    return tuple(d for d in range(1, n + 1) if not n % d)"],
        &[
            "def solve(n):\n    return [d for d in range(2, n + 1) if not n % d]",
            "print([1, 2, 3, 6])",
            "class Yes(list):\n    def __eq__(self, other): return True\ndef solve(n):\n    return Yes()",
        ],
    );
}

#[test]
fn programs_are_given_stdin_and_judged_by_what_they_print() {
    let sum = "print(sum(int(line) for line in open(0)) if False else sum(map(int, __import__('sys').stdin)))\n";
    let plain = "total = 0\nwhile True:\n    try:\n        total += int(input())\n    except EOFError:\n        break\nprint(total)\n";
    let task = written(
        json!([case(json!(["1\n2\n"]), json!("3")), case(json!([""]), json!("0"))]),
        plain,
        &["print(3)\n", "print(input())\n"],
    );
    let family = family(
        "interface = 'stdio'\n[verifier]\nkind = 'checks'\nchecks = [{ check = 'text' }]\n",
        &task,
        None,
    )
    .unwrap();
    judges(
        &family,
        &[
            plain,
            sum,
            "import sys\nsys.stderr.write('working\\n')\nif __name__ == '__main__':\n    print(sum(map(int, sys.stdin.read().split())))\n    sys.exit()\n",
        ],
        &[
            "print('0')",
            "print('3')\nprint('0')",
            "import sys\nprint(sum(map(int, sys.stdin)))\nsys.exit(1)",
            "import sys\nprint(sum(map(int, sys.stdin)))\n1 / 0",
            "def solve(text):\n    return '3'",
        ],
    );
}

#[test]
fn what_a_program_prints_is_compared_word_by_word() {
    let halves = "for line in iter(input, ''):\n    print(int(line) / 2)\n";
    let cases = json!([
        case(json!(["1\n3\n\n"]), json!("0.5\n1.5\n")),
        case(json!(["4\n\n"]), json!("2.0\n")),
    ]);
    let task = written(cases, halves, &["print(0.5)\nprint(1.5)\n"]);
    let lines = "print(*[int(line) / 2 for line in iter(input, '')], end='')\n";
    let whole = "print(*[f'{int(line) / 2:g}' for line in iter(input, '')])\n";
    let wrong = "print(*[int(line) / 2 + 0.001 for line in iter(input, '')])\n";
    let joined = "print(*[int(line) / 2 for line in iter(input, '')], sep='')\n";
    // Without a table of its own: no last newline, and one line for all.
    let by_words = family("interface = 'stdio'\n", &task, None).unwrap();
    judges(&by_words, &[halves, lines], &[whole, wrong, joined]);
    // The family's tolerance is that of the numbers that are printed.
    let tolerant = "interface = 'stdio'\ncomparison = { float_tolerance = { absolute = 1e-6 } }\n";
    let tolerant = family(tolerant, &task, None).unwrap();
    judges(&tolerant, &[halves, lines, whole], &[wrong, joined]);
    // Byte by byte, where a family asks for it.
    let exact =
        "interface = 'stdio'\n[verifier]\nkind = 'checks'\nchecks = [{ check = 'exact' }]\n";
    let exact = family(exact, &task, None).unwrap();
    judges(&exact, &[halves], &[lines, whole, wrong, joined]);
    assert_ne!(by_words.verifier.digest(), exact.verifier.digest());
    // A task's own comparison would be ignored there.
    let mut other = task.clone();
    other["comparison"] = json!("python");
    let refused = family("interface = 'stdio'\n", &other, None).unwrap_err();
    assert!(refused.contains("comparison: the family's checks compare as"), "{refused}");
}

#[test]
fn statements_run_in_the_guest_and_their_value_is_judged_outside() {
    let stack = "class Stack:\n    def __init__(self):\n        self.items = []\n    def push(self, item):\n        self.items.append(item)\n    def pop(self):\n        return self.items.pop()\n";
    let queue = stack.replace("self.items.pop()", "self.items.pop(0)");
    let task = written(
        json!([
            case(json!(["s = Stack()\ns.push(1)\ns.push(2)", "s.pop()"]), json!(2)),
            case(json!(["s = Stack()\ns.push('a')", "[s.pop(), len(s.items)]"]), json!(["a", 0])),
        ]),
        stack,
        &[&queue],
    );
    // Without a table of its own, what is not called is compared exactly.
    let family = family("interface = 'statements'\n", &task, None).unwrap();
    assert_eq!(family.verifier.kind(), VerifierKind::Checks);
    judges(
        &family,
        &[stack],
        &[
            &queue,
            "class Stack:\n    def push(self, item): pass\n    def pop(self):\n        return 2\n    items = []",
            "class Always:\n    def __eq__(self, other): return True\nclass Stack:\n    push = print\n    items = []\n    def pop(self):\n        return Always()",
        ],
    );
}

const SORTS: &str = "def solve(items):\n    return sorted(items)\n";

/// Checks a property, and never says what it expects.
const PROPERTY: &str = "\
def verify(outcome):
    assert outcome['version'] == 1 and outcome['task']['entry'] == 'solve'
    checks = []
    for case in outcome['cases']:
        result = case['result']
        given = case['args'][0]
        fine = result['kind'] == 'value' and type(result['value']) is list
        value = result['value'] if fine else []
        checks.append({
            'name': case['name'] + ' ordered', 'weight': 1,
            'passed': fine and all(a <= b for a, b in zip(value, value[1:])),
            'detail': '' if fine else result.get('error', 'no list'),
        })
        checks.append({
            'name': case['name'] + ' complete', 'weight': 3, 'detail': '',
            'passed': fine and sorted(map(repr, value)) == sorted(map(repr, given)),
        })
    passed = all(check['passed'] for check in checks)
    share = sum(c['weight'] for c in checks if c['passed']) / sum(c['weight'] for c in checks)
    return {'passed': passed, 'score': share, 'checks': checks, 'metrics': {'cases': len(checks) / 2}}
";

fn sorting() -> Json {
    let cases = json!([case(json!([[3, 1, 2]]), json!(null)), case(json!([[]]), json!(null))]);
    written(cases, SORTS, &["def solve(items):\n    return items\n"])
}

#[test]
fn a_python_verifier_judges_what_was_observed() {
    let family = family("[verifier]\nkind = 'python'\n", &sorting(), Some(PROPERTY)).unwrap();
    let task = admit(&family).unwrap();
    let judged = judge(&family, &task, &[SORTS, "def solve(items):\n    return []"]);
    assert_eq!(judged[0].verdict, Verdict::Pass);
    assert_eq!((judged[0].checks.len(), judged[0].guests), (4, 3));
    assert!(judged[0].fuel > 0);
    // Ordered both times, complete once: 1 + 1 + 3 of 8.
    assert_eq!(judged[1].verdict.score().map(f64::from), Some(0.625));
    assert_eq!(judge(&family, &task, &[SORTS]), judge(&family, &task, &[SORTS]));
    // What an answer leaves behind is not where its verifier looks.
    judges(
        &family,
        &[SORTS],
        &[
            "import builtins\nbuiltins.all = lambda items: True\nbuiltins.sorted = lambda items: []\ndef solve(items):\n    return items",
            "import sys\nsys.modules['verify'] = None\ndef verify(outcome):\n    return {'passed': True, 'score': 1, 'checks': [], 'metrics': {}}\ndef solve(items):\n    return verify(None)",
            "def solve(items):\n    raise SystemExit(0)",
            "while True:\n    pass",
        ],
    );
}

/// What bad verifiers do, and what is said of it. Each does it on every answer
/// but those of the admission, which is not what is tested here.
const FAULTS: [(&str, &str); 16] = [
    ("raise ValueError('no idea')", "raised ValueError: no idea"),
    ("raise SystemExit(0)", "raised SystemExit"),
    ("assert False", "raised AssertionError"),
    ("while True: pass", "ran out of fuel"),
    ("return [0] * 10**9", "raised MemoryError"),
    ("return verify(outcome)", "raised RecursionError"),
    ("return 'PASS'", "a string instead of an object"),
    ("return True", "a boolean instead of an object"),
    ("return None", "null instead of an object"),
    ("report['score'] = float('nan'); return report", "not a finite number"),
    ("report['score'] = 'x' * 270_000; return report", "no comparable value"),
    ("report['checks'] = []; return report", "there is none"),
    ("report['passed'] = 1; return report", "a number instead of a boolean"),
    ("report['extra'] = 1; return report", "unknown key"),
    ("report['metrics'] = {'x': float('inf')}; return report", "not a finite number"),
    ("report['checks'] *= 2; return report", "there twice"),
];

fn faulty(what: &str) -> String {
    let report = "{'passed': True, 'score': 1, 'metrics': {}, 'checks': \
                  [{'name': 'a', 'passed': True, 'weight': 1, 'detail': ''}]}";
    format!("def verify(outcome):\n    report = {report}\n    {what}\n")
}

/// A family whose verifier is cut short soon, with the task of one whose is not.
fn with_fault(what: &str) -> (Family, AdmittedTask) {
    let manifest = "[verifier]\nkind = 'python'\nlimits = { fuel_max = 60_000_000 }\n\
                    [limits]\nfuel_max = 60_000_000\n";
    let sound = family(manifest, &sorting(), Some(PROPERTY)).unwrap();
    let task = admit(&sound).unwrap();
    (family(manifest, &sorting(), Some(&faulty(what))).unwrap(), task)
}

#[test]
fn what_a_verifier_does_wrong_is_invalid_with_its_reason() {
    for (what, words) in FAULTS {
        let (family, task) = with_fault(what);
        let judged = judge(&family, &task, &[SORTS]).remove(0);
        let Verdict::Invalid { reason: InvalidReason::Verifier { detail } } = &judged.verdict
        else {
            panic!("{what}: {judged:?}");
        };
        assert!(detail.contains(words), "{what}: {detail}");
    }
    // One that cannot judge a task's own programs admits none.
    let (family, _) = with_fault("raise ValueError");
    assert_eq!(admit(&family), Err(Reason::VerifierFault));
    let (family, _) = with_fault("return report");
    assert_eq!(admit(&family), Err(Reason::Trivial));
}

/// A thousand programs, of every kind, no two alike.
fn programs() -> Vec<String> {
    let kind = |at: u64| match Seed(7).derive("program", &[at]).0 % 8 {
        0 | 1 => format!("def solve(items):\n    return sorted(items)  # {at}\n"),
        2 => format!("def solve(items):\n    return items + [{at}]\n"),
        3 => format!("def solve(items):\n    raise ValueError({at})\n"),
        4 => format!("print('PASS', {at})\nraise SystemExit(0)\n"),
        5 => format!("def solve(items):\n    return [{at}][1]\n"),
        6 => format!("def solve(items)\n    return {at}\n"),
        _ => format!("x = {at}\ndef solve(items):\n    return lambda: x\n"),
    };
    (0..1_000).map(kind).collect()
}

/// What came of jobs, or of a fault in place of them.
type Reports = Vec<Result<SandboxReport, String>>;
type Fault = dyn Fn(Vec<SandboxJob>) -> Reports;

/// Judges all programs, where jobs of the first stage (the programs themselves)
/// or of the second (`verify.py`) fail.
fn injected(
    family: &Family,
    task: &AdmittedTask,
    fault: &dyn Fn(usize, Vec<SandboxJob>) -> Reports,
) -> Vec<Judgement> {
    let programs = programs();
    let answers: Vec<&str> = programs.iter().map(String::as_str).collect();
    let verifies = |job: &SandboxJob| {
        job.steps
            .iter()
            .any(|step| matches!(step, Step::Run { code } if code.contains("def verify")))
    };
    judge_with(family, task, &answers, &|jobs| {
        let stage = if jobs.iter().any(verifies) { 2 } else { 1 };
        fault(stage, jobs)
    })
}

fn really(jobs: Vec<SandboxJob>) -> Reports {
    execute(jobs).into_iter().map(|result| result.map_err(|e| e.to_string())).collect()
}

fn reasons(judged: &[Judgement], infrastructure: bool) -> usize {
    let of_kind = |judgement: &&Judgement| match &judgement.verdict {
        Verdict::Invalid { reason: InvalidReason::Infrastructure { .. } } => infrastructure,
        Verdict::Invalid { reason: InvalidReason::Verifier { .. } } => !infrastructure,
        _ => false,
    };
    judged.iter().filter(of_kind).count()
}

#[test]
fn of_a_thousand_guests_no_fault_is_a_pass_or_a_fail() {
    let (_, task) = with_fault("return report");
    let manifest = "[verifier]\nkind = 'python'\n[limits]\nfuel_max = 60_000_000\n";
    let sound = family(manifest, &sorting(), Some(PROPERTY)).unwrap();

    // Without a fault every one of them has a verdict.
    let judged = injected(&sound, &task, &|_, jobs| really(jobs));
    assert_eq!(judged.len(), 1_000);
    assert!(judged.iter().all(|judgement| !judgement.verdict.is_invalid()));
    let passed = judged.iter().filter(|judgement| judgement.verdict.is_pass()).count();
    assert!((150..350).contains(&passed), "{passed}");

    let faults: [&Fault; 4] = [
        &|jobs| jobs.iter().map(|_| Err("the worker was killed".to_owned())).collect(),
        &|jobs| jobs.iter().map(|_| Err("no space left on device".to_owned())).collect(),
        // A pipe that was cut: some reports, or the rest of one, never came.
        &|_| Vec::new(),
        &|jobs| {
            let cut = |job: &SandboxJob| SandboxReport {
                steps: Vec::new(),
                fuel: job.limits.fuel_max,
                memory_bytes_peak: 0,
                files: Default::default(),
            };
            jobs.iter().map(|job| Ok(cut(job))).collect()
        },
    ];
    for (at, fault) in faults.iter().enumerate() {
        for stage in [1, 2] {
            let judged = injected(&sound, &task, &|failing, jobs| {
                if failing == stage { fault(jobs) } else { really(jobs) }
            });
            assert_eq!(reasons(&judged, true), 1_000, "fault {at} at stage {stage}");
        }
    }
    for what in
        ["raise ValueError", "while True: pass", "report['score'] = float('nan'); return report"]
    {
        let (family, task) = with_fault(what);
        let judged = injected(&family, &task, &|_, jobs| really(jobs));
        assert_eq!(reasons(&judged, false), 1_000, "{what}");
    }
}

#[test]
fn families_whose_verifier_cannot_be_used_are_refused_in_words() {
    for (manifest, verify, words) in [
        ("[verifier]\nkind = 'magic'\n", None, "unknown variant `magic`"),
        ("[verifier]\nkind = 'python'\n", None, "verify.py"),
        ("[verifier]\nkind = 'python'\n", Some(" \n"), "verify.py: it is empty"),
        ("[verifier]\nkind = 'python'\nfiel = 'x'\n", Some("x"), "unknown field `fiel`"),
        ("[verifier]\nkind = 'checks'\nchecks = []\n", None, "checks: there is none"),
        (
            "[verifier]\nkind = 'checks'\nchecks = [{ check = 'regex', pattern = '(' }]\n",
            None,
            "checks[0].pattern",
        ),
        ("[verifier]\nkind = 'component'\nuse = ''\n", None, "use: a name is empty"),
        ("[verifier]\nkind = 'command'\nargv = ['v']\n", None, "missing field `sha256`"),
        ("interface = 'stdio'\n", None, "a case of the interface stdio has one text"),
    ] {
        let error = family(manifest, &sorting(), verify).unwrap_err();
        assert!(error.contains(words), "{manifest}{error}");
    }
    // Nobody here can run a component: nothing is admitted, and nothing judged.
    let manifest = "[verifier]\nkind = 'component'\nuse = 'sorts'\n";
    let family = family(manifest, &sorting(), None).unwrap();
    assert_eq!(admit(&family), Err(Reason::VerifierFault));
}

#[test]
fn files_in_the_workspace_are_judged() {
    let writes = "import os\ndef solve(lines):\n    os.mkdir('out')\n    with open('out/report.txt', 'w') as file:\n        file.writelines(line + '\\n' for line in sorted(lines))\n";
    let unsorted = writes.replace("sorted(lines)", "lines");
    let task = written(json!([case(json!([["b", "a"]]), json!("a\nb\n"))]), writes, &[&unsorted]);
    let family = family(
        "[limits.workspace]\n[verifier]\nkind = 'checks'\n\
         checks = [{ check = 'file', path = 'out/report.txt' }]\n",
        &task,
        None,
    )
    .unwrap();
    judges(
        &family,
        &[writes],
        &[&unsorted, "def solve(lines):\n    print('a\\nb')\n", "def solve(lines):\n    open('x')"],
    );
}
