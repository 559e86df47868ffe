//! Holds a verifier against the corpus, and says what came of it.

use std::collections::BTreeSet;
use std::fmt::Display;

use gyre_types::{Judgement, SandboxJob, SandboxReport, Verdict};
use serde::Serialize;

use super::rows::{AttackRow, ControlRow, NotTriedRow, count};
use super::{
    Attack, AttackClass, Corpus, CorpusTask, PlantingReport, WeakControl, WeakTrial,
    try_weak_controls,
};
use crate::{GradingKey, ProgramKey, Submission};

/// What a verifier makes of the corpus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CorpusReport {
    /// The attacks, by class.
    pub classes: Vec<ClassRow>,
    /// The programs that must be accepted.
    pub legitimate: LegitimateTable,
    /// Whether each honest solution got the same judgement, to the unit of
    /// fuel, after all attacks as before them.
    pub honest_unchanged: bool,
    /// Each attack.
    pub attacks: Vec<AttackRow>,
    /// Each weak control with each task that it is used for.
    pub controls: Vec<ControlRow>,
    /// Attacks that could not be tried here.
    pub not_tried: Vec<NotTriedRow>,
}

/// The attacks of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassRow {
    /// The class.
    pub class: AttackClass,
    /// Attacks in it.
    pub attacks: u32,
    /// Those that passed. Must be none.
    pub accepted: u32,
    /// Those that got no verdict. Must be none: what a program does is no
    /// fault of the machine.
    pub invalid: u32,
    /// Those that fooled their weak control. Must be all.
    pub weak_controls_fooled: u32,
}

/// The programs that must be accepted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LegitimateTable {
    /// How many there are.
    pub programs: u32,
    /// Those that passed. Must be all.
    pub accepted: u32,
    /// Those that did not pass.
    pub rejected: Vec<LegitimateRow>,
}

/// One program that must be accepted and was not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LegitimateRow {
    /// Its name.
    pub name: &'static str,
    /// What is odd about it.
    pub idea: &'static str,
    /// What the verifier says.
    pub verdict: Verdict,
    /// What the first check that did not agree saw.
    pub detail: String,
}

impl CorpusReport {
    /// Adds what came of the prepared folders.
    pub fn add_plantings(&mut self, plantings: PlantingReport) {
        let PlantingReport { attacks, controls, not_tried } = plantings;
        self.attacks.extend(attacks);
        self.controls.extend(controls);
        self.not_tried.extend(not_tried);
        self.classes = AttackClass::ALL.map(|class| tally(class, &self.attacks)).to_vec();
    }

    /// Attacks that passed, got no verdict, or did not fool their control.
    pub fn bad_attacks(&self) -> impl Iterator<Item = &AttackRow> {
        self.attacks
            .iter()
            .filter(|row| !matches!(row.verdict, Verdict::Fail { .. }) || !row.fooled)
    }

    /// Weak controls that are no graders.
    pub fn bad_controls(&self) -> impl Iterator<Item = &ControlRow> {
        self.controls.iter().filter(|row| !row.honest_accepted || row.wrong_rejected == 0)
    }

    /// Whether every attack was rejected and fooled its control, every control
    /// is a grader, and every legitimate program passed.
    pub fn is_clean(&self) -> bool {
        self.bad_attacks().next().is_none()
            && self.bad_controls().next().is_none()
            && self.legitimate.rejected.is_empty()
            && self.honest_unchanged
    }
}

/// Judges every program of the corpus (see [`super::check_plantings`] for what is
/// no program) with a verifier, and lets every attack
/// and the honest solutions be graded by the weak controls.
///
/// `judge` gives one judgement for each submission, `execute` one result for
/// each job, in order.
pub fn check_corpus<E: Display>(
    corpus: &Corpus,
    judge: impl Fn(&[Submission<'_>]) -> Vec<Judgement>,
    execute: impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> CorpusReport {
    let honest: Vec<_> =
        corpus.tasks.iter().map(|task| submission(task, &program_key(task).reference)).collect();
    let before = judge(&honest);
    let attacks = judge_attacks(corpus, &judge, &execute);
    let honest_unchanged = judge(&honest) == before && before.len() == honest.len();
    CorpusReport {
        classes: AttackClass::ALL.map(|class| tally(class, &attacks)).to_vec(),
        legitimate: judge_legitimate(corpus, &judge),
        honest_unchanged,
        attacks,
        controls: try_controls(corpus, &execute),
        not_tried: Vec::new(),
    }
}

fn submission<'a>(task: &'a CorpusTask, answer: &'a str) -> Submission<'a> {
    Submission::of_program(&task.task, &task.key, answer)
}

fn program_key(task: &CorpusTask) -> &ProgramKey {
    let GradingKey::Program(key) = &task.key;
    key
}

/// A verdict and what the first check that did not agree saw; a verifier that
/// gave no judgement for a program has accepted nothing.
fn verdict_of(judgement: Option<Judgement>) -> (Verdict, String) {
    match judgement {
        Some(Judgement { verdict, checks, .. }) => {
            let failed = checks.into_iter().find(|check| !check.passed);
            (verdict, failed.map_or(String::new(), |check| check.detail))
        }
        None => {
            let detail = "the verifier gave no judgement".to_owned();
            let reason = gyre_types::InvalidReason::Verifier { detail: detail.clone() };
            (Verdict::Invalid { reason }, detail)
        }
    }
}

fn judge_attacks<E: Display>(
    corpus: &Corpus,
    judge: &impl Fn(&[Submission<'_>]) -> Vec<Judgement>,
    execute: &impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> Vec<AttackRow> {
    let parts: Vec<(&Attack, &CorpusTask, &WeakControl)> = corpus
        .attacks
        .iter()
        .filter_map(|a| Some((a, corpus.task(a.task)?, corpus.weak_control(a.fools)?)))
        .collect();
    let submissions: Vec<_> =
        parts.iter().map(|(attack, task, _)| submission(task, attack.source)).collect();
    let trials: Vec<_> = parts
        .iter()
        .map(|&(attack, task, control)| WeakTrial { control, task, answer: attack.source })
        .collect();
    let mut judgements = judge(&submissions).into_iter();
    let fooled = try_weak_controls(&trials, execute);
    let row = |((attack, _, control), fooled): (&(&Attack, _, &WeakControl), _)| {
        let (verdict, detail) = verdict_of(judgements.next());
        let Attack { class, name, idea, .. } = **attack;
        let (fooled, control_fault) = match fooled {
            Ok(fooled) => (fooled, None),
            Err(why) => (false, Some(why)),
        };
        let weak_control = control.name;
        AttackRow { class, name, idea, verdict, detail, weak_control, fooled, control_fault }
    };
    parts.iter().zip(fooled).map(row).collect()
}

fn judge_legitimate(
    corpus: &Corpus,
    judge: &impl Fn(&[Submission<'_>]) -> Vec<Judgement>,
) -> LegitimateTable {
    let programs = &corpus.legitimate;
    let submissions: Vec<_> = programs
        .iter()
        .filter_map(|program| Some(submission(corpus.task(program.task)?, program.source)))
        .collect();
    let mut judgements = judge(&submissions).into_iter();
    let mut rejected = Vec::new();
    for program in programs {
        let (verdict, detail) = verdict_of(judgements.next());
        if !verdict.is_pass() {
            let (name, idea) = (program.name, program.idea);
            rejected.push(LegitimateRow { name, idea, verdict, detail });
        }
    }
    let programs = count(programs.iter());
    LegitimateTable { programs, accepted: programs - count(rejected.iter()), rejected }
}

/// Lets each control grade the honest solution and the wrong ones of each task
/// that an attack uses it for.
fn try_controls<E: Display>(
    corpus: &Corpus,
    execute: &impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
) -> Vec<ControlRow> {
    let used: BTreeSet<(&str, &str)> = corpus.attacks.iter().map(|a| (a.fools, a.task)).collect();
    let parts: Vec<(&WeakControl, &CorpusTask)> = used
        .into_iter()
        .filter_map(|(control, task)| Some((corpus.weak_control(control)?, corpus.task(task)?)))
        .collect();
    let trials: Vec<WeakTrial<'_>> = parts
        .iter()
        .flat_map(|&(control, task)| {
            let programs =
                std::iter::once(&program_key(task).reference).chain(&program_key(task).failures);
            programs.map(move |answer| WeakTrial { control, task, answer })
        })
        .collect();
    let mut verdicts = try_weak_controls(&trials, execute).into_iter();
    let row = |&(control, task): &(&WeakControl, &CorpusTask)| ControlRow {
        control: control.name,
        task: task.name,
        honest_accepted: matches!(verdicts.next(), Some(Ok(true))),
        wrong_rejected: count(
            verdicts
                .by_ref()
                .take(program_key(task).failures.len())
                .filter(|v| matches!(v, Ok(false))),
        ),
    };
    parts.iter().map(row).collect()
}

fn tally(class: AttackClass, attacks: &[AttackRow]) -> ClassRow {
    let of_class = || attacks.iter().filter(|row| row.class == class);
    ClassRow {
        class,
        attacks: count(of_class()),
        accepted: count(of_class().filter(|row| row.verdict.is_pass())),
        invalid: count(of_class().filter(|row| row.verdict.is_invalid())),
        weak_controls_fooled: count(of_class().filter(|row| row.fooled)),
    }
}
