//! What a run tells those who watch it.

use gyre_lineage::{AlarmRow, HandoverRow};
use gyre_round::{RoundEvent, RoundState};
use gyre_types::RunId;

use crate::summary::RoundSummary;

/// Something to show. Watching changes nothing.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The Python guest is being compiled for this machine; happens once.
    CompilingGuest {
        /// From 0 to 1.
        done: f32,
    },
    /// A compiled guest was damaged and removed; it is compiled again.
    GuestDiscarded {
        /// The file.
        path: &'a std::path::Path,
        /// What was wrong with it.
        reason: &'a str,
    },
    /// The compiled guest is not kept, and is compiled again each time: other
    /// users could replace what is in its folder.
    GuestNotKept {
        /// The folder that they could change.
        path: &'a std::path::Path,
        /// How.
        reason: &'a str,
    },
    /// Layers of defence that this machine does not give the sandbox's workers:
    /// told once, when the sandbox is opened.
    LayersMissing {
        /// Which, and why.
        layers: &'a [&'a gyre_sandbox::Layer],
    },
    /// A verifier that is a component is being compiled for this machine;
    /// happens once for each.
    CompilingVerifier {
        /// From 0 to 1.
        done: f32,
    },
    /// A run begins or goes on.
    RunStarted {
        /// The run.
        run: &'a RunId,
        /// Rounds planned, beside the cold start.
        rounds: u32,
        /// Whether it goes on from an earlier process.
        resumed: bool,
    },
    /// An event became durable.
    Recorded {
        /// The run.
        run: &'a RunId,
        /// Its number in the run.
        seq: u64,
        /// The round.
        round: u32,
        /// The event.
        event: &'a RoundEvent,
        /// The round after it.
        state: &'a RoundState,
    },
    /// Something about a verifier was noticed and recorded.
    Alarmed {
        /// The run.
        run: &'a RunId,
        /// What.
        alarm: &'a AlarmRow,
    },
    /// Work goes on inside an action.
    Working {
        /// The round.
        round: u32,
        /// What is being done, such as `training`.
        what: &'static str,
        /// Units done.
        done: u64,
        /// Units in all.
        total: u64,
    },
    /// A promotion was handed over, or could not be.
    HandedOver {
        /// The hand-over, with the attempt that was just made.
        handover: &'a HandoverRow,
    },
    /// A round is over.
    RoundFinished {
        /// The run.
        run: &'a RunId,
        /// What came of it.
        summary: &'a RoundSummary,
    },
}

/// Watches a run; told from the driver's thread.
pub trait Observer: Send {
    /// Takes in one thing.
    fn observe(&mut self, progress: &Progress<'_>);
}

/// Watches nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&mut self, _progress: &Progress<'_>) {}
}

/// Tells of work that goes on inside an action.
pub(crate) fn working(
    observer: &mut dyn Observer,
    round: u32,
    what: &'static str,
    done: u64,
    total: u64,
) {
    observer.observe(&Progress::Working { round, what, done, total });
}
