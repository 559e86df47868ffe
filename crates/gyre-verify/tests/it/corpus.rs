//! The corpus, run for real.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gyre_sandbox::{Sandbox, SandboxConfig, SandboxError};
use gyre_types::{Judgement, SandboxJob, SandboxReport, Verdict};
use gyre_verify::corpus::{Attack, AttackClass, Corpus, CorpusReport, Planting, check_corpus};
use gyre_verify::{
    CheckDeclaration, Checks, Comparison, FloatTolerance, PythonVerifier, Submission, TextOf,
    Verifier, default_python_limits, judge_batch,
};

const REPORTS_BYTES_MAX: u64 = 64 << 20;

pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-cache");
        let reports_bytes_max = REPORTS_BYTES_MAX;
        let resets_checked_every = 1;
        let base = SandboxConfig::new(cache);
        let config = SandboxConfig { reports_bytes_max, resets_checked_every, ..base };
        Sandbox::open(&config, &|_| {}).unwrap()
    })
}

fn execute(jobs: Vec<SandboxJob>) -> Vec<Result<SandboxReport, SandboxError>> {
    sandbox().execute(jobs)
}

fn judge(submissions: &[Submission<'_>]) -> Vec<Judgement> {
    judge_batch(submissions, execute)
}

fn corpus() -> Corpus {
    Corpus::embedded().unwrap()
}

fn problems(report: &CorpusReport) -> String {
    let attacks = report.bad_attacks().map(|row| format!("{row:?}"));
    let controls = report.bad_controls().map(|row| format!("{row:?}"));
    let rejected = report.legitimate.rejected.iter().map(|row| format!("{row:?}"));
    attacks.chain(controls).chain(rejected).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_built_in_verifier_accepts_no_attack_and_every_legitimate_program() {
    let corpus = corpus();
    let report = check_corpus(&corpus, judge, execute);
    assert!(report.is_clean(), "{}", problems(&report));
    let attacks: u32 = report.classes.iter().map(|row| row.attacks).sum();
    assert!(attacks >= 120, "{attacks} attacks");
    // What is no program is tried where there is a file system: by the command.
    let mut programs = report.classes.iter().filter(|row| row.class != AttackClass::PlantedCode);
    assert!(programs.all(|row| row.attacks >= 10), "{:?}", report.classes);
    assert!(corpus.plantings.len() >= 10, "{} prepared folders", corpus.plantings.len());
    assert!(report.legitimate.programs >= 100, "{} programs", report.legitimate.programs);
    assert_eq!(report.legitimate.accepted, report.legitimate.programs);
}

/// Whoever judges them, forged and costly results fail; none is without a verdict,
/// and what they take together stays within the bound.
#[test]
fn forged_and_costly_results_fail_by_every_verifier() {
    let mut corpus = corpus();
    let classes = [AttackClass::CostlyResults, AttackClass::ForgedValues];
    corpus.attacks.retain(|attack| classes.contains(&attack.class));
    assert!(corpus.attacks.len() >= 20);
    let submission = |attack: &Attack| {
        let task = corpus.task(attack.task).unwrap();
        Submission::of_program(&task.task, &task.key, attack.source)
    };
    let submissions: Vec<_> = corpus.attacks.iter().map(submission).collect();
    for (name, verifier) in verifiers() {
        let judged = verifier.judge_with(&submissions, sandbox());
        assert_eq!(judged.len(), submissions.len());
        for (attack, Judgement { verdict, .. }) in corpus.attacks.iter().zip(judged) {
            let attack = format!("{}/{}", attack.class, attack.name);
            assert!(matches!(verdict, Verdict::Fail { .. }), "{attack} by {name}: {verdict:?}");
        }
    }
    let peak = sandbox().reports_bytes_peak();
    assert!(peak > 0 && peak <= REPORTS_BYTES_MAX, "{peak} bytes of reports at one time");
}

/// The ways of verifying that need nothing but a sandbox. Components are asked in
/// the sandbox's own tests.
fn verifiers() -> Vec<(&'static str, Verifier)> {
    let comparison = Comparison::default();
    let checks =
        |declared| Verifier::checks(Checks::new(vec![declared], comparison).unwrap(), comparison);
    let tolerance = FloatTolerance::new(1e-6, 0.0).unwrap();
    let schema = serde_json::json!({ "type": "array", "items": { "type": "integer" } });
    let (weight, of) = (1.0, TextOf::Result);
    let python = PythonVerifier::new(VERIFY.to_owned(), default_python_limits()).unwrap();
    vec![
        ("cases", Verifier::Cases),
        ("exact", checks(CheckDeclaration::Exact { weight })),
        ("numeric", checks(CheckDeclaration::Numeric { tolerance, weight })),
        ("set", checks(CheckDeclaration::Set { weight })),
        ("multiset", checks(CheckDeclaration::Multiset { weight })),
        ("text", checks(CheckDeclaration::Text { of, weight })),
        ("schema", checks(CheckDeclaration::JsonSchema { of, schema, weight })),
        ("verify.py", Verifier::Python(python)),
    ]
}

const VERIFY: &str = "\
def verify(outcome):
    checks = []
    for case in outcome['cases']:
        result = case['result']
        agrees = result['kind'] == 'value' and result['value'] == case['expect']
        checks.append({'name': case['name'], 'passed': agrees, 'weight': 1.0, 'detail': ''})
    share = sum(check['passed'] for check in checks) / len(checks)
    return {'passed': share == 1.0, 'score': share, 'checks': checks, 'metrics': {}}
";

/// What the check itself must notice: a verifier that accepts all, one that
/// rejects all, and one that says nothing.
#[test]
fn a_wrong_verifier_is_found_out() {
    let mut corpus = corpus();
    corpus.attacks.retain(|attack| attack.class == AttackClass::EarlyExit);
    corpus.legitimate.truncate(3);
    let always = |verdict: &Verdict| {
        let judgement =
            Judgement { verdict: verdict.clone(), checks: Vec::new(), fuel: 0, guests: 0 };
        check_corpus(&corpus, |all| vec![judgement.clone(); all.len()], execute)
    };
    let attacks = corpus.attacks.len() as u32;
    let credulous = always(&Verdict::Pass);
    assert_eq!((credulous.classes[0].accepted, credulous.legitimate.accepted), (attacks, 3));
    assert!(!credulous.is_clean());
    let stubborn = always(&Verdict::Fail { score: gyre_types::Score::ZERO });
    assert_eq!((stubborn.classes[0].accepted, stubborn.legitimate.accepted), (0, 0));
    assert!(!stubborn.is_clean());
    let silent = check_corpus(&corpus, |_| Vec::new(), execute);
    assert_eq!((silent.classes[0].accepted, silent.classes[0].invalid), (0, attacks));
    assert!(!silent.is_clean());
}

/// An attack that does not work must not pass for a defence that does.
#[test]
fn a_broken_attack_and_a_broken_control_are_found_out() {
    let mut corpus = corpus();
    corpus.legitimate.clear();
    corpus.attacks.truncate(1);
    corpus.attacks[0].source = "def solve(numbers):\n    return 'broken'\n";
    let report = check_corpus(&corpus, judge, execute);
    assert_eq!((report.classes[0].accepted, report.classes[0].weak_controls_fooled), (0, 0));
    assert_eq!(report.bad_attacks().count(), 1);
    let named = corpus.attacks[0].fools;
    for (source, accepts_honest) in
        [("def run(answer, task):\n    return True\n", true), ("1 / 0\n", false)]
    {
        for control in corpus.weak_controls.iter_mut().filter(|control| control.name == named) {
            control.source = source;
        }
        let report = check_corpus(&corpus, judge, execute);
        let bad: Vec<_> = report.bad_controls().collect();
        assert_eq!(bad.len(), 1);
        assert_eq!((bad[0].honest_accepted, bad[0].wrong_rejected), (accepts_honest, 0));
    }
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_file_of_the_corpus_is_in_its_list() {
    let corpus = corpus();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let listed = |names: &mut dyn Iterator<Item = &'static str>| -> BTreeSet<String> {
        names.map(str::to_owned).collect()
    };
    assert_eq!(
        names_in(&folder.join("tasks")),
        listed(&mut corpus.tasks.iter().map(|task| task.name))
    );
    assert_eq!(
        names_in(&folder.join("weak")),
        listed(&mut corpus.weak_controls.iter().map(|control| control.name))
    );
    assert_eq!(
        names_in(&folder.join("legitimate")),
        listed(&mut corpus.legitimate.iter().map(|program| program.name))
    );
    assert_eq!(
        names_in(&folder.join("loaders")),
        listed(&mut corpus.weak_loaders.iter().map(|loader| loader.name))
    );
    let classes = AttackClass::ALL.map(|class| class.as_str().to_owned());
    assert_eq!(names_in(&folder.join("attacks")), BTreeSet::from(classes));
    for class in AttackClass::ALL {
        let programs = corpus.attacks.iter().filter(|attack| attack.class == class);
        let folders = corpus.plantings.iter().filter(|_| class == AttackClass::PlantedCode);
        let mut of_class =
            programs.map(|attack| attack.name).chain(folders.map(|planting| planting.name));
        assert_eq!(names_in(&folder.join("attacks").join(class.as_str())), listed(&mut of_class));
    }
}

/// No filler: programs differ in more than comments, and every control is used.
#[test]
fn programs_are_different_and_controls_are_used() {
    let corpus = corpus();
    let code = |source: &str| -> String {
        let lines = source.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
    };
    let mut seen = BTreeMap::new();
    let attacks = corpus.attacks.iter().map(|attack| (attack.name, attack.source));
    let legitimate = corpus.legitimate.iter().map(|program| (program.name, program.source));
    for (name, source) in attacks.chain(legitimate) {
        // Two attacks of text for a judge differ in their comments alone.
        let key = if source.contains("# decode") { source.to_owned() } else { code(source) };
        if let Some(other) = seen.insert(key, name) {
            assert!(source.contains("VERDICT") || source.contains("system:"), "{name} is {other}");
        }
    }
    let used: BTreeSet<&str> = corpus.attacks.iter().map(|attack| attack.fools).collect();
    for control in &corpus.weak_controls {
        assert!(used.contains(control.name), "nothing fools {}", control.name);
    }
    for (at, planting) in corpus.plantings.iter().enumerate() {
        let same = |other: &&Planting| other.entries == planting.entries;
        assert!(corpus.plantings[..at].iter().find(same).is_none(), "{}", planting.name);
    }
    for loader in &corpus.weak_loaders {
        let fooled = corpus.plantings.iter().any(|planting| planting.fools == loader.name);
        assert!(fooled, "nothing fools {}", loader.name);
    }
}
