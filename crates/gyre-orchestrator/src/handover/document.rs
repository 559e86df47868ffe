//! The document that describes a promotion to hooks and webhooks. It is the same at
//! every attempt.

use std::path::PathBuf;

use gyre_lineage::{PromotionRow, RunRow};
use gyre_types::{CheckpointId, StoredPath, canonical_json};
use serde_json::{Value, json};

use crate::champion::{self, checkpoint_prefix, link_target};
use crate::error::Error;
use crate::inspect;
use crate::project::{Project, io};

/// The version of the document's form.
const VERSION: u32 = 1;

/// The document of one promotion.
pub(super) struct Document {
    /// By which the other side tells a repetition: the same at every attempt.
    pub(super) key: String,
    /// Canonical JSON.
    pub(super) body: Vec<u8>,
    /// The champion's folder, where it is one.
    pub(super) checkpoint: Option<PathBuf>,
}

impl Document {
    /// The document of a round's promotion. It follows from what is recorded of the
    /// promotion, which never changes, and from where the data folder lies.
    pub(super) fn of(project: &Project, run: &RunRow, round: u32) -> Result<Self, Error> {
        let promotion = promotion(project, run, round)?;
        let champion = &promotion.champion;
        let checkpoint = project.wait(project.store.checkpoint(&run.id, champion))?;
        let checkpoint =
            checkpoint.ok_or_else(|| unreadable(run, champion, "it is not recorded"))?;
        let is_folder = link_target(&run.id, &checkpoint).is_some();
        let folder = if is_folder { Some(absolute(project, &checkpoint.path)?) } else { None };
        let link = absolute(project, &StoredPath::new(format!("runs/{}", run.id)))?;
        let link = folder.as_ref().map(|_| link.join(champion::LINK));
        let key = format!("{}/{round}/{champion}", run.id);
        let store = project.config_of(run)?.workers.store;
        let document = json!({
            "format_version": VERSION, "event": "promotion", "id": key, "round": round, "at_ms": promotion.at_ms,
            "run": {
                "id": run.id, "name": run.name, "seed": run.seed, "fingerprint": run.fingerprint,
            },
            "champion": {
                "id": champion, "digest": checkpoint.digest, "parent": checkpoint.parent,
                "policy_digest": checkpoint.policy_digest, "path": folder, "link": link,
                "object_prefix": store.as_ref().map(|_| checkpoint_prefix(&checkpoint.digest)),
            },
            "previous": promotion.previous,
            "gate": gate(project, run, &promotion)?,
            "approval": approval(project, run, round)?,
            "dataset": {
                "path": std::path::absolute(project.data.dataset(&run.id).root())
                    .map_err(io("find", project.data.root()))?,
                "shards": checkpoint.shards,
                "object_prefix": store.as_ref().map(|_| format!("datasets/{}/", run.id)),
            },
            "store": store,
        });
        Ok(Self { key, body: canonical_json(&document).into_bytes(), checkpoint: folder })
    }
}

fn promotion(project: &Project, run: &RunRow, round: u32) -> Result<PromotionRow, Error> {
    let promotions = project.wait(project.store.promotions(&run.id).collect())?;
    let found = promotions.into_iter().find(|promotion| promotion.round == round);
    found.ok_or_else(|| Error::Recorded {
        run: run.id.clone(),
        what: format!("the promotion of round {round}"),
        why: "it is not recorded".to_owned(),
    })
}

/// The gate's record; null for the base, which replaced nobody.
fn gate(project: &Project, run: &RunRow, promotion: &PromotionRow) -> Result<Value, Error> {
    if promotion.gate_digest.is_none() {
        return Ok(Value::Null);
    }
    let gate = inspect::gate(project, &run.id, promotion.round)?;
    Ok(gate.map_or(Value::Null, |gate| json!({ "digest": gate.digest, "record": gate.record })))
}

/// Who approved it; null where the gate had the last word.
fn approval(project: &Project, run: &RunRow, round: u32) -> Result<Value, Error> {
    let approvals = project.wait(project.store.approvals(&run.id))?;
    let own = approvals.into_iter().find(|approval| approval.round == round);
    let Some((answer, at_ms)) = own.and_then(|own| own.answer) else { return Ok(Value::Null) };
    let (by, via) = answer.by.map(|(by, via)| (by, via.as_str())).unzip();
    Ok(json!({ "by": by, "via": via, "why": answer.why, "at_ms": at_ms }))
}

/// The whole path of something in the data folder: the other side may work elsewhere.
fn absolute(project: &Project, path: &StoredPath) -> Result<PathBuf, Error> {
    let place = project.data.root().join(path.as_text());
    std::path::absolute(&place).map_err(io("find", &place))
}

fn unreadable(run: &RunRow, what: &CheckpointId, why: &str) -> Error {
    Error::Recorded { run: run.id.clone(), what: what.to_string(), why: why.to_owned() }
}
