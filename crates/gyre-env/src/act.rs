use gyre_types::Step;

use crate::observation::Observation;

/// The id of a call, which its answer must name; none for a message that calls no
/// tool.
pub(crate) type CallId = Option<String>;

/// What is done about a call.
#[derive(Debug)]
pub(crate) enum Act {
    /// It is answered at once.
    Observe(Observation),
    /// These steps are run in the agent's guest, and answer it.
    Run(Vec<Step>),
    /// It hands in the answer, and ends the episode.
    Submit,
}
