//! Random guests: small programs of all the ways in which one can go.

use std::collections::BTreeMap;

use gyre_types::{Limits, SandboxJob, Seed, Step, Value};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// What a program may consist of; `{n}` stands for a number.
const PIECES: &[&str] = &[
    "print({n}, 'spam' * ({n} % 50))",
    "x = [i * {n} for i in range({n} % 300)]\nprint(len(x), sum(x))",
    "import random, time\nprint(random.random(), time.time())\ntime.sleep({n})",
    "def g(k):\n    return k if k < 2 else g(k - 1) + g(k - 2)\nprint(g({n} % 12))",
    "print({str(i): [i, (i,), {i}] for i in range({n} % 9)})",
    "try:\n    raise KeyError({n})\nexcept KeyError as e:\n    print('caught', e)",
    "import hashlib, json\nprint(hashlib.sha256(b'{n}').hexdigest(), json.dumps([{n}] * 20))",
];

/// How a program may end badly.
const ENDS: &[&str] = &[
    "1 / ({n} - {n})",
    "while True: pass",
    "while True: print('flood {n}')",
    "y = []\nwhile True: y.append(bytearray(1 << 20))",
    "import os\nos._exit({n} % 256)",
    "raise SystemExit({n})",
    "def h(): return h()\nh()",
    "import time\nwhile True: time.time()",
];

fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    rng.next_u32() as usize % bound
}

fn piece(rng: &mut ChaCha8Rng, pieces: &[&str]) -> String {
    let number = rng.next_u32() % 100_000;
    pieces[below(rng, pieces.len())].replace("{n}", &number.to_string())
}

/// The job at this position.
pub(crate) fn job(seed: Seed, at: u64) -> SandboxJob {
    let mut rng = seed.derive("program", &[at]).rng();
    let mut code: Vec<String> = (0..=below(&mut rng, 4)).map(|_| piece(&mut rng, PIECES)).collect();
    if below(&mut rng, 3) == 0 {
        code.push(piece(&mut rng, ENDS));
    }
    code.push("def f(*args): return [args, {1: args}, 'x' * 500]".to_owned());
    let call = Step::Call { function: "f".to_owned(), args: vec![Value::Int(at as i64)] };
    SandboxJob {
        seed: Seed(at),
        limits: Limits {
            fuel_max: 60_000_000,
            memory_bytes_max: 40 << 20,
            stdout_bytes_max: 8 << 10,
            host_calls_max: 5_000,
            ..Limits::default()
        },
        steps: vec![Step::Run { code: code.join("\n") }, call],
        files: BTreeMap::new(),
    }
}
