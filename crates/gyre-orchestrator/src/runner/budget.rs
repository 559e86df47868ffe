//! What a scheduled round may cost: looked at between its steps.

use gyre_round::{BudgetLimit, RoundEvent, RoundState, Spent, Stage};

use super::{Done, Runner};

/// Says which limit what was spent is over, if any; it adds the time itself.
pub(crate) type RoundLimit = Box<dyn Fn(Spent) -> Option<BudgetLimit> + Send>;

impl Runner<'_> {
    pub(crate) fn limited(mut self, limit: RoundLimit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The limit that the round is over. Rows are counted when they are about
    /// to be published, and a round that is over nothing then is not stopped
    /// for them later.
    pub(super) fn over_budget(&self, state: &RoundState) -> Option<BudgetLimit> {
        let limit = self.limit.as_ref()?;
        if state.is_base() || state.stage == Stage::Unplanned {
            return None;
        }
        limit(Spent { tokens: state.tokens, ..Spent::default() })
    }

    /// Ends a round that would publish more rows than it may: nothing of it is
    /// recorded, so its file is garbage.
    pub(super) fn within_budget(&self, state: &RoundState, done: Done) -> Done {
        let (Some(limit), RoundEvent::Curated { rows, .. }) = (&self.limit, &done.event) else {
            return done;
        };
        let spent = Spent { tokens: state.tokens, rows: u64::from(*rows), ..Spent::default() };
        match limit(spent).filter(|_| !state.is_base()) {
            Some(over) => self.give_up(over),
            None => done,
        }
    }

    pub(super) fn give_up(&self, over: BudgetLimit) -> Done {
        let event = RoundEvent::Failed { cause: over.to_string(), ends_run: false };
        Done { event, rows: self.empty_commit() }
    }
}
