//! Real programs, real processes, real signals: trainers and servers as people write
//! them, and as they go wrong.

mod checkpoints;
mod hooks;
mod kills;
mod servers;
mod support;
mod trainers;
