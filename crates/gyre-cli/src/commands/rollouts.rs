use gyre_lineage::{Cursor, RolloutFilter, RolloutWithVerdict, ScoreBounds, VerdictFilter};
use gyre_types::Verdict;
use serde_json::{Value, json};

use crate::args::{Global, RolloutsArgs};
use crate::exit::Failure;
use crate::{output, session};

/// Lists rollouts, newest verdict beside each, a page at a time.
pub(crate) fn rollouts(global: &Global, args: &RolloutsArgs) -> anyhow::Result<()> {
    let filter = conditions(&args.conditions)
        .map_err(|why| Failure::error(Failure::WRONG_USAGE, format!("--where: {why}")))?;
    let after = args.after.as_deref().map(str::parse::<Cursor>).transpose();
    let after = after.map_err(|error| Failure::error(Failure::WRONG_USAGE, error.to_string()))?;
    let runtime = session::runtime()?;
    let project = session::open_existing(global, &runtime)?;
    let run = project.run(args.run.as_ref())?;
    let listed = project.store.rollouts_page(&run.id, &filter, after.as_ref(), args.limit);
    let page = project.wait(listed)?;
    let next = page.next.map(|cursor| cursor.to_string());
    if global.json {
        let rows: Vec<_> = page.rows.iter().map(described).collect();
        return output::json(&json!({ "run": run.id, "rollouts": rows, "next": next }));
    }
    let mut table = output::table([
        "rollout",
        "round",
        "purpose",
        "task",
        "sample",
        "checkpoint",
        "verdict",
        "score",
        "turns",
        "tokens",
        "reason",
    ]);
    for RolloutWithVerdict { rollout, verdict } in &page.rows {
        let verdict = verdict.as_ref().map(|row| &row.verdict);
        let score = verdict.and_then(Verdict::score);
        let reason = match verdict {
            Some(Verdict::Invalid { reason }) => output::visible(&reason.to_string()),
            _ => String::new(),
        };
        table.add_row([
            rollout.id.to_string(),
            rollout.round.to_string(),
            rollout.purpose.to_string(),
            rollout.task.to_string(),
            rollout.sample.to_string(),
            rollout.checkpoint.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            verdict.map_or("pending", Verdict::name).to_owned(),
            score.map_or_else(|| "-".to_owned(), |score| format!("{:.3}", score.get())),
            rollout.turns.to_string(),
            rollout.tokens.to_string(),
            reason,
        ]);
    }
    output::print_or(&table, "no rollouts fit");
    if let Some(next) = next {
        output::line(format!("… and more: go on with --after {next}"));
    }
    Ok(())
}

fn described(RolloutWithVerdict { rollout, verdict }: &RolloutWithVerdict) -> Value {
    json!({
        "id": rollout.id,
        "round": rollout.round,
        "purpose": rollout.purpose,
        "task": rollout.task,
        "sample": rollout.sample,
        "checkpoint": rollout.checkpoint,
        "policy_digest": rollout.policy_digest,
        "stop": rollout.stop,
        "turns": rollout.turns,
        "tokens": rollout.tokens,
        "fuel": rollout.fuel,
        "verdict": verdict.as_ref().map(|row| row.verdict.name()),
        "score": verdict.as_ref().and_then(|row| row.verdict.score()),
        "reason": verdict.as_ref().and_then(|row| match &row.verdict {
            Verdict::Invalid { reason } => Some(json!(reason)),
            Verdict::Pass | Verdict::Fail { .. } => None,
        }),
        "revision": verdict.as_ref().map(|row| row.revision),
    })
}

const KEYS: &str =
    "family, verdict, reason, score, checkpoint, policy, round, task and purpose are known";

/// Reads conditions, which stand apart by spaces or commas.
fn conditions(texts: &[String]) -> Result<RolloutFilter, String> {
    let mut filter = RolloutFilter::default();
    let separate = |c: char| c == ',' || c.is_whitespace();
    for text in texts.iter().flat_map(|text| text.split(separate)).filter(|text| !text.is_empty()) {
        let at = text.find(['=', '<', '>']).ok_or_else(|| {
            format!("{text:?} is no condition; write KEY=VALUE, such as verdict=fail")
        })?;
        let (key, rest) = text.split_at(at);
        let value = rest.trim_start_matches(['=', '<', '>']);
        let operator = &rest[..rest.len() - value.len()];
        if key == "score" {
            bound(&mut filter.score, operator, value)?;
        } else if operator == "=" {
            equal(&mut filter, key, value)?;
        } else {
            return Err(format!("{text:?}: only a score is compared with {operator}"));
        }
    }
    Ok(filter)
}

fn equal(filter: &mut RolloutFilter, key: &str, value: &str) -> Result<(), String> {
    fn read<T: std::str::FromStr<Err: std::fmt::Display>>(value: &str) -> Result<T, String> {
        value.parse().map_err(|error: T::Err| format!("{value:?}: {error}"))
    }
    match key {
        "family" => filter.family = Some(value.to_owned()),
        "reason" => filter.reason = Some(value.to_owned()),
        "checkpoint" => filter.checkpoint = Some(read(value)?),
        "policy" => filter.policy = Some(read(value)?),
        "round" => filter.round = Some(read(value)?),
        "task" => filter.task = Some(read(value)?),
        "purpose" => filter.purpose = Some(read(value)?),
        "verdict" => {
            filter.verdict = Some(match value {
                "pass" => VerdictFilter::Pass,
                "fail" => VerdictFilter::Fail,
                "invalid" => VerdictFilter::Invalid,
                "pending" => VerdictFilter::Pending,
                _ => return Err(format!("{value:?} is none of pass, fail, invalid, pending")),
            });
        }
        _ => return Err(format!("nothing is called {key:?}; {KEYS}")),
    }
    Ok(())
}

fn bound(bounds: &mut ScoreBounds, operator: &str, value: &str) -> Result<(), String> {
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
    let number = number.ok_or_else(|| format!("the score {value:?} is no number"))?;
    match operator {
        "=" => (bounds.at_least, bounds.at_most) = (Some(number), Some(number)),
        ">=" => bounds.at_least = Some(number),
        "<=" => bounds.at_most = Some(number),
        ">" => bounds.above = Some(number),
        "<" => bounds.below = Some(number),
        _ => return Err(format!("a score is compared with = < <= > or >=, not {operator:?}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RolloutFilter, String> {
        conditions(&[text.to_owned()])
    }

    #[test]
    fn conditions_are_read() {
        let filter = read("family=compose, verdict=fail score>=0.5,score<1 round=3").unwrap();
        let score = ScoreBounds { at_least: Some(0.5), below: Some(1.0), ..ScoreBounds::default() };
        let expected = RolloutFilter {
            family: Some("compose".to_owned()),
            verdict: Some(VerdictFilter::Fail),
            round: Some(3),
            score,
            ..RolloutFilter::default()
        };
        assert_eq!(filter, expected);
        assert_eq!(conditions(&[]), Ok(RolloutFilter::default()));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for (text, why) in [
            ("compose", "KEY=VALUE"),
            ("colour=red", "nothing is called"),
            ("verdict=maybe", "none of pass"),
            ("round=x", "\"x\""),
            ("round>3", "only a score"),
            ("score>=NaN", "no number"),
            ("score=>1", "compared with"),
            ("task=roll-1", "roll-1"),
        ] {
            let refused = read(text).expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
