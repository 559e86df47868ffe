//! The whole program, driven as people drive it: real runs, real files, real
//! databases, real signals.

mod bad_input;
mod configs;
mod corrupt;
mod crash;
mod loop_;
mod postgres;
mod support;
mod tasks;
