//! Looks for a text in what policies answered. Answers lie in the parts' files,
//! so a search reads them, as many at a time as a reader may wait for.

use std::collections::HashMap;
use std::sync::Arc;

use gyre_dataset::read_answers;
use gyre_lineage::{Cursor, Page, RolloutFilter, RolloutWithVerdict};
use gyre_types::{PartId, RunId};

use crate::error::Error;
use crate::project::Project;

/// Rollouts that one search looks through; the next goes on from there.
pub(crate) const SEARCHED_MAX: u32 = 20_000;
/// Rollouts that are asked of the lineage at a time.
const CHUNK: u32 = 1_000;

/// What a search came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// What was found, and where to go on; a page may be empty and not the last.
    pub page: Page<RolloutWithVerdict>,
    /// Rollouts that were looked through.
    pub searched: u32,
}

/// Lists rollouts whose answer holds a text, whatever its case.
///
/// # Errors
///
/// When the store fails, or a part is missing or damaged.
pub fn search_answers(
    project: &Project,
    run: &RunId,
    filter: &RolloutFilter,
    text: &str,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Searched, Error> {
    let wanted = text.to_lowercase();
    let mut answers = Answers { project, run, parts: HashMap::new() };
    let (mut rows, mut searched) = (Vec::new(), 0);
    let mut place = cursor.cloned();
    loop {
        let listed = project.store.rollouts_page(run, filter, place.as_ref(), CHUNK);
        let chunk = project.wait(listed)?;
        let is_last = chunk.next.is_none();
        let mut left = chunk.rows.into_iter().peekable();
        while let Some(row) = left.next() {
            let after = Cursor::after(row.rollout.round, row.rollout.id.as_str());
            searched += 1;
            let part = answers.of(&row.rollout.part)?;
            let answer = part.get(row.rollout.part_row as usize);
            if answer.is_some_and(|answer| answer.to_lowercase().contains(&wanted)) {
                rows.push(row);
            }
            let is_over = is_last && left.peek().is_none();
            if rows.len() as u32 >= limit || searched >= SEARCHED_MAX {
                let next = (!is_over).then_some(after);
                return Ok(Searched { page: Page { rows, next }, searched });
            }
            place = Some(after);
        }
        if is_last {
            return Ok(Searched { page: Page { rows, next: None }, searched });
        }
    }
}

/// The answers of the parts that were read.
struct Answers<'p> {
    project: &'p Project,
    run: &'p RunId,
    parts: HashMap<PartId, Arc<[String]>>,
}

impl Answers<'_> {
    fn of(&mut self, id: &PartId) -> Result<Arc<[String]>, Error> {
        if let Some(known) = self.parts.get(id) {
            return Ok(known.clone());
        }
        let part = self.project.wait(self.project.store.part(self.run, id))?;
        let part = part.ok_or_else(|| Error::Recorded {
            run: self.run.clone(),
            what: id.to_string(),
            why: "it is not recorded".to_owned(),
        })?;
        let read: Arc<[String]> = read_answers(self.project.data.open(&part.path))?.into();
        self.parts.insert(id.clone(), read.clone());
        Ok(read)
    }
}
