//! A command that runs after a promotion.

use std::fs;

use gyre_train::{HookError, HookValues, PromotionHookConfig};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::Place;

/// Writes a hook that runs `body`, and gives its configuration with changes.
fn hook(place: &Place, body: &str, changes: Value) -> PromotionHookConfig {
    place.write_program("hook.py", body);
    let command = [
        "python3",
        "{project}/hook.py",
        "--run={run}",
        "--round={round}",
        "--checkpoint={checkpoint}",
        "--champion={champion}",
        "--dataset={dataset}",
    ];
    let mut config = json!({ "command": command });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

async fn run(
    place: &Place,
    hook: &PromotionHookConfig,
    cancel: &CancellationToken,
) -> Result<(), HookError> {
    let (document, log) = (place.path("document.json"), place.path("hook.log"));
    fs::write(&document, "{\"run\":\"small-1\"}").unwrap();
    let values = HookValues {
        run: "small-1",
        round: 3,
        checkpoint: Some(&place.path("parent")),
        champion: None,
        dataset: &place.path("dataset"),
    };
    hook.run(&place.host(), &values, (&document, &log), cancel).await
}

#[tokio::test]
async fn a_hook_reads_the_document_and_sees_nothing_else_of_ours() {
    let place = Place::new();
    let body = r#"
document = json.load(sys.stdin)
seen = {"document": document, "arguments": arguments, "secret": os.environ.get("SECRET")}
json.dump(seen, open("seen.json", "w"))
"#;
    run(&place, &hook(&place, body, json!({})), &CancellationToken::new()).await.unwrap();
    let seen: Value =
        serde_json::from_str(&fs::read_to_string(place.path("seen.json")).unwrap()).unwrap();
    let expected = json!({
        "document": { "run": "small-1" },
        "arguments": {
            "--run": "small-1", "--round": "3",
            "--checkpoint": place.path("parent"), "--dataset": place.path("dataset"),
        },
        "secret": null,
    });
    assert_eq!(seen, expected, "what has no value is left out");
}

#[tokio::test]
async fn a_hook_that_fails_or_hangs_is_told_of() {
    let place = Place::new();
    let cancel = CancellationToken::new();
    let refuses = hook(&place, "sys.exit('the registry is down')", json!({}));
    let error = run(&place, &refuses, &cancel).await.unwrap_err();
    assert_eq!(
        place.shown(&error),
        "the promotion hook ended with exit code 1; its last lines (more in [place]/hook.log):\n  \
         the registry is down"
    );
    let hangs = hook(&place, "signal.pause()", json!({ "time_limit_seconds": 1 }));
    let error = run(&place, &hangs, &cancel).await.unwrap_err();
    assert_eq!(
        place.shown(&error),
        "the promotion hook was stopped after 1 s, its time limit; it printed nothing \
         ([place]/hook.log)"
    );
    let missing = json!({ "command": ["./no-such-program"] });
    let missing: PromotionHookConfig = serde_json::from_value(missing).unwrap();
    let error = run(&place, &missing, &cancel).await.unwrap_err().to_string();
    assert!(error.contains("ended with exit code 127"), "{error}");
    cancel.cancel();
    let cancelled = run(&place, &hook(&place, "signal.pause()", json!({})), &cancel).await;
    assert!(matches!(cancelled, Err(HookError::Cancelled)), "{cancelled:?}");
}

#[test]
fn a_hook_that_cannot_be_filled_is_refused() {
    let refused = |command: Value| {
        let hook = serde_json::from_value::<PromotionHookConfig>(json!({ "command": command }));
        hook.unwrap_err().to_string()
    };
    assert!(refused(json!([])).starts_with("the command is empty"));
    assert_eq!(
        refused(json!(["deploy", "{output}"])),
        "the command's argument \"{output}\" names the unknown placeholder {output}; known are \
         {run}, {round}, {checkpoint}, {champion}, {dataset}, {project}"
    );
}
