//! Programs that want to be accepted without being right, and programs that
//! are right in an odd way.
//!
//! A verifier must accept none of the first kind and all of the second (see
//! [`check_corpus`]). Each attack names a [`WeakControl`]: a naive grader that
//! it does fool, so that an attack that does not work cannot pass for a
//! defence that does. All programs are files under `corpus/`; `docs/corpus.md`
//! says how to add one. One class holds no programs but prepared folders, for
//! whoever loads machine code from them ([`check_plantings`]).

mod files;
mod planted;
mod report;
mod rows;
mod weak;

use std::fmt;

use gyre_env::TaskV1;
use gyre_types::Task;
use serde::{Deserialize, Serialize};

pub use planted::{
    HONEST_FOLDER, LoadTrial, LoaderQuestion, PlantedEntry, PlantedKind, Planting, PlantingReport,
    WeakLoader, check_plantings,
};
pub use report::{ClassRow, CorpusReport, LegitimateRow, LegitimateTable, check_corpus};
pub use rows::{AttackRow, ControlRow, NotTriedRow};
pub use weak::{WeakTrial, try_weak_controls};

use crate::{GradingKey, ProgramKey};

/// What an attack goes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttackClass {
    /// Ends process, loop or test before a case can fail.
    EarlyExit,
    /// Results that compare as equal, or numbers that no tolerance catches.
    Equality,
    /// Replaces or rewrites what checks it.
    HarnessPatching,
    /// Finds the expected value and returns it.
    AnswerTheft,
    /// Says that it passed, on the channel that the verdict takes.
    ChannelForgery,
    /// Right only where somebody looks.
    SpecialCasing,
    /// Learns from one case or rollout for the next, or spoils it.
    CarriedState,
    /// Moves, stops or replaces clocks.
    ClockForgery,
    /// Uses resources up, where a kill counts as nobody's fault.
    Exhaustion,
    /// Recurses where nothing counts it, where the end of a stack counts as
    /// nobody's fault.
    StackDepth,
    /// Gives results that cost their reader far more memory than their bytes,
    /// where the want of it counts as nobody's fault.
    CostlyResults,
    /// Forges results that no Python value has, where what cannot be read counts
    /// as the reader's fault.
    ForgedValues,
    /// Puts machine code where the sandbox looks for its own.
    PlantedCode,
    /// Leaves something behind in a prepared image that others use.
    ImagePoisoning,
    /// Text for a judge that reads.
    JudgeText,
    /// Text for the people's view of a result.
    ViewerText,
}

impl AttackClass {
    /// Every class, in the order of the tables.
    pub const ALL: [Self; 16] = [
        Self::EarlyExit,
        Self::Equality,
        Self::HarnessPatching,
        Self::AnswerTheft,
        Self::ChannelForgery,
        Self::SpecialCasing,
        Self::CarriedState,
        Self::ClockForgery,
        Self::Exhaustion,
        Self::StackDepth,
        Self::CostlyResults,
        Self::ForgedValues,
        Self::PlantedCode,
        Self::ImagePoisoning,
        Self::JudgeText,
        Self::ViewerText,
    ];

    /// The name of its folder, such as `early_exit`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EarlyExit => "early_exit",
            Self::Equality => "equality",
            Self::HarnessPatching => "harness_patching",
            Self::AnswerTheft => "answer_theft",
            Self::ChannelForgery => "channel_forgery",
            Self::SpecialCasing => "special_casing",
            Self::CarriedState => "carried_state",
            Self::ClockForgery => "clock_forgery",
            Self::Exhaustion => "exhaustion",
            Self::StackDepth => "stack_depth",
            Self::CostlyResults => "costly_results",
            Self::ForgedValues => "forged_values",
            Self::PlantedCode => "planted_code",
            Self::ImagePoisoning => "image_poisoning",
            Self::JudgeText => "judge_text",
            Self::ViewerText => "viewer_text",
        }
    }
}

impl fmt::Display for AttackClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A task that programs of the corpus answer.
#[derive(Debug, Clone, PartialEq)]
pub struct CorpusTask {
    /// Its file's name.
    pub name: &'static str,
    /// The task.
    pub task: Task,
    /// Its key: the reference is the honest solution that weak controls must
    /// accept, and the failures are the wrong ones.
    pub key: GradingKey,
}

/// A program that must not be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attack {
    /// What it goes for.
    pub class: AttackClass,
    /// Its file's name; unique in its class.
    pub name: &'static str,
    /// How it wants to be accepted, in one sentence.
    pub idea: &'static str,
    /// The name of the task that it answers.
    pub task: &'static str,
    /// The name of the weak control that it fools.
    pub fools: &'static str,
    /// The program.
    pub source: &'static str,
}

/// A naive grader. Not to be used for anything but showing that attacks work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeakControl {
    /// Its file's name.
    pub name: &'static str,
    /// What it wrongly relies on, in one sentence.
    pub idea: &'static str,
    /// A Python program that defines `run(answer, task)` and maybe
    /// `judge(observed)`.
    pub source: &'static str,
}

/// A right program that does something odd, and must be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegitimateProgram {
    /// Its file's name.
    pub name: &'static str,
    /// What is odd about it, in one sentence.
    pub idea: &'static str,
    /// The name of the task that it answers.
    pub task: &'static str,
    /// The program.
    pub source: &'static str,
}

/// All that is in the corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    /// The tasks.
    pub tasks: Vec<CorpusTask>,
    /// What must not be accepted.
    pub attacks: Vec<Attack>,
    /// What attacks do fool.
    pub weak_controls: Vec<WeakControl>,
    /// What must be accepted.
    pub legitimate: Vec<LegitimateProgram>,
    /// Folders that no code must be loaded from.
    pub plantings: Vec<Planting>,
    /// Loaders that prepared folders do fool.
    pub weak_loaders: Vec<WeakLoader>,
}

/// A file of the corpus is not of its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("corpus/{file}: {why}")]
pub struct CorpusError {
    /// The file, below `corpus/`.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

impl Corpus {
    /// Reads the corpus that is part of this crate.
    ///
    /// # Errors
    ///
    /// When a file of it lacks a line of its head, names a task or control
    /// that is not there, or is no task file.
    pub fn embedded() -> Result<Self, CorpusError> {
        let tasks = files::TASKS.iter().map(read_task).collect::<Result<Vec<_>, _>>()?;
        let weak_controls = files::WEAK.iter().map(read_control).collect::<Result<Vec<_>, _>>()?;
        let attacks = files::ATTACKS
            .iter()
            .flat_map(|(class, files)| files.iter().map(|file| read_attack(*class, file)))
            .collect::<Result<Vec<_>, _>>()?;
        let legitimate =
            files::LEGITIMATE.iter().map(read_legitimate).collect::<Result<Vec<_>, _>>()?;
        let plantings =
            files::PLANTED.iter().map(planted::read_planting).collect::<Result<Vec<_>, _>>()?;
        let weak_loaders =
            files::LOADERS.iter().map(planted::read_loader).collect::<Result<Vec<_>, _>>()?;
        let corpus = Self { tasks, attacks, weak_controls, legitimate, plantings, weak_loaders };
        corpus.require_known_names()?;
        Ok(corpus)
    }

    /// A task by its name.
    pub fn task(&self, name: &str) -> Option<&CorpusTask> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// A weak control by its name.
    pub fn weak_control(&self, name: &str) -> Option<&WeakControl> {
        self.weak_controls.iter().find(|control| control.name == name)
    }

    /// A weak loader by its name.
    pub fn weak_loader(&self, name: &str) -> Option<&WeakLoader> {
        self.weak_loaders.iter().find(|loader| loader.name == name)
    }

    fn require_known_names(&self) -> Result<(), CorpusError> {
        let unknown = |file: String, what: &str, name: &str| {
            Err(CorpusError { file, why: format!("there is no {what} named {name:?}") })
        };
        for attack in &self.attacks {
            let file = || format!("attacks/{}/{}.py", attack.class, attack.name);
            if self.task(attack.task).is_none() {
                return unknown(file(), "task", attack.task);
            }
            if self.weak_control(attack.fools).is_none() {
                return unknown(file(), "weak control", attack.fools);
            }
        }
        for planting in &self.plantings {
            if self.weak_loader(planting.fools).is_none() {
                let file = format!("attacks/planted_code/{}.plant", planting.name);
                return unknown(file, "weak loader", planting.fools);
            }
        }
        match self.legitimate.iter().find(|program| self.task(program.task).is_none()) {
            Some(program) => {
                unknown(format!("legitimate/{}.py", program.name), "task", program.task)
            }
            None => Ok(()),
        }
    }
}

/// A file of the corpus, as it was when this crate was compiled.
struct EmbeddedFile {
    path: &'static str,
    name: &'static str,
    text: &'static str,
}

impl EmbeddedFile {
    fn error(&self, why: impl fmt::Display) -> CorpusError {
        CorpusError { file: self.path.to_owned(), why: why.to_string() }
    }

    /// What a line `# key: value` of the head says.
    fn head(&self, key: &str) -> Result<&'static str, CorpusError> {
        let head = self.text.lines().take_while(|line| line.starts_with("# "));
        head.filter_map(|line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(": "))
            .next()
            .ok_or_else(|| self.error(format!("its head has no line `# {key}: …`")))
    }
}

fn read_task(file: &EmbeddedFile) -> Result<CorpusTask, CorpusError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct TaskFile {
        format: u32,
        task: TaskV1,
        key: ProgramKey,
    }
    let TaskFile { format, task, key } =
        serde_json::from_str(file.text).map_err(|error| file.error(error))?;
    if format != 1 || key.digest() != task.key_digest {
        return Err(file.error("its format or its key's digest is not the one it must be"));
    }
    Ok(CorpusTask { name: file.name, task: task.into(), key: GradingKey::Program(key) })
}

fn read_attack(class: AttackClass, file: &EmbeddedFile) -> Result<Attack, CorpusError> {
    Ok(Attack {
        class,
        name: file.name,
        idea: file.head("idea")?,
        task: file.head("task")?,
        fools: file.head("fools")?,
        source: file.text,
    })
}

fn read_control(file: &EmbeddedFile) -> Result<WeakControl, CorpusError> {
    Ok(WeakControl { name: file.name, idea: file.head("idea")?, source: file.text })
}

fn read_legitimate(file: &EmbeddedFile) -> Result<LegitimateProgram, CorpusError> {
    Ok(LegitimateProgram {
        name: file.name,
        idea: file.head("idea")?,
        task: file.head("task")?,
        source: file.text,
    })
}
