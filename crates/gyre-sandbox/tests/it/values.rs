//! The typed channel: exact types both ways, and nothing else.

use gyre_types::{GuestOutcome, Value};

use crate::support::{call, evaluated, once, run, session, text};

fn every_kind() -> Vec<Value> {
    let int = Value::Int;
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Bool(false),
        int(0),
        int(i64::MAX),
        int(i64::MIN),
        Value::BigInt("9223372036854775808".to_owned()),
        Value::BigInt("-123456789012345678901234567890".to_owned()),
        Value::Float(1.0),
        Value::Float(-0.0),
        Value::Float(0.1),
        Value::Float(1e300),
        Value::Float(5e-324),
        Value::Float(f64::INFINITY),
        Value::Float(f64::NEG_INFINITY),
        text(""),
        text("a\"\\\u{7f}\u{1}\n\u{2028}é\u{1F600}"),
        Value::Bytes(vec![0, 255, 16]),
        Value::List(vec![]),
        Value::List(vec![int(1), Value::Float(1.0), Value::Bool(true), text("1")]),
        Value::Tuple(vec![]),
        Value::Tuple(vec![int(1), Value::Tuple(vec![int(2)])]),
        Value::Set(vec![]),
        Value::Set(vec![int(1), int(2)]),
        Value::FrozenSet(vec![text("a")]),
        Value::Dict(vec![]),
        Value::Dict(vec![(text("a"), int(1)), (text("b"), Value::List(vec![]))]),
        Value::Dict(vec![(text("$int"), text("5"))]),
        Value::Dict(vec![(int(1), text("a")), (Value::Tuple(vec![int(1)]), Value::Null)]),
    ]
}

#[test]
fn every_kind_of_value_goes_in_and_out_unchanged() {
    let mut session = session();
    session.step(&run("def f(*args): return args")).unwrap();
    let report = session.step(&call("f", every_kind())).unwrap();
    assert_eq!(report.outcome, GuestOutcome::Value { value: Value::Tuple(every_kind()) });
}

#[test]
fn types_arrive_as_python_knows_them() {
    let mut session = session();
    session.step(&run("def f(*args): return [type(a).__name__ for a in args]")).unwrap();
    let report = session.step(&call("f", every_kind())).unwrap();
    let names: Vec<Value> = every_kind().iter().map(|value| text(value.type_name())).collect();
    assert_eq!(report.outcome, GuestOutcome::Value { value: Value::List(names) });
}

#[test]
fn dictionaries_keep_their_order() {
    let mut session = session();
    session.step(&run("def f(d): return list(d)")).unwrap();
    let pairs = vec![(text("b"), Value::Int(1)), (text("a"), Value::Int(2))];
    let outcome = session.step(&call("f", vec![Value::Dict(pairs)])).unwrap().outcome;
    assert_eq!(outcome, GuestOutcome::Value { value: Value::List(vec![text("b"), text("a")]) });
}

#[test]
fn nan_is_carried() {
    let GuestOutcome::Value { value: Value::Float(value) } = evaluated("float('nan')") else {
        panic!("no float");
    };
    assert!(value.is_nan());
}

#[test]
fn what_has_no_exact_form_is_unrepresentable() {
    for (expression, reason) in [
        ("1j", "type complex"),
        ("object()", "type object"),
        ("[1, {'a': range(3)}]", "type range"),
        ("bytearray(b'x')", "type bytearray"),
        ("__import__('collections').deque([1])", "type deque"),
        ("__import__('enum').Enum('E', 'a').a", "type E"),
        ("'\\ud800'", "lone surrogate"),
        ("{'\\udfff': 1}", "lone surrogate"),
        ("(lambda x: x.append(x) or x)([])", "deeper than 50"),
        ("eval('[' * 60 + ']' * 60)", "deeper than 50"),
        ("1 << 100_000", "int of 100001 bits"),
        ("'x' * 300_000", "larger than 262144 bytes"),
        ("list(range(100_000))", "larger than 262144 bytes"),
        ("(x for x in [])", "type generator"),
    ] {
        let outcome = evaluated(expression);
        let GuestOutcome::Unrepresentable { reason: given } = &outcome else {
            panic!("{expression}: {outcome:?}");
        };
        assert!(given.contains(reason), "{expression}: {given}");
    }
}

/// Subclasses of the built-in types, each of which lies in every method that a
/// reader might use.
const LIARS: &str = "\
import collections, enum
class L(list):
    def __iter__(self): return iter([9])
    def __len__(self): return 7
    def __eq__(self, other): return True
    def __getitem__(self, at): return 9
class T(tuple):
    __class__ = list
    def __iter__(self): return iter('lie')
class D(dict):
    def items(self): return [('lie', 1)]
    def keys(self): return ['lie']
    def __iter__(self): return iter(['lie'])
    def __getitem__(self, key): return 9
class I(int):
    def __repr__(self): return '9'
    def __int__(self): return 9
    def __index__(self): return 9
    def __le__(self, other): return True
    def bit_length(self): return 1
class F(float):
    def __repr__(self): return '9.0'
    def __float__(self): return 9.0
class S(str):
    def __str__(self): return 'lie'
    def encode(self, *args): return b'lie'
    def isascii(self): return True
class B(bytes):
    def __bytes__(self): return b'lie'
    def hex(self): return '00'
class Z(set):
    def __iter__(self): return iter([9])
class M(type):
    __mro__ = (dict, object)
    def __eq__(self, other): return True
    def __hash__(self): return hash(dict)
class X(metaclass=M):
    __class__ = dict
";

#[test]
fn a_value_of_a_subclass_is_what_its_built_in_type_holds() {
    let int = Value::Int;
    let pair = |key: &str, value| (text(key), value);
    for (expression, expected) in [
        ("L([1, 2])", Value::List(vec![int(1), int(2)])),
        ("T([1])", Value::Tuple(vec![int(1)])),
        ("D(a=1)", Value::Dict(vec![pair("a", int(1))])),
        ("I(5)", int(5)),
        ("I(-10 ** 20)", Value::BigInt("-100000000000000000000".to_owned())),
        ("F(2.5)", Value::Float(2.5)),
        ("S('é')", text("é")),
        ("B(b'a')", Value::Bytes(b"a".to_vec())),
        ("Z([4])", Value::Set(vec![int(4)])),
        ("collections.Counter('aab')", Value::Dict(vec![pair("a", int(2)), pair("b", int(1))])),
        (
            "collections.defaultdict(list, k=[1])",
            Value::Dict(vec![pair("k", Value::List(vec![int(1)]))]),
        ),
        ("collections.OrderedDict(a=1)", Value::Dict(vec![pair("a", int(1))])),
        ("collections.namedtuple('P', 'x y')(1, 2)", Value::Tuple(vec![int(1), int(2)])),
        ("enum.IntEnum('E', 'a').a", int(1)),
        ("{S('k'): L([True])}", Value::Dict(vec![pair("k", Value::List(vec![Value::Bool(true)]))])),
    ] {
        let mut session = session();
        session.step(&run(&format!("{LIARS}def f(): return {expression}"))).unwrap();
        let outcome = session.step(&call("f", vec![])).unwrap().outcome;
        assert_eq!(outcome, GuestOutcome::Value { value: expected }, "{expression}");
    }
}

#[test]
fn what_only_claims_a_built_in_type_is_none() {
    let mut session = session();
    session.step(&run(&format!("{LIARS}def f(): return X()"))).unwrap();
    let outcome = session.step(&call("f", vec![])).unwrap().outcome;
    assert_eq!(outcome, GuestOutcome::Unrepresentable { reason: "a value of type X".to_owned() });
}

#[test]
fn a_wide_shared_structure_is_cut_off() {
    let mut session = session();
    session
        .step(&run("def f():\n    x = [1]\n    for _ in range(40): x = [x, x]\n    return x"))
        .unwrap();
    let outcome = session.step(&call("f", vec![])).unwrap().outcome;
    assert!(matches!(outcome, GuestOutcome::Unrepresentable { .. }), "{outcome:?}");
}

#[test]
fn objects_that_claim_equality_stay_what_they_are() {
    let code = "class Yes:\n    def __eq__(self, other): return True\n    def __hash__(self): return 1\n\
                def f(): return Yes()";
    let mut session = session();
    session.step(&run(code)).unwrap();
    let outcome = session.step(&call("f", vec![])).unwrap().outcome;
    assert_eq!(outcome, GuestOutcome::Unrepresentable { reason: "a value of type Yes".to_owned() });
}

#[test]
fn shadowed_and_patched_names_do_not_change_an_honest_report() {
    let code = "import builtins, json, sys\nprint = 3\nlist = dict = None\njson.dumps = None\n\
                json.loads = None\nfor name in ('len', 'type', 'str', 'isinstance', 'dict', 'BaseException'):\n    \
                setattr(builtins, name, None)\nsys.modules.clear()\n\
                def f(x): return {'a': [x, 2.5]}";
    let mut session = session();
    assert!(session.step(&run(code)).unwrap().outcome.value().is_some());
    let outcome = session.step(&call("f", vec![text("é")])).unwrap().outcome;
    let inner = Value::List(vec![text("é"), Value::Float(2.5)]);
    assert_eq!(outcome, GuestOutcome::Value { value: Value::Dict(vec![(text("a"), inner)]) });
    let report = session.step(&call("missing", vec![])).unwrap();
    assert_eq!(crate::support::raised(&report).message, "name 'missing' is not defined");
}

#[test]
fn stdout_is_no_evidence() {
    let report = once("print('{\"ok\": 1}')\nraise ValueError('real')");
    assert_eq!(crate::support::raised(&report).kind, "ValueError");
    assert_eq!(report.stdout, "{\"ok\": 1}\n");
}
