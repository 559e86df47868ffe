//! The standard library in the guest: what is imported beforehand, what is
//! carried, what stands in for what a machine would offer, and what is missing.

use gyre_env::program::interface;
use gyre_types::{GuestOutcome, Interface, Limits, ProgramSpec, Seed, Value};

use crate::support::{call, once, printed, raised, run, session, session_with, text};

#[test]
fn what_was_not_imported_beforehand_is_imported_when_asked_for() {
    let code = "import email.message, http.client, xml.dom.minidom, logging.config, fileinput, doctest, zipfile, pydoc\n\
                import sqlite3, multiprocessing, concurrent.futures, importlib.resources, encodings.cp437, wsgiref.util\n\
                print('é'.encode('cp437'), 'あ'.encode('shift_jis'), b'+AGE-'.decode('utf-7'))\n\
                print(xml.dom.minidom.parseString('<a><b/></a>').documentElement.toxml())\n\
                print(sqlite3.connect(':memory:').execute('select 6 * 7').fetchone())";
    let expected = "b'\\x82' b'\\x82\\xa0' a\n<a><b/></a>\n(42,)\n";
    assert_eq!(printed(code), expected);
}

#[test]
fn what_needs_a_c_module_that_is_not_built_says_so() {
    for module in ["bz2", "lzma", "ctypes", "ssl", "curses", "tkinter", "mmap", "fcntl"] {
        let report = once(&format!("import {module}"));
        assert_eq!(raised(&report).kind, "ModuleNotFoundError", "{module}");
        let hint = format!("{module}'");
        assert!(raised(&report).message.contains(&hint), "{}", raised(&report).message);
    }
}

#[test]
fn a_thread_runs_its_target_when_it_is_started() {
    let code = "import sys, threading\nsys.setrecursionlimit(1 << 20)\nthreading.stack_size(1 << 27)\n\
                def deep(n): return n and deep(n - 1) + 1\n\
                def main(): print(deep(20_000), threading.current_thread() is threading.main_thread())\n\
                t = threading.Thread(target=main)\nt.start()\nt.join()\n\
                print(t.is_alive(), threading.active_count(), threading.current_thread().name)";
    assert_eq!(printed(code), "20000 False\nFalse 1 MainThread\n");
}

#[test]
fn threads_have_names_and_variables_of_their_own_and_fail_alone() {
    let code = "import sys, threading\nsys.stderr = sys.stdout\nlocal = threading.local()\nlocal.x = 1\n\
                def f(): print(hasattr(local, 'x'), threading.current_thread().name)\n\
                t = threading.Thread(target=f, name='other')\nt.start(); t.join()\nprint(local.x)\n\
                t = threading.Thread(target=lambda: 1 / 0)\nt.start(); t.join()\n\
                try: t.start()\nexcept RuntimeError as e: print(e)";
    let text = printed(code);
    assert!(text.starts_with("False other\n1\nException in thread"), "{text}");
    assert!(
        text.ends_with("ZeroDivisionError: division by zero\nthreads can only be started once\n"),
        "{text}"
    );
}

#[test]
fn a_pool_of_threads_gives_what_its_tasks_give() {
    let code = "from concurrent.futures import ThreadPoolExecutor, as_completed\n\
                with ThreadPoolExecutor(4) as pool:\n    print(list(pool.map(lambda x: x * x, range(5))))\n    \
                print(sorted(f.result() for f in as_completed([pool.submit(pow, 2, i) for i in range(4)])))\n    \
                print(pool.submit(lambda: pool.submit(lambda: 7).result()).result())\n    \
                print(repr(pool.submit(lambda: 1 / 0).exception()))\n\
                try: pool.submit(print)\nexcept RuntimeError as e: print(e)";
    let expected = "[0, 1, 4, 9, 16]\n[1, 2, 4, 8]\n7\nZeroDivisionError('division by zero')\n\
                    cannot schedule new futures after shutdown\n";
    assert_eq!(printed(code), expected);
}

#[test]
fn asyncio_runs_tasks_and_timers() {
    let code = "import asyncio, time\nasync def wait(n):\n    await asyncio.sleep(n)\n    return n\n\
                async def main():\n    start = time.monotonic()\n    print(await asyncio.gather(wait(3), wait(1)))\n    \
                print(round(time.monotonic() - start), await asyncio.to_thread(pow, 2, 3))\n    \
                try: await asyncio.wait_for(wait(10), 1)\n    except TimeoutError: print('late')\n    \
                queue = asyncio.Queue()\n    asyncio.create_task(queue.put(5))\n    print(await queue.get())\n\
                asyncio.run(main())\n\
                try: asyncio.run(asyncio.Event().wait())\nexcept RuntimeError as e: print(e)";
    let expected =
        "[3, 1]\n3 8\nlate\n5\ndeadlock: nothing is left that could wake the event loop\n";
    assert_eq!(printed(code), expected);
}

#[test]
fn limits_and_alarms_answer_harmlessly() {
    let code = "import resource, signal\nlimits = (1 << 29, resource.RLIM_INFINITY)\n\
                resource.setrlimit(resource.RLIMIT_STACK, limits)\nprint(resource.getrlimit(resource.RLIMIT_STACK) == limits)\n\
                print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n\
                signal.signal(signal.SIGALRM, lambda *_: 1 / 0)\nprint(signal.alarm(1), signal.setitimer(signal.ITIMER_REAL, 1))";
    assert_eq!(printed(code), "True\n0\n0 (0.0, 0.0)\n");
}

#[test]
fn time_zones_are_those_of_the_world() {
    let code = "import datetime, zoneinfo\nzone = zoneinfo.ZoneInfo('Europe/Berlin')\n\
                print([datetime.datetime(2024, m, 1, tzinfo=zone).utcoffset().seconds // 3600 for m in (1, 7)])\n\
                print(len(zoneinfo.available_timezones()) > 500)\n\
                try: zoneinfo.ZoneInfo('Nowhere/At_all')\nexcept zoneinfo.ZoneInfoNotFoundError as e: print(e)";
    let expected = "[1, 2]\nTrue\n'No time zone found with key Nowhere/At_all'\n";
    assert_eq!(printed(code), expected);
}

#[test]
fn archives_and_temporary_files_work_in_a_workspace() {
    let limits = Limits { workspace: Some(Default::default()), ..Limits::default() };
    let code = "import gzip, os, shutil, tempfile\nwith gzip.open('a.gz', 'wt') as f: f.write('packed')\n\
                shutil.copy('a.gz', 'b.gz')\nprint(gzip.open('b.gz', 'rt').read())\n\
                with tempfile.TemporaryDirectory() as d:\n    open(os.path.join(d, 'x'), 'w').close()\n    print(os.listdir(d))\n\
                print(sorted(os.listdir('/')))";
    let report = crate::support::once_with(code, limits);
    assert_eq!(report.stdout, "packed\n['x']\n['a.gz', 'b.gz']\n", "{:?}", report.outcome);
}

fn stdio() -> ProgramSpec {
    ProgramSpec { entry: String::new(), interface: Interface::Stdio, visible: Vec::new() }
}

/// Runs a program as the interface `stdio` does.
fn with_stdin(program: &str, input: &str) -> (String, GuestOutcome) {
    let mut session = session();
    session.step(&interface::begin(Interface::Stdio, program)).unwrap();
    let mut last = None;
    for step in interface::case(&stdio(), program, &[text(input)]) {
        last = Some(session.step(&step).unwrap());
    }
    let last = last.unwrap();
    (last.stdout, last.outcome)
}

#[test]
fn input_is_there_by_every_name() {
    for program in [
        "print(open(0).read().split())",
        "print(open('/dev/stdin').read().split())",
        "import sys\nprint(sys.stdin.read().split())",
        "import sys\nprint([w for line in sys.stdin for w in line.split()])",
        "import sys\nprint([w.decode() for w in sys.stdin.buffer.read().split()])",
        "print(input().split() + input().split())",
        "import os\nprint(os.read(0, 1 << 20).decode().split())",
        "import os\nprint(os.read(0, os.fstat(0).st_size).decode().split())",
        "import io, os\nread = io.BytesIO(os.read(0, os.fstat(0).st_size)).readline\nprint((read() + read()).decode().split())",
        "import os\nprint(os.fdopen(0, 'rb').read().decode().split())",
        "import os, sys\nprint(open(sys.stdin.fileno(), 'rb', buffering=0).readall().decode().split())",
        "import sys\nsys.stdin = open(0, encoding='utf-8')\nprint(input().split() + input().split())",
        "import pathlib\nprint(pathlib.Path('/dev/stdin').read_text().split())",
        "import fileinput\nprint([w for line in fileinput.input() for w in line.split()])",
        "import sys\nsys.stdin.seek(0, 2)\nsys.stdin.seek(0)\nprint(sys.stdin.read().split())",
    ] {
        let (stdout, outcome) = with_stdin(program, "1 2\n3 é\n");
        assert_eq!(stdout, "['1', '2', '3', 'é']\n", "{program}: {outcome:?}");
    }
}

#[test]
fn input_ends_and_each_case_has_its_own() {
    let read = "import os\nprint(os.read(0, 2), os.read(0, 9), os.read(0, 9), os.fstat(0).st_size)";
    assert_eq!(with_stdin(read, "abc").0, "b'ab' b'c' b'' 3\n");
    let mut session = session();
    session.step(&interface::begin(Interface::Stdio, "")).unwrap();
    for input in ["first", "second"] {
        for step in interface::case(&stdio(), "print(open(0).read())", &[text(input)]) {
            let report = session.step(&step).unwrap();
            assert!(report.stdout.is_empty() || report.stdout == format!("{input}\n"));
        }
    }
    // Nothing was given: it is at its end, and other files are where they were.
    assert_eq!(printed("import os\nprint(repr(open(0).read()), os.fstat(0).st_size)"), "'' 0\n");
}

#[test]
fn what_is_left_for_the_end_of_a_program_is_done() {
    for program in [
        "import atexit\natexit.register(print, 'bye')\nprint('hello')",
        "import atexit, sys\natexit.register(lambda: print('bye'))\nprint('hello')\nsys.exit()",
        "import atexit, os\natexit.register(lambda: os.write(1, b'bye\\n'))\nprint('hello', flush=True)\n1 / 0",
        "import atexit\natexit.register(print, 'bye')\natexit.register(lambda: 1 / 0)\nprint('hello')",
    ] {
        let (stdout, outcome) = with_stdin(program, "");
        assert_eq!(stdout, "hello\nbye\n", "{program}: {outcome:?}");
    }
    // A session that goes on has not ended.
    let mut session = session_with(Seed(1), Limits::default());
    let report = session.step(&run("import atexit\natexit.register(print, 'bye')")).unwrap();
    assert_eq!(report.stdout, "");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_program() {
    let mut session = session();
    let outcome = session.step(&run("\u{feff}def f(): return 1")).unwrap().outcome;
    assert_eq!(outcome, GuestOutcome::Value { value: Value::Null });
    assert_eq!(
        session.step(&call("f", vec![])).unwrap().outcome,
        GuestOutcome::Value { value: Value::Int(1) }
    );
    // One is a mark; what follows is text of the program.
    assert_eq!(raised(&once("\u{feff}\u{feff}x = 1")).kind, "SyntaxError");
}
