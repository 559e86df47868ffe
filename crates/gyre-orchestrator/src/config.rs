//! The configuration of a run: every component's own settings, composed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gyre_env::EpisodeSettings;
use gyre_round::{
    AlarmConfig, BudgetConfig, CanaryConfig, CurationConfig, CurationMode, CurriculumConfig,
    FaultBound, GateConfig, GuardPlan, PoolConfig, RecheckConfig, ScheduleConfig, Share,
};
use gyre_sandbox::{LAYERS, SandboxConfig};
use gyre_types::{Identity, JsonError, Sampling, Seed};
use gyre_verify::ScorecardLimits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{self, LearnerConfig};
use crate::policy_settings::{self, ModelSettings, StartSettings, TrainerSettings};
use crate::promotion_settings::PromotionSettings;
use crate::server_settings::ServerSettings;
use crate::unknown_key;
use crate::worker_settings::WorkerSettings;

/// Everything that a run is told. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What runs of this configuration are called: `a-z`, `0-9` and `-`.
    pub name: String,
    /// The seed that every random stream derives from.
    #[serde(default = "default_seed")]
    pub seed: Seed,
    /// Rounds after the cold start.
    #[serde(default = "default_rounds")]
    pub rounds: u32,
    /// Where tasks come from.
    #[serde(default)]
    pub tasks: TasksConfig,
    /// Tasks that training never sees.
    #[serde(default)]
    pub held_out: HeldOutConfig,
    /// What the first policy learns from.
    #[serde(default)]
    pub cold_start: ColdStartConfig,
    /// How tasks are attempted.
    #[serde(default)]
    pub rollout: RolloutConfig,
    /// Which tasks are asked for.
    #[serde(default)]
    pub curriculum: CurriculumConfig,
    /// Which rollouts are trained on.
    #[serde(default)]
    pub curation: CurationConfig,
    /// What a training set holds.
    #[serde(default)]
    pub pool: PoolConfig,
    /// Impossible tasks among each round's own.
    #[serde(default)]
    pub canaries: CanaryConfig,
    /// Accepts that are judged again.
    #[serde(default)]
    pub recheck: RecheckConfig,
    /// When a jump of a verifier's accept rate is told.
    #[serde(default)]
    pub alarms: AlarmConfig,
    /// When a candidate is promoted.
    #[serde(default)]
    pub gate: GateConfig,
    /// The embedded policy and its trainer.
    #[serde(default)]
    pub learner: LearnerConfig,
    /// Who acts.
    #[serde(default, skip_serializing_if = "ModelSettings::is_default")]
    pub model: ModelSettings,
    /// Who trains.
    #[serde(default, skip_serializing_if = "TrainerSettings::is_default")]
    pub trainer: TrainerSettings,
    /// What the run starts from.
    #[serde(default, skip_serializing_if = "StartSettings::is_default")]
    pub start: StartSettings,
    /// What a model's server may be asked for. It may end a round or the run, which
    /// the log then says; no other result changes.
    #[serde(default, skip_serializing_if = "BudgetConfig::is_none")]
    pub budget: BudgetConfig,
    /// What each promotion notifies. Never changes a result.
    #[serde(default, skip_serializing_if = "PromotionSettings::is_default")]
    pub promotion: PromotionSettings,
    /// What verifiers may be, and what their faults do: they may end a run, and
    /// change no result.
    #[serde(default, skip_serializing_if = "VerifiersConfig::is_default")]
    pub verifiers: VerifiersConfig,
    /// The sandbox's use of the machine. Never changes a result.
    #[serde(default)]
    pub sandbox: SandboxSettings,
    /// Where lineage is kept. Never changes a result.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// Who makes rollouts. Never changes a result.
    #[serde(default, skip_serializing_if = "WorkerSettings::is_default")]
    pub workers: WorkerSettings,
    /// How `gyre serve` is reached. Never changes a result.
    #[serde(default, skip_serializing_if = "ServerSettings::is_default")]
    pub server: ServerSettings,
    /// Runs to compare, each with its own curation; none for an ordinary run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ablation: Vec<CurationMode>,
    /// When `gyre serve` makes rounds. A budget may end a round without a
    /// candidate, which its log then says; no other result changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ScheduleConfig>,
}

/// Where tasks come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TasksConfig {
    /// The folder of task families, relative to the working folder. Which of
    /// them are used is said in `curriculum.families`.
    pub dir: PathBuf,
}

impl Default for TasksConfig {
    fn default() -> Self {
        Self { dir: PathBuf::from("tasks") }
    }
}

/// Tasks that training never sees, divided once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeldOutConfig {
    /// Tasks that the gate decides on: evenly over families and their levels.
    pub gate: u32,
    /// Tasks that only reports see.
    pub test: u32,
    /// Tasks of one composition, at most, in each part: tasks of one composition
    /// are solved or failed together, and the gate counts tasks as independent.
    pub tasks_per_composition_max: u32,
    /// The seed that they are generated from: not the run's, so that runs with
    /// different seeds are measured on the same tasks.
    pub seed: Seed,
}

impl Default for HeldOutConfig {
    fn default() -> Self {
        Self { gate: 800, test: 600, tasks_per_composition_max: 4, seed: Seed(20_260_101) }
    }
}

impl HeldOutConfig {
    /// What of it decides results.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub(crate) fn identity(&self) -> Result<Identity, JsonError> {
        let names = ["gate", "test", "tasks_per_composition_max", "seed"];
        Identity::of("held-out tasks", self, &names)
    }
}

/// What the first policy learns from: reference solutions of easy tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColdStartConfig {
    /// The family that demonstrates.
    pub family: String,
    /// Demonstrations, by difficulty.
    pub demonstrations: BTreeMap<String, u32>,
    /// Options given to the family's generator for demonstrations alone.
    pub options: BTreeMap<String, serde_json::Value>,
}

impl Default for ColdStartConfig {
    fn default() -> Self {
        let counts = [("1", 400), ("2", 500), ("3", 100)];
        Self {
            family: "compose".to_owned(),
            demonstrations: counts.map(|(d, n)| (d.to_owned(), n)).into(),
            options: [("phrasings".to_owned(), serde_json::json!([0, 1]))].into(),
        }
    }
}

impl ColdStartConfig {
    /// What of it decides results.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub(crate) fn identity(&self) -> Result<Identity, JsonError> {
        let names = ["family", "demonstrations", "options"];
        Identity::of("a cold start", self, &names)
    }
}

/// How tasks are attempted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutConfig {
    /// Tasks per round.
    pub tasks_per_round: u32,
    /// Rollouts per task.
    pub samples: u32,
    /// Temperature of a rollout's first turn.
    pub temperature: f32,
    /// More rollouts for each task that none of the first solved.
    pub extra_samples: u32,
    /// Their temperature.
    pub extra_temperature: f32,
    /// Turns per rollout, at most.
    pub turns_max: u32,
    /// Temperature of later turns, which repair.
    pub repair_temperature: f32,
    /// Tokens per turn, at most.
    pub turn_tokens_max: u32,
    /// Tokens per rollout, at most.
    pub rollout_tokens_max: u32,
    /// Tasks per wave: the unit that is sampled as one batch, stored in one
    /// transaction and lost at most once in a crash. Never changes a result: it
    /// decides in which part file a rollout lies, and nothing else.
    pub tasks_per_wave: u32,
    /// The share of rollouts that may be lost to faults of the model's server, the
    /// sandbox or the machine, for training or in a held-out part. Beyond it, and from
    /// 20 rollouts on, the round fails and says why. May end a round, and changes no
    /// other result. Default 0.2.
    #[serde(skip_serializing_if = "is_default_share")]
    pub invalid_share_max: Share,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde takes")]
fn is_default_share(share: &Share) -> bool {
    *share == FaultBound::default().share_max
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self {
            tasks_per_round: 1000,
            samples: 3,
            temperature: 1.0,
            extra_samples: 6,
            extra_temperature: 1.2,
            turns_max: 2,
            repair_temperature: 1.2,
            turn_tokens_max: 96,
            rollout_tokens_max: 192,
            tasks_per_wave: 150,
            invalid_share_max: FaultBound::default().share_max,
        }
    }
}

impl RolloutConfig {
    /// What of it decides results.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub(crate) fn identity(&self) -> Result<Identity, JsonError> {
        let names = [
            "tasks_per_round",
            "samples",
            "temperature",
            "extra_samples",
            "extra_temperature",
            "turns_max",
            "repair_temperature",
            "turn_tokens_max",
            "rollout_tokens_max",
        ];
        // Decides nothing: the first fingerprints were taken with its default.
        let tasks_per_wave = Self::default().tasks_per_wave;
        Identity::of("rollouts", self, &names)?.with("tasks_per_wave", &tasks_per_wave)
    }
}

/// What verifiers may be, and what their faults do.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VerifiersConfig {
    /// Whether families may be judged by programs of this machine, outside the
    /// sandbox and with the user's rights.
    pub allow_commands: bool,
    /// What happens when a verifier gives no verdict. The rollout is invalid
    /// either way.
    pub on_fault: OnFault,
    /// What an audit must show for a verifier to be registered.
    pub audit: ScorecardLimits,
}

impl VerifiersConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a verifier's fault does to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFault {
    /// The run goes on.
    #[default]
    Continue,
    /// The run stops before anything of the wave is recorded.
    Stop,
}

/// The sandbox's use of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxSettings {
    /// Workers, each a process that runs guests; 0 is one for each core.
    pub workers: u32,
    /// Where compiled guests are kept; the user's cache folder by default. Must
    /// be a folder that other users cannot change.
    pub cache_dir: Option<PathBuf>,
    /// Layers of defence without which no run starts, such as `["seccomp",
    /// "landlock"]`; `gyre doctor` lists them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<String>,
    /// Memory that guests' reports may take together until they are judged, in
    /// bytes: a report counts with 16 times its size on the wire.
    #[serde(skip_serializing_if = "is_default_reports")]
    pub reports_bytes_max: u64,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        let reports_bytes_max = SandboxConfig::REPORTS_BYTES_MAX_DEFAULT;
        Self { workers: 0, cache_dir: None, require: Vec::new(), reports_bytes_max }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde takes")]
fn is_default_reports(bytes: &u64) -> bool {
    *bytes == SandboxConfig::REPORTS_BYTES_MAX_DEFAULT
}

/// Where lineage is kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `postgres://…`; without it, a SQLite file in the data folder.
    pub url: Option<String>,
}

/// With less, workers would wait for each other all the time.
const REPORTS_BYTES_MIN: u64 = 1 << 20;

fn default_seed() -> Seed {
    Seed(1)
}

fn default_rounds() -> u32 {
    8
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It has a key that no configuration has.
    #[error("the configuration {path} is refused:\n{why}\n(`gyre config schema` lists every key)")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Where, and which keys there are.
        why: String,
    },
    /// It is not of the configuration's shape.
    #[error("the configuration {path} is refused:\n{why}\n(`gyre config schema` lists every key)")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// A value is out of its bounds.
    #[error("the configuration {path} is refused: `{key}` {why}")]
    OutOfBounds {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl RunConfig {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`]; the message names file, line and key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Parses and checks a configuration; `path` is for messages alone.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let (path, why) = (path.to_owned(), error.to_string().trim_end().to_owned());
            match unknown_key::is_cause::<Self>(text) {
                true => ConfigError::UnknownKey { path, why },
                false => ConfigError::Malformed { path, why },
            }
        })?;
        config.check().map_err(|(key, why)| ConfigError::OutOfBounds {
            path: path.to_owned(),
            key,
            why,
        })?;
        Ok(config)
    }

    /// Checks a configuration that was changed after it was read.
    ///
    /// # Errors
    ///
    /// When a value is out of its bounds.
    pub fn checked(self) -> Result<Self, ConfigError> {
        let path = PathBuf::from("of the command line");
        self.check().map_err(|(key, why)| ConfigError::OutOfBounds { path, key, why })?;
        Ok(self)
    }

    /// The runs to make: one, or one for each curation of an ablation.
    pub fn variants(&self) -> Vec<Self> {
        if self.ablation.is_empty() {
            return vec![self.clone()];
        }
        let variant = |mode: &CurationMode| {
            let mut config = self.clone();
            config.ablation.clear();
            config.curation.mode = *mode;
            config
        };
        self.ablation.iter().map(variant).collect()
    }

    /// The configuration as it may be shown: without a database's password.
    pub fn without_secrets(&self) -> Self {
        let shown = |url: &String| match url.parse::<gyre_lineage::DatabaseUrl>() {
            Ok(url) => url.to_string(),
            Err(_) => "(not shown: it is no database URL)".to_owned(),
        };
        Self {
            database: DatabaseConfig { url: self.database.url.as_ref().map(shown) },
            ..self.clone()
        }
    }

    /// How a rollout runs in training, with this first temperature.
    pub fn training_episode(&self, temperature: f32) -> EpisodeSettings {
        let rollout = &self.rollout;
        EpisodeSettings {
            turns_max: rollout.turns_max,
            tokens_max: rollout.rollout_tokens_max,
            sampling: Sampling { temperature, tokens_max: rollout.turn_tokens_max },
            repair_temperature: rollout.repair_temperature,
            acting: self.model.acting,
        }
    }

    /// How a rollout runs in evaluation: one greedy turn.
    pub fn evaluation_episode(&self) -> EpisodeSettings {
        let tokens_max = self.rollout.turn_tokens_max;
        EpisodeSettings {
            turns_max: 1,
            tokens_max,
            sampling: Sampling { temperature: 0.0, tokens_max },
            repair_temperature: 0.0,
            acting: self.model.acting,
        }
    }

    /// Whether rounds end once their rows are published: nobody trains.
    pub fn collects_only(&self) -> bool {
        self.trainer == TrainerSettings::None
    }

    /// Demonstrations by difficulty, as numbers.
    pub fn demonstrations(&self) -> BTreeMap<u32, u32> {
        let parse = |(d, n): (&String, &u32)| d.parse().ok().map(|d: u32| (d, *n));
        self.cold_start.demonstrations.iter().filter_map(parse).collect()
    }

    /// How each round checks those who judge it.
    pub fn guards(&self) -> GuardPlan {
        GuardPlan {
            canaries: self.canaries,
            recheck: self.recheck,
            alarms: self.alarms,
            faults: FaultBound { share_max: self.rollout.invalid_share_max },
        }
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        policy_settings::check(&self.model, &self.trainer, &self.start)?;
        policy_settings::check_budget(&self.model, &self.budget)?;
        self.promotion.check()?;
        let rollout = &self.rollout;
        // Without candidates there is nothing that would have to be measured.
        let held_out_min = u32::from(!self.collects_only());
        let bounds = [
            ("rounds", self.rounds, 1, 10_000),
            ("rollout.tasks_per_round", rollout.tasks_per_round, 1, 1_000_000),
            ("rollout.samples", rollout.samples, 1, 1_000),
            ("rollout.extra_samples", rollout.extra_samples, 0, 1_000),
            ("rollout.turns_max", rollout.turns_max, 1, 100),
            ("rollout.turn_tokens_max", rollout.turn_tokens_max, 1, 100_000),
            ("rollout.rollout_tokens_max", rollout.rollout_tokens_max, 1, 1_000_000),
            ("rollout.tasks_per_wave", rollout.tasks_per_wave, 1, 10_000),
            ("held_out.gate", self.held_out.gate, held_out_min, 1_000_000),
            ("held_out.test", self.held_out.test, held_out_min, 1_000_000),
            (
                "held_out.tasks_per_composition_max",
                self.held_out.tasks_per_composition_max,
                1,
                1_000_000,
            ),
            ("sandbox.workers", self.sandbox.workers, 0, 1_024),
            ("workers.tasks_per_piece", self.workers.tasks_per_piece, 1, 10_000),
            ("workers.attempts_max", self.workers.attempts_max, 1, 1_000),
            ("canaries.per_round", self.canaries.per_round, 0, 1_000),
        ];
        for (key, value, min, max) in bounds {
            if !(min..=max).contains(&value) {
                return Err((key, format!("is {value}, not between {min} and {max}")));
            }
        }
        for (key, value) in [
            ("rollout.temperature", rollout.temperature),
            ("rollout.extra_temperature", rollout.extra_temperature),
            ("rollout.repair_temperature", rollout.repair_temperature),
        ] {
            if !(0.0..=10.0).contains(&value) {
                return Err((key, format!("is {value}, not between 0 and 10")));
            }
        }
        if gyre_types::RunId::new(&self.name, 1).is_err() {
            let why = format!("is {:?}: use 1 to 64 of a-z, 0-9 and -", self.name);
            return Err(("name", why));
        }
        let known = |name: &String| LAYERS.contains(&name.as_str());
        if let Some(name) = self.sandbox.require.iter().find(|name| !known(name)) {
            let why = format!("names {name:?}; the layers are {}", LAYERS.join(", "));
            return Err(("sandbox.require", why));
        }
        if self.sandbox.reports_bytes_max < REPORTS_BYTES_MIN {
            let bytes = self.sandbox.reports_bytes_max;
            let why = format!("is {bytes}, less than {REPORTS_BYTES_MIN}");
            return Err(("sandbox.reports_bytes_max", why));
        }
        if let Some(store) = self.workers.store.as_ref().filter(|store| !is_whole(store)) {
            let why = format!(
                "is {store:?}: give a whole path, since later commands (a revocation, a worker) \
                 may run in another folder and would publish elsewhere"
            );
            return Err(("workers.store", why));
        }
        match self.verifiers.audit.out_of_bounds() {
            Some(("golden_accepted_share_min", why)) => {
                return Err(("verifiers.audit.golden_accepted_share_min", why));
            }
            Some((_, why)) => return Err(("verifiers.audit.mutants_killed_share_min", why)),
            None => {}
        }
        if self.curriculum.families.is_empty() {
            return Err(("curriculum.families", "names no family".to_owned()));
        }
        engine::check(&self.learner).map_err(|why| ("learner", why))?;
        let demonstrations = &self.cold_start.demonstrations;
        if let Some(key) = demonstrations.keys().find(|key| key.parse::<u32>().is_err()) {
            return Err(("cold_start.demonstrations", format!("has {key:?}, not a difficulty")));
        }
        if self.start.is_default() && demonstrations.values().sum::<u32>() == 0 {
            return Err(("cold_start.demonstrations", "asks for none".to_owned()));
        }
        self.check_schedules()
    }

    fn check_schedules(&self) -> Result<(), (&'static str, String)> {
        let mut names = BTreeSet::new();
        for schedule in &self.schedules {
            let named = |why: String| ("schedules", format!("has {:?}: {why}", schedule.name));
            schedule.check().map_err(|error| named(error.to_string()))?;
            if !names.insert(&schedule.name) {
                return Err(named("the name is taken by another of them".to_owned()));
            }
        }
        Ok(())
    }
}

/// Whether the name of an object store means the same from wherever it is used.
fn is_whole(store: &str) -> bool {
    store.contains("://") || Path::new(store).is_absolute()
}
