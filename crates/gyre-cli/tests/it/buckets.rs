//! Files pass through an S3 server that somebody else wrote.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::faults::Place;
use crate::support::{Running, run};
use crate::workers::{WORKER, ends_like_a_local_run, with_store};

const KEY: &str = "key-of-the-test";
const SECRET: &str = "secret-of-the-test";

/// A server whose buckets are the folders of a folder.
struct Server {
    child: Child,
    endpoint: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let key = format!("{KEY},{SECRET}");
        let mut command = Command::new(rclone());
        command.args(["serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", &key]).arg(folder);
        // What a user's own configuration of it says is of no concern.
        command.args(["--config", "", "--vfs-cache-mode", "off"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = said.map(Result::unwrap);
        let endpoint = said.find_map(|line| {
            let (_, address) = line.split_once("http://")?;
            let address = address.split(['/', ']', ' ']).next()?;
            Some(format!("http://{address}"))
        });
        let endpoint = endpoint.expect("rclone says where it listens");
        std::thread::spawn(move || said.for_each(drop));
        Self { child, endpoint }
    }

    /// Tells a process how to reach it.
    fn tell<'a>(&self, command: &'a mut Command, secret: &str) -> &'a mut Command {
        command.envs([
            ("AWS_ENDPOINT", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It comes with the Python environment of the tests.
#[expect(clippy::disallowed_methods, reason = "the caller chooses the environment")]
fn rclone() -> PathBuf {
    let python = std::env::var("GYRE_TEST_PYTHON").expect(
        "GYRE_TEST_PYTHON is not set; make the environment with: \
         export GYRE_TEST_PYTHON=$(.ci/python-env)",
    );
    Path::new(&python).with_file_name("rclone")
}

#[test]
fn files_pass_through_a_bucket_and_the_run_is_that_of_a_folder() {
    let place = Place::sqlite();
    std::fs::create_dir(place.folder().join("store")).unwrap();
    let server = Server::start(place.folder());
    let config = with_store(&place, 6, "s3://store");

    let mut command = place.gyre();
    server.tell(&mut command, SECRET);
    let driver = Running::start(command.args(["run", "--json", "--config"]).arg(config));
    let mut command = place.gyre();
    server.tell(&mut command, SECRET);
    let worker = Running::start(command.args(WORKER).args(["--store", "s3://store"]));
    driver.wait().ok();
    worker.terminate().ok();
    ends_like_a_local_run(&place);
}

#[test]
fn a_bucket_that_cannot_be_used_is_refused_at_the_start() {
    let place = Place::sqlite();
    std::fs::create_dir(place.folder().join("store")).unwrap();
    let server = Server::start(place.folder());
    let config = with_store(&place, 6, "s3://absent/and/below");
    let worker = |store: &str, secret: &str| {
        let mut command = place.gyre();
        server.tell(&mut command, secret);
        run(command.args(WORKER).args(["--store", store]))
    };
    worker("s3://absent", SECRET).fails(43, &["absent", "NoSuchBucket"]);
    worker("s3://store", "another").fails(43, &["SignatureDoesNotMatch"]);
    worker("ftp://store", SECRET).fails(43, &["ftp://store", "s3://BUCKET/PREFIX"]);
    let mut driver = place.gyre();
    server.tell(&mut driver, SECRET);
    let driver = run(driver.args(["run", "--json", "--config"]).arg(config));
    driver.fails(43, &["NoSuchBucket"]);
}
