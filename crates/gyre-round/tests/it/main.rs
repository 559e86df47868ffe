//! The pure half of a round, through its public face.

mod alarm;
mod budget;
mod curation;
mod curriculum;
mod evaluation;
mod gate;
mod schedule;
mod statistics;
