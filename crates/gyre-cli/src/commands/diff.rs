use gyre_dataset::find_branches;
use gyre_lineage::{Kind, RolloutWithVerdict};
use gyre_orchestrator::{Project, record_of};
use gyre_types::{Answer, Digest, Message, RolloutRecord, canonical_json};
use serde_json::{Value, json};

use super::show::find;
use crate::args::{DiffArgs, Global};
use crate::exit::Failure;
use crate::printable::printable;
use crate::{output, session};

/// Columns of a side where the terminal does not say how wide it is.
const SIDE_COLUMNS: usize = 58;

/// Shows two rollouts side by side, from where they part.
pub(crate) fn diff(global: &Global, args: &DiffArgs) -> anyhow::Result<()> {
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let a = Side::read(&project, args, &args.a)?;
    let b = Side::read(&project, args, &args.b)?;
    let facts = facts(&a, &b);
    let (steps_a, steps_b) = (a.steps(), b.steps());
    let same = steps_a.iter().zip(&steps_b).take_while(|(a, b)| a == b).count();
    if global.json {
        return output::json_pretty(&json!({
            "a": a.described(),
            "b": b.described(),
            "facts": facts.iter().map(|fact| json!({
                "what": fact.what, "a": fact.a, "b": fact.b, "differs": fact.differs(),
            })).collect::<Vec<_>>(),
            "steps_in_common": same,
            "steps_a": &steps_a[same..],
            "steps_b": &steps_b[same..],
            "identical": facts.iter().all(|f| !f.differs()) && same == steps_a.len().max(steps_b.len()),
        }));
    }
    let page = Page { colour: output::is_terminal(), side: side_columns() };
    for fact in &facts {
        page.row(fact.what, &fact.a, &fact.b);
    }
    output::line("");
    output::line(format!(
        "steps in common: {same}; {} and {} follow",
        steps_a.len() - same,
        steps_b.len() - same
    ));
    for at in same..steps_a.len().max(steps_b.len()) {
        output::line(format!("── step {}", at + 1));
        page.blocks(steps_a.get(at), steps_b.get(at));
    }
    Ok(())
}

/// One of the two rollouts.
struct Side {
    run: String,
    row: RolloutWithVerdict,
    record: RolloutRecord,
}

/// Something that happened in a rollout: who did it, and what.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
struct StepShown {
    who: String,
    text: String,
}

impl Side {
    fn read(project: &Project, args: &DiffArgs, id: &str) -> anyhow::Result<Self> {
        let found = find(project, id, args.run.as_ref())?;
        if found.kind != Kind::Rollout {
            let message =
                format!("{} is a {}; two rollouts are compared", found.id, found.kind.as_str());
            return Err(Failure::error(Failure::UNKNOWN_ID, message));
        }
        let row = project.wait(project.store.rollout(&found.run, &found.id.parse()?))?;
        let row = row.ok_or_else(|| {
            Failure::error(Failure::UNKNOWN_ID, format!("{} is gone; run `gyre audit`", found.id))
        })?;
        let record = record_of(project, &found.run, &row)?;
        Ok(Self { run: found.run.to_string(), row, record })
    }

    fn described(&self) -> Value {
        json!({ "run": self.run, "id": self.record.id })
    }

    /// Messages and calls in order, then the answer, then the checks.
    fn steps(&self) -> Vec<StepShown> {
        let mut steps: Vec<_> = self.record.messages.iter().flat_map(said).collect();
        let Answer::Program(program) = &self.record.answer;
        steps.push(step("answer", program));
        if let Some(verdict) = &self.row.verdict {
            steps.extend(verdict.checks.iter().map(|check| {
                let mark = if check.passed { "passed" } else { "failed" };
                step(&format!("check {}", check.name), &format!("{mark}\n{}", check.detail))
            }));
        }
        steps
    }
}

fn step(who: &str, text: &str) -> StepShown {
    StepShown { who: who.to_owned(), text: text.trim_end().to_owned() }
}

fn said(message: &Message) -> Vec<StepShown> {
    let mut steps = vec![step(message.role.as_str(), &message.content)];
    for call in &message.tool_calls {
        steps.push(step(&format!("call {}", call.name), &call.arguments));
    }
    if steps.len() > 1 && message.content.is_empty() {
        steps.remove(0);
    }
    steps
}

/// A fact about both rollouts.
struct Fact {
    what: &'static str,
    a: String,
    b: String,
}

impl Fact {
    /// The ids of two rollouts differ by themselves.
    fn differs(&self) -> bool {
        self.a != self.b && self.what != "rollout"
    }
}

fn facts(a: &Side, b: &Side) -> Vec<Fact> {
    let fact = |what, of: &dyn Fn(&Side) -> String| Fact { what, a: of(a), b: of(b) };
    let verdict = |side: &Side| side.row.verdict.as_ref().map(|row| row.verdict.clone());
    vec![
        fact("rollout", &|s| s.record.id.to_string()),
        fact("run", &|s| s.run.clone()),
        fact("round", &|s| s.record.round.to_string()),
        fact("purpose", &|s| s.record.purpose.to_string()),
        fact("task", &|s| s.record.task.to_string()),
        fact("sample", &|s| s.record.sample.to_string()),
        fact("seed", &|s| s.record.seed.to_string()),
        fact("checkpoint", &|s| {
            let checkpoint = s.record.policy.checkpoint.as_ref();
            checkpoint.map_or_else(|| "-".to_owned(), ToString::to_string)
        }),
        fact("policy", &|s| s.record.policy.digest.to_string()),
        fact("sandbox", &|s| s.record.sandbox_digest.to_string()),
        fact("verdict", &|s| verdict(s).map_or("pending", |v| v.name()).to_owned()),
        fact("score", &|s| {
            let score = verdict(s).and_then(|v| v.score());
            score.map_or_else(|| "-".to_owned(), |score| score.get().to_string())
        }),
        fact("verifier", &|s| {
            let verdict = s.row.verdict.as_ref();
            verdict.map_or_else(|| "-".to_owned(), |v| v.verifier_digest.to_string())
        }),
        fact("stop", &|s| s.record.stop.as_str().to_owned()),
        fact("turns", &|s| s.record.turns.len().to_string()),
        fact("tokens", &|s| s.record.tokens_sampled().to_string()),
        fact("prompts", &|s| prompts(&s.record)),
        fact("fuel", &|s| s.record.fuel.to_string()),
        fact("chain", &|s| s.record.chain.to_string()),
    ]
}

/// The tokens of each turn's prompt, as a count and a digest; those that do not
/// extend the turn before are marked.
fn prompts(record: &RolloutRecord) -> String {
    if record.turns.is_empty() {
        return "-".to_owned();
    }
    let branches = find_branches(&record.turns);
    let lengths = record.turns.iter().zip(branches).map(|(turn, is_branch)| {
        let mark = if is_branch { " (branch)" } else { "" };
        format!("{}{mark}", turn.prompt_tokens.len())
    });
    let lengths: Vec<_> = lengths.collect();
    let all: Vec<_> = record.turns.iter().map(|turn| &turn.prompt_tokens).collect();
    let digest = Digest::of(canonical_json(&all).as_bytes());
    format!("{} tokens, {}", lengths.join(", "), digest.short())
}

/// Two columns of text.
struct Page {
    colour: bool,
    side: usize,
}

impl Page {
    fn row(&self, what: &str, a: &str, b: &str) {
        let mark = if a == b { ' ' } else { '≠' };
        let (a, b) = (clipped(a, self.side), clipped(b, self.side));
        self.say(&format!("{mark} {what:10} {a:side$}  {b}", side = self.side), a != b);
    }

    /// What happened on either side, line by line.
    fn blocks(&self, a: Option<&StepShown>, b: Option<&StepShown>) {
        let (a, b) = (self.wrapped(a), self.wrapped(b));
        for at in 0..a.len().max(b.len()) {
            let text = |lines: &Vec<String>| lines.get(at).cloned().unwrap_or_default();
            let (a, b) = (text(&a), text(&b));
            let mark = if a == b { ' ' } else { '≠' };
            self.say(&format!("{mark} {a:side$} │ {b}", side = self.side + 5), a != b);
        }
    }

    fn wrapped(&self, step: Option<&StepShown>) -> Vec<String> {
        let Some(step) = step else { return vec!["(nothing)".to_owned()] };
        let mut lines = vec![format!("[{}]", output::visible(&step.who))];
        for line in step.text.lines() {
            let shown = printable(&output::visible(&line.replace('\t', "    "))).into_owned();
            let chars: Vec<char> = shown.chars().collect();
            if chars.is_empty() {
                lines.push(String::new());
            }
            lines.extend(chars.chunks(self.side + 5).map(|piece| piece.iter().collect::<String>()));
        }
        lines
    }

    /// Prints a line whose hostile parts were made harmless, in colour where
    /// the two sides differ and a person watches.
    fn say(&self, text: &str, differs: bool) {
        let text = text.trim_end();
        if differs && self.colour {
            output::coloured(text);
        } else {
            output::line(text);
        }
    }
}

fn clipped(text: &str, columns: usize) -> String {
    let text = output::visible(text);
    let mut clipped: String = text.chars().take(columns).collect();
    if clipped.len() < text.len() {
        clipped.pop();
        clipped.push('…');
    }
    clipped
}

/// Half of the terminal, less what stands beside and between.
fn side_columns() -> usize {
    let width = comfy_table::Table::new().width().map(usize::from);
    width.map_or(SIDE_COLUMNS, |width| (width.saturating_sub(16) / 2).max(20))
}
