//! The JSON API: one table of routes, from which both the router and the OpenAPI
//! document are made.

mod approvals;
pub(crate) mod download;
mod lineage;
mod rollouts;
mod runs;
mod schedules;
mod tasks;
mod verifiers;
mod workers;

use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;
use axum::http::Uri;
use gyre_lineage::RunRow;
use serde_json::Value;

use crate::app::App;
use crate::failure::Failure;
use crate::filters::{ROLLOUT_PARAMS, TASK_PARAMS};
use crate::params::Params;

/// Edges of a lineage, each way.
pub(crate) const EDGES_MAX: u32 = 200;

/// The parts of a path, or why it has none.
pub(crate) type PathParts = Result<RawPathParams, RawPathParamsRejection>;

/// Reads what a route answers.
pub(crate) type Read = fn(&App, &Asked) -> Result<Value, Failure>;

/// What a request names: the parts of its path, and its query.
pub(crate) struct Asked {
    names: Vec<(String, String)>,
    pub(crate) params: Params,
    /// Whether the caller showed the token; told to pages alone.
    pub(crate) signed_in: bool,
}

impl Asked {
    pub(crate) fn new(path: PathParts, uri: &Uri, known: &[&str]) -> Result<Self, Failure> {
        let path = path.map_err(|_| Failure::bad("bad_id", "the path is no UTF-8 text"))?;
        let names = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { names, params: Params::of(uri, known)?, signed_in: false })
    }

    /// A part of the path.
    pub(crate) fn name(&self, name: &str) -> &str {
        let found = self.names.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The run that the path names.
    pub(crate) fn run(&self, app: &App) -> Result<RunRow, Failure> {
        app.run(self.name("run"))
    }

    /// A round's number in the path.
    pub(crate) fn round(&self) -> Result<u32, Failure> {
        let round = self.name("round").parse();
        round.map_err(|_| Failure::bad("bad_id", "a round is a number, such as 3"))
    }
}

/// How a route answers.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// One document.
    One(Read),
    /// A page of a list.
    List(Read),
    /// A list that is short, and whole.
    Whole(Read),
    /// Something that is changed, and what it is then.
    Change(Read),
    /// A change that takes long, with a handler of its own.
    Replay,
    /// Events, with a handler of its own.
    Stream,
    /// A shard's file.
    File,
    /// All published rows, as lines.
    Rows,
    /// The document that describes all of this.
    Document,
}

/// One route.
pub(crate) struct Route {
    /// From `/api/v1` on.
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    /// Query parameters beside those of every list.
    pub(crate) own: &'static [&'static str],
    pub(crate) kind: Kind,
}

const fn route(
    path: &'static str,
    summary: &'static str,
    own: &'static [&'static str],
    kind: Kind,
) -> Route {
    Route { path, summary, own, kind }
}

use Kind::{Change, List, One, Whole};

/// Every route of the API.
pub(crate) static ROUTES: [Route; 31] = [
    route("/openapi.json", "This document", &[], Kind::Document),
    route("/runs", "Runs, newest first", &[], List(runs::runs)),
    route("/runs/{run}", "A run and its champion", &[], One(runs::run)),
    route("/runs/{run}/rounds", "Rounds, the cold start first", &[], List(runs::rounds)),
    route("/runs/{run}/rounds/{round}", "A round, with its gate's record", &[], One(runs::round)),
    route(
        "/runs/{run}/rounds/{round}/approve",
        "Makes the candidate champion that passed the gate and waits for approval",
        &["by"],
        Change(approvals::approve),
    ),
    route(
        "/runs/{run}/rounds/{round}/decline",
        "Declines the candidate that waits for approval; the champion stays",
        &["by", "why"],
        Change(approvals::decline),
    ),
    route(
        "/runs/{run}/handovers",
        "What promotions were handed over to, and the last attempt at each",
        &[],
        Whole(approvals::handovers),
    ),
    route(
        "/runs/{run}/tasks",
        "Tasks by round and id, without keys",
        &TASK_PARAMS,
        List(tasks::tasks),
    ),
    route("/runs/{run}/tasks/{task}", "A task with its grading key", &[], One(tasks::task)),
    route(
        "/runs/{run}/rollouts",
        "Rollouts by round and id, each with its newest verdict",
        &ROLLOUT_PARAMS,
        List(rollouts::rollouts),
    ),
    route("/runs/{run}/rollouts/{rollout}", "A rollout, whole", &[], One(rollouts::rollout)),
    route(
        "/runs/{run}/rollouts/{rollout}/replay",
        "Runs a rollout again and compares every byte",
        &[],
        Kind::Replay,
    ),
    route(
        "/runs/{run}/verdicts",
        "All verdicts, corrections included",
        &[],
        List(rollouts::verdicts),
    ),
    route("/runs/{run}/shards", "Shards of the dataset", &[], List(runs::shards)),
    route("/runs/{run}/shards/{shard}/file", "A shard's Parquet file", &[], Kind::File),
    route("/runs/{run}/dataset/rows", "All published rows as JSON Lines", &[], Kind::Rows),
    route("/runs/{run}/checkpoints", "Checkpoints and training", &[], List(runs::checkpoints)),
    route(
        "/runs/{run}/lineage/{node}",
        "What something came from and what came of it",
        &[],
        One(lineage::lineage),
    ),
    route("/runs/{run}/log", "Recorded events in order", &["after"], List(runs::log)),
    route("/runs/{run}/events", "Events as they are recorded", &["after"], Kind::Stream),
    route("/verifiers", "Registered verifiers", &[], Whole(verifiers::verifiers)),
    route("/verifiers/{digest}", "A verifier with its scorecard", &[], One(verifiers::verifier)),
    route("/workers", "Workers, heard of last first", &[], Whole(workers::workers)),
    route("/schedules", "Schedules by name", &[], Whole(schedules::schedules)),
    route("/schedules/{schedule}", "A schedule", &[], One(schedules::schedule)),
    route(
        "/schedules/{schedule}/ticks",
        "Ticks that were decided on, newest first",
        &[],
        List(schedules::ticks),
    ),
    route(
        "/schedules/{schedule}/ticks/{tick}",
        "A tick and what happened to it",
        &[],
        One(schedules::tick),
    ),
    route("/schedules/{schedule}/run-now", "Makes a tick due now", &[], Change(schedules::run_now)),
    route(
        "/schedules/{schedule}/pause",
        "Lets no tick begin until it is resumed",
        &["why"],
        Change(schedules::pause),
    ),
    route(
        "/schedules/{schedule}/resume",
        "Lets it tick again from now on",
        &[],
        Change(schedules::resume),
    ),
];
