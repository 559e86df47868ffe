//! Behind a real PgBouncer: session pooling works, and nothing lands in
//! `public`; transaction pooling is refused by name.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gyre_lineage::{AuditRules, DatabaseUrl, QueryLimits, Store, StoreError};
use serde_json::json;

use crate::scenario::write;
use crate::support::{Backend, Place, block_on, texts};

/// A PgBouncer in front of the tests' server, gone after the test.
struct Bouncer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Bouncer {
    #[expect(clippy::disallowed_methods, reason = "the caller chooses the program")]
    fn start(server: &str, pool_mode: &str, more: &str) -> Self {
        let program = std::env::var("GYRE_TEST_PGBOUNCER")
            .expect("GYRE_TEST_PGBOUNCER is not set; export GYRE_TEST_PGBOUNCER=$(.ci/pgbouncer)");
        let (user, password, host, port) = parts(server);
        let folder = tempfile::Builder::new().prefix("gyre-bouncer").tempdir_in("/tmp").unwrap();
        let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::write(at("users"), format!("\"{user}\" \"{password}\"\n")).unwrap();
        let ini = format!(
            "[databases]\n* = host={host} port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {own}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {}\npool_mode = {pool_mode}\nlogfile = {}\n{more}\n",
            at("users"),
            at("log"),
        );
        fs::write(at("ini"), ini).unwrap();
        // It refuses to run as root.
        let is_root = fs::metadata("/proc/self")
            .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let mut command = if is_root {
            let owned = Command::new("chown").args(["-R", "postgres"]).arg(folder.path()).status();
            assert!(owned.unwrap().success());
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let log = fs::File::create(at("said")).unwrap();
        let child = command.arg("-q").arg(at("ini")).stdout(Stdio::null()).stderr(log).spawn();
        let mut bouncer = Self { child: child.unwrap(), port: own, _folder: folder };
        while TcpStream::connect(("127.0.0.1", own)).is_err() {
            let ended = bouncer.child.try_wait().unwrap();
            assert!(ended.is_none(), "PgBouncer ended: {}", said(bouncer._folder.path()));
            std::thread::sleep(Duration::from_millis(20));
        }
        bouncer
    }

    fn url(&self, direct: &str) -> DatabaseUrl {
        let (user, password, _, _) = parts(direct);
        let (_, database) = direct.rsplit_once('/').unwrap();
        let port = self.port;
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}").parse().unwrap()
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn said(folder: &Path) -> String {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    format!("{}{}", read("said"), read("log"))
}

/// User, password, host and port.
fn parts(url: &str) -> (&str, &str, &str, &str) {
    let (_, rest) = url.split_once("://").unwrap();
    let (login, address) = rest.split_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let (host, port) = address.split_once('/').unwrap().0.split_once(':').unwrap();
    (user, password, host, port)
}

fn postgres_text(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::Postgres(text) => text.clone(),
        DatabaseUrl::Sqlite(path) => panic!("{} is no server", path.display()),
    }
}

fn with_bouncer(mode: &str, more: &str, test: impl AsyncFnOnce(&DatabaseUrl, &DatabaseUrl)) {
    block_on(async {
        let place = Place::make(Backend::Postgres).await;
        place
            .with(async |direct| {
                let text = postgres_text(direct);
                let bouncer = Bouncer::start(&text, mode, more);
                test(direct, &bouncer.url(&text)).await;
            })
            .await;
    });
}

/// What begins behind the pooler is found without it.
async fn works(direct: &DatabaseUrl, pooled: &DatabaseUrl) {
    let store = Store::open(pooled).await.unwrap();
    store.confine_queries().await.unwrap();
    let recorded = write(&store, "r").await;
    assert_eq!(store.audit_rows(&recorded.run, AuditRules::default()).await.unwrap(), []);
    let count = "SELECT COUNT(*) FROM gyre_v1_rollouts";
    let answer = store.query(count, &QueryLimits::default()).await.unwrap();
    assert_eq!(answer.rows, [[json!(recorded.rollouts.len())]]);
    store.close().await;
    let elsewhere = "SELECT CONCAT(schemaname, '.', tablename) FROM pg_tables \
        WHERE schemaname NOT IN ('gyre', 'pg_catalog', 'information_schema')";
    assert_eq!(texts(direct, elsewhere).await, Vec::<String>::new());
    let store = Store::open(direct).await.unwrap();
    assert_eq!(store.runs().collect().await.unwrap().len(), 1);
    store.close().await;
}

#[test]
fn session_pooling_works() {
    with_bouncer("session", "", works);
}

/// The pooler is told to pass over start-up options, and cleans up after nobody.
#[test]
fn a_pooler_that_passes_over_options_puts_nothing_into_public() {
    let more = "ignore_startup_parameters = options,extra_float_digits\nserver_reset_query =";
    with_bouncer("session", more, works);
}

#[test]
fn transaction_and_statement_pooling_are_refused_by_name() {
    for mode in ["transaction", "statement"] {
        with_bouncer(mode, "", async |direct, pooled| {
            let refused = Store::open(pooled).await.unwrap_err();
            assert!(matches!(refused, StoreError::Pooled { .. }), "{mode}: {refused:?}");
            assert!(refused.to_string().contains("transaction mode"), "{refused}");
            let made = "SELECT schemaname::text FROM pg_tables \
                WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
            assert_eq!(texts(direct, made).await, Vec::<String>::new());
        });
    }
}
