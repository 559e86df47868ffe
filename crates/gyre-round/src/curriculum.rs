use std::collections::BTreeMap;

use gyre_types::{Identity, JsonError, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Share;

/// One observation weighs so many units, so that decay stays in whole numbers.
const UNITS: u64 = 1000;

/// What a run practises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CurriculumConfig {
    /// The families, each with its levels. A name that stands twice counts once.
    pub families: Vec<FamilyCurriculum>,
    /// Added to the weight `p (1 - p)` of a level, so that none is forgotten.
    /// Default 0.08.
    pub level_weight_floor: Share,
    /// The share of a family's tasks that its hardest open level has at least,
    /// below 1. Default 0.25: where next to nothing is solved yet, next to nothing
    /// is found unless it is tried often.
    pub frontier_share_min: Share,
    /// The next level opens when the pass rate of the top one exceeds this.
    /// Default 0.1: extra samples find answers to most tasks of such a level.
    pub unlock_pass_rate: Share,
    /// Observations of the top level before the next may open. Default 20.
    pub unlock_observations_min: u32,
    /// The share of tasks that aim at weak skills. Default 0.75.
    pub weighted_share: Share,
    /// Added to `1 - pass rate`, the weight of a skill. Default 0.05.
    pub skill_weight_floor: Share,
    /// What an observation still weighs one round later. Default 0.25: the
    /// policy changes by the round, so the last round speaks loudest.
    pub retention: Share,
}

impl Default for CurriculumConfig {
    fn default() -> Self {
        Self {
            families: Vec::new(),
            level_weight_floor: Share::permille(80),
            frontier_share_min: Share::permille(250),
            unlock_pass_rate: Share::permille(100),
            unlock_observations_min: 20,
            weighted_share: Share::permille(750),
            skill_weight_floor: Share::permille(50),
            retention: Share::permille(250),
        }
    }
}

impl CurriculumConfig {
    /// What of it decides results.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn identity(&self) -> Result<Identity, JsonError> {
        let names = [
            "families.family",
            "families.difficulty_min",
            "families.difficulty_max",
            "families.difficulty_start",
            "families.weight",
            "level_weight_floor",
            "frontier_share_min",
            "unlock_pass_rate",
            "unlock_observations_min",
            "weighted_share",
            "skill_weight_floor",
            "retention",
        ];
        Identity::of("a curriculum", self, &names)
    }
}

/// The levels of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FamilyCurriculum {
    /// The family.
    pub family: String,
    /// Its easiest level.
    pub difficulty_min: u32,
    /// Its hardest level.
    pub difficulty_max: u32,
    /// The hardest level that is open from the start.
    pub difficulty_start: u32,
    /// Its part of each round, in proportion to the others'.
    pub weight: u32,
}

impl FamilyCurriculum {
    /// The hardest level open from the start, within the family's own range.
    fn start(&self) -> u32 {
        self.difficulty_start.min(self.difficulty_max).max(self.difficulty_min)
    }
}

/// Passes and fails, as the counts of a Beta posterior over a uniform prior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Passes, in thousandths.
    pub passes_milli: u64,
    /// Fails, in thousandths.
    pub fails_milli: u64,
}

impl Cell {
    fn observe(&mut self, passed: bool) {
        let side = if passed { &mut self.passes_milli } else { &mut self.fails_milli };
        *side = side.saturating_add(UNITS);
    }

    fn decay(&mut self, retention: Share) {
        let decayed = |count: u64| {
            count / UNITS * retention.to_permille()
                + count % UNITS * retention.to_permille() / UNITS
        };
        self.passes_milli = decayed(self.passes_milli);
        self.fails_milli = decayed(self.fails_milli);
    }

    /// The posterior mean of the pass rate; one half where nothing was observed.
    pub fn pass_rate(&self) -> f64 {
        let (passes, fails) = (self.passes_milli as f64, self.fails_milli as f64);
        (passes + UNITS as f64) / (passes + fails + 2.0 * UNITS as f64)
    }

    fn observations_milli(&self) -> u64 {
        self.passes_milli.saturating_add(self.fails_milli)
    }
}

/// What is known of one family.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FamilyState {
    /// The hardest level that has been opened; none before the first round ends.
    pub unlocked: Option<u32>,
    /// Pass rates by level, the easiest that was seen first.
    pub levels: Vec<LevelCell>,
    /// Pass rates by skill.
    pub skills: BTreeMap<String, Cell>,
}

/// The pass rate of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelCell {
    /// The level.
    pub difficulty: u32,
    /// Its counts.
    pub cell: Cell,
}

impl FamilyState {
    /// What is known of a level.
    pub fn level(&self, difficulty: u32) -> Cell {
        let at = self.levels.binary_search_by_key(&difficulty, |level| level.difficulty);
        at.map_or_else(|_| Cell::default(), |at| self.levels[at].cell)
    }

    fn level_mut(&mut self, difficulty: u32) -> &mut Cell {
        let at = match self.levels.binary_search_by_key(&difficulty, |level| level.difficulty) {
            Ok(at) => at,
            Err(at) => {
                self.levels.insert(at, LevelCell { difficulty, cell: Cell::default() });
                at
            }
        };
        &mut self.levels[at].cell
    }

    /// The hardest level that is open.
    fn top(&self, family: &FamilyCurriculum) -> u32 {
        self.unlocked.map_or(family.start(), |top| {
            top.clamp(family.start(), family.difficulty_max.max(family.start()))
        })
    }
}

/// What is known of the policy's pass rates: a value, carried from round to round.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CurriculumState {
    /// By family.
    pub families: BTreeMap<String, FamilyState>,
}

/// What one rollout of a training task showed.
///
/// Give only rollouts that were drawn alike for every task: extra samples of
/// unsolved tasks would make hard tasks look harder. Invalid rollouts are no
/// observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation<'a> {
    /// The task's family.
    pub family: &'a str,
    /// The task's level.
    pub difficulty: u32,
    /// The task's skills.
    pub skills: &'a [String],
    /// Whether it was verified.
    pub passed: bool,
}

impl CurriculumState {
    /// Takes one rollout in. The order of observations does not matter.
    pub fn observe(&mut self, observation: Observation<'_>) {
        let family = self.families.entry(observation.family.to_owned()).or_default();
        family.level_mut(observation.difficulty).observe(observation.passed);
        for skill in observation.skills {
            family.skills.entry(skill.clone()).or_default().observe(observation.passed);
        }
    }

    /// Closes a round: forgets part of what was known before it, takes the
    /// round's rollouts in, and opens the next level of each family whose top
    /// level is passed often enough. A level once open stays open.
    #[must_use]
    pub fn after_round<'a>(
        &self,
        config: &CurriculumConfig,
        observations: impl IntoIterator<Item = Observation<'a>>,
    ) -> Self {
        let mut next = self.clone();
        for family in next.families.values_mut() {
            let levels = family.levels.iter_mut().map(|level| &mut level.cell);
            levels.chain(family.skills.values_mut()).for_each(|cell| cell.decay(config.retention));
        }
        observations.into_iter().for_each(|observation| next.observe(observation));
        for family in &config.families {
            let state = next.families.entry(family.family.clone()).or_default();
            let top = state.top(family);
            let cell = state.level(top);
            let seen = cell.observations_milli() / UNITS;
            let opens = seen >= u64::from(config.unlock_observations_min)
                && cell.pass_rate() > config.unlock_pass_rate.get()
                && top < family.difficulty_max;
            state.unlocked = Some(if opens { top + 1 } else { top });
        }
        next
    }
}

/// One task to generate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskSlot {
    /// The family.
    pub family: String,
    /// The level.
    pub difficulty: u32,
    /// The seed of the task.
    pub seed: Seed,
    /// Whether its skills are drawn by [`skill_weights`] rather than evenly.
    pub weighted: bool,
}

/// Plans the tasks of a round: so many slots, by family weight and level weight.
///
/// Slots are apportioned by largest remainder rather than drawn, so that a
/// round holds what its weights say. Families and levels are mixed along the
/// list in proportion.
pub fn plan_round(
    config: &CurriculumConfig,
    state: &CurriculumState,
    round: u32,
    seed: Seed,
    count: u32,
) -> Vec<TaskSlot> {
    let families: BTreeMap<&str, &FamilyCurriculum> =
        config.families.iter().rev().map(|family| (family.family.as_str(), family)).collect();
    let families: Vec<_> = families.into_values().collect();
    let weights: Vec<f64> = families.iter().map(|family| f64::from(family.weight)).collect();

    let mut cells: Vec<(&str, u32, u32)> = Vec::new();
    for (family, count) in families.iter().zip(apportion(count, &weights)) {
        let levels = level_weights(config, state, family);
        let weights: Vec<f64> = levels.iter().map(|(_, weight)| *weight).collect();
        let counts = apportion(count, &weights);
        cells.extend(
            levels.iter().zip(counts).map(|((level, _), n)| (family.family.as_str(), *level, n)),
        );
    }
    let slots = cells.iter().flat_map(|&cell| cell_slots(config, round, seed, cell));
    let mut slots: Vec<((u64, Seed), TaskSlot)> = slots.collect();
    slots.sort_by_key(|(place, _)| *place);
    slots.into_iter().map(|(_, slot)| slot).collect()
}

/// The slots of one family and level, each with its place along the list.
fn cell_slots(
    config: &CurriculumConfig,
    round: u32,
    seed: Seed,
    (family, difficulty, count): (&str, u32, u32),
) -> impl Iterator<Item = ((u64, Seed), TaskSlot)> {
    let stream = seed.derive("slot", &[u64::from(round)]).derive(family, &[u64::from(difficulty)]);
    let weighted = config.weighted_share.to_permille();
    (0..u64::from(count)).map(move |index| {
        let seed = stream.derive("task", &[index]);
        let slot = TaskSlot {
            family: family.to_owned(),
            difficulty,
            seed,
            // Spreads the weighted ones evenly: exactly the share of any prefix.
            weighted: (index + 1) * weighted / UNITS > index * weighted / UNITS,
        };
        (((2 * index + 1) * (1 << 31) / u64::from(count), seed), slot)
    })
}

fn level_weights(
    config: &CurriculumConfig,
    state: &CurriculumState,
    family: &FamilyCurriculum,
) -> Vec<(u32, f64)> {
    let unknown = FamilyState::default();
    let state = state.families.get(&family.family).unwrap_or(&unknown);
    let weight = |level: u32| {
        let p = state.level(level).pass_rate();
        p * (1.0 - p) + config.level_weight_floor.get()
    };
    let levels = family.difficulty_min..=state.top(family);
    let mut weights: Vec<_> = levels.map(|level| (level, weight(level))).collect();
    if let Some(((_, frontier), others)) = weights.split_last_mut()
        && !others.is_empty()
    {
        let others: f64 = others.iter().map(|(_, weight)| weight).sum();
        let share = config.frontier_share_min.get().min(0.99);
        *frontier = frontier.max(others * share / (1.0 - share));
    }
    weights
}

/// The weight of each skill that was observed in a family: 1.05 minus its pass
/// rate, by default. A skill that was never observed counts as passed half the time.
pub fn skill_weights(
    config: &CurriculumConfig,
    state: &CurriculumState,
    family: &str,
) -> SkillWeights {
    let weight = |cell: &Cell| 1.0 - cell.pass_rate() + config.skill_weight_floor.get();
    let skills = state.families.get(family).map(|family| &family.skills);
    SkillWeights {
        unseen: weight(&Cell::default()),
        seen: skills
            .into_iter()
            .flatten()
            .map(|(skill, cell)| (skill.clone(), weight(cell)))
            .collect(),
    }
}

/// How much each skill should be practised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkillWeights {
    /// Of a skill that was never observed.
    pub unseen: f64,
    /// Of the others, by name.
    pub seen: BTreeMap<String, f64>,
}

/// Divides `count` in proportion to the weights, by largest remainder; ties go
/// to the first. Weights that are not positive get nothing, and without any
/// positive weight nothing is given out.
fn apportion(count: u32, weights: &[f64]) -> Vec<u32> {
    let positive = |weight: &f64| if *weight > 0.0 { *weight } else { 0.0 };
    let total: f64 = weights.iter().map(positive).sum();
    if !(total > 0.0 && total.is_finite()) {
        return vec![0; weights.len()];
    }
    let exact = |weight: &f64| f64::from(count) * positive(weight) / total;
    let mut parts: Vec<u32> = weights.iter().map(|weight| exact(weight).floor() as u32).collect();
    let given: u32 = parts.iter().sum();
    let mut order: Vec<usize> =
        (0..weights.len()).filter(|&at| positive(&weights[at]) > 0.0).collect();
    order.sort_by(|&a, &b| {
        let remainder = |at: usize| exact(&weights[at]).fract();
        remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b))
    });
    for at in order.into_iter().take(count.saturating_sub(given) as usize) {
        parts[at] += 1;
    }
    parts
}
