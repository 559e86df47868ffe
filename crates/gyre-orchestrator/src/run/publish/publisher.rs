//! Publishes what transactions name: in the dataset's folder and the object store.

use super::index;
use crate::error::Error;
use crate::inspect;
use crate::objects::Objects;
use crate::run::context::RunContext;

/// Publishes the dataset of a run.
pub(crate) struct Publisher<'a> {
    pub(crate) run: &'a RunContext,
    /// The object store of the run's workers, where it has some.
    pub(crate) of_workers: Option<&'a Objects>,
}

impl Publisher<'_> {
    /// The object store that gets what this run publishes: that of its workers,
    /// one that its configuration names, or the data folder's own where an earlier
    /// driver published there, who had workers.
    ///
    /// # Errors
    ///
    /// When the object store cannot be opened.
    pub(crate) fn objects(&self) -> Result<Option<Objects>, Error> {
        if let Some(objects) = self.of_workers {
            return Ok(Some(objects.clone()));
        }
        let RunContext { project, row, config, .. } = self.run;
        Objects::of_run(project, row, config)
    }

    /// Writes the index of what transactions name, and has the object store hold
    /// just that. Comes after a commit, so that nothing is handed on that is not
    /// recorded; a process that ended in between leaves it to the next start.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, or the object store fails.
    pub(crate) fn write_index(&self) -> Result<(), Error> {
        index::write_index(&self.run.project, &self.run.row)?;
        match self.objects()? {
            Some(objects) => {
                let id = self.run.id();
                objects.publish(id, &self.run.project.data.dataset(id))
            }
            None => Ok(()),
        }
    }

    /// Removes the shards that a round wrote and then did not publish.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub(crate) fn drop_unpublished(&self) -> Result<(), Error> {
        let (data, id) = (&self.run.project.data, self.run.id());
        let shards = inspect::shards(&self.run.project, id)?;
        let named = shards.iter().filter_map(|shard| data.place(&shard.path)).collect();
        let layout = data.dataset(id);
        gyre_dataset::collect_garbage(layout.data(), &named)?;
        gyre_dataset::collect_garbage(layout.groups(), &named)?;
        Ok(())
    }
}
