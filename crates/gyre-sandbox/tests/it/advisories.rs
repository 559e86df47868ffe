//! Probes for published advisories on the engine: code of a stranger that does
//! what once was compiled or run wrongly. Only verifiers bring code of their
//! own, so each probe is one; `docs/sandbox.md` says which advisory each meets.

use std::fmt::Write;
use std::thread;

use gyre_sandbox::plugin::{
    ComponentError, ComponentProblem, ComponentVerifier, VerifierFault, VerifierLimits,
};
use wasmparser::{Validator, WasmFeatures};

use crate::plugin::{fault, load, outcome, refused, verify, workers};
use crate::plugin_fixture::{Returned, returning, verifier};
use crate::support::warm_cache;

/// A verifier that passes an answer if its function `$probe` gives 1.
fn probing(definitions: &str) -> Vec<u8> {
    let code = "
      (i32.store8 (i32.const 1032) (call $probe))
      (i32.store8 (i32.const 1288) (i32.load8_u (i32.const 1032)))
      (f64.store (i32.const 1040) (f64.convert_i32_u (i32.load8_u (i32.const 1032))))";
    verifier(&format!("{}\n{definitions}", Returned::default().text()), &returning(code))
}

/// A probe whose body is this expression.
fn body(expression: &str) -> String {
    format!("(func $probe (result i32) {expression})")
}

fn passes(bytes: &[u8]) -> bool {
    let report = verify(bytes).report.unwrap();
    report.starts_with(r#"{"passed":true"#)
}

#[track_caller]
fn right(definitions: &str) {
    assert!(passes(&probing(definitions)), "{definitions}");
}

/// All lanes of a vector of 64 bits each must be as expected.
fn lanes(vector: &str, low: i64, high: i64) -> String {
    format!(
        "(i32.and (i64.eq (i64x2.extract_lane 0 {vector}) (i64.const {low}))
                  (i64.eq (i64x2.extract_lane 1 {vector}) (i64.const {high})))"
    )
}

#[test]
fn a_probe_that_finds_a_fault_is_seen() {
    assert!(!passes(&probing(&body("(i32.const 0)"))));
    assert!(passes(&probing(&body("(i32.const 1)"))));
}

#[test]
fn addresses_wrap_at_32_bits_before_they_are_used() {
    // 0x20000000 << 3 is beyond 32 bits: what remains is 5,000 times 8.
    right(
        "(func $at (param i32) (result i32)
           (i32.load (i32.shl (local.get 0) (i32.const 3))))
         (func $probe (result i32)
           (i32.store (i32.const 40000) (i32.const 77))
           (i32.eq (call $at (i32.const 0x20001388)) (i32.const 77)))",
    );
    let beyond = "(func $probe (result i32)
        (i32.load offset=0x7ffffffc (i32.const -8)))";
    let VerifierFault::Trapped { message } = fault(&probing(beyond)) else { panic!("no trap") };
    assert!(message.contains("out of bounds memory access"), "{message}");
}

#[test]
fn what_is_spilled_keeps_its_sign() {
    let mut code = String::from(
        "(func $other (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
         (func $probe (result i32) (local $sum i64)",
    );
    for at in 0..24 {
        let _ = write!(code, "(local $v{at} i32)");
    }
    for at in 0..24 {
        // A load that extends by sign, so that each is negative.
        let address = 4096 + at;
        let _ = write!(
            code,
            "(i32.store8 (i32.const {address}) (i32.const {}))
             (local.set $v{at} (i32.load8_s (i32.const {address})))",
            0x80 + at
        );
    }
    code.push_str("(drop (call $other (i32.const 3)))");
    for at in 0..24 {
        let _ = write!(
            code,
            "(local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (local.get $v{at}))))"
        );
    }
    let expected: i64 = (0..24).map(|at| 0xffff_ff80 + at).sum();
    let _ = write!(code, "(i64.eq (local.get $sum) (i64.const {expected})))");
    right(&code);
}

#[test]
fn vectors_are_shifted_shuffled_swizzled_and_selected_as_they_should_be() {
    let shifted = "(i64x2.shr_s (v128.const i64x2 -8 16) (i32.const 1))";
    right(&body(&lanes(shifted, -4, 8)));
    let same = "(func $twice (param v128) (result v128)
        (i8x16.shuffle 16 1 18 3 20 5 22 7 24 9 26 11 28 13 30 15 (local.get 0) (local.get 0)))";
    let given = "(v128.const i64x2 0x0706050403020100 0x0f0e0d0c0b0a0908)";
    let checked =
        lanes(&format!("(call $twice {given})"), 0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
    right(&format!("{same}{}", body(&checked)));
    // An index beyond the vector gives zero, a constant one too.
    let index = "(v128.const i8x16 0 1 2 3 4 5 6 7 16 17 32 64 127 128 200 255)";
    let swizzled = format!("(i8x16.swizzle {given} {index})");
    right(&body(&lanes(&swizzled, 0x0706_0504_0302_0100, 0)));
    let selected = "(func $choose (param i32) (result v128)
        (select (v128.const i64x2 1 2) (v128.const i64x2 3 4) (local.get 0)))";
    let first = lanes("(call $choose (i32.const 1))", 1, 2);
    let second = lanes("(call $choose (i32.const 0))", 3, 4);
    right(&format!("{selected}{}", body(&format!("(i32.and {first} {second})"))));
}

#[test]
fn floats_are_loaded_up_to_the_last_byte_of_memory_and_no_further() {
    // The last eight bytes: a wider load would leave the memory.
    let last = "(i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8))";
    let store = format!("(f64.store {last} (f64.const -1.5))");
    let load = format!("(f64.load {last})");
    right(&body(&format!("{store}(f64.eq (f64.copysign (f64.const 2) {load}) (f64.const -2))")));
    let splat = format!("(f64x2.splat {load})");
    right(&body(&format!(
        "{store}(i32.and (f64.eq (f64x2.extract_lane 0 {splat}) (f64.const -1.5))
                         (f64.eq (f64x2.extract_lane 1 {splat}) (f64.const -1.5)))"
    )));
}

#[test]
fn the_engines_own_functions_do_what_the_code_asks() {
    right(
        "(data $bytes \"gyre\")
         (func $probe (result i32) (local $size i32)
           (local.set $size (memory.size))
           (drop (memory.grow (i32.const 1)))
           (memory.init $bytes (i32.const 40000) (i32.const 0) (i32.const 4))
           (data.drop $bytes)
           (memory.copy (i32.const 40002) (i32.const 40000) (i32.const 4))
           (memory.fill (i32.mul (local.get $size) (i32.const 65536)) (i32.const 9) (i32.const 65536))
           (i32.and
             (i32.and (i32.eq (i32.load (i32.const 40000)) (i32.const 0x79677967))
                      (i32.eq (i32.load16_u (i32.const 40004)) (i32.const 0x6572)))
             (i32.and (i32.eq (memory.size) (i32.add (local.get $size) (i32.const 1)))
                      (i32.eq (i32.load8_u (i32.sub (i32.mul (memory.size) (i32.const 65536))
                        (i32.const 1))) (i32.const 9)))))",
    );
    let dropped = "(data $bytes \"gyre\")
        (func $probe (result i32) (data.drop $bytes)
          (memory.init $bytes (i32.const 40000) (i32.const 0) (i32.const 4)) (i32.const 1))";
    assert!(matches!(fault(&probing(dropped)), VerifierFault::Trapped { .. }));
}

#[test]
fn new_memory_is_zero_whatever_the_last_instance_left() {
    // It grows, looks for a byte that is not zero, and leaves some.
    let code = "(func $probe (result i32) (local $at i32) (local $end i32)
        (local.set $at (i32.mul (memory.grow (i32.const 64)) (i32.const 65536)))
        (local.set $end (i32.mul (memory.size) (i32.const 65536)))
        (block $dirty (loop $next
          (br_if $dirty (i64.ne (i64.load (local.get $at)) (i64.const 0)))
          (i64.store (local.get $at) (i64.const -1))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
          (return (i32.const 1)))
        (i32.const 0))";
    let verifier = load(&probing(code));
    for _ in 0..50 {
        let report = verifier.verify(&outcome("1234")).unwrap().report.unwrap();
        assert!(report.starts_with(r#"{"passed":true"#), "{report}");
    }
}

/// What a probe comes to that has little fuel.
fn ended(definitions: &str) -> VerifierFault {
    let limits = VerifierLimits { fuel_max: 20_000_000, ..VerifierLimits::default() };
    let bytes = probing(definitions);
    let verifier = ComponentVerifier::load_with(&bytes, &warm_cache(), &workers(), limits, &|_| {});
    verifier.unwrap().verify(&outcome("1234")).unwrap().report.unwrap_err()
}

#[test]
fn tail_calls_burn_fuel_and_may_trap() {
    let endless = ended("(func $probe (result i32) (return_call $probe))");
    assert!(matches!(endless, VerifierFault::FuelExhausted { .. }), "{endless}");
    let trapping = ended(
        "(func $last (result i32) unreachable)
         (func $probe (result i32) (return_call $last))",
    );
    assert!(matches!(trapping, VerifierFault::Trapped { .. }), "{trapping}");
}

#[test]
fn a_table_of_branches_leads_where_it_should() {
    // Branches of a large table: all but one lead out.
    let cases = "$out ".repeat(3_000);
    right(&body(&format!(
        "(block $right (block $out
           (br_table {cases} $right $out (i32.const 3000)))
           (return (i32.const 0)))
         (i32.const 1)"
    )));
}

#[test]
fn an_empty_memory_holds_nothing() {
    let code = "(memory $none 0 0)
        (func $probe (result i32) (i32.load $none (i32.const 0)))";
    let ended = fault(&probing(code));
    assert!(matches!(ended, VerifierFault::Trapped { .. }), "{ended}");
}

#[test]
fn tables_beyond_all_memory_are_refused() {
    for table in ["0xffffffff", "i64 0x1fffffffffffffff"] {
        let bytes = probing(&format!("(table {table} funcref){}", body("(i32.const 1)")));
        let loaded = ComponentVerifier::load(&bytes, &warm_cache(), &workers());
        assert!(matches!(loaded, Err(ComponentError::Refused { .. })), "{table} was taken");
    }
}

#[test]
fn parts_of_the_engine_that_are_left_out_are_refused() {
    // A long chain of types, each of which refers to the one before it.
    let mut chain = String::from("(type $t0 (func))");
    for at in 1..20_000 {
        let _ = write!(chain, "(type $t{at} (func (param (ref null $t{}))))", at - 1);
    }
    let left_out = [
        ("collected references", "(table $refs 1 externref)"),
        ("collected references in globals", "(global $ref (mut externref) (ref.null extern))"),
        ("collected references as locals", "(func (local anyref) (drop (local.get 0)))"),
        ("numbers as references", "(func (drop (ref.i31 (i32.const 1))))"),
        ("references to exceptions", "(func (local exnref) (throw_ref (local.get 0)))"),
        ("types that refer to types", chain.as_str()),
        ("recursive types", "(rec (type $a (func (param (ref null $b)))) (type $b (func)))"),
        ("shared memory", "(memory $shared 1 1 shared)"),
        ("exceptions", "(tag $e) (func (throw $e))"),
        (
            "calls by reference",
            "(type $f (func)) (elem declare func $g) (func $g (call_ref $f (ref.func $g)))",
        ),
    ];
    for (name, definitions) in left_out {
        is_left_out(name, definitions);
    }
}

/// It is right for an engine that has everything, and refused here.
#[track_caller]
fn is_left_out(name: &str, definitions: &str) {
    let bytes = probing(&format!("{definitions}{}", body("(i32.const 1)")));
    let wrong = Validator::new_with_features(WasmFeatures::all()).validate_all(&bytes).err();
    assert!(wrong.is_none(), "{name}: {wrong:?}");
    let loaded = ComponentVerifier::load(&bytes, &warm_cache(), &workers());
    assert!(matches!(loaded, Err(ComponentError::Refused { .. })), "{name} was taken");
}

/// Code that calls what a build without garbage collection has no body for: the
/// engine's functions for these end the process there.
#[test]
fn what_only_a_collector_could_run_is_refused() {
    let function = "(type $f (func)) (elem declare func $g) (func $g)";
    for (name, definitions) in [
        ("a test of a function's type", "(func (drop (ref.test (ref $f) (ref.func $g))))"),
        ("a cast of a function", "(func (drop (ref.cast (ref $f) (ref.func $g))))"),
        (
            "a branch on a cast",
            "(func (drop (block (result funcref)
               (br_on_cast 0 funcref (ref $f) (ref.func $g)))))",
        ),
        (
            "a branch on a failed cast",
            "(func (drop (block (result funcref)
               (br_on_cast_fail 0 funcref (ref $f) (ref.func $g)))))",
        ),
        (
            "an indirect call by a type that has others below it",
            "(type $open (sub (func))) (table $t 1 funcref)
             (func (call_indirect $t (type $open) (i32.const 0)))",
        ),
        (
            "a structure that holds a function",
            "(type $s (struct (field funcref))) (func (drop (struct.new $s (ref.func $g))))",
        ),
        ("an array", "(type $a (array i8)) (func (drop (array.new_default $a (i32.const 1))))"),
        (
            "a table of references that grows",
            "(table $t 0 anyref) (func (drop (table.grow $t (ref.null any) (i32.const 1))))",
        ),
        (
            "an exception that is caught and thrown again",
            "(tag $e) (func (block $b (result exnref)
               (try_table (catch_all_ref $b) (throw $e)) (unreachable)) (throw_ref))",
        ),
    ] {
        is_left_out(name, &format!("{function} {definitions}"));
    }
}

#[test]
fn verifiers_can_be_loaded_and_dropped_by_many_threads() {
    thread::scope(|scope| {
        for own in 0..4 {
            scope.spawn(move || {
                for turn in 0..4 {
                    // A type of this thread's own beside those that all share.
                    let types = "i64 ".repeat(1 + own * 4 + turn);
                    let code =
                        format!("(type $own (func (param {types}))){}", body("(i32.const 1)"));
                    assert!(passes(&probing(&code)));
                }
            });
        }
    });
}

/// A function that makes so many times 1,000 values, one of which is counted.
fn of_many_values(calls: usize) -> Vec<u8> {
    let results = "i32 ".repeat(1_000);
    let thousand: String = (0..1_000).fold(String::new(), |mut code, at| {
        let _ = write!(code, "(i32.const {at}) ");
        code
    });
    let many = "call $thousand ".repeat(calls);
    // The last result of the last call is on top; what lies below is left there.
    probing(&format!(
        "(func $thousand (result {results}) {thousand})
         (func $many (result i32) {many} return)
         (func $probe (result i32) (i32.eq (call $many) (i32.const 999)))"
    ))
}

#[test]
fn functions_of_more_values_than_the_compiler_can_number_are_refused() {
    // 540 million values, more than the 29 bits that number them, from 1 MB.
    let too_many = of_many_values(540_000);
    let (problem, _) = refused(&too_many);
    let ComponentProblem::FunctionTooLarge { values, values_max, .. } = problem else {
        panic!("{problem}")
    };
    assert!(values > 1 << 29 && values_max < 1 << 29, "{values} of {values_max}");
}

#[test]
fn functions_whose_locals_differ_in_each_block_are_refused() {
    // In 20,000 loops within each other each of 30,000 locals may be another.
    let (open, close) = ("loop ".repeat(20_000), "end ".repeat(20_000));
    let locals = "i32 ".repeat(30_000);
    let bytes =
        probing(&format!("(func $probe (result i32) (local {locals}) {open} {close} i32.const 1)"));
    let (problem, _) = refused(&bytes);
    assert!(matches!(problem, ComponentProblem::FunctionTooLarge { .. }), "{problem}");
}

#[test]
fn a_function_of_many_values_is_compiled_as_it_should_be() {
    assert!(passes(&of_many_values(300)));
}
