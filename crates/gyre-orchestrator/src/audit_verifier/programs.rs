//! The programs that an audit judges.

use gyre_env::program::interface;
use gyre_tasks::AdmittedTask;
use gyre_types::{ProgramSpec, Value};
use gyre_verify::CaseGroup;
use gyre_verify::corpus::{Attack, AttackClass, Corpus};

use super::guest::{REWRITE, call_values};
use super::same::{Compared, give_the_same};
use super::{AuditProgram, Execute, VerifierAuditPlan};
use crate::error::Error;

/// Results that are no answer to anything, as Python expressions.
const MALFORMED: [(&str, &str); 13] = [
    ("null", "None"),
    ("a huge text", "'x' * 200_000"),
    ("a huge integer", "10 ** 4_000"),
    (
        "a deep list",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    ),
    ("not a number", "float('nan')"),
    ("infinity", "float('-inf')"),
    ("an object", "object()"),
    ("the text PASS", "'PASS'"),
    ("a report", "{'passed': True, 'score': 1.0, 'checks': []}"),
    ("bytes", "b'\\x00\\xff'"),
    ("a lone surrogate", "'\\ud800'"),
    ("a class", "type"),
    ("a list that holds itself", "(lambda items: items.append(items) or items)([])"),
];

/// Everything that is judged, for each task.
pub(super) fn programs(
    tasks: &[AdmittedTask],
    plan: VerifierAuditPlan,
    corpus: &Corpus,
    execute: &Execute<'_>,
) -> Result<Vec<AuditProgram>, Error> {
    let mut programs = Vec::new();
    for (task, admitted) in tasks.iter().enumerate() {
        let mut add = |group: CaseGroup, name: String, source: String| {
            programs.push(AuditProgram { task, group, name, source, equivalent: false });
        };
        let (spec, key) = admitted.program();
        add(CaseGroup::Golden, "the reference".to_owned(), key.reference.clone());
        for (at, failure) in key.failures.iter().enumerate() {
            add(CaseGroup::KnownBad, format!("failures[{at}]"), failure.clone());
        }
        for (name, source) in idle(spec) {
            add(CaseGroup::KnownBad, name.to_owned(), source);
        }
        for (name, expression) in MALFORMED {
            add(CaseGroup::Malformed, name.to_owned(), interface::constant(spec, expression));
        }
    }
    for (at, attack) in corpus.attacks.iter().filter(|attack| is_wrong_anywhere(attack)).enumerate()
    {
        let task = at % tasks.len();
        programs.push(AuditProgram {
            task,
            group: CaseGroup::Attack,
            name: format!("{}/{}", attack.class, attack.name),
            source: adapted(attack, &tasks[task]),
            equivalent: false,
        });
    }
    programs.extend(rewritten(tasks, plan, execute)?);
    Ok(programs)
}

/// Programs that do nothing.
fn idle(spec: &ProgramSpec) -> [(&'static str, String); 3] {
    [
        ("an empty program", String::new()),
        ("a comment", "# to be done\n".to_owned()),
        ("a no-op", interface::constant(spec, "None")),
    ]
}

/// Whether an attack is wrong on every task that it was not written for: those
/// that are right where somebody looks may happen to meet their own.
fn is_wrong_anywhere(attack: &Attack) -> bool {
    attack.class != AttackClass::SpecialCasing
        && !["earlier_results", "idle_while_timed", "keys_without_values"].contains(&attack.name)
}

/// An attack, made to answer another task than its own.
fn adapted(attack: &Attack, admitted: &AdmittedTask) -> String {
    let (spec, key) = admitted.program();
    let arguments = key.hidden.first().map_or(1, |case| case.args.len());
    interface::adapted(spec, attack.source, arguments)
}

/// Rewrites of each reference that mean the same, and its mutants.
fn rewritten(
    tasks: &[AdmittedTask],
    plan: VerifierAuditPlan,
    execute: &Execute<'_>,
) -> Result<Vec<AuditProgram>, Error> {
    let text = |text: &str| Value::Str(text.to_owned());
    let rewrites = tasks.iter().map(|admitted| {
        let (spec, key) = admitted.program();
        let is_function = Value::Bool(spec.interface.is_call());
        let args = vec![text(&key.reference), text(&spec.entry), is_function];
        ("__gyre_rewrites__", args)
    });
    let mutants = tasks.iter().enumerate().map(|(at, admitted)| {
        let count = Value::Int(i64::from(plan.mutants_per_task));
        let (_, key) = admitted.program();
        let args = vec![text(&key.reference), count, Value::Int(at as i64)];
        ("__gyre_mutants__", args)
    });
    let made = call_values(REWRITE, rewrites.chain(mutants).collect(), execute)?;
    let groups = [CaseGroup::Metamorphic, CaseGroup::Mutant].into_iter();
    let places = groups.flat_map(|group| (0..tasks.len()).map(move |task| (group, task)));
    let mut programs = Vec::new();
    for ((group, task), made) in places.zip(&made) {
        for (name, source) in named_sources(made) {
            programs.push(AuditProgram { task, group, name, source, equivalent: false });
        }
    }
    let compared: Vec<_> =
        programs.iter().map(|p| Compared { task: p.task, source: &p.source }).collect();
    let same = give_the_same(tasks, &compared, execute)?;
    let marked = programs.into_iter().zip(same).filter_map(|(program, same)| match program.group {
        CaseGroup::Mutant => Some(AuditProgram { equivalent: same, ..program }),
        // A rewrite that changed the meaning is our fault, and says nothing of the verifier.
        _ => same.then_some(program),
    });
    Ok(marked.collect())
}

fn named_sources(made: &Value) -> Vec<(String, String)> {
    let pair = |pair: &Value| match pair.as_seq() {
        Some([name, source]) => Some((name.as_str()?.to_owned(), source.as_str()?.to_owned())),
        _ => None,
    };
    made.as_seq().unwrap_or_default().iter().filter_map(pair).collect()
}
