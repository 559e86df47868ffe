//! `gyre serve` under callers who do not read and callers who do not finish
//! their requests.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use gyre_server::ServerLimits;

use crate::http::Served;
use crate::support::{RUN, finished_copy, sql};

/// More than the system keeps for a reader who does not read.
const SHARDS: usize = 400;

/// A run whose rows take some hundred megabytes: one shard under many names.
fn large_run() -> tempfile::TempDir {
    let folder = finished_copy();
    let data = folder.path();
    let largest =
        "FROM shards WHERE superseded = 0 AND kind = 'accepted' ORDER BY bytes DESC LIMIT 1";
    let path = sql(data, &format!("SELECT path {largest}"));
    let file = data.join(path.trim());
    for copy in 1..=SHARDS {
        fs::hard_link(&file, file.with_file_name(format!("copy-{copy}.parquet"))).unwrap();
    }
    let below = Path::new(path.trim()).parent().unwrap().display().to_string();
    let copies = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {SHARDS}) \
         INSERT INTO shards (run, id, round, path, sha256, bytes, row_count, superseded) \
         SELECT run, printf('shard-%016x', i), round, '{below}/copy-' || i || '.parquet', sha256, bytes, row_count, 0 \
         FROM n, (SELECT * {largest})"
    );
    sql(data, &copies);
    folder
}

/// The most memory that a process ever had, in MiB.
fn memory_peak_mib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[track_caller]
fn answers_probes(served: &Served) {
    for probe in ["/livez", "/healthz", "/readyz", "/api/v1/runs"] {
        assert_eq!(served.get(probe).status, 200, "{probe}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "what readers cost is printed")]
fn readers_who_do_not_read_stop_nobody_else() {
    let folder = large_run();
    let served = Served::start(folder.path());
    answers_probes(&served);
    let before = memory_peak_mib(served.process());
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        let host = &served.address;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        stream
    };
    let rows = format!("/api/v1/runs/{RUN}/dataset/rows");
    let asked: Vec<_> = (0..540).map(|_| ask(&rows)).collect();
    // Each is told at once whether there is room; nobody reads on from there.
    let mut statuses = Vec::new();
    let heads = asked.into_iter().map(|stream| {
        let mut reader = BufReader::with_capacity(64, stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or_default() == 0 {
                break;
            }
        }
        statuses.push(head.split(' ').nth(1).unwrap_or_default().to_owned());
        if head.starts_with("HTTP/1.1 503") {
            assert!(head.to_lowercase().contains("retry-after: "), "{head}");
        }
        reader
    });
    let held: Vec<_> = heads.collect();
    answers_probes(&served);
    let count = |status: &str| statuses.iter().filter(|told| *told == status).count();
    let exports_max = ServerLimits::default().exports_max;
    assert_eq!((count("200"), count("503")), (exports_max, 540 - exports_max));
    let grown = memory_peak_mib(served.process()) - before;
    println!("540 readers who do not read: {grown} MiB more");
    assert!(grown < 256, "{grown} MiB for 540 readers");

    // Once those who hold the places go, others get theirs.
    drop(held);
    let path = format!("/api/v1/runs/{RUN}/dataset/rows");
    while served.get_head(&path) == 503 {
        std::thread::yield_now();
    }
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn requests_that_never_end_stop_nobody_else() {
    let folder = finished_copy();
    let served = Served::start(folder.path());
    let half_sent = |_| {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        // A service that has no room closes what it does not serve.
        let _ = stream.write_all(b"GET /api/v1/runs HTTP/1.1\r\nHost: local");
        stream
    };
    let held: Vec<_> = (0..600).map(half_sent).collect();
    answers_probes(&served);
    let most = ServerLimits::default().connections_max;
    let open = held.iter().filter(|stream| is_open(stream)).count();
    assert!(open <= most, "{open} half-sent requests are kept, before any token");
    answers_probes(&served);
    assert_eq!(served.stop(), Some(0));
}

/// Whether the other end has not closed a connection that it never answered.
fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// What a run's lineage names lies below the data folder, or is not served.
#[test]
fn a_shard_whose_path_leads_out_of_the_data_folder_is_not_served() {
    let folder = finished_copy();
    let secret = tempfile::tempdir().unwrap();
    let file = secret.path().join("secret");
    fs::write(&file, "PAR1 not yours").unwrap();
    let dataset = folder.path().join("datasets").join(RUN);
    std::os::unix::fs::symlink(&file, dataset.join("data/link.parquet")).unwrap();
    std::os::unix::fs::symlink(secret.path(), dataset.join("linked")).unwrap();
    let linked = format!("datasets/{RUN}");
    let paths = [
        "../../../../../../../../etc/passwd".to_owned(),
        "/etc/passwd".to_owned(),
        format!("runs/../../{}", file.display()),
        file.display().to_string(),
        format!("{linked}/data/link.parquet"),
        format!("{linked}/linked/secret"),
    ];
    let served = Served::start(folder.path());
    let shard = sql(folder.path(), "SELECT shard FROM gyre_v1_shards LIMIT 1");
    let shard = shard.trim();
    for path in paths {
        sql(folder.path(), &format!("UPDATE shards SET path = '{path}' WHERE id = '{shard}'"));
        assert_leads_nowhere(&served, shard, &path);
    }
}

#[track_caller]
fn assert_leads_nowhere(served: &Served, shard: &str, path: &str) {
    let file = format!("/api/v1/runs/{RUN}/shards/{shard}/file");
    let answer = served.get(&file);
    assert_eq!((answer.status, answer.code()), (500, "damaged".to_owned()), "{path}");
    let rows = served.get_raw(&format!("/api/v1/runs/{RUN}/dataset/rows"));
    for told in [answer.text(), rows] {
        assert!(!told.contains("root:") && !told.contains("not yours"), "{path}: {told}");
    }
}
