//! What a promotion is handed over to.

use gyre_lineage::NewHandover;
use gyre_train::PromotionHookConfig;
use gyre_types::{CheckpointId, Digest};
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What each promotion notifies. Never changes a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromotionSettings {
    /// A command that is run for each new champion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<PromotionHookConfig>,
    /// A service that gets a signed request for each new champion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSettings>,
    /// How often each is tried before Gyre leaves it to `gyre handovers --deliver`.
    /// The time between two attempts doubles from 1 s to 5 min. Default: 20.
    pub attempts_max: u32,
}

impl Default for PromotionSettings {
    fn default() -> Self {
        Self { hook: None, webhook: None, attempts_max: 20 }
    }
}

/// `[promotion.webhook]`: a POST with a document that describes the promotion. A 2xx
/// answer means that it was taken; redirects are not followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where to: `https://…`, or `http://…` on this machine.
    pub url: String,
    /// The environment variable that holds the key of the signature.
    pub secret_env: String,
    /// Seconds until an answer must be there. Default: 30.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: u64,
}

fn default_timeout_seconds() -> u64 {
    30
}

/// The names of the targets in the lineage.
pub(crate) const HOOK: &str = "hook";
pub(crate) const WEBHOOK: &str = "webhook";

impl PromotionSettings {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What a promotion is handed over to, for the commit that records it.
    pub(crate) fn handovers(&self, round: u32, champion: &CheckpointId) -> Vec<NewHandover> {
        let hook = self.hook.as_ref().map(|hook| (HOOK, Digest::of_json(hook)));
        let webhook = self.webhook.as_ref().map(|webhook| (WEBHOOK, Digest::of_json(webhook)));
        let new = |(target, target_digest): (&str, Digest)| NewHandover {
            round,
            target: target.to_owned(),
            champion: champion.clone(),
            target_digest,
        };
        hook.into_iter().chain(webhook).map(new).collect()
    }

    /// Says which value is out of its bounds.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        if !(1..=1_000).contains(&self.attempts_max) {
            let why = format!("is {}, not between 1 and 1000", self.attempts_max);
            return Err(("promotion.attempts_max", why));
        }
        if let Some(hook) = &self.hook
            && !(1..=86_400).contains(&hook.time_limit_seconds)
        {
            let why = format!("is {}, not between 1 and 86400", hook.time_limit_seconds);
            return Err(("promotion.hook.time_limit_seconds", why));
        }
        let Some(webhook) = &self.webhook else { return Ok(()) };
        if !(1..=600).contains(&webhook.timeout_seconds) {
            let why = format!("is {}, not between 1 and 600", webhook.timeout_seconds);
            return Err(("promotion.webhook.timeout_seconds", why));
        }
        if webhook.secret_env.is_empty() {
            let why = "names no variable; every webhook is signed".to_owned();
            return Err(("promotion.webhook.secret_env", why));
        }
        check_url(&webhook.url).map_err(|why| ("promotion.webhook.url", why))
    }
}

fn check_url(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("is {text:?}, no address: {error}"))?;
    // The configuration is recorded and shown.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or a password, which would be recorded and shown; the \
                    signature tells who sends"
            .to_owned());
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here => Ok(()),
        "http" => Err(format!("is {text:?}: what leaves this machine must be sent by https")),
        _ => Err(format!("is {text:?}, not https://…")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_encrypted_leaves_this_machine() {
        for url in [
            "https://deploy.example/hooks/gyre?team=1",
            "http://127.0.0.1:9000/x",
            "http://[::1]:9000",
            "http://localhost/x",
        ] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
        for (url, word) in [
            ("http://deploy.example/x", "https"),
            ("http://10.0.0.1/x", "https"),
            ("http://localhost.evil.example/x", "https"),
            ("https://me:secret@deploy.example", "user or a password"),
            ("ftp://deploy.example", "https"),
            ("deploy.example/x", "no address"),
        ] {
            let why = check_url(url).unwrap_err();
            assert!(why.contains(word) && !why.contains("secret@"), "{why}");
        }
    }
}
