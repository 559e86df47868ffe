//! Files on a real disk, read by this crate and by those that people use.

mod cache;
mod faults;
mod frozen;
mod groups;
mod handles;
mod parts;
mod python;
mod scenario;
mod shards;
mod templates;
