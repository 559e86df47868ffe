//! `gyre verifier …`: one module for what belongs together.

mod corpus;

use crate::args::{Global, VerifierCommand};

pub(crate) fn verifier(global: &Global, command: VerifierCommand) -> anyhow::Result<()> {
    match command {
        VerifierCommand::Corpus(args) => corpus::corpus(global, &args),
    }
}
