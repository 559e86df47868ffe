//! What the URL of a PostgreSQL server asks for, read before any connection.

use std::net::IpAddr;
use std::path::Path;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::connect::failure;
use super::session::Session;
use crate::database::{Failure, FailureClass};
use crate::transport::TlsMode;

/// Options that would change how a connection is protected, which the driver
/// does not know: to pass over one of them would weaken what was asked for.
const UNSUPPORTED: [&str; 4] = ["channel_binding", "require_auth", "gssencmode", "requiressl"];

/// A server, and how it is to be reached.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// Without what [`Session`] sets once connected.
    pub(super) options: PgConnectOptions,
    pub(super) session: Session,
    pub(super) tls: TlsMode,
    /// Whether whatever answers is a process of this machine.
    pub(super) is_local: bool,
    /// The URL without `options` and `sslmode`, its query begun.
    base: String,
}

impl Address {
    pub(super) fn read(url: &str) -> Result<Self, Failure> {
        let mut session = Session::default();
        let (mut kept, mut asked, mut has_roots) = (Vec::new(), None, false);
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let (name, value) = (decoded(name), decoded(value));
            match name.as_str() {
                "sslmode" | "ssl-mode" => asked = Some(mode(&value)?),
                "sslrootcert" | "ssl-root-cert" | "ssl-ca" if value == "system" => {
                    has_roots = true;
                }
                "sslrootcert" | "ssl-root-cert" | "ssl-ca" => {
                    readable(&name, &value)?;
                    has_roots = true;
                    kept.push(option.to_owned());
                }
                "sslcert" | "ssl-cert" | "sslkey" | "ssl-key" => {
                    readable(&name, &value)?;
                    kept.push(option.to_owned());
                }
                "options" => {
                    let rest = session.take(&value);
                    if !rest.is_empty() {
                        kept.push(format!("options={}", encoded(&rest)));
                    }
                }
                name if name.starts_with("options[") && name.ends_with(']') => {
                    session.set(&name["options[".len()..name.len() - 1], &value);
                }
                name if name.starts_with("ssl") || UNSUPPORTED.contains(&name) => {
                    let why = format!("its URL has the option {name}, which gyre does not know");
                    return Err(Failure::new(FailureClass::Tls, why));
                }
                _ => kept.push(option.to_owned()),
            }
        }
        let base = format!("{address}?{}", kept.join("&"));
        let options: PgConnectOptions = base.parse().map_err(failure)?;
        // What the environment adds (PGOPTIONS, PGSSLROOTCERT, PGSSLMODE).
        session.take(options.get_options().unwrap_or_default());
        has_roots |= are_roots_in_environment();
        let asked = asked.or(match options.get_ssl_mode() {
            PgSslMode::Prefer => None,
            PgSslMode::Disable => Some(TlsMode::Disable),
            PgSslMode::Allow => Some(TlsMode::Prefer),
            PgSslMode::Require => Some(TlsMode::Require),
            PgSslMode::VerifyCa => Some(TlsMode::VerifyCa),
            PgSslMode::VerifyFull => Some(TlsMode::VerifyFull),
        });
        let is_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
        let is_local = is_socket || is_loopback(options.get_host());
        let tls = if is_socket { TlsMode::Disable } else { required(asked, has_roots, is_local) };
        let options = options
            .application_name("gyre")
            // Poolers refuse what they do not know; the session sets it instead.
            .extra_float_digits(None);
        Ok(Self { options, session, tls, is_local, base })
    }

    /// The options of a connection in one mode.
    pub(super) fn with(&self, tls: TlsMode) -> PgConnectOptions {
        self.options.clone().ssl_mode(match tls {
            TlsMode::Disable => PgSslMode::Disable,
            TlsMode::Prefer => PgSslMode::Prefer,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::VerifyCa => PgSslMode::VerifyCa,
            TlsMode::VerifyFull => PgSslMode::VerifyFull,
        })
    }

    /// The URL that leads there in one mode, whatever the reader's own default.
    pub(super) fn url(&self, tls: TlsMode) -> String {
        let separator = if self.base.ends_with('?') { "" } else { "&" };
        format!("{}{separator}sslmode={tls}", self.base)
    }
}

/// The default where nothing was asked for: what leaves this machine is
/// encrypted, and verified where there is something to verify it by.
fn required(asked: Option<TlsMode>, has_roots: bool, is_local: bool) -> TlsMode {
    match asked {
        // As libpq does: whoever names a certificate authority wants it asked.
        Some(TlsMode::Require) if has_roots => TlsMode::VerifyCa,
        Some(asked) => asked,
        None if has_roots => TlsMode::VerifyFull,
        None if is_local => TlsMode::Prefer,
        None => TlsMode::Require,
    }
}

fn mode(value: &str) -> Result<TlsMode, Failure> {
    Ok(match value.to_ascii_lowercase().as_str() {
        "disable" => TlsMode::Disable,
        // Plaintext first would be readable first: TLS is tried first here.
        "allow" | "prefer" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        _ => {
            let why = format!(
                "its URL has sslmode={value}, which is none of disable, allow, prefer, require, \
                 verify-ca and verify-full"
            );
            return Err(Failure::new(FailureClass::Tls, why));
        }
    })
}

/// The driver reads the variable, as every client of PostgreSQL does.
#[expect(clippy::disallowed_methods, reason = "what the driver reads must be known here")]
fn are_roots_in_environment() -> bool {
    std::env::var_os("PGSSLROOTCERT").is_some()
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Says which file is missing, which the driver's error does not.
fn readable(name: &str, value: &str) -> Result<(), Failure> {
    // The driver takes a certificate itself, too.
    if value.contains("-----BEGIN") {
        return Ok(());
    }
    let opened = std::fs::File::open(Path::new(value)).map(drop);
    opened.map_err(|error| {
        Failure::new(
            FailureClass::Tls,
            format!("{name} names {value}, which cannot be read: {error}"),
        )
    })
}

/// What `application/x-www-form-urlencoded` says, as the driver reads it.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        let digits = rest.as_slice().get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (byte, digits.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(escaped)) => {
                bytes.push(escaped);
                rest.nth(1);
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Address {
        Address::read(url).unwrap_or_else(|failure| panic!("{url}: {}", failure.cause))
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_the_url_says_otherwise() {
        let roots = concat!("sslrootcert=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for (url, tls) in [
            ("postgres://u@127.0.0.1/d", TlsMode::Prefer),
            ("postgres://u@[::1]/d", TlsMode::Prefer),
            ("postgres://u@localhost/d", TlsMode::Prefer),
            ("postgres:///d?host=/run/postgresql", TlsMode::Disable),
            ("postgres://u@db.example/d", TlsMode::Require),
            ("postgres://u@10.0.0.1/d", TlsMode::Require),
            ("postgres://u@db.example/d?sslmode=disable", TlsMode::Disable),
            ("postgres://u@db.example/d?sslmode=prefer", TlsMode::Prefer),
            ("postgres://u@db.example/d?sslmode=allow", TlsMode::Prefer),
            ("postgres://u@db.example/d?sslmode=verify-ca", TlsMode::VerifyCa),
            ("postgres://u@db.example/d?sslrootcert=system", TlsMode::VerifyFull),
            ("postgres://u@127.0.0.1/d?sslmode=require&sslrootcert=system", TlsMode::VerifyCa),
        ] {
            assert_eq!(read(url).tls, tls, "{url}");
        }
        assert_eq!(read(&format!("postgres://u@db.example/d?{roots}")).tls, TlsMode::VerifyFull);
        let resolved = read("postgres://u@db.example/d?sslmode=prefer&a=b").url(TlsMode::Require);
        assert_eq!(resolved, "postgres://u@db.example/d?a=b&sslmode=require");
    }

    #[test]
    fn what_would_weaken_the_protection_is_never_passed_over() {
        for (url, why) in [
            ("postgres://u@h/d?sslmode=on", "sslmode=on"),
            ("postgres://u@h/d?sslcrl=/x", "sslcrl"),
            ("postgres://u@h/d?channel_binding=require", "channel_binding"),
            ("postgres://u@h/d?sslrootcert=/no/such/ca.pem", "/no/such/ca.pem"),
        ] {
            let refused = Address::read(url).unwrap_err();
            assert_eq!(refused.class, FailureClass::Tls, "{url}");
            assert!(refused.cause.to_string().contains(why), "{url}: {}", refused.cause);
        }
    }

    #[test]
    fn settings_are_taken_out_of_the_start_up_packet() {
        let address = read(
            "postgres://u@h/d?options=-c%20search_path%3Dmine%20--work-mem=1MB%20endpoint%3Dx\
             &options[jit]=on&application_name=y",
        );
        assert_eq!(address.session.search_path(), "mine");
        assert!(!address.session.owns_schema());
        assert!(address.session.sql().contains("'work_mem', '1MB'"), "{}", address.session.sql());
        assert_eq!(address.options.get_options(), Some("endpoint=x"));
        let plain = read("postgres://u@h/d");
        assert_eq!((plain.session.search_path(), plain.options.get_options()), ("gyre", None));
    }
}
