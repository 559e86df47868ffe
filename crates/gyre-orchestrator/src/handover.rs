//! Hands promotions over to what the configuration names.
//!
//! What is owed is recorded with the promotion, in one transaction, and every attempt
//! is recorded after it. So a hand-over is made at least once: a process that is killed
//! between an attempt and its record is followed by one that tries again, with the same
//! document and the same key. No failure of the other side ends a run or takes a
//! promotion back.

mod document;
mod signature;
mod webhook;

use std::time::Duration;

use gyre_fault::crash_point;
use gyre_lineage::{AttemptOutcome, HandoverAttempt, HandoverRow, RunRow, SealChain, StoreError};
use gyre_train::{HookError, HookValues};
use gyre_types::RunId;

use crate::anchor;
use crate::cancel::Cancel;
use crate::champion;
use crate::clock::Clock;
use crate::error::Error;
use crate::host;
use crate::layout::round_name;
use crate::project::{Project, io};
use crate::promotion_settings::{HOOK, PromotionSettings, WEBHOOK};
use crate::run::context::RunContext;
use crate::run::lease::HeldLease;

use document::Document;

/// The shortest and the longest time between two attempts, in milliseconds.
const RETRY_MIN_MS: i64 = 1_000;
const RETRY_MAX_MS: i64 = 300_000;

/// How often a hand-over is tried at the end of a run before it is left to the next
/// start or to the service: 15 s of waiting in all.
const TRIES_AT_END: u32 = 5;

/// How soon a wish to stop is heard while waiting.
const LISTEN_EVERY: Duration = Duration::from_millis(50);

/// Bytes of what is recorded of a failure, at most.
const DETAIL_BYTES_MAX: usize = 2_000;

/// Makes the hand-overs of one run. Whoever has one holds the run's lease, so that no
/// two processes hand the same promotion over at one time.
pub(crate) struct Deliverer<'a> {
    pub(crate) project: &'a Project,
    pub(crate) run: &'a RunRow,
    pub(crate) settings: &'a PromotionSettings,
    pub(crate) clock: Clock,
    pub(crate) cancel: &'a Cancel,
}

/// Hears of each attempt, once it is recorded.
pub type Tell<'a> = dyn FnMut(&HandoverRow) + 'a;

/// When a hand-over may be tried next, in milliseconds since 1970.
fn due_at_ms(row: &HandoverRow) -> i64 {
    let Some(last) = &row.last else { return row.at_ms };
    let doublings = row.attempts.saturating_sub(1).min(30);
    last.at_ms.saturating_add((RETRY_MIN_MS << doublings).min(RETRY_MAX_MS))
}

impl<'a> Deliverer<'a> {
    /// The hand-overs of a run that is driven, as its configuration says.
    pub(crate) fn of(run: &'a RunContext) -> Self {
        let RunContext { project, config, row, clock, cancel, .. } = run;
        Self { project, run: row, settings: &config.promotion, clock: *clock, cancel }
    }

    /// Tries every hand-over that is due once, and gives when the next one is; none
    /// where nothing is left that may be tried.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] when asked to stop, and when the store fails. That the
    /// other side failed is recorded and told, and no error.
    pub(crate) fn deliver_due(&self, tell: &mut Tell<'_>) -> Result<Option<i64>, Error> {
        self.deliver(tell, |row, now_ms| due_at_ms(row) <= now_ms)
    }

    /// Tries every hand-over that is not delivered, whether it is due or not and however
    /// often it was tried.
    ///
    /// # Errors
    ///
    /// As [`Deliverer::deliver_due`].
    pub(crate) fn deliver_now(&self, tell: &mut Tell<'_>) -> Result<(), Error> {
        let settings = PromotionSettings { attempts_max: u32::MAX, ..self.settings.clone() };
        Deliverer { settings: &settings, ..*self }.deliver(tell, |_, _| true).map(drop)
    }

    /// Tries what is not delivered a few times, waiting in between.
    ///
    /// # Errors
    ///
    /// As [`Deliverer::deliver_due`].
    pub(crate) fn deliver_at_end(&self, tell: &mut Tell<'_>) -> Result<(), Error> {
        for _ in 0..TRIES_AT_END {
            let Some(next_ms) = self.deliver_due(tell)? else { return Ok(()) };
            let wait_ms = u64::try_from(next_ms - (self.clock)()).unwrap_or(0);
            if wait_ms > (RETRY_MIN_MS << TRIES_AT_END) as u64 {
                return Ok(());
            }
            self.pause(Duration::from_millis(wait_ms))?;
        }
        self.deliver_due(tell).map(drop)
    }

    fn deliver(
        &self,
        tell: &mut Tell<'_>,
        is_wanted: impl Fn(&HandoverRow, i64) -> bool,
    ) -> Result<Option<i64>, Error> {
        let mut next_ms = None;
        for mut row in self.open()? {
            let now_ms = (self.clock)();
            if is_wanted(&row, now_ms) {
                let attempt = self.attempt(&row)?;
                self.record(&mut row, attempt, tell)?;
            }
            if !row.is_delivered() && row.attempts < self.settings.attempts_max {
                let due_ms = due_at_ms(&row);
                next_ms = Some(next_ms.map_or(due_ms, |next: i64| next.min(due_ms)));
            }
        }
        Ok(next_ms)
    }

    /// The hand-overs of the run that may still be tried, the oldest promotion first.
    fn open(&self) -> Result<Vec<HandoverRow>, Error> {
        let mut rows = self.project.wait(self.project.store.handovers(&self.run.id))?;
        rows.retain(|row| !row.is_delivered() && row.attempts < self.settings.attempts_max);
        Ok(rows)
    }

    fn record(
        &self,
        row: &mut HandoverRow,
        attempt: Result<(), String>,
        tell: &mut Tell<'_>,
    ) -> Result<(), Error> {
        crash_point("handover::attempted");
        let (outcome, detail) = match attempt {
            Ok(()) => (AttemptOutcome::Delivered, String::new()),
            Err(detail) => (AttemptOutcome::Failed, shortened(detail)),
        };
        let attempt = HandoverAttempt { outcome, detail, at_ms: (self.clock)() };
        let (store, handover) = (&self.project.store, &row.handover);
        let place = (handover.round, handover.target.as_str());
        self.project.wait(store.record_handover_attempt(&self.run.id, place, &attempt))?;
        anchor::renew(self.project, &SealChain::Run(self.run.id.clone()))?;
        row.attempts += 1;
        row.last = Some(attempt);
        tell(row);
        Ok(())
    }

    /// Tries once. The inner error says what the other side did wrong.
    fn attempt(&self, row: &HandoverRow) -> Result<Result<(), String>, Error> {
        crash_point("handover::attempting");
        if self.cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let document = Document::of(self.project, self.run, row.handover.round)?;
        match row.handover.target.as_str() {
            HOOK => self.run_hook(row, &document),
            WEBHOOK => Ok(self.post(&document)),
            other => Ok(Err(format!("this version of Gyre knows no target {other:?}"))),
        }
    }

    fn run_hook(
        &self,
        row: &HandoverRow,
        document: &Document,
    ) -> Result<Result<(), String>, Error> {
        let Some(hook) = &self.settings.hook else {
            return Ok(Err("the configuration has no [promotion.hook]".to_owned()));
        };
        let logs = self.project.data.logs(&self.run.id);
        logs.make().map_err(io("make", &logs.path()))?;
        let round = round_name(row.handover.round);
        let (file, log) = (format!("promotion-{round}.json"), format!("promotion-{round}.log"));
        logs.write(&file, &document.body).map_err(io("write", &logs.path().join(&file)))?;
        let champion = self.project.data.run(&self.run.id).path().join(champion::LINK);
        let dataset = self.project.data.dataset(&self.run.id);
        let values = HookValues {
            run: self.run.id.as_str(),
            round: row.handover.round,
            checkpoint: document.checkpoint.as_deref(),
            champion: document.checkpoint.as_ref().map(|_| champion.as_path()),
            dataset: dataset.root(),
        };
        let files = (logs.path().join(&file), logs.path().join(&log));
        let host = host::host()?;
        let ran = hook.run(&host, &values, (&files.0, &files.1), self.cancel.token());
        match self.project.wait(ran) {
            Ok(()) => Ok(Ok(())),
            Err(HookError::Cancelled) => Err(Error::Interrupted),
            Err(error) => Ok(Err(described(&error))),
        }
    }

    fn post(&self, document: &Document) -> Result<(), String> {
        let Some(webhook) = &self.settings.webhook else {
            return Err("the configuration has no [promotion.webhook]".to_owned());
        };
        let Some(key) = host::variable(&webhook.secret_env).filter(|key| !key.is_empty()) else {
            return Err(format!(
                "the variable {}, which holds the key of the signature, is not set",
                webhook.secret_env
            ));
        };
        let at_s = (self.clock)().div_euclid(1_000);
        let sent = webhook::post(webhook, document, key.as_bytes(), at_s);
        self.project.wait(async {
            tokio::select! {
                sent = sent => sent,
                () = self.cancel.token().cancelled() => Err("stopped meanwhile".to_owned()),
            }
        })
    }

    fn pause(&self, wait: Duration) -> Result<(), Error> {
        let mut left = wait;
        while !left.is_zero() {
            if self.cancel.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let nap = left.min(LISTEN_EVERY);
            self.project.pause(nap);
            left -= nap;
        }
        Ok(())
    }
}

/// Makes the hand-overs of all runs that are due, of those that no other process
/// drives. What a service does from time to time.
///
/// # Errors
///
/// [`Error::Interrupted`] when asked to stop, and when the store fails.
pub fn deliver_pending(
    project: &Project,
    (clock, cancel): (Clock, &Cancel),
    tell: &mut Tell<'_>,
) -> Result<(), Error> {
    let open = project.wait(project.store.undelivered_handovers())?;
    let due = |row: &&HandoverRow| due_at_ms(row) <= clock();
    let mut runs: Vec<RunId> = open.iter().filter(due).map(|row| row.run.clone()).collect();
    runs.dedup();
    for run in runs {
        match of_run(project, &run, None, (clock, cancel), |deliverer| {
            deliver_as_service(deliverer, tell)
        }) {
            // Its driver makes them; and nothing of a damaged run is touched.
            Err(Error::Store(StoreError::Held { .. })) => {}
            Err(error @ Error::RecordLost { .. }) => tracing::error!(%error, "not handed over"),
            delivered => delivered?,
        }
    }
    Ok(())
}

fn deliver_as_service(deliverer: &Deliverer<'_>, tell: &mut Tell<'_>) -> Result<(), Error> {
    // A crash may have come between a promotion and its link.
    champion::renew(deliverer.project, deliverer.run)?;
    deliverer.deliver_due(tell).map(drop)
}

/// Makes the hand-overs of a run now, with the settings that are given or else those
/// that it was begun with.
///
/// # Errors
///
/// When another process drives the run, [`Error::Interrupted`] when asked to stop, and
/// when the store fails.
pub fn deliver_run(
    project: &Project,
    run: &RunId,
    settings: Option<&PromotionSettings>,
    (clock, cancel): (Clock, &Cancel),
    tell: &mut Tell<'_>,
) -> Result<(), Error> {
    of_run(project, run, settings, (clock, cancel), |deliverer| {
        champion::renew(deliverer.project, deliverer.run)?;
        deliverer.deliver_now(tell)
    })
}

/// Does something with the hand-overs of a run, under its lease.
pub(crate) fn of_run(
    project: &Project,
    run: &RunId,
    settings: Option<&PromotionSettings>,
    (clock, cancel): (Clock, &Cancel),
    work: impl FnOnce(&Deliverer<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let _held = HeldLease::acquire(project, run, clock)?;
    anchor::require(project, run)?;
    let run = project.run(Some(run))?;
    let recorded = project.config_of(&run)?.promotion;
    let settings = settings.unwrap_or(&recorded);
    work(&Deliverer { project, run: &run, settings, clock, cancel })
}

/// Where a hand-over stands, in words.
pub fn standing(row: &HandoverRow) -> String {
    let target = &row.handover.target;
    match &row.last {
        Some(_) if row.is_delivered() => {
            format!("handed over to the {target} at attempt {}", row.attempts)
        }
        Some(last) => {
            let attempts = if row.attempts == 1 { "attempt" } else { "attempts" };
            format!(
                "not handed over to the {target} after {} {attempts}: {}",
                row.attempts, last.detail
            )
        }
        None => format!("not handed over to the {target} yet"),
    }
}

/// An error with its causes, in one line.
fn described(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |shown, cause| format!("{shown}: {cause}"))
}

fn shortened(mut detail: String) -> String {
    let end = (0..=DETAIL_BYTES_MAX).rev().find(|end| detail.is_char_boundary(*end));
    if let Some(end) = end.filter(|end| *end < detail.len()) {
        detail.truncate(end);
        detail.push('…');
    }
    detail
}

#[cfg(test)]
mod tests {
    use gyre_lineage::NewHandover;
    use gyre_types::{CheckpointId, Digest};

    use super::*;

    fn row(attempts: u32, last: Option<(AttemptOutcome, &str)>) -> HandoverRow {
        HandoverRow {
            run: "small-1".parse().unwrap(),
            handover: NewHandover {
                round: 2,
                target: HOOK.to_owned(),
                champion: CheckpointId::from_digest(&Digest::of(b"c")),
                target_digest: Digest::of(b"t"),
            },
            at_ms: 500,
            attempts,
            last: last.map(|(outcome, detail)| HandoverAttempt {
                outcome,
                detail: detail.to_owned(),
                at_ms: 10_000,
            }),
        }
    }

    #[test]
    fn attempts_come_ever_more_seldom_and_never_stop_by_themselves() {
        assert_eq!(due_at_ms(&row(0, None)), 500, "at once");
        let failed = Some((AttemptOutcome::Failed, "no"));
        let waits: Vec<_> =
            [1, 2, 3, 9, 10, 1_000].map(|n| due_at_ms(&row(n, failed)) - 10_000).into();
        assert_eq!(waits, [1_000, 2_000, 4_000, 256_000, 300_000, 300_000]);
    }

    #[test]
    fn a_standing_says_what_went_wrong() {
        assert_eq!(standing(&row(0, None)), "not handed over to the hook yet");
        let failed = standing(&row(1, Some((AttemptOutcome::Failed, "it was down"))));
        assert_eq!(failed, "not handed over to the hook after 1 attempt: it was down");
        let done = standing(&row(3, Some((AttemptOutcome::Delivered, ""))));
        assert_eq!(done, "handed over to the hook at attempt 3");
    }

    #[test]
    fn what_is_recorded_of_a_failure_is_bounded() {
        let long = shortened("ä".repeat(2_000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (1_001, true));
        assert_eq!(shortened("short".to_owned()), "short");
    }
}
