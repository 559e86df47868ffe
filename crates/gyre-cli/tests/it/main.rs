//! The whole program, driven as people drive it: real runs, real files, real
//! databases, real signals.

mod alarms;
mod audits;
mod backups;
mod bad_input;
mod browser;
mod configs;
mod corrupt;
mod crash;
mod faults;
mod hosts;
mod http;
mod inspect;
mod judging;
mod loop_;
#[path = "../../../gyre-sandbox/tests/it/plugin_fixture.rs"]
mod plugin_fixture;
mod postgres;
mod revoke;
mod schedules;
mod serve;
mod serve_pages;
mod support;
mod tasks;
mod verifiers;
mod workers;
