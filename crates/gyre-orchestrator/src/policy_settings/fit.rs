//! What of model, trainer and start fits together.

use gyre_model::Dialect;
use gyre_train::UpdateConfig;

use super::{ModelKind, ModelSettings, StartSettings, TrainerSettings};

/// Says what of the three does not fit together.
pub(crate) fn check(
    model: &ModelSettings,
    trainer: &TrainerSettings,
    start: &StartSettings,
) -> Result<(), Misfit> {
    if !(1..=100_000).contains(&model.episodes_max) {
        return misfit("model.episodes_max", "must be from 1 to 100000");
    }
    check_start(start)?;
    match model.kind {
        ModelKind::Embedded => check_embedded(model, trainer, start),
        ModelKind::Openai => check_served(model, trainer, start),
    }
}

/// A key, and why its value does not fit.
pub(crate) type Misfit = (&'static str, String);

fn misfit(key: &'static str, why: &str) -> Result<(), Misfit> {
    Err((key, why.to_owned()))
}

fn check_start(start: &StartSettings) -> Result<(), Misfit> {
    match start {
        StartSettings { checkpoint: Some(_), model: Some(_) } => {
            misfit("start", "names a checkpoint and a model; keep the one to start from")
        }
        StartSettings { model: Some(name), .. } if name.trim().is_empty() => {
            misfit("start.model", "is empty; write the name that the server lists")
        }
        _ => Ok(()),
    }
}

fn check_embedded(
    model: &ModelSettings,
    trainer: &TrainerSettings,
    start: &StartSettings,
) -> Result<(), Misfit> {
    if model.serve.is_some() || model.update.is_some() {
        let why = "must be `openai` where `model.serve` or `model.update` is given";
        return misfit("model.kind", why);
    }
    if start.model.is_some() {
        return misfit(
            "start.model",
            "needs a server that has the model: `model.kind = \"openai\"`",
        );
    }
    if *trainer == TrainerSettings::None && start.checkpoint.is_none() {
        let why = "must name a checkpoint to begin with: `trainer.kind = \"none\"` trains nothing, \
                   and a cold start is a training";
        return misfit("start.checkpoint", why);
    }
    Ok(())
}

fn check_served(
    model: &ModelSettings,
    trainer: &TrainerSettings,
    start: &StartSettings,
) -> Result<(), Misfit> {
    if *trainer == TrainerSettings::Embedded {
        let why = "must be `command` or `none`: the embedded trainer trains the embedded model \
                   alone";
        return misfit("trainer.kind", why);
    }
    if start.is_default() {
        let why = "must name a checkpoint, or a model that the server has (`start.model`), to \
                   begin with: only the embedded model has a cold start";
        return misfit("start.checkpoint", why);
    }
    if let Some(update) = &model.update {
        check_update(update, model, start)?;
    }
    if *trainer != TrainerSettings::None || start.checkpoint.is_some() {
        check_loads(model)?;
    }
    match (&start.model, &model.server.model) {
        (Some(start), Some(server)) if start != server => {
            misfit("model.server.model", "names another model than `start.model`; leave it out")
        }
        _ => Ok(()),
    }
}

/// Whether there is a way for a checkpoint to act.
pub(crate) fn check_loads(model: &ModelSettings) -> Result<(), Misfit> {
    let is_served = model.serve.is_some() || model.update.is_some();
    if model.kind == ModelKind::Embedded || is_served {
        return Ok(());
    }
    let why = "must give a program that serves each new checkpoint, with {checkpoint} and {port}; \
               or let `model.update` say how a running server gets one";
    misfit("model.serve", why)
}

fn check_update(
    update: &UpdateConfig,
    model: &ModelSettings,
    start: &StartSettings,
) -> Result<(), Misfit> {
    if model.serve.is_some() {
        let why = "must not stand beside `model.serve`, which starts a server for each checkpoint; \
                   keep one of them";
        return misfit("model.update", why);
    }
    update.check().map_err(|error| ("model.update", format!("cannot be used: {error}")))?;
    let (dialect, name) = match update {
        UpdateConfig::Hook(_) => return Ok(()),
        UpdateConfig::VllmLora => (Dialect::Vllm, "vllm"),
        UpdateConfig::SglangLora => (Dialect::SgLang, "sglang"),
    };
    if model.server.dialect != dialect {
        let why = format!("must be `{name}`, whose adapters `model.update` loads");
        return Err(("model.server.dialect", why));
    }
    if start.model.is_none() {
        let why = "must name the base that the server has: `model.update` loads adapters beside it";
        return misfit("start.model", why);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::RunConfig;

    const QUICKSTART: &str = include_str!("../../../../configs/quickstart.toml");

    fn config(sections: &str) -> Result<RunConfig, String> {
        let text = format!("{QUICKSTART}\n{sections}");
        RunConfig::parse(&text, Path::new("test.toml")).map_err(|error| error.to_string())
    }

    fn semantic(config: &RunConfig) -> serde_json::Value {
        crate::identity::settings(config).unwrap()
    }

    const TRAINER: &str = "[trainer]\nkind = \"command\"\ncommand = [\"train\"]\n";
    const SERVE: &str = "[model.serve]\ncommand = [\"serve\", \"{port}\"]\n";
    const OPENAI: &str = "[model]\nkind = \"openai\"\n";
    const LORA: &str = "[model.update]\nkind = \"vllm_lora\"\n";
    const VLLM: &str = "[model.server]\ndialect = \"vllm\"\n";
    const NAMED: &str = "[start]\nmodel = \"Qwen/Qwen3-4B\"\n";
    const FOLDER: &str = "[start]\ncheckpoint = \"models/small\"\n";
    const NOBODY: &str = "[trainer]\nkind = \"none\"\n";

    #[test]
    fn runs_that_can_be_made() {
        for sections in [
            vec![],
            vec![FOLDER],
            vec![FOLDER, TRAINER],
            vec![FOLDER, NOBODY],
            vec![OPENAI, SERVE, FOLDER, TRAINER],
            vec![OPENAI, SERVE, FOLDER, NOBODY],
            vec![OPENAI, SERVE, NAMED, TRAINER],
            vec![OPENAI, NAMED, NOBODY],
            vec![OPENAI, VLLM, LORA, NAMED, TRAINER],
        ] {
            config(&sections.concat()).unwrap_or_else(|error| panic!("{sections:?}: {error}"));
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told_by_its_key() {
        for (sections, key) in [
            (vec![NOBODY], "start.checkpoint"),
            (vec![NAMED], "start.model"),
            (vec![SERVE, FOLDER], "model.kind"),
            (vec![LORA, FOLDER], "model.kind"),
            (vec![OPENAI, FOLDER, SERVE], "trainer.kind"),
            (vec![OPENAI, SERVE, TRAINER], "start.checkpoint"),
            (vec![OPENAI, FOLDER, TRAINER], "model.serve"),
            (vec![OPENAI, FOLDER, NOBODY], "model.serve"),
            (vec![OPENAI, NAMED, TRAINER], "model.serve"),
            (vec![OPENAI, SERVE, VLLM, LORA, NAMED, TRAINER], "model.update"),
            (vec![OPENAI, LORA, NAMED, TRAINER], "model.server.dialect"),
            (vec![OPENAI, VLLM, LORA, FOLDER, TRAINER], "start.model"),
            (vec![OPENAI, "[start]\nmodel = \" \"\n", NOBODY], "start.model"),
            (vec![OPENAI, NAMED, "checkpoint = \"x\"\n", NOBODY], "start"),
            (
                vec![OPENAI, "[model.server]\nmodel = \"other\"\n", NAMED, NOBODY],
                "model.server.model",
            ),
        ] {
            let error = config(&sections.concat()).unwrap_err();
            assert!(error.contains(&format!("`{key}` ")), "{sections:?}: {error}");
        }
    }

    /// A run is resumed and scheduled by its fingerprint: what there was not before
    /// must not change it.
    #[test]
    fn what_is_not_said_adds_nothing_to_what_decides_results() {
        let of = |sections: &[&str]| semantic(&config(&sections.concat()).unwrap());
        let quickstart = of(&[]);
        for key in ["model", "trainer", "start"] {
            assert_eq!(quickstart.get(key), None, "{key}");
        }
        let served = of(&[OPENAI, SERVE, FOLDER, TRAINER]);
        assert_eq!(served["start"], serde_json::json!({ "checkpoint": "models/small" }));
        let keys: Vec<_> = served["model"].as_object().unwrap().keys().collect();
        let before = [
            "acting",
            "calls_max",
            "dialect",
            "extra",
            "kind",
            "model",
            "sampling",
            "served",
            "top_k",
        ];
        assert_eq!(keys, before);
        let named = of(&[OPENAI, VLLM, LORA, NAMED, TRAINER]);
        assert_eq!(named["start"], serde_json::json!({ "model": "Qwen/Qwen3-4B" }));
        assert_eq!(named["model"]["updated"], "adapters");
        assert_eq!(of(&[FOLDER, NOBODY])["trainer"], serde_json::json!({ "kind": "none" }));
    }

    #[test]
    fn nothing_is_demanded_that_nothing_is_done_with() {
        let read = |text: &str, sections: &[&str]| {
            let text = format!("{text}\n{}", sections.concat());
            let read = RunConfig::parse(&text, Path::new("test.toml"));
            read.map(drop).map_err(|error| error.to_string())
        };
        let unmeasured =
            QUICKSTART.replace("gate = 800", "gate = 0").replace("test = 600", "test = 0");
        let error = read(&unmeasured, &[FOLDER]).unwrap_err();
        assert!(error.contains("`held_out.gate` is 0, not between 1 and"), "{error}");
        assert_eq!(read(&unmeasured, &[FOLDER, NOBODY]), Ok(()));

        let undemonstrated = QUICKSTART.replace("{ 1 = 400, 2 = 500, 3 = 100 }", "{ 1 = 0 }");
        let error = read(&undemonstrated, &[]).unwrap_err();
        assert!(error.contains("`cold_start.demonstrations` asks for none"), "{error}");
        assert_eq!(read(&undemonstrated, &[FOLDER]), Ok(()));
    }
}
