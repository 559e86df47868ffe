use std::collections::{HashSet, VecDeque};

use gyre_types::RunId;

use crate::cells::convert;
use crate::database::Query;
use crate::{Store, StoreError};

/// Something in a run that came from something or led to something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// A task, by id.
    Task(String),
    /// A rollout, by id.
    Rollout(String),
    /// A verdict, by its rollout's id and its revision.
    Verdict(String, u32),
    /// A shard, by id.
    Shard(String),
    /// A checkpoint, by id.
    Checkpoint(String),
    /// The gate of a round.
    Gate(u32),
    /// A promotion, by ordinal.
    Promotion(u32),
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Task(id) | Self::Rollout(id) | Self::Shard(id) | Self::Checkpoint(id) => {
                f.write_str(id)
            }
            Self::Verdict(rollout, revision) => write!(f, "verdict {revision} of {rollout}"),
            Self::Gate(round) => write!(f, "gate of round {round}"),
            Self::Promotion(ordinal) => write!(f, "promotion {ordinal}"),
        }
    }
}

/// `from` produced `to`, or was used to produce it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The earlier thing.
    pub from: Node,
    /// The later thing.
    pub to: Node,
}

/// What a thing came from and what it led to, nearest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// Edges on the way back to the tasks and the base.
    pub upstream: Vec<Edge>,
    /// Edges on the way to promotions.
    pub downstream: Vec<Edge>,
    /// Whether there are more edges than were asked for.
    pub truncated: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Upstream,
    Downstream,
}

impl Store {
    /// What `node` came from and what it led to, over all steps, at most
    /// `limit` edges each way.
    ///
    /// The rollouts of a shard are listed only for that shard itself, and the
    /// rollouts that a checkpoint sampled not at all: there are thousands, and
    /// [`Store::shard_rows`] and [`Store::rollouts`] page through them.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a row that is not ours.
    pub async fn lineage(
        &self,
        run: &RunId,
        node: &Node,
        limit: u32,
    ) -> Result<Lineage, StoreError> {
        let (upstream, more_up) = self.walk(run, node, Direction::Upstream, limit).await?;
        let (downstream, more_down) = self.walk(run, node, Direction::Downstream, limit).await?;
        Ok(Lineage { upstream, downstream, truncated: more_up || more_down })
    }

    async fn walk(
        &self,
        run: &RunId,
        start: &Node,
        direction: Direction,
        limit: u32,
    ) -> Result<(Vec<Edge>, bool), StoreError> {
        let limit = limit as usize;
        let mut edges = Vec::new();
        let mut seen = HashSet::from([start.clone()]);
        let mut queue = VecDeque::from([start.clone()]);
        while let Some(node) = queue.pop_front() {
            for query in steps(&node, direction, node == *start) {
                for next in self.neighbours(run, query, limit + 1).await? {
                    if edges.len() == limit {
                        return Ok((edges, true));
                    }
                    if seen.insert(next.clone()) {
                        queue.push_back(next.clone());
                    }
                    edges.push(match direction {
                        Direction::Upstream => Edge { from: next, to: node.clone() },
                        Direction::Downstream => Edge { from: node.clone(), to: next },
                    });
                }
            }
        }
        Ok((edges, false))
    }

    async fn neighbours(
        &self,
        run: &RunId,
        (make, text, key): Step,
        limit: usize,
    ) -> Result<Vec<Node>, StoreError> {
        let mut query = Query::with(text, [run.as_str().into()]);
        query.args.extend(key);
        query.push(" LIMIT ").arg(limit as u64);
        convert("lineage", self.fetch(query).await?, |row| {
            Ok(match make {
                Make::Task => Node::Task(row.text()?),
                Make::Rollout => Node::Rollout(row.text()?),
                Make::Verdict => Node::Verdict(row.text()?, row.int()?),
                Make::Shard => Node::Shard(row.text()?),
                Make::Checkpoint => Node::Checkpoint(row.text()?),
                Make::Gate => Node::Gate(row.int()?),
                Make::Promotion => Node::Promotion(row.int()?),
            })
        })
    }
}

/// Which node a row of a step is.
#[derive(Clone, Copy)]
enum Make {
    Task,
    Rollout,
    Verdict,
    Shard,
    Checkpoint,
    Gate,
    Promotion,
}

/// What the rows are, a query whose `$1` is the run, and its other arguments.
type Step = (Make, &'static str, Vec<crate::database::Cell>);

fn steps(node: &Node, direction: Direction, is_start: bool) -> Vec<Step> {
    match direction {
        Direction::Upstream => upstream(node, is_start),
        Direction::Downstream => downstream(node),
    }
}

fn upstream(node: &Node, is_start: bool) -> Vec<Step> {
    match node {
        Node::Task(_) => vec![],
        Node::Rollout(id) => vec![
            (
                Make::Task,
                "SELECT task FROM rollouts WHERE run = $1 AND id = $2",
                vec![id.as_str().into()],
            ),
            (
                Make::Checkpoint,
                "SELECT checkpoint FROM rollouts WHERE run = $1 AND id = $2 AND checkpoint <> ''",
                vec![id.as_str().into()],
            ),
        ],
        Node::Verdict(rollout, revision) => vec![(
            Make::Rollout,
            "SELECT rollout FROM verdicts WHERE run = $1 AND rollout = $2 AND revision = $3",
            vec![rollout.as_str().into(), (*revision).into()],
        )],
        Node::Shard(id) if is_start => vec![(
            Make::Rollout,
            "SELECT rollout FROM shard_rows WHERE run = $1 AND shard = $2 ORDER BY row_index",
            vec![id.as_str().into()],
        )],
        Node::Shard(_) => vec![],
        Node::Checkpoint(id) => vec![
            (
                Make::Checkpoint,
                "SELECT parent FROM checkpoints WHERE run = $1 AND id = $2 AND parent IS NOT NULL",
                vec![id.as_str().into()],
            ),
            (
                Make::Shard,
                "SELECT shard FROM checkpoint_shards WHERE run = $1 AND checkpoint = $2 \
                 ORDER BY shard",
                vec![id.as_str().into()],
            ),
        ],
        Node::Gate(round) => vec![
            (
                Make::Checkpoint,
                "SELECT candidate FROM gates WHERE run = $1 AND round = $2",
                vec![(*round).into()],
            ),
            (
                Make::Checkpoint,
                "SELECT champion FROM gates WHERE run = $1 AND round = $2",
                vec![(*round).into()],
            ),
        ],
        Node::Promotion(ordinal) => vec![
            (
                Make::Gate,
                "SELECT round FROM promotions WHERE run = $1 AND ordinal = $2 \
                 AND gate_digest IS NOT NULL",
                vec![(*ordinal).into()],
            ),
            (
                Make::Checkpoint,
                "SELECT champion FROM promotions WHERE run = $1 AND ordinal = $2",
                vec![(*ordinal).into()],
            ),
        ],
    }
}

fn downstream(node: &Node) -> Vec<Step> {
    match node {
        Node::Task(id) => vec![(
            Make::Rollout,
            "SELECT id FROM rollouts WHERE run = $1 AND task = $2 ORDER BY round, id",
            vec![id.as_str().into()],
        )],
        Node::Rollout(id) => vec![
            (
                Make::Verdict,
                "SELECT rollout, revision FROM verdicts WHERE run = $1 AND rollout = $2 \
                 ORDER BY revision",
                vec![id.as_str().into()],
            ),
            (
                Make::Shard,
                "SELECT shard FROM shard_rows WHERE run = $1 AND rollout = $2 ORDER BY shard",
                vec![id.as_str().into()],
            ),
        ],
        Node::Verdict(..) | Node::Promotion(_) => vec![],
        Node::Shard(id) => vec![(
            Make::Checkpoint,
            "SELECT checkpoint FROM checkpoint_shards WHERE run = $1 AND shard = $2 \
             ORDER BY checkpoint",
            vec![id.as_str().into()],
        )],
        Node::Checkpoint(id) => vec![
            (
                Make::Checkpoint,
                "SELECT id FROM checkpoints WHERE run = $1 AND parent = $2 ORDER BY round, id",
                vec![id.as_str().into()],
            ),
            (
                Make::Gate,
                "SELECT round FROM gates WHERE run = $1 AND candidate = $2 ORDER BY round",
                vec![id.as_str().into()],
            ),
        ],
        Node::Gate(round) => vec![(
            Make::Promotion,
            "SELECT ordinal FROM promotions WHERE run = $1 AND round = $2 \
             AND gate_digest IS NOT NULL",
            vec![(*round).into()],
        )],
    }
}
