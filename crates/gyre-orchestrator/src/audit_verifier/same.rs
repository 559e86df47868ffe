//! Whether programs give what the reference gives, on inputs beyond the hidden
//! ones.

use std::collections::BTreeMap;

use gyre_env::program::interface;
use gyre_tasks::AdmittedTask;
use gyre_types::{Case, Interface, SandboxJob, SandboxReport, Step, Value};
use gyre_verify::{judging_seed, same};

use super::guest::{REWRITE, call_values};
use super::{Execute, sandbox_failed};
use crate::error::Error;

/// Generated inputs for each task, beside its own cases.
const VARIED_MAX: i64 = 60;

/// What a program gave for each input; `None` where that was no value.
type Given = Vec<Option<Value>>;

/// A program to compare with the reference of its task.
pub(super) struct Compared<'a> {
    pub(super) task: usize,
    pub(super) source: &'a str,
}

/// For each program, whether it gives what its task's reference gives, on
/// every input on which that gives a value.
pub(super) fn give_the_same(
    tasks: &[AdmittedTask],
    programs: &[Compared<'_>],
    execute: &Execute<'_>,
) -> Result<Vec<bool>, Error> {
    let inputs = inputs(tasks, execute)?;
    let reference =
        |(at, task): (usize, &AdmittedTask)| job(task, &task.program().1.reference, &inputs[at]);
    let mut jobs: Vec<_> = tasks.iter().enumerate().map(reference).collect();
    jobs.extend(programs.iter().map(|p| job(&tasks[p.task], p.source, &inputs[p.task])));
    let mut given = Vec::with_capacity(jobs.len());
    let all = programs.iter().map(|program| program.task);
    for (report, task) in execute(jobs).into_iter().zip((0..tasks.len()).chain(all)) {
        let report = report.map_err(sandbox_failed)?;
        given.push(read(&report, tasks[task].program().0.interface, inputs[task].len()));
    }
    if given.len() != tasks.len() + programs.len() {
        return Err(sandbox_failed("fewer reports came than jobs were given"));
    }
    let (expected, actual) = given.split_at(tasks.len());
    let agrees = |(program, actual): (&Compared<'_>, &Given)| {
        let comparison = &tasks[program.task].program().1.comparison;
        expected[program.task].iter().zip(actual).all(|pair| match pair {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(expected), Some(actual)) => same(expected, actual, comparison).is_ok(),
        })
    };
    Ok(programs.iter().zip(actual).map(agrees).collect())
}

/// The arguments of each task's cases, and more like them where an answer is
/// called with values.
fn inputs(tasks: &[AdmittedTask], execute: &Execute<'_>) -> Result<Vec<Vec<Vec<Value>>>, Error> {
    let own = |task: &AdmittedTask| -> Vec<Vec<Value>> {
        let (spec, key) = task.program();
        let cases = key.hidden.iter().chain(&spec.visible);
        cases.map(|case: &Case| case.args.clone()).collect()
    };
    let vary = |task: &AdmittedTask| {
        let calls = Value::List(own(task).into_iter().map(Value::List).collect());
        let count = if task.program().0.interface.is_call() { VARIED_MAX } else { 0 };
        ("__gyre_vary__", vec![calls, Value::Int(count)])
    };
    let varied = call_values(REWRITE, tasks.iter().map(vary).collect(), execute)?;
    let joined = |(task, varied): (&AdmittedTask, Value)| {
        let more = varied.as_seq().unwrap_or_default().iter();
        let mut inputs = own(task);
        inputs.extend(more.filter_map(Value::as_seq).map(<[Value]>::to_vec));
        inputs
    };
    Ok(tasks.iter().zip(varied).map(joined).collect())
}

/// One guest for all inputs: what a program carries over counts as a
/// difference too.
fn job(admitted: &AdmittedTask, source: &str, inputs: &[Vec<Value>]) -> SandboxJob {
    let (task, (spec, _)) = (&admitted.task, admitted.program());
    let mut steps: Vec<Step> = vec![interface::begin(spec.interface, source)];
    for args in inputs {
        steps.extend(interface::case(spec, source, args));
    }
    SandboxJob {
        seed: judging_seed(task, source),
        limits: task.limits.clone(),
        steps,
        files: BTreeMap::new(),
    }
}

fn read(report: &SandboxReport, interface: Interface, count: usize) -> Given {
    let Some((begun, cases)) = report.steps.split_first() else { return vec![None; count] };
    let per_case = interface::case_steps(interface);
    let one = |at: usize| {
        let from = (at * per_case).min(cases.len());
        let to = (from + per_case).min(cases.len());
        interface::value(interface, begun, &cases[from..to]).ok()
    };
    (0..count).map(one).collect()
}
