//! Against a real PostgreSQL that demands TLS, with a certificate authority of
//! the test's own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use gyre_lineage::{DatabaseUrl, Store, StoreError, TlsMode, Transport};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};

use crate::support::block_on;

/// A server that takes connections with TLS alone: user `gyre` by password, user
/// `agent` by certificate. Gone after the test.
struct Server {
    port: u16,
    programs: PathBuf,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("gyre-tls").tempdir_in("/tmp").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { port, programs: programs(), folder };
        authority(server.path(), "ca");
        authority(server.path(), "other");
        certificate(server.path(), "server", "localhost", "DNS:localhost,IP:127.0.0.1");
        certificate(server.path(), "agent", "agent", "DNS:agent");
        fs::write(server.path().join("password"), "hunter22\n").unwrap();
        own(server.path());
        let data = server.path().join("data").display().to_string();
        let password = format!("--pwfile={}/password", server.path().display());
        server.does("initdb", &["-D", &data, "-U", "gyre", "--auth=scram-sha-256", &password]);
        fs::write(
            server.path().join("data/pg_hba.conf"),
            "hostssl all agent 127.0.0.1/32 cert\nhostssl all gyre 127.0.0.1/32 scram-sha-256\n",
        )
        .unwrap();
        let at = |name: &str| server.path().join(name).display().to_string();
        let options = format!(
            "-p {port} -c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
             -c ssl=on -c ssl_cert_file={} -c ssl_key_file={} -c ssl_ca_file={}",
            at("server.crt"),
            at("server.key"),
            at("ca.crt"),
        );
        let log = at("log");
        server.does("pg_ctl", &["start", "-D", &data, "-w", "-s", "-l", &log, "-o", &options]);
        server
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn does(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let done = command.current_dir("/").args(arguments).status().unwrap();
        assert!(done.success(), "{arguments:?}");
    }

    fn url(&self, user: &str, options: &str) -> DatabaseUrl {
        let options = options.replace("AT", &self.path().display().to_string());
        let port = self.port;
        format!("postgres://{user}@127.0.0.1:{port}/postgres?{options}").parse().unwrap()
    }

    async fn executes(&self, user: &str, sql: &'static str) {
        let DatabaseUrl::Postgres(url) = self.url(user, "sslmode=require") else { return };
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn transport(&self, user: &str, options: &str) -> Transport {
        let url = self.url(user, options);
        let store = Store::open(&url).await.unwrap_or_else(|e| panic!("{url}: {}", shown(&e)));
        let transport = store.transport().await.unwrap().expect("a server has a transport");
        store.close().await;
        transport
    }

    async fn refused(&self, user: &str, options: &str) -> StoreError {
        let url = self.url(user, options);
        match Store::open(&url).await {
            Err(error) => error,
            Ok(store) => panic!("{url} was taken: {:?}", store.transport().await),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.path().join("data").display().to_string();
        self.does("pg_ctl", &["stop", "-D", &data, "-m", "immediate", "-s"]);
    }
}

fn shown(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", cause.unwrap_or_default())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The newest version's programs: Debian keeps them off the PATH.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin")).max();
    newest.unwrap_or_else(|| PathBuf::from("/usr/bin"))
}

/// The server insists that its key is its own user's.
fn own(folder: &Path) {
    if is_root() {
        let owned = Command::new("chown").args(["-R", "postgres"]).arg(folder).status();
        assert!(owned.unwrap().success());
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let arguments = arguments.split(' ');
    let done = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -subj /CN={name} -keyout {name}.key -out {name}.crt"
        ),
    );
}

fn certificate(folder: &Path, name: &str, subject: &str, names: &str) {
    fs::write(folder.join(format!("{name}.ext")), format!("subjectAltName={names}\n")).unwrap();
    openssl(
        folder,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={subject} \
             -keyout {name}.key -out {name}.csr"
        ),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
             -extfile {name}.ext -out {name}.crt"
        ),
    );
}

#[test]
fn a_server_that_demands_tls_is_reached_as_the_url_says() {
    let server = Server::start();
    block_on(async {
        let gyre = "gyre:hunter22";
        let make = "CREATE ROLE agent LOGIN IN ROLE gyre";
        server.executes(gyre, make).await;
        // Preferred where nothing is said, since it is this machine.
        for (options, mode) in [
            ("", TlsMode::Require),
            ("sslmode=require", TlsMode::Require),
            ("sslmode=require&sslrootcert=AT/ca.crt", TlsMode::VerifyCa),
            ("sslmode=verify-full&sslrootcert=AT/ca.crt", TlsMode::VerifyFull),
            ("sslrootcert=AT/ca.crt", TlsMode::VerifyFull),
        ] {
            let transport = server.transport(gyre, options).await;
            assert_eq!(transport.mode, mode, "{options}");
            let tls = transport.server.clone().expect("the server sees TLS");
            assert!(tls.version.starts_with("TLSv1."), "{tls:?}");
            assert_eq!(tls.client, None);
            assert!(transport.to_string().starts_with("TLS, "), "{transport}");
        }
        // Who is known by a certificate alone.
        let agent = "sslrootcert=AT/ca.crt&sslcert=AT/agent.crt&sslkey=AT/agent.key";
        let refused = server.refused("agent", "sslrootcert=AT/ca.crt").await;
        assert!(matches!(refused, StoreError::Refused { .. }), "{refused:?}");
        let transport = server.transport("agent", agent).await;
        let client = transport.server.and_then(|tls| tls.client);
        assert_eq!(client.as_deref(), Some("/CN=agent"));
    });
}

#[test]
fn what_the_url_asks_for_is_never_weakened() {
    let server = Server::start();
    block_on(async {
        for (options, why) in [
            ("sslmode=verify-full&sslrootcert=AT/other.crt", "UnknownIssuer"),
            ("sslmode=require&sslrootcert=AT/other.crt", "UnknownIssuer"),
            ("sslmode=verify-full", "UnknownIssuer"),
            ("sslmode=verify-full&sslrootcert=AT/none.crt", "none.crt, which cannot be read"),
            ("sslmode=sometimes", "sslmode=sometimes"),
        ] {
            let refused = server.refused("gyre:hunter22", options).await;
            assert!(matches!(refused, StoreError::Insecure { .. }), "{options}: {refused:?}");
            assert!(shown(&refused).contains(why), "{options}: {}", shown(&refused));
            assert!(!shown(&refused).contains("hunter22"));
        }
        // The server takes nothing else.
        let plain = server.refused("gyre:hunter22", "sslmode=disable").await;
        assert!(matches!(plain, StoreError::Refused { .. }), "{plain:?}");
    });
}

/// The tests' own server has no TLS: what demands it does without the server.
#[test]
fn a_server_without_tls_is_refused_where_tls_is_demanded() {
    let server = crate::support::postgres_server();
    block_on(async {
        let demanded: DatabaseUrl = format!("{server}?sslmode=require").parse().unwrap();
        let refused = Store::open(&demanded).await.unwrap_err();
        assert!(matches!(refused, StoreError::Insecure { .. }), "{refused:?}");
        assert!(shown(&refused).contains("allow plaintext with sslmode=disable"), "{refused}");
    });
}
