use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Digest;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind} id ({kind} ids look like {example})")]
pub struct IdError {
    /// The kind of id that was expected.
    pub kind: &'static str,
    /// The text that was refused.
    pub text: String,
    /// What such an id looks like.
    pub example: &'static str,
}

/// Defines an id that is derived from content: a prefix and 16 hexadecimal
/// digits (64 bits: a collision among 10^6 ids has probability below 3e-8, and
/// the stores' unique keys would refuse it).
macro_rules! content_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// The id of the thing with this digest.
            pub fn from_digest(digest: &Digest) -> Self {
                Self(format!("{}{}", Self::PREFIX, &digest.to_hex()[..16]))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let well_formed = text.strip_prefix(Self::PREFIX).is_some_and(|hex| {
                    hex.len() == 16 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                });
                if well_formed {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError {
                        kind: $kind,
                        text: text.chars().take(80).collect(),
                        example: concat!($prefix, "0123456789abcdef"),
                    })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

content_id! {
    /// A task, by the digest of its content.
    TaskId, "task", "task-"
}
content_id! {
    /// A rollout, by run fingerprint, round, purpose, task and sample: a retry keeps it.
    RolloutId, "rollout", "roll-"
}
content_id! {
    /// A Parquet shard, by its content.
    ShardId, "shard", "shard-"
}
content_id! {
    /// A Parquet file of rollout bodies, by its content.
    PartId, "part", "part-"
}
content_id! {
    /// A checkpoint, by the digest of its files.
    CheckpointId, "checkpoint", "ckpt-"
}

/// One run of the loop in a data folder: the configured name and an ordinal,
/// such as `quickstart-1`.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// The `ordinal`-th run of the configuration `name`.
    ///
    /// # Errors
    ///
    /// When the name is empty, longer than 64 bytes, or has characters other
    /// than `a-z`, `0-9` and `-`.
    pub fn new(name: &str, ordinal: u32) -> Result<Self, IdError> {
        format!("{name}-{ordinal}").parse()
    }

    /// The id as text; safe as a folder name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let name_and_ordinal = text.rsplit_once('-').is_some_and(|(name, ordinal)| {
            !name.is_empty() && !name.starts_with('-') && ordinal.parse::<u32>().is_ok()
        });
        if name_and_ordinal && text.len() <= 76 && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError {
                kind: "run",
                text: text.chars().take(80).collect(),
                example: "quickstart-1",
            })
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
