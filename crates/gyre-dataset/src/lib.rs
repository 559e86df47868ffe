//! Parquet on disk: the bodies of rollouts, the published dataset, its folder.
//!
//! - A *part* ([`write_part`], [`read_part`]) holds whole [`gyre_types::RolloutRecord`]s,
//!   for replay and audit.
//! - A *shard* ([`DatasetWriter`] → [`SealedShard`] → [`PublishedShard`]) holds
//!   [`DatasetRow`]s, for whoever trains.
//! - A [`Layout`] is a run's dataset: an ordinary Hugging Face dataset folder.
//!
//! Invariants:
//! - A file appears whole or not at all: temporary file, footer, fsync, reopen
//!   and verify, rename, fsync of the folder. It *counts* only once the lineage
//!   names it; [`collect_garbage`] removes what no transaction named.
//! - The same rows give the same bytes.
//! - No row of a held-out task and no row without a verdict is ever written.
//! - Nothing here can name a grading key, and a row's checks say nothing of
//!   what they saw.
//! - Readers stream: no dataset is ever in memory.
//!
//! Nothing outside this crate names arrow or parquet.

mod accepted;
mod card;
mod columns;
mod encode;
mod error;
mod file;
mod garbage;
mod layout;
mod part;
mod read;
mod row;
mod shard;
mod source;
mod stats;
mod verify;
mod view;

pub use card::Card;
pub use error::{DatasetError, Fault};
pub use file::digest_file;
pub use garbage::{collect_garbage, find_garbage};
pub use layout::{Layout, Manifest, ManifestShard};
pub use part::{PartFile, PartReader, read_answers, read_part, read_record, write_part};
pub use read::{RowReader, head, read_shard};
pub use row::{CheckMark, DatasetRow, RowSource};
pub use shard::{DatasetWriter, PublishedShard, SealedShard};
pub use source::Source;
pub use stats::{Quantiles, Stats, stats};
pub use verify::{Problem, verify_dataset};
pub use view::{ManifestView, View};
