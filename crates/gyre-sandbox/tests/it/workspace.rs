//! A guest's workspace: what it may do there, what it may not, and what is
//! left of it afterwards.

use std::collections::BTreeMap;

use gyre_sandbox::{SandboxError, SessionSpec};
use gyre_types::{GuestOutcome, Limits, SandboxJob, SandboxReport, Seed, Value, WorkspaceLimits};

use crate::support::{job, raised, run, sandbox};

fn granted() -> Limits {
    Limits { workspace: Some(WorkspaceLimits::default()), ..Limits::default() }
}

fn within(limits: WorkspaceLimits, code: &str) -> SandboxReport {
    let limits = Limits { workspace: Some(limits), ..Limits::default() };
    sandbox().execute_one(SandboxJob { limits, ..job(code) }).unwrap()
}

/// What a program printed that had a workspace and ended well.
fn printed(code: &str) -> String {
    let mut report = within(WorkspaceLimits::default(), code);
    let step = report.steps.remove(0);
    assert_eq!(step.outcome, GuestOutcome::Value { value: Value::Null }, "{}", step.stdout);
    step.stdout
}

fn files(named: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    let owned = |(path, content): &(&str, &str)| ((*path).to_owned(), content.as_bytes().to_vec());
    named.iter().map(owned).collect()
}

#[test]
fn files_go_in_and_come_out() {
    let code = "import os\nwith open('in/numbers.txt') as f: n = sum(map(int, f))\n\
                os.makedirs('out/deep')\nwith open('out/deep/sum.txt', 'w') as f: f.write(str(n))\n\
                with open('in/numbers.txt', 'a') as f: f.write('4\\n')\nos.remove('old')";
    let given = files(&[("in/numbers.txt", "1\n2\n"), ("old", "x")]);
    let job = SandboxJob { limits: granted(), files: given, ..job(code) };
    let report = sandbox().execute_one(job).unwrap();
    assert_eq!(report.last().unwrap().outcome, GuestOutcome::Value { value: Value::Null });
    assert_eq!(report.files, files(&[("in/numbers.txt", "1\n2\n4\n"), ("out/deep/sum.txt", "3")]));
}

#[test]
fn files_behave_as_files_do() {
    let code = "import os, pathlib\np = pathlib.Path('a.bin')\np.write_bytes(bytes(range(256)) * 600)\n\
                f = open('a.bin', 'r+b')\nf.seek(1000)\nf.write(b'XY')\nf.seek(999)\nprint(f.read(4), f.tell())\n\
                f.truncate(1500)\nf.seek(0, 2)\nprint(f.tell())\nf.seek(3000)\nf.write(b'end')\nf.close()\n\
                print(p.stat().st_size, p.read_bytes()[1500:3003] == b'\\0' * 1500 + b'end')\n\
                os.mkdir('d')\nos.rename('a.bin', 'd/b.bin')\nprint(os.listdir('.'), os.listdir('/d'), os.path.isdir('d'))\n\
                pathlib.Path('c').write_bytes(pathlib.Path('d/b.bin').read_bytes())\nprint(sorted(x.name for x in os.scandir()), os.getcwd())\n\
                g = open('c', 'rb')\nos.remove('c')\nprint(len(g.read()), os.path.exists('c'))\n\
                os.utime('d/b.bin', (5, 6))\nprint(os.stat('d/b.bin').st_mtime)\n\
                os.remove('d/b.bin')\nos.rmdir('d')\nprint(os.listdir('/'))";
    let expected = "b'\\xe7XY\\xea' 1003\n1500\n3003 True\n['d'] ['b.bin'] True\n['c', 'd'] /\n\
                    3003 False\n6.0\n[]\n";
    assert_eq!(printed(code), expected);
}

#[test]
fn a_module_that_a_job_brings_can_be_imported() {
    let code = "import sys\nsys.path.append('/lib')\nsys.argv[:] = ['program', 'x']\n\
                import helper\nfrom parts.inner import twice\nprint(helper.name(), twice(4), sys.argv)\n\
                try: import absent\nexcept ImportError as e: print(e)";
    let given = files(&[
        ("lib/helper.py", "def name(): return __file__\n"),
        ("lib/parts/__init__.py", ""),
        ("lib/parts/inner.py", "def twice(x): return 2 * x\n"),
    ]);
    let job = SandboxJob { limits: granted(), files: given, ..job(code) };
    let report = sandbox().execute_one(job).unwrap();
    let said = "/lib/helper.py 8 ['program', 'x']\nNo module named 'absent'\n";
    assert_eq!(report.last().unwrap().stdout, said);
}

/// Runs attempts and gives the kind of each one's exception.
fn kinds(attempts: &[&str]) -> Vec<String> {
    let lines = attempts.iter().map(|attempt| {
        format!("try: print('worked', {attempt})\nexcept OSError as e: print(type(e).__name__)\n")
    });
    let code =
        format!("import os\nopen('f', 'w').close()\nos.mkdir('d')\n{}", lines.collect::<String>());
    printed(&code).lines().map(str::to_owned).collect()
}

#[test]
fn nothing_leads_out() {
    let attempts = [
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "open('/work')",
        "open('../x', 'w')",
        "open('../../../../etc/passwd')",
        "open('d/../../etc/passwd')",
        "open('/../etc/passwd')",
        "os.listdir('..')",
        "os.stat('d/../..')",
        "os.rename('f', '../f')",
        "os.rename('f', 'd/../../f')",
        "os.rename('d', 'd/d')",
        "os.symlink('/etc/passwd', 'l')",
        "os.symlink('..', 'l')",
        "os.link('f', 'g')",
        "os.link('/etc/passwd', 'g')",
        "os.readlink('f')",
        "os.mkdir('..')",
        "os.rmdir('/')",
        "os.rmdir('.')",
        "os.unlink('f/')",
        "open('f/')",
        "open('f/x', 'w')",
        "open('new/', 'w')",
        "open('', 'w')",
        "open('/dev/null', 'w')",
        "open('d', 'w')",
        "os.open('..', os.O_RDONLY)",
        "os.chdir('..')",
    ];
    let kinds = kinds(&attempts);
    assert_eq!(kinds.len(), attempts.len());
    for (attempt, kind) in attempts.iter().zip(kinds) {
        assert!(kind.ends_with("Error"), "{attempt}: {kind}");
    }
    // And the same calls do work where they lead somewhere.
    let code = "import os\nopen('f', 'w').close()\nos.mkdir('d')\nopen('d/../g', 'w').close()\nopen('./d//h', 'w').close()\n\
                os.rename('f', 'd/f')\nos.chdir('d')\nopen('i', 'w').close()\nprint(os.listdir('.'), os.listdir('/'))";
    assert_eq!(printed(code), "['f', 'h', 'i'] ['d', 'g']\n");
}

#[test]
fn no_file_of_the_machine_is_touched() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "of the host").unwrap();
    let path = secret.display();
    let code = format!(
        "import os\nfor way in ('{path}', '/../..{path}', '../' * 9 + '{path}'.lstrip('/')):\n    \
         for mode in ('r', 'r+', 'w', 'a'):\n        try: print(open(way, mode).read())\n        except OSError: pass\n    \
         try: os.remove(way)\n    except OSError: pass\n"
    );
    let report = within(WorkspaceLimits::default(), &code);
    assert_eq!(report.last().unwrap().stdout, "");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "of the host");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn floods_meet_their_own_bound() {
    let limits = WorkspaceLimits {
        bytes_max: 100_000,
        entries_max: 20,
        path_depth_max: 4,
        name_bytes_max: 10,
        open_max: 5,
    };
    for (flood, most) in [
        ("f = open('a', 'wb', 0)\nwhile True: n += f.write(b'x' * 1000)", 100_000),
        ("while True: open(f'{n % 9}', 'ab', 0).write(b'x' * 500); n += 500", 100_000),
        ("f = open('a', 'wb', 0)\nn = f.truncate(100_000)\nf.truncate(100_001)", 100_000),
        ("f = open('a', 'wb', 0)\nf.seek(1 << 60)\nf.write(b'x')", 0),
        ("while True: open(f'{n}', 'w').close(); n += 1", 20),
        ("while True: os.mkdir(f'{n}'); n += 1", 20),
        ("p = 'd'\nwhile True: os.mkdir(p); p += '/d'; n += 1", 4),
        ("while True: open('x' * (n + 1), 'w').close(); n += 1", 10),
        ("k = []\nwhile True: k.append(open('f', 'w')); n += 1", 5),
        ("k = []\nwhile True: k.append(os.open('/', os.O_RDONLY)); n += 1", 5),
        ("os.makedirs('a/b'); os.makedirs('c/d/e')\nn = 1\nos.rename('c', 'a/b/c')", 1),
    ] {
        let indented = flood.replace('\n', "\n    ");
        let code = format!(
            "import os\nn = 0\ntry:\n    {indented}\nexcept OSError as e: print(n, e.errno > 0)"
        );
        let report = within(limits.clone(), &code);
        assert_eq!(report.last().unwrap().stdout, format!("{most} True\n"), "{flood}");
        let bytes: usize = report.files.values().map(Vec::len).sum();
        assert!(bytes <= 100_000 && report.files.len() <= 20, "{flood}");
    }
}

#[test]
fn room_that_is_given_back_can_be_used_again() {
    let code = "import os\nfor i in range(50):\n    with open(f'f{i}', 'wb') as f: f.write(b'x' * 900_000)\n    \
                os.rename(f'f{i}', 'g')\n    if i % 2: os.remove('g')\nos.mkdir('d')\nos.rmdir('d')\n\
                for i in range(1000):\n    with open('h', 'w') as f: f.write('y')\nprint('done')";
    let limits =
        WorkspaceLimits { bytes_max: 1_900_000, entries_max: 3, ..WorkspaceLimits::default() };
    let limits = Limits { fuel_max: 20_000_000_000, workspace: Some(limits), ..Limits::default() };
    let report = sandbox().execute_one(SandboxJob { limits, ..job(code) }).unwrap();
    assert_eq!(report.last().unwrap().stdout, "done\n");
    assert_eq!(report.files, files(&[("h", "y")]));
}

#[test]
fn what_the_host_does_with_files_burns_fuel() {
    let limits = Limits { fuel_max: 200_000_000, ..granted() };
    let code = "f = open('a', 'wb', 0)\nwhile True: f.truncate(1_000_000); f.truncate(0)";
    let report = sandbox().execute_one(SandboxJob { limits, ..job(code) }).unwrap();
    assert_eq!(report.last().unwrap().outcome, GuestOutcome::FuelExhausted);
}

#[test]
fn a_workspace_changes_nothing_for_whom_it_is_not_granted_to() {
    let code = "x = [i * i for i in range(100)]\nprint(x[7])";
    let with = within(WorkspaceLimits::default(), code);
    let without = sandbox().execute_one(job(code)).unwrap();
    assert_eq!((&with.steps, with.fuel), (&without.steps, without.fuel));
    let report = sandbox().execute_one(job("open('x', 'w')")).unwrap();
    assert_eq!(raised(&report.steps[0]).kind, "FileNotFoundError");
    assert!(report.files.is_empty());
}

#[test]
fn files_that_do_not_fit_are_refused_before_the_guest_runs() {
    let refused = |limits: Limits, given: &[(&str, &str)]| {
        let job = SandboxJob { limits, files: files(given), ..job("print(1)") };
        match sandbox().execute_one(job) {
            Err(SandboxError::FilesRefused { message }) => message,
            other => panic!("{given:?}: {other:?}"),
        }
    };
    assert!(refused(Limits::default(), &[("a", "x")]).contains("no workspace"));
    for path in ["", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a/.", "a\0b"] {
        assert!(refused(granted(), &[(path, "x")]).contains("single slashes"), "{path:?}");
    }
    assert!(refused(granted(), &[(&"x".repeat(101), "x")]).contains("longer"));
    assert!(refused(granted(), &[("a/b/c/d/e/f/g/h/i", "x")]).contains("deeper"));
    assert!(refused(granted(), &[("a", &"x".repeat((1 << 20) + 1))]).contains("bytes_max"));
    assert!(refused(granted(), &[("a", "x"), ("a/b", "x")]).contains("another file"));
}

#[test]
fn a_session_keeps_its_workspace_from_step_to_step_and_shares_it_with_none() {
    let start = || sandbox().start(SessionSpec { seed: Seed(1), limits: granted() }).unwrap();
    let (mut one, mut other) = (start(), start());
    assert_eq!(one.step(&run("open('a', 'w').write('kept')")).unwrap().stdout, "");
    assert_eq!(one.step(&run("print(open('a').read())")).unwrap().stdout, "kept\n");
    let report = other.step(&run("open('a')")).unwrap();
    assert_eq!(raised(&report).kind, "FileNotFoundError");
}
