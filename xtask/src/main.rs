//! `cargo xtask`: the one command that a developer, or a CI machine, needs.

/// Prints a line; a reader that went away is no failure of the work.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

mod command;
mod differential;
mod learn;
mod lint;
mod memory;
mod million;
mod packing;
mod real;
mod services;
mod setup;
mod step;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask <command>

  test              all tests, with the services that they need, then all lints
  test --no-lint    the tests alone
  crash             every failpoint with every fault on both databases, and 300 kills
  million           a million rollouts: how long each list takes, on both databases
  differential      variants of HumanEval's solutions, judged by Python and by Gyre:
                    downloads the problems, or takes `differential FILE`
  memory [ROUNDS]   a run of 200 rounds: the most memory that each took
  packing [TASKS]   a hundred episodes against a server that takes 50 ms to 5 s, with so
                    many tasks in a batch: fails where the round takes more than 1.2
                    times the ideal
  learn             the quick start on three seeds, and the ablation: fails where they
                    learn less than the figures kept in xtask/src/learn/kept.json;
                    `learn --keep` runs eight seeds and keeps theirs
  real              TRL trains two steps on what a small run publishes; a tiny model is
                    served, trained by the recipes and served again; ten recorded
                    conversations give the same requests to three servers
  setup real        what a loop with a real model needs: a Python with trainers and a
                    server, and the weights of SmolLM2-135M-Instruct
  lint              rustfmt, clippy, and cargo-deny where it is installed
  help              this text

`test` uses cargo-nextest where it is installed, and `cargo test` otherwise.
It starts a PostgreSQL of its own and stops it again; a Python environment with
the tools that read datasets is made once and kept in the temporary folder.
`setup real`, and so `real`, makes one of its own, with torch, in the user's cache
folder, which takes minutes and 6 GB: GYRE_TORCH_INDEX names a package index with
builds for CPUs alone, which are a tenth of the size, and GYRE_REAL_PYTHON an
interpreter that has everything already.
The compiler's target for verifiers is added by rustup.
What is missing is installed where that is possible (Debian, as root), and
named where it is not.";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    match arguments.as_slice() {
        ["test"] => test::run(test::Lint::After),
        ["test", "--no-lint"] => test::run(test::Lint::No),
        ["crash"] => test::crash(),
        ["million"] => million::run(),
        ["differential"] => differential::run(None),
        ["differential", file] => differential::run(Some(file)),
        ["learn"] => learn::compare(),
        ["learn", "--keep"] => learn::keep(),
        ["memory"] => memory::run(memory::ROUNDS),
        ["memory", rounds] if rounds.parse::<usize>().is_ok() => {
            memory::run(rounds.parse().unwrap_or(memory::ROUNDS))
        }
        ["packing"] => packing::run(packing::TASKS_PER_WAVE),
        ["packing", tasks] if tasks.parse::<usize>().is_ok_and(|tasks| tasks > 0) => {
            packing::run(tasks.parse().unwrap_or(packing::TASKS_PER_WAVE))
        }
        ["real"] => real::run(),
        ["setup", "real"] => setup::run(),
        ["lint"] => lint::run(),
        [] | ["help" | "--help" | "-h"] => {
            say!("{HELP}");
            ExitCode::SUCCESS
        }
        unknown => {
            say!("error: `{}` is not a command\n\n{HELP}", unknown.join(" "));
            ExitCode::from(2)
        }
    }
}
