//! Verifiers that are components: what is refused in words, and what a bad one
//! comes to.

use std::cell::RefCell;
use std::fs;

use gyre_sandbox::plugin::{
    ComponentError, ComponentProblem, ComponentVerifier, Verification, VerifierFault,
    VerifierLimits,
};
use gyre_sandbox::{OpenProgress, WorkerKind};

use gyre_types::Digest;

use crate::plugin_fixture::{Returned, assemble, declines, four_bytes, returning, verifier};
use crate::support::{config, warm_cache};

pub(crate) fn outcome(answer: &str) -> String {
    let outcome = serde_json::json!({
        "version": 1,
        "task": {
            "id": "task-1", "family": "sums", "instruction": "Add.", "entry": "solve",
            "visible": [{"args": [[1, 2]], "expect": 3}],
        },
        "answer": answer,
        "cases": [
            {"name": "hidden[0]", "args": [[3, 4]], "expect": 7,
             "result": {"kind": "value", "value": 7}, "stdout": "", "files": {}},
            {"name": "hidden[1]", "args": [[]], "expect": {"$tuple": []},
             "result": {"kind": "error", "error": "raised ValueError"}, "stdout": "",
             "files": {"notes.txt": "text"}},
        ],
    });
    outcome.to_string()
}

/// Verifiers live in processes, as they do in the product.
pub(crate) fn workers() -> WorkerKind {
    config(&warm_cache()).worker_kind
}

pub(crate) fn load(bytes: &[u8]) -> ComponentVerifier {
    ComponentVerifier::load(bytes, &warm_cache(), &workers()).unwrap()
}

pub(crate) fn verify(bytes: &[u8]) -> Verification {
    load(bytes).verify(&outcome("1234")).unwrap()
}

#[track_caller]
pub(crate) fn fault(bytes: &[u8]) -> VerifierFault {
    verify(bytes).report.unwrap_err()
}

/// The only problem of a component, and what is said of it.
#[track_caller]
pub(crate) fn refused(bytes: &[u8]) -> (ComponentProblem, String) {
    match ComponentVerifier::load(bytes, &warm_cache(), &workers()) {
        Err(ComponentError::Refused { problems }) => {
            assert_eq!(problems.len(), 1, "{problems:?}");
            (problems[0].clone(), problems[0].to_string())
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken for a verifier"),
    }
}

#[test]
fn an_honest_verifier_reports_what_it_saw() {
    let verifier = load(&four_bytes());
    let passed = verifier.verify(&outcome("1234")).unwrap();
    let checks = r#"[{"name":"only","passed":true,"weight":1.0,"detail":"as it should be"}]"#;
    let report = format!(r#"{{"passed":true,"score":1.0,"checks":{checks},"metrics":{{}}}}"#);
    assert_eq!(passed.report, Ok(report));
    assert!(passed.fuel > 0 && passed.memory_bytes_peak == 65_536, "{passed:?}");
    let failed = verifier.verify(&outcome("123")).unwrap().report.unwrap();
    assert!(failed.starts_with(r#"{"passed":false,"score":0.0,"#), "{failed}");
}

#[test]
fn every_call_is_the_first_and_comes_out_the_same() {
    let once = verifier(
        &format!("(global $calls (mut i32) (i32.const 0)) {}", Returned::default().text()),
        &returning(
            "(if (global.get $calls) (then unreachable))
             (global.set $calls (i32.const 1))",
        ),
    );
    let loaded = load(&once);
    let first = loaded.verify(&outcome("1234")).unwrap();
    assert!(first.report.is_ok(), "{first:?}");
    let again = |verifier: &ComponentVerifier| verifier.verify(&outcome("1234")).unwrap();
    assert_eq!(again(&loaded), first);
    assert_eq!(again(&load(&once)), first);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| again(&loaded))).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), first);
        }
    });
}

#[test]
fn the_digest_is_that_of_the_bytes() {
    let bytes = four_bytes();
    assert_eq!(load(&bytes).digest(), Digest::of(&bytes));
}

/// An answer chooses its files' names, and may not stop its own judging.
#[test]
fn a_file_may_have_any_name() {
    let files = r#""files":{"$dict":[["$tuple","text"],["a","b"]]}"#;
    let odd = outcome("1234").replace(r#""files":{"notes.txt":"text"}"#, files);
    assert!(odd.contains("$dict"), "{odd}");
    assert!(load(&four_bytes()).verify(&odd).unwrap().report.is_ok());
}

#[test]
fn a_verifier_that_loops_runs_out_of_fuel() {
    let fault = fault(&verifier("", "(loop $on (br $on)) unreachable"));
    assert_eq!(fault, VerifierFault::FuelExhausted { fuel_max: 10_000_000_000 });
    assert!(fault.to_string().contains("it loops"), "{fault}");
}

#[test]
fn a_verifier_that_traps_says_so() {
    let trapped = fault(&verifier("", "unreachable"));
    assert!(matches!(trapped, VerifierFault::Trapped { .. }), "{trapped:?}");
    assert!(trapped.to_string().contains("unreachable"), "{trapped}");
    let endless = "(func $deeper (param i64) (result i64)
        (i64.add (i64.const 1) (call $deeper (i64.add (local.get 0) (i64.const 1)))))";
    let code = returning("(drop (call $deeper (i64.const 0)))");
    let trapped = fault(&verifier(endless, &code));
    assert!(trapped.to_string().contains("call stack exhausted"), "{trapped}");
}

#[test]
fn a_report_of_ten_megabytes_is_not_copied_out() {
    let size = 10 << 20;
    let returned = Returned { detail_size: Some(size), ..Returned::default() };
    let grown = returning("(drop (memory.grow (i32.const 200)))");
    let expected = VerifierFault::ReportTooLarge { bytes_max: 1 << 20 };
    // The text is all zero bytes after its beginning, which is a text too.
    assert_eq!(fault(&verifier(&returned.text(), &grown)), expected);
    let claimed = Returned { metrics: 0, ..Returned::default() }.text();
    let code = format!("(i32.store (i32.const 1052) (i32.const 60000)) {grown}");
    assert_eq!(fault(&verifier(&claimed, &code)), expected);
}

#[test]
fn a_verifier_has_its_bounds_of_memory_and_tables() {
    let grows = "(loop $on (drop (memory.grow (i32.const 16))) (br $on)) unreachable";
    let bytes_max = 256 << 20;
    assert_eq!(fault(&verifier("", grows)), VerifierFault::MemoryExceeded { bytes_max });
    let table = "(table $t 1 funcref)";
    let grows = "(loop $on (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $on))
        unreachable";
    let elements_max = 1 << 18;
    assert_eq!(fault(&verifier(table, grows)), VerifierFault::TablesExceeded { elements_max });
}

#[test]
fn what_is_no_report_is_malformed() {
    let malformed = |returned: Returned, words: &str| {
        let fault = fault(&returned.always());
        assert!(matches!(fault, VerifierFault::Malformed { .. }), "{fault:?}");
        assert!(fault.to_string().contains(words), "no {words:?} in {fault}");
    };
    malformed(Returned { score: f64::NAN, ..Returned::default() }, "the score is NaN");
    malformed(Returned { weight: f64::INFINITY, ..Returned::default() }, "a check's weight is inf");
    malformed(
        Returned { metrics: 1, metric: f64::NEG_INFINITY, ..Returned::default() },
        "a metric is -inf",
    );
    malformed(Returned { metrics: 2, ..Returned::default() }, "\"only\" is there twice");
    malformed(Returned { detail: b"\xff\xfe", ..Returned::default() }, "utf-8");
    malformed(Returned { detail_size: Some(u32::MAX), ..Returned::default() }, "out of bounds");
    let astray = verifier("", "(i32.const 65528)");
    assert!(matches!(fault(&astray), VerifierFault::Malformed { .. }), "{:?}", fault(&astray));
}

#[test]
fn a_verifier_may_say_that_it_cannot_judge() {
    let declined = fault(&declines("no such family"));
    assert_eq!(declined, VerifierFault::Declined { message: "no such family".to_owned() });
}

#[test]
fn what_is_no_outcome_is_refused_before_the_verifier_sees_it() {
    let verifier = load(&four_bytes());
    for wrong in ["", "null", "{}", &outcome("1234").replace("\"version\":1", "\"version\":2")] {
        let error = verifier.verify(wrong).unwrap_err().to_string();
        assert!(error.contains("verifier contract"), "{error}");
    }
}

#[test]
fn what_is_not_a_component_is_named() {
    let (problem, said) = refused(b"def verify(outcome): pass");
    assert_eq!(problem, ComponentProblem::NotWasm, "{said}");
    assert_eq!(refused(b"").0, ComponentProblem::NotWasm);
    let (problem, said) = refused(&assemble("(module (func (export \"verify\")))"));
    assert_eq!(problem, ComponentProblem::CoreModule);
    assert!(said.contains("wasm32-wasip2"), "{said}");
    let whole = four_bytes();
    let (problem, said) = refused(&whole[..whole.len() / 2]);
    assert!(matches!(problem, ComponentProblem::Invalid { .. }), "{said}");
}

#[test]
fn a_component_of_another_world_is_told_what_it_lacks() {
    let (_, said) = refused(&assemble("(component)"));
    assert!(said.contains("does not export gyre:verifier/grading@1.0.0, nor"), "{said}");
    let other = r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#;
    let (_, said) = refused(&assemble(other));
    assert!(said.contains("it exports wasi:cli/run@0.2.0"), "{said}");
    let newer = r#"(component (instance $i) (export "gyre:verifier/grading@2.0.0" (instance $i)))"#;
    let (_, said) = refused(&assemble(newer));
    assert!(said.contains("but gyre:verifier/grading@2.0.0, which this Gyre"), "{said}");
}

#[test]
fn a_missing_or_mistyped_function_is_named() {
    let empty = r#"(component (instance $i) (export "gyre:verifier/grading@1.0.0" (instance $i)))"#;
    assert_eq!(refused(&assemble(empty)).0, ComponentProblem::MissingFunction);
    let mistyped = r#"(component
        (core module $m (func (export "verify") (result i32) (i32.const 1)))
        (core instance $c (instantiate $m))
        (func $verify (result u32) (canon lift (core func $c "verify")))
        (instance $i (export "verify" (func $verify)))
        (export "gyre:verifier/grading@1.0.0" (instance $i)))"#;
    let (problem, said) = refused(&assemble(mistyped));
    assert!(matches!(problem, ComponentProblem::WrongType { .. }), "{problem:?}");
    assert!(said.contains("`verify` has another type than gyre:verifier/grading@1.0.0"), "{said}");
}

#[test]
fn imports_are_refused_by_name() {
    for (import, words) in [
        ("wasi:sockets/tcp@0.2.0", "the network"),
        ("wasi:http/outgoing-handler@0.2.0", "the network by HTTP"),
        ("wasi:filesystem/types@0.2.3", "files"),
        ("wasi:clocks/wall-clock@0.2.0", "the clock"),
        ("wasi:random/random@0.2.0", "randomness"),
        ("acme:secrets/store", "what nothing here offers"),
    ] {
        let imported = format!("(import \"{import}\" (instance))");
        let text = format!(
            "(component {imported} (instance $i) (export \"gyre:verifier/grading@1.0.0\" (instance $i)))"
        );
        let (problem, said) = refused(&assemble(&text));
        assert_eq!(problem, ComponentProblem::Imports { names: vec![import.to_owned()] });
        assert!(said.contains(&format!("imports {words} ({import}), and")), "{said}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = r#"(component
        (import "wasi:sockets/tcp@0.2.0" (instance)) (import "wasi:random/random@0.2.0" (instance)))"#;
    match ComponentVerifier::load(&assemble(text), &warm_cache(), &workers()) {
        Err(error @ ComponentError::Refused { .. }) => {
            let said = error.to_string();
            for words in ["wasi:sockets/tcp", "wasi:random/random", "does not export"] {
                assert!(said.contains(words), "no {words} in {said}");
            }
        }
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn a_component_that_cannot_start_is_refused() {
    let start = "(func $start unreachable) (start $start)";
    let (problem, said) = refused(&verifier(start, "unreachable"));
    assert!(matches!(problem, ComponentProblem::DoesNotStart { .. }), "{said}");
    assert!(said.contains("unreachable"), "{said}");
}

#[test]
fn a_compiled_verifier_is_kept_and_a_damaged_one_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = four_bytes();
    let load = || {
        let told = RefCell::new(Vec::new());
        let limits = VerifierLimits::default();
        let progress = |progress| told.borrow_mut().push(progress);
        let loaded =
            ComponentVerifier::load_with(&bytes, folder.path(), &workers(), limits, &progress);
        (loaded.unwrap().verify(&outcome("1234")).unwrap(), told.into_inner())
    };
    let (first, told) = load();
    assert_eq!(told.last(), Some(&OpenProgress::Ready { from_cache: false }));
    let (second, told) = load();
    assert_eq!(told, [OpenProgress::Loading, OpenProgress::Ready { from_cache: true }]);
    assert_eq!(second, first);
    for entry in fs::read_dir(folder.path().join("guests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "cwasm") {
            let mut code = fs::read(&path).unwrap();
            let middle = code.len() / 2;
            code[middle] ^= 1;
            fs::write(&path, code).unwrap();
        }
    }
    let (third, told) = load();
    assert!(told.iter().any(|told| matches!(told, OpenProgress::Discarded { .. })), "{told:?}");
    assert_eq!(third, first);
}

#[test]
#[cfg(target_os = "linux")]
fn a_verifier_lives_in_a_process_without_privileges_and_outlives_it() {
    let verifier = load(&four_bytes());
    let first = verifier.verify(&outcome("1234")).unwrap();
    let workers = verifier.worker_processes();
    assert_eq!(workers.len(), 1);
    let status = fs::read_to_string(format!("/proc/{}/status", workers[0])).unwrap();
    for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let process = rustix::process::Pid::from_raw(workers[0] as i32).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    assert_eq!(verifier.verify(&outcome("1234")).unwrap(), first);
    assert_ne!(verifier.worker_processes(), workers);
}

#[test]
fn a_thread_and_a_process_judge_the_same() {
    let thread =
        ComponentVerifier::load(&four_bytes(), &warm_cache(), &WorkerKind::Thread).unwrap();
    assert!(thread.worker_processes().is_empty());
    for answer in ["1234", "123"] {
        let (there, here) = (load(&four_bytes()), &thread);
        assert_eq!(there.verify(&outcome(answer)).unwrap(), here.verify(&outcome(answer)).unwrap());
    }
}
