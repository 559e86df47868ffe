//! Runs real guests and asserts what they did.

mod advisories;
mod bounds;
mod cache;
mod determinism;
mod forged;
#[cfg(target_os = "linux")]
mod hostile;
mod library;
mod plugin;
mod plugin_fixture;
mod sessions;
mod stack;
mod support;
mod surroundings;
mod values;
#[cfg(target_os = "linux")]
mod workers;
mod workspace;
