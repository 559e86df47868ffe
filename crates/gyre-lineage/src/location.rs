use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the lineage is kept: a SQLite file or a PostgreSQL server.
///
/// Shown and debugged without its password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, created where missing; its folder must exist.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database?options`.
    Postgres(String),
}

/// A text that names no database that Gyre can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database {shown:?} is neither postgres://USER:PASSWORD@HOST:PORT/DATABASE nor sqlite:PATH"
)]
pub struct DatabaseUrlError {
    /// What was given, without its password.
    pub shown: String,
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || DatabaseUrlError { shown: redact(text) };
        match text.split_once(':') {
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                Ok(Self::Postgres(text.to_owned()))
            }
            Some(("sqlite", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() { Err(refuse()) } else { Ok(Self::Sqlite(path.into())) }
            }
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => f.write_str(&redact(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// Replaces what stands between the user and the last `@` of the authority,
/// and the value of any option that holds a secret.
fn redact(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(s, r)| (s, r));
    let (address, options) = match rest.split_once('?') {
        Some((address, options)) => (address, Some(options)),
        None => (rest, None),
    };
    // An unescaped `/`, `?` or `@` in a password must not let any of it through.
    let address = match rest.rsplit_once('@') {
        Some((user_info, _)) => {
            let user = user_info.split(':').next().unwrap_or_default();
            let host = address.rsplit_once('@').map_or("", |(_, host)| host);
            if user.len() == user_info.len() {
                format!("{user}@{host}")
            } else {
                format!("{user}:***@{host}")
            }
        }
        None => address.to_owned(),
    };
    let separator = if scheme.is_empty() { "" } else { "://" };
    let options = options.map(|options| {
        let shown: Vec<_> = options.split('&').map(redact_option).collect();
        format!("?{}", shown.join("&"))
    });
    format!("{scheme}{separator}{address}{}", options.unwrap_or_default())
}

fn redact_option(option: &str) -> String {
    match option.split_once('=') {
        Some((name, value)) if is_secret(name) || value.contains("BEGIN") => format!("{name}=***"),
        // The tail of a password that held a `?` would look like an option.
        _ if option.contains('@') => "***".to_owned(),
        _ => option.to_owned(),
    }
}

fn is_secret(name: &str) -> bool {
    ["password", "sslpassword"].iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_kinds() {
        assert_eq!("sqlite:a/b.db".parse(), Ok(DatabaseUrl::Sqlite("a/b.db".into())));
        assert_eq!("sqlite:///a/b.db".parse(), Ok(DatabaseUrl::Sqlite("/a/b.db".into())));
        let url = "postgresql://localhost/gyre";
        assert_eq!(url.parse(), Ok(DatabaseUrl::Postgres(url.to_owned())));
        for bad in ["", "sqlite:", "mysql://u:hunter2@h/d", "postgres:gyre", "runs.db"] {
            let error = bad.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn never_shows_a_password() {
        for (url, shown) in [
            ("postgres://ann:hunter2@db:5432/gyre", "postgres://ann:***@db:5432/gyre"),
            ("postgres://ann@db/gyre", "postgres://ann@db/gyre"),
            ("postgres://db/gyre?password=hunter2&x=1", "postgres://db/gyre?password=***&x=1"),
            ("postgres://db/gyre?sslpassword=hunter2", "postgres://db/gyre?sslpassword=***"),
            ("postgres://db/d?sslkey=-----BEGIN+KEY-----hunter2", "postgres://db/d?sslkey=***"),
            ("postgres://ann:hunter2@@db/gyre", "postgres://ann:***@db/gyre"),
            ("postgres://ann:x/hunter2@db/gyre", "postgres://ann:***@db/gyre"),
        ] {
            let url: DatabaseUrl = url.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("DatabaseUrl({shown})"));
        }
        let odd: DatabaseUrl = "postgres://ann:a?hunter2@db/gyre".parse().unwrap();
        assert!(!odd.to_string().contains("hunter2"), "{odd}");
    }
}
