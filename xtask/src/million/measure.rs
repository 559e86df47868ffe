//! Asks a running service for every list, and looks at its memory.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use crate::command::command;

/// What a list may take, and the service's memory.
const SLOWEST_MS: f64 = 200.0;
const MEMORY_KIB_MAX: u64 = 1 << 20;

/// How often each list is asked for; the first answer counts too.
const TIMES: usize = 3;

/// Why a service did not pass.
pub(super) enum MeasureError {
    Io(io::Error),
    NotServing,
    Refused { path: String, status: String },
    TooSlow { path: String, ms: f64 },
    TooLarge { kib: u64 },
}

impl From<io::Error> for MeasureError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for MeasureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the service could not be asked: {error}"),
            Self::NotServing => f.write_str("the service did not say where it listens"),
            Self::Refused { path, status } => write!(f, "{path} was answered with {status}"),
            Self::TooSlow { path, ms } => {
                write!(f, "{path} took {ms:.0} ms, more than {SLOWEST_MS:.0}")
            }
            Self::TooLarge { kib } => write!(f, "the service took {} MiB", kib >> 10),
        }
    }
}

/// Starts the service and measures; prints a table.
pub(super) fn service(gyre: &Path, data: &Path, global: &[&str]) -> Result<(), MeasureError> {
    let mut serve = command(gyre);
    serve.args(["--json", "--data-dir"]).arg(data);
    if let ["--database", url] = global {
        serve.env("GYRE_DATABASE", url);
    }
    serve.args(["serve", "--listen", "127.0.0.1:0"]);
    let mut child = serve.stdout(Stdio::piped()).spawn()?;
    let measured = match child.stdout.take() {
        Some(stdout) => Service::of(&child, stdout).and_then(|service| service.measure()),
        None => Err(MeasureError::NotServing),
    };
    child.kill()?;
    child.wait()?;
    measured
}

struct Service {
    address: String,
    process: u32,
}

impl Service {
    fn of(child: &Child, stdout: ChildStdout) -> Result<Self, MeasureError> {
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let (_, rest) = line.split_once("http://").ok_or(MeasureError::NotServing)?;
        let (address, _) = rest.split_once('"').ok_or(MeasureError::NotServing)?;
        Ok(Self { address: address.to_owned(), process: child.id() })
    }

    fn measure(&self) -> Result<(), MeasureError> {
        let mut slowest = (String::new(), 0.0);
        say!("{:>9} {:>9} {:>8}  list", "first ms", "then ms", "KiB");
        for path in self.lists()? {
            let mut taken = Vec::new();
            let mut bytes = 0;
            for _ in 0..TIMES {
                let (ms, body) = self.get(&path)?;
                taken.push(ms);
                bytes = body.len();
            }
            let then = taken[1..].iter().copied().fold(f64::INFINITY, f64::min);
            say!("{:>9.1} {then:>9.1} {:>8}  {path}", taken[0], bytes >> 10);
            let worst = taken.iter().copied().fold(0.0, f64::max);
            if worst > slowest.1 {
                slowest = (path, worst);
            }
        }
        let kib = self.memory_peak_kib()?;
        say!("slowest: {:.1} ms, {}", slowest.1, slowest.0);
        say!("memory of the service at its peak: {} MiB", kib >> 10);
        let (path, ms) = slowest;
        if ms > SLOWEST_MS {
            return Err(MeasureError::TooSlow { path, ms });
        }
        if kib > MEMORY_KIB_MAX { Err(MeasureError::TooLarge { kib }) } else { Ok(()) }
    }

    /// Every list of pages and API: its start, filtered, and from deep inside.
    fn lists(&self) -> Result<Vec<String>, MeasureError> {
        let runs = self.get("/api/v1/runs")?.1;
        let run = after(&runs, "\"id\":\"").to_owned();
        let (page, api) = (format!("/runs/{run}"), format!("/api/v1/runs/{run}"));
        let late = self.get(&format!("{api}/rollouts?round=100&limit=1"))?.1;
        let (task, checkpoint) = (after(&late, "\"task\":\""), after(&late, "\"checkpoint\":\""));
        let policy = after(&late, "\"policy_digest\":\"");
        // Where round 100 starts, as an opaque place in a list.
        let deep = "3130303a";
        let mut lists: Vec<_> =
            ["/", "/verifiers", "/schedules", "/api/v1/runs", "/metrics"].map(str::to_owned).into();
        for path in ["", "/rounds/5", "/dataset"] {
            lists.push(format!("{page}{path}"));
        }
        for path in ["rounds", "verdicts", "shards", "checkpoints", "log", "tasks", "rollouts"] {
            lists.push(format!("{api}/{path}?limit=500"));
        }
        for query in ["verdict=pass", "purpose=test", "q=numbers"] {
            lists.push(format!("{api}/rollouts?{query}&limit=500&cursor={deep}"));
        }
        for query in [
            "",
            "family=compose&difficulty=2",
            "split=gate&round=100",
            "q=numbers",
            "q=given%20a%20list",
            "q=nothing%20says%20this",
        ] {
            lists.push(format!("{page}/tasks?{query}"));
            lists.push(format!("{page}/tasks?{query}&cursor={deep}").replace("?&", "?"));
        }
        for query in [
            "",
            "verdict=pass",
            "verdict=fail",
            "verdict=invalid",
            "verdict=pending",
            "reason=verifier",
            "family=compose",
            "family=none",
            "purpose=test",
            "round=100&purpose=gate",
            "purpose=gate&verdict=pass",
            "score_min=0.3&score_max=0.7",
            "score_min=0.95&score_max=0.99",
            "q=numbers",
            "q=given%20a%20list",
            "q=nothing%20says%20this",
            "q=numbers&verdict=pass&purpose=train",
            &format!("task={task}"),
            &format!("checkpoint={checkpoint}"),
            &format!("policy={policy}"),
        ] {
            lists.push(format!("{page}/rollouts?{query}"));
            lists.push(format!("{page}/rollouts?{query}&cursor={deep}").replace("?&", "?"));
        }
        Ok(lists)
    }

    /// Asks for a path: how long it took, and what came.
    fn get(&self, path: &str) -> Result<(f64, String), MeasureError> {
        #[expect(clippy::disallowed_methods, reason = "this measures, for people")]
        let begun = std::time::Instant::now();
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let host = &self.address;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.lines().next().unwrap_or_default();
        if status.contains(" 200 ") {
            Ok((ms, answer))
        } else {
            Err(MeasureError::Refused { path: path.to_owned(), status: status.to_owned() })
        }
    }

    fn memory_peak_kib(&self) -> Result<u64, MeasureError> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        Ok(kib.unwrap_or_default())
    }
}

/// What stands between a text and the next quote.
fn after<'t>(text: &'t str, start: &str) -> &'t str {
    let rest = text.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once('"').map_or("", |(value, _)| value)
}
