//! Revokes a verifier or a task, in every run that it touched.

mod report;

use std::collections::{BTreeMap, BTreeSet};

use gyre_lineage::{NewRevocation, RevocationRow, RevocationTarget, RunRow, SealChain, Touched};
use gyre_tasks::Family;
use gyre_types::{Digest, RunId, to_json};
use gyre_verify::Verifier;

use crate::anchor;
use crate::cancel::Cancel;
use crate::clock::Clock;
use crate::config::RunConfig;
use crate::error::Error;
use crate::harness::{Harness, open_sandbox};
use crate::judging::Judging;
use crate::progress::Observer;
use crate::project::Project;
use crate::run::correction::Correction;

use report::describe;
pub use report::{
    ReviewedGate, RevocationReport, RunRevocation, TouchedPromotion, TouchedRow, TouchedShard,
};

/// What is to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeRequest {
    /// What must no longer be believed.
    pub target: RevocationTarget,
    /// Why. May be left out where it was revoked before.
    pub why: Option<String>,
    /// What judges again; without it verdicts become invalid.
    pub replacement: Option<Replacement>,
}

/// What judges again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// The built-in comparison of every hidden case.
    BuiltIn,
    /// What the task's family declares now: its mended verifier.
    Family,
    /// The verifier with this digest, as a family of the run declares it.
    Digest(Digest),
}

/// Carries out revocations.
pub struct Revoker<'o> {
    /// The data folder.
    pub project: Project,
    /// Milliseconds since 1970.
    pub clock: Clock,
    /// Asked between steps whether to stop.
    pub cancel: Cancel,
    /// Told what goes on.
    pub observer: &'o mut dyn Observer,
}

impl Revoker<'_> {
    /// Tells what a revocation would touch, and changes nothing.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn preview(&self, request: &RevokeRequest) -> Result<RevocationReport, Error> {
        let store = &self.project.store;
        let known = self.project.wait(store.revocation_of(&request.target))?;
        let row = known.unwrap_or_else(|| unrecorded(request));
        let mut report = RevocationReport::of(&row);
        report.ordinal = report.ordinal.filter(|ordinal| *ordinal < UNRECORDED);
        for run in self.project.wait(store.runs().collect())? {
            let touched = self.project.wait(store.touched(&run.id, &row))?;
            if !touched.is_empty() {
                let told = self.recorded_report(&run.id, row.ordinal)?;
                report.runs.push(match told {
                    Some(told) => told,
                    None => describe(&self.project, &run.id, &row, &touched, &[])?,
                });
            }
        }
        Ok(report)
    }

    /// Records a revocation and puts right everything that it touches: verdicts
    /// are corrected by appending, shards are rewritten, gates decide again.
    ///
    /// May be called again, after a crash or because a run was in other hands:
    /// what is done stays done, and what is outstanding is done.
    ///
    /// # Errors
    ///
    /// When it contradicts what was recorded, a run is held by another process,
    /// or something fails. What was committed until then stays.
    pub fn revoke(&mut self, request: &RevokeRequest) -> Result<RevocationReport, Error> {
        let store = self.project.store.clone();
        let known = self.project.wait(store.revocation_of(&request.target))?;
        let row = match known {
            Some(known) => {
                self.check_same(request, &known)?;
                known
            }
            None => self.project.wait(store.revoke(&self.new_revocation(request)?))?,
        };
        anchor::renew(&self.project, &SealChain::Registry)?;
        let mut report = RevocationReport::of(&row);
        for run in self.project.wait(store.runs().collect())? {
            let touched = self.project.wait(store.touched(&run.id, &row))?;
            if !touched.is_empty() {
                report.runs.push(self.carry_out(run, &row, &touched)?);
            }
        }
        Ok(report)
    }

    fn new_revocation(&self, request: &RevokeRequest) -> Result<NewRevocation, Error> {
        let Some(why) = request.why.clone().filter(|why| !why.trim().is_empty()) else {
            return Err(cannot(&request.target, "say why with --why"));
        };
        let replacement = match request.replacement {
            None => None,
            Some(replacement) => Some(self.digest_of(request, replacement)?),
        };
        if let Some(digest) = replacement {
            let target = RevocationTarget::Verifier(digest);
            if target == request.target {
                return Err(cannot(&target, "it cannot take its own place"));
            }
            if self.project.wait(self.project.store.revocation_of(&target))?.is_some() {
                return Err(cannot(&request.target, "what is to judge again was revoked itself"));
            }
        }
        let at_ms = (self.clock)();
        Ok(NewRevocation { target: request.target.clone(), why, replacement, at_ms })
    }

    fn check_same(&self, request: &RevokeRequest, known: &RevocationRow) -> Result<(), Error> {
        let Some(asked) = request.replacement else { return Ok(()) };
        if Some(self.digest_of(request, asked)?) == known.replacement {
            return Ok(());
        }
        let before = known.replacement.map_or("no replacement".to_owned(), |d| d.short());
        let why = format!("it was revoked before, with {before}, and verdicts were given since");
        Err(cannot(&request.target, &why))
    }

    /// The one verifier that a replacement means for all that is touched.
    fn digest_of(&self, request: &RevokeRequest, asked: Replacement) -> Result<Digest, Error> {
        match asked {
            Replacement::BuiltIn => Ok(gyre_verify::verifier_digest()),
            Replacement::Digest(digest) => Ok(digest),
            Replacement::Family => self.digest_of_families(request),
        }
    }

    fn digest_of_families(&self, request: &RevokeRequest) -> Result<Digest, Error> {
        let revocation = unrecorded(request);
        let mut digests = BTreeSet::new();
        for run in self.project.wait(self.project.store.runs().collect())? {
            let config = self.project.config_of(&run)?;
            let judging = Judging::of(&config, Some(&self.project));
            for name in self.touched_families(&run.id, &revocation)? {
                let folder = config.tasks.dir.join(&name);
                let mut family = Family::load(&folder)?;
                judging.prepare(&mut family, &folder)?;
                let unready = || cannot(&request.target, "its family's verifier is not ready");
                digests.insert(family.verifier.digest().ok_or_else(unready)?);
            }
        }
        match digests.iter().next() {
            Some(digest) if digests.len() == 1 => Ok(*digest),
            Some(_) => Err(cannot(
                &request.target,
                "its families declare different verifiers; revoke it with --replace-with DIGEST",
            )),
            None => Err(cannot(&request.target, "it judged nothing that has a family")),
        }
    }

    /// The families of everything that a revocation touches in a run.
    fn touched_families(
        &self,
        run: &RunId,
        revocation: &RevocationRow,
    ) -> Result<BTreeSet<String>, Error> {
        let store = &self.project.store;
        let mut families = BTreeSet::new();
        let mut tasks = BTreeSet::new();
        let mut touched = store.touched_verdicts(run, revocation);
        while let Some(verdicts) = self.project.wait(touched.next())? {
            for (rollout, _) in &verdicts {
                let Some(row) = self.project.wait(store.rollout(run, rollout))? else { continue };
                if tasks.insert(row.rollout.task.clone()) {
                    let task =
                        crate::inspect::task_with_key(&self.project, run, &row.rollout.task)?;
                    families.insert(task.0.family);
                }
            }
        }
        Ok(families)
    }

    fn carry_out(
        &mut self,
        run: RunRow,
        revocation: &RevocationRow,
        touched: &Touched,
    ) -> Result<RunRevocation, Error> {
        let project = self.project.clone();
        let id = run.id.clone();
        let outstanding = project.wait(project.store.uncorrected(&id, revocation, 1))?;
        let finished = self.recorded_report(&id, revocation.ordinal)?;
        if let (true, Some(report)) = (outstanding.is_empty(), finished) {
            return Ok(report);
        }
        let config = project.config_of(&run)?;
        let sandbox = open_sandbox(&config.sandbox, self.observer)?;
        let harness = Harness { sandbox, families: BTreeMap::new() };
        let verifier = self.verifier(&config, revocation)?;
        let parts = (self.clock, self.cancel.clone());
        let observer = &mut *self.observer;
        let opened = Correction::open(project.clone(), harness, &run, parts, revocation, observer);
        let mut correction = opened?;
        correction.correct_verdicts(verifier.as_ref())?;
        correction.rewrite_shards(touched)?;
        let reviews = correction.review_gates(touched)?;
        let report = describe(&project, &id, revocation, touched, &reviews)?;
        let stored = to_json("the report of a revocation", &report)?;
        correction.finish(reviews, stored)?;
        Ok(report)
    }

    /// The families of a run that can be made ready here.
    fn families(&self, config: &RunConfig, judging: &Judging) -> Vec<Family> {
        let named = config.curriculum.families.iter().map(|family| &family.family);
        let named: BTreeSet<_> = named.chain([&config.cold_start.family]).collect();
        let ready = |name: &String| {
            let folder = config.tasks.dir.join(name);
            // One that is gone, or whose verifier was revoked, judges nothing.
            let mut family = Family::load(&folder).ok()?;
            judging.prepare(&mut family, &folder).ok()?;
            Some(family)
        };
        named.into_iter().filter_map(ready).collect()
    }

    fn recorded_report(&self, run: &RunId, ordinal: u32) -> Result<Option<RunRevocation>, Error> {
        let report = self.project.wait(self.project.store.revocation_report(run, ordinal))?;
        let read = |report| {
            serde_json::from_value(report).map_err(|error| Error::Recorded {
                run: run.clone(),
                what: format!("the report of revocation {ordinal}"),
                why: error.to_string(),
            })
        };
        report.map(read).transpose()
    }

    /// The verifier that a recorded revocation names.
    fn verifier(
        &self,
        config: &RunConfig,
        revocation: &RevocationRow,
    ) -> Result<Option<Verifier>, Error> {
        let Some(digest) = revocation.replacement else { return Ok(None) };
        if digest == gyre_verify::verifier_digest() {
            return Ok(Some(Verifier::Cases));
        }
        let judging = Judging::of(config, Some(&self.project));
        for family in self.families(config, &judging) {
            if family.verifier.digest() == Some(digest) {
                return Ok(Some(family.verifier));
            }
        }
        if let Some(verifier) = judging.registered(&digest)? {
            return Ok(Some(verifier));
        }
        let why = format!(
            "the verifier {} is neither declared by a family of the run nor a registered component \
             or Python program",
            digest.short()
        );
        Err(cannot(&revocation.target, &why))
    }
}

/// The number of a revocation that is not recorded: later than all.
const UNRECORDED: u32 = u32::MAX;

fn unrecorded(request: &RevokeRequest) -> RevocationRow {
    RevocationRow {
        ordinal: UNRECORDED,
        target: request.target.clone(),
        why: request.why.clone().unwrap_or_default(),
        replacement: None,
        at_ms: 0,
    }
}

fn cannot(target: &RevocationTarget, why: &str) -> Error {
    Error::CannotRevoke { target: target.to_string(), why: why.to_owned() }
}
