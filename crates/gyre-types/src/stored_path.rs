use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The path by which a lineage names a file of its data folder: relative to the
/// folder, and text that whoever writes to the database chose.
///
/// It is no path of the system and does not become one by itself: nothing here
/// gives a [`std::path::Path`], so it cannot be joined to a folder. The data
/// folder opens it, and refuses what leads out.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct StoredPath(String);

impl StoredPath {
    /// A path as it is recorded.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text, to record or to show.
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// Its last part; empty where it has none.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for StoredPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
