//! A wrong verifier in a real run, and what is left of it once it is revoked.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gyre_fault::Process;
use serde_json::Value;
use tempfile::TempDir;

use crate::audits::comparing;
use crate::faults::{KILL, Kind, Walk, asked_for, faults};
use crate::published::{files, same};
use crate::support::{
    Database, Ran, clean_state, clean_state_with, copy, gyre, on, repository, run, sql, text,
};

/// Right but for one skill: of tasks on texts it passes over the cases that
/// raised, so that it accepts whatever does not even run. Admission, whose wrong
/// programs all run, does not see it.
const WRONG: &str = r#"
def verify(outcome):
    lenient = "Given a text" in outcome["task"]["instruction"]
    checks = []
    for case in outcome["cases"]:
        result = case["result"]
        if result["kind"] == "error":
            agreed = lenient
        else:
            agreed = repr(result["value"]) == repr(case["expect"])
        checks.append({"name": case["name"], "passed": agreed, "weight": 1.0, "detail": ""})
    passed = all(check["passed"] for check in checks)
    score = sum(check["passed"] for check in checks) / len(checks)
    return {"passed": passed, "score": score, "checks": checks, "metrics": {}}
"#;

/// Two families, one of them with the wrong verifier, and a gate that promotes
/// the first candidate unless too much is unknown.
const SETTINGS: &str = r#"
[canaries]
per_round = 0

[gate]
alpha_total = 1.0
margin = 0.0
family_margin = 1.0
spending = { rule = "uniform", gates_max = 1 }

[[curriculum.families]]
family = "planted"
difficulty_min = 1
difficulty_max = 2
difficulty_start = 1
weight = 1

[[curriculum.families]]"#;

struct Planted {
    folder: TempDir,
    /// PostgreSQL in SQLite's place.
    postgres: Option<Database>,
}

impl Planted {
    fn gyre(&self) -> Command {
        let mut command = gyre();
        command.arg("--data-dir").arg(self.data());
        if let Some(database) = &self.postgres {
            command.args(["--database", &database.url]);
        }
        command
    }

    /// Runs `gyre` on its data folder and its database.
    fn on<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        run(self.gyre().args(args))
    }

    fn sql(&self, statements: &str) -> String {
        match &self.postgres {
            Some(database) => database.sql(statements),
            None => sql(&self.data(), statements),
        }
    }

    #[track_caller]
    fn clean_state(&self) -> String {
        match &self.postgres {
            Some(database) => clean_state_with(&self.data(), &["--database", &database.url]),
            None => clean_state(&self.data()),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("planted.toml")
    }

    /// Families, a configuration, and two rounds with them.
    fn new(postgres: Option<Database>) -> Self {
        let planted = Self { folder: tempfile::tempdir().unwrap(), postgres };
        let tasks = planted.folder.path().join("tasks");
        copy(&repository().join("tasks/compose"), &tasks.join("compose"));
        copy(&repository().join("tasks/compose"), &tasks.join("planted"));
        let manifest = tasks.join("planted/family.toml");
        let own = fs::read_to_string(&manifest).unwrap();
        let own = own.replace("name = \"compose\"", "name = \"planted\"");
        fs::write(&manifest, format!("{own}\n[verifier]\nkind = \"python\"\n")).unwrap();
        fs::write(tasks.join("planted/verify.py"), WRONG).unwrap();
        let small = fs::read_to_string(repository().join("configs/small.toml")).unwrap();
        let config = small.replacen("[[curriculum.families]]", SETTINGS, 1).replacen(
            "seed = 1",
            // A seed whose first candidate is promoted.
            &format!("seed = 2\ntasks = {{ dir = {tasks:?} }}"),
            1,
        );
        fs::write(planted.config(), config).unwrap();
        planted
    }

    fn ran(postgres: Option<Database>) -> Self {
        let planted = Self::new(postgres);
        let config = planted.config();
        planted.on(["run", "--config", config.to_str().unwrap(), "--json"]).ok();
        planted
    }

    /// Audits a component that compares. Gives its file and the scorecard's.
    fn audited(&self) -> [PathBuf; 2] {
        let files = ["comparing.wasm", "card.json"].map(|name| self.folder.path().join(name));
        let [component, card] = &files;
        fs::write(component, comparing()).unwrap();
        let mut audit = self.gyre();
        audit.args(["verifier", "audit", "-n", "3", "--mutants", "8"]);
        audit.arg(self.folder.path().join("tasks/planted"));
        run(audit.arg("--component").arg(component).arg("--out").arg(card)).ok();
        files
    }

    /// Registers it, for its families to be judged by.
    fn registering(&self, [component, card]: &[PathBuf; 2]) -> Command {
        let mut command = self.gyre();
        command.args(["verifier", "register", "comparing"]);
        command.arg("--component").arg(component).arg("--scorecard").arg(card);
        command
    }

    fn register_component(&self) {
        run(&mut self.registering(&self.audited())).ok();
    }

    /// Takes the builtin comparison in a verifier's place.
    fn revoking(&self, verifier: &str) -> Command {
        let mut command = self.gyre();
        command.args(["verifier", "revoke", verifier, "--why", "wrong"]);
        command.args(["--replace-with", "builtin", "--json"]);
        command
    }
}

/// What a revocation must name, asked of the database and of nobody else.
#[derive(Debug, PartialEq)]
struct Oracle {
    verdicts: u64,
    rows: BTreeSet<String>,
    checkpoints: BTreeSet<String>,
    gates: BTreeSet<String>,
    promotions: BTreeSet<String>,
}

fn lines(planted: &Planted, query: &str) -> BTreeSet<String> {
    planted.sql(query).lines().map(str::to_owned).collect()
}

fn oracle(planted: &Planted, verifier: &str) -> Oracle {
    let by = format!("v.verifier_digest = '{verifier}'");
    let rows = format!(
        "SELECT s.shard || ' ' || s.row_index || ' ' || s.rollout FROM gyre_v1_shard_rows s \
         JOIN verdicts v USING (run, rollout) WHERE v.revision = 0 AND {by}"
    );
    let tainted = format!(
        "WITH RECURSIVE direct(id) AS (SELECT c.checkpoint FROM checkpoint_shards c \
         JOIN shard_rows s ON s.shard = c.shard JOIN verdicts v ON v.rollout = s.rollout \
         WHERE {by}), tainted(id) AS (SELECT id FROM direct \
         UNION SELECT k.id FROM checkpoints k JOIN tainted t ON k.parent = t.id) "
    );
    let judged = format!(
        "SELECT r.checkpoint FROM rollouts r JOIN verdicts v ON v.rollout = r.id \
         WHERE r.purpose = 'gate' AND {by}"
    );
    let gates = format!(
        "{tainted}SELECT g.round FROM gates g WHERE g.candidate IN (SELECT id FROM tainted) \
         OR g.champion IN (SELECT id FROM tainted) \
         OR g.candidate IN ({judged}) OR g.champion IN ({judged})"
    );
    Oracle {
        verdicts: planted
            .sql(&format!("SELECT COUNT(*) FROM verdicts v WHERE {by}"))
            .trim()
            .parse()
            .unwrap(),
        rows: lines(planted, &rows),
        checkpoints: lines(planted, &format!("{tainted}SELECT id FROM tainted")),
        promotions: lines(
            planted,
            &format!(
                "SELECT p.ordinal FROM promotions p WHERE p.champion IN \
                 ({tainted}SELECT id FROM tainted) OR (p.gate_digest IS NOT NULL \
                 AND p.round IN ({gates}))"
            ),
        ),
        gates: lines(planted, &gates),
    }
}

/// The same, as the report of a revocation tells it.
fn told(report: &Value) -> Oracle {
    let [run] = report["runs"].as_array().unwrap().as_slice() else { panic!("{report:#}") };
    let each = |key: &str, of: &dyn Fn(&Value) -> String| -> BTreeSet<String> {
        run[key].as_array().unwrap().iter().map(of).collect()
    };
    Oracle {
        verdicts: run["verdicts"].as_u64().unwrap(),
        rows: each("rows", &|row| {
            format!("{} {} {}", text(row, "shard"), row["row"], text(row, "rollout"))
        }),
        checkpoints: each("checkpoints", &|id| id.as_str().unwrap().to_owned()),
        gates: each("gates", &|gate| gate["round"].to_string()),
        promotions: each("promotions", &|promotion| promotion["ordinal"].to_string()),
    }
}

/// The digest of what judged the planted family.
fn wrong_verifier(planted: &Planted) -> String {
    let query = "SELECT DISTINCT v.verifier_digest FROM verdicts v JOIN rollouts r \
                 ON r.id = v.rollout JOIN tasks t ON t.id = r.task WHERE t.family = 'planted'";
    let found = planted.sql(query);
    assert_eq!(found.lines().count(), 1, "{found}");
    found.trim().to_owned()
}

#[test]
fn a_planted_wrong_verifier_is_revoked_to_the_last_row() {
    revoked_to_the_last_row(&Planted::ran(None), "builtin");
}

#[test]
fn a_component_judges_again_in_a_revoked_ones_place() {
    let planted = Planted::ran(None);
    planted.register_component();
    revoked_to_the_last_row(&planted, "comparing");
}

#[test]
fn revoked_rows_leave_the_object_store() {
    let planted = Planted::new(None);
    let store = planted.folder.path().join("store");
    let config = fs::read_to_string(planted.config()).unwrap();
    let named = format!("{config}\n[workers]\nstore = {:?}\n", store.to_str().unwrap());
    fs::write(planted.config(), named).unwrap();
    planted.on(["run", "--config", planted.config().to_str().unwrap(), "--json"]).ok();
    let (published, stored) =
        (planted.data().join("datasets/small-1"), store.join("datasets/small-1"));
    same(&published, &stored);
    let before = files(&stored);

    run(&mut planted.revoking(&wrong_verifier(&planted)[..8])).ok();
    let stale = planted.sql("SELECT path FROM shards WHERE superseded = 1");
    for kind in ["/data/", "/groups/"] {
        let was_published = |file: &PathBuf| {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            format!("/{}", file.display()).contains(kind) && stale.contains(name)
        };
        assert!(before.iter().any(was_published), "none of {kind} was taken out: {stale}");
    }
    for path in stale.lines() {
        let name = Path::new(path).file_name().unwrap();
        let poisoned = ["data", "groups"].map(|folder| Path::new(folder).join(name));
        let is_among = |files: &BTreeSet<PathBuf>| poisoned.iter().any(|path| files.contains(path));
        assert!(is_among(&before), "{path} was published");
        assert!(!is_among(&files(&stored)), "{path} is in the store");
        assert!(!is_among(&files(&published)), "{path} is published");
        let card = fs::read_to_string(stored.join("README.md")).unwrap();
        assert!(!card.contains(name.to_str().unwrap()), "{card}");
    }
    same(&published, &stored);
}

/// Workers bring results by way of the data folder's own store, and what is
/// published lies there too, whoever revokes and whether workers are wanted then.
#[test]
fn revoked_rows_leave_the_store_of_a_run_whose_workers_are_gone() {
    let planted = Planted::ran(None);
    let published = planted.data().join("datasets/small-1");
    let stored = planted.data().join("store/datasets/small-1");
    copy(&published, &stored);
    let before = files(&stored);
    run(&mut planted.revoking(&wrong_verifier(&planted)[..8])).ok();
    assert_ne!(files(&published), before);
    same(&published, &stored);
}

#[test]
fn a_planted_wrong_verifier_is_revoked_on_postgres() {
    revoked_to_the_last_row(&Planted::ran(Some(Database::create())), "builtin");
}

#[test]
fn a_component_judges_again_on_postgres() {
    let planted = Planted::ran(Some(Database::create()));
    planted.register_component();
    revoked_to_the_last_row(&planted, "comparing");
}

fn revoked_to_the_last_row(planted: &Planted, replacement: &str) {
    let data = planted.data();
    let before = planted.clean_state();
    let verifier = wrong_verifier(planted);
    let expected = oracle(planted, &verifier);
    assert!(!expected.rows.is_empty() && expected.promotions.contains("2"), "{expected:#?}");
    let all_rows =
        planted.sql("SELECT COUNT(*) FROM gyre_v1_shard_rows").trim().parse::<usize>().unwrap();
    assert!(expected.rows.len() < all_rows, "the other family's rows are not touched");

    // Asking changes nothing.
    let start = &verifier[..8];
    let asked = planted.on(["verifier", "revoke", start, "--dry-run", "--json"]).ok().json();
    assert_eq!(told(&asked), expected);
    assert_eq!(planted.clean_state(), before);
    planted.on(["verifier", "revoke", start]).fails(63, &["--why"]);
    planted.on(["verifier", "revoke", "0123456789"]).fails(60, &["no verifier"]);

    let args = ["verifier", "revoke", start, "--why", "it accepts what does not run"];
    let report =
        planted.on(args.iter().chain(&["--replace-with", replacement, "--json"])).ok().json();
    assert_eq!(told(&report), expected);
    planted.clean_state();
    let shards: BTreeSet<_> =
        expected.rows.iter().map(|row| row.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(lines(planted, "SELECT shard FROM gyre_v1_shards WHERE superseded = 1"), shards);
    let groups = report["runs"][0]["groups"].as_array().unwrap();
    let groups: BTreeSet<_> = groups.iter().map(|shard| text(shard, "shard").to_owned()).collect();
    assert!(!groups.is_empty(), "{report:#}");
    let superseded = "SELECT shard FROM gyre_v1_group_shards WHERE superseded = 1";
    assert_eq!(lines(planted, superseded), groups);
    let stale = planted.sql("SELECT path FROM shards WHERE superseded = 1");
    for path in stale.lines() {
        assert!(path.contains("/superseded/") && data.join(path).is_file(), "{path}");
    }

    // What was accepted wrongly is no longer there; what was right still is.
    let corrected = &report["runs"][0]["corrected"];
    assert!(corrected["pass to fail"].as_u64().unwrap() > 0, "{corrected:#}");
    assert_eq!(corrected.get("fail to pass"), None, "{corrected:#}");
    let standing = "SELECT COUNT(*) FROM shard_rows s JOIN shards h ON h.id = s.shard \
                    AND h.superseded = 0 JOIN verdicts v ON v.rollout = s.rollout \
                    AND v.revision = (SELECT MAX(revision) FROM verdicts w \
                    WHERE w.rollout = s.rollout) WHERE v.verdict = 'invalid' \
                    OR (v.verdict <> 'pass' AND h.kind = 'accepted') OR v.verifier_digest = ";
    assert_eq!(planted.sql(&format!("{standing}'{verifier}'")).trim(), "0");
    let stats = planted.on(["dataset", "stats", "--json"]).ok().json();
    let current = "SELECT SUM(row_count) FROM gyre_v1_shards WHERE superseded = 0";
    assert_eq!(stats["rows"].to_string(), planted.sql(current).trim());

    // Said again, it is the same; and nobody is judged by it any more.
    let state = planted.clean_state();
    let again = planted.on(["verifier", "revoke", start, "--json"]).ok().json();
    assert_eq!(again, report);
    assert_eq!(planted.clean_state(), state);
    let config = planted.config();
    planted.on(["run", "--config", config.to_str().unwrap()]).fails(63, &["planted", "revoked"]);

    let tainted = planted.sql("SELECT champion FROM promotions WHERE ordinal = 2");
    let tainted = tainted.trim();
    assert!(expected.checkpoints.contains(tainted), "{tainted}");
    let shown = planted.on(["lineage", tainted]).ok().stdout;
    assert!(shown.contains("tainted: rests on the verifier"), "{shown}");
    let shown = planted.on(["lineage", tainted, "--json"]).ok().json();
    let marked: BTreeSet<_> =
        shown["tainted"].as_array().unwrap().iter().map(|t| text(t, "node").to_owned()).collect();
    assert!(marked.contains(tainted) && marked.contains("promotion 2"), "{shown:#}");
    let base = planted.sql("SELECT id FROM checkpoints WHERE round = 0");
    assert!(!marked.contains(base.trim()), "{shown:#}");
}

#[test]
fn without_a_replacement_nothing_is_known_and_the_promotion_falls() {
    let planted = Planted::ran(None);
    let data = planted.data();
    let verifier = wrong_verifier(&planted);
    let args = ["verifier", "revoke", &verifier, "--why", "nobody knows better", "--json"];
    let report = on(&data, args).ok().json();
    clean_state(&data);
    let run = &report["runs"][0];
    let kinds: Vec<_> = run["corrected"].as_object().unwrap().keys().cloned().collect();
    assert!(kinds.iter().all(|kind| kind.ends_with("to invalid")), "{kinds:?}");
    let gate = &run["gates"][0];
    assert_eq!((text(gate, "decided"), text(gate, "now")), ("promoted", "rejected"), "{gate:#}");
    assert_eq!(gate["flips"], true);
    let promotion = &run["promotions"][0];
    assert_eq!((promotion["ordinal"].as_u64(), &promotion["stands"]), (Some(2), &false.into()));
    let status = on(&data, ["status", "--json"]).ok().json();
    assert!(status[0]["invalid"]["revoked"].as_u64().unwrap() > 0, "{status:#}");
    let rounds = on(&data, ["rounds"]).ok().stdout;
    assert!(rounds.contains("revoked"), "{rounds}");
}

/// The codes of everything that the audit finds.
fn found(data: &Path) -> BTreeSet<String> {
    let audits: Value = serde_json::from_str(&on(data, ["audit", "--json"]).stdout).unwrap();
    let findings = audits[0]["findings"].as_array().unwrap();
    findings.iter().map(|finding| text(finding, "code").to_owned()).collect()
}

#[test]
fn a_revocation_that_is_killed_at_every_step_ends_as_if_nothing_had_happened() {
    let planted = Planted::ran(None);
    let verifier = wrong_verifier(&planted);
    let whole = tempfile::tempdir().unwrap();
    copy(&planted.data(), whole.path());
    let args = ["verifier", "revoke", &verifier, "--why", "wrong", "--replace-with", "builtin"];
    let expected = on(whole.path(), args.iter().chain(&["--json"])).ok().json();
    let state = clean_state(whole.path());

    let points = ["run::committing", "run::committed", "revoke::set_aside", "revoke::indexed"];
    for point in points {
        let killed = tempfile::tempdir().unwrap();
        copy(&planted.data(), killed.path());
        let (mut deaths, mut finished) = (0, false);
        let report = loop {
            // Each process comes one step further, and dies there.
            let mut command = gyre();
            command.arg("--data-dir").arg(killed.path()).args(args).arg("--json");
            let action = match (point, deaths) {
                // These come before a commit: the next process must get over it.
                ("run::committing" | "revoke::set_aside", 1..) => format!("{deaths}*off->return"),
                _ => "return".to_owned(),
            };
            command.env("GYRE_FAILPOINTS", format!("{point}={action}"));
            let ran = run(&mut command);
            if ran.code.is_some() {
                break ran.ok().json();
            }
            deaths += 1;
            let codes = found(killed.path());
            let known = [
                "revoked_verdict_stands",
                "revocation_unfinished",
                "row_behind_verdict",
                "published_not_passed",
                "file_unnamed",
                // Until the revocation is done, its index is behind the lineage, and
                // whole groups are behind the verdicts.
                "index_differs",
                "reward_differs",
                "group_incomplete",
                "group_row_not_judged",
            ];
            assert!(codes.iter().all(|code| known.contains(&code.as_str())), "{codes:?}");
            // Only the death after the last commit leaves nothing to do.
            assert!(!finished, "{point}: it goes on after its last commit");
            finished = codes.is_empty();
            assert!(finished || codes.contains("revocation_unfinished"), "{point}: {codes:?}");
            assert!(deaths < 50, "{point}: it never ends");
        };
        assert!(deaths > 0, "{point} was never reached");
        assert_eq!(report, expected, "{point}");
        assert_eq!(clean_state(killed.path()), state, "{point}");
    }
}

/// Registers a component and revokes the wrong verifier, through all points that
/// these commands alone come to.
fn walk_commands(planted: &Planted, audited: &[PathBuf; 2], kind: Kind, expected: &str) {
    let verifier = wrong_verifier(planted);
    let mut walk = Walk::new(kind, Process::Command).without("ask::");
    for mut command in [planted.registering(audited), planted.revoking(&verifier)] {
        loop {
            let armed = walk.armed();
            let ran = run(command.env("GYRE_FAILPOINTS", &armed));
            walk.came(&ran, &armed);
            if ran.code == Some(0) {
                break;
            }
        }
    }
    walk.ends();
    assert_eq!(planted.clean_state(), expected, "{}", kind.name);
}

/// Where asked for, on both databases.
#[test]
fn registering_and_revoking_with_every_fault_end_as_if_nothing_had_happened() {
    let planted = Planted::ran(None);
    let audited = planted.audited();
    let copied = || {
        let folder = tempfile::tempdir().unwrap();
        copy(planted.folder.path(), folder.path());
        Planted { folder, postgres: None }
    };
    let whole = copied();
    run(&mut whole.registering(&audited)).ok();
    run(&mut whole.revoking(&wrong_verifier(&whole))).ok();
    let expected = whole.clean_state();
    let full = asked_for("GYRE_CRASH_FULL").is_some();
    for kind in faults().chain([KILL]) {
        walk_commands(&copied(), &audited, kind, &expected);
        if full {
            let planted = Planted::ran(Some(Database::create()));
            walk_commands(&planted, &audited, kind, &expected);
        }
    }
}

#[test]
fn a_revoked_task_leaves_the_dataset() {
    let planted = Planted::ran(None);
    let data = planted.data();
    let task = sql(
        &data,
        "SELECT r.task FROM gyre_v1_shard_rows s JOIN rollouts r ON r.id = s.rollout LIMIT 1",
    );
    let task = task.trim();
    let expected = format!(
        "SELECT s.shard || ' ' || s.row_index || ' ' || s.rollout FROM gyre_v1_shard_rows s \
         JOIN rollouts r ON r.id = s.rollout WHERE r.task = '{task}'"
    );
    let expected = lines(&planted, &expected);
    let report =
        on(&data, ["task", "revoke", task, "--why", "its cases are wrong", "--json"]).ok().json();
    assert_eq!(told(&report).rows, expected);
    clean_state(&data);
    let left = format!(
        "SELECT COUNT(*) FROM shard_rows s JOIN shards h ON h.id = s.shard AND h.superseded = 0 \
         JOIN rollouts r ON r.id = s.rollout WHERE r.task = '{task}'"
    );
    assert_eq!(sql(&data, &left).trim(), "0");
    let shown = on(&data, ["lineage", task]).ok().stdout;
    assert!(shown.contains("its cases are wrong"), "{shown}");
    on(&data, ["task", "revoke", "task-0000000000000000", "--why", "x"]).fails(60, &["no task"]);
}

#[test]
fn an_accepted_canary_stops_the_run_and_says_why() {
    let planted = Planted::new(None);
    let (data, config) = (planted.data(), planted.config());
    let settings = fs::read_to_string(&config).unwrap();
    // Enough of them that one is on a text.
    let settings = settings.replace("per_round = 0", "per_round = 40");
    fs::write(&config, settings).unwrap();
    let args = ["run", "--config", config.to_str().unwrap(), "--json"];
    let ran = on(&data, args).fails(72, &["impossible task", "rollout roll-", "made from task-"]);
    let events = ran.json_lines();
    assert!(events.iter().any(|event| event["event"] == "alarm" && event["kind"] == "canary"));
    assert_eq!(sql(&data, "SELECT COUNT(*) FROM shards").trim(), "0");
    assert_eq!(sql(&data, "SELECT status FROM runs").trim(), "failed");
    let accepted = sql(&data, "SELECT rollout FROM canaries WHERE verdict = 'pass' LIMIT 1");
    let shown = on(&data, ["show", accepted.trim(), "--json"]).ok().json();
    assert_eq!(shown["verdict"]["verdict"]["verdict"], "pass");
    clean_state(&data);
    let rounds = on(&data, ["rounds"]).ok().stdout;
    assert!(rounds.contains("alarm") && rounds.contains("failed"), "{rounds}");
    on(&data, ["run", "--resume"]).fails(14, &["resume"]);
}
