//! A hostile model server in a run: nothing is lost, nothing of the server's fault is
//! a failed attempt, memory stays bounded, and each fault has one clear message.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::model_server::{Place, Settings, Table, calling, finished};
use crate::support::{Ran, Running, run, sql};
use crate::wire::{Act, http, ok};

/// Of so many requests, one meets the fault.
const EVERY: usize = 9;

/// Settings under which a server that hangs is soon given up, and one that does not
/// hang never is.
const HURRIED: &str = "timeouts = { first_byte_ms = 400, request_ms = 800 }\n";
const PATIENT: &str = "body_bytes_max = 1048576\n";

/// What a body of 200 MB may add to the memory of the process, in KiB.
const GROWTH_KIB_MAX: u64 = 64 << 10;

const FLOOD: u64 = 200 << 20;

/// A way in which a server fails.
struct Fault {
    name: &'static str,
    kind: Kind,
    /// What is done with a request whose good answer is this.
    act: fn(&Value) -> Act,
    /// Part of the message.
    says: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No answer comes, and the request is sent again.
    Hangs,
    /// The request is sent again.
    Passes,
    /// It is not: it would fail again, or was paid for.
    Stays,
}

impl Fault {
    fn settings(&self) -> &'static str {
        if self.kind == Kind::Hangs { HURRIED } else { PATIENT }
    }
}

static FAULTS: [Fault; 16] = {
    use Kind::{Hangs, Passes, Stays};
    const fn fault(
        kind: Kind,
        name: &'static str,
        act: fn(&Value) -> Act,
        says: &'static str,
    ) -> Fault {
        Fault { name, kind, act, says }
    }
    const BEGINS: &str = "no answer began within 400 ms";
    const ENDS: &str = "the answer was not complete within 800 ms";
    [
        fault(Hangs, "silence", |_| Act::Hang(vec![]), BEGINS),
        fault(Hangs, "half a head", |good| Act::Hang(ok(good)[..30].to_vec()), BEGINS),
        fault(Hangs, "an endless head", |_| Act::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), BEGINS),
        fault(Hangs, "half a body", |good| Act::Hang(cut(good)), ENDS),
        fault(Hangs, "a slow body", |_| Act::Drip(head_of_megabyte()), ENDS),
        fault(Passes, "no answer", |_| Act::Send(vec![]), "the connection broke before"),
        fault(Passes, "half an answer", |good| Act::Send(cut(good)), "the connection broke before"),
        fault(Passes, "truncated JSON", |good| Act::Send(truncated(good)), "its JSON is cut off"),
        fault(Passes, "no UTF-8", |_| Act::Send(http(200, "", b"{\"a\": \"\xff\"}")), "not UTF-8"),
        fault(Passes, "500", |_| Act::Send(http(500, "", "")), "the server answered 500"),
        fault(Passes, "200 and an error", |_| Act::Send(ok(&error_body())), "CUDA out of memory"),
        fault(Passes, "429", |_| Act::Send(http(429, "", "")), "limits the rate of requests"),
        fault(Passes, "429 and a time", |_| Act::Send(http(429, WAIT, "")), "limits the rate"),
        fault(Stays, "200 MB", |_| Act::Flood(head_of_flood(), FLOOD), "longer than 1048576 bytes"),
        fault(Stays, "another model", |good| Act::Send(renamed(good)), "now answers as"),
        fault(Stays, "a long prompt", |_| Act::Send(too_long()), "the prompt is too long"),
    ]
};

const WAIT: &str = "retry-after-ms: 5\r\n";

fn cut(good: &Value) -> Vec<u8> {
    let mut whole = ok(good);
    whole.truncate(whole.len() - 5);
    whole
}

fn truncated(good: &Value) -> Vec<u8> {
    let body = good.to_string();
    http(200, "content-type: application/json\r\n", &body[..body.len() / 2])
}

fn error_body() -> Value {
    json!({ "error": { "message": "CUDA out of memory" } })
}

fn head_of_megabyte() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec()
}

/// Its length is not told, so it is found only by reading.
fn head_of_flood() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec()
}

fn renamed(good: &Value) -> Vec<u8> {
    let mut other = good.clone();
    other["model"] = json!("other");
    ok(&other)
}

fn too_long() -> Vec<u8> {
    let message = "request (3031 tokens) exceeds the available context size (1024 tokens)";
    let error = json!({ "code": 400, "message": message, "type": "exceed_context_size_error" });
    http(400, "", json!({ "error": error }).to_string())
}

/// Which requests meet the fault, by what they ask, and how often each did.
#[derive(Default)]
struct Struck {
    chosen: HashMap<String, bool>,
    /// Requests so far, by the version of the model that they ask.
    asked: HashMap<String, usize>,
    times: BTreeMap<String, usize>,
}

impl Struck {
    /// How often this request met the fault before; nothing where it is not chosen.
    fn strikes(&mut self, request: &Value) -> Option<usize> {
        let key = request.to_string();
        let asked = self.asked.entry(request["model"].to_string()).or_default();
        let is_chosen = *self.chosen.entry(key.clone()).or_insert_with(|| {
            *asked += 1;
            // Never the first: its answer tells which model answers.
            (*asked).is_multiple_of(EVERY)
        });
        let times = is_chosen.then(|| self.times.entry(key).or_default())?;
        *times += 1;
        Some(*times - 1)
    }
}

/// A run whose server fails at some requests, the first so many times that each is sent.
fn place_of(
    table: &Arc<Table>,
    fault: &'static Fault,
    times: usize,
) -> (Place, Arc<Mutex<Struck>>) {
    let struck = Arc::new(Mutex::new(Struck::default()));
    let (table, chosen) = (Arc::clone(table), Arc::clone(&struck));
    let place = Place::with(move |_, request| {
        let good = table.completion(&request.body);
        match chosen.lock().unwrap().strikes(&request.body) {
            Some(before) if before < times => (fault.act)(&good),
            _ => Act::Send(ok(&good)),
        }
    });
    (place, struck)
}

/// Drives a run to its end, and gives the most memory that it took, in KiB.
fn driven(place: &Place) -> (Ran, u64) {
    let mut running = Running::start(&mut place.drive());
    let (mut peak, mut lines) = (0, String::new());
    let status = format!("/proc/{}/status", running.id());
    while let Some(line) = running.next() {
        lines.push_str(&format!("{line}\n"));
        // It may have ended after its last line.
        let status = fs::read_to_string(&status).unwrap_or_default();
        let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let mark = mark.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(mark.unwrap_or(0));
    }
    let ran = running.wait();
    (Ran { stdout: lines, ..ran }, peak)
}

/// The faults that pass: each chosen request fails once, and the run ends as if
/// nothing had happened.
#[test]
fn faults_of_a_server_that_pass_change_no_result() {
    let table = Arc::new(Table::of_compose());
    let state = {
        let place = Place::of(&table);
        place.configure(Settings { server: PATIENT, ..Settings::default() });
        finished(&run(&mut place.drive()).ok());
        place.clean()
    };
    for fault in FAULTS.iter().filter(|fault| fault.kind != Kind::Stays) {
        let (place, struck) = place_of(&table, fault, 1);
        place.configure(Settings { server: fault.settings(), ..Settings::default() });
        let ran = run(&mut place.drive()).ok();
        let struck = struck.lock().unwrap().times.clone();
        assert!(struck.len() > 3, "{}: {} requests", fault.name, struck.len());
        assert!(struck.values().all(|times| *times == 2), "{}: {struck:?}", fault.name);
        assert_eq!(place.clean(), state, "{}: {ran:#?}", fault.name);
        place.nothing_is_left();
    }
}

/// The faults that do not pass: what they strike is invalid and says why, and every
/// other verdict is what it is without them.
#[test]
fn faults_of_a_server_are_invalid_rollouts_and_no_failed_attempts() {
    let table = Arc::new(Table::of_compose());
    // Without retries, so that the same message comes sooner.
    let settings = |of: &str| format!("{of}retries_max = 0\n");
    let (good, peak) = {
        let place = Place::of(&table);
        place.configure(Settings { server: &settings(PATIENT), ..Settings::default() });
        let (ran, peak) = driven(&place);
        finished(&ran.ok());
        (place.verdicts(), peak)
    };
    assert!(peak > 0 && good.iter().all(|[_, verdict, _]| verdict != "invalid"));
    for fault in &FAULTS {
        let (place, _) = place_of(&table, fault, usize::MAX);
        let server = settings(fault.settings());
        place.configure(Settings { server: &server, ..Settings::default() });
        let (ran, most) = driven(&place);
        finished(&ran.ok());
        place.clean();
        place.nothing_is_left();
        let verdicts = place.verdicts();
        let invalid = check_verdicts(fault, &good, &verdicts);
        assert!(invalid > 3, "{}: {invalid} rollouts are invalid", fault.name);
        assert!(most < peak + GROWTH_KIB_MAX, "{}: {most} KiB, not {peak}", fault.name);
        // What the sockets' buffers took comes on top of what was read.
        let taken = place.flooded();
        assert!(taken < 2 * invalid as u64 * (32 << 20), "{}: {taken} bytes", fault.name);
        assert_eq!(rows_of_invalid(&place), 0, "{}", fault.name);
    }
}

/// Gives how many rollouts are invalid. No rollout is lost, and none is judged
/// otherwise than without the fault.
fn check_verdicts(fault: &Fault, good: &[[String; 3]], verdicts: &[[String; 3]]) -> usize {
    let ids = |rows: &[[String; 3]]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(ids(verdicts), ids(good), "{}", fault.name);
    let mut messages = BTreeSet::new();
    for ([rollout, verdict, reason], [_, without, _]) in verdicts.iter().zip(good) {
        match verdict.as_str() {
            "invalid" => _ = messages.insert(reason.as_str()),
            _ => assert_eq!(verdict, without, "{}: {rollout}", fault.name),
        }
    }
    for message in &messages {
        assert!(message.contains(fault.says), "{}: {message}", fault.name);
    }
    verdicts.iter().filter(|[_, verdict, _]| verdict == "invalid").count()
}

/// Published rows of rollouts that are invalid.
fn rows_of_invalid(place: &Place) -> usize {
    let query = "SELECT COUNT(*) FROM shard_rows s JOIN verdicts v ON v.rollout = s.rollout \
                 WHERE v.verdict = 'invalid'";
    sql(&place.data(), query).trim().parse().unwrap()
}

/// What a model does wrong with tools, by requests that meet it.
fn mistakes(program: &str, ordinal: usize) -> Value {
    let many = vec![("submit", program); 5_000];
    match ordinal % 3 {
        0 => calling(&[("no_such_tool", program), ("submit", program)]),
        1 => calling(&[("run_examples", program), ("submit", program), ("submit", "x = 1")]),
        _ => calling(&many),
    }
}

/// Wrong names of tools, several calls at once and floods of calls are the model's
/// doing: each call is answered in order, and the first submission counts.
#[test]
fn odd_calls_of_a_model_are_answered_and_judged() {
    let table = Arc::new(Table::of_compose());
    let good = {
        let place = Place::of(&table);
        place.configure(Settings { acting: "tools", ..Settings::default() });
        finished(&run(&mut place.drive()).ok());
        place.verdicts()
    };
    assert!(good.iter().any(|[_, verdict, _]| verdict == "pass"));
    let odd = Arc::new(Mutex::new(0));
    let (model, counted) = (Arc::clone(&table), Arc::clone(&odd));
    let place = Place::with(move |_, request| {
        let mut answer = model.completion(&request.body);
        let instruction = request.body["messages"][0]["content"].as_str().unwrap();
        let version = request.body["model"].as_str().unwrap();
        if let Some(program) = model.program(version, instruction) {
            let mut counted = counted.lock().unwrap();
            answer["choices"][0]["message"] = mistakes(&program, *counted);
            *counted += 1;
        }
        Act::Send(ok(&answer))
    });
    place.configure(Settings { acting: "tools", ..Settings::default() });
    finished(&run(&mut place.drive()).ok());
    place.clean();
    assert!(*odd.lock().unwrap() > 9);
    let judged = |rows: Vec<[String; 3]>| -> Vec<_> {
        rows.into_iter().map(|[rollout, verdict, _]| (rollout, verdict)).collect()
    };
    assert_eq!(judged(place.verdicts()), judged(good));
}
