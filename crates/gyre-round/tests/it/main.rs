//! The pure half of a round, through its public face.

mod alarm;
mod curation;
mod curriculum;
mod gate;
mod schedule;
mod statistics;
