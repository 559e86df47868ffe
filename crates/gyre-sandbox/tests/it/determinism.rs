//! The same job gives the same bytes and the same fuel, on any load.

use gyre_types::{Limits, SandboxJob, SandboxReport, Seed};

use crate::support::{call, job, run, sandbox};

const RANDOM: &str = "import random, uuid, os, time, secrets\n\
    print(random.random(), random.sample(range(100), 5), uuid.uuid4(), uuid.uuid1(), os.urandom(8).hex())\n\
    print(secrets.token_hex(4), time.time(), time.perf_counter(), time.ctime(), hash('a'), id(object()))\n\
    print({'a', 'b', 'c', 'd'}, object())";

fn with_seed(seed: u64) -> SandboxJob {
    SandboxJob { seed: Seed(seed), ..job(RANDOM) }
}

fn reports(jobs: Vec<SandboxJob>) -> Vec<SandboxReport> {
    sandbox().execute(jobs).into_iter().map(Result::unwrap).collect()
}

#[test]
fn randomness_follows_the_seed() {
    let all = reports(vec![with_seed(1), with_seed(1), with_seed(2)]);
    assert!(all[0].steps[0].outcome.value().is_some(), "{:?}", all[0]);
    assert_eq!(all[0], all[1]);
    let (one, two) = (&all[0].steps[0].stdout, &all[2].steps[0].stdout);
    let parts = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (one, two) = (parts(one), parts(two));
    // random(), the sample, uuid4, uuid1, urandom, token.
    for at in [0, 1, 6, 7, 8, 9] {
        assert_ne!(one[at], two[at], "part {at}");
    }
}

#[test]
fn many_at_a_time_change_nothing() {
    let programs = [
        RANDOM,
        "print(sum(range(10)))",
        "def f(n): return f(n + 1)\ntry: f(0)\nexcept RecursionError as e: print(e)",
        "x = []\nwhile True: x.append('y' * 100_000)",
        "while True: pass",
        "import os\nos._exit(1)",
        "1 / 0",
        "import nothing_like_this",
    ];
    let limits = Limits { fuel_max: 200_000_000, ..Limits::default() };
    let jobs = |code: &&str| SandboxJob { limits: limits.clone(), ..job(code) };
    let alone: Vec<SandboxReport> =
        programs.iter().flat_map(|code| reports(vec![jobs(code)])).collect();
    for _ in 0..3 {
        let mixed = programs.iter().cycle().take(programs.len() * 6).map(jobs).collect();
        for (at, report) in reports(mixed).into_iter().enumerate() {
            assert_eq!(report, alone[at % programs.len()]);
        }
    }
}

#[test]
fn a_fresh_guest_is_fresh_whatever_ran_before() {
    let probe = "import builtins, sys, json, random\nprint(len(sys.modules), sorted(vars(builtins))[:5], json.dumps([1]))\n\
                 print('marker' in globals(), hasattr(builtins, 'marker'), random.random())";
    let before = reports(vec![job(probe)]);
    let hostile = "import builtins, sys, json\nbuiltins.marker = marker = 1\njson.dumps = None\n\
                   int.__doc__\nx = bytearray(50 << 20)\nfor i in range(0, len(x), 4096): x[i] = 255\nsys.modules.clear()";
    reports(vec![job(hostile); 8]);
    assert_eq!(reports(vec![job(probe); 8]), vec![before[0].clone(); 8]);
}

#[test]
fn a_session_is_the_same_as_a_job_of_the_same_steps() {
    let steps =
        vec![run(RANDOM), run("def f(): return [random.random(), time.time()]"), call("f", vec![])];
    let as_job = SandboxJob { steps: steps.clone(), ..job("") };
    let report = sandbox().execute_one(as_job).unwrap();
    let mut session = crate::support::session();
    let stepped: Vec<_> = steps.iter().map(|step| session.step(step).unwrap()).collect();
    assert_eq!(report.steps, stepped);
    assert_eq!(session.end().unwrap().fuel, report.fuel);
}
