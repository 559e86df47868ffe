//! What a guest sees of the world: nothing of the machine it runs on.

use gyre_types::GuestOutcome;

use crate::support::{once, printed, raised};

#[test]
fn sleeping_returns_at_once_and_moves_the_clocks() {
    let code = "import time\na, b = time.time(), time.monotonic()\ntime.sleep(60)\n\
                print(int(time.time() - a), int(time.monotonic() - b))";
    let report = once(code);
    assert_eq!(report.stdout, "60 60\n");
    assert_eq!(report.virtual_ns / 1_000_000_000, 60);
}

#[test]
fn waiting_on_anything_returns_at_once() {
    let code = "import time, threading\nstart = time.monotonic()\ntime.sleep(1e9)\n\
                print(threading.Event().wait(5))\nprint(round(time.monotonic() - start))";
    assert_eq!(printed(code), "False\n1000000000\n");
    // Without threads CPython waits for a queue by looking at the clock.
    let report = once("import queue\nqueue.Queue().get(timeout=5)");
    assert_eq!(report.outcome, GuestOutcome::HostCallsExceeded);
}

#[test]
fn the_clock_starts_at_a_fixed_moment_and_a_busy_wait_ends() {
    let code = "import datetime, time\nprint(datetime.datetime.now().date())\nend = time.time() + 0.02\n\
                while time.time() < end: pass\nprint('done')";
    assert_eq!(printed(code), "2026-01-01\ndone\n");
}

#[test]
fn there_is_no_environment_argument_or_path() {
    let code = "import os, sys, platform\nprint(dict(os.environ), sys.argv, sys.path, sys.executable)\n\
                print(platform.node(), platform.machine())";
    assert_eq!(printed(code), "{} [] [] \n(none) wasm32\n");
}

#[test]
fn there_are_no_files() {
    let code = "import os\nfor attempt in (\n    lambda: open('/etc/passwd'), lambda: open('x', 'w'), lambda: os.listdir('/'),\n    \
                lambda: os.mkdir('d'), lambda: os.stat('/'), lambda: os.open('/', 0), lambda: os.symlink('a', 'b'),\n    \
                lambda: open('/proc/self/environ'), lambda: open('../../x'), lambda: os.rename('a', 'b')):\n    \
                try: print(attempt())\n    except OSError as e: print(type(e).__name__)";
    assert_eq!(printed(code), "FileNotFoundError\n".repeat(10));
}

#[test]
fn there_is_no_network_or_process() {
    for (code, kind) in [
        ("import socket\nsocket.create_connection(('127.0.0.1', 80))", "PermissionError"),
        ("import subprocess\nsubprocess.run(['ls'])", "OSError"),
        ("import ctypes", "ModuleNotFoundError"),
        ("import os\nos.fork()", "AttributeError"),
        ("import os\nos.system('ls')", "AttributeError"),
        ("input()", "EOFError"),
    ] {
        assert_eq!(raised(&once(code)).kind, kind, "{code}");
    }
}

#[test]
fn the_common_library_is_there() {
    let code = "import abc, argparse, array, ast, base64, bisect, calendar, cmath, collections, contextlib, copy, csv\n\
                import dataclasses, datetime, decimal, difflib, enum, fractions, functools, hashlib, heapq, hmac\n\
                import html, io, ipaddress, itertools, json, logging, math, numbers, operator, os, pathlib, pickle\n\
                import platform, pprint, queue, random, re, secrets, shlex, statistics, string, struct, sys\n\
                import textwrap, time, tomllib, traceback, types, typing, unicodedata, unittest, urllib.parse\n\
                import uuid, warnings, weakref, zlib\nimport xml.etree.ElementTree\nfrom string.templatelib import Template\n\
                print(hashlib.sha256(b'').hexdigest()[:8], datetime.datetime.strptime('3 Mar 2024', '%d %b %Y').day)\n\
                print(zlib.crc32(b'a'), decimal.Decimal('0.1') + 1, math.isqrt(17), statistics.mean([1, 2]))";
    assert_eq!(printed(code), "e3b0c442 3\n3904355907 1.1 4 1.5\n");
}
