//! One module for each command.

mod audit;
mod bench;
mod bench_workers;
mod config;
mod dataset;
mod db;
mod diff;
mod doctor;
mod evaluate;
mod gc;
pub(crate) mod handovers;
mod judge;
mod model;
mod promote;
mod query;
mod replay;
mod rollouts;
mod run;
mod scheduler;
mod serve;
mod show;
mod status;
mod task;
mod top;
mod verifier;
mod worker;

use crate::args::{Args, Command};

/// Does what was asked for.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let Args { global, command } = args;
    match command {
        Command::Run(args) => run::run(&global, &args),
        Command::Serve(args) => serve::serve(&global, &args),
        Command::Worker(args) => worker::worker(&global, &args),
        Command::Schedule(command) => scheduler::schedule(&global, &command),
        Command::Top(args) => top::top(&global, &args),
        Command::Status => status::status(&global),
        Command::Rounds(args) => status::rounds(&global, args.run.as_ref()),
        Command::Show(args) => show::show(&global, &args),
        Command::Rollouts(args) => rollouts::rollouts(&global, &args),
        Command::Diff(args) => diff::diff(&global, &args),
        Command::Query(args) => query::query(&global, &args),
        Command::Db(command) => db::db(&global, command),
        Command::Promote(args) => promote::promote(&global, &args),
        Command::Handovers(args) => handovers::handovers(&global, &args),
        Command::Gc(args) => gc::gc(&global, &args),
        Command::Replay(args) => replay::replay(&global, &args),
        Command::Evaluate(args) => evaluate::evaluate(&global, &args),
        Command::Lineage(args) => show::lineage(&global, &args),
        Command::Audit(args) => audit::audit(&global, &args),
        Command::Dataset(command) => dataset::dataset(&global, command),
        Command::Task(command) => task::task(&global, command),
        Command::Verifier(command) => verifier::verifier(&global, command),
        Command::Model(command) => model::model(&global, &command),
        Command::Judge(args) => judge::judge(&global, &args),
        Command::Doctor => doctor::doctor(&global),
        Command::Config(command) => config::config(&global, command),
        Command::Bench(args) if args.workers => bench_workers::bench(&global),
        Command::Bench(args) => bench::bench(&global, &args),
    }
}
