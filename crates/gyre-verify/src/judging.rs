//! Judges answers by whichever verifier decides.

use std::fmt;

use gyre_types::{Executor, Judgement, SandboxJob, SandboxReport};

use crate::batch::InBatches;
use crate::observe::judge_observed;
use crate::{Submission, Verifier, judge_cases};

impl Verifier {
    /// Judges answers with guests that `execute` runs, which takes and gives all
    /// of a step at once: [`judge_with`](Self::judge_with) holds fewer reports.
    ///
    /// Equal answers to equal tasks are judged once. Judgements come in the
    /// order of the submissions. `execute` must give one result for each job,
    /// in order; one that is missing or an error makes its answer invalid.
    pub fn judge<E: fmt::Display>(
        &self,
        submissions: &[Submission<'_>],
        execute: impl Fn(Vec<SandboxJob>) -> Vec<Result<SandboxReport, E>>,
    ) -> Vec<Judgement> {
        self.judge_with(submissions, &InBatches(execute))
    }

    /// Judges answers as [`judge`](Self::judge) does, each report as it arrives.
    pub fn judge_with(
        &self,
        submissions: &[Submission<'_>],
        executor: &dyn Executor,
    ) -> Vec<Judgement> {
        match self {
            Self::Cases => judge_cases(submissions, executor),
            _ => judge_observed(self, submissions, executor),
        }
    }
}
