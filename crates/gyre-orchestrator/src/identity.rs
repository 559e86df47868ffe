//! A run's fingerprint, composed of what each component says of itself.
//!
//! Each component owns its identity: what of its settings decides results. The
//! composition names every component that it takes. A setting or a section that is
//! added later therefore changes no fingerprint of a run that was recorded before.

use std::collections::BTreeMap;

use gyre_types::{Digest, Identity, JsonError, to_json};
use serde_json::{Value, json};

use crate::config::RunConfig;
use crate::engine;
use crate::harness::Harness;

/// Digest of everything that decides a run's results.
///
/// # Errors
///
/// When the settings cannot be written as JSON.
pub(crate) fn fingerprint(config: &RunConfig, harness: &Harness) -> Result<Digest, JsonError> {
    let components = Components {
        sandbox: harness.sandbox.digest(),
        families: harness.family_digests(),
        verifier: gyre_verify::verifier_digest(),
        engine: engine::VERSION,
        verifiers: harness.verifier_digests(),
    };
    Ok(Digest::of_json(&(settings(config)?, components.digest())))
}

/// The components of a run that are no settings, by their digests.
struct Components {
    sandbox: Digest,
    families: BTreeMap<String, Digest>,
    /// The built-in comparison.
    verifier: Digest,
    /// Version of the embedded model's arithmetic.
    engine: u32,
    /// The verifiers of families that have one of their own.
    verifiers: BTreeMap<String, Digest>,
}

impl Components {
    fn digest(&self) -> Digest {
        let Self { sandbox, families, verifier, engine, verifiers } = self;
        let built_in = Digest::of_json(&(sandbox, families, verifier, engine));
        match verifiers {
            own if own.is_empty() => built_in,
            own => Digest::of_json(&(built_in, own)),
        }
    }
}

/// The settings that decide results, as each component gives them. Canaries and alarms
/// are none of them: they may end a run, and change nothing else.
pub(crate) fn settings(config: &RunConfig) -> Result<Value, JsonError> {
    let mut settings = json!({
        "seed": config.seed,
        "held_out": config.held_out.identity()?,
        "cold_start": config.cold_start.identity()?,
        "rollout": config.rollout.identity()?,
        "curriculum": config.curriculum.identity()?,
        "curation": config.curation.identity()?,
        "pool": config.pool.identity()?,
        "recheck": config.recheck.identity()?,
        "gate": config.gate.identity()?,
        "learner": config.learner.identity()?,
        // Neutral values of settings that decide nothing: the first fingerprints were
        // taken with them.
        "name": "",
        "rounds": 0,
        "tasks": { "dir": "" },
        "sandbox": { "workers": 0, "cache_dir": null },
        "database": { "url": null },
    });
    let sections = [
        ("model", config.model.identity()),
        ("trainer", section(config.trainer.identity()?)?),
        ("start", section(config.start.identity()?)?),
    ];
    if let Some(settings) = settings.as_object_mut() {
        let given = sections.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?)));
        settings.extend(given);
    }
    Ok(settings)
}

fn section(part: Option<Identity>) -> Result<Option<Value>, JsonError> {
    part.map(|part| to_json("an identity", &part)).transpose()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn shipped(name: &str) -> RunConfig {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs").join(name);
        RunConfig::read(&path).unwrap()
    }

    /// Those of a recorded run.
    fn components() -> Components {
        let digest = |text: &str| -> Digest { text.parse().unwrap() };
        let sandbox = "de3a525f93ce6deee3ecbeca881748babb8d0ccd7bac0aa53ba69c107cca3fed";
        let compose = "8839efcfb2f345d088ed6ec2990b61d25aa6aded5eba40fee1027fc3e3f0a480";
        let cases = "3cef0dca89b0866abc057d8b388b96f3403569de1e3d1b8b3929c57aed2fb306";
        Components {
            sandbox: digest(sandbox),
            families: [("compose".to_owned(), digest(compose))].into(),
            verifier: digest(cases),
            engine: 2,
            verifiers: BTreeMap::new(),
        }
    }

    fn composed(config: &RunConfig) -> String {
        Digest::of_json(&(settings(config).unwrap(), components().digest())).to_hex()
    }

    /// Every other kind of model, trainer and start: in what they decide, and in what
    /// they do not.
    fn others() -> RunConfig {
        let text = r#"
            name = "others"
            [[curriculum.families]]
            family = "compose"
            difficulty_min = 1
            difficulty_max = 2
            difficulty_start = 1
            weight = 1
            [model]
            kind = "openai"
            acting = "text"
            episodes_max = 7
            [model.server]
            url = "http://127.0.0.1:1/v1"
            model = "m"
            top_p = 0.5
            [model.serve]
            command = ["serve", "{checkpoint}", "{port}"]
            [trainer]
            kind = "command"
            command = ["train", "{dataset}", "{output}"]
            env = ["TOKEN"]
            [start]
            checkpoint = "base"
            [workers]
            mode = "queue"
            [verifiers]
            allow_commands = true
        "#;
        RunConfig::parse(text, Path::new("others.toml")).unwrap()
    }

    /// Recorded runs resume only while these stay what they are. The first is that of
    /// a run that was recorded before components had identities.
    #[test]
    fn fingerprints_are_those_of_the_versions_before() {
        let names = ["quickstart.toml", "small.toml", "ablation.toml"];
        let shipped = names.iter().flat_map(|name| shipped(name).variants());
        let recorded = [
            "c519629cca248c72fbb13fa4882869c856bec9b669d84d838b41deb35dbb689f",
            "fe0d251c04762a499327264df29f9c4ed59776600b4fdf6d59cba6ecc6e6c08d",
            "c519629cca248c72fbb13fa4882869c856bec9b669d84d838b41deb35dbb689f",
            "74095b5f164046f836e1ee5c6bb47d24066c01c62d90022ca84d410057177494",
            "23960bc716d1d5883c9154c219ecfbebe39b62cb00980215d8b0b035d86e2e19",
            "9a33f2b15e8b7d343d50b67fb5324bcb241d483f9181289d8292007d285abb2e",
        ];
        let found: Vec<_> = shipped.chain([others()]).map(|config| composed(&config)).collect();
        assert_eq!(found, recorded);
    }

    #[test]
    fn verifiers_of_families_are_part_of_it() {
        let without = components().digest();
        let own = [("compose".to_owned(), Digest::of(b"own"))].into();
        let with = Components { verifiers: own, ..components() }.digest();
        assert_ne!(without, with);
    }

    #[test]
    fn settings_that_decide_nothing_change_nothing() {
        let config = shipped("small.toml");
        let mut other = config.clone();
        other.name = "other".to_owned();
        other.rounds += 1;
        other.tasks.dir = PathBuf::from("/elsewhere");
        other.rollout.tasks_per_wave += 1;
        other.rollout.invalid_share_max = gyre_round::Share::ALL;
        other.sandbox.workers += 1;
        other.canaries.per_round += 1;
        other.verifiers.allow_commands = true;
        other.model.episodes_max += 1;
        other.workers.tasks_per_piece += 1;
        other.database.url = Some("postgres://localhost/gyre".to_owned());
        assert_eq!(composed(&config), composed(&other));
        other.rollout.samples += 1;
        assert_ne!(composed(&config), composed(&other));
    }

    /// Whoever adds a setting decides whether it is part of the fingerprint: it is
    /// named in its component's identity, or here.
    #[test]
    fn every_setting_decides_results_or_is_known_not_to() {
        const DECIDE_NOTHING: &[&str] = &[
            "alarms",
            "canaries",
            "database",
            "name",
            "rollout.tasks_per_wave",
            "rounds",
            "sandbox",
            "tasks",
        ];
        let config = shipped("small.toml");
        let written = to_json("a configuration", &config).unwrap();
        let mut taken = settings(&config).unwrap();
        let neutral = ["name", "rounds", "tasks", "sandbox", "database"];
        taken.as_object_mut().unwrap().retain(|name, _| !neutral.contains(&name.as_str()));
        let (written, taken) = (paths(&written), paths(&taken));
        let is_known = |path: &String| {
            let below = |known: &&str| path == known || path.starts_with(&format!("{known}."));
            DECIDE_NOTHING.iter().any(below) || taken.contains(path)
        };
        let unknown: Vec<_> = written.iter().filter(|path| !is_known(path)).collect();
        assert_eq!(unknown, [""; 0], "name each in its component's identity, or here");
    }

    /// The paths of all settings; those in a list have no number.
    fn paths(settings: &Value) -> Vec<String> {
        let within = |name: &str, value: &Value| match paths(value) {
            below if below.is_empty() => vec![name.to_owned()],
            below => below.into_iter().map(|path| format!("{name}.{path}")).collect(),
        };
        match settings {
            Value::Object(settings) => {
                settings.iter().flat_map(|(name, value)| within(name, value)).collect()
            }
            Value::Array(items) => items.iter().flat_map(paths).collect(),
            _ => vec![],
        }
    }
}
