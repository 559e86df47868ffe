//! Who may ask: names, origins and the token.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{self, HeaderMap};
use axum::http::{Method, StatusCode};

use crate::failure::Failure;
use crate::token::Token;

/// The rules of one service.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) listen: SocketAddr,
    pub(crate) hosts: Vec<String>,
    pub(crate) token: Option<Token>,
    /// Where the token would come from, for messages.
    pub(crate) token_env: String,
}

pub(crate) const COOKIE: &str = "gyre_session";

impl Guard {
    /// Refuses a request by its names, its origin or its token.
    pub(crate) fn check(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<(), Failure> {
        let host = self.check_host(headers)?;
        check_origin(headers, host)?;
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let signs_in = path == "/login";
        if !reads && !signs_in {
            return self.check_token(headers);
        }
        let open =
            signs_in || matches!(path, "/healthz" | "/livez") || path.starts_with("/assets/");
        if open || self.listen.ip().is_loopback() { Ok(()) } else { self.check_token(headers) }
    }

    /// A name that an attacker's DNS may point here is none of ours; a plain
    /// address cannot be rebound.
    fn check_host<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, Failure> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next().and_then(|h| h.to_str().ok()), hosts.next()) else {
            return Err(Failure::bad("bad_host", "one Host header is asked for"));
        };
        let name = host_name(host);
        let is_address = name.parse::<IpAddr>();
        let ours = match is_address {
            Ok(address) => !self.listen.ip().is_loopback() || address.is_loopback(),
            Err(_) => {
                name.eq_ignore_ascii_case("localhost")
                    || self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
            }
        };
        if ours {
            return Ok(host);
        }
        let detail = "this service does not go by that name; `server.hosts` lists its names";
        Err(Failure::new(StatusCode::FORBIDDEN, "foreign_host", detail))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(token) = &self.token else {
            let detail = format!(
                "nothing can be started here: the service has no token ({} is not set)",
                self.token_env
            );
            return Err(Failure::new(StatusCode::FORBIDDEN, "no_token_configured", detail));
        };
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_some_and(|text| token.admits(text)) {
            return Ok(());
        }
        if cookie(headers).is_some_and(|text| token.admits_cookie(text)) {
            return Ok(());
        }
        let detail = "the token is asked for: sign in at /login, or send `Authorization: Bearer`";
        Err(Failure::new(StatusCode::UNAUTHORIZED, "token_required", detail))
    }

    /// Whether this caller showed the token.
    pub(crate) fn is_signed_in(&self, headers: &HeaderMap) -> bool {
        self.check_token(headers).is_ok()
    }
}

/// A browser says where a request comes from; anything but a page of this very
/// service is refused, whatever the method.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), Failure> {
    let foreign = |detail: &str| Failure::new(StatusCode::FORBIDDEN, "foreign_origin", detail);
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let own = ["http://", "https://"].iter().any(|scheme| {
            origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host))
        });
        if !own {
            return Err(foreign("the request comes from a page of another site"));
        }
    }
    let fetched_from = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    match fetched_from {
        Some("cross-site" | "same-site") if !navigates => {
            Err(foreign("a page of another site asks for this"))
        }
        _ => Ok(()),
    }
}

/// The name in a Host header, without port or brackets.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(name, _)| name);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|text| text.split(';')).filter_map(|p| p.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn guard(listen: &str) -> Guard {
        Guard {
            listen: listen.parse().unwrap(),
            hosts: vec!["gyre.example".to_owned()],
            token: Some(Token::new("0123456789abcdef").unwrap()),
            token_env: "T".to_owned(),
        }
    }

    fn code(
        guard: &Guard,
        method: Method,
        headers: &[(&'static str, &'static str)],
    ) -> &'static str {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        guard.check(&method, "/api/v1/runs", &map).map_or_else(|failure| failure.code, |()| "ok")
    }

    #[test]
    fn names_of_others_are_refused() {
        let guard = guard("127.0.0.1:8500");
        for host in ["localhost", "LOCALHOST:9000", "127.0.0.1:8500", "[::1]:8500", "gyre.example"]
        {
            assert_eq!(code(&guard, Method::GET, &[("host", host)]), "ok", "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example:8500", "10.0.0.1", "localhost.evil", ""]
        {
            assert_eq!(code(&guard, Method::GET, &[("host", host)]), "foreign_host", "{host}");
        }
        assert_eq!(code(&guard, Method::GET, &[]), "bad_host");
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(code(&guard, Method::GET, &two), "bad_host");
    }

    #[test]
    fn origins_of_others_are_refused() {
        let guard = guard("127.0.0.1:8500");
        let from =
            |origin| code(&guard, Method::GET, &[("host", "localhost:8500"), ("origin", origin)]);
        assert_eq!(from("http://localhost:8500"), "ok");
        for origin in
            ["http://evil.example", "null", "http://localhost:8501", "http://127.0.0.1:8500"]
        {
            assert_eq!(from(origin), "foreign_origin", "{origin}");
        }
        let site = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
        assert_eq!(code(&guard, Method::GET, &site), "foreign_origin");
    }

    #[test]
    fn the_token_is_asked_for_where_it_must_be() {
        let local = guard("127.0.0.1:8500");
        let open = guard("0.0.0.0:8500");
        let bare = [("host", "127.0.0.1")];
        let signed = [("host", "127.0.0.1"), ("authorization", "Bearer 0123456789abcdef")];
        assert_eq!(code(&local, Method::GET, &bare), "ok");
        assert_eq!(code(&local, Method::POST, &bare), "token_required");
        assert_eq!(code(&local, Method::POST, &signed), "ok");
        assert_eq!(code(&open, Method::GET, &bare), "token_required");
        assert_eq!(code(&open, Method::GET, &signed), "ok");
        let none = Guard { token: None, ..guard("127.0.0.1:8500") };
        assert_eq!(code(&none, Method::DELETE, &signed), "no_token_configured");
    }
}
