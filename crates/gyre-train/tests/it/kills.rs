//! Gyre is killed while a trainer or a server runs, and nothing of them is left.

use std::io::{PipeReader, Read as _, pipe};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use gyre_fault::{POINTS, Process, Step};
use rustix::io::{FdFlags, fcntl_setfd};
use serde_json::{Value, json};

use crate::servers::SERVER;
use crate::support::{CHILD, Place, environment};

/// What started processes are given to do before a test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// An orphan in a session of its own, and a checkpoint.
const TRAINER: &str = r#"
subprocess.Popen(["sleep", "1000"], start_new_session=True, close_fds=False)
parent = output + "/../parent"
copy()
"#;

/// A small Gyre, and a pipe that it and all below it hold open.
struct Gyre {
    child: Child,
    alive: PipeReader,
}

impl Gyre {
    fn start(place: &Place, work: &Value, failpoint: &str) -> Self {
        let mut work = work.clone();
        work["folder"] = json!(place.root());
        work["environment"] = json!(environment());
        let (alive, held) = pipe().unwrap();
        // Kept open by every process that begins below.
        fcntl_setfd(&held, FdFlags::empty()).unwrap();
        let child = Command::new(CHILD)
            .arg(work.to_string())
            .env("GYRE_FAILPOINTS", failpoint)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, alive }
    }

    /// Waits until it has ended, and then until everything below it has.
    fn end(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        let (tell, ended) = mpsc::channel();
        std::thread::spawn(move || tell.send(self.alive.read_to_end(&mut Vec::new())));
        ended.recv_timeout(PATIENCE).expect("something outlived it").unwrap();
        status
    }
}

fn train(place: &Place, body: &str) -> Value {
    json!({ "train": place.trainer(body, json!({})) })
}

#[test]
fn a_trainer_and_its_orphans_die_with_gyre() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let body = format!(
        "{TRAINER}\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
         socket.create_connection(('127.0.0.1', {port}))\nwhile True: signal.pause()"
    );
    let mut gyre = Gyre::start(&place, &train(&place, &body), "");
    listener.accept().unwrap();
    gyre.child.kill().unwrap();
    assert_eq!(gyre.end().signal(), Some(9));
}

#[test]
fn nothing_outlives_a_gyre_that_is_killed_at_a_failpoint_or_fails_there() {
    let serve = |place: &Place| {
        place.write_program("serve.py", SERVER);
        let command = ["python3", "{project}/serve.py", "--port={port}", "--name={name}"];
        json!({ "serve": { "command": command } })
    };
    let points = POINTS.iter().filter(|point| point.of == Process::External);
    for point in points {
        let place = Place::new();
        let work = match point.name.starts_with("trainer::") {
            true => train(&place, TRAINER),
            false => serve(&place),
        };
        let killed = Gyre::start(&place, &work, &format!("{}=return", point.name)).end();
        assert_eq!(killed.signal(), Some(9), "{}", point.name);
        clear_output(&place);
        if point.step == Step::File {
            let failed = Gyre::start(&place, &work, &format!("{}=return(eio)", point.name)).end();
            assert_eq!(failed.code(), Some(1), "{}", point.name);
            clear_output(&place);
        }
        let again = Gyre::start(&place, &work, "").end();
        assert_eq!(again.code(), Some(0), "after {}", point.name);
    }
}

fn clear_output(place: &Place) {
    std::fs::remove_dir_all(place.path("output")).unwrap();
    std::fs::create_dir(place.path("output")).unwrap();
}

/// What is in the group dies with the group, and the trainer with its supervisor.
#[tokio::test]
async fn a_trainer_dies_with_its_supervisor() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let body = format!(
        "held = socket.create_connection(('127.0.0.1', {port})).detach()\n\
         subprocess.Popen(['sleep', '1000'], pass_fds=[held])\n\
         os.kill(os.getppid(), signal.SIGKILL)\n\
         while True: signal.pause()"
    );
    assert_eq!(
        place.refused(&body, json!({})).await,
        "the trainer lost its supervisor and was killed; it printed nothing ([place]/train.log)"
    );
    // The trainer and its child hold the connection for as long as they live.
    let (mut held, _) = listener.accept().unwrap();
    held.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(held.read_to_end(&mut Vec::new()).unwrap(), 0);
}
