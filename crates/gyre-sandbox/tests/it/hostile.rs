//! Guests that mean harm, told by what the host sees and not by what they say.
//! Each attempt has a twin that is harmless and works.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use gyre_sandbox::{Sandbox, SandboxConfig};
use gyre_types::{GuestOutcome, Limits, SandboxJob, Seed, WorkspaceLimits};

use crate::support::{config, job, once_with, run, sandbox, warm_cache};

/// Guests in the long run of hostile ones, and those before it that fill what
/// is filled once.
const HOSTILE: usize = 10_000;
const WARMING: usize = 500;
/// Memory that a worker may hold more of after the run, allocator's slack.
const GROWTH_BYTES_MAX: u64 = 8 << 20;

/// Programs that each attack something; `N` is another number in each guest.
const ATTACKS: &[&str] = &[
    "while True: pass",
    "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "while True: print('N' * 1000)",
    "import os\nwhile True: os.urandom(100)",
    "def f(): f()\nf()",
    "import os\nos._exit(N % 256)",
    "raise SystemExit(N)",
    "import builtins, json, sys\nfor m in (builtins, json, sys):\n    for n in list(vars(m)): setattr(m, n, None)",
    "import sys\nsys.modules.clear()\nsys.setrecursionlimit(1 << 30)",
    "import gc\nfor o in gc.get_objects():\n    if type(o) is dict: o.clear()",
    "k = []\nwhile True: k.append(open(f'/f{len(k)}', 'w'))",
    "f = open('big', 'wb', 0)\nwhile True: f.write(b'N' * 4096)",
    "import os\ni = 0\nwhile True: os.mkdir(f'd{i}'); i += 1",
    "import os\np = 'd'\nwhile True: os.mkdir(p); p += '/d'",
    "open('/etc/passwd').read()",
    "open('../../../../tmp/gyre-N', 'w').write('out')",
    "import os\nos.symlink('/', 'l')\nos.listdir('l')",
    "import time\nwhile True: time.sleep(1e6)",
    "t = ()\nfor _ in range(50_000): t = (t,)\nhash(t)",
    "x = 7 ** N ** 3",
    "import re\nre.match('(a|aa)+$', 'a' * 60 + 'b')",
    "class A:\n    def __del__(self): A()\nA()",
    "import os\nos.write(3, b'x'); os.close(0); os.close(1); os.dup2(2, 1)",
    "eval('(' * 1000 + ')' * 1000)",
];

fn attack(number: usize) -> SandboxJob {
    let code = ATTACKS[number % ATTACKS.len()].replace('N', &(number + 2).to_string());
    let workspace = (!number.is_multiple_of(3)).then(WorkspaceLimits::default);
    let limits = Limits {
        fuel_max: 12_000_000,
        memory_bytes_max: 24 << 20,
        host_calls_max: 2_000,
        workspace,
        ..Limits::default()
    };
    SandboxJob { seed: Seed(number as u64), limits, ..job(&code) }
}

fn honest() -> SandboxJob {
    let code = "import os, random, time\nopen('a', 'w').write('kept')\n\
                print(os.listdir('/'), random.random(), time.time(), sorted({'x', 'y', 'z'}))";
    let limits = Limits { workspace: Some(WorkspaceLimits::default()), ..Limits::default() };
    SandboxJob { limits, ..job(code) }
}

/// What a process holds, as the kernel sees it.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    threads: usize,
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn holdings(process: u32) -> Holdings {
    let of = Path::new("/proc").join(process.to_string());
    Holdings { descriptors: entries(&of.join("fd")), threads: entries(&of.join("task")) }
}

fn private_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn run_hostile(sandbox: &Sandbox, numbers: std::ops::Range<usize>) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::new();
    for report in sandbox.execute(numbers.map(attack).collect()) {
        let report = report.unwrap();
        let outcome = format!("{:?}", report.last().unwrap().outcome);
        let kind = outcome.split([' ', '(']).next().unwrap_or_default().to_owned();
        *ends.entry(kind).or_default() += 1;
    }
    ends
}

#[test]
fn thousands_of_hostile_guests_leave_nothing_behind() {
    drop(sandbox());
    let config = SandboxConfig {
        workers: NonZeroUsize::new(2).unwrap(),
        live_max: 8,
        ..config(&warm_cache())
    };
    let sandbox = Sandbox::open(&config, &|_| {}).unwrap();
    let before = sandbox.execute_one(honest()).unwrap();
    assert_eq!(before.files.keys().collect::<Vec<_>>(), ["a"]);
    run_hostile(&sandbox, 0..WARMING);
    let workers = sandbox.worker_processes();
    let held: Vec<_> = workers.iter().map(|worker| holdings(*worker)).collect();
    let bytes: Vec<_> = workers.iter().map(|worker| private_bytes(*worker)).collect();
    let kept = entries(&warm_cache());

    let ends = run_hostile(&sandbox, WARMING..WARMING + HOSTILE);

    // Every way to end was met, so the attacks did attack.
    for kind in [
        "FuelExhausted",
        "MemoryExceeded",
        "OutputExceeded",
        "HostCallsExceeded",
        "Trap",
        "Exception",
    ] {
        assert!(ends.get(kind).is_some_and(|count| *count >= 100), "{kind}: {ends:?}");
    }
    assert_eq!(sandbox.worker_processes(), workers, "a worker was replaced");
    let now: Vec<_> = workers.iter().map(|worker| holdings(*worker)).collect();
    assert_eq!(now, held);
    for (worker, before) in workers.iter().zip(bytes) {
        let grown = private_bytes(*worker).saturating_sub(before);
        assert!(grown <= GROWTH_BYTES_MAX, "a worker grew by {grown} bytes");
    }
    assert_eq!(entries(&warm_cache()), kept);
    assert!((0..WARMING + HOSTILE).all(|n| !Path::new(&format!("/tmp/gyre-{}", n + 2)).exists()));
    for after in sandbox.execute(vec![honest(); 20]) {
        assert_eq!(after.unwrap(), before);
    }
}

#[test]
fn calls_that_block_return_at_once() {
    for (code, seconds) in [
        ("import time\ntime.sleep(100_000)", 100_000),
        ("import threading\nthreading.Event().wait(100_000)", 0),
        ("import threading\nthreading.Condition(threading.Lock()).acquire(timeout=9)", 0),
        ("import time\nfor _ in range(100): time.sleep(1_000)", 100_000),
        ("import sys\nassert sys.stdin.read() == ''", 0),
        ("import sched\ns = sched.scheduler()\ns.enter(100_000, 1, print)\ns.run()", 100_000),
    ] {
        let report = once_with(code, Limits::default());
        assert!(report.outcome.value().is_some(), "{code}: {:?}", report.outcome);
        // Had it slept in truth, a worker's patience would have ended first.
        assert_eq!(report.virtual_ns / 1_000_000_000, seconds, "{code}");
    }
}

#[test]
fn bombs_end_within_their_bounds_and_small_ones_work() {
    let limits = Limits { fuel_max: 1_000_000_000, ..Limits::default() };
    for bomb in [
        "x = 3 ** (10 ** SIZE)\nassert x % 3 == 0",
        "import unicodedata\nassert unicodedata.normalize('NFKD', '\\ufdfa' * 10 ** SIZE)",
        "import json\nassert json.dumps([list(range(100))] * 10 ** SIZE)",
        "import re\nassert not re.match('(a+)+$', 'a' * 4 * SIZE + 'b')",
        "assert sorted(range(10 ** SIZE), reverse=True)",
        "assert str(10 ** (10 ** (SIZE // 2)))",
        "import zlib\nassert zlib.decompress(zlib.compress(bytes(10 ** SIZE)))",
        "import decimal\ndecimal.getcontext().prec = 10 ** SIZE\nassert decimal.Decimal(2).sqrt()",
        "assert 'x'.join(['abcdefghij'] * 10 ** SIZE).replace('x', 'yy' * SIZE)",
        "import fractions\nassert sum(fractions.Fraction(1, n) for n in range(1, 10 ** SIZE))",
    ] {
        let of = |size: u32| once_with(&bomb.replace("SIZE", &size.to_string()), limits.clone());
        assert!(of(2).outcome.value().is_some(), "{bomb}: {:?}", of(2).outcome);
        let report = of(9);
        let bounded = matches!(
            &report.outcome,
            GuestOutcome::FuelExhausted | GuestOutcome::MemoryExceeded | GuestOutcome::Exception(_)
        );
        assert!(bounded, "{bomb}: {:?}", report.outcome);
        assert!(report.fuel <= limits.fuel_max, "{bomb}");
    }
}

#[test]
fn nothing_of_the_host_is_told() {
    let code = "import os, platform, sys, time, uuid, random\n\
                print(dict(os.environ), sys.argv, sys.path, os.getcwd(), platform.uname(), platform.node())\n\
                print(time.time_ns(), time.monotonic_ns(), time.localtime(), time.tzname, uuid.uuid4(), os.urandom(8))\n\
                print(random.random(), id(object()), hash('text'), hasattr(os, 'getpid') and os.getpid())\n\
                for o in (os, sys, platform):\n    for n in dir(o):\n        \
                if isinstance(v := getattr(o, n), (str, bytes, int, tuple)): print(n, v)";
    let told = |seed| {
        let asked = SandboxJob {
            seed: Seed(seed),
            limits: Limits::default(),
            steps: vec![run(code)],
            ..job("")
        };
        let step = sandbox().execute_one(asked).unwrap().steps.remove(0);
        assert!(step.outcome.value().is_some(), "{:?}", step.outcome);
        step.stdout
    };
    let first = told(1);
    // The values that the host has, longer than what is there by chance.
    let here = ["/proc/sys/kernel/hostname", "/proc/sys/kernel/osrelease", "/etc/machine-id"];
    let of_files = here.iter().filter_map(|path| fs::read_to_string(path).ok());
    let environment = fs::read("/proc/self/environ").unwrap();
    let environment = String::from_utf8_lossy(&environment);
    let of_environment =
        environment.split('\0').filter_map(|entry| Some(entry.split_once('=')?.1.to_owned()));
    let secrets: Vec<_> = of_files
        .chain(of_environment)
        .map(|text| text.trim().to_owned())
        .filter(|text| text.len() > 7)
        .collect();
    assert!(!secrets.is_empty());
    for secret in secrets {
        assert!(!first.contains(&secret), "{secret}");
    }
    // What is told is the same in every guest, but for what the seed gives.
    assert_eq!(told(1), first);
    assert_ne!(told(2), first);
}
