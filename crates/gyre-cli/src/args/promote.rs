use std::path::PathBuf;

use clap::Parser;
use gyre_types::RunId;

/// A candidate that waits, and what is said of it.
#[derive(Debug, Parser)]
pub(crate) struct PromoteArgs {
    /// The candidate (ckpt-…, or the start of its id), or the run that waits.
    pub(crate) id: String,
    /// Leave the champion as it is.
    #[arg(long)]
    pub(crate) decline: bool,
    /// Who says so; by default the user and host that run this.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// Why the candidate is declined.
    #[arg(long, value_name = "WHY", requires = "decline")]
    pub(crate) why: Option<String>,
}

/// Whose hand-overs, and whether to make them.
#[derive(Debug, Parser)]
pub(crate) struct HandoversArgs {
    /// The run; the newest by default.
    pub(crate) run: Option<RunId>,
    /// Try what is not delivered again now, however often it was tried.
    #[arg(long)]
    pub(crate) deliver: bool,
    /// Deliver to what `[promotion]` of this configuration names, instead of what the run was
    /// begun with.
    #[arg(long, value_name = "FILE", requires = "deliver")]
    pub(crate) config: Option<PathBuf>,
}
