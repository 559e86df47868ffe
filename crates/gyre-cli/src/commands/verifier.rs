//! `gyre verifier …`: one module for what belongs together.

mod audit;
mod author;
mod corpus;
mod golden;
mod planted;
mod project;
mod registry;
pub(crate) mod revoke;
mod watch;

use crate::args::{Global, VerifierCommand};

pub(crate) fn verifier(global: &Global, command: VerifierCommand) -> anyhow::Result<()> {
    match command {
        VerifierCommand::New(args) => author::new(global, &args),
        VerifierCommand::Check(args) => author::check(global, &args),
        VerifierCommand::Test(args) => author::test(global, &args),
        VerifierCommand::Revoke(args) => revoke::revoke_verifier(global, &args),
        VerifierCommand::Audit(args) => audit::audit(global, &args),
        VerifierCommand::Register(args) => registry::register(global, &args),
        VerifierCommand::Ls => registry::ls(global),
        VerifierCommand::Corpus(args) => corpus::corpus(global, &args),
    }
}
