//! What an evaluation found: the form that `gyre evaluate --output` writes.

use std::collections::BTreeMap;

use gyre_env::EpisodeSettings;
use gyre_round::{Comparison, Evaluation, GateConfig, TaskResult, compare};
use gyre_types::{CheckpointId, Digest, Seed};
use serde::{Deserialize, Serialize};

/// The version of [`EvaluationReport`]'s form.
pub const EVALUATION_VERSION: u32 = 1;

/// What one model did on the held-out tasks, with all that decides it: the same
/// model, tasks and seed give the same results wherever the model's answers can be
/// had again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationReport {
    /// The version of this form.
    pub version: u32,
    /// The version of Gyre.
    pub gyre: String,
    /// Who was evaluated.
    pub model: EvaluatedModel,
    /// The seed that every random stream of the attempts derives from.
    pub seed: Seed,
    /// How each task was attempted.
    pub attempts: Attempts,
    /// The sandbox that ran what the model wrote.
    pub sandbox: Digest,
    /// The verifier of each family.
    pub verifiers: BTreeMap<String, Digest>,
    /// Digest of the tasks' ids, in order.
    pub tasks: Digest,
    /// The figures.
    pub evaluation: Evaluation,
    /// What was done on each task, in their order.
    pub results: Vec<TaskResult>,
}

/// A model that was evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluatedModel {
    /// A name for people: a folder, a checkpoint's id, or a name on a server.
    pub name: String,
    /// The checkpoint, where the model's files are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointId>,
    /// Digest of everything that is known to decide its answers. For a model that a
    /// server has, that is its name and the server's address.
    pub digest: Digest,
}

/// How each task was attempted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempts {
    /// By calls of tools, or in text.
    pub acting: gyre_types::Acting,
    /// Turns allowed.
    pub turns_max: u32,
    /// Tokens allowed in a turn.
    pub turn_tokens_max: u32,
    /// 0 is greedy.
    pub temperature: f32,
}

impl From<EpisodeSettings> for Attempts {
    fn from(settings: EpisodeSettings) -> Self {
        Self {
            acting: settings.acting,
            turns_max: settings.turns_max,
            turn_tokens_max: settings.sampling.tokens_max,
            temperature: settings.sampling.temperature,
        }
    }
}

impl EvaluationReport {
    /// Reads a report.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as the end of a sentence that begins with the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
        if value.get("models").is_some() {
            return Err("compares two models; name a file with the results of one".to_owned());
        }
        match value["version"].as_u64() {
            Some(version) if version == u64::from(EVALUATION_VERSION) => {}
            Some(version) => {
                return Err(format!(
                    "holds results of version {version}, and this gyre reads version \
                     {EVALUATION_VERSION}; evaluate the model again"
                ));
            }
            None => return Err("holds no results of `gyre evaluate`".to_owned()),
        }
        serde_json::from_value(value).map_err(|error| format!("cannot be read: {error}"))
    }

    /// Compares with another model, which stands as the candidate, by the gate's own test.
    ///
    /// # Errors
    ///
    /// Why the two were not measured alike.
    pub fn compare(&self, candidate: &Self, config: &GateConfig) -> Result<Comparison, String> {
        let differs = [
            ("other tasks", self.tasks != candidate.tasks),
            ("another sandbox", self.sandbox != candidate.sandbox),
            ("other verifiers", self.verifiers != candidate.verifiers),
            ("other limits or sampling", self.attempts != candidate.attempts),
        ];
        if let Some((what, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            let (first, second) = (&self.model.name, &candidate.model.name);
            return Err(format!(
                "{second} was measured with {what} than {first}; evaluate both with the same \
                 configuration, parts and number of tasks"
            ));
        }
        let first = (self.model.digest, self.results.as_slice());
        let second = (candidate.model.digest, candidate.results.as_slice());
        Ok(compare(config, first, second))
    }
}

#[cfg(test)]
mod tests {
    use gyre_round::Outcome;
    use gyre_types::{Acting, Split, TaskId};

    use super::*;

    fn report(name: &str, passed: usize) -> EvaluationReport {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let result = |at: usize| TaskResult {
            task: TaskId::from_digest(&Digest::of(&at.to_le_bytes())),
            part: Split::Test,
            family: "compose".to_owned(),
            difficulty: 1,
            outcome: if at < passed { Outcome::Pass } else { Outcome::Fail },
            failure: None,
            invalid: None,
            tokens: 7,
        };
        let results: Vec<_> = (0..40).map(result).collect();
        EvaluationReport {
            version: EVALUATION_VERSION,
            gyre: "0.1.0".to_owned(),
            model: EvaluatedModel { name: name.to_owned(), checkpoint: None, digest: digest(name) },
            seed: Seed(1),
            attempts: Attempts {
                acting: Acting::Text,
                turns_max: 1,
                turn_tokens_max: 96,
                temperature: 0.0,
            },
            sandbox: digest("sandbox"),
            verifiers: BTreeMap::from([("compose".to_owned(), digest("verifier"))]),
            tasks: digest("tasks"),
            evaluation: Evaluation::of(&results),
            results,
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = report("a", 10);
        let text = serde_json::to_string_pretty(&report).unwrap();
        assert_eq!(EvaluationReport::parse(&text).unwrap(), report);
        let of_another_version = text.replacen("\"version\": 1", "\"version\": 2", 1);
        for (text, why) in [
            ("{", "is not JSON: "),
            ("[]", "holds no results of `gyre evaluate`"),
            (r#"{"models": []}"#, "compares two models; "),
            (&of_another_version, "holds results of version 2, and this gyre reads version 1; "),
            (r#"{"version": 1}"#, "cannot be read: missing field"),
        ] {
            let error = EvaluationReport::parse(text).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn only_what_was_measured_alike_is_compared() {
        let (first, second) = (report("a", 10), report("b", 30));
        let config = GateConfig::default();
        let compared = first.compare(&second, &config).unwrap();
        assert!(compared.gate.is_promotion());
        assert_eq!((compared.flips_won.len(), compared.gate.flips_lost.len()), (20, 0));
        let others = EvaluationReport { tasks: Digest::of(b"others"), ..second.clone() };
        assert_eq!(
            first.compare(&others, &config).unwrap_err(),
            "b was measured with other tasks than a; evaluate both with the same configuration, \
             parts and number of tasks"
        );
        let attempts = Attempts { turns_max: 2, ..second.attempts.clone() };
        let longer = EvaluationReport { attempts, ..second };
        assert!(first.compare(&longer, &config).unwrap_err().contains("other limits or sampling"));
    }
}
