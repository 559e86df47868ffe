//! How what is said to a PostgreSQL server is protected on its way.

use std::fmt;

/// The modes of `sslmode`, from none to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsMode {
    /// Plaintext.
    Disable,
    /// TLS where the server offers it.
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS, with a certificate that a known authority signed.
    VerifyCa,
    /// The same, and the certificate names the host.
    VerifyFull,
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        })
    }
}

/// What is in force between this process and a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// On the way to what answers at the URL's address: never
    /// [`TlsMode::Prefer`], which was decided when the database was opened.
    pub mode: TlsMode,
    /// Whether that is on this machine.
    pub is_local: bool,
    /// What the server says of its side (`pg_stat_ssl`); nothing where it sees
    /// plaintext. A pooler in between has two sides.
    pub server: Option<ServerTls>,
}

/// What a server says of the TLS of its side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// The cipher.
    pub cipher: String,
    /// Whom the client's certificate names, where there was one.
    pub client: Option<String>,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.is_local { "on this machine" } else { "over the network" };
        match self.mode {
            TlsMode::Disable | TlsMode::Prefer => write!(f, "without TLS, {place}")?,
            TlsMode::Require => write!(f, "TLS, server not verified")?,
            TlsMode::VerifyCa => write!(f, "TLS, server verified by its authority")?,
            TlsMode::VerifyFull => write!(f, "TLS, server verified by authority and name")?,
        }
        match (&self.server, self.mode > TlsMode::Prefer) {
            (Some(server), encrypted) => {
                let pooler = if encrypted { "" } else { "; from a pooler to the server: TLS" };
                write!(f, "{pooler} ({}, {})", server.version, server.cipher)?;
                match &server.client {
                    Some(client) => write!(f, ", client certificate {client}"),
                    None => Ok(()),
                }
            }
            (None, true) => f.write_str("; from a pooler to the server: without TLS"),
            (None, false) => Ok(()),
        }
    }
}
