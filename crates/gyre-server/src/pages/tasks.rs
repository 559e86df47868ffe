use std::collections::{BTreeMap, BTreeSet};

use gyre_lineage::{CellRate, RolloutFilter, RunRow, VerdictCount};
use gyre_orchestrator::inspect;
use gyre_types::{Case, EnvironmentSpec, Split, Task, TaskId};
use gyre_verify::GradingKey;
use maud::{Markup, html};

use super::chart::{self, count};
use super::layout::Page;
use super::parts::{choice, export, field, link, pages, rate, rollout_table, trail};
use super::text::{block, code, hostile};
use crate::api::Asked;
use crate::app::App;
use crate::failure::Failure;
use crate::filters::task_filter;

/// Rollouts of a task that its page lists.
const ROLLOUTS: u32 = 50;

/// Tasks with how often they are solved.
pub(crate) fn list(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let (run, params) = (&asked.run(app)?, &asked.params);
    let filter = task_filter(params)?;
    let store = &app.project.store;
    let cursor = params.cursor()?;
    let page =
        app.project.wait(store.tasks_page(&run.id, &filter, cursor.as_ref(), params.limit()?))?;
    let ids: Vec<TaskId> = page.rows.iter().map(|row| row.task.id.clone()).collect();
    let rates = app.project.wait(store.rates_of_tasks(&run.id, &ids))?;
    let rates: BTreeMap<_, _> = rates.into_iter().map(|rate| (rate.task, rate.count)).collect();
    let figures = app.figures(run)?;
    let families: BTreeSet<_> = figures.cells.iter().map(|cell| cell.family.clone()).collect();
    let families: Vec<_> = families.into_iter().collect();
    let splits = ["train", "gate", "test"].map(str::to_owned);
    let body = html! {
        h1 { "Tasks" }
        (by_difficulty(&figures.cells))
        h2 { "All tasks" }
        form.filters method="get" {
            (choice("family", "Family", &families, params))
            (choice("split", "Part", &splits, params))
            (field("difficulty", "Difficulty", "number", params))
            (field("round", "First used in round", "number", params))
            (field("q", "Words", "search", params))
            button type="submit" { "Show" }
        }
        div.scroll tabindex="0" role="region" aria-label="Tasks" { table {
            thead { tr {
                th scope="col" { "Task" } th scope="col" { "Family" } th.n scope="col" { "Level" } th scope="col" { "Part" }
                th.n scope="col" { "Round" } th scope="col" { "Instruction" } th.n scope="col" { "Passed" } th.n scope="col" { "Rollouts" }
            } }
            tbody {
                @for row in &page.rows { tr {
                    @let counts = rates.get(&row.task.id);
                    th scope="row" { (link(&run.id, "tasks", row.task.id.as_str())) }
                    td { (hostile(&row.task.family)) }
                    td.n { (row.task.difficulty) }
                    td { (row.task.split) }
                    td.n { (row.round) }
                    td.wrap { (hostile(&row.task.instruction().chars().take(300).collect::<String>())) }
                    td.n { (rate(counts.and_then(VerdictCount::pass_rate), None)) }
                    td.n { (counts.map_or(0, |c| c.rollouts)) }
                } }
                @if page.rows.is_empty() { tr { td colspan="8" { "Nothing matches." } } }
            }
        } }
        (pages(params, page.next.as_ref()))
        (export(params))
    };
    Ok(Page {
        title: format!("{} tasks", run.id),
        run: Some(run.id.clone()),
        section: "tasks",
        body,
    })
}

/// Difficulty against pass rate, for training and for both held-out parts.
fn by_difficulty(cells: &[CellRate]) -> Markup {
    let mut levels: BTreeMap<(String, u32), [VerdictCount; 3]> = BTreeMap::new();
    for cell in cells {
        let counts = levels.entry((cell.family.clone(), cell.difficulty)).or_default();
        let part = &mut counts[match cell.purpose {
            Split::Train => 0,
            Split::Gate => 1,
            Split::Test => 2,
        }];
        part.rollouts += cell.count.rollouts;
        part.passed += cell.count.passed;
        part.failed += cell.count.failed;
        part.invalid += cell.count.invalid;
    }
    let shown: Vec<_> = levels
        .iter()
        .map(|((family, difficulty), parts)| chart::Level {
            label: format!("{family} {difficulty}"),
            rates: parts.each_ref().map(VerdictCount::pass_rate),
        })
        .collect();
    html! {
        @if !shown.is_empty() {
            (chart::levels("Pass rate by family and level, for training, gate part and test part; the table below says the same", &shown))
            ul.legend.keys { li.training { "training" } li.gate { "gate part" } li.test { "test part" } }
        }
        div.scroll tabindex="0" role="region" aria-label="Pass rate by difficulty" { table {
            caption { "Pass rate by difficulty, over all rounds and policies" }
            thead { tr { th scope="col" { "Level" } th scope="col" { "Training" } th.n scope="col" { "Training" } th.n scope="col" { "Gate part" } th.n scope="col" { "Test part" } th.n scope="col" { "Rollouts" } } }
            tbody { @for ((family, difficulty), [train, gate, test]) in &levels { tr {
                th scope="row" { (hostile(family)) " " (difficulty) }
                td { (chart::share(train.pass_rate().unwrap_or(0.0))) }
                @for part in [train, gate, test] { td.n { (rate(part.pass_rate(), None)) } }
                td.n { (count(train.rollouts + gate.rollouts + test.rollouts)) }
            } } }
        } }
    }
}

/// One task: what the policy is told, and what only the host knows.
pub(crate) fn one(app: &App, asked: &Asked) -> Result<Page, Failure> {
    let (run, params) = (&asked.run(app)?, &asked.params);
    let id: TaskId = asked.name("task").parse()?;
    let (task, key) = inspect::task_with_key(&app.project, &run.id, &id)?;
    let filter = RolloutFilter { task: Some(id.clone()), ..RolloutFilter::default() };
    let store = &app.project.store;
    let rollouts = app.project.wait(store.rollouts_page(&run.id, &filter, None, ROLLOUTS))?;
    let all = format!("/runs/{}/rollouts?task={id}", run.id);
    let body = html! {
        (trail(run, &[("tasks", format!("/runs/{}/tasks", run.id))]))
        h1.id { (id) }
        (facts(run, &task))
        h2 { "Instruction" }
        (block(task.instruction()))
        (seen(&task.environment))
        (host_side(&key))
        h2 { "Rollouts" }
        (rollout_table(run, "Attempts at this task, first rounds first", &rollouts.rows))
        @if rollouts.next.is_some() { p { a href=(all) { "All of them" } } }
        (export(params))
    };
    Ok(Page { title: id.to_string(), run: Some(run.id.clone()), section: "tasks", body })
}

fn facts(run: &RunRow, task: &Task) -> Markup {
    html! {
        dl.facts {
            dt { "Family" } dd { (hostile(&task.family)) " version " (task.family_version) ", level " (task.difficulty) }
            dt { "Part" } dd { (task.split) @if task.split.is_held_out() { " (never trained on)" } }
            dt { "Composition" } dd { (hostile(&task.composition.to_string())) }
            dt { "Skills" } dd { (hostile(&task.skills.join(", "))) }
            (called(&task.environment))
            dt { "Seed" } dd.id { (task.seed) }
            dt { "Content" } dd.id { (task.digest) }
            dt { "Key" } dd.id { (task.key_digest) }
            dt { "Limits" } dd { (count(task.limits.fuel_max)) " fuel, " (super::parts::bytes(task.limits.memory_bytes_max)) " memory" }
            dt { "Lineage" } dd { (link(&run.id, "lineage", task.id.as_str())) }
        }
    }
}

/// What the policy sees of the environment beside the instruction.
fn seen(environment: &EnvironmentSpec) -> Markup {
    match environment {
        EnvironmentSpec::Program(spec) => html! {
            h2 { "Cases that the policy sees" }
            (cases(&spec.visible))
        },
    }
}

/// By what the answer is run.
fn called(environment: &EnvironmentSpec) -> Markup {
    match environment {
        EnvironmentSpec::Program(spec) => {
            html! { dt { "Called" } dd.id { (hostile(&spec.entry)) } }
        }
    }
}

fn cases(cases: &[Case]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Cases" { table {
            thead { tr { th scope="col" { "Case" } th scope="col" { "Arguments" } th scope="col" { "Expected" } } }
            tbody { @for (at, case) in cases.iter().enumerate() { tr {
                th.n scope="row" { (at) }
                td.wrap.id { (hostile(&case.args.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))) }
                td.wrap.id { (hostile(&case.expect.to_string())) }
            } } }
        } }
    }
}

/// The admission record: what had to hold before the task was used.
fn host_side(key: &GradingKey) -> Markup {
    let GradingKey::Program(key) = key;
    html! {
        h2 { "What only the host knows" }
        p.quiet { "The task was admitted because its reference passed every hidden case in fresh guests, and each failure below was refused." }
        h3 { "Reference solution" }
        (code(&key.reference))
        details { summary { (key.hidden.len()) " hidden cases" } (cases(&key.hidden)) }
        details {
            summary { (key.failures.len()) " answers that must fail" }
            @for failure in &key.failures { (code(failure)) }
        }
    }
}
