//! What answers whose results are as crowded as they may be cost the process that
//! judges them. A binary of its own, since it looks at the memory of its process.

#![expect(clippy::print_stdout, reason = "prints what it measured")]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use gyre_sandbox::{Sandbox, SandboxConfig, WORKER_ARGUMENT, WorkerKind, WorkerProgram};
use gyre_types::{
    Case, Composition, Digest, EnvironmentSpec, Interface, Limits, Message, ProgramSpec, Seed,
    Split, Task, TaskId, Value, Verdict,
};
use gyre_verify::{Comparison, GradingKey, ProgramKey, Submission, Verifier};

const BOUND: u64 = 64 << 20;
/// What is not reports: frames of the workers, jobs, answers, the program, and what
/// the allocator keeps of memory that was freed, which differs from run to run with
/// the arenas that threads are given (150 to 320 MiB were seen).
const BESIDE: u64 = 512 << 20;

fn sandbox() -> Sandbox {
    let program = WorkerProgram {
        path: PathBuf::from(env!("CARGO_BIN_EXE_gyre-sandbox-worker")),
        arguments: vec![WORKER_ARGUMENT.into()],
    };
    let config = SandboxConfig {
        workers: NonZeroUsize::new(2).unwrap(),
        worker_kind: WorkerKind::Process(program),
        live_max: 8,
        reports_bytes_max: BOUND,
        ..SandboxConfig::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-cache"))
    };
    Sandbox::open(&config, &|_| {}).unwrap()
}

fn task(cases: i64) -> (Task, GradingKey) {
    let case = |n| Case { args: vec![Value::Int(n)], expect: Value::Int(n) };
    let key = GradingKey::Program(ProgramKey {
        hidden: (0..cases).map(case).collect(),
        comparison: Comparison::default(),
        reference: "def solve(n):\n    return n\n".to_owned(),
        failures: vec![],
    });
    let digest = Digest::of(b"crowded");
    let task = Task {
        id: TaskId::from_digest(&digest),
        digest,
        family: "crowded".to_owned(),
        family_version: 1,
        seed: Seed(1),
        difficulty: 1,
        composition: Composition(vec!["one".to_owned()]),
        skills: Vec::new(),
        split: Split::Train,
        messages: vec![Message::user("Return it.")],
        tools: Vec::new(),
        environment: EnvironmentSpec::Program(ProgramSpec {
            entry: "solve".to_owned(),
            interface: Interface::Call,
            visible: Vec::new(),
        }),
        limits: Limits::default(),
        key_digest: key.digest(),
    };
    (task, key)
}

/// The most memory that this process ever held.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}

/// Swaps the code of the function that writes results for one that writes the
/// same text each time, which costs a guest little: `[[1]] * COUNT`.
const FORGING: &str = "
import gc, types
def forging(free):
    lines = ['def outer():', *['    %s = None' % name for name in free]]
    lines += ['    def encode(value=None, size_max=None):']
    lines += ['        return \"[\" + \"[1],\" * COUNT + \"[1]]\"']
    lines += ['        return (%s)' % ', '.join([*free, '0']), '    return encode']
    names = {}
    exec('\\n'.join(lines), names)
    return names['outer']().__code__
gc.unfreeze()
for function in gc.get_objects():
    if isinstance(function, types.FunctionType) and function.__name__ == 'encode':
        if function.__code__.co_argcount == 2:
            function.__code__ = forging(function.__code__.co_freevars)
def solve(n):
    return 0
";

#[cfg(target_os = "linux")]
#[test]
fn crowded_results_stay_within_the_bound_on_reports() {
    let sandbox = sandbox();
    let honest = |n: u32| format!("def solve(n):\n    return n  # {n}\n");
    let forging = |count: u32| {
        move |n: u32| format!("{}# {n}\n", FORGING.replace("COUNT", &count.to_string()))
    };
    let made = |count: u32, program: &dyn Fn(u32) -> String| (0..count).map(program).collect();
    // 32,000 are as crowded as a result may be: it is read, and held until it is
    // compared. 65,000 are refused while they are read.
    let trials: [(&str, i64, Vec<String>, bool); 5] = [
        ("2 honest answers over 28 cases", 28, made(2, &honest), true),
        ("40 answers of [[1]] * 65000 over 28 cases", 28, made(40, &forging(64_999)), false),
        ("40 answers of [[1]] * 32000 over 28 cases", 28, made(40, &forging(31_999)), false),
        ("a forged reply for 256 cases", 256, made(1, &forging(31_999)), false),
        ("2 honest answers over 256 cases", 256, made(2, &honest), true),
    ];
    let mut first = 0;
    for (what, cases, answers, passes) in trials {
        let (task, key) = task(cases);
        let submissions: Vec<_> =
            answers.iter().map(|answer| Submission::of_program(&task, &key, answer)).collect();
        for judgement in Verifier::Cases.judge_with(&submissions, &sandbox) {
            let expected = match judgement.verdict {
                Verdict::Pass => passes,
                Verdict::Fail { .. } => !passes,
                Verdict::Invalid { .. } => false,
            };
            assert!(expected, "{what}: {:?}", judgement.verdict);
        }
        let (peak, reports) = (peak_bytes(), sandbox.reports_bytes_peak());
        first = if first == 0 { peak } else { first };
        println!("{what}: peak {} MiB, of it reports {} MiB at most", peak >> 20, reports >> 20);
        // One report may be larger than all that may be held together, alone.
        let largest = 16 * task.limits.job_bytes_max();
        assert!(reports <= BOUND.max(largest), "{what}: {reports}");
        assert!(peak - first <= BOUND.max(largest) + BESIDE, "{what}: {peak} after {first}");
    }
}
