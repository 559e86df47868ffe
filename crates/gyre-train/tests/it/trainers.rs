//! Trainers, as they should be and as they are.

use std::fs;
use std::path::Path;

use gyre_train::{
    CheckpointKind, CheckpointLimits, CommandConfig, CommandTrainer, PASSED_ON,
    SERVER_PLACEHOLDERS, ServeConfig, TRAINER_PLACEHOLDERS, Trainer, inspect_checkpoint,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::Place;

fn none() -> Value {
    json!({})
}

#[tokio::test]
async fn a_trainer_that_does_its_work_is_believed() {
    let place = Place::new();
    let body = r#"
print("loading")
tell(step=1, steps=2, loss=1.5, tokens=64)
tell(step=2, steps=2, loss=0.5, tokens=128, learning_rate=0.1)
copy()
os.makedirs("notes/deep"); open("notes/deep/plan", "w").write("x")
json.dump({"arguments": arguments, "environment": sorted(os.environ)}, open(output + "/../told", "w"))
"#;
    let mut told = Vec::new();
    let cancel = CancellationToken::new();
    let report = place.train_with(body, none(), &mut |progress| told.push(progress), &cancel).await;
    let report = report.unwrap();
    let losses: Vec<_> = told.iter().map(|progress| (progress.step, progress.loss)).collect();
    assert_eq!(losses, [(1, Some(1.5)), (2, Some(0.5))]);
    assert_eq!((report.steps, report.tokens, report.loss_last), (Some(2), Some(128), Some(0.5)));
    assert_eq!(report.record["extra"], json!({ "learning_rate": 0.1 }));
    assert_eq!(report.record["checkpoint"]["digest"], json!(report.checkpoint.digest));
    assert_eq!(report.record["loss_last"], json!(0.5));
    assert_eq!(report.checkpoint.kind, CheckpointKind::Checkpoint);
    let paths: Vec<_> = report.checkpoint.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["config.json", "model.safetensors", "notes/deep/plan", "tokenizer.json"]);
    let limits = CheckpointLimits { files_max: 9, bytes_max: 9999 };
    let again = inspect_checkpoint(&place.path("output"), limits, None).unwrap();
    assert_eq!(again, report.checkpoint);
    // It worked in its output folder, and saw what it may see.
    let told: Value = serde_json::from_slice(&fs::read(place.path("told")).unwrap()).unwrap();
    let at = |name: &str| place.path(name).display().to_string();
    let expected = json!({
        "--parent": at("parent"), "--output": at("output"), "--dataset": at("dataset"),
        "--seed": "7", "--round": "3",
    });
    assert_eq!(told["arguments"], expected);
    let names = told["environment"].as_array().unwrap();
    assert!(names.contains(&json!("PATH")) && !names.contains(&json!("SECRET")), "{names:?}");
    let log = fs::read_to_string(place.path("train.log")).unwrap();
    assert!(log.starts_with("loading\n{\"step\": 1, "), "{log}");
}

#[tokio::test]
async fn a_variable_that_is_named_is_passed_on() {
    let place = Place::new();
    let body = "copy(); tell(step=1, secret=os.environ['SECRET'])";
    let report = place.train(body, json!({ "env": ["SECRET"] })).await.unwrap();
    assert_eq!(report.record["extra"], json!({ "secret": "s" }));
    assert_eq!(
        place.refused("copy()", json!({ "env": ["HF_TOKEN"] })).await,
        "[place]/output is not empty; a trainer gets a folder of its own"
    );
    let place = Place::new();
    assert_eq!(
        place.refused("copy()", json!({ "env": ["HF_TOKEN"] })).await,
        "HF_TOKEN is listed under env but is not set; set it, or \
         remove it from the list"
    );
}

#[tokio::test]
async fn no_checkpoint() {
    let expected = "[place]/output holds no checkpoint: leave config.json and model.safetensors \
                    (or shards and model.safetensors.index.json), or adapter_config.json and \
                    adapter_model.safetensors, directly in the folder that {output} names";
    assert_eq!(Place::new().refused("tell(step=1)", none()).await, expected);
    let beside = "shutil.copytree(parent, output + '/../beside')";
    assert_eq!(Place::new().refused(beside, none()).await, expected);
    let nested = "shutil.copytree(parent, output + '/checkpoint-50')";
    assert_eq!(Place::new().refused(nested, none()).await, expected);
}

#[tokio::test]
async fn what_is_left_cannot_be_trusted() {
    let weights = "output + '/model.safetensors'";
    for (damage, expected) in [
        (
            format!("os.truncate({weights}, os.path.getsize({weights}) - 3)"),
            "[place]/output/model.safetensors is truncated: its header describes 189 bytes and \
             it has 186",
        ),
        (
            format!("open({weights}, 'r+b').truncate(5)"),
            "[place]/output/model.safetensors is truncated: it has 5 bytes, less than a header",
        ),
        (
            format!(
                "file = open({weights}, 'r+b'); file.seek(-2, 2); file.write(b'\\xc0\\x7f'); \
                 file.close(); print('{{\"step\": 9, \"loss\": NaN}}')"
            ),
            "[place]/output/model.safetensors holds NaN in the tensor \"model.norm.weight\": \
             training diverged; lower the learning rate, or train in another precision",
        ),
        (
            "json.dump({'model': {'vocab': {'a': 0, 'b': 2, 'c': 1}}}, \
             open(output + '/tokenizer.json', 'w'))"
                .to_owned(),
            "[place]/output/tokenizer.json has another vocabulary than the parent's: what was \
             sampled would mean something else; save the parent's tokenizer",
        ),
        (
            "os.symlink('/etc/passwd', output + '/vocab.txt')".to_owned(),
            "[place]/output/vocab.txt is a link or a special file; leave regular files and \
             folders alone",
        ),
        (
            "shutil.move(output, output + '/../moved'); os.symlink('moved', output)".to_owned(),
            "[place]/output is a link; the trainer must leave the folder that it was given",
        ),
        (
            "os.mkfifo(output + '/pipe')".to_owned(),
            "[place]/output/pipe is a link or a special file; leave regular files and folders \
             alone",
        ),
        (
            "os.remove(output + '/tokenizer.json')".to_owned(),
            "[place]/output holds no tokenizer (tokenizer.json, tokenizer.model, vocab.json, \
             vocab.txt); save the parent's with the model",
        ),
        (
            "open(output + '/config.json', 'w').write('{\"model_type\": ')".to_owned(),
            "[place]/output/config.json is not JSON (EOF while parsing a value at line 1 column \
             15); the trainer wrote it wrongly or in part",
        ),
    ] {
        let body = format!("copy()\n{damage}\n");
        assert_eq!(Place::new().refused(&body, none()).await, expected, "{damage}");
    }
}

#[tokio::test]
async fn a_loss_that_is_no_number_is_shown() {
    let place = Place::new();
    let mut losses = Vec::new();
    let body = "print('{\"step\": 9, \"loss\": NaN}'); copy()";
    let cancel = CancellationToken::new();
    let report =
        place.train_with(body, none(), &mut |p| losses.push(p.loss), &cancel).await.unwrap();
    assert!(losses[0].unwrap().is_nan() && report.loss_last.unwrap().is_nan());
}

/// Also where it fails afterwards: a damaged champion is what must be known first.
#[tokio::test]
async fn a_trainer_that_changes_its_parent_is_refused() {
    for end in ["", "; sys.exit(1)"] {
        let place = Place::new();
        let body = format!("copy(); open(parent + '/config.json', 'a').write(' '){end}");
        let error = place.train(&body, none()).await.unwrap_err();
        assert_eq!(
            place.shown(&error),
            "the trainer changed config.json of the parent, which it may only read; restore it \
             and make the trainer write to {output} alone"
        );
    }
}

#[tokio::test]
async fn a_trainer_that_says_that_it_failed_is_not_asked_twice() {
    let place = Place::new();
    let body = "copy(); print('saved', file=sys.stderr); sys.exit('error: the disk is full')";
    assert_eq!(
        place.refused(body, none()).await,
        "the trainer ended with exit code 1; its last lines (more in [place]/train.log):\n  \
         saved\n  error: the disk is full"
    );
    let killed = "copy(); os.kill(os.getpid(), signal.SIGSEGV)";
    assert_eq!(
        Place::new().refused(killed, none()).await,
        "the trainer was killed by signal 11; it printed nothing ([place]/train.log)"
    );
    let killed = "os.kill(os.getpid(), signal.SIGKILL)";
    assert_eq!(
        Place::new().refused(killed, none()).await,
        "the trainer was killed by signal 9; the system may have been out of memory; it printed \
         nothing ([place]/train.log)"
    );
    assert_eq!(
        Place::new().refused("sys.exit(255)", none()).await,
        "the trainer ended with exit code 255; it printed nothing ([place]/train.log)"
    );
    let absent = json!({ "command": ["no-such-trainer"] });
    assert_eq!(
        Place::new().refused("", absent).await,
        "the trainer ended with exit code 127; its last lines (more in [place]/train.log):\n  \
         gyre: cannot start no-such-trainer: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn a_trainer_that_hangs_is_stopped() {
    let place = Place::new();
    let body = "copy(); print('hanging'); signal.pause()";
    assert_eq!(
        place.refused(body, json!({ "time_limit_seconds": 2 })).await,
        "the trainer was stopped after 2 s, its time limit; raise time_limit_seconds or train on \
         less; its last lines (more in [place]/train.log):\n  hanging"
    );
}

#[tokio::test]
async fn a_trainer_that_fills_the_disk_is_stopped() {
    let place = Place::new();
    let body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
                open(output + '/optimizer.pt', 'w').truncate(10 << 30)\n\
                while True: signal.pause()";
    let changes = json!({ "output_bytes_max": 1 << 20, "grace_seconds": 1_000 });
    assert_eq!(
        place.refused(body, changes).await,
        "the trainer was stopped because it wrote 10737418240 bytes to [place]/output; raise \
         output_bytes_max = 1048576 or keep fewer intermediate checkpoints"
    );
    // One that is done before it is measured is refused all the same.
    let place = Place::new();
    let body = "copy(); open(output + '/optimizer.pt', 'w').truncate(2 << 20)";
    let message = place.refused(body, json!({ "output_bytes_max": 1 << 20 })).await;
    assert!(message.contains("output_bytes_max = 1048576"), "{message}");
}

#[tokio::test]
async fn cancelling_asks_first_and_then_kills() {
    let polite = r#"
def end(*_):
    open(output + "/../asked", "w").close(); sys.exit(0)
signal.signal(signal.SIGTERM, end)
tell(step=1)
while True: signal.pause()
"#;
    let deaf =
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); tell(step=1)\nwhile True: signal.pause()";
    for (body, grace, was_asked) in [(polite, 60, true), (deaf, 1, false)] {
        let place = Place::new();
        let cancel = CancellationToken::new();
        let changes = json!({ "grace_seconds": grace });
        let trained = place.train_with(body, changes, &mut |_| cancel.cancel(), &cancel).await;
        assert_eq!(trained.unwrap_err().to_string(), "training was cancelled");
        assert_eq!(place.path("asked").exists(), was_asked);
    }
}

#[tokio::test]
async fn what_a_trainer_prints_is_bounded() {
    let place = Place::new();
    let body = r#"
for _ in range(1024): sys.stdout.buffer.write(b"x" * (1 << 20))
print()
for n in range(100000): print("line", n)
tell(step=5)
copy()
"#;
    let report = place.train(body, json!({ "log_bytes_max": 1 << 20 })).await.unwrap();
    assert_eq!(report.steps, Some(5));
    let log = fs::read_to_string(place.path("train.log")).unwrap();
    assert_eq!(log.trim_start_matches('x'), "\ngyre: the log ends here, at 1048576 bytes\n");
    assert_eq!(log.matches('x').count(), 1 << 20);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_log() {
    let place = Place::new();
    let body = r#"
sys.stdout.buffer.write(b'{"step": \xff}\n\xfe\x1b[1mred\r')
tell(step=4)
sys.exit(3)
"#;
    assert_eq!(
        place.refused(body, none()).await,
        "the trainer ended with exit code 3; its last lines (more in [place]/train.log):\n  \
         {\"step\": \u{fffd}}\n  \u{fffd} [1mred\n  {\"step\": 4}"
    );
}

/// The orphan left the group and the session, and holds the pipes.
#[tokio::test]
async fn nothing_that_a_trainer_started_outlives_it() {
    let place = Place::new();
    let body = r#"
orphan = subprocess.Popen(["sleep", "1000"], start_new_session=True)
copy(); tell(step=1, orphan=orphan.pid)
"#;
    let report = place.train(body, none()).await.unwrap();
    let orphan = &report.record["extra"]["orphan"];
    assert!(!Path::new(&format!("/proc/{orphan}")).exists(), "{orphan} is alive");
}

#[test]
fn a_configuration_that_cannot_work_is_refused_when_it_is_read() {
    let read = |config: &str| serde_json::from_str::<gyre_train::CommandConfig>(config);
    let refused = |config: &str| read(config).unwrap_err().to_string();
    assert_eq!(
        refused(r#"{"command": ["t", "{outptu}"]}"#),
        "the command's argument \"{outptu}\" names the unknown placeholder {outptu}; known are {dataset}, {parent}, \
         {output}, {round}, {seed}, {config}, {project} at line 1 column 30"
    );
    assert!(refused(r#"{"command": ["t"], "argv": []}"#).starts_with("unknown field `argv`"));
    assert!(
        refused(r#"{"command": ["t", "--from", "{parent}"]}"#).contains("write --from={parent}")
    );

    let place = Place::new();
    let new = |config: &str| CommandTrainer::new(read(config).unwrap(), place.host());
    assert_eq!(
        new(r#"{"command": ["t", "{config}"]}"#).unwrap_err().to_string(),
        "the trainer's configuration: the command names {config}, but `config` names no file"
    );
    let error = new(r#"{"command": ["t"], "config": "absent.yaml"}"#).unwrap_err();
    assert_eq!(place.shown(&error), "cannot read [place]/absent.yaml");
}

#[test]
fn another_command_or_configuration_is_another_trainer() {
    let place = Place::new();
    let identity = |config: &str| {
        let config = serde_json::from_str(config).unwrap();
        CommandTrainer::new(config, place.host()).unwrap().identity()
    };
    fs::write(place.path("c.yaml"), "lr: 1").unwrap();
    let with_file = r#"{"command": ["t", "{config}"], "config": "c.yaml"}"#;
    let first = identity(with_file);
    assert_eq!(
        identity(r#"{"command": ["t", "{config}"], "config": "c.yaml", "grace_seconds": 1}"#),
        first
    );
    fs::write(place.path("c.yaml"), "lr: 2").unwrap();
    assert_ne!(identity(with_file), first);
    assert_ne!(identity(r#"{"command": ["t"]}"#), identity(r#"{"command": ["u"]}"#));
}

/// People read the page, and programs the code.
#[test]
fn the_page_lists_what_the_code_knows() {
    let page = include_str!("../../../../docs/trainers.md");
    for name in PASSED_ON {
        assert!(page.contains(&format!("`{name}`")), "docs/trainers.md does not list {name}");
    }
    for name in TRAINER_PLACEHOLDERS.iter().chain(SERVER_PLACEHOLDERS) {
        assert!(page.contains(&format!("`{{{name}}}`")), "docs/trainers.md lacks {{{name}}}");
    }
    let schema = |schema: schemars::Schema| schema.as_value()["properties"].clone();
    let trainer = schema(schemars::schema_for!(CommandConfig));
    let server = schema(schemars::schema_for!(ServeConfig));
    for properties in [trainer, server] {
        for (key, _) in properties.as_object().unwrap() {
            assert!(page.contains(&format!("| `{key}` |")), "docs/trainers.md does not list {key}");
        }
    }
}
