use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use gyre_sandbox::SandboxError;
use gyre_tasks::{
    AdmittedTask, CheckPlan, Family, Generation, Reason, TaskError, TaskRequest, check_family,
    generate_tasks, load_all, scaffold, split_of,
};
use gyre_types::{Digest, SandboxJob, SandboxReport, Seed, Split, Value};

use crate::{execute, shipped};

fn generate(family: &Family, requests: &[TaskRequest]) -> Generation {
    generate_tasks(family, requests, &HashSet::new(), execute).unwrap()
}

fn requests(count: u64, difficulty: u32, split: Option<Split>) -> Vec<TaskRequest> {
    let seed = Seed(11);
    (0..count).map(|at| TaskRequest::new(seed.derive("t", &[at]), difficulty, split)).collect()
}

fn admitted(generation: &Generation) -> Vec<&AdmittedTask> {
    generation.tasks.iter().map(|task| task.as_ref().unwrap()).collect()
}

fn check_is_clean(family: &Family, tasks_per_level: u32) {
    let plan = CheckPlan { seed: Seed(3), tasks_per_level };
    let report = check_family(family, plan, execute).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    let levels = family.manifest.difficulty;
    assert_eq!(report.levels.len() as u32, levels.max - levels.min + 1);
    for level in &report.levels {
        assert_eq!(level.admitted, u64::from(tasks_per_level), "{level:?}");
        assert_eq!(level.references_passed, level.admitted, "{level:?}");
        assert!(level.failures_rejected >= 3 * level.admitted, "{level:?}");
    }
}

/// A family may be somebody else's: what its folder links to is not read into it.
#[test]
fn a_family_leads_nowhere_else() {
    use std::os::unix::fs::symlink;
    for link in ["generate.py", "helpers.py", "data"] {
        let folder = tempfile::tempdir().unwrap();
        let others = folder.path().join("others");
        std::fs::create_dir(&others).unwrap();
        std::fs::write(others.join("secret.py"), "SECRET = 1").unwrap();
        scaffold(folder.path(), "mine").unwrap();
        let place = folder.path().join("mine").join(link);
        let _ = std::fs::remove_file(&place);
        let target = if link == "data" { others } else { others.join("secret.py") };
        symlink(target, &place).unwrap();
        let refused = Family::load(&folder.path().join("mine")).unwrap_err().to_string();
        assert!(refused.contains(link) && refused.contains("no links"), "{refused}");
    }
    let folder = tempfile::tempdir().unwrap();
    scaffold(folder.path(), "mine").unwrap();
    let manifest = folder.path().join("mine/family.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let climbing = "\n[verifier]\nkind = \"python\"\nfile = \"../../../../etc/passwd\"\n";
    std::fs::write(&manifest, text + climbing).unwrap();
    let refused = Family::load(&folder.path().join("mine")).unwrap_err().to_string();
    assert!(!refused.contains("root:"), "{refused}");
}

#[test]
fn everyday_is_clean() {
    check_is_clean(&shipped("everyday"), 12);
}

#[test]
fn compose_is_clean() {
    check_is_clean(&shipped("compose"), 12);
}

#[test]
fn everyday_has_many_kinds() {
    let family = shipped("everyday");
    let mut kinds = BTreeSet::new();
    for difficulty in 1..=5 {
        let generation = generate(&family, &requests(40, difficulty, Some(Split::Train)));
        kinds.extend(admitted(&generation).iter().map(|a| a.task.composition.0[0].clone()));
    }
    assert!(kinds.len() >= 25, "{kinds:?}");
}

#[test]
fn a_scaffolded_family_works_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let written = scaffold(folder.path(), "my_family").unwrap();
    assert_eq!(written.len(), 3);
    check_is_clean(&Family::load(&folder.path().join("my_family")).unwrap(), 5);
    let again = scaffold(folder.path(), "my_family").unwrap_err();
    assert!(matches!(again, TaskError::Io { action: "create", .. }), "{again}");
    let bad = scaffold(folder.path(), "../escape").unwrap_err();
    assert!(bad.to_string().contains("is not a family name"), "{bad}");
    assert_eq!(load_all(folder.path()).unwrap().len(), 1);
}

#[test]
fn the_split_is_that_of_the_composition() {
    let family = shipped("compose");
    let digests = |split| {
        let generation = generate(&family, &requests(20, 2, Some(split)));
        let tasks = admitted(&generation);
        assert!(tasks.iter().all(|a| a.task.split == split));
        assert!(tasks.iter().all(|a| split_of("compose", &a.task.composition) == split));
        tasks.iter().map(|a| a.task.composition.clone()).collect::<BTreeSet<_>>()
    };
    let (train, gate, test) = (digests(Split::Train), digests(Split::Gate), digests(Split::Test));
    assert!(train.is_disjoint(&gate) && train.is_disjoint(&test) && gate.is_disjoint(&test));
}

#[test]
fn a_task_depends_on_its_request_alone() {
    let family = shipped("everyday");
    let all = requests(30, 3, Some(Split::Train));
    let together = generate(&family, &all);
    for (at, task) in together.tasks.iter().enumerate().step_by(7) {
        let alone = generate(&family, &all[at..=at]);
        assert_eq!(&alone.tasks[0], task);
    }
    let mut reversed = all.clone();
    reversed.reverse();
    let mut backwards = generate(&family, &reversed).tasks;
    backwards.reverse();
    assert_eq!(backwards, together.tasks);
}

#[test]
fn a_task_is_never_admitted_twice() {
    let family = shipped("compose");
    let one = requests(1, 1, Some(Split::Train)).remove(0);
    let twice = generate(&family, &[one.clone(), one.clone()]);
    let tasks = admitted(&twice);
    assert_ne!(tasks[0].task.digest, tasks[1].task.digest);
    assert_eq!(twice.report.refused[&Reason::Duplicate], 1);

    let known: HashSet<Digest> = HashSet::from([tasks[0].task.digest]);
    let other = generate_tasks(&family, &[one], &known, execute).unwrap();
    assert_eq!(other.tasks[0].as_ref().unwrap().task.digest, tasks[1].task.digest);
}

#[test]
fn options_reach_the_family() {
    let family = shipped("everyday");
    let weight = |kind: &str| (Value::Str(kind.to_owned()), Value::Float(1e6));
    let weights = Value::Dict(vec![weight("caesar")]);
    let options = Arc::new(Value::Dict(vec![(Value::Str("weights".to_owned()), weights)]));
    let mut wanted = requests(10, 1, Some(Split::Train));
    wanted.iter_mut().for_each(|request| request.options = Arc::clone(&options));
    let generation = generate(&family, &wanted);
    assert!(admitted(&generation).iter().all(|a| a.task.composition.0[0] == "caesar"));
}

#[test]
fn the_report_counts_every_attempt() {
    let family = shipped("everyday");
    let report = generate(&family, &requests(40, 4, Some(Split::Test))).report;
    assert_eq!((report.requested, report.admitted), (40, 40));
    assert_eq!(report.attempts, 40 + report.refused.values().sum::<u64>());
    assert!(report.refused[&Reason::OtherSplit] > 100, "{report:?}");
}

#[test]
fn a_fault_of_the_sandbox_is_an_error_and_no_refusal() {
    let family = shipped("compose");
    let broken = |jobs: Vec<SandboxJob>| -> Vec<Result<SandboxReport, SandboxError>> {
        jobs.iter().map(|_| Err(SandboxError::WorkerLost)).collect()
    };
    let error = generate_tasks(&family, &requests(1, 1, None), &HashSet::new(), broken);
    assert!(matches!(error, Err(TaskError::Sandbox { .. })), "{error:?}");
}

#[test]
fn a_level_that_a_family_does_not_have_is_said_so() {
    let error =
        generate_tasks(&shipped("compose"), &requests(1, 9, None), &HashSet::new(), execute);
    let message = error.unwrap_err().to_string();
    assert_eq!(message, "family compose: difficulty 9 is outside its levels 1 to 5");
}
