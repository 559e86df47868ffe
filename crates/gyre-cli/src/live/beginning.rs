//! How the first round of a run is called.

use std::path::PathBuf;

use gyre_orchestrator::RunConfig;
use gyre_round::RoundState;
use gyre_types::{CheckpointId, RunId};

/// What a run's first round is: a cold start, or the taking over of a checkpoint.
#[derive(Default)]
pub(crate) struct Beginning {
    checkpoint: Option<PathBuf>,
}

impl Beginning {
    pub(super) fn of(config: &RunConfig) -> Self {
        Self { checkpoint: config.start.checkpoint.clone() }
    }

    pub(super) fn title(&self, round: u32) -> String {
        match (round, &self.checkpoint) {
            (0, None) => "cold start".to_owned(),
            (0, Some(_)) => "start".to_owned(),
            _ => format!("round {round}"),
        }
    }

    pub(super) fn started(&self, run: &RunId, rounds: u32, resumed: bool) -> String {
        let verb = if resumed { "resuming" } else { "starting" };
        match &self.checkpoint {
            None => format!("{verb} {run}: cold start and {rounds} rounds"),
            Some(folder) => format!("{verb} {run} from {}: {rounds} rounds", folder.display()),
        }
    }

    /// What came of a training, of so many steps and with this loss at its end. That of
    /// the first round only takes over a checkpoint, where the run starts from one.
    pub(super) fn trained(
        &self,
        state: &RoundState,
        candidate: &CheckpointId,
        (steps, loss): (u64, f64),
    ) -> String {
        match self.checkpoint.as_ref().filter(|_| state.is_base()) {
            Some(folder) => format!("{} taken as {candidate}", folder.display()),
            None => format!("trained {candidate}: {steps} steps, loss {loss:.3}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gyre_round::{CurationConfig, CurriculumState, PlanVersion, RoundPlan};
    use gyre_types::{Digest, Seed};

    use super::*;

    /// The first round of a run, once it has a plan.
    fn base() -> RoundState {
        let digest = Digest::of(b"part");
        let plan = RoundPlan {
            version: PlanVersion,
            round: 0,
            seed: Seed(1),
            fingerprint: digest,
            champion: None,
            sandbox: digest,
            verifier: digest,
            verifiers: BTreeMap::new(),
            families: BTreeMap::new(),
            slots: vec![],
            curriculum: CurriculumState::default(),
            skill_weights: BTreeMap::new(),
            phases: vec![],
            curation: CurationConfig::default(),
            gate: None,
            guards: None,
            collects_only: false,
        };
        RoundState { plan: Some(Box::new(plan)), ..RoundState::default() }
    }

    #[test]
    fn a_run_that_starts_from_a_checkpoint_has_no_cold_start() {
        let run = RunId::new("real", 1).unwrap();
        let candidate = CheckpointId::from_digest(&Digest::of(b"weights"));
        let folder = Beginning { checkpoint: Some(PathBuf::from("models/small")) };
        assert_eq!(folder.started(&run, 3, false), "starting real-1 from models/small: 3 rounds");
        assert_eq!([folder.title(0), folder.title(2)], ["start", "round 2"]);
        let said = |beginning: &Beginning, state: &RoundState| {
            beginning.trained(state, &candidate, (0, 0.0))
        };
        assert_eq!(said(&folder, &base()), format!("models/small taken as {candidate}"));
        let trained = format!("trained {candidate}: 0 steps, loss 0.000");
        assert_eq!(said(&folder, &RoundState::default()), trained);
        let cold = Beginning::default();
        assert_eq!(cold.started(&run, 3, true), "resuming real-1: cold start and 3 rounds");
        assert_eq!(cold.title(0), "cold start");
        assert_eq!(said(&cold, &base()), trained);
    }
}
