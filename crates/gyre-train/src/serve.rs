//! A model server that Gyre starts, watches, replaces and stops.

mod config;
mod ready;
mod server;
mod slot;
mod target;

pub use config::ServeConfig;
pub use server::Server;
pub use slot::ServerSlot;
pub use target::Target;
