//! The pure half of a round, through its public face.

mod alarm;
mod budget;
mod curation;
mod curriculum;
mod gate;
mod schedule;
mod statistics;
