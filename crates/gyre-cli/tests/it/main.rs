//! The whole program, driven as people drive it: real runs, real files, real
//! databases, real signals.

mod alarms;
mod audits;
mod backups;
mod bad_input;
mod browser;
mod buckets;
mod configs;
mod corrupt;
mod crash;
mod evaluate;
mod faults;
mod gc;
mod groups;
mod hostile;
mod hosts;
mod http;
mod inspect;
mod judge_faults;
mod judging;
mod learns;
mod links;
mod long_run;
mod loop_;
mod lost;
mod model_faults;
mod model_kills;
mod model_loop;
mod model_server;
mod models;
mod named_models;
mod openapi;
#[path = "../../../gyre-sandbox/tests/it/plugin_fixture.rs"]
mod plugin_fixture;
mod plugins;
mod postgres;
mod promotions;
mod published;
mod revoke;
mod sandboxes;
mod schedule_pages;
mod schedules;
#[path = "../../../gyre-model/tests/it/server.rs"]
#[expect(dead_code, unused_imports, reason = "the tests of gyre-model use the rest")]
mod scripted_server;
mod seals;
mod serve;
mod serve_pages;
mod siege;
mod support;
mod tasks;
mod top;
mod traces;
mod verifiers;
#[path = "../../../gyre-model/tests/it/wire.rs"]
mod wire;
mod workers;
