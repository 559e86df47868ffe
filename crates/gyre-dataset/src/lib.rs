//! Parquet on disk: the bodies of rollouts, the published dataset, its folder.
//!
//! - A *part* ([`write_part`], [`read_part`]) holds whole [`gyre_types::RolloutRecord`]s,
//!   for replay and audit.
//! - A *shard* ([`ShardWriter`] → [`SealedShard`] → [`PublishedShard`]) holds the
//!   accepted [`DatasetRow`]s of a round, or the [`GroupRow`]s of all its attempts that
//!   have a verdict, for whoever trains.
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
mod chat;
mod columns;
mod decimals;
mod encode;
mod error;
mod file;
mod garbage;
mod group;
mod head;
mod layout;
mod manifest;
mod part;
mod published;
mod read;
mod row;
mod shard;
mod source;
mod stats;
mod turns;
mod verify;
mod view;

pub use card::Card;
pub use error::{DatasetError, Fault};
pub use file::digest_file;
pub use garbage::{collect_garbage, find_garbage};
pub use group::GroupRow;
pub use head::{head, head_of_groups};
pub use layout::Layout;
pub use manifest::{Manifest, ManifestShard, ManifestView, View};
pub use part::{PartFile, PartReader, read_answers, read_part, read_record, write_part};
pub use read::{RowReader, read_groups, read_shard};
pub use row::{CheckMark, DatasetRow, RowSource};
pub use shard::{DatasetWriter, GroupWriter, PublishedShard, SealedShard, ShardWriter};
pub use source::Source;
pub use stats::{Quantiles, Stats, stats};
pub use turns::{RowTurn, find_branches};
pub use verify::{Problem, verify_dataset};
