use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How `gyre serve` is reached. Never changes a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Address and port to listen on. Any address but loopback demands a token.
    pub listen: String,
    /// The environment variable that holds the token. Writes need the token
    /// always; without one, nothing can be written over HTTP.
    pub token_env: String,
    /// Names under which the service is reached, beside `localhost` and plain
    /// addresses. Requests for other names are refused.
    pub hosts: Vec<String>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8500".to_owned(),
            token_env: "GYRE_SERVER_TOKEN".to_owned(),
            hosts: vec![],
        }
    }
}

impl ServerSettings {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
