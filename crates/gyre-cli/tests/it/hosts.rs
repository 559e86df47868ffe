//! Workers on hosts of their own: network namespaces, each with one link to
//! the database, its own data folder and the object store that all share.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::faults::Place;
use crate::support::{Running, as_gyre, run};
use crate::workers::{WORKER, drive_in_pieces_of, ends_like_a_local_run};

/// A host: a network namespace whose only link leads to this machine.
struct Host {
    name: String,
    /// This machine's end of the link.
    link: String,
    /// This machine, as the host sees it.
    gateway: String,
}

/// Runs `ip`, which must succeed.
#[track_caller]
fn ip(arguments: &str) {
    let ran = run(Command::new("ip").args(arguments.split(' ')));
    assert_eq!(
        ran.code,
        Some(0),
        "`ip {arguments}` failed; this test needs root and iproute2 (apt-get install iproute2), \
         for hosts of their own: {ran:#?}"
    );
}

impl Host {
    fn make(ordinal: u32) -> Self {
        let process = std::process::id() % 1_000_000;
        let name = format!("gyre-{process}-{ordinal}");
        let (link, inner) = (format!("gy{process}-{ordinal}"), format!("gy{process}-{ordinal}i"));
        ip(&format!("netns add {name}"));
        ip(&format!("link add {link} type veth peer name {inner} netns {name}"));
        let net = format!("10.213.{}", (process + ordinal) % 250);
        ip(&format!("address add {net}.1/30 dev {link}"));
        ip(&format!("link set {link} up"));
        ip(&format!("-netns {name} address add {net}.2/30 dev {inner}"));
        ip(&format!("-netns {name} link set {inner} up"));
        ip(&format!("-netns {name} link set lo up"));
        Self { name, link, gateway: format!("{net}.1") }
    }

    fn cut_off(&self) {
        ip(&format!("link set {} down", self.link));
    }

    fn join_again(&self) {
        ip(&format!("link set {} up", self.link));
    }

    /// A worker on this host, which reaches nothing but the database's relay.
    fn worker(&self, place: &Place) -> Running {
        let server = place.server().expect("the database is on a server");
        let (credentials, rest) = server.rsplit_once('@').expect("the URL names a user");
        let (address, database) = rest.split_once('/').expect("the URL names a database");
        let port = relay(&self.gateway, address);
        let url = format!("{credentials}@{}:{port}/{database}?sslmode=disable", self.gateway);
        let mut command = as_gyre(Command::new("ip"));
        command.args(["netns", "exec", &self.name, env!("CARGO_BIN_EXE_gyre")]);
        command.arg("--data-dir").arg(place.folder().join(&self.name)).arg("--database").arg(url);
        Running::start(command.args(WORKER))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Takes the link with it.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Lets a host reach the database, which listens on this machine alone. Gives
/// the port.
fn relay(gateway: &str, server: &str) -> u16 {
    let listener = TcpListener::bind((gateway, 0)).unwrap();
    let (port, server) = (listener.local_addr().unwrap().port(), server.to_owned());
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(upstream) = TcpStream::connect(&server) else { continue };
            let (client_too, upstream_too) =
                (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            std::thread::spawn(move || carry(client, upstream));
            std::thread::spawn(move || carry(upstream_too, client_too));
        }
    });
    port
}

/// Carries bytes until one side ends.
fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A piece of work that a worker has.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    row: String,
    worker: String,
}

const CLAIMED: &str = "SELECT concat_ws(' ', round, batch, piece, epoch) || '|' || worker \
    FROM gyre.work WHERE state = 'claimed'";

fn claimed(place: &Place) -> Vec<Held> {
    let rows = place.sql(CLAIMED);
    let held = |line: &str| {
        let (row, worker) = line.split_once('|').unwrap();
        Held { row: row.to_owned(), worker: worker.to_owned() }
    };
    rows.lines().filter(|line| !line.is_empty()).map(held).collect()
}

/// Cuts off a host whose worker has a piece, and has not brought it.
fn cut_off_one_at_work(place: &Place, hosts: &[Host], workers: &[String]) -> (usize, Held) {
    for _ in 0..2_000 {
        let Some(held) = claimed(place).into_iter().next() else { continue };
        let Some(at) = workers.iter().position(|id| *id == held.worker) else { continue };
        hosts[at].cut_off();
        // What was on its way is there by now.
        std::thread::sleep(Duration::from_millis(200));
        if claimed(place).contains(&held) {
            return (at, held);
        }
        hosts[at].join_again();
    }
    panic!("no worker was ever seen at work");
}

/// Waits until a query gives something else than 0.
#[track_caller]
fn until(place: &Place, query: &str) {
    for _ in 0..1_200 {
        if place.sql(query).trim() != "0" {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("waited two minutes for {query}: {}", place.sql("SELECT * FROM gyre.work"));
}

#[test]
fn a_host_that_is_cut_off_in_the_middle_of_a_round_brings_its_result_too_late() {
    let place = Place::postgres();
    let hosts: Vec<_> = (1..=3).map(Host::make).collect();
    let mut workers: Vec<_> = hosts.iter().map(|host| host.worker(&place)).collect();
    let started = |worker: &mut Running| loop {
        let told = worker.next().expect("the worker starts");
        if told["event"] == "worker_started" {
            return told["worker"].as_str().unwrap().to_owned();
        }
    };
    let ids: Vec<_> = workers.iter_mut().map(started).collect();

    let mut driver = drive_in_pieces_of(&place, 8);
    // The base is there: what workers have from here on is of the first round.
    for _ in 0..7 {
        driver.next_event().expect("the run goes on");
    }
    let (cut, held) = cut_off_one_at_work(&place, &hosts, &ids);

    // Another host is given what this one had.
    let (round, rest) = held.row.split_once(' ').unwrap();
    let (batch, rest) = rest.split_once(' ').unwrap();
    let (piece, epoch) = rest.split_once(' ').unwrap();
    let of_piece = format!("round = {round} AND batch = '{batch}' AND piece = {piece}");
    until(
        &place,
        &format!(
            "SELECT COUNT(*) FROM gyre.work WHERE {of_piece} AND epoch > {epoch} \
             AND worker <> '{}'",
            held.worker
        ),
    );
    hosts[cut].join_again();

    // After the partition heals, the cut-off worker's result must be discarded: the
    // piece counts it, unless its round is over and the piece has been removed.
    let open = format!("SELECT 1 FROM gyre.work WHERE {of_piece} AND discarded = 0");
    until(&place, &format!("SELECT CASE WHEN EXISTS ({open}) THEN 0 ELSE 1 END"));
    driver.wait().ok();
    ends_like_a_local_run(&place);
    for (at, worker) in workers.into_iter().enumerate() {
        let ran = worker.terminate().ok();
        let last = ran.json_lines().pop().unwrap_or_default();
        if at == cut {
            assert_ne!(last["discarded"], 0, "{ran:#?}");
        }
    }
    // Each host had the checkpoints that it needed from the store, by digest.
    for host in &hosts {
        let cache = place.folder().join(&host.name).join("cache/checkpoints");
        assert!(has_entries(&cache), "{} fetched no checkpoint", host.name);
    }
}

fn has_entries(folder: &Path) -> bool {
    folder.read_dir().is_ok_and(|mut entries| entries.next().is_some())
}
