use std::fmt::Display;
use std::process::ExitCode;

/// What came of one step.
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// The steps of one command and what came of them.
#[derive(Default)]
pub(crate) struct Steps(Vec<(&'static str, Outcome)>);

impl Steps {
    /// Runs a step. Later steps still run where this one fails, so that one
    /// call shows all that is wrong.
    pub(crate) fn run<T, E: Display>(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<T, E>,
    ) -> Option<T> {
        say!("\n==> {name}");
        match step() {
            Ok(value) => {
                self.0.push((name, Outcome::Passed));
                Some(value)
            }
            Err(error) => {
                say!("error: {error}");
                self.0.push((name, Outcome::Failed(error.to_string())));
                None
            }
        }
    }

    /// Leaves a step out, and says why.
    pub(crate) fn skip(&mut self, name: &'static str, reason: impl Into<String>) {
        self.0.push((name, Outcome::Skipped(reason.into())));
    }

    /// Prints the summary and gives the exit code: 0 where nothing failed.
    pub(crate) fn finish(self) -> ExitCode {
        say!("\n==> summary");
        let mut failed = 0;
        for (name, outcome) in &self.0 {
            match outcome {
                Outcome::Passed => say!("  passed   {name}"),
                Outcome::Skipped(reason) => say!("  skipped  {name}: {reason}"),
                Outcome::Failed(error) => {
                    failed += 1;
                    say!("  FAILED   {name}: {error}");
                }
            }
        }
        if failed == 0 {
            say!("all steps passed");
            ExitCode::SUCCESS
        } else {
            say!("{failed} of {} steps failed", self.0.len());
            ExitCode::FAILURE
        }
    }
}
